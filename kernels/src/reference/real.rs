//! The numbers that the naive formulas are evaluated in.

use core::fmt::Debug;
use core::ops::{Add, Div, Mul, Neg, Sub};

/// f64, exact enough to judge f32 by, or [`DoubleDouble`](super::DoubleDouble), to judge f64 by.
///
/// ```
/// use deltarule_kernels::reference::{DoubleDouble, Real};
///
/// /// The density of the normal distribution.
/// fn density<R: Real>(x: R) -> R {
///     (-(x * x) / R::from(2.0)).exp() / (R::PI + R::PI).sqrt()
/// }
///
/// let (rough, exact) = (density(1.5), density(DoubleDouble::from(1.5)));
/// assert!((rough - exact.to_f64()).abs() < 1e-16);
/// // erf x = 1 − erfc x, tanh x = 2σ(2x) − 1, eˣ − 1 and its inverse.
/// assert!((0.5f64.erf() + 0.5f64.erfc() - 1.0).abs() < 1e-15);
/// assert!((Real::tanh(0.5) - (2.0 * Real::sigmoid(1.0) - 1.0)).abs() < 1e-15);
/// assert!((Real::ln_1p(Real::exp_m1(1e-9)) - 1e-9).abs() < 1e-24);
/// assert!((DoubleDouble::from(10.0).ln().exp().to_f64() - 10.0).abs() < 1e-14);
/// ```
pub trait Real:
    Copy
    + Debug
    + PartialOrd
    + From<f64>
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
{
    /// π.
    const PI: Self;
    /// Levels of the continued fraction of erfc that are enough at 2; a fifth is far out.
    const LEVELS: f64;

    /// Rounded to f64.
    fn to_f64(self) -> f64;
    /// √x.
    fn sqrt(self) -> Self;
    /// eˣ.
    fn exp(self) -> Self;
    /// eˣ − 1.
    fn exp_m1(self) -> Self;
    /// ln x.
    fn ln(self) -> Self;
    /// ln(1 + x).
    fn ln_1p(self) -> Self;
    /// tanh x.
    fn tanh(self) -> Self;

    /// |x|.
    fn abs(self) -> Self {
        if self < 0.0.into() { -self } else { self }
    }

    /// 1/(1 + e⁻ˣ).
    fn sigmoid(self) -> Self {
        let one = Self::from(1.0);
        let e = (-self.abs()).exp();
        if self < 0.0.into() { e / (one + e) } else { one / (one + e) }
    }

    /// erf x.
    ///
    /// Below 2, 2/√π · e^{−x²} · x · Σ (2x²)ⁿ / (1·3·5⋯(2n + 1)), where nothing cancels.
    fn erf(self) -> Self {
        let (zero, one) = (Self::from(0.0), Self::from(1.0));
        if self < zero {
            return -(-self).erf();
        }
        if self > Self::from(2.0) {
            return one - self.erfc();
        }
        let square = self * self;
        let (mut term, mut sum, mut odd) = (one, one, 1.0);
        loop {
            odd += 2.0;
            term = term * (square + square) / odd.into();
            let next = sum + term;
            if next <= sum || next.to_f64().is_nan() {
                break;
            }
            sum = next;
        }
        Self::from(2.0) / Self::PI.sqrt() * (-square).exp() * self * sum
    }

    /// erfc x = 1 − erf x.
    ///
    /// From 2 on, e^{−x²}/√π divided by the continued fraction x + ½/(x + 1/(x + 3⁄2/(x + ⋯))).
    fn erfc(self) -> Self {
        if self <= Self::from(2.0) || self.to_f64().is_nan() {
            return Self::from(1.0) - self.erf();
        }
        if self > Self::from(40.0) {
            return 0.0.into();
        }
        let x = self.to_f64();
        let levels = (Self::LEVELS * (4.0 / (x * x) + 0.2)) as u32;
        let mut fraction = self;
        for level in (1..=levels).rev() {
            fraction = self + Self::from(f64::from(level) * 0.5) / fraction;
        }
        (-self * self).exp() / (Self::PI.sqrt() * fraction)
    }
}

impl Real for f64 {
    const PI: Self = core::f64::consts::PI;
    const LEVELS: f64 = 45.0;

    fn to_f64(self) -> f64 {
        self
    }
    fn sqrt(self) -> Self {
        self.sqrt()
    }
    fn exp(self) -> Self {
        self.exp()
    }
    fn exp_m1(self) -> Self {
        self.exp_m1()
    }
    fn ln(self) -> Self {
        self.ln()
    }
    fn ln_1p(self) -> Self {
        self.ln_1p()
    }
    fn tanh(self) -> Self {
        self.tanh()
    }
}
