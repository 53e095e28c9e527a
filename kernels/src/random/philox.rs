//! The generator Philox4x32-10: a bijection of a 128-bit counter under a 64-bit key.
//!
//! Source: J. Salmon, M. Moraes, R. Dror, D. Shaw, "Parallel random numbers: as easy as 1, 2, 3",
//! SC 2011.

/// Counters that are enciphered side by side.
pub(super) const BLOCKS: usize = 8;

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

/// Ten rounds.
#[inline(always)]
pub(super) fn rounds(mut words: Words, keys: &Keys) -> Words {
    for key in keys {
        let mut next = [[0; BLOCKS]; 4];
        for b in 0..BLOCKS {
            let p0 = (words[0][b] & 0xffff_ffff) * 0xd251_1f53;
            let p1 = (words[2][b] & 0xffff_ffff) * 0xcd9e_8d57;
            next[0][b] = (p1 >> 32) ^ (words[1][b] ^ key[0]);
            next[1][b] = p1;
            next[2][b] = (p0 >> 32) ^ (words[3][b] ^ key[1]);
            next[3][b] = p0;
        }
        words = next;
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers of the Random123 distribution (`kat_vectors`).
    #[test]
    fn known_answers() {
        let encipher = |counter: [u32; 4], seed| {
            rounds(counter.map(|word| [word.into(); BLOCKS]), &keys(seed)).map(|words| {
                assert_eq!(words, [words[0]; BLOCKS]);
                words[0] as u32
            })
        };
        assert_eq!(encipher([0; 4], 0), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(
            encipher([u32::MAX; 4], u64::MAX),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        assert_eq!(
            encipher([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], 0x299f_31d0_a409_3822),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }
}
