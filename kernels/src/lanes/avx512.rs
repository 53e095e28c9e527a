//! 512-bit registers: AVX-512 F, DQ, VL and BW (Skylake-X, Zen 4 and later).

use super::pair::Pair;
use super::x86::{common_methods, isa, operators};
use super::{Lanes, Mask, Simd, WideFunction, avx2};
use crate::dispatch::Kernel;
use core::arch::x86_64::*;
use core::ops::{BitAnd, BitOr, Neg, Not};

/// The proof that this CPU has AVX-512 F, DQ, VL and BW.
#[derive(Clone, Copy)]
pub(crate) struct Avx512(());

impl Avx512 {
    /// # Safety
    /// The CPU has the target features `avx512f`, `avx512dq`, `avx512vl` and `avx512bw`.
    #[inline(always)]
    pub(crate) unsafe fn assume_supported() -> Self {
        Self(())
    }

    /// For lanes, which exist only where a token did.
    #[inline(always)]
    fn of_lanes() -> Self {
        Self(())
    }
}

impl Simd for Avx512 {
    type F32 = F32x16;
    type F64 = F64x8;
    const HAS_FMA: bool = true;
    const PREFETCHES: bool = true;

    #[inline(always)]
    fn prefetch<T>(self, from: *const T) {
        isa!(_mm_prefetch::<_MM_HINT_T0>(from.cast()))
    }

    #[inline(always)]
    fn widen(self, x: F32x16) -> [F64x8; 2] {
        isa!({
            let low = _mm512_cvtps_pd(_mm512_castps512_ps256(x.0));
            [F64x8(low), F64x8(_mm512_cvtps_pd(_mm512_extractf32x8_ps::<1>(x.0)))]
        })
    }

    #[inline(always)]
    fn narrow(self, [low, high]: [F64x8; 2]) -> F32x16 {
        isa!({
            let low = _mm512_castps256_ps512(_mm512_cvtpd_ps(low.0));
            F32x16(_mm512_insertf32x8::<1>(low, _mm512_cvtpd_ps(high.0)))
        })
    }

    #[inline(always)]
    fn mul_words(self, a: F64x8, b: F64x8) -> F64x8 {
        F64x8(isa!({
            let (a, b) = (_mm512_castpd_si512(a.0), _mm512_castpd_si512(b.0));
            _mm512_castsi512_pd(_mm512_mul_epu32(a, b))
        }))
    }

    #[inline(always)]
    fn upper_words(self, x: F64x8) -> F64x8 {
        F64x8(isa!(_mm512_castsi512_pd(_mm512_srli_epi64::<32>(_mm512_castpd_si512(x.0)))))
    }

    #[inline(always)]
    fn call<K: Kernel>(self, kernel: K) -> K::Output {
        // SAFETY: the token exists only where the CPU has these features.
        unsafe { kernel.run_avx512() }
    }
}

macro_rules! avx512_lanes {
    (
        $Lanes:ident, $LanesMask:ident: $element:ident x $len:literal in $register:ident,
        arithmetic $add:ident $sub:ident $mul:ident $div:ident $scalef:ident,
        masks $mask:ident $maskload:ident $maskstore:ident $blend:ident
            $to_int:ident $int_lt:ident,
        transposed by $narrower:ident,
        words $words:ident $from_words:expr,
        bf16 $bf16:ident $from_bf16:expr,
        i8 $i8:ident $from_i8:expr,
        common { $($common:tt)* },
        more { $($more:tt)* }
    ) => {
        #[doc = concat!("Lanes of ", stringify!($element), " in one 512-bit register.")]
        #[derive(Clone, Copy)]
        #[repr(transparent)]
        pub(crate) struct $Lanes($register);

        #[doc = concat!("Yes or no for each lane of ", stringify!($Lanes), ".")]
        #[derive(Clone, Copy)]
        pub(crate) struct $LanesMask($mask);

        operators!($Lanes: Add::add = $add, Sub::sub = $sub, Mul::mul = $mul, Div::div = $div);

        impl Neg for $Lanes {
            type Output = Self;
            #[inline(always)]
            fn neg(self) -> Self {
                self.bit_xor(self.splat(-0.0))
            }
        }

        impl BitAnd for $LanesMask {
            type Output = Self;
            #[inline(always)]
            fn bitand(self, other: Self) -> Self {
                Self(self.0 & other.0)
            }
        }

        impl BitOr for $LanesMask {
            type Output = Self;
            #[inline(always)]
            fn bitor(self, other: Self) -> Self {
                Self(self.0 | other.0)
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
                self.0 != 0
            }
            #[inline(always)]
            fn all(self) -> bool {
                self.0 == $mask::MAX
            }
        }

        impl Lanes for $Lanes {
            common_methods!(Avx512, $LanesMask: $element x $len, $($common)*);
            #[inline(always)]
            unsafe fn load_bf16_pairs_ptr(_: Avx512, $bf16: *const u16) -> [Self; 2] {
                // SAFETY: the caller promises LEN readable pairs.
                unsafe { $from_bf16 }.map(Self)
            }
            #[inline(always)]
            unsafe fn load_i8_ptr(_: Avx512, $i8: *const i8) -> Self {
                // SAFETY: the caller promises LEN readable elements.
                Self(unsafe { $from_i8 })
            }
            #[inline(always)]
            unsafe fn load_ptr_partial(_: Avx512, from: *const $element, count: usize) -> Self {
                debug_assert!(count <= $len);
                // SAFETY: a masked load touches only the count elements that the caller promises.
                Self(unsafe { $maskload(((1u32 << count) - 1) as $mask, from) })
            }
            #[inline(always)]
            unsafe fn store_ptr_partial(self, to: *mut $element, count: usize) {
                debug_assert!(count <= $len);
                // SAFETY: as for the load.
                unsafe { $maskstore(to, ((1u32 << count) - 1) as $mask, self.0) }
            }
            #[inline(always)]
            fn load_words(_: Avx512, words: &[u64]) -> Self {
                let $words = words[..$len].as_ptr();
                // SAFETY: LEN words are there.
                Self(unsafe { $from_words })
            }
            type Transposer = avx2::$narrower;
            $($more)*
            #[inline(always)]
            fn transposer(_: Avx512) -> avx2::Avx2 {
                // SAFETY: a CPU with AVX-512 is taken for one only if it has AVX2 and FMA too.
                unsafe { avx2::Avx2::assume_supported() }
            }
            #[inline(always)]
            fn select(self, mask: $LanesMask, other: Self) -> Self {
                Self(isa!($blend(mask.0, other.0, self.0)))
            }
            #[inline(always)]
            fn int_lt(self, other: Self) -> $LanesMask {
                $LanesMask(isa!($int_lt($to_int(self.0), $to_int(other.0))))
            }
            /// One instruction, which rounds once as the two multiplications do.
            #[inline(always)]
            fn scale_by_pow2(self, n: Self) -> Self {
                Self(isa!($scalef(self.0, n.0)))
            }
        }
    };
}

avx512_lanes! {
    F32x16, F32x16Mask: f32 x 16 in __m512,
    arithmetic _mm512_add_ps _mm512_sub_ps _mm512_mul_ps _mm512_div_ps _mm512_scalef_ps,
    masks __mmask16 _mm512_maskz_loadu_ps _mm512_mask_storeu_ps _mm512_mask_blend_ps
        _mm512_castps_si512 _mm512_cmplt_epi32_mask,
    transposed by F32x8,
    words from {
        let lower = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
        let first = _mm512_loadu_si512(from.cast());
        let second = _mm512_loadu_si512(from.add(8).cast());
        _mm512_castsi512_ps(_mm512_permutex2var_epi32(first, lower, second))
    },
    bf16 from {
        let pairs = _mm512_loadu_si512(from.cast());
        let second = _mm512_and_si512(pairs, _mm512_set1_epi32(!0xffff));
        let first = _mm512_slli_epi32::<16>(pairs);
        [_mm512_castsi512_ps(first), _mm512_castsi512_ps(second)]
    },
    i8 from _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(from.cast()))),
    common {
        mantissa bits 23, _mm512_set1_ps, _mm512_loadu_ps, _mm512_storeu_ps,
        _mm512_fmadd_ps, _mm512_fnmadd_ps,
        _mm512_sqrt_ps, _mm512_roundscale_ps, _mm512_max_ps, _mm512_min_ps, _mm512_cmp_ps_mask,
        _mm512_and_ps, _mm512_or_ps, _mm512_xor_ps,
        _mm512_castps_si512, _mm512_castsi512_ps, _mm512_add_epi32, _mm512_sub_epi32,
        _mm512_slli_epi32, _mm512_srli_epi32,
        first _mm512_cvtss_f32, swaps 8 => _mm512_shuffle_f32x4 0b01_00_11_10,
        4 => _mm512_shuffle_f32x4 0b10_11_00_01, 2 => _mm512_shuffle_ps 0b01_00_11_10,
        1 => _mm512_shuffle_ps 0b10_11_00_01
    },
    more {
        type Group = Pair<Self>;
        through_f64!();

        /// The instruction names one of 16, so the table is there twice.
        #[inline(always)]
        fn entry_of(self, table: &[f32; 8]) -> Self {
            // SAFETY: the table has the elements of half a register.
            let table = unsafe { _mm512_broadcast_f32x8(_mm256_loadu_ps(table.as_ptr())) };
            Self(isa!(_mm512_permutexvar_ps(_mm512_castps_si512(self.0), table)))
        }
    }
}

avx512_lanes! {
    F64x8, F64x8Mask: f64 x 8 in __m512d,
    arithmetic _mm512_add_pd _mm512_sub_pd _mm512_mul_pd _mm512_div_pd _mm512_scalef_pd,
    masks __mmask8 _mm512_maskz_loadu_pd _mm512_mask_storeu_pd _mm512_mask_blend_pd
        _mm512_castpd_si512 _mm512_cmplt_epi64_mask,
    transposed by F64x4,
    words from {
        let words = _mm512_loadu_si512(from.cast());
        _mm512_castsi512_pd(_mm512_and_si512(words, _mm512_set1_epi64(0xffff_ffff)))
    },
    bf16 from {
        let pairs = _mm256_loadu_si256(from.cast());
        let second = _mm256_and_si256(pairs, _mm256_set1_epi32(!0xffff));
        let first = _mm256_slli_epi32::<16>(pairs);
        [_mm512_cvtps_pd(_mm256_castsi256_ps(first)), _mm512_cvtps_pd(_mm256_castsi256_ps(second))]
    },
    i8 from _mm512_cvtepi32_pd(_mm256_cvtepi8_epi32(_mm_loadl_epi64(from.cast()))),
    common {
        mantissa bits 52, _mm512_set1_pd, _mm512_loadu_pd, _mm512_storeu_pd,
        _mm512_fmadd_pd, _mm512_fnmadd_pd,
        _mm512_sqrt_pd, _mm512_roundscale_pd, _mm512_max_pd, _mm512_min_pd, _mm512_cmp_pd_mask,
        _mm512_and_pd, _mm512_or_pd, _mm512_xor_pd,
        _mm512_castpd_si512, _mm512_castsi512_pd, _mm512_add_epi64, _mm512_sub_epi64,
        _mm512_slli_epi64, _mm512_srli_epi64,
        first _mm512_cvtsd_f64, swaps 4 => _mm512_shuffle_f64x2 0b01_00_11_10,
        2 => _mm512_shuffle_f64x2 0b10_11_00_01, 1 => _mm512_shuffle_pd 0b0101_0101
    },
    more {
        type Group = Self;

        #[inline(always)]
        fn entry_of(self, table: &[f64; 8]) -> Self {
            // SAFETY: the table has the elements of a register.
            let table = unsafe { _mm512_loadu_pd(table.as_ptr()) };
            Self(isa!(_mm512_permutexvar_pd(_mm512_castpd_si512(self.0), table)))
        }
    }
}
