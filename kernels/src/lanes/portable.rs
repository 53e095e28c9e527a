//! 256-bit lanes through the `wide` crate: whatever the build's baseline gives (SSE2, NEON,
//! simd128 or plain scalars).
//!
//! Unlike those of the other ISAs, these functions need no target feature, so the compiler may
//! simplify each before it becomes part of a kernel: they are `#[inline]`, and not always, which
//! saves a third of the time that the kernels of this ISA take to compile.

use super::pair::Pair;
use super::{Lanes, Mask, Simd, Transpose, WideFunction};
use crate::dispatch::Kernel;
use bytemuck::cast;
use core::ops::{Add, BitAnd, BitOr, Div, Mul, Neg, Not, Sub};
use wide::{f32x8, f64x4, i32x8, i64x4, u32x4, u32x8, u64x4};

/// Always to be had.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

impl Simd for Portable {
    type F32 = F32x8;
    type F64 = F64x4;
    const HAS_FMA: bool = cfg!(any(
        all(target_arch = "aarch64", target_feature = "neon"),
        all(target_feature = "avx", target_feature = "fma")
    ));
    const PREFETCHES: bool = false;

    #[inline]
    fn prefetch<T>(self, _: *const T) {}

    #[inline]
    fn widen(self, x: F32x8) -> [F64x4; 2] {
        let x = x.0.to_array();
        let half = |i: usize| {
            F64x4(f64x4::new([x[i].into(), x[i + 1].into(), x[i + 2].into(), x[i + 3].into()]))
        };
        [half(0), half(4)]
    }

    #[inline]
    fn narrow(self, [low, high]: [F64x4; 2]) -> F32x8 {
        let (a, b) = (low.0.to_array(), high.0.to_array());
        let low = [a[0] as f32, a[1] as f32, a[2] as f32, a[3] as f32];
        let high = [b[0] as f32, b[1] as f32, b[2] as f32, b[3] as f32];
        F32x8(cast([low, high]))
    }

    #[inline]
    fn mul_words(self, a: F64x4, b: F64x4) -> F64x4 {
        let [a, b] = [a, b].map(|x| u32x4::new(x.bits().to_array().map(|bits| bits as u32)));
        F64x4::from_bits(a.widening_mul(b))
    }

    #[inline]
    fn upper_words(self, x: F64x4) -> F64x4 {
        F64x4::from_bits(x.bits() >> 32)
    }

    #[inline]
    fn call<K: Kernel>(self, kernel: K) -> K::Output {
        kernel.run_portable()
    }
}

macro_rules! portable_operators {
    ($Type:ident: $($Trait:ident::$method:ident $operator:tt),*) => { $(
        impl $Trait for $Type {
            type Output = Self;
            #[inline]
            fn $method(self, other: Self) -> Self {
                Self(self.0 $operator other.0)
            }
        }
    )* };
}

/// Lane by lane what a CPU's instructions would do is written out, not a loop, which a compiler
/// would have to unroll in every kernel.
macro_rules! portable_lanes {
    (
        $Lanes:ident, $LanesMask:ident: $element:ident x $len:literal in $register:ident,
        lanes $($i:literal)*,
        integers $int:ident of $bits:ident as $signed:ident, mantissa bits $mantissa:literal,
        more { $($more:tt)* }
    ) => {
        #[doc = concat!("Lanes of ", stringify!($element), ".")]
        #[derive(Clone, Copy)]
        #[repr(transparent)]
        pub(crate) struct $Lanes($register);

        #[doc = concat!("Yes or no for each lane of ", stringify!($Lanes), ".")]
        #[derive(Clone, Copy)]
        pub(crate) struct $LanesMask($register);

        portable_operators!($Lanes: Add::add +, Sub::sub -, Mul::mul *, Div::div /);
        portable_operators!($LanesMask: BitAnd::bitand &, BitOr::bitor |);

        impl Neg for $Lanes {
            type Output = Self;
            #[inline]
            fn neg(self) -> Self {
                self.bit_xor(self.splat(-0.0))
            }
        }

        impl Not for $LanesMask {
            type Output = Self;
            #[inline]
            fn not(self) -> Self {
                Self(!self.0)
            }
        }

        impl Mask for $LanesMask {
            #[inline]
            fn any(self) -> bool {
                self.0.any()
            }
            #[inline]
            fn all(self) -> bool {
                self.0.all()
            }
        }

        impl $Lanes {
            #[inline]
            fn bits(self) -> $int {
                cast(self.0)
            }
            #[inline]
            fn from_bits(bits: $int) -> Self {
                Self(cast(bits))
            }
        }

        impl Lanes for $Lanes {
            type Element = $element;
            type Simd = Portable;
            type Mask = $LanesMask;
            const LEN: usize = $len;

            #[inline]
            fn splat_in(_: Portable, value: $element) -> Self {
                Self($register::splat(value))
            }
            #[inline]
            fn simd(self) -> Portable {
                Portable
            }
            #[inline]
            unsafe fn load_ptr(_: Portable, from: *const $element) -> Self {
                // SAFETY: the caller promises LEN readable elements; an array of them has their
                // alignment.
                Self($register::new(unsafe { *from.cast::<[$element; $len]>() }))
            }
            #[inline]
            unsafe fn store_ptr(self, to: *mut $element) {
                // SAFETY: the caller promises LEN writable elements; an array of them has their
                // alignment.
                unsafe { *to.cast::<[$element; $len]>() = self.0.to_array() }
            }
            #[inline]
            unsafe fn load_bf16_pairs_ptr(_: Portable, from: *const u16) -> [Self; 2] {
                // SAFETY: the caller promises LEN readable pairs; no alignment is asked of them.
                let pairs = unsafe { from.cast::<[[u16; 2]; $len]>().read_unaligned() };
                let widen = |half: u16| f32::from_bits(u32::from(half) << 16).into();
                let half = |at| Self($register::new([$(widen(pairs[$i][at])),*]));
                [half(0), half(1)]
            }
            #[inline]
            unsafe fn load_i8_ptr(_: Portable, from: *const i8) -> Self {
                // SAFETY: the caller promises LEN readable elements.
                let integers = unsafe { *from.cast::<[i8; $len]>() };
                Self($register::new([$(integers[$i].into()),*]))
            }
            #[inline]
            unsafe fn load_ptr_partial(_: Portable, from: *const $element, count: usize) -> Self {
                let mut lanes = [0.0; $len];
                // SAFETY: the caller promises count readable elements, count ≤ LEN; the array is
                // our own.
                unsafe { core::ptr::copy_nonoverlapping(from, lanes.as_mut_ptr(), count) }
                Self($register::new(lanes))
            }
            #[inline]
            unsafe fn store_ptr_partial(self, to: *mut $element, count: usize) {
                let lanes = self.0.to_array();
                // SAFETY: the caller promises count writable elements, count ≤ LEN; the array is
                // our own.
                unsafe { core::ptr::copy_nonoverlapping(lanes.as_ptr(), to, count) }
            }
            type Transposer = Self;
            type Group = Self;
            $($more)*
            #[inline]
            fn transposer(simd: Portable) -> Portable {
                simd
            }
            #[inline]
            fn mul_add(self, factor: Self, addend: Self) -> Self {
                Self(self.0.mul_add(factor.0, addend.0))
            }
            #[inline]
            fn neg_mul_add(self, factor: Self, addend: Self) -> Self {
                Self(self.0.mul_neg_add(factor.0, addend.0))
            }
            #[inline]
            fn sqrt(self) -> Self {
                Self(self.0.sqrt())
            }
            #[inline]
            fn round(self) -> Self {
                // `wide` drops the sign of a zero without SSE4.1.
                Self(self.0.round_ties_even()).with_sign_of(self)
            }
            #[inline]
            fn greater_or(self, other: Self) -> Self {
                self.select(other.lt(self), other)
            }
            #[inline]
            fn less_or(self, other: Self) -> Self {
                self.select(self.lt(other), other)
            }
            #[inline]
            fn lt(self, other: Self) -> $LanesMask {
                $LanesMask(self.0.simd_lt(other.0))
            }
            #[inline]
            fn le(self, other: Self) -> $LanesMask {
                $LanesMask(self.0.simd_le(other.0))
            }
            #[inline]
            fn eq(self, other: Self) -> $LanesMask {
                $LanesMask(self.0.simd_eq(other.0))
            }
            #[inline]
            fn select(self, mask: $LanesMask, other: Self) -> Self {
                Self(mask.0.bitselect(self.0, other.0))
            }
            #[inline]
            fn bit_and(self, other: Self) -> Self {
                Self(self.0 & other.0)
            }
            #[inline]
            fn bit_or(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }
            #[inline]
            fn bit_xor(self, other: Self) -> Self {
                Self(self.0 ^ other.0)
            }
            #[inline]
            fn int_add(self, other: Self) -> Self {
                Self::from_bits(self.bits() + other.bits())
            }
            #[inline]
            fn int_sub(self, other: Self) -> Self {
                Self::from_bits(self.bits() - other.bits())
            }
            #[inline]
            fn load_words(_: Portable, words: &[u64]) -> Self {
                Self::from_bits($int::new([$(words[$i] as u32 as $bits),*]))
            }
            #[inline]
            fn int_lt(self, other: Self) -> $LanesMask {
                let [a, b]: [$signed; 2] = [cast(self.0), cast(other.0)];
                $LanesMask(cast(a.simd_lt(b)))
            }
            #[inline]
            fn shift_to_exponent(self) -> Self {
                Self::from_bits(self.bits() << $mantissa)
            }
            #[inline]
            fn shift_eighths_to_exponent(self) -> Self {
                Self::from_bits(self.bits() << ($mantissa - 3))
            }
            #[inline]
            fn entry_of(self, table: &[$element; 8]) -> Self {
                let bits = self.bits().to_array();
                Self($register::new([$(table[(bits[$i] & 7) as usize]),*]))
            }
            #[inline]
            fn shift_from_exponent(self) -> Self {
                Self::from_bits(self.bits() >> $mantissa)
            }
            #[inline]
            fn swap_lanes<const DISTANCE: usize>(self) -> Self {
                let lanes = self.0.to_array();
                Self($register::new([$(lanes[$i ^ DISTANCE]),*]))
            }
            #[inline]
            fn first(self) -> $element {
                self.0.to_array()[0]
            }
        }

        impl Transpose for $Lanes {
            type Square = [Self; $len];

            #[inline]
            unsafe fn load_transposed(
                simd: Portable,
                from: *const $element,
                stride: usize,
            ) -> [Self; $len] {
                // SAFETY: the caller promises LEN elements in each of LEN rows.
                let rows = unsafe { [$(Self::load_ptr(simd, from.add($i * stride)).0),*] };
                let columns = $register::transpose(rows);
                [$(Self(columns[$i])),*]
            }

            #[inline]
            unsafe fn load_fours(
                _: Portable,
                from: *const $element,
                stride: usize,
            ) -> [Self; 4] {
                // SAFETY: the caller promises four elements in each of LEN rows.
                let column = |j| unsafe { Self($register::new([$(*from.add($i * stride + j)),*])) };
                [column(0), column(1), column(2), column(3)]
            }

            #[inline]
            fn into_rows([a, b, c, d]: [Self; 4]) -> [Self; 4] {
                let columns =
                    [a.0.to_array(), b.0.to_array(), c.0.to_array(), d.0.to_array()];
                let row = |r: usize| Self($register::new([$(columns[$i % 4][$i / 4 * 4 + r]),*]));
                [row(0), row(1), row(2), row(3)]
            }
        }
    };
}

portable_lanes! {
    F32x8, F32x8Mask: f32 x 8 in f32x8, lanes 0 1 2 3 4 5 6 7,
    integers u32x8 of u32 as i32x8, mantissa bits 23,
    more { through_f64!(); }
}
portable_lanes! {
    F64x4, F64x4Mask: f64 x 4 in f64x4, lanes 0 1 2 3,
    integers u64x4 of u64 as i64x4, mantissa bits 52,
    more {}
}
