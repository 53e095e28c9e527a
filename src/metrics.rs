//! How good a classifier is.

use core::fmt;
use deltarule_kernels::Element;

use crate::error::{Error, Result, check_length, checked_area, try_vec};

/// For each row the index of its largest element, the first of equals. NaN is never the largest;
/// a row of nothing else is given 0.
pub(crate) fn largest_of_rows<E: Element>(x: &[E], columns: usize) -> impl Iterator<Item = usize> {
    x.chunks_exact(columns).map(|row| {
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
    })
}

/// The share of predictions that are right.
///
/// ```
/// assert_eq!(deltarule::metrics::accuracy(&[0, 1, 2, 1], &[0, 1, 2, 2])?, 0.75);
/// # Ok::<(), deltarule::Error>(())
/// ```
///
/// # Errors
/// [`Error::Length`] if the slices differ in length, [`Error::Empty`] if they are empty.
pub fn accuracy(predicted: &[usize], labels: &[usize]) -> Result<f64> {
    check_length("labels", labels.len(), predicted.len())?;
    if labels.is_empty() {
        return Err(Error::Empty { argument: "labels" });
    }
    let right = predicted.iter().zip(labels).filter(|(p, l)| p == l).count();
    Ok(right as f64 / labels.len() as f64)
}

/// How often each class was taken for which: rows are the true classes, columns the predicted.
///
/// ```
/// let mut confusion = deltarule::metrics::ConfusionMatrix::new(2)?;
/// confusion.add(&[0, 1, 1], &[0, 1, 0])?;
/// assert_eq!(confusion.count(0, 1), Some(1));
/// assert_eq!(confusion.accuracy(), Some(2.0 / 3.0));
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfusionMatrix {
    classes: usize,
    counts: Vec<u64>,
}

impl ConfusionMatrix {
    /// A matrix of zeros.
    ///
    /// # Errors
    /// [`Error::Zero`] without classes, [`Error::Overflow`] or [`Error::OutOfMemory`] with too
    /// many.
    pub fn new(classes: usize) -> Result<Self> {
        if classes == 0 {
            return Err(Error::Zero { argument: "classes" });
        }
        let counts = try_vec("confusion matrix", checked_area("classes", classes, classes)?)?;
        Ok(Self { classes, counts })
    }

    /// Counts these predictions.
    ///
    /// # Errors
    /// [`Error::Length`] if the slices differ in length, [`Error::Class`] if a class is out of
    /// range. Nothing was counted then.
    pub fn add(&mut self, predicted: &[usize], labels: &[usize]) -> Result<()> {
        check_length("labels", labels.len(), predicted.len())?;
        check_classes("predicted", predicted, self.classes)?;
        check_classes("labels", labels, self.classes)?;
        for (&predicted, &label) in predicted.iter().zip(labels) {
            self.counts[label * self.classes + predicted] += 1;
        }
        Ok(())
    }

    /// How often class `label` was taken for class `predicted`; `None` out of range.
    pub fn count(&self, label: usize, predicted: usize) -> Option<u64> {
        self.counts.chunks_exact(self.classes).nth(label)?.get(predicted).copied()
    }

    /// The number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The share on the diagonal; `None` before anything was counted.
    pub fn accuracy(&self) -> Option<f64> {
        let total: u64 = self.counts.iter().sum();
        let right: u64 = self.counts.iter().step_by(self.classes + 1).sum();
        (total > 0).then(|| right as f64 / total as f64)
    }
}

impl fmt::Display for ConfusionMatrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let largest = self.counts.iter().copied().max().unwrap_or(0).max(self.classes as u64 - 1);
        let width = largest.to_string().len() + 1;
        write!(f, "true\\predicted")?;
        for class in 0..self.classes {
            write!(f, "{class:width$}")?;
        }
        for (label, row) in self.counts.chunks_exact(self.classes).enumerate() {
            write!(f, "\n{label:>14}")?;
            for count in row {
                write!(f, "{count:width$}")?;
            }
        }
        Ok(())
    }
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
    fn a_confusion_matrix_prints_true_classes_as_rows() {
        let mut confusion = ConfusionMatrix::new(3).unwrap();
        confusion.add(&[0, 2, 2, 1], &[0, 1, 2, 1]).unwrap();
        let text = confusion.to_string();
        let rows: Vec<&str> = text.lines().map(|line| line[14..].trim_end()).collect();
        assert_eq!(rows, [" 0 1 2", " 1 0 0", " 0 1 1", " 0 0 1"]);
    }

    #[test]
    fn a_class_out_of_range_is_not_counted() {
        let mut confusion = ConfusionMatrix::new(2).unwrap();
        assert!(matches!(
            confusion.add(&[0, 2], &[0, 1]),
            Err(Error::Class { argument: "predicted", row: 1, class: 2, classes: 2 })
        ));
        assert_eq!(confusion.accuracy(), None);
        assert_eq!(confusion.count(2, 0), None);
        assert!(ConfusionMatrix::new(usize::MAX).is_err());
        assert!(ConfusionMatrix::new(0).is_err());
    }
}
