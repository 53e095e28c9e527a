//! 256-bit registers: AVX2 with FMA.

use super::{Lanes, Mask, Simd, operators, transpose_with};
use crate::dispatch::{self, Kernel};
use core::arch::x86_64::*;
use core::ops::{Neg, Not};

/// The proof that this CPU has AVX2 and FMA.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(());

impl Avx2 {
    /// # Safety
    /// The CPU has the target features `avx2` and `fma`.
    #[inline(always)]
    pub(crate) unsafe fn assume_supported() -> Self {
        Self(())
    }
}

impl Simd for Avx2 {
    type F32 = F32x8;
    type F64 = F64x4;
    const HAS_FMA: bool = true;

    #[inline(always)]
    fn call<K: Kernel>(self, kernel: K) -> K::Output {
        // SAFETY: the token exists only where the CPU has these features.
        unsafe { dispatch::run_avx2(kernel) }
    }
}

/// A window on `LEN` set and `LEN` clear words, for the masks of partial loads and stores.
static WINDOW_32: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
static WINDOW_64: [i64; 8] = [-1, -1, -1, -1, 0, 0, 0, 0];

/// Evaluates an expression of this ISA's intrinsics that touches no memory.
macro_rules! isa {
    ($intrinsics:expr) => {
        // SAFETY: used only in methods of the lane and mask types and where a token is at hand;
        // each of these exists only where the CPU has AVX2 and FMA.
        unsafe { $intrinsics }
    };
}

macro_rules! avx2_lanes {
    (
        $Lanes:ident, $LanesMask:ident: $element:ident x $len:literal in $register:ident,
        mantissa bits $mantissa:literal, window $window:ident of $word:ident,
        $set1:ident, $load:ident, $store:ident, $maskload:ident, $maskstore:ident,
        $add:ident, $sub:ident, $mul:ident, $div:ident, $fmadd:ident, $fnmadd:ident,
        $sqrt:ident, $round:ident, $max:ident, $min:ident, $cmp:ident, $blendv:ident,
        $and:ident, $or:ident, $xor:ident, $movemask:ident,
        $to_int:ident, $from_int:ident, $int_add:ident, $int_sub:ident, $shl:ident, $shr:ident,
        first $first:ident, swaps $($distance:literal => $swap:ident $control:literal),*,
        transpose by $transpose:ident
    ) => {
        #[doc = concat!("Lanes of ", stringify!($element), " in one 256-bit register.")]
        #[derive(Clone, Copy)]
        pub(crate) struct $Lanes($register);

        #[doc = concat!("Yes or no for each lane of ", stringify!($Lanes), ".")]
        #[derive(Clone, Copy)]
        pub(crate) struct $LanesMask($register);

        operators!($Lanes: Add::add = $add, Sub::sub = $sub, Mul::mul = $mul, Div::div = $div);
        operators!($LanesMask: BitAnd::bitand = $and, BitOr::bitor = $or);

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
                Self(isa!($xor(self.0, $from_int(_mm256_set1_epi32(-1)))))
            }
        }

        impl Mask for $LanesMask {
            #[inline(always)]
            fn any(self) -> bool {
                isa!($movemask(self.0) != 0)
            }
            #[inline(always)]
            fn all(self) -> bool {
                isa!($movemask(self.0) == (1 << $len) - 1)
            }
        }

        impl Lanes for $Lanes {
            type Element = $element;
            type Simd = Avx2;
            type Mask = $LanesMask;
            const LEN: usize = $len;

            #[inline(always)]
            fn splat_in(_: Avx2, value: $element) -> Self {
                Self(isa!($set1(value)))
            }
            #[inline(always)]
            fn simd(self) -> Avx2 {
                Avx2(())
            }
            #[inline(always)]
            unsafe fn load_ptr(_: Avx2, from: *const $element) -> Self {
                // SAFETY: the caller promises LEN readable elements.
                Self(unsafe { $load(from) })
            }
            #[inline(always)]
            unsafe fn store_ptr(self, to: *mut $element) {
                // SAFETY: the caller promises LEN writable elements.
                unsafe { $store(to, self.0) }
            }
            #[inline(always)]
            unsafe fn load_ptr_partial(_: Avx2, from: *const $element, count: usize) -> Self {
                debug_assert!(count <= $len);
                // SAFETY: the window has 2·LEN words and count ≤ LEN; a masked load touches only
                // the count elements that the caller promises.
                unsafe {
                    let mask = _mm256_loadu_si256($window.as_ptr().add($len - count).cast());
                    Self($maskload(from, mask))
                }
            }
            #[inline(always)]
            unsafe fn store_ptr_partial(self, to: *mut $element, count: usize) {
                debug_assert!(count <= $len);
                // SAFETY: as for the load.
                unsafe {
                    let mask = _mm256_loadu_si256($window.as_ptr().add($len - count).cast());
                    $maskstore(to, mask, self.0)
                }
            }
            transpose_with!($transpose);
            #[inline(always)]
            fn mul_add(self, factor: Self, addend: Self) -> Self {
                Self(isa!($fmadd(self.0, factor.0, addend.0)))
            }
            #[inline(always)]
            fn neg_mul_add(self, factor: Self, addend: Self) -> Self {
                Self(isa!($fnmadd(self.0, factor.0, addend.0)))
            }
            #[inline(always)]
            fn sqrt(self) -> Self {
                Self(isa!($sqrt(self.0)))
            }
            #[inline(always)]
            fn round(self) -> Self {
                const MODE: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
                Self(isa!($round::<MODE>(self.0)))
            }
            #[inline(always)]
            fn greater_or(self, other: Self) -> Self {
                Self(isa!($max(self.0, other.0)))
            }
            #[inline(always)]
            fn less_or(self, other: Self) -> Self {
                Self(isa!($min(self.0, other.0)))
            }
            #[inline(always)]
            fn lt(self, other: Self) -> $LanesMask {
                $LanesMask(isa!($cmp::<_CMP_LT_OQ>(self.0, other.0)))
            }
            #[inline(always)]
            fn le(self, other: Self) -> $LanesMask {
                $LanesMask(isa!($cmp::<_CMP_LE_OQ>(self.0, other.0)))
            }
            #[inline(always)]
            fn eq(self, other: Self) -> $LanesMask {
                $LanesMask(isa!($cmp::<_CMP_EQ_OQ>(self.0, other.0)))
            }
            #[inline(always)]
            fn select(self, mask: $LanesMask, other: Self) -> Self {
                Self(isa!($blendv(other.0, self.0, mask.0)))
            }
            #[inline(always)]
            fn bit_and(self, other: Self) -> Self {
                Self(isa!($and(self.0, other.0)))
            }
            #[inline(always)]
            fn bit_or(self, other: Self) -> Self {
                Self(isa!($or(self.0, other.0)))
            }
            #[inline(always)]
            fn bit_xor(self, other: Self) -> Self {
                Self(isa!($xor(self.0, other.0)))
            }
            #[inline(always)]
            fn int_add(self, other: Self) -> Self {
                Self(isa!($from_int($int_add($to_int(self.0), $to_int(other.0)))))
            }
            #[inline(always)]
            fn int_sub(self, other: Self) -> Self {
                Self(isa!($from_int($int_sub($to_int(self.0), $to_int(other.0)))))
            }
            #[inline(always)]
            fn shift_to_exponent(self) -> Self {
                Self(isa!($from_int($shl::<$mantissa>($to_int(self.0)))))
            }
            #[inline(always)]
            fn shift_from_exponent(self) -> Self {
                Self(isa!($from_int($shr::<$mantissa>($to_int(self.0)))))
            }
            #[inline(always)]
            fn swap_lanes<const DISTANCE: usize>(self) -> Self {
                match DISTANCE {
                    $($distance => Self(isa!($swap::<$control>(self.0, self.0))),)*
                    _ => unreachable!("no lane at this distance"),
                }
            }
            #[inline(always)]
            fn first(self) -> $element {
                isa!($first(self.0))
            }
        }
    };
}

avx2_lanes! {
    F32x8, F32x8Mask: f32 x 8 in __m256, mantissa bits 23, window WINDOW_32 of i32,
    _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps, _mm256_maskload_ps, _mm256_maskstore_ps,
    _mm256_add_ps, _mm256_sub_ps, _mm256_mul_ps, _mm256_div_ps, _mm256_fmadd_ps, _mm256_fnmadd_ps,
    _mm256_sqrt_ps, _mm256_round_ps, _mm256_max_ps, _mm256_min_ps, _mm256_cmp_ps, _mm256_blendv_ps,
    _mm256_and_ps, _mm256_or_ps, _mm256_xor_ps, _mm256_movemask_ps,
    _mm256_castps_si256, _mm256_castsi256_ps, _mm256_add_epi32, _mm256_sub_epi32,
    _mm256_slli_epi32, _mm256_srli_epi32,
    first _mm256_cvtss_f32, swaps 4 => _mm256_permute2f128_ps 1,
    2 => _mm256_shuffle_ps 0b01_00_11_10, 1 => _mm256_shuffle_ps 0b10_11_00_01,
    transpose by transpose_f32x8
}

avx2_lanes! {
    F64x4, F64x4Mask: f64 x 4 in __m256d, mantissa bits 52, window WINDOW_64 of i64,
    _mm256_set1_pd, _mm256_loadu_pd, _mm256_storeu_pd, _mm256_maskload_pd, _mm256_maskstore_pd,
    _mm256_add_pd, _mm256_sub_pd, _mm256_mul_pd, _mm256_div_pd, _mm256_fmadd_pd, _mm256_fnmadd_pd,
    _mm256_sqrt_pd, _mm256_round_pd, _mm256_max_pd, _mm256_min_pd, _mm256_cmp_pd, _mm256_blendv_pd,
    _mm256_and_pd, _mm256_or_pd, _mm256_xor_pd, _mm256_movemask_pd,
    _mm256_castpd_si256, _mm256_castsi256_pd, _mm256_add_epi64, _mm256_sub_epi64,
    _mm256_slli_epi64, _mm256_srli_epi64,
    first _mm256_cvtsd_f64, swaps 2 => _mm256_permute2f128_pd 1, 1 => _mm256_shuffle_pd 0b0101,
    transpose by transpose_f64x4
}

/// Rows to columns: pairs, then quads within 128-bit halves, then the halves.
#[inline(always)]
fn transpose_f32x8(r: [__m256; 8]) -> [__m256; 8] {
    isa!({
        let mut out = r;
        for half in 0..2 {
            let [a, b, c, d] = [r[4 * half], r[4 * half + 1], r[4 * half + 2], r[4 * half + 3]];
            let (ab, cd) = (_mm256_unpacklo_ps(a, b), _mm256_unpacklo_ps(c, d));
            let (ab_high, cd_high) = (_mm256_unpackhi_ps(a, b), _mm256_unpackhi_ps(c, d));
            out[4 * half] = _mm256_shuffle_ps::<0x44>(ab, cd);
            out[4 * half + 1] = _mm256_shuffle_ps::<0xee>(ab, cd);
            out[4 * half + 2] = _mm256_shuffle_ps::<0x44>(ab_high, cd_high);
            out[4 * half + 3] = _mm256_shuffle_ps::<0xee>(ab_high, cd_high);
        }
        let quads = out;
        for j in 0..4 {
            out[j] = _mm256_permute2f128_ps::<0x20>(quads[j], quads[4 + j]);
            out[4 + j] = _mm256_permute2f128_ps::<0x31>(quads[j], quads[4 + j]);
        }
        out
    })
}

/// Rows to columns: pairs within 128-bit halves, then the halves.
#[inline(always)]
fn transpose_f64x4([a, b, c, d]: [__m256d; 4]) -> [__m256d; 4] {
    isa!({
        let (ab, cd) = (_mm256_unpacklo_pd(a, b), _mm256_unpacklo_pd(c, d));
        let (ab_high, cd_high) = (_mm256_unpackhi_pd(a, b), _mm256_unpackhi_pd(c, d));
        [
            _mm256_permute2f128_pd::<0x20>(ab, cd),
            _mm256_permute2f128_pd::<0x20>(ab_high, cd_high),
            _mm256_permute2f128_pd::<0x31>(ab, cd),
            _mm256_permute2f128_pd::<0x31>(ab_high, cd_high),
        ]
    })
}
