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
}

/// Bytes of B that are packed at once: half of a 512 KiB L2 cache.
const B_BLOCK_BYTES: usize = 256 << 10;

/// The most steps of k in a block.
const KC: usize = 256;

impl Blocking {
    /// Blocks of nearly equal sizes, none above the limits.
    pub(super) fn new<V: MicroKernels>(n: usize, k: usize) -> Self {
        let nr = V::VECTORS * V::LEN;
        let kc = even_share(k, KC, 1);
        let limit = B_BLOCK_BYTES / (size_of::<V::Element>() * kc.max(64));
        Self { kc, nc: even_share(n, limit / nr * nr, nr) }
    }
}

/// The size of the parts when `total` is cut in as few parts of at most `limit` as possible, all
/// nearly equal and multiples of `unit`; at least `unit`.
fn even_share(total: usize, limit: usize, unit: usize) -> usize {
    let parts = total.div_ceil(limit).max(1);
    total.div_ceil(parts).next_multiple_of(unit).max(unit)
}
