//! 256-bit registers: AVX2 with FMA.

use super::pair::Pair;
use super::x86::{common_methods, isa, operators};
use super::{Lanes, Mask, Simd, Transpose, WideFunction};
use crate::dispatch::Kernel;
use core::arch::asm;
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

    /// For lanes, which exist only where a token did.
    #[inline(always)]
    fn of_lanes() -> Self {
        Self(())
    }
}

impl Simd for Avx2 {
    type F32 = F32x8;
    type F64 = F64x4;
    const HAS_FMA: bool = true;
    const PREFETCHES: bool = true;

    #[inline(always)]
    fn prefetch<T>(self, from: *const T) {
        isa!(_mm_prefetch::<_MM_HINT_T0>(from.cast()))
    }

    #[inline(always)]
    fn widen(self, x: F32x8) -> [F64x4; 2] {
        isa!({
            let low = _mm256_cvtps_pd(_mm256_castps256_ps128(x.0));
            [F64x4(low), F64x4(_mm256_cvtps_pd(_mm256_extractf128_ps::<1>(x.0)))]
        })
    }

    #[inline(always)]
    fn narrow(self, [low, high]: [F64x4; 2]) -> F32x8 {
        F32x8(isa!(_mm256_set_m128(_mm256_cvtpd_ps(high.0), _mm256_cvtpd_ps(low.0))))
    }

    #[inline(always)]
    fn mul_words(self, a: F64x4, b: F64x4) -> F64x4 {
        F64x4(isa!({
            let (a, b) = (_mm256_castpd_si256(a.0), _mm256_castpd_si256(b.0));
            _mm256_castsi256_pd(_mm256_mul_epu32(a, b))
        }))
    }

    #[inline(always)]
    fn upper_words(self, x: F64x4) -> F64x4 {
        F64x4(isa!(_mm256_castsi256_pd(_mm256_srli_epi64::<32>(_mm256_castpd_si256(x.0)))))
    }

    #[inline(always)]
    fn call<K: Kernel>(self, kernel: K) -> K::Output {
        // SAFETY: the token exists only where the CPU has these features.
        unsafe { kernel.run_avx2() }
    }
}

/// A window on `LEN` set and `LEN` clear words, for the masks of partial loads and stores.
static WINDOW_32: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];
static WINDOW_64: [i64; 8] = [-1, -1, -1, -1, 0, 0, 0, 0];

macro_rules! avx2_lanes {
    (
        $Lanes:ident, $LanesMask:ident: $element:ident x $len:literal in $register:ident,
        arithmetic $add:ident $sub:ident $mul:ident $div:ident,
        masks $window:ident $maskload:ident $store_first:ident $blendv:ident $movemask:ident
            $and:ident $or:ident $xor:ident $from_int:ident $to_int:ident $int_gt:ident,
        words $words:ident $from_words:expr,
        bf16 $bf16:ident $from_bf16:expr,
        i8 $i8:ident $from_i8:expr,
        common { $($common:tt)* },
        more { $($more:tt)* }
    ) => {
        #[doc = concat!("Lanes of ", stringify!($element), " in one 256-bit register.")]
        #[derive(Clone, Copy)]
        #[repr(transparent)]
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
            common_methods!(Avx2, $LanesMask: $element x $len, $($common)*);
            #[inline(always)]
            unsafe fn load_bf16_pairs_ptr(_: Avx2, $bf16: *const u16) -> [Self; 2] {
                // SAFETY: the caller promises LEN readable pairs.
                unsafe { $from_bf16 }.map(Self)
            }
            #[inline(always)]
            unsafe fn load_i8_ptr(_: Avx2, $i8: *const i8) -> Self {
                // SAFETY: the caller promises LEN readable elements.
                Self(unsafe { $from_i8 })
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
                // SAFETY: as the caller promises.
                unsafe { $store_first(self.0, to, count) }
            }
            #[inline(always)]
            fn load_words(_: Avx2, words: &[u64]) -> Self {
                let $words = words[..$len].as_ptr();
                // SAFETY: LEN words are there.
                Self(unsafe { $from_words })
            }
            #[inline(always)]
            fn int_lt(self, other: Self) -> $LanesMask {
                $LanesMask(isa!($from_int($int_gt($to_int(other.0), $to_int(self.0)))))
            }
            type Transposer = Self;
            $($more)*
            #[inline(always)]
            fn transposer(simd: Avx2) -> Avx2 {
                simd
            }
            #[inline(always)]
            fn select(self, mask: $LanesMask, other: Self) -> Self {
                Self(isa!($blendv(other.0, self.0, mask.0)))
            }
        }
    };
}

avx2_lanes! {
    F32x8, F32x8Mask: f32 x 8 in __m256,
    arithmetic _mm256_add_ps _mm256_sub_ps _mm256_mul_ps _mm256_div_ps,
    masks WINDOW_32 _mm256_maskload_ps store_first_ps _mm256_blendv_ps _mm256_movemask_ps
        _mm256_and_ps _mm256_or_ps _mm256_xor_ps _mm256_castsi256_ps _mm256_castps_si256
        _mm256_cmpgt_epi32,
    words from {
        let [first, second] = [_mm256_loadu_ps(from.cast()), _mm256_loadu_ps(from.add(4).cast())];
        let words = _mm256_castps_pd(_mm256_shuffle_ps::<0b10_00_10_00>(first, second));
        _mm256_castpd_ps(_mm256_permute4x64_pd::<0b11_01_10_00>(words))
    },
    bf16 from {
        let pairs = _mm256_loadu_si256(from.cast());
        let second = _mm256_and_si256(pairs, _mm256_set1_epi32(!0xffff));
        let first = _mm256_slli_epi32::<16>(pairs);
        [_mm256_castsi256_ps(first), _mm256_castsi256_ps(second)]
    },
    i8 from _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(from.cast()))),
    common {
        mantissa bits 23, _mm256_set1_ps, _mm256_loadu_ps, _mm256_storeu_ps,
        _mm256_fmadd_ps, _mm256_fnmadd_ps,
        _mm256_sqrt_ps, _mm256_round_ps, _mm256_max_ps, _mm256_min_ps, _mm256_cmp_ps,
        _mm256_and_ps, _mm256_or_ps, _mm256_xor_ps,
        _mm256_castps_si256, _mm256_castsi256_ps, _mm256_add_epi32, _mm256_sub_epi32,
        _mm256_slli_epi32, _mm256_srli_epi32,
        first _mm256_cvtss_f32, swaps 4 => _mm256_permute2f128_ps 1,
        2 => _mm256_shuffle_ps 0b01_00_11_10, 1 => _mm256_shuffle_ps 0b10_11_00_01
    },
    more {
        type Group = Pair<Pair<Self>>;
        through_f64!();

        #[inline(always)]
        fn entry_of(self, table: &[f32; 8]) -> Self {
            // SAFETY: the table has the elements of a register.
            let table = unsafe { _mm256_loadu_ps(table.as_ptr()) };
            Self(isa!(_mm256_permutevar8x32_ps(table, _mm256_castps_si256(self.0))))
        }

        #[inline(always)]
        fn pairs_side_by_side(mut pairs: Pair<Pair<Self>>) -> Pair<Pair<Self>> {
            let Pair(Pair(a, b), Pair(c, d)) = &mut pairs;
            // SAFETY: lanes exist only where the CPU has AVX.
            unsafe { side_by_side(&mut a.0, &mut b.0, &mut c.0, &mut d.0) }
            pairs
        }
    }
}

avx2_lanes! {
    F64x4, F64x4Mask: f64 x 4 in __m256d,
    arithmetic _mm256_add_pd _mm256_sub_pd _mm256_mul_pd _mm256_div_pd,
    masks WINDOW_64 _mm256_maskload_pd store_first_pd _mm256_blendv_pd _mm256_movemask_pd
        _mm256_and_pd _mm256_or_pd _mm256_xor_pd _mm256_castsi256_pd _mm256_castpd_si256
        _mm256_cmpgt_epi64,
    words from {
        let words = _mm256_loadu_si256(from.cast());
        _mm256_castsi256_pd(_mm256_and_si256(words, _mm256_set1_epi64x(0xffff_ffff)))
    },
    bf16 from {
        let pairs = _mm_loadu_si128(from.cast());
        let second = _mm_and_si128(pairs, _mm_set1_epi32(!0xffff));
        let first = _mm_slli_epi32::<16>(pairs);
        [_mm256_cvtps_pd(_mm_castsi128_ps(first)), _mm256_cvtps_pd(_mm_castsi128_ps(second))]
    },
    i8 from {
        let bytes = _mm_cvtsi32_si128(from.cast::<i32>().read_unaligned());
        _mm256_cvtepi32_pd(_mm_cvtepi8_epi32(bytes))
    },
    common {
        mantissa bits 52, _mm256_set1_pd, _mm256_loadu_pd, _mm256_storeu_pd,
        _mm256_fmadd_pd, _mm256_fnmadd_pd,
        _mm256_sqrt_pd, _mm256_round_pd, _mm256_max_pd, _mm256_min_pd, _mm256_cmp_pd,
        _mm256_and_pd, _mm256_or_pd, _mm256_xor_pd,
        _mm256_castpd_si256, _mm256_castsi256_pd, _mm256_add_epi64, _mm256_sub_epi64,
        _mm256_slli_epi64, _mm256_srli_epi64,
        first _mm256_cvtsd_f64, swaps 2 => _mm256_permute2f128_pd 1, 1 => _mm256_shuffle_pd 0b0101
    },
    more {
        type Group = Pair<Pair<Self>>;

        #[inline(always)]
        fn entry_of(self, table: &[f64; 8]) -> Self {
            // SAFETY: the indices are below 8.
            Self(unsafe {
                let index = _mm256_and_si256(_mm256_castpd_si256(self.0), _mm256_set1_epi64x(7));
                _mm256_i64gather_pd::<8>(table.as_ptr(), index)
            })
        }
    }
}

/// Writes the first `count` lanes piece by piece: a masked store takes as long as a dozen others on
/// some CPUs.
///
/// # Safety
/// `to` is valid for writes of `count` elements, and there are as many lanes.
#[inline]
#[target_feature(enable = "avx")]
unsafe fn store_first_ps(lanes: __m256, mut to: *mut f32, count: usize) {
    // SAFETY: each piece lies within the first `count` elements.
    unsafe {
        if count == 8 {
            return _mm256_storeu_ps(to, lanes);
        }
        let mut rest = _mm256_castps256_ps128(lanes);
        if count & 4 != 0 {
            _mm_storeu_ps(to, rest);
            rest = _mm256_extractf128_ps::<1>(lanes);
            to = to.add(4);
        }
        if count & 2 != 0 {
            _mm_storel_epi64(to.cast(), _mm_castps_si128(rest));
            rest = _mm_movehl_ps(rest, rest);
            to = to.add(2);
        }
        if count & 1 != 0 {
            _mm_store_ss(to, rest);
        }
    }
}

/// [`store_first_ps`] of elements that are two of its own each.
///
/// # Safety
/// `to` is valid for writes of `count` elements, and there are as many lanes.
#[inline]
#[target_feature(enable = "avx")]
unsafe fn store_first_pd(lanes: __m256d, to: *mut f64, count: usize) {
    // SAFETY: as the caller promises.
    unsafe { store_first_ps(_mm256_castpd_ps(lanes), to.cast(), 2 * count) }
}

/// Four registers go through instructions that are none.
#[inline]
#[target_feature(enable = "avx")]
fn side_by_side(a: &mut __m256, b: &mut __m256, c: &mut __m256, d: &mut __m256) {
    // SAFETY: no instruction is there.
    unsafe {
        asm!(
            "/* {} {} {} {} */",
            inout(ymm_reg) * a,
            inout(ymm_reg) * b,
            inout(ymm_reg) * c,
            inout(ymm_reg) * d,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
}

impl Transpose for F32x8 {
    type Square = [Self; 8];

    #[inline(always)]
    unsafe fn load_transposed(simd: Avx2, from: *const f32, stride: usize) -> [Self; 8] {
        // SAFETY: the caller promises rows of eight elements: these are their halves.
        let [[a, b, c, d], [e, f, g, h]] = unsafe {
            [Self::load_fours(simd, from, stride), Self::load_fours(simd, from.add(4), stride)]
        };
        [a, b, c, d, e, f, g, h]
    }

    /// Each four is loaded to the half of a register where it belongs, which leaves the shuffles
    /// within halves: fours of a row beside fours of the row four below it.
    #[inline(always)]
    unsafe fn load_fours(_: Avx2, from: *const f32, stride: usize) -> [Self; 4] {
        let mut fours = [Self(isa!(_mm256_setzero_ps())); 4];
        for (i, fours) in fours.iter_mut().enumerate() {
            // SAFETY: the caller promises four elements in each of LEN rows: these are those of
            // rows i and 4 + i.
            unsafe {
                let low = _mm256_castps128_ps256(_mm_loadu_ps(from.add(i * stride)));
                let high = _mm_loadu_ps(from.add((4 + i) * stride));
                *fours = Self(_mm256_insertf128_ps::<1>(low, high));
            }
        }
        Self::into_rows(fours)
    }

    /// Of each half by itself, so that it is its own inverse.
    #[inline(always)]
    fn into_rows([a, b, c, d]: [Self; 4]) -> [Self; 4] {
        isa!({
            let (ab, cd) = (_mm256_unpacklo_ps(a.0, b.0), _mm256_unpacklo_ps(c.0, d.0));
            let (ab_high, cd_high) = (_mm256_unpackhi_ps(a.0, b.0), _mm256_unpackhi_ps(c.0, d.0));
            [
                Self(_mm256_shuffle_ps::<0x44>(ab, cd)),
                Self(_mm256_shuffle_ps::<0xee>(ab, cd)),
                Self(_mm256_shuffle_ps::<0x44>(ab_high, cd_high)),
                Self(_mm256_shuffle_ps::<0xee>(ab_high, cd_high)),
            ]
        })
    }

    /// Without a detour through memory: loops of constant length leave everything in registers.
    #[inline(always)]
    unsafe fn load_transposed_some(
        simd: Avx2,
        from: *const f32,
        stride: usize,
        rows: usize,
        columns: usize,
    ) -> [Self; 8] {
        debug_assert!(rows <= 8 && columns <= 8);
        if rows == 8 && columns == 8 {
            // SAFETY: as the caller promises.
            return unsafe { Self::load_transposed(simd, from, stride) };
        }
        let mut transposed = [Self(isa!(_mm256_setzero_ps())); 8];
        if rows == 0 {
            return transposed;
        }
        for half in 0..2 {
            let (from, count) = (from.wrapping_add(4 * half), columns.saturating_sub(4 * half));
            if count == 0 {
                break;
            }
            // SAFETY: the window has 16 words.
            let mask = unsafe { _mm_loadu_si128(WINDOW_32.as_ptr().add(8 - count.min(4)).cast()) };
            let mut fours = [isa!(_mm_setzero_ps()); 8];
            for (i, four) in fours.iter_mut().enumerate() {
                // The first row in the place of one that does not exist.
                let row = from.wrapping_add(if i < rows { i * stride } else { 0 });
                // SAFETY: the caller promises so many elements in this row: all four, or as many as
                // the mask lets through.
                *four = unsafe {
                    if count < 4 { _mm_maskload_ps(row, mask) } else { _mm_loadu_ps(row) }
                };
            }
            let [a, b, c, d, e, f, g, h] = fours;
            let pairs = [(a, e), (b, f), (c, g), (d, h)].map(|(low, high)| {
                Self(isa!(_mm256_insertf128_ps::<1>(_mm256_castps128_ps256(low), high)))
            });
            transposed[4 * half..][..4].copy_from_slice(&Self::into_rows(pairs));
        }
        transposed
    }
}

impl Transpose for F64x4 {
    type Square = [Self; 4];

    #[inline(always)]
    unsafe fn load_transposed(simd: Avx2, from: *const f64, stride: usize) -> [Self; 4] {
        // SAFETY: as the caller promises.
        unsafe { Self::load_fours(simd, from, stride) }
    }

    /// As for f32, with pairs.
    #[inline(always)]
    unsafe fn load_fours(_: Avx2, from: *const f64, stride: usize) -> [Self; 4] {
        let mut columns = [Self(isa!(_mm256_setzero_pd())); 4];
        for half in 0..2 {
            let from = from.wrapping_add(2 * half);
            let mut pairs = [isa!(_mm256_setzero_pd()); 2];
            for (i, pairs) in pairs.iter_mut().enumerate() {
                // SAFETY: the caller promises LEN elements in each of LEN rows: these are pairs at
                // column 2 · half of rows i and 2 + i.
                unsafe {
                    let low = _mm256_castpd128_pd256(_mm_loadu_pd(from.add(i * stride)));
                    *pairs =
                        _mm256_insertf128_pd::<1>(low, _mm_loadu_pd(from.add((2 + i) * stride)));
                }
            }
            let [a, b] = pairs;
            columns[2 * half] = Self(isa!(_mm256_unpacklo_pd(a, b)));
            columns[2 * half + 1] = Self(isa!(_mm256_unpackhi_pd(a, b)));
        }
        columns
    }

    #[inline(always)]
    fn into_rows([a, b, c, d]: [Self; 4]) -> [Self; 4] {
        isa!({
            let (ab, cd) = (_mm256_unpacklo_pd(a.0, b.0), _mm256_unpacklo_pd(c.0, d.0));
            let (ab_high, cd_high) = (_mm256_unpackhi_pd(a.0, b.0), _mm256_unpackhi_pd(c.0, d.0));
            [
                Self(_mm256_permute2f128_pd::<0x20>(ab, cd)),
                Self(_mm256_permute2f128_pd::<0x20>(ab_high, cd_high)),
                Self(_mm256_permute2f128_pd::<0x31>(ab, cd)),
                Self(_mm256_permute2f128_pd::<0x31>(ab_high, cd_high)),
            ]
        })
    }
}
