//! One row times a matrix whose columns are contiguous: x Wᵀ of a single input.
//!
//! Lanes run across columns, so W has to be transposed. It is used just once, so that is done in
//! registers: a square of it is loaded, transposed, and multiplied at once.

use super::Start;
use super::driver::Part;
use crate::Element;
use crate::dispatch::Kernel;
use crate::lanes::{Lanes, Simd, Transpose};

/// Squares side by side, each with a chain of its own in every lane: enough to hide the latency of
/// a multiply-add.
const SQUARES: usize = 4;

/// Columns that are a multiple of so many bytes apart share a few sets of the L1 cache.
const FEW_SETS: usize = 1024;

/// As many squares side by side as those sets keep.
const SQUARES_IN_FEW_SETS: usize = 2;

/// The most lanes of a square.
const LONGEST: usize = 8;

/// Computes the one row of the part, whose B has contiguous columns: the first element, and the
/// distance to the next column.
///
/// # Safety
/// As [`Multiplication::run`](super::driver::Multiplication::run), with any first column.
#[inline(always)]
pub(super) unsafe fn multiply_row<V: Lanes>(
    simd: V::Simd,
    part: &Part<'_, V::Element>,
    (b, stride): (*const V::Element, usize),
) {
    let length = <V::Transposer as Lanes>::LEN;
    let row = part.rows.start;
    let a = part.a.data().as_ptr().wrapping_add(row * part.a.shape().row_stride);
    let (c, c_stride) = (part.c_at(row, 0), part.c.1.1);
    let mut sums = [V::Element::ZERO; SQUARES * LONGEST];
    let in_few_sets = (stride * size_of::<V::Element>()).is_multiple_of(FEW_SETS);
    let at_once = if in_few_sets { SQUARES_IN_FEW_SETS } else { SQUARES } * length;
    for j in part.columns.clone().step_by(at_once) {
        let columns = at_once.min(part.columns.end - j);
        for (column, sum) in (j..j + columns).zip(&mut sums) {
            // SAFETY: the column is the part's, and C is read only where the chain begins with it.
            *sum = unsafe {
                match part.start {
                    Start::Zero => V::Element::ZERO,
                    Start::Accumulate => *c.add(column * c_stride),
                    Start::Scaled(beta) => beta * *c.add(column * c_stride),
                    Start::Row(start) if part.turned => *start.as_ptr().add(row),
                    Start::Row(start) => *start.as_ptr().add(column),
                }
            };
        }
        let columns =
            Columns { k: part.a.columns(), a, b: b.wrapping_add(j * stride), stride, columns };
        simd.call(Squares(columns, &mut sums));
        for (column, &sum) in (j..j + columns.columns).zip(&sums) {
            // SAFETY: the column is the part's.
            unsafe { *c.add(column * c_stride) = sum };
        }
    }
}

/// Neighbouring columns of B, and the row that they are multiplied with.
#[derive(Clone, Copy)]
struct Columns<E> {
    k: usize,
    a: *const E,
    b: *const E,
    /// The distance to the next column.
    stride: usize,
    /// How many there are.
    columns: usize,
}

/// Adds the products of the columns to the sums.
struct Squares<'s, E>(Columns<E>, &'s mut [E; SQUARES * LONGEST]);

impl<E: Element> Kernel for Squares<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let simd = E::Lanes::<S>::transposer(simd);
        // SAFETY: made only by `multiply_row`, whose caller promises what it needs.
        unsafe { multiply_squares::<<E::Lanes<S> as Lanes>::Transposer>(simd, self.0, self.1) }
    }
}

/// The loop over squares stays a loop: unrolled, it would have the compiler load all of them before
/// it transposes the first.
///
/// # Safety
/// A is valid for reads of k elements, B of `columns` columns of as many.
#[inline(always)]
unsafe fn multiply_squares<T: Transpose>(
    simd: T::Simd,
    columns: Columns<T::Element>,
    sums: &mut [T::Element; SQUARES * LONGEST],
) {
    let Columns { k, a, b, stride, columns } = columns;
    let mut chains = [T::splat_in(simd, T::Element::ZERO); SQUARES];
    for (chain, sums) in chains.iter_mut().zip(sums.chunks_exact(T::LEN)) {
        *chain = T::load(simd, sums);
    }
    let whole = columns / T::LEN;
    let mut p = 0;
    while p < k {
        let steps = T::LEN.min(k - p);
        let mut square = 0;
        if steps == T::LEN {
            let mut factors = [chains[0]; LONGEST];
            for (i, factor) in factors.iter_mut().enumerate().take(T::LEN) {
                // SAFETY: step p + i is below k.
                *factor = T::splat_in(simd, unsafe { *a.add(p + i) });
            }
            let mut from = b.wrapping_add(p);
            for chain in &mut chains[..whole] {
                // SAFETY: LEN columns of B from this one on, and LEN steps of k.
                let lanes = unsafe { T::load_transposed(simd, from, stride) };
                for (factor, &lanes) in factors.iter().zip(lanes.as_ref()) {
                    *chain = factor.mul_add(lanes, *chain);
                }
                from = from.wrapping_add(T::LEN * stride);
            }
            square = whole;
        }
        while square * T::LEN < columns {
            let there = T::LEN.min(columns - square * T::LEN);
            let from = b.wrapping_add(square * T::LEN * stride + p);
            // SAFETY: these columns are there, and the steps are below k.
            let lanes = unsafe { T::load_transposed_some(simd, from, stride, there, steps) };
            for (i, &lanes) in lanes.as_ref().iter().enumerate().take(steps) {
                // SAFETY: step p + i is below k.
                let factor = T::splat_in(simd, unsafe { *a.add(p + i) });
                chains[square] = factor.mul_add(lanes, chains[square]);
            }
            square += 1;
        }
        p += steps;
    }
    for (chain, sums) in chains.iter().zip(sums.chunks_exact_mut(T::LEN)) {
        chain.store(sums);
    }
}
