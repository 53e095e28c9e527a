//! The logistic function y = 1/(1 + e⁻ˣ), with derivative y(1 − y).

use super::{ActivationFunction, DerivativeFrom};
use crate::lanes::Lanes;
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

    fn reference_value(self, x: f64) -> f64 {
        if x < 0.0 { x.exp() / (1.0 + x.exp()) } else { 1.0 / (1.0 + (-x).exp()) }
    }

    fn reference_derivative(self, y: f64) -> f64 {
        y * (1.0 - y)
    }
}
