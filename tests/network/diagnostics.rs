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
                    let Some(norms) = diagnostics.layers()[index].parameters else { continue };
                    assert_ne!(index, 0, "{name}: a frozen layer");
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
    assert_eq!(error, Error::Length { argument: "diagnostics", expected: 16, actual: 20 });
    assert_eq!(trainer.network().parameters(), before);
    assert!(trainer.network().layers().all(|layer| matches!(layer, LayerRef::Dense(_))));
}
