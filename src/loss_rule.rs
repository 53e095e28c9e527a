//! Losses of one's own.

use deltarule_kernels::Element;

use crate::targets::WeightedTargets;

/// A loss of one's own, for [`Trainer::use_loss`](crate::Trainer::use_loss): a type, or a closure.
///
/// ```
/// use deltarule::data::Dataset;
/// use deltarule::{Activation, Loss, LossRule, Network, Optimizer, Outcome, Targets, Trainer};
///
/// /// A normal distribution of each target: the outputs are its mean μ and the logarithm s of its
/// /// variance, and the loss is −log of the target's density, ½(s + (y − μ)²/e^s), but for a
/// /// constant. Nix and Weigend, *Estimating the mean and variance of the target probability
/// /// distribution* (1994).
/// struct Normal;
///
/// impl LossRule<f32> for Normal {
///     fn evaluate(&mut self, outcome: Outcome<'_, f32>) -> f64 {
///         let Targets::Values(targets) = outcome.targets.targets else { return f64::NAN };
///         let half = 0.5 / outcome.batch_rows as f32; // of a mean
///         let mut loss = 0.0;
///         let rows = outcome.outputs.chunks(2).zip(outcome.delta.chunks_mut(2));
///         for ((y, delta), target) in rows.zip(targets) {
///             let (error, precision) = (target - y[0], (-y[1]).exp());
///             loss += half * (y[1] + error * error * precision);
///             delta[0] = -2.0 * half * error * precision;
///             delta[1] = half * (1.0 - error * error * precision);
///         }
///         f64::from(loss)
///     }
/// }
///
/// // One input, which is always 1; ten targets, whose mean is 3 and whose variance 4.
/// let y = [1.0, 5.0, 1.0, 5.0, 1.0, 5.0, 1.0, 5.0, 1.0, 5.0];
/// let data = Dataset::from_values(vec![1.0; 10], 1, y.to_vec(), 1)?;
/// let network = Network::builder(1).dense(2, Activation::Identity).build()?;
/// let mut trainer =
///     Trainer::builder(network, Loss::MeanSquaredError, Optimizer::adam(0.05)).build()?;
/// trainer.use_loss(Normal)?;
/// trainer.fit(&data).epochs(500).run()?;
/// let outputs = trainer.network().predict(&[1.0])?;
/// assert!((outputs[0] - 3.0).abs() < 0.05 && (outputs[1].exp() - 4.0).abs() < 0.1);
/// # Ok::<(), deltarule::Error>(())
/// ```
pub trait LossRule<E: Element>: Send + Sync {
    /// Returns ℒ, and writes δ = ∂ℒ/∂ŷ to [`Outcome::delta`].
    ///
    /// A step calls it once, on the calling thread, with all rows of the batch. A ℒ that is infinite
    /// or NaN is an error, with which it can refuse a batch, and so is such a δ; nothing is learned
    /// then.
    fn evaluate(&mut self, outcome: Outcome<'_, E>) -> f64;
}

impl<E: Element, F: FnMut(Outcome<'_, E>) -> f64 + Send + Sync> LossRule<E> for F {
    fn evaluate(&mut self, outcome: Outcome<'_, E>) -> f64 {
        self(outcome)
    }
}

/// What a network made of some rows, and what it should have made of them.
///
/// ```
/// use deltarule::{Activation, Loss, Network, Optimizer, Outcome, Targets, Trainer};
/// let network = Network::builder(1).dense(1, Activation::Identity).build()?;
/// let mut trainer =
///     Trainer::builder(network, Loss::MeanSquaredError, Optimizer::sgd(0.1)).build()?;
/// // Log-cosh: a squared error near 0, and an absolute one far away.
/// trainer.use_loss(|outcome: Outcome<'_, f32>| {
///     let Targets::Values(targets) = outcome.targets.targets else { return f64::NAN };
///     let share = 1.0 / outcome.batch_rows as f64;
///     let mut loss = 0.0;
///     for ((y, target), delta) in outcome.outputs.iter().zip(targets).zip(outcome.delta) {
///         let error = f64::from(y - target);
///         loss += share * error.cosh().ln();
///         *delta = (share * error.tanh()) as f32;
///     }
///     loss
/// })?;
/// trainer.network_mut().parameters_mut().copy_from_slice(&[3.0, 1.0]);
/// let score = trainer.step(&[2.0], Targets::Values(&[5.0]))?;
/// assert!((score.loss - 2f64.cosh().ln()).abs() < 1e-6);
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Outcome<'a, E: Element = f32> {
    /// ŷ, (rows, outputs) row-major.
    pub outputs: &'a [E],
    /// The rows.
    pub rows: usize,
    /// The rows of the batch of which these are all, or the part that
    /// [`Trainer::accumulate`](crate::Trainer::accumulate) has: a mean is divided by them, so that
    /// the parts' losses add up.
    pub batch_rows: usize,
    /// What ŷ should be, which need not be as many numbers for each row; and the rows' weights, which
    /// are for the rule to heed.
    pub targets: WeightedTargets<'a, E>,
    /// Zeros of the shape of ŷ, to become ∂ℒ/∂ŷ.
    pub delta: &'a mut [E],
}
