//! One pass over several slices of one length, where the results at i depend on what is at i.

use crate::Element;
use crate::lanes::{Lanes, Simd};
use core::mem::take;

/// What happens to a register of each slice: `R` that are only read, one that is the target, and
/// `N` beside it that are also read and written.
pub(crate) trait Update<E: Element, const R: usize, const N: usize>: Copy {
    /// Whether lines are asked for before their use, because the arithmetic keeps a CPU so busy
    /// that it does not come to it by itself.
    const ASKS_AHEAD: bool = false;
    /// Whether the results of a register wait for each other so long that several registers go side
    /// by side.
    const IS_HEAVY: bool = false;

    /// The new target and the new others, for the elements from index `at` on.
    fn update<V: Lanes<Element = E>>(
        self,
        at: usize,
        read: [V; R],
        target: V,
        others: [V; N],
    ) -> (V, [V; N]);
}

/// Bytes of a cache line.
pub(crate) const LINE: usize = 64;
/// How many bytes before its use a line of each of several streams is asked for. Adam beyond the
/// caches takes 1.25 times as long with four or eight times as much (AMD EPYC, Zen 4).
pub(crate) const AHEAD: usize = 4 * LINE;
/// The same of two streams: four lines take 1.1 to 1.2 times as long.
const TWO_AHEAD: usize = 16 * LINE;
/// The same where one or two streams come from memory all the time, as little is done with what
/// comes. It is as much as L1 has room for: 128 lines take 1.1 to 1.4 times as long.
pub(crate) const FAR_AHEAD: usize = 48 * LINE;
/// A slice of so many bytes is hardly in a core's own caches.
pub(crate) const FAR: usize = 1 << 20;

/// Lines of the target that are written one right after the other. Other cores have read the weights
/// that an optimizer updates, and it takes a core a while to make such a line its own; it does so for
/// several at once only if they are written without others between them. A step of 784-128-10 on 64
/// rows and two threads takes 1.35 times as long line by line, 784-512-512-10 1.24 times; two
/// lines together gain half as much, eight no more. Asking for the lines beforehand (prefetchw) gains
/// nothing (AMD EPYC, Zen 4).
const TOGETHER: usize = 4;
/// The most registers of a line.
const OF_LINE: usize = 2;

/// The array of a value for every index below N.
///
/// Loops over a few slices or registers count by hand, here and where they write: an iterator, or
/// `map` of an array, is many times as much code, and a compiler has to take it apart anew in each
/// of hundreds of kernels.
macro_rules! each {
    ($index:ident < $N:expr, $first:expr => $value:expr) => {{
        let mut values = [$first; $N];
        let mut $index = 0;
        while $index < $N {
            values[$index] = $value;
            $index += 1;
        }
        values
    }};
}
pub(crate) use each;

/// `count` elements of each slice from `first` on.
#[inline(always)]
pub(crate) fn stretches<'a, E, const N: usize>(
    slices: &[&'a [E]; N],
    first: usize,
    count: usize,
) -> [&'a [E]; N] {
    let none: &[E] = &[];
    each!(i < N, none => &slices[i][first..first + count])
}

/// Runs `update` over all elements of `target`; the other slices are at least as long.
#[inline(always)]
pub(crate) fn update_all<S, E, U, const R: usize, const N: usize>(
    simd: S,
    update: U,
    read: [&[E]; R],
    target: &mut [E],
    mut others: [&mut [E]; N],
) where
    S: Simd,
    E: Element,
    U: Update<E, R, N>,
{
    let length = target.len();
    let zero = E::Lanes::<S>::splat_in(simd, E::ZERO);
    let len = E::Lanes::<S>::LEN;
    let read = stretches(&read, 0, length);
    let mut i = 0;
    while i < N {
        others[i] = &mut take(&mut others[i])[..length];
        i += 1;
    }
    // Loops that end by what is left show a compiler that every register is within its slice.
    let line = if S::PREFETCHES { len.max(LINE / size_of::<E>()) } else { len };
    let mut start = 0;
    let group = <E::Lanes<S> as Lanes>::Group::LEN;
    if U::IS_HEAVY && group > len {
        while length - start >= group {
            update_register::<<E::Lanes<S> as Lanes>::Group, _, _, _>(
                simd,
                update,
                (start, group),
                0,
                &read,
                target,
                &mut others,
            )
            .store(&mut target[start..start + group]);
            start += group;
        }
    }
    // With nothing written beside it, the target's lines are written together anyhow.
    let together = if N > 0 { TOGETHER * line } else { line };
    while length - start >= together {
        let mut new = [zero; TOGETHER * OF_LINE];
        let mut at = 0;
        while at < together {
            if U::ASKS_AHEAD && S::PREFETCHES && at.is_multiple_of(line) {
                ask_ahead(simd, start + at, &read, target, &others);
            }
            new[at / len] = update_register::<E::Lanes<S>, _, _, _>(
                simd,
                update,
                (start, together),
                at,
                &read,
                target,
                &mut others,
            );
            at += len;
        }
        let written = &mut target[start..start + together];
        let mut at = 0;
        while at < together {
            new[at / len].store(&mut written[at..at + len]);
            at += len;
        }
        start += together;
    }
    while together > len && length - start >= len {
        update_register::<E::Lanes<S>, _, _, _>(
            simd,
            update,
            (start, len),
            0,
            &read,
            target,
            &mut others,
        )
        .store(&mut target[start..start + len]);
        start += len;
    }
    if start < length {
        let inputs = each!(i < R, zero => E::Lanes::load_partial(simd, &read[i][start..]));
        let state = each!(i < N, zero => E::Lanes::load_partial(simd, &others[i][start..]));
        let old = E::Lanes::load_partial(simd, &target[start..]);
        let (new, state) = update.update(start, inputs, old, state);
        new.store_partial(&mut target[start..]);
        let mut i = 0;
        while i < N {
            state[i].store_partial(&mut others[i][start..]);
            i += 1;
        }
    }
}

/// Asks for the lines of each slice that come after the one from index `start` on.
#[inline(always)]
fn ask_ahead<S: Simd, E: Element, const R: usize, const N: usize>(
    simd: S,
    start: usize,
    read: &[&[E]; R],
    target: &[E],
    others: &[&mut [E]; N],
) {
    let next = start + AHEAD / size_of::<E>();
    let mut i = 0;
    while i < R.max(N) {
        if i < R {
            simd.prefetch(read[i].as_ptr().wrapping_add(next));
        }
        if i < N {
            simd.prefetch(others[i].as_ptr().wrapping_add(next));
        }
        i += 1;
    }
    simd.prefetch(target.as_ptr().wrapping_add(next));
}

/// One register of each slice, from index `at` on of the `count` elements from index `start` on:
/// writes the others, and returns the new target.
#[inline(always)]
fn update_register<V, U, const R: usize, const N: usize>(
    simd: V::Simd,
    update: U,
    (start, count): (usize, usize),
    at: usize,
    read: &[&[V::Element]; R],
    target: &[V::Element],
    others: &mut [&mut [V::Element]; N],
) -> V
where
    V: Lanes,
    U: Update<V::Element, R, N>,
{
    let zero = V::splat_in(simd, V::Element::ZERO);
    let (end, lanes_end) = (start + count, at + V::LEN);
    let inputs = each!(i < R, zero => V::load(simd, &read[i][start..end][at..lanes_end]));
    let state = each!(i < N, zero => V::load(simd, &others[i][start..end][at..lanes_end]));
    let old = V::load(simd, &target[start..end][at..lanes_end]);
    let (new, state) = update.update(start + at, inputs, old, state);
    let mut i = 0;
    while i < N {
        state[i].store(&mut others[i][start..end][at..lanes_end]);
        i += 1;
    }
    new
}

/// What happens to a register of a matrix: one of another matrix is only read, and there are `C`
/// numbers a column.
pub(crate) trait RowsUpdate<E: Element, const C: usize>: Copy {
    /// The new target.
    fn update<V: Lanes<Element = E>>(self, read: V, of_column: [V; C], target: V) -> V;
}

/// Rows that go side by side, so that what there is of a column is read once for all of them.
const ROWS: usize = 4;

/// Runs `update` over all rows of `target`, row-major; `read` has as many, and the slices of
/// `of_column` an element a column.
#[inline(always)]
pub(crate) fn update_rows<S, E, U, const C: usize>(
    simd: S,
    update: U,
    read: &[E],
    of_column: [&[E]; C],
    target: &mut [E],
) where
    S: Simd,
    E: Element,
    U: RowsUpdate<E, C>,
{
    let columns = of_column[0].len();
    if columns == 0 {
        return;
    }
    if S::PREFETCHES && size_of_val(read) >= FAR {
        // From memory one row after the other comes faster.
        for (read, target) in read.chunks_exact(columns).zip(target.chunks_exact_mut(columns)) {
            update_block::<S, E, U, C, 1, true>(simd, update, read, &of_column, target);
        }
        return;
    }
    let (blocks, rest) = read.split_at(read.len() - read.len() % (ROWS * columns));
    let (target_blocks, target_rest) = target.split_at_mut(blocks.len());
    let targets = target_blocks.chunks_exact_mut(ROWS * columns);
    for (read, target) in blocks.chunks_exact(ROWS * columns).zip(targets) {
        update_block::<S, E, U, C, ROWS, false>(simd, update, read, &of_column, target);
    }
    let targets = target_rest.chunks_exact_mut(columns);
    for (read, target) in rest.chunks_exact(columns).zip(targets) {
        update_block::<S, E, U, C, 1, false>(simd, update, read, &of_column, target);
    }
}

/// `N` rows side by side. What is far is asked for before its use.
#[inline(always)]
fn update_block<S, E, U, const C: usize, const N: usize, const IS_FAR: bool>(
    simd: S,
    update: U,
    read: &[E],
    of_column: &[&[E]; C],
    target: &mut [E],
) where
    S: Simd,
    E: Element,
    U: RowsUpdate<E, C>,
{
    let columns = read.len() / N;
    let len = E::Lanes::<S>::LEN;
    let zero = E::Lanes::<S>::splat_in(simd, E::ZERO);
    let constants = stretches(of_column, 0, columns);
    let none: &[E] = &[];
    let read_rows = each!(i < N, none => &read[i * columns..(i + 1) * columns]);
    let mut rows: [&mut [E]; N] = core::array::from_fn(|_| &mut [][..]);
    for (row, slice) in rows.iter_mut().zip(target.chunks_exact_mut(columns)) {
        *row = &mut slice[..columns];
    }
    let mut start = 0;
    while columns - start >= len {
        let end = start + len;
        let column = each!(i < C, zero => E::Lanes::load(simd, &constants[i][start..end]));
        let mut i = 0;
        while i < N {
            let (read, row) = (read_rows[i], &mut *rows[i]);
            if IS_FAR {
                let next = start + TWO_AHEAD / size_of::<E>();
                simd.prefetch(read.as_ptr().wrapping_add(next));
                simd.prefetch(row.as_ptr().wrapping_add(next));
            }
            let value = E::Lanes::load(simd, &read[start..end]);
            let old = E::Lanes::load(simd, &row[start..end]);
            update.update(value, column, old).store(&mut row[start..end]);
            i += 1;
        }
        start += len;
    }
    if start < columns {
        let column = each!(i < C, zero => E::Lanes::load_partial(simd, &constants[i][start..]));
        let mut i = 0;
        while i < N {
            let (read, row) = (read_rows[i], &mut *rows[i]);
            let value = E::Lanes::load_partial(simd, &read[start..]);
            let old = E::Lanes::load_partial(simd, &row[start..]);
            update.update(value, column, old).store_partial(&mut row[start..]);
            i += 1;
        }
    }
}

/// Makes an [`Update`] of some numbers, so many slices that are only read, and a target.
macro_rules! updates {
    ($(
        $(#[$attribute:meta])*
        $Name:ident { $($field:ident),+ }: $R:literal ($($read:ident),*; $target:ident) => $value:expr;
    )+) => { $(
        $(#[$attribute])*
        #[derive(Clone, Copy)]
        pub(crate) struct $Name<E> {
            $(pub(crate) $field: E,)+
        }

        impl<E: $crate::Element> $crate::lockstep::Update<E, $R, 0> for $Name<E> {
            #[inline(always)]
            fn update<V: $crate::lanes::Lanes<Element = E>>(
                self,
                _at: usize,
                [$($read),*]: [V; $R],
                $target: V,
                []: [V; 0],
            ) -> (V, [V; 0]) {
                let Self { $($field),+ } = self;
                $(let $field = $target.splat($field);)+
                ($value, [])
            }
        }
    )+ };
}
pub(crate) use updates;

updates! {
    /// x · factor.
    Product { factor }: 0 (; x) => x * factor;
    /// x / divisor.
    Quotient { divisor }: 0 (; x) => x / divisor;
}

/// −1, 0 or 1 with the sign of `x`; ±0 and NaN stay what they are.
#[inline(always)]
pub(crate) fn sign<V: Lanes>(x: V) -> V {
    let nonzero = x.splat(V::Element::ZERO).lt(x.abs());
    x.splat(V::Element::ONE).with_sign_of(x).select(nonzero, x)
}
