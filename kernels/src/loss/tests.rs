mod narrow_rows;

use super::*;
use crate::testing::{assert_isas_agree, values};
use crate::{Element, Isa, ShapeError, reference};

fn element_losses() -> [ElementLoss; 8] {
    [
        ElementLoss::SquaredError,
        ElementLoss::AbsoluteError,
        ElementLoss::Quantile { quantile: 0.9 },
        ElementLoss::Huber { threshold: 1.5 },
        ElementLoss::BinaryCrossEntropy { positive_weight: 1.0 },
        ElementLoss::BinaryCrossEntropy { positive_weight: 2.5 },
        ElementLoss::Poisson,
        ElementLoss::KlDivergence,
    ]
}

/// Targets in 0..1, 0 and 1 among them.
fn probabilities<E: Element>(seed: u64, n: usize) -> Vec<E> {
    let target = |(i, x): (usize, E)| match i % 5 {
        0 => E::ZERO,
        1 => E::ONE,
        _ => E::from_f64((x.to_f64() + 4.0) / 8.0),
    };
    values::<E>(seed, n).into_iter().enumerate().map(target).collect()
}

fn widths() -> impl Iterator<Item = usize> {
    (0..=70).chain([255, 256, 257, 300, 2048, 2100])
}

/// Losses, then δ.
fn evaluate<E: Element>(
    isa: Isa,
    loss: ElementLoss,
    shape: (usize, usize),
    predictions: &[E],
    targets: &[E],
    scale: Scale<'_, E>,
) -> (Vec<E>, Vec<E>) {
    let spoiled = E::from_f64(f64::NAN);
    let (mut losses, mut delta) = (vec![spoiled; shape.0], vec![spoiled; shape.0 * shape.1]);
    let rows =
        ElementRows { shape, predictions, targets, scale, losses: &mut losses, delta: &mut delta };
    loss.evaluate(isa, rows).unwrap();
    (losses, delta)
}

fn element_losses_are_near_the_exact_ones<E: Element>(unit: f64) {
    let rows = 3;
    let weights = [1.0, 0.25, 3.0].map(E::from_f64);
    for loss in element_losses() {
        for columns in widths() {
            let predictions: Vec<E> = values(1, rows * columns);
            let targets = probabilities(2, rows * columns);
            for scale in [E::HALF.into(), Scale::weighted(E::HALF, &weights)] {
                let shape = (rows, columns);
                let run = |isa| evaluate(isa, loss, shape, &predictions, &targets, scale);
                assert_isas_agree(|isa| {
                    let (losses, delta) = run(isa);
                    [losses, delta].concat()
                });
                for isa in Isa::available() {
                    let (losses, delta) = run(isa);
                    for (i, loss_of_row) in losses.iter().enumerate() {
                        let factor = scale.of_row(i).to_f64();
                        let (mut sum, mut magnitude) = (0.0, 0.0);
                        for j in i * columns..(i + 1) * columns {
                            let (p, t) = (predictions[j].to_f64(), targets[j].to_f64());
                            let (value, slope) = reference::element_loss(loss, p, t);
                            sum += factor * value;
                            magnitude += factor * (value.abs() + t.abs() * p.abs());
                            let bound = factor * unit * 10.0 * (slope.abs() + t.abs());
                            let d = delta[j].to_f64();
                            assert!(
                                (d - factor * slope).abs() <= bound,
                                "{isa}: {loss:?}: {columns}: delta {d}, not {}",
                                factor * slope
                            );
                        }
                        let got = loss_of_row.to_f64();
                        assert!(
                            (got - sum).abs() <= 35.0 * unit * magnitude,
                            "{isa}: {loss:?}: {columns}: loss {got}, not {sum}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn element_losses_at_every_width() {
    element_losses_are_near_the_exact_ones::<f32>(2f64.powi(-24));
    element_losses_are_near_the_exact_ones::<f64>(2f64.powi(-53));
}

#[test]
fn delta_is_the_derivative_of_the_loss() {
    let step = 1e-6;
    let shape = (2, 5);
    let (mut predictions, targets) = (values::<f64>(6, 10), probabilities(7, 10));
    for loss in element_losses() {
        for j in 0..10 {
            let isa = Isa::detect();
            let run = |x: &[f64]| evaluate(isa, loss, shape, x, &targets, 0.5.into());
            let at = predictions[j];
            let delta = run(&predictions).1[j];
            predictions[j] = at + step;
            let above: f64 = run(&predictions).0.iter().sum();
            predictions[j] = at - step;
            let below: f64 = run(&predictions).0.iter().sum();
            predictions[j] = at;
            approx::assert_abs_diff_eq!(delta, (above - below) / (2.0 * step), epsilon = 1e-8);
        }
    }
}

#[test]
fn a_nan_spoils_its_row_and_its_delta() {
    for isa in Isa::available() {
        for loss in element_losses() {
            for (rows, columns) in
                [(3, 1), (70, 1), (3, 2), (37, 2), (3, 15), (3, 16), (3, 17), (1, 37), (2, 70)]
            {
                for position in 0..rows * columns {
                    for spoil_target in [false, true] {
                        let mut predictions: Vec<f32> = values(1, rows * columns);
                        let mut targets = probabilities(2, rows * columns);
                        let spoiled = if spoil_target { &mut targets } else { &mut predictions };
                        spoiled[position] = f32::NAN;
                        let shape = (rows, columns);
                        let (losses, delta) =
                            evaluate(isa, loss, shape, &predictions, &targets, 1.0.into());
                        for (i, loss) in losses.iter().enumerate() {
                            assert_eq!(loss.is_nan(), i == position / columns, "{isa}: {loss:?}");
                        }
                        // The divergence's δ is −y, whatever the prediction.
                        let reaches = spoil_target || loss != ElementLoss::KlDivergence;
                        for (j, delta) in delta.iter().enumerate() {
                            assert_eq!(delta.is_nan(), reaches && j == position, "{isa}: {loss:?}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn sure_binary_predictions_keep_their_digits() {
    let loss = ElementLoss::BinaryCrossEntropy { positive_weight: 1.0 };
    for isa in Isa::available() {
        let (losses, delta) =
            evaluate(isa, loss, (2, 1), &[30.0_f32, -30.0], &[1.0, 0.0], 1.0.into());
        let exact = (-30.0_f64).exp();
        for (loss, delta) in losses.iter().zip(&delta) {
            approx::assert_relative_eq!(f64::from(*loss), exact, max_relative = 3e-7);
            approx::assert_relative_eq!(f64::from(delta.abs()), exact, max_relative = 3e-7);
        }
        let infinity = f32::INFINITY;
        let (losses, delta) = evaluate(
            isa,
            loss,
            (4, 1),
            &[infinity, -infinity, infinity, 1e30],
            &[1.0, 0.0, 0.0, 0.0],
            1.0.into(),
        );
        assert_eq!(losses, [0.0, 0.0, infinity, 1e30]);
        assert_eq!(delta, [0.0, 0.0, 1.0, 1.0]);
    }
}

/// Nothing was counted, and nothing was expected; or too much was.
#[test]
fn rates_of_nothing_and_of_too_much() {
    let infinity = f32::INFINITY;
    let (rates, counts) = ([-infinity, -infinity, 100.0, 0.0], [0.0, 2.0, 1.0, 0.0]);
    for isa in Isa::available() {
        // A row by itself, and rows side by side.
        for shape in [(4, 1), (2, 2), (1, 4)] {
            let (losses, delta) =
                evaluate(isa, ElementLoss::Poisson, shape, &rates, &counts, 1.0.into());
            assert_eq!(delta, [0.0, -2.0, infinity, 1.0]);
            if shape.1 == 1 {
                assert_eq!(losses, [0.0, infinity, infinity, 1.0]);
            }
        }
    }
}

/// At the extremes a quantile has no slope on one side.
#[test]
fn extreme_quantiles() {
    let (x, y) = ([1.0f32, 5.0, 3.0], [2.0, 2.0, 3.0]);
    for isa in Isa::available() {
        let run = |quantile| {
            evaluate(isa, ElementLoss::Quantile { quantile }, (3, 1), &x, &y, 1.0.into())
        };
        assert_eq!(run(0.0), (vec![0.0, 3.0, 0.0], vec![0.0, 1.0, 0.0]));
        assert_eq!(run(1.0), (vec![1.0, 0.0, 0.0], vec![-1.0, 0.0, 0.0]));
        assert_eq!(run(0.25), (vec![0.25, 2.25, 0.0], vec![-0.25, 0.75, 0.0]));
    }
}

/// Losses, then δ, of [`softmax_cross_entropy`].
fn labelled<E: Element>(
    isa: Isa,
    classes: usize,
    logits: &[E],
    labels: &[usize],
    scale: Scale<'_, E>,
) -> (Vec<E>, Vec<E>) {
    let spoiled = E::from_f64(f64::NAN);
    let (mut losses, mut delta) = (vec![spoiled; labels.len()], vec![spoiled; logits.len()]);
    let shape = (labels.len(), classes);
    softmax_cross_entropy(isa, shape, logits, labels, scale, &mut losses, &mut delta).unwrap();
    (losses, delta)
}

/// Losses, then δ, of [`ClassTargets`].
fn targeted<E: Element>(
    isa: Isa,
    shape: (usize, usize),
    logits: &[E],
    targets: ClassTargets<'_, E>,
    is_divergence: bool,
) -> (Vec<E>, Vec<E>) {
    let spoiled = E::from_f64(f64::NAN);
    let (mut losses, mut delta) = (vec![spoiled; shape.0], vec![spoiled; logits.len()]);
    let scale = E::HALF.into();
    let rows = SoftmaxRows { shape, logits, scale, losses: &mut losses, delta: &mut delta };
    if is_divergence {
        targets.kl_divergence(isa, rows).unwrap();
    } else {
        targets.cross_entropy(isa, rows).unwrap();
    }
    (losses, delta)
}

/// Compares a row with [`reference::class_loss`].
fn check_row<E: Element>(
    what: &str,
    (q, z): (&[f64], &[f64]),
    is_divergence: bool,
    factor: f64,
    (loss, delta): (E, &[E]),
    unit: f64,
) {
    let (value, slopes) = reference::class_loss(q, z, is_divergence);
    // A divergence's logarithms may cancel.
    let entropies: f64 = q.iter().filter(|&&q| q > 0.0).map(|q| (q * q.ln()).abs()).sum();
    let cross_entropy = reference::class_loss(q, z, false).0;
    let magnitude = if is_divergence { cross_entropy + entropies } else { value };
    let got = loss.to_f64();
    // The naive sums round once an addend.
    let relative = 60.0 * unit + q.len() as f64 * 2f64.powi(-53);
    assert!(
        (got - factor * value).abs() <= factor * relative * magnitude,
        "{what}: loss {got}, not {}",
        factor * value
    );
    for (j, (d, slope)) in delta.iter().zip(slopes).enumerate() {
        let bound = factor * relative * (slope.abs() + q[j]);
        assert!(
            (d.to_f64() - factor * slope).abs() <= bound,
            "{what}: delta[{j}] = {d}, not {}",
            factor * slope
        );
    }
}

fn softmax_losses_are_near_the_exact_ones<E: Element>(unit: f64) {
    let rows = 3;
    for classes in widths().skip(1) {
        let logits: Vec<E> = values(1, rows * classes);
        let labels: Vec<usize> = (0..rows).map(|i| (i * 7 + classes / 2) % classes).collect();
        let weights: Vec<E> = probabilities(5, classes);
        let given: Vec<E> = probabilities(6, rows * classes);
        let bits = |(losses, delta): (Vec<E>, Vec<E>)| [losses, delta].concat();
        assert_isas_agree(|isa| bits(labelled(isa, classes, &logits, &labels, E::HALF.into())));
        let z: Vec<f64> = logits.iter().map(|z| z.to_f64()).collect();
        let row = |i: usize| i * classes..(i + 1) * classes;
        for isa in Isa::available() {
            let (losses, delta) = labelled(isa, classes, &logits, &labels, E::HALF.into());
            for i in 0..rows {
                let mut q = vec![0.0; classes];
                q[labels[i]] = 1.0;
                let what = format!("{isa}: {classes} classes");
                let got = (losses[i], &delta[row(i)]);
                check_row(&what, (&q, &z[row(i)]), false, 0.5, got, unit);
            }
        }
        let smoothing = 0.1;
        for (smoothed, weighted) in [(false, true), (true, false), (true, true)] {
            let mut targets = ClassTargets::labels(&labels);
            if smoothed {
                targets = targets.smoothed(smoothing);
            }
            if weighted {
                targets = targets.weighted(&weights);
            }
            let q = |i: usize| -> Vec<f64> {
                let q = |j: usize| {
                    let epsilon = if smoothed { smoothing } else { 0.0 };
                    let hit = if j == labels[i] { 1.0 - epsilon } else { 0.0 };
                    let w = if weighted { weights[j].to_f64() } else { 1.0 };
                    w * (hit + epsilon / classes as f64)
                };
                (0..classes).map(q).collect()
            };
            check_targets(&logits, classes, targets, q, unit);
        }
        for weighted in [false, true] {
            let mut targets = ClassTargets::probabilities(&given);
            if weighted {
                targets = targets.weighted(&weights);
            }
            let q = |i: usize| -> Vec<f64> {
                let w = |j: usize| if weighted { weights[j].to_f64() } else { 1.0 };
                (0..classes).map(|j| w(j) * given[i * classes + j].to_f64()).collect()
            };
            check_targets(&logits, classes, targets, q, unit);
        }
    }
}

fn check_targets<E: Element>(
    logits: &[E],
    classes: usize,
    targets: ClassTargets<'_, E>,
    q: impl Fn(usize) -> Vec<f64>,
    unit: f64,
) {
    let rows = logits.len() / classes;
    let z: Vec<f64> = logits.iter().map(|z| z.to_f64()).collect();
    for is_divergence in [false, true] {
        let run = |isa| targeted(isa, (rows, classes), logits, targets, is_divergence);
        assert_isas_agree(|isa| {
            let (losses, delta) = run(isa);
            [losses, delta].concat()
        });
        for isa in Isa::available() {
            let (losses, delta) = run(isa);
            for (i, &loss) in losses.iter().enumerate() {
                let row = i * classes..(i + 1) * classes;
                let what = format!("{isa}: {classes} classes, {targets:?}, {is_divergence}");
                let got = (loss, &delta[row.clone()]);
                check_row(&what, (&q(i), &z[row]), is_divergence, 0.5, got, unit);
            }
        }
    }
}

#[test]
fn softmax_losses_at_every_number_of_classes() {
    softmax_losses_are_near_the_exact_ones::<f32>(2f64.powi(-24));
    softmax_losses_are_near_the_exact_ones::<f64>(2f64.powi(-53));
}

/// Rows of `columns` elements with `fill` behind each, up to 17.
fn widened<E: Element>(rows: &[E], columns: usize, fill: E) -> Vec<E> {
    let wide = |row: &[E]| row.iter().copied().chain([fill; 17]).take(17).collect::<Vec<E>>();
    rows.chunks(columns).flat_map(wide).collect()
}

#[test]
fn sure_predictions_keep_their_digits() {
    for isa in Isa::available() {
        let (losses, delta) = labelled(isa, 3, &[30.0_f32, 0.0, 0.0], &[0], 1.0.into());
        let exact = (2.0 * (-30.0_f64).exp()).ln_1p();
        approx::assert_relative_eq!(f64::from(losses[0]), exact, max_relative = 3e-7);
        approx::assert_relative_eq!(f64::from(delta[0]), -exact, max_relative = 3e-7);
    }
}

#[test]
fn huge_and_masked_logits_are_right() {
    let infinity = f32::INFINITY;
    for isa in Isa::available() {
        let run = |logits: &[f32], label| {
            let (losses, delta) = labelled(isa, logits.len(), logits, &[label], 1.0.into());
            let targets = ClassTargets::labels(core::slice::from_ref(&label));
            let (halves, _) = targeted(isa, (1, logits.len()), logits, targets, false);
            assert!(halves[0] == losses[0] / 2.0 || losses[0].is_nan() && halves[0].is_nan());
            // The same in a row of more classes, all of them masked.
            let wide = widened(logits, logits.len(), -infinity);
            let (many, wide_delta) = labelled(isa, 17, &wide, &[label], 1.0.into());
            let same = |(a, b): (&f32, &f32)| a == b || a.is_nan() && b.is_nan();
            assert!(same((&losses[0], &many[0])), "{isa}: {losses:?} {many:?}");
            assert!(delta.iter().zip(&wide_delta).all(same), "{isa}: {delta:?} {wide_delta:?}");
            (losses[0], delta)
        };
        assert_eq!(run(&[1e30, -1e30, 0.0], 0), (0.0, vec![-0.0, 0.0, 0.0]));
        assert_eq!(run(&[1e30, -1e30, 0.0], 1), (2e30, vec![1.0, -1.0, 0.0]));
        assert_eq!(run(&[-infinity, 2.0, -infinity], 1), (0.0, vec![0.0, -0.0, 0.0]));
        assert_eq!(run(&[-infinity, 2.0, 2.0], 0), (infinity, vec![-1.0, 0.5, 0.5]));
        assert_eq!(run(&[-1e30; 4], 2), (4f32.ln(), vec![0.25, 0.25, -0.75, 0.25]));
        assert!(run(&[-infinity; 3], 1).0.is_nan());
        assert!(run(&[infinity, 0.0], 0).0.is_nan());
        // A masked class among given probabilities.
        let targets = ClassTargets::probabilities(&[0.0_f32, 0.5, 0.5]);
        for is_divergence in [false, true] {
            let logits = [-infinity, 1.0, 1.0];
            let (losses, delta) = targeted(isa, (1, 3), &logits, targets, is_divergence);
            let expected = if is_divergence { 0.0 } else { 0.5 * 2f32.ln() };
            assert_eq!((losses[0], delta), (expected, vec![0.0; 3]));
        }
    }
}

#[test]
fn a_nan_logit_spoils_its_row() {
    let rows = 3;
    for isa in Isa::available() {
        for classes in [1, 2, 10, 16, 17, 37] {
            for position in 0..rows * classes {
                let mut logits: Vec<f32> = values(1, rows * classes);
                logits[position] = f32::NAN;
                let labels = vec![classes / 2; rows];
                let plain = labelled(isa, classes, &logits, &labels, 1.0.into());
                let targets = ClassTargets::labels(&labels).smoothed(0.1);
                let smoothed = targeted(isa, (rows, classes), &logits, targets, false);
                for (losses, delta) in [plain, smoothed] {
                    for (i, loss) in losses.iter().enumerate() {
                        assert_eq!(loss.is_nan(), i == position / classes, "{isa}: {classes}");
                    }
                    for (j, delta) in delta.iter().enumerate() {
                        assert_eq!(delta.is_nan(), j / classes == position / classes);
                    }
                }
            }
        }
    }
}

#[test]
fn bad_arguments_change_nothing() {
    let isa = Isa::detect();
    let (mut losses, mut delta) = ([7.0_f32; 2], [7.0; 6]);
    let length = |argument, expected, actual| ShapeError::Length { argument, expected, actual };
    let x = [0.0_f32; 6];
    let error = squared_error(isa, (2, 3), &x[..5], &x, 1.0, &mut losses, &mut delta);
    assert_eq!(error, Err(length("predictions", 6, 5)));
    let error = squared_error(isa, (2, 3), &x, &x[..5], 1.0, &mut losses, &mut delta);
    assert_eq!(error, Err(length("targets", 6, 5)));
    let error = squared_error(isa, (2, 3), &x, &x, 1.0, &mut losses[..1], &mut delta);
    assert_eq!(error, Err(length("losses", 2, 1)));
    let error = squared_error(isa, (2, 3), &x, &x, 1.0, &mut losses, &mut delta[..1]);
    assert_eq!(error, Err(length("delta", 6, 1)));
    let weights = Scale::weighted(1.0, &x[..3]);
    let error = squared_error(isa, (2, 3), &x, &x, weights, &mut losses, &mut delta);
    assert_eq!(error, Err(length("scale.weights", 2, 3)));
    let error = squared_error(isa, (usize::MAX, 3), &x, &x, 1.0, &mut losses, &mut delta);
    assert!(matches!(error, Err(ShapeError::Overflow { .. })));
    let error = softmax_cross_entropy(isa, (2, 3), &x, &[0, 3], 1.0, &mut losses, &mut delta);
    let class = ShapeError::Class { argument: "labels", row: 1, class: 3, classes: 3 };
    assert_eq!(error, Err(class.clone()));
    let error = softmax_cross_entropy(isa, (2, 3), &x, &[0], 1.0, &mut losses, &mut delta);
    assert_eq!(error, Err(length("labels", 2, 1)));

    let mut evaluate = |targets: ClassTargets<'_, f32>, shape, logits: &[f32]| {
        let scale = 1.0.into();
        let (losses, delta) = (&mut losses[..], &mut delta[..]);
        targets.cross_entropy(isa, SoftmaxRows { shape, logits, scale, losses, delta })
    };
    assert_eq!(evaluate(ClassTargets::labels(&[0, 3]), (2, 3), &x), Err(class));
    let error = evaluate(ClassTargets::probabilities(&x[..4]), (2, 3), &x);
    assert_eq!(error, Err(length("probabilities", 6, 4)));
    let error = evaluate(ClassTargets::labels(&[0, 1]).weighted(&x[..2]), (2, 3), &x);
    assert_eq!(error, Err(length("class_weights", 3, 2)));
    let error = evaluate(ClassTargets::probabilities(&[]), (2, 0), &[]);
    assert_eq!(error, Err(ShapeError::Zero { argument: "classes" }));
    assert_eq!((losses, delta), ([7.0; 2], [7.0; 6]));
}
