//! Training: a step is propagation, then update.

mod builder;
mod parallel;
mod propagate;
mod update;

pub use builder::TrainerBuilder;

use core::fmt;
use deltarule_kernels::optimizer::{MAX_STATES, norm_clip_factor};
use deltarule_kernels::{Element, Isa, reduce};

use crate::error::{Error, Result, check_length, try_vec, whole_rows};
use crate::layers::Dense;
use crate::loss::{Loss, Reduction, Targets};
use crate::network::Network;
use crate::optimizer::Optimizer;
use parallel::{Scratch, Threads, enter};
use propagate::{Batch, Propagate, ShardLayout};
use update::{Apply, ApplyKept, Gradient, Keep, TilePlan};

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
/// # Ok::<(), deltarule::Error>(())
/// ```
pub struct Trainer<E: Element = f32> {
    network: Network<E>,
    loss: Loss,
    reduction: Reduction,
    optimizer: Optimizer,
    max_batch: usize,
    threads: Threads,
    /// The steps that were made.
    steps: u64,
    /// The optimizer's state; what its rule does not keep is empty.
    states: [Vec<E>; MAX_STATES],
    /// The gradient, where it has to be known before the update; empty otherwise.
    kept: Vec<E>,
    losses: Vec<E>,
    buffers: Buffers<E>,
}

/// The workspace of a step, and how it is laid out.
struct Buffers<E> {
    layout: ShardLayout,
    tiles: TilePlan,
    /// The shards' buffers, one shard after the other.
    arena: Vec<E>,
    scratch: Scratch<E>,
}

impl<E: Element> Buffers<E> {
    /// The gradient of the batch that the shards hold.
    fn gradient<'a>(&'a self, isa: Isa, layers: &'a [Dense], x: &'a [E]) -> Gradient<'a, E> {
        let Self { layout, tiles, arena, scratch } = self;
        Gradient { isa, layers, tiles, layout, scratch, x, arena }
    }
}

/// How a network did on some rows, before the parameters were changed.
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

    /// The network as it is now, to change its parameters.
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

    /// The optimizer as it is now.
    pub fn optimizer(&self) -> &Optimizer {
        &self.optimizer
    }

    /// Sets the learning rate of the steps to come.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] unless it is finite and not negative.
    pub fn set_learning_rate(&mut self, learning_rate: f64) -> Result<()> {
        let optimizer = self.optimizer.with_learning_rate(learning_rate);
        optimizer.check()?;
        self.optimizer = optimizer;
        Ok(())
    }

    /// One step of the optimizer on a batch: forward, loss, backward, update. The score is that
    /// from before the update.
    ///
    /// `x` is (rows, inputs) row-major.
    ///
    /// # Errors
    /// Nothing was changed if there is an error: [`Error::Empty`], [`Error::PartialRow`] or
    /// [`Error::BatchTooLarge`] for `x`; [`Error::Length`], [`Error::Class`] or
    /// [`Error::TargetKind`] for `targets`; [`Error::NonFinite`] for an input or a target that is
    /// infinite or NaN; [`Error::NonFiniteLoss`] if the loss is, and
    /// [`Error::NonFiniteGradient`] if the norm is that the gradient would be clipped by.
    pub fn step(&mut self, x: &[E], targets: Targets<'_, E>) -> Result<Score> {
        let rows = self.check(x, targets)?;
        let parts = self.parts(rows);
        let number = self.steps.saturating_add(1);
        let score = enter(parts, || {
            let score = self.propagate(x, targets, rows, parts)?;
            let factor = self.clip(x, rows, parts)?;
            let (isa, layers, parameters) = self.network.split_mut();
            let update = &self.optimizer.at_step(number, factor);
            let states = self.states.each_mut().map(Vec::as_mut_slice);
            let to = Apply { isa, update, parameters, states };
            let gradient = self.buffers.gradient(isa, layers, x);
            if self.kept.is_empty() {
                gradient.run(parts, to)?;
            } else {
                gradient.run(parts, ApplyKept { gradient: &self.kept, to })?;
            }
            Ok::<_, Error>(score)
        })?;
        self.steps = number;
        Ok(score)
    }

    /// Where the gradient is clipped by its norm: keeps the gradient, and returns the factor that
    /// clips it.
    fn clip(&mut self, x: &[E], rows: usize, parts: usize) -> Result<f64> {
        let Some(limit) = self.optimizer.norm_limit() else { return Ok(1.0) };
        let (isa, layers) = (self.network.isa(), self.network.dense_layers());
        self.buffers.gradient(isa, layers, x).run(parts, Keep(&mut self.kept))?;
        let sum = reduce::sum_of_squares(isa, &self.kept);
        if !sum.is_finite() {
            return Err(Error::NonFiniteGradient { rows, norm: sum.sqrt() });
        }
        Ok(norm_clip_factor(sum, limit))
    }

    /// The gradient of the loss on a batch, in the order of [`Network::parameters`]. No parameter
    /// is changed.
    ///
    /// ```
    /// # use deltarule::{Activation, Loss, Network, Optimizer, Targets, Trainer};
    /// let network = Network::builder(1).dense(1, Activation::Identity).build()?;
    /// let mut trainer =
    ///     Trainer::builder(network, Loss::MeanSquaredError, Optimizer::sgd(0.1)).build()?;
    /// trainer.network_mut().parameters_mut().copy_from_slice(&[3.0, 1.0]);
    /// let mut gradient = [0.0; 2];
    /// trainer.gradients(&[2.0], Targets::Values(&[5.0]), &mut gradient)?;
    /// // ŷ = 3 · 2 + 1 = 7, so ∂(ŷ − 5)²/∂w = 2 · 2 · 2 and ∂(ŷ − 5)²/∂b = 2 · 2.
    /// assert_eq!(gradient, [8.0, 4.0]);
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Trainer::step`]; [`Error::Length`] if `gradients` has not an element for each
    /// parameter. Nothing was written then.
    pub fn gradients(
        &mut self,
        x: &[E],
        targets: Targets<'_, E>,
        gradients: &mut [E],
    ) -> Result<Score> {
        let rows = self.check(x, targets)?;
        check_length("gradients", gradients.len(), self.network.parameters().len())?;
        let parts = self.parts(rows);
        enter(parts, || {
            let score = self.propagate(x, targets, rows, parts)?;
            let (isa, layers) = (self.network.isa(), self.network.dense_layers());
            self.buffers.gradient(isa, layers, x).run(parts, Keep(gradients))?;
            Ok(score)
        })
    }

    /// The score on any number of rows. No parameter is changed.
    ///
    /// It is the same bits for any `max_batch`.
    ///
    /// # Errors
    /// As [`Trainer::step`], but for [`Error::BatchTooLarge`].
    pub fn evaluate(&mut self, x: &[E], targets: Targets<'_, E>) -> Result<Score> {
        let rows = whole_rows("x", x.len(), self.network.inputs())?;
        self.loss.check(targets, rows, self.network.outputs())?;
        let mut losses = try_vec("losses", rows)?;
        let mut correct = 0;
        let batch = self.batch(x, targets, rows, false);
        let propagate =
            Propagate::new(&self.network, &self.buffers.layout, &self.buffers.scratch, batch);
        let first_rows = (0..rows).step_by(self.max_batch);
        for (first_row, losses) in first_rows.zip(losses.chunks_mut(self.max_batch)) {
            let parts = self.parts(losses.len());
            let arena = &mut self.buffers.arena;
            correct += enter(parts, || propagate.run(parts, first_row, arena, losses))?;
        }
        self.score(&losses, targets, correct)
    }

    /// Checks a batch's shapes and labels, and returns its rows.
    fn check(&self, x: &[E], targets: Targets<'_, E>) -> Result<usize> {
        let rows = whole_rows("x", x.len(), self.network.inputs())?;
        if rows > self.max_batch {
            let max_batch = self.max_batch;
            return Err(Error::BatchTooLarge { argument: "x", rows, max_batch });
        }
        self.loss.check(targets, rows, self.network.outputs())?;
        Ok(rows)
    }

    /// Into how many parts to divide the work on so many rows.
    fn parts(&self, rows: usize) -> usize {
        self.threads.parts(self.network.parameters().len().saturating_mul(rows))
    }

    fn batch<'a>(
        &self,
        x: &'a [E],
        targets: Targets<'a, E>,
        rows: usize,
        backward: bool,
    ) -> Batch<'a, E> {
        let scale = E::from_f64(self.loss.scale(self.reduction, rows, self.network.outputs()));
        Batch { x, targets, loss: self.loss, scale, backward }
    }

    /// Forward, loss and backward: what a step and [`Trainer::gradients`] begin with.
    fn propagate(
        &mut self,
        x: &[E],
        targets: Targets<'_, E>,
        rows: usize,
        parts: usize,
    ) -> Result<Score> {
        let batch = self.batch(x, targets, rows, true);
        let Buffers { layout, arena, scratch, .. } = &mut self.buffers;
        let propagate = Propagate::new(&self.network, layout, scratch, batch);
        let losses = &mut self.losses[..rows];
        let correct = propagate.run(parts, 0, arena, losses)?;
        self.score(&self.losses[..rows], targets, correct)
    }

    /// The score of these rows, if their loss is finite.
    fn score(&self, losses: &[E], targets: Targets<'_, E>, correct: usize) -> Result<Score> {
        let rows = losses.len();
        let loss = reduce::sum(self.network.isa(), losses).to_f64();
        if let (false, Targets::Values(values)) = (loss.is_finite(), targets)
            && let Some(index) = reduce::first_non_finite(self.network.isa(), values)
        {
            let value = values[index].to_f64();
            return Err(Error::NonFinite { argument: "targets", index, value });
        }
        if !loss.is_finite() {
            return Err(Error::NonFiniteLoss { rows, loss });
        }
        let correct = matches!(targets, Targets::Classes(_)).then_some(correct);
        Ok(Score { loss, rows, correct })
    }
}

impl<E: Element> fmt::Debug for Trainer<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trainer")
            .field("network", &self.network)
            .field("loss", &self.loss)
            .field("reduction", &self.reduction)
            .field("optimizer", &self.optimizer)
            .field("max_batch", &self.max_batch)
            .field("threads", &self.threads)
            .finish_non_exhaustive()
    }
}
