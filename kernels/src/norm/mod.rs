//! Normalizations: x̂ = (x − μ)/√(σ² + ε), y = γ·x̂ + β.
//!
//! [`batch`] takes mean and variance of a column over the rows of a batch, [`layer`] of a row over
//! its features. Both find them in two passes: the mean, then the deviations from it, which also
//! tell by how much the mean had been rounded. That remainder is kept beside the mean as
//! `mean_low`, and x̂ is computed as ((x − mean) − mean_low)/√(σ² + ε): so data with a mean of 10⁴
//! and a variance of 10⁻² keeps its digits in f32, where a mean alone is off by up to half of
//! 10⁻³, a hundredth of a standard deviation.
//!
//! ```
//! use deltarule_kernels::{Isa, MatRef, norm::{Moments, batch}};
//! let isa = Isa::detect();
//! let x = [9_999.0f32, 1.0, 10_000.0, 3.0, 10_001.0, 5.0]; // three rows of two columns
//! let [mut mean, mut mean_low, mut variance, mut inverse_std] = [[0.0; 2]; 4];
//! let statistics = batch::StatisticsMut {
//!     mean: &mut mean,
//!     mean_low: &mut mean_low,
//!     variance: &mut variance,
//!     inverse_std: &mut inverse_std,
//! };
//! batch::statistics(isa, [MatRef::new(&x, 3, 2)?], 0.0, statistics)?;
//! let moments = Moments { mean: &mean, mean_low: &mean_low, inverse_std: &inverse_std };
//! let mut y = [0.0; 6];
//! batch::normalize(isa, moments, &[1.0; 2], &[0.0; 2], &x, &mut y)?;
//! let deviation = 1.5f32.sqrt(); // √(3/2), in either column
//! for (y, exact) in y.iter().zip([-deviation, -deviation, 0.0, 0.0, deviation, deviation]) {
//!     assert!((y - exact).abs() < 1e-6);
//! }
//! # Ok::<(), deltarule_kernels::ShapeError>(())
//! ```

pub mod batch;
pub mod layer;
mod running;
#[cfg(test)]
mod tests;

use crate::Isa;
use crate::lanes::Lanes;
use crate::precompiled::precompiled;

precompiled! {
    /// The kernels of this module.
    NormKernels:
    fn batch_mean(isa: Isa, kernel: batch::Mean<'_, Self>) = Isa::run;
    fn batch_add_deviations(isa: Isa, kernel: batch::AddDeviations<'_, Self>) = Isa::run;
    fn batch_finish(isa: Isa, kernel: batch::FinishStatistics<'_, Self>) = Isa::run;
    fn batch_inverse_std(isa: Isa, kernel: running::InverseStd<'_, Self>) = Isa::run;
    fn batch_update_running(isa: Isa, kernel: running::UpdateRunning<'_, Self>) = Isa::run;
    fn batch_normalize(isa: Isa, kernel: batch::Normalize<'_, Self>) = Isa::run;
    fn batch_add_gradients(isa: Isa, kernel: batch::AddGradients<'_, Self>) = Isa::run;
    fn batch_backward(isa: Isa, kernel: batch::Backward<'_, Self>) = Isa::run;
    fn layer_forward(isa: Isa, kernel: layer::Forward<'_, Self>) = Isa::run;
    fn layer_backward(isa: Isa, kernel: layer::Backward<'_, Self>) = Isa::run;
}

/// What normalization needs to know of each column (batch) or row (layer).
///
/// ```
/// use deltarule_kernels::{Isa, norm::{Moments, batch}};
/// // Of running statistics, in evaluation.
/// let moments = Moments { mean: &[10.0f32], mean_low: &[0.0], inverse_std: &[0.5] };
/// let mut y = [0.0; 2];
/// batch::normalize(Isa::detect(), moments, &[3.0], &[1.0], &[10.0, 14.0], &mut y)?;
/// assert_eq!(y, [1.0, 3.0 * (14.0 - 10.0) / 2.0 + 1.0]);
/// # Ok::<(), deltarule_kernels::ShapeError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Moments<'a, E> {
    /// μ, rounded.
    pub mean: &'a [E],
    /// What the rounding of μ lost: μ = `mean` + `mean_low`.
    pub mean_low: &'a [E],
    /// 1/√(σ² + ε).
    pub inverse_std: &'a [E],
}

/// x̂.
#[inline(always)]
fn normalized<V: Lanes>(x: V, mean: V, mean_low: V, inverse_std: V) -> V {
    ((x - mean) - mean_low) * inverse_std
}

/// The variance from Σd and Σd², d the deviations from a rounded mean: Σd² − (Σd)²/n over n, but
/// not less than 0. `mean_low` is Σd/n.
#[inline(always)]
fn variance<V: Lanes>(sum: V, sum_of_squares: V, mean_low: V, count: V) -> V {
    let centered = sum.neg_mul_add(mean_low, sum_of_squares);
    sum.splat(crate::Element::ZERO).greater_or(centered) / count
}

/// 1/√(σ² + ε).
#[inline(always)]
fn inverse_std<V: Lanes>(variance: V, epsilon: V) -> V {
    variance.splat(crate::Element::ONE) / (variance + epsilon).sqrt()
}
