//! Cross-validation: every row is tested on once.

use super::Split;
use super::split::rows_of_classes;
use crate::error::{Error, Result, try_reserve, try_vec};
use crate::random::{Purpose, Random};

/// `folds` splits of so many rows: each row is in the test of just one of them, and the tests are
/// of equal size, or differ by one row.
///
/// ```
/// let splits = deltarule::data::k_fold(10, 5, 42)?;
/// assert!(splits.iter().all(|split| split.train.len() == 8 && split.test.len() == 2));
/// # Ok::<(), deltarule::Error>(())
/// ```
///
/// # Errors
/// [`Error::OutOfRange`] unless there are 2 folds at least, and as many rows;
/// [`Error::OutOfMemory`] if there is none for the rows of all folds.
pub fn k_fold(rows: usize, folds: usize, seed: u64) -> Result<Vec<Split>> {
    check(rows, folds)?;
    let mut order = try_vec("rows", rows)?;
    order.iter_mut().enumerate().for_each(|(index, row)| *row = index);
    Random::new(seed, Purpose::Folds, 0).shuffle(&mut order);
    deal(&order, folds)
}

/// [`k_fold`] in which each class is dealt out as evenly as all rows are.
///
/// ```
/// let labels = [0, 0, 0, 0, 0, 0, 1, 1, 1];
/// for split in deltarule::data::stratified_k_fold(&labels, 3, 42)? {
///     let tested: Vec<usize> = split.test.iter().map(|&row| labels[row]).collect();
///     assert_eq!(tested, [0, 0, 1]);
/// }
/// # Ok::<(), deltarule::Error>(())
/// ```
///
/// # Errors
/// [`Error::OutOfRange`] unless there are 2 folds at least, and as many rows;
/// [`Error::OutOfMemory`] if there is none for the rows of all folds.
pub fn stratified_k_fold(labels: &[usize], folds: usize, seed: u64) -> Result<Vec<Split>> {
    check(labels.len(), folds)?;
    let mut order = Vec::new();
    try_reserve("rows", &mut order, labels.len())?;
    for (class, mut rows) in rows_of_classes(labels) {
        Random::new(seed, Purpose::Folds, class as u64).shuffle(&mut rows);
        order.extend(rows);
    }
    deal(&order, folds)
}

fn check(rows: usize, folds: usize) -> Result<()> {
    if (2..=rows).contains(&folds) {
        return Ok(());
    }
    let expected = "at least 2, and at most the rows";
    Err(Error::OutOfRange { argument: "folds", value: folds as f64, expected })
}

/// Deals the rows to the folds' tests by turns.
fn deal(order: &[usize], folds: usize) -> Result<Vec<Split>> {
    let mut fold_of: Vec<usize> = try_vec("rows", order.len())?;
    for (place, &row) in order.iter().enumerate() {
        fold_of[row] = place % folds;
    }
    // All at once, for a system may lend what it has not, piece by piece.
    try_reserve::<usize>("rows of all folds", &mut Vec::new(), folds.saturating_mul(order.len()))?;
    let mut splits = Vec::new();
    try_reserve("folds", &mut splits, folds)?;
    for fold in 0..folds {
        let tested = order.len() / folds + usize::from(fold < order.len() % folds);
        let mut split = Split { train: Vec::new(), test: Vec::new() };
        try_reserve("rows", &mut split.test, tested)?;
        try_reserve("rows", &mut split.train, order.len() - tested)?;
        for (row, &of_row) in fold_of.iter().enumerate() {
            if of_row == fold { split.test.push(row) } else { split.train.push(row) }
        }
        splits.push(split);
    }
    Ok(splits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_folds(splits: &[Split], rows: usize) {
        let mut tested: Vec<usize> = splits.iter().flat_map(|s| s.test.clone()).collect();
        tested.sort_unstable();
        assert!(tested.into_iter().eq(0..rows));
        for split in splits {
            let mut all = [split.train.clone(), split.test.clone()].concat();
            all.sort_unstable();
            assert!(all.into_iter().eq(0..rows));
            let (least, most) = (rows / splits.len(), rows.div_ceil(splits.len()));
            assert!((least..=most).contains(&split.test.len()));
        }
    }

    #[test]
    fn every_row_is_tested_on_once() {
        for folds in [2, 3, 7, 100] {
            check_folds(&k_fold(100, folds, 1).unwrap(), 100);
        }
        assert_ne!(k_fold(100, 3, 1).unwrap(), k_fold(100, 3, 2).unwrap());
        assert!(k_fold(100, 1, 1).is_err());
        assert!(k_fold(3, 4, 1).is_err());
        assert!(k_fold(0, 2, 1).is_err());
        // More than the addresses of a process.
        let many: usize = 1 << 22;
        let (argument, elements) = ("rows of all folds", many.saturating_mul(many));
        assert_eq!(k_fold(many, many, 1), Err(Error::OutOfMemory { argument, elements }));
    }

    #[test]
    fn every_fold_has_its_share_of_every_class() {
        let labels: Vec<usize> = (0..103).map(|row| row * row % 7 % 3).collect();
        let splits = stratified_k_fold(&labels, 5, 1).unwrap();
        check_folds(&splits, 103);
        for class in 0..3 {
            let count = |rows: &[usize]| rows.iter().filter(|&&r| labels[r] == class).count();
            let all = count(&(0..103).collect::<Vec<_>>());
            for split in &splits {
                assert!((all / 5..=all.div_ceil(5)).contains(&count(&split.test)), "{class}");
            }
        }
        assert!(stratified_k_fold(&labels[..1], 2, 1).is_err());
    }

    /// The numbers are from `tests/golden/random_streams.py`.
    #[test]
    fn the_folds_of_a_seed_are_those_of_version_0_1() {
        let tested =
            |splits: Vec<Split>| splits.into_iter().map(|split| split.test).collect::<Vec<_>>();
        let folds = tested(k_fold(12, 3, 3).unwrap());
        assert_eq!(folds, [[3, 8, 10, 11], [0, 2, 5, 9], [1, 4, 6, 7]]);
        let labels = [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1];
        let folds = tested(stratified_k_fold(&labels, 3, 3).unwrap());
        assert_eq!(folds, [[1, 4, 8, 9], [0, 2, 6, 10], [3, 5, 7, 11]]);
    }
}
