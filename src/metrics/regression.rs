//! How far predicted numbers are from the true ones.

use deltarule_kernels::Element;

use super::truth::{Truth, Weights};
use crate::error::{Error, Result, check_length, whole_rows};

/// Predicted and true numbers, (rows, `columns`) each, and how much each row counts.
#[derive(Clone, Copy)]
struct Pairs<'a, E> {
    predicted: &'a [E],
    targets: &'a [E],
    weights: Weights<'a>,
    total: f64,
    columns: usize,
}

impl<'a, E: Element> Pairs<'a, E> {
    fn new(predicted: &'a [E], truth: &'a Truth<'_, E>, columns: usize) -> Result<Self> {
        if columns == 0 {
            return Err(Error::Zero { argument: "columns" });
        }
        let rows = whole_rows("predicted", predicted.len(), columns)?;
        check_length("targets", truth.rows.len(), predicted.len())?;
        let weights = truth.weights(rows)?;
        let total = weights.total()?;
        Ok(Self { predicted, targets: truth.rows, weights, total, columns })
    }

    fn targets(self, column: usize) -> impl Iterator<Item = f64> {
        self.targets[column..].iter().step_by(self.columns).map(|y| y.to_f64())
    }

    /// The errors ŷ − y of a column.
    fn errors(self, column: usize) -> impl Iterator<Item = f64> {
        let predicted = self.predicted[column..].iter().step_by(self.columns);
        predicted.zip(self.targets(column)).map(|(p, y)| p.to_f64() - y)
    }

    fn squared_error(self, column: usize) -> f64 {
        self.weights.sum(self.errors(column).map(|error| error * error))
    }

    fn mean_over_columns(self, score: impl Fn(usize) -> f64) -> f64 {
        (0..self.columns).map(score).sum::<f64>() / self.columns as f64
    }
}

/// √((1/n) Σᵢ (ŷᵢ − yᵢ)²) of each column, and the mean of that over the columns.
///
/// Both slices are (rows, `columns`) row-major. NaN in, NaN out.
///
/// ```
/// let error = deltarule::metrics::root_mean_squared_error(&[1.0, 2.0], &[1.0, 4.0], 1)?;
/// assert_eq!(error, 2f64.sqrt());
/// # Ok::<(), deltarule::Error>(())
/// ```
///
/// # Errors
/// [`Error::Zero`] without columns, [`Error::Empty`], [`Error::PartialRow`] or [`Error::Length`]
/// if the slices are not whole rows, as many in one as in the other; and what
/// [`Truth::weighted`] names.
pub fn root_mean_squared_error<'a, E: Element>(
    predicted: &[E],
    targets: impl Into<Truth<'a, E>>,
    columns: usize,
) -> Result<f64> {
    let truth = targets.into();
    let pairs = Pairs::new(predicted, &truth, columns)?;
    Ok(pairs.mean_over_columns(|column| (pairs.squared_error(column) / pairs.total).sqrt()))
}

/// (1/n) Σᵢ |ŷᵢ − yᵢ| of each column, and the mean of that over the columns.
///
/// ```
/// let error = deltarule::metrics::mean_absolute_error(&[1.0, 2.0], &[1.0, 4.0], 1)?;
/// assert_eq!(error, 1.0);
/// # Ok::<(), deltarule::Error>(())
/// ```
///
/// # Errors
/// As [`root_mean_squared_error`].
pub fn mean_absolute_error<'a, E: Element>(
    predicted: &[E],
    targets: impl Into<Truth<'a, E>>,
    columns: usize,
) -> Result<f64> {
    let truth = targets.into();
    let pairs = Pairs::new(predicted, &truth, columns)?;
    let mean = |column| pairs.weights.sum(pairs.errors(column).map(f64::abs)) / pairs.total;
    Ok(pairs.mean_over_columns(mean))
}

/// The coefficient of determination R² = 1 − Σᵢ (ŷᵢ − yᵢ)² / Σᵢ (yᵢ − ȳ)² of each column, and the
/// mean of that over the columns: 1 for a perfect prediction, 0 for one no better than the mean,
/// below 0 for a worse one.
///
/// Of a column whose targets are all equal it is 1 if every prediction is exact and 0 otherwise.
///
/// ```
/// let r2 = deltarule::metrics::r2(&[1.0, 2.0, 3.5], &[1.0, 2.0, 3.0], 1)?;
/// assert_eq!(r2, 0.875);
/// # Ok::<(), deltarule::Error>(())
/// ```
///
/// # Errors
/// As [`root_mean_squared_error`].
pub fn r2<'a, E: Element>(
    predicted: &[E],
    targets: impl Into<Truth<'a, E>>,
    columns: usize,
) -> Result<f64> {
    let truth = targets.into();
    let pairs = Pairs::new(predicted, &truth, columns)?;
    Ok(pairs.mean_over_columns(|column| {
        // From the first target that counts on, so that the mean of equal ones is theirs to the last
        // digit.
        let mut weighed = pairs.targets(column).zip(pairs.weights.iter());
        let first = weighed.find(|(_, weight)| *weight > 0.0).map_or(0.0, |(y, _)| y);
        let from_first = pairs.targets(column).map(|y| y - first);
        let mean = first + pairs.weights.sum(from_first) / pairs.total;
        let total = pairs.weights.sum(pairs.targets(column).map(|y| (y - mean) * (y - mean)));
        let left = pairs.squared_error(column);
        if total != 0.0 {
            1.0 - left / total
        } else if left == 0.0 {
            1.0
        } else {
            // NaN among the predictions stays NaN.
            left * 0.0
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_without_variance() {
        assert_eq!(r2(&[2.0f32, 2.0], &[2.0, 2.0], 1), Ok(1.0));
        assert_eq!(r2(&[2.0f32, 3.0], &[2.0, 2.0], 1), Ok(0.0));
        // A third of their sum is not 0.1.
        assert_eq!(r2(&[0.1, 0.1, 0.2], &[0.1; 3], 1), Ok(0.0));
        // And what counts nothing is no beginning.
        let weighted = |y: [f64; 4]| {
            let predicted = [0.0, 0.1, 0.1, 0.2];
            r2(&predicted, Truth::weighted(&y, &[0.0, 1.0, 1.0, 1.0]), 1)
        };
        assert_eq!(weighted([-999_999.0, 0.1, 0.1, 0.1]), Ok(0.0));
        assert_eq!(weighted([1e20, 0.1, 0.1, 0.1]), Ok(0.0));
        let counted = r2(&[0.1, 0.1, 0.2], &[1.0, 2.0, 3.0], 1);
        assert_eq!(weighted([1e20, 1.0, 2.0, 3.0]), counted);
    }

    #[test]
    fn nan_in_nan_out() {
        for spoilt in 0..6 {
            let mut x = [1.0, 2.0, 3.0, 4.0, 5.0, 7.0];
            x[spoilt] = f32::NAN;
            let y = [1.0, 1.0, 2.0, 1.0, 3.0, 1.0];
            for metric in [root_mean_squared_error, mean_absolute_error, r2] {
                assert!(metric(&x, &y, 2).unwrap().is_nan(), "predicted {spoilt}");
                assert!(metric(&y, &x, 2).unwrap().is_nan(), "target {spoilt}");
            }
        }
    }

    #[test]
    fn shapes_that_do_not_fit() {
        let x = [0.0f32; 4];
        let message = |result: Result<f64>| result.unwrap_err().to_string();
        assert_eq!(message(r2(&x, &x[..2], 1)), "`targets` has 2 elements, but 4 are needed");
        assert_eq!(
            message(mean_absolute_error(&x, &x, 3)),
            "`predicted` has 4 elements, which is no multiple of its 3 columns"
        );
        assert!(root_mean_squared_error(&x, &x, 0).is_err());
        assert!(root_mean_squared_error::<f32>(&[], &[], 1).is_err());
    }
}
