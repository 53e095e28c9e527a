//! The learning rate of each step.

use core::fmt;

use crate::error::Result;
use crate::optimizer::not_negative;
use crate::schedule::Schedule;

/// How far a training has come.
///
/// ```
/// # use deltarule::{*, Loss::MeanSquaredError, data::Dataset};
/// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
/// # let data = Dataset::from_values(vec![1., 2., 3., 4.], 1, vec![2., 4., 6., 8.], 1)?;
/// # let mut trainer = Trainer::builder(network, MeanSquaredError, Optimizer::sgd(0.01)).build()?;
/// let mut times = Vec::new();
/// let fit = trainer.fit(&data).epochs(2).batch(2).schedule_with(|time| {
///     times.push((time.step, time.epoch));
///     1.0
/// });
/// fit.run()?;
/// assert_eq!(times, [(0, 0.0), (1, 0.5), (2, 1.0), (3, 1.5)]);
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Time {
    /// The steps that were made before this one.
    pub step: u64,
    /// The epochs that have passed, with the share of the one that has not.
    pub epoch: f64,
}

/// A [`Rate`], but for its function.
#[cfg(feature = "checkpoint")]
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(super) enum RateKind {
    Constant,
    Epochs(Schedule),
    Steps(Schedule),
    Function,
}

/// What the learning rate is multiplied by.
pub(super) enum Rate<'a> {
    Constant,
    Epochs(Schedule),
    Steps(Schedule),
    Function(Box<dyn FnMut(Time) -> f64 + 'a>),
}

impl Rate<'_> {
    #[cfg(feature = "checkpoint")]
    pub(super) fn kind(&self) -> RateKind {
        match self {
            Self::Constant => RateKind::Constant,
            Self::Epochs(schedule) => RateKind::Epochs(*schedule),
            Self::Steps(schedule) => RateKind::Steps(*schedule),
            Self::Function(_) => RateKind::Function,
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        match self {
            Self::Epochs(schedule) | Self::Steps(schedule) => schedule.check(),
            Self::Constant | Self::Function(_) => Ok(()),
        }
    }

    pub(super) fn factor(&mut self, time: Time) -> Result<f64> {
        match self {
            Self::Constant => Ok(1.0),
            Self::Epochs(schedule) => Ok(schedule.factor(time.epoch)),
            Self::Steps(schedule) => Ok(schedule.factor(time.step as f64)),
            Self::Function(function) => {
                let factor = function(time);
                not_negative("schedule", factor).map(|()| factor)
            }
        }
    }
}

impl fmt::Debug for Rate<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant => f.write_str("Constant"),
            Self::Epochs(schedule) => f.debug_tuple("Epochs").field(schedule).finish(),
            Self::Steps(schedule) => f.debug_tuple("Steps").field(schedule).finish(),
            Self::Function(_) => f.write_str("Function"),
        }
    }
}
