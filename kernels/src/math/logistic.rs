//! Products with the logistic function 1/(1 + e⁻ˣ), accurate in relative terms down to the
//! smallest subnormal.

use super::exp::{ExpConstants, Reduced, exp};
use super::power::Power;
use super::{exact_mul_add, in_f64};
use crate::Element;
use crate::lanes::{Lanes, Mask};

/// 1/(1 + e⁻ˣ) by e = e^{−|x|}: 1/(1 + e) for x ≥ 0 and e/(1 + e) for x < 0, where nothing cancels.
///
/// Where e is subnormal, or near that, 1 + e is 1, and what e is to be multiplied with must come
/// before its scaling, so that only one rounding is to a subnormal: see [`Logistic::choose`].
#[derive(Clone, Copy)]
pub(crate) struct Logistic<V: Lanes> {
    exponential: Reduced<V>,
    negative: V::Mask,
    /// eʳ, rounded.
    high: V,
    /// What the rounding left over.
    low: V,
    /// e, if it is normal.
    e: V,
}

impl<V: Lanes> Logistic<V> {
    /// Of x.
    #[inline(always)]
    pub(crate) fn new(x: V) -> Self {
        let t = x.splat(-V::Element::LOWEST).less_or(x.abs());
        Self::of_exponential(Reduced::new(-t), x.lt(x.splat(V::Element::ZERO)))
    }

    /// Of ±t, 0 ≤ t ≤ |LOWEST|, negative where the mask says, with `exponential` for −t.
    #[inline(always)]
    pub(super) fn of_exponential(exponential: Reduced<V>, negative: V::Mask) -> Self {
        let p = exponential.expm1();
        let one = p.splat(V::Element::ONE);
        let high = one + p;
        let low = p - (high - one);
        Self { exponential, negative, high, low, e: exponential.scale(high) }
    }

    /// x, or a finite number in the place of −∞ that leaves products with e at 0.
    #[inline(always)]
    pub(crate) fn finite(x: V) -> V {
        x.splat(V::Element::LOWEST).greater_or(x)
    }

    /// Where x < 0.
    #[inline(always)]
    pub(crate) fn negative(self) -> V::Mask {
        self.negative
    }

    /// e^{−|x|}, if that is normal, and anything else otherwise.
    #[inline(always)]
    pub(crate) fn exponential(self) -> V {
        self.e
    }

    /// What rounding left over from [`Logistic::exponential`].
    #[inline(always)]
    pub(crate) fn exponential_low(self) -> V {
        self.exponential.times_pow2(self.low)
    }

    /// 1/(1 + e⁻ˣ) as a quotient and its correction.
    ///
    /// Both e and 1 + e are taken as a rounded value and the rest, and the correction is for what
    /// they and the division leave over.
    #[inline(always)]
    fn quotient(self) -> (V, V) {
        let Self { negative, e, .. } = self;
        let one = e.splat(V::Element::ONE);
        let e_low = self.exponential_low();
        // 1 + e = sum + rest.
        let sum = one + e;
        let rest = e - (sum - one) + e_low;

        let numerator = e.select(negative, one);
        let numerator_low = e_low.select(negative, e.splat(V::Element::ZERO));
        let quotient = numerator / sum;
        let remainder = exact_mul_add(-quotient, sum, numerator);
        let remainder = remainder + quotient.neg_mul_add(rest, numerator_low);
        // 1/(1 + e) is the quotient, or 1 less the quotient e/(1 + e).
        let reciprocal = (one - quotient).select(negative, quotient);
        (quotient, remainder * reciprocal)
    }

    /// s·(1 + u·(1 − s)), s = 1/(1 + e⁻ˣ), if e^{−|x|} is normal, and anything else otherwise: the
    /// derivative of t/(1 + e^{−x(t)}) for u = t·x′(t). u is given as the sum of two numbers, and
    /// has the sign of x.
    ///
    /// For negative x the sum is a difference, so it is taken with twice the digits.
    #[inline(always)]
    pub(crate) fn gated_derivative(self, (u, u_low): (V, V)) -> V {
        let one = u.splat(V::Element::ONE);
        let (quotient, correction) = self.quotient();
        let s = quotient + correction;
        let s_low = quotient - s + correction;
        let rest = (one - s).select(self.negative, self.e * s);
        let rest_low = (one - rest - s - s_low).select(self.negative, u.splat(V::Element::ZERO));
        let product = u * rest;
        let product_low = exact_mul_add(u, rest, -product);
        let product_low = u_low.mul_add(rest, u.mul_add(rest_low, product_low));
        let sum = one + product;
        let sum_low = one - sum + product + product_low;
        s.mul_add(sum, s.mul_add(sum_low, s_low * sum))
    }

    /// `near`, which is right where e is normal; elsewhere below·e for negative x and `above` for
    /// others. `below` is finite, or NaN where x is.
    #[inline(always)]
    pub(crate) fn choose(self, near: V, below: V, above: V) -> V {
        let normal = self.exponential.is_normal();
        if normal.all() {
            return near;
        }
        let below = (below * self.high).scale_by_pow2(self.exponential.n);
        // NaN is not negative; this is where it is kept.
        let above = self.high.mul_add(above.splat(V::Element::ZERO), above);
        near.select(normal, below.select(self.negative, above))
    }
}

/// 1 + eᵗ, from eᵗ = power·(1 + rest), as `whole`, which is 1 + power, rounded, and `part`.
pub(super) struct OnePlusExp<V> {
    whole: V,
    /// power·rest, and what rounding took from `whole`.
    part: V,
}

impl<V: Lanes> OnePlusExp<V> {
    /// For t up to ±NORMAL.
    #[inline(always)]
    pub(super) fn new(t: V) -> Self {
        Self::of_power(Power::new(t))
    }

    /// Of eᵗ.
    #[inline(always)]
    pub(super) fn of_power(Power { power, rest }: Power<V>) -> Self {
        let one = power.splat(V::Element::ONE);
        let (larger, smaller) = (power.greater_or(one), power.less_or(one));
        let whole = larger + smaller;
        let lost = smaller - (whole - larger);
        Self { whole, part: power.mul_add(rest, lost) }
    }

    /// The sum, rounded.
    #[inline(always)]
    pub(super) fn rounded(self) -> V {
        self.part + self.whole
    }

    /// 1 over the sum. The quotient is corrected by what the sum's rounding and its own left over.
    #[inline(always)]
    fn reciprocal(self) -> V {
        let Self { whole, part } = self;
        let one = part.splat(V::Element::ONE);
        let quotient = one / (whole + part);
        let remainder = part.neg_mul_add(quotient, exact_mul_add(-quotient, whole, one));
        quotient.mul_add(remainder, quotient)
    }
}

/// 1/(1 + e⁻ˣ).
///
/// ±∞ to 1 and 0, ±0 to ½, NaN to NaN.
#[inline(always)]
pub(crate) fn sigmoid<V: Lanes>(x: V) -> V {
    if x.within(V::Element::NORMAL) {
        return OnePlusExp::new(-x).reciprocal();
    }
    let x = x.side_by_side();
    let near = OnePlusExp::new(-x).reciprocal();
    // It is eˣ, or 1.
    let far = exp(x.splat(V::Element::ZERO).less_or(x));
    near.select(x.abs().le(x.splat(V::Element::NORMAL)), far)
}

/// x/(1 + e⁻ˣ).
///
/// −∞ to −0, +∞ to +∞, ±0 to ±0, NaN to NaN.
#[inline(always)]
pub(crate) fn times_sigmoid<V: Lanes>(x: V) -> V {
    if x.within(V::Element::NORMAL) {
        return x / OnePlusExp::new(-x).rounded();
    }
    let x = x.side_by_side();
    let near = x / OnePlusExp::new(-x).rounded();
    let far =
        times_small_exp(x, Reduced::new(Logistic::finite(x.splat(V::Element::ZERO).less_or(x))));
    near.select(x.abs().le(x.splat(V::Element::NORMAL)), far)
}

/// x·eᵗ for t ≤ 0, rounded once where that is subnormal; x where t is 0.
#[inline(always)]
pub(super) fn times_small_exp<V: Lanes>(x: V, exponent: Reduced<V>) -> V {
    let power = exponent.expm1() + x.splat(V::Element::ONE);
    (Logistic::finite(x) * power).scale_by_pow2(exponent.n)
}

/// s(1 + x(1 − s)), s = 1/(1 + e⁻ˣ).
///
/// −∞ to −0, +∞ to 1, NaN to NaN.
#[inline(always)]
pub(crate) fn times_sigmoid_derivative<V: Lanes>(x: V) -> V {
    if let Some(y) = in_f64::times_sigmoid_derivative(x) {
        return y;
    }
    let (zero, one) = (x.splat(V::Element::ZERO), x.splat(V::Element::ONE));
    let logistic = Logistic::new(x);
    logistic.choose(logistic.gated_derivative((x, zero)), one + Logistic::finite(x), one)
}
