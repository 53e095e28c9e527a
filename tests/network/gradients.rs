//! Gradients of whole networks against central differences in f64.

use crate::common::{labels, network, sample};
use deltarule::{Activation, Isa, Loss, NetworkBuilder, Optimizer, Reduction, Targets, Trainer};

const DEPTHS: [&[usize]; 3] = [&[3, 4], &[3, 5, 4], &[3, 6, 5, 7, 4]];
const ROWS: usize = 5;

/// Compares every element of the gradient.
fn check(name: &str, rows: usize, mut trainer: Trainer<f64>, targets: Targets<'_, f64>) {
    const STEP: f64 = 1e-5;
    let x = sample::<f64>(rows * trainer.network().inputs(), 7);
    let mut gradient = vec![f64::NAN; trainer.network().parameters().len()];
    let score = trainer.gradients(&x, targets, &mut gradient).unwrap();
    assert_eq!(score, trainer.evaluate(&x, targets).unwrap(), "{name}");
    assert!(gradient.iter().any(|&g| g.abs() > 1e-3), "{name}: the gradient vanishes");
    for (index, &analytic) in gradient.iter().enumerate() {
        let theta = trainer.network().parameters()[index];
        let mut loss_at = |value| {
            trainer.network_mut().parameters_mut()[index] = value;
            trainer.evaluate(&x, targets).unwrap().loss
        };
        let numeric = (loss_at(theta + STEP) - loss_at(theta - STEP)) / (2.0 * STEP);
        trainer.network_mut().parameters_mut()[index] = theta;
        assert!(
            (analytic - numeric).abs() <= 1e-8 + 1e-6 * numeric.abs(),
            "{name}: parameter {index}: {analytic} but numerically {numeric}"
        );
    }
}

/// A network whose biases are not zero.
fn filled(builder: NetworkBuilder<f64>, isa: Isa) -> deltarule::Network<f64> {
    let mut network = builder.isa(isa).build().unwrap();
    let noise = sample::<f64>(network.parameters().len(), 3);
    for (parameter, noise) in network.parameters_mut().iter_mut().zip(noise) {
        *parameter += 0.3 * noise;
    }
    network
}

#[test]
fn of_every_activation_loss_and_depth() {
    let labels = labels(ROWS, 4, 5);
    let values = sample::<f64>(ROWS * 4, 6);
    let shares: Vec<f64> = values.iter().map(|value| (value + 1.0) / 8.0).collect();
    let (classes, values, shares) =
        (Targets::Classes(&labels), Targets::Values(&values), Targets::Values(&shares));
    let losses = [
        (Loss::MeanSquaredError, values),
        (Loss::MeanAbsoluteError, values),
        (Loss::Quantile { quantile: 0.8 }, values),
        (Loss::Huber { threshold: 0.5 }, values),
        (Loss::Poisson, shares),
        (Loss::BinaryCrossEntropy { positive_weight: 1.7 }, shares),
        (Loss::SoftmaxCrossEntropy, classes),
        (Loss::SoftmaxCrossEntropy, shares),
        (Loss::SmoothedCrossEntropy { smoothing: 0.1 }, classes),
    ];
    for isa in Isa::available() {
        for &activation in Activation::ALL {
            for widths in DEPTHS {
                for (loss, targets) in losses {
                    for reduction in [Reduction::MeanOverRows, Reduction::MeanOverElements] {
                        let network = filled(network(widths, activation), isa);
                        let trainer = Trainer::builder(network, loss, Optimizer::sgd(0.1))
                            .reduction(reduction)
                            .build()
                            .unwrap();
                        let name =
                            format!("{isa} {activation:?} {widths:?} {loss:?} {reduction:?}");
                        check(&name, ROWS, trainer, targets);
                    }
                }
            }
        }
    }
}

#[test]
fn through_an_activation_of_the_last_layer() {
    let values = sample::<f64>(ROWS * 2, 6);
    for &activation in Activation::ALL {
        let builder = NetworkBuilder::new(3).dense(4, Activation::Tanh).dense(2, activation);
        let network = filled(builder, Isa::active().unwrap());
        let trainer = Trainer::builder(network, Loss::MeanSquaredError, Optimizer::sgd(0.1));
        check(&format!("{activation:?}"), ROWS, trainer.build().unwrap(), Targets::Values(&values));
    }
}

#[test]
fn of_a_batch_of_several_shards() {
    let labels = labels(210, 4, 5);
    let network = filled(network(&[3, 6, 4], Activation::Tanh), Isa::active().unwrap());
    let trainer = Trainer::builder(network, Loss::SoftmaxCrossEntropy, Optimizer::sgd(0.1));
    check("210 rows", 210, trainer.build().unwrap(), Targets::Classes(&labels));
}

#[test]
fn a_step_applies_the_gradient() {
    let labels = labels(150, 4, 5);
    let x = sample::<f64>(150 * 9, 7);
    let network = network(&[9, 33, 4], Activation::Tanh).build().unwrap();
    let mut gradient = vec![0.0; network.parameters().len()];
    let mut expected = network.parameters().to_vec();
    let optimizer = Optimizer::sgd(0.25);
    let mut trainer =
        Trainer::builder(network, Loss::SoftmaxCrossEntropy, optimizer).build().unwrap();
    let targets = Targets::Classes(&labels);
    let before = trainer.gradients(&x, targets, &mut gradient).unwrap();
    assert_eq!(trainer.network().parameters(), expected);
    for (parameter, gradient) in expected.iter_mut().zip(gradient) {
        *parameter -= 0.25 * gradient;
    }
    assert_eq!(trainer.step(&x, targets).unwrap(), before);
    for (&actual, expected) in trainer.network().parameters().iter().zip(expected) {
        approx::assert_abs_diff_eq!(actual, expected, epsilon = 1e-15);
    }
}

#[test]
fn the_mean_over_elements_is_the_mean_over_rows_divided_by_their_width() {
    let x = sample::<f32>(3 * 2, 1);
    let y = sample::<f32>(3 * 4, 2);
    let loss = |reduction| {
        let network = network(&[2, 4], Activation::Tanh).build().unwrap();
        let trainer = Trainer::builder(network, Loss::MeanSquaredError, Optimizer::sgd(0.0));
        let mut trainer = trainer.reduction(reduction).build().unwrap();
        trainer.evaluate(&x, Targets::Values(&y)).unwrap().loss
    };
    let (rows, elements) = (loss(Reduction::MeanOverRows), loss(Reduction::MeanOverElements));
    approx::assert_relative_eq!(rows, 4.0 * elements, max_relative = 1e-6);
}
