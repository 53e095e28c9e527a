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
    let done = match tiny.by_rows() {
        Ok(rows) => isa.run_fused(rows),
        Err(singles) => isa.run_fused(singles),
    };
    if done.is_none() {
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

/// Neighbouring chains.
#[derive(Clone, Copy)]
struct Chains<E> {
    /// How many there are.
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

/// A [`Tiny`] product by vectors of B's and C's rows.
pub(super) struct Rows<'t, 'a, 'c, E: Element>(Tiny<'t, 'a, 'c, E>);

/// A [`Tiny`] product element by element.
pub(super) struct Singles<'t, 'a, 'c, E: Element>(Tiny<'t, 'a, 'c, E>);

impl<'t, 'a, 'c, E: Element> Tiny<'t, 'a, 'c, E> {
    /// How it is computed. One kernel for both would have twice as many addresses to keep.
    pub(super) fn by_rows(self) -> Result<Rows<'t, 'a, 'c, E>, Singles<'t, 'a, 'c, E>> {
        let (b, c) = (self.b.shape(), self.c.shape());
        if b.column_stride == 1 && c.column_stride == 1 && c.columns > 1 {
            Ok(Rows(self))
        } else {
            Err(Singles(self))
        }
    }

    /// What the chain of C's first element begins with, if it is not 0, and the distances to the
    /// next row's and column's.
    #[inline(always)]
    fn start(&mut self) -> (*const E, usize, usize) {
        match self.start {
            Start::Zero => (core::ptr::null(), 0, 0),
            Start::Row(row) => (row.as_ptr(), 0, 1),
            Start::Accumulate | Start::Scaled(_) => {
                let c = self.c.shape();
                (self.c.data().as_ptr(), c.row_stride, c.column_stride)
            }
        }
    }
}

impl<E: Element> Kernel for Rows<'_, '_, '_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self(mut tiny) = self;
        let (a, b, c) = (tiny.a.shape(), tiny.b.shape(), tiny.c.shape());
        let (start, next_row, next_column) = tiny.start();
        let mut chains = Chains {
            count: c.rows,
            k: a.columns,
            own: (tiny.a.data().as_ptr(), a.row_stride, a.column_stride),
            shared: (tiny.b.data().as_ptr(), b.row_stride),
            c: (tiny.c.data().as_mut_ptr(), c.row_stride),
            start: (start, next_row),
        };
        let mut left = c.columns;
        while left > 0 {
            // SAFETY: the views were checked on construction and their shapes, that of the start's
            // row too, by the product: C's elements, and those of A and B that meet in them, are
            // there. Neighbours in rows of B, C and the start are neighbours in memory.
            unsafe {
                if left >= E::Lanes::<S>::LEN {
                    chains.multiply(Vectors::<E::Lanes<S>, _>(simd, All));
                } else {
                    chains.multiply(Vectors::<E::Lanes<S>, _>(simd, Fewer(left)));
                }
            }
            let lanes = E::Lanes::<S>::LEN.min(left);
            left -= lanes;
            chains.advance(lanes, lanes, lanes * next_column);
        }
    }
}

impl<E: Element> Kernel for Singles<'_, '_, '_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _simd: S) {
        let Self(mut tiny) = self;
        let (a, b, c) = (tiny.a.shape(), tiny.b.shape(), tiny.c.shape());
        let (start, next_row, next_column) = tiny.start();
        let mut chains = Chains {
            count: c.columns,
            k: a.columns,
            own: (tiny.b.data().as_ptr(), b.column_stride, b.row_stride),
            shared: (tiny.a.data().as_ptr(), a.column_stride),
            c: (tiny.c.data().as_mut_ptr(), c.column_stride),
            start: (start, next_column),
        };
        for _ in 0..c.rows {
            // SAFETY: the views were checked on construction and their shapes, that of the start's
            // row too, by the product: C's elements, and those of A and B that meet in them, are
            // there.
            unsafe { chains.multiply(Single) };
            chains.advance(a.row_stride, c.row_stride, next_row);
        }
    }
}

/// What the links of a chain are made of.
trait Links<E>: Copy {
    /// What a chain adds up to.
    type Sum: Copy;

    /// Whether twice as many chains go side by side, if there are: of single elements that takes 0.6
    /// to 0.9 of the time, of vectors as long (AMD EPYC, Zen 3).
    const MANY: bool;

    fn zero(self) -> Self::Sum;

    /// # Safety
    /// What is shared, or summed, is there.
    unsafe fn load(self, from: *const E) -> Self::Sum;

    /// own · shared + sum, fused.
    fn multiply_add(self, own: E, shared: Self::Sum, sum: Self::Sum) -> Self::Sum;

    /// # Safety
    /// There is room for a sum.
    unsafe fn store(self, sum: Self::Sum, to: *mut E);
}

/// Neighbouring elements of a row, in lanes.
struct Vectors<V: Lanes, A>(V::Simd, A);

impl<V: Lanes, A: Copy> Clone for Vectors<V, A> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<V: Lanes, A: Copy> Copy for Vectors<V, A> {}

impl<V: Lanes, A: Access> Links<V::Element> for Vectors<V, A> {
    type Sum = V;

    const MANY: bool = false;

    #[inline(always)]
    fn zero(self) -> V {
        V::splat_in(self.0, V::Element::ZERO)
    }

    #[inline(always)]
    unsafe fn load(self, from: *const V::Element) -> V {
        // SAFETY: as the caller promises.
        unsafe { self.1.load::<V>(self.0, from) }
    }

    #[inline(always)]
    fn multiply_add(self, own: V::Element, shared: V, sum: V) -> V {
        V::splat_in(self.0, own).mul_add(shared, sum)
    }

    #[inline(always)]
    unsafe fn store(self, sum: V, to: *mut V::Element) {
        // SAFETY: as the caller promises.
        unsafe { self.1.store(sum, to) }
    }
}

/// One element.
#[derive(Clone, Copy)]
struct Single;

impl<E: Element> Links<E> for Single {
    type Sum = E;

    const MANY: bool = true;

    #[inline(always)]
    fn zero(self) -> E {
        E::ZERO
    }

    #[inline(always)]
    unsafe fn load(self, from: *const E) -> E {
        // SAFETY: as the caller promises.
        unsafe { *from }
    }

    #[inline(always)]
    fn multiply_add(self, own: E, shared: E, sum: E) -> E {
        own.mul_add(shared, sum)
    }

    #[inline(always)]
    unsafe fn store(self, sum: E, to: *mut E) {
        // SAFETY: as the caller promises.
        unsafe { *to = sum }
    }
}

impl<E: Element> Chains<E> {
    /// Moves on to chains that share something else, so far from here.
    #[inline(always)]
    fn advance(&mut self, shared: usize, c: usize, start: usize) {
        self.shared.0 = self.shared.0.wrapping_add(shared);
        self.c.0 = self.c.0.wrapping_add(c);
        self.start.0 = self.start.0.wrapping_add(start);
    }

    /// # Safety
    /// All elements are there, k of each chain; those of C may be written.
    #[inline(always)]
    unsafe fn multiply<L: Links<E>>(mut self, links: L) {
        // SAFETY: as the caller promises.
        unsafe {
            while L::MANY && self.count >= 2 * CHAINS {
                self = self.multiply_some::<{ 2 * CHAINS }>(links);
            }
            while self.count >= CHAINS {
                self = self.multiply_some::<CHAINS>(links);
            }
            match self.count {
                0 => {}
                1 => _ = self.multiply_some::<1>(links),
                2 => _ = self.multiply_some::<2>(links),
                _ => _ = self.multiply_some::<3>(links),
            }
        }
    }

    /// The first N chains; returns the others.
    ///
    /// # Safety
    /// As [`Chains::multiply`], and so many are there.
    #[inline(always)]
    unsafe fn multiply_some<const N: usize>(self, links: impl Links<E>) -> Self {
        let Self { count, k, own, shared, c, start } = self;
        let mut sums = [links.zero(); N];
        // SAFETY: as the caller promises.
        unsafe {
            if !start.0.is_null() {
                for (r, sum) in sums.iter_mut().enumerate() {
                    *sum = links.load(start.0.add(r * start.1));
                }
            }
            let firsts: [_; N] = core::array::from_fn(|r| own.0.wrapping_add(r * own.1));
            for p in 0..k {
                let shared = links.load(shared.0.add(p * shared.1));
                for (sum, first) in sums.iter_mut().zip(firsts) {
                    *sum = links.multiply_add(*first.add(p * own.2), shared, *sum);
                }
            }
            for (r, sum) in sums.into_iter().enumerate() {
                links.store(sum, c.0.add(r * c.1));
            }
        }
        Self {
            count: count - N,
            k,
            own: (own.0.wrapping_add(N * own.1), own.1, own.2),
            shared,
            c: (c.0.wrapping_add(N * c.1), c.1),
            start: (start.0.wrapping_add(N * start.1), start.1),
        }
    }
}
