//! Class weights multiply what a class adds to a cross-entropy, wherever one is computed.

use crate::common::sample;
use approx::assert_relative_eq;
use deltarule::{
    Activation, Error, Loss, NetworkBuilder, Optimizer, Targets, Trainer, TrainerBuilder,
};

const WEIGHTS: [f64; 3] = [0.5, 4.0, 0.0];
const ROWS: usize = 150;

fn builder(loss: Loss) -> TrainerBuilder<f64> {
    let layers = NetworkBuilder::<f64>::new(4).dense(8, Activation::Tanh);
    let network = layers.dense(3, Activation::Identity).seed(1).build().unwrap();
    Trainer::builder(network, loss, Optimizer::adam(0.01))
}

fn labels() -> Vec<usize> {
    (0..ROWS).map(|row| row * row % 3).collect()
}

/// What a row's class weighs is what its probabilities add up to.
#[test]
fn they_are_those_of_probabilities() {
    let (x, labels) = (sample::<f64>(4 * ROWS, 1), labels());
    for smoothing in [None, Some(0.25)] {
        let loss = smoothing.map_or(Loss::SoftmaxCrossEntropy, |smoothing| {
            Loss::SmoothedCrossEntropy { smoothing }
        });
        let epsilon = smoothing.unwrap_or(0.0);
        let one_hot = |label| (0..3).map(move |class| (class, f64::from(u8::from(class == label))));
        let probabilities: Vec<f64> = labels
            .iter()
            .flat_map(|&label| one_hot(label))
            .map(|(class, q)| WEIGHTS[class] * ((1.0 - epsilon) * q + epsilon / 3.0))
            .collect();
        let mut weighted = builder(loss).class_weights(WEIGHTS).build().unwrap();
        let mut plain = builder(loss).build().unwrap();
        let mut gradients = [vec![0.0; 67], vec![0.0; 67]];
        let [own, expected] = &mut gradients;
        let score = weighted.gradients(&x, Targets::Classes(&labels), own).unwrap();
        let by_values = plain.gradients(&x, Targets::Values(&probabilities), expected).unwrap();
        assert_relative_eq!(score.loss, by_values.loss, max_relative = 1e-12);
        assert!(own.iter().any(|g| g.abs() > 1e-3));
        assert_relative_eq!(own[..], expected[..], max_relative = 1e-9, epsilon = 1e-12);
        let evaluated = weighted.evaluate(&x, Targets::Classes(&labels)).unwrap();
        assert_eq!(evaluated, score);
        // Whatever the weights are, a row is classified correctly or it is not.
        let unweighted = plain.evaluate(&x, Targets::Classes(&labels)).unwrap();
        assert_eq!(unweighted.correct, score.correct);
        assert_ne!(unweighted.loss, score.loss);
    }
}

/// A policy's gradient is that of cross-entropy times an advantage, which may be negative.
#[test]
fn probabilities_weigh_their_row() {
    let mut trainer = builder(Loss::SoftmaxCrossEntropy).build().unwrap();
    let x = sample::<f64>(4, 1);
    let mut gradients = [vec![0.0; 67], vec![0.0; 67]];
    let [plain, weighted] = &mut gradients;
    let score = trainer.gradients(&x, Targets::Classes(&[1]), plain).unwrap();
    let values = [0.0, -2.5, 0.0];
    let weighed = trainer.gradients(&x, Targets::Values(&values), weighted).unwrap();
    assert_relative_eq!(weighed.loss, -2.5 * score.loss, max_relative = 1e-12);
    plain.iter_mut().for_each(|g| *g *= -2.5);
    assert_relative_eq!(weighted[..], plain[..], max_relative = 1e-9, epsilon = 1e-12);
}

#[test]
fn parts_add_up() {
    let (x, labels) = (sample::<f64>(4 * ROWS, 1), labels());
    let builder = builder(Loss::SoftmaxCrossEntropy).class_weights(WEIGHTS);
    let (mut whole, mut parts) = (builder.clone().build().unwrap(), builder.build().unwrap());
    for _ in 0..3 {
        let score = whole.step(&x, Targets::Classes(&labels)).unwrap();
        for (x, labels) in x.chunks(4 * 64).zip(labels.chunks(64)) {
            parts.accumulate(x, Targets::Classes(labels), ROWS).unwrap();
        }
        let of_parts = parts.step_accumulated().unwrap();
        assert_relative_eq!(of_parts.loss, score.loss, max_relative = 1e-12);
        assert_eq!(whole.network().parameters(), parts.network().parameters());
    }
}

#[test]
fn weights_that_can_not_be() {
    let build = |loss, weights: &[f64]| {
        builder(loss).class_weights(weights).build().map(|_| ()).unwrap_err()
    };
    let length = Error::Length { argument: "class_weights", expected: 3, actual: 4 };
    assert_eq!(build(Loss::SoftmaxCrossEntropy, &[1.0; 4]), length);
    for weight in [-1.0, f64::NAN, f64::INFINITY] {
        let message =
            format!("`class_weights` is {weight}, but it must be finite and not negative");
        assert_eq!(build(Loss::SoftmaxCrossEntropy, &[1.0, weight, 1.0]).to_string(), message);
    }
    let loss = Loss::MeanSquaredError;
    assert_eq!(build(loss, &[1.0; 3]), Error::ClassWeights { loss });
}
