//! ln x.

use super::exp::ExpConstants;
use super::polynomial;
use crate::Element;
use crate::lanes::{Lanes, Mask};

/// x = 2ᵏ·(1 + f) with √½ ≤ 1 + f < √2, and with s = f/(2 + f), ln(1 + f) = 2 atanh s, where
/// (2 atanh(s)/s − 2)/s² is a polynomial in s².
pub trait LogConstants: Sized + 'static {
    /// √½.
    const SQRT_HALF: Self;
    /// The smallest normal number.
    const MIN_NORMAL: Self;
    /// The largest finite number.
    const MAX: Self;
    /// NaN.
    const NAN: Self;
    /// 2^p, p the mantissa bits: or-ed to a small integer it makes the float 2^p + that integer.
    const INTEGER: Self;
    /// 2^p plus the exponent's bias.
    const INTEGER_BIAS: Self;
    /// p.
    const MANTISSA_BITS: Self;
    /// By `scripts/minimax.py log`.
    const LOG: &'static [Self];
}

impl LogConstants for f32 {
    const SQRT_HALF: Self = core::f32::consts::FRAC_1_SQRT_2;
    const MIN_NORMAL: Self = Self::MIN_POSITIVE;
    const MAX: Self = Self::MAX;
    const NAN: Self = Self::NAN;
    const INTEGER: Self = 8_388_608.0;
    const INTEGER_BIAS: Self = 8_388_608.0 + 127.0;
    const MANTISSA_BITS: Self = 23.0;
    // Largest error 8.05e-10, 0.0135 half ulps.
    const LOG: &'static [Self] = &[0.666_667_76, 0.399_775_86, 0.298_706_95];
}

impl LogConstants for f64 {
    const SQRT_HALF: Self = core::f64::consts::FRAC_1_SQRT_2;
    const MIN_NORMAL: Self = Self::MIN_POSITIVE;
    const MAX: Self = Self::MAX;
    const NAN: Self = Self::NAN;
    const INTEGER: Self = 4_503_599_627_370_496.0;
    const INTEGER_BIAS: Self = 4_503_599_627_370_496.0 + 1023.0;
    const MANTISSA_BITS: Self = 52.0;
    // Largest error 1.23e-18, 0.0111 half ulps.
    const LOG: &'static [Self] = &[
        0.666_666_666_666_673_4,
        0.399_999_999_994_169_35,
        0.285_714_287_419_337_6,
        0.222_221_986_161_010_08,
        0.181_835_622_494_580_24,
        0.153_141_003_348_783_03,
        0.147_954_810_281_030_6,
    ];
}

/// ln x.
///
/// ln ±0 = −∞, ln +∞ = +∞, ln 1 = +0, NaN and negative numbers to NaN.
#[inline(always)]
pub(crate) fn log<V: Lanes>(x: V) -> V {
    let min = x.splat(V::Element::MIN_NORMAL);
    let zero = x.splat(V::Element::ZERO);
    if (min.le(x) & x.le(x.splat(V::Element::MAX))).all() {
        return log_normal(x, zero);
    }
    let subnormal = x.lt(min);
    let normal = (x * x.splat(V::Element::INTEGER)).select(subnormal, x);
    let y = log_normal(normal, x.splat(V::Element::MANTISSA_BITS).select(subnormal, zero));
    let infinity = x.splat(V::Element::INFINITY);
    let y = y.select(x.lt(infinity), x);
    let y = (-infinity).select(x.eq(zero), y);
    x.splat(V::Element::NAN).select(x.lt(zero), y)
}

/// ln x − down·ln 2 for normal x.
#[inline(always)]
fn log_normal<V: Lanes>(x: V, down: V) -> V {
    let one = x.splat(V::Element::ONE);
    let sqrt_half = x.splat(V::Element::SQRT_HALF);
    // The exponent of `shifted` is that of x or one more, just so that k is the wanted one; its
    // mantissa is the distance from √½ in units of the last place.
    let shifted = x.int_add(one.int_sub(sqrt_half));
    let integer = shifted.shift_from_exponent().bit_or(x.splat(V::Element::INTEGER));
    let k = integer - x.splat(V::Element::INTEGER_BIAS) - down;
    let exponent = shifted.bit_and(x.splat(-V::Element::INFINITY));
    let f = shifted.int_sub(exponent).int_add(sqrt_half) - one;

    let s = f / (f + x.splat(V::Element::TWO));
    let z = s * s;
    let remainder = polynomial(z, z * z, V::Element::LOG) * z;
    let half_square = f * x.splat(V::Element::HALF) * f;
    // ln(1 + f) = f − (f²/2 − s·(f²/2 + remainder)): what is subtracted from f is small.
    let low = k * x.splat(V::Element::LN_2_LO);
    let correction = s.mul_add(half_square + remainder, low) - half_square;
    k.mul_add(x.splat(V::Element::LN_2_HI), f + correction)
}
