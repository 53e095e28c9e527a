//! Optimizer updates, one pass over memory for each.

use crate::error::check_length;
use crate::{Element, Isa, ShapeError};

/// Stochastic gradient descent: θ ← θ − η · g, one fused multiply-add an element.
///
/// # Errors
/// [`ShapeError::Length`] if the slices differ in length.
pub fn sgd<E: Element>(
    _isa: Isa,
    learning_rate: E,
    gradients: &[E],
    parameters: &mut [E],
) -> Result<(), ShapeError> {
    check_length("gradients", gradients, parameters.len())?;
    for (p, &g) in parameters.iter_mut().zip(gradients) {
        *p = (-learning_rate).mul_add(g, *p);
    }
    Ok(())
}
