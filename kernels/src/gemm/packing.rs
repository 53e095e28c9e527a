//! Copies of operands in the order in which the micro-kernel reads them.

use crate::Element;
use crate::lanes::{Lanes, Simd, Transpose};
use crate::lockstep::LINE;
use crate::view::Shape;
use core::array;
use core::ops::Range;

/// Packs a block of B, `steps` × `columns` from (`p`, `j`) on, into panels of `steps` rows of `nr`
/// elements; in the place of columns that do not exist is anything.
///
/// # Safety
/// The block lies within `b`, whose elements are valid for reads; `to` is valid for writes of
/// `steps` × `columns` elements, rounded up to whole panels; `nr` is a multiple of LEN.
#[inline(always)]
pub(super) unsafe fn pack_block<V: Lanes>(
    simd: V::Simd,
    (b, shape): (*const V::Element, Shape),
    (p, steps): (usize, usize),
    (j, columns): (usize, usize),
    to: *mut V::Element,
    nr: usize,
) {
    let from = b.wrapping_add(p * shape.row_stride + j * shape.column_stride);
    let vectors = columns.next_multiple_of(nr) / V::LEN;
    if shape.column_stride == 1 {
        let place = |column| to.wrapping_add(column / nr * nr * steps + column % nr);
        let mut v = 0;
        while v < vectors {
            let column = v * V::LEN;
            let from = (from.wrapping_add(column), shape.row_stride);
            // SAFETY: these columns of the block are read, and as many vectors of panels written.
            unsafe {
                if column + AT_ONCE * V::LEN <= columns {
                    let to = array::from_fn(|i| place(column + i * V::LEN));
                    pack_vectors::<V, AT_ONCE>(simd, from, (steps, V::LEN), to, nr);
                    v += AT_ONCE;
                } else {
                    let there = columns.saturating_sub(column).min(V::LEN);
                    pack_vectors::<V, 1>(simd, from, (steps, there), [place(column)], nr);
                    v += 1;
                }
            }
        }
        return;
    }
    if shape.row_stride == 1 {
        // SAFETY: as the caller promises.
        return unsafe {
            let from = (from, shape.column_stride);
            pack_columns::<V::Transposer>(V::transposer(simd), from, (steps, columns), to, nr)
        };
    }
    for v in 0..vectors {
        let column = v * V::LEN;
        let there = columns.saturating_sub(column).min(V::LEN);
        let from = from.wrapping_add(column * shape.column_stride);
        let to = to.wrapping_add(column / nr * nr * steps + column % nr);
        for p in 0..steps {
            // SAFETY: everything read lies within the block, `there` columns of it, everything
            // written within a panel, LEN of its nr columns.
            unsafe {
                let from = from.add(p * shape.row_stride);
                gather_some::<V>(simd, from, shape.column_stride, there).store_ptr(to.add(p * nr));
            }
        }
    }
}

/// Lines that are asked for ahead where operands are copied line by line: each may be in another
/// page, where no prefetcher follows.
const LINES_AHEAD: usize = 8;

/// Vectors of a row that are copied one after the other. More would be written to more panels than
/// the L1 cache has ways for, as these can be a multiple of a page apart; fewer would be short
/// pieces of many rows, which are too much for the prefetcher.
const AT_ONCE: usize = 8;

/// Copies N vectors of each row to places of their own, `nr` apart from row to row. The last has
/// `there` elements, and is filled up with +0.
///
/// # Safety
/// `from` is valid for reads of `steps` rows of so many elements at this stride, each of `to` for
/// writes of as many vectors.
#[inline(always)]
unsafe fn pack_vectors<V: Lanes, const N: usize>(
    simd: V::Simd,
    (mut from, stride): (*const V::Element, usize),
    (steps, there): (usize, usize),
    to: [*mut V::Element; N],
    nr: usize,
) {
    for p in 0..steps {
        for at in (0..N * V::LEN).step_by(LINE / size_of::<V::Element>()) {
            simd.prefetch(from.wrapping_add(LINES_AHEAD * stride + at));
        }
        for (i, to) in to.iter().enumerate() {
            let there = if i + 1 == N { there } else { V::LEN };
            // SAFETY: as the caller promises.
            unsafe {
                load_some::<V>(simd, from.add(i * V::LEN), there).store_ptr(to.add(p * nr));
            }
        }
        from = from.wrapping_add(stride);
    }
}

/// [`pack_block`] of a block whose columns are contiguous.
///
/// # Safety
/// As for [`pack_block`]: every column, at `from` and `stride` from the one before, is valid for
/// reads of `steps` elements.
#[inline(always)]
pub(super) unsafe fn pack_columns<T: Transpose>(
    simd: T::Simd,
    (from, stride): (*const T::Element, usize),
    (steps, columns): (usize, usize),
    to: *mut T::Element,
    nr: usize,
) {
    for column in (0..columns.next_multiple_of(nr)).step_by(T::LEN) {
        let there = columns.saturating_sub(column).min(T::LEN);
        let from = from.wrapping_add(column * stride);
        let to = to.wrapping_add(column / nr * nr * steps + column % nr);
        let mut p = 0;
        // Whole squares stay in registers; only what is left goes through memory.
        while there == T::LEN && p + T::LEN <= steps {
            // SAFETY: LEN elements of LEN columns are read, all within the block, and LEN elements
            // of LEN rows of a panel are written.
            unsafe {
                let square = T::load_transposed(simd, from.add(p), stride);
                for (i, lanes) in square.as_ref().iter().enumerate() {
                    lanes.store_ptr(to.add((p + i) * nr));
                }
            }
            p += T::LEN;
        }
        while p < steps {
            let some = T::LEN.min(steps - p);
            // SAFETY: as above, with `some` elements of `there` columns.
            unsafe {
                let square = T::load_transposed_some(simd, from.add(p), stride, there, some);
                for (i, lanes) in square.as_ref().iter().enumerate().take(some) {
                    lanes.store_ptr(to.add((p + i) * nr));
                }
            }
            p += some;
        }
    }
}

/// Rows of A in strips, as few as can be and all nearly equal: one of a row or two would have too
/// few chains to hide the latency of a multiply-add.
#[derive(Clone, Copy)]
pub(super) struct Cut {
    first: usize,
    /// Strips.
    pub(super) count: usize,
    /// The rows of a strip, and how many strips have one more.
    least: usize,
    larger: usize,
}

impl Cut {
    #[inline(always)]
    pub(super) fn new(rows: Range<usize>, most: usize) -> Self {
        let count = rows.len().div_ceil(most);
        let among = count.max(1);
        let (least, larger) = (rows.len() / among, rows.len() % among);
        Self { first: rows.start, count, least, larger }
    }

    /// The rows of these strips together.
    #[inline(always)]
    pub(super) fn rows(self, strips: Range<usize>) -> Range<usize> {
        let start = |at: usize| self.first + at * self.least + at.min(self.larger);
        start(strips.start)..start(strips.end)
    }
}

/// Strips of A that are packed at once: they share most of the cache lines that they are in, if A
/// is transposed.
pub(super) const STRIPS_AT_ONCE: usize = 8;

/// Neighbouring strips of A, [`STRIPS_AT_ONCE`] at most where they are packed, and the place for
/// that, one after the other.
pub(super) struct Strips<E> {
    pub(super) cut: Cut,
    pub(super) which: Range<usize>,
    pub(super) steps: usize,
    pub(super) to: *mut E,
}

impl<E: Element> Strips<E> {
    /// Elements for so many rows in so many strips, with a vector of `len` behind each.
    pub(super) fn room(rows: usize, strips: usize, steps: usize, len: usize) -> usize {
        rows * steps + strips * len
    }

    /// All rows.
    #[inline(always)]
    pub(super) fn rows(&self) -> Range<usize> {
        self.cut.rows(self.which.clone())
    }

    /// The rows of each strip, and the place of its copy.
    #[inline(always)]
    pub(super) fn iter(&self, len: usize) -> impl Iterator<Item = (Range<usize>, *mut E)> + Clone {
        let (cut, to, steps, first) = (self.cut, self.to, self.steps, self.which.start);
        self.which.clone().map(move |at| {
            let rows = cut.rows(at..at + 1);
            let before = rows.start - cut.rows(first..first).start;
            (rows, to.wrapping_add(Self::room(before, at - first, steps, len)))
        })
    }

    /// Packs the strips, each element times `alpha`. Whatever is contiguous in A stays so: lines
    /// are copied, not transposed. A line that goes through all strips is read once.
    ///
    /// # Safety
    /// `a`, the first row's first element, is valid for reads of all rows' `steps` elements at
    /// these strides, `to` for writes of [`Strips::room`] of them.
    #[inline(always)]
    pub(super) unsafe fn pack<V: Lanes<Element = E>>(
        &self,
        simd: V::Simd,
        (a, row_stride, k_stride): (*const E, usize, usize),
        alpha: E,
    ) {
        let alpha = V::splat_in(simd, alpha);
        // SAFETY: as the caller promises.
        unsafe {
            match (row_stride, k_stride) {
                (_, 1) => self.pack_rows(simd, (a, row_stride), alpha),
                (1, _) => self.pack_lines::<V, true>(simd, (a, 1, k_stride), alpha),
                _ => self.pack_lines::<V, false>(simd, (a, row_stride, k_stride), alpha),
            }
        }
    }

    /// [`Strips::pack`] where rows are contiguous.
    ///
    /// # Safety
    /// As there.
    #[inline(always)]
    unsafe fn pack_rows<V: Lanes<Element = E>>(
        &self,
        simd: V::Simd,
        (a, row_stride): (*const E, usize),
        alpha: V,
    ) {
        let (first, steps) = (self.rows().start, self.steps);
        for (rows, to) in self.iter(V::LEN) {
            for row in rows.clone() {
                let from = (a.wrapping_add((row - first) * row_stride), 1);
                let to = to.wrapping_add((row - rows.start) * steps);
                // SAFETY: a row of the strip, and the room for it.
                unsafe { pack_line::<V, true>(simd, from, alpha, (steps, steps), to) };
            }
        }
    }

    /// [`Strips::pack`], line by line; NEAR is whether lines are contiguous.
    ///
    /// # Safety
    /// As there.
    #[inline(always)]
    unsafe fn pack_lines<V: Lanes<Element = E>, const NEAR: bool>(
        &self,
        simd: V::Simd,
        (a, row_stride, k_stride): (*const E, usize, usize),
        alpha: V,
    ) {
        let all = self.rows();
        // Where each strip begins in a line, how long it is there, and where it goes.
        let mut pieces = [(0, 0, self.to); STRIPS_AT_ONCE];
        let count = self.which.len().min(STRIPS_AT_ONCE);
        for (piece, (rows, to)) in pieces.iter_mut().zip(self.iter(V::LEN)) {
            *piece = (rows.start - all.start, rows.len(), to);
        }
        for p in 0..self.steps {
            let line = a.wrapping_add(p * k_stride);
            if NEAR {
                for at in (0..all.len()).step_by(LINE / size_of::<E>()) {
                    simd.prefetch(line.wrapping_add(LINES_AHEAD * k_stride + at));
                }
            }
            for &(start, length, to) in &pieces[..count] {
                let from = (line.wrapping_add(start * row_stride), row_stride);
                let lengths = (length, all.len() - start);
                let to = to.wrapping_add(p * length);
                // SAFETY: a step of the strip, after which those of the next strips come.
                unsafe { pack_line::<V, NEAR>(simd, from, alpha, lengths, to) };
            }
        }
    }

    /// The strides of a packed strip of so many rows: of a row, and of a step of k.
    #[inline(always)]
    pub(super) fn strides(&self, k_stride: usize, rows: usize) -> (usize, usize) {
        if k_stride == 1 { (self.steps, 1) } else { (1, rows) }
    }
}

/// Writes `length` elements times `alpha`, and less than a vector more: what is too much gives way
/// to the next line, or is in the room behind the last.
///
/// # Safety
/// `from` is valid for reads of `there` ≥ `length` elements at this stride, which is 1 if they are
/// NEAR, `to` for writes of `length` and LEN more.
#[inline(always)]
unsafe fn pack_line<V: Lanes, const NEAR: bool>(
    simd: V::Simd,
    (from, stride): (*const V::Element, usize),
    alpha: V,
    (length, there): (usize, usize),
    to: *mut V::Element,
) {
    for x in (0..length).step_by(V::LEN) {
        let there = V::LEN.min(there - x);
        // SAFETY: as the caller promises.
        unsafe {
            let lanes = if NEAR {
                load_some::<V>(simd, from.add(x), there)
            } else {
                gather_some::<V>(simd, from.add(x * stride), stride, there)
            };
            (alpha * lanes).store_ptr(to.add(x));
        }
    }
}

/// `count` ≤ LEN elements that are `stride` apart, filled up with +0.
///
/// # Safety
/// `from` is valid for reads of these elements.
#[inline(always)]
unsafe fn gather_some<V: Lanes>(
    simd: V::Simd,
    from: *const V::Element,
    stride: usize,
    count: usize,
) -> V {
    let mut lanes = [zero::<V>(); 16];
    for (l, lane) in lanes.iter_mut().enumerate().take(count) {
        // SAFETY: as the caller promises.
        *lane = unsafe { *from.add(l * stride) };
    }
    V::load(simd, &lanes)
}

/// The first `count` ≤ LEN elements, filled up with +0.
///
/// # Safety
/// `from` is valid for reads of `count` elements.
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

fn zero<V: Lanes>() -> V::Element {
    V::Element::default()
}

#[cfg(test)]
mod tests {
    use super::Cut;

    #[test]
    fn strips_are_as_few_and_as_equal_as_can_be() {
        for most in [1, 6, 12, 14] {
            for rows in 0..200 {
                let cut = Cut::new(3..3 + rows, most);
                assert_eq!(cut.count, rows.div_ceil(most));
                assert_eq!(cut.rows(0..cut.count), 3..3 + rows);
                let strips = (0..cut.count).map(|at| cut.rows(at..at + 1).len());
                let (least, largest) = (strips.clone().min(), strips.max());
                assert!(largest <= least.map(|least| most.min(least + 1)), "{rows} by {most}");
            }
        }
    }
}
