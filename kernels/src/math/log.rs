//! ln x.

use super::exp::ExpConstants;
use super::polynomial;
use crate::Element;
use crate::lanes::{Lanes, Mask};

/// x = 2ᵏ·(1 + f) with ¾ ≤ 1 + f < 1½, and with s = f/(2 + f), ln(1 + f) = 2 atanh s, where
/// (2 atanh(s)/s − 2)/s² is a polynomial in s².
pub trait LogConstants: Sized + 'static {
    /// ¾.
    const THREE_QUARTERS: Self;
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
    /// 1 + x is x from well below this on, and this is far from overflow.
    const LARGE: Self;
    /// By `scripts/minimax.py log`.
    const LOG: &'static [Self];
}

impl LogConstants for f32 {
    const THREE_QUARTERS: Self = 0.75;
    const MAX: Self = Self::MAX;
    const NAN: Self = Self::NAN;
    const INTEGER: Self = 8_388_608.0;
    const INTEGER_BIAS: Self = 8_388_608.0 + 127.0;
    const MANTISSA_BITS: Self = 23.0;
    const LARGE: Self = 1e30;
    // Largest error 2.83e-9, 0.0475 half ulps.
    const LOG: &'static [Self] = &[0.666_669_5, 0.399_576_57, 0.303_644_98];
}

impl LogConstants for f64 {
    const THREE_QUARTERS: Self = 0.75;
    const MAX: Self = Self::MAX;
    const NAN: Self = Self::NAN;
    const INTEGER: Self = 4_503_599_627_370_496.0;
    const INTEGER_BIAS: Self = 4_503_599_627_370_496.0 + 1023.0;
    const MANTISSA_BITS: Self = 52.0;
    const LARGE: Self = 1e300;
    // Largest error 1.49e-17, 0.134 half ulps.
    const LOG: &'static [Self] = &[
        0.666_666_666_666_726_9,
        0.399_999_999_961_703_27,
        0.285_714_293_940_086_6,
        0.222_221_385_881_085_5,
        0.181_863_531_432_405_5,
        0.152_502_366_300_624_83,
        0.153_678_874_489_702_02,
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
        let Split { k, f, .. } = Split::new(x);
        return log_of(k, f);
    }
    let subnormal = x.lt(min);
    let normal = (x * x.splat(V::Element::INTEGER)).select(subnormal, x);
    let Split { k, f, .. } = Split::new(normal);
    let down = x.splat(V::Element::MANTISSA_BITS).select(subnormal, zero);
    let y = log_of(k - down, f);
    let infinity = x.splat(V::Element::INFINITY);
    let y = y.select(x.lt(infinity), x);
    let y = (-infinity).select(x.eq(zero), y);
    x.splat(V::Element::NAN).select(x.lt(zero), y)
}

/// A normal number as 2ᵏ·(1 + f).
pub(super) struct Split<V> {
    pub(super) k: V,
    /// 2ᵏ.
    pub(super) exponent: V,
    pub(super) f: V,
}

impl<V: Lanes> Split<V> {
    #[inline(always)]
    pub(super) fn new(x: V) -> Self {
        let one = x.splat(V::Element::ONE);
        let least = x.splat(V::Element::THREE_QUARTERS);
        // The exponent of `shifted` is that of x or one more, just so that k is the wanted one;
        // its mantissa is the distance from ¾ in units of the last place.
        let shifted = x.int_add(one.int_sub(least));
        let integer = shifted.shift_from_exponent().bit_or(x.splat(V::Element::INTEGER));
        let k = integer - x.splat(V::Element::INTEGER_BIAS);
        let exponent = shifted.bit_and(x.splat(-V::Element::INFINITY));
        let f = shifted.int_sub(exponent).int_add(least) - one;
        Self { k, exponent, f }
    }
}

/// [`log`] of 1 ≤ x ≤ 2, given x − 1; anything for anything else.
#[inline(always)]
pub(crate) fn log_of_1_to_2<V: Lanes>(x: V, past_one: V) -> V {
    let (zero, one, half) =
        (x.splat(V::Element::ZERO), x.splat(V::Element::ONE), x.splat(V::Element::HALF));
    let is_halved = (one + half).le(x);
    let f = x.mul_add(half, -one).select(is_halved, past_one);
    log_of(one.select(is_halved, zero), f)
}

/// k·ln 2 + ln(1 + f).
#[inline(always)]
pub(super) fn log_of<V: Lanes>(k: V, f: V) -> V {
    let s = f / (f + f.splat(V::Element::TWO));
    let z = s * s;
    let remainder = polynomial(z, z * z, V::Element::LOG) * z;
    let half_square = f * f.splat(V::Element::HALF) * f;
    // ln(1 + f) = f − (f²/2 − s·(f²/2 + remainder)): what is subtracted from f is small.
    let low = k * f.splat(V::Element::LN_2_LO);
    let correction = s.mul_add(half_square + remainder, low) - half_square;
    k.mul_add(f.splat(V::Element::LN_2_HI), f + correction)
}

#[cfg(test)]
mod tests {
    use super::super::Function;
    use super::*;
    use crate::elementwise::{self, Update};
    use crate::{Isa, MatMut, MatRef};

    #[derive(Clone, Copy)]
    struct Of1To2;

    impl Update for Of1To2 {
        const READS_TARGET: bool = false;

        #[inline(always)]
        fn update<V: Lanes>(self, x: V, _: V) -> V {
            log_of_1_to_2(x, x - x.splat(V::Element::ONE))
        }
    }

    fn the_bits_are_the_same<E: Element>(epsilon: f64) {
        let around = |x: f64| [x - epsilon, x, x + epsilon];
        let x: Vec<E> = (0..=10_000)
            .map(|i| 1.0 + f64::from(i) / 10_000.0)
            .chain(around(1.5))
            .chain([1.0 + epsilon, 2.0 - epsilon])
            .map(E::from_f64)
            .collect();
        for isa in Isa::available() {
            let [mut a, mut b] = [vec![E::ZERO; x.len()], vec![E::ZERO; x.len()]];
            elementwise::update(isa, Of1To2, Some(MatRef::row(&x)), MatMut::row(&mut a));
            Function::Log.evaluate(isa, &x, &mut b).unwrap();
            for ((a, b), x) in a.iter().zip(&b).zip(&x) {
                assert!(crate::testing::same_bits(*a, *b), "{isa}: ln {x}: {a}, not {b}");
            }
        }
    }

    #[test]
    fn a_logarithm_from_1_to_2_is_the_general_one() {
        the_bits_are_the_same::<f32>(f32::EPSILON.into());
        the_bits_are_the_same::<f64>(f64::EPSILON);
    }
}
