//! tanh x.

use super::exp::half_exp_2x_coarse;
use super::horner;
use crate::Element;
use crate::lanes::Lanes;

/// z/(1 − tanh(x)/x) for |x| ≤ 1 as a polynomial in z = x².
pub trait TanhConstants: Sized + 'static {
    /// From here on tanh x rounds to 1.
    const SATURATED: Self;
    /// By `scripts/minimax.py tanh`.
    const TANH: &'static [Self];
}

impl TanhConstants for f32 {
    const SATURATED: Self = 9.5;
    // Largest error 2.35e-9, 0.0394 half ulps.
    const TANH: &'static [Self] = &[3.000_000_7, 1.199_992_8, -0.005_691_85, 0.000_226_413_15];
}

impl TanhConstants for f64 {
    const SATURATED: Self = 20.0;
    // Largest error 5.38e-19, 0.00485 half ulps.
    const TANH: &'static [Self] = &[
        3.000_000_000_000_000_4,
        1.199_999_999_999_978_9,
        -0.005_714_285_713_964_408,
        0.000_253_968_251_644_868_3,
        -1.220_365_998_239_821_2e-5,
        5.987_436_873_400_995e-7,
        -2.953_151_879_565_653_2e-8,
        1.432_593_550_277_274_5e-9,
        -5.711_435_575_954_915_3e-11,
    ];
}

/// tanh x.
///
/// tanh ±0 = ±0, tanh ±∞ = ±1, NaN to NaN, subnormals to themselves.
///
/// Up to 1 it is x − x·z/d, d a polynomial in z = x², and from there 1 − 1/d with d = ½(e²ˣ + 1).
/// What is subtracted is at most a third of the result, so that its error counts little. The two
/// are one formula in min(x, 1) and min(z, 1), with one division.
#[inline(always)]
pub(crate) fn tanh<V: Lanes>(x: V) -> V {
    let one = x.splat(V::Element::ONE);
    let sign = x.bit_and(x.splat(V::Element::SIGN_BIT));
    let magnitude = x.bit_xor(sign);
    let z = x * x;
    let near = horner(z, V::Element::TANH);
    let saturated = x.splat(V::Element::SATURATED).less_or(magnitude);
    let far = half_exp_2x_coarse(saturated) + x.splat(V::Element::HALF);
    let divisor = far.select(one.le(magnitude), near);
    // NaN is not less than 1, so it stays in both.
    let leading = one.less_or(magnitude);
    (one.less_or(z) / divisor).neg_mul_add(leading, leading).bit_or(sign)
}
