//! Products that are over before another way would have been set up.
//!
//! A few chains go side by side, to hide the latency of a multiply-add. Of one operand each has
//! elements of its own, those of the other they share: rows of C share vectors of B where both
//! have contiguous rows, and columns of C share single elements of A otherwise.

use super::{Gemm, Right, Start};
use crate::dispatch::Kernel;
use crate::lanes::{Lanes, Simd};
use crate::{Element, Isa, MatMut, MatRef};

/// The most multiply-adds.
const MOST: usize = 512;

/// Chains side by side.
const CHAINS: usize = 4;

/// Computes the product, if it is tiny and B is not packed; returns whether it was. The shapes
/// have been checked.
pub(super) fn run<E: Element>(isa: Isa, gemm: &mut Gemm<'_, E>) -> bool {
    let (m, n, k) = (gemm.c.rows(), gemm.c.columns(), gemm.a.columns());
    let Right::Strided(b) = gemm.b else { return false };
    if m.saturating_mul(n).saturating_mul(k.max(1)) > MOST {
        return false;
    }
    let Gemm { a, c, alpha, start, epilogue, .. } = gemm;
    let tiny = Tiny { a: *a, b, c: c.reborrow(), alpha: *alpha, start: *start };
    if isa.run_fused(tiny).is_none() {
        return false;
    }
    if let Some(epilogue) = epilogue {
        epilogue.finish(isa, 0, 0, c.reborrow());
    }
    true
}

pub(super) struct Tiny<'a, 'c, E: Element> {
    pub(super) a: MatRef<'a, E>,
    pub(super) b: MatRef<'a, E>,
    pub(super) c: MatMut<'c, E>,
    pub(super) alpha: E,
    pub(super) start: Start<'a, E>,
}

/// Neighbouring chains: how many there are, the k elements of each, and what they begin with.
struct Chains<E> {
    count: usize,
    /// The first chain's first element, and the distances to the next chain's and to the next.
    own: (*const E, usize, usize),
    /// What all share, and the distance to the next.
    shared: (*const E, usize),
    /// What elements of the one and of the other are multiplied by.
    factors: (E, E),
    /// The first chain's place in C, and the distance to the next chain's.
    c: (*mut E, usize),
    /// What the first chain begins with, if it is not 0, the distance to the next chain's, and
    /// what it is multiplied by.
    start: (*const E, usize, E),
}

impl<E: Element> Kernel for Tiny<'_, '_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let (a, b, c) = (self.a.shape(), self.b.shape(), self.c.shape());
        let (a_first, b_first) = (self.a.data().as_ptr(), self.b.data().as_ptr());
        let c_first = self.c.data().as_mut_ptr();
        let by_rows = b.column_stride == 1 && c.column_stride == 1 && c.columns > 1;
        // Where the chain of C's (i, j) begins.
        let start = |i: usize, j: usize| match self.start {
            Start::Zero => (core::ptr::null(), (0, 0), E::ONE),
            Start::Row(row) => (row.as_ptr().wrapping_add(j), (0, 1), E::ONE),
            Start::Accumulate | Start::Scaled(_) => {
                let place = c_first.wrapping_add(i * c.row_stride + j * c.column_stride);
                let beta = if let Start::Scaled(beta) = self.start { beta } else { E::ONE };
                (place.cast_const(), (c.row_stride, c.column_stride), beta)
            }
        };
        // SAFETY: the views were checked on construction and their shapes, that of the start's row
        // too, by the product: C's elements, and those of A and B that meet in them, are there.
        unsafe {
            if by_rows {
                let mut j = 0;
                while j < c.columns {
                    let lanes = E::Lanes::<S>::LEN.min(c.columns - j);
                    let (first, (next_row, _), beta) = start(0, j);
                    let chains = Chains {
                        count: c.rows,
                        own: (a_first, a.row_stride, a.column_stride),
                        shared: (b_first.wrapping_add(j), b.row_stride),
                        factors: (self.alpha, E::ONE),
                        c: (c_first.wrapping_add(j), c.row_stride),
                        start: (first, next_row, beta),
                    };
                    chains.multiply(Shared::<E::Lanes<S>, true> { simd, lanes }, a.columns);
                    j += lanes;
                }
                return;
            }
            for i in 0..c.rows {
                let (first, (_, next_column), beta) = start(i, 0);
                let chains = Chains {
                    count: c.columns,
                    own: (b_first, b.column_stride, b.row_stride),
                    shared: (a_first.wrapping_add(i * a.row_stride), a.column_stride),
                    factors: (E::ONE, self.alpha),
                    c: (c_first.wrapping_add(i * c.row_stride), c.column_stride),
                    start: (first, next_column, beta),
                };
                chains.multiply(Shared::<E::Lanes<S>, false> { simd, lanes: 1 }, a.columns);
            }
        }
    }
}

/// Elements that the chains share: so many neighbours, or where not `VECTOR` the same one in all
/// lanes, which costs less than to mask all but one.
#[derive(Clone, Copy)]
struct Shared<V: Lanes, const VECTOR: bool> {
    simd: V::Simd,
    lanes: usize,
}

impl<V: Lanes, const VECTOR: bool> Shared<V, VECTOR> {
    /// # Safety
    /// There are as many elements from here on.
    #[inline(always)]
    unsafe fn load(self, from: *const V::Element) -> V {
        // SAFETY: as the caller promises; there are at most as many as lanes.
        unsafe {
            if VECTOR {
                V::load_ptr_partial(self.simd, from, self.lanes)
            } else {
                V::splat_in(self.simd, *from)
            }
        }
    }

    /// # Safety
    /// There is room for as many elements from here on.
    #[inline(always)]
    unsafe fn store(self, lanes: V, to: *mut V::Element) {
        // SAFETY: as for the load.
        unsafe {
            if VECTOR {
                lanes.store_ptr_partial(to, self.lanes);
            } else {
                *to = lanes.first();
            }
        }
    }
}

impl<E: Element> Chains<E> {
    /// # Safety
    /// All elements are there, k of each chain; those of C may be written.
    #[inline(always)]
    unsafe fn multiply<V: Lanes<Element = E>, const VECTOR: bool>(
        self,
        shared: Shared<V, VECTOR>,
        k: usize,
    ) {
        let zero = V::splat_in(shared.simd, E::ZERO);
        let (own_factor, shared_factor) = (self.factors.0, zero.splat(self.factors.1));
        for first in (0..self.count).step_by(CHAINS) {
            // What is left over at the end goes along with its last chain more than once.
            let last = (self.count - first).min(CHAINS) - 1;
            let chain = |r: usize| first + r.min(last);
            let mut sums = [zero; CHAINS];
            // SAFETY: as the caller promises.
            unsafe {
                let (start, next, beta) = self.start;
                if !start.is_null() {
                    for (r, sum) in sums.iter_mut().enumerate() {
                        *sum = zero.splat(beta) * shared.load(start.add(chain(r) * next));
                    }
                }
                let own: [_; CHAINS] =
                    core::array::from_fn(|r| self.own.0.add(chain(r) * self.own.1));
                for p in 0..k {
                    let lanes = shared.load(self.shared.0.add(p * self.shared.1)) * shared_factor;
                    for (sum, own) in sums.iter_mut().zip(own) {
                        let own = zero.splat(own_factor * *own.add(p * self.own.2));
                        *sum = own.mul_add(lanes, *sum);
                    }
                }
                for (r, sum) in sums.into_iter().enumerate() {
                    shared.store(sum, self.c.0.add(chain(r) * self.c.1));
                }
            }
        }
    }
}
