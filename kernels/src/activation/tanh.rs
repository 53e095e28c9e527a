//! The hyperbolic tangent y = tanh x, with derivative 1 − y².

use super::{ActivationFunction, DerivativeFrom};
use crate::lanes::Lanes;
use crate::reference::Real;
use crate::{Element, math};

/// σ(x) = tanh x.
#[derive(Clone, Copy)]
pub(super) struct Tanh;

impl ActivationFunction for Tanh {
    #[inline(always)]
    fn derivative_from(self) -> DerivativeFrom {
        DerivativeFrom::Output
    }

    #[inline(always)]
    fn value<V: Lanes>(self, x: V) -> V {
        math::tanh(x)
    }

    /// 1 − y², as (1 − y)(1 + y).
    #[inline(always)]
    fn derivative<V: Lanes>(self, y: V) -> V {
        let one = y.splat(V::Element::ONE);
        (one - y) * (one + y)
    }

    fn reference_value<R: Real>(self, x: R) -> R {
        x.tanh()
    }

    fn reference_derivative<R: Real>(self, y: R) -> R {
        (R::from(1.0) - y) * (R::from(1.0) + y)
    }
}
