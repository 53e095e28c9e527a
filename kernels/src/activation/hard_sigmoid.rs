//! The hard sigmoid: (x + 3)/6, held within 0 and 1, with derivative 1⁄6 between them.

use super::{ActivationFunction, DerivativeFrom};
use crate::Element;
use crate::lanes::Lanes;
use crate::reference::Real;

/// σ(x) = min(max((x + 3)/6, 0), 1).
#[derive(Clone, Copy)]
pub(super) struct HardSigmoid;

impl ActivationFunction for HardSigmoid {
    #[inline(always)]
    fn derivative_from(self) -> DerivativeFrom {
        DerivativeFrom::Output
    }

    #[inline(always)]
    fn value<V: Lanes>(self, x: V) -> V {
        hard_sigmoid(x)
    }

    /// 1⁄6 for 0 < y < 1, 0 elsewhere, NaN for NaN.
    #[inline(always)]
    fn derivative<V: Lanes>(self, y: V) -> V {
        let (zero, one) = (y.splat(V::Element::ZERO), y.splat(V::Element::ONE));
        let inside = zero.lt(y) & y.lt(one);
        // 0, but for NaN.
        let outside = one.less_or(zero.greater_or(y)) * zero;
        y.splat(V::Element::from_f64(1.0 / 6.0)).select(inside, outside)
    }

    fn reference_value<R: Real>(self, x: R) -> R {
        reference_hard_sigmoid(x)
    }

    fn reference_derivative<R: Real>(self, y: R) -> R {
        if y > 0.0.into() && y < 1.0.into() {
            R::from(1.0) / 6.0.into()
        } else if y <= 0.0.into() || y >= 1.0.into() {
            0.0.into()
        } else {
            y
        }
    }
}

/// min(max((x + 3)/6, 0), 1), NaN for NaN.
#[inline(always)]
pub(super) fn hard_sigmoid<V: Lanes>(x: V) -> V {
    let line = (x + x.splat(V::Element::from_f64(3.0))) / x.splat(V::Element::from_f64(6.0));
    let one = x.splat(V::Element::ONE);
    one.less_or(x.splat(V::Element::ZERO).greater_or(line))
}

/// min(max((x + 3)/6, 0), 1).
pub(super) fn reference_hard_sigmoid<R: Real>(x: R) -> R {
    let three = R::from(3.0);
    if x <= -three {
        0.0.into()
    } else if x >= three {
        1.0.into()
    } else {
        (x + three) / 6.0.into()
    }
}
