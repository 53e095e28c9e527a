//! Dropout.

use super::philox::{BLOCKS, Keys, Words, keys, rounds};
use crate::dispatch::Kernel;
use crate::lanes::{Lanes, Simd};
use crate::{Element, Isa, ShapeError};

/// Which masks: those of one layer in one step of one run.
///
/// ```
/// use deltarule_kernels::{Isa, random::{Dropout, MaskStream}};
/// let mask = |stream| {
///     let mut x = [1.0f32; 64];
///     Dropout { rate: 0.5, stream }.apply(Isa::detect(), 0, 64, &mut x).map(|()| x)
/// };
/// let stream = MaskStream { seed: 7, step: 3, layer: 0 };
/// assert_eq!(mask(stream)?, mask(stream)?);
/// assert_ne!(mask(stream)?, mask(MaskStream { layer: 1, ..stream })?);
/// assert_ne!(mask(stream)?, mask(MaskStream { step: 4, ..stream })?);
/// # Ok::<(), deltarule_kernels::ShapeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaskStream {
    /// The run's seed: the key of the generator.
    pub seed: u64,
    /// The step; its low 48 bits count.
    pub step: u64,
    /// The layer.
    pub layer: u16,
}

/// Inverted dropout: x ← x·k with k = 0 with probability p, and 1/(1 − p) otherwise.
///
/// The mask of an element comes from Philox4x32-10 with the counter (block, row, step, layer), so
/// it is the same on every ISA, for any number of threads, in a batch or alone, and the backward
/// pass makes it anew instead of storing it: [`Dropout::apply`] serves both. In detail: the
/// counter's words are the block, the row, the step's low 32 bits, and the layer with the step's
/// next 16 bits above it; columns come in groups of 64, and the element in column 64g + 16w + b
/// gets word w of block 16g + b. It is dropped where that word is below p·2³².
///
/// Source: N. Srivastava et al., JMLR 15 (2014).
///
/// ```
/// use deltarule_kernels::Isa;
/// use deltarule_kernels::random::{Dropout, MaskStream};
/// let dropout = Dropout { rate: 0.5, stream: MaskStream { seed: 7, step: 0, layer: 1 } };
/// let mut both = [1.0_f32; 200];
/// dropout.apply(Isa::detect(), 0, 100, &mut both)?;
/// // Row 1 alone gets the mask that it has in the batch.
/// let mut second = [1.0_f32; 100];
/// dropout.apply(Isa::detect(), 1, 100, &mut second)?;
/// assert_eq!(both[100..], second);
/// # Ok::<(), deltarule_kernels::ShapeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout {
    /// p in 0..=1, rounded to a multiple of 2⁻³². With 1 all is dropped; NaN counts as 0.
    pub rate: f64,
    /// Which masks.
    pub stream: MaskStream,
}

impl Dropout {
    /// Multiplies rows of `columns` elements, row-major, by their masks; the first is row
    /// `first_row` of the batch. A NaN or an infinity that is dropped becomes NaN.
    ///
    /// ```
    /// use deltarule_kernels::{Isa, random::{Dropout, MaskStream}};
    /// let dropout = Dropout { rate: 0.5, stream: MaskStream { seed: 7, step: 0, layer: 1 } };
    /// let (mut x, mut delta) = ([1.0f32; 100], [1.0; 100]);
    /// dropout.apply(Isa::detect(), 0, 100, &mut x)?; // forward
    /// dropout.apply(Isa::detect(), 0, 100, &mut delta)?; // and back, through the same mask
    /// assert_eq!(delta, x);
    /// assert!(dropout.apply(Isa::detect(), 0, 30, &mut x).is_err()); // no whole rows
    /// # Ok::<(), deltarule_kernels::ShapeError>(())
    /// ```
    ///
    /// # Errors
    /// [`ShapeError::Length`] if `x` is not made of whole rows, [`ShapeError::Overflow`] if its
    /// last row's number is above 2³² − 1 or `columns` above 2³⁴ − 4; nothing was written.
    pub fn apply<E: Element>(
        self,
        isa: Isa,
        first_row: usize,
        columns: usize,
        x: &mut [E],
    ) -> Result<(), ShapeError> {
        let rows = x.len().checked_div(columns).unwrap_or(0);
        crate::error::check_length("x", x, rows * columns)?;
        let last_row = first_row.checked_add(rows.saturating_sub(1));
        if last_row.is_none_or(|row| u32::try_from(row).is_err())
            || u32::try_from(columns.div_ceil(4)).is_err()
        {
            return Err(ShapeError::Overflow { argument: "first_row", rows: first_row, columns });
        }
        E::dropout(isa, Apply { dropout: self, first_row, columns, x });
        Ok(())
    }
}

pub(super) struct Apply<'a, E> {
    dropout: Dropout,
    first_row: usize,
    columns: usize,
    x: &'a mut [E],
}

/// Columns in a group.
const GROUP: usize = 4 * BLOCKS;

impl<E: Element> Kernel for Apply<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Dropout { rate, stream } = self.dropout;
        // A saturating cast: below 0 and NaN become 0.
        let threshold = (rate * 2f64.powi(32)).round() as u64;
        // By the rounded rate, so that the mean is kept.
        let kept = E::from_f64(1.0 / (1.0 - threshold as f64 * 2f64.powi(-32)));
        let kept = if kept.is_finite() { kept } else { E::ONE };
        let mask = Mask {
            simd,
            keys: keys(stream.seed),
            threshold: threshold as u32,
            // Above all words is only the threshold that drops them all.
            kept: if threshold > u32::MAX.into() { E::ZERO } else { kept },
            step: stream.step as u32,
            high: u32::from(stream.layer) | ((stream.step >> 32) as u32) << 16,
        };
        if self.columns <= BLOCKS {
            return mask.multiply_narrow(self.first_row, self.columns, self.x);
        }
        for (i, row) in self.x.chunks_exact_mut(self.columns).enumerate() {
            let number = (self.first_row + i) as u64;
            let (groups, rest) = row.as_chunks_mut();
            let mut first_block = 0;
            for group in groups {
                mask.multiply_group(number, first_block, group);
                first_block += BLOCKS as u64;
            }
            if !rest.is_empty() {
                let mut group = [E::ZERO; GROUP];
                group[..rest.len()].copy_from_slice(rest);
                mask.multiply_group(number, first_block, &mut group);
                rest.copy_from_slice(&group[..rest.len()]);
            }
        }
    }
}

/// The masks of a layer in a step.
struct Mask<S, E> {
    simd: S,
    keys: Keys,
    /// Words from this one on keep their element.
    threshold: u32,
    kept: E,
    step: u32,
    high: u32,
}

impl<S: Simd, E: Element> Mask<S, E> {
    /// Multiplies rows of at most [`BLOCKS`] elements. Each element gets the first word of a
    /// block, so that as many go side by side as blocks do, of however many rows.
    #[inline(always)]
    fn multiply_narrow(&self, first_row: usize, columns: usize, x: &mut [E]) {
        if x.is_empty() {
            return;
        }
        let columns = columns as u64;
        let [mut rows, mut blocks] = [[0; BLOCKS]; 2];
        for (b, (row, block)) in rows.iter_mut().zip(&mut blocks).enumerate() {
            *row = first_row as u64 + b as u64 / columns;
            *block = b as u64 % columns;
        }
        let [whole_rows, columns_more] = [BLOCKS as u64 / columns, BLOCKS as u64 % columns];
        let (parts, rest) = x.as_chunks_mut();
        for part in parts {
            self.multiply(part, &self.words(rows, blocks)[0]);
            for (row, block) in rows.iter_mut().zip(&mut blocks) {
                *row += whole_rows;
                *block += columns_more;
                if *block >= columns {
                    *row += 1;
                    *block -= columns;
                }
            }
        }
        if !rest.is_empty() {
            let mut part = [E::ZERO; BLOCKS];
            part[..rest.len()].copy_from_slice(rest);
            self.multiply(&mut part, &self.words(rows, blocks)[0]);
            rest.copy_from_slice(&part[..rest.len()]);
        }
    }

    /// Multiplies a whole group of a row.
    #[inline(always)]
    fn multiply_group(&self, row: u64, first_block: u64, group: &mut [E; GROUP]) {
        let mut blocks = [first_block; BLOCKS];
        for (b, block) in blocks.iter_mut().enumerate() {
            *block += b as u64;
        }
        let words = self.words([row; BLOCKS], blocks);
        for (part, words) in group.as_chunks_mut().0.iter_mut().zip(&words) {
            self.multiply(part, words);
        }
    }

    /// The words of these blocks of rows.
    #[inline(always)]
    fn words(&self, rows: [u64; BLOCKS], blocks: [u64; BLOCKS]) -> Words {
        let [step, high] = [self.step, self.high].map(|word| [word.into(); BLOCKS]);
        rounds(self.simd, &[blocks, rows, step, high], &self.keys)
    }

    /// Multiplies as many elements as there are words.
    #[inline(always)]
    fn multiply(&self, x: &mut [E; BLOCKS], words: &[u64; BLOCKS]) {
        let len = E::Lanes::<S>::LEN;
        let splat = |value| E::Lanes::splat_in(self.simd, value);
        // A comparison of integers with a sign is one without, if both signs are turned.
        let sign = splat(E::SIGN_BIT);
        let threshold =
            E::Lanes::load_words(self.simd, &[self.threshold.into(); BLOCKS]).bit_xor(sign);
        for at in (0..BLOCKS).step_by(len) {
            let word = E::Lanes::load_words(self.simd, &words[at..]).bit_xor(sign);
            let factor = splat(E::ZERO).select(word.int_lt(threshold), splat(self.kept));
            (E::Lanes::load(self.simd, &x[at..]) * factor).store(&mut x[at..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::philox::tests::encipher;
    use super::*;
    use crate::testing::same_bits;

    const STREAM: MaskStream = MaskStream { seed: 0x1234_5678_9abc_def0, step: 5, layer: 2 };

    fn mask(isa: Isa, rate: f64, stream: MaskStream, rows: usize, columns: usize) -> Vec<f32> {
        let mut x = vec![1.0; rows * columns];
        Dropout { rate, stream }.apply(isa, 0, columns, &mut x).unwrap();
        x
    }

    #[test]
    fn every_isa_and_every_block_of_rows_has_the_same_mask() {
        for columns in (1..=70).chain([127, 128, 129, 300]) {
            let whole = mask(Isa::detect(), 0.3, STREAM, 5, columns);
            for isa in Isa::available() {
                assert_eq!(mask(isa, 0.3, STREAM, 5, columns), whole, "{isa}: {columns}");
                let dropout = Dropout { rate: 0.3, stream: STREAM };
                for first in 0..5 {
                    let mut row = vec![1.0_f64; columns];
                    dropout.apply(isa, first, columns, &mut row).unwrap();
                    for (a, b) in row.iter().zip(&whole[first * columns..]) {
                        assert_eq!(*a == 0.0, *b == 0.0);
                    }
                }
            }
        }
    }

    #[test]
    fn a_narrower_row_has_the_start_of_a_wider_ones_mask() {
        let wide = mask(Isa::detect(), 0.5, STREAM, 1, 200);
        for columns in 1..200 {
            assert_eq!(mask(Isa::detect(), 0.5, STREAM, 1, columns), wide[..columns]);
        }
    }

    /// 100,000 elements: six standard deviations of a fair mask.
    #[test]
    fn the_rate_is_kept_and_streams_differ() {
        for rate in [0.0, 0.1, 0.5, 0.9, 1.0] {
            let x = mask(Isa::detect(), rate, STREAM, 100, 1000);
            let dropped = x.iter().filter(|&&x| x == 0.0).count() as f64;
            let deviation = (100_000.0 * rate * (1.0 - rate)).sqrt();
            assert!((dropped - 100_000.0 * rate).abs() <= 6.0 * deviation, "{rate}: {dropped}");
            let kept = (1.0 / (1.0 - rate)) as f32;
            assert!(x.iter().all(|&x| x == 0.0 || x == kept));
        }
        let base = mask(Isa::detect(), 0.5, STREAM, 10, 1000);
        for other in [
            MaskStream { seed: STREAM.seed ^ 1, ..STREAM },
            MaskStream { seed: STREAM.seed ^ 1 << 63, ..STREAM },
            MaskStream { step: STREAM.step + 1, ..STREAM },
            MaskStream { step: STREAM.step | 1 << 40, ..STREAM },
            MaskStream { layer: STREAM.layer + 1, ..STREAM },
        ] {
            let other = mask(Isa::detect(), 0.5, other, 10, 1000);
            let same = base.iter().zip(&other).filter(|(a, b)| a == b).count();
            assert!((4700..5300).contains(&same), "{same} of 10000 agree");
        }
    }

    /// The words as documented: (block, row, step, layer and the rest of the step).
    #[test]
    fn elements_get_their_documented_words() {
        let stream = MaskStream { step: 0x1_2345_6789_abcd, ..STREAM };
        for columns in (1..=40).chain([64, 65, 200]) {
            for isa in Isa::available() {
                let x = mask(isa, 0.5, stream, 9, columns);
                for (i, &x) in x.iter().enumerate() {
                    let (row, column) = (i / columns, i % columns);
                    let (g, w, b) = (column / 64, column % 64 / 16, column % 16);
                    let counter =
                        [16 * g as u32 + b as u32, row as u32, 0x6789_abcd, 0x2345 << 16 | 2];
                    let is_dropped = encipher(isa, counter, stream.seed)[w] < 1 << 31;
                    assert_eq!(x == 0.0, is_dropped, "{isa}: {columns}: ({row}, {column})");
                }
            }
        }
    }

    #[test]
    fn nan_is_not_dropped() {
        for (isa, columns) in Isa::available().flat_map(|isa| [1, 5, 40].map(|c| (isa, c))) {
            let mut x = [f32::NAN; 40];
            Dropout { rate: 0.5, stream: STREAM }.apply(isa, 0, columns, &mut x).unwrap();
            assert!(x.iter().all(|&x| same_bits(x, f32::NAN)));
        }
    }

    /// The last rows that there can be, of which lanes without an element are beyond.
    #[test]
    fn the_last_rows_have_masks_too() {
        let dropout = Dropout { rate: 0.5, stream: STREAM };
        let first = u32::MAX as usize - 4;
        for (isa, columns) in Isa::available().flat_map(|isa| (1..=20).map(move |c| (isa, c))) {
            let mut x = vec![1.0_f32; 5 * columns];
            dropout.apply(isa, first, columns, &mut x).unwrap();
            for (i, row) in x.chunks(columns).enumerate() {
                let mut alone = vec![1.0_f32; columns];
                dropout.apply(isa, first + i, columns, &mut alone).unwrap();
                assert_eq!(row, alone, "{isa}: {columns}");
            }
        }
    }

    #[test]
    fn bad_arguments_change_nothing() {
        let dropout = Dropout { rate: 0.5, stream: STREAM };
        let mut x = [1.0_f32; 7];
        let error = dropout.apply(Isa::detect(), 0, 3, &mut x);
        assert_eq!(error, Err(ShapeError::Length { argument: "x", expected: 6, actual: 7 }));
        let error = dropout.apply(Isa::detect(), 0, 0, &mut x);
        assert_eq!(error, Err(ShapeError::Length { argument: "x", expected: 0, actual: 7 }));
        let error = dropout.apply(Isa::detect(), usize::MAX, 7, &mut x);
        assert!(matches!(error, Err(ShapeError::Overflow { .. })));
        assert_eq!(x, [1.0; 7]);
        dropout.apply::<f32>(Isa::detect(), 0, 0, &mut []).unwrap();
    }
}
