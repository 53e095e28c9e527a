//! Softplus y = ln(1 + eˣ), with derivative 1/(1 + e⁻ˣ) = 1 − e⁻ʸ.

use super::{ActivationFunction, DerivativeFrom};
use crate::lanes::Lanes;
use crate::reference::Real;
use crate::{Element, math};

/// σ(x) = ln(1 + eˣ) = max(0, x) + ln(1 + e^{−|x|}).
#[derive(Clone, Copy)]
pub(super) struct Softplus;

impl ActivationFunction for Softplus {
    #[inline(always)]
    fn derivative_from(self) -> DerivativeFrom {
        DerivativeFrom::Output
    }

    #[inline(always)]
    fn value<V: Lanes>(self, x: V) -> V {
        x.splat(V::Element::ZERO).greater_or(x) + math::log1p_inside(math::exp(-x.abs()))
    }

    /// 1 − e⁻ʸ.
    #[inline(always)]
    fn derivative<V: Lanes>(self, y: V) -> V {
        -math::expm1(-y)
    }

    fn reference_value<R: Real>(self, x: R) -> R {
        let positive = if x < 0.0.into() { 0.0.into() } else { x };
        positive + (-x.abs()).exp().ln_1p()
    }

    fn reference_derivative<R: Real>(self, y: R) -> R {
        -(-y).exp_m1()
    }
}
