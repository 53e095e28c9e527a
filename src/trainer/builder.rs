//! How a network is to be trained.

use core::ops::{Bound, RangeBounds};
use deltarule_kernels::optimizer::MAX_STATES;
use deltarule_kernels::{Aligned, Element};

use super::accumulate::Accumulated;
use super::average::{Averaging, Kept, WeightAverage};
use super::goal::Objective;
use super::layout::ShardLayout;
use super::own_loss::OwnLoss;
use super::pace::Pace;
use super::parallel::{PARALLEL_WORK, Scratch, Threads};
use super::spans::span_rows;
use super::tiles::TilePlan;
use super::{Buffers, Trainer};
use crate::error::{Error, Result, try_aligned, try_vec};
use crate::layers::{Occurrences, Op, Part};
use crate::loss::{Loss, Reduction};
use crate::network::Network;
use crate::optimizer::{Optimizer, ParameterGroup};

/// What a [`Trainer`] is to be; [`Trainer::builder`] makes one.
///
/// ```
/// use deltarule::{Activation, Loss, Network, Optimizer, Reduction, Trainer};
/// let network =
///     Network::builder(4).dense(8, Activation::Relu).dense(2, Activation::Identity).build()?;
/// let builder = Trainer::builder(network, Loss::MeanSquaredError, Optimizer::adam(1e-3))
///     .reduction(Reduction::MeanOverElements)
///     .max_batch(64)
///     .seed(42);
/// // A builder can be kept, and makes the same trainer again.
/// let (trainer, other) = (builder.clone().threads(1).build()?, builder.build()?);
/// assert_eq!(trainer.max_batch(), 64);
/// assert_eq!(trainer.network().parameters(), other.network().parameters());
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct TrainerBuilder<E: Element = f32> {
    network: Network<E>,
    loss: Loss,
    reduction: Reduction,
    class_weights: Option<Vec<f64>>,
    optimizer: Optimizer,
    groups: Vec<(Bound<usize>, Bound<usize>, ParameterGroup)>,
    seed: u64,
    max_batch: usize,
    threads: Threads,
    /// Whether steps of little work are timed on one thread and on more.
    paced: bool,
    average: Option<Averaging>,
    average_after: u64,
}

impl<E: Element> TrainerBuilder<E> {
    pub(super) fn new(network: Network<E>, loss: Loss, optimizer: Optimizer) -> Self {
        Self {
            network,
            loss,
            reduction: Reduction::default(),
            class_weights: None,
            optimizer,
            groups: Vec::new(),
            seed: 0,
            max_batch: 256,
            threads: Threads { most: usize::MAX, threshold: PARALLEL_WORK },
            paced: true,
            average: None,
            average_after: 0,
        }
    }

    /// Sets the most rows of a step, 256 otherwise: the buffers are made for so many.
    ///
    /// ```
    /// # use deltarule::{Activation, Error, Loss, Network, Optimizer, Targets, Trainer};
    /// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
    /// let builder = Trainer::builder(network, Loss::MeanSquaredError, Optimizer::sgd(0.1));
    /// let mut trainer = builder.max_batch(2).build()?;
    /// let error = trainer.step(&[1.0, 2.0, 3.0], Targets::Values(&[2.0, 4.0, 6.0])).unwrap_err();
    /// assert_eq!(error, Error::BatchTooLarge { argument: "x", rows: 3, max_batch: 2 });
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn max_batch(mut self, rows: usize) -> Self {
        self.max_batch = rows;
        self
    }

    /// Sets the most threads that work on a step, otherwise all of rayon's current pool.
    ///
    /// The pool is that in which [`Trainer::step`] is called, or else rayon's global one; the
    /// trainer makes none. With 1, rayon is never touched. A step with little work stays on the
    /// calling thread anyway. The results are the same bits for any number.
    ///
    /// ```
    /// # use deltarule::{Activation, Loss, Network, Optimizer, Targets, Trainer};
    /// # let network =
    /// #     Network::builder(2).dense(64, Activation::Tanh).dense(1, Activation::Identity).build()?;
    /// let builder = Trainer::builder(network, Loss::MeanSquaredError, Optimizer::adam(0.01));
    /// let mut alone = builder.clone().threads(1).build()?; // for a server with threads of its own
    /// let mut together = builder.parallel_threshold(0).build()?;
    /// let (x, y) = ([0.5; 200], [1.0; 100]);
    /// alone.step(&x, Targets::Values(&y))?;
    /// together.step(&x, Targets::Values(&y))?;
    /// assert_eq!(alone.network().parameters(), together.network().parameters());
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads.most = threads;
        self
    }

    /// Sets how much work a step has to be for more threads than the calling one to take part:
    /// parameters times rows.
    ///
    /// Otherwise it is 2¹⁸ at least: a pool takes ten microseconds and more to wake, in which one
    /// core makes such a step. From there to 2²⁵ the trainer measures: it makes sixteen steps on all
    /// threads, sixteen on one, and the next two thousand the shorter way. The results are the same
    /// bits for any number.
    ///
    /// ```
    /// # use deltarule::{Activation, Loss, Network, Optimizer, Targets, Trainer};
    /// # let network = Network::builder(2).dense(64, Activation::Tanh).dense(1, Activation::Tanh);
    /// # let network = network.build()?;
    /// let builder = Trainer::builder(network, Loss::MeanSquaredError, Optimizer::sgd(0.1));
    /// let mut often = builder.clone().parallel_threshold(1000).build()?; // where threads spin
    /// let mut never = builder.parallel_threshold(usize::MAX).build()?;
    /// let (x, y) = ([0.5; 200], [1.0; 100]);
    /// often.step(&x, Targets::Values(&y))?;
    /// never.step(&x, Targets::Values(&y))?;
    /// assert_eq!(often.network().parameters(), never.network().parameters());
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn parallel_threshold(mut self, work: usize) -> Self {
        self.threads.threshold = work;
        self.paced = false;
        self
    }

    /// Sets what a loss on values is divided by, the rows otherwise.
    ///
    /// ```
    /// # use deltarule::{Activation, Loss, Network, Optimizer, Reduction, Targets, Trainer};
    /// # let network = Network::builder(1)
    /// #     .dense(2, Activation::Identity)
    /// #     .init(deltarule::Init::Zeros)
    /// #     .build()?;
    /// let builder = Trainer::builder(network, Loss::MeanSquaredError, Optimizer::sgd(0.1));
    /// let (x, targets) = ([1.0], Targets::Values(&[3.0, 1.0]));
    /// let mut trainer = builder.clone().build()?;
    /// assert_eq!(trainer.evaluate(&x, targets)?.loss, 9.0 + 1.0);
    /// let mut trainer = builder.reduction(Reduction::MeanOverElements).build()?;
    /// assert_eq!(trainer.evaluate(&x, targets)?.loss, (9.0 + 1.0) / 2.0);
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn reduction(mut self, reduction: Reduction) -> Self {
        self.reduction = reduction;
        self
    }

    /// Weighs the classes of [`Loss::SoftmaxCrossEntropy`] or [`Loss::SmoothedCrossEntropy`], all 1
    /// otherwise: qᵢⱼ of the loss is multiplied by wⱼ, so that a rare class counts as much as a
    /// frequent one. [`Dataset::balanced_weights`](crate::data::Dataset::balanced_weights) has such
    /// weights. They count in steps and in [`Trainer::evaluate`]; metrics do not know them.
    ///
    /// The loss is still divided by the rows, as Keras does, and not by the sum of their weights,
    /// as PyTorch does.
    ///
    /// ```
    /// # use deltarule::{Activation, Error, Loss, Network, Optimizer, Targets, Trainer};
    /// # let network = Network::builder(1)
    /// #     .dense(2, Activation::Identity)
    /// #     .init(deltarule::Init::Zeros)
    /// #     .build()?;
    /// let builder = Trainer::builder(network, Loss::SoftmaxCrossEntropy, Optimizer::sgd(0.1));
    /// let mut trainer = builder.clone().class_weights([1.0, 9.0]).build()?;
    /// let rare = trainer.evaluate(&[1.0], Targets::Classes(&[1]))?.loss;
    /// assert!((rare - 9.0 * 2f64.ln()).abs() < 1e-5);
    /// let error = builder.class_weights([1.0]).build().unwrap_err();
    /// assert_eq!(error, Error::Length { argument: "class_weights", expected: 2, actual: 1 });
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn class_weights(mut self, weights: impl Into<Vec<f64>>) -> Self {
        self.class_weights = Some(weights.into());
        self
    }

    /// Sets the seed of dropout's masks, which is 0 otherwise. A mask depends on it, on the step,
    /// the layer, the row in the batch and the column, and on nothing else.
    ///
    /// ```
    /// # use deltarule::{Activation, Loss, Network, Optimizer, Targets, Trainer};
    /// let network = Network::builder(1)
    ///     .dense(64, Activation::Relu)
    ///     .dropout(0.5)
    ///     .dense(1, Activation::Identity)
    ///     .build()?;
    /// let builder = Trainer::builder(network, Loss::MeanSquaredError, Optimizer::sgd(0.1));
    /// let step = |seed| builder.clone().seed(seed).build()?.step(&[1.0], Targets::Values(&[9.0]));
    /// assert_eq!(step(1)?, step(1)?);
    /// assert_ne!(step(1)?, step(2)?);
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets how the layers with these indices (of [`Network::layers`]) are trained. Of two groups
    /// with the same layer the later one counts.
    ///
    /// ```
    /// use deltarule::{Activation, Loss, Network, Optimizer, ParameterGroup, Targets, Trainer};
    /// let network = Network::builder(4)
    ///     .dense(8, Activation::Relu)
    ///     .dense(2, Activation::Identity)
    ///     .build()?;
    /// let before = network.clone();
    /// let mut trainer = Trainer::builder(network, Loss::SoftmaxCrossEntropy, Optimizer::adam(0.01))
    ///     .group(..1, ParameterGroup::frozen())
    ///     .build()?;
    /// trainer.step(&[0.5, -1.0, 2.0, 0.25], Targets::Classes(&[1]))?;
    /// assert_eq!(trainer.network().layer(0), before.layer(0));
    /// assert_ne!(trainer.network().layer(1), before.layer(1));
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn group(mut self, layers: impl RangeBounds<usize>, group: ParameterGroup) -> Self {
        self.groups.push((layers.start_bound().cloned(), layers.end_bound().cloned(), group));
        self
    }

    /// Keeps an average of the weights after each step: [`Trainer::average`], which is a
    /// [`WeightAverage`] that the trainer updates, and which checkpoints hold.
    ///
    /// The training itself stays the same bits. [`Trainer::fit`] judges the averaged network: its
    /// are the validation losses and the metrics, and with early stopping the best weights, which
    /// the network gets and from which the average begins anew. A step goes through all parameters
    /// once more, those of categories that do not occur among them.
    ///
    /// ```
    /// # use deltarule::{*, data::Dataset};
    /// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
    /// # let data = Dataset::from_values(vec![1., 2., 3., 4.], 1, vec![2., 4., 6., 8.], 1)?;
    /// let mut trainer = Trainer::builder(network, Loss::MeanSquaredError, Optimizer::sgd(0.01))
    ///     .average(Averaging::Exponential { decay: 0.9 })
    ///     .build()?;
    /// let history = trainer.fit(&data).validation(&data).run()?;
    /// let average = trainer.average().expect("it was asked for");
    /// assert_eq!(average.updates(), trainer.steps());
    /// let predictor = average.network().freeze()?;
    /// # assert_eq!(predictor.predict(&[1.0])?, average.network().predict(&[1.0])?);
    /// let score = trainer.evaluate_average(data.features(), data.targets())?;
    /// assert_eq!(history.last().and_then(|epoch| epoch.validation_loss), Some(score.loss));
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn average(mut self, averaging: Averaging) -> Self {
        self.average = Some(averaging);
        self
    }

    /// Lets the average that [`TrainerBuilder::average`] asks for begin after so many steps, 0
    /// otherwise. Until then it is a copy of the network.
    ///
    /// ```
    /// # use deltarule::{Activation, Averaging, Loss, Network, Optimizer, Targets, Trainer};
    /// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
    /// let mut trainer = Trainer::builder(network, Loss::MeanSquaredError, Optimizer::sgd(0.1))
    ///     .average(Averaging::Equal)
    ///     .average_after(75) // of 100
    ///     .build()?;
    /// for _ in 0..100 {
    ///     trainer.step(&[2.0], Targets::Values(&[5.0]))?;
    /// }
    /// assert_eq!(trainer.average().map(|average| average.updates()), Some(25));
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn average_after(mut self, steps: u64) -> Self {
        self.average_after = steps;
        self
    }

    /// The group of each layer.
    fn groups_of_layers(&self) -> Result<Vec<ParameterGroup>> {
        let layers = self.network.ops().len();
        let mut of_layers = vec![ParameterGroup::default(); layers];
        for &(start, end, group) in &self.groups {
            group.check()?;
            let start = match start {
                Bound::Included(index) => index,
                Bound::Excluded(index) => index.saturating_add(1),
                Bound::Unbounded => 0,
            };
            let end = match end {
                Bound::Included(index) => index.saturating_add(1),
                Bound::Excluded(index) => index,
                Bound::Unbounded => layers,
            };
            let outside = Error::Layer { argument: "layers", index: end.max(start), layers };
            of_layers.get_mut(start..end).ok_or(outside)?.fill(group);
        }
        Ok(of_layers)
    }

    /// Makes the trainer, with every buffer that a step needs.
    ///
    /// ```
    /// # use deltarule::{Activation, Loss, Network, Optimizer, Trainer};
    /// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
    /// let loss = Loss::Huber { threshold: -1.0 };
    /// let error = Trainer::builder(network, loss, Optimizer::sgd(0.1)).build().unwrap_err();
    /// assert_eq!(error.to_string(), "`threshold` is -1, but it must be finite and above 0");
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Memory
    /// In elements, besides the network: with P parameters, S·P for the S states of the
    /// optimizer's rule; another network for an average; for each row of a span every layer's
    /// outputs and, but where the layer above works in place, as all but dense ones do, as many
    /// errors, and in a dense layer whose derivative is computed from z that too; for every 64 rows of a span each layer
    /// normalization's γ and β; for each row of a batch its loss; P for a gradient if it is clipped
    /// by its norm, or if a batch has more than one span; and for each thread the largest tile of
    /// the gradient, P/3 divided by the threads but from 65,536 to 262,144, or 24 rows of the widest
    /// W, a page, and the scratch space of the largest product, which stays below 2²⁰ elements
    /// together for 784-512-512-10.
    ///
    /// A span is a batch, or as many of its rows as have inputs, outputs and errors of 3 MiB for
    /// each thread, or of P elements if that is more. With batch normalization or embeddings it is
    /// always a batch. A shard has up to 512 of a span's rows, and there is one for each thread.
    ///
    /// # Errors
    /// [`Error::Zero`] for a `max_batch` or `threads` of 0, [`Error::OutOfRange`] for a number of
    /// the optimizer's, a group's, the loss's or the average's that has no meaning,
    /// [`Error::Layer`] for a group with layers that are not there, [`Error::Length`] for class weights that are not one for
    /// each class, [`Error::ClassWeights`] for a loss without classes, [`Error::LossOfOutputs`] for a
    /// softmax of one output, or logits that come out of a sigmoid; [`Error::Overflow`] or
    /// [`Error::OutOfMemory`] if the buffers are too large.
    pub fn build(self) -> Result<Trainer<E>> {
        for (argument, value) in [("max_batch", self.max_batch), ("threads", self.threads.most)] {
            if value == 0 {
                return Err(Error::Zero { argument });
            }
        }
        self.optimizer.check()?;
        self.loss.check_numbers()?;
        self.loss.check_outputs(&self.network)?;
        if let Some(weights) = &self.class_weights {
            self.loss.check_class_weights(weights, self.network.outputs())?;
        }
        let groups = self.groups_of_layers()?;
        let average = match self.average {
            Some(averaging) => {
                let average = WeightAverage::new(&self.network, averaging)?;
                Some(Kept { average, after: self.average_after })
            }
            None => None,
        };
        let Self { network, loss, reduction, optimizer, seed, max_batch, threads, .. } = self;
        let class_weights = self.class_weights.unwrap_or_default();
        let class_weights = class_weights.into_iter().map(E::from_f64).collect();
        let objective = Objective { loss, reduction, class_weights };
        let ops = network.ops();
        let is_frozen: Vec<bool> = groups.iter().map(|group| group.frozen).collect();
        // Without fused multiply-adds the bits of a product depend on its shape.
        let layout = ShardLayout::new(ops, &is_frozen, !network.isa().has_fma())?;
        let rates_of = |op: usize, part: &Part| {
            groups[op].rates(part.is_weights()).filter(|_| ops[op].shape().learns())
        };
        let alike = |one, other| optimizer.treats_alike(one, other);
        let (count, at_once) = (network.parameters().len(), threads.at_once());
        let (tiles, rates) = TilePlan::new(ops, (count, at_once), rates_of, alike);
        let span_rows = span_rows(&network, &layout, max_batch, at_once);
        let arena = try_aligned("activations", layout.arena_len(span_rows)?)?;
        let losses = try_vec("losses", max_batch)?;
        let (mut products, most_rows) = (0, layout.most_rows().min(span_rows));
        for op in ops.iter() {
            if let Op::Dense(dense) = op {
                let needed = dense.scratch_len::<E>(network.isa(), most_rows, true)?;
                products = products.max(needed);
            }
        }
        let room = tiles.room::<E>();
        let scratch_len = room.checked_add(products).ok_or(Error::Overflow {
            argument: "scratch",
            rows: room,
            columns: products,
        })?;
        let scratch = Scratch::new(threads, scratch_len)?;
        let moments = try_vec("moments", network.moments_len())?;
        let occurrences = match ops.first() {
            Some(Op::Embedding(embedding)) => Occurrences::new(embedding, max_batch)?,
            _ => Occurrences::default(),
        };
        let mut states = [(); MAX_STATES].map(|()| Aligned::default());
        for state in &mut states[..optimizer.rule().states()] {
            *state = try_aligned("optimizer state", count)?;
        }
        let keeps = optimizer.norm_limit().is_some() || max_batch > span_rows;
        let kept = if keeps { try_aligned("gradient", count)? } else { Aligned::default() };
        let updates = rates.iter().map(|&rates| optimizer.at_step(1, 1.0, rates)).collect();
        let pace = (self.paced && threads.most > 1).then(Pace::default);
        let work = ops.iter().fold(0usize, |work, op| work.saturating_add(op.shape().work()));
        let shape = (network.isa(), network.ops().clone());
        let buffers = Buffers { layout, tiles, span_rows, arena, moments, scratch, occurrences };
        Ok(Trainer {
            network,
            objective,
            optimizer,
            #[cfg(feature = "checkpoint")]
            groups,
            rule: None,
            rates,
            updates,
            seed,
            max_batch,
            shape,
            threads,
            pace,
            work,
            steps: 0,
            average,
            states,
            kept,
            accumulated: Accumulated::new(),
            own_loss: OwnLoss::new(),
            losses,
            buffers,
        })
    }
}
