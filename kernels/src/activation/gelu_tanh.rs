//! The tanh form of the Gaussian error linear unit,
//! ½x(1 + tanh(√(2/π)(x + 0.044715x³))) = x/(1 + e⁻ᵏ), k = 2√(2/π)(x + 0.044715x³), with
//! derivative s(1 + xk′(1 − s)), s = 1/(1 + e⁻ᵏ).

use super::gelu::limit_at_minus_infinity;
use super::{ActivationFunction, DerivativeFrom};
use crate::lanes::Lanes;
use crate::math;
use crate::reference::Real;

/// σ(x) = ½x(1 + tanh(√(2/π)(x + 0.044715x³))), accurate in relative terms down the negative tail.
#[derive(Clone, Copy)]
pub(super) struct GeluTanh;

impl ActivationFunction for GeluTanh {
    /// y does not tell x: the function falls, and then rises.
    #[inline(always)]
    fn derivative_from(self) -> DerivativeFrom {
        DerivativeFrom::Input
    }

    /// 0 at x ≈ −0.7525.
    fn derivative_crossing(self) -> Option<(f64, f64)> {
        Some((-1.0, -0.5))
    }

    #[inline(always)]
    fn value<V: Lanes>(self, x: V) -> V {
        math::gelu_tanh(x)
    }

    #[inline(always)]
    fn derivative<V: Lanes>(self, x: V) -> V {
        math::gelu_tanh_derivative(x)
    }

    fn reference_value<R: Real>(self, x: R) -> R {
        limit_at_minus_infinity(x, x * exponent(x).sigmoid())
    }

    fn reference_derivative<R: Real>(self, x: R) -> R {
        let k = exponent(x);
        if k.to_f64().abs() > 1e6 {
            return k.sigmoid();
        }
        let slope = scale::<R>() * (R::from(1.0) + R::from(3.0) * cubic::<R>() * x * x);
        k.sigmoid() * (R::from(1.0) + x * slope * (-k).sigmoid())
    }
}

/// k = 2√(2/π)(x + 0.044715x³).
fn exponent<R: Real>(x: R) -> R {
    scale::<R>() * (x + cubic::<R>() * x * x * x)
}

/// 2√(2/π).
fn scale<R: Real>() -> R {
    R::from(2.0) * (R::from(2.0) / R::PI).sqrt()
}

/// 0.044715.
fn cubic<R: Real>() -> R {
    R::from(44_715.0) / 1e6.into()
}
