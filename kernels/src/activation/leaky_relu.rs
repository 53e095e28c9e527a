//! The leaky rectified linear unit: x above 0, slope·x elsewhere; its derivative is 1 or the slope.

use super::{ActivationFunction, DerivativeFrom};
use crate::Element;
use crate::lanes::Lanes;
use crate::reference::Real;

/// σ(x) = x for x > 0, slope·x elsewhere. The slope is rounded to the element.
#[derive(Clone, Copy)]
pub(super) struct LeakyRelu {
    pub(super) slope: f64,
}

impl ActivationFunction for LeakyRelu {
    /// The derivative asks only where x > 0, which y tells as well, unless the slope is negative.
    #[inline(always)]
    fn derivative_from(self) -> DerivativeFrom {
        if self.slope >= 0.0 { DerivativeFrom::Output } else { DerivativeFrom::Input }
    }

    #[inline(always)]
    fn value<V: Lanes>(self, x: V) -> V {
        let slope = x.splat(V::Element::from_f64(self.slope));
        x.select(x.splat(V::Element::ZERO).lt(x), slope * x)
    }

    /// 1 above 0, the slope elsewhere (at 0 too), NaN for NaN.
    #[inline(always)]
    fn derivative<V: Lanes>(self, stored: V) -> V {
        let slope = stored.splat(V::Element::from_f64(self.slope));
        let one = stored.splat(V::Element::ONE);
        let zero = stored.splat(V::Element::ZERO);
        let finite_or_nan = slope.select(stored.le(zero), stored);
        one.select(zero.lt(stored), finite_or_nan)
    }

    fn reference_value<R: Real>(self, x: R) -> R {
        if x > 0.0.into() { x } else { R::from(self.slope) * x }
    }

    fn reference_derivative<R: Real>(self, stored: R) -> R {
        if stored > 0.0.into() {
            1.0.into()
        } else if stored <= 0.0.into() {
            self.slope.into()
        } else {
            stored
        }
    }
}
