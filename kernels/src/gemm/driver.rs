//! The loops around the micro-kernel.
//!
//! For each block of NC columns, for each block of KC steps of k: B's block is packed into panels
//! of NR columns; then for each strip of MR rows of A, for each panel: one tile. The strip of A is
//! read where it lies; after its first panel it is in L1. The panels stream from L2. A strip of C
//! is handed to the epilogue when its last block of k is done.

use super::blocking::Blocking;
use super::micro_kernel::{Begin, MicroKernels, Tile};
use super::packing::{pack_panel, pack_scaled};
use super::{Gemm, Start, fallback};
use crate::dispatch::Kernel;
use crate::lanes::{Lanes, Simd};
use crate::{Element, Isa, MatMut};

/// Packed panels begin at a multiple of this many bytes: a cache line.
const ALIGNMENT: usize = 64;

/// Runs a product whose shapes have been checked, with enough scratch.
pub(super) fn run<E: Element>(isa: Isa, gemm: Gemm<'_, E>, scratch: &mut [E]) {
    if gemm.c.rows() == 0 || gemm.c.columns() == 0 {
        return;
    }
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
    isa.run(ScratchLen::<E> { n, k, element: core::marker::PhantomData })
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
        let Blocking { kc, nc } = blocking;
        Self { panels: kc * nc, strip: kc * V::ROWS, tile: V::ROWS * V::VECTORS * V::LEN }
    }

    fn total<E>(&self) -> usize {
        self.panels + self.strip + self.tile + ALIGNMENT / size_of::<E>()
    }
}

struct ScratchLen<E> {
    n: usize,
    k: usize,
    element: core::marker::PhantomData<E>,
}

impl<E: Element> Kernel for ScratchLen<E> {
    type Output = usize;

    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> usize {
        let blocking = Blocking::new::<E::Lanes<S>>(self.n, self.k);
        Parts::new::<E::Lanes<S>>(blocking).total::<E>()
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
    let Gemm { a, b, mut c, alpha, start, mut epilogue } = gemm;
    let (m, n, k) = (c.rows(), c.columns(), a.columns());
    let nr = V::VECTORS * V::LEN;
    let blocking = Blocking::new::<V>(n, k);
    let parts = Parts::new::<V>(blocking);
    assert!(scratch.len() >= parts.total::<V::Element>());
    let scratch = scratch.as_mut_ptr();
    let aligned = scratch.wrapping_add(scratch.align_offset(ALIGNMENT));
    let panels = aligned;
    let strip = aligned.wrapping_add(parts.panels);
    let spare_tile = strip.wrapping_add(parts.strip);
    let (a_shape, c_shape) = (a.shape(), c.shape());

    for j0 in (0..n).step_by(blocking.nc) {
        let columns = blocking.nc.min(n - j0);
        // With k = 0 there is one empty block, which writes what the chains begin with.
        for p0 in (0..k.max(1)).step_by(blocking.kc) {
            let steps = blocking.kc.min(k - p0);
            let last = p0 + steps == k;
            for j in (0..columns).step_by(nr) {
                // SAFETY: the block lies within B, whose view was checked on construction; the
                // panels have room for kc × nc elements, and j + nr ≤ nc, a multiple of nr.
                unsafe {
                    pack_panel::<V>(
                        simd,
                        (b.data().as_ptr(), b.shape()),
                        (p0, steps),
                        (j0 + j, nr.min(columns - j)),
                        panels.add(j * steps),
                        nr,
                    );
                }
            }
            for i in (0..m).step_by(V::ROWS) {
                let rows = V::ROWS.min(m - i);
                let at = i * a_shape.row_stride + p0 * a_shape.column_stride;
                let mut a_strip =
                    (a.data().as_ptr().wrapping_add(at), a_shape.row_stride, a_shape.column_stride);
                if alpha != V::Element::ONE {
                    // SAFETY: the strip lies within A, whose view was checked on construction;
                    // the scratch strip has room for ROWS × kc elements.
                    unsafe { pack_scaled::<V>(a_strip, alpha, rows, steps, strip) };
                    a_strip = (strip, 1, rows);
                }
                for j in (0..columns).step_by(nr) {
                    let tile = Tile {
                        k: steps,
                        a: a_strip.0,
                        a_row_stride: a_strip.1,
                        a_k_stride: a_strip.2,
                        b: panels.wrapping_add(j * steps),
                        b_k_stride: nr,
                        c: c.data().as_mut_ptr().wrapping_add(
                            i * c_shape.row_stride + (j0 + j) * c_shape.column_stride,
                        ),
                        c_row_stride: c_shape.row_stride,
                        columns: nr.min(columns - j),
                        begin: match start {
                            _ if p0 > 0 => Begin::Accumulate,
                            Start::Zero => Begin::Zero,
                            Start::Accumulate => Begin::Accumulate,
                            Start::Scaled(beta) => Begin::Scaled(beta),
                            Start::Row(row) => Begin::Row(row.as_ptr().wrapping_add(j0 + j)),
                        },
                    };
                    // SAFETY: the tile's rows and columns lie within A, the panels and C, whose
                    // views were checked on construction, and the start row has n elements.
                    unsafe {
                        if c_shape.column_stride == 1 {
                            V::multiply(simd, rows, tile);
                        } else {
                            let spare = (spare_tile, nr);
                            multiply_apart::<V>(simd, rows, tile, c_shape.column_stride, spare);
                        }
                    }
                }
                if last && let Some(epilogue) = &mut epilogue {
                    finish_strip(&mut **epilogue, isa, &mut c, (i, rows), (j0, columns));
                }
            }
        }
    }
}

/// Hands a block of C to the epilogue.
fn finish_strip<E: Element>(
    epilogue: &mut dyn super::Epilogue<E>,
    isa: Isa,
    c: &mut MatMut<'_, E>,
    (i, rows): (usize, usize),
    (j, columns): (usize, usize),
) {
    epilogue.finish(isa, i, j, c.block((i, rows), (j, columns)));
}

/// Computes a tile whose columns are not contiguous: in the spare tile, copied in and out.
///
/// # Safety
/// As [`MicroKernels::multiply`], C's columns being `c_column_stride` apart; the spare tile is
/// valid for ROWS rows of its stride.
#[inline(always)]
unsafe fn multiply_apart<V: MicroKernels>(
    simd: V::Simd,
    rows: usize,
    tile: Tile<V::Element>,
    c_column_stride: usize,
    (spare, spare_stride): (*mut V::Element, usize),
) {
    let reads_c = matches!(tile.begin, Begin::Accumulate | Begin::Scaled(_));
    // SAFETY: as the caller promises.
    unsafe {
        for i in 0..if reads_c { rows } else { 0 } {
            for j in 0..tile.columns {
                *spare.add(i * spare_stride + j) =
                    *tile.c.add(i * tile.c_row_stride + j * c_column_stride);
            }
        }
        V::multiply(simd, rows, Tile { c: spare, c_row_stride: spare_stride, ..tile });
        for i in 0..rows {
            for j in 0..tile.columns {
                *tile.c.add(i * tile.c_row_stride + j * c_column_stride) =
                    *spare.add(i * spare_stride + j);
            }
        }
    }
}
