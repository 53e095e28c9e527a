//! A step on a loss of the user's own.

use core::mem;
use deltarule_kernels::Element;

use super::goal::Goal;
use super::parallel::enter;
use super::spans::Work;
use super::{PartOfBatch, Score, Trainer};
use crate::error::{Error, Result, check_finite, check_length, checked_area, try_vec};

/// What passes between the network and a loss of the user's own, of a whole batch; empty before
/// the first such step.
#[derive(Debug, Default)]
pub(super) struct OwnLoss<E> {
    outputs: Vec<E>,
    delta: Vec<E>,
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
        self.with_own_loss(x, loss, |trainer, rows, goal| trainer.step_towards(x, rows, goal))
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
        self.with_own_loss(x, loss, |trainer, rows, goal| {
            trainer.gradients_towards(x, rows, goal, gradients)
        })
    }

    /// Lets the user make δ of the outputs, and `go_on` with it.
    fn with_own_loss(
        &mut self,
        x: &[E],
        loss: impl FnOnce(&[E], &mut [E]) -> f64,
        go_on: impl FnOnce(&mut Self, usize, Goal<'_, E>) -> Result<Score>,
    ) -> Result<Score> {
        let rows = self.check_x(x)?;
        let has_values = self.compute_outputs(x, rows)?;
        let area = rows * self.network.outputs();
        let OwnLoss { outputs, delta } = &mut self.own_loss;
        delta[..area].fill(E::ZERO);
        let loss = loss(&outputs[..area], &mut delta[..area]);
        if !loss.is_finite() {
            return Err(Error::NonFiniteLoss { rows, loss });
        }
        check_finite(self.network.isa(), "delta", &delta[..area])?;
        let delta = mem::take(delta);
        let done = go_on(self, rows, Goal::Delta { loss, delta: &delta[..area], has_values });
        self.own_loss.delta = delta;
        done
    }

    /// The outputs of a batch in training; returns whether all layers' values of it are there.
    fn compute_outputs(&mut self, x: &[E], rows: usize) -> Result<bool> {
        let columns = self.network.outputs();
        if self.own_loss.outputs.is_empty() {
            let most = checked_area("outputs", self.max_batch, columns)?;
            let delta = try_vec("delta", most)?;
            self.own_loss = OwnLoss { outputs: try_vec("outputs", most)?, delta };
        }
        let (parts, inputs, last) =
            (self.parts(rows), self.network.inputs(), self.network.ops().len() - 1);
        enter(parts, || {
            let work = Work { x, goal: Goal::Outputs, of_batch: PartOfBatch::whole(rows), parts };
            let span_rows = self.begin_batch(rows, parts)?;
            for first in (0..rows).step_by(span_rows) {
                let span = first..rows.min(first + span_rows);
                self.propagate_span(work, span.clone())?;
                let x = &x[span.start * inputs..span.end * inputs];
                let shards = self.buffers.layout.shards(x, span.len(), &self.buffers.arena);
                let mut outputs = &mut self.own_loss.outputs[span.start * columns..];
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
