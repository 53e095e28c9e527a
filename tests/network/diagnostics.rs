//! Each illness made on purpose is named, and each cure works.

use crate::common::{ZOO_OUTPUTS, bits, labels, sample, zoo, zoo_rows};
use deltarule::{
    Activation, Diagnostics, Error, Init, LayerRef, Loss, NetworkBuilder, Optimizer,
    ParameterGroup, Targets, Trainer, Verdict,
};

const ROWS: usize = 128;

/// Points in 8 dimensions, classified by two of them.
fn task() -> (Vec<f32>, Vec<usize>) {
    let x = sample::<f32>(ROWS * 8, 1);
    let labels = x.chunks(8).map(|x| usize::from(x[0] > 0.2) + usize::from(x[1] > 0.0)).collect();
    (x, labels)
}

struct Patient {
    trainer: Trainer,
    diagnostics: Diagnostics,
}

impl Patient {
    fn new(builder: NetworkBuilder<f32>, optimizer: Optimizer) -> Self {
        let network = builder.dense(3, Activation::Identity).seed(7).build().unwrap();
        let diagnostics = Diagnostics::new(&network).unwrap();
        let trainer = Trainer::builder(network, Loss::SoftmaxCrossEntropy, optimizer);
        Self { trainer: trainer.build().unwrap(), diagnostics }
    }

    fn verdict_after(&mut self, steps: usize) -> Verdict {
        let (x, labels) = task();
        for _ in 0..steps {
            let targets = Targets::Classes(&labels);
            self.trainer.step_diagnosed(&x, targets, &mut self.diagnostics).unwrap();
        }
        self.diagnostics.verdict()
    }

    fn accuracy(&mut self) -> f64 {
        let (x, labels) = task();
        self.trainer.evaluate(&x, Targets::Classes(&labels)).unwrap().accuracy().unwrap()
    }

    fn is_cured(&mut self, steps: usize, name: &str) {
        assert_eq!(self.verdict_after(1), Verdict::Healthy, "{name}");
        self.verdict_after(steps);
        assert!(self.accuracy() > 0.9, "{name}: {}", self.accuracy());
    }
}

/// Twenty layers, each a dense one, perhaps batch normalization, and an activation.
fn deep(activation: Activation, normalized: bool) -> NetworkBuilder<f32> {
    (0..20).fold(NetworkBuilder::new(8), |builder, _| match normalized {
        false => builder.dense(12, activation),
        true => builder.dense(12, Activation::Identity).batch_norm().activation(activation),
    })
}

#[test]
fn vanishing_and_its_cures() {
    let normal = Init::Normal { deviation: 1.0 };
    let adam = Optimizer::adam(0.003);
    let mut ill = Patient::new(deep(Activation::Sigmoid, false).init(normal), adam);
    let verdict = ill.verdict_after(1);
    assert!(matches!(verdict, Verdict::Vanishing { layer: 0, .. }), "{verdict:?}");
    assert!(verdict.to_string().starts_with("vanishing: the gradient of layer 0 has "));
    assert!(verdict.to_string().contains("try He initialization with ReLU, batch normalization"));
    assert!(ill.diagnostics.layers()[1..20].iter().any(|layer| layer.saturated > Some(0.05)));
    assert!(ill.diagnostics.layers().iter().all(|layer| layer.dead.is_none()));
    ill.verdict_after(300);
    assert!(ill.accuracy() < 0.7, "it learns all the same: {}", ill.accuracy());

    Patient::new(deep(Activation::Relu, false).init(Init::HeUniform), adam)
        .is_cured(300, "He and ReLU");
    Patient::new(deep(Activation::Sigmoid, true).init(normal), adam).is_cured(300, "batch norm");
}

#[test]
fn exploding_and_its_cures() {
    let network = || NetworkBuilder::new(8).dense(32, Activation::Relu);
    let mut ill = Patient::new(network(), Optimizer::sgd(100.0));
    let verdict = ill.verdict_after(1);
    assert!(matches!(verdict, Verdict::Exploding { update_ratio, .. } if update_ratio > 1.0));
    assert!(verdict.to_string().starts_with("exploding: a step changes layer "), "{verdict}");
    assert!(verdict.to_string().contains("clipping by the global norm"));

    let clipped = Optimizer::sgd(100.0).clip_norm(1e-3);
    Patient::new(network(), clipped).is_cured(500, "clipping");
    Patient::new(network(), Optimizer::sgd(0.5)).is_cured(500, "a smaller rate");
}

#[test]
fn dead_and_its_cures() {
    let spoil = |patient: &mut Patient| {
        let parameters = patient.trainer.network_mut().parameters_mut();
        parameters[8 * 32..9 * 32].fill(-100.0);
    };
    let sgd = Optimizer::sgd(0.2);
    let mut ill = Patient::new(NetworkBuilder::new(8).dense(32, Activation::Relu), sgd);
    spoil(&mut ill);
    assert_eq!(ill.verdict_after(1), Verdict::Dead { layer: 0, share: 1.0 });
    let words = ill.diagnostics.verdict().to_string();
    assert!(words.starts_with("dead: 100 % of the ReLUs of layer 0 are 0 on every row"), "{words}");
    ill.verdict_after(300);
    assert!(ill.accuracy() < 0.7);

    let normalized = NetworkBuilder::new(8)
        .dense(32, Activation::Identity)
        .batch_norm()
        .activation(Activation::Relu);
    let mut cured = Patient::new(normalized, sgd);
    spoil(&mut cured);
    cured.is_cured(500, "batch norm");
    let healthy = NetworkBuilder::new(8).dense(32, Activation::Relu).init(Init::HeUniform);
    Patient::new(healthy, sgd).is_cured(500, "He and biases of 0");
}

/// The numbers by hand, and the step that of a trainer without diagnostics.
#[test]
fn the_numbers_are_those_of_the_step() {
    for (name, builder) in zoo::<f64>() {
        for optimizer in [Optimizer::adam_w(0.01, 0.1), Optimizer::sgd(0.1).clip_norm(0.01)] {
            let network = builder.clone().build().unwrap();
            let new = Trainer::builder(network, Loss::MeanSquaredError, optimizer)
                .group(..1, ParameterGroup::frozen());
            let (mut plain, mut diagnosed) = (new.clone().build().unwrap(), new.build().unwrap());
            let (x, y) = (zoo_rows::<f64>(100, 1), sample::<f64>(100 * ZOO_OUTPUTS, 2));
            let targets = Targets::Values(&y);
            let mut diagnostics = Diagnostics::new(plain.network()).unwrap();
            for _ in 0..3 {
                let before = plain.network().parameters().to_vec();
                let mut gradient = vec![0.0; before.len()];
                plain.gradients(&x, targets, &mut gradient).unwrap();
                let score = plain.step(&x, targets).unwrap();
                let again = diagnosed.step_diagnosed(&x, targets, &mut diagnostics).unwrap();
                assert_eq!(score, again, "{name}");
                let after = plain.network().parameters();
                assert_eq!(bits(after), bits(diagnosed.network().parameters()), "{name}");
                assert_eq!(plain.network().statistics(), diagnosed.network().statistics());
                let mut start = 0;
                for (index, layer) in plain.network().layers().enumerate() {
                    let part = start..start + layer.parameters();
                    start = part.end;
                    let learns = match layer {
                        LayerRef::BatchNorm(norm) => norm.affine,
                        LayerRef::LayerNorm(norm) => norm.affine,
                        _ => layer.parameters() > 0,
                    };
                    let norms = diagnostics.layers()[index].parameters;
                    // The first layer is frozen.
                    assert_eq!(norms.is_some(), learns && index > 0, "{name}: layer {index}");
                    let Some(norms) = norms else { continue };
                    let norm =
                        |x: &mut dyn Iterator<Item = f64>| x.map(|x| x * x).sum::<f64>().sqrt();
                    let updates = part.clone().map(|i| after[i] - before[i]);
                    let expected = [
                        norm(&mut gradient[part.clone()].iter().copied()),
                        norm(&mut before[part].iter().copied()),
                        norm(&mut updates.into_iter()),
                    ];
                    let found = [norms.gradient, norms.weights, norms.update];
                    approx::assert_relative_eq!(found[..], expected[..], max_relative = 1e-9);
                }
            }
        }
    }
}

#[test]
fn shares_of_units() {
    let mut network = NetworkBuilder::<f32>::new(1)
        .dense(4, Activation::Relu)
        .dense(4, Activation::Sigmoid)
        .activation(Activation::Tanh)
        .build()
        .unwrap();
    // ReLUs of x, −x, x − 10 and 1; sigmoids of 10, −10, 0 and 4.
    let w = [1.0, -1.0, 1.0, 0.0, 0.0, 0.0, -10.0, 1.0];
    network.parameters_mut()[..8].copy_from_slice(&w);
    network.parameters_mut()[8..24].fill(0.0);
    network.parameters_mut()[24..].copy_from_slice(&[10.0, -10.0, 0.0, 4.0]);
    let mut diagnostics = Diagnostics::new(&network).unwrap();
    let trainer = Trainer::builder(network, Loss::MeanSquaredError, Optimizer::sgd(0.1));
    let mut trainer = trainer.build().unwrap();
    let x: Vec<f32> = (0..130).map(|i| if i == 129 { -1.0 } else { 1.0 }).collect();
    let y = vec![0.0; 130 * 4];
    trainer.step_diagnosed(&x, Targets::Values(&y), &mut diagnostics).unwrap();
    let layers = diagnostics.layers();
    assert_eq!((layers[0].dead, layers[0].saturated), (Some(0.25), None));
    assert_eq!((layers[1].dead, layers[1].saturated), (None, Some(0.5)));
    assert_eq!((layers[2].dead, layers[2].saturated), (None, Some(0.0)));
    assert_eq!(layers[2].parameters, None);
}

/// Of a step of x on layers of one unit each, whose weights these are, towards −∞.
fn verdict(weights: &[f64], optimizer: Optimizer, x: f64) -> Verdict {
    let mut builder = NetworkBuilder::<f64>::new(1);
    for _ in weights {
        builder = builder.dense_without_bias(1, Activation::Identity);
    }
    let mut network = builder.build().unwrap();
    network.parameters_mut().copy_from_slice(weights);
    let mut diagnostics = Diagnostics::new(&network).unwrap();
    let trainer = Trainer::builder(network, Loss::MeanAbsoluteError, optimizer);
    let mut trainer = trainer.build().unwrap();
    trainer.step_diagnosed(&[x], Targets::Values(&[-1e300]), &mut diagnostics).unwrap();
    diagnostics.verdict()
}

/// A weight's gradient is the product of the others: that of two is inverse to them.
#[test]
fn gradients_that_grow_or_fall_by_as_much_as_is_ill() {
    let still = Optimizer::sgd(0.0);
    let exploding = |layer, update_ratio| Verdict::Exploding { layer, update_ratio };
    for (weights, expected) in [
        (&[1.0, 200.0][..], exploding(0, 0.0)),
        (&[1.0, 50.0], Verdict::Healthy),
        (&[1.0, 100.0, 100.0, 200.0], Verdict::Healthy),
        (&[1.0, 8e3, 8e3, 8e3, 8e3, 2e4], exploding(0, 0.0)),
        (&[256.0, 1.0], Verdict::Vanishing { layer: 0, share: 1.0 / 256.0 }),
        (&[50.0, 1.0], Verdict::Healthy),
        (&[256.0, 512.0, 1.0], Verdict::Vanishing { layer: 1, share: 1.0 / 512.0 }),
    ] {
        assert_eq!(verdict(weights, still, 1.0), expected, "{weights:?}");
    }
    // No finite norm, though nothing changes.
    for weight in [0.5, 0.0] {
        assert_eq!(verdict(&[weight], still, 1e200), exploding(0, 0.0));
    }
    // Weights that begin at 0 have to change by more than their norm.
    assert_eq!(verdict(&[0.0], Optimizer::sgd(0.5), 1.0), Verdict::Healthy);
    assert_eq!(verdict(&[0.0], still, 1.0), Verdict::Healthy);
    assert_eq!(verdict(&[0.25], Optimizer::sgd(0.5), 1.0), exploding(0, 2.0));
}

#[test]
fn the_verdict_is_on_dense_layers_and_half_of_the_units() {
    let network = NetworkBuilder::<f32>::new(2).layer_norm().dense(4, Activation::Relu).build();
    let mut network = network.unwrap();
    let biases = [-9.0, -9.0, 9.0, 9.0];
    network.parameters_mut()[12..].copy_from_slice(&biases);
    let mut diagnostics = Diagnostics::new(&network).unwrap();
    let new = Trainer::builder(network, Loss::MeanSquaredError, Optimizer::sgd(1e-6));
    let fast = ParameterGroup::with_learning_rate_factor(1e9);
    let mut trainer = new.group(..1, fast).build().unwrap();
    trainer.step_diagnosed(&[1.0, 2.0], Targets::Values(&[0.0; 4]), &mut diagnostics).unwrap();
    assert!(diagnostics.layers()[0].parameters.unwrap().update_ratio() > 1.0);
    assert_eq!(diagnostics.verdict(), Verdict::Dead { layer: 1, share: 0.5 });
}

#[test]
fn what_is_saturated_is_so_in_the_last_step() {
    let network = NetworkBuilder::<f32>::new(1).activation(Activation::Tanh);
    let network = network.dense(1, Activation::Identity).build().unwrap();
    let mut diagnostics = Diagnostics::new(&network).unwrap();
    let trainer = Trainer::builder(network, Loss::MeanSquaredError, Optimizer::sgd(0.0));
    let mut trainer = trainer.build().unwrap();
    for (x, share) in [([5.0, -5.0], 1.0), ([0.5, -5.0], 0.5), ([0.5, 0.0], 0.0)] {
        trainer.step_diagnosed(&x, Targets::Values(&[0.0; 2]), &mut diagnostics).unwrap();
        assert_eq!(diagnostics.layers()[0].saturated, Some(share));
    }
}

#[test]
fn for_another_network() {
    let build =
        |width| NetworkBuilder::<f32>::new(3).dense(width, Activation::Relu).build().unwrap();
    let mut diagnostics = Diagnostics::new(&build(5)).unwrap();
    let trainer = Trainer::builder(build(4), Loss::SoftmaxCrossEntropy, Optimizer::sgd(0.1));
    let mut trainer = trainer.build().unwrap();
    let before = trainer.network().parameters().to_vec();
    let labels = labels(2, 4, 1);
    let targets = Targets::Classes(&labels);
    let error = trainer.step_diagnosed(&[0.5; 6], targets, &mut diagnostics).unwrap_err();
    let length = |expected, actual| Error::Length { argument: "diagnostics", expected, actual };
    assert_eq!(error, length(16, 20));
    // As many parameters, but another layer, or other units.
    let with_activation = NetworkBuilder::<f32>::new(3).dense(4, Activation::Identity);
    let with_activation = with_activation.activation(Activation::Relu).build().unwrap();
    let wide = NetworkBuilder::<f32>::new(1).dense(8, Activation::Relu).build().unwrap();
    for (other, expected) in [(with_activation, length(1, 2)), (wide, length(4, 8))] {
        let mut diagnostics = Diagnostics::new(&other).unwrap();
        let error = trainer.step_diagnosed(&[0.5; 6], targets, &mut diagnostics).unwrap_err();
        assert_eq!(error, expected);
    }
    assert_eq!(trainer.network().parameters(), before);
}
