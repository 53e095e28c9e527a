//! The loops around the micro-kernel.
//!
//! For each block of NC columns, for each block of KC steps of k: B's block is packed into panels
//! of NR columns, unless it is packed already or read in place; then for each strip of MR rows of
//! A, for each panel: one tile. The strip of A is in L1 after its first panel; the panels stream
//! from L2 or L3. A strip of C is handed to the epilogue when its last block of k is done.

use super::blocking::{Blocking, Source, Sources};
use super::few_rows::{Room, multiply_few_rows};
use super::few_steps::multiply_few_steps;
use super::gemv::{LEAST_STEPS, most_rows, multiply_rows};
use super::micro_kernel::{MicroKernels, Tile};
use super::packed::ALIGNMENT;
use super::packing::{Cut, STRIPS_AT_ONCE, Strips, pack_block};
use super::{Epilogue, Right, Start};
use crate::dispatch::Kernel;
use crate::lanes::{Lanes, Simd, Transpose, Transposer};
use crate::{Element, Isa, MatMut, MatRef};
use core::ops::Range;
use core::{ptr, slice};

/// A strip of A that cannot be read where it lies, and that meets more columns of B than this, is
/// copied first.
const COPY_A_ABOVE: usize = 64;

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
        let (m, n, k) = self.shape;
        let mut largest = Room::most::<E::Lanes<S>>(self.shape);
        largest = largest.max(Room::most::<Transposer<E, S>>(self.shape));
        for sources in Sources::all() {
            // Few rows are blocked in another way than many, and parts may have fewer; and few
            // columns may be turned to rows.
            for (shape, turned) in [((m, n, k), false), ((1, n, k), false), ((n, m, k), true)] {
                let blocking = Blocking::new::<E::Lanes<S>>(shape, sources, turned);
                largest = Scratch::new::<E::Lanes<S>>(blocking).total().max(largest);
            }
        }
        largest + ALIGNMENT / size_of::<E>()
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
                multiply_few_steps::<E::Lanes<S>>(simd, &part, b, epilogue);
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
                return multiply_blocks::<E::Lanes<S>>(simd, part, epilogue, scratch);
            }
        }
        true
    }
}

/// The first aligned element, if as many are there as are needed from there on.
#[inline(always)]
fn aligned<E>(scratch: &mut [E], needed: usize) -> Option<*mut E> {
    let enough = needed + ALIGNMENT / size_of::<E>() <= scratch.len();
    let first = scratch.as_mut_ptr();
    enough.then(|| first.wrapping_add(first.align_offset(ALIGNMENT)))
}

/// The epilogue of a product that is computed as Cᵀ = Bᵀ Aᵀ.
struct Turned<'p, 'a, E>(&'p mut (dyn Epilogue<E> + 'a));

impl<E: Element> Epilogue<E> for Turned<'_, '_, E> {
    fn finish(&mut self, isa: Isa, row: usize, column: usize, strip: MatMut<'_, E>) {
        self.0.finish(isa, column, row, strip.transposed());
    }
}

/// Panels that are ready to be read: NR columns each, in steps of k.
#[derive(Clone, Copy)]
struct Panels<E> {
    first: *const E,
    k_stride: usize,
    panel_stride: usize,
}

/// # Safety
/// As [`Multiplication::run`].
#[inline(always)]
unsafe fn multiply_blocks<V: MicroKernels>(
    simd: V::Simd,
    part: Part<'_, V::Element>,
    mut epilogue: Option<&mut dyn Epilogue<V::Element>>,
    scratch: &mut [V::Element],
) -> bool {
    let nr = V::VECTORS * V::LEN;
    let k = part.a.columns();
    let shape = (part.rows.len(), part.columns.len(), k);
    let sources = Sources::new::<V>(&part);
    let blocking = Blocking::new::<V>(shape, sources, part.turned);
    let lengths = Scratch::new::<V>(blocking);
    let Some(to_pack) = aligned(scratch, lengths.total()) else { return false };
    let strips = to_pack.wrapping_add(lengths.panels);
    let spare = strips.wrapping_add(lengths.strips);
    let a_shape = part.a.shape();

    for j0 in part.columns.clone().step_by(blocking.nc) {
        let columns = blocking.nc.min(part.columns.end - j0);
        // With k = 0 there is one empty block, which writes what the chains begin with.
        for p0 in (0..k.max(1)).step_by(blocking.kc) {
            let steps = blocking.kc.min(k - p0);
            let packed =
                Panels { first: to_pack.cast_const(), k_stride: nr, panel_stride: steps * nr };
            // The columns that are read where they lie, and how.
            let (in_place, lying) = match part.b {
                Right::Packed(b) => {
                    let at = j0 * k + p0 * nr;
                    let first = b.panels().as_ptr().wrapping_add(at);
                    (columns, Panels { first, k_stride: nr, panel_stride: k * nr })
                }
                Right::Strided(b) if sources.b == Source::InPlace => {
                    let row = b.shape().row_stride;
                    let first = b.data().as_ptr().wrapping_add(p0 * row + j0);
                    let whole = (columns % nr).is_multiple_of(V::LEN);
                    let in_place = if whole { columns } else { columns / nr * nr };
                    (in_place, Panels { first, k_stride: row, panel_stride: nr })
                }
                Right::Strided(_) | Right::Compact(_) => (0, packed),
            };
            let rest = (j0 + in_place, columns - in_place);
            // SAFETY: the block lies within B, whose view was checked on construction; the scratch
            // space has room for it.
            unsafe {
                match part.b {
                    Right::Packed(_) => {}
                    Right::Compact(b) => b.widen::<V>(simd, (p0, steps), rest, to_pack),
                    Right::Strided(b) => {
                        let source = (b.data().as_ptr(), b.shape());
                        pack_block::<V>(simd, source, (p0, steps), rest, to_pack, nr);
                    }
                }
            }
            // Tiles of one vector may have more rows than others: the columns that need them get
            // strips of their own.
            let over = columns % nr;
            let narrow = V::NARROW_ROWS > V::ROWS && over > 0 && over <= V::LEN;
            let wide = if narrow { columns - over } else { columns };
            let passes = [(V::NARROW_ROWS, wide..columns, false), (V::ROWS, 0..wide, true)];
            for (most_rows, range, last) in passes {
                if range.is_empty() && !(last && epilogue.is_some()) {
                    continue;
                }
                let lying_range = range.start.min(in_place)..range.end.min(in_place);
                let packed_range =
                    range.start.max(in_place) - in_place..range.end.max(in_place) - in_place;
                let many = range.len() > COPY_A_ABOVE && shape.0 > V::ROWS;
                let copies = part.alpha != V::Element::ONE || many && blocking.copied > 0;
                let cut = Cut::new(part.rows.clone(), most_rows);
                let at_once = if copies { STRIPS_AT_ONCE * V::ROWS / most_rows } else { cut.count };
                for first in (0..cut.count).step_by(at_once.max(1)) {
                    let which = first..cut.count.min(first + at_once);
                    let strips = Strips { cut, which, steps, to: strips };
                    let place = |row| {
                        let at = row * a_shape.row_stride + p0 * a_shape.column_stride;
                        part.a.data().as_ptr().wrapping_add(at)
                    };
                    if copies {
                        let a = place(strips.rows().start);
                        let a = (a, a_shape.row_stride, a_shape.column_stride);
                        // SAFETY: the strips lie within A, whose view was checked on construction;
                        // the scratch space has room for so many of them.
                        unsafe { strips.pack::<V>(simd, a, part.alpha) };
                    }
                    for (rows, copy) in strips.iter(V::LEN) {
                        let (i, rows) = (rows.start, rows.len());
                        let a_strip = if copies {
                            let (row, step) = strips.strides(a_shape.column_stride, rows);
                            (copy.cast_const(), row, step)
                        } else {
                            (place(i), a_shape.row_stride, a_shape.column_stride)
                        };
                        let first_block = p0 == 0;
                        let row = Row { part: &part, i, rows, steps, first_block, a_strip, spare };
                        // SAFETY: the columns lie within C and the panels; the rest is as promised
                        // above.
                        unsafe {
                            row.multiply::<V>(simd, j0, lying_range.clone(), lying);
                            row.multiply::<V>(simd, j0 + in_place, packed_range.clone(), packed);
                        }
                        if p0 + steps == k
                            && last
                            && let Some(epilogue) = &mut epilogue
                        {
                            let (rows, columns) = (i..i + rows, j0..j0 + columns);
                            // SAFETY: C is ours for as long as this runs, and neither rows nor
                            // columns are 0.
                            unsafe { part.finish(&mut **epilogue, rows, columns) };
                        }
                    }
                }
            }
        }
    }
    true
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

/// A strip of A against the panels of a block.
struct Row<'r, 'a, E: Element> {
    part: &'r Part<'a, E>,
    i: usize,
    rows: usize,
    steps: usize,
    first_block: bool,
    /// The strip's first element, and the distances to the next row and step of k.
    a_strip: (*const E, usize, usize),
    spare: *mut E,
}

impl<E: Element> Row<'_, '_, E> {
    /// Multiplies the strip with these of the panels' columns, of which the first is C's `j0`.
    ///
    /// # Safety
    /// As [`Multiplication::run`]; the panels hold these columns, up to whole vectors.
    #[inline(always)]
    unsafe fn multiply<V: MicroKernels<Element = E>>(
        &self,
        simd: V::Simd,
        j0: usize,
        columns: Range<usize>,
        panels: Panels<E>,
    ) {
        let nr = V::VECTORS * V::LEN;
        let mut j = columns.start;
        while j < columns.end {
            // Few rows have too few chains in a panel, so they take some at once.
            let at_once = if columns.end - j >= nr * V::panels_at_once(self.rows) {
                V::panels_at_once(self.rows)
            } else {
                1
            };
            let there = (nr * at_once).min(columns.end - j);
            let c = self.part.c_at(self.i, j0 + j);
            let (start, start_strides) = match self.part.start {
                _ if !self.first_block => (c.cast_const(), self.part.c.1),
                Start::Zero => (ptr::null(), (0, 0)),
                Start::Accumulate | Start::Scaled(_) => (c.cast_const(), self.part.c.1),
                Start::Row(row) if self.part.turned => (row.as_ptr().wrapping_add(self.i), (1, 0)),
                Start::Row(row) => (row.as_ptr().wrapping_add(j0 + j), (0, 1)),
            };
            let beta = match self.part.start {
                Start::Scaled(beta) if self.first_block => Some(beta),
                _ => None,
            };
            let mut tile = Tile {
                k: self.steps,
                a: self.a_strip.0,
                a_row_stride: self.a_strip.1,
                a_k_stride: self.a_strip.2,
                b: panels.first.wrapping_add(j / nr * panels.panel_stride),
                b_k_stride: panels.k_stride,
                b_panel_stride: panels.panel_stride,
                start,
                start_row_stride: start_strides.0,
                c,
                c_row_stride: self.part.c.1.0,
            };
            let vectors = there.div_ceil(at_once * V::LEN);
            let whole = there.is_multiple_of(V::LEN)
                && self.part.c.1.1 == 1
                && (start.is_null() || start_strides.1 == 1)
                && beta.is_none();
            // SAFETY: the tile's rows and columns lie within A, the panels, the start row and C.
            // What is not whole, contiguous and unscaled goes through the spare tile, one panel at
            // a time, for which it has room.
            unsafe {
                if whole {
                    V::multiply(simd, self.rows, vectors, at_once, tile);
                    j += there;
                    continue;
                }
                let there = there.min(nr);
                if !start.is_null() {
                    let from = (start, start_strides);
                    copy_tile(from, (self.rows, there), beta, (self.spare, (nr, 1)));
                    (tile.start, tile.start_row_stride) = (self.spare, nr);
                }
                (tile.c, tile.c_row_stride) = (self.spare, nr);
                V::multiply(simd, self.rows, there.div_ceil(V::LEN), 1, tile);
                let from = (self.spare.cast_const(), (nr, 1));
                copy_tile(from, (self.rows, there), None, (c, self.part.c.1));
                j += there;
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
