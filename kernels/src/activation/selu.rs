//! The scaled exponential linear unit: λx above 0, λα(eˣ − 1) elsewhere, with derivative λ, or
//! λαeˣ = y + λα.

use super::{ActivationFunction, DerivativeFrom};
use crate::lanes::Lanes;
use crate::reference::Real;
use crate::{Element, math};

/// σ(x) = λx for x > 0, λα(eˣ − 1) elsewhere, with the λ and α for which mean 0 and variance 1 are
/// a fixed point of a layer (Klambauer et al., Self-Normalizing Neural Networks, 2017).
#[derive(Clone, Copy)]
pub(super) struct Selu;

/// λ.
const LAMBDA: f64 = 1.050_700_987_355_480_5;
/// α.
const ALPHA: f64 = 1.673_263_242_354_377_2;
/// λα.
const LAMBDA_ALPHA: f64 = LAMBDA * ALPHA;

impl ActivationFunction for Selu {
    #[inline(always)]
    fn derivative_from(self) -> DerivativeFrom {
        DerivativeFrom::Output
    }

    #[inline(always)]
    fn value<V: Lanes>(self, x: V) -> V {
        let above = x * x.splat(V::Element::from_f64(LAMBDA));
        let below = math::expm1_below(x) * x.splat(V::Element::from_f64(LAMBDA_ALPHA));
        // The sign of zero is that of x.
        above.select(x.splat(V::Element::ZERO).le(x), below)
    }

    /// λ above 0, y + λα elsewhere (at 0 too).
    #[inline(always)]
    fn derivative<V: Lanes>(self, y: V) -> V {
        // The sum cancels, so what rounding took from λα is added as well.
        let high = V::Element::from_f64(LAMBDA_ALPHA);
        let low = V::Element::from_f64(LAMBDA_ALPHA - high.to_f64());
        let below = y + y.splat(high) + y.splat(low);
        let lambda = y.splat(V::Element::from_f64(LAMBDA));
        lambda.select(y.splat(V::Element::ZERO).lt(y), below)
    }

    fn reference_value<R: Real>(self, x: R) -> R {
        if x > 0.0.into() { R::from(LAMBDA) * x } else { R::from(LAMBDA_ALPHA) * x.exp_m1() }
    }

    fn reference_derivative<R: Real>(self, y: R) -> R {
        if y > 0.0.into() { LAMBDA.into() } else { y + LAMBDA_ALPHA.into() }
    }
}
