//! tanh x.

use super::exp::exp_normal;
use super::polynomial;
use crate::Element;
use crate::lanes::Lanes;

/// (tanh(x)/x − 1)/x² for |x| ≤ 1 as a polynomial in x².
pub trait TanhConstants: Sized + 'static {
    /// From here on tanh x rounds to 1.
    const SATURATED: Self;
    /// By `scripts/minimax.py tanh`.
    const TANH: &'static [Self];
}

impl TanhConstants for f32 {
    const SATURATED: Self = 9.5;
    // Largest error 4.95e-10, 0.00831 half ulps.
    const TANH: &'static [Self] = &[
        -0.333_333_28,
        0.133_331_75,
        -0.053_950_723,
        0.021_774_445,
        -0.008_571_457,
        0.003_048_876_3,
        -0.000_821_896_25,
        0.000_116_449_71,
    ];
}

impl TanhConstants for f64 {
    const SATURATED: Self = 20.0;
    // Largest error 1.02e-18, 0.00915 half ulps.
    const TANH: &'static [Self] = &[
        -0.333_333_333_333_333,
        0.133_333_333_333_291_12,
        -0.053_968_253_966_487_08,
        0.021_869_488_498_641_933,
        -0.008_863_235_053_524_945,
        0.003_592_124_068_871_244,
        -0.001_455_811_428_742_412_7,
        0.000_589_931_589_594_243_4,
        -0.000_238_832_972_913_892_4,
        9.622_701_328_219_248e-5,
        -3.806_237_726_870_263e-5,
        1.427_818_111_572_115e-5,
        -4.756_785_846_279_739e-6,
        1.270_769_202_531_343e-6,
        -2.328_686_366_379_818_5e-7,
        2.128_851_883_964_971_7e-8,
    ];
}

/// tanh x.
///
/// tanh ±0 = ±0, tanh ±∞ = ±1, NaN to NaN, subnormals to themselves.
///
/// Up to 1 a polynomial; from there 1 − 2/(e^{2x} + 1), where the quotient is below ¼, so that its
/// error counts little.
#[inline(always)]
pub(crate) fn tanh<V: Lanes>(x: V) -> V {
    let one = x.splat(V::Element::ONE);
    let sign = x.bit_and(x.splat(V::Element::SIGN_BIT));
    let magnitude = x.bit_xor(sign);

    let z = magnitude * magnitude;
    let near = (polynomial(z, z * z, V::Element::TANH) * z).mul_add(magnitude, magnitude);

    let a = x.splat(V::Element::SATURATED).less_or(magnitude);
    let far = one - x.splat(V::Element::TWO) / (exp_normal(a + a) + one);

    // NaN is not beyond 1, and the polynomial keeps it.
    far.select(one.le(magnitude), near).bit_or(sign)
}
