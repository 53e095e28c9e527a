//! The error function.

use super::exp::exp2_coarse;
use super::horner;
use crate::Element;
use crate::lanes::Lanes;

/// erf(x)/x − 1 for |x| ≤ 15⁄16 as a polynomial in x², and the binary logarithm of erfc x from there
/// on as one in x − 1.
pub trait ErfConstants: Sized + 'static {
    /// 15⁄16, from where on erfc x is below ¼.
    const MIDDLE: Self;
    /// From here on erf x rounds to 1.
    const SATURATED: Self;
    /// By `scripts/minimax.py erf`.
    const ERF: &'static [Self];
    /// By `scripts/minimax.py log2_erfc`.
    const LOG2_ERFC: &'static [Self];
}

impl ErfConstants for f32 {
    const MIDDLE: Self = 0.9375;
    const SATURATED: Self = 3.95;
    // Largest error 1.96e-8, 0.328 half ulps.
    const ERF: &'static [Self] = &[
        0.128_379_15,
        -0.376_124_8,
        0.112_816_18,
        -0.026_758_565,
        0.004_980_687_5,
        -0.000_592_512_5,
    ];
    // Largest error 2.64e-8, 0.443 half ulps.
    const LOG2_ERFC: &'static [Self] =
        &[-2.668_416_5, -3.807_226_2, -1.216_417, -0.059_459_824, 0.013_321_929, -0.001_770_995_3];
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
    // Largest error 1.43e-17, 0.129 half ulps.
    const LOG2_ERFC: &'static [Self] = &[
        -2.668_416_696_781_599_7,
        -3.807_225_345_853_604,
        -1.216_346_657_685_815,
        -0.059_959_990_047_876_61,
        0.014_475_750_196_316_325,
        -0.002_853_510_618_567_715,
        0.000_342_384_632_654_000_5,
        3.791_231_235_658_241e-5,
        -3.919_231_615_485_342e-5,
        1.388_886_790_468_942_6e-5,
        -3.013_119_672_201_942e-6,
        2.506_950_222_337_736e-7,
        1.070_204_424_655_797_4e-7,
        -5.689_940_153_405_855e-8,
        1.456_739_963_510_150_1e-8,
        -2.295_817_131_278_025_3e-9,
        2.122_826_183_171_345_5e-10,
        -8.854_823_850_142_314e-12,
    ];
}

/// erf x = 2/√π ∫₀ˣ e^{−u²} du.
///
/// ±0 to ±0, ±∞ to ±1, NaN to NaN.
///
/// Up to 15⁄16 a polynomial; from there 1 − 2^{log₂ erfc x}, where erfc is below ¼, so that its error
/// counts little.
#[inline(always)]
pub(crate) fn erf<V: Lanes>(x: V) -> V {
    let one = x.splat(V::Element::ONE);
    let sign = x.bit_and(x.splat(V::Element::SIGN_BIT));
    let magnitude = x.bit_xor(sign);

    let z = magnitude * magnitude;
    let near = horner(z, V::Element::ERF).mul_add(magnitude, magnitude);

    let t = x.splat(V::Element::SATURATED).less_or(magnitude) - one;
    let far = one - exp2_coarse(horner(t, V::Element::LOG2_ERFC));

    // NaN is not beyond, and the polynomial keeps it.
    far.select(x.splat(V::Element::MIDDLE).le(magnitude), near).bit_or(sign)
}
