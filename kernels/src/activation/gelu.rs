//! The Gaussian error linear unit xΦ(x), with derivative Φ(x) + xφ(x), Φ and φ the standard normal
//! distribution and density.

use super::{ActivationFunction, DerivativeFrom};
use crate::lanes::Lanes;
use crate::math;
use crate::reference::Real;

/// σ(x) = xΦ(x) = ½x·erfc(−x/√2), accurate in relative terms down the negative tail.
#[derive(Clone, Copy)]
pub(super) struct Gelu;

impl ActivationFunction for Gelu {
    /// y does not tell x: the function falls, and then rises.
    #[inline(always)]
    fn derivative_from(self) -> DerivativeFrom {
        DerivativeFrom::Input
    }

    /// 0 at x ≈ −0.7518.
    fn derivative_crossing(self) -> Option<(f64, f64)> {
        Some((-1.0, -0.5))
    }

    #[inline(always)]
    fn value<V: Lanes>(self, x: V) -> V {
        math::times_normal_cdf(x)
    }

    /// Φ(x) + xφ(x).
    #[inline(always)]
    fn derivative<V: Lanes>(self, x: V) -> V {
        math::times_normal_cdf_derivative(x)
    }

    fn reference_value<R: Real>(self, x: R) -> R {
        limit_at_minus_infinity(x, x * normal_cdf(x))
    }

    fn reference_derivative<R: Real>(self, x: R) -> R {
        let density = (-x * x / 2.0.into()).exp() / (R::PI + R::PI).sqrt();
        if x.to_f64().is_infinite() {
            return normal_cdf(x);
        }
        normal_cdf(x) + x * density
    }
}

/// Φ(x).
fn normal_cdf<R: Real>(x: R) -> R {
    (-x / R::from(2.0).sqrt()).erfc() / 2.0.into()
}

/// `value`, but −0 at x = −∞, where the formula would be −∞·0.
pub(super) fn limit_at_minus_infinity<R: Real>(x: R, value: R) -> R {
    if x.to_f64() == f64::NEG_INFINITY { (-0.0).into() } else { value }
}
