//! The micro-kernel: a tile of C in registers, one multiply-add an element and step of k.

use super::blocking::is_aliased;
use crate::Element;
use crate::dispatch::Kernel;
use crate::lanes::{Lanes, Simd, portable};
#[cfg(target_arch = "x86_64")]
use crate::lanes::{avx2, avx512};
use crate::lockstep::LINE;
use core::array;

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
    /// The distance to the panel of the next NR columns.
    pub(super) b_panel_stride: usize,
    /// What the chains begin with, and the distance to the next row (0 for the same row again);
    /// null for zero.
    pub(super) start: *const E,
    pub(super) start_row_stride: usize,
    /// C's first element and the distance to the next row; columns are contiguous.
    pub(super) c: *mut E,
    pub(super) c_row_stride: usize,
}

/// The micro-kernels of a lane type: ROWS × VECTORS registers of accumulators at most.
pub trait MicroKernels: Lanes {
    /// MR: the rows of a full tile.
    const ROWS: usize;
    /// NR / LEN: the registers in a row of a full tile.
    const VECTORS: usize;
    /// The rows of a full tile of one vector.
    const NARROW_ROWS: usize;

    /// How many panels a tile of this many rows takes at once: few rows have too few chains in one
    /// panel to hide the latency of a multiply-add.
    #[inline(always)]
    fn panels_at_once(rows: usize) -> usize {
        match rows {
            1 => 4,
            2 => 2,
            _ => 1,
        }
    }

    /// Computes a tile of `rows` rows, 1 to ROWS, and `vectors` vectors, 1 to VECTORS, in each of
    /// `panels` panels: 1, or [`MicroKernels::panels_at_once`] with VECTORS vectors. Of one vector
    /// there may be NARROW_ROWS rows.
    ///
    /// # Safety
    /// With columns = `panels` · `vectors` · LEN: A is valid for reads of `rows` × `k` elements, B
    /// of `k` × columns, the start, if not null, of `rows` × columns, and C for writes of `rows` ×
    /// columns.
    #[expect(private_interfaces, reason = "the trait is sealed in a private module")]
    unsafe fn multiply(
        simd: Self::Simd,
        rows: usize,
        vectors: usize,
        panels: usize,
        tile: Tile<Self::Element>,
    );
}

/// The accumulators' shape is the table here: as many registers as the ISA has, less those for
/// the vectors of B and one broadcast of A.
macro_rules! micro_kernels {
    (
        $Lanes:ty: $full:literal rows of $vectors:literal vectors, any of $($rows:literal)*;
        $narrow:literal of 1 vector $(, $more:literal)*
    ) => {
        impl MicroKernels for $Lanes {
            const ROWS: usize = $full;
            const VECTORS: usize = $vectors;
            const NARROW_ROWS: usize = $narrow;

            #[expect(private_interfaces, reason = "the trait is sealed in a private module")]
            #[inline(always)]
            unsafe fn multiply(
                simd: Self::Simd,
                rows: usize,
                vectors: usize,
                panels: usize,
                tile: Tile<Self::Element>,
            ) {
                match (rows, vectors, panels) {
                    (1, $vectors, 4) => simd.call(Multiply::<_, 1, $vectors, 4>(tile)),
                    (2, $vectors, 2) => simd.call(Multiply::<_, 2, $vectors, 2>(tile)),
                    $(
                        ($rows, $vectors, 1) => simd.call(Multiply::<_, $rows, $vectors, 1>(tile)),
                        ($rows, 1, 1) => simd.call(Multiply::<_, $rows, 1, 1>(tile)),
                    )*
                    $(($more, 1, 1) => simd.call(Multiply::<_, $more, 1, 1>(tile)),)*
                    _ => debug_assert!(false, "no tile {rows} x {panels} x {vectors}"),
                }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
micro_kernels! {
    avx512::F32x16: 14 rows of 2 vectors, any of 1 2 3 4 5 6 7 8 9 10 11 12 13 14;
    14 of 1 vector
}
#[cfg(target_arch = "x86_64")]
micro_kernels! {
    avx512::F64x8: 14 rows of 2 vectors, any of 1 2 3 4 5 6 7 8 9 10 11 12 13 14;
    14 of 1 vector
}
#[cfg(target_arch = "x86_64")]
micro_kernels! {
    avx2::F32x8: 6 rows of 2 vectors, any of 1 2 3 4 5 6;
    12 of 1 vector, 7, 8, 9, 10, 11, 12
}
#[cfg(target_arch = "x86_64")]
micro_kernels! {
    avx2::F64x4: 6 rows of 2 vectors, any of 1 2 3 4 5 6;
    12 of 1 vector, 7, 8, 9, 10, 11, 12
}
micro_kernels! {
    portable::F32x8: 6 rows of 2 vectors, any of 1 2 3 4 5 6;
    12 of 1 vector, 7, 8, 9, 10, 11, 12
}
micro_kernels! {
    portable::F64x4: 6 rows of 2 vectors, any of 1 2 3 4 5 6;
    12 of 1 vector, 7, 8, 9, 10, 11, 12
}

/// C's tile of the next panel is prefetched while one of at least so many steps is computed.
const PREFETCH_STEPS: usize = 64;

/// The same pointer, which the compiler cannot compute from another: it would do so in every step.
#[inline(always)]
pub(super) fn unrelated<T>(mut pointer: *const T) -> *const T {
    #[cfg(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(miri)))]
    // SAFETY: there is no instruction.
    unsafe {
        core::arch::asm!(
            "/* {0} */",
            inout(reg) pointer,
            options(pure, readonly, nostack, preserves_flags),
        );
    }
    #[cfg(not(all(any(target_arch = "x86_64", target_arch = "aarch64"), not(miri))))]
    {
        pointer = core::hint::black_box(pointer);
    }
    pointer
}

/// Rows of B that are read where they lie are prefetched so many steps ahead by tiles of few rows,
/// if they are at least so many bytes apart, and so many: of fewer, most come from L2 soon enough,
/// and asking for them takes longer. Those that share a set of the L1 cache would drive each other
/// out.
const STEPS_AHEAD: usize = 8;
const FAR_APART: usize = 512;
const FAR_STEPS: usize = 128;

/// Steps of k at once where A's and B's strides are known: then they are loads, broadcasts and
/// multiply-adds, and next to nothing else. While another thread runs on the same core,
/// instructions are what a tile waits for.
const UNROLLED: usize = 4;

/// Rows whose places are in a register each; of more, a step has no registers left for what others
/// would take at once.
const EACH_IN_A_REGISTER: usize = 6;

/// Of more rows, so many are addressed from the place of one: at once, twice and three times the
/// distance to the next.
const TOGETHER: usize = 4;

/// How far a tile has come.
struct Place<E, const MR: usize> {
    /// The beginnings of A's rows, and the place in each; or, as [`TOGETHER`] says, the places in
    /// some of them.
    rows: [*const E; MR],
    a_step: usize,
    a_row_stride: usize,
    b: *const E,
    b_panel_stride: usize,
}

impl<E: Element, const MR: usize> Place<E, MR> {
    /// Takes so many times so many steps at these strides of A and B: the steps, and the strides,
    /// may be constants.
    ///
    /// # Safety
    /// As [`MicroKernels::multiply`], of so many steps from here on.
    #[inline(always)]
    unsafe fn take<V: Lanes<Element = E>, const NV: usize, const NP: usize>(
        &mut self,
        simd: V::Simd,
        sums: &mut [[[V; NV]; NP]; MR],
        far: bool,
        (times, steps): (usize, usize),
        strides: (usize, usize),
    ) {
        for _ in 0..times {
            if far {
                simd.prefetch(self.b.wrapping_add(STEPS_AHEAD * strides.1));
            }
            for _ in 0..steps {
                // SAFETY: as the caller promises.
                unsafe { self.step(simd, sums, strides) };
            }
        }
    }

    /// Takes one step.
    ///
    /// # Safety
    /// As [`MicroKernels::multiply`], of one step from here on.
    #[inline(always)]
    unsafe fn step<V: Lanes<Element = E>, const NV: usize, const NP: usize>(
        &mut self,
        simd: V::Simd,
        sums: &mut [[[V; NV]; NP]; MR],
        (a_k_stride, b_k_stride): (usize, usize),
    ) {
        let mut b_row = [[V::splat_in(simd, E::ZERO); NV]; NP];
        for (q, panel) in b_row.iter_mut().enumerate() {
            for (v, lanes) in panel.iter_mut().enumerate() {
                let at = q * self.b_panel_stride + v * V::LEN;
                // SAFETY: B has this step of k, panel q < NP and vector v < NV, as the caller
                // promises.
                *lanes = unsafe { V::load_ptr(simd, self.b.wrapping_add(at)) };
            }
        }
        let many = MR > EACH_IN_A_REGISTER;
        for (i, row) in sums.iter_mut().enumerate() {
            let at = if many {
                self.rows[i / TOGETHER].wrapping_add(i % TOGETHER * self.a_row_stride)
            } else {
                self.rows[i].wrapping_add(self.a_step)
            };
            // SAFETY: A has this row and step of k, as the caller promises.
            let factor = V::splat_in(simd, unsafe { *at });
            for (panel, b_panel) in row.iter_mut().zip(b_row) {
                for (sum, lanes) in panel.iter_mut().zip(b_panel) {
                    *sum = factor.mul_add(lanes, *sum);
                }
            }
        }
        if many {
            for row in self.rows.iter_mut().take(MR.div_ceil(TOGETHER)) {
                *row = unrelated(row.wrapping_add(a_k_stride));
            }
        }
        self.a_step += a_k_stride;
        self.b = self.b.wrapping_add(b_k_stride);
    }
}

/// A tile of exactly MR rows and NV vectors in each of NP panels.
struct Multiply<E, const MR: usize, const NV: usize, const NP: usize>(Tile<E>);

impl<E: Element, const MR: usize, const NV: usize, const NP: usize> Kernel
    for Multiply<E, MR, NV, NP>
{
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        // SAFETY: made only by `MicroKernels::multiply`, whose caller promises what it needs.
        unsafe { multiply::<E::Lanes<S>, MR, NV, NP>(simd, self.0) }
    }
}

/// The loops over rows, panels and vectors have constant bounds and bodies of an instruction or
/// two, so that they are unrolled and the sums live in registers; that is why a tile is always
/// whole here and partial ones are the driver's business.
///
/// # Safety
/// As [`MicroKernels::multiply`], with MR rows, NP panels and NV vectors.
#[inline(always)]
unsafe fn multiply<V: MicroKernels, const MR: usize, const NV: usize, const NP: usize>(
    simd: V::Simd,
    tile: Tile<V::Element>,
) {
    let Tile { k, a, a_row_stride, a_k_stride, b, b_k_stride, b_panel_stride, .. } = tile;
    let zero = V::splat_in(simd, V::Element::ZERO);
    let mut sums = [[[zero; NV]; NP]; MR];
    if !tile.start.is_null() {
        let mut from = tile.start;
        for row in &mut sums {
            for (q, panel) in row.iter_mut().enumerate() {
                for (v, sum) in panel.iter_mut().enumerate() {
                    // SAFETY: the start has MR rows of NP · NV vectors, as the caller promises.
                    *sum = unsafe { V::load_ptr(simd, from.add((q * NV + v) * V::LEN)) };
                }
            }
            from = from.wrapping_add(tile.start_row_stride);
        }
    }
    if k >= PREFETCH_STEPS {
        let mut next = tile.c.wrapping_add(NP * NV * V::LEN);
        let line = LINE / size_of::<V::Element>();
        for _ in 0..MR {
            for at in (0..NP * NV * V::LEN).step_by(line) {
                simd.prefetch(next.wrapping_add(at));
            }
            next = next.wrapping_add(tile.c_row_stride);
        }
    }
    let apart = if MR <= EACH_IN_A_REGISTER { 1 } else { TOGETHER };
    let rows = array::from_fn(|i| unrelated(a.wrapping_add(i * apart * a_row_stride)));
    let mut place = Place::<_, MR> { rows, a_step: 0, a_row_stride, b, b_panel_stride };
    let nr = V::VECTORS * V::LEN;
    let unrolls = MR <= EACH_IN_A_REGISTER && NV > 1 && NP == 1;
    let known = b_k_stride == nr && (a_k_stride == 1 || a_k_stride == MR);
    let whole = if unrolls && known { k / UNROLLED } else { 0 };
    // SAFETY: A and B have k steps at these strides, as the caller promises.
    unsafe {
        if a_k_stride == 1 {
            place.take::<V, NV, NP>(simd, &mut sums, false, (whole, UNROLLED), (1, nr));
        } else {
            place.take::<V, NV, NP>(simd, &mut sums, false, (whole, UNROLLED), (MR, nr));
        }
        let rest = k - whole * UNROLLED;
        let far = MR <= EACH_IN_A_REGISTER
            && k >= FAR_STEPS
            && b_k_stride * size_of::<V::Element>() >= FAR_APART
            && !is_aliased::<V::Element>(b_k_stride);
        place.take::<V, NV, NP>(simd, &mut sums, far, (rest, 1), (a_k_stride, b_k_stride));
    }
    let mut to = tile.c;
    for row in &sums {
        for (q, panel) in row.iter().enumerate() {
            for (v, sum) in panel.iter().enumerate() {
                // SAFETY: C has MR rows of NP · NV vectors, as the caller promises.
                unsafe { sum.store_ptr(to.add((q * NV + v) * V::LEN)) }
            }
        }
        to = to.wrapping_add(tile.c_row_stride);
    }
}
