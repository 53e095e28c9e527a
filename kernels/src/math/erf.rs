//! The error function.

use super::exp::exp_normal;
use super::polynomial;
use crate::Element;
use crate::lanes::Lanes;

/// erf(x)/x − 1 for |x| ≤ 15⁄16 as a polynomial in x², and ln erfc x from there on as one in x − 1.
pub trait ErfConstants: Sized + 'static {
    /// 15⁄16, from where on erfc x is below ¼.
    const MIDDLE: Self;
    /// From here on erf x rounds to 1.
    const SATURATED: Self;
    /// By `scripts/minimax.py erf`.
    const ERF: &'static [Self];
    /// By `scripts/minimax.py log_erfc`.
    const LOG_ERFC: &'static [Self];
}

impl ErfConstants for f32 {
    const MIDDLE: Self = 0.9375;
    const SATURATED: Self = 3.95;
    // Largest error 9.03e-10, 0.0152 half ulps.
    const ERF: &'static [Self] = &[
        0.128_379_17,
        -0.376_126_3,
        0.112_836_26,
        -0.026_855_737,
        0.005_192_438,
        -0.000_805_038_43,
        8.000279e-5,
    ];
    // Largest error 9.97e-9, 0.167 half ulps.
    const LOG_ERFC: &'static [Self] = &[
        -1.849_605_6,
        -2.638_967_5,
        -0.843_090_5,
        -0.041_658_14,
        0.010_204_86,
        -0.002_075_628_4,
        0.000_252_125_76,
    ];
}

impl ErfConstants for f64 {
    const MIDDLE: Self = 0.9375;
    const SATURATED: Self = 6.0;
    // Largest error 1.37e-17, 0.124 half ulps.
    const ERF: &'static [Self] = &[
        0.128_379_167_095_512_56,
        -0.376_126_389_031_833_2,
        0.112_837_916_709_350_52,
        -0.026_866_170_641_472_57,
        0.005_223_977_591_013_659,
        -0.000_854_832_511_628_890_3,
        0.000_120_552_662_752_283_37,
        -1.492_412_328_434_208_2e-5,
        1.643_896_707_982_106_6e-6,
        -1.613_604_558_903_217_8e-7,
        1.336_928_680_929_273_2e-8,
        -7.062_189_635_891_967e-10,
    ];
    // Largest error 1.57e-17, 0.141 half ulps.
    const LOG_ERFC: &'static [Self] = &[
        -1.849_605_509_933_248_2,
        -2.638_967_514_234_787_3,
        -0.843_107_256_358_497_8,
        -0.041_561_098_047_929_71,
        0.010_033_825_444_967_583,
        -0.001_977_902_961_242_708_4,
        0.000_237_323_621_018_593_38,
        2.627_654_576_035_797_5e-5,
        -2.716_104_971_758_131_6e-5,
        9.619_409_441_185_17e-6,
        -2.080_262_876_535_22e-6,
        1.672_989_817_565_392e-7,
        7.782_913_862_932_458e-8,
        -4.090_669_578_776_472e-8,
        1.050_687_099_898_396_7e-8,
        -1.666_603_771_509_641_7e-9,
        1.553_184_712_185_457_9e-10,
        -6.534_662_659_458_804_5e-12,
    ];
}

/// erf x = 2/√π ∫₀ˣ e^{−u²} du.
///
/// ±0 to ±0, ±∞ to ±1, NaN to NaN.
///
/// Up to 15⁄16 a polynomial; from there 1 − e^{ln erfc x}, where erfc is below ¼, so that its error
/// counts little.
#[inline(always)]
pub(crate) fn erf<V: Lanes>(x: V) -> V {
    let one = x.splat(V::Element::ONE);
    let sign = x.bit_and(x.splat(V::Element::SIGN_BIT));
    let magnitude = x.bit_xor(sign);

    let z = magnitude * magnitude;
    let near = polynomial(z, z * z, V::Element::ERF).mul_add(magnitude, magnitude);

    let t = x.splat(V::Element::SATURATED).less_or(magnitude) - one;
    let far = one - exp_normal(polynomial(t, t * t, V::Element::LOG_ERFC));

    // NaN is not beyond, and the polynomial keeps it.
    far.select(x.splat(V::Element::MIDDLE).le(magnitude), near).bit_or(sign)
}
