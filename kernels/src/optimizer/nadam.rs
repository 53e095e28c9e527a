//! NAdam.

use super::{Epsilon, RootScalars, bias_correction, lerp, lerp_square, squarable};
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

    /// μ₁…μₜ, or less where 1 minus it is 1 all the same.
    ///
    /// No step takes longer for all those before it. The factors grow from β₁/2 to β₁, so the
    /// product is at most μₜᵗ, which with the usual numbers is negligible from t = 48 on. With
    /// others it becomes so on the way, or the factors become β₁ and what is left is a power.
    fn momentum_product(&self, number: u64) -> f64 {
        const NEGLIGIBLE: f64 = f64::EPSILON / 4.0;
        let t = number as f64;
        if self.momentum(t).powf(t) < NEGLIGIBLE {
            return 0.0;
        }
        let (mut product, mut i) = (1.0, 1);
        while i <= number && product >= NEGLIGIBLE {
            let factor = self.momentum(i as f64);
            if factor == self.beta1 {
                return product * factor.powf((number - i + 1) as f64);
            }
            product *= factor;
            i += 1;
        }
        product
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
        let g = squarable(g);
        let m = lerp(m, g, self.weight1);
        let v = lerp_square(v, g, self.weight2);
        let ahead = m.mul_add(m.splat(self.momentum_rate), g * g.splat(self.gradient_rate));
        (parameter - ahead / self.root.of(v, self.correction2), [m, v])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 1 − μ₁…μₜ of each t, a factor after the other.
    fn corrections(rule: &NAdam, steps: u64) -> Vec<f64> {
        let mut product = 1.0;
        let next = |t| {
            product *= rule.momentum(t as f64);
            1.0 - product
        };
        (1..=steps).map(next).collect()
    }

    #[test]
    fn the_product_is_that_of_its_factors() {
        for beta1 in [0.0, 0.5, 0.9, 0.99, 0.9999] {
            for momentum_decay in [0.0, 0.004, 0.3] {
                let rule = NAdam { beta1, momentum_decay, ..NAdam::default() };
                for (t, expected) in (1..).zip(corrections(&rule, 2000)) {
                    assert_eq!(1.0 - rule.momentum_product(t), expected, "{rule:?} {t}");
                }
            }
        }
    }

    /// As many factors would take hours.
    #[test]
    fn a_late_step_takes_no_longer() {
        let rule = NAdam { beta1: 1.0 - 1e-13, momentum_decay: 1.0, ..NAdam::default() };
        let late = 1_000_000_000_000;
        let early: f64 = (1..=2000).map(|t| rule.momentum(t as f64)).product();
        let expected = early * rule.beta1.powf((late - 2000) as f64);
        let product = rule.momentum_product(late);
        assert!((product - expected).abs() < 1e-9 * expected, "{product} instead of {expected}");
        let rule = NAdam { beta1: 1.0 - 1e-13, ..NAdam::default() };
        assert_eq!(1.0 - rule.momentum_product(late), 1.0);
    }
}
