//! The one order in which this crate adds numbers across lanes.
//!
//! With n terms t₀, t₁, …:
//!
//! 1. They are cut into pieces of [`PIECE`] = 256. In a piece there are 16 virtual lanes: lane l
//!    starts from +0 and adds tₗ, tₗ₊₁₆, tₗ₊₃₂, … of the piece, ascending.
//! 2. 8 pieces are a block. Their lanes are added pairwise, neighbours first:
//!    ((p₀+p₁)+(p₂+p₃)) + ((p₄+p₅)+(p₆+p₇)). A piece that the last block lacks counts as +0.
//! 3. A block's 16 lanes are added as l + (l+8), then l + (l+4), l + (l+2), l + (l+1).
//! 4. The blocks are added pairwise, neighbours first: b₀+b₁, b₂+b₃, …, then those sums, and so
//!    on; what has no neighbour yet waits, and at the end the waiting sums are added, the shortest
//!    and last first, each to the right of its longer neighbour.
//!
//! A term may be a product that a fused multiply-add puts into its lane. The order does not know
//! how wide a register is: 16 virtual lanes are one AVX-512 register of f32, four AVX2 registers
//! of f64. A term passes at most 16 + 3 + 4 + ⌈log₂(n/2048)⌉ additions, so the error is at most
//! about that many half-ulps of Σ|tᵢ|.

use super::tree::{Addend, Tree, pairwise};
use crate::Element;
use crate::lanes::columns::Columns;
use crate::lanes::{Lanes, Simd};
use crate::lockstep::{FAR, LINE, each};
use core::mem::take;

/// Virtual lanes.
pub(crate) const LANES: usize = 16;
/// Terms in a piece.
pub(crate) const PIECE: usize = 256;
/// Pieces in a block.
const PIECES: usize = 8;
/// Terms in a block.
const BLOCK: usize = PIECES * PIECE;
/// ⌈log₂⌉ of the pieces in a block, and one more for the whole block.
const PIECE_LEVELS: usize = 4;
/// The same for the blocks of the largest slice that an address space of 2⁵⁶ bytes holds.
const BLOCK_LEVELS: usize = 44;
/// The most registers that 16 lanes take: f64 in 256 bits.
const MOST_REGISTERS: usize = 4;
/// The most lanes of a [`Lanes::Group`].
const MOST_IN_GROUP: usize = 32;

/// Makes the terms of a sum, a register at a time, from `R` slices that it reads; on the way it
/// may write to `W` slices. All have the same length.
pub(crate) trait Terms<E: Element, const R: usize, const W: usize>: Copy {
    /// Whether a term is so little work that the additions of one piece would wait for each other:
    /// then pieces go side by side.
    const IS_LIGHT: bool = false;
    /// Whether a term is so much work that several registers of them go side by side. It is made
    /// before it is added, without a fused multiply-add.
    const IS_HEAVY: bool = false;

    /// What to write, and `sum` plus the terms, for the elements from index `at` on.
    fn add<V: Lanes<Element = E>>(self, at: usize, read: [V; R], sum: V) -> ([V; W], V);
}

/// [`Terms`] of `N` sums at once, each of which has the bits that it would have alone.
pub(crate) trait ManyTerms<E: Element, const R: usize, const W: usize, const N: usize>:
    Copy
{
    /// As [`Terms::IS_LIGHT`].
    const IS_LIGHT: bool = false;
    /// As [`Terms::IS_HEAVY`].
    const IS_HEAVY: bool = false;

    /// As [`Terms::add`]; what is written may depend on what stood there.
    fn add_to_each<V: Lanes<Element = E>>(
        self,
        at: usize,
        read: [V; R],
        written: [V; W],
        sums: [V; N],
    ) -> ([V; W], [V; N]);
}

impl<E: Element, T: Terms<E, R, W>, const R: usize, const W: usize> ManyTerms<E, R, W, 1> for T {
    const IS_LIGHT: bool = <T as Terms<E, R, W>>::IS_LIGHT;
    const IS_HEAVY: bool = <T as Terms<E, R, W>>::IS_HEAVY;

    #[inline(always)]
    fn add_to_each<V: Lanes<Element = E>>(
        self,
        at: usize,
        read: [V; R],
        _written: [V; W],
        [sum]: [V; 1],
    ) -> ([V; W], [V; 1]) {
        let (out, sum) = self.add(at, read, sum);
        (out, [sum])
    }
}

/// How two lanes become one, in an order that makes no difference or is the documented one.
pub(crate) trait Combine {
    /// Both in one.
    fn combine<V: Lanes>(a: V, b: V) -> V;
}

/// a + b.
pub(crate) struct Add;

impl Combine for Add {
    #[inline(always)]
    fn combine<V: Lanes>(a: V, b: V) -> V {
        a + b
    }
}

/// The greater; NaN may get lost.
pub(crate) struct Greatest;

impl Combine for Greatest {
    #[inline(always)]
    fn combine<V: Lanes>(a: V, b: V) -> V {
        a.greater_or(b)
    }
}

/// All lanes of a register combined, in every lane: at distance 8, then 4, 2 and 1.
#[inline(always)]
pub(crate) fn across<C: Combine, V: Lanes>(mut v: V) -> V {
    if V::LEN > 8 {
        v = C::combine(v, v.swap_lanes::<8>());
    }
    if V::LEN > 4 {
        v = C::combine(v, v.swap_lanes::<4>());
    }
    if V::LEN > 2 {
        v = C::combine(v, v.swap_lanes::<2>());
    }
    C::combine(v, v.swap_lanes::<1>())
}

/// The most rows that are over sooner one after the other.
const FEW_ROWS: usize = 2;

/// Whether rows of so many columns go a lane a row. The bits are the same.
///
/// A short row leaves most lanes empty and waits for its sum to cross them. So as many rows as a
/// register or a group of them has lanes go together, a lane a row, and a row's 16 virtual lanes
/// are 16 registers or groups: see [`crate::lanes::columns`] and [`sum_of_columns`].
#[inline(always)]
pub(crate) fn are_narrow(rows: usize, columns: usize) -> bool {
    columns <= LANES && rows > FEW_ROWS
}

/// The sum of 16 columns, in the order of this module: the bits are those of [`sum_terms`] of one
/// row by itself, if the columns that it does not have are +0, which a lane without a term counts
/// as.
#[inline(always)]
pub(crate) fn sum_of_columns<V: Lanes>(columns: &Columns<V>) -> V {
    // What is added last is taken first, so that few sums wait in registers.
    let half = sum_of_four(columns, 0) + sum_of_four(columns, 2);
    half + (sum_of_four(columns, 1) + sum_of_four(columns, 3))
}

/// Lanes l, l + 4, l + 8 and l + 12.
#[inline(always)]
fn sum_of_four<V: Lanes>(columns: &Columns<V>, l: usize) -> V {
    (columns[l] + columns[l + 8]) + (columns[l + 4] + columns[l + 12])
}

/// The sum of the terms in the order of this module.
#[inline(always)]
pub(crate) fn sum_terms<S, E, T, const R: usize, const W: usize>(
    simd: S,
    terms: T,
    length: usize,
    read: [&[E]; R],
    write: [&mut [E]; W],
) -> E
where
    S: Simd,
    E: Element,
    T: Terms<E, R, W>,
{
    let [sum] = sum_many_terms(simd, terms, length, read, write);
    sum
}

/// `N` sums of terms in the order of this module, in one walk.
#[inline(always)]
pub(crate) fn sum_many_terms<S, E, T, const R: usize, const W: usize, const N: usize>(
    simd: S,
    terms: T,
    length: usize,
    read: [&[E]; R],
    write: [&mut [E]; W],
) -> [E; N]
where
    S: Simd,
    E: Element,
    T: ManyTerms<E, R, W, N>,
{
    let mut pass: Pass<'_, E::Lanes<S>, T, R, W, N> = Pass::new(simd, terms, length, read, write);
    if length <= PIECE {
        // Most rows are short, and trees are larger than they are.
        return across_each(pass.piece(0, length));
    }
    let mut blocks = Tree::<[E; N], BLOCK_LEVELS>::new([E::ZERO; N]);
    let mut at = 0;
    if T::IS_LIGHT {
        let is_far = S::PREFETCHES && length * size_of::<E>() >= FAR;
        while length - at >= BLOCK {
            let block =
                if is_far { pass.full_block::<true>(at) } else { pass.full_block::<false>(at) };
            blocks.push(across_each(block));
            at += BLOCK;
        }
        if at == length {
            return blocks.total();
        }
    }
    let mut pieces = Tree::<_, PIECE_LEVELS>::new(zeros::<E::Lanes<S>, N>(simd));
    loop {
        pieces.push(pass.piece(at, PIECE.min(length - at)));
        at += PIECE;
        if at >= length || pieces.pushed == PIECES {
            blocks.push(across_each(pieces.total()));
            pieces.pushed = 0;
        }
        if at >= length {
            return blocks.total();
        }
    }
}

/// No terms.
#[inline(always)]
fn zeros<V: Lanes, const N: usize>(simd: V::Simd) -> [Sixteen<V>; N] {
    [Sixteen([V::splat_in(simd, V::Element::ZERO); MOST_REGISTERS]); N]
}

/// [`Sixteen::across`] of each.
#[inline(always)]
fn across_each<V: Lanes, const N: usize>(sums: [Sixteen<V>; N]) -> [V::Element; N] {
    each!(i < N, V::Element::ZERO => sums[i].across())
}

/// 16 virtual lanes, in the first 16 / `V::LEN` registers.
#[derive(Clone, Copy)]
struct Sixteen<V>([V; MOST_REGISTERS]);

impl<V: Lanes> Sixteen<V> {
    const REGISTERS: usize = LANES / V::LEN;

    #[inline(always)]
    fn add(mut self, other: Self) -> Self {
        for r in 0..Self::REGISTERS {
            self.0[r] = self.0[r] + other.0[r];
        }
        self
    }

    /// Adds terms of whole groups of 16.
    #[inline(always)]
    fn add_terms(&mut self, terms: V::Group) {
        let mut elements = [V::Element::ZERO; MOST_IN_GROUP];
        terms.store(&mut elements);
        let simd = self.0[0].simd();
        let mut i = 0;
        while i < V::Group::LEN / V::LEN {
            let sum = &mut self.0[i % Self::REGISTERS];
            *sum = *sum + V::load(simd, &elements[i * V::LEN..]);
            i += 1;
        }
    }

    /// The sum of the lanes.
    #[inline(always)]
    fn across(self) -> V::Element {
        let mut v = self.0;
        let mut registers = Self::REGISTERS;
        while registers > 1 {
            registers /= 2;
            for r in 0..registers {
                v[r] = v[r] + v[r + registers];
            }
        }
        across::<Add, V>(v[0]).first()
    }
}

impl<V: Lanes> Addend for Sixteen<V> {
    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        self.add(other)
    }
}

/// Whole groups of 16 elements, and the rest.
type Groups<'a, E> = (&'a [[E; LANES]], &'a [E]);
/// [`Groups`] to write.
type GroupsMut<'a, E> = (&'a mut [[E; LANES]], &'a mut [E]);

/// One walk over the slices.
struct Pass<'a, V: Lanes, T, const R: usize, const W: usize, const N: usize> {
    zero: V,
    terms: T,
    read: [Groups<'a, V::Element>; R],
    write: [GroupsMut<'a, V::Element>; W],
}

impl<'a, V, T, const R: usize, const W: usize, const N: usize> Pass<'a, V, T, R, W, N>
where
    V: Lanes,
    T: ManyTerms<V::Element, R, W, N>,
{
    /// The registers that the lanes of all sums take.
    const REGISTERS: usize = N * Sixteen::<V>::REGISTERS;

    #[inline(always)]
    fn new(
        simd: V::Simd,
        terms: T,
        length: usize,
        read: [&'a [V::Element]; R],
        mut write: [&'a mut [V::Element]; W],
    ) -> Self {
        let none: Groups<'a, V::Element> = (&[], &[]);
        let read_groups = each!(i < R, none => read[i][..length].as_chunks());
        let write = core::array::from_fn(|i| take(&mut write[i])[..length].as_chunks_mut());
        let zero = V::splat_in(simd, V::Element::ZERO);
        Self { zero, terms, read: read_groups, write }
    }

    /// The groups of 16 from number `first` on, as many as that: of a length that is the same for
    /// all slices, so that nothing is left to check for a group.
    #[inline(always)]
    fn window(&mut self, first: usize, count: usize) -> Window<'_, V, T, R, W> {
        // Not by `each`, after which a compiler still checks the number of every group.
        let mut read: [&[[V::Element; LANES]]; R] = [&[]; R];
        for (window, slice) in read.iter_mut().zip(&self.read) {
            *window = &slice.0[first..first + count];
        }
        let mut write: [&mut [[V::Element; LANES]]; W] = core::array::from_fn(|_| &mut [][..]);
        for (window, slice) in write.iter_mut().zip(&mut self.write) {
            *window = &mut slice.0[first..first + count];
        }
        Window { zero: self.zero, terms: self.terms, first, read, write }
    }

    /// The rest, fewer than 16, that starts at index `at`: lanes without a term keep their sum.
    #[inline(always)]
    fn rest(&mut self, at: usize, count: usize, sums: &mut [Sixteen<V>; N]) {
        let simd = self.zero.simd();
        let mut r = 0;
        // So many turns at most are known to the compiler, and the sums stay in registers.
        while r < Sixteen::<V>::REGISTERS {
            let start = r * V::LEN;
            if start >= count {
                break;
            }
            let end = count.min(start + V::LEN);
            let values =
                each!(i < R, self.zero => V::load_partial(simd, &self.read[i].1[start..end]));
            let written =
                each!(i < W, self.zero => V::load_partial(simd, &self.write[i].1[start..end]));
            let before = register_of_each(sums, r, self.zero);
            let (out, totals) = self.terms.add_to_each(at + start, values, written, before);
            let mut i = 0;
            while i < N {
                sums[i].0[r] = totals[i].first_lanes_or(end - start, before[i]);
                i += 1;
            }
            i = 0;
            while i < W {
                out[i].store_partial(&mut self.write[i].1[start..end]);
                i += 1;
            }
            r += 1;
        }
    }

    /// Step 1: `count` ≤ 256 elements from index `at` on.
    #[inline(always)]
    fn piece(&mut self, at: usize, count: usize) -> [Sixteen<V>; N] {
        let mut sums = zeros(self.zero.simd());
        let groups = count / LANES;
        let mut window = self.window(at / LANES, groups);
        let side_by_side = if T::IS_HEAVY { window.add_side_by_side(groups, &mut sums) } else { 0 };
        let mut group = side_by_side;
        while group < groups {
            window.add_group(group, &mut sums);
            group += 1;
        }
        if !count.is_multiple_of(LANES) {
            self.rest(at + groups * LANES, count % LANES, &mut sums);
        }
        sums
    }

    /// Step 2 for 2048 elements from index `at` on. As many pieces as fill 8 registers go side by
    /// side, because each is one chain of additions that wait for each other. What is far is asked
    /// for a block ahead: a CPU that sees several short streams looks ahead in none.
    #[inline(always)]
    fn full_block<const IS_FAR: bool>(&mut self, at: usize) -> [Sixteen<V>; N] {
        const GROUPS: usize = PIECE / LANES;
        let side_by_side = PIECES / Self::REGISTERS;
        let mut sums = [zeros(self.zero.simd()); PIECES];
        for (s, sum) in sums.iter_mut().enumerate().take(Self::REGISTERS) {
            // Of these pieces and no more: a compiler sees that every group is within.
            let count = side_by_side * GROUPS;
            let mut window = self.window(at / LANES + s * count, count);
            let mut pieces = [zeros(window.zero.simd()); PIECES];
            for group in 0..GROUPS {
                if IS_FAR {
                    // The next block in ascending order, as much of it as is done here of this one.
                    window.ask_for(BLOCK / LANES + group * side_by_side, side_by_side);
                }
                for (p, sums) in pieces.iter_mut().enumerate().take(side_by_side) {
                    window.add_group(p * GROUPS + group, sums);
                }
            }
            *sum = pairwise(pieces, side_by_side);
        }
        pairwise(sums, Self::REGISTERS)
    }
}

/// Some groups of 16.
struct Window<'a, V: Lanes, T, const R: usize, const W: usize> {
    zero: V,
    terms: T,
    /// The number of the first.
    first: usize,
    read: [&'a [[V::Element; LANES]]; R],
    write: [&'a mut [[V::Element; LANES]]; W],
}

impl<V: Lanes, T, const R: usize, const W: usize> Window<'_, V, T, R, W> {
    /// Asks for the lines of `count` groups from number `first` of this window on, wherever they
    /// are.
    #[inline(always)]
    fn ask_for(&self, first: usize, count: usize) {
        let lines = count * LANES * size_of::<V::Element>() / LINE;
        for slice in &self.read {
            let first: *const u8 = slice.as_ptr().wrapping_add(first).cast();
            for line in 0..lines {
                self.zero.simd().prefetch(first.wrapping_add(line * LINE));
            }
        }
    }

    /// Adds the terms of a group of this window.
    #[inline(always)]
    fn add_group<const N: usize>(&mut self, group: usize, sums: &mut [Sixteen<V>; N])
    where
        T: ManyTerms<V::Element, R, W, N>,
    {
        let simd = self.zero.simd();
        let mut r = 0;
        while r < Sixteen::<V>::REGISTERS {
            let (start, end) = (r * V::LEN, (r + 1) * V::LEN);
            let values = each!(i < R, self.zero => V::load(simd, &self.read[i][group][start..end]));
            let at = (self.first + group) * LANES + start;
            let written =
                each!(i < W, self.zero => V::load(simd, &self.write[i][group][start..end]));
            let before = register_of_each(sums, r, self.zero);
            let (out, totals) = self.terms.add_to_each(at, values, written, before);
            let mut i = 0;
            while i < N {
                sums[i].0[r] = totals[i];
                i += 1;
            }
            i = 0;
            while i < W {
                out[i].store(&mut self.write[i][group][start..end]);
                i += 1;
            }
            r += 1;
        }
    }

    /// Adds the terms of the first of `count` groups, as many as several registers take, and says
    /// how many.
    #[inline(always)]
    fn add_side_by_side<const N: usize>(
        &mut self,
        count: usize,
        sums: &mut [Sixteen<V>; N],
    ) -> usize
    where
        T: ManyTerms<V::Element, R, W, N>,
    {
        let at_once = V::Group::LEN / LANES;
        if at_once == 0 {
            return 0;
        }
        let simd = self.zero.simd();
        let zero = V::Group::splat_in(simd, V::Element::ZERO);
        let mut group = 0;
        while count - group >= at_once {
            let end = group + at_once;
            let values = each!(i < R, zero => {
                V::Group::load(simd, self.read[i][group..end].as_flattened())
            });
            let at = (self.first + group) * LANES;
            let written = each!(i < W, zero => {
                V::Group::load(simd, self.write[i][group..end].as_flattened())
            });
            let (out, terms) = self.terms.add_to_each(at, values, written, [zero; N]);
            let mut i = 0;
            while i < N {
                sums[i].add_terms(terms[i]);
                i += 1;
            }
            i = 0;
            while i < W {
                out[i].store(self.write[i][group..end].as_flattened_mut());
                i += 1;
            }
            group = end;
        }
        group
    }
}

/// Register `r` of each sum.
#[inline(always)]
fn register_of_each<V: Lanes, const N: usize>(sums: &[Sixteen<V>; N], r: usize, zero: V) -> [V; N] {
    each!(i < N, zero => sums[i].0[r])
}
