//! 256-bit lanes through the `wide` crate: whatever the build's baseline gives (SSE2, NEON,
//! simd128 or plain scalars).

use super::group::Group;
use super::{Lanes, Mask, Simd, Transpose, WideFunction};
use crate::dispatch::Kernel;
use bytemuck::cast;
use core::ops::{Add, BitAnd, BitOr, Div, Mul, Neg, Not, Sub};
use wide::{f32x8, f64x4, u32x8, u64x4};

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

    #[inline(always)]
    fn prefetch<T>(self, _: *const T) {}

    #[inline(always)]
    fn widen(self, x: F32x8) -> [F64x4; 2] {
        let x = x.0.to_array().map(f64::from);
        [0, 4].map(|half| F64x4(f64x4::new([x[half], x[half + 1], x[half + 2], x[half + 3]])))
    }

    #[inline(always)]
    fn narrow(self, [low, high]: [F64x4; 2]) -> F32x8 {
        let ([a, b, c, d], [e, f, g, h]) = (low.0.to_array(), high.0.to_array());
        F32x8(f32x8::new([a, b, c, d, e, f, g, h].map(|x| x as f32)))
    }

    #[inline(always)]
    fn call<K: Kernel>(self, kernel: K) -> K::Output {
        kernel.run_portable()
    }
}

macro_rules! portable_operators {
    ($Type:ident: $($Trait:ident::$method:ident $operator:tt),*) => { $(
        impl $Trait for $Type {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                Self(self.0 $operator other.0)
            }
        }
    )* };
}

macro_rules! portable_lanes {
    (
        $Lanes:ident, $LanesMask:ident: $element:ident x $len:literal in $register:ident,
        integers $int:ident, mantissa bits $mantissa:literal,
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
            #[inline(always)]
            fn neg(self) -> Self {
                self.bit_xor(self.splat(-0.0))
            }
        }

        impl Not for $LanesMask {
            type Output = Self;
            #[inline(always)]
            fn not(self) -> Self {
                Self(!self.0)
            }
        }

        impl Mask for $LanesMask {
            #[inline(always)]
            fn any(self) -> bool {
                self.0.any()
            }
            #[inline(always)]
            fn all(self) -> bool {
                self.0.all()
            }
        }

        impl $Lanes {
            #[inline(always)]
            fn bits(self) -> $int {
                cast(self.0)
            }
            #[inline(always)]
            fn from_bits(bits: $int) -> Self {
                Self(cast(bits))
            }
        }

        impl Lanes for $Lanes {
            type Element = $element;
            type Simd = Portable;
            type Mask = $LanesMask;
            const LEN: usize = $len;

            #[inline(always)]
            fn splat_in(_: Portable, value: $element) -> Self {
                Self($register::splat(value))
            }
            #[inline(always)]
            fn simd(self) -> Portable {
                Portable
            }
            #[inline(always)]
            unsafe fn load_ptr(_: Portable, from: *const $element) -> Self {
                // SAFETY: the caller promises LEN readable elements; an array of them has their
                // alignment.
                Self($register::new(unsafe { *from.cast::<[$element; $len]>() }))
            }
            #[inline(always)]
            unsafe fn store_ptr(self, to: *mut $element) {
                // SAFETY: the caller promises LEN writable elements; an array of them has their
                // alignment.
                unsafe { *to.cast::<[$element; $len]>() = self.0.to_array() }
            }
            #[inline(always)]
            unsafe fn load_bf16_pairs_ptr(_: Portable, from: *const u16) -> [Self; 2] {
                // SAFETY: the caller promises LEN readable pairs; no alignment is asked of them.
                let pairs = unsafe { from.cast::<[[u16; 2]; $len]>().read_unaligned() };
                [0, 1].map(|at| {
                    let widen = |pair: [u16; 2]| f32::from_bits(u32::from(pair[at]) << 16).into();
                    Self($register::new(pairs.map(widen)))
                })
            }
            #[inline(always)]
            unsafe fn load_i8_ptr(_: Portable, from: *const i8) -> Self {
                // SAFETY: the caller promises LEN readable elements.
                let integers = unsafe { *from.cast::<[i8; $len]>() };
                Self($register::new(integers.map(Into::into)))
            }
            #[inline(always)]
            unsafe fn load_ptr_partial(_: Portable, from: *const $element, count: usize) -> Self {
                let mut lanes = [0.0; $len];
                // SAFETY: the caller promises count readable elements, count ≤ LEN; the array is
                // our own.
                unsafe { core::ptr::copy_nonoverlapping(from, lanes.as_mut_ptr(), count) }
                Self($register::new(lanes))
            }
            #[inline(always)]
            unsafe fn store_ptr_partial(self, to: *mut $element, count: usize) {
                let lanes = self.0.to_array();
                // SAFETY: the caller promises count writable elements, count ≤ LEN; the array is
                // our own.
                unsafe { core::ptr::copy_nonoverlapping(lanes.as_ptr(), to, count) }
            }
            type Transposer = Self;
            type Group = Self;
            $($more)*
            #[inline(always)]
            fn transposer(simd: Portable) -> Portable {
                simd
            }
            #[inline(always)]
            fn mul_add(self, factor: Self, addend: Self) -> Self {
                Self(self.0.mul_add(factor.0, addend.0))
            }
            #[inline(always)]
            fn neg_mul_add(self, factor: Self, addend: Self) -> Self {
                Self(self.0.mul_neg_add(factor.0, addend.0))
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                Self(self.0.sqrt())
            }
            #[inline(always)]
            fn round(self) -> Self {
                // `wide` drops the sign of a zero without SSE4.1.
                Self(self.0.round_ties_even()).with_sign_of(self)
            }
            #[inline(always)]
            fn greater_or(self, other: Self) -> Self {
                self.select(other.lt(self), other)
            }
            #[inline(always)]
            fn less_or(self, other: Self) -> Self {
                self.select(self.lt(other), other)
            }
            #[inline(always)]
            fn lt(self, other: Self) -> $LanesMask {
                $LanesMask(self.0.simd_lt(other.0))
            }
            #[inline(always)]
            fn le(self, other: Self) -> $LanesMask {
                $LanesMask(self.0.simd_le(other.0))
            }
            #[inline(always)]
            fn eq(self, other: Self) -> $LanesMask {
                $LanesMask(self.0.simd_eq(other.0))
            }
            #[inline(always)]
            fn select(self, mask: $LanesMask, other: Self) -> Self {
                Self(mask.0.bitselect(self.0, other.0))
            }
            #[inline(always)]
            fn bit_and(self, other: Self) -> Self {
                Self(self.0 & other.0)
            }
            #[inline(always)]
            fn bit_or(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }
            #[inline(always)]
            fn bit_xor(self, other: Self) -> Self {
                Self(self.0 ^ other.0)
            }
            #[inline(always)]
            fn int_add(self, other: Self) -> Self {
                Self::from_bits(self.bits() + other.bits())
            }
            #[inline(always)]
            fn int_sub(self, other: Self) -> Self {
                Self::from_bits(self.bits() - other.bits())
            }
            #[inline(always)]
            fn shift_to_exponent(self) -> Self {
                Self::from_bits(self.bits() << $mantissa)
            }
            #[inline(always)]
            fn shift_eighths_to_exponent(self) -> Self {
                Self::from_bits(self.bits() << ($mantissa - 3))
            }
            #[inline(always)]
            fn entry_of(self, table: &[$element; 8]) -> Self {
                let entries = self.bits().to_array().map(|bits| table[(bits & 7) as usize]);
                Self($register::new(entries))
            }
            #[inline(always)]
            fn shift_from_exponent(self) -> Self {
                Self::from_bits(self.bits() >> $mantissa)
            }
            #[inline(always)]
            fn swap_lanes<const DISTANCE: usize>(self) -> Self {
                let lanes = self.0.to_array();
                let mut swapped = lanes;
                for (i, lane) in swapped.iter_mut().enumerate() {
                    *lane = lanes[i ^ DISTANCE];
                }
                Self($register::new(swapped))
            }
            #[inline(always)]
            fn first(self) -> $element {
                self.0.to_array()[0]
            }
        }

        impl Transpose for $Lanes {
            type Square = [Self; $len];

            #[inline(always)]
            unsafe fn load_transposed(
                simd: Portable,
                from: *const $element,
                stride: usize,
            ) -> [Self; $len] {
                let mut rows = [$register::default(); $len];
                for (i, row) in rows.iter_mut().enumerate() {
                    // SAFETY: the caller promises LEN elements in each of LEN rows.
                    *row = unsafe { Self::load_ptr(simd, from.add(i * stride)).0 };
                }
                $register::transpose(rows).map(Self)
            }

            #[inline(always)]
            unsafe fn load_fours(
                _: Portable,
                from: *const $element,
                stride: usize,
            ) -> [Self; 4] {
                let mut columns = [[0.0; $len]; 4];
                for i in 0..$len {
                    for (j, column) in columns.iter_mut().enumerate() {
                        // SAFETY: the caller promises four elements in each of LEN rows.
                        column[i] = unsafe { *from.add(i * stride + j) };
                    }
                }
                columns.map(|column| Self($register::new(column)))
            }

            #[inline(always)]
            fn into_rows(columns: [Self; 4]) -> [Self; 4] {
                let columns = columns.map(|column| column.0.to_array());
                let mut rows = [[0.0; $len]; 4];
                for i in 0..$len {
                    for (j, column) in columns.iter().enumerate() {
                        rows[i % 4][i / 4 * 4 + j] = column[i];
                    }
                }
                rows.map(|row| Self($register::new(row)))
            }
        }
    };
}

portable_lanes! { F32x8, F32x8Mask: f32 x 8 in f32x8, integers u32x8, mantissa bits 23,
    more { through_f64!(); }
}
portable_lanes! { F64x4, F64x4Mask: f64 x 4 in f64x4, integers u64x4, mantissa bits 52,
    more {}
}
