//! The identity held within two bounds, with derivative 1 between them: with bounds of 0 and 6 it
//! is ReLU6, with −1 and 1 the hard tanh.

use super::{ActivationFunction, DerivativeFrom};
use crate::Element;
use crate::lanes::Lanes;
use crate::reference::Real;

/// σ(x) = min(max(x, low), high). NaN stays NaN. The bounds are rounded to the element.
#[derive(Clone, Copy)]
pub(super) struct Clip {
    pub(super) low: f64,
    pub(super) high: f64,
}

impl ActivationFunction for Clip {
    /// y is within the bounds just where x is.
    #[inline(always)]
    fn derivative_from(self) -> DerivativeFrom {
        DerivativeFrom::Output
    }

    #[inline(always)]
    fn value<V: Lanes>(self, x: V) -> V {
        let low = x.splat(V::Element::from_f64(self.low));
        let high = x.splat(V::Element::from_f64(self.high));
        high.less_or(low.greater_or(x))
    }

    /// 1 between the bounds, 0 at them (and outside), NaN for NaN.
    #[inline(always)]
    fn derivative<V: Lanes>(self, y: V) -> V {
        let low = y.splat(V::Element::from_f64(self.low));
        let high = y.splat(V::Element::from_f64(self.high));
        let outside = y.splat(V::Element::ZERO).select(y.eq(y), y);
        y.splat(V::Element::ONE).select(low.lt(y) & y.lt(high), outside)
    }

    fn reference_value<R: Real>(self, x: R) -> R {
        if x < self.low.into() {
            self.low.into()
        } else if x > self.high.into() {
            self.high.into()
        } else {
            x
        }
    }

    fn reference_derivative<R: Real>(self, y: R) -> R {
        if y > self.low.into() && y < self.high.into() {
            1.0.into()
        } else if y <= self.low.into() || y >= self.high.into() {
            0.0.into()
        } else {
            y
        }
    }
}
