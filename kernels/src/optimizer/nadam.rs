//! NAdam.

use super::{Epsilon, RootScalars, bias_correction, lerp, lerp_square};
use crate::Element;
use crate::lanes::Lanes;

/// Adam with Nesterov momentum. State: m, v.
///
/// m ← β₁m + (1 − β₁)g, v ← β₂v + (1 − β₂)g², v̂ = v/(1 − β₂ᵗ), and with
/// μₜ = β₁(1 − ½·0.96^{tψ}), ψ the [`NAdam::momentum_decay`]:
/// θ ← θ − η·(μₜ₊₁·m/(1 − μ₁…μₜ₊₁) + (1 − μₜ)·g/(1 − μ₁…μₜ)) / √(v̂ + ε). Source: T. Dozat, ICLR
/// 2016 workshop; as PyTorch has it.
///
/// ```
/// use deltarule_kernels::{Isa, optimizer::{NAdam, Optimizer, Step}};
/// let update = Optimizer::from(NAdam::default()).at_step::<f64>(&Step::new(1));
/// let (mut parameter, mut m, mut v) = ([0.0], [0.0], [0.0]);
/// update.apply(Isa::detect(), &[100.0], &mut parameter, [&mut m, &mut v, &mut []])?;
/// // A little longer than Adam's first step, for it looks ahead.
/// assert!(parameter[0] < -1.05 * 0.002 && parameter[0] > -1.06 * 0.002);
/// # Ok::<(), deltarule_kernels::ShapeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct NAdam {
    /// η.
    pub learning_rate: f64,
    /// β₁.
    pub beta1: f64,
    /// β₂.
    pub beta2: f64,
    /// ε and where it stands.
    pub epsilon: Epsilon,
    /// ψ.
    pub momentum_decay: f64,
}

impl Default for NAdam {
    /// η = 0.002, β₁ = 0.9, β₂ = 0.999, ε = 10⁻⁸ inside the root, ψ = 0.004.
    fn default() -> Self {
        Self {
            learning_rate: 0.002,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: Epsilon::InsideRoot(1e-8),
            momentum_decay: 0.004,
        }
    }
}

impl NAdam {
    /// μₜ.
    fn momentum(&self, t: f64) -> f64 {
        self.beta1 * (1.0 - 0.5 * 0.96_f64.powf(t * self.momentum_decay))
    }

    /// μ₁…μₜ. The factors are below β₁, so from some t on 1 minus the product is 1, and the loop
    /// need not run.
    fn momentum_product(&self, number: u64) -> f64 {
        const NEGLIGIBLE: f64 = f64::EPSILON / 4.0;
        if self.beta1.powf(number as f64) < NEGLIGIBLE {
            return 0.0;
        }
        (1..=number).map(|t| self.momentum(t as f64)).product()
    }

    pub(super) fn rule<E: Element>(&self, rate: f64, number: u64) -> Rule<E> {
        let t = number as f64;
        let product = self.momentum_product(number);
        let (now, next) = (self.momentum(t), self.momentum(t + 1.0));
        Rule {
            gradient_rate: E::from_f64(rate * (1.0 - now) / (1.0 - product)),
            momentum_rate: E::from_f64(rate * next / (1.0 - product * next)),
            weight1: E::from_f64(1.0 - self.beta1),
            weight2: E::from_f64(1.0 - self.beta2),
            correction2: E::from_f64(1.0 / bias_correction(self.beta2, t)),
            root: RootScalars::new(self.epsilon),
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Rule<E> {
    /// η(1 − μₜ)/(1 − μ₁…μₜ).
    gradient_rate: E,
    /// ημₜ₊₁/(1 − μ₁…μₜ₊₁).
    momentum_rate: E,
    /// 1 − β₁.
    weight1: E,
    /// 1 − β₂.
    weight2: E,
    /// 1/(1 − β₂ᵗ).
    correction2: E,
    root: RootScalars<E>,
}

impl<E: Element> super::Rule<E, 2> for Rule<E> {
    #[inline(always)]
    fn step<V: Lanes<Element = E>>(self, g: V, parameter: V, [m, v]: [V; 2]) -> (V, [V; 2]) {
        let m = lerp(m, g, self.weight1);
        let v = lerp_square(v, g, self.weight2);
        let ahead = m.mul_add(m.splat(self.momentum_rate), g * g.splat(self.gradient_rate));
        (parameter - ahead / self.root.of(v, self.correction2), [m, v])
    }
}
