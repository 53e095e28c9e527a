//! What the scores of classes are worth, and not just which is the largest.

use deltarule_kernels::Element;

use super::check_classes;
use crate::error::{Error, Result, check_length, checked_area, whole_rows};

/// Checks that `scores` is (rows, `classes`), with a row for each label, and without NaN.
fn check_scores<E: Element>(
    argument: &'static str,
    scores: &[E],
    classes: usize,
    labels: &[usize],
) -> Result<()> {
    if classes == 0 {
        return Err(Error::Zero { argument: "classes" });
    }
    whole_rows(argument, scores.len(), classes)?;
    check_length(argument, scores.len(), checked_area("labels", labels.len(), classes)?)?;
    check_classes("labels", labels, classes)?;
    check_numbers(argument, scores)
}

/// Checks that there is no NaN.
fn check_numbers<E: Element>(argument: &'static str, scores: &[E]) -> Result<()> {
    match scores.iter().position(|score| score.to_f64().is_nan()) {
        None => Ok(()),
        Some(index) => Err(Error::NotANumber { argument, index }),
    }
}

/// The share of rows whose class is among the `k` with the largest scores.
///
/// `scores` is (rows, `classes`) row-major: outputs of a network, or probabilities. Of equal
/// scores the class with the smaller index counts as the larger, as in
/// [`Network::classify`](crate::Network::classify).
///
/// ```
/// let scores = [0.2, 0.5, 0.3, 0.6, 0.3, 0.1];
/// assert_eq!(deltarule::metrics::top_k_accuracy(&scores, 3, &[2, 2], 2)?, 0.5);
/// # Ok::<(), deltarule::Error>(())
/// ```
///
/// # Errors
/// [`Error::Zero`] for no classes or a `k` of 0, [`Error::Empty`], [`Error::PartialRow`] or
/// [`Error::Length`] if the scores are not (rows, classes), [`Error::Class`] for a label out of
/// range, [`Error::NotANumber`] for a score that is NaN.
pub fn top_k_accuracy<E: Element>(
    scores: &[E],
    classes: usize,
    labels: &[usize],
    k: usize,
) -> Result<f64> {
    if k == 0 {
        return Err(Error::Zero { argument: "k" });
    }
    check_scores("scores", scores, classes, labels)?;
    let right = scores.chunks_exact(classes).zip(labels).filter(|&(row, &label)| {
        let own = row[label];
        let larger =
            |&(class, &score): &(usize, &E)| score > own || (score == own && class < label);
        row.iter().enumerate().filter(larger).count() < k
    });
    Ok(right.count() as f64 / labels.len() as f64)
}

/// The area under the receiver operating characteristic: the probability that a row of class 1
/// has a higher score than one of class 0, where equal scores count half.
///
/// It is the Mann–Whitney statistic U / (n₀ n₁) from mid-ranks, so ties are exact. Any increasing
/// function of the scores gives the same area: a logit serves as well as a probability.
///
/// ```
/// let area = deltarule::metrics::roc_auc(&[0.1, 0.4, 0.35, 0.8], &[0, 0, 1, 1])?;
/// assert_eq!(area, 0.75);
/// # Ok::<(), deltarule::Error>(())
/// ```
///
/// # Errors
/// [`Error::Length`] if the slices differ in length, [`Error::Empty`] if they are empty,
/// [`Error::Class`] for a label above 1, [`Error::NotANumber`] for a score that is NaN,
/// [`Error::SingleClass`] if all labels are equal.
pub fn roc_auc<E: Element>(scores: &[E], labels: &[usize]) -> Result<f64> {
    check_binary(scores, labels)?;
    area(&sorted(scores.iter().copied().zip(labels.iter().map(|&label| label == 1))))
        .ok_or(Error::SingleClass { argument: "labels", class: labels[0] })
}

/// The mean over the classes of [`roc_auc`] of that class against all others.
///
/// `scores` is (rows, `classes`) row-major, and should be comparable across rows: probabilities,
/// and not logits.
///
/// ```
/// use deltarule::{Error, metrics::roc_auc_one_vs_rest};
/// let probabilities = [0.8, 0.1, 0.1, 0.2, 0.6, 0.2, 0.3, 0.4, 0.3];
/// assert_eq!(roc_auc_one_vs_rest(&probabilities, 3, &[0, 1, 2])?, 1.0);
/// let error = roc_auc_one_vs_rest(&probabilities, 3, &[0, 1, 1]).unwrap_err();
/// assert_eq!(error, Error::MissingClass { argument: "labels", class: 2 });
/// # Ok::<(), deltarule::Error>(())
/// ```
///
/// # Errors
/// As [`top_k_accuracy`]; [`Error::MissingClass`] if a class has no row, for then it has no area.
/// With a single class, that is [`Error::SingleClass`].
pub fn roc_auc_one_vs_rest<E: Element>(
    scores: &[E],
    classes: usize,
    labels: &[usize],
) -> Result<f64> {
    one_vs_rest(scores, classes, labels, area)
}

/// The average precision: Σₙ (Rₙ − Rₙ₋₁) Pₙ over all thresholds, from the highest score down, Pₙ
/// and Rₙ precision and recall of class 1 where every score from the n-th on counts for it. It is
/// the area under the curve of precision over recall, as a sum of steps.
///
/// Where class 1 is rare, as fraud is, it tells more than [`roc_auc`]: scores at random have the
/// share of class 1, and not a half. Any increasing function of the scores gives the same.
///
/// ```
/// let precision = deltarule::metrics::average_precision(&[0.1, 0.4, 0.35, 0.8], &[0, 0, 1, 1])?;
/// assert_eq!(precision, 0.5 * 1.0 + 0.5 * (2.0 / 3.0));
/// # Ok::<(), deltarule::Error>(())
/// ```
///
/// # Errors
/// As [`roc_auc`], but for [`Error::SingleClass`]; [`Error::MissingClass`] without a row of
/// class 1.
pub fn average_precision<E: Element>(scores: &[E], labels: &[usize]) -> Result<f64> {
    check_binary(scores, labels)?;
    mean_precision(&sorted(scores.iter().copied().zip(labels.iter().map(|&label| label == 1))))
        .ok_or(Error::MissingClass { argument: "labels", class: 1 })
}

/// The mean over the classes of [`average_precision`] of that class against all others.
///
/// `scores` is (rows, `classes`) row-major, and should be comparable across rows: probabilities,
/// and not logits.
///
/// ```
/// use deltarule::metrics::average_precision_one_vs_rest;
/// let probabilities = [0.8, 0.1, 0.1, 0.2, 0.6, 0.2, 0.3, 0.4, 0.3];
/// assert_eq!(average_precision_one_vs_rest(&probabilities, 3, &[0, 1, 2])?, 1.0);
/// # Ok::<(), deltarule::Error>(())
/// ```
///
/// # Errors
/// As [`top_k_accuracy`]; [`Error::MissingClass`] if a class has no row.
pub fn average_precision_one_vs_rest<E: Element>(
    scores: &[E],
    classes: usize,
    labels: &[usize],
) -> Result<f64> {
    one_vs_rest(scores, classes, labels, mean_precision)
}

/// Checks that there is a label of 0 or 1 for each score, and no score is NaN.
fn check_binary<E: Element>(scores: &[E], labels: &[usize]) -> Result<()> {
    whole_rows("scores", scores.len(), 1)?;
    check_length("labels", labels.len(), scores.len())?;
    check_classes("labels", labels, 2)?;
    check_numbers("scores", scores)
}

/// The mean over the classes of what `measure` makes of a class's scores and whether they should be
/// high, the lowest first; it is not defined if none should, and may not be if all should.
fn one_vs_rest<E: Element>(
    scores: &[E],
    classes: usize,
    labels: &[usize],
    measure: impl Fn(&[(f64, bool)]) -> Option<f64>,
) -> Result<f64> {
    check_scores("scores", scores, classes, labels)?;
    let mut sum = 0.0;
    for class in 0..classes {
        let column = scores[class..].iter().step_by(classes).copied();
        sum += match measure(&sorted(column.zip(labels.iter().map(|&label| label == class)))) {
            Some(value) => value,
            None if labels.contains(&class) => {
                return Err(Error::SingleClass { argument: "labels", class });
            }
            None => return Err(Error::MissingClass { argument: "labels", class }),
        };
    }
    Ok(sum / classes as f64)
}

/// The average precision of sorted scores and whether they should be high; `None` if none should.
fn mean_precision(sorted: &[(f64, bool)]) -> Option<f64> {
    let (mut above, mut high_above, mut sum) = (0u64, 0u64, 0.0);
    for ties in sorted.chunk_by(|a, b| a.0 == b.0).rev() {
        let high = ties.iter().filter(|(_, high)| *high).count() as u64;
        above += ties.len() as u64;
        high_above += high;
        sum += high as f64 * (high_above as f64 / above as f64);
    }
    (high_above > 0).then(|| sum / high_above as f64)
}

/// Scores and whether they should be high, the lowest first.
fn sorted<E: Element>(scores: impl Iterator<Item = (E, bool)>) -> Vec<(f64, bool)> {
    let mut sorted: Vec<(f64, bool)> = scores.map(|(score, high)| (score.to_f64(), high)).collect();
    // −0 comes before +0, but they are equal scores all the same.
    sorted.sort_unstable_by(|a, b| a.0.total_cmp(&b.0));
    sorted
}

/// The area of sorted scores and whether they should be high; `None` if all should or none.
fn area(sorted: &[(f64, bool)]) -> Option<f64> {
    let (mut below, mut pairs, mut high_total) = (0u64, 0.0, 0u64);
    for ties in sorted.chunk_by(|a, b| a.0 == b.0) {
        let high = ties.iter().filter(|(_, high)| *high).count() as u64;
        let low = ties.len() as u64 - high;
        pairs += high as f64 * (below as f64 + low as f64 / 2.0);
        below += low;
        high_total += high;
    }
    (below > 0 && high_total > 0).then(|| pairs / (below as f64 * high_total as f64))
}

/// The mean over the rows of −ln p, p the probability that was given to the row's class.
///
/// `probabilities` is (rows, `classes`) row-major. p is raised to the element type's ε = 2⁻²³ or
/// 2⁻⁵² where it is below, so that one confident error is not infinitely bad.
///
/// ```
/// let loss = deltarule::metrics::log_loss(&[0.5, 0.5, 1.0, 0.0], 2, &[1, 0])?;
/// assert!((loss - 0.5 * 2f64.ln()).abs() < 1e-15);
/// # Ok::<(), deltarule::Error>(())
/// ```
///
/// # Errors
/// As [`top_k_accuracy`]; [`Error::OutOfRange`] for a probability outside 0 to 1.
pub fn log_loss<E: Element>(probabilities: &[E], classes: usize, labels: &[usize]) -> Result<f64> {
    let argument = "probabilities";
    check_scores(argument, probabilities, classes, labels)?;
    let outside = |p: &&E| !(0.0..=1.0).contains(&p.to_f64());
    if let Some(value) = probabilities.iter().find(outside) {
        let expected = "between 0 and 1";
        return Err(Error::OutOfRange { argument, value: value.to_f64(), expected });
    }
    let smallest = if size_of::<E>() == 4 { f64::from(f32::EPSILON) } else { f64::EPSILON };
    let rows = probabilities.chunks_exact(classes).zip(labels);
    let sum: f64 = rows.map(|(row, &label)| -row[label].to_f64().max(smallest).ln()).sum();
    Ok(sum / labels.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_scores_rank_by_class() {
        let scores = [1.0f32, 1.0, 1.0];
        let within = |label, k| top_k_accuracy(&scores, 3, &[label], k).unwrap() == 1.0;
        assert!(within(0, 1) && !within(1, 1) && within(1, 2) && !within(2, 2) && within(2, 3));
        assert!(within(2, usize::MAX));
    }

    #[test]
    fn equal_scores_count_half() {
        assert_eq!(roc_auc(&[1.0f64; 5], &[0, 1, 1, 0, 1]), Ok(0.5));
        assert_eq!(roc_auc(&[-0.0f32, 0.0], &[1, 0]), Ok(0.5));
        assert_eq!(average_precision(&[1.0f64; 5], &[0, 1, 1, 0, 1]), Ok(0.6));
        assert_eq!(average_precision(&[-0.0f32, 0.0], &[1, 0]), Ok(0.5));
        assert_eq!(roc_auc(&[f32::NEG_INFINITY, f32::INFINITY], &[0, 1]), Ok(1.0));
    }

    #[test]
    fn bad_arguments_are_named() {
        let scores = [0.5f32, 0.5, f32::NAN, 0.5];
        let message = |result: Result<f64>| result.unwrap_err().to_string();
        assert_eq!(
            message(top_k_accuracy(&scores, 2, &[0, 1], 1)),
            "`scores[2]` is NaN, which has no rank"
        );
        assert_eq!(
            message(roc_auc(&scores[..2], &[1, 1])),
            "`labels` are all class 1, but at least two classes are needed"
        );
        assert_eq!(
            message(roc_auc_one_vs_rest(&scores[..2], 2, &[1])),
            "`labels` have no row of class 0"
        );
        assert_eq!(
            message(log_loss(&[1.5f64, 0.0], 2, &[0])),
            "`probabilities` is 1.5, but it must be between 0 and 1"
        );
        assert_eq!(
            message(log_loss(&scores[..2], 2, &[0, 1])),
            "`probabilities` has 2 elements, but 4 are needed"
        );
        assert_eq!(
            message(roc_auc(&scores[..2], &[0, 0])),
            "`labels` are all class 0, but at least two classes are needed"
        );
        assert_eq!(
            message(roc_auc_one_vs_rest(&scores[..2], 2, &[0])),
            "`labels` are all class 0, but at least two classes are needed"
        );
        assert_eq!(message(roc_auc(&scores, &[0; 4])), "`scores[2]` is NaN, which has no rank");
        assert_eq!(
            message(roc_auc(&scores[..2], &[0])),
            "`labels` has 1 elements, but 2 are needed"
        );
        assert_eq!(
            message(top_k_accuracy(&scores[..2], 2, &[2], 1)),
            "`labels[0]` is class 2, but there are only 2 classes"
        );
        assert!(top_k_accuracy(&scores[..2], 2, &[0], 0).is_err());
        assert!(top_k_accuracy(&scores[..2], 0, &[0], 1).is_err());
        assert!(roc_auc(&scores[..2], &[0, 2]).is_err());
        assert!(roc_auc::<f32>(&[], &[]).is_err());
        assert_eq!(
            message(average_precision(&scores[..2], &[0, 0])),
            "`labels` have no row of class 1"
        );
        assert_eq!(
            message(average_precision_one_vs_rest(&scores[..2], 2, &[1])),
            "`labels` have no row of class 0"
        );
        assert!(average_precision(&scores, &[0, 1, 0, 1]).is_err());
    }

    #[test]
    fn a_probability_of_0_costs_as_much_as_the_element_can_tell_from_0() {
        assert_eq!(log_loss(&[0.0f32, 1.0], 2, &[0]), Ok(-f64::from(f32::EPSILON).ln()));
        assert_eq!(log_loss(&[0.0f64, 1.0], 2, &[0]), Ok(-f64::EPSILON.ln()));
    }
}
