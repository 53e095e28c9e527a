//! Softmax and log-softmax.

use crate::Element;
use crate::activation::RowActivation;

/// [`RowActivation::forward`] of one row.
///
/// ```
/// use deltarule_kernels::{activation::RowActivation, reference};
/// let y = reference::row_activation(RowActivation::Softmax, &[0.0f32, 0.0]);
/// assert_eq!(y, [0.5, 0.5]);
/// ```
pub fn row_activation<E: Element>(function: RowActivation, x: &[E]) -> Vec<f64> {
    let x: Vec<f64> = x.iter().map(|x| x.to_f64()).collect();
    let greatest = x.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let total: f64 = x.iter().map(|x| (x - greatest).exp()).sum();
    match function {
        RowActivation::Softmax => x.iter().map(|x| (x - greatest).exp() / total).collect(),
        RowActivation::LogSoftmax => x.iter().map(|x| x - greatest - total.ln()).collect(),
    }
}

/// [`RowActivation::backward`] of one row.
///
/// ```
/// use deltarule_kernels::{activation::RowActivation::Softmax, reference};
/// let delta = reference::row_activation_backward(Softmax, &[0.25f64, 0.75], &[1.0, 0.0]);
/// assert_eq!(delta, [0.1875, -0.1875]);
/// ```
pub fn row_activation_backward<E: Element>(
    function: RowActivation,
    y: &[E],
    delta: &[E],
) -> Vec<f64> {
    let pairs = y.iter().zip(delta).map(|(y, delta)| (y.to_f64(), delta.to_f64()));
    match function {
        RowActivation::Softmax => {
            let sum: f64 = pairs.clone().map(|(y, delta)| y * delta).sum();
            pairs.map(|(y, delta)| y * (delta - sum)).collect()
        }
        RowActivation::LogSoftmax => {
            let sum: f64 = pairs.clone().map(|(_, delta)| delta).sum();
            pairs.map(|(y, delta)| delta - y.exp() * sum).collect()
        }
    }
}
