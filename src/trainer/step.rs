//! One step, fused or not.

use core::mem;
use deltarule_kernels::optimizer::norm_clip_factor;
use deltarule_kernels::{Element, reduce};

use super::goal::Goal;
use super::spans::Work;
use super::tiles::Piece;
use super::update::{Apply, ApplyKept, Keep};
use super::{PartOfBatch, Score, Trainer};
use crate::diagnostics::Diagnostics;
use crate::error::{Error, Result, check_length, try_aligned};
use crate::layers::{Op, Part, Span};
use crate::network::Trained;
use crate::optimizer::{Stretch, UpdateRule};
use crate::targets::WeightedTargets;

impl<E: Element> Trainer<E> {
    /// One step of the optimizer on a batch: forward, loss, backward, update. The score is that
    /// from before the update.
    ///
    /// `x` is (rows, inputs) row-major. The targets are [`Targets`](crate::Targets), or
    /// [`WeightedTargets`], which give each row a weight.
    ///
    /// Rows of 2 MiB and more are read in less time from an
    /// [`Aligned`](crate::kernels::Aligned), which is in huge pages: 784-512-512-10 on 1,024 rows
    /// takes 1.01 times as long with a vector on one thread, and 1.04 times on two (AMD EPYC, Zen 4).
    ///
    /// ```
    /// # use deltarule::{Activation, Error, Loss, Network, Optimizer, Targets, Trainer};
    /// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
    /// let mut trainer =
    ///     Trainer::builder(network, Loss::MeanSquaredError, Optimizer::sgd(0.125)).build()?;
    /// trainer.network_mut().parameters_mut().copy_from_slice(&[3.0, 1.0]);
    /// let score = trainer.step(&[2.0], Targets::Values(&[5.0]))?;
    /// assert_eq!(score.loss, 4.0); // (3 · 2 + 1 − 5)²
    /// assert_eq!(trainer.network().parameters(), [3.0 - 8.0 / 8.0, 1.0 - 4.0 / 8.0]);
    /// // A bad row changes nothing.
    /// let error = trainer.step(&[f32::INFINITY], Targets::Values(&[5.0])).unwrap_err();
    /// assert!(matches!(error, Error::NonFinite { argument: "x", index: 0, .. }));
    /// assert_eq!(trainer.network().parameters(), [2.0, 0.5]);
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// Nothing was changed if there is an error: [`Error::Empty`], [`Error::PartialRow`] or
    /// [`Error::BatchTooLarge`] for `x`; [`Error::Length`], [`Error::Class`] or
    /// [`Error::TargetKind`] for `targets`; [`Error::OutOfRange`] for those of a binary cross-entropy
    /// outside 0 to 1; [`Error::Length`] for weights that are not one for each row;
    /// [`Error::NonFinite`] for an input, a target or a weight that is infinite or NaN;
    /// [`Error::Category`] for a categorical column;
    /// [`Error::NonFiniteVariance`] if that of a batch normalization's inputs is infinite or NaN,
    /// [`Error::NonFiniteLoss`] if the loss is, and
    /// [`Error::NonFiniteGradient`] if the norm is that the gradient would be clipped by;
    /// [`Error::OtherNetwork`] if [`Trainer::network_mut`] was used to put in one of other layers.
    pub fn step<'a>(
        &mut self,
        x: &[E],
        targets: impl Into<WeightedTargets<'a, E>>,
    ) -> Result<Score> {
        let targets = targets.into();
        let rows = self.check(x, targets)?;
        self.towards(x, targets, PartOfBatch::whole(rows), |trainer, goal| {
            trainer.step_towards(x, rows, goal)
        })
    }

    /// [`Trainer::step`] on rows that were checked.
    pub(super) fn step_towards(
        &mut self,
        x: &[E],
        rows: usize,
        goal: Goal<'_, E>,
    ) -> Result<Score> {
        self.in_parts(rows, |trainer, parts| {
            let work = Work { x, goal, of_batch: PartOfBatch::whole(rows), parts };
            let keeps = trainer.rule.is_some() || trainer.optimizer.norm_limit().is_some();
            let score = if keeps || rows > trainer.buffers.span_rows {
                trainer.make_room_to_keep()?;
                let mut sum = mem::take(&mut trainer.kept);
                let keep = Keep::new(&mut sum);
                let done = trainer.sum_spans(work, keep, None).and_then(|score| {
                    trainer.apply_kept(&sum, Span::Batch, rows, parts)?;
                    Ok(score)
                });
                trainer.kept = sum;
                done?
            } else {
                let score = trainer.propagate(work)?;
                trainer.apply(x, rows, parts)?;
                score
            };
            trainer.update_running(rows)?;
            trainer.end_step(parts)?;
            Ok(score)
        })
    }

    /// [`Trainer::step`], with a look at every layer on the way. The parameters are the same bits
    /// as after that.
    ///
    /// ```
    /// # use deltarule::{Activation, Diagnostics, Loss, Network, Optimizer, Targets, Trainer};
    /// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
    /// let mut trainer =
    ///     Trainer::builder(network, Loss::MeanSquaredError, Optimizer::sgd(0.125)).build()?;
    /// trainer.network_mut().parameters_mut().copy_from_slice(&[3.0, 1.0]);
    /// let mut diagnostics = Diagnostics::new(trainer.network())?;
    /// trainer.step_diagnosed(&[2.0], Targets::Values(&[5.0]), &mut diagnostics)?;
    /// let norms = diagnostics.layers()[0].parameters.expect("it learns");
    /// assert!((norms.gradient - 80f64.sqrt()).abs() < 1e-6); // of (8, 4)
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Trainer::step`]; [`Error::Length`] if `diagnostics` was made for another network.
    pub fn step_diagnosed<'a>(
        &mut self,
        x: &[E],
        targets: impl Into<WeightedTargets<'a, E>>,
        diagnostics: &mut Diagnostics<E>,
    ) -> Result<Score> {
        let targets = targets.into();
        let rows = self.check(x, targets)?;
        diagnostics.check(&self.network)?;
        self.towards(x, targets, PartOfBatch::whole(rows), |trainer, goal| {
            trainer.diagnose_towards(x, rows, goal, diagnostics)
        })
    }

    /// [`Trainer::step_diagnosed`] on rows that were checked.
    fn diagnose_towards(
        &mut self,
        x: &[E],
        rows: usize,
        goal: Goal<'_, E>,
        diagnostics: &mut Diagnostics<E>,
    ) -> Result<Score> {
        self.in_parts(rows, |trainer, parts| {
            let mut gradient = mem::take(&mut diagnostics.gradient);
            let work = Work { x, goal, of_batch: PartOfBatch::whole(rows), parts };
            let done = trainer.sum_gradient(work, Keep::new(&mut gradient), Some(diagnostics));
            diagnostics.gradient = gradient;
            let score = done?;
            diagnostics.remember(trainer.network.parameters());
            trainer.apply_kept(&diagnostics.gradient, Span::Batch, rows, parts)?;
            trainer.update_running(rows)?;
            let pieces = trainer.buffers.tiles.pieces();
            diagnostics.compare(trainer.network.isa(), &trainer.network, |op| {
                pieces.iter().any(|piece| piece.op == op && piece.rates.is_some())
            })?;
            trainer.end_step(parts)?;
            Ok(score)
        })
    }

    /// The number of the step to come.
    pub(super) fn number(&self) -> u64 {
        self.steps.saturating_add(1)
    }

    /// Computes the step's update for each kind of rates.
    fn prepare_updates(&mut self, gradient_factor: f64) {
        let (optimizer, number) = (&self.optimizer, self.number());
        for (update, &rates) in self.updates.iter_mut().zip(&self.rates) {
            *update = optimizer.at_step(number, gradient_factor, rates);
        }
    }

    /// The fused update: each tile of the gradient is applied as soon as it is computed.
    fn apply(&mut self, x: &[E], rows: usize, parts: usize) -> Result<()> {
        self.prepare_updates(1.0);
        let Trained { isa, ops, parameters, .. } = self.network.trained();
        let states = self.states.each_mut().map(|state| &mut **state);
        let to = Apply { isa, updates: &self.updates, parameters, states };
        let (gradient, scratch) = self.buffers.gradient(isa, ops, (x, rows), Span::Batch);
        gradient.run(parts, scratch, to)
    }

    /// Clips a gradient of so many rows by its norm, if the optimizer says so, and applies it.
    pub(super) fn apply_kept(
        &mut self,
        gradient: &[E],
        span: Span,
        rows: usize,
        parts: usize,
    ) -> Result<()> {
        let mut factor = 1.0;
        if let Some(limit) = self.optimizer.norm_limit() {
            let sum = reduce::sum_of_squares(self.network.isa(), gradient);
            if !sum.is_finite() {
                return Err(Error::NonFiniteGradient { rows, norm: sum.sqrt() });
            }
            factor = norm_clip_factor(sum, limit);
        }
        if self.rule.is_some() {
            return self.apply_rule(gradient, factor, span);
        }
        self.prepare_updates(factor);
        let Trained { isa, ops, parameters, .. } = self.network.trained();
        let states = self.states.each_mut().map(|state| &mut **state);
        let to = Apply { isa, updates: &self.updates, parameters, states };
        let (known, scratch) = self.buffers.gradient(isa, ops, (&[], 0), span);
        known.run(parts, scratch, ApplyKept { gradient, to })
    }

    /// Applies a gradient by the user's rule, which stays in its place if it panics.
    fn apply_rule(&mut self, gradient: &[E], gradient_factor: f64, span: Span) -> Result<()> {
        let step = self.number();
        let Self { rule: Some(rule), network, optimizer, buffers, .. } = self else {
            return Ok(());
        };
        let Trained { ops, parameters, .. } = network.trained();
        let mut start = 0;
        for Piece { op, part, len, rates } in buffers.tiles.pieces() {
            let offset = start;
            start += len;
            let Some(rates) = *rates else { continue };
            let mut give = |offset: usize, len: usize| {
                rule.update(Stretch {
                    step,
                    learning_rate: optimizer.learning_rate() * rates.factor,
                    decays: rates.decays,
                    offset,
                    gradient_factor,
                    gradient: &gradient[offset..offset + len],
                    parameters: &mut parameters[offset..offset + len],
                });
            };
            let (Op::Embedding(embedding), Part::Table(table, categories)) = (&ops[*op], part)
            else {
                give(offset, *len);
                continue;
            };
            let dimensions = embedding.dimensions(*table);
            buffers.occurrences.for_each(span, *table, categories, |category, _| {
                give(offset + (category - categories.start) * dimensions, dimensions);
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Lets the moments of a batch of so many rows into the running statistics.
    pub(super) fn update_running(&mut self, rows: usize) -> Result<()> {
        let Trained { isa, ops, statistics, .. } = self.network.trained();
        for &index in self.buffers.layout.barriers() {
            if let Op::BatchNorm(norm) = &ops[index] {
                norm.update_running(isa, rows, &self.buffers.moments, statistics)?;
            }
        }
        Ok(())
    }

    /// Trains with a rule of one's own from now on, in place of the optimizer's. Of the optimizer
    /// the learning rate still counts, and clipping by the norm; clipping by value and decay are
    /// up to the rule.
    ///
    /// A step then writes the whole gradient before it changes any parameter, which takes memory
    /// for a gradient and some time.
    ///
    /// ```
    /// use deltarule::{Stretch, UpdateRule};
    /// # use deltarule::{Activation, Loss, Network, Optimizer, Targets, Trainer};
    /// /// Steps whose length is η, whatever the gradient's.
    /// struct Normalized;
    ///
    /// impl UpdateRule<f64> for Normalized {
    ///     fn update(&mut self, stretch: Stretch<'_, f64>) {
    ///         let norm = stretch.gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
    ///         for (parameter, g) in stretch.parameters.iter_mut().zip(stretch.gradient) {
    ///             *parameter -= stretch.learning_rate * g / norm;
    ///         }
    ///     }
    /// }
    ///
    /// # let network = deltarule::NetworkBuilder::<f64>::new(2)
    /// #     .dense_without_bias(1, Activation::Identity)
    /// #     .init(deltarule::Init::Zeros)
    /// #     .build()?;
    /// let mut trainer =
    ///     Trainer::builder(network, Loss::MeanSquaredError, Optimizer::sgd(0.5)).build()?;
    /// trainer.use_rule(Normalized)?;
    /// trainer.step(&[3.0, -4.0], Targets::Values(&[100.0]))?;
    /// assert_eq!(trainer.network().parameters(), [0.3, -0.4]);
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] if there is no memory for a gradient.
    pub fn use_rule(&mut self, rule: impl UpdateRule<E> + 'static) -> Result<()> {
        self.make_room_to_keep()?;
        self.rule = Some(Box::new(rule));
        Ok(())
    }

    /// Makes room for a gradient, if there is none yet; or none any more, after a panic of the rule.
    pub(super) fn make_room_to_keep(&mut self) -> Result<()> {
        if self.kept.is_empty() {
            self.kept = try_aligned("gradient", self.network.parameters().len())?;
        }
        Ok(())
    }

    /// The gradient of the loss on a batch, in the order of
    /// [`Network::parameters`](crate::Network::parameters). No parameter
    /// is changed. It is the gradient that [`Trainer::step`] would use: batch normalizations
    /// normalize by this batch, and dropout has the masks of the step to come. That of a frozen layer
    /// is 0.
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
    pub fn gradients<'a>(
        &mut self,
        x: &[E],
        targets: impl Into<WeightedTargets<'a, E>>,
        gradients: &mut [E],
    ) -> Result<Score> {
        let targets = targets.into();
        let rows = self.check(x, targets)?;
        check_length("gradients", gradients.len(), self.network.parameters().len())?;
        self.towards(x, targets, PartOfBatch::whole(rows), |trainer, goal| {
            trainer.gradients_towards(x, rows, goal, gradients)
        })
    }

    /// [`Trainer::gradients`] on rows that were checked.
    pub(super) fn gradients_towards(
        &mut self,
        x: &[E],
        rows: usize,
        goal: Goal<'_, E>,
        gradients: &mut [E],
    ) -> Result<Score> {
        self.in_parts(rows, |trainer, parts| {
            let work = Work { x, goal, of_batch: PartOfBatch::whole(rows), parts };
            trainer.sum_gradient(work, Keep::new(gradients), None)
        })
    }
}
