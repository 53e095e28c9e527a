//! Adam, AdamW, AMSGrad.

use super::{Epsilon, RootScalars, bias_correction, lerp, lerp_square, squarable};
use crate::Element;
use crate::lanes::Lanes;

/// Adam. State: m, v, and with AMSGrad the greatest v.
///
/// m ← β₁m + (1 − β₁)g, v ← β₂v + (1 − β₂)g², θ ← θ − η·m̂/√(v̂ + ε) with m̂ = m/(1 − β₁ᵗ) and
/// v̂ = v/(1 − β₂ᵗ). With [`Adam::amsgrad`] the greatest v so far takes the place of v in v̂.
/// AdamW is this rule with [`super::Decay::decoupled`]. Sources: D. Kingma, J. Ba, ICLR 2015;
/// I. Loshchilov, F. Hutter, ICLR 2019; S. Reddi, S. Kale, S. Kumar, ICLR 2018.
///
/// ```
/// use deltarule_kernels::{Isa, optimizer::{Adam, Optimizer, Step}};
/// let update = Optimizer::from(Adam::default()).at_step::<f64>(&Step::new(1));
/// let (mut parameters, mut m, mut v) = ([0.0; 2], [0.0; 2], [0.0; 2]);
/// update.apply(Isa::detect(), &[0.5, -100.0], &mut parameters, [&mut m, &mut v, &mut []])?;
/// // The first step is η long, whatever the gradient is.
/// assert!((parameters[0] + 1e-3).abs() < 1e-9 && (parameters[1] - 1e-3).abs() < 1e-9);
/// # Ok::<(), deltarule_kernels::ShapeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Adam {
    /// η.
    pub learning_rate: f64,
    /// β₁.
    pub beta1: f64,
    /// β₂.
    pub beta2: f64,
    /// ε and where it stands.
    pub epsilon: Epsilon,
    /// Whether the greatest v so far is used.
    pub amsgrad: bool,
}

impl Default for Adam {
    /// η = 0.001, β₁ = 0.9, β₂ = 0.999, ε = 10⁻⁸ inside the root, no AMSGrad.
    fn default() -> Self {
        Self {
            learning_rate: 0.001,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: Epsilon::InsideRoot(1e-8),
            amsgrad: false,
        }
    }
}

impl Adam {
    pub(super) fn rule<E: Element>(&self, rate: f64, number: u64) -> Rule<E> {
        let t = number as f64;
        Rule {
            rate: E::from_f64(rate / bias_correction(self.beta1, t)),
            weight1: E::from_f64(1.0 - self.beta1),
            weight2: E::from_f64(1.0 - self.beta2),
            correction2: E::from_f64(1.0 / bias_correction(self.beta2, t)),
            root: RootScalars::new(self.epsilon),
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Rule<E> {
    /// η/(1 − β₁ᵗ).
    rate: E,
    /// 1 − β₁.
    weight1: E,
    /// 1 − β₂.
    weight2: E,
    /// 1/(1 − β₂ᵗ).
    correction2: E,
    root: RootScalars<E>,
}

impl<E: Element> Rule<E> {
    #[inline(always)]
    fn descend<V: Lanes<Element = E>>(self, parameter: V, m: V, v: V) -> V {
        let direction = m / self.root.of(v, self.correction2);
        direction.neg_mul_add(m.splat(self.rate), parameter)
    }
}

impl<E: Element> super::Rule<E, 2> for Rule<E> {
    #[inline(always)]
    fn step<V: Lanes<Element = E>>(self, g: V, parameter: V, [m, v]: [V; 2]) -> (V, [V; 2]) {
        let g = squarable(g);
        let m = lerp(m, g, self.weight1);
        let v = lerp_square(v, g, self.weight2);
        (self.descend(parameter, m, v), [m, v])
    }
}

/// AMSGrad.
impl<E: Element> super::Rule<E, 3> for Rule<E> {
    #[inline(always)]
    fn step<V: Lanes<Element = E>>(
        self,
        g: V,
        parameter: V,
        [m, v, greatest]: [V; 3],
    ) -> (V, [V; 3]) {
        let g = squarable(g);
        let m = lerp(m, g, self.weight1);
        let v = lerp_square(v, g, self.weight2);
        // Where one is NaN, `greater_or` gives v: a NaN of v comes through.
        let greatest = greatest.select(greatest.is_nan(), greatest.greater_or(v));
        (self.descend(parameter, m, greatest), [m, v, greatest])
    }
}
