//! Training for epochs: batches in random order, validation, metrics, schedules, and a history.

mod builder;
mod course;
mod early_stopping;
mod history;
mod metric;
#[cfg(feature = "progress")]
mod progress;
mod range_test;
mod rate;
#[cfg(feature = "checkpoint")]
mod resume;
mod run;

#[cfg(feature = "checkpoint")]
pub(crate) use course::Position;
pub use early_stopping::{EarlyStopping, Monitor};
pub use history::{End, Epoch, History};
pub use metric::Metric;
pub use range_test::{RangeCurve, RangePoint, RangeTest};
pub use rate::Time;
#[cfg(feature = "checkpoint")]
pub(crate) use resume::Plan;

use core::fmt;
use core::ops::ControlFlow;
use deltarule_kernels::Element;

use crate::data::Rows;
#[cfg(feature = "checkpoint")]
use crate::formats::{Checkpoint, Saving};
use crate::network::Network;
use crate::schedule::ReduceOnPlateau;
use crate::trainer::{Score, Trainer};
use rate::Rate;

/// What a callback is told after a step.
///
/// ```
/// # use deltarule::{*, Loss::MeanSquaredError, data::Dataset};
/// use std::ops::ControlFlow;
/// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
/// # let data = Dataset::from_values(vec![1., 2., 3., 4.], 1, vec![2., 4., 6., 8.], 1)?;
/// # let mut trainer = Trainer::builder(network, MeanSquaredError, Optimizer::sgd(0.01)).build()?;
/// let mut steps = Vec::new();
/// let fit = trainer.fit(&data).epochs(2).batch(2).on_step(|step| {
///     assert_eq!((step.learning_rate, step.score.rows), (0.01, 2));
///     steps.push((step.time.step, step.time.epoch));
///     ControlFlow::Continue(())
/// });
/// fit.run()?;
/// assert_eq!(steps, [(0, 0.0), (1, 0.5), (2, 1.0), (3, 1.5)]);
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Step {
    /// When it was made.
    pub time: Time,
    /// Its learning rate.
    pub learning_rate: f64,
    /// The score of its batch, before it.
    pub score: Score,
}

/// What a callback is told after an epoch.
///
/// ```
/// # use deltarule::{*, Loss::MeanSquaredError, data::Dataset};
/// use std::ops::ControlFlow;
/// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
/// # let data = Dataset::from_values(vec![1., 2., 3., 4.], 1, vec![2., 4., 6., 8.], 1)?;
/// # let mut trainer = Trainer::builder(network, MeanSquaredError, Optimizer::sgd(0.01)).build()?;
/// // The network of each epoch, to publish or to compare.
/// let mut networks = Vec::new();
/// let fit = trainer.fit(&data).epochs(3).on_epoch(|end| {
///     networks.push((end.epoch.epoch, end.network.clone()));
///     ControlFlow::Continue(())
/// });
/// fit.run()?;
/// assert_eq!(networks[2].0, 3);
/// assert_eq!(networks[2].1.parameters(), trainer.network().parameters());
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct EpochEnd<'a, E: Element = f32> {
    /// The epoch.
    pub epoch: &'a Epoch,
    /// The network as it is now.
    pub network: &'a Network<E>,
    /// The averaged network, if [`TrainerBuilder::average`](crate::TrainerBuilder::average) asked
    /// for one: the epoch's validation and metrics are its.
    pub average: Option<&'a Network<E>>,
}

type StepCallback<'a> = Box<dyn FnMut(&Step) -> ControlFlow<()> + 'a>;
type EpochCallback<'a, E> = Box<dyn FnMut(&EpochEnd<'_, E>) -> ControlFlow<()> + 'a>;

/// Which rows a network is judged by.
#[derive(Clone, Copy, Debug)]
enum Validation<'a, E: Element> {
    None,
    Share(f64),
    Rows(Rows<'a, E>),
}

/// A training that is about to begin; [`Trainer::fit`] makes it.
///
/// ```
/// use deltarule::data::Dataset;
/// use deltarule::{Activation, EarlyStopping, Loss, Metric, Network, Optimizer, Schedule, Trainer};
/// // Whether a point lies within a circle.
/// let points: Vec<f32> = (0..400).map(|i| (i * 37 % 101) as f32 / 50.5 - 1.0).collect();
/// let within = |point: &[f32]| usize::from(point[0].powi(2) + point[1].powi(2) < 0.5);
/// let labels = points.chunks_exact(2).map(within).collect();
/// let data = Dataset::from_classes(points, 2, labels)?;
///
/// let network =
///     Network::builder(2).dense(16, Activation::Relu).dense(2, Activation::Identity).build()?;
/// let mut trainer =
///     Trainer::builder(network, Loss::SoftmaxCrossEntropy, Optimizer::adam(0.02)).build()?;
/// let history = trainer
///     .fit(&data)
///     .epochs(40)
///     .batch(16)
///     .validation_split(0.2)
///     .metric(Metric::RocAuc)
///     .schedule(Schedule::cosine(40.0, 0.1).warm_up(1.0, 0.1))
///     .early_stopping(EarlyStopping::patience(10))
///     .run()?;
/// assert!(history.best().is_some_and(|epoch| epoch.validation_accuracy > Some(0.9)));
/// # Ok::<(), deltarule::Error>(())
/// ```
#[must_use = "no epoch passes until `run` is called"]
pub struct Fit<'a, E: Element = f32> {
    trainer: &'a mut Trainer<E>,
    data: Rows<'a, E>,
    validation: Validation<'a, E>,
    epochs: u64,
    batch: usize,
    seed: u64,
    metrics: Vec<Metric>,
    early_stopping: Option<EarlyStopping>,
    rate: Rate<'a>,
    plateau: Option<(ReduceOnPlateau, Monitor)>,
    gradient_norms: bool,
    on_step: Vec<StepCallback<'a>>,
    on_epoch: Vec<EpochCallback<'a, E>>,
    #[cfg(feature = "checkpoint")]
    saving: Option<Saving>,
    #[cfg(feature = "checkpoint")]
    resumed: Option<Checkpoint<E>>,
    #[cfg(feature = "progress")]
    progress: bool,
}

impl<E: Element> Trainer<E> {
    /// Begins to say how the network is to be trained on this data: a
    /// [`Dataset`](crate::data::Dataset) or [`Rows`].
    ///
    /// Unless something else is said, there are 10 epochs of batches of 32 rows (or of
    /// [`Trainer::max_batch`], if that is less) at the optimizer's learning rate, and no
    /// validation.
    ///
    /// ```
    /// # use deltarule::{Activation, Loss::MeanSquaredError, Network, Optimizer, Targets, Trainer};
    /// use deltarule::data::Rows;
    /// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
    /// # let mut trainer =
    /// #     Trainer::builder(network, MeanSquaredError, Optimizer::sgd(0.01)).build()?;
    /// let rows = Rows::new(&[1.0, 2.0, 3.0], 1, Targets::Values(&[2.0, 4.0, 6.0]))?;
    /// let history = trainer.fit(rows).run()?;
    /// assert_eq!(history.epochs().len(), 10);
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn fit<'a>(&'a mut self, data: impl Into<Rows<'a, E>>) -> Fit<'a, E> {
        let batch = self.max_batch().min(32);
        Fit {
            trainer: self,
            data: data.into(),
            validation: Validation::None,
            epochs: 10,
            batch,
            seed: 0,
            metrics: Vec::new(),
            early_stopping: None,
            rate: Rate::Constant,
            plateau: None,
            gradient_norms: false,
            on_step: Vec::new(),
            on_epoch: Vec::new(),
            #[cfg(feature = "checkpoint")]
            saving: None,
            #[cfg(feature = "checkpoint")]
            resumed: None,
            #[cfg(feature = "progress")]
            progress: false,
        }
    }
}

impl<E: Element> fmt::Debug for Fit<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fit")
            .field("rows", &self.data.rows())
            .field("epochs", &self.epochs)
            .field("batch", &self.batch)
            .field("seed", &self.seed)
            .field("metrics", &self.metrics)
            .field("early_stopping", &self.early_stopping)
            .field("rate", &self.rate)
            .field("plateau", &self.plateau)
            .finish_non_exhaustive()
    }
}
