//! Metrics of a network's outputs.

use core::fmt;
use deltarule_kernels::Element;
use std::borrow::Cow;

use crate::error::{Error, Result, check_length, whole_rows};
use crate::metrics::{
    self, Average, ClassScore, ConfusionMatrix, Truth, average_precision,
    average_precision_one_vs_rest, largest_of_rows, mean_absolute_error, r2, roc_auc,
    roc_auc_one_vs_rest, root_mean_squared_error, top_k_accuracy,
};
use crate::targets::{Targets, WeightedTargets};

/// What is to be known of a network's outputs on rows with targets.
///
/// Those for classes take outputs as the logits of softmax, an output for each class. A single
/// output with targets of 0 and 1 is the logit of class 1, as
/// [`Loss::BinaryCrossEntropy`](crate::Loss::BinaryCrossEntropy) has it. A training on
/// [`Loss::Poisson`](crate::Loss::Poisson) gives them rates, and not their logarithms.
///
/// ```
/// use deltarule::{Metric, Targets};
/// let logits = [2.0f32, -1.0, 0.5, 0.7];
/// let accuracy = Metric::Accuracy.evaluate(&logits, 2, Targets::Classes(&[0, 0]))?;
/// assert_eq!(accuracy, 0.5);
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Metric {
    /// [`metrics::accuracy`].
    Accuracy,
    /// [`top_k_accuracy`] of this k.
    TopK(usize),
    /// [`ClassScore::precision`].
    Precision(Average),
    /// [`ClassScore::recall`].
    Recall(Average),
    /// [`ClassScore::f1`].
    F1(Average),
    /// [`roc_auc`] of two classes, [`roc_auc_one_vs_rest`] of more.
    RocAuc,
    /// [`average_precision`] of two classes, [`average_precision_one_vs_rest`] of more.
    AveragePrecision,
    /// The mean of −ln p, p the probability of the row's class by softmax.
    LogLoss,
    /// [`root_mean_squared_error`].
    RootMeanSquaredError,
    /// [`mean_absolute_error`].
    MeanAbsoluteError,
    /// [`r2`].
    R2,
}

/// A metric of predicted and true numbers in so many columns.
type Regression<'a, E> = fn(&[E], Truth<'a, E>, usize) -> Result<f64>;

impl Metric {
    /// Whether more of it is better.
    ///
    /// ```
    /// use deltarule::Metric;
    /// assert!(Metric::Accuracy.higher_is_better());
    /// assert!(!Metric::LogLoss.higher_is_better());
    /// ```
    pub fn higher_is_better(self) -> bool {
        !matches!(self, Self::LogLoss | Self::RootMeanSquaredError | Self::MeanAbsoluteError)
    }

    /// The metric of these outputs, (rows, `columns`) row-major. Rows with weights count as
    /// [`Truth`] says: the metric is divided by the sum of the weights, which can't be negative.
    ///
    /// ```
    /// use deltarule::{Error, Metric, Targets};
    /// let (outputs, targets) = ([1.0, 2.0, 3.5], Targets::Values(&[1.0, 2.0, 3.0]));
    /// assert_eq!(Metric::R2.evaluate(&outputs, 1, targets)?, 0.875);
    /// // One logit a row: values of 0 and 1 are classes; between them, the nearer counts.
    /// let (logits, targets) = ([-2.0, 0.5, 1.0], Targets::Values(&[0.0, 0.0, 1.0]));
    /// assert_eq!(Metric::RocAuc.evaluate(&logits, 1, targets)?, 1.0);
    /// let error = Metric::R2.evaluate(&outputs, 1, Targets::Classes(&[0, 0, 0])).unwrap_err();
    /// assert_eq!(error.to_string(), "the metric r2 needs targets that are values");
    /// let targets = Targets::Values(&[1.0, 2.0, 3.0]).weighted(&[0.5, 2.5, 1.0]);
    /// assert_eq!(Metric::MeanAbsoluteError.evaluate(&outputs, 1, targets)?, 0.5 / 4.0);
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::MetricTargets`] if the metric is for the other kind of targets, [`Error::Zero`]
    /// without columns, [`Error::Empty`], [`Error::PartialRow`] or [`Error::Length`] if outputs
    /// and targets are not as many whole rows; [`Error::Class`] for a label out of range; and as
    /// the metric's function.
    pub fn evaluate<'a, E: Element>(
        self,
        outputs: &[E],
        columns: usize,
        targets: impl Into<WeightedTargets<'a, E>>,
    ) -> Result<f64> {
        let WeightedTargets { targets, weights } = targets.into();
        if columns == 0 {
            return Err(Error::Zero { argument: "columns" });
        }
        let rows = whole_rows("outputs", outputs.len(), columns)?;
        self.check_targets(columns, targets)?;
        match (self.of_values(), targets) {
            (Some(metric), Targets::Values(values)) => {
                metric(outputs, Truth::new(values, weights), columns)
            }
            (_, Targets::Classes(labels)) => {
                check_length("targets", labels.len(), rows)?;
                self.of_classes(outputs, columns, Truth::new(labels, weights))
            }
            (None, Targets::Values(values)) => {
                check_length("targets", values.len(), rows)?;
                // softmax(0, z) is (1 − σ(z), σ(z)).
                let logits: Vec<E> = outputs.iter().flat_map(|&z| [E::ZERO, z]).collect();
                let labels: Vec<usize> =
                    values.iter().map(|y| usize::from(y.to_f64() > 0.5)).collect();
                self.of_classes(&logits, 2, Truth::new(&labels, weights))
            }
        }
    }

    /// Checks that the targets are of the kind that the metric is for.
    pub(crate) fn check_targets<E: Element>(
        self,
        columns: usize,
        targets: Targets<'_, E>,
    ) -> Result<()> {
        // A number that is to be predicted is no class.
        let is_class = |y: &E| (0.0..=1.0).contains(&y.to_f64());
        match (self.of_values::<E>(), targets) {
            (Some(_), Targets::Values(_)) | (None, Targets::Classes(_)) => Ok(()),
            (Some(_), Targets::Classes(_)) => Err(self.wants("values")),
            (None, Targets::Values(values)) if columns == 1 && values.iter().all(is_class) => {
                Ok(())
            }
            (None, Targets::Values(_)) => Err(self.wants("classes, or one value of 0 to 1 a row")),
        }
    }

    /// The function of a metric of values.
    fn of_values<'a, E: Element>(self) -> Option<Regression<'a, E>> {
        match self {
            Self::RootMeanSquaredError => Some(root_mean_squared_error),
            Self::MeanAbsoluteError => Some(mean_absolute_error),
            Self::R2 => Some(r2),
            _ => None,
        }
    }

    fn wants(self, expected: &'static str) -> Error {
        Error::MetricTargets { metric: self, expected }
    }

    fn of_classes<E: Element>(
        self,
        logits: &[E],
        classes: usize,
        truth: Truth<'_, usize>,
    ) -> Result<f64> {
        metrics::check_classes("targets", truth.rows, classes)?;
        match self {
            Self::Accuracy => {
                let predicted: Vec<usize> = largest_of_rows(logits, classes).collect();
                metrics::accuracy(&predicted, truth)
            }
            Self::TopK(k) => top_k_accuracy(logits, classes, truth, k),
            Self::Precision(average) => {
                class_score(logits, classes, truth, average, |score| score.precision)
            }
            Self::Recall(average) => {
                class_score(logits, classes, truth, average, |score| score.recall)
            }
            Self::F1(average) => class_score(logits, classes, truth, average, |score| score.f1),
            Self::RocAuc if classes == 2 => roc_auc(&differences(logits), truth),
            Self::RocAuc => roc_auc_one_vs_rest(&softmax(logits, classes), classes, truth),
            Self::AveragePrecision if classes == 2 => {
                average_precision(&differences(logits), truth)
            }
            Self::AveragePrecision => {
                average_precision_one_vs_rest(&softmax(logits, classes), classes, truth)
            }
            _ => {
                let rows = logits.chunks_exact(classes).zip(truth.rows);
                let losses = rows.map(|(row, &label)| log_sum_exp(row) - row[label].to_f64());
                let weights = truth.weights(truth.rows.len())?;
                Ok(weights.sum(losses) / weights.total()?)
            }
        }
    }

    /// The name in snake case.
    ///
    /// ```
    /// use deltarule::{Metric, metrics::Average};
    /// assert_eq!(Metric::F1(Average::Macro).name(), "macro_f1");
    /// assert_eq!(format!("{:>8}", Metric::TopK(5)), "top_5_accuracy");
    /// ```
    pub fn name(self) -> Cow<'static, str> {
        let averaged = |average: Average, name: &str| {
            let prefix = match average {
                Average::Macro => "macro",
                Average::Micro => "micro",
                Average::Weighted => "weighted",
            };
            Cow::Owned(format!("{prefix}_{name}"))
        };
        match self {
            Self::Accuracy => "accuracy".into(),
            Self::TopK(k) => format!("top_{k}_accuracy").into(),
            Self::Precision(average) => averaged(average, "precision"),
            Self::Recall(average) => averaged(average, "recall"),
            Self::F1(average) => averaged(average, "f1"),
            Self::RocAuc => "roc_auc".into(),
            Self::AveragePrecision => "average_precision".into(),
            Self::LogLoss => "log_loss".into(),
            Self::RootMeanSquaredError => "rmse".into(),
            Self::MeanAbsoluteError => "mae".into(),
            Self::R2 => "r2".into(),
        }
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name())
    }
}

fn class_score<E: Element>(
    logits: &[E],
    classes: usize,
    truth: Truth<'_, usize>,
    average: Average,
    value: fn(ClassScore) -> f64,
) -> Result<f64> {
    truth.weights(truth.rows.len())?.total()?;
    let predicted: Vec<usize> = largest_of_rows(logits, classes).collect();
    let mut confusion = ConfusionMatrix::new(classes)?;
    confusion.add(&predicted, truth)?;
    Ok(confusion.average(average).map_or(f64::NAN, value))
}

/// What speaks for class 1 of two, in each row.
fn differences<E: Element>(logits: &[E]) -> Vec<f64> {
    logits.chunks_exact(2).map(|row| row[1].to_f64() - row[0].to_f64()).collect()
}

/// The probabilities of all classes, in each row.
fn softmax<E: Element>(logits: &[E], classes: usize) -> Vec<f64> {
    let rows = logits.chunks_exact(classes);
    let probabilities = rows.flat_map(|row| {
        let sum = log_sum_exp(row);
        row.iter().map(move |z| (z.to_f64() - sum).exp())
    });
    probabilities.collect()
}

/// ln Σ eᶻ.
fn log_sum_exp<E: Element>(row: &[E]) -> f64 {
    let largest = row.iter().fold(f64::NEG_INFINITY, |largest, z| largest.max(z.to_f64()));
    largest + row.iter().map(|z| (z.to_f64() - largest).exp()).sum::<f64>().ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_which_are_better_high() {
        for (metric, name, higher_is_better) in [
            (Metric::Accuracy, "accuracy", true),
            (Metric::TopK(3), "top_3_accuracy", true),
            (Metric::Precision(Average::Macro), "macro_precision", true),
            (Metric::Recall(Average::Micro), "micro_recall", true),
            (Metric::F1(Average::Weighted), "weighted_f1", true),
            (Metric::RocAuc, "roc_auc", true),
            (Metric::LogLoss, "log_loss", false),
            (Metric::RootMeanSquaredError, "rmse", false),
            (Metric::MeanAbsoluteError, "mae", false),
            (Metric::R2, "r2", true),
        ] {
            assert_eq!((&*metric.name(), metric.higher_is_better()), (name, higher_is_better));
            assert_eq!(format!("{metric:>16}|"), format!("{name:>16}|"));
        }
    }

    #[test]
    fn targets_that_do_not_fit() {
        let message = |columns, targets: Targets<'_>| {
            Metric::Accuracy.evaluate(&[0.0; 4], columns, targets).unwrap_err().to_string()
        };
        let too_few = "`targets` has 1 elements, but 2 are needed";
        assert_eq!(message(2, Targets::Classes(&[0])), too_few);
        assert_eq!(
            message(2, Targets::Classes(&[0, 2])),
            "`targets[1]` is class 2, but there are only 2 classes"
        );
        assert_eq!(
            message(1, Targets::Values(&[0.0])),
            "`targets` has 1 elements, but 4 are needed"
        );
        assert_eq!(message(0, Targets::Classes(&[0])), "`columns` is 0, but at least 1 is needed");
    }

    #[test]
    fn a_value_is_of_the_positive_class_above_a_half() {
        let targets = Targets::Values(&[0.5, 0.75]);
        assert_eq!(Metric::Accuracy.evaluate(&[-1.0f32, 1.0], 1, targets), Ok(1.0));
    }
}
