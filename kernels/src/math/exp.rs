//! eˣ.

use super::power::{EIGHTHS, Eighths, Power};
use super::{exact_mul_add, horner, polynomial};
use crate::Element;
use crate::lanes::{Lanes, Mask, Simd};

/// x = n·ln 2 + r with |r| ≤ ½ ln 2, and (eʳ − 1 − r)/r² as a polynomial.
pub trait ExpConstants: Sized + 'static {
    /// 1.5·2^p, p the mantissa bits: added to a small number it rounds that to an integer, which
    /// stands in the low bits of the sum.
    const ROUND: Self;
    /// 1/ln 2.
    const LOG2_E: Self;
    /// ln 2 in so few bits that n·LN_2_HI is exact for every exponent n.
    const LN_2_HI: Self;
    /// ln 2 − LN_2_HI.
    const LN_2_LO: Self;
    /// ln 2, rounded.
    const LN_2: Self;
    /// For |x| up to this, eˣ is normal.
    const NORMAL: Self;
    /// Below this x·eˣ is 0, above its negative eˣ is +∞, after rounding.
    const LOWEST: Self;
    /// From here down eˣ − 1 rounds to −1.
    const EXPM1_LOWEST: Self;
    /// 2ⁿ·x is normal from this n on for any x whose own exponent is small.
    const LOWEST_N: Self;
    /// The sign, the exponent and the upper half of the mantissa.
    const UPPER_HALF: Self;
    /// By `scripts/minimax.py exp`.
    const EXP: &'static [Self];
    /// By `scripts/minimax.py expm1`.
    const EXPM1: &'static [Self];
    /// eˣ by eighths of a binary exponent, if that is how it is computed.
    const EIGHTHS: Option<&'static Eighths<Self>>;
}

impl ExpConstants for f32 {
    const ROUND: Self = 12_582_912.0;
    const LOG2_E: Self = core::f32::consts::LOG2_E;
    const LN_2_HI: Self = 0.693_145_75;
    const LN_2_LO: Self = 1.428_606_8e-6;
    const LN_2: Self = core::f32::consts::LN_2;
    const NORMAL: Self = 87.0;
    const LOWEST: Self = -110.0;
    const EXPM1_LOWEST: Self = -18.0;
    const LOWEST_N: Self = -110.0;
    const UPPER_HALF: Self = Self::from_bits(0xffff_f000);
    // Largest error 3.19e-9, 0.0535 half ulps.
    const EXP: &'static [Self] =
        &[0.499_999_94, 0.166_665_17, 0.041_668_102, 0.008_369_192_5, 0.001_383_890_3];
    // Largest error 1.15e-10, 0.00193 half ulps.
    const EXPM1: &'static [Self] =
        &[0.5, 0.166_666_64, 0.041_666_478, 0.008_333_865, 0.001_393_374_8, 0.000_195_970_32];
    const EIGHTHS: Option<&'static Eighths<Self>> = Some(&EIGHTHS);
}

impl ExpConstants for f64 {
    const ROUND: Self = 6_755_399_441_055_744.0;
    const LOG2_E: Self = core::f64::consts::LOG2_E;
    const LN_2_HI: Self = 0.693_147_180_559_890_3;
    const LN_2_LO: Self = 5.497_923_018_708_371e-14;
    const LN_2: Self = core::f64::consts::LN_2;
    const NORMAL: Self = 708.0;
    const LOWEST: Self = -760.0;
    const EXPM1_LOWEST: Self = -38.0;
    const LOWEST_N: Self = -1000.0;
    const UPPER_HALF: Self = Self::from_bits(0xffff_ffff_f800_0000);
    // Largest error 3.71e-18, 0.0334 half ulps.
    const EXP: &'static [Self] = &[
        0.500_000_000_000_001_1,
        0.166_666_666_666_664_38,
        0.041_666_666_666_525_805,
        0.008_333_333_333_473_768,
        0.001_388_888_894_485_182_3,
        0.000_198_412_695_602_070_4,
        2.480_149_176_832_213_5e-5,
        2.755_753_106_109_357_8e-6,
        2.763_074_084_366_962e-7,
        2.501_974_705_938_023_6e-8,
    ];
    // Largest error 6.57e-20, 0.000592 half ulps.
    const EXPM1: &'static [Self] = &[
        0.5,
        0.166_666_666_666_666_85,
        0.041_666_666_666_666_74,
        0.008_333_333_333_316_54,
        0.001_388_888_888_887_052_3,
        0.000_198_412_698_965_367_9,
        2.480_158_731_008_586_8e-5,
        2.755_723_530_963_843e-6,
        2.755_731_411_262_828_6e-7,
        2.511_175_848_163_838_8e-8,
        2.089_588_504_403_158_5e-9,
    ];
    const EIGHTHS: Option<&'static Eighths<Self>> = None;
}

/// x = n·ln 2 + r, |r| ≤ ½ ln 2, r = high + low.
#[derive(Clone, Copy)]
pub(super) struct Reduced<V> {
    /// n in the low bits.
    bits: V,
    /// n.
    pub(super) n: V,
    /// x − n·LN_2_HI, exact.
    pub(super) high: V,
    /// −n·LN_2_LO.
    low: V,
}

impl<V: Lanes> Reduced<V> {
    /// For |x| ≤ 2·|LOWEST|, NaN included.
    #[inline(always)]
    pub(super) fn new(x: V) -> Self {
        let (bits, n) = Self::nearest(x, x.splat(V::Element::LOG2_E));
        let high = n.neg_mul_add(x.splat(V::Element::LN_2_HI), x);
        Self { bits, n, high, low: n * x.splat(-V::Element::LN_2_LO) }
    }

    /// For the exact sum of x, as for [`Reduced::new`], and a small `x_low`.
    #[inline(always)]
    pub(super) fn new_sum(x: V, x_low: V) -> Self {
        let reduced = Self::new(x);
        Self { low: reduced.low + x_low, ..reduced }
    }

    /// For −factor·t², factor ½ or 1, as if the square were exact.
    #[inline(always)]
    pub(super) fn new_square(t: V, factor: V::Element) -> Self {
        let minus = t.splat(-factor);
        // The square of the upper half is exact, and the rest is small.
        let upper = t.bit_and(t.splat(V::Element::UPPER_HALF));
        let rest = (t - upper) * (t + upper);
        let (bits, n) = Self::nearest(t * t, t.splat(-factor * V::Element::LOG2_E));
        let high = n.neg_mul_add(t.splat(V::Element::LN_2_HI), upper * (upper * minus));
        let low = rest.mul_add(minus, n * t.splat(-V::Element::LN_2_LO));
        Self { bits, n, high, low }
    }

    /// For −½t² + value + slope·w, t ≥ 0, as if all that were exact. What comes after the square is
    /// negative and small.
    #[inline(always)]
    pub(super) fn new_half_square_and(t: V, value: V, slope: V, w: V) -> Self {
        let minus = t * t.splat(-V::Element::HALF);
        let square = t * minus;
        let square_low = exact_mul_add(t, minus, -square);
        let approximation = square + slope.mul_add(w, value);
        let (bits, n) = Self::nearest(approximation, t.splat(V::Element::LOG2_E));
        let multiple = n * t.splat(V::Element::LN_2_HI);
        // A fast two-sum: the multiple is the larger.
        let difference = square - multiple;
        let lost = square - (difference + multiple);
        let high = slope.mul_add(w, difference + value);
        let low = n.neg_mul_add(t.splat(V::Element::LN_2_LO), square_low) + lost;
        Self { bits, n, high, low }
    }

    /// The integer nearest to x·factor: in the low bits, and as it is.
    #[inline(always)]
    fn nearest(x: V, factor: V) -> (V, V) {
        let round = x.splat(V::Element::ROUND);
        let bits = x.mul_add(factor, round);
        (bits, bits - round)
    }

    /// eʳ − 1. Only the addition here rounds anything that counts: `low` is among the small terms,
    /// not in `high`, where it would be rounded.
    #[inline(always)]
    pub(super) fn expm1(self) -> V {
        self.high + self.expm1_rest()
    }

    /// eʳ − 1 − high.
    #[inline(always)]
    pub(super) fn expm1_rest(self) -> V {
        let r = self.high + self.low;
        let r2 = r * r;
        polynomial(r, r2, V::Element::EXP).mul_add(r2, self.low)
    }

    /// eʳ − 1 − high, if low is not more than what [`Reduced::new`] makes of it: with more digits,
    /// for three operations more.
    #[inline(always)]
    pub(super) fn expm1_rest_exact(self) -> V {
        let high2 = self.high * self.high;
        let rest = polynomial(self.high, high2, V::Element::EXPM1) * high2;
        // e^{high + low} = e^high + low·e^high, and low² has no weight.
        let exp_high = self.high.splat(V::Element::ONE) + (self.high + rest);
        self.low.mul_add(exp_high, rest)
    }

    /// eʳ for what [`Reduced::new`] makes.
    #[inline(always)]
    fn exp(self) -> V {
        let one = self.high.splat(V::Element::ONE);
        if !V::Simd::HAS_FMA {
            return self.expm1() + one;
        }
        // With multiply-adds the rounding of r counts less than four operations.
        let r = self.n.neg_mul_add(one.splat(V::Element::LN_2_LO), self.high);
        horner(r, V::Element::EXP).mul_add(r, one).mul_add(r, one)
    }

    /// eʳ − 1 for what [`Reduced::new`] makes, with fewer operations and digits.
    #[inline(always)]
    pub(super) fn expm1_coarse(self) -> V {
        if !V::Simd::HAS_FMA {
            return self.expm1();
        }
        let r = self.n.neg_mul_add(self.n.splat(V::Element::LN_2_LO), self.high);
        (horner(r, V::Element::EXP) * r).mul_add(r, r)
    }

    /// Whether [`Reduced::scale`] can scale down values of about 1.
    #[inline(always)]
    pub(super) fn is_normal(self) -> V::Mask {
        self.n.splat(V::Element::LOWEST_N).le(self.n)
    }

    /// `value · 2ⁿ`, n ≤ 0, rounded to a subnormal where it has to be. If n is not 0, the value is
    /// within 1/128 and 128.
    #[inline(always)]
    pub(super) fn scale_down(self, value: V) -> V {
        if self.is_normal().all() { self.scale(value) } else { value.scale_by_pow2(self.n) }
    }

    /// `value · 2ⁿ` by adding n to the exponent: for normal `value`, if the result is normal.
    #[inline(always)]
    pub(super) fn scale(self, value: V) -> V {
        value.int_add(self.bits.shift_to_exponent())
    }

    /// `value · 2ⁿ` for any value, if 2ⁿ is normal.
    #[inline(always)]
    pub(super) fn times_pow2(self, value: V) -> V {
        value * self.scale(value.splat(V::Element::ONE))
    }
}

/// eˣ for |x| ≤ NORMAL. Anything else, NaN too, gives anything.
#[inline(always)]
fn exp_normal<V: Lanes>(x: V) -> V {
    if V::Element::EIGHTHS.is_some() {
        return Power::new(x).value();
    }
    let reduced = Reduced::new(x);
    reduced.scale(reduced.exp())
}

/// 2ˣ by (2ʳ − 1)/r, |r| ≤ ½, where it is to be added to something larger, which takes the weight
/// from its error. For results that are normal; NaN gives anything.
#[inline(always)]
pub(super) fn exp2_coarse<V: Lanes>(x: V, coefficients: &[V::Element]) -> V {
    let (one, round) = (x.splat(V::Element::ONE), x.splat(V::Element::ROUND));
    let bits = x + round;
    let r = x - (bits - round);
    let power = horner(r, coefficients).mul_add(r, one);
    power.int_add(bits.shift_to_exponent())
}

/// ½e²ˣ, where it is to be added to something, as [`exp2_coarse`].
#[inline(always)]
pub(super) fn half_exp_2x_coarse<V: Lanes>(x: V) -> V {
    let one = x.splat(V::Element::ONE);
    // Rounds to an integer as ROUND does, and leaves 1 less of it in the low bits.
    let round = x.splat(V::Element::ROUND - V::Element::ONE);
    let bits = x.mul_add(x.splat(V::Element::TWO * V::Element::LOG2_E), round);
    let r = (bits - round).neg_mul_add(x.splat(V::Element::LN_2), x + x);
    let power = horner(r, V::Element::EXP).mul_add(r, one).mul_add(r, one);
    power.int_add(bits.shift_to_exponent())
}

/// eˣ.
///
/// e^−∞ = 0, e^+∞ = +∞, e^±0 = 1, NaN to NaN; results below the normal range are rounded once
/// more, to a subnormal.
#[inline(always)]
pub(crate) fn exp<V: Lanes>(x: V) -> V {
    if x.within(V::Element::NORMAL) {
        return exp_normal(x);
    }
    let x = x.side_by_side();
    let normal = x.abs().le(x.splat(V::Element::NORMAL));
    let lowest = x.splat(V::Element::LOWEST);
    let reduced = Reduced::new((-lowest).less_or(lowest.greater_or(x)));
    exp_normal(x).select(normal, reduced.exp().scale_by_pow2(reduced.n))
}
