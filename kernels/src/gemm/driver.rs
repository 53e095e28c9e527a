//! The loops around the micro-kernel.
//!
//! For each block of NC columns, for each block of KC steps of k: B's block is packed into panels
//! of NR columns; then for each strip of MR rows of A, for each panel: one tile. The strip of A is
//! read where it lies; after its first panel it is in L1. The panels stream from L2. A strip of C
//! is handed to the epilogue when its last block of k is done.

use super::blocking::Blocking;
use super::micro_kernel::{MicroKernels, Tile};
use super::packing::{pack_block, pack_strip};
use super::{Gemm, Start, fallback};
use crate::dispatch::Kernel;
use crate::lanes::{Lanes, Simd};
use crate::{Element, Isa};
use core::ptr;

/// A strip of A that meets more panels of B than this is copied first: a leading dimension that is
/// a multiple of 4 KiB would map all its lines to a few sets of the L1 cache.
const PACK_A_ABOVE: usize = 2;

/// Packed panels begin at a multiple of this many bytes: a cache line.
const ALIGNMENT: usize = 64;

/// Runs a product whose shapes have been checked, with enough scratch.
pub(super) fn run<E: Element>(isa: Isa, gemm: Gemm<'_, E>, scratch: &mut [E]) {
    if gemm.c.rows() == 0 || gemm.c.columns() == 0 {
        return;
    }
    #[cfg(feature = "blas")]
    let Some(gemm) = super::blas::run(isa, gemm) else { return };
    if isa.has_fma() {
        isa.run(Product { isa, gemm, scratch });
    } else {
        fallback::run(isa, gemm);
    }
}

/// Elements of scratch space for [`run`].
pub(super) fn scratch_len<E: Element>(isa: Isa, m: usize, n: usize, k: usize) -> usize {
    if m == 0 || n == 0 || !isa.has_fma() {
        return 0;
    }
    isa.run(ScratchLen::<E> { shape: (m, n, k), element: core::marker::PhantomData })
}

/// Where the parts of the scratch space lie, in elements.
struct Parts {
    panels: usize,
    strip: usize,
    tile: usize,
}

impl Parts {
    #[inline(always)]
    fn new<V: MicroKernels>(blocking: Blocking) -> Self {
        let panels = blocking.packed::<V>();
        Self { panels, strip: blocking.kc * V::ROWS, tile: V::ROWS * V::VECTORS * V::LEN }
    }

    fn total<E>(&self) -> usize {
        self.panels + self.strip + self.tile + ALIGNMENT / size_of::<E>()
    }
}

struct ScratchLen<E> {
    shape: (usize, usize, usize),
    element: core::marker::PhantomData<E>,
}

impl<E: Element> Kernel for ScratchLen<E> {
    type Output = usize;

    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> usize {
        let total = |contiguous| {
            let blocking = Blocking::new::<E::Lanes<S>>(self.shape, contiguous);
            Parts::new::<E::Lanes<S>>(blocking).total::<E>()
        };
        total(true).max(total(false))
    }
}

/// A product on our own micro-kernels.
pub(super) struct Product<'a, 's, E: Element> {
    pub(super) isa: Isa,
    pub(super) gemm: Gemm<'a, E>,
    pub(super) scratch: &'s mut [E],
}

impl<E: Element> Kernel for Product<'_, '_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { isa, gemm, scratch } = self;
        multiply_blocks::<E::Lanes<S>>(simd, isa, gemm, scratch);
    }
}

#[inline(always)]
fn multiply_blocks<V: MicroKernels>(
    simd: V::Simd,
    isa: Isa,
    gemm: Gemm<'_, V::Element>,
    scratch: &mut [V::Element],
) {
    let Gemm { a, b, mut c, alpha, start, mut epilogue, .. } = gemm;
    let (m, n, k) = (c.rows(), c.columns(), a.columns());
    let nr = V::VECTORS * V::LEN;
    let blocking = Blocking::new::<V>((m, n, k), b.shape().column_stride == 1);
    let parts = Parts::new::<V>(blocking);
    assert!(scratch.len() >= parts.total::<V::Element>());
    let scratch = scratch.as_mut_ptr();
    let aligned = scratch.wrapping_add(scratch.align_offset(ALIGNMENT));
    let panels = aligned;
    let strip = aligned.wrapping_add(parts.panels);
    let spare_tile = strip.wrapping_add(parts.strip);
    let (a_shape, b_shape, c_shape) = (a.shape(), b.shape(), c.shape());
    let c_strides = (c_shape.row_stride, c_shape.column_stride);

    for j0 in (0..n).step_by(blocking.nc) {
        let columns = blocking.nc.min(n - j0);
        // With k = 0 there is one empty block, which writes what the chains begin with.
        for p0 in (0..k.max(1)).step_by(blocking.kc) {
            let steps = blocking.kc.min(k - p0);
            let last = p0 + steps == k;
            // Of a block that is read in place, only the last panel, if it does not fill its
            // vectors.
            let packed_from = match blocking.direct {
                true if (columns % nr).is_multiple_of(V::LEN) => columns,
                true => columns / nr * nr,
                false => 0,
            };
            // SAFETY: the block lies within B, whose view was checked on construction; the panels
            // have room for it.
            unsafe {
                pack_block::<V>(
                    simd,
                    (b.data().as_ptr(), b_shape),
                    (p0, steps),
                    (j0 + packed_from, columns - packed_from),
                    panels,
                    nr,
                );
            }
            // As few strips as can be, all nearly equal: a strip of a row or two would have too
            // few chains to hide the latency of a multiply-add.
            let mut i = 0;
            while i < m {
                let strips = (m - i).div_ceil(V::ROWS);
                let rows = (m - i).div_ceil(strips);
                let at = i * a_shape.row_stride + p0 * a_shape.column_stride;
                let mut a_strip =
                    (a.data().as_ptr().wrapping_add(at), a_shape.row_stride, a_shape.column_stride);
                if alpha != V::Element::ONE || (columns > PACK_A_ABOVE * nr && !blocking.direct) {
                    // SAFETY: the strip lies within A, whose view was checked on construction;
                    // the scratch strip has room for ROWS × kc elements.
                    let (row_stride, k_stride) =
                        unsafe { pack_strip::<V>(simd, a_strip, alpha, (rows, steps), strip) };
                    a_strip = (strip, row_stride, k_stride);
                }
                for j in (0..columns).step_by(nr) {
                    let there = nr.min(columns - j);
                    let c_at = i * c_shape.row_stride + (j0 + j) * c_shape.column_stride;
                    let c_tile = c.data().as_mut_ptr().wrapping_add(c_at);
                    let (begin, begin_strides) = match start {
                        _ if p0 > 0 => (c_tile.cast_const(), c_strides),
                        Start::Zero => (ptr::null(), (0, 0)),
                        Start::Accumulate | Start::Scaled(_) => (c_tile.cast_const(), c_strides),
                        Start::Row(row) => (row.as_ptr().wrapping_add(j0 + j), (0, 1)),
                    };
                    let (b_panel, b_k_stride) = if j >= packed_from {
                        (panels.wrapping_add((j - packed_from) * steps).cast_const(), nr)
                    } else {
                        let at = p0 * b_shape.row_stride + j0 + j;
                        (b.data().as_ptr().wrapping_add(at), b_shape.row_stride)
                    };
                    let mut tile = Tile {
                        k: steps,
                        a: a_strip.0,
                        a_row_stride: a_strip.1,
                        a_k_stride: a_strip.2,
                        b: b_panel,
                        b_k_stride,
                        start: begin,
                        start_row_stride: begin_strides.0,
                        c: c_tile,
                        c_row_stride: c_shape.row_stride,
                    };
                    let vectors = there.div_ceil(V::LEN);
                    let scaled = matches!(start, Start::Scaled(_)) && p0 == 0;
                    let whole = there == vectors * V::LEN && c_shape.column_stride == 1 && !scaled;
                    // SAFETY: the tile's rows and columns lie within A, the panels and C, whose
                    // views were checked on construction, and the start row has n elements. What
                    // is not whole, contiguous and unscaled goes through the spare tile, which
                    // has room for ROWS rows of NR.
                    unsafe {
                        if whole {
                            V::multiply(simd, rows, vectors, tile);
                        } else {
                            let spare = (spare_tile, (nr, 1));
                            if !begin.is_null() {
                                let beta = match start {
                                    Start::Scaled(beta) if p0 == 0 => Some(beta),
                                    _ => None,
                                };
                                copy_tile((begin, begin_strides), (rows, there), beta, spare);
                                (tile.start, tile.start_row_stride) = (spare_tile, nr);
                            }
                            (tile.c, tile.c_row_stride) = (spare_tile, nr);
                            V::multiply(simd, rows, vectors, tile);
                            let from = (spare.0.cast_const(), spare.1);
                            copy_tile(from, (rows, there), None, (c_tile, c_strides));
                        }
                    }
                }
                if last && let Some(epilogue) = &mut epilogue {
                    epilogue.finish(isa, i, j0, c.block((i, rows), (j0, columns)));
                }
                i += rows;
            }
        }
    }
}

/// Copies a tile, each element times `factor` if there is one.
///
/// # Safety
/// `from` is valid for reads and `to` for writes of `rows` × `columns` elements at their strides.
#[inline(always)]
unsafe fn copy_tile<E: Element>(
    (from, from_strides): (*const E, (usize, usize)),
    (rows, columns): (usize, usize),
    factor: Option<E>,
    (to, to_strides): (*mut E, (usize, usize)),
) {
    for i in 0..rows {
        for j in 0..columns {
            // SAFETY: as the caller promises.
            unsafe {
                let value = *from.add(i * from_strides.0 + j * from_strides.1);
                *to.add(i * to_strides.0 + j * to_strides.1) = match factor {
                    Some(factor) => factor * value,
                    None => value,
                };
            }
        }
    }
}
