//! Optimizers of one's own.

use deltarule_kernels::Element;

/// An optimizer of one's own, for [`Trainer::use_rule`](crate::Trainer::use_rule).
///
/// ```
/// use deltarule::{Activation, Loss, Network, Optimizer, Stretch, Targets, Trainer, UpdateRule};
///
/// /// Rprop's little sister: a step of η against the sign of the gradient.
/// struct Sign;
///
/// impl UpdateRule<f32> for Sign {
///     fn update(&mut self, stretch: Stretch<'_, f32>) {
///         for (parameter, g) in stretch.parameters.iter_mut().zip(stretch.gradient) {
///             *parameter -= stretch.learning_rate as f32 * g.signum();
///         }
///     }
/// }
///
/// let network = Network::builder(1).dense(1, Activation::Identity).build()?;
/// let mut trainer =
///     Trainer::builder(network, Loss::MeanSquaredError, Optimizer::sgd(0.25)).build()?;
/// trainer.network_mut().parameters_mut().copy_from_slice(&[3.0, 1.0]);
/// trainer.use_rule(Sign)?;
/// trainer.step(&[2.0], Targets::Values(&[5.0]))?;
/// assert_eq!(trainer.network().parameters(), [2.75, 0.75]);
/// # Ok::<(), deltarule::Error>(())
/// ```
pub trait UpdateRule<E: Element>: Send + Sync {
    /// Changes some parameters by their gradient. A step calls it for all that are to change, in
    /// their order, one after the other on one thread, which may be one of the pool's: for every part
    /// of every layer that is not frozen, and of an embedding for the vectors of the categories that
    /// occurred. If it panics, what it has changed stays changed, and the step does not count.
    fn update(&mut self, stretch: Stretch<'_, E>);
}

/// Neighbouring parameters with their gradient.
///
/// ```
/// # use deltarule::{Activation, Loss, Network, Optimizer, Stretch, Targets, Trainer, UpdateRule};
/// /// Momentum, whose state is found by the offset.
/// struct HeavyBall(Vec<f32>);
///
/// impl UpdateRule<f32> for HeavyBall {
///     fn update(&mut self, stretch: Stretch<'_, f32>) {
///         let rate = stretch.learning_rate as f32;
///         let own = self.0[stretch.offset..].iter_mut().zip(stretch.parameters);
///         for ((v, parameter), g) in own.zip(stretch.gradient) {
///             *v = 0.5 * *v + stretch.gradient_factor as f32 * g;
///             *parameter -= rate * *v;
///         }
///     }
/// }
///
/// let network =
///     Network::builder(1).dense(1, Activation::Identity).init(deltarule::Init::Zeros).build()?;
/// let mut trainer =
///     Trainer::builder(network, Loss::MeanAbsoluteError, Optimizer::sgd(0.5)).build()?;
/// trainer.use_rule(HeavyBall(vec![0.0; 2]))?;
/// for w in [-0.5, -1.25] {
///     trainer.step(&[1.0], Targets::Values(&[-9.0]))?; // |w + b + 9|, whose slopes are 1
///     assert_eq!(trainer.network().parameters(), [w; 2]);
/// }
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Stretch<'a, E> {
    /// t, counted from 1.
    pub step: u64,
    /// η, times the factor of the layer's group.
    pub learning_rate: f64,
    /// Whether decay is meant for them.
    pub decays: bool,
    /// The place of the first in [`Network::parameters`](crate::Network::parameters), by which a
    /// rule finds its state.
    pub offset: usize,
    /// What the gradient is to be multiplied by: not 1 where it is clipped by its norm.
    pub gradient_factor: f64,
    /// The gradient.
    pub gradient: &'a [E],
    /// The parameters.
    pub parameters: &'a mut [E],
}
