//! Adagrad.

use super::{Epsilon, RootScalars, squarable};
use crate::Element;
use crate::lanes::Lanes;

/// Adagrad. State: s, the sum of squared gradients.
///
/// s ← s + g², θ ← θ − η/(1 + (t − 1)·κ) · g/√(s + ε), κ the [`Adagrad::rate_decay`]. Source:
/// J. Duchi, E. Hazan, Y. Singer, JMLR 12 (2011); an initial accumulator is the value that the
/// state is filled with before the first step.
///
/// ```
/// use deltarule_kernels::{Isa, optimizer::{Adagrad, Epsilon, Optimizer, Step}};
/// let epsilon = Epsilon::InsideRoot(0.0);
/// let rule = Adagrad { learning_rate: 1.0, epsilon, ..Adagrad::default() };
/// let (mut parameter, mut sum) = ([0.0f32], [0.0]);
/// for (number, gradient) in [(1, 3.0), (2, 4.0)] {
///     let update = Optimizer::from(rule).at_step(&Step::new(number));
///     update.apply(Isa::detect(), &[gradient], &mut parameter, [&mut sum, &mut [], &mut []])?;
/// }
/// assert_eq!((sum, parameter), ([25.0], [-3.0 / 3.0 - 4.0 / 5.0]));
/// # Ok::<(), deltarule_kernels::ShapeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Adagrad {
    /// η.
    pub learning_rate: f64,
    /// κ.
    pub rate_decay: f64,
    /// ε and where it stands.
    pub epsilon: Epsilon,
}

impl Default for Adagrad {
    /// η = 0.01, κ = 0, ε = 10⁻¹⁰ inside the root.
    fn default() -> Self {
        Self { learning_rate: 0.01, rate_decay: 0.0, epsilon: Epsilon::InsideRoot(1e-10) }
    }
}

impl Adagrad {
    pub(super) fn rule<E: Element>(&self, rate: f64, number: u64) -> Rule<E> {
        let rate = rate / (1.0 + (number - 1) as f64 * self.rate_decay);
        Rule { rate: E::from_f64(rate), root: RootScalars::new(self.epsilon) }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Rule<E> {
    rate: E,
    root: RootScalars<E>,
}

impl<E: Element> super::Rule<E, 1> for Rule<E> {
    #[inline(always)]
    fn step<V: Lanes<Element = E>>(self, g: V, parameter: V, [s]: [V; 1]) -> (V, [V; 1]) {
        let g = squarable(g);
        // From ∞ no step would move the parameter any more; NaN stays NaN.
        let s = g.splat(E::LARGEST).less_or(g.mul_add(g, s));
        let direction = g / self.root.of(s, E::ONE);
        (direction.neg_mul_add(g.splat(self.rate), parameter), [s])
    }
}
