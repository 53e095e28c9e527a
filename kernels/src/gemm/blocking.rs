//! Block sizes.

use super::Right;
use super::driver::Part;
use super::micro_kernel::MicroKernels;
use crate::Element;
use crate::dispatch::{l2_cache_bytes, l3_cache_bytes};

/// How a product is cut: NC columns by KC steps of B are packed at once and stay in L3. Panel after
/// panel of them passes through L1, where a strip of MR rows by KC steps of A stays meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Blocking {
    /// Steps of k in a block.
    pub(super) kc: usize,
    /// Columns in a block: a multiple of NR.
    pub(super) nc: usize,
    /// Room for what is packed at once, in elements. Like that for strips, it does not shrink as n
    /// or k grows, although the blocks may.
    pub(super) packed: usize,
    /// Room for a strip of A that may be copied, in steps of k: all of a block and more, or none.
    pub(super) copied: usize,
}

/// Bytes that leave half of the L2 cache to others, within reason.
pub(super) fn half_of_l2() -> usize {
    (l2_cache_bytes() / 2).clamp(128 << 10, 1 << 20)
}

/// Bytes of B that are packed at once: a part of the L3 cache that some cores can have at the same
/// time. Blocks that stay in L2 would be read faster, but C would be reloaded more often.
fn b_block_bytes() -> usize {
    (l3_cache_bytes() / 8).clamp(half_of_l2(), 4 << 20)
}

/// The most steps of k in a block where B's rows are read where they lie.
const KC_B_IN_PLACE: usize = 256;

/// The most steps of k in a block of which A is copied, strip by strip.
const KC_COPIED: usize = 512;

/// The most steps of k in a block where A is read where it lies: to reload C takes longer than to
/// read a strip of A from L2.
const KC_IN_PLACE: usize = 1024;

/// The most steps of k in a block of one panel.
const KC_ONCE: usize = 128;

/// The most steps of k in a block of one panel whose C is turned, and therefore slow to reload.
const KC_TURNED: usize = 512;

/// The least rows of a tile that are many.
const MANY_TILE_ROWS: usize = 12;

/// What is a multiple of so many bytes apart shares a set of the L1 cache.
const ALIASED: usize = 4096;

/// Whether what is so many elements apart shares a set of the L1 cache, which keeps no more of it
/// than the set has ways: not a strip of many rows of A, or several squares of B's columns.
#[inline(always)]
pub(super) fn is_aliased<E>(stride: usize) -> bool {
    (stride * size_of::<E>()).is_multiple_of(ALIASED)
}

/// Columns of A whose elements are neighbours, and that begin at most so many bytes apart, lie as a
/// strip would.
const CLOSE: usize = 64;

/// When B is read where it lies.
struct InPlace {
    /// Up to so many rows of C.
    rows: usize,
    /// Up to so many steps of k: as many rows of B stay in L1.
    steps: usize,
    /// If B's rows are less than so many bytes apart, which spreads them over the sets of the L1
    /// cache.
    stride: usize,
}

impl InPlace {
    /// For tiles of few rows, which read B often.
    const NARROW: Self = Self { rows: 12, steps: 16, stride: 512 };

    /// For tiles of many rows. More than these few of C meet B where it lies if its rows are not
    /// nearly a page apart, or if C has [`MANY_ROWS`] at most, and if [`is_read_often`] is not true.
    const WIDE: Self = Self { rows: FEW_ROWS, steps: 8, stride: 3072 };
}

/// So few rows of C read B so seldom that its block need not stay in L2.
const FEW_ROWS: usize = 64;

/// More rows of C read B so often that it is copied sooner.
const MANY_ROWS: usize = 256;

/// Whether tiles of many rows read B, so many steps by so many columns, from a cache so far away
/// and so often that a copy pays, which puts more steps in a block, too: where [`MANY_ROWS`] of C
/// meet as much as L2 holds, or less of the one and more of the other; (1024, 512, 512) takes 1.07
/// times as long in place, (512, 512, 1024) 1.05 times. Where B's rows share a set, too few of them
/// stay in L1 even for fewer rows of C: (256, 1024, 1024) takes 1.1 times as long (AMD EPYC, Zen 4).
fn is_read_often<E>((m, n, k): (usize, usize, usize), row_stride: usize) -> bool {
    let reads = [n, k, size_of::<E>()].into_iter().fold(m, usize::saturating_mul);
    k > KC_B_IN_PLACE && (is_aliased::<E>(row_stride) || reads / MANY_ROWS >= 2 * half_of_l2())
}

/// Where tiles take B from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// Panels that were packed beforehand.
    Packed,
    /// Its contiguous rows, where they lie.
    InPlace,
    /// Panels that are packed block by block.
    Blocks,
}

/// Where tiles take their operands from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sources {
    pub(super) b: Source,
    /// Whether A's rows lie so that they need no copy.
    pub(super) a_in_place: bool,
}

impl Sources {
    pub(super) fn all() -> impl Iterator<Item = Self> {
        [Source::Packed, Source::InPlace, Source::Blocks]
            .into_iter()
            .flat_map(|b| [false, true].map(|a_in_place| Self { b, a_in_place }))
    }

    /// The sources of a part's product, (m, k) by (k, n).
    ///
    /// To read B a few times where it lies takes less time than to copy it; to read it often does
    /// too, if a tile has many rows, or if B's rows are so close that they are spread over the sets
    /// of the L1 cache; not, if many tiles meet rows so far apart that each is in another page.
    #[inline(always)]
    pub(super) fn new<V: MicroKernels>(part: &Part<'_, V::Element>) -> Self {
        let (m, n, k) = (part.rows.len(), part.columns.len(), part.a.columns());
        let a = part.a.shape();
        let wide = V::ROWS >= MANY_TILE_ROWS;
        let aliased = is_aliased::<V::Element>(a.row_stride);
        let close = a.row_stride == 1 && a.column_stride * size_of::<V::Element>() <= CLOSE;
        let a_in_place =
            part.alpha == V::Element::ONE && (close || a.column_stride == 1 && !(wide && aliased));
        let b = match part.b {
            Right::Packed(_) => Source::Packed,
            Right::Compact(_) => Source::Blocks,
            Right::Strided(b) => {
                let stride = b.shape().row_stride * size_of::<V::Element>();
                let limits = if wide { InPlace::WIDE } else { InPlace::NARROW };
                let seldom = m <= limits.rows || k <= limits.steps;
                let near = stride < limits.stride || wide && m <= MANY_ROWS;
                let often = wide && is_read_often::<V::Element>((m, n, k), b.shape().row_stride);
                match b.shape().column_stride {
                    1 if seldom || near && !often => Source::InPlace,
                    _ => Source::Blocks,
                }
            }
        };
        Self { b, a_in_place }
    }
}

impl Blocking {
    /// Blocks of nearly equal sizes, none above the limits.
    pub(super) fn new<V: MicroKernels>(
        (m, n, k): (usize, usize, usize),
        sources: Sources,
        turned: bool,
    ) -> Self {
        let nr = V::VECTORS * V::LEN;
        let copied = |kc| if sources.a_in_place { 0 } else { kc };
        let all_columns = n.next_multiple_of(nr).max(nr);
        if m <= V::ROWS {
            match sources.b {
                // Panels that one strip reads just once need no blocks at all.
                Source::Packed => {
                    let kc = k.max(1);
                    return Self { kc, nc: all_columns, packed: 0, copied: copied(kc) };
                }
                // A panel that is used just once had better be in L1 still.
                Source::Blocks => {
                    let most_steps = if turned { KC_TURNED } else { KC_ONCE };
                    let (kc, steps) = (even_share(k, most_steps, 1), k.clamp(1, most_steps));
                    return Self { kc, nc: nr, packed: steps * nr, copied: steps };
                }
                Source::InPlace => {}
            }
        }
        let most_steps = match sources {
            Sources { b: Source::InPlace, .. } => KC_B_IN_PLACE,
            Sources { a_in_place: true, .. } => KC_IN_PLACE,
            _ => KC_COPIED,
        };
        let (kc, steps) = (even_share(k, most_steps, 1), k.clamp(1, most_steps));
        let bytes = match sources.b {
            Source::Blocks => b_block_bytes(),
            Source::InPlace if m <= FEW_ROWS => usize::MAX,
            Source::Packed | Source::InPlace => half_of_l2(),
        };
        let most = bytes / size_of::<V::Element>();
        let limit = most / kc.max(64) / nr * nr;
        let packed = match sources.b {
            Source::Packed => 0,
            // Columns that do not fill a vector are packed even so.
            Source::InPlace => steps * nr,
            Source::Blocks => steps.saturating_mul(all_columns).min(most.max(steps * nr)),
        };
        Self { kc, nc: even_share(n, limit, nr), packed, copied: copied(steps) }
    }
}

/// The size of the parts when `total` is cut in as few parts of at most `limit` as possible, all
/// nearly equal and multiples of `unit`; at least `unit`.
fn even_share(total: usize, limit: usize, unit: usize) -> usize {
    let parts = total.div_ceil(limit.max(1)).max(1);
    total.div_ceil(parts).next_multiple_of(unit).max(unit)
}
