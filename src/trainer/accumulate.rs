//! A step in parts: a batch that is too large for the buffers, or comes bit by bit.

use core::mem;
use deltarule_kernels::{Aligned, Element};

use super::spans::Work;
use super::update::Keep;
use super::{PartOfBatch, Score, Trainer};
use crate::error::{Error, Result, try_aligned};
use crate::layers::Span;
use crate::targets::WeightedTargets;

/// The gradient of the parts so far.
#[derive(Debug)]
pub(super) struct Accumulated<E> {
    /// Empty before the first part ever.
    gradient: Aligned<E>,
    /// The rows so far, and those that were announced.
    rows: usize,
    batch_rows: usize,
    loss: f64,
    correct: Option<usize>,
}

impl<E> Accumulated<E> {
    pub(super) fn new() -> Self {
        Self { gradient: Aligned::default(), rows: 0, batch_rows: 0, loss: 0.0, correct: None }
    }
}

impl<E: Element> Trainer<E> {
    /// Adds the gradient of some rows of a batch that has `batch_rows` rows in all; when they
    /// are all there, [`Trainer::step_accumulated`] makes the step. The score is that of these
    /// rows.
    ///
    /// The parameters are then the same bits as after [`Trainer::step`] on the whole batch, if
    /// every part but the last has a multiple of 64 rows. With a batch normalization they are not:
    /// it normalizes each part by itself, and its running statistics change with every part.
    ///
    /// The first call ever allocates memory for a gradient.
    ///
    /// ```
    /// # use deltarule::{Activation, Loss, Network, Optimizer, Targets, Trainer};
    /// let network = Network::builder(1).dense(1, Activation::Identity).build()?;
    /// let (x, y) = (vec![0.25; 100], vec![1.0; 100]);
    /// let trainer = Trainer::builder(network, Loss::MeanSquaredError, Optimizer::adam(0.1));
    /// let (mut whole, mut parts) = (trainer.clone().build()?, trainer.max_batch(64).build()?);
    /// whole.step(&x, Targets::Values(&y))?;
    /// for (x, y) in x.chunks(64).zip(y.chunks(64)) {
    ///     parts.accumulate(x, Targets::Values(y), 100)?;
    /// }
    /// parts.step_accumulated()?;
    /// assert_eq!(whole.network().parameters(), parts.network().parameters());
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Trainer::step`]; [`Error::BatchRows`] if the rows are more than `batch_rows` in all, or
    /// `batch_rows` is not what it was for the parts before; [`Error::OutOfMemory`] if there is no
    /// memory for a gradient. The parts before are kept then.
    pub fn accumulate<'a>(
        &mut self,
        x: &[E],
        targets: impl Into<WeightedTargets<'a, E>>,
        batch_rows: usize,
    ) -> Result<Score> {
        let targets = targets.into();
        let rows = self.check(x, targets)?;
        let first_row = self.accumulated.rows;
        let is_first = first_row == 0;
        let announced = if is_first { batch_rows } else { self.accumulated.batch_rows };
        let so_far = first_row.saturating_add(rows);
        if announced != batch_rows || so_far > batch_rows {
            return Err(Error::BatchRows { rows: so_far, batch_rows, announced });
        }
        if self.accumulated.gradient.is_empty() {
            self.accumulated.gradient = try_aligned("gradient", self.network.parameters().len())?;
        }
        let of_batch = PartOfBatch { first_row, batch_rows };
        let mut score = self.towards(x, targets, of_batch, |trainer, goal| {
            let mut gradient = mem::take(&mut trainer.accumulated.gradient);
            let done = trainer.in_parts(rows, |trainer, parts| {
                let work = Work { x, goal, of_batch, parts };
                let keep = Keep { gradient: &mut gradient, adds: !is_first };
                let score = trainer.sum_gradient(work, keep, None)?;
                trainer.update_running(rows)?;
                Ok::<_, Error>(score)
            });
            trainer.accumulated.gradient = gradient;
            done
        })?;
        if is_first {
            self.buffers.occurrences.clear_marks();
        }
        self.buffers.occurrences.mark();
        let sum = &mut self.accumulated;
        sum.correct = match (is_first, sum.correct, score.correct) {
            (true, _, correct) => correct,
            (false, Some(before), Some(correct)) => Some(before + correct),
            _ => None,
        };
        sum.loss = if is_first { score.loss } else { sum.loss + score.loss };
        (sum.rows, sum.batch_rows) = (so_far, batch_rows);
        score.loss *= batch_rows as f64 / rows as f64;
        Ok(score)
    }

    /// One step of the optimizer on the batch whose parts were accumulated. The score is that of
    /// all of them.
    ///
    /// ```
    /// # use deltarule::{Activation, Error, Loss, Network, Optimizer, Targets, Trainer};
    /// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
    /// let mut trainer =
    ///     Trainer::builder(network, Loss::MeanSquaredError, Optimizer::sgd(0.1)).build()?;
    /// trainer.accumulate(&[1.0], Targets::Values(&[2.0]), 2)?;
    /// let too_early = trainer.step_accumulated().unwrap_err();
    /// assert_eq!(too_early, Error::BatchRows { rows: 1, batch_rows: 2, announced: 2 });
    /// trainer.accumulate(&[2.0], Targets::Values(&[4.0]), 2)?;
    /// assert_eq!(trainer.step_accumulated()?.rows, 2);
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::BatchRows`] if not all rows are there yet; [`Error::NonFiniteGradient`] if the norm
    /// is that the gradient would be clipped by. The parameters are unchanged then, and the parts
    /// kept.
    pub fn step_accumulated(&mut self) -> Result<Score> {
        let Accumulated { rows, batch_rows, loss, correct, .. } = self.accumulated;
        if rows == 0 || rows < batch_rows {
            return Err(Error::BatchRows { rows, batch_rows, announced: batch_rows });
        }
        self.check_network()?;
        let gradient = mem::take(&mut self.accumulated.gradient);
        // Before an optimizer of the user's own might panic, with which the gradient would be gone.
        self.discard_accumulated();
        let done = self.in_parts(rows, |trainer, parts| {
            trainer.apply_kept(&gradient, Span::Marked, rows, parts)?;
            trainer.end_step(parts)
        });
        self.accumulated.gradient = gradient;
        if done.is_err() {
            self.accumulated.rows = rows;
        }
        done?;
        Ok(Score { loss, rows, correct })
    }

    /// Forgets the parts that were accumulated.
    ///
    /// ```
    /// # use deltarule::{Activation, Loss, Network, Optimizer, Targets, Trainer};
    /// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
    /// let mut trainer =
    ///     Trainer::builder(network, Loss::MeanSquaredError, Optimizer::sgd(0.1)).build()?;
    /// trainer.accumulate(&[1.0], Targets::Values(&[2.0]), 2)?;
    /// trainer.discard_accumulated(); // the rest never came
    /// trainer.accumulate(&[3.0], Targets::Values(&[6.0]), 1)?; // another batch
    /// assert_eq!(trainer.step_accumulated()?.rows, 1);
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn discard_accumulated(&mut self) {
        self.accumulated.rows = 0;
    }
}
