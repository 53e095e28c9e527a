//! How good a network is: the share of right answers, errors, and what lies between.
//!
//! Every metric is a function of predictions and truth, summed in f64. Definitions are
//! scikit-learn's, with which the tests compare. Rows count alike, or as their weights in a
//! [`Truth`] say.
//!
//! ```
//! use deltarule::metrics::{ConfusionMatrix, accuracy, log_loss, roc_auc};
//! // The probability of class 1 for four rows, and what they are.
//! let (p, labels) = ([0.9, 0.3, 0.6, 0.2], [1, 0, 0, 0]);
//! let predicted = p.map(|p| usize::from(p > 0.5));
//! assert_eq!(accuracy(&predicted, &labels)?, 0.75);
//! assert_eq!(roc_auc(&p, &labels)?, 1.0);
//! let both: Vec<f64> = p.iter().flat_map(|p| [1.0 - p, *p]).collect();
//! assert!(log_loss(&both, 2, &labels)? < 0.5);
//! let mut confusion = ConfusionMatrix::new(2)?;
//! confusion.add(&predicted, &labels)?;
//! println!("{confusion}");
//! # Ok::<(), deltarule::Error>(())
//! ```

mod confusion;
mod rank;
mod regression;
mod truth;

pub use confusion::{Average, ClassScore, ConfusionMatrix};
pub use rank::{
    average_precision, average_precision_one_vs_rest, log_loss, roc_auc, roc_auc_one_vs_rest,
    top_k_accuracy,
};
pub use regression::{mean_absolute_error, r2, root_mean_squared_error};
pub use truth::Truth;

use deltarule_kernels::Element;

use crate::error::{Error, Result, check_length};

/// For each row the index of its largest element, the first of equals. NaN is never the largest;
/// a row of nothing else is given 0.
pub(crate) fn largest_of_rows<E: Element>(x: &[E], columns: usize) -> impl Iterator<Item = usize> {
    x.chunks_exact(columns).map(largest)
}

/// For each row the class that it is of by these logits: a single one is class 1's, of two. With NaN
/// among them it is of none.
pub(crate) fn classes_of_rows<E: Element>(logits: &[E], columns: usize) -> Result<Vec<usize>> {
    if let Some(index) = logits.iter().position(|logit| logit.to_f64().is_nan()) {
        return Err(Error::NonFinite { argument: "outputs", index, value: f64::NAN });
    }
    Ok(match columns {
        1 => logits.iter().map(|&logit| usize::from(logit > E::ZERO)).collect(),
        _ => largest_of_rows(logits, columns).collect(),
    })
}

/// The index of a row's largest element, as in [`largest_of_rows`].
pub(crate) fn largest<E: Element>(row: &[E]) -> usize {
    let mut largest: Option<(usize, E)> = None;
    for (index, &value) in row.iter().enumerate() {
        let larger = match largest {
            None => !value.to_f64().is_nan(),
            Some((_, so_far)) => value > so_far,
        };
        if larger {
            largest = Some((index, value));
        }
    }
    largest.map_or(0, |(index, _)| index)
}

/// The share of predictions that are right.
///
/// ```
/// assert_eq!(deltarule::metrics::accuracy(&[0, 1, 2, 1], &[0, 1, 2, 2])?, 0.75);
/// # Ok::<(), deltarule::Error>(())
/// ```
///
/// # Errors
/// [`Error::Length`] if the slices differ in length, [`Error::Empty`] if they are empty; and what
/// [`Truth::weighted`] names.
pub fn accuracy<'a>(predicted: &[usize], labels: impl Into<Truth<'a, usize>>) -> Result<f64> {
    let truth = labels.into();
    let labels = truth.rows;
    check_length("labels", labels.len(), predicted.len())?;
    if labels.is_empty() {
        return Err(Error::Empty { argument: "labels" });
    }
    let weights = truth.weights(labels.len())?;
    let right = predicted.iter().zip(labels).map(|(p, l)| f64::from(u8::from(p == l)));
    Ok(weights.sum(right) / weights.total()?)
}

/// Checks that every class is below `classes`.
pub(crate) fn check_classes(
    argument: &'static str,
    labels: &[usize],
    classes: usize,
) -> Result<()> {
    match labels.iter().position(|&class| class >= classes) {
        None => Ok(()),
        Some(row) => Err(Error::Class { argument, row, class: labels[row], classes }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_equals_is_the_largest_and_nan_never() {
        let nan = f32::NAN;
        let x = [1.0, 3.0, 3.0, nan, -1.0, -2.0, nan, nan, nan, -5.0, nan, f32::NEG_INFINITY];
        let largest: Vec<usize> = largest_of_rows(&x, 3).collect();
        assert_eq!(largest, [1, 1, 0, 0]);
    }

    #[test]
    fn an_accuracy_of_what_does_not_fit() {
        let length = Error::Length { argument: "labels", expected: 1, actual: 2 };
        assert_eq!(accuracy(&[1], &[1, 0]), Err(length));
        assert_eq!(accuracy(&[], &[]), Err(Error::Empty { argument: "labels" }));
    }
}
