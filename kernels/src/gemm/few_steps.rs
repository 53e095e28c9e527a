//! So few steps of k that to write C takes as long as to multiply: the gradient of weights from a
//! small batch, and δ below a layer of few outputs.
//!
//! Rows of C are written from their first column to the last, two at a time. Tiles would go down
//! many rows in short pieces, which no prefetcher follows.

use super::access::{Access, All, Fewer};
use super::driver::Part;
use super::{Epilogue, Right, Start};
use crate::Element;
use crate::dispatch::Kernel;
use crate::lanes::{Lanes, Simd};
use crate::lockstep::each;
use core::array::from_fn;
use core::{ptr, slice};

/// The most steps, in rows that are long and in others; what to begin a row takes counts in those.
const MOST: usize = 16;
const MOST_IN_SHORT_ROWS: usize = 8;

/// Columns of a row that is long, and of one that is worth its beginning.
const LONG: usize = 256;
const LEAST: usize = 32;

/// Steps at once, and rows at once: their factors, 8 of them, stay in registers.
const STEPS: usize = 4;
const ROWS: usize = 2;

/// Rows that are finished at once, a multiple of [`ROWS`].
const FINISHED_AT_ONCE: usize = 8;

/// The most steps that are few for rows of so many columns.
#[inline(always)]
fn most_steps(columns: usize) -> usize {
    match columns {
        LONG.. => MOST,
        LEAST.. => MOST_IN_SHORT_ROWS,
        _ => 0,
    }
}

impl<E: Element> Part<'_, E> {
    /// B's first element and the distance to its next row, if there are few steps and B's and C's
    /// rows are contiguous.
    #[inline(always)]
    pub(super) fn rows_of_few_steps(&self) -> Option<(*const E, usize)> {
        match self.b {
            Right::Strided(b)
                if self.a.columns() > 0
                    && self.a.columns() <= most_steps(self.columns.len())
                    && b.shape().column_stride == 1
                    && self.c.1.1 == 1 =>
            {
                Some((b.data().as_ptr(), b.shape().row_stride))
            }
            _ => None,
        }
    }
}

/// Computes the part from the rows of B that [`Part::rows_of_few_steps`] gave.
///
/// # Safety
/// As [`Multiplication::run`](super::driver::Multiplication::run), with any first column.
#[inline(always)]
pub(super) unsafe fn multiply_few_steps<S: Simd, E: Element>(
    simd: S,
    part: &Part<'_, E>,
    b: (*const E, usize),
    epilogue: Option<&mut (dyn Epilogue<E> + '_)>,
) {
    simd.call(FewSteps { part, b, epilogue });
}

/// A product of few steps of k.
struct FewSteps<'r, 'a, 'e, E: Element> {
    part: &'r Part<'a, E>,
    /// B's first element, and the distance to its next row.
    b: (*const E, usize),
    epilogue: Option<&'r mut (dyn Epilogue<E> + 'e)>,
}

impl<E: Element> Kernel for FewSteps<'_, '_, '_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { part, b, mut epilogue } = self;
        for first in part.rows.clone().step_by(FINISHED_AT_ONCE) {
            let last = part.rows.end.min(first + FINISHED_AT_ONCE);
            for i in (first..last).step_by(ROWS) {
                let few = Few { part, b, i };
                // SAFETY: made only by `multiply_few_steps`, whose caller promises what it needs;
                // row i is the part's, and so are those after it, up to `last`.
                unsafe {
                    if last - i >= ROWS {
                        few.multiply::<E::Lanes<S>, ROWS>(simd);
                    } else {
                        few.multiply::<E::Lanes<S>, 1>(simd);
                    }
                }
            }
            if let Some(epilogue) = &mut epilogue {
                // SAFETY: C is ours for as long as this runs, and neither rows nor columns are 0.
                unsafe { part.finish(&mut **epilogue, first..last, part.columns.clone()) };
            }
        }
    }
}

/// Some rows of C, from row `i` on.
#[derive(Clone, Copy)]
struct Few<'r, 'a, E: Element> {
    part: &'r Part<'a, E>,
    /// B's first element, and the distance to its next row.
    b: (*const E, usize),
    i: usize,
}

impl<E: Element> Few<'_, '_, E> {
    /// Computes `R` rows.
    ///
    /// # Safety
    /// As [`multiply_few_steps`].
    #[inline(always)]
    unsafe fn multiply<V: Lanes<Element = E>, const R: usize>(self, simd: V::Simd) {
        let Self { part, i, .. } = self;
        let (columns, k) = (part.columns.clone(), part.a.columns());
        let own = |r: usize| part.c_at(i + r, columns.start);
        // What the chains begin with: nothing, C, or a row for all.
        let mut from = [ptr::null(); R];
        for (r, from) in from.iter_mut().enumerate() {
            let row_of_c = || {
                // SAFETY: the row is the part's, its elements are contiguous, and nobody else
                // touches them.
                unsafe { slice::from_raw_parts_mut(own(r), columns.len()) }
            };
            *from = own(r).cast_const();
            match part.start {
                Start::Accumulate => {}
                Start::Zero => *from = ptr::null(),
                Start::Scaled(beta) => row_of_c().iter_mut().for_each(|c| *c = beta * *c),
                Start::Row(row) if part.turned => row_of_c().fill(row[i + r]),
                Start::Row(row) => *from = row.as_ptr().wrapping_add(columns.start),
            }
        }
        let to = from_fn(own);
        let mut p = 0;
        while p < k {
            let walk = Walk { few: self, p, from, to };
            // SAFETY: as the caller promises; these steps are below k.
            unsafe {
                p += match (k - p, from[0].is_null()) {
                    (1, true) => walk.add::<V, 1, true>(simd),
                    (1, false) => walk.add::<V, 1, false>(simd),
                    (2 | 3, true) => walk.add::<V, 2, true>(simd),
                    (2 | 3, false) => walk.add::<V, 2, false>(simd),
                    (_, true) => walk.add::<V, STEPS, true>(simd),
                    (_, false) => walk.add::<V, STEPS, false>(simd),
                };
            }
            from = to.map(<*mut E>::cast_const);
        }
    }
}

/// A walk along some rows, from step `p` on.
struct Walk<'r, 'a, E: Element, const R: usize> {
    few: Few<'r, 'a, E>,
    p: usize,
    /// What the chains go on from.
    from: [*const E; R],
    to: [*mut E; R],
}

impl<E: Element, const R: usize> Walk<'_, '_, E, R> {
    /// Adds `K` steps, to nothing if it `BEGINS`, and returns K.
    ///
    /// # Safety
    /// As [`multiply_few_steps`]; as many elements as the part has columns can be read `from`
    /// there, unless it begins.
    #[inline(always)]
    unsafe fn add<V: Lanes<Element = E>, const K: usize, const BEGINS: bool>(
        &self,
        simd: V::Simd,
    ) -> usize {
        let Few { part, b: (b, b_stride), i } = self.few;
        let zero = V::splat_in(simd, E::ZERO);
        let (a, count) = (part.a.shape(), part.columns.len());
        let a_first = part.a.data().as_ptr();
        let mut factors = [[zero; R]; K];
        for (q, factors) in factors.iter_mut().enumerate() {
            for (r, factor) in factors.iter_mut().enumerate() {
                let at = (i + r) * a.row_stride + (self.p + q) * a.column_stride;
                // SAFETY: A has this row and step.
                *factor = zero.splat(part.alpha * unsafe { *a_first.add(at) });
            }
        }
        let b = (b.wrapping_add(self.p * b_stride + part.columns.start), b_stride);
        let mut j = 0;
        // SAFETY: there are as many elements from each place on, in C, B, and what the chains go on
        // from.
        unsafe {
            while count - j >= V::LEN {
                self.register::<V, K, BEGINS>(&factors, b, j, All);
                j += V::LEN;
            }
            if j < count {
                self.register::<V, K, BEGINS>(&factors, b, j, Fewer(count - j));
            }
        }
        K
    }

    /// A register of each row, from place `j` on.
    ///
    /// # Safety
    /// As [`Walk::add`]; what is accessed is there.
    #[inline(always)]
    unsafe fn register<V: Lanes<Element = E>, const K: usize, const BEGINS: bool>(
        &self,
        factors: &[[V; R]; K],
        (b, b_stride): (*const E, usize),
        j: usize,
        access: impl Access,
    ) {
        let simd = factors[0][0].simd();
        let zero = V::splat_in(simd, E::ZERO);
        // SAFETY: as the caller promises.
        unsafe {
            let mut sums = each!(r < R, zero => {
                if BEGINS { zero } else { access.load(simd, self.from[r].add(j)) }
            });
            let mut q = 0;
            while q < K {
                let row: V = access.load(simd, b.add(q * b_stride + j));
                sums = each!(r < R, zero => factors[q][r].mul_add(row, sums[r]));
                q += 1;
            }
            let mut r = 0;
            while r < R {
                access.store(sums[r], self.to[r].add(j));
                r += 1;
            }
        }
    }
}
