//! The sigmoid linear unit x/(1 + e⁻ˣ), or swish, with derivative s(1 + x(1 − s)), s = 1/(1 + e⁻ˣ).

use super::gelu::limit_at_minus_infinity;
use super::{ActivationFunction, DerivativeFrom};
use crate::lanes::Lanes;
use crate::math;
use crate::reference::Real;

/// σ(x) = x/(1 + e⁻ˣ), accurate in relative terms down the negative tail.
#[derive(Clone, Copy)]
pub(super) struct Silu;

impl ActivationFunction for Silu {
    /// y does not tell x: the function falls, and then rises.
    #[inline(always)]
    fn derivative_from(self) -> DerivativeFrom {
        DerivativeFrom::Input
    }

    /// 0 at x ≈ −1.2785.
    fn derivative_crossing(self) -> Option<(f64, f64)> {
        Some((-1.75, -0.75))
    }

    #[inline(always)]
    fn value<V: Lanes>(self, x: V) -> V {
        math::times_sigmoid(x)
    }

    /// s(1 + x(1 − s)).
    #[inline(always)]
    fn derivative<V: Lanes>(self, x: V) -> V {
        math::times_sigmoid_derivative(x)
    }

    fn reference_value<R: Real>(self, x: R) -> R {
        limit_at_minus_infinity(x, x * x.sigmoid())
    }

    fn reference_derivative<R: Real>(self, x: R) -> R {
        if x.to_f64().is_infinite() {
            return x.sigmoid();
        }
        x.sigmoid() * (R::from(1.0) + x * (-x).sigmoid())
    }
}
