//! Sums of neighbours, pairwise.

use crate::Element;

/// What a [`Tree`] adds.
pub(super) trait Addend: Copy {
    fn plus(self, other: Self) -> Self;
}

impl<E: Element> Addend for E {
    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        self + other
    }
}

impl<T: Addend, const N: usize> Addend for [T; N] {
    #[inline(always)]
    fn plus(mut self, other: Self) -> Self {
        for (sum, other) in self.iter_mut().zip(other) {
            *sum = sum.plus(other);
        }
        self
    }
}

/// Neighbours added pairwise, as the carries of a binary counter: `waiting[k]` is the sum of 2ᵏ
/// neighbours.
pub(super) struct Tree<T, const LEVELS: usize> {
    waiting: [T; LEVELS],
    /// How many were pushed.
    pub(super) pushed: usize,
}

impl<T: Addend, const LEVELS: usize> Tree<T, LEVELS> {
    #[inline(always)]
    pub(super) fn new(zero: T) -> Self {
        Self { waiting: [zero; LEVELS], pushed: 0 }
    }

    #[inline(always)]
    pub(super) fn push(&mut self, mut sum: T) {
        let levels = self.pushed.trailing_ones() as usize;
        for &left in &self.waiting[..levels] {
            sum = left.plus(sum);
        }
        self.waiting[levels] = sum;
        self.pushed += 1;
    }

    /// What waits, the shortest and last first; level 0 if nothing was pushed.
    #[inline(always)]
    pub(super) fn total(&self) -> T {
        let mut total = self.waiting[self.pushed.trailing_zeros() as usize % LEVELS];
        // Without the lowest level, which may be none.
        let mut levels = self.pushed & self.pushed.wrapping_sub(1);
        while levels != 0 {
            total = self.waiting[levels.trailing_zeros() as usize % LEVELS].plus(total);
            levels &= levels - 1;
        }
        total
    }
}

/// The first `count` of `pieces`, a power of two, neighbours first.
#[inline(always)]
pub(super) fn pairwise<T: Addend, const N: usize>(mut pieces: [T; N], mut count: usize) -> T {
    while count > 1 {
        count /= 2;
        for i in 0..count {
            pieces[i] = pieces[2 * i].plus(pieces[2 * i + 1]);
        }
    }
    pieces[0]
}
