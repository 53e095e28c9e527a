//! ln(1 + x).

use super::log;
use super::log::{LogConstants, Split, log_of};
use crate::Element;
use crate::lanes::{Lanes, Mask};

/// ln(1 + x), accurate in relative terms near 0.
///
/// ±0 to ±0, −1 to −∞, +∞ to +∞, NaN and what is below −1 to NaN, subnormals to themselves.
#[inline(always)]
pub(crate) fn log1p<V: Lanes>(x: V) -> V {
    let one = x.splat(V::Element::ONE);
    let inside = (-one).lt(x) & x.le(x.splat(V::Element::LARGE));
    let y = log1p_inside(x);
    if inside.all() {
        return y;
    }
    // Where x is so large, the 1 has no weight; at −1 and below, log knows what to give.
    y.select(inside, log(one + x))
}

/// ln(1 + x) for −1 < x ≤ LARGE, and anything else for anything else.
///
/// 1 + x = 2ᵏ·(1 + f), where k is that of the rounded sum, but f = x·2⁻ᵏ + (2⁻ᵏ − 1), which is
/// exact where it counts.
#[inline(always)]
pub(crate) fn log1p_inside<V: Lanes>(x: V) -> V {
    let one = x.splat(V::Element::ONE);
    let split = Split::new(one + x);
    let pow2 = one.int_sub(split.exponent.int_sub(one));
    let f = x.mul_add(pow2, pow2 - one);
    let y = log_of(split.k, f);
    // Only the sign of zero is not yet that of x.
    y.bit_or(x.bit_and(x.splat(V::Element::SIGN_BIT)))
}
