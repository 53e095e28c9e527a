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

impl Blocking {
    /// Blocks of nearly equal sizes, none above the limits; `contiguous` says whether a row of B
    /// is.
    pub(super) fn new<V: MicroKernels>((m, n, k): (usize, usize, usize), contiguous: bool) -> Self {
        let nr = V::VECTORS * V::LEN;
        if m <= DIRECT_ROWS && contiguous {
            return Self {
                kc: even_share(k, KC_DIRECT, 1),
                nc: even_share(n, n, nr),
                direct: true,
            };
        }
        if m <= V::ROWS {
            // A panel is used just once, so it had better be in L1 still.
            return Self { kc: even_share(k, KC_ONCE, 1), nc: nr, direct: false };
        }
        let kc = even_share(k, KC, 1);
        let limit = B_BLOCK_BYTES / (size_of::<V::Element>() * kc.max(64));
        Self { kc, nc: even_share(n, limit / nr * nr, nr), direct: false }
    }

    /// Elements of B that are packed at once.
    pub(super) fn packed<V: MicroKernels>(self) -> usize {
        self.kc * if self.direct { V::VECTORS * V::LEN } else { self.nc }
    }
}

/// The size of the parts when `total` is cut in as few parts of at most `limit` as possible, all
/// nearly equal and multiples of `unit`; at least `unit`.
fn even_share(total: usize, limit: usize, unit: usize) -> usize {
    let parts = total.div_ceil(limit.max(1)).max(1);
    total.div_ceil(parts).next_multiple_of(unit).max(unit)
}
