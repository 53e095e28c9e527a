//! Mini-batches in random order.

use crate::error::{Error, Result, try_vec};
use crate::random::{Purpose, Random};

/// The rows of a data set, put in a new random order each epoch and cut into batches.
///
/// The order is a function of the seed and the epoch's number alone, so any epoch can be had
/// again.
///
/// ```
/// let mut batches = deltarule::data::Batches::new(10, 4, 42)?;
/// let sizes: Vec<usize> = batches.epoch(0).map(|rows| rows.len()).collect();
/// assert_eq!(sizes, [4, 4, 2]);
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Batches {
    order: Vec<usize>,
    batch: usize,
    seed: u64,
}

impl Batches {
    /// Batches of `batch` out of `rows` rows; the last of an epoch may be smaller.
    ///
    /// # Errors
    /// [`Error::Zero`] for no rows or a batch of 0, [`Error::OutOfMemory`] for too many rows.
    pub fn new(rows: usize, batch: usize, seed: u64) -> Result<Self> {
        for (argument, value) in [("rows", rows), ("batch", batch)] {
            if value == 0 {
                return Err(Error::Zero { argument });
            }
        }
        Ok(Self { order: try_vec("rows", rows)?, batch, seed })
    }

    /// The batches of this epoch: the indices of their rows.
    ///
    /// ```
    /// let mut batches = deltarule::data::Batches::new(10, 4, 42)?;
    /// let mut rows = batches.epoch(3).flatten().copied().collect::<Vec<usize>>();
    /// assert_eq!(rows, batches.epoch(3).flatten().copied().collect::<Vec<usize>>());
    /// assert_ne!(rows, batches.epoch(4).flatten().copied().collect::<Vec<usize>>());
    /// rows.sort();
    /// assert!(rows.into_iter().eq(0..10)); // each of them once
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn epoch(&mut self, epoch: u64) -> impl ExactSizeIterator<Item = &[usize]> {
        for (index, row) in self.order.iter_mut().enumerate() {
            *row = index;
        }
        Random::new(self.seed, Purpose::Shuffle, epoch).shuffle(&mut self.order);
        self.order.chunks(self.batch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_epoch_has_every_row_once_in_its_own_order() {
        let mut batches = Batches::new(100, 7, 1).unwrap();
        let first: Vec<usize> = batches.epoch(0).flatten().copied().collect();
        let second: Vec<usize> = batches.epoch(1).flatten().copied().collect();
        assert_ne!(first, second);
        assert_eq!(first, batches.epoch(0).flatten().copied().collect::<Vec<_>>());
        for mut order in [first, second] {
            order.sort_unstable();
            assert!(order.into_iter().eq(0..100));
        }
        assert!(Batches::new(0, 7, 1).is_err());
        assert!(Batches::new(7, 0, 1).is_err());
        assert!(Batches::new(usize::MAX, 1, 1).is_err());
    }
}
