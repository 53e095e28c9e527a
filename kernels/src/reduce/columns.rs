//! Sums down the columns of a matrix.

use crate::dispatch::Kernel;
use crate::error::check_length;
use crate::lanes::{Lanes, Simd};
use crate::{Element, Isa, MatRef, ShapeError};

/// Rows that [`add_column_sums`] sums before it adds them to the total.
pub const PIECE_ROWS: usize = 32;

/// `sums[j] += Σᵢ xᵢⱼ`: ∂ℒ/∂b of a batch of δ.
///
/// The rows are cut in pieces of [`PIECE_ROWS`]; each is summed from +0, row after row, and the
/// pieces' sums are added to `sums` in order. So calls on successive blocks of rows give the bits
/// of one call on all of them, if every block but the last has a multiple of [`PIECE_ROWS`] rows;
/// and a column's sum does not depend on the other columns or on the strides.
///
/// # Errors
/// [`ShapeError`] if `sums` does not have an element for each column.
pub fn add_column_sums<E: Element>(
    isa: Isa,
    x: MatRef<'_, E>,
    sums: &mut [E],
) -> Result<(), ShapeError> {
    check_length("sums", sums, x.columns())?;
    isa.run(AddColumnSums { x, sums });
    Ok(())
}

/// Registers side by side in the widest strip: as many as hide an addition's latency.
const STRIP: usize = 8;

struct AddColumnSums<'a, E> {
    x: MatRef<'a, E>,
    sums: &'a mut [E],
}

impl<E: Element> Kernel for AddColumnSums<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { x, sums } = self;
        let mut first = 0;
        while first < x.rows() {
            let rows = first..x.rows().min(first + PIECE_ROWS);
            if x.shape().column_stride == 1 {
                lanes_across_columns::<E::Lanes<S>>(simd, x, rows, sums);
            } else {
                column_by_column(x, rows, sums);
            }
            first += PIECE_ROWS;
        }
    }
}

/// A piece of rows whose columns are neighbours.
#[inline(always)]
fn lanes_across_columns<V: Lanes>(
    simd: V::Simd,
    x: MatRef<'_, V::Element>,
    rows: core::ops::Range<usize>,
    sums: &mut [V::Element],
) {
    let (data, row_stride) = (x.data(), x.shape().row_stride);
    let zero = V::splat_in(simd, V::Element::ZERO);
    let mut j = 0;
    while j + STRIP * V::LEN <= sums.len() {
        let mut strip = [zero; STRIP];
        for i in rows.clone() {
            let row = &data[i * row_stride + j..][..STRIP * V::LEN];
            for (r, sum) in strip.iter_mut().enumerate() {
                *sum = *sum + V::load(simd, &row[r * V::LEN..]);
            }
        }
        for (r, sum) in strip.into_iter().enumerate() {
            let total = &mut sums[j + r * V::LEN..];
            (V::load(simd, total) + sum).store(total);
        }
        j += STRIP * V::LEN;
    }
    while j < sums.len() {
        let count = V::LEN.min(sums.len() - j);
        let mut sum = zero;
        for i in rows.clone() {
            sum = sum + V::load_partial(simd, &data[i * row_stride + j..][..count]);
        }
        let total = &mut sums[j..j + count];
        (V::load_partial(simd, total) + sum).store_partial(total);
        j += count;
    }
}

/// A piece of rows at any strides.
#[inline(always)]
fn column_by_column<E: Element>(x: MatRef<'_, E>, rows: core::ops::Range<usize>, sums: &mut [E]) {
    for (j, total) in sums.iter_mut().enumerate() {
        let mut sum = E::ZERO;
        for i in rows.clone() {
            sum += x.at(i, j);
        }
        *total += sum;
    }
}
