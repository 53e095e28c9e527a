//! The generator Philox4x32-10: a bijection of a 128-bit counter under a 64-bit key.
//!
//! Source: J. Salmon, M. Moraes, R. Dror, D. Shaw, "Parallel random numbers: as easy as 1, 2, 3",
//! SC 2011.

use crate::lanes::{Lanes, Simd};
use bytemuck::{cast_mut, cast_ref};

/// Counters that are enciphered at once.
pub(super) const BLOCKS: usize = 16;

/// The words of counters, or the random words that [`rounds`] makes of them.
///
/// Each has 64 bits for itself, because a vector multiplies 32 bits by 32 only there. What is in
/// its upper half does not matter: a product takes the lower one, and is the next word as it is.
pub(super) type Words = [[u64; BLOCKS]; 4];

/// A key for each round.
pub(super) type Keys = [[u64; 2]; 10];

/// The rounds' keys.
#[inline(always)]
pub(super) fn keys(seed: u64) -> Keys {
    let [mut first, mut second] = [seed as u32, (seed >> 32) as u32];
    let mut keys = [[0; 2]; 10];
    for key in &mut keys {
        *key = [first.into(), second.into()];
        first = first.wrapping_add(0x9e37_79b9);
        second = second.wrapping_add(0xbb67_ae85);
    }
    keys
}

/// Registers of a word that go side by side: a round is a chain of operations that wait for each
/// other. More would not fit into the registers.
const TOGETHER: usize = 2;

/// Ten rounds.
#[inline(always)]
pub(super) fn rounds<S: Simd>(simd: S, words: &Words, keys: &Keys) -> Words {
    let splat = |bits| S::F64::splat_in(simd, f64::from_bits(bits));
    let factors = [splat(0xd251_1f53), splat(0xcd9e_8d57)];
    let mut random = [[0; BLOCKS]; 4];
    for first in (0..BLOCKS).step_by(TOGETHER * S::F64::LEN) {
        let mut registers = [[splat(0); TOGETHER]; 4];
        for (registers, words) in registers.iter_mut().zip(words) {
            let words: &[f64; BLOCKS] = cast_ref(words);
            for (i, register) in registers.iter_mut().enumerate() {
                *register = S::F64::load(simd, &words[first + i * S::F64::LEN..]);
            }
        }
        for key in keys {
            let [a, b, c, d] = registers;
            for i in 0..TOGETHER {
                let [p0, p1] = [simd.mul_words(a[i], factors[0]), simd.mul_words(c[i], factors[1])];
                registers[0][i] = simd.upper_words(p1).bit_xor(b[i].bit_xor(splat(key[0])));
                registers[1][i] = p1;
                registers[2][i] = simd.upper_words(p0).bit_xor(d[i].bit_xor(splat(key[1])));
                registers[3][i] = p0;
            }
        }
        for (registers, words) in registers.iter().zip(&mut random) {
            let words: &mut [f64; BLOCKS] = cast_mut(words);
            for (i, register) in registers.iter().enumerate() {
                register.store(&mut words[first + i * S::F64::LEN..]);
            }
        }
    }
    random
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::Isa;
    use crate::dispatch::Kernel;

    struct Encipher {
        counter: [u32; 4],
        seed: u64,
    }

    impl Kernel for Encipher {
        type Output = Words;

        #[inline(always)]
        fn run<S: Simd>(self, simd: S) -> Words {
            let words = self.counter.map(|word| [word.into(); BLOCKS]);
            rounds(simd, &words, &keys(self.seed))
        }
    }

    /// The random words of a counter.
    pub(crate) fn encipher(isa: Isa, counter: [u32; 4], seed: u64) -> [u32; 4] {
        isa.run(Encipher { counter, seed }).map(|words| {
            assert_eq!(words, [words[0]; BLOCKS], "{isa}");
            words[0] as u32
        })
    }

    /// The known answers of the Random123 distribution (`kat_vectors`).
    #[test]
    fn known_answers() {
        for isa in Isa::available() {
            assert_eq!(
                encipher(isa, [0; 4], 0),
                [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]
            );
            assert_eq!(
                encipher(isa, [u32::MAX; 4], u64::MAX),
                [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
            );
            let counter = [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344];
            assert_eq!(
                encipher(isa, counter, 0x299f_31d0_a409_3822),
                [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
            );
        }
    }
}
