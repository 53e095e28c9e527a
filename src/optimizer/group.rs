//! Layers that are trained in their own way.

use super::not_negative;
use crate::error::Result;

/// How some parameters are trained.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Rates {
    /// Multiplies the learning rate.
    pub(crate) factor: f64,
    /// Whether they decay.
    pub(crate) decays: bool,
}

/// How the parameters of some layers are trained, where that is not as the optimizer says:
/// [`TrainerBuilder::group`](crate::TrainerBuilder::group).
///
/// ```
/// # use deltarule::{Activation, Loss, Network, Optimizer, Trainer};
/// use deltarule::{Decays, ParameterGroup};
/// let network = Network::builder(4)
///     .dense(16, Activation::Relu)
///     .dense(8, Activation::Relu)
///     .dense(1, Activation::Identity)
///     .build()?;
/// // Fine tuning: the first layer stays, the second follows slowly, without decay.
/// let slow = ParameterGroup {
///     decays: Decays::Nothing,
///     ..ParameterGroup::with_learning_rate_factor(0.1)
/// };
/// let trainer = Trainer::builder(network, Loss::MeanSquaredError, Optimizer::adam_w(1e-3, 0.01))
///     .group(0..1, ParameterGroup::frozen())
///     .group(1..2, slow)
///     .build()?;
/// # assert_eq!(trainer.steps(), 0);
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ParameterGroup {
    /// Multiplies the learning rate, and with it decoupled decay; 1 otherwise.
    pub learning_rate_factor: f64,
    /// Which parameters the optimizer's decay is for.
    pub decays: Decays,
    /// Whether the layers stay exactly as they are. A frozen batch normalization normalizes by its
    /// running statistics, which do not change. Below the lowest layer that learns, no gradient is
    /// computed.
    pub frozen: bool,
}

/// Which parameters decay.
///
/// ```
/// # use deltarule::{Activation, Init, Loss, Network, Optimizer, Targets, Trainer};
/// use deltarule::{Decays, ParameterGroup, kernels::optimizer::Decay};
/// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
/// let optimizer = Optimizer::sgd(0.5).decay(Decay { decoupled: 0.5, ..Decay::default() });
/// let builder = Trainer::builder(network, Loss::MeanSquaredError, optimizer);
/// for (decays, expected) in [
///     (Decays::Weights, [3.0, 4.0]),
///     (Decays::All, [3.0, 3.0]),
///     (Decays::Nothing, [4.0, 4.0]),
/// ] {
///     let group = ParameterGroup { decays, ..ParameterGroup::default() };
///     let mut trainer = builder.clone().group(.., group).build()?;
///     trainer.network_mut().parameters_mut().copy_from_slice(&[4.0, 4.0]);
///     trainer.step(&[1.0], Targets::Values(&[8.0]))?; // no error, and so no gradient
///     assert_eq!(trainer.network().parameters(), expected);
/// }
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Decays {
    /// Those of dense layers and embeddings that are multiplied: W and the tables. Not b, γ and β.
    #[default]
    Weights,
    /// All.
    All,
    /// None.
    Nothing,
}

impl Default for ParameterGroup {
    fn default() -> Self {
        Self { learning_rate_factor: 1.0, decays: Decays::default(), frozen: false }
    }
}

impl ParameterGroup {
    /// Layers that do not change.
    pub fn frozen() -> Self {
        Self { frozen: true, ..Self::default() }
    }

    /// The usual, but for a learning rate multiplied by this.
    pub fn with_learning_rate_factor(learning_rate_factor: f64) -> Self {
        Self { learning_rate_factor, ..Self::default() }
    }

    pub(crate) fn check(&self) -> Result<()> {
        not_negative("learning_rate_factor", self.learning_rate_factor)
    }

    /// How weights, or what is not among them, are trained, if they are.
    pub(crate) fn rates(&self, is_weights: bool) -> Option<Rates> {
        let decays = match self.decays {
            Decays::Weights => is_weights,
            Decays::All => true,
            Decays::Nothing => false,
        };
        let factor = self.learning_rate_factor;
        (!self.frozen).then_some(Rates { factor, decays })
    }
}
