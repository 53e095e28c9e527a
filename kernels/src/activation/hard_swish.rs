//! The hard swish x·min(max((x + 3)/6, 0), 1), with derivative (2x + 3)/6 between −3 and 3.

use super::gelu::limit_at_minus_infinity;
use super::hard_sigmoid::{hard_sigmoid, reference_hard_sigmoid};
use super::{ActivationFunction, DerivativeFrom};
use crate::Element;
use crate::lanes::Lanes;
use crate::reference::Real;

/// σ(x) = x·min(max((x + 3)/6, 0), 1) (Howard et al., Searching for MobileNetV3, 2019).
#[derive(Clone, Copy)]
pub(super) struct HardSwish;

impl ActivationFunction for HardSwish {
    /// y does not tell x: the function falls, and then rises.
    #[inline(always)]
    fn derivative_from(self) -> DerivativeFrom {
        DerivativeFrom::Input
    }

    #[inline(always)]
    fn value<V: Lanes>(self, x: V) -> V {
        // From −3 down the product is −0, at −∞ too.
        x.splat(V::Element::from_f64(-3.0)).greater_or(x) * hard_sigmoid(x)
    }

    /// 0 up to −3, 1 from 3 on, (2x + 3)/6 between, NaN for NaN.
    #[inline(always)]
    fn derivative<V: Lanes>(self, x: V) -> V {
        let (one, three) = (x.splat(V::Element::ONE), x.splat(V::Element::from_f64(3.0)));
        let line = x.mul_add(x.splat(V::Element::TWO), three) / (three + three);
        let zero = x.splat(V::Element::ZERO);
        one.select(three.le(x), zero.select(x.le(-three), line))
    }

    fn reference_value<R: Real>(self, x: R) -> R {
        limit_at_minus_infinity(x, x * reference_hard_sigmoid(x))
    }

    fn reference_derivative<R: Real>(self, x: R) -> R {
        let three = R::from(3.0);
        if x <= -three {
            0.0.into()
        } else if x >= three {
            1.0.into()
        } else {
            (x + x + three) / 6.0.into()
        }
    }
}
