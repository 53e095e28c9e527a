//! Training: a step is propagation, then update.

mod accumulate;
mod average;
mod builder;
mod goal;
mod layout;
mod own_loss;
mod pace;
mod parallel;
mod propagate;
mod spans;
#[cfg(feature = "checkpoint")]
mod state;
mod step;
mod tiles;
mod update;

pub use average::{Averaging, WeightAverage};
pub use builder::TrainerBuilder;
#[cfg(feature = "checkpoint")]
pub(crate) use state::Settings;

use core::fmt;
use deltarule_kernels::optimizer::{MAX_STATES, Update};
use deltarule_kernels::{Aligned, Element, Isa};
use std::sync::Arc;
use std::time::Instant;

use crate::data;
use crate::error::{Error, Result, check_finite, check_length, try_vec, whole_rows};
use crate::layers::{Mode, Occurrences, Op, Span};
use crate::loss::Loss;
use crate::network::Network;
#[cfg(feature = "checkpoint")]
use crate::optimizer::ParameterGroup;
use crate::optimizer::{Optimizer, Rates, UpdateRule};
use crate::targets::WeightedTargets;
use accumulate::Accumulated;
use average::{Kept, judged};
use goal::{Goal, Objective};
use layout::ShardLayout;
use own_loss::OwnLoss;
use pace::Pace;
use parallel::{Scratch, Threads, enter};
use propagate::{Batch, Propagate, Rows};
use tiles::TilePlan;
use update::Gradient;

/// A network in training.
///
/// All buffers are made by [`TrainerBuilder::build`]; a step allocates nothing. The parameters
/// after a step are the same bits for any number of threads, and on every instruction set with
/// fused multiply-adds.
///
/// ```
/// use deltarule::{Activation, Loss, Network, Optimizer, Targets, Trainer};
/// let network = Network::builder(2)
///     .dense(8, Activation::Tanh)
///     .dense(2, Activation::Identity)
///     .build()?;
/// let mut trainer =
///     Trainer::builder(network, Loss::SoftmaxCrossEntropy, Optimizer::sgd(0.5)).build()?;
/// let x = [0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0];
/// let exclusive_or = [0, 1, 1, 0];
/// for _ in 0..1000 {
///     trainer.step(&x, Targets::Classes(&exclusive_or))?;
/// }
/// assert_eq!(trainer.network().classify(&x)?, exclusive_or);
/// assert_eq!((trainer.steps(), trainer.max_batch()), (1000, 256));
/// # Ok::<(), deltarule::Error>(())
/// ```
pub struct Trainer<E: Element = f32> {
    network: Network<E>,
    objective: Objective<E>,
    optimizer: Optimizer,
    /// How each layer is trained.
    #[cfg(feature = "checkpoint")]
    groups: Vec<ParameterGroup>,
    /// A rule of the user's own, in place of the optimizer's.
    rule: Option<Box<dyn UpdateRule<E>>>,
    /// The kinds of rates that the optimizer treats in different ways, and the step's update for
    /// each.
    rates: Vec<Rates>,
    updates: Vec<Update<E>>,
    /// That of dropout's masks.
    seed: u64,
    max_batch: usize,
    /// What the buffers were made for.
    shape: (Isa, Arc<[Op]>),
    threads: Threads,
    /// Unless the program has said how much work is for threads.
    pace: Option<Pace>,
    /// Multiply-adds of a row's forward pass, about.
    work: usize,
    /// The steps that were made.
    steps: u64,
    average: Option<Kept<E>>,
    /// The optimizer's state; what its rule does not keep is empty.
    states: [Aligned<E>; MAX_STATES],
    /// The gradient, where it has to be known before the update; empty otherwise.
    kept: Aligned<E>,
    accumulated: Accumulated<E>,
    own_loss: OwnLoss<E>,
    losses: Vec<E>,
    buffers: Buffers<E>,
}

/// The workspace of a step, and how it is laid out.
struct Buffers<E> {
    layout: ShardLayout,
    tiles: TilePlan,
    /// The most rows whose shards are there at once.
    span_rows: usize,
    /// The shards' buffers, one shard after the other.
    arena: Aligned<E>,
    /// What batch normalizations normalize by.
    moments: Vec<E>,
    scratch: Scratch<E>,
    occurrences: Occurrences,
}

impl<E: Element> Buffers<E> {
    /// The gradient of the batch that the shards hold, and the scratch space to compute it in.
    fn gradient<'a>(
        &'a mut self,
        isa: Isa,
        ops: &'a [Op],
        (x, rows): (&'a [E], usize),
        span: Span,
    ) -> (Gradient<'a, E>, &'a mut Scratch<E>) {
        let Self { layout, tiles, arena, moments, scratch, occurrences, .. } = self;
        let gradient =
            Gradient { isa, ops, tiles, layout, x, rows, arena, moments, occurrences, span };
        (gradient, scratch)
    }
}

/// How a network did on some rows, before the parameters were changed.
///
/// ```
/// use deltarule::{Activation, Loss, Network, Optimizer, Targets, Trainer};
/// let network = Network::builder(2).dense(3, Activation::Identity).build()?;
/// let mut trainer =
///     Trainer::builder(network, Loss::SoftmaxCrossEntropy, Optimizer::sgd(0.1)).build()?;
/// let score = trainer.step(&[0.5, 1.0, -2.0, 0.0], Targets::Classes(&[0, 2]))?;
/// assert_eq!(score.rows, 2);
/// assert_eq!(score.accuracy(), score.correct.map(|correct| correct as f64 / 2.0));
/// assert!(score.loss > 0.0);
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Score {
    /// ℒ over the rows.
    pub loss: f64,
    /// The rows.
    pub rows: usize,
    /// How many of them are classified correctly, if the targets are classes.
    pub correct: Option<usize>,
}

impl Score {
    /// The share of rows that are classified correctly, if the targets are classes.
    pub fn accuracy(&self) -> Option<f64> {
        self.correct.map(|correct| correct as f64 / self.rows as f64)
    }
}

impl<E: Element> Trainer<E> {
    /// Begins to say how this network is to be trained.
    pub fn builder(network: Network<E>, loss: Loss, optimizer: Optimizer) -> TrainerBuilder<E> {
        TrainerBuilder::new(network, loss, optimizer)
    }

    /// The network as it is now.
    pub fn network(&self) -> &Network<E> {
        &self.network
    }

    /// The network as it is now, to change its parameters, or to put another of the same layers
    /// in its place. With one of other layers every step fails. An average stays what it was.
    ///
    /// ```
    /// # use deltarule::{Activation, Loss, Network, Optimizer, Targets, Trainer};
    /// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
    /// let mut trainer =
    ///     Trainer::builder(network, Loss::MeanSquaredError, Optimizer::sgd(0.1)).build()?;
    /// let before = trainer.network().clone();
    /// trainer.step(&[2.0], Targets::Values(&[5.0]))?;
    /// *trainer.network_mut() = before.clone(); // undone
    /// assert_eq!(trainer.into_network().parameters(), before.parameters());
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn network_mut(&mut self) -> &mut Network<E> {
        &mut self.network
    }

    /// Ends the training.
    pub fn into_network(self) -> Network<E> {
        self.network
    }

    /// The most rows of a step.
    pub fn max_batch(&self) -> usize {
        self.max_batch
    }

    /// The steps that were made: t of the optimizer's formula in the last of them.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// What the optimizer remembers, as long as the parameters each: moments, or sums of squares.
    /// With [`Network::parameters`], [`Network::statistics`] and [`Trainer::steps`] this is all that
    /// a training goes on from.
    ///
    /// ```
    /// # use deltarule::{Activation, Loss, Network, Optimizer, Targets, Trainer};
    /// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
    /// let mut trainer =
    ///     Trainer::builder(network, Loss::MeanSquaredError, Optimizer::adam(0.1)).build()?;
    /// assert!(trainer.states().all(|state| state == [0.0, 0.0]));
    /// trainer.step(&[2.0], Targets::Values(&[5.0]))?;
    /// assert_eq!((trainer.states().len(), trainer.steps()), (2, 1)); // m and v, after a step
    /// assert!(trainer.states().all(|state| state != [0.0, 0.0]));
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn states(&self) -> impl ExactSizeIterator<Item = &[E]> {
        self.states[..self.optimizer.rule().states()].iter().map(|state| &**state)
    }

    /// Goes on from where a training with the same network and optimizer stood: the steps to come
    /// have the bits that they would have had there, if the network has that one's parameters and
    /// statistics. What was accumulated is forgotten, and an average begins anew.
    ///
    /// ```
    /// # use deltarule::{Activation, Loss, Network, Optimizer, Targets, Trainer};
    /// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
    /// let (x, targets) = ([2.0], Targets::Values(&[5.0]));
    /// let builder = Trainer::builder(network, Loss::MeanSquaredError, Optimizer::adam(0.1));
    /// let mut trainer = builder.build()?;
    /// trainer.step(&x, targets)?;
    /// let network = trainer.network().clone();
    /// let mut other =
    ///     Trainer::builder(network, Loss::MeanSquaredError, Optimizer::adam(0.1)).build()?;
    /// let states: Vec<&[f32]> = trainer.states().collect();
    /// other.resume(trainer.steps(), &states)?;
    /// assert_eq!(trainer.step(&x, targets)?, other.step(&x, targets)?);
    /// assert_eq!(trainer.network().parameters(), other.network().parameters());
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Length`] if the states are not as many, or not as long, as the optimizer's;
    /// [`Error::OtherLayers`] if there is an average, of other layers than those of the network that
    /// [`Trainer::network_mut`] was used to put in. Nothing was changed then.
    pub fn resume(&mut self, steps: u64, states: &[&[E]]) -> Result<()> {
        let own = &self.states[..self.optimizer.rule().states()];
        check_length("states", states.len(), own.len())?;
        for (state, own) in states.iter().zip(own) {
            check_length("a state", state.len(), own.len())?;
        }
        self.restart_average()?;
        for (state, own) in states.iter().zip(&mut self.states) {
            own.copy_from_slice(state);
        }
        self.steps = steps;
        self.discard_accumulated();
        Ok(())
    }

    /// The optimizer as it is now.
    pub fn optimizer(&self) -> &Optimizer {
        &self.optimizer
    }

    /// Sets the learning rate of the steps to come.
    ///
    /// ```
    /// # use deltarule::{Activation, Loss, Network, Optimizer, Targets, Trainer};
    /// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
    /// let mut trainer =
    ///     Trainer::builder(network, Loss::MeanSquaredError, Optimizer::sgd(0.1)).build()?;
    /// for step in 0..3 {
    ///     trainer.set_learning_rate(0.1 / (1.0 + f64::from(step)))?;
    ///     trainer.step(&[2.0], Targets::Values(&[5.0]))?;
    /// }
    /// assert_eq!(trainer.optimizer().learning_rate(), 0.1 / 3.0);
    /// assert!(trainer.set_learning_rate(-1.0).is_err());
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::OutOfRange`] unless it is finite and not negative.
    pub fn set_learning_rate(&mut self, learning_rate: f64) -> Result<()> {
        let optimizer = self.optimizer.with_learning_rate(learning_rate);
        optimizer.check()?;
        self.optimizer = optimizer;
        Ok(())
    }

    /// The score on any number of rows, whose outputs are those of a prediction: dropout does
    /// nothing, and batch normalizations use their running statistics. No parameter is changed.
    ///
    /// It is the same bits for any `max_batch`.
    ///
    /// ```
    /// # use deltarule::{Activation, Loss, Network, Optimizer, Targets, Trainer};
    /// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
    /// let builder = Trainer::builder(network, Loss::MeanSquaredError, Optimizer::sgd(0.1));
    /// let mut trainer = builder.max_batch(1).build()?;
    /// trainer.network_mut().parameters_mut().copy_from_slice(&[3.0, 1.0]);
    /// // More rows than a step may have: ŷ is 4 and 7.
    /// let score = trainer.evaluate(&[1.0, 2.0], Targets::Values(&[4.0, 5.0]))?;
    /// assert_eq!(score.loss, (0.0 + 4.0) / 2.0);
    /// assert_eq!(trainer.network().parameters(), [3.0, 1.0]);
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Trainer::step`], but for [`Error::BatchTooLarge`]; [`Error::OutOfMemory`] if there is no
    /// memory for a loss of each row.
    pub fn evaluate<'a>(
        &mut self,
        x: &[E],
        targets: impl Into<WeightedTargets<'a, E>>,
    ) -> Result<Score> {
        self.evaluate_either(x, targets.into(), false)
    }

    /// [`Trainer::evaluate`] of the network or, if there is one, of the averaged one.
    fn evaluate_either(
        &mut self,
        x: &[E],
        targets: WeightedTargets<'_, E>,
        averaged: bool,
    ) -> Result<Score> {
        self.check_network()?;
        let rows = whole_rows("x", x.len(), self.network.inputs())?;
        self.check_targets("targets", targets, rows)?;
        if self.own_loss.has_rule() {
            check_finite(self.network.isa(), "x", x)?;
            let average = self.average.as_ref().filter(|_| averaged);
            let outputs = judged(&self.network, average).predict(x)?;
            return self.evaluate_own_loss(&outputs, rows, targets);
        }
        let mut losses = try_vec("losses", rows)?;
        let mut correct = 0;
        let goal = Goal::Targets(targets);
        let parts = self.parts(self.max_batch.min(rows));
        let span_rows = self.cut(rows, parts);
        let network = judged(&self.network, self.average.as_ref().filter(|_| averaged));
        let Buffers { layout, arena, moments, scratch, .. } = &mut self.buffers;
        network.use_running_statistics(moments)?;
        let (objective, mode) = (&self.objective, Mode::Evaluation);
        let batch = Batch { x, goal, objective, mode, of_batch: PartOfBatch::whole(rows) };
        let propagate = Propagate::new(network, layout, batch);
        let first_rows = (0..rows).step_by(span_rows);
        for (first_row, losses) in first_rows.zip(losses.chunks_mut(span_rows)) {
            let rows = Rows { parts, first_row, losses, arena, moments, scratch };
            correct += enter(parts, || propagate.run(rows))?;
        }
        goal.score(self.network.isa(), &losses, correct)
    }

    /// Checks that the network is still the one that the buffers were made for.
    fn check_network(&self) -> Result<()> {
        let (isa, ops) = &self.shape;
        if self.network.is_shaped(*isa, ops) { Ok(()) } else { Err(Error::OtherNetwork) }
    }

    /// Checks a batch's shapes and labels, and returns its rows.
    fn check(&self, x: &[E], targets: WeightedTargets<'_, E>) -> Result<usize> {
        let rows = self.check_x(x)?;
        self.check_targets("targets", targets, rows)?;
        Ok(rows)
    }

    /// Checks that the targets of so many rows are such as the loss takes.
    fn check_targets(
        &self,
        argument: &'static str,
        targets: WeightedTargets<'_, E>,
        rows: usize,
    ) -> Result<()> {
        if self.own_loss.has_rule() {
            return targets.check_rows(argument, rows);
        }
        self.objective.loss.check(argument, targets, rows, self.network.outputs())
    }

    /// Checks a batch's shape, and returns its rows.
    fn check_x(&self, x: &[E]) -> Result<usize> {
        self.check_network()?;
        let rows = whole_rows("x", x.len(), self.network.inputs())?;
        if rows > self.max_batch {
            let max_batch = self.max_batch;
            return Err(Error::BatchTooLarge { argument: "x", rows, max_batch });
        }
        Ok(rows)
    }

    /// What it is trained on, if not on the program's own loss.
    pub(crate) fn loss(&self) -> Option<Loss> {
        (!self.own_loss.has_rule()).then_some(self.objective.loss)
    }

    /// Checks all that [`Trainer::step`] would of these rows, but for their number, and names what
    /// is wrong by its place among them, in `x`, `targets` or `weights`, which are the names to use.
    pub(crate) fn check_rows(
        &self,
        rows: data::Rows<'_, E>,
        [x, targets, weights]: [&'static str; 3],
    ) -> Result<()> {
        self.check_network()?;
        let (isa, goal) = (self.network.isa(), rows.weighted_targets());
        self.check_targets(targets, goal, rows.rows())?;
        self.network.check_categories(x, rows.x(), 0)?;
        check_finite(isa, x, rows.x())?;
        goal.check_finite(isa, [targets, weights])
    }

    /// Into how many parts to divide the work on so many rows.
    fn parts(&self, rows: usize) -> usize {
        let work = self.work_of(rows);
        let is_alone = || self.pace.as_ref().is_some_and(|pace| pace.is_alone(work));
        match self.threads.parts(work) {
            2.. if is_alone() => 1,
            parts => parts,
        }
    }

    /// Does work on so many rows, in as many parts as it is told, and takes note of its time if
    /// that has a say in how many.
    fn in_parts<R: Send>(
        &mut self,
        rows: usize,
        body: impl FnOnce(&mut Self, usize) -> R + Send,
    ) -> R {
        let (work, parts) = (self.work_of(rows), self.parts(rows));
        let is_timed = self.pace.as_ref().is_some_and(|pace| pace.is_timed(work));
        let start = (is_timed && self.threads.parts(work) > 1).then(Instant::now);
        let done = enter(parts, || body(self, parts));
        if let (Some(start), Some(pace)) = (start, &mut self.pace) {
            pace.record(work, start.elapsed());
        }
        done
    }

    /// Multiply-adds of a forward pass of so many rows.
    fn work_of(&self, rows: usize) -> usize {
        self.work.saturating_mul(rows)
    }
}

/// Where rows stand in the batch whose mean the loss is.
#[derive(Clone, Copy, Debug)]
struct PartOfBatch {
    first_row: usize,
    batch_rows: usize,
}

impl PartOfBatch {
    /// A batch of so many rows by itself.
    fn whole(rows: usize) -> Self {
        Self { first_row: 0, batch_rows: rows }
    }
}

impl<E: Element> fmt::Debug for Trainer<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trainer")
            .field("network", &self.network)
            .field("objective", &self.objective)
            .field("optimizer", &self.optimizer)
            .field("max_batch", &self.max_batch)
            .field("threads", &self.threads)
            .finish_non_exhaustive()
    }
}
