//! eˣ − 1.

use super::exp;
use super::exp::{ExpConstants, Reduced};
use crate::Element;
use crate::lanes::{Lanes, Mask};

/// eˣ − 1, accurate in relative terms near 0.
///
/// ±0 to ±0, −∞ to −1, +∞ to +∞, NaN to NaN, subnormals to themselves.
#[inline(always)]
pub(crate) fn expm1<V: Lanes>(x: V) -> V {
    let normal = x.abs().le(x.splat(V::Element::NORMAL));
    let y = expm1_normal(x);
    if normal.all() {
        return y;
    }
    // Where eˣ is so large or small, the 1 is exact or without weight.
    y.select(normal, exp(x) - x.splat(V::Element::ONE))
}

/// eˣ − 1 for x ≤ 0, but for the sign of zero, and anything for anything else: NaN for NaN.
///
/// 2ⁿeʳ − 1 = (2ⁿ − 1) + 2ⁿ(eʳ − 1), and below 0 the sum does not cancel.
#[inline(always)]
pub(crate) fn expm1_below<V: Lanes>(x: V) -> V {
    let reduced = Reduced::new(x.splat(V::Element::EXPM1_LOWEST).greater_or(x));
    let one = x.splat(V::Element::ONE);
    let pow2 = reduced.scale(one);
    pow2.mul_add(reduced.expm1_coarse(), pow2 - one)
}

/// eˣ − 1 for |x| ≤ NORMAL, and anything else for anything else.
///
/// 2ⁿeʳ − 1 = (2ⁿ − 1) + 2ⁿ(eʳ − 1), and eʳ − 1 is kept as its exact leading term and the rest.
#[inline(always)]
fn expm1_normal<V: Lanes>(x: V) -> V {
    let one = x.splat(V::Element::ONE);
    let reduced = Reduced::new(x);
    let pow2 = reduced.scale(one);
    let below = pow2 - one;
    let below_low = pow2 - below - one;
    // A fast two-sum: |below| ≥ |above|, or below = 0.
    let above = reduced.high * pow2;
    let sum = below + above;
    let rest = above - (sum - below) + below_low;
    let y = sum + reduced.expm1_rest_exact().mul_add(pow2, rest);
    // Only the sign of zero is not yet that of x.
    y.bit_or(x.bit_and(x.splat(V::Element::SIGN_BIT)))
}
