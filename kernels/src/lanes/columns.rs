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
/// is there for a row or column that does not exist means nothing.
#[inline(always)]
pub(crate) fn load<V: Lanes>(
    simd: V::Simd,
    from: &[V::Element],
    columns: usize,
    to: &mut Columns<V>,
) {
    ask_for_next::<V>(simd, from, columns);
    if from.len() >= extent::<V>(columns) {
        load_whole(simd, from, columns, to);
    } else {
        let mut room = [V::splat_in(simd, V::Element::ZERO); MOST];
        let room = elements_mut(&mut room);
        let count = from.len().min(V::LEN * columns);
        room[..count].copy_from_slice(&from[..count]);
        load_whole(simd, room, columns, to);
    }
}

/// Asks for the lines of the LEN rows behind the first ones, wherever they are: a CPU does not look
/// ahead over all that is done with so many.
#[inline(always)]
fn ask_for_next<V: Lanes>(simd: V::Simd, rows: &[V::Element], columns: usize) {
    let count = V::LEN * columns;
    let next = rows.as_ptr().wrapping_add(count);
    for at in (0..count).step_by(LINE / size_of::<V::Element>()) {
        simd.prefetch(next.wrapping_add(at));
    }
}

/// The columns that each four of them begins with. The last four ends where the row does, and some
/// of it may be in the one before; where a row is shorter, four reach into the next rows.
#[inline(always)]
fn fours(columns: usize) -> impl Iterator<Item = usize> {
    (0..columns).step_by(4).map(move |start| start.min(columns.saturating_sub(4)))
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
    let (simd, side) = (V::transposer(simd), V::Transposer::LEN);
    assert!((1..=MOST).contains(&columns) && from.len() >= extent::<V>(columns));
    let to = elements_mut(to).as_mut_ptr();
    for first in (0..V::LEN).step_by(side) {
        for start in fours(columns) {
            // SAFETY: `side` divides LEN, so row first + side − 1 is LEN − 1 at most, and of it
            // start + 4 elements are within the extent. `to` has LEN elements for each of
            // start + 4 ≤ 16 columns.
            unsafe {
                let from = from.as_ptr().add(first * columns + start);
                let fours = V::Transposer::load_fours(simd, from, columns);
                for (j, lanes) in fours.into_iter().enumerate() {
                    lanes.store_ptr(to.add((start + j) * V::LEN + first));
                }
            }
        }
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
    let zero = V::Transposer::splat_in(simd, V::Element::ZERO);
    for first in (0..V::LEN).step_by(side) {
        for start in fours(columns) {
            let mut rows = [zero; 4];
            for (j, lanes) in rows.iter_mut().enumerate() {
                // SAFETY: there are LEN elements for each of 16 columns, `side` divides LEN, and
                // start + 4 is at most 16.
                *lanes = unsafe {
                    V::Transposer::load_ptr(simd, from.add((start + j) * V::LEN + first))
                };
            }
            let rows = V::Transposer::into_rows(rows);
            let row = |i: usize| if i < 4 { rows[i] } else { rows[i - 4].swap_lanes::<4>() };
            let at = first * columns + start;
            if at + (side - 1) * columns + 4 <= to.len() {
                for i in 0..side {
                    // SAFETY: the last element that is written is the one that was compared.
                    unsafe { row(i).store_ptr_partial(to.as_mut_ptr().add(at + i * columns), 4) };
                }
                continue;
            }
            // What reaches into the next rows is overwritten by them.
            for (i, at) in (at..to.len()).step_by(columns).enumerate().take(side) {
                let end = to.len().min(at + 4);
                row(i).store_partial(&mut to[at..end]);
            }
        }
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
