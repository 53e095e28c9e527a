//! Copies of operands in the order in which the micro-kernel reads them.

use crate::lanes::Lanes;
use crate::view::Shape;

/// Packs a block of B, `steps` × `columns` from (`p`, `j`) on, into one panel of `steps` rows of
/// `nr` elements; columns that do not exist are +0.
///
/// # Safety
/// The block lies within `b`, whose elements are valid for reads; `to` is valid for writes of
/// `steps` × `nr` elements; `columns` ≤ `nr`, a multiple of LEN.
#[inline(always)]
pub(super) unsafe fn pack_panel<V: Lanes>(
    simd: V::Simd,
    (b, shape): (*const V::Element, Shape),
    (p, steps): (usize, usize),
    (j, columns): (usize, usize),
    to: *mut V::Element,
    nr: usize,
) {
    let from = b.wrapping_add(p * shape.row_stride + j * shape.column_stride);
    for v in (0..nr).step_by(V::LEN) {
        let there = columns.saturating_sub(v).min(V::LEN);
        let from = from.wrapping_add(v * shape.column_stride);
        let to = to.wrapping_add(v);
        // SAFETY: everything read lies within the block, everything written within the panel:
        // columns v to v + there of it, and LEN of the panel's nr from v on.
        unsafe {
            if shape.column_stride == 1 {
                copy_rows::<V>(simd, (from, shape.row_stride), steps, there, (to, nr));
            } else if shape.row_stride == 1 {
                let mut p = 0;
                while p < steps {
                    let some = (steps - p).min(V::LEN);
                    let from = (from.add(p), shape.column_stride);
                    V::transpose_ptr(simd, from, there, some, (to.add(p * nr), nr));
                    p += some;
                }
            } else {
                for p in 0..steps {
                    for lane in 0..V::LEN {
                        let offset = p * shape.row_stride + lane * shape.column_stride;
                        let value = if lane < there { *from.add(offset) } else { zero::<V>() };
                        *to.add(p * nr + lane) = value;
                    }
                }
            }
        }
    }
}

/// Copies `count` ≤ LEN elements from each of `rows` rows, filled up to LEN with +0.
///
/// # Safety
/// Each row of `from` is valid for reads of `count` elements, of `to` for writes of LEN.
#[inline(always)]
unsafe fn copy_rows<V: Lanes>(
    simd: V::Simd,
    (from, from_stride): (*const V::Element, usize),
    rows: usize,
    count: usize,
    (to, to_stride): (*mut V::Element, usize),
) {
    for row in 0..rows {
        // SAFETY: as the caller promises.
        unsafe {
            let from = from.add(row * from_stride);
            let lanes = if count == V::LEN {
                V::load_ptr(simd, from)
            } else {
                V::load_ptr_partial(simd, from, count)
            };
            lanes.store_ptr(to.add(row * to_stride));
        }
    }
}

/// Packs `rows` × `steps` elements of A, each times `alpha`, into `steps` rows of `rows`.
///
/// # Safety
/// `a` is valid for reads of the elements at these strides, `to` for writes of `rows` × `steps`.
#[inline(always)]
pub(super) unsafe fn pack_scaled<V: Lanes>(
    (a, row_stride, k_stride): (*const V::Element, usize, usize),
    alpha: V::Element,
    rows: usize,
    steps: usize,
    to: *mut V::Element,
) {
    for p in 0..steps {
        for i in 0..rows {
            // SAFETY: as the caller promises.
            unsafe { *to.add(p * rows + i) = alpha * *a.add(i * row_stride + p * k_stride) };
        }
    }
}

fn zero<V: Lanes>() -> V::Element {
    V::Element::default()
}
