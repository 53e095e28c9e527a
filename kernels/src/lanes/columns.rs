//! Narrow rows as columns, a lane a row.
//!
//! What is large is compiled once for all kernels that have such rows, and called.

use super::{Lanes, Simd};
use crate::Element;
use crate::dispatch::Kernel;

/// The most elements of a narrow row.
const MOST: usize = 16;

/// A matrix with at most 16 columns and as many rows as a register has lanes, transposed: the
/// element of row i and column j is `[j][i]`.
pub(crate) type Columns<E> = [[E; MOST]; MOST];

/// Reads rows of `columns` elements, at most LEN rows, one after another: `to[j][i]` gets the
/// element j of row i. What has no row in `to[j]`'s first LEN elements becomes +0.
#[inline(always)]
pub(crate) fn load<S: Simd, E: Element>(simd: S, from: &[E], columns: usize, to: &mut Columns<E>) {
    simd.call(Load { from, columns, to });
}

struct Load<'a, E> {
    from: &'a [E],
    columns: usize,
    to: &'a mut Columns<E>,
}

impl<E: Element> Kernel for Load<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { from, columns, to } = self;
        let len = E::Lanes::<S>::LEN;
        assert!((1..=MOST).contains(&columns) && from.len() <= columns * len);
        let rows = from.len() / columns;
        for start in (0..columns).step_by(len) {
            let count = len.min(columns - start);
            // SAFETY: there are `rows` ≤ LEN rows of `columns` elements, and the elements from
            // `start` on are `count` at least; `to` has 16 rows of 16 ≥ LEN elements, and start +
            // count is at most 16.
            unsafe {
                let from = from.as_ptr().add(start);
                let to = to.as_mut_ptr().add(start).cast();
                E::Lanes::<S>::transpose_ptr(simd, (from, columns), rows, count, (to, MOST));
            }
        }
    }
}

/// [`load`] of LEN rows in a buffer that goes on behind them, so that whole squares can be read.
/// What is in `to[j]` for j ≥ `columns` means nothing.
///
/// It is so little that it is not called.
#[inline(always)]
pub(crate) fn load_buffered<S: Simd, E: Element>(
    simd: S,
    from: &[E; MOST * MOST],
    columns: usize,
    to: &mut Columns<E>,
) {
    let len = E::Lanes::<S>::LEN;
    assert!((1..=MOST).contains(&columns));
    for start in (0..columns).step_by(len) {
        // SAFETY: LEN divides 16, so start + LEN ≤ 16, and the last element that is read is number
        // 15 · columns + 15 at most, below 256; `to` has 16 rows of 16 ≥ LEN elements.
        unsafe {
            let from = from.as_ptr().add(start);
            let to = to.as_mut_ptr().add(start).cast();
            E::Lanes::<S>::transpose_ptr(simd, (from, columns), len, len, (to, MOST));
        }
    }
}

/// Writes rows of `columns` elements, at most LEN rows, one after another: the element j of row i
/// is `from[j][i]`. The matrix `room` is overwritten.
#[inline(always)]
pub(crate) fn store<S: Simd, E: Element>(
    simd: S,
    from: &Columns<E>,
    columns: usize,
    to: &mut [E],
    room: &mut Columns<E>,
) {
    simd.call(Store { from, columns, to, room });
}

struct Store<'a, E> {
    from: &'a Columns<E>,
    columns: usize,
    to: &'a mut [E],
    room: &'a mut Columns<E>,
}

impl<E: Element> Kernel for Store<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { from, columns, to, room } = self;
        let len = E::Lanes::<S>::LEN;
        assert!((1..=MOST).contains(&columns) && to.len() <= columns * len);
        let rows = to.len() / columns;
        for start in (0..columns).step_by(len) {
            let count = len.min(columns - start);
            // SAFETY: `from` has 16 ≥ start + count rows of 16 ≥ `rows` elements; each of the
            // `rows` ≤ LEN rows of `room` has LEN elements from `start` on, for LEN divides 16.
            unsafe {
                let from = from.as_ptr().add(start).cast();
                let to = room.as_mut_ptr().cast::<E>().add(start);
                E::Lanes::<S>::transpose_ptr(simd, (from, MOST), count, rows, (to, MOST));
            }
        }
        for (i, row) in room.iter().enumerate().take(rows) {
            // What a whole store puts behind its row is overwritten by the next one.
            match to[i * columns..].as_chunks_mut::<MOST>().0.first_mut() {
                Some(whole) => {
                    for (to, row) in whole.chunks_mut(len).zip(row.chunks(len)) {
                        E::Lanes::load(simd, row).store(to);
                    }
                }
                None => to[i * columns..(i + 1) * columns].copy_from_slice(&row[..columns]),
            }
        }
    }
}
