//! Mish: x·tanh(ln(1 + eˣ)).
//!
//! With e = eˣ, tanh(ln(1 + e)) = n/d, n = e² + 2e, d = n + 2, and the derivative is e·p/d²,
//! p = (e + 2)d + 4x(1 + e). For x ≥ 0, where that would overflow, all is written with e = e⁻ˣ:
//! n = 2e + 1, d = n + 2e², and the derivative is n/d + 4xe²(1 + e)/d².

use super::gelu::limit_at_minus_infinity;
use super::{ActivationFunction, DerivativeFrom};
use crate::Element;
use crate::lanes::Lanes;
use crate::math::{Logistic, exact_mul_add, in_f64};
use crate::reference::Real;

/// σ(x) = x·tanh(ln(1 + eˣ)) (Misra, Mish: A Self Regularized Non-Monotonic Activation Function,
/// 2019), accurate in relative terms down the negative tail.
#[derive(Clone, Copy)]
pub(super) struct Mish;

impl ActivationFunction for Mish {
    /// y does not tell x: the function falls, and then rises.
    #[inline(always)]
    fn derivative_from(self) -> DerivativeFrom {
        DerivativeFrom::Input
    }

    /// 0 at x ≈ −1.1924.
    fn derivative_crossing(self) -> Option<(f64, f64)> {
        Some((-1.75, -0.75))
    }

    #[inline(always)]
    fn value<V: Lanes>(self, x: V) -> V {
        if let Some(y) = in_f64::mish(x) {
            return y;
        }
        let logistic = Logistic::new(x);
        logistic.choose(x * TanhSoftplus::new(logistic).value(), Logistic::finite(x), x)
    }

    #[inline(always)]
    fn derivative<V: Lanes>(self, x: V) -> V {
        if let Some(y) = in_f64::mish_derivative(x) {
            return y;
        }
        let (one, two) = (x.splat(V::Element::ONE), x.splat(V::Element::TWO));
        let four = two + two;
        let logistic = Logistic::new(x);
        let tanh = TanhSoftplus::new(logistic);
        let TanhSoftplus { e, inverse, inverse_low, .. } = tanh;
        // p as 4(1 + x) + e·(6 + 4x + e·(4 + e)): the first term leads, and is rounded once.
        let p = e.mul_add(four + e, four.mul_add(x, four + two));
        let p = e.mul_add(p, four.mul_add(x, four));
        let (a, b) = (e * inverse, p * inverse);
        let a_low = logistic.exponential_low().mul_add(inverse, exact_mul_add(e, inverse, -a));
        let a_low = e.mul_add(inverse_low, a_low);
        let b_low = p.mul_add(inverse_low, exact_mul_add(p, inverse, -b));
        let below = a.mul_add(b, a.mul_add(b_low, a_low * b));
        let slope = two * e * inverse;
        let above = (slope * slope).mul_add(x * (one + e), tanh.value());
        let near = below.select(logistic.negative(), above);
        logistic.choose(near, one + Logistic::finite(x), one)
    }

    fn reference_value<R: Real>(self, x: R) -> R {
        limit_at_minus_infinity(x, x * tanh_softplus(x))
    }

    fn reference_derivative<R: Real>(self, x: R) -> R {
        let tanh = tanh_softplus(x);
        if x.to_f64().is_infinite() {
            return tanh;
        }
        // 1 − tanh² of ln(1 + w) is 4(1 + w)²/(n + 2)², and that times w/(1 + w) is what x has.
        let e = (-x.abs()).exp();
        let (one, two) = (R::from(1.0), R::from(2.0));
        let sech2_sigmoid = if x < 0.0.into() {
            R::from(4.0) * e * (one + e) / ((e * (e + two) + two) * (e * (e + two) + two))
        } else {
            let d = one + two * e + two * e * e;
            R::from(4.0) * e * e * (one + e) / (d * d)
        };
        tanh + x * sech2_sigmoid
    }
}

/// tanh(ln(1 + eˣ)) = n/d, and 1/d.
#[derive(Clone, Copy)]
struct TanhSoftplus<V> {
    /// e^{−|x|}.
    e: V,
    n: V,
    n_low: V,
    d: V,
    d_low: V,
    inverse: V,
    /// What rounding left over from 1/d.
    inverse_low: V,
}

impl<V: Lanes> TanhSoftplus<V> {
    #[inline(always)]
    fn new(logistic: Logistic<V>) -> Self {
        let negative = logistic.negative();
        let (e, e_low) = (logistic.exponential(), logistic.exponential_low());
        let (one, two) = (e.splat(V::Element::ONE), e.splat(V::Element::TWO));
        let double = e + e;
        // n = s² + 2e.
        let s = e.select(negative, one);
        let n = s.mul_add(s, double);
        let n_low = exact_mul_add(s, s, double - n);
        let n_low = (e_low + e_low).mul_add((one + e).select(negative, one), n_low);
        // d is the sum of n and this, and a fast two-sum begins with the larger.
        let addend = two.select(negative, double * e);
        let d = n + addend;
        let (large, small) = (two.select(negative, n), n.select(negative, addend));
        let d_low = small - (d - large) + n_low;
        let inverse = one / d;
        let remainder = d_low.neg_mul_add(inverse, exact_mul_add(-inverse, d, one));
        Self { e, n, n_low, d, d_low, inverse, inverse_low: inverse * remainder }
    }

    /// n/d.
    #[inline(always)]
    fn value(self) -> V {
        let Self { n, n_low, d, d_low, inverse, .. } = self;
        let quotient = n * inverse;
        let remainder = exact_mul_add(-quotient, d, n) + d_low.neg_mul_add(quotient, n_low);
        remainder.mul_add(inverse, quotient)
    }
}

/// tanh(ln(1 + eˣ)).
fn tanh_softplus<R: Real>(x: R) -> R {
    let (one, two) = (R::from(1.0), R::from(2.0));
    let e = (-x.abs()).exp();
    if x < 0.0.into() {
        let n = e * (e + two);
        n / (n + two)
    } else {
        (one + two * e) / (one + two * e + two * e * e)
    }
}
