//! Steps on a loss of the user's own.

use core::mem;
use deltarule_kernels::Element;

use super::goal::Goal;
use super::spans::Work;
use super::{PartOfBatch, Score, Trainer};
use crate::error::{Error, Result, check_finite, check_length, checked_area, try_vec};
use crate::loss_rule::{LossRule, Outcome};
use crate::targets::WeightedTargets;

/// Where the user's rule is, if there is one.
type OwnRule<E> = Option<Box<dyn LossRule<E>>>;

/// A loss of the user's own, and what passes between it and the network for a whole batch, which is
/// empty before the first such step.
pub(super) struct OwnLoss<E: Element> {
    rule: OwnRule<E>,
    outputs: Vec<E>,
    delta: Vec<E>,
}

impl<E: Element> OwnLoss<E> {
    pub(super) fn new() -> Self {
        Self { rule: None, outputs: Vec::new(), delta: Vec::new() }
    }

    /// Whether the rule takes the place of the trainer's loss.
    pub(super) fn has_rule(&self) -> bool {
        self.rule.is_some()
    }
}

impl<E: Element> Trainer<E> {
    /// [`Trainer::step`] with a loss of one's own, in place of the trainer's.
    ///
    /// `loss` is given the outputs ŷ of the whole batch, (rows, outputs) row-major, and zeros of the
    /// same shape, to which it writes δ = ∂ℒ/∂ŷ; it returns ℒ. Rows need not be by themselves, so
    /// it may compare one with another, as losses of ranking do, and it is called once, on the
    /// calling thread. The outputs are those of training: dropout has the masks of this step, and
    /// batch normalizations normalize by this batch.
    ///
    /// The first call ever allocates memory for the outputs and δ of
    /// [`Trainer::max_batch`] rows. A batch of more than one span (see
    /// [`TrainerBuilder::build`](crate::TrainerBuilder::build)) goes forward twice.
    ///
    /// ```
    /// use deltarule::{Activation, Loss, Network, Optimizer, Trainer};
    /// let network =
    ///     Network::builder(2).dense(8, Activation::Tanh).dense(1, Activation::Identity).build()?;
    /// let mut trainer =
    ///     Trainer::builder(network, Loss::MeanSquaredError, Optimizer::adam(0.05)).build()?;
    /// // RankNet (Burges et al., 2005): of each two rows the first should score higher, and the
    /// // loss is log(1 + exp(second − first)).
    /// let ranked = |scores: &[f32], delta: &mut [f32]| {
    ///     let pairs = scores.len() / 2;
    ///     let mut sum = 0.0;
    ///     for (s, d) in scores.chunks_exact(2).zip(delta.chunks_exact_mut(2)) {
    ///         let wrong = f64::from(s[1] - s[0]);
    ///         sum += wrong.exp().ln_1p();
    ///         let slope = 1.0 / (1.0 + (-wrong).exp()) / pairs as f64;
    ///         (d[0], d[1]) = (-slope as f32, slope as f32);
    ///     }
    ///     sum / pairs as f64
    /// };
    /// let x = [0.9, 0.1, 0.2, 0.1, 0.5, 0.9, 0.1, 0.8];
    /// for _ in 0..100 {
    ///     trainer.step_with(&x, ranked)?;
    /// }
    /// let scores = trainer.network().predict(&x)?;
    /// assert!(scores[0] > scores[1] && scores[2] > scores[3]);
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// Nothing was changed if there is an error: as [`Trainer::step`] for `x`;
    /// [`Error::NonFiniteLoss`] if the loss that was returned is infinite or NaN, which is how
    /// `loss` can refuse a batch; [`Error::NonFinite`] for a `delta` that is;
    /// [`Error::NonFiniteGradient`] if the norm is that the gradient would be clipped by;
    /// [`Error::OutOfMemory`] if there is no memory for outputs and δ.
    pub fn step_with(
        &mut self,
        x: &[E],
        loss: impl FnOnce(&[E], &mut [E]) -> f64,
    ) -> Result<Score> {
        let rows = self.check_x(x)?;
        let loss = |_: &mut OwnRule<E>, outputs: &[E], delta: &mut [E]| loss(outputs, delta);
        self.with_own_loss(x, PartOfBatch::whole(rows), loss, |trainer, goal| {
            trainer.step_towards(x, rows, goal)
        })
    }

    /// [`Trainer::gradients`] of a loss of one's own, which is that of [`Trainer::step_with`].
    ///
    /// ```
    /// # use deltarule::{Activation, Loss, Network, Optimizer, Trainer};
    /// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
    /// # let mut trainer =
    /// #     Trainer::builder(network, Loss::MeanSquaredError, Optimizer::sgd(0.1)).build()?;
    /// trainer.network_mut().parameters_mut().copy_from_slice(&[3.0, 1.0]);
    /// let mut gradient = [0.0; 2];
    /// let score = trainer.gradients_with(&[2.0], &mut gradient, |y, delta| {
    ///     delta[0] = 0.5; // ∂(½ŷ)/∂ŷ
    ///     0.5 * f64::from(y[0])
    /// })?;
    /// assert_eq!((score.loss, gradient), (3.5, [1.0, 0.5]));
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Trainer::step_with`]; [`Error::Length`] if `gradients` has not an element for each
    /// parameter. Nothing was written then.
    pub fn gradients_with(
        &mut self,
        x: &[E],
        gradients: &mut [E],
        loss: impl FnOnce(&[E], &mut [E]) -> f64,
    ) -> Result<Score> {
        check_length("gradients", gradients.len(), self.network.parameters().len())?;
        let rows = self.check_x(x)?;
        let loss = |_: &mut OwnRule<E>, outputs: &[E], delta: &mut [E]| loss(outputs, delta);
        self.with_own_loss(x, PartOfBatch::whole(rows), loss, |trainer, goal| {
            trainer.gradients_towards(x, rows, goal, gradients)
        })
    }

    /// Trains on a loss of one's own from now on, in place of the trainer's: in steps of any kind, in
    /// [`Trainer::fit`], and in [`Trainer::evaluate`], which gives it all rows at once. Class weights
    /// and [`Reduction`](crate::Reduction) are not for it, and no [`Score`] of it tells how many rows
    /// were classified correctly. A checkpoint does not hold it.
    ///
    /// [`LossRule`] has examples. It costs what [`Trainer::step_with`] does, but its memory is
    /// allocated here.
    ///
    /// ```
    /// use deltarule::data::Dataset;
    /// use deltarule::{Activation, Loss, Network, Optimizer, Outcome, Targets, Trainer};
    /// // One target a row, and three outputs: its quantiles.
    /// let quantiles = [0.1, 0.5, 0.9];
    /// let pinball = move |outcome: Outcome<'_, f64>| {
    ///     let Targets::Values(targets) = outcome.targets.targets else { return f64::NAN };
    ///     let (mut loss, share) = (0.0, 1.0 / outcome.batch_rows as f64);
    ///     let rows = outcome.outputs.chunks(3).zip(outcome.delta.chunks_mut(3));
    ///     for ((y, delta), target) in rows.zip(targets) {
    ///         for ((y, delta), quantile) in y.iter().zip(delta).zip(quantiles) {
    ///             *delta = if y > target { 1.0 - quantile } else { -quantile } * share;
    ///             loss += *delta * (y - target);
    ///         }
    ///     }
    ///     loss
    /// };
    /// let y = (0..=100).map(f64::from).collect();
    /// let data = Dataset::from_values(vec![1.0; 101], 1, y, 1)?;
    /// let network = deltarule::NetworkBuilder::new(1).dense(3, Activation::Identity).build()?;
    /// let mut trainer =
    ///     Trainer::builder(network, Loss::MeanSquaredError, Optimizer::adam(1.0)).build()?;
    /// trainer.use_loss(pinball)?;
    /// trainer.fit(&data).batch(101).epochs(400).run()?;
    /// let found = trainer.network().predict(&[1.0])?;
    /// assert!(found.iter().zip([10.0, 50.0, 90.0]).all(|(y, expected)| (y - expected).abs() < 2.0));
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] if there is no memory for outputs and δ.
    pub fn use_loss(&mut self, rule: impl LossRule<E> + 'static) -> Result<()> {
        self.make_room()?;
        self.own_loss.rule = Some(Box::new(rule));
        Ok(())
    }

    /// Lets `go_on` have the goal of these rows, by the trainer's loss or the user's rule.
    pub(super) fn towards(
        &mut self,
        x: &[E],
        targets: WeightedTargets<'_, E>,
        of_batch: PartOfBatch,
        go_on: impl FnOnce(&mut Self, Goal<'_, E>) -> Result<Score>,
    ) -> Result<Score> {
        if !self.own_loss.has_rule() {
            return go_on(self, Goal::Targets(targets));
        }
        let (rows, batch_rows) = (x.len() / self.network.inputs(), of_batch.batch_rows);
        let by_rule = |rule: &mut OwnRule<E>, outputs: &[E], delta: &mut [E]| match rule {
            Some(rule) => rule.evaluate(Outcome { outputs, rows, batch_rows, targets, delta }),
            None => f64::NAN,
        };
        let done = self.with_own_loss(x, of_batch, by_rule, go_on);
        if let Err(Error::NonFiniteLoss { .. } | Error::NonFinite { argument: "delta", .. }) = done
        {
            targets.check_finite(self.network.isa(), ["targets", "weights"])?;
        }
        done
    }

    /// [`Trainer::evaluate`] by the user's rule, of these outputs.
    pub(super) fn evaluate_own_loss(
        &mut self,
        outputs: &[E],
        rows: usize,
        targets: WeightedTargets<'_, E>,
    ) -> Result<Score> {
        let mut delta = try_vec("delta", outputs.len())?;
        let delta = delta.as_mut_slice();
        let outcome = Outcome { outputs, rows, batch_rows: rows, targets, delta };
        let loss = self.own_loss.rule.as_mut().map_or(f64::NAN, |rule| rule.evaluate(outcome));
        targets.check_loss(self.network.isa(), rows, loss)?;
        Ok(Score { loss, rows, correct: None })
    }

    /// Lets the user make δ of the outputs of rows that were checked, and `go_on` with it.
    fn with_own_loss(
        &mut self,
        x: &[E],
        of_batch: PartOfBatch,
        loss: impl FnOnce(&mut OwnRule<E>, &[E], &mut [E]) -> f64,
        go_on: impl FnOnce(&mut Self, Goal<'_, E>) -> Result<Score>,
    ) -> Result<Score> {
        let rows = x.len() / self.network.inputs();
        self.make_room()?;
        let has_values = self.compute_outputs(x, rows, of_batch)?;
        let area = rows * self.network.outputs();
        let OwnLoss { rule, outputs, delta } = &mut self.own_loss;
        delta[..area].fill(E::ZERO);
        let loss = loss(rule, &outputs[..area], &mut delta[..area]);
        if !loss.is_finite() {
            return Err(Error::NonFiniteLoss { rows, loss });
        }
        check_finite(self.network.isa(), "delta", &delta[..area])?;
        let delta = mem::take(delta);
        let done = go_on(self, Goal::Delta { loss, delta: &delta[..area], has_values });
        self.own_loss.delta = delta;
        done
    }

    /// Makes room for the outputs and δ of a batch, if there is none yet; or none any more, after a
    /// panic of the user's optimizer.
    fn make_room(&mut self) -> Result<()> {
        let OwnLoss { outputs, delta, .. } = &mut self.own_loss;
        for (argument, room) in [("outputs", outputs), ("delta", delta)] {
            if room.is_empty() {
                let most = checked_area(argument, self.max_batch, self.network.outputs())?;
                *room = try_vec(argument, most)?;
            }
        }
        Ok(())
    }

    /// The outputs of some rows in training; returns whether all layers' values of them are there.
    fn compute_outputs(&mut self, x: &[E], rows: usize, of_batch: PartOfBatch) -> Result<bool> {
        let (inputs, columns) = (self.network.inputs(), self.network.outputs());
        let last = self.network.ops().len() - 1;
        self.in_parts(rows, |trainer, parts| {
            let work = Work { x, goal: Goal::Outputs, of_batch, parts };
            let span_rows = trainer.begin_batch(rows, parts)?;
            for first in (0..rows).step_by(span_rows) {
                let span = first..rows.min(first + span_rows);
                trainer.propagate_span(work, span.clone())?;
                let x = &x[span.start * inputs..span.end * inputs];
                let shards = trainer.buffers.layout.shards(x, span.len(), &trainer.buffers.arena);
                let mut outputs = &mut trainer.own_loss.outputs[span.start * columns..];
                for shard in shards {
                    let y = shard.y(last);
                    let (here, after) = outputs.split_at_mut(y.len());
                    here.copy_from_slice(y);
                    outputs = after;
                }
            }
            Ok(span_rows >= rows)
        })
    }
}
