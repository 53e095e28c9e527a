//! The loops around the micro-kernel.
//!
//! For each block of NC columns, for each block of KC steps of k: B's block is packed into panels
//! of NR columns, unless it is packed already or read in place, and multiplied with all rows. What
//! gains by another way than blocks goes it.

use super::block::{Block, Buffers};
use super::blocking::{Blocking, Sources};
use super::few_rows::{Room, multiply_few_rows};
use super::few_steps::multiply_few_steps;
use super::gemv::{LEAST_STEPS, most_rows, multiply_rows};
use super::micro_kernel::MicroKernels;
use super::packing::{STRIPS_AT_ONCE, Strips};
use super::{Epilogue, Right, Start};
use crate::dispatch::Kernel;
use crate::lanes::{Lanes, Simd, Transpose, Transposer};
use crate::lockstep::LINE;
use crate::{Element, Isa, MatMut, MatRef};
use core::ops::Range;
use core::slice;

/// Columns of C are made rows only where there are at least so many rows to be columns, and so many
/// steps of k; columns that [`multiply_rows`] takes, from fewer rows on.
const LEAST_ROWS_TURNED: usize = 16;
const LEAST_ROWS_OF_SQUARES: usize = 8;
const LEAST_STEPS_TURNED: usize = 16;

/// More rows than this are many to transpose.
const MANY_ROWS_TURNED: usize = 64;

/// A product, or the part of one that is the given rows and columns of C.
pub(super) struct Part<'a, E: Element> {
    pub(super) isa: Isa,
    pub(super) a: MatRef<'a, E>,
    pub(super) b: Right<'a, E>,
    /// C's first element, and its strides.
    pub(super) c: (*mut E, (usize, usize)),
    pub(super) alpha: E,
    pub(super) start: Start<'a, E>,
    /// Whether rows are columns: the row of [`Start::Row`] then is a column.
    pub(super) turned: bool,
    pub(super) rows: Range<usize>,
    pub(super) columns: Range<usize>,
}

/// Elements of scratch space for one part.
pub(super) fn scratch_len<E: Element>(isa: Isa, shape: (usize, usize, usize)) -> usize {
    isa.run_fused(ScratchLen::<E> { shape, element: core::marker::PhantomData }).unwrap_or(0)
}

struct ScratchLen<E> {
    shape: (usize, usize, usize),
    element: core::marker::PhantomData<E>,
}

impl<E: Element> Kernel for ScratchLen<E> {
    type Output = usize;

    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> usize {
        self.on::<S>()
    }
}

impl<E: Element> ScratchLen<E> {
    /// Takes no token, so that a test can ask for ISAs that its CPU does not have.
    #[inline(always)]
    fn on<S: Simd>(&self) -> usize {
        let (m, n, k) = self.shape;
        let mut largest = Room::most::<E::Lanes<S>>(self.shape);
        largest = largest.max(Room::most::<Transposer<E, S>>(self.shape));
        for sources in Sources::all() {
            // Few columns may be turned to rows. Few rows are blocked in another way than many, and
            // parts may have fewer of both.
            for (shape, turned) in [((m, n, k), false), ((n, m, k), true)] {
                for shape in [shape, (1, shape.1, k)] {
                    let blocking = Blocking::new::<E::Lanes<S>>(shape, sources, turned);
                    largest = Scratch::new::<E::Lanes<S>>(blocking).total().max(largest);
                }
            }
        }
        largest + LINE / size_of::<E>()
    }
}

/// Where the parts of the scratch space lie, in elements.
struct Scratch {
    panels: usize,
    strips: usize,
    tile: usize,
}

impl Scratch {
    #[inline(always)]
    fn new<V: MicroKernels>(blocking: Blocking) -> Self {
        let tile = V::ROWS.max(V::NARROW_ROWS) * V::VECTORS * V::LEN;
        let (rows, strips) = (STRIPS_AT_ONCE * V::ROWS, STRIPS_AT_ONCE);
        let strips = Strips::<V::Element>::room(rows, strips, blocking.copied, V::LEN);
        Self { panels: blocking.packed, strips, tile }
    }

    fn total(&self) -> usize {
        self.panels + self.strips + self.tile
    }
}

/// A part, what is done to its finished strips, and its scratch space.
pub(super) struct Multiplication<'p, 'a, E: Element> {
    pub(super) part: Part<'a, E>,
    pub(super) epilogue: Option<&'p mut (dyn Epilogue<E> + 'a)>,
    pub(super) scratch: &'p mut [E],
}

impl<'a, E: Element> Multiplication<'_, 'a, E> {
    /// Computes the part, or does nothing and returns `false` if there is too little scratch space,
    /// or if the ISA has no fused multiply-adds.
    ///
    /// # Safety
    /// A's and B's shapes and the start row's length fit C's, the rows and columns lie within C,
    /// `c` is valid for reads and writes of their elements, which no one else touches meanwhile.
    /// B packed for another ISA than `isa` is not for this. The first column is a multiple of NR.
    pub(super) unsafe fn run(self) -> bool {
        self.part.isa.run_fused(self).unwrap_or(false)
    }
}

impl<E: Element> Kernel for Multiplication<'_, '_, E> {
    type Output = bool;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> bool {
        let Self { mut part, epilogue, scratch } = self;
        let mut turned;
        let epilogue: Option<&mut dyn Epilogue<E>> = match (part.turned::<E::Lanes<S>>(), epilogue)
        {
            (None, epilogue) => epilogue.map(|epilogue| epilogue as _),
            (Some(part_turned), epilogue) => {
                part = part_turned;
                turned = epilogue.map(Turned);
                turned.as_mut().map(|epilogue| epilogue as _)
            }
        };
        // SAFETY: run only by `Multiplication::run`, whose caller promises what it needs.
        unsafe {
            if let Some(b) = part.columns_for_rows::<Transposer<E, S>>() {
                multiply_rows(simd, &part, b);
                if let Some(epilogue) = epilogue {
                    part.finish(epilogue, part.rows.clone(), part.columns.clone());
                }
            } else if let Some(b) = part.rows_of_few_steps() {
                multiply_few_steps(simd, &part, b, epilogue);
            } else if let Some((weights, room)) = part.rows_of_weights::<E::Lanes<S>>() {
                let Some(scratch) = aligned(scratch, room.total()) else { return false };
                multiply_few_rows::<E::Lanes<S>>(simd, &part, weights, room, epilogue, scratch);
            } else if Transposer::<E, S>::LEN < E::Lanes::<S>::LEN
                && part.rows.len() <= Transposer::<E, S>::LEN
                && let Some((weights, room)) = part.rows_of_weights::<Transposer<E, S>>()
            {
                let Some(scratch) = aligned(scratch, room.total()) else { return false };
                let simd = E::Lanes::<S>::transposer(simd);
                multiply_few_rows::<Transposer<E, S>>(
                    simd, &part, weights, room, epilogue, scratch,
                );
            } else {
                return multiply_blocks::<E::Lanes<S>>(simd, &part, epilogue, scratch);
            }
        }
        true
    }
}

/// The first aligned element, if as many are there as are needed from there on.
#[inline(always)]
fn aligned<E>(scratch: &mut [E], needed: usize) -> Option<*mut E> {
    let enough = needed + LINE / size_of::<E>() <= scratch.len();
    let first = scratch.as_mut_ptr();
    enough.then(|| first.wrapping_add(first.align_offset(LINE)))
}

/// Computes the part block by block of k and of columns, if there is enough scratch space.
///
/// # Safety
/// As [`Multiplication::run`].
#[inline(always)]
unsafe fn multiply_blocks<V: MicroKernels>(
    simd: V::Simd,
    part: &Part<'_, V::Element>,
    mut epilogue: Option<&mut dyn Epilogue<V::Element>>,
    scratch: &mut [V::Element],
) -> bool {
    let k = part.a.columns();
    let shape = (part.rows.len(), part.columns.len(), k);
    let sources = Sources::new::<V>(part);
    let blocking = Blocking::new::<V>(shape, sources, part.turned);
    let lengths = Scratch::new::<V>(blocking);
    let Some(panels) = aligned(scratch, lengths.total()) else { return false };
    let strips = panels.wrapping_add(lengths.panels);
    let buffers = Buffers { panels, strips, tile: strips.wrapping_add(lengths.strips) };
    for j in part.columns.clone().step_by(blocking.nc) {
        let columns = blocking.nc.min(part.columns.end - j);
        // With k = 0 there is one empty block, which writes what the chains begin with.
        for p in (0..k.max(1)).step_by(blocking.kc) {
            let steps = blocking.kc.min(k - p);
            // SAFETY: as the caller promises; the scratch space has room for such blocks.
            unsafe {
                let block = Block::new::<V>(simd, part, (p, steps), (j, columns), sources, buffers);
                let epilogue: Option<&mut dyn Epilogue<V::Element>> = match &mut epilogue {
                    Some(epilogue) if p + steps == k => Some(&mut **epilogue),
                    _ => None,
                };
                block.multiply::<V>(simd, epilogue);
            }
        }
    }
    true
}

/// The epilogue of a product that is computed as Cᵀ = Bᵀ Aᵀ.
struct Turned<'p, 'a, E>(&'p mut (dyn Epilogue<E> + 'a));

impl<E: Element> Epilogue<E> for Turned<'_, '_, E> {
    fn finish(&mut self, isa: Isa, row: usize, column: usize, strip: MatMut<'_, E>) {
        self.0.finish(isa, column, row, strip.transposed());
    }
}

impl<E: Element> Part<'_, E> {
    /// Hands a finished block of C to the epilogue.
    ///
    /// # Safety
    /// The block lies within C, is not empty, and nobody else touches it meanwhile.
    #[inline(always)]
    pub(super) unsafe fn finish(
        &self,
        epilogue: &mut dyn Epilogue<E>,
        rows: Range<usize>,
        columns: Range<usize>,
    ) {
        let (down, across) = self.c.1;
        let extent = (rows.len() - 1) * down + (columns.len() - 1) * across + 1;
        let first = self.c_at(rows.start, columns.start);
        // SAFETY: as the caller promises.
        let block = unsafe { slice::from_raw_parts_mut(first, extent) };
        let block = MatMut::at_strides(block, (rows.len(), columns.len()), self.c.1);
        epilogue.finish(self.isa, rows.start, columns.start, block);
    }

    /// Cᵀ = Bᵀ Aᵀ instead, where so few columns would leave lanes idle which the rows can fill.
    ///
    /// To transpose many rows takes longer than short lanes idle, unless half of them do.
    #[inline(always)]
    fn turned<V: MicroKernels<Element = E>>(&self) -> Option<Self> {
        let (rows, columns, k) = (self.rows.len(), self.columns.len(), self.a.columns());
        let idle = columns.next_multiple_of(V::LEN) - columns;
        let transposes = rows > MANY_ROWS_TURNED && self.a.shape().column_stride == 1;
        let least_rows = match self.b {
            Right::Strided(b)
                if b.shape().row_stride == 1 && columns <= most_rows::<V::Transposer>() =>
            {
                LEAST_ROWS_OF_SQUARES
            }
            _ => LEAST_ROWS_TURNED,
        };
        let short = V::NARROW_ROWS > V::ROWS;
        if idle * 4 <= columns
            || transposes && short && columns * 2 > V::LEN
            || rows < least_rows
            || self.alpha != E::ONE
            || k < LEAST_STEPS_TURNED
        {
            return None;
        }
        let b = match self.b {
            Right::Strided(b) => b,
            Right::Packed(b) => b.panel()?,
            Right::Compact(_) => return None,
        };
        Some(Self {
            a: b.transposed(),
            b: Right::Strided(self.a.transposed()),
            c: (self.c.0, (self.c.1.1, self.c.1.0)),
            turned: true,
            rows: self.columns.clone(),
            columns: self.rows.clone(),
            ..*self
        })
    }

    /// B's first element and the distance to the next column, if this is a few contiguous rows times
    /// contiguous columns.
    #[inline(always)]
    fn columns_for_rows<T: Transpose<Element = E>>(&self) -> Option<(*const E, usize)> {
        let most = if self.a.columns() < LEAST_STEPS { 1 } else { most_rows::<T>() };
        match self.b {
            Right::Strided(b)
                if (1..=most).contains(&self.rows.len())
                    && self.alpha == E::ONE
                    && self.a.shape().column_stride == 1
                    && b.shape().row_stride == 1 =>
            {
                Some((b.data().as_ptr(), b.shape().column_stride))
            }
            _ => None,
        }
    }

    /// The place of C's (i, j).
    #[inline(always)]
    pub(super) fn c_at(&self, i: usize, j: usize) -> *mut E {
        self.c.0.wrapping_add(i * self.c.1.0 + j * self.c.1.1)
    }
}

#[cfg(test)]
mod tests {
    use super::ScratchLen;
    use crate::Element;
    use crate::lanes::{Simd, portable::Portable};
    #[cfg(target_arch = "x86_64")]
    use crate::lanes::{avx2::Avx2, avx512::Avx512};
    use core::any::type_name;
    use core::marker::PhantomData;

    const SIZES: [usize; 24] = [
        1, 2, 6, 7, 16, 17, 31, 64, 100, 128, 129, 255, 256, 257, 300, 511, 512, 513, 700, 784,
        1024, 1025, 1600, 3000,
    ];

    fn check<E: Element, S: Simd>() {
        let needed = |m, n, k| ScratchLen::<E> { shape: (m, n, k), element: PhantomData }.on::<S>();
        for (m, n) in SIZES.into_iter().flat_map(|m| SIZES.map(|n| (m, n))) {
            let (mut by_rows, mut by_columns, mut by_steps) = (0, 0, 0);
            for larger in SIZES {
                for (before, now, shape) in [
                    (&mut by_rows, needed(larger, m, n), (larger, m, n)),
                    (&mut by_columns, needed(m, larger, n), (m, larger, n)),
                    (&mut by_steps, needed(m, n, larger), (m, n, larger)),
                ] {
                    let isa = type_name::<S>();
                    assert!(*before <= now, "{isa} {shape:?}: {now} after {before}");
                    *before = now;
                }
            }
        }
    }

    #[test]
    fn scratch_space_is_enough_for_smaller_products_too() {
        #[cfg(target_arch = "x86_64")]
        {
            check::<f32, Avx512>();
            check::<f64, Avx512>();
            check::<f32, Avx2>();
            check::<f64, Avx2>();
        }
        check::<f32, Portable>();
        check::<f64, Portable>();
    }
}
