//! SGD with momentum.

use crate::Element;
use crate::lanes::Lanes;

/// SGD with momentum. State: v.
///
/// v ← μv + (1 − τ)g, then θ ← θ − ηv (Polyak, heavy ball) or, with [`Momentum::nesterov`],
/// θ ← θ − η(g + μv). τ is the [`Momentum::dampening`], which the first step does without: there
/// v ← g. Source: I. Sutskever et al., ICML 2013, in the form in which v does not contain η, as
/// PyTorch and ONNX have it.
///
/// ```
/// use deltarule_kernels::{Isa, optimizer::{Momentum, Optimizer, Step}};
/// for (nesterov, expected) in [(false, [-0.5, -1.25]), (true, [-0.75, -1.625])] {
///     let rule = Momentum { learning_rate: 0.5, momentum: 0.5, dampening: 0.0, nesterov };
///     let (mut parameter, mut v) = ([0.0f32], [0.0]);
///     for (number, expected) in (1..).zip(expected) {
///         let update = Optimizer::from(rule).at_step(&Step::new(number));
///         update.apply(Isa::detect(), &[1.0], &mut parameter, [&mut v, &mut [], &mut []])?;
///         assert_eq!(parameter, [expected]);
///     }
/// }
/// # Ok::<(), deltarule_kernels::ShapeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Momentum {
    /// η.
    pub learning_rate: f64,
    /// μ.
    pub momentum: f64,
    /// τ.
    pub dampening: f64,
    /// Whether the gradient looks ahead.
    pub nesterov: bool,
}

impl Default for Momentum {
    /// η = 0.01, μ = 0.9, τ = 0, heavy ball.
    fn default() -> Self {
        Self { learning_rate: 0.01, momentum: 0.9, dampening: 0.0, nesterov: false }
    }
}

impl Momentum {
    pub(super) fn rule<E: Element, const NESTEROV: bool>(
        &self,
        rate: f64,
        number: u64,
    ) -> Rule<E, NESTEROV> {
        let dampening = if number == 1 { 0.0 } else { self.dampening };
        Rule {
            rate: E::from_f64(rate),
            momentum: E::from_f64(self.momentum),
            weight: E::from_f64(1.0 - dampening),
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Rule<E, const NESTEROV: bool> {
    rate: E,
    momentum: E,
    /// 1 − τ.
    weight: E,
}

impl<E: Element, const NESTEROV: bool> super::Rule<E, 1> for Rule<E, NESTEROV> {
    #[inline(always)]
    fn step<V: Lanes<Element = E>>(self, g: V, parameter: V, [v]: [V; 1]) -> (V, [V; 1]) {
        let momentum = g.splat(self.momentum);
        let v = v.mul_add(momentum, g * g.splat(self.weight));
        let direction = if NESTEROV { v.mul_add(momentum, g) } else { v };
        (direction.neg_mul_add(g.splat(self.rate), parameter), [v])
    }
}
