//! The logistic function y = 1/(1 + e⁻ˣ), with derivative y(1 − y).

use super::{ActivationFunction, DerivativeFrom};
use crate::lanes::Lanes;
use crate::reference::Real;
use crate::{Element, math};

/// σ(x) = 1/(1 + e⁻ˣ).
#[derive(Clone, Copy)]
pub(super) struct Sigmoid;

impl ActivationFunction for Sigmoid {
    #[inline(always)]
    fn derivative_from(self) -> DerivativeFrom {
        DerivativeFrom::Output
    }

    #[inline(always)]
    fn value<V: Lanes>(self, x: V) -> V {
        math::sigmoid(x)
    }

    /// y(1 − y).
    #[inline(always)]
    fn derivative<V: Lanes>(self, y: V) -> V {
        y * (y.splat(V::Element::ONE) - y)
    }

    fn reference_value<R: Real>(self, x: R) -> R {
        x.sigmoid()
    }

    fn reference_derivative<R: Real>(self, y: R) -> R {
        y * (R::from(1.0) - y)
    }
}
