//! Data on its way to a trainer: reading it, scaling it, splitting it, and batches in random order.
//!
//! ```
//! use deltarule::data::{Batches, Dataset, Scaling};
//! let features: Vec<f32> = (0..20).map(|i| (i * 7 % 10) as f32).collect();
//! let labels = (0..10).map(|row| row % 2).collect();
//! let (mut train, mut test) = Dataset::from_classes(features, 2, labels)?.split(0.2, 42)?;
//! // What is known of the test rows must not come from them.
//! let scaling = Scaling::standard(train.features(), train.columns())?;
//! train.scale(&scaling)?;
//! test.scale(&scaling)?;
//! let mut batches = Batches::new(train.rows(), 3, 42)?;
//! assert_eq!(batches.epoch(0).map(<[usize]>::len).collect::<Vec<_>>(), [3, 3, 2]);
//! # Ok::<(), deltarule::Error>(())
//! ```

mod array;
mod batches;
#[cfg(feature = "data")]
pub mod csv;
mod dataset;
mod error;
mod folds;
#[cfg(feature = "data")]
pub mod idx;
#[cfg(feature = "data")]
mod inflate;
#[cfg(feature = "ndarray")]
mod ndarray;
pub mod npy;
mod scaling;
mod split;
mod stream;

pub use array::{Array, MAX_ELEMENTS};
pub use batches::Batches;
pub use dataset::{Dataset, Rows};
pub use error::ReadError;
pub use folds::{k_fold, stratified_k_fold};
pub use scaling::Scaling;
pub use split::{Split, random_split, stratified_split};
pub use stream::{Batch, Prefetch, Source};

use deltarule_kernels::Element;

use crate::error::{Error, Result, check_length, checked_area, whole_rows};

/// Copies these rows of `x`, (rows, `columns`) row-major, one after the other to `out`.
///
/// ```
/// let x = [0.0, 0.1, 1.0, 1.1, 2.0, 2.1];
/// let mut out = [0.0; 4];
/// deltarule::data::gather(&x, 2, &[2, 0], &mut out)?;
/// assert_eq!(out, [2.0, 2.1, 0.0, 0.1]);
/// # Ok::<(), deltarule::Error>(())
/// ```
///
/// # Errors
/// [`Error::Zero`] for no columns, [`Error::Empty`] or [`Error::PartialRow`] for `x`,
/// [`Error::Length`] for `out`, [`Error::Row`] for a row that `x` has not. Nothing was written
/// then.
pub fn gather<E: Element>(x: &[E], columns: usize, rows: &[usize], out: &mut [E]) -> Result<()> {
    if columns == 0 {
        return Err(Error::Zero { argument: "columns" });
    }
    let count = whole_rows("x", x.len(), columns)?;
    check_length("out", out.len(), checked_area("out", rows.len(), columns)?)?;
    if let Some(index) = rows.iter().position(|&row| row >= count) {
        return Err(Error::Row { argument: "rows", index, row: rows[index], rows: count });
    }
    for (&row, out) in rows.iter().zip(out.chunks_exact_mut(columns)) {
        out.copy_from_slice(&x[row * columns..(row + 1) * columns]);
    }
    Ok(())
}
