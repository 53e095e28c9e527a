//! Block sizes.

use super::micro_kernel::MicroKernels;

/// How a product is cut: NC columns by KC steps of B are packed at once and stay in L2, while a
/// strip of MR rows by KC steps of A stays in L1 and meets every panel of that block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Blocking {
    /// Steps of k in a block.
    pub(super) kc: usize,
    /// Columns in a block: a multiple of NR.
    pub(super) nc: usize,
    /// B is read where it lies, but for columns that do not fill a vector.
    pub(super) direct: bool,
    /// Room for what is packed at once, in elements; it does not shrink as n grows.
    pub(super) packed: usize,
}

/// Bytes of B that are packed at once: half of a 512 KiB L2 cache.
const B_BLOCK_BYTES: usize = 256 << 10;

/// The most steps of k in a block.
const KC: usize = 256;

/// The most steps of k in a block of one panel.
const KC_ONCE: usize = 128;

/// The most rows of C for which B is read in place.
const DIRECT_ROWS: usize = 16;

/// The most rows of B that are read at once where they lie: few enough to be streams that the
/// prefetcher follows.
const KC_DIRECT: usize = 16;

/// How B lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// In panels already.
    Packed,
    /// In contiguous rows.
    Rows,
    /// At any other strides.
    Other,
}

impl Source {
    pub(super) const ALL: [Self; 3] = [Self::Packed, Self::Rows, Self::Other];
}

impl Blocking {
    /// Blocks of nearly equal sizes, none above the limits.
    pub(super) fn new<V: MicroKernels>((m, n, k): (usize, usize, usize), source: Source) -> Self {
        let nr = V::VECTORS * V::LEN;
        let all_columns = n.next_multiple_of(nr).max(nr);
        match source {
            // Panels that one strip reads just once need no blocks at all.
            Source::Packed if m <= V::ROWS => {
                return Self { kc: k.max(1), nc: all_columns, direct: false, packed: 0 };
            }
            Source::Rows if m <= DIRECT_ROWS => {
                let kc = even_share(k, KC_DIRECT, 1);
                return Self { kc, nc: all_columns, direct: true, packed: kc * nr };
            }
            // A panel that is used just once had better be in L1 still.
            Source::Other if m <= V::ROWS => {
                let kc = even_share(k, KC_ONCE, 1);
                return Self { kc, nc: nr, direct: false, packed: kc * nr };
            }
            _ => {}
        }
        let kc = even_share(k, KC, 1);
        let limit = B_BLOCK_BYTES / (size_of::<V::Element>() * kc.max(64)) / nr * nr;
        let room = if source == Source::Packed { 0 } else { kc * all_columns.min(limit) };
        Self { kc, nc: even_share(n, limit, nr), direct: false, packed: room }
    }
}

/// The size of the parts when `total` is cut in as few parts of at most `limit` as possible, all
/// nearly equal and multiples of `unit`; at least `unit`.
fn even_share(total: usize, limit: usize, unit: usize) -> usize {
    let parts = total.div_ceil(limit.max(1)).max(1);
    total.div_ceil(parts).next_multiple_of(unit).max(unit)
}
