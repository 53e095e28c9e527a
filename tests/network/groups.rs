//! Parameters that are trained in ways of their own, rules of one's own, and going on later.

use crate::common::{ZOO_INPUTS, ZOO_OUTPUTS, bits, labels, network, sample, zoo, zoo_rows};
use deltarule::kernels::optimizer::{Adam, Decay};
use deltarule::{
    Activation, Categorical, Decays, Error, LayerRef, Loss, NetworkBuilder, Optimizer,
    ParameterGroup, Stretch, Targets, Trainer, UpdateRule,
};
use std::ops::Bound;
use std::sync::mpsc;

const ROWS: usize = 70;

/// A gradient step of θ ← θ − η λ θ shows what decays: x is 0, and δ of the outputs too.
#[test]
fn weights_decay_and_biases_and_norms_do_not() {
    let decay = Decay { decoupled: 0.5, ..Decay::default() };
    let trained = |decays| {
        let mut network = NetworkBuilder::<f64>::new(2)
            .dense(3, Activation::Identity)
            .batch_norm()
            .layer_norm()
            .dense(1, Activation::Identity)
            .build()
            .unwrap();
        network.parameters_mut().fill(1.0);
        let trainer =
            Trainer::builder(network, Loss::MeanSquaredError, Optimizer::sgd(0.1).decay(decay));
        let group = ParameterGroup { decays, ..ParameterGroup::default() };
        let mut trainer = trainer.group(.., group).build().unwrap();
        let x = [0.0; 4];
        let y = trainer.network().predict(&x).unwrap();
        trainer.step(&x, Targets::Values(&y)).unwrap();
        trainer.into_network()
    };
    let kinds: Vec<bool> = trained(Decays::Weights)
        .layers()
        .flat_map(|layer| match layer {
            LayerRef::Dense(layer) => {
                [vec![true; layer.weights.len()], vec![false; layer.biases.len()]].concat()
            }
            _ => vec![false; layer.parameters()],
        })
        .collect();
    for (decays, of_weights, of_others) in
        [(Decays::Weights, 0.95, 1.0), (Decays::All, 0.95, 0.95), (Decays::Nothing, 1.0, 1.0)]
    {
        let network = trained(decays);
        for (&parameter, &is_weight) in network.parameters().iter().zip(&kinds) {
            let expected = if is_weight { of_weights } else { of_others };
            approx::assert_relative_eq!(parameter, expected, epsilon = 1e-12);
        }
    }
}

#[test]
fn a_factor_multiplies_the_learning_rate_of_its_layers() {
    let (x, labels) = (sample::<f32>(ROWS * 9, 7), labels(ROWS, 4, 5));
    let after = |rate, factor| {
        let network = network::<f32>(&[9, 30, 20, 4], Activation::Tanh).build().unwrap();
        let optimizer = Optimizer::new(Adam::default()).with_learning_rate(rate);
        let mut trainer = Trainer::builder(network, Loss::SoftmaxCrossEntropy, optimizer)
            .group(0..3, ParameterGroup::frozen())
            .group(0..=1, ParameterGroup::with_learning_rate_factor(factor))
            .group((Bound::Excluded(1), Bound::Unbounded), ParameterGroup::default())
            .build()
            .unwrap();
        trainer.step(&x, Targets::Classes(&labels)).unwrap();
        trainer.into_network()
    };
    // Halves are exact, so the bits are those of the smaller rate.
    let (halved, slow, fast) = (after(0.01, 0.5), after(0.005, 1.0), after(0.01, 1.0));
    for layer in 0..2 {
        assert_eq!(halved.layer(layer), slow.layer(layer));
        assert_ne!(halved.layer(layer), fast.layer(layer));
    }
    assert_eq!(halved.layer(2), fast.layer(2));
}

#[test]
fn a_network_that_is_frozen_altogether_stays_as_it_is() {
    for (name, builder) in zoo::<f32>() {
        let network = builder.build().unwrap();
        let before = network.clone();
        let new = Trainer::builder(network, Loss::SoftmaxCrossEntropy, Optimizer::adam_w(0.1, 0.1));
        let mut trainer = new.group(.., ParameterGroup::frozen()).build().unwrap();
        let labels = labels(ROWS, ZOO_OUTPUTS, 2);
        trainer.step(&zoo_rows(ROWS, 1), Targets::Classes(&labels)).unwrap();
        assert!(trainer.network().layers().eq(before.layers()), "{name}");
    }
}

/// Stochastic gradient descent.
struct Sgd;

impl UpdateRule<f32> for Sgd {
    fn update(&mut self, stretch: Stretch<'_, f32>) {
        let factor = stretch.gradient_factor as f32;
        for (parameter, &g) in stretch.parameters.iter_mut().zip(stretch.gradient) {
            *parameter = (g * factor).mul_add(-stretch.learning_rate as f32, *parameter);
        }
    }
}

#[test]
fn a_rule_of_ones_own_has_the_bits_of_the_kernels() {
    for (name, builder) in zoo::<f32>() {
        for optimizer in [Optimizer::sgd(0.1), Optimizer::sgd(0.1).clip_norm(0.05)] {
            let network = builder.clone().isa(deltarule::Isa::detect()).build().unwrap();
            let fused = network.isa().has_fma();
            let new = Trainer::builder(network, Loss::SoftmaxCrossEntropy, optimizer).group(
                1..2.min(builder.clone().build().unwrap().layers().len()),
                ParameterGroup::with_learning_rate_factor(0.5),
            );
            let (mut ours, mut own) = (new.clone().build().unwrap(), new.build().unwrap());
            own.use_rule(Sgd).unwrap();
            for step in 0..3 {
                let x = zoo_rows::<f32>(ROWS, step);
                let labels = labels(ROWS, ZOO_OUTPUTS, 2);
                for trainer in [&mut ours, &mut own] {
                    trainer.step(&x, Targets::Classes(&labels)).unwrap();
                    for rows in [0..64, 64..ROWS] {
                        let x = &x[rows.start * ZOO_INPUTS..rows.end * ZOO_INPUTS];
                        trainer.accumulate(x, Targets::Classes(&labels[rows]), ROWS).unwrap();
                    }
                    trainer.step_accumulated().unwrap();
                }
            }
            let [ours, own] = [&ours, &own].map(|trainer| bits(trainer.network().parameters()));
            assert!(!fused || ours == own, "{name}: {optimizer:?}");
        }
    }
}

/// Tells of each stretch its step, rate, place and length, and whether it decays.
struct Told(mpsc::Sender<(u64, f64, usize, usize, bool)>);

impl UpdateRule<f32> for Told {
    fn update(&mut self, stretch: Stretch<'_, f32>) {
        let Stretch { step, learning_rate, offset, decays, .. } = stretch;
        self.0.send((step, learning_rate, offset, stretch.parameters.len(), decays)).unwrap();
    }
}

#[test]
fn a_rule_of_ones_own_is_told_what_it_changes() {
    let column = Categorical { column: 0, categories: 70_000, dimensions: 1 };
    let network = NetworkBuilder::<f32>::new(2).embedding([column]).dense(3, Activation::Tanh);
    let new =
        Trainer::builder(network.build().unwrap(), Loss::SoftmaxCrossEntropy, Optimizer::sgd(0.5));
    let mut trainer =
        new.group(1.., ParameterGroup::with_learning_rate_factor(0.5)).build().unwrap();
    let (sender, told) = mpsc::channel();
    trainer.use_rule(Told(sender)).unwrap();
    for step in 1..3 {
        trainer.step(&[69_999.0, 1.0, 5.0, 1.0], Targets::Classes(&[1, 2])).unwrap();
        let told: Vec<_> = told.try_iter().collect();
        let vectors = [(step, 0.5, 5, 1, true), (step, 0.5, 69_999, 1, true)];
        let dense = [(step, 0.25, 70_000, 6, true), (step, 0.25, 70_006, 3, false)];
        assert_eq!(told, [vectors, dense].concat());
    }
}

/// Six steps are three, a copy of everything, and three more.
#[test]
fn training_goes_on_where_it_stood() {
    for optimizer in [
        Optimizer::sgd(0.1),
        Optimizer::new(Adam { amsgrad: true, ..Adam::default() }),
        Optimizer::nadam(0.01).clip_norm(0.5),
    ] {
        for (name, builder) in zoo::<f32>() {
            let labels = labels(ROWS, ZOO_OUTPUTS, 2);
            let learn = |trainer: &mut Trainer, steps: std::ops::Range<u64>| {
                for step in steps {
                    trainer.step(&zoo_rows(ROWS, step), Targets::Classes(&labels)).unwrap();
                }
            };
            let new = |network| {
                let trainer = Trainer::builder(network, Loss::SoftmaxCrossEntropy, optimizer);
                trainer.seed(4).build().unwrap()
            };
            let mut whole = new(builder.clone().build().unwrap());
            learn(&mut whole, 0..6);
            let mut first = new(builder.clone().build().unwrap());
            learn(&mut first, 0..3);
            let mut network = builder.seed(99).build().unwrap();
            network.parameters_mut().copy_from_slice(first.network().parameters());
            network.statistics_mut().copy_from_slice(first.network().statistics());
            let mut second = new(network);
            second.resume(first.steps(), &first.states().collect::<Vec<_>>()).unwrap();
            learn(&mut second, 3..6);
            let [whole, second] = [whole.network(), second.network()];
            assert_eq!(bits(whole.parameters()), bits(second.parameters()), "{name} {optimizer:?}");
            assert_eq!(bits(whole.statistics()), bits(second.statistics()), "{name} {optimizer:?}");
        }
    }
}

#[test]
fn states_that_do_not_fit() {
    let network = network::<f32>(&[1, 2, 1], Activation::Tanh).build().unwrap();
    let trainer = Trainer::builder(network, Loss::MeanSquaredError, Optimizer::adam(0.1));
    let mut trainer = trainer.build().unwrap();
    trainer.step(&[1.0], Targets::Values(&[0.5])).unwrap();
    let before: Vec<Vec<f32>> = trainer.states().map(<[f32]>::to_vec).collect();
    let (long, short) = ([0.0; 7], [0.0; 6]);
    let error = trainer.resume(9, &[&long]).unwrap_err();
    assert_eq!(error, Error::Length { argument: "states", expected: 2, actual: 1 });
    let error = trainer.resume(9, &[&long, &short]).unwrap_err();
    assert_eq!(error, Error::Length { argument: "a state", expected: 7, actual: 6 });
    assert_eq!((trainer.steps(), trainer.states().map(<[f32]>::to_vec).collect()), (1, before));
    trainer.accumulate(&[1.0], Targets::Values(&[0.5]), 1).unwrap();
    trainer.resume(9, &[&long, &long]).unwrap();
    let forgotten = Error::BatchRows { rows: 0, batch_rows: 1, announced: 1 };
    assert_eq!(trainer.step_accumulated().unwrap_err(), forgotten);
}

#[test]
fn networks_and_trainers_can_be_sent_and_shared() {
    fn check<T: Send + Sync>() {}
    check::<deltarule::Network>();
    check::<deltarule::Workspace>();
    check::<Trainer>();
    check::<deltarule::TrainerBuilder>();
    check::<deltarule::Diagnostics>();
}
