//! What the scores of classes are worth, and not just which is the largest.

use deltarule_kernels::Element;

use super::check_classes;
use super::truth::{Truth, Weights};
use crate::error::{Error, Result, check_length, checked_area, whole_rows};

/// Checks that `scores` is (rows, `classes`), with a row for each label, and without NaN. The
/// weights of the rows, and their sum.
fn check_scores<'a, E: Element>(
    argument: &'static str,
    scores: &[E],
    classes: usize,
    truth: &'a Truth<'_, usize>,
) -> Result<(Weights<'a>, f64)> {
    let labels = truth.rows;
    if classes == 0 {
        return Err(Error::Zero { argument: "classes" });
    }
    whole_rows(argument, scores.len(), classes)?;
    check_length(argument, scores.len(), checked_area("labels", labels.len(), classes)?)?;
    check_classes("labels", labels, classes)?;
    check_numbers(argument, scores)?;
    let weights = truth.weights(labels.len())?;
    Ok((weights, weights.total()?))
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
/// range, [`Error::NotANumber`] for a score that is NaN; and what [`Truth::weighted`] names.
pub fn top_k_accuracy<'a, E: Element>(
    scores: &[E],
    classes: usize,
    labels: impl Into<Truth<'a, usize>>,
    k: usize,
) -> Result<f64> {
    if k == 0 {
        return Err(Error::Zero { argument: "k" });
    }
    let truth = labels.into();
    let (weights, total) = check_scores("scores", scores, classes, &truth)?;
    let right = scores.chunks_exact(classes).zip(truth.rows).map(|(row, &label)| {
        let own = row[label];
        let larger =
            |&(class, &score): &(usize, &E)| score > own || (score == own && class < label);
        f64::from(u8::from(row.iter().enumerate().filter(larger).count() < k))
    });
    Ok(weights.sum(right) / total)
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
/// [`Error::SingleClass`] if all labels that count are equal; and what [`Truth::weighted`] names.
pub fn roc_auc<'a, E: Element>(scores: &[E], labels: impl Into<Truth<'a, usize>>) -> Result<f64> {
    binary(scores, labels.into(), |sorted| {
        area(sorted).ok_or_else(|| {
            let class = usize::from(sorted.iter().any(|row| row.high && row.weight > 0.0));
            Error::SingleClass { argument: "labels", class }
        })
    })
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
pub fn roc_auc_one_vs_rest<'a, E: Element>(
    scores: &[E],
    classes: usize,
    labels: impl Into<Truth<'a, usize>>,
) -> Result<f64> {
    one_vs_rest(scores, classes, labels.into(), area)
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
pub fn average_precision<'a, E: Element>(
    scores: &[E],
    labels: impl Into<Truth<'a, usize>>,
) -> Result<f64> {
    binary(scores, labels.into(), |sorted| {
        mean_precision(sorted).ok_or(Error::MissingClass { argument: "labels", class: 1 })
    })
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
pub fn average_precision_one_vs_rest<'a, E: Element>(
    scores: &[E],
    classes: usize,
    labels: impl Into<Truth<'a, usize>>,
) -> Result<f64> {
    one_vs_rest(scores, classes, labels.into(), mean_precision)
}

/// A row's score, whether it should be high, and how much it counts.
struct Scored {
    score: f64,
    high: bool,
    weight: f64,
}

/// What `measure` makes of scores for class 1 of two, the lowest first.
fn binary<E: Element>(
    scores: &[E],
    truth: Truth<'_, usize>,
    measure: impl Fn(&[Scored]) -> Result<f64>,
) -> Result<f64> {
    let labels = truth.rows;
    whole_rows("scores", scores.len(), 1)?;
    check_length("labels", labels.len(), scores.len())?;
    check_classes("labels", labels, 2)?;
    check_numbers("scores", scores)?;
    let weights = truth.weights(labels.len())?;
    weights.total()?;
    measure(&sorted(scores.iter(), labels, 1, weights))
}

/// The mean over the classes of what `measure` makes of a class's scores, the lowest first; it is
/// not defined if none should be high, and may not be if all should.
fn one_vs_rest<E: Element>(
    scores: &[E],
    classes: usize,
    truth: Truth<'_, usize>,
    measure: impl Fn(&[Scored]) -> Option<f64>,
) -> Result<f64> {
    let (weights, _) = check_scores("scores", scores, classes, &truth)?;
    let mut sum = 0.0;
    for class in 0..classes {
        let column = scores[class..].iter().step_by(classes);
        let sorted = sorted(column, truth.rows, class, weights);
        sum += match measure(&sorted) {
            Some(value) => value,
            None if sorted.iter().any(|row| row.high && row.weight > 0.0) => {
                return Err(Error::SingleClass { argument: "labels", class });
            }
            None => return Err(Error::MissingClass { argument: "labels", class }),
        };
    }
    Ok(sum / classes as f64)
}

/// Scores for a class, the lowest first, and equal ones as the rows are.
fn sorted<'a, E: Element>(
    scores: impl Iterator<Item = &'a E>,
    labels: &[usize],
    class: usize,
    weights: Weights<'_>,
) -> Vec<Scored> {
    let rows = scores.zip(labels).zip(weights.iter());
    let mut sorted: Vec<Scored> = rows
        .map(|((score, &label), weight)| Scored {
            score: score.to_f64(),
            high: label == class,
            weight,
        })
        .collect();
    // −0 comes before +0, but they are equal scores all the same.
    sorted.sort_by(|a, b| a.score.total_cmp(&b.score));
    sorted
}

/// The sums of the weights of equal scores that should be low and high, the lowest score first.
fn weights_of_ties(sorted: &[Scored]) -> impl DoubleEndedIterator<Item = (f64, f64)> {
    sorted.chunk_by(|a, b| a.score == b.score).map(|ties| {
        ties.iter().fold((0.0, 0.0), |(low, high), row| {
            if row.high { (low, high + row.weight) } else { (low + row.weight, high) }
        })
    })
}

/// The average precision of sorted scores; `None` if none that counts should be high.
fn mean_precision(sorted: &[Scored]) -> Option<f64> {
    let (mut above, mut high_above, mut sum) = (0.0, 0.0, 0.0);
    for (low, high) in weights_of_ties(sorted).rev() {
        above += low + high;
        high_above += high;
        if high > 0.0 {
            sum += high * (high_above / above);
        }
    }
    (high_above > 0.0).then(|| sum / high_above)
}

/// The area of sorted scores; `None` if all that count should be high, or none.
fn area(sorted: &[Scored]) -> Option<f64> {
    let (mut low_total, mut high_total) = (0.0, 0.0);
    for (low, high) in weights_of_ties(sorted) {
        low_total += low;
        high_total += high;
    }
    if !(low_total > 0.0 && high_total > 0.0) {
        return None;
    }
    let (low_scale, high_scale) = (power_of_two(low_total), power_of_two(high_total));
    let (mut below, mut pairs) = (0.0, 0.0);
    for (low, high) in weights_of_ties(sorted) {
        let low = low / low_scale;
        pairs += high / high_scale * (below + low / 2.0);
        below += low;
    }
    Some(pairs / (below * (high_total / high_scale)))
}

/// The largest power of 2 that is not above a positive number, but no subnormal one. What is divided
/// by it keeps its digits, and products of what was neither overflow nor vanish.
fn power_of_two(number: f64) -> f64 {
    f64::from_bits(number.to_bits() & f64::INFINITY.to_bits()).max(f64::MIN_POSITIVE)
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
pub fn log_loss<'a, E: Element>(
    probabilities: &[E],
    classes: usize,
    labels: impl Into<Truth<'a, usize>>,
) -> Result<f64> {
    let (argument, truth) = ("probabilities", labels.into());
    let (weights, total) = check_scores(argument, probabilities, classes, &truth)?;
    let outside = |p: &&E| !(0.0..=1.0).contains(&p.to_f64());
    if let Some(value) = probabilities.iter().find(outside) {
        let expected = "between 0 and 1";
        return Err(Error::OutOfRange { argument, value: value.to_f64(), expected });
    }
    let smallest = if size_of::<E>() == 4 { f64::from(f32::EPSILON) } else { f64::EPSILON };
    let rows = probabilities.chunks_exact(classes).zip(truth.rows);
    let losses = rows.map(|(row, &label)| -row[label].to_f64().max(smallest).ln());
    Ok(weights.sum(losses) / total)
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
    fn weights_of_any_magnitude_have_products() {
        let (scores, labels) = ([0.1, 0.4, 0.4, 0.2, 0.9, 0.6], [0, 0, 1, 1, 1, 0]);
        let weights = [1.0, 3.0, 0.75, 2.5, 0.1, 1.7];
        let area = roc_auc(&scores, Truth::weighted(&labels, &weights)).unwrap();
        for (low, high) in
            [(-600, -600), (-600, 600), (600, -600), (1000, 1000), (-1000, -1060), (-1060, 1000)]
        {
            let scale = [2f64.powi(low / 2).powi(2), 2f64.powi(high / 2).powi(2)];
            let scaled: Vec<f64> = (0..6).map(|row| weights[row] * scale[labels[row]]).collect();
            let scaled = roc_auc(&scores, Truth::weighted(&labels, &scaled)).unwrap();
            // There are few digits left of what is subnormal.
            approx::assert_relative_eq!(scaled, area, max_relative = 1e-3);
            if low.min(high) > -1000 {
                assert_eq!(scaled, area);
            }
        }
        for weight in [1e-320, 1e-170, 1e170] {
            let truth = Truth::weighted(&[0usize, 1], &[weight; 2]);
            assert_eq!(roc_auc(&[0.1, 0.9], &truth), Ok(1.0));
            assert_eq!(average_precision(&[0.1, 0.9], truth), Ok(1.0));
        }
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
