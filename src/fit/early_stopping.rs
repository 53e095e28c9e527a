//! When a training is good enough.

use super::{Epoch, Metric};
use crate::error::{Error, Result};
use crate::optimizer::not_negative;

/// What tells one epoch's network from another's.
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
