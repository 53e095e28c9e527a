//! Block sizes.

use super::Right;
use super::driver::Part;
use super::micro_kernel::MicroKernels;
use crate::Element;
use crate::dispatch::l2_cache_bytes;

/// How a product is cut: NC columns by KC steps of B are packed at once and stay in L2, while a
/// strip of MR rows by KC steps of A stays in L1 and meets every panel of that block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Blocking {
    /// Steps of k in a block.
    pub(super) kc: usize,
    /// Columns in a block: a multiple of NR.
    pub(super) nc: usize,
    /// Room for what is packed at once, in elements; it does not shrink as n grows.
    pub(super) packed: usize,
    /// Steps of k of a strip of A that may be copied: all of a block, or none.
    pub(super) copied: usize,
}

/// Bytes of B that are packed at once: half of the L2 cache, within reason.
pub(super) fn b_block_bytes() -> usize {
    (l2_cache_bytes() / 2).clamp(128 << 10, 1 << 20)
}

/// The most steps of k in a block.
const KC: usize = 256;

/// The most steps of k in a block where nothing is copied: to reload C takes longer than to read a
/// strip of A from L2.
const KC_IN_PLACE: usize = 1024;

/// The most steps of k in a block of one panel.
const KC_ONCE: usize = 128;

/// The most steps of k in a block of one panel whose C is turned, and therefore slow to reload.
const KC_TURNED: usize = 512;

/// The most rows of C that are few.
const FEW_ROWS: usize = 64;

/// More rows of C are many.
const MANY_ROWS: usize = 256;

/// The most steps of k that are few: as many rows of B stay in L1.
const FEW_STEPS: usize = 8;

/// The least rows of a tile that are many.
const MANY_TILE_ROWS: usize = 12;

/// Rows of A that are a multiple of so many bytes apart share a set of the L1 cache, which does not
/// keep the rows of a strip then.
const ALIASED: usize = 4096;

/// Bytes from one row of B to the next that are short of half a page.
const SHORT_STRIDE: usize = 2048;

/// Bytes from one row of B to the next that are nearly a page.
const LONG_STRIDE: usize = 3072;

/// Where tiles take B from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// Panels that were packed beforehand. A's rows may lie so that they need no copy either.
    Packed { a_in_place: bool },
    /// Its contiguous rows, where they lie.
    InPlace,
    /// Panels that are packed block by block.
    Blocks,
}

impl Source {
    pub(super) const ALL: [Self; 4] = [
        Self::Packed { a_in_place: false },
        Self::Packed { a_in_place: true },
        Self::InPlace,
        Self::Blocks,
    ];

    /// The source of a part's product, (m, k) by (k, n).
    ///
    /// To read B a few times where it lies takes less time than to copy it; to read it often does
    /// too, if a tile has many rows, or if B's rows are so close that they are spread over the sets
    /// of the L1 cache; not, if many tiles meet rows so far apart that each is in another page.
    #[inline(always)]
    pub(super) fn new<V: MicroKernels>(part: &Part<'_, V::Element>) -> Self {
        let (m, k, a) = (part.rows.len(), part.a.columns(), part.a.shape());
        match part.b {
            Right::Packed(_) => {
                let aliased = (a.row_stride * size_of::<V::Element>()).is_multiple_of(ALIASED);
                let a_in_place = part.alpha == V::Element::ONE && a.column_stride == 1 && !aliased;
                Self::Packed { a_in_place }
            }
            Right::Compact(_) => Self::Blocks,
            Right::Strided(b) => {
                let stride = b.shape().row_stride * size_of::<V::Element>();
                let near = m <= MANY_ROWS || stride < LONG_STRIDE;
                let seldom = m <= FEW_ROWS || k <= FEW_STEPS || V::ROWS >= MANY_TILE_ROWS && near;
                match b.shape().column_stride {
                    1 if seldom || stride < SHORT_STRIDE => Self::InPlace,
                    _ => Self::Blocks,
                }
            }
        }
    }
}

impl Blocking {
    /// Blocks of nearly equal sizes, none above the limits.
    pub(super) fn new<V: MicroKernels>(
        (m, n, k): (usize, usize, usize),
        source: Source,
        turned: bool,
    ) -> Self {
        let nr = V::VECTORS * V::LEN;
        let in_place = source == Source::Packed { a_in_place: true };
        let copied = |kc| if in_place { 0 } else { kc };
        let all_columns = n.next_multiple_of(nr).max(nr);
        if m <= V::ROWS {
            match source {
                // Panels that one strip reads just once need no blocks at all.
                Source::Packed { .. } => {
                    let kc = k.max(1);
                    return Self { kc, nc: all_columns, packed: 0, copied: copied(kc) };
                }
                // A panel that is used just once had better be in L1 still.
                Source::Blocks => {
                    let kc = even_share(k, if turned { KC_TURNED } else { KC_ONCE }, 1);
                    return Self { kc, nc: nr, packed: kc * nr, copied: kc };
                }
                Source::InPlace => {}
            }
        }
        let kc = even_share(k, if in_place { KC_IN_PLACE } else { KC }, 1);
        let limit = b_block_bytes() / (size_of::<V::Element>() * kc.max(64)) / nr * nr;
        let packed = match source {
            Source::Packed { .. } => 0,
            // Columns that do not fill a vector are packed even so.
            Source::InPlace => kc * nr,
            Source::Blocks => kc * all_columns.min(limit),
        };
        let whole = source == Source::InPlace && m <= FEW_ROWS;
        let nc = if whole { all_columns } else { even_share(n, limit, nr) };
        Self { kc, nc, packed, copied: copied(kc) }
    }
}

/// The size of the parts when `total` is cut in as few parts of at most `limit` as possible, all
/// nearly equal and multiples of `unit`; at least `unit`.
fn even_share(total: usize, limit: usize, unit: usize) -> usize {
    let parts = total.div_ceil(limit.max(1)).max(1);
    total.div_ceil(parts).next_multiple_of(unit).max(unit)
}
