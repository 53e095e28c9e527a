//! The exponential linear unit: x above 0, α(eˣ − 1) elsewhere, with derivative 1, or αeˣ = y + α.

use super::{ActivationFunction, DerivativeFrom};
use crate::lanes::Lanes;
use crate::reference::Real;
use crate::{Element, math};

/// σ(x) = x for x > 0, α(eˣ − 1) elsewhere. α is rounded to the element.
#[derive(Clone, Copy)]
pub(super) struct Elu {
    pub(super) alpha: f64,
}

impl ActivationFunction for Elu {
    /// y, as long as it tells where x > 0.
    #[inline(always)]
    fn derivative_from(self) -> DerivativeFrom {
        if self.alpha >= 0.0 { DerivativeFrom::Output } else { DerivativeFrom::Input }
    }

    #[inline(always)]
    fn value<V: Lanes>(self, x: V) -> V {
        let alpha = x.splat(V::Element::from_f64(self.alpha));
        // The sign of zero is that of x.
        x.select(x.splat(V::Element::ZERO).le(x), alpha * math::expm1_below(x))
    }

    /// 1 above 0; elsewhere (at 0 too) y + α, or αeˣ if it is x that is stored.
    #[inline(always)]
    fn derivative<V: Lanes>(self, stored: V) -> V {
        let alpha = stored.splat(V::Element::from_f64(self.alpha));
        let below = match self.derivative_from() {
            DerivativeFrom::Output => stored + alpha,
            DerivativeFrom::Input => alpha * math::exp(stored),
        };
        stored.splat(V::Element::ONE).select(stored.splat(V::Element::ZERO).lt(stored), below)
    }

    fn reference_value<R: Real>(self, x: R) -> R {
        if x > 0.0.into() { x } else { R::from(self.alpha) * x.exp_m1() }
    }

    fn reference_derivative<R: Real>(self, stored: R) -> R {
        if stored > 0.0.into() {
            return 1.0.into();
        }
        match self.derivative_from() {
            DerivativeFrom::Output => stored + self.alpha.into(),
            DerivativeFrom::Input => R::from(self.alpha) * stored.exp(),
        }
    }
}
