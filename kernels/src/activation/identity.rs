//! x, with derivative 1.

use super::{ActivationFunction, DerivativeFrom};
use crate::Element;
use crate::lanes::Lanes;

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

    fn reference_value(self, x: f64) -> f64 {
        x
    }

    fn reference_derivative(self, _: f64) -> f64 {
        1.0
    }
}
