//! The tails of the normal distribution and of the error function, accurate in relative terms
//! down to the smallest subnormal.

use super::exp::Reduced;
use super::pieces::Pieces;
use super::{exact_mul_add, horner, polynomial};
use crate::Element;
use crate::lanes::{Lanes, Mask};

/// A polynomial in v − centre, v = x/(x + a).
#[derive(Clone, Copy)]
pub struct TailPolynomial<E: 'static> {
    centre: E,
    /// a.
    offset: E,
    /// How many of the first terms are added without rounding.
    exact_terms: usize,
    coefficients: &'static [E],
}

/// A logarithm, less its `value` at `centre`, as w = x − `centre` times a polynomial in w.
#[derive(Clone, Copy)]
pub struct LogTail<E: 'static> {
    centre: E,
    value: E,
    coefficients: &'static [E],
}

impl<E: Element> LogTail<E> {
    /// The value, the polynomial, and w.
    #[inline(always)]
    fn terms<V: Lanes<Element = E>>(&self, x: V) -> (V, V, V) {
        let w = x - x.splat(self.centre);
        (x.splat(self.value), horner(w, self.coefficients), w)
    }
}

/// Φ(−x), and what the derivative of xΦ(x) needs.
pub enum NormalTail<E: 'static> {
    /// In pieces up to 4, and by a logarithm from there on: for the fewest operations.
    Pieces {
        /// The number before 4.
        middle: E,
        /// x·Φ(−x), by `scripts/minimax.py normal_tail_pieces`, and ln(e^{x²/2}·Φ(−x)), by
        /// `scripts/minimax.py log_normal_tail_far`.
        tail: (&'static Pieces<E>, LogTail<E>),
        /// The zero x₀ of Φ(−x) − xφ(x), rounded and the rest.
        zero: (E, E),
        /// (Φ(−x) − xφ(x))/(x₀ − x), by `scripts/minimax.py gelu_slope_pieces`, and
        /// ln(e^{x²/2}·(Φ(−x) − xφ(x))/(x₀ − x)), by `scripts/minimax.py log_gelu_slope_far`.
        slope: (&'static Pieces<E>, LogTail<E>),
    },
    /// By e^{x²/2}·Φ(−x)·(x + a): for all digits that there are.
    Ratio {
        /// By `scripts/minimax.py normal_tail`.
        tail: TailPolynomial<E>,
        /// 1/√(2π), rounded and the rest.
        frac_1_sqrt_tau: (E, E),
    },
}

/// The tails of the normal distribution and of the error function.
pub trait TailConstants: Sized + 'static {
    /// From here on Φ(−x), and x·Φ(−x) too, round to 0.
    const NORMAL_TOP: Self;
    /// How Φ(−x) is approximated.
    const NORMAL_TAIL: NormalTail<Self>;
    /// From here on erfc x rounds to 0.
    const ERFC_TOP: Self;
    /// By `scripts/minimax.py erfc`.
    const ERFC: TailPolynomial<Self>;
}

impl TailConstants for f32 {
    const NORMAL_TOP: Self = 14.7;
    const NORMAL_TAIL: NormalTail<Self> = NormalTail::Pieces {
        middle: 3.999_999_8,
        tail: (
            // Largest error 1.53e-8, 0.256 half ulps.
            &Pieces {
                centres: [
                    0.0,
                    0.746_093_75,
                    1.276_367_2,
                    1.728_515_6,
                    2.234375,
                    2.763_671_9,
                    3.248_046_9,
                    3.757_812_5,
                ],
                coefficients: [
                    [
                        0.0,
                        0.169_964_18,
                        0.128_801_88,
                        0.072_507_62,
                        0.028_441_817,
                        0.007_897_881,
                        0.001_887_117_3,
                        0.000_322_054_37,
                    ],
                    [
                        0.5,
                        0.002_471_158,
                        -0.124_577_634,
                        -0.112_861_79,
                        -0.060_717_68,
                        -0.021_344_263,
                        -0.006_051_396_5,
                        -0.001_200_991_6,
                    ],
                    [
                        -0.398_942_4,
                        -0.217_958_45,
                        -0.032_761_53,
                        0.044_233_24,
                        0.049_182_616,
                        0.024_686_016,
                        0.008_729_202,
                        0.002_075_171_8,
                    ],
                    [
                        5.160_212_4e-6,
                        0.129_317_13,
                        0.089_102_47,
                        0.026_117_247,
                        -0.012_148_37,
                        -0.014_674_104,
                        -0.007_240_201_3,
                        -0.002_170_482_7,
                    ],
                    [
                        0.066_423_17,
                        0.005_202_960_7,
                        -0.034_961_708,
                        -0.029_806_6,
                        -0.008_249_909,
                        0.003_237_177_2,
                        0.003_526_875,
                        0.001_491_846_4,
                    ],
                    [
                        0.000_403_387_3,
                        -0.022_880_16,
                        -0.005_152_197_6,
                        0.007_658_493_7,
                        0.007_334_579_7,
                        0.001_552_002_3,
                        -0.000_730_835_66,
                        -0.000_665_314_4,
                    ],
                    [
                        -0.011_208_802,
                        0.002_286_179,
                        0.006_545_303_4,
                        0.002_257_525_2,
                        -0.001_688_239_9,
                        -0.001_410_649_6,
                        -0.000_253_187_1,
                        0.000_152_302_72,
                    ],
                    [
                        0.001_895_709,
                        0.002_742_631_6,
                        -0.000_412_211_26,
                        -0.001_587_346_4,
                        -0.000_382_316_15,
                        0.000_346_515_1,
                        0.000_223_942_46,
                        1.580462e-5,
                    ],
                ],
            },
            // Largest error 3.61e-8, 0.606 half ulps.
            LogTail {
                centre: 7.483_398_4,
                value: -2.948_747_6,
                coefficients: &[
                    -0.129_234_48,
                    0.008_092_402_5,
                    -0.000_655_651_1,
                    5.804308e-5,
                    -5.307_221_7e-6,
                    4.872489e-7,
                    -4.631_016_3e-8,
                    4.727_670_3e-9,
                    -4.050_419_2e-10,
                    1.722_594_1e-11,
                ],
            },
        ),
        zero: (0.751_791_54, -1.211_445e-8),
        slope: (
            // Largest error 9.87e-9, 0.166 half ulps.
            &Pieces {
                centres: [
                    0.247_070_31,
                    0.766_601_56,
                    1.248_046_9,
                    1.720_703_1,
                    2.278_320_3,
                    2.765625,
                    3.233_398_4,
                    3.729_492_2,
                ],
                coefficients: [
                    [
                        0.607_906_1,
                        0.425_739_85,
                        0.246_857_69,
                        0.117_191_39,
                        0.036_991_138,
                        0.010_551_022,
                        0.002_543_449,
                        0.000_444_601_73,
                    ],
                    [
                        -0.282_081_6,
                        -0.388_749_24,
                        -0.334_223_54,
                        -0.210_970_52,
                        -0.086_453_82,
                        -0.029_670_399,
                        -0.008_320_143,
                        -0.001_671_900_9,
                    ],
                    [
                        -0.185_829_33,
                        -0.013_154_295,
                        0.111_168_22,
                        0.133_975_36,
                        0.083_085_895,
                        0.036_555_346,
                        0.012_356_989,
                        0.002_923_899_3,
                    ],
                    [
                        0.088_802_17,
                        0.113_091_38,
                        0.051_297_348,
                        -0.013_989_689,
                        -0.036_905_106,
                        -0.024_612_099,
                        -0.010_749_026,
                        -0.003_114_917,
                    ],
                    [
                        0.039_145_224,
                        -0.016_195_064,
                        -0.040_199_094,
                        -0.024_539_547,
                        0.001_674_342,
                        0.008_417_329,
                        0.005_761_577_7,
                        0.002_207_653_8,
                    ],
                    [
                        -0.017_958_451,
                        -0.019_024_359,
                        -0.000_171_575_84,
                        0.010_718_522,
                        0.006_130_184_5,
                        1.986329e-5,
                        -0.001_666_412_3,
                        -0.001_046_398_1,
                    ],
                    [
                        -0.005_707_476_8,
                        0.004_719_488_3,
                        0.006_365_727_6,
                        0.000_967_419_5,
                        -0.002_495_224,
                        -0.001_341_635_6,
                        -3.213928e-5,
                        0.000_292_187_96,
                    ],
                    [
                        0.002_891_656_2,
                        0.002_305_752,
                        -0.000_973_879_4,
                        -0.001_620_239_7,
                        -3.489305e-6,
                        0.000_504_683_2,
                        0.000_220_139_6,
                        -1.810_404_9e-5,
                    ],
                ],
            },
            // Largest error 4.57e-8, 0.767 half ulps.
            LogTail {
                centre: 7.117_187_5,
                value: -0.826_865_43,
                coefficients: &[
                    -0.011_142_976,
                    0.001_332_255_5,
                    -0.000_157_367_53,
                    1.831909e-5,
                    -2.086_516_6e-6,
                    2.390_446_2e-7,
                    -2.934_831_4e-8,
                    3.399877e-9,
                    -2.667_289_7e-10,
                    9.33607e-12,
                ],
            },
        ),
    };
    const ERFC_TOP: Self = 10.2;
    // Largest error 3.54e-9, 0.0594 half ulps.
    const ERFC: TailPolynomial<Self> = TailPolynomial {
        centre: 0.515_625,
        offset: 2.125,
        exact_terms: 2,
        coefficients: &[
            1.009_126_7,
            -1.402_084_2,
            1.280_852_1,
            -0.556_122_7,
            -0.207_415_46,
            0.325_374_4,
            0.068_256_39,
            -0.198_776_4,
            -0.073_941_77,
            0.108_924_754,
            0.081_407_18,
        ],
    };
}

impl TailConstants for f64 {
    const NORMAL_TOP: Self = 39.0;
    const NORMAL_TAIL: NormalTail<Self> = NormalTail::Ratio {
        // Largest error 1.61e-17, 0.145 half ulps.
        tail: TailPolynomial {
            centre: 0.4375,
            offset: 4.0,
            exact_terms: 2,
            coefficients: &[
                0.837_700_494_376_566_2,
                -1.427_809_153_513_517_8,
                1.851_515_102_895_603_4,
                -1.741_989_925_710_474_3,
                1.026_965_100_831_866,
                -0.141_341_596_633_338_9,
                -0.307_903_519_174_732_74,
                0.175_450_533_019_025_22,
                0.097_527_658_915_656_48,
                -0.102_293_587_766_243_77,
                -0.047_538_074_677_856_06,
                0.056_524_886_849_473_05,
                0.035_539_356_785_323_245,
                -0.028_715_407_096_840_524,
                -0.031_016_671_470_356_253,
                0.009_359_286_122_806_527,
                0.025_540_372_018_561_026,
                0.005_016_455_700_490_456,
                -0.016_882_043_077_206_088,
                -0.014_712_410_803_281_823,
                0.007_006_729_036_855_5,
                0.017_876_297_453_928_557,
                -0.001_624_619_406_316_944_8,
                -0.011_174_876_184_613_2,
                0.001_861_404_393_122_262_5,
            ],
        },
        frac_1_sqrt_tau: (0.398_942_280_401_432_7, -2.492_327_202_277_73e-17),
    };
    const ERFC_TOP: Self = 27.4;
    // Largest error 1.88e-17, 0.169 half ulps.
    const ERFC: TailPolynomial<Self> = TailPolynomial {
        centre: 0.468_75,
        offset: 2.75,
        exact_terms: 2,
        coefficients: &[
            1.120_246_028_310_536,
            -1.833_053_546_241_650_2,
            2.294_530_144_521_008,
            -2.078_127_229_982_107,
            1.147_653_396_895_333_3,
            -0.075_589_974_383_610_25,
            -0.408_161_041_777_594_8,
            0.185_948_665_590_060_43,
            0.152_263_845_585_329_54,
            -0.120_694_791_986_782_47,
            -0.081_399_038_888_852_28,
            0.069_768_087_611_983_76,
            0.061_027_520_194_635_79,
            -0.034_743_316_020_098_73,
            -0.052_530_808_268_005_35,
            0.007_982_156_836_231_84,
            0.044_151_922_623_306_09,
            0.012_269_720_473_542_843,
            -0.034_706_838_906_396_85,
            -0.022_391_603_677_056_43,
            0.030_777_721_967_867_426,
            0.018_216_721_808_259_524,
            -0.034_542_388_095_762_55,
            -0.005_792_148_029_862_983,
            0.025_865_138_157_247_412,
        ],
    };
}

/// ratio·eʳ·2ⁿ: the ratio of a tail to its e^{−x²/2} or e^{−x²}, and that exponential.
#[derive(Clone, Copy)]
struct Tail<V> {
    /// Rounded.
    ratio: V,
    /// What the rounding left over.
    ratio_low: V,
    exponential: Reduced<V>,
}

impl<V: Lanes> Tail<V> {
    /// Φ(−t) · (t or 1), 0 ≤ t ≤ NORMAL_TOP.
    #[inline(always)]
    fn normal(t: V, times_t: bool, polynomial_in_v: TailPolynomial<V::Element>) -> Self {
        let exponential = Reduced::new_square(t, V::Element::HALF);
        Self::new(t, times_t, exponential, polynomial_in_v)
    }

    /// erfc t, 0 ≤ t ≤ ERFC_TOP.
    #[inline(always)]
    fn erfc(t: V) -> Self {
        let exponential = Reduced::new_square(t, V::Element::ONE);
        Self::new(t, false, exponential, V::Element::ERFC)
    }

    #[inline(always)]
    fn new(
        t: V,
        times_t: bool,
        exponential: Reduced<V>,
        polynomial_in_v: TailPolynomial<V::Element>,
    ) -> Self {
        let TailPolynomial { centre, offset, exact_terms, coefficients } = polynomial_in_v;
        let one = t.splat(V::Element::ONE);
        let offset = t.splat(offset);
        let sum = t + offset;
        // t + offset = sum + sum_low exactly, for the offset's last bit is above that of sum.
        let sum_low = t - (sum - offset);
        let reciprocal = one / sum;
        // What the polynomial is multiplied with, and v.
        let numerator = if times_t { t } else { one };
        let factor = numerator * reciprocal;
        let remainder = exact_mul_add(-factor, sum, numerator);
        let factor_low = factor.neg_mul_add(sum_low, remainder) * reciprocal;
        let (v, v_low) = if times_t {
            (factor, factor_low)
        } else {
            let v = t * factor;
            (v, t.mul_add(factor_low, exact_mul_add(t, factor, -v)))
        };

        let distance = v - t.splat(centre);
        let w = distance + v_low;
        let w_low = v_low - (w - distance);
        // The first terms cancel; what rounding takes from them, and from w, is kept apart.
        let (first, rest) = coefficients.split_at(exact_terms);
        let (mut s, mut s_low) = (polynomial(w, w * w, rest), None);
        for &c in first.iter().rev() {
            let c = t.splat(c);
            let next = s.mul_add(w, c);
            let low = s.mul_add(w_low, exact_mul_add(s, w, c - next));
            s_low = match s_low {
                Some(lower) => Some(w.mul_add(lower, low)),
                None => Some(low),
            };
            s = next;
        }
        let s_low = s_low.expect("there is an exact term");
        let ratio = s * factor;
        let ratio_low = exact_mul_add(s, factor, -ratio);
        let ratio_low = s.mul_add(factor_low, s_low.mul_add(factor, ratio_low));
        Self { ratio, ratio_low, exponential }
    }

    /// The tail, rounded once but for the error of eʳ.
    #[inline(always)]
    fn value(self) -> V {
        let p = self.exponential.expm1();
        let low = self.ratio_low.mul_add(p, self.ratio_low);
        let value = self.ratio + self.ratio.mul_add(p, low);
        self.exponential.scale_down(value)
    }
}

/// erfc x = 1 − erf x.
///
/// −∞ to 2, +∞ to 0, ±0 to 1, NaN to NaN.
#[inline(always)]
pub(crate) fn erfc<V: Lanes>(x: V) -> V {
    let t = x.splat(V::Element::ERFC_TOP).less_or(x.abs());
    let tail = Tail::erfc(t).value();
    let negative = x.lt(x.splat(V::Element::ZERO));
    (x.splat(V::Element::TWO) - tail).select(negative, tail)
}

/// x·Φ(x), Φ the cumulative distribution function of the standard normal distribution.
///
/// −∞ to −0, +∞ to +∞, ±0 to ±0, NaN to NaN.
#[inline(always)]
pub(crate) fn times_normal_cdf<V: Lanes>(x: V) -> V {
    // x·Φ(x) = x − x·Φ(−x) for positive x. The zero is −0, so that −0 − 0 is what an underflow
    // below 0 gives.
    let t = x.splat(V::Element::NORMAL_TOP).less_or(x.abs());
    let below = match V::Element::NORMAL_TAIL {
        NormalTail::Pieces { middle, tail: (near, far), .. } => {
            near_or_far(near.evaluate(t), t, t, middle, far)
        }
        NormalTail::Ratio { tail, .. } => Tail::normal(t, true, tail).value(),
    };
    x.splat(V::Element::SIGN_BIT).greater_or(x) - below
}

/// `near` for t up to `middle`, and from there on factor·e^{−t²/2} times what `far` is the logarithm
/// of; t ≤ NORMAL_TOP.
#[inline(always)]
fn near_or_far<V: Lanes>(
    near: V,
    factor: V,
    t: V,
    middle: V::Element,
    far: LogTail<V::Element>,
) -> V {
    let is_near = t.le(t.splat(middle));
    if is_near.all() {
        return near;
    }
    let (logarithm, slope, w) = far.terms(t);
    let power = Reduced::new_half_square_and(t, logarithm, slope, w);
    let far = factor.mul_add(power.expm1(), factor).scale_by_pow2(power.n);
    near.select(is_near, far)
}

/// Φ(x) + x·φ(x), the derivative of x·Φ(x), φ the density.
///
/// −∞ to −0, +∞ to 1, NaN to NaN.
#[inline(always)]
pub(crate) fn times_normal_cdf_derivative<V: Lanes>(x: V) -> V {
    let one = x.splat(V::Element::ONE);
    let t = x.splat(V::Element::NORMAL_TOP).less_or(x.abs());
    let below = match V::Element::NORMAL_TAIL {
        NormalTail::Pieces { middle, zero: (zero, zero_low), slope: (near, far), .. } => {
            let distance = (x.splat(zero) - t) + x.splat(zero_low);
            near_or_far(near.evaluate(t) * distance, distance, t, middle, far)
        }
        NormalTail::Ratio { tail, frac_1_sqrt_tau } => gelu_slope(t, tail, frac_1_sqrt_tau),
    };
    below.select(x.lt(x.splat(V::Element::ZERO)), one - below)
}

/// Φ(−t) − t·φ(t), 0 ≤ t ≤ NORMAL_TOP.
#[inline(always)]
fn gelu_slope<V: Lanes>(
    t: V,
    tail: TailPolynomial<V::Element>,
    (c, c_low): (V::Element, V::Element),
) -> V {
    // With Φ(−t) = ratio·e and φ(t) = e/√(2π), e = e^{−t²/2}: e·(ratio − t/√(2π)).
    let Tail { ratio, ratio_low, exponential } = Tail::normal(t, false, tail);
    let (c, c_low) = (t.splat(c), t.splat(c_low));
    let product = t * c;
    let product_low = t.mul_add(c_low, exact_mul_add(t, c, -product));
    // Knuth's two-sum: either may be the larger.
    let difference = ratio - product;
    let from_product = difference - ratio;
    let rounding = (ratio - (difference - from_product)) - (product + from_product);
    let difference_low = rounding - product_low + ratio_low;
    Tail { ratio: difference, ratio_low: difference_low, exponential }.value()
}
