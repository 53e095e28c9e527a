//! The rectified linear unit max(0, x), with derivative 1 above 0 and 0 elsewhere.

use super::{ActivationFunction, DerivativeFrom};
use crate::Element;
use crate::lanes::Lanes;
use crate::reference::Real;

/// σ(x) = max(0, x). NaN stays NaN, and −0 stays −0.
#[derive(Clone, Copy)]
pub(super) struct Relu;

impl ActivationFunction for Relu {
    /// y > 0 just where x > 0.
    #[inline(always)]
    fn derivative_from(self) -> DerivativeFrom {
        DerivativeFrom::Output
    }

    #[inline(always)]
    fn value<V: Lanes>(self, x: V) -> V {
        x.splat(V::Element::ZERO).greater_or(x)
    }

    /// 1 where y > 0, 0 elsewhere (at 0 too), NaN where y is NaN.
    #[inline(always)]
    fn derivative<V: Lanes>(self, y: V) -> V {
        let zero = y.splat(V::Element::ZERO);
        y.splat(V::Element::ONE).select(zero.lt(y), zero.greater_or(y))
    }

    fn reference_value<R: Real>(self, x: R) -> R {
        if x < 0.0.into() { 0.0.into() } else { x }
    }

    fn reference_derivative<R: Real>(self, y: R) -> R {
        if y > 0.0.into() {
            1.0.into()
        } else if y <= 0.0.into() {
            0.0.into()
        } else {
            y
        }
    }
}
