//! What is true of each row, and how much the row counts.

use deltarule_kernels::Element;
use std::borrow::Cow;

use crate::error::{Error, Result, check_length};
use crate::optimizer::{not_negative, positive};

/// What is true of each row, its class or its values, and how much the row counts.
///
/// A slice, an array or a vector by reference becomes one, in which each row counts as 1;
/// [`Truth::weighted`] gives them weights, which are scikit-learn's `sample_weight`: a row of
/// weight 2 counts as two, and one of weight 0 as none, so that it can't be all that there is of a
/// class. A metric of weighted rows is divided by the sum of their weights, and not by the rows, as
/// a loss is.
///
/// ```
/// use deltarule::metrics::{Truth, accuracy, roc_auc};
/// let (p, labels) = ([0.9, 0.3, 0.6, 0.2], [1, 0, 0, 0]);
/// let predicted = p.map(|p| usize::from(p > 0.5));
/// assert_eq!(accuracy(&predicted, &labels)?, 3.0 / 4.0);
/// let weighted = Truth::weighted(&labels, &[1.0, 1.0, 4.0, 2.0]);
/// assert_eq!(accuracy(&predicted, &weighted)?, 4.0 / 8.0);
/// assert_eq!(roc_auc(&p, weighted)?, 1.0);
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Truth<'a, T> {
    pub(crate) rows: &'a [T],
    weights: Option<Cow<'a, [f64]>>,
}

impl<'a, T> Truth<'a, T> {
    /// The truth, with a weight for each row. A metric says what is wrong with the weights:
    /// [`Error::Length`] if they are not as many as the rows, [`Error::NonFinite`], and
    /// [`Error::OutOfRange`] if one is negative or if all are 0.
    ///
    /// ```
    /// use deltarule::{Error, metrics::{Truth, mean_absolute_error}};
    /// let (predicted, prices) = ([1.0, 2.0], [1.0, 4.0]);
    /// let error = |weights: &[f32]| {
    ///     mean_absolute_error(&predicted, Truth::weighted(&prices, weights), 1)
    /// };
    /// assert_eq!(error(&[3.0, 1.0]), Ok(2.0 / 4.0));
    /// let length = Error::Length { argument: "weights", expected: 2, actual: 1 };
    /// assert_eq!(error(&[1.0]), Err(length));
    /// let negative = error(&[1.0, -1.0]).unwrap_err().to_string();
    /// assert_eq!(negative, "`weights` is -1, but it must be finite and not negative");
    /// ```
    pub fn weighted<W: Element>(rows: &'a [T], weights: &[W]) -> Self {
        Self::new(rows, Some(weights))
    }

    /// The truth, with weights if there are any.
    pub(crate) fn new<W: Element>(rows: &'a [T], weights: Option<&[W]>) -> Self {
        let weights = weights.map(|weights| weights.iter().map(|weight| weight.to_f64()).collect());
        Self { rows, weights }
    }

    /// The weights of so many rows, if they can be.
    pub(crate) fn weights(&self, rows: usize) -> Result<Weights<'_>> {
        let weights = self.weights.as_deref();
        if let Some(weights) = weights {
            check_length("weights", weights.len(), rows)?;
            for (index, &value) in weights.iter().enumerate() {
                if !value.is_finite() {
                    return Err(Error::NonFinite { argument: "weights", index, value });
                }
                not_negative("weights", value)?;
            }
        }
        Ok(Weights { weights, rows })
    }
}

impl<'a, T> From<&'a [T]> for Truth<'a, T> {
    /// Each row counts as 1.
    fn from(rows: &'a [T]) -> Self {
        Self { rows, weights: None }
    }
}

impl<'a, T, const N: usize> From<&'a [T; N]> for Truth<'a, T> {
    fn from(rows: &'a [T; N]) -> Self {
        rows.as_slice().into()
    }
}

impl<'a, T> From<&'a Vec<T>> for Truth<'a, T> {
    fn from(rows: &'a Vec<T>) -> Self {
        rows.as_slice().into()
    }
}

impl<'a, T> From<&'a Truth<'_, T>> for Truth<'a, T> {
    /// For a truth that is used more than once.
    fn from(truth: &'a Truth<'_, T>) -> Self {
        Self { rows: truth.rows, weights: truth.weights.as_deref().map(Cow::Borrowed) }
    }
}

/// A weight for each of so many rows: finite, and not negative.
#[derive(Clone, Copy)]
pub(crate) struct Weights<'a> {
    weights: Option<&'a [f64]>,
    rows: usize,
}

impl<'a> Weights<'a> {
    /// All of them.
    pub(crate) fn iter(self) -> impl Iterator<Item = f64> + Clone {
        (0..self.rows).map(move |row| self.weights.map_or(1.0, |weights| weights[row]))
    }

    /// Their sum, by which something can be divided.
    pub(crate) fn total(self) -> Result<f64> {
        let total = match self.weights {
            None => self.rows as f64,
            Some(weights) => weights.iter().sum(),
        };
        positive("sum of weights", Some(total))?;
        Ok(total)
    }

    /// Σᵢ wᵢ vᵢ of a value of each row.
    pub(crate) fn sum(self, values: impl Iterator<Item = f64>) -> f64 {
        self.iter().zip(values).map(|(weight, value)| weight * value).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::*;

    type Metric = fn(Truth<'_, usize>) -> Result<f64>;

    /// All on four rows, with labels of 0 and 1.
    const OF_CLASSES: [Metric; 6] = [
        |truth| accuracy(&[0, 1, 1, 0], truth),
        |truth| top_k_accuracy(&SCORES, 2, truth, 1),
        |truth| log_loss(&SCORES, 2, truth),
        |truth| roc_auc(&SCORES[..4], truth),
        |truth| roc_auc_one_vs_rest(&SCORES, 2, truth),
        |truth| average_precision_one_vs_rest(&SCORES, 2, truth),
    ];
    const SCORES: [f32; 8] = [0.75, 0.25, 0.5, 0.125, 0.25, 1.0, 0.0, 0.625];

    #[test]
    fn weights_that_can_not_be() {
        let labels = [0, 1, 0, 1];
        let length = Error::Length { argument: "weights", expected: 4, actual: 3 };
        let range = |argument, value, expected| Error::OutOfRange { argument, value, expected };
        let zero = range("sum of weights", 0.0, "finite and above 0");
        let large = range("sum of weights", f64::INFINITY, "finite and above 0");
        let negative = range("weights", -0.5, "finite and not negative");
        for (weights, error) in [
            (&[1.0; 3][..], length),
            (&[0.0; 4], zero),
            (&[1e308; 4], large),
            (&[1.0, 1.0, -0.5, 1.0], negative),
        ] {
            for metric in OF_CLASSES {
                let result = metric(Truth::weighted(&labels, weights));
                assert_eq!(result.as_ref(), Err(&error), "{weights:?}");
            }
            let values = [1.0, 2.0, 3.0, 4.0];
            for metric in [root_mean_squared_error, mean_absolute_error, r2] {
                let result = metric(&values, Truth::weighted(&values, weights), 1);
                assert_eq!(result.as_ref(), Err(&error), "{weights:?}");
            }
        }
        for bad in [f64::NAN, f64::INFINITY] {
            let result = accuracy(&labels, Truth::weighted(&labels, &[1.0, bad, 1.0, 1.0]));
            assert!(
                matches!(result, Err(Error::NonFinite { argument: "weights", index: 1, .. })),
                "{result:?}"
            );
        }
        // A part of the rows may count nothing.
        let mut confusion = ConfusionMatrix::new(2).unwrap();
        confusion.add(&labels, Truth::weighted(&labels, &[0.0; 4])).unwrap();
        assert_eq!(confusion.accuracy(), None);
        let negative = Truth::weighted(&labels, &[1.0, 1.0, 1.0, -1.0]);
        assert!(confusion.add(&labels, negative).is_err());
        assert_eq!(confusion, ConfusionMatrix::new(2).unwrap());
    }

    #[test]
    fn a_row_of_weight_0_is_none() {
        let labels = [0, 1, 1, 0, 0, 1];
        let weights = [1.0, 2.0, 1.0, 0.0, 3.0, 0.0];
        let scores = [0.25, 0.5, 0.125, 1.0, 0.5, 0.0];
        let kept = |index: usize| weights[index] > 0.0;
        let of_kept: Vec<usize> = (0..6).filter(|&row| kept(row)).map(|row| labels[row]).collect();
        let scores_of_kept: Vec<f64> =
            (0..6).filter(|&row| kept(row)).map(|row| scores[row]).collect();
        let weights_of_kept = [1.0, 2.0, 1.0, 3.0];
        for metric in [roc_auc, average_precision] {
            assert_eq!(
                metric(&scores, Truth::weighted(&labels, &weights)),
                metric(&scores_of_kept, Truth::weighted(&of_kept, &weights_of_kept))
            );
        }
        // So it can't be all of a class.
        let only = |class| {
            let weights = labels.map(|label| f32::from(u8::from(label == class)));
            Truth::weighted(&labels, &weights)
        };
        let single = |class| Err(Error::SingleClass { argument: "labels", class });
        assert_eq!(roc_auc(&scores, only(0)), single(0));
        assert_eq!(roc_auc(&scores, only(1)), single(1));
        let missing = |class| Err(Error::MissingClass { argument: "labels", class });
        assert_eq!(average_precision(&scores, only(0)), missing(1));
        assert_eq!(average_precision(&scores, only(1)), Ok(1.0));
        let both = [scores, scores].concat();
        assert_eq!(roc_auc_one_vs_rest(&both, 2, only(0)), single(0));
        assert_eq!(roc_auc_one_vs_rest(&both, 2, only(1)), missing(0));
        assert_eq!(average_precision_one_vs_rest(&both, 2, only(1)), missing(0));
    }
}
