//! A block of B against all rows of A.
//!
//! For each strip of MR rows of A, for each panel of the block: one tile. The strip is in L1 after
//! its first panel; the panels stream from L2 or L3. A strip of C is handed to the epilogue when
//! its last block of k is done.

use super::blocking::{Source, Sources};
use super::driver::Part;
use super::micro_kernel::{MicroKernels, Tile};
use super::packing::{Cut, STRIPS_AT_ONCE, Strips, pack_block};
use super::{Epilogue, Right, Start};
use crate::Element;
use core::ops::Range;
use core::ptr;

/// A strip of A that cannot be read where it lies, and that meets more columns of B than this, is
/// copied first.
const COPY_A_ABOVE: usize = 64;

/// Panels that are ready to be read: NR columns each, in steps of k.
#[derive(Clone, Copy)]
struct Panels<E> {
    first: *const E,
    k_stride: usize,
    panel_stride: usize,
}

/// Where operands are copied to, and a tile that is not written to C as it is.
#[derive(Clone, Copy)]
pub(super) struct Buffers<E> {
    pub(super) panels: *mut E,
    pub(super) strips: *mut E,
    pub(super) tile: *mut E,
}

/// A block of B: the first of its columns are read where they lie, or were packed beforehand; the
/// others have been packed for it.
pub(super) struct Block<'r, 'a, E: Element> {
    part: &'r Part<'a, E>,
    /// The first step of k, and how many there are.
    p: (usize, usize),
    /// The first column, and how many there are.
    j: (usize, usize),
    in_place: usize,
    lying: Panels<E>,
    packed: Panels<E>,
    sources: Sources,
    buffers: Buffers<E>,
}

impl<'r, 'a, E: Element> Block<'r, 'a, E> {
    /// Takes so many steps from `p0` on of so many columns from `j0` on, and packs what has to be.
    ///
    /// # Safety
    /// As [`Multiplication::run`](super::driver::Multiplication::run), for as long as the block is
    /// used; the buffers are large enough for it, and no one else's.
    #[inline(always)]
    pub(super) unsafe fn new<V: MicroKernels<Element = E>>(
        simd: V::Simd,
        part: &'r Part<'a, E>,
        (p0, steps): (usize, usize),
        (j0, columns): (usize, usize),
        sources: Sources,
        buffers: Buffers<E>,
    ) -> Self {
        let nr = V::VECTORS * V::LEN;
        let k = part.a.columns();
        let packed =
            Panels { first: buffers.panels.cast_const(), k_stride: nr, panel_stride: steps * nr };
        let (in_place, lying) = match part.b {
            Right::Packed(b) => {
                let first = b.panels().as_ptr().wrapping_add(j0 * k + p0 * nr);
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
        // SAFETY: the block lies within B, whose view was checked on construction; the caller
        // promises room for it.
        unsafe {
            match part.b {
                Right::Packed(_) => {}
                Right::Compact(b) => b.widen::<V>(simd, (p0, steps), rest, buffers.panels),
                Right::Strided(b) => {
                    let source = (b.data().as_ptr(), b.shape());
                    pack_block::<V>(simd, source, (p0, steps), rest, buffers.panels, nr);
                }
            }
        }
        let (p, j) = ((p0, steps), (j0, columns));
        Self { part, p, j, in_place, lying, packed, sources, buffers }
    }

    /// Multiplies all rows with the block, and hands the strips of C to the epilogue.
    ///
    /// # Safety
    /// As [`Block::new`].
    #[inline(always)]
    pub(super) unsafe fn multiply<V: MicroKernels<Element = E>>(
        &self,
        simd: V::Simd,
        mut epilogue: Option<&mut dyn Epilogue<E>>,
    ) {
        let columns = self.j.1;
        // Tiles of one vector may have more rows than others: the columns that need them get strips
        // of their own.
        let over = columns % (V::VECTORS * V::LEN);
        let narrow = V::NARROW_ROWS > V::ROWS && over > 0 && over <= V::LEN;
        let wide = if narrow { columns - over } else { columns };
        // Loops, here and for the two kinds of panels, so that all that is in them is compiled once.
        for is_last in [false, true] {
            let (columns, most_rows) =
                if is_last { (0..wide, V::ROWS) } else { (wide..columns, V::NARROW_ROWS) };
            let epilogue: Option<&mut dyn Epilogue<E>> = match &mut epilogue {
                Some(epilogue) if is_last => Some(&mut **epilogue),
                _ => None,
            };
            // SAFETY: as the caller promises.
            unsafe { self.multiply_columns::<V>(simd, columns, most_rows, epilogue) }
        }
    }

    /// Multiplies strips of at most so many rows with these of the block's columns.
    ///
    /// # Safety
    /// As [`Block::new`].
    #[inline(always)]
    unsafe fn multiply_columns<V: MicroKernels<Element = E>>(
        &self,
        simd: V::Simd,
        columns: Range<usize>,
        most_rows: usize,
        mut epilogue: Option<&mut dyn Epilogue<E>>,
    ) {
        let &Self { part, p: (p0, steps), j: (j0, all_columns), in_place, .. } = self;
        if columns.is_empty() && epilogue.is_none() {
            return;
        }
        let lying = columns.start.min(in_place)..columns.end.min(in_place);
        let packed = columns.start.max(in_place) - in_place..columns.end.max(in_place) - in_place;
        let many = columns.len() > COPY_A_ABOVE && part.rows.len() > V::ROWS;
        let copies = part.alpha != E::ONE || many && !self.sources.a_in_place;
        let cut = Cut::new(part.rows.clone(), most_rows);
        let at_once = if copies { STRIPS_AT_ONCE * V::ROWS / most_rows } else { cut.count };
        let a_shape = part.a.shape();
        let place = |row| {
            let at = row * a_shape.row_stride + p0 * a_shape.column_stride;
            part.a.data().as_ptr().wrapping_add(at)
        };
        for first in (0..cut.count).step_by(at_once.max(1)) {
            let which = first..cut.count.min(first + at_once);
            let strips = Strips { cut, which, steps, to: self.buffers.strips };
            if copies {
                let a = place(strips.rows().start);
                let a = (a, a_shape.row_stride, a_shape.column_stride);
                // SAFETY: the strips lie within A, whose view was checked on construction; there is
                // room for so many of them.
                unsafe { strips.pack::<V>(simd, a, part.alpha) };
            }
            for (rows, copy) in strips.iter(V::LEN) {
                let a_strip = if copies {
                    let (row, step) = strips.strides(a_shape.column_stride, rows.len());
                    (copy.cast_const(), row, step)
                } else {
                    (place(rows.start), a_shape.row_stride, a_shape.column_stride)
                };
                let strip = Strip {
                    part,
                    i: rows.start,
                    rows: rows.len(),
                    steps,
                    first_block: p0 == 0,
                    a: a_strip,
                    spare: self.buffers.tile,
                };
                for lies in [true, false] {
                    let (j, columns, panels) = if lies {
                        (j0, &lying, &self.lying)
                    } else {
                        (j0 + in_place, &packed, &self.packed)
                    };
                    // SAFETY: the columns lie within C and the panels; the rest is as promised.
                    unsafe { strip.multiply::<V>(simd, j, columns.clone(), panels) }
                }
                if let Some(epilogue) = &mut epilogue {
                    // SAFETY: as the caller promises.
                    unsafe { part.finish(&mut **epilogue, rows, j0..j0 + all_columns) }
                }
            }
        }
    }
}

/// A strip of A.
struct Strip<'r, 'a, E: Element> {
    part: &'r Part<'a, E>,
    i: usize,
    rows: usize,
    steps: usize,
    first_block: bool,
    /// The strip's first element, and the distances to the next row and step of k.
    a: (*const E, usize, usize),
    spare: *mut E,
}

impl<E: Element> Strip<'_, '_, E> {
    /// Multiplies the strip with these of the panels' columns, of which the first is C's `j0`.
    ///
    /// # Safety
    /// As [`Block::new`]; the panels hold these columns, up to whole vectors.
    #[inline(always)]
    unsafe fn multiply<V: MicroKernels<Element = E>>(
        &self,
        simd: V::Simd,
        j0: usize,
        columns: Range<usize>,
        panels: &Panels<E>,
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
                a: self.a.0,
                a_row_stride: self.a.1,
                a_k_stride: self.a.2,
                b: panels.first.wrapping_add(j / nr * panels.panel_stride),
                b_k_stride: panels.k_stride,
                b_panel_stride: panels.panel_stride,
                start,
                start_row_stride: start_strides.0,
                c,
                c_row_stride: self.part.c.1.0,
            };
            let whole = there.is_multiple_of(V::LEN)
                && self.part.c.1.1 == 1
                && (start.is_null() || start_strides.1 == 1)
                && beta.is_none();
            // What is not whole, contiguous and unscaled goes through the spare tile, one panel at
            // a time, for which it has room.
            let (there, at_once) = if whole { (there, at_once) } else { (there.min(nr), 1) };
            if !whole {
                if !start.is_null() {
                    let from = (start, start_strides);
                    // SAFETY: these rows and columns lie within C, or the start row.
                    unsafe { copy_tile(from, (self.rows, there), beta, (self.spare, (nr, 1))) }
                    (tile.start, tile.start_row_stride) = (self.spare, nr);
                }
                (tile.c, tile.c_row_stride) = (self.spare, nr);
            }
            // SAFETY: the tile's rows and columns lie within A, the panels, the start row and C,
            // or in the spare tile.
            unsafe {
                let vectors = if at_once > 1 { V::VECTORS } else { there.div_ceil(V::LEN) };
                V::multiply(simd, self.rows, vectors, at_once, tile);
                if !whole {
                    let from = (self.spare.cast_const(), (nr, 1));
                    copy_tile(from, (self.rows, there), None, (c, self.part.c.1));
                }
            }
            j += there;
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
