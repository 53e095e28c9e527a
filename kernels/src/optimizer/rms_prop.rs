//! RMSProp.

use super::{Epsilon, RootScalars, lerp, lerp_square, squarable};
use crate::Element;
use crate::lanes::Lanes;

/// RMSProp. State: v, then ḡ if centered, then b with momentum.
///
/// v ← ρv + (1 − ρ)g²; centered, ḡ ← ρḡ + (1 − ρ)g and the variance v − ḡ² takes the place of v
/// in what follows. With u = g/√(v + ε): θ ← θ − ηu, or with momentum b ← μb + u, θ ← θ − ηb.
/// Sources: T. Tieleman, G. Hinton, lecture 6.5 (2012); centered, A. Graves, arXiv:1308.0850.
///
/// ```
/// use deltarule_kernels::{Isa, optimizer::{Epsilon, Optimizer, RmsProp, Step}};
/// let epsilon = Epsilon::InsideRoot(0.0);
/// let rule = RmsProp { learning_rate: 0.5, rho: 0.75, epsilon, ..RmsProp::default() };
/// let (mut parameter, mut v) = ([0.0f32], [0.0]);
/// let update = Optimizer::from(rule).at_step(&Step::new(1));
/// update.apply(Isa::detect(), &[2.0], &mut parameter, [&mut v, &mut [], &mut []])?;
/// assert_eq!((v, parameter), ([0.25 * 4.0], [-0.5 * 2.0 / 1.0]));
/// # Ok::<(), deltarule_kernels::ShapeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct RmsProp {
    /// η.
    pub learning_rate: f64,
    /// ρ.
    pub rho: f64,
    /// ε and where it stands.
    pub epsilon: Epsilon,
    /// Whether the squared mean gradient is subtracted from v.
    pub centered: bool,
    /// μ; 0 for none, and then there is no state for it.
    pub momentum: f64,
}

impl Default for RmsProp {
    /// η = 0.01, ρ = 0.99, ε = 10⁻⁸ inside the root, not centered, no momentum.
    fn default() -> Self {
        Self {
            learning_rate: 0.01,
            rho: 0.99,
            epsilon: Epsilon::InsideRoot(1e-8),
            centered: false,
            momentum: 0.0,
        }
    }
}

impl RmsProp {
    pub(super) fn has_momentum(&self) -> bool {
        self.momentum != 0.0
    }

    pub(super) fn rule<E: Element, const CENTERED: bool, const MOMENTUM: bool>(
        &self,
        rate: f64,
    ) -> Rule<E, CENTERED, MOMENTUM> {
        Rule {
            rate: E::from_f64(rate),
            weight: E::from_f64(1.0 - self.rho),
            momentum: E::from_f64(self.momentum),
            root: RootScalars::new(self.epsilon),
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Rule<E, const CENTERED: bool, const MOMENTUM: bool> {
    rate: E,
    /// 1 − ρ.
    weight: E,
    momentum: E,
    root: RootScalars<E>,
}

impl<E: Element, const CENTERED: bool, const MOMENTUM: bool> Rule<E, CENTERED, MOMENTUM> {
    /// The new parameter, v, ḡ and b; what a form does not have is handed in and out unused.
    #[inline(always)]
    fn full_step<V: Lanes<Element = E>>(
        self,
        g: V,
        parameter: V,
        [v, mean, buffer]: [V; 3],
    ) -> (V, [V; 3]) {
        let g = squarable(g);
        let v = lerp_square(v, g, self.weight);
        let mean = if CENTERED { lerp(mean, g, self.weight) } else { mean };
        let variance = if CENTERED {
            // By rounding it may fall below 0, where a root is NaN.
            v.splat(E::ZERO).greater_or(mean.neg_mul_add(mean, v))
        } else {
            v
        };
        let scaled = g / self.root.of(variance, E::ONE);
        let buffer = if MOMENTUM { buffer.mul_add(g.splat(self.momentum), scaled) } else { buffer };
        let direction = if MOMENTUM { buffer } else { scaled };
        (direction.neg_mul_add(g.splat(self.rate), parameter), [v, mean, buffer])
    }
}

impl<E: Element> super::Rule<E, 1> for Rule<E, false, false> {
    #[inline(always)]
    fn step<V: Lanes<Element = E>>(self, g: V, parameter: V, [v]: [V; 1]) -> (V, [V; 1]) {
        let (parameter, [v, ..]) = self.full_step(g, parameter, [v; 3]);
        (parameter, [v])
    }
}

impl<E: Element> super::Rule<E, 2> for Rule<E, true, false> {
    #[inline(always)]
    fn step<V: Lanes<Element = E>>(self, g: V, parameter: V, [v, mean]: [V; 2]) -> (V, [V; 2]) {
        let (parameter, [v, mean, _]) = self.full_step(g, parameter, [v, mean, v]);
        (parameter, [v, mean])
    }
}

impl<E: Element> super::Rule<E, 2> for Rule<E, false, true> {
    #[inline(always)]
    fn step<V: Lanes<Element = E>>(self, g: V, parameter: V, [v, buffer]: [V; 2]) -> (V, [V; 2]) {
        let (parameter, [v, _, buffer]) = self.full_step(g, parameter, [v, v, buffer]);
        (parameter, [v, buffer])
    }
}

impl<E: Element> super::Rule<E, 3> for Rule<E, true, true> {
    #[inline(always)]
    fn step<V: Lanes<Element = E>>(self, g: V, parameter: V, state: [V; 3]) -> (V, [V; 3]) {
        self.full_step(g, parameter, state)
    }
}
