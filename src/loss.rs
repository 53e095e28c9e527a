//! What a network is trained to make small.

use deltarule_kernels::activation::Activation;
use deltarule_kernels::loss::{
    ClassTargets, ElementLoss, ElementRows, Scale, SoftmaxRows, softmax_cross_entropy,
};
use deltarule_kernels::{Element, Isa, ShapeError};

use crate::error::{Error, Result, check_length, checked_area};
use crate::layers::{DenseRef, LayerRef};
use crate::metrics::check_classes;
use crate::network::Network;
use crate::optimizer::{not_negative, positive};
use crate::targets::{Targets, WeightedTargets};

/// A loss ℒ over the outputs ŷ of a batch of n rows.
///
/// All but [`Loss::SoftmaxCrossEntropy`] are sums over a row's elements and take
/// [`Targets::Values`]; [`Reduction`] says what they are divided by.
///
/// ```
/// use deltarule::{Loss, Network, Optimizer, Targets, Trainer};
/// // The outputs of this network are its inputs.
/// let network = Network::builder(2).dropout(0.0).build()?;
/// let loss_of = |loss, outputs: &[f32], targets| {
///     let mut trainer = Trainer::builder(network.clone(), loss, Optimizer::sgd(0.1)).build()?;
///     Ok::<f64, deltarule::Error>(trainer.evaluate(outputs, targets)?.loss)
/// };
/// let values = Targets::Values(&[1.0, -1.0]);
/// assert_eq!(loss_of(Loss::MeanSquaredError, &[4.0, -1.5], values)?, 9.0 + 0.25);
/// assert_eq!(loss_of(Loss::MeanAbsoluteError, &[4.0, -1.5], values)?, 3.0 + 0.5);
/// let loss = loss_of(Loss::Quantile { quantile: 0.75 }, &[4.0, -1.5], values)?;
/// assert_eq!(loss, 0.25 * 3.0 + 0.75 * 0.5); // the first is too high, the second too low
/// assert_eq!(loss_of(Loss::Huber { threshold: 1.0 }, &[4.0, -1.5], values)?, 2.5 + 0.125);
/// let loss = loss_of(Loss::Poisson, &[0.0, 0.0], Targets::Values(&[2.0, 0.0]))?;
/// assert_eq!(loss, 1.0 + 1.0); // rates of e⁰
/// let loss = loss_of(Loss::SoftmaxCrossEntropy, &[0.0, 0.0], Targets::Classes(&[1]))?;
/// assert!((loss - 2f64.ln()).abs() < 1e-6);
/// let loss = Loss::BinaryCrossEntropy { positive_weight: 3.0 };
/// let loss = loss_of(loss, &[0.0, 0.0], Targets::Values(&[1.0, 0.0]))?;
/// assert!((loss - 4.0 * 2f64.ln()).abs() < 1e-6);
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Loss {
    /// (1/n) Σᵢ ‖ŷᵢ − yᵢ‖².
    MeanSquaredError,
    /// (1/n) Σᵢ Σⱼ |ŷᵢⱼ − yᵢⱼ|.
    MeanAbsoluteError,
    /// (1/n) Σᵢ Σⱼ of (1 − τ)(ŷᵢⱼ − yᵢⱼ) where ŷᵢⱼ is above yᵢⱼ, and τ (yᵢⱼ − ŷᵢⱼ) below: the
    /// outputs become the τ-quantiles of the targets. Koenker and Bassett, *Regression Quantiles*
    /// (1978); also called the pinball loss. Several quantiles of one target, an output each, are a
    /// loss of one's own: [`Trainer::use_loss`](crate::Trainer::use_loss) has it for an example.
    Quantile {
        /// τ, above 0 and below 1.
        quantile: f64,
    },
    /// (1/n) Σᵢ Σⱼ of ½e² where |e| ≤ d, and of d (|e| − ½d) beyond, e = ŷᵢⱼ − yᵢⱼ.
    Huber {
        /// d, above 0.
        threshold: f64,
    },
    /// −(1/n) Σᵢ Σⱼ of p y log σ(ŷ) + (1 − y) log(1 − σ(ŷ)): the outputs are logits, the last
    /// layer is [`Activation::Identity`](crate::Activation::Identity), and the targets lie in
    /// 0 to 1.
    BinaryCrossEntropy {
        /// p, above 0: the weight of the positive class, 1 for none.
        positive_weight: f64,
    },
    /// (1/n) Σᵢ Σⱼ of e^ŷᵢⱼ − yᵢⱼ ŷᵢⱼ: the outputs are logarithms of rates, the last layer is
    /// [`Activation::Identity`](crate::Activation::Identity), and the targets are counts, or other
    /// numbers that are not negative. It is −log of Poisson's probability of the targets, without
    /// log y!, which does not depend on the outputs.
    Poisson,
    /// −(1/n) Σᵢ Σⱼ qᵢⱼ log softmax(ŷᵢ)ⱼ: the outputs are logits, the last layer is
    /// [`Activation::Identity`](crate::Activation::Identity). q is 1 for the class of
    /// [`Targets::Classes`] and 0 for the others, or the probabilities of [`Targets::Values`]. These
    /// need not add up to 1: w times a row's probabilities weigh it by w, below 0 too, as the
    /// gradient of a policy asks for it.
    /// [`TrainerBuilder::class_weights`](crate::TrainerBuilder::class_weights) weigh classes.
    SoftmaxCrossEntropy,
    /// [`Loss::SoftmaxCrossEntropy`] with q = 1 − ε + ε/C for the class of [`Targets::Classes`] and
    /// ε/C for the others of all C classes. Probabilities stay as they are.
    /// Szegedy et al., *Rethinking the Inception Architecture for Computer Vision* (2016).
    SmoothedCrossEntropy {
        /// ε, 0 to 1.
        smoothing: f64,
    },
}

/// What a loss on values is divided by.
///
/// ```
/// use deltarule::{Activation, Loss, Network, Optimizer, Reduction, Trainer};
/// let network = Network::builder(4).dense(3, Activation::Identity).build()?;
/// // Losses to compare with PyTorch's.
/// let trainer = Trainer::builder(network, Loss::MeanSquaredError, Optimizer::sgd(0.1))
///     .reduction(Reduction::MeanOverElements)
///     .build()?;
/// assert_eq!(Reduction::default(), Reduction::MeanOverRows);
/// # assert_eq!(trainer.steps(), 0);
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Reduction {
    /// The rows: ℒ is the mean of the rows' losses, each a sum over its elements.
    #[default]
    MeanOverRows,
    /// The elements, as PyTorch's `reduction="mean"` does.
    MeanOverElements,
}

impl Loss {
    /// The loss as a sum over elements, or `None` for one over classes.
    fn element_loss(self) -> Option<ElementLoss> {
        match self {
            Self::MeanSquaredError => Some(ElementLoss::SquaredError),
            Self::MeanAbsoluteError => Some(ElementLoss::AbsoluteError),
            Self::Quantile { quantile } => Some(ElementLoss::Quantile { quantile }),
            Self::Huber { threshold } => Some(ElementLoss::Huber { threshold }),
            Self::BinaryCrossEntropy { positive_weight } => {
                Some(ElementLoss::BinaryCrossEntropy { positive_weight })
            }
            Self::Poisson => Some(ElementLoss::Poisson),
            Self::SoftmaxCrossEntropy | Self::SmoothedCrossEntropy { .. } => None,
        }
    }

    /// Checks that every number has a meaning.
    pub(crate) fn check_numbers(self) -> Result<()> {
        match self {
            Self::Huber { threshold } => positive("threshold", Some(threshold)),
            Self::BinaryCrossEntropy { positive_weight } => {
                positive("positive_weight", Some(positive_weight))
            }
            Self::Quantile { quantile } if !(quantile > 0.0 && quantile < 1.0) => {
                let (argument, expected) = ("quantile", "above 0 and below 1");
                Err(Error::OutOfRange { argument, value: quantile, expected })
            }
            Self::SmoothedCrossEntropy { smoothing } if !(0.0..=1.0).contains(&smoothing) => {
                let (argument, expected) = ("smoothing", "between 0 and 1");
                Err(Error::OutOfRange { argument, value: smoothing, expected })
            }
            _ => Ok(()),
        }
    }

    /// Checks that a network's outputs are what this loss is of, where any other could not be meant:
    /// a single logit has no softmax but 1, and to squash probabilities once more trains next to
    /// nothing.
    pub(crate) fn check_outputs<E: Element>(self, network: &Network<E>) -> Result<()> {
        let ends_in_sigmoid = matches!(
            network.layers().last(),
            Some(
                LayerRef::Dense(DenseRef { activation: Activation::Sigmoid, .. })
                    | LayerRef::Activation { activation: Activation::Sigmoid, .. }
            )
        );
        let problem = match self {
            Self::BinaryCrossEntropy { .. } if ends_in_sigmoid => {
                "is of logits, but the network ends in a sigmoid: end with `Activation::Identity`, \
                 and let `PredictorBuilder::sigmoid` make probabilities"
            }
            _ if self.element_loss().is_none() && network.outputs() == 1 => {
                "is of at least 2 outputs, one for each class, but the network has 1: give it 2, or \
                 train on `Loss::BinaryCrossEntropy`"
            }
            _ => return Ok(()),
        };
        Err(Error::LossOfOutputs { loss: self, problem })
    }

    /// What a batch's losses are scaled by before they are summed.
    pub(crate) fn scale(self, reduction: Reduction, rows: usize, outputs: usize) -> f64 {
        let elements = match (self.element_loss(), reduction) {
            (Some(_), Reduction::MeanOverElements) => outputs,
            _ => 1,
        };
        1.0 / (rows as f64 * elements as f64)
    }

    /// Checks that the targets are of a kind that this loss takes, and fit the batch.
    pub(crate) fn check<E: Element>(
        self,
        argument: &'static str,
        targets: WeightedTargets<'_, E>,
        rows: usize,
        outputs: usize,
    ) -> Result<()> {
        targets.check_weights(rows)?;
        match (self.element_loss(), targets.targets) {
            (Some(_), Targets::Classes(_)) => {
                Err(Error::TargetKind { loss: self, expected: "values", actual: "classes" })
            }
            (None, Targets::Classes(labels)) => {
                check_length(argument, labels.len(), rows)?;
                check_classes(argument, labels, outputs)
            }
            (_, Targets::Values(values)) => {
                check_length(argument, values.len(), checked_area(argument, rows, outputs)?)?;
                self.check_values(argument, values)
            }
        }
    }

    /// Checks that targets are in the range beyond which the loss has no minimum, as with labels of
    /// −1 and 1, unless they are not finite, which is told of every loss.
    fn check_values<E: Element>(self, argument: &'static str, values: &[E]) -> Result<()> {
        let (largest, expected) = match self {
            Self::BinaryCrossEntropy { .. } => {
                (E::ONE, "between 0 and 1 for a binary cross-entropy")
            }
            Self::Poisson => (E::INFINITY, "0 or more for Poisson's loss"),
            _ => return Ok(()),
        };
        let is_outside = |y: &E| *y < E::ZERO || *y > largest;
        // All of them without a branch, since every step asks, and nearly always in vain.
        if !values.iter().fold(false, |any, y| any | is_outside(y)) {
            return Ok(());
        }
        match values.iter().find(|y| is_outside(y) && y.to_f64().is_finite()) {
            None => Ok(()),
            Some(value) => Err(Error::OutOfRange { argument, value: value.to_f64(), expected }),
        }
    }

    /// Checks that these weights are such as a loss over so many classes can have.
    pub(crate) fn check_class_weights(self, weights: &[f64], classes: usize) -> Result<()> {
        if self.element_loss().is_some() {
            return Err(Error::ClassWeights { loss: self });
        }
        check_length("class_weights", weights.len(), classes)?;
        weights.iter().try_for_each(|&weight| not_negative("class_weights", weight))
    }

    /// Each row's loss, and δ = ∂ℒ/∂ŷ. The targets have passed [`Loss::check`]; no class weights
    /// are none.
    pub(crate) fn run<E: Element>(
        self,
        isa: Isa,
        (outputs, columns): (&[E], usize),
        (targets, class_weights): (WeightedTargets<'_, E>, &[E]),
        factor: E,
        losses: &mut [E],
        delta: &mut [E],
    ) -> Result<(), ShapeError> {
        let shape = (losses.len(), columns);
        let WeightedTargets { targets, weights } = targets;
        let scale = weights.map_or(factor.into(), |weights| Scale::weighted(factor, weights));
        if let (Some(loss), Targets::Values(targets)) = (self.element_loss(), targets) {
            let rows = ElementRows { shape, predictions: outputs, targets, scale, losses, delta };
            return loss.evaluate(isa, rows);
        }
        if let (Self::SoftmaxCrossEntropy, Targets::Classes(labels), []) =
            (self, targets, class_weights)
        {
            return softmax_cross_entropy(isa, shape, outputs, labels, scale, losses, delta);
        }
        let mut class_targets = match targets {
            Targets::Values(probabilities) => ClassTargets::probabilities(probabilities),
            Targets::Classes(labels) => ClassTargets::labels(labels).smoothed(self.smoothing()),
        };
        if !class_weights.is_empty() {
            class_targets = class_targets.weighted(class_weights);
        }
        let rows = SoftmaxRows { shape, logits: outputs, scale, losses, delta };
        class_targets.cross_entropy(isa, rows)
    }

    /// ε.
    fn smoothing(self) -> f64 {
        match self {
            Self::SmoothedCrossEntropy { smoothing } => smoothing,
            _ => 0.0,
        }
    }
}
