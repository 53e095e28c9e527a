//! The logistic function 1/(1 + e⁻ˣ).

use super::exp;
use super::exp::{ExpConstants, Reduced};
use crate::Element;
use crate::lanes::{Lanes, Mask};

/// 1/(1 + e⁻ˣ), accurate in relative terms down to the smallest subnormal result.
///
/// ±∞ to 1 and 0, ±0 to ½, NaN to NaN.
///
/// With e = e^{−|x|} it is 1/(1 + e) for x ≥ 0 and e/(1 + e) for x < 0: nothing cancels. Both e and
/// 1 + e are kept as a rounded value and the rest, and the quotient is corrected by what they
/// leave over.
#[inline(always)]
pub(crate) fn sigmoid<V: Lanes>(x: V) -> V {
    let one = x.splat(V::Element::ONE);
    let zero = x.splat(V::Element::ZERO);
    let magnitude = x.abs();
    let negative = x.lt(zero);
    if !magnitude.le(x.splat(V::Element::NORMAL)).all() {
        // Beyond NORMAL, 1 + e is 1.
        let e = exp(-magnitude);
        let inside = x.splat(V::Element::NORMAL).less_or(magnitude);
        let near = sigmoid_normal(inside, negative);
        let far = e.select(negative, one + e);
        return near.select(magnitude.le(inside), far);
    }
    sigmoid_normal(magnitude, negative)
}

/// The logistic function of ±magnitude, which is at most NORMAL.
#[inline(always)]
fn sigmoid_normal<V: Lanes>(magnitude: V, negative: V::Mask) -> V {
    let one = magnitude.splat(V::Element::ONE);
    let reduced = Reduced::new(-magnitude);
    // eʳ = high + low.
    let p = reduced.expm1();
    let high = one + p;
    let low = p - (high - one);
    let e = reduced.scale(high);
    let e_low = reduced.times_pow2(low);
    // 1 + e = sum + rest.
    let sum = one + e;
    let rest = e - (sum - one) + e_low;

    let zero = magnitude.splat(V::Element::ZERO);
    let numerator = e.select(negative, one);
    let numerator_low = e_low.select(negative, zero);
    let quotient = numerator / sum;
    let remainder = quotient.neg_mul_add(sum, numerator);
    let remainder = remainder + quotient.neg_mul_add(rest, numerator_low);
    // 1/(1 + e) is the quotient, or 1 less the quotient e/(1 + e).
    let reciprocal = (one - quotient).select(negative, quotient);
    remainder.mul_add(reciprocal, quotient)
}
