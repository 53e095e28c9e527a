//! One row times a matrix whose columns are contiguous: x Wᵀ of a single input.
//!
//! Lanes run across columns, so W has to be transposed. It is used just once, so that is done in
//! registers: a square of it is loaded, transposed, and multiplied at once.

use super::Start;
use super::blocking::is_aliased;
use super::driver::Part;
use super::micro_kernel::unrelated;
use crate::Element;
use crate::dispatch::Kernel;
use crate::lanes::{Lanes, Simd, Transpose, Transposer};
use core::ptr;

/// Rows of W side by side, in squares with a chain of its own in every lane. Two squares of f32 do
/// not quite hide the latency of a multiply-add, but four read so many rows of W at once that they
/// take 1.4 to 1.7 times as long wherever W lies, and more where rows share sets of the L1 cache.
const ROWS: usize = 16;

/// Of rows that share a set of the L1 cache, it keeps no more.
const ALIASED_ROWS: usize = 8;

/// The most squares that they are, of the fewest lanes.
const SQUARES: usize = 4;

/// Computes the one row of the part, whose B has contiguous columns: the first element, and the
/// distance to the next column.
///
/// # Safety
/// As [`Multiplication::run`](super::driver::Multiplication::run), with any first column.
#[inline(always)]
pub(super) unsafe fn multiply_row<S: Simd, E: Element>(
    simd: S,
    part: &Part<'_, E>,
    b: (*const E, usize),
) {
    simd.call(OneRow { part, b });
}

/// A part of one row.
struct OneRow<'p, 'a, E: Element> {
    part: &'p Part<'a, E>,
    b: (*const E, usize),
}

impl<E: Element> Kernel for OneRow<'_, '_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { part, b: (b, stride) } = self;
        let simd = E::Lanes::<S>::transposer(simd);
        let row = part.rows.start;
        let a = part.a.data().as_ptr().wrapping_add(row * part.a.shape().row_stride);
        let (c, c_stride) = (part.c_at(row, 0), part.c.1.1);
        let beta = if let Start::Scaled(beta) = part.start { beta } else { E::ONE };
        let mut sums = [E::ZERO; ROWS];
        let aliased = is_aliased::<E>(stride);
        let at_once = if aliased { ALIASED_ROWS } else { ROWS };
        for j in part.columns.clone().step_by(at_once) {
            let columns = at_once.min(part.columns.end - j);
            let (starts, c) = (&mut sums[..columns], c.wrapping_add(j * c_stride));
            let place = |column: usize| c.wrapping_add(column * c_stride);
            match part.start {
                Start::Zero => starts.fill(E::ZERO),
                Start::Row(start) if part.turned => starts.fill(start[row]),
                Start::Row(start) => starts.copy_from_slice(&start[j..j + columns]),
                Start::Accumulate | Start::Scaled(_) => {
                    for (column, start) in starts.iter_mut().enumerate() {
                        // SAFETY: made only by `multiply_row`, whose caller promises C.
                        *start = beta * unsafe { *place(column) };
                    }
                }
            }
            let k = part.a.columns();
            let neighbours = Columns { k, a, b: b.wrapping_add(j * stride), stride, columns };
            // SAFETY: as above, A and B.
            unsafe {
                if aliased {
                    multiply_squares::<Transposer<E, S>, ALIASED_ROWS>(simd, neighbours, &mut sums);
                } else {
                    multiply_squares::<Transposer<E, S>, ROWS>(simd, neighbours, &mut sums);
                }
            }
            for (column, &sum) in sums[..columns].iter().enumerate() {
                // SAFETY: as above, C.
                unsafe { *place(column) = sum };
            }
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

/// The last square of at least as many columns as it has lanes overlaps the one before it, so that it
/// has no gaps; both compute the same bits.
///
/// # Safety
/// A is valid for reads of k elements, B of `columns` columns of as many, at most R.
#[inline(always)]
unsafe fn multiply_squares<T: Transpose, const R: usize>(
    simd: T::Simd,
    columns: Columns<T::Element>,
    sums: &mut [T::Element; ROWS],
) {
    let Columns { k, a, b, mut stride, columns } = columns;
    let there = T::LEN.min(columns);
    let first_column = |square: usize| (square * T::LEN).min(columns - there);
    let firsts: [_; SQUARES] =
        core::array::from_fn(|square| b.wrapping_add(first_column(square) * stride));
    let mut chains = [T::splat_in(simd, T::Element::ZERO); SQUARES];
    for (square, chain) in chains.iter_mut().enumerate().take(R / T::LEN) {
        *chain = T::load(simd, &sums[first_column(square)..]);
    }
    let mut p = 0;
    if there == T::LEN {
        while p + T::LEN <= k {
            // Multiples of the distance would take more registers than there are.
            stride = unrelated(ptr::without_provenance::<u8>(stride)).addr();
            for (first, chain) in firsts.iter().zip(&mut chains).take(R / T::LEN) {
                // SAFETY: LEN columns of B from this one on, and LEN steps of k, here and in A.
                unsafe {
                    let square = T::load_transposed(simd, first.add(p), stride);
                    multiply_square(simd, a.add(p), square.as_ref(), chain);
                }
            }
            p += T::LEN;
        }
    }
    while p < k {
        let steps = T::LEN.min(k - p);
        for (first, chain) in firsts.iter().zip(&mut chains).take(columns.div_ceil(T::LEN)) {
            // SAFETY: these columns are there, and the steps are below k.
            unsafe {
                let square = T::load_transposed_some(simd, first.add(p), stride, there, steps);
                multiply_square(simd, a.add(p), &square.as_ref()[..steps], chain);
            }
        }
        p += steps;
    }
    for (square, chain) in chains.iter().enumerate().take(columns.div_ceil(T::LEN)) {
        chain.store(&mut sums[first_column(square)..]);
    }
}

/// Adds the products of the steps of a square.
///
/// # Safety
/// A is valid for reads of as many elements as there are steps.
#[inline(always)]
unsafe fn multiply_square<T: Lanes>(
    simd: T::Simd,
    a: *const T::Element,
    steps: &[T],
    chain: &mut T,
) {
    for (i, &lanes) in steps.iter().enumerate() {
        // SAFETY: as the caller promises.
        let factor = T::splat_in(simd, unsafe { *a.add(i) });
        *chain = factor.mul_add(lanes, *chain);
    }
}
