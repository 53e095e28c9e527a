//! A row's weight multiplies its loss and its gradient, whatever the loss.

use approx::assert_relative_eq;
use deltarule::data::{Dataset, Rows};
use deltarule::metrics::Average;
use deltarule::{
    Activation, Error, Loss, Metric, NetworkBuilder, Optimizer, Targets, Trainer, TrainerBuilder,
};

use crate::common::{bits, labels, sample};

/// More than a shard.
const ROWS: usize = 600;

fn builder(loss: Loss, outputs: usize) -> TrainerBuilder<f64> {
    let layers = NetworkBuilder::<f64>::new(4).dense(8, Activation::Tanh).seed(1);
    let network = layers.dense(outputs, Activation::Identity).build().unwrap();
    Trainer::builder(network, loss, Optimizer::adam(0.01)).max_batch(ROWS)
}

/// Some of them are 0, and some below; those of a shard are not those of another.
fn weights() -> Vec<f64> {
    sample(ROWS, 4).into_iter().map(|w: f64| if w.abs() < 0.1 { 0.0 } else { w }).collect()
}

#[test]
fn they_multiply_the_gradient_of_each_row() {
    let (x, weights) = (sample::<f64>(4 * ROWS, 1), weights());
    for outputs in [1, 3, 17, 40] {
        let labels = labels(ROWS, outputs, 2);
        let values: Vec<f64> = sample(outputs * ROWS, 3).iter().map(|y: &f64| y.abs()).collect();
        let (classes, values) = (Targets::Classes(&labels), Targets::Values(&values));
        let class_weights: Vec<f64> = (0..outputs).map(|class| 0.5 + class as f64).collect();
        let smoothed = Loss::SmoothedCrossEntropy { smoothing: 0.25 };
        let weighs_classes = |loss| builder(loss, outputs).class_weights(class_weights.clone());
        // Of one class there is no softmax.
        let learns = outputs > 1;
        for (trainer, targets, learns) in [
            (builder(Loss::MeanSquaredError, outputs), values, true),
            (builder(Loss::MeanAbsoluteError, outputs), values, true),
            (builder(Loss::Quantile { quantile: 0.8 }, outputs), values, true),
            (builder(Loss::Huber { threshold: 0.5 }, outputs), values, true),
            (builder(Loss::Poisson, outputs), values, true),
            (builder(Loss::BinaryCrossEntropy { positive_weight: 2.0 }, outputs), values, true),
            (builder(Loss::SoftmaxCrossEntropy, outputs), classes, learns),
            (builder(Loss::SoftmaxCrossEntropy, outputs), values, learns),
            (builder(smoothed, outputs), classes, learns),
            (weighs_classes(Loss::SoftmaxCrossEntropy), classes, learns),
            (weighs_classes(smoothed), classes, learns),
        ] {
            let Ok(mut trainer) = trainer.build() else {
                assert!(!learns);
                continue;
            };
            let count = trainer.network().parameters().len();
            let (mut found, mut of_row) = (vec![0.0; count], vec![0.0; count]);
            let (mut expected, mut loss) = (vec![0.0; count], 0.0);
            for (row, weight) in weights.iter().enumerate() {
                let targets = match targets {
                    Targets::Classes(labels) => Targets::Classes(&labels[row..=row]),
                    Targets::Values(values) => {
                        Targets::Values(&values[row * outputs..(row + 1) * outputs])
                    }
                };
                let x = &x[4 * row..4 * (row + 1)];
                let share = weight / ROWS as f64;
                loss += share * trainer.gradients(x, targets, &mut of_row).unwrap().loss;
                expected.iter_mut().zip(&of_row).for_each(|(sum, g)| *sum += share * g);
            }
            let weighted = targets.weighted(&weights);
            let score = trainer.gradients(&x, weighted, &mut found).unwrap();
            let what = format!("{:?} of {outputs}", trainer);
            assert_relative_eq!(score.loss, loss, max_relative = 1e-9, epsilon = 1e-9);
            assert_relative_eq!(found[..], expected[..], max_relative = 1e-9, epsilon = 1e-9);
            let largest = expected.iter().fold(0.0, |largest: f64, g| largest.max(g.abs()));
            assert!(learns && largest > 1e-4, "{what}: {largest}");
            assert_eq!(trainer.evaluate(&x, weighted).unwrap(), score, "{what}");
            assert_eq!(trainer.evaluate(&x, targets).unwrap().correct, score.correct, "{what}");
        }
    }
}

#[test]
fn weights_of_1_are_none_and_parts_add_up() {
    let (x, labels) = (sample::<f64>(4 * ROWS, 1), labels(ROWS, 3, 2));
    let targets = Targets::Classes(&labels);
    let new = builder(Loss::SoftmaxCrossEntropy, 3);
    let mut trainers = [(); 4].map(|()| new.clone().build().unwrap());
    let [plain, ones, whole, parts] = &mut trainers;
    let weights = weights();
    for _ in 0..3 {
        let score = plain.step(&x, targets).unwrap();
        assert_eq!(ones.step(&x, targets.weighted(&[1.0; ROWS])).unwrap(), score);
        let score = whole.step(&x, targets.weighted(&weights)).unwrap();
        for first in (0..ROWS).step_by(64) {
            let rows = first..ROWS.min(first + 64);
            let targets = Targets::Classes(&labels[rows.clone()]);
            let x = &x[4 * rows.start..4 * rows.end];
            parts.accumulate(x, targets.weighted(&weights[rows]), ROWS).unwrap();
        }
        let of_parts = parts.step_accumulated().unwrap();
        assert_relative_eq!(of_parts.loss, score.loss, max_relative = 1e-12);
    }
    let [plain, ones, whole, parts] = trainers.map(|trainer| bits(trainer.network().parameters()));
    assert_eq!((&plain, &whole), (&ones, &parts));
    assert_ne!(plain, whole);
}

/// A row that counts twice is as good as two rows.
#[test]
fn a_fit_knows_them() {
    let features: Vec<f64> = sample(10, 1);
    let values: Vec<f64> = sample(10, 2);
    let rows = Rows::new(&features, 1, Targets::Values(&values)).unwrap();
    let weights: Vec<f64> = (0..10).map(|row| f64::from(row % 3)).collect();
    let repeated: Vec<usize> = (0..10).flat_map(|row| std::iter::repeat_n(row, row % 3)).collect();
    let data = Dataset::from_values(features.clone(), 1, values.clone(), 1).unwrap();
    let repeated = data.select(&repeated).unwrap();
    let fitted = |rows: Rows<'_, f64>, validation: Rows<'_, f64>, rate: f64| {
        let network = NetworkBuilder::<f64>::new(1).dense(1, Activation::Identity).build().unwrap();
        let mut trainer = Trainer::builder(network, Loss::MeanSquaredError, Optimizer::sgd(rate))
            .build()
            .unwrap();
        let history = trainer.fit(rows).batch(100).epochs(5).validation(validation).run().unwrap();
        let last = history.epochs().last().unwrap().clone();
        (trainer.into_network().parameters().to_vec(), last.validation_loss.unwrap())
    };
    let weighted = rows.with_weights(&weights).unwrap();
    // The mean is over 10 rows here, and there over 9.
    let (found, loss) = fitted(weighted, weighted, 0.1);
    let (expected, of_repeated) = fitted(repeated.view(), repeated.view(), 0.09);
    assert_relative_eq!(found[..], expected[..], max_relative = 1e-12);
    assert_relative_eq!(loss, of_repeated * 0.9, max_relative = 1e-12);
    assert_ne!(found, fitted(rows, rows, 0.1).0);
    // A share for validation takes the weights along.
    let data = data.with_weights(weights.clone()).unwrap();
    let (train, test) = data.split(0.3, 1).unwrap();
    for part in [&train, &test] {
        for (x, weight) in part.features().iter().zip(part.weights().unwrap()) {
            let row = features.iter().position(|feature| feature == x).unwrap();
            assert_eq!(*weight, weights[row]);
        }
    }
}

/// Rows that are there as often as their weight says give the same.
#[test]
fn metrics_of_a_fit_know_them() {
    let features: Vec<f64> = sample(20, 1);
    let labels: Vec<usize> = (0..20).map(|row| row * 7 % 3 % 2).collect();
    let weights: Vec<f64> = (0..20).map(|row| f64::from(row % 4)).collect();
    let repeated: Vec<usize> =
        (0..20).flat_map(|row| std::iter::repeat_n(row, weights[row] as usize)).collect();
    let data = Dataset::from_classes(features, 1, labels).unwrap();
    let repeated = data.select(&repeated).unwrap();
    let weighted = data.clone().with_weights(weights.clone()).unwrap();
    let metrics = [
        Metric::Accuracy,
        Metric::F1(Average::Macro),
        Metric::RocAuc,
        Metric::AveragePrecision,
        Metric::LogLoss,
    ];
    let network = NetworkBuilder::<f64>::new(1).dense(2, Activation::Identity).build().unwrap();
    let trainer = |rate: f64| {
        let loss = Loss::SoftmaxCrossEntropy;
        Trainer::builder(network.clone(), loss, Optimizer::sgd(rate)).build().unwrap()
    };
    let fitted = |rows: &Dataset<f64>, validation: Option<&Dataset<f64>>, rate: f64| {
        let mut trainer = trainer(rate);
        let mut fit = trainer.fit(rows).batch(100).epochs(1);
        if let Some(rows) = validation {
            fit = fit.validation(rows);
        }
        let history = metrics.into_iter().fold(fit, |fit, metric| fit.metric(metric)).run();
        history.unwrap().last().unwrap().metrics.clone()
    };
    // By the weights of the rows that judge, and not of those that are learned.
    let found = fitted(&data, Some(&weighted), 0.1);
    let expected = fitted(&data, Some(&repeated), 0.1);
    assert_relative_eq!(found[..], expected[..], max_relative = 1e-12);
    assert_ne!(found, fitted(&data, Some(&data), 0.1));
    assert_eq!(fitted(&weighted, Some(&data), 0.1)[2], fitted(&data, Some(&data), 0.1)[2]);
    // Without others the learned rows judge. The loss is over 20 rows here, and there over 30.
    let found = fitted(&weighted, None, 0.1);
    let expected = fitted(&repeated, None, 0.15);
    assert_relative_eq!(found[..], expected[..], max_relative = 1e-12);
    // A policy may learn by weights below 0, but is not judged by them.
    let below = data.clone().with_weights(weights.iter().map(|weight| weight - 1.0).collect());
    let (below, mut trainer) = (below.unwrap(), trainer(0.1));
    trainer.fit(&below).run().unwrap();
    let steps = trainer.steps();
    let error = trainer.fit(&data).validation(&below).metric(Metric::RocAuc).run().unwrap_err();
    let expected = "finite and not negative";
    assert_eq!(error, Error::OutOfRange { argument: "weights", value: -1.0, expected });
    assert_eq!(trainer.steps(), steps);
}

#[test]
fn weights_that_can_not_be() {
    let (x, labels) = (sample::<f64>(8, 1), [0, 2]);
    let targets = Targets::Classes(&labels);
    let mut trainer = builder(Loss::SoftmaxCrossEntropy, 3).build().unwrap();
    let before = trainer.network().clone();
    let length = Error::Length { argument: "weights", expected: 2, actual: 3 };
    assert_eq!(trainer.step(&x, targets.weighted(&[1.0; 3])), Err(length.clone()));
    let rows = Rows::new(&x, 4, targets).unwrap();
    assert_eq!(rows.with_weights(&[1.0; 3]).unwrap_err(), length);
    for bad in [f64::NAN, f64::INFINITY] {
        let weights = [1.0, bad];
        let is_named = |error: Error, name: &str| {
            assert!(
                matches!(error, Error::NonFinite { argument, index: 1, .. } if argument == name),
                "{error:?}"
            );
        };
        is_named(trainer.step(&x, targets.weighted(&weights)).unwrap_err(), "weights");
        is_named(trainer.evaluate(&x, targets.weighted(&weights)).unwrap_err(), "weights");
        let weighted = rows.with_weights(&weights).unwrap();
        is_named(trainer.fit(weighted).run().unwrap_err(), "weights");
        is_named(trainer.fit(rows).validation(weighted).run().unwrap_err(), "validation weights");
    }
    assert_eq!(trainer.network().parameters(), before.parameters());
    assert_eq!(trainer.steps(), 0);
}
