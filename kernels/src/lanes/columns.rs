//! Narrow rows as columns, a lane a row.
//!
//! Loops over columns are short, and what they do with a register waits for itself: so a group of
//! registers goes through them together where there are rows enough.

use super::{Lanes, Simd, Transpose};
use crate::Element;
use crate::lockstep::LINE;
use core::ops::Range;

/// The most elements of a narrow row.
const MOST: usize = 16;

/// A matrix with at most 16 columns and as many rows as there are lanes: the element of row i and
/// column j is lane i of `[j]`.
pub(crate) type Columns<V> = [V; MOST];

/// What is done with narrow rows.
pub(crate) trait NarrowRows<E: Element> {
    /// Does it with these rows, `V::LEN` together.
    fn run<V: Lanes<Element = E>>(&mut self, simd: V::Simd, rows: Range<usize>);
}

/// Does it with the first `rows` rows: with a group's lanes as long as there are so many rows, and
/// with a register's for the rest.
#[inline(always)]
pub(crate) fn run_narrow<S: Simd, E: Element>(
    simd: S,
    rows: usize,
    mut narrow: impl NarrowRows<E>,
) {
    let len = <E::Lanes<S> as Lanes>::Group::LEN;
    // Where a group is one register there is but one way.
    let grouped = if len > E::Lanes::<S>::LEN { rows - rows % len } else { 0 };
    if grouped > 0 {
        narrow.run::<<E::Lanes<S> as Lanes>::Group>(simd, 0..grouped);
    }
    if grouped < rows {
        narrow.run::<E::Lanes<S>>(simd, grouped..rows);
    }
}

/// Reads LEN rows of `columns` elements, one after another, or as many as there are in `from`. What
/// is there for a row that does not exist means nothing; columns that do not exist stay as they are,
/// or become +0.
#[inline(always)]
pub(crate) fn load<V: Lanes>(
    simd: V::Simd,
    from: &[V::Element],
    columns: usize,
    to: &mut Columns<V>,
) {
    ask_for_next::<V>(simd, from, columns);
    let mut room;
    let from = if from.len() >= extent::<V>(columns) {
        from
    } else {
        room = [V::splat_in(simd, V::Element::ZERO); MOST];
        let room = elements_mut(&mut room);
        let count = from.len().min(V::LEN * columns);
        room[..count].copy_from_slice(&from[..count]);
        room
    };
    load_whole(simd, from, columns, to);
}

/// Asks for the lines of the LEN rows behind the first ones, wherever they are: a CPU does not look
/// ahead over all that is done with so many.
#[inline(always)]
fn ask_for_next<V: Lanes>(simd: V::Simd, rows: &[V::Element], columns: usize) {
    let count = V::LEN * columns;
    let next = rows.as_ptr().wrapping_add(count);
    let mut at = 0;
    while at < count {
        simd.prefetch(next.wrapping_add(at));
        at += LINE / size_of::<V::Element>();
    }
}

/// The column that the four around column `at` begins with. The last four ends where the row does,
/// and some of it may be in the one before; where a row is shorter, four reach into the next rows.
#[inline(always)]
fn four(at: usize, columns: usize) -> usize {
    at.min(columns.saturating_sub(4))
}

/// How far the fours of LEN rows reach.
#[inline(always)]
fn extent<V: Lanes>(columns: usize) -> usize {
    (V::LEN - 1) * columns + columns.max(4)
}

/// [`load`] of LEN rows from a slice that goes on as far as their fours reach: 16·LEN elements are
/// enough.
#[inline(always)]
pub(crate) fn load_whole<V: Lanes>(
    simd: V::Simd,
    from: &[V::Element],
    columns: usize,
    to: &mut Columns<V>,
) {
    let zero = V::splat_in(simd, V::Element::ZERO);
    let (simd, side) = (V::transposer(simd), V::Transposer::LEN);
    assert!((1..=MOST).contains(&columns) && from.len() >= extent::<V>(columns));
    let elements = elements_mut(to).as_mut_ptr();
    let mut first = 0;
    while first < V::LEN {
        let mut at = 0;
        while at < columns {
            let start = four(at, columns);
            // SAFETY: `side` divides LEN, so row first + side − 1 is LEN − 1 at most, and of it
            // start + 4 elements are within the extent. `to` has LEN elements for each of
            // start + 4 ≤ 16 columns.
            unsafe {
                let from = from.as_ptr().add(first * columns + start);
                let [a, b, c, d] = V::Transposer::load_fours(simd, from, columns);
                let to = elements.add(start * V::LEN + first);
                a.store_ptr(to);
                b.store_ptr(to.add(V::LEN));
                c.store_ptr(to.add(2 * V::LEN));
                d.store_ptr(to.add(3 * V::LEN));
            }
            at += 4;
        }
        first += side;
    }
    // Four columns are written, even if there are fewer.
    let mut j = columns;
    while j < 4 {
        to[j] = zero;
        j += 1;
    }
}

/// Writes rows of `columns` elements, one after another, as many as `to` has, at most LEN.
#[inline(always)]
pub(crate) fn store<V: Lanes>(
    simd: V::Simd,
    from: &Columns<V>,
    columns: usize,
    to: &mut [V::Element],
) {
    let side = V::Transposer::LEN;
    assert!((1..=MOST).contains(&columns) && to.len() <= columns * V::LEN);
    ask_for_next::<V>(simd, to, columns);
    let from = elements(from).as_ptr();
    let simd = V::transposer(simd);
    let mut first = 0;
    while first < V::LEN {
        let mut column = 0;
        while column < columns {
            let start = four(column, columns);
            // SAFETY: there are LEN elements for each of 16 columns, `side` divides LEN, and
            // start + 4 is at most 16.
            let four = unsafe {
                let from = from.add(start * V::LEN + first);
                [
                    V::Transposer::load_ptr(simd, from),
                    V::Transposer::load_ptr(simd, from.add(V::LEN)),
                    V::Transposer::load_ptr(simd, from.add(2 * V::LEN)),
                    V::Transposer::load_ptr(simd, from.add(3 * V::LEN)),
                ]
            };
            let rows = V::Transposer::into_rows(four);
            let mut at = first * columns + start;
            let is_within = at + (side - 1) * columns + 4 <= to.len();
            let mut i = 0;
            while i < side {
                let row = if i < 4 { rows[i] } else { rows[i - 4].swap_lanes::<4>() };
                if is_within {
                    // SAFETY: the last element that is written is the one that was compared.
                    unsafe { row.store_ptr_partial(to.as_mut_ptr().add(at), 4) };
                } else if at < to.len() {
                    // What reaches into the next rows is overwritten by them.
                    let end = to.len().min(at + 4);
                    row.store_partial(&mut to[at..end]);
                }
                at += columns;
                i += 1;
            }
            column += 4;
        }
        first += side;
    }
}

/// The elements, column by column.
#[inline(always)]
pub(crate) fn elements<V: Lanes>(columns: &Columns<V>) -> &[V::Element] {
    const { assert!(size_of::<V>() == V::LEN * size_of::<V::Element>()) };
    // SAFETY: lanes are so many elements, one after another.
    unsafe { core::slice::from_raw_parts(columns.as_ptr().cast(), MOST * V::LEN) }
}

/// [`elements`] to write.
#[inline(always)]
pub(crate) fn elements_mut<V: Lanes>(columns: &mut Columns<V>) -> &mut [V::Element] {
    const { assert!(size_of::<V>() == V::LEN * size_of::<V::Element>()) };
    // SAFETY: lanes are so many elements, one after another, and any bits are elements.
    unsafe { core::slice::from_raw_parts_mut(columns.as_mut_ptr().cast(), MOST * V::LEN) }
}
