//! The generator Philox4x32-10: a bijection of a 128-bit counter under a 64-bit key.
//!
//! Source: J. Salmon, M. Moraes, R. Dror, D. Shaw, "Parallel random numbers: as easy as 1, 2, 3",
//! SC 2011.

/// Counters that are enciphered side by side.
pub(super) const BLOCKS: usize = 16;

/// 16 counters that differ in their first word; after [`rounds`], 16 × 4 random words.
pub(super) type Words = [[u32; BLOCKS]; 4];

/// Ten rounds.
#[inline(always)]
#[expect(clippy::needless_range_loop, reason = "a lane of four arrays at once")]
pub(super) fn rounds(mut words: Words, seed: u64) -> Words {
    let mut key = [seed as u32, (seed >> 32) as u32];
    for _ in 0..10 {
        for b in 0..BLOCKS {
            let [x0, x1, x2, x3] = [words[0][b], words[1][b], words[2][b], words[3][b]];
            let p0 = u64::from(x0) * 0xd251_1f53;
            let p1 = u64::from(x2) * 0xcd9e_8d57;
            words[0][b] = (p1 >> 32) as u32 ^ x1 ^ key[0];
            words[1][b] = p1 as u32;
            words[2][b] = (p0 >> 32) as u32 ^ x3 ^ key[1];
            words[3][b] = p0 as u32;
        }
        key[0] = key[0].wrapping_add(0x9e37_79b9);
        key[1] = key[1].wrapping_add(0xbb67_ae85);
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
            rounds(counter.map(|word| [word; BLOCKS]), seed).map(|words| {
                assert_eq!(words, [words[0]; BLOCKS]);
                words[0]
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
