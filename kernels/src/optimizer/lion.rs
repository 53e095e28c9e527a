//! Lion.

use super::{is_all, lerp, within};
use crate::Element;
use crate::lanes::Lanes;
use crate::lockstep::sign;

/// Lion: the sign of an interpolated momentum. State: m.
///
/// θ ← θ − η·sign(β₁m + (1 − β₁)g), then m ← β₂m + (1 − β₂)g; sign 0 = 0. Meant to be used with
/// [`super::Decay::decoupled`]. Source: X. Chen et al., arXiv:2302.06675.
///
/// ```
/// use deltarule_kernels::{Isa, optimizer::{Lion, Optimizer, Step}};
/// let optimizer = Optimizer::from(Lion { learning_rate: 0.25, ..Lion::default() });
/// let (mut parameter, mut m) = ([0.0f32], [0.0]);
/// for (number, gradient) in [(1, 5.0), (2, -0.1), (3, 0.001)] {
///     let update = optimizer.at_step(&Step::new(number));
///     update.apply(Isa::detect(), &[gradient], &mut parameter, [&mut m, &mut [], &mut []])?;
/// }
/// // Three steps of one length; a small gradient against the momentum does not turn it.
/// assert_eq!(parameter, [-0.75]);
/// # Ok::<(), deltarule_kernels::ShapeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Lion {
    /// η.
    pub learning_rate: f64,
    /// β₁.
    pub beta1: f64,
    /// β₂.
    pub beta2: f64,
}

impl Default for Lion {
    /// η = 10⁻⁴, β₁ = 0.9, β₂ = 0.99.
    fn default() -> Self {
        Self { learning_rate: 1e-4, beta1: 0.9, beta2: 0.99 }
    }
}

impl Lion {
    pub(super) fn rule<E: Element>(&self, rate: f64) -> Rule<E> {
        Rule {
            rate: E::from_f64(rate),
            weights: [self.beta1, self.beta2].map(|beta| E::from_f64(1.0 - beta)),
            pasts: [self.beta1, self.beta2]
                .map(|beta| if is_all::<E>(1.0 - beta) { E::ZERO } else { E::ONE }),
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Rule<E> {
    rate: E,
    /// 1 − β₁ and 1 − β₂.
    weights: [E; 2],
    /// What either keeps of m: all that it takes, or nothing.
    pasts: [E; 2],
}

impl<E: Element> super::Rule<E, 1> for Rule<E> {
    #[inline(always)]
    fn step<V: Lanes<Element = E>>(self, g: V, parameter: V, [m]: [V; 1]) -> (V, [V; 1]) {
        // The difference of two such numbers is finite.
        let g = within(g, E::LARGEST * E::HALF);
        let [forward, next] = [0, 1].map(|i| lerp(m * m.splat(self.pasts[i]), g, self.weights[i]));
        let parameter = sign(forward).neg_mul_add(g.splat(self.rate), parameter);
        (parameter, [next])
    }
}
