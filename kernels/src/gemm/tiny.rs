//! Products that are over before another way would have been set up.

use super::driver::Part;
use super::{Right, Start};
use crate::lanes::Lanes;
use crate::{Element, MatRef};

/// The most multiply-adds.
const MOST: usize = 256;

impl<'a, E: Element> Part<'a, E> {
    /// B, if this is a product for [`multiply_tiny`].
    #[inline(always)]
    pub(super) fn tiny(&self) -> Option<MatRef<'a, E>> {
        let elements = self.rows.len().saturating_mul(self.columns.len());
        match self.b {
            Right::Strided(b) if elements.saturating_mul(self.a.columns().max(1)) <= MOST => {
                Some(b)
            }
            _ => None,
        }
    }
}

/// Computes the part: vector by vector where rows of B and C are contiguous, or element by element.
///
/// # Safety
/// As [`Multiplication::run`](super::driver::Multiplication::run), with any first column.
#[inline(always)]
pub(super) unsafe fn multiply_tiny<V: Lanes>(
    simd: V::Simd,
    part: &Part<'_, V::Element>,
    b: MatRef<'_, V::Element>,
) {
    let (a_shape, b_shape) = (part.a.shape(), b.shape());
    let by_rows = b_shape.column_stride == 1 && part.c.1.1 == 1;
    let unit = if by_rows { V::LEN } else { 1 };
    for j in part.columns.clone().step_by(unit) {
        let count = unit.min(part.columns.end - j);
        let first_b = b.data().as_ptr().wrapping_add(j * b_shape.column_stride);
        for i in part.rows.clone() {
            let c = part.c_at(i, j);
            let mut a = part.a.data().as_ptr().wrapping_add(i * a_shape.row_stride);
            let mut b = first_b;
            // SAFETY: `count` elements of C from here on are the part's, and are read only where
            // the chains begin with them; A has k elements from here on, at this stride, and B k
            // times `count`, as their views were checked on construction.
            unsafe {
                let start = match part.start {
                    Start::Zero => None,
                    Start::Accumulate | Start::Scaled(_) => Some(c.cast_const()),
                    Start::Row(row) => Some(row.as_ptr().add(j)),
                };
                let beta = match part.start {
                    Start::Scaled(beta) => beta,
                    _ => V::Element::ONE,
                };
                if !by_rows {
                    let mut sum = start.map_or(V::Element::ZERO, |start| beta * *start);
                    for _ in 0..a_shape.columns {
                        sum = (part.alpha * *a).mul_add(*b, sum);
                        a = a.wrapping_add(a_shape.column_stride);
                        b = b.wrapping_add(b_shape.row_stride);
                    }
                    *c = sum;
                    continue;
                }
                let mut sum = V::splat_in(simd, V::Element::ZERO);
                if let Some(start) = start {
                    sum = sum.splat(beta) * V::load_ptr_partial(simd, start, count);
                }
                for _ in 0..a_shape.columns {
                    let lanes = V::load_ptr_partial(simd, b, count);
                    sum = sum.splat(part.alpha * *a).mul_add(lanes, sum);
                    a = a.wrapping_add(a_shape.column_stride);
                    b = b.wrapping_add(b_shape.row_stride);
                }
                sum.store_ptr_partial(c, count);
            }
        }
    }
}
