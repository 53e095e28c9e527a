//! One row times packed panels, as a prediction of a single input is.
//!
//! Nothing is used twice, so the time is that of reading B. All columns are computed in one go,
//! without blocks, a few panels at once: enough chains to hide the latency of a multiply-add, and
//! few enough streams for the prefetchers.

use super::compact::Stored;
use super::micro_kernel::MicroKernels;
use super::{Gemm, Right, Start};
use crate::dispatch::Kernel;
use crate::lanes::{Lanes, Simd};
use crate::{Element, Isa};

/// The most panels at once.
const PANELS: usize = 4;

/// The vectors of a panel.
pub(super) const VECTORS: usize = 2;

/// Computes the product, if it is one contiguous row times a packed B and overwrites C; returns
/// whether it was. The shapes and the ISA have been checked.
pub(super) fn run<E: Element>(isa: Isa, gemm: &mut Gemm<'_, E>) -> bool {
    let Gemm { a, b, c, alpha, start, epilogue, .. } = gemm;
    let (k, n) = (a.columns(), c.columns());
    let is_row = c.rows() == 1 && c.shape().has_whole_rows() && a.shape().has_whole_rows();
    let start = match start {
        Start::Zero => None,
        Start::Row(row) => Some(*row),
        Start::Accumulate | Start::Scaled(_) => return false,
    };
    if !is_row || *alpha != E::ONE || n == 0 {
        return false;
    }
    let a = &a.data()[..k];
    let to = &mut c.data()[..n];
    let done = match b {
        Right::Strided(_) => None,
        Right::Packed(b) => isa.run_fused(OneRow { a, panels: b.panels(), start, c: to }),
        Right::Compact(b) => b.multiply_row(isa, a, start, to),
    };
    if done.is_none() {
        return false;
    }
    if let Some(epilogue) = epilogue {
        epilogue.finish(isa, 0, 0, c.reborrow());
    }
    true
}

/// c ← start + a · B. B's panels have NR columns and as many rows as `a` has elements.
pub(super) struct OneRow<'a, E, T> {
    pub(super) a: &'a [E],
    pub(super) panels: &'a [T],
    pub(super) start: Option<&'a [E]>,
    pub(super) c: &'a mut [E],
}

impl<E: Element, T: Stored<E>> Kernel for OneRow<'_, E, T> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        const { assert!(E::Lanes::<S>::VECTORS == VECTORS, "a panel has other vectors") }
        let Self { a, panels, start, c } = self;
        let nr = VECTORS * E::Lanes::<S>::LEN;
        let panel = a.len() * nr;
        let count = c.len().div_ceil(nr);
        assert!(panels.len() >= count * panel && start.is_none_or(|row| row.len() == c.len()));
        let mut at = 0;
        while at < count {
            let columns = Columns {
                a,
                b: &panels[at * panel..],
                start: start.map(|row| &row[at * nr..]),
                c: &mut c[at * nr..],
            };
            // SAFETY: of as many panels as are asked for, at least, some column is in C, and there
            // are all rows in B.
            unsafe {
                at += match count - at {
                    1 if columns.c.len() <= E::Lanes::<S>::LEN => {
                        multiply::<E::Lanes<S>, T, 1, 1>(simd, columns)
                    }
                    1 => multiply::<E::Lanes<S>, T, 1, VECTORS>(simd, columns),
                    2 => multiply::<E::Lanes<S>, T, 2, VECTORS>(simd, columns),
                    3 => multiply::<E::Lanes<S>, T, 3, VECTORS>(simd, columns),
                    _ => multiply::<E::Lanes<S>, T, PANELS, VECTORS>(simd, columns),
                };
            }
        }
    }
}

/// The columns from some panel on.
struct Columns<'a, E, T> {
    a: &'a [E],
    b: &'a [T],
    start: Option<&'a [E]>,
    c: &'a mut [E],
}

/// Multiplies NV vectors in each of NP panels, as far as C goes, and returns NP. The inner loops
/// have constant bounds, so that they are unrolled and the sums live in registers.
///
/// # Safety
/// B has NP panels of as many rows as A has elements.
#[inline(always)]
unsafe fn multiply<V: MicroKernels, T: Stored<V::Element>, const NP: usize, const NV: usize>(
    simd: V::Simd,
    columns: Columns<'_, V::Element, T>,
) -> usize {
    let Columns { a, b, start, c } = columns;
    let nr = VECTORS * V::LEN;
    let panel = a.len() * nr;
    let mut sums = [[V::splat_in(simd, V::Element::ZERO); NV]; NP];
    if let Some(start) = start {
        for (q, sums) in sums.iter_mut().enumerate() {
            for (v, sum) in sums.iter_mut().enumerate() {
                let start = &start[(q * nr + v * V::LEN).min(start.len())..];
                *sum = if start.len() >= V::LEN {
                    V::load(simd, start)
                } else {
                    V::load_partial(simd, start)
                };
            }
        }
    }
    let mut from = b.as_ptr();
    for &factor in a {
        let factor = V::splat_in(simd, factor);
        for (q, sums) in sums.iter_mut().enumerate() {
            // SAFETY: panel q < NP has this row, as the caller promises.
            let row = unsafe { T::load_row::<V>(simd, from.add(q * panel)) };
            for (sum, lanes) in sums.iter_mut().zip(row) {
                *sum = factor.mul_add(lanes, *sum);
            }
        }
        from = from.wrapping_add(nr);
    }
    for (q, sums) in sums.iter().enumerate() {
        for (v, sum) in sums.iter().enumerate() {
            let place = (q * nr + v * V::LEN).min(c.len());
            let to = &mut c[place..];
            if to.len() >= V::LEN {
                sum.store(to);
            } else {
                sum.store_partial(to);
            }
        }
    }
    NP
}
