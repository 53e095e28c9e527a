//! The scalars that kernels are generic over.

use crate::gemm::micro_kernel::MicroKernels;
use crate::lanes::{Lanes, Simd};
use core::fmt::{Debug, Display};
use core::iter::Sum;
use core::ops::{Add, AddAssign, Div, Mul, Neg, Sub};

mod sealed {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

/// `f32` or `f64`: the scalars that every kernel takes.
///
/// f32 is the one tuned to the machine's limit; f64 makes gradient checks sharp. The trait is
/// sealed: a kernel relies on constants and polynomials that only these two have.
///
/// ```
/// use deltarule_kernels::Element;
///
/// /// ½ Σ x², or +∞ if that overflows; f64 whatever the scalar.
/// fn energy<E: Element>(x: &[E]) -> f64 {
///     let sum = x.iter().fold(E::ZERO, |sum, &x| x.mul_add(x, sum));
///     if sum.is_finite() { (sum * E::HALF).to_f64() } else { E::INFINITY.to_f64() }
/// }
///
/// /// x²(3 − 2x).
/// fn smooth_step<E: Element>(x: E) -> E {
///     x * x * (E::ONE + E::TWO * (E::ONE - x))
/// }
///
/// assert_eq!(smooth_step(0.25f32), 0.15625);
/// assert_eq!(energy(&[3.0f32, 4.0]), 12.5);
/// assert_eq!(energy(&[1e30f32]), f64::INFINITY);
/// assert!((energy(&[1e30f64]) - 5e59).abs() < 1e45);
/// assert_eq!(f32::from_f64(0.1), 0.1);
/// ```
pub trait Element:
    sealed::Sealed
    + crate::math::Math
    + crate::gemm::fallback::Fallback
    + crate::gemm::GemmKernels
    + crate::activation::ActivationKernels
    + crate::loss::LossKernels
    + crate::math::MathKernels
    + crate::activation::RowKernels
    + crate::limits::LimitKernels
    + crate::norm::NormKernels
    + crate::optimizer::OptimizerKernels
    + crate::random::RandomKernels
    + crate::reduce::ReduceKernels
    + Copy
    + Default
    + From<u8>
    + PartialEq
    + PartialOrd
    + Debug
    + Display
    + Send
    + Sync
    + Add<Output = Self>
    + AddAssign
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + Sum
    + 'static
{
    /// The lanes of this scalar on an ISA.
    #[doc(hidden)]
    type Lanes<S: Simd>: Lanes<Element = Self, Simd = S> + MicroKernels;

    /// 0.
    const ZERO: Self;
    /// ½.
    const HALF: Self;
    /// 1.
    const ONE: Self;
    /// 2.
    const TWO: Self;
    /// +∞.
    const INFINITY: Self;
    /// 1.5·2^p + bias, p the mantissa bits: added to an integer it leaves that integer's biased
    /// exponent in the low bits.
    #[doc(hidden)]
    const POW2_SHIFT: Self;
    /// The smallest normal number.
    #[doc(hidden)]
    const MIN_NORMAL: Self;
    /// The largest number whose square is finite.
    #[doc(hidden)]
    const LARGEST_ROOT: Self;
    #[doc(hidden)]
    const LARGEST: Self;
    /// Every bit but the sign.
    #[doc(hidden)]
    const MAGNITUDE_BITS: Self;
    /// The sign alone: −0.
    #[doc(hidden)]
    const SIGN_BIT: Self;

    /// The nearest value of this type.
    fn from_f64(value: f64) -> Self;

    /// The same value as f64.
    fn to_f64(self) -> f64;

    /// Whether neither infinite nor NaN.
    fn is_finite(self) -> bool;

    /// `self · factor + addend`, rounded once.
    fn mul_add(self, factor: Self, addend: Self) -> Self;
}

macro_rules! element {
    (
        $element:ident, $Lanes:ident, pow2_shift $pow2_shift:expr, largest_root $largest_root:expr
    ) => {
        impl Element for $element {
            type Lanes<S: Simd> = S::$Lanes;
            const ZERO: Self = 0.0;
            const HALF: Self = 0.5;
            const ONE: Self = 1.0;
            const TWO: Self = 2.0;
            const INFINITY: Self = $element::INFINITY;
            const POW2_SHIFT: Self = $pow2_shift;
            const MIN_NORMAL: Self = $element::MIN_POSITIVE;
            const LARGEST_ROOT: Self = $largest_root;
            const LARGEST: Self = $element::MAX;
            const MAGNITUDE_BITS: Self = $element::from_bits((-0.0 as $element).to_bits() - 1);
            const SIGN_BIT: Self = -0.0;

            #[inline(always)]
            fn from_f64(value: f64) -> Self {
                value as $element
            }
            #[inline(always)]
            fn to_f64(self) -> f64 {
                f64::from(self)
            }
            #[inline(always)]
            fn is_finite(self) -> bool {
                self.is_finite()
            }
            #[inline(always)]
            fn mul_add(self, factor: Self, addend: Self) -> Self {
                self.mul_add(factor, addend)
            }
        }
    };
}

element! { f32, F32, pow2_shift 12_582_912.0 + 127.0, largest_root 18_446_742_974_197_923_840.0 }
element! {
    f64, F64, pow2_shift 6_755_399_441_055_744.0 + 1023.0, largest_root 1.340_780_792_994_259_6e154
}
