//! When a training is good enough.

use super::{Epoch, Metric};
use crate::error::{Error, Result};
use crate::optimizer::not_negative;

/// What tells one epoch's network from another's.
///
/// ```
/// # use deltarule::{Activation, Loss, Network, Optimizer, Trainer, data::Dataset};
/// use deltarule::{EarlyStopping, Metric, Monitor};
/// # let network = Network::builder(1).dense(2, Activation::Identity).build()?;
/// # let data = Dataset::from_classes(vec![1.0, 2.0, 3.0, 4.0], 1, vec![0, 0, 1, 1])?;
/// # let builder = Trainer::builder(network, Loss::SoftmaxCrossEntropy, Optimizer::sgd(0.01));
/// # let mut trainer = builder.build()?;
/// let monitor = Monitor::Metric(Metric::RocAuc);
/// let rule = EarlyStopping { monitor, ..EarlyStopping::patience(3) };
/// let history = trainer.fit(&data).metric(Metric::RocAuc).early_stopping(rule).run()?;
/// // The area could not become better than its first maximum.
/// let areas = history.curve("roc_auc").expect("it was asked for");
/// let best = history.best().expect("an epoch has passed").metrics[0];
/// assert_eq!(best, areas.iter().copied().fold(0.0, f64::max));
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Monitor {
    /// The validation loss, or the loss if there are no validation rows.
    #[default]
    Loss,
    /// A metric, which has to be among those that are evaluated.
    Metric(Metric),
}

impl Monitor {
    /// Checks that what is monitored is evaluated.
    pub(super) fn check(self, metrics: &[Metric]) -> Result<()> {
        match self {
            Self::Metric(metric) if !metrics.contains(&metric) => {
                Err(Error::MetricNotEvaluated { metric })
            }
            _ => Ok(()),
        }
    }

    pub(super) fn higher_is_better(self) -> bool {
        match self {
            Self::Loss => false,
            Self::Metric(metric) => metric.higher_is_better(),
        }
    }

    pub(super) fn value(self, epoch: &Epoch, metrics: &[Metric]) -> f64 {
        match self {
            Self::Loss => epoch.validation_loss.unwrap_or(epoch.loss),
            Self::Metric(metric) => {
                let place = metrics.iter().position(|&other| other == metric);
                place.and_then(|place| epoch.metrics.get(place).copied()).unwrap_or(f64::NAN)
            }
        }
    }
}

/// Ends a training when the network has not become better for some epochs, and gives it the
/// weights of its best epoch, in any case.
///
/// ```
/// # use deltarule::{*, Loss::MeanSquaredError, data::Dataset};
/// use deltarule::{EarlyStopping, End};
/// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
/// # let data = Dataset::from_values(vec![1., 2., 3., 4.], 1, vec![2., 4., 6., 8.], 1)?;
/// # let mut trainer = Trainer::builder(network, MeanSquaredError, Optimizer::sgd(0.01)).build()?;
/// // No epoch is better by so much: the first is the best, and two more are allowed.
/// let rule = EarlyStopping { min_delta: 1e6, ..EarlyStopping::patience(2) };
/// let history = trainer.fit(&data).epochs(100).early_stopping(rule).run()?;
/// assert_eq!((history.end(), history.epochs().len()), (End::EarlyStopping, 1 + 2 + 1));
/// assert_eq!(history.best().map(|epoch| epoch.epoch), Some(1));
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct EarlyStopping {
    /// The epochs in a row that may be no better than the best; the next ends the training.
    pub patience: u64,
    /// By how much a better one must be better.
    pub min_delta: f64,
    /// What is better.
    pub monitor: Monitor,
}

impl Default for EarlyStopping {
    /// A patience of 5, a delta of 0, and the loss.
    fn default() -> Self {
        Self { patience: 5, min_delta: 0.0, monitor: Monitor::Loss }
    }
}

impl EarlyStopping {
    /// The default with this patience.
    pub fn patience(epochs: u64) -> Self {
        Self { patience: epochs, ..Self::default() }
    }

    pub(super) fn check(&self, metrics: &[Metric]) -> Result<()> {
        not_negative("min_delta", self.min_delta)?;
        self.monitor.check(metrics)
    }

    /// Whether `value` is enough better than the best so far. NaN never is.
    pub(super) fn is_better(&self, value: f64, best: Option<f64>) -> bool {
        let Some(best) = best else { return !value.is_nan() };
        let gain = if self.monitor.higher_is_better() { value - best } else { best - value };
        gain > self.min_delta
    }
}
