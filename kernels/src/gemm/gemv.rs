//! A row, or up to four, times a matrix whose columns are contiguous: x Wᵀ of a single input.
//!
//! Lanes run across columns, so W has to be transposed. It is used so few times that this is done
//! in registers: a square of it is loaded, transposed, and multiplied at once.

use super::Start;
use super::blocking::is_aliased;
use super::driver::Part;
use super::micro_kernel::unrelated;
use crate::Element;
use crate::dispatch::Kernel;
use crate::lanes::{Lanes, Simd, Transpose, Transposer};
use core::{array, ptr};

/// The most rows of x that a square meets: of more, their chains take registers that it needs.
const MOST_ROWS: usize = 4;

/// The most rows that squares of these lanes meet: of four lanes, there are two at least.
#[inline(always)]
pub(super) fn most_rows<T: Transpose>() -> usize {
    MOST_ROWS.min(T::LEN - 1)
}

/// With fewer steps than this, packing B is faster for more rows than one.
pub(super) const LEAST_STEPS: usize = 16;

/// Rows of W side by side, in squares with a chain of its own in every lane. Two squares of f32 do
/// not quite hide the latency of a multiply-add, but four read so many rows of W at once that they
/// take 1.4 to 1.7 times as long wherever W lies, and more where rows share sets of the L1 cache.
const AT_ONCE: usize = 16;

/// Of rows that share a set of the L1 cache, it keeps no more; and the chains of more than
/// [`WIDE_ROWS`] rows of x hide the latency without a second square.
const FEWER_AT_ONCE: usize = 8;
const WIDE_ROWS: usize = 2;

/// The most squares that they are, of the fewest lanes.
const SQUARES: usize = 4;

/// Computes a part of at most [`MOST_ROWS`] rows, whose B has contiguous columns: the first
/// element, and the distance to the next column.
///
/// # Safety
/// As [`Multiplication::run`](super::driver::Multiplication::run), with any first column.
#[inline(always)]
pub(super) unsafe fn multiply_rows<S: Simd, E: Element>(
    simd: S,
    part: &Part<'_, E>,
    b: (*const E, usize),
) {
    match part.rows.len() {
        1 => simd.call(Rows::<E, 1> { part, b }),
        2 => simd.call(Rows::<E, 2> { part, b }),
        3 => simd.call(Rows::<E, 3> { part, b }),
        _ => simd.call(Rows::<E, MOST_ROWS> { part, b }),
    }
}

/// A part of R rows.
struct Rows<'p, 'a, E: Element, const R: usize> {
    part: &'p Part<'a, E>,
    b: (*const E, usize),
}

impl<E: Element, const R: usize> Kernel for Rows<'_, '_, E, R> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let simd = E::Lanes::<S>::transposer(simd);
        let fewer = R > WIDE_ROWS || is_aliased::<E>(self.b.1);
        let at_once = if fewer { FEWER_AT_ONCE } else { AT_ONCE };
        for j in self.part.columns.clone().step_by(at_once) {
            // SAFETY: made only by `multiply_rows`, whose caller promises A, B and C; the column is
            // the part's.
            unsafe {
                if fewer {
                    self.multiply::<Transposer<E, S>, FEWER_AT_ONCE>(simd, j);
                } else {
                    self.multiply::<Transposer<E, S>, AT_ONCE>(simd, j);
                }
            }
        }
    }
}

impl<E: Element, const R: usize> Rows<'_, '_, E, R> {
    /// Computes up to N columns, from the part's column `j` on.
    ///
    /// # Safety
    /// As [`multiply_rows`].
    #[inline(always)]
    unsafe fn multiply<T: Transpose<Element = E>, const N: usize>(&self, simd: T::Simd, j: usize) {
        let &Self { part, b: (b, stride) } = self;
        let (first, columns) = (part.rows.start, N.min(part.columns.end - j));
        let beta = if let Start::Scaled(beta) = part.start { beta } else { E::ONE };
        let mut sums = [[E::ZERO; N]; R];
        for (r, sums) in sums.iter_mut().enumerate() {
            match part.start {
                Start::Zero => {}
                Start::Row(start) if part.turned => *sums = [start[first + r]; N],
                Start::Row(start) => match start[j..j + columns].first_chunk() {
                    Some(all) => *sums = *all,
                    None => sums[..columns].copy_from_slice(&start[j..j + columns]),
                },
                Start::Accumulate | Start::Scaled(_) => {
                    for (column, sum) in sums[..columns].iter_mut().enumerate() {
                        // SAFETY: as the caller promises.
                        *sum = beta * unsafe { *part.c_at(first + r, j + column) };
                    }
                }
            }
        }
        let a = array::from_fn(|r| {
            part.a.data().as_ptr().wrapping_add((first + r) * part.a.shape().row_stride)
        });
        let k = part.a.columns();
        let neighbours = Columns { k, a, b: b.wrapping_add(j * stride), stride, columns };
        // SAFETY: as the caller promises.
        unsafe { neighbours.multiply::<T, N>(simd, &mut sums) };
        for (r, sums) in sums.iter().enumerate() {
            // SAFETY: as the caller promises.
            unsafe {
                if columns == N && part.c.1.1 == 1 {
                    part.c_at(first + r, j).cast::<[E; N]>().write_unaligned(*sums);
                } else {
                    for (column, &sum) in sums[..columns].iter().enumerate() {
                        *part.c_at(first + r, j + column) = sum;
                    }
                }
            }
        }
    }
}

/// Neighbouring columns of B, and the rows that they are multiplied with.
#[derive(Clone, Copy)]
struct Columns<E, const R: usize> {
    k: usize,
    a: [*const E; R],
    b: *const E,
    /// The distance to the next column.
    stride: usize,
    /// How many there are.
    columns: usize,
}

impl<E: Element, const R: usize> Columns<E, R> {
    /// The last square of at least as many columns as it has lanes overlaps the one before it, so
    /// that it has no gaps; both compute the same bits.
    ///
    /// # Safety
    /// A is valid for reads of R rows of k elements, B of `columns` columns of as many, at most N.
    #[inline(always)]
    unsafe fn multiply<T: Transpose<Element = E>, const N: usize>(
        self,
        simd: T::Simd,
        sums: &mut [[E; N]; R],
    ) {
        let Self { k, a, b, mut stride, columns } = self;
        let there = T::LEN.min(columns);
        let first_column = |square: usize| (square * T::LEN).min(columns - there);
        let firsts: [_; SQUARES] =
            array::from_fn(|square| b.wrapping_add(first_column(square) * stride));
        let mut chains = [[T::splat_in(simd, E::ZERO); R]; SQUARES];
        for (square, chains) in chains.iter_mut().enumerate().take(N / T::LEN) {
            for (chain, sums) in chains.iter_mut().zip(&*sums) {
                *chain = T::load(simd, &sums[first_column(square)..]);
            }
        }
        let mut p = 0;
        if there == T::LEN {
            while p + T::LEN <= k {
                // Multiples of the distance would take more registers than there are.
                stride = unrelated(ptr::without_provenance::<u8>(stride)).addr();
                for (first, chains) in firsts.iter().zip(&mut chains).take(N / T::LEN) {
                    // SAFETY: LEN columns of B from this one on, and LEN steps of k, here and in A.
                    unsafe {
                        let square = T::load_transposed(simd, first.add(p), stride);
                        multiply_square(simd, a.map(|a| a.add(p)), square.as_ref(), chains);
                    }
                }
                p += T::LEN;
            }
        }
        while p < k {
            let steps = T::LEN.min(k - p);
            for (first, chains) in firsts.iter().zip(&mut chains).take(columns.div_ceil(T::LEN)) {
                // SAFETY: these columns are there, and the steps are below k.
                unsafe {
                    let square = T::load_transposed_some(simd, first.add(p), stride, there, steps);
                    multiply_square(simd, a.map(|a| a.add(p)), &square.as_ref()[..steps], chains);
                }
            }
            p += steps;
        }
        for (square, chains) in chains.iter().enumerate().take(columns.div_ceil(T::LEN)) {
            for (chain, sums) in chains.iter().zip(&mut *sums) {
                chain.store(&mut sums[first_column(square)..]);
            }
        }
    }
}

/// Adds the products of the steps of a square.
///
/// # Safety
/// A is valid for reads of as many elements of each row as there are steps.
#[inline(always)]
unsafe fn multiply_square<T: Lanes, const R: usize>(
    simd: T::Simd,
    a: [*const T::Element; R],
    steps: &[T],
    chains: &mut [T; R],
) {
    for (i, &lanes) in steps.iter().enumerate() {
        for (a, chain) in a.iter().zip(&mut *chains) {
            // SAFETY: as the caller promises.
            let factor = T::splat_in(simd, unsafe { *a.add(i) });
            *chain = factor.mul_add(lanes, *chain);
        }
    }
}
