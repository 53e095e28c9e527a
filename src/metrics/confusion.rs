//! Which class was taken for which.

use core::fmt;

use super::check_classes;
use super::truth::Truth;
use crate::error::{Error, Result, check_length, checked_area, try_vec};

/// How well one class is told from the others, or the mean of that over classes.
///
/// What would be 0/0 is 0, as in scikit-learn.
///
/// ```
/// let mut confusion = deltarule::metrics::ConfusionMatrix::new(3)?;
/// confusion.add(&[0, 0, 0, 1], &[0, 0, 1, 1])?;
/// let scores = confusion.class_scores();
/// let one = scores[1];
/// assert_eq!((one.precision, one.recall, one.support, one.predicted), (1.0, 0.5, 2.0, 1.0));
/// assert_eq!(one.f1, 2.0 * 1.0 * 0.5 / (1.0 + 0.5));
/// assert_eq!(scores[2].f1, 0.0); // it never occurs
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct ClassScore {
    /// The share of this class among the rows that were taken for it.
    pub precision: f64,
    /// The share that was recognised of this class's rows.
    pub recall: f64,
    /// The harmonic mean of precision and recall.
    pub f1: f64,
    /// The rows of this class, or the sum of their weights.
    pub support: f64,
    /// The rows that were taken for this class, or the sum of their weights.
    pub predicted: f64,
}

impl ClassScore {
    fn new(right: f64, predicted: f64, support: f64) -> Self {
        let share = |part: f64, whole: f64| if whole == 0.0 { 0.0 } else { part / whole };
        Self {
            precision: share(right, predicted),
            recall: share(right, support),
            f1: share(2.0 * right, predicted + support),
            support,
            predicted,
        }
    }
}

/// How the scores of classes become one.
///
/// ```
/// use deltarule::metrics::{Average, ConfusionMatrix};
/// let mut confusion = ConfusionMatrix::new(2)?;
/// confusion.add(&[0, 0, 0, 1], &[0, 0, 0, 0])?;
/// let recall = |average| confusion.average(average).map(|score| score.recall);
/// assert_eq!(recall(Average::Macro), Some((0.75 + 0.0) / 2.0));
/// assert_eq!(recall(Average::Micro), Some(0.75));
/// assert_eq!(recall(Average::Weighted), Some(0.75)); // no row is of class 1
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Average {
    /// The mean over the classes that occur, among the labels or the predictions.
    Macro,
    /// All rows together: precision, recall and F1 are all the accuracy then.
    Micro,
    /// The mean over the classes, each weighted by its rows.
    Weighted,
}

/// How often each class was taken for which: rows are the true classes, columns the predicted.
///
/// Of weighted rows it has the sums of their weights, and prints them with two decimals unless all
/// are whole.
///
/// ```
/// let mut confusion = deltarule::metrics::ConfusionMatrix::new(2)?;
/// confusion.add(&[0, 1, 1], &[0, 1, 0])?;
/// assert_eq!((confusion.classes(), confusion.count(0, 1)), (2, Some(1.0)));
/// assert_eq!(confusion.accuracy(), Some(2.0 / 3.0));
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct ConfusionMatrix {
    classes: usize,
    counts: Vec<f64>,
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
    /// ```
    /// use deltarule::{Error, metrics::ConfusionMatrix};
    /// let mut confusion = ConfusionMatrix::new(2)?;
    /// for (predicted, labels) in [([0, 1], [0, 0]), ([1, 1], [1, 1])] { // batch after batch
    ///     confusion.add(&predicted, &labels)?;
    /// }
    /// assert!(confusion.to_string().ends_with("\n             1 0 2"));
    /// let error = confusion.add(&[0, 2], &[0, 1]).unwrap_err();
    /// assert_eq!(error, Error::Class { argument: "predicted", row: 1, class: 2, classes: 2 });
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Length`] if the slices differ in length, [`Error::Class`] if a class is out of
    /// range, and what [`Truth::weighted`] names, but all weights may be 0. Nothing was counted
    /// then.
    pub fn add<'a>(
        &mut self,
        predicted: &[usize],
        labels: impl Into<Truth<'a, usize>>,
    ) -> Result<()> {
        let truth = labels.into();
        let labels = truth.rows;
        check_length("labels", labels.len(), predicted.len())?;
        check_classes("predicted", predicted, self.classes)?;
        check_classes("labels", labels, self.classes)?;
        let weights = truth.weights(labels.len())?;
        for ((&predicted, &label), weight) in predicted.iter().zip(labels).zip(weights.iter()) {
            self.counts[label * self.classes + predicted] += weight;
        }
        Ok(())
    }

    /// How often class `label` was taken for class `predicted`; `None` out of range.
    pub fn count(&self, label: usize, predicted: usize) -> Option<f64> {
        self.counts.chunks_exact(self.classes).nth(label)?.get(predicted).copied()
    }

    /// The number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The decimals with which to print a count.
    pub(crate) fn decimals(&self) -> usize {
        if self.counts.iter().all(|count| count.fract() == 0.0) { 0 } else { 2 }
    }

    /// The share on the diagonal; `None` before anything was counted.
    pub fn accuracy(&self) -> Option<f64> {
        let total: f64 = self.counts.iter().sum();
        let right: f64 = self.counts.iter().step_by(self.classes + 1).sum();
        (total > 0.0).then(|| right / total)
    }

    /// How well each class is told from the others.
    ///
    /// ```
    /// let mut confusion = deltarule::metrics::ConfusionMatrix::new(2)?;
    /// confusion.add(&[0, 1, 1, 1], &[0, 1, 0, 1])?;
    /// let scores = confusion.class_scores();
    /// assert_eq!((scores[1].precision, scores[1].recall), (2.0 / 3.0, 1.0));
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn class_scores(&self) -> Vec<ClassScore> {
        let scores = (0..self.classes).map(|class| {
            let row = &self.counts[class * self.classes..(class + 1) * self.classes];
            let support = row.iter().sum();
            let predicted = self.counts[class..].iter().step_by(self.classes).sum();
            ClassScore::new(row[class], predicted, support)
        });
        scores.collect()
    }

    /// One score for all classes; `None` before anything was counted.
    ///
    /// ```
    /// use deltarule::metrics::{Average, ConfusionMatrix};
    /// let mut confusion = ConfusionMatrix::new(3)?;
    /// assert_eq!(confusion.average(Average::Macro), None);
    /// confusion.add(&[0, 1, 2, 0], &[0, 1, 2, 2])?;
    /// let score = confusion.average(Average::Macro).expect("something was counted");
    /// assert_eq!(score.precision, (0.5 + 1.0 + 1.0) / 3.0);
    /// assert_eq!(score.support, 4.0);
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn average(&self, average: Average) -> Option<ClassScore> {
        let total: f64 = self.counts.iter().sum();
        if total == 0.0 {
            return None;
        }
        let scores = self.class_scores();
        let weight = |score: &ClassScore| match average {
            Average::Macro => f64::from(u8::from(score.support + score.predicted > 0.0)),
            Average::Weighted => score.support,
            Average::Micro => 0.0,
        };
        if average == Average::Micro {
            let right = self.counts.iter().step_by(self.classes + 1).sum();
            return Some(ClassScore::new(right, total, total));
        }
        let weights: f64 = scores.iter().map(weight).sum();
        let mean = |value: fn(&ClassScore) -> f64| {
            scores.iter().map(|score| weight(score) * value(score)).sum::<f64>() / weights
        };
        Some(ClassScore {
            precision: mean(|score| score.precision),
            recall: mean(|score| score.recall),
            f1: mean(|score| score.f1),
            support: total,
            predicted: total,
        })
    }
}

impl fmt::Display for ConfusionMatrix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let decimals = self.decimals();
        let largest = self.counts.iter().copied().fold(0.0, f64::max);
        let widest_class = (self.classes - 1).to_string().len();
        let width = format!("{largest:.decimals$}").len().max(widest_class) + 1;
        write!(f, "true\\predicted")?;
        for class in 0..self.classes {
            write!(f, "{class:width$}")?;
        }
        for (label, row) in self.counts.chunks_exact(self.classes).enumerate() {
            write!(f, "\n{label:>14}")?;
            for count in row {
                write!(f, "{count:width$.decimals$}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_confusion_matrix_prints_true_classes_as_rows() {
        let mut confusion = ConfusionMatrix::new(3).unwrap();
        confusion.add(&[0, 2, 2, 1], &[0, 1, 2, 1]).unwrap();
        let text = confusion.to_string();
        let rows: Vec<&str> = text.lines().map(|line| line[14..].trim_end()).collect();
        assert_eq!(rows, [" 0 1 2", " 1 0 0", " 0 1 1", " 0 0 1"]);
        // As wide as the largest count, or class.
        confusion.add(&[0; 9], &[0; 9]).unwrap();
        let lengths = |text: String| text.lines().map(str::len).collect::<Vec<_>>();
        assert_eq!(lengths(confusion.to_string()), [14 + 3 * 3; 4]);
        assert_eq!(lengths(ConfusionMatrix::new(11).unwrap().to_string()), [14 + 11 * 3; 12]);
        confusion.add(&[1], Truth::weighted(&[2], &[0.125])).unwrap();
        let text = confusion.to_string();
        assert!(text.ends_with("0.00  1.00  1.00\n             2  0.00  0.12  1.00"), "{text}");
        assert_eq!(lengths(text), [14 + 3 * 6; 4]);
    }

    #[test]
    fn a_class_out_of_range_is_not_counted() {
        let mut confusion = ConfusionMatrix::new(2).unwrap();
        assert!(matches!(
            confusion.add(&[0, 2], &[0, 1]),
            Err(Error::Class { argument: "predicted", row: 1, class: 2, classes: 2 })
        ));
        assert!(matches!(
            confusion.add(&[0, 1], &[0, 2]),
            Err(Error::Class { argument: "labels", row: 1, class: 2, classes: 2 })
        ));
        assert_eq!(
            confusion.add(&[0, 1], &[0]),
            Err(Error::Length { argument: "labels", expected: 2, actual: 1 })
        );
        assert_eq!(confusion.accuracy(), None);
        assert_eq!(confusion.count(2, 0), None);
        assert!(ConfusionMatrix::new(usize::MAX).is_err());
        assert!(ConfusionMatrix::new(0).is_err());
    }
}
