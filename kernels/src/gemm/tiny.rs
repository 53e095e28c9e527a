//! Products that are over before another way would have been set up.
//!
//! A few chains go side by side, to hide the latency of a multiply-add. Of one operand each has
//! elements of its own, those of the other they share: rows of C share vectors of B where both
//! have contiguous rows, and columns of C share single elements of A otherwise.

use super::access::{Access, All, Fewer};
use super::{Gemm, Right, Start};
use crate::dispatch::Kernel;
use crate::lanes::{Lanes, Simd};
use crate::{Element, Isa, MatMut, MatRef};

/// The most multiply-adds.
const MOST: usize = 512;

/// Chains side by side.
const CHAINS: usize = 4;

/// Computes the product, if it is tiny, B is not packed, and neither α nor β is a factor; returns
/// whether it was. The shapes have been checked.
pub(super) fn run<E: Element>(isa: Isa, gemm: &mut Gemm<'_, E>) -> bool {
    let (m, n, k) = (gemm.c.rows(), gemm.c.columns(), gemm.a.columns());
    if m.saturating_mul(n).saturating_mul(k.max(1)) > MOST || gemm.alpha != E::ONE {
        return false;
    }
    let (Right::Strided(b), false) = (&gemm.b, matches!(gemm.start, Start::Scaled(_))) else {
        return false;
    };
    let tiny = Tiny { a: &gemm.a, b, c: &mut gemm.c, start: &gemm.start };
    if isa.run_fused(tiny).is_none() {
        return false;
    }
    if let Some(epilogue) = &mut gemm.epilogue {
        epilogue.finish(isa, 0, 0, gemm.c.reborrow());
    }
    true
}

/// Nothing is copied: what has just been written in small pieces would be waited for, if it were
/// read in larger ones.
pub(super) struct Tiny<'t, 'a, 'c, E: Element> {
    pub(super) a: &'t MatRef<'a, E>,
    pub(super) b: &'t MatRef<'a, E>,
    pub(super) c: &'t mut MatMut<'c, E>,
    /// Not [`Start::Scaled`].
    pub(super) start: &'t Start<'a, E>,
}

/// Neighbouring chains: how many there are, the elements of each, and what they begin with.
struct Chains<E> {
    count: usize,
    /// How long each is.
    k: usize,
    /// The first chain's first element, and the distances to the next chain's and to the next.
    own: (*const E, usize, usize),
    /// What all share, and the distance to the next.
    shared: (*const E, usize),
    /// The first chain's place in C, and the distance to the next chain's.
    c: (*mut E, usize),
    /// What the first chain begins with, if it is not 0, and the distance to the next chain's.
    start: (*const E, usize),
}

impl<E: Element> Kernel for Tiny<'_, '_, '_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let (a, b, c) = (self.a.shape(), self.b.shape(), self.c.shape());
        let (a_first, b_first) = (self.a.data().as_ptr(), self.b.data().as_ptr());
        let c_first = self.c.data().as_mut_ptr();
        let k = a.columns;
        let by_rows = b.column_stride == 1 && c.column_stride == 1 && c.columns > 1;
        // Where the chain of C's (i, j) begins.
        let start = |i: usize, j: usize| match self.start {
            Start::Zero => (core::ptr::null(), (0, 0)),
            Start::Row(row) => (row.as_ptr().wrapping_add(j), (0, 1)),
            Start::Accumulate | Start::Scaled(_) => {
                let place = c_first.wrapping_add(i * c.row_stride + j * c.column_stride);
                (place.cast_const(), (c.row_stride, c.column_stride))
            }
        };
        // SAFETY: the views were checked on construction and their shapes, that of the start's row
        // too, by the product: C's elements, and those of A and B that meet in them, are there.
        unsafe {
            if by_rows {
                for j in (0..c.columns).step_by(E::Lanes::<S>::LEN) {
                    let (first, (next_row, _)) = start(0, j);
                    let chains = Chains {
                        count: c.rows,
                        k,
                        own: (a_first, a.row_stride, a.column_stride),
                        shared: (b_first.wrapping_add(j), b.row_stride),
                        c: (c_first.wrapping_add(j), c.row_stride),
                        start: (first, next_row),
                    };
                    let lanes = c.columns - j;
                    if lanes >= E::Lanes::<S>::LEN {
                        chains.multiply::<E::Lanes<S>, _>(simd, All);
                    } else {
                        chains.multiply::<E::Lanes<S>, _>(simd, Fewer(lanes));
                    }
                }
                return;
            }
            for i in 0..c.rows {
                let (first, (_, next_column)) = start(i, 0);
                let chains = Chains {
                    count: c.columns,
                    k,
                    own: (b_first, b.column_stride, b.row_stride),
                    shared: (a_first.wrapping_add(i * a.row_stride), a.column_stride),
                    c: (c_first.wrapping_add(i * c.row_stride), c.column_stride),
                    start: (first, next_column),
                };
                chains.multiply::<E::Lanes<S>, _>(simd, Same);
            }
        }
    }
}

/// The same element in all lanes, which costs less than to mask all but one.
#[derive(Clone, Copy)]
struct Same;

impl Access for Same {
    #[inline(always)]
    unsafe fn load<V: Lanes>(self, simd: V::Simd, from: *const V::Element) -> V {
        // SAFETY: as the caller promises.
        V::splat_in(simd, unsafe { *from })
    }

    #[inline(always)]
    unsafe fn store<V: Lanes>(self, lanes: V, to: *mut V::Element) {
        // SAFETY: as the caller promises.
        unsafe { *to = lanes.first() }
    }
}

impl<E: Element> Chains<E> {
    /// # Safety
    /// All elements are there, k of each chain; those of C may be written.
    #[inline(always)]
    unsafe fn multiply<V: Lanes<Element = E>, A: Access>(self, simd: V::Simd, access: A) {
        let mut first = 0;
        while first < self.count {
            // SAFETY: as the caller promises.
            first += unsafe {
                match self.count - first {
                    1 => self.multiply_some::<V, A, 1>(simd, first, access),
                    2 | 3 => self.multiply_some::<V, A, 2>(simd, first, access),
                    _ => self.multiply_some::<V, A, CHAINS>(simd, first, access),
                }
            };
        }
    }

    /// N chains from `first` on; returns N.
    ///
    /// # Safety
    /// As [`Chains::multiply`], and so many are there.
    #[inline(always)]
    unsafe fn multiply_some<V: Lanes<Element = E>, A: Access, const N: usize>(
        &self,
        simd: V::Simd,
        first: usize,
        access: A,
    ) -> usize {
        let mut sums = [V::splat_in(simd, E::ZERO); N];
        // SAFETY: as the caller promises.
        unsafe {
            let (start, next) = self.start;
            if !start.is_null() {
                for (r, sum) in sums.iter_mut().enumerate() {
                    *sum = access.load::<V>(simd, start.add((first + r) * next));
                }
            }
            let own: [_; N] = core::array::from_fn(|r| self.own.0.add((first + r) * self.own.1));
            for p in 0..self.k {
                let lanes = access.load::<V>(simd, self.shared.0.add(p * self.shared.1));
                for (sum, own) in sums.iter_mut().zip(own) {
                    let own = V::splat_in(simd, *own.add(p * self.own.2));
                    *sum = own.mul_add(lanes, *sum);
                }
            }
            for (r, sum) in sums.into_iter().enumerate() {
                access.store(sum, self.c.0.add((first + r) * self.c.1));
            }
        }
        N
    }
}
