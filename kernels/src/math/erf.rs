//! The error function.

use super::exp::exp2_coarse;
use super::horner;
use super::pieces::{PieceTerms, Pieces};
use crate::Element;
use crate::lanes::Lanes;

/// How erf |x| is approximated.
pub enum ErfForm<E: 'static> {
    /// In pieces: for the fewest operations.
    Pieces {
        /// By `scripts/minimax.py erf_pieces`.
        pieces: &'static Pieces<E>,
        /// 1 for the first piece, whose value is not much more than x: what is added to that is
        /// computed by itself, so that its rounding counts little.
        slopes: [E; 8],
    },
    /// For all digits that there are: 1 − 2^{log₂ erfc x} from `middle` on, where erfc is below ¼,
    /// so that its error counts little.
    Logarithm {
        /// 15⁄16.
        middle: E,
        /// erf(x)/x − 1 in x², by `scripts/minimax.py erf`.
        erf: &'static [E],
        /// In x − 1, by `scripts/minimax.py log2_erfc`.
        log2_erfc: &'static [E],
        /// (2ʳ − 1)/r, by `scripts/minimax.py exp2`.
        exp2: &'static [E],
    },
}

/// The error function's approximation.
pub trait ErfConstants: Sized + 'static {
    /// From here on erf x rounds to 1.
    const SATURATED: Self;
    /// What comes before.
    const ERF: ErfForm<Self>;
}

impl ErfConstants for f32 {
    const SATURATED: Self = 3.95;
    // Largest error 1.24e-8, 0.207 half ulps.
    const ERF: ErfForm<Self> = ErfForm::Pieces {
        pieces: &Pieces {
            centres: [
                0.0,
                0.739_257_8,
                1.258_789_1,
                1.734375,
                2.227539,
                2.739_257_8,
                3.258789,
                3.744_140_6,
            ],
            coefficients: [
                [
                    0.0,
                    0.704_193_5,
                    0.924_956_2,
                    0.985_824_17,
                    0.998_368_5,
                    0.999_892_9,
                    0.999_995_95,
                    0.999_999_9,
                ],
                [
                    0.128_379_18,
                    0.653_299_33,
                    0.231_362_92,
                    0.055_727_895,
                    0.007_897_980_5,
                    0.000_621_888_1,
                    2.756_632_2e-5,
                    9.21153e-7,
                ],
                [
                    -1.890_839_5e-6,
                    -0.482_956_44,
                    -0.291_237_35,
                    -0.096_653_21,
                    -0.017_592_99,
                    -0.001_703_451_4,
                    -8.992794e-5,
                    -3.390_239_5e-6,
                ],
                [
                    -0.376_080_75,
                    0.020_251_906,
                    0.167_284_43,
                    0.093_179_53,
                    0.023_493_676,
                    0.002_903_534_3,
                    0.000_185_929_02,
                    8.273956e-6,
                ],
                [
                    -0.000_489_523_2,
                    0.153_485_91,
                    -0.008_185_179,
                    -0.048_581_474,
                    -0.020_307_211,
                    -0.003_411_409_7,
                    -0.000_268_721_43,
                    -1.685_434_5e-5,
                ],
                [
                    0.115_488_43,
                    -0.051_419_698,
                    -0.046_105_33,
                    0.005_733_184_5,
                    0.011_033_975_5,
                    0.002_867_808_8,
                    0.000_302_684_6,
                    2.040_251_8e-5,
                ],
                [
                    -0.007_208_579,
                    -0.027_916_042,
                    0.020_861_672,
                    0.009_619_627,
                    -0.002_654_306,
                    -0.001_685_866_3,
                    -0.000_306_499_45,
                    5.679_916_7e-6,
                ],
                [
                    -0.018_551_903,
                    0.017_535_044,
                    0.003_862_786_3,
                    -0.005_829_868,
                    -0.000_789_447_4,
                    0.000_601_527_63,
                    0.000_129_726_24,
                    -1.012_306_9e-6,
                ],
            ],
        },
        slopes: [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0],
    };
}

impl ErfConstants for f64 {
    const SATURATED: Self = 6.0;
    const ERF: ErfForm<Self> = ErfForm::Logarithm {
        middle: 0.9375,
        // Largest error 1.37e-17, 0.124 half ulps.
        erf: &[
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
        ],
        // Largest error 1.43e-17, 0.129 half ulps.
        log2_erfc: &[
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
        ],
        // Largest error 1.07e-18, 0.00963 half ulps.
        exp2: &[
            core::f64::consts::LN_2,
            0.240_226_506_959_100_7,
            0.055_504_108_664_823_38,
            0.009_618_129_107_630_232,
            0.001_333_355_814_603_313_9,
            0.000_154_035_303_888_800_01,
            1.525_273_416_721_177_1e-5,
            1.321_549_133_893_524e-6,
            1.017_793_217_363_680_5e-7,
            7.052_946_958_473_768e-9,
            4.473_328_638_073_456_5e-10,
            2.873_090_380_051_748_4e-11,
        ],
    };
}

/// erf x = 2/√π ∫₀ˣ e^{−u²} du.
///
/// ±0 to ±0, ±∞ to ±1, NaN to NaN.
#[inline(always)]
pub(crate) fn erf<V: Lanes>(x: V) -> V {
    let sign = x.bit_and(x.splat(V::Element::SIGN_BIT));
    let magnitude = x.bit_xor(sign);
    let bounded = x.splat(V::Element::SATURATED).less_or(magnitude);
    let value = match V::Element::ERF {
        ErfForm::Pieces { pieces, slopes } => {
            let PieceTerms { piece, w, value, slope } = pieces.terms(bounded);
            slope.mul_add(w, w.mul_add(piece.entry_of(&slopes), value))
        }
        ErfForm::Logarithm { middle, erf, log2_erfc, exp2 } => {
            let one = x.splat(V::Element::ONE);
            let z = magnitude * magnitude;
            let near = horner(z, erf).mul_add(magnitude, magnitude);
            let far = one - exp2_coarse(horner(bounded - one, log2_erfc), exp2);
            // NaN is not beyond, and the polynomial keeps it.
            far.select(x.splat(middle).le(magnitude), near)
        }
    };
    value.bit_or(sign)
}
