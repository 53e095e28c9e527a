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

use crate::Element;
use crate::lanes::{Lanes, Simd};
use crate::lockstep::{FAR, LINE};

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

/// Makes the terms of a sum, a register at a time, from `R` slices that it reads; on the way it
/// may write to `W` slices. All have the same length.
pub(crate) trait Terms<E: Element, const R: usize, const W: usize>: Copy {
    /// Whether a term is so little work that the additions of one piece would wait for each other:
    /// then pieces go side by side.
    const IS_LIGHT: bool = false;

    /// What to write, and `sum` plus the terms, for the elements from index `at` on.
    fn add<V: Lanes<Element = E>>(self, at: usize, read: [V; R], sum: V) -> ([V; W], V);
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

/// A matrix with at most 16 columns and as many rows as a register has lanes, transposed: the
/// element of row i and column j is `[j][i]`.
///
/// A short row leaves most lanes empty and waits for its sum to cross them. So as many rows as a
/// register has lanes go together, a lane a row, and a row's 16 virtual lanes are 16 registers:
/// see [`Lanes::load_columns`] and [`sum_of_columns`].
pub(crate) type Columns<E> = [[E; LANES]; LANES];

/// The most rows that are over sooner one after the other.
const FEW_ROWS: usize = 2;

/// Whether rows of so many columns go a lane a row. The bits are the same.
#[inline(always)]
pub(crate) fn are_narrow(rows: usize, columns: usize) -> bool {
    columns <= LANES && rows > FEW_ROWS
}

/// The sum of 16 virtual lanes, a register each, in the order of this module: the bits are those
/// of [`sum_terms`] of one row by itself. Columns that there are not are +0.
#[inline(always)]
pub(crate) fn sum_of_columns<V: Lanes>(mut lanes: [V; LANES]) -> V {
    for distance in [8, 4, 2, 1] {
        for l in 0..distance {
            lanes[l] = lanes[l] + lanes[l + distance];
        }
    }
    lanes[0]
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
    let mut pass: Pass<'_, E::Lanes<S>, T, R, W> = Pass::new(simd, terms, length, read, write);
    let mut blocks = Tree::<E, BLOCK_LEVELS>::new(E::ZERO);
    let mut at = 0;
    if T::IS_LIGHT {
        let is_far = length * size_of::<E>() >= FAR;
        while length - at >= BLOCK {
            let block =
                if is_far { pass.full_block::<true>(at) } else { pass.full_block::<false>(at) };
            blocks.push(block.across());
            at += BLOCK;
        }
        if at > 0 && at == length {
            return blocks.total();
        }
    }
    let mut pieces = Tree::<_, PIECE_LEVELS>::new(pass.zeros());
    loop {
        let piece = pass.piece(at, PIECE.min(length - at));
        if length <= PIECE {
            return piece.across();
        }
        pieces.push(piece);
        at += PIECE;
        if at >= length || pieces.pushed == PIECES {
            blocks.push(pieces.total().across());
            pieces.pushed = 0;
        }
        if at >= length {
            return blocks.total();
        }
    }
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

    /// Step 2: the first `count` of `lanes`, a power of two, neighbours first.
    #[inline(always)]
    fn pairwise(mut lanes: [Self; PIECES], mut count: usize) -> Self {
        while count > 1 {
            count /= 2;
            for i in 0..count {
                lanes[i] = lanes[2 * i].add(lanes[2 * i + 1]);
            }
        }
        lanes[0]
    }
}

/// Whole groups of 16 elements, and the rest.
type Groups<'a, E> = (&'a [[E; LANES]], &'a [E]);
/// [`Groups`] to write.
type GroupsMut<'a, E> = (&'a mut [[E; LANES]], &'a mut [E]);

/// One walk over the slices.
struct Pass<'a, V: Lanes, T, const R: usize, const W: usize> {
    zero: V,
    terms: T,
    read: [Groups<'a, V::Element>; R],
    write: [GroupsMut<'a, V::Element>; W],
}

impl<'a, V: Lanes, T: Terms<V::Element, R, W>, const R: usize, const W: usize>
    Pass<'a, V, T, R, W>
{
    #[inline(always)]
    fn new(
        simd: V::Simd,
        terms: T,
        length: usize,
        read: [&'a [V::Element]; R],
        write: [&'a mut [V::Element]; W],
    ) -> Self {
        Self {
            zero: V::splat_in(simd, V::Element::ZERO),
            terms,
            read: read.map(|slice| slice[..length].as_chunks()),
            write: write.map(|slice| slice[..length].as_chunks_mut()),
        }
    }

    #[inline(always)]
    fn zeros(&self) -> Sixteen<V> {
        Sixteen([self.zero; MOST_REGISTERS])
    }

    /// Asks for the lines of these elements, if there are such.
    #[inline(always)]
    fn ask_for(&self, elements: core::ops::Range<usize>) {
        for at in elements.step_by(LINE / size_of::<V::Element>()) {
            for (groups, _) in &self.read {
                let first: *const V::Element = groups.as_ptr().cast();
                self.zero.simd().prefetch(first.wrapping_add(at));
            }
        }
    }

    /// The group of 16 that starts at index 16 · `group`.
    #[inline(always)]
    fn whole_group(&mut self, group: usize, sum: &mut Sixteen<V>) {
        for r in 0..Sixteen::<V>::REGISTERS {
            let lanes = r * V::LEN..(r + 1) * V::LEN;
            let mut values = [self.zero; R];
            for (value, slice) in values.iter_mut().zip(&self.read) {
                *value = V::load(self.zero.simd(), &slice.0[group][lanes.clone()]);
            }
            let at = group * LANES + lanes.start;
            let (out, total) = self.terms.add(at, values, sum.0[r]);
            sum.0[r] = total;
            for (value, slice) in out.into_iter().zip(&mut self.write) {
                value.store(&mut slice.0[group][lanes.clone()]);
            }
        }
    }

    /// The rest, fewer than 16, that starts at index `at`: lanes without a term keep their sum.
    #[inline(always)]
    fn rest(&mut self, at: usize, count: usize, sum: &mut Sixteen<V>) {
        for r in 0..Sixteen::<V>::REGISTERS {
            let start = r * V::LEN;
            if start >= count {
                break;
            }
            let lanes = start..count.min(start + V::LEN);
            let mut values = [self.zero; R];
            for (value, slice) in values.iter_mut().zip(&self.read) {
                *value = V::load_partial(self.zero.simd(), &slice.1[lanes.clone()]);
            }
            let (out, total) = self.terms.add(at + start, values, sum.0[r]);
            sum.0[r] = total.first_lanes_or(lanes.len(), sum.0[r]);
            for (value, slice) in out.into_iter().zip(&mut self.write) {
                value.store_partial(&mut slice.1[lanes.clone()]);
            }
        }
    }

    /// Step 1: `count` ≤ 256 elements from index `at` on.
    #[inline(always)]
    fn piece(&mut self, at: usize, count: usize) -> Sixteen<V> {
        let mut sum = self.zeros();
        let groups = count / LANES;
        for group in at / LANES..at / LANES + groups {
            self.whole_group(group, &mut sum);
        }
        if !count.is_multiple_of(LANES) {
            self.rest(at + groups * LANES, count % LANES, &mut sum);
        }
        sum
    }

    /// Step 2 for 2048 elements from index `at` on. As many pieces as fill 8 registers go side by
    /// side, because each is one chain of additions that wait for each other. What is far is asked
    /// for a block ahead: a CPU that sees several short streams looks ahead in none.
    #[inline(always)]
    fn full_block<const IS_FAR: bool>(&mut self, at: usize) -> Sixteen<V> {
        let side_by_side = PIECES / Sixteen::<V>::REGISTERS;
        let mut sums = [self.zeros(); PIECES];
        for (s, sum) in sums.iter_mut().enumerate().take(Sixteen::<V>::REGISTERS) {
            let mut pieces = [self.zeros(); PIECES];
            for group in 0..PIECE / LANES {
                if IS_FAR {
                    // The next block in ascending order, as much of it as is done here of this one.
                    let step = side_by_side * LANES;
                    let next = at + BLOCK + (s * (PIECE / LANES) + group) * step;
                    self.ask_for(next..next + step);
                }
                for (p, sum) in pieces.iter_mut().enumerate().take(side_by_side) {
                    let piece = at / LANES + (s * side_by_side + p) * (PIECE / LANES);
                    self.whole_group(piece + group, sum);
                }
            }
            *sum = Sixteen::pairwise(pieces, side_by_side);
        }
        Sixteen::pairwise(sums, Sixteen::<V>::REGISTERS)
    }
}

/// What a [`Tree`] adds.
trait Addend: Copy {
    fn plus(self, other: Self) -> Self;
}

impl<E: Element> Addend for E {
    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        self + other
    }
}

impl<V: Lanes> Addend for Sixteen<V> {
    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        self.add(other)
    }
}

/// Neighbours added pairwise, as the carries of a binary counter: `waiting[k]` is the sum of 2ᵏ
/// neighbours.
struct Tree<T, const LEVELS: usize> {
    waiting: [T; LEVELS],
    pushed: usize,
}

impl<T: Addend, const LEVELS: usize> Tree<T, LEVELS> {
    #[inline(always)]
    fn new(zero: T) -> Self {
        Self { waiting: [zero; LEVELS], pushed: 0 }
    }

    #[inline(always)]
    fn push(&mut self, mut sum: T) {
        let levels = self.pushed.trailing_ones() as usize;
        for &left in &self.waiting[..levels] {
            sum = left.plus(sum);
        }
        self.waiting[levels] = sum;
        self.pushed += 1;
    }

    /// What waits, the shortest and last first; level 0 if nothing was pushed.
    #[inline(always)]
    fn total(&self) -> T {
        let lowest = self.pushed.trailing_zeros() as usize % LEVELS;
        let mut total = self.waiting[lowest];
        for level in lowest + 1..LEVELS {
            if self.pushed >> level & 1 == 1 {
                total = self.waiting[level].plus(total);
            }
        }
        total
    }
}
