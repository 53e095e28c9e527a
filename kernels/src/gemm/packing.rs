//! Copies of operands in the order in which the micro-kernel reads them.

use crate::lanes::{Lanes, Transpose};
use crate::view::Shape;

/// Packs a block of B, `steps` × `columns` from (`p`, `j`) on, into panels of `steps` rows of `nr`
/// elements; columns that do not exist are +0.
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
        // Row after row: short pieces of many rows would be too much for the prefetcher.
        for p in 0..steps {
            for v in 0..vectors {
                let column = v * V::LEN;
                let there = columns.saturating_sub(column).min(V::LEN);
                let at = column / nr * nr * steps + p * nr + column % nr;
                // SAFETY: `there` elements within the block, and LEN within a panel.
                unsafe {
                    let from = from.wrapping_add(p * shape.row_stride + column);
                    load_some::<V>(simd, from, there).store_ptr(to.add(at));
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

/// Packs a strip of A, `rows` × `steps`, each element times `alpha`, and returns the strides of a
/// row and of a step of k. Whatever is contiguous in A stays so: lines are copied, not transposed.
///
/// # Safety
/// `a` is valid for reads of the elements at these strides, `to` for writes of `rows` × `steps`, and
/// LEN more.
#[inline(always)]
pub(super) unsafe fn pack_strip<V: Lanes>(
    simd: V::Simd,
    (a, row_stride, k_stride): (*const V::Element, usize, usize),
    alpha: V::Element,
    (rows, steps): (usize, usize),
    to: *mut V::Element,
) -> (usize, usize) {
    let by_rows = k_stride == 1;
    let (lines, line, length, stride) = if by_rows {
        (rows, row_stride, steps, k_stride)
    } else {
        (steps, k_stride, rows, row_stride)
    };
    let alpha = V::splat_in(simd, alpha);
    for l in 0..lines {
        let from = a.wrapping_add(l * line);
        let to = to.wrapping_add(l * length);
        for x in (0..length).step_by(V::LEN) {
            let there = V::LEN.min(length - x);
            // SAFETY: elements x to x + there of this line, all within the strip; LEN are written,
            // which may be beyond the strip by less than that.
            unsafe {
                let lanes = if stride == 1 {
                    load_some::<V>(simd, from.add(x), there)
                } else {
                    gather_some::<V>(simd, from.add(x * stride), stride, there)
                };
                // What is too much is the next line's, which comes after, or the room beyond.
                (alpha * lanes).store_ptr(to.add(x));
            }
        }
    }
    if by_rows { (steps, 1) } else { (1, rows) }
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
