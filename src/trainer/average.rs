//! Weights averaged over the steps of a training.

use deltarule_kernels::optimizer::{Decay, Optimizer, Sgd, Step, Update};
use deltarule_kernels::{Element, Isa, ShapeError};

use super::parallel::{Divide, divide};
use super::{Score, Trainer};
use crate::error::{Error, Result};
use crate::network::Network;
use crate::optimizer::below_one;
use crate::targets::WeightedTargets;

/// What an average θ̄ of weights θ is.
///
/// ```
/// use deltarule::{Averaging, Error, Network, WeightAverage};
/// let network = Network::builder(1).layer_norm().build()?;
/// let error = WeightAverage::new(&network, Averaging::Exponential { decay: 1.0 }).unwrap_err();
/// assert_eq!(error.to_string(), "`decay` is 1, but it must be at least 0 and below 1");
/// # Ok::<(), Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Averaging {
    /// θ̄ ← θ̄ + (1 − decay) (θ − θ̄): the last weights count most. Polyak's average, EMA, or with
    /// decay = 1 − τ the soft update of a target network.
    Exponential {
        /// At least 0 and below 1. Some 1/(1 − decay) updates count: 0.999 is usual for thousands
        /// of steps.
        decay: f64,
    },
    /// θ̄ ← θ̄ + (θ − θ̄)/(n + 1) after n updates: all weights count alike. With a constant rate at
    /// the end of a training this is stochastic weight averaging (Izmailov et al., 2018).
    Equal,
}

impl Averaging {
    pub(super) fn check(self) -> Result<()> {
        match self {
            Self::Exponential { decay } => below_one("decay", decay),
            Self::Equal => Ok(()),
        }
    }

    /// What new weights count in the average of `updates` ones before.
    fn weight(self, updates: u64) -> f64 {
        match self {
            _ if updates == 0 => 1.0,
            Self::Exponential { decay } => 1.0 - decay,
            Self::Equal => 1.0 / (updates as f64 + 1.0),
        }
    }
}

/// A network whose weights are the average of another's: to be judged, served or learned from,
/// because it is steadier than the one in training.
///
/// It is what PyTorch's `AveragedModel` is. The first update copies. Only parameters are averaged;
/// the running statistics of batch normalizations are copied with every update, as with
/// `use_buffers=False` there, and fit an average that is close to the weights of late. A trainer
/// keeps an average by itself with [`TrainerBuilder::average`](super::TrainerBuilder::average).
///
/// ```
/// use deltarule::{Activation, Averaging, Loss, Network, Optimizer, Targets};
/// use deltarule::{Trainer, WeightAverage};
/// let network = Network::builder(1).dense(1, Activation::Identity).build()?;
/// // The target network of a policy that learns from what it estimated itself.
/// let mut target = WeightAverage::new(&network, Averaging::Exponential { decay: 0.995 })?;
/// let mut trainer =
///     Trainer::builder(network, Loss::MeanSquaredError, Optimizer::adam(0.01)).build()?;
/// for _ in 0..10 {
///     let next_value = target.network().predict(&[3.0])?[0];
///     trainer.step(&[2.0], Targets::Values(&[1.0 + 0.9 * next_value]))?;
///     target.update(trainer.network())?;
/// }
/// assert_eq!(target.updates(), 10);
/// let predictor = target.network().freeze()?; // or saved, or published
/// # assert_eq!(predictor.predict(&[3.0])?, target.network().predict(&[3.0])?);
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct WeightAverage<E: Element = f32> {
    averaging: Averaging,
    network: Network<E>,
    updates: u64,
}

impl<E: Element> WeightAverage<E> {
    /// An average without updates, whose network is a copy of this one.
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for a decay that is not at least 0 and below 1.
    pub fn new(network: &Network<E>, averaging: Averaging) -> Result<Self> {
        averaging.check()?;
        Ok(Self { averaging, network: network.clone(), updates: 0 })
    }

    /// Lets the weights of this network in. It allocates nothing.
    ///
    /// ```
    /// use deltarule::{Averaging, Network, WeightAverage};
    /// let mut network = Network::builder(1).layer_norm().build()?;
    /// let mut mean = WeightAverage::new(&network, Averaging::Equal)?;
    /// for gamma in [1.0, 2.0, 6.0] {
    ///     network.parameters_mut()[0] = gamma;
    ///     mean.update(&network)?;
    /// }
    /// assert_eq!(mean.network().parameters(), [3.0, 0.0]);
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::OtherLayers`] if the network has other layers. Nothing was changed then.
    pub fn update(&mut self, network: &Network<E>) -> Result<()> {
        self.check_layers(network)?;
        self.update_divided(network, 1)
    }

    /// [`WeightAverage::update`] by a network of the same layers, divided into parts.
    fn update_divided(&mut self, network: &Network<E>, parts: usize) -> Result<()> {
        self.go_towards(network, self.averaging.weight(self.updates), parts)?;
        self.updates = self.updates.saturating_add(1);
        Ok(())
    }

    /// θ̄ ← θ̄ + weight · (θ − θ̄).
    fn go_towards(&mut self, network: &Network<E>, weight: f64, parts: usize) -> Result<()> {
        let isa = self.network.isa();
        let average = self.network.parameters_mut();
        let stretch = Stretch { weights: network.parameters(), average };
        if weight == 1.0 {
            divide(stretch, parts, &|Stretch { weights, average }| {
                average.copy_from_slice(weights);
                Ok(())
            })?;
        } else {
            let update = towards(weight);
            divide(stretch, parts, &|stretch| Ok(stretch.apply(isa, &update)?))?;
        }
        self.network.statistics_mut().copy_from_slice(network.statistics());
        Ok(())
    }

    /// Goes on from another average's network and its number of updates; with 0 the average begins
    /// anew, and with 1 this network counts as the first.
    ///
    /// ```
    /// use deltarule::{Averaging, Network, WeightAverage};
    /// let mut network = Network::builder(1).layer_norm().build()?;
    /// let mut mean = WeightAverage::new(&network, Averaging::Equal)?;
    /// mean.resume(&network, 3)?; // as it was saved, say
    /// network.parameters_mut()[0] = 5.0;
    /// mean.update(&network)?;
    /// assert_eq!(mean.network().parameters(), [2.0, 0.0]); // (3 · 1 + 5)/4
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::OtherLayers`] if the network has other layers. Nothing was changed then.
    pub fn resume(&mut self, network: &Network<E>, updates: u64) -> Result<()> {
        self.check_layers(network)?;
        self.updates = updates;
        self.go_towards(network, 1.0, 1)
    }

    fn check_layers(&self, network: &Network<E>) -> Result<()> {
        // Its instruction set may be another.
        if network.is_shaped(network.isa(), self.network.ops()) {
            Ok(())
        } else {
            Err(Error::OtherLayers)
        }
    }

    /// The network with the averaged weights.
    pub fn network(&self) -> &Network<E> {
        &self.network
    }

    /// Ends the average.
    pub fn into_network(self) -> Network<E> {
        self.network
    }

    /// How it is averaged.
    pub fn averaging(&self) -> Averaging {
        self.averaging
    }

    /// The updates so far: 0 is a copy.
    pub fn updates(&self) -> u64 {
        self.updates
    }
}

/// θ̄ ← θ̄ + weight · (θ − θ̄), given θ as gradients and θ̄ as parameters: a step of gradient descent
/// on ½‖θ̄ − θ‖², whose gradient is −θ with L2 decay by 1 · θ̄. Of the three operations a fused
/// multiply-add rounds the last two at once.
fn towards<E: Element>(weight: f64) -> Update<E> {
    let decay = Decay { l2: 1.0, ..Decay::default() };
    let step = Step { gradient_factor: -1.0, decay, ..Step::new(1) };
    Optimizer::from(Sgd { learning_rate: weight }).at_step(&step)
}

/// Weights and their averages, to go through in any order.
struct Stretch<'a, E> {
    weights: &'a [E],
    average: &'a mut [E],
}

/// Elements that a thread averages at least.
const ELEMENTS: usize = 64 * 1024;

impl<E: Element> Divide for Stretch<'_, E> {
    fn len(&self) -> usize {
        self.weights.len().div_ceil(ELEMENTS)
    }

    fn split_at(self, at: usize) -> (Self, Self) {
        let (weights, weights_after) = self.weights.split_at(at * ELEMENTS);
        let (average, average_after) = self.average.split_at_mut(at * ELEMENTS);
        (Self { weights, average }, Self { weights: weights_after, average: average_after })
    }
}

impl<E: Element> Stretch<'_, E> {
    fn apply(self, isa: Isa, update: &Update<E>) -> Result<(), ShapeError> {
        update.apply(isa, self.weights, self.average, [&mut [], &mut [], &mut []])
    }
}

/// The average that a trainer keeps.
#[derive(Clone, Debug)]
pub(super) struct Kept<E: Element> {
    pub(super) average: WeightAverage<E>,
    /// The steps after which it begins.
    pub(super) after: u64,
}

/// The averaged network, or the trained one if there is no average.
pub(super) fn judged<'a, E: Element>(
    trained: &'a Network<E>,
    average: Option<&'a Kept<E>>,
) -> &'a Network<E> {
    average.map_or(trained, |kept| kept.average.network())
}

impl<E: Element> Trainer<E> {
    /// The average of the weights after each step, if
    /// [`TrainerBuilder::average`](super::TrainerBuilder::average) asked for one.
    pub fn average(&self) -> Option<&WeightAverage<E>> {
        self.average.as_ref().map(|kept| &kept.average)
    }

    /// [`Trainer::evaluate`] of the averaged network; of the network itself if no average is kept.
    ///
    /// ```
    /// # use deltarule::{Activation, Averaging, Loss, Network, Optimizer, Targets, Trainer};
    /// let network = Network::builder(1).dense(1, Activation::Identity).build()?;
    /// let mut trainer = Trainer::builder(network, Loss::MeanSquaredError, Optimizer::sgd(0.3))
    ///     .average(Averaging::Exponential { decay: 0.8 })
    ///     .build()?;
    /// let targets = [5.0, 3.0]; // of the same input
    /// for step in 0..100 {
    ///     trainer.step(&[1.0], Targets::Values(&targets[step % 2..][..1]))?;
    /// }
    /// let all = Targets::Values(&targets);
    /// let averaged = trainer.evaluate_average(&[1.0, 1.0], all)?;
    /// assert!(averaged.loss < trainer.evaluate(&[1.0, 1.0], all)?.loss); // closer to 4
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Trainer::evaluate`].
    pub fn evaluate_average<'a>(
        &mut self,
        x: &[E],
        targets: impl Into<WeightedTargets<'a, E>>,
    ) -> Result<Score> {
        self.evaluate_either(x, targets.into(), true)
    }

    /// The network that is judged and served: the averaged one, if an average is kept.
    pub(crate) fn judged(&self) -> &Network<E> {
        judged(&self.network, self.average.as_ref())
    }

    /// Puts a network of the same layers in the place of the trained and the averaged one.
    pub(crate) fn take_network(&mut self, network: Network<E>) -> Result<()> {
        self.network = network;
        self.restart_average()
    }

    /// Lets an average begin anew.
    pub(super) fn restart_average(&mut self) -> Result<()> {
        match &mut self.average {
            Some(kept) => kept.average.resume(&self.network, 0),
            None => Ok(()),
        }
    }

    /// Counts a step that was made, and lets its weights into the average.
    pub(super) fn end_step(&mut self, parts: usize) -> Result<()> {
        self.steps = self.number();
        let Some(Kept { average, after }) = &mut self.average else { return Ok(()) };
        if self.steps > *after {
            average.update_divided(&self.network, parts)
        } else {
            average.go_towards(&self.network, 1.0, parts)
        }
    }
}
