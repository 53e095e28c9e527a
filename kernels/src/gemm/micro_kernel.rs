//! The micro-kernel: a tile of C in registers, one multiply-add an element and step of k.

use crate::Element;
use crate::dispatch::Kernel;
use crate::lanes::{Lanes, Simd, avx2, avx512, portable};

/// What the chains of a tile begin with.
#[derive(Clone, Copy)]
pub(super) enum Begin<E> {
    Zero,
    Accumulate,
    Scaled(E),
    /// One value a column, for every row.
    Row(*const E),
}

/// One tile of C, at most ROWS × VECTORS · LEN, and the strips of A and B that it is made of.
#[derive(Clone, Copy)]
pub(super) struct Tile<E> {
    pub(super) k: usize,
    /// A's first element, the distance to the next row and to the next step of k.
    pub(super) a: *const E,
    pub(super) a_row_stride: usize,
    pub(super) a_k_stride: usize,
    /// B's first element and the distance to the next step of k; columns are contiguous.
    pub(super) b: *const E,
    pub(super) b_k_stride: usize,
    /// C's first element and the distance to the next row; columns are contiguous.
    pub(super) c: *mut E,
    pub(super) c_row_stride: usize,
    /// Columns of C that exist; B has them up to the next multiple of LEN.
    pub(super) columns: usize,
    pub(super) begin: Begin<E>,
}

/// The micro-kernels of a lane type: ROWS × VECTORS registers of accumulators at most.
pub trait MicroKernels: Lanes {
    /// MR: the rows of a full tile.
    const ROWS: usize;
    /// NR / LEN: the registers in a row of a full tile.
    const VECTORS: usize;

    /// Computes a tile of `rows` rows, 1 to ROWS, and as many vectors as its columns need.
    ///
    /// # Safety
    /// A is valid for reads of `rows` × `k` elements, B of `k` rows of `columns` rounded up to a
    /// multiple of LEN, C for reads and writes of `rows` × `columns`, and [`Begin::Row`] for
    /// reads of `columns`; 1 ≤ `rows` ≤ ROWS, 1 ≤ `columns` ≤ VECTORS · LEN.
    #[expect(private_interfaces, reason = "the trait is sealed in a private module")]
    unsafe fn multiply(simd: Self::Simd, rows: usize, tile: Tile<Self::Element>);
}

/// The accumulators' shape is the table here: as many registers as the ISA has, less those for
/// the vectors of B and one broadcast of A.
macro_rules! micro_kernels {
    ($Lanes:ty: $full:literal rows of $vectors:literal vectors, any of $($rows:literal)*) => {
        impl MicroKernels for $Lanes {
            const ROWS: usize = $full;
            const VECTORS: usize = $vectors;

            #[expect(private_interfaces, reason = "the trait is sealed in a private module")]
            #[inline(always)]
            unsafe fn multiply(simd: Self::Simd, rows: usize, tile: Tile<Self::Element>) {
                let wide = tile.columns > Self::LEN;
                match (rows, wide) {
                    $(
                        ($rows, true) => simd.call(Multiply::<_, $rows, $vectors>(tile)),
                        ($rows, false) => simd.call(Multiply::<_, $rows, 1>(tile)),
                    )*
                    _ => debug_assert!(false, "a tile of {rows} rows"),
                }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
micro_kernels! { avx512::F32x16: 14 rows of 2 vectors, any of 1 2 3 4 5 6 7 8 9 10 11 12 13 14 }
#[cfg(target_arch = "x86_64")]
micro_kernels! { avx512::F64x8: 14 rows of 2 vectors, any of 1 2 3 4 5 6 7 8 9 10 11 12 13 14 }
#[cfg(target_arch = "x86_64")]
micro_kernels! { avx2::F32x8: 6 rows of 2 vectors, any of 1 2 3 4 5 6 }
#[cfg(target_arch = "x86_64")]
micro_kernels! { avx2::F64x4: 6 rows of 2 vectors, any of 1 2 3 4 5 6 }
micro_kernels! { portable::F32x8: 6 rows of 2 vectors, any of 1 2 3 4 5 6 }
micro_kernels! { portable::F64x4: 6 rows of 2 vectors, any of 1 2 3 4 5 6 }

/// A tile of exactly MR rows and at most NV vectors.
struct Multiply<E, const MR: usize, const NV: usize>(Tile<E>);

impl<E: Element, const MR: usize, const NV: usize> Kernel for Multiply<E, MR, NV> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        // SAFETY: made only by `MicroKernels::multiply`, whose caller promises what it needs.
        unsafe { multiply::<E::Lanes<S>, MR, NV>(simd, self.0) }
    }
}

/// # Safety
/// As [`MicroKernels::multiply`], with MR rows.
#[inline(always)]
unsafe fn multiply<V: Lanes, const MR: usize, const NV: usize>(
    simd: V::Simd,
    tile: Tile<V::Element>,
) {
    let Tile { k, mut a, a_row_stride, a_k_stride, mut b, b_k_stride, c, c_row_stride, .. } = tile;
    let zero = V::splat_in(simd, V::Element::ZERO);
    let mut sums = [[zero; NV]; MR];
    if !matches!(tile.begin, Begin::Zero) {
        for (i, row) in sums.iter_mut().enumerate() {
            for (v, sum) in row.iter_mut().enumerate() {
                // SAFETY: `there` is at most the columns of vector v that exist, in row i < MR.
                unsafe {
                    let there = tile.columns.saturating_sub(v * V::LEN).min(V::LEN);
                    let from = c.wrapping_add(i * c_row_stride + v * V::LEN);
                    *sum = match tile.begin {
                        Begin::Zero => zero,
                        Begin::Accumulate => load_some(simd, from, there),
                        Begin::Scaled(beta) => load_some::<V>(simd, from, there) * zero.splat(beta),
                        Begin::Row(row) => load_some(simd, row.wrapping_add(v * V::LEN), there),
                    };
                }
            }
        }
    }
    for _ in 0..k {
        let mut b_row = [zero; NV];
        for (v, lanes) in b_row.iter_mut().enumerate() {
            // SAFETY: B has this step of k and NV vectors, as the caller promises.
            *lanes = unsafe { V::load_ptr(simd, b.add(v * V::LEN)) };
        }
        for (i, row) in sums.iter_mut().enumerate() {
            // SAFETY: A has this step of k and row i < MR, as the caller promises.
            let factor = V::splat_in(simd, unsafe { *a.add(i * a_row_stride) });
            for (sum, lanes) in row.iter_mut().zip(b_row) {
                *sum = factor.mul_add(lanes, *sum);
            }
        }
        a = a.wrapping_add(a_k_stride);
        b = b.wrapping_add(b_k_stride);
    }
    for (i, row) in sums.into_iter().enumerate() {
        for (v, sum) in row.into_iter().enumerate() {
            let there = tile.columns.saturating_sub(v * V::LEN).min(V::LEN);
            let to = c.wrapping_add(i * c_row_stride + v * V::LEN);
            // SAFETY: `there` is at most the columns of vector v that exist, in row i < MR.
            unsafe {
                if there == V::LEN {
                    sum.store_ptr(to);
                } else {
                    sum.store_ptr_partial(to, there);
                }
            }
        }
    }
}

/// The first `count` of LEN elements.
///
/// # Safety
/// `from` is valid for reads of `count` ≤ LEN elements.
#[inline(always)]
unsafe fn load_some<V: Lanes>(simd: V::Simd, from: *const V::Element, count: usize) -> V {
    // SAFETY: as the caller promises.
    unsafe {
        if count == V::LEN {
            V::load_ptr(simd, from)
        } else {
            V::load_ptr_partial(simd, from, count)
        }
    }
}
