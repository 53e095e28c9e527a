//! Training and test rows.

use crate::error::{Error, Result, try_vec};
use crate::random::{Purpose, Random};
use std::collections::BTreeMap;

/// The indices of the rows to train on and of those to test on, each ascending.
///
/// ```
/// use deltarule::data::{Dataset, Split};
/// let data: Dataset = Dataset::from_values(vec![1.0, 2.0, 3.0], 1, vec![2.0, 4.0, 6.0], 1)?;
/// // In time, and not at random.
/// let split = Split { train: vec![0, 1], test: vec![2] };
/// let (train, test) = (data.select(&split.train)?, data.select(&split.test)?);
/// assert_eq!((train.rows(), test.values()), (2, [6.0].as_slice()));
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Split {
    /// The rows to train on.
    pub train: Vec<usize>,
    /// The rows to test on.
    pub test: Vec<usize>,
}

impl Split {
    /// Checks that both sides have rows; the second one is named by what it is for.
    pub(crate) fn check_sides(&self, test: &'static str) -> Result<()> {
        match (self.train.is_empty(), self.test.is_empty()) {
            (true, _) => Err(Error::Empty { argument: "training rows" }),
            (_, true) => Err(Error::Empty { argument: test }),
            _ => Ok(()),
        }
    }
}

/// Chooses `test_share` of every class at random (rounded to the nearest row) for the test.
///
/// Where classes are so small that this would leave a side without rows, it is the share of all rows
/// that is rounded: each class gives its share without the fraction, and those with the largest
/// fractions, which chance tells apart if they are equal, one row more. A class of one row is
/// trained on then.
///
/// ```
/// let labels = [0, 0, 0, 0, 0, 1, 1, 1, 1, 1];
/// let split = deltarule::data::stratified_split(&labels, 0.2, 42)?;
/// assert_eq!(split.train.len(), 8);
/// assert_eq!(split.test.iter().map(|&row| labels[row]).collect::<Vec<_>>(), [0, 1]);
/// # Ok::<(), deltarule::Error>(())
/// ```
///
/// # Errors
/// [`Error::Empty`] without labels, [`Error::OutOfRange`] for a share outside 0 to 1.
pub fn stratified_split(labels: &[usize], test_share: f64, seed: u64) -> Result<Split> {
    if labels.is_empty() {
        return Err(Error::Empty { argument: "labels" });
    }
    split_groups(rows_of_classes(labels), test_share, seed)
}

/// Chooses `test_share` of so many rows at random (rounded to the nearest row) for the test.
///
/// ```
/// let split = deltarule::data::random_split(10, 0.2, 42)?;
/// assert_eq!((split.train.len(), split.test.len()), (8, 2));
/// # Ok::<(), deltarule::Error>(())
/// ```
///
/// # Errors
/// [`Error::Zero`] without rows, [`Error::OutOfRange`] for a share outside 0 to 1,
/// [`Error::OutOfMemory`] for too many rows.
pub fn random_split(rows: usize, test_share: f64, seed: u64) -> Result<Split> {
    if rows == 0 {
        return Err(Error::Zero { argument: "rows" });
    }
    let mut all = try_vec("rows", rows)?;
    all.iter_mut().enumerate().for_each(|(index, row)| *row = index);
    split_groups([(0, all)], test_share, seed)
}

/// The rows of every class, ascending.
pub(super) fn rows_of_classes(labels: &[usize]) -> BTreeMap<usize, Vec<usize>> {
    let mut classes: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (row, &label) in labels.iter().enumerate() {
        classes.entry(label).or_default().push(row);
    }
    classes
}

/// Splits every group alike; its number is that of its random stream.
fn split_groups(
    groups: impl IntoIterator<Item = (usize, Vec<usize>)>,
    test_share: f64,
    seed: u64,
) -> Result<Split> {
    if !(0.0..=1.0).contains(&test_share) {
        let (argument, expected) = ("test_share", "between 0 and 1");
        return Err(Error::OutOfRange { argument, value: test_share, expected });
    }
    let groups: Vec<(usize, Vec<usize>)> = groups.into_iter().collect();
    let sizes: Vec<usize> = groups.iter().map(|(_, rows)| rows.len()).collect();
    let counts = test_counts(&sizes, test_share, seed);
    let (mut train, mut test) = (Vec::new(), Vec::new());
    for ((group, mut rows), count) in groups.into_iter().zip(counts) {
        Random::new(seed, Purpose::Split, group as u64).shuffle(&mut rows);
        test.extend_from_slice(&rows[..count]);
        train.extend_from_slice(&rows[count..]);
    }
    train.sort_unstable();
    test.sort_unstable();
    Ok(Split { train, test })
}

/// The rows of each group to test on.
fn test_counts(sizes: &[usize], test_share: f64, seed: u64) -> Vec<usize> {
    let share = |rows: usize| rows as f64 * test_share;
    let rounded: Vec<usize> = sizes.iter().map(|&rows| share(rows).round() as usize).collect();
    let (rows, tested) = (sizes.iter().sum(), rounded.iter().sum::<usize>());
    let wanted = share(rows).round() as usize;
    if (tested == 0) == (wanted == 0) && (tested == rows) == (wanted == rows) {
        return rounded;
    }
    let mut counts: Vec<usize> = sizes.iter().map(|&rows| share(rows) as usize).collect();
    let mut order: Vec<usize> = (0..sizes.len())
        .filter(|&group| sizes[group] > 1 && counts[group] < sizes[group])
        .collect();
    Random::new(seed, Purpose::SplitClasses, 0).shuffle(&mut order);
    order.sort_by(|&a, &b| share(sizes[b]).fract().total_cmp(&share(sizes[a]).fract()));
    let more = wanted.saturating_sub(counts.iter().sum());
    order.iter().take(more).for_each(|&group| counts[group] += 1);
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_is_split_alike_and_each_row_used_once() {
        let labels: Vec<usize> = (0..1000).map(|row| row * row % 7).collect();
        let split = stratified_split(&labels, 0.2, 3).unwrap();
        let count = |rows: &[usize], class| rows.iter().filter(|&&r| labels[r] == class).count();
        for class in 0..7 {
            let (test, train) = (count(&split.test, class), count(&split.train, class));
            assert_eq!(test, ((test + train) as f64 * 0.2).round() as usize, "class {class}");
        }
        let mut all = [split.train.clone(), split.test.clone()].concat();
        all.sort_unstable();
        assert!(all.into_iter().eq(0..1000));
        assert_ne!(split, stratified_split(&labels, 0.2, 4).unwrap());
        for share in [-0.1, 1.1, f64::NAN] {
            assert!(stratified_split(&labels, share, 3).is_err());
            assert!(random_split(10, share, 3).is_err());
        }
        assert!(stratified_split(&[], 0.5, 3).is_err());
        assert!(random_split(0, 0.5, 3).is_err());
        assert!(random_split(usize::MAX, 0.5, 3).is_err());
    }

    #[test]
    fn small_classes_leave_no_side_without_rows() {
        let split = |sizes: &[usize], share| {
            let sizes = sizes.iter().enumerate();
            let labels: Vec<usize> =
                sizes.flat_map(|(class, &rows)| core::iter::repeat_n(class, rows)).collect();
            let split = stratified_split(&labels, share, 3).unwrap();
            let mut all = [split.train.clone(), split.test.clone()].concat();
            all.sort_unstable();
            assert!(all.into_iter().eq(0..labels.len()));
            let mut tested: Vec<usize> = split.test.iter().map(|&row| labels[row]).collect();
            let rows = tested.len();
            tested.dedup();
            (rows, tested)
        };
        // A tenth of three is no row, and of three hundred it is thirty, of as many classes.
        let (rows, tested) = split(&[3; 100], 0.1);
        assert_eq!((rows, tested.len()), (30, 30));
        assert!(tested.iter().any(|&class| class > 70), "{tested:?}");
        // Four fifths of two would be two.
        assert_eq!(split(&[2; 3], 0.8), (5, vec![0, 1, 2]));
        // The largest fractions are first, and a class of one row is not tested on.
        assert_eq!(split(&[1, 2, 1, 4, 3, 1], 0.1), (1, vec![3]));
        assert_eq!(split(&[2, 1, 1, 1], 0.24), (1, vec![0]));
        assert_eq!(split(&[1; 10], 0.2), (0, vec![]));
        // Where both sides have rows, each class has its share, rounded.
        assert_eq!(split(&[5, 1, 1, 1, 1, 1], 0.1), (1, vec![0]));
        assert_eq!(split(&[3; 100], 0.2), (100, (0..100).collect()));
        assert_eq!(split(&[3; 100], 0.0).0, 0);
        assert_eq!(split(&[3; 100], 1.0).0, 300);
    }

    /// The numbers are from `tests/golden/random_streams.py`.
    #[test]
    fn the_split_of_a_seed_is_that_of_version_0_1() {
        let labels = [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1];
        let split = stratified_split(&labels, 0.5, 3).unwrap();
        assert_eq!((split.test, split.train), (vec![2, 4, 5, 6, 8, 11], vec![0, 1, 3, 7, 9, 10]));
        assert_eq!(random_split(12, 0.5, 3).unwrap().test, [1, 2, 5, 9, 10, 11]);
    }
}
