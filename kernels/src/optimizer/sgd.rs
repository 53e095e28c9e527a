//! Stochastic gradient descent.

use super::{Optimizer, Step};
use crate::lanes::Lanes;
use crate::{Element, Isa, ShapeError};

/// Stochastic gradient descent: θ ← θ − η·g, one fused multiply-add an element.
///
/// ```
/// use deltarule_kernels::{Isa, optimizer::{Optimizer, Sgd, Step}};
/// let update = Optimizer::from(Sgd { learning_rate: 0.5 }).at_step::<f32>(&Step::new(1));
/// let (mut parameters, state) = ([1.0, 1.0], [&mut [][..], &mut [], &mut []]);
/// update.apply(Isa::detect(), &[2.0, -4.0], &mut parameters, state)?;
/// assert_eq!(parameters, [0.0, 3.0]);
/// # Ok::<(), deltarule_kernels::ShapeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Sgd {
    /// η.
    pub learning_rate: f64,
}

impl Default for Sgd {
    /// η = 0.01.
    fn default() -> Self {
        Self { learning_rate: 0.01 }
    }
}

/// [`Sgd`] with nothing else asked for: θ ← θ − η·g.
///
/// ```
/// use deltarule_kernels::{Isa, optimizer::sgd};
/// let mut parameters = [1.0f32, 1.0];
/// sgd(Isa::detect(), 0.5, &[2.0, -4.0], &mut parameters)?;
/// assert_eq!(parameters, [0.0, 3.0]);
/// # Ok::<(), deltarule_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError::Length`] if the slices differ in length; nothing was written.
pub fn sgd<E: Element>(
    isa: Isa,
    learning_rate: E,
    gradients: &[E],
    parameters: &mut [E],
) -> Result<(), ShapeError> {
    let optimizer = Optimizer::from(Sgd { learning_rate: learning_rate.to_f64() });
    let state = [&mut [][..], &mut [], &mut []];
    optimizer.at_step(&Step::new(1)).apply(isa, gradients, parameters, state)
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Rule<E> {
    rate: E,
}

impl<E: Element> Rule<E> {
    pub(super) fn new(rate: f64) -> Self {
        Self { rate: E::from_f64(rate) }
    }
}

impl<E: Element> super::Rule<E, 0> for Rule<E> {
    #[inline(always)]
    fn step<V: Lanes<Element = E>>(self, g: V, parameter: V, []: [V; 0]) -> (V, [V; 0]) {
        (g.neg_mul_add(g.splat(self.rate), parameter), [])
    }
}
