//! x, with derivative 1.

use super::{ActivationFunction, DerivativeFrom};
use crate::Element;
use crate::lanes::Lanes;
use crate::reference::Real;

/// σ(x) = x.
#[derive(Clone, Copy)]
pub(super) struct Identity;

impl ActivationFunction for Identity {
    #[inline(always)]
    fn derivative_from(self) -> DerivativeFrom {
        DerivativeFrom::Output
    }

    #[inline(always)]
    fn value<V: Lanes>(self, x: V) -> V {
        x
    }

    #[inline(always)]
    fn derivative<V: Lanes>(self, y: V) -> V {
        y.splat(V::Element::ONE)
    }

    fn reference_value<R: Real>(self, x: R) -> R {
        x
    }

    fn reference_derivative<R: Real>(self, _: R) -> R {
        1.0.into()
    }
}
