//! Losses: each row's value and its δ = ∂ℒ/∂(network output) in one call.
//!
//! A loss is computed row by row: `losses[i]` is row i's share, and their sum is the loss of the
//! batch. What makes it a mean is the [`Scale`]: with 1/rows the sum of `losses` is the mean over
//! the batch, with 1/(rows · columns) the mean over the elements, and per-row weights make it a
//! weighted mean. δ contains the scale as well.
//!
//! - [`ElementLoss`]: squared and absolute error, quantiles, Huber, binary cross-entropy with
//!   logits, Poisson's, KL divergence of log-probabilities. A row's terms are added in the order of
//!   [`crate::reduce`].
//! - [`softmax_cross_entropy`], [`ClassTargets`]: class indices or probabilities, label smoothing,
//!   class weights, KL divergence of a softmax.
//!
//! ```
//! use deltarule_kernels::{Isa, loss::softmax_cross_entropy};
//! let (logits, labels) = ([2.0f32, 0.0, 0.0, 0.0, 0.0, 0.0], [0, 2]);
//! let (mut losses, mut delta) = ([0.0; 2], [0.0; 6]);
//! let mean = 1.0 / labels.len() as f32;
//! softmax_cross_entropy(Isa::detect(), (2, 3), &logits, &labels, mean, &mut losses, &mut delta)?;
//! let loss: f32 = losses.iter().sum();
//! assert!((loss - 0.5 * (0.2395 + 3f32.ln())).abs() < 1e-4);
//! // δ of a row: down for the label, up for the others, 0 in all.
//! assert!(delta[5] < 0.0 && delta[3] > 0.0 && delta[3..].iter().sum::<f32>().abs() < 1e-6);
//! # Ok::<(), deltarule_kernels::ShapeError>(())
//! ```

mod class_targets;
mod element;
mod scale;
pub(crate) mod softmax;
#[cfg(test)]
mod tests;

pub use class_targets::{ClassTargets, SoftmaxRows};
pub use element::{ElementLoss, ElementRows, squared_error};
pub use scale::Scale;
pub use softmax::softmax_cross_entropy;

use crate::Isa;
use crate::precompiled::precompiled;

precompiled! {
    /// The kernels of this module.
    LossKernels:
    fn element_loss(loss: ElementLoss, isa: Isa, rows: ElementRows<'_, Self>) = element::evaluate;
    fn label_cross_entropy(isa: Isa, rows: softmax::LabelledRows<'_, Self>) = softmax::evaluate;
    fn class_loss(
        targets: ClassTargets<'_, Self>,
        isa: Isa,
        divergence: bool,
        rows: SoftmaxRows<'_, Self>,
    ) = ClassTargets::run;
}
