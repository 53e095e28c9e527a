//! Numbers of about 106 bits: the unevaluated sum of two f64.

use super::Real;
use core::cmp::Ordering;
use core::ops::{Add, Div, Mul, Neg, Sub};

/// high + low, where high is the sum rounded: about 31 decimal digits, slowly.
///
/// ```
/// use deltarule_kernels::reference::{DoubleDouble, Real};
/// let third = DoubleDouble::from(1.0) / DoubleDouble::from(3.0);
/// assert_eq!(third.high, 1.0 / 3.0);
/// assert!((third.low - 1.850_371_707_708_594e-17).abs() < 1e-32);
/// let two = DoubleDouble::from(2.0).sqrt();
/// assert!((two * two - DoubleDouble::from(2.0)).to_f64().abs() < 1e-31);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DoubleDouble {
    /// The value rounded to f64.
    pub high: f64,
    /// What is left.
    pub low: f64,
}

/// ln 2.
const LN_2: DoubleDouble =
    DoubleDouble { high: core::f64::consts::LN_2, low: 2.319_046_813_846_299_6e-17 };

/// a + b exactly. An infinite or NaN sum has no low part.
fn two_sum(a: f64, b: f64) -> DoubleDouble {
    let high = a + b;
    if !high.is_finite() {
        return high.into();
    }
    let from_b = high - a;
    DoubleDouble { high, low: (a - (high - from_b)) + (b - from_b) }
}

/// a + b exactly, if |a| ≥ |b|. An infinite or NaN sum has no low part.
fn fast_two_sum(a: f64, b: f64) -> DoubleDouble {
    let high = a + b;
    let low = if high.is_finite() { b - (high - a) } else { 0.0 };
    DoubleDouble { high, low }
}

impl DoubleDouble {
    /// self · 2ⁿ.
    fn scale(self, n: f64) -> Self {
        let half = (n / 2.0).trunc();
        let (a, b) = (2f64.powi(half as i32), 2f64.powi((n - half) as i32));
        let high = self.high * a * b;
        if high.is_finite() { Self { high, low: self.low * a * b } } else { high.into() }
    }

    /// x + x²/2 + x³/6 + ⋯
    fn exp_m1_series(self) -> Self {
        let (mut term, mut sum, mut n) = (self, self, 1.0);
        while term.high.abs() > 1e-33 * sum.high.abs() {
            n += 1.0;
            term = term * self / n.into();
            sum = sum + term;
        }
        sum
    }
}

impl From<f64> for DoubleDouble {
    fn from(high: f64) -> Self {
        Self { high, low: 0.0 }
    }
}

impl PartialOrd for DoubleDouble {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        match self.high.partial_cmp(&other.high) {
            Some(Ordering::Equal) => self.low.partial_cmp(&other.low),
            order => order,
        }
    }
}

impl Neg for DoubleDouble {
    type Output = Self;
    fn neg(self) -> Self {
        Self { high: -self.high, low: -self.low }
    }
}

impl Add for DoubleDouble {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        let high = two_sum(self.high, other.high);
        let low = two_sum(self.low, other.low);
        let sum = fast_two_sum(high.high, high.low + low.high);
        fast_two_sum(sum.high, sum.low + low.low)
    }
}

impl Sub for DoubleDouble {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

impl Mul for DoubleDouble {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        let high = self.high * other.high;
        if !high.is_finite() {
            return high.into();
        }
        let low = self.high.mul_add(other.high, -high);
        fast_two_sum(high, low + (self.high * other.low + self.low * other.high))
    }
}

impl Div for DoubleDouble {
    type Output = Self;
    fn div(self, other: Self) -> Self {
        let first = self.high / other.high;
        if !first.is_finite() || other.high.is_infinite() {
            return first.into();
        }
        let rest = self - other * first.into();
        let second = rest.high / other.high;
        let rest = rest - other * second.into();
        fast_two_sum(first, second) + (rest.high / other.high).into()
    }
}

impl Real for DoubleDouble {
    const PI: Self = Self { high: core::f64::consts::PI, low: 1.224_646_799_147_353_2e-16 };
    const LEVELS: f64 = 200.0;

    fn to_f64(self) -> f64 {
        self.high
    }

    fn sqrt(self) -> Self {
        let root = Self::from(self.high.sqrt());
        root + (self - root * root) / (root + root)
    }

    fn exp(self) -> Self {
        let n = (self.high / LN_2.high).round();
        if n.is_nan() || n.abs() >= 1100.0 {
            return self.high.exp().into();
        }
        let r = self - LN_2 * n.into();
        (Self::from(1.0) + r.exp_m1_series()).scale(n)
    }

    fn exp_m1(self) -> Self {
        if self.high.abs() < 0.5 { self.exp_m1_series() } else { self.exp() - 1.0.into() }
    }

    /// A Newton step from the f64 logarithm.
    fn ln(self) -> Self {
        let near = self - 1.0.into();
        if near.high.abs() < 0.25 {
            return near.ln_1p();
        }
        let y = Self::from(self.high.ln());
        if !y.high.is_finite() {
            return y;
        }
        // In two factors, for the exponential of one could overflow.
        let half = (-y / 2.0.into()).exp();
        y + (self * half * half - 1.0.into())
    }

    /// 2 atanh s = 2(s + s³/3 + s⁵/5 + ⋯), s = x/(2 + x), near 0.
    fn ln_1p(self) -> Self {
        if self.high.is_nan() || self.high.abs() >= 0.3 {
            return (self + 1.0.into()).ln();
        }
        let s = self / (self + 2.0.into());
        let square = s * s;
        let (mut power, mut sum, mut odd) = (s, s, 1.0);
        while power.high.abs() > 1e-33 * sum.high.abs() {
            odd += 2.0;
            power = power * square;
            sum = sum + power / odd.into();
        }
        sum + sum
    }

    fn tanh(self) -> Self {
        if self.high.abs() > 40.0 || self.high == 0.0 {
            return self.high.tanh().into();
        }
        let e = (self + self).exp_m1();
        e / (e + 2.0.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Functions at points and their values to 50 digits, each as the two f64 of its
    /// double-double, by `scripts/double_double_golden.py`.
    #[test]
    fn functions_agree_with_mpmath() {
        type Function = fn(DoubleDouble) -> DoubleDouble;
        let rows: &[(&str, Function, f64, f64, f64)] = &[
            ("exp", Real::exp, -300.25, 4.009_422_364_622_857e-131, -9.421_845_746_665_655e-148),
            ("exp", Real::exp, -1.5, 0.223_130_160_148_429_82, 1.088_772_369_904_226_3e-17),
            ("exp", Real::exp, 0.1, 1.105_170_918_075_647_7, -8.149_523_913_327_619e-17),
            ("exp", Real::exp, 3.75, 42.521_082_000_062_78, -3.237_168_703_359_851_6e-16),
            ("exp", Real::exp, 700.25, 1.302_299_736_699_178_3e304, 7.154_767_958_193_286e287),
            ("exp_m1", Real::exp_m1, -3.5, -0.969_802_616_577_681_5, 2.068_908_068_988_375_3e-17),
            ("exp_m1", Real::exp_m1, -0.375, -0.312_710_721_209_027_8, 1.842_314_816_988_643e-17),
            ("exp_m1", Real::exp_m1, 1.0e-10, 1.000_000_000_05e-10, 3.390_013_322_121_773_4e-27),
            ("exp_m1", Real::exp_m1, 0.3, 0.349_858_807_576_003_1, 1.654_915_572_819_177_6e-17),
            ("exp_m1", Real::exp_m1, 20.0, 485165194.409_790_3, 4.880_277_289_790_406e-10),
            ("ln", Real::ln, 1.0e-300, -690.775_527_898_213_7, -2.367_009_617_670_983_2e-14),
            ("ln", Real::ln, 0.3, -1.203_972_804_325_936_1, 8.935_521_583_403_776e-17),
            ("ln", Real::ln, 0.999, -0.001_000_500_333_583_534_4, -2.564_477_700_367_779_8e-20),
            ("ln", Real::ln, 1.000_1, 9.999_500_033_329_732e-5, 1.739_121_921_953_736e-21),
            ("ln", Real::ln, 2.5, 0.916_290_731_874_155_1, -4.141_195_369_011_963e-17),
            ("ln", Real::ln, 1.0e300, 690.775_527_898_213_7, 2.374_766_002_880_024_3e-14),
            ("ln_1p", Real::ln_1p, -0.875, -2.079_441_541_679_835_7, -1.805_937_068_779_046_5e-16),
            ("ln_1p", Real::ln_1p, -1.0e-12, -1.000_000_000_000_5e-12, 2.421_793_943_634_571_2e-29),
            ("ln_1p", Real::ln_1p, 0.2, 0.182_321_556_793_954_65, -1.229_358_450_572_378_6e-17),
            ("ln_1p", Real::ln_1p, 0.7, 0.530_628_251_062_170_4, -5.076_541_175_216_476e-18),
            (
                "ln_1p",
                Real::ln_1p,
                10000000000.0,
                23.025_850_930_040_455,
                1.373_678_418_318_342_8e-15,
            ),
            ("tanh", Real::tanh, -2.5, -0.986_614_298_151_430_3, 2.452_923_878_817_287_4e-17),
            ("tanh", Real::tanh, 1.0e-9, 1.0e-9, -3.333_333_333_333_333_8e-28),
            ("tanh", Real::tanh, 0.4, 0.379_948_962_255_224_9, 6.300_857_314_372_318_5e-18),
            ("tanh", Real::tanh, 15.0, 0.999_999_999_999_812_8, 3.114_257_501_541_364e-17),
            (
                "sigmoid",
                Real::sigmoid,
                -100.0,
                3.720_075_976_020_836e-44,
                -1.570_502_490_773_200_8e-60,
            ),
            ("sigmoid", Real::sigmoid, -0.7, 0.331_812_227_831_833_9, 8.628_488_413_426_79e-18),
            ("sigmoid", Real::sigmoid, 5.5, 0.995_929_862_284_103_9, 2.204_113_680_985_582_2e-17),
            ("erf", Real::erf, 1.0e-8, 1.128_379_167_095_512_6e-8, -5.879_607_832_080_608e-25),
            ("erf", Real::erf, 0.5, 0.520_499_877_813_046_5, 1.900_077_467_916_287e-17),
            ("erf", Real::erf, -1.9, -0.992_790_429_235_257_5, 4.272_839_049_231_346e-17),
            ("erf", Real::erf, 3.5, 0.999_999_256_901_627_6, 4.964_727_918_721_220_4e-17),
            ("erfc", Real::erfc, -1.5, 1.966_105_146_475_310_8, -3.386_703_144_168_069_6e-17),
            ("erfc", Real::erfc, 0.6, 0.396_143_909_152_074_1, 3.089_282_767_744_467e-18),
            ("erfc", Real::erfc, 1.99, 0.004_888_586_800_383_003, -2.975_298_135_902_587_3e-19),
            ("erfc", Real::erfc, 2.01, 0.004_475_150_644_751_763, -1.313_804_898_232_357_7e-19),
            ("erfc", Real::erfc, 4.0, 1.541_725_790_028_002e-8, -1.141_787_216_837_102_6e-24),
            ("erfc", Real::erfc, 25.0, 8.300_172_571_196_523e-274, -4.050_892_814_780_426_6e-291),
        ];
        for &(name, function, x, high, low) in rows {
            let y = function(x.into());
            let error = ((y.high - high) + (y.low - low)).abs() / high.abs();
            assert!(error < 1e-28, "{name}({x}): {y:?}, off by {error:e}");
        }
    }
}
