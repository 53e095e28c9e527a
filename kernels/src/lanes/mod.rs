//! The vector types that every kernel is written over.
//!
//! A kernel is one generic function over [`Lanes`]; [`avx512`], [`avx2`] and [`portable`] supply
//! the registers. A lane value can only be made from its ISA's token (see [`Simd`]) or from
//! another lane value, and a token only after detection, so holding a lane value is the proof
//! that its instructions may run: arithmetic on it is safe code.
//!
//! Every method is `#[inline(always)]`, and so must be every function of a kernel down to the
//! entry in [`crate::dispatch`]: that is what lets the compiler fold the whole kernel into the
//! one function that is compiled for the ISA.

use crate::Element;
use crate::dispatch::Kernel;
use crate::gemm::micro_kernel::MicroKernels;
use core::ops::{Add, BitAnd, BitOr, Div, Mul, Neg, Not, Sub};
use pair::Pair;

/// [`Lanes::through_f64`] of an ISA's f32.
macro_rules! through_f64 {
    () => {
        #[inline(always)]
        fn through_f64(self, function: impl WideFunction) -> Option<Self> {
            let [low, high] = self.simd().widen(self);
            let Pair(low, high) = function.evaluate(Pair(low, high));
            Some(self.simd().narrow([low, high]))
        }
    };
}

#[cfg(target_arch = "x86_64")]
pub(crate) mod avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) mod avx512;
pub(crate) mod columns;
mod pair;
pub(crate) mod portable;
mod transpose;
#[cfg(target_arch = "x86_64")]
mod x86;

pub(crate) use transpose::{Transpose, Transposer};

/// The proof that this CPU has an ISA, and the two lane types of that ISA.
pub trait Simd: Copy + Send + Sync + 'static {
    /// Lanes of f32.
    type F32: Lanes<Element = f32, Simd = Self> + MicroKernels;
    /// Lanes of f64.
    type F64: Lanes<Element = f64, Simd = Self> + MicroKernels;
    /// Whether [`Lanes::mul_add`] rounds once.
    const HAS_FMA: bool;

    /// Whether [`Simd::prefetch`] does anything.
    const PREFETCHES: bool;

    /// Brings a cache line nearer, if the CPU likes to; it may be anywhere.
    fn prefetch<T>(self, from: *const T);

    /// Each element as f64: the first half of them, and the second.
    fn widen(self, x: Self::F32) -> [Self::F64; 2];

    /// The elements of both halves rounded to f32.
    fn narrow(self, halves: [Self::F64; 2]) -> Self::F32;

    /// The products of the lower halves of the representations: 32 bits by 32 are 64.
    fn mul_words(self, a: Self::F64, b: Self::F64) -> Self::F64;

    /// The representations shifted right by 32 bits.
    fn upper_words(self, x: Self::F64) -> Self::F64;

    /// Runs a kernel in a function of its own that is compiled for this ISA: for kernels that are
    /// called from another one and are too large to be part of it.
    fn call<K: Kernel>(self, kernel: K) -> K::Output;
}

/// A function of lanes of f64.
pub trait WideFunction: Copy {
    /// The function.
    fn evaluate<W: Lanes<Element = f64>>(self, x: W) -> W;
}

/// One value of each lane's yes or no.
pub trait Mask: Copy + BitAnd<Output = Self> + BitOr<Output = Self> + Not<Output = Self> {
    /// Whether any lane says yes.
    fn any(self) -> bool;

    /// Whether every lane says yes.
    fn all(self) -> bool;
}

/// A register of `LEN` elements.
///
/// Arithmetic is IEEE 754 with rounding to nearest even; what is not is said at the method.
pub trait Lanes:
    Copy
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
{
    /// The scalar of one lane.
    type Element: Element;
    /// The token of this ISA.
    type Simd: Simd;
    /// What a comparison gives.
    type Mask: Mask;
    /// The lanes that transpose fastest: these, or narrower ones of an ISA that this one includes.
    type Transposer: Transpose<Element = Self::Element> + MicroKernels;
    /// As many of these as a function of one element takes at once.
    type Group: Lanes<Element = Self::Element, Simd = Self::Simd>;
    /// Elements in a register.
    const LEN: usize;

    /// `value` in every lane.
    fn splat_in(simd: Self::Simd, value: Self::Element) -> Self;

    /// The token that made this value.
    fn simd(self) -> Self::Simd;

    /// The token of [`Lanes::Transposer`].
    fn transposer(simd: Self::Simd) -> <Self::Transposer as Lanes>::Simd;

    /// `value` in every lane.
    #[inline(always)]
    fn splat(self, value: Self::Element) -> Self {
        Self::splat_in(self.simd(), value)
    }

    /// Reads `LEN` elements.
    ///
    /// # Safety
    /// `from` is valid for reads of `LEN` elements. No alignment is needed.
    unsafe fn load_ptr(simd: Self::Simd, from: *const Self::Element) -> Self;

    /// Writes `LEN` elements.
    ///
    /// # Safety
    /// `to` is valid for writes of `LEN` elements. No alignment is needed.
    unsafe fn store_ptr(self, to: *mut Self::Element);

    /// Reads the first `count ≤ LEN` elements; the other lanes are +0 and their memory is not
    /// touched.
    ///
    /// # Safety
    /// `from` is valid for reads of `count` elements, and `count ≤ LEN`.
    unsafe fn load_ptr_partial(simd: Self::Simd, from: *const Self::Element, count: usize) -> Self;

    /// Writes the first `count ≤ LEN` lanes and touches no other memory.
    ///
    /// # Safety
    /// `to` is valid for writes of `count` elements, and `count ≤ LEN`.
    unsafe fn store_ptr_partial(self, to: *mut Self::Element, count: usize);

    /// Reads `LEN` pairs in bf16, the upper halves of f32: the first of each, and the second.
    ///
    /// # Safety
    /// `from` is valid for reads of `LEN` pairs. No alignment is needed.
    unsafe fn load_bf16_pairs_ptr(simd: Self::Simd, from: *const u16) -> [Self; 2];

    /// Reads `LEN` integers.
    ///
    /// # Safety
    /// `from` is valid for reads of `LEN` elements.
    unsafe fn load_i8_ptr(simd: Self::Simd, from: *const i8) -> Self;

    /// The lower halves of the first `LEN` of `words`, as representations.
    fn load_words(simd: Self::Simd, words: &[u64]) -> Self;

    /// Reads the first `LEN` elements of `from`.
    #[inline(always)]
    fn load(simd: Self::Simd, from: &[Self::Element]) -> Self {
        assert!(from.len() >= Self::LEN);
        // SAFETY: the slice holds at least LEN elements.
        unsafe { Self::load_ptr(simd, from.as_ptr()) }
    }

    /// Writes to the first `LEN` elements of `to`.
    #[inline(always)]
    fn store(self, to: &mut [Self::Element]) {
        assert!(to.len() >= Self::LEN);
        // SAFETY: the slice holds at least LEN elements.
        unsafe { self.store_ptr(to.as_mut_ptr()) }
    }

    /// Reads all of `from`, at most `LEN` elements; the other lanes are +0.
    #[inline(always)]
    fn load_partial(simd: Self::Simd, from: &[Self::Element]) -> Self {
        assert!(from.len() <= Self::LEN);
        // SAFETY: exactly the slice's elements are read, and they are at most LEN.
        unsafe { Self::load_ptr_partial(simd, from.as_ptr(), from.len()) }
    }

    /// Writes all of `to`, at most `LEN` elements, from the first lanes.
    #[inline(always)]
    fn store_partial(self, to: &mut [Self::Element]) {
        assert!(to.len() <= Self::LEN);
        // SAFETY: exactly the slice's elements are written, and they are at most LEN.
        unsafe { self.store_ptr_partial(to.as_mut_ptr(), to.len()) }
    }

    /// `self · factor + addend`, rounded once where [`Simd::HAS_FMA`].
    fn mul_add(self, factor: Self, addend: Self) -> Self;

    /// `addend − self · factor`, rounded once where [`Simd::HAS_FMA`].
    fn neg_mul_add(self, factor: Self, addend: Self) -> Self;

    /// The square root, correctly rounded.
    fn sqrt(self) -> Self;

    /// The nearest integer, ties to even.
    fn round(self) -> Self;

    /// `if self > other { self } else { other }`: where either is NaN, `other`.
    fn greater_or(self, other: Self) -> Self;

    /// `if self < other { self } else { other }`: where either is NaN, `other`.
    fn less_or(self, other: Self) -> Self;

    /// `self < other`; no where either is NaN.
    fn lt(self, other: Self) -> Self::Mask;

    /// `self ≤ other`; no where either is NaN.
    fn le(self, other: Self) -> Self::Mask;

    /// `self = other`; no where either is NaN.
    fn eq(self, other: Self) -> Self::Mask;

    /// `self` where the mask says yes, `other` elsewhere.
    fn select(self, mask: Self::Mask, other: Self) -> Self;

    /// Bitwise and of the representations.
    fn bit_and(self, other: Self) -> Self;

    /// Bitwise or of the representations.
    fn bit_or(self, other: Self) -> Self;

    /// Bitwise exclusive or of the representations.
    fn bit_xor(self, other: Self) -> Self;

    /// The representations added as integers that wrap.
    fn int_add(self, other: Self) -> Self;

    /// The representations subtracted as integers that wrap.
    fn int_sub(self, other: Self) -> Self;

    /// Whether the representation is less than that of `other`, both integers with a sign.
    fn int_lt(self, other: Self) -> Self::Mask;

    /// The representations shifted left by the number of mantissa bits: an integer becomes an
    /// exponent.
    fn shift_to_exponent(self) -> Self;

    /// The representations shifted left by three less than the number of mantissa bits: of an
    /// integer of eighths the whole ones become an exponent.
    fn shift_eighths_to_exponent(self) -> Self;

    /// The entries of `table` that the low three bits of the representations name.
    fn entry_of(self, table: &[Self::Element; 8]) -> Self;

    /// The representations shifted right by the number of mantissa bits: an exponent (and the
    /// sign above it) becomes an integer.
    fn shift_from_exponent(self) -> Self;

    /// Lane i of the result is lane i ⊕ `DISTANCE` (exclusive or) of `self`. `DISTANCE` is a power
    /// of two below `LEN`.
    fn swap_lanes<const DISTANCE: usize>(self) -> Self;

    /// Lane 0.
    fn first(self) -> Self::Element;

    /// `self · 2ⁿ` for integral `n` with |n| ≤ 2·(largest exponent), rounded once, also where
    /// the result is subnormal. `self` must be normal and within a factor 4 of 1.
    ///
    /// Two multiplications: the first factor takes half the exponent, so that neither factor
    /// overflows and only the second product can be inexact.
    #[inline(always)]
    fn scale_by_pow2(self, n: Self) -> Self {
        let half = (n * self.splat(Self::Element::HALF)).round();
        self * half.pow2() * (n - half).pow2()
    }

    /// 2ⁿ for integral n in the range of normal exponents.
    ///
    /// Adding `POW2_SHIFT` = 1.5·2^p + bias, p the mantissa bits, leaves n + bias in the low
    /// bits; the shift makes them an exponent and drops the rest.
    #[inline(always)]
    fn pow2(self) -> Self {
        (self + self.splat(Self::Element::POW2_SHIFT)).shift_to_exponent()
    }

    /// The magnitude.
    #[inline(always)]
    fn abs(self) -> Self {
        self.bit_and(self.splat(Self::Element::MAGNITUDE_BITS))
    }

    /// The magnitude of `self` with the sign of `sign`.
    #[inline(always)]
    fn with_sign_of(self, sign: Self) -> Self {
        self.abs().bit_or(sign.bit_and(self.splat(Self::Element::SIGN_BIT)))
    }

    /// Whether every lane's magnitude is at most `limit`, which is positive; no where one is NaN.
    #[inline(always)]
    fn within(self, limit: Self::Element) -> bool {
        self.abs().le(self.splat(limit)).all()
    }

    /// Of a group, all registers as they are, but at once: the compiler can't finish with one
    /// before it begins with the next. It would, to save registers, and the CPU would have to wait
    /// for every step of a chain. Nor does it find what it computed of the value before: so a rare
    /// branch starts anew, and the common one keeps nothing for it in registers.
    #[inline(always)]
    fn side_by_side(self) -> Self {
        self
    }

    /// [`Lanes::side_by_side`] of a pair of these.
    #[inline(always)]
    fn pair_side_by_side(pair: Pair<Self>) -> Pair<Self> {
        pair
    }

    /// [`Lanes::side_by_side`] of two pairs of these.
    #[inline(always)]
    fn pairs_side_by_side(pairs: Pair<Pair<Self>>) -> Pair<Pair<Self>> {
        pairs
    }

    /// A function of f64 lanes at lanes of f32, its results rounded; nothing for lanes of f64.
    #[inline(always)]
    fn through_f64(self, _: impl WideFunction) -> Option<Self> {
        None
    }

    /// `self` in the first `count ≤ LEN` lanes, `other` in the rest.
    #[inline(always)]
    fn first_lanes_or(self, count: usize, other: Self) -> Self {
        let one = Self::Element::ONE;
        let inside = Self::load_partial(self.simd(), &[one; 16][..count]);
        self.select(inside.eq(self.splat(one)), other)
    }

    /// Yes where NaN.
    #[inline(always)]
    fn is_nan(self) -> Self::Mask {
        !self.eq(self)
    }
}

#[cfg(test)]
mod tests;
