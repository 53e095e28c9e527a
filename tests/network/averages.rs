//! Averaged weights: PyTorch's, whose numbers `tests/golden/averages.py` makes, and our own bits.

use crate::common::{
    ZOO_INPUTS, ZOO_OUTPUTS, bits, fused_isas, labels, network, sample, zoo, zoo_rows,
};
use crate::golden::Golden;
use deltarule::{
    Activation, Averaging, Diagnostics, Element, Error, Isa, Loss, Network, NetworkBuilder,
    Optimizer, Outcome, Targets, Trainer, TrainerBuilder, WeightAverage,
};

const EXPONENTIAL: Averaging = Averaging::Exponential { decay: 0.9 };

fn parameters<E: Element>(network: &Network<E>) -> Vec<u64> {
    bits(network.parameters())
}

/// All that an average has.
fn all<E: Element>(average: &WeightAverage<E>) -> (Vec<u64>, Vec<u64>, u64) {
    let network = average.network();
    (parameters(network), bits(network.statistics()), average.updates())
}

fn kept<E: Element>(trainer: &Trainer<E>) -> &WeightAverage<E> {
    trainer.average().expect("it was asked for")
}

#[test]
fn averages_as_pytorch_does() {
    let golden = Golden::parse(include_str!("../golden/averages.txt"));
    let (x, y) = (golden.get::<f64>("data", "x"), golden.get::<f64>("data", "y"));
    for isa in Isa::available() {
        for (case, averaging) in [
            ("exponential 0.9", EXPONENTIAL),
            ("exponential 0.25", Averaging::Exponential { decay: 0.25 }),
            ("equal", Averaging::Equal),
        ] {
            let network = NetworkBuilder::<f64>::new(3).dense(5, Activation::Identity).batch_norm();
            let network = network.activation(Activation::Tanh).dense(2, Activation::Identity);
            let mut network = network.isa(isa).build().unwrap();
            network.parameters_mut().copy_from_slice(&golden.get::<f64>("data", "start"));
            let mut average = WeightAverage::new(&network, averaging).unwrap();
            let trainer = Trainer::builder(network, Loss::MeanSquaredError, Optimizer::sgd(0.3));
            let mut trainer = trainer.average(averaging).build().unwrap();
            let mut trajectory = Vec::new();
            for step in 0..15 {
                let rows = 16 - step % 5;
                trainer.step(&x[..rows * 3], Targets::Values(&y[..rows * 2])).unwrap();
                average.update(trainer.network()).unwrap();
                assert_eq!(all(&average), all(kept(&trainer)));
                trajectory.extend_from_slice(average.network().parameters());
            }
            golden.check(isa, case, "parameters", &trajectory, 1e-12);
            golden.check(isa, case, "statistics", average.network().statistics(), 1e-12);
            golden.check(isa, case, "outputs", &average.network().predict(&x).unwrap(), 1e-12);
        }
    }
}

/// θ̄ + (1 − decay) (θ − θ̄), element by element.
fn has_the_bits_of_the_formula<E: Element>(fused: impl Fn(E, E, E) -> E) {
    for isa in Isa::available() {
        for width in (1..40).chain([1000]) {
            let network = NetworkBuilder::<E>::new(width).layer_norm().isa(isa);
            let mut network = network.build().unwrap();
            network.parameters_mut().copy_from_slice(&sample(2 * width, 1));
            let mut average = WeightAverage::new(&network, EXPONENTIAL).unwrap();
            let mut expected = sample(2 * width, 9);
            network.parameters_mut().copy_from_slice(&expected);
            average.update(&network).unwrap();
            let weight = E::from_f64(1.0 - 0.9);
            for update in 0..5 {
                let new = sample::<E>(2 * width, update);
                network.parameters_mut().copy_from_slice(&new);
                average.update(&network).unwrap();
                for (old, new) in expected.iter_mut().zip(new) {
                    let distance = new - *old;
                    let is_fused = isa.has_fma();
                    *old = if is_fused {
                        fused(distance, weight, *old)
                    } else {
                        distance * weight + *old
                    };
                }
                assert_eq!(parameters(average.network()), bits(&expected), "{isa}: {width}");
            }
        }
    }
}

#[test]
fn an_average_has_the_bits_of_its_formula() {
    has_the_bits_of_the_formula(f32::mul_add);
    has_the_bits_of_the_formula(f64::mul_add);
}

#[test]
fn equal_weights_count_alike() {
    let mut network = NetworkBuilder::<f64>::new(1).layer_norm().build().unwrap();
    let mut mean = WeightAverage::new(&network, Averaging::Equal).unwrap();
    for n in 1..=1000 {
        network.parameters_mut()[0] = f64::from(n);
        mean.update(&network).unwrap();
        let exact = f64::from(n + 1) / 2.0;
        assert!((mean.network().parameters()[0] - exact).abs() < 1e-12 * exact);
    }
}

#[test]
fn a_decay_of_nothing_follows_exactly() {
    let mut network = network::<f32>(&[3, 4, 2], Activation::Tanh).build().unwrap();
    let decay = 0.0;
    let mut copy = WeightAverage::new(&network, Averaging::Exponential { decay }).unwrap();
    for update in 0..9 {
        let new = sample::<f32>(network.parameters().len(), update);
        network.parameters_mut().copy_from_slice(&new);
        copy.update(&network).unwrap();
        assert_eq!(parameters(copy.network()), parameters(&network));
    }
}

fn zoo_trainers(
    change: impl Fn(TrainerBuilder<f32>) -> TrainerBuilder<f32>,
) -> Vec<(String, Trainer<f32>)> {
    let trainer = |isa: Isa, (name, network): (&str, NetworkBuilder<f32>)| {
        let network = network.isa(isa).build().unwrap();
        let optimizer = Optimizer::adam(0.01);
        let builder = Trainer::builder(network, Loss::SoftmaxCrossEntropy, optimizer);
        (format!("{isa}: {name}"), change(builder).build().unwrap())
    };
    fused_isas()
        .into_iter()
        .flat_map(|isa| zoo().into_iter().map(move |n| (isa, n)))
        .map(|(isa, network)| trainer(isa, network))
        .collect()
}

#[test]
fn every_kind_of_step_updates_it_and_no_step_is_changed_by_it() {
    let (x, labels) = (zoo_rows::<f32>(20, 1), labels(20, ZOO_OUTPUTS, 2));
    let targets = Targets::Classes(&labels);
    let steps = |trainer: &mut Trainer<f32>, each: &mut dyn FnMut(&Trainer<f32>)| {
        trainer.step(&x, targets).unwrap();
        each(trainer);
        let mut diagnostics = Diagnostics::new(trainer.network()).unwrap();
        trainer.step_diagnosed(&x, targets, &mut diagnostics).unwrap();
        each(trainer);
        trainer.accumulate(&x, targets, 20).unwrap();
        trainer.step_accumulated().unwrap();
        each(trainer);
        trainer
            .step_with(&x, |_, delta| {
                delta[0] = 0.5;
                1.0
            })
            .unwrap();
        each(trainer);
    };
    let plain = zoo_trainers(|builder| builder);
    for ((name, mut trainer), (_, mut plain)) in
        zoo_trainers(|builder| builder.average(EXPONENTIAL)).into_iter().zip(plain)
    {
        let mut average = WeightAverage::new(trainer.network(), EXPONENTIAL).unwrap();
        steps(&mut trainer, &mut |trainer| {
            average.update(trainer.network()).unwrap();
            assert_eq!(all(kept(trainer)), all(&average), "{name}");
        });
        assert_eq!(average.updates(), 4);
        steps(&mut plain, &mut |_| {});
        assert_eq!(parameters(trainer.network()), parameters(plain.network()), "{name}");
        assert_ne!(parameters(average.network()), parameters(plain.network()), "{name}");
        assert!(plain.average().is_none());
    }
}

#[test]
fn threads_change_no_bit() {
    // More than one thread's least number of elements.
    let widths = [300, 500, 4];
    let (x, labels) = (sample::<f32>(8 * 300, 1), labels(8, 4, 2));
    for isa in fused_isas() {
        let run = |threads| {
            let network = network::<f32>(&widths, Activation::Relu).isa(isa).build().unwrap();
            let mut average = WeightAverage::new(&network, EXPONENTIAL).unwrap();
            let optimizer = Optimizer::adam(0.01);
            let mut trainer = Trainer::builder(network, Loss::SoftmaxCrossEntropy, optimizer)
                .average(EXPONENTIAL)
                .threads(threads)
                .parallel_threshold(0)
                .build()
                .unwrap();
            for _ in 0..3 {
                trainer.step(&x, Targets::Classes(&labels)).unwrap();
                average.update(trainer.network()).unwrap();
            }
            assert_eq!(all(&average), all(kept(&trainer)));
            all(&average)
        };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        let alone = run(1);
        for threads in [2, usize::MAX] {
            assert_eq!(pool.install(|| run(threads)), alone);
        }
    }
}

#[test]
fn a_step_that_fails_is_no_update() {
    let network = network::<f32>(&[2, 3, 1], Activation::Tanh).build().unwrap();
    let builder = Trainer::builder(network, Loss::MeanSquaredError, Optimizer::sgd(0.1));
    let mut trainer = builder.average(EXPONENTIAL).build().unwrap();
    trainer.step(&[1.0, 2.0], Targets::Values(&[3.0])).unwrap();
    let before = all(kept(&trainer));
    trainer.step(&[1.0, f32::NAN], Targets::Values(&[3.0])).unwrap_err();
    trainer.step_accumulated().unwrap_err();
    assert_eq!(all(kept(&trainer)), before);
}

#[test]
fn numbers_that_are_no_decay() {
    let network = network::<f32>(&[2, 3, 1], Activation::Tanh).build().unwrap();
    for value in [f64::NAN, f64::INFINITY, -0.1, 1.0, 1.5] {
        let averaging = Averaging::Exponential { decay: value };
        let builder =
            Trainer::builder(network.clone(), Loss::MeanSquaredError, Optimizer::sgd(0.1));
        let errors = [
            WeightAverage::new(&network, averaging).unwrap_err(),
            builder.average(averaging).build().unwrap_err(),
        ];
        for error in errors {
            let message = format!("`decay` is {value}, but it must be at least 0 and below 1");
            assert_eq!(error.to_string(), message);
        }
    }
}

#[test]
fn weights_of_other_layers_are_refused() {
    let own = network::<f32>(&[2, 3, 1], Activation::Tanh).build().unwrap();
    let mut average = WeightAverage::new(&own, Averaging::Equal).unwrap();
    average.update(&own).unwrap();
    let before = all(&average);
    // As many parameters.
    for (widths, activation) in [([2, 3, 1], Activation::Relu), ([2, 2, 3], Activation::Tanh)] {
        let mut other = network::<f32>(&widths, activation).build().unwrap();
        other.parameters_mut().fill(9.0);
        assert_eq!(average.update(&other), Err(Error::OtherLayers));
        assert_eq!(average.resume(&other, 5), Err(Error::OtherLayers));
        assert_eq!(all(&average), before);
    }
    for isa in Isa::available() {
        let same = network::<f32>(&[2, 3, 1], Activation::Tanh).isa(isa).build().unwrap();
        average.update(&same).unwrap();
    }
    // A trainer has refused the step before.
    let builder = Trainer::builder(own, Loss::MeanSquaredError, Optimizer::sgd(0.1));
    let mut trainer = builder.average(Averaging::Equal).build().unwrap();
    *trainer.network_mut() = network::<f32>(&[2, 3, 1], Activation::Relu).build().unwrap();
    let (x, targets) = ([1.0, 2.0], Targets::Values(&[3.0]));
    assert_eq!(trainer.step(&x, targets), Err(Error::OtherNetwork));
    assert_eq!(trainer.evaluate_average(&x, targets), Err(Error::OtherNetwork));
    assert_eq!(trainer.resume(7, &[]), Err(Error::OtherLayers));
    assert_eq!((trainer.steps(), kept(&trainer).updates()), (0, 0));
}

#[test]
fn it_begins_when_it_should_and_anew() {
    let network = network::<f32>(&[2, 3, 1], Activation::Tanh).build().unwrap();
    let builder = Trainer::builder(network, Loss::MeanSquaredError, Optimizer::sgd(0.1));
    let mut trainer = builder.average(Averaging::Equal).average_after(3).build().unwrap();
    let step = |trainer: &mut Trainer<f32>| {
        trainer.step(&[1.0, 2.0], Targets::Values(&[3.0])).unwrap();
    };
    assert_eq!(parameters(kept(&trainer).network()), parameters(trainer.network()));
    for updates in [0, 0, 0, 1] {
        step(&mut trainer);
        assert_eq!(kept(&trainer).updates(), updates);
        assert_eq!(parameters(kept(&trainer).network()), parameters(trainer.network()));
    }
    step(&mut trainer);
    assert_eq!(kept(&trainer).updates(), 2);
    assert_ne!(parameters(kept(&trainer).network()), parameters(trainer.network()));
    trainer.resume(9, &[]).unwrap();
    assert_eq!(kept(&trainer).updates(), 0);
    assert_eq!(parameters(kept(&trainer).network()), parameters(trainer.network()));
}

#[test]
fn the_averaged_network_is_evaluated() {
    let (x, labels) = (zoo_rows::<f32>(300, 1), labels(300, ZOO_OUTPUTS, 2));
    let targets = Targets::Classes(&labels);
    for (name, mut trainer) in zoo_trainers(|builder| builder.max_batch(70).average(EXPONENTIAL)) {
        for _ in 0..5 {
            trainer.step(&x[..70 * ZOO_INPUTS], Targets::Classes(&labels[..70])).unwrap();
        }
        // They are the average's too, until somebody changes them.
        trainer.network_mut().statistics_mut().fill(0.5);
        let own = trainer.evaluate(&x, targets).unwrap();
        let averaged = trainer.evaluate_average(&x, targets).unwrap();
        assert_ne!(own, averaged, "{name}");
        assert_eq!(trainer.evaluate(&x, targets).unwrap(), own, "{name}");
        let network = kept(&trainer).network().clone();
        let builder = Trainer::builder(network, Loss::SoftmaxCrossEntropy, Optimizer::sgd(0.1));
        let mut other = builder.build().unwrap();
        assert_eq!(other.evaluate(&x, targets).unwrap(), averaged, "{name}");
        // Without an average it is the network.
        assert_eq!(other.evaluate_average(&x, targets).unwrap(), averaged, "{name}");
        let sum = |outcome: Outcome<'_, f32>| outcome.outputs.iter().copied().sum::<f32>().into();
        trainer.use_loss(sum).unwrap();
        other.use_loss(sum).unwrap();
        let [averaged, expected] =
            [&mut trainer, &mut other].map(|trainer| trainer.evaluate_average(&x, targets));
        assert_eq!(averaged.unwrap(), expected.unwrap(), "{name}");
    }
}
