//! A loss of one's own takes the place of the trainer's, and nothing else changes.

use approx::assert_relative_eq;
use deltarule::data::Dataset;
use deltarule::{
    Activation, Diagnostics, Element, Error, Isa, Loss, NetworkBuilder, Optimizer, Outcome,
    Stretch, Targets, Trainer, TrainerBuilder, UpdateRule,
};

use crate::common::{ZOO_OUTPUTS, bits, network, sample, zoo, zoo_rows};

/// The squared error, in the kernel's own order.
fn squared_error<'a>(targets: &'a [f32], rows: usize) -> impl Fn(&[f32], &mut [f32]) -> f64 + 'a {
    move |outputs, delta| {
        let scale = 1.0 / rows as f32;
        let mut sum = 0.0;
        for ((y, target), delta) in outputs.iter().zip(targets).zip(delta) {
            let error = y - target;
            *delta = (error + error) * scale;
            sum += f64::from(error).powi(2);
        }
        sum / rows as f64
    }
}

fn agree(new: &TrainerBuilder<f32>, x: &[f32], values: &[f32], rows: usize, name: &str) {
    let [mut own, mut built_in] = [(); 2].map(|()| new.clone().build().unwrap());
    let count = own.network().parameters().len();
    let (mut found, mut expected) = (vec![0.0; count], vec![0.0; count]);
    for _ in 0..3 {
        let targets = Targets::Values(values);
        own.gradients_with(x, &mut found, squared_error(values, rows)).unwrap();
        built_in.gradients(x, targets, &mut expected).unwrap();
        assert!(bits(&found) == bits(&expected), "{name}: gradients");
        let score = own.step_with(x, squared_error(values, rows)).unwrap();
        let expected = built_in.step(x, targets).unwrap();
        assert_relative_eq!(score.loss, expected.loss, max_relative = 1e-5);
        assert_eq!((score.rows, score.correct), (rows, None));
    }
    let (own, built_in) = (own.network(), built_in.network());
    assert!(bits(own.parameters()) == bits(built_in.parameters()), "{name}");
    assert!(bits(own.statistics()) == bits(built_in.statistics()), "{name}: statistics");
}

#[test]
fn the_same_loss_gives_the_same_bits_in_every_kind_of_network() {
    let rows = 200;
    let (x, targets) = (zoo_rows::<f32>(rows, 1), sample(rows * ZOO_OUTPUTS, 2));
    for (name, builder) in zoo() {
        let network = builder.build().unwrap();
        let new = Trainer::builder(network, Loss::MeanSquaredError, Optimizer::adam(0.01));
        let new = new.max_batch(rows).parallel_threshold(0);
        agree(&new, &x, &targets, rows, name);
        for threads in [2, 3] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| agree(&new, &x, &targets, rows, name));
        }
    }
}

/// Batches of several spans go forward twice, with the same masks.
#[test]
fn the_same_loss_gives_the_same_bits_in_spans() {
    let rows = 450;
    let (x, targets) = (sample(8 * rows, 1), sample(4 * rows, 2));
    for optimizer in [Optimizer::sgd(0.01), Optimizer::adam_w(0.01, 0.1).clip_norm(0.5)] {
        let network = NetworkBuilder::new(8).dense(1200, Activation::Relu).dropout(0.3);
        let network = network.dense(4, Activation::Identity).seed(7).build().unwrap();
        let new = Trainer::builder(network, Loss::MeanSquaredError, optimizer);
        agree(&new.max_batch(rows).threads(1), &x, &targets, rows, "spans");
    }
}

/// Rows that are compared with one another, by central differences.
#[test]
fn a_loss_over_pairs_of_rows_has_the_gradient_of_its_differences() {
    let (rows, columns) = (12, 3);
    let x = sample::<f64>(5 * rows, 1);
    // Σ of log(1 + exp(yⱼ − yᵢ)) over all i < j, by the first output; the others are regularized.
    let loss = |y: &[f64], delta: &mut [f64]| {
        let mut sum = 0.0;
        for i in 0..rows {
            for j in i + 1..rows {
                let wrong = y[j * columns] - y[i * columns];
                sum += wrong.exp().ln_1p();
                let slope = 1.0 / (1.0 + (-wrong).exp());
                delta[j * columns] += slope;
                delta[i * columns] -= slope;
            }
            for k in i * columns + 1..(i + 1) * columns {
                sum += y[k] * y[k];
                delta[k] = 2.0 * y[k];
            }
        }
        sum
    };
    let network = network::<f64>(&[5, 7, columns], Activation::Gelu).build().unwrap();
    let mut trainer =
        Trainer::builder(network, Loss::MeanSquaredError, Optimizer::sgd(0.1)).build().unwrap();
    let count = trainer.network().parameters().len();
    let mut gradient = vec![0.0; count];
    trainer.gradients_with(&x, &mut gradient, loss).unwrap();
    for (index, &found) in gradient.iter().enumerate() {
        let h = 1e-5;
        let mut loss_at = |offset: f64| {
            let before = trainer.network().parameters()[index];
            trainer.network_mut().parameters_mut()[index] = before + offset;
            let y = trainer.network().predict(&x).unwrap();
            trainer.network_mut().parameters_mut()[index] = before;
            loss(&y, &mut vec![0.0; y.len()])
        };
        let slope = (loss_at(h) - loss_at(-h)) / (2.0 * h);
        assert_relative_eq!(found, slope, max_relative = 1e-6, epsilon = 1e-6);
    }
}

#[test]
fn what_it_may_not_return_changes_nothing() {
    let network = network::<f32>(&[3, 5, 2], Activation::Tanh).build().unwrap();
    let new = Trainer::builder(network, Loss::SoftmaxCrossEntropy, Optimizer::adam(0.01));
    let [mut trainer, mut untouched] = [(); 2].map(|()| new.clone().build().unwrap());
    let x = sample::<f32>(6, 1);
    let step = |outputs: &[f32], delta: &mut [f32]| {
        assert_eq!((outputs.len(), &*delta), (4, &[0.0; 4][..]), "zeros, each time");
        delta.copy_from_slice(outputs);
        1.0
    };
    for loss in [f64::NAN, f64::INFINITY] {
        let error = trainer.step_with(&x, |_, _| loss).unwrap_err();
        assert!(matches!(error, Error::NonFiniteLoss { rows: 2, .. }), "{error:?}");
        let error = trainer.step_with(&x, |_, delta| {
            delta[3] = loss as f32;
            0.0
        });
        let error = error.unwrap_err();
        let is_named = matches!(error, Error::NonFinite { argument: "delta", index: 3, .. });
        assert!(is_named, "{error:?}");
    }
    let never = |_: &[f32], _: &mut [f32]| -> f64 { panic!("x is no good") };
    let partial = Error::PartialRow { argument: "x", length: 5, columns: 3 };
    assert_eq!(trainer.step_with(&x[..5], never), Err(partial));
    let too_large = Error::BatchTooLarge { argument: "x", rows: 300, max_batch: 256 };
    assert_eq!(trainer.step_with(&vec![0.5; 900], never), Err(too_large));
    let error = trainer.step_with(&[0.5, f32::NAN, 1.0], never).unwrap_err();
    assert!(matches!(error, Error::NonFinite { argument: "x", index: 1, .. }), "{error:?}");
    let length = trainer.network().parameters().len();
    let expected = Error::Length { argument: "gradients", expected: length, actual: 1 };
    assert_eq!(trainer.gradients_with(&x, &mut [0.0], never), Err(expected));
    assert_eq!(trainer.steps(), 0);
    // A loss that panics leaves a trainer that goes on.
    let panics = std::panic::AssertUnwindSafe(|| trainer.step_with(&x, |_, _| panic!("own")));
    assert!(std::panic::catch_unwind(panics).is_err());
    for trainer in [&mut trainer, &mut untouched] {
        trainer.step_with(&x, step).unwrap();
        trainer.step(&x, Targets::Classes(&[1, 0])).unwrap();
    }
    assert_eq!(bits(trainer.network().parameters()), bits(untouched.network().parameters()));
}

/// The squared error with weights, as a rule.
fn weighted_squared_error(outcome: Outcome<'_, f32>) -> f64 {
    let Targets::Values(targets) = outcome.targets.targets else { return f64::NAN };
    let columns = outcome.outputs.len() / outcome.rows;
    let scale = 1.0 / outcome.batch_rows as f32;
    let mut loss = 0.0;
    for (index, (y, target)) in outcome.outputs.iter().zip(targets).enumerate() {
        let weight = outcome.targets.weights.map_or(1.0, |weights| weights[index / columns]);
        let error = y - target;
        outcome.delta[index] = (error + error) * (scale * weight);
        loss += f64::from(weight * error * error);
    }
    loss / outcome.batch_rows as f64
}

#[test]
fn a_rule_is_the_loss_in_steps_of_every_kind() {
    let rows = 150;
    let (x, values) = (zoo_rows::<f32>(rows, 1), sample(rows * ZOO_OUTPUTS, 2));
    let weights: Vec<f32> = sample(rows, 3);
    let targets = Targets::Values(&values).weighted(&weights);
    let data = Dataset::from_values(x.clone(), x.len() / rows, values.clone(), ZOO_OUTPUTS);
    let data = data.unwrap().with_weights(weights.clone()).unwrap();
    for (name, builder) in zoo() {
        let network = builder.build().unwrap();
        let new = Trainer::builder(network, Loss::MeanSquaredError, Optimizer::adam(0.01));
        let run = |is_own: bool| {
            let mut trainer = new.clone().build().unwrap();
            if is_own {
                trainer.use_loss(weighted_squared_error).unwrap();
            }
            let mut losses = Vec::new();
            losses.push(trainer.step(&x, targets).unwrap().loss);
            let mut diagnostics = Diagnostics::new(trainer.network()).unwrap();
            losses.push(trainer.step_diagnosed(&x, targets, &mut diagnostics).unwrap().loss);
            for first in (0..rows).step_by(64) {
                let part = first..rows.min(first + 64);
                let columns = x.len() / rows;
                let values = &values[part.start * ZOO_OUTPUTS..part.end * ZOO_OUTPUTS];
                let targets = Targets::Values(values).weighted(&weights[part.clone()]);
                let x = &x[part.start * columns..part.end * columns];
                losses.push(trainer.accumulate(x, targets, rows).unwrap().loss);
            }
            losses.push(trainer.step_accumulated().unwrap().loss);
            let history = trainer.fit(&data).epochs(2).validation(&data).run().unwrap();
            losses.extend(
                history
                    .epochs()
                    .iter()
                    .flat_map(|it| [Some(it.loss), it.validation_loss])
                    .flatten(),
            );
            losses.push(trainer.evaluate(&x, targets).unwrap().loss);
            let mut gradient = vec![0.0; trainer.network().parameters().len()];
            losses.push(trainer.gradients(&x, targets, &mut gradient).unwrap().loss);
            let network = trainer.network();
            let bits = [bits(network.parameters()), bits(network.statistics()), bits(&gradient)];
            (losses, bits)
        };
        let ((own, found), (built_in, expected)) = (run(true), run(false));
        assert_eq!(own.len(), built_in.len());
        for (own, built_in) in own.iter().zip(&built_in) {
            assert_relative_eq!(own, built_in, max_relative = 1e-4, epsilon = 1e-6);
        }
        assert!(found == expected, "{name}");
    }
}

/// One target a row, and two outputs.
#[test]
fn a_rule_says_what_targets_it_takes() {
    let network = network::<f32>(&[3, 5, 2], Activation::Tanh).build().unwrap();
    let new = Trainer::builder(network, Loss::MeanSquaredError, Optimizer::adam(0.01));
    let mut trainer = new.build().unwrap();
    let x = sample::<f32>(6, 1);
    let values = [0.5, 1.0];
    let length = Error::Length { argument: "targets", expected: 4, actual: 2 };
    assert_eq!(trainer.step(&x, Targets::Values(&values)), Err(length));
    trainer
        .use_loss(|outcome: Outcome<'_, f32>| match outcome.targets.targets {
            Targets::Values(values) => {
                assert_eq!((values.len(), outcome.outputs.len()), (2, 4));
                outcome.delta.fill(values[0]);
                f64::from(values[0])
            }
            Targets::Classes(_) => f64::INFINITY,
        })
        .unwrap();
    let score = trainer.step(&x, Targets::Values(&values)).unwrap();
    assert_eq!((score.loss, score.correct), (0.5, None));
    let before = bits(trainer.network().parameters());
    let mut fails = |targets, expected| {
        assert_eq!(trainer.step(&x, targets), Err(expected));
    };
    let uneven = Error::Uneven { argument: "targets", length: 3, rows: 2 };
    fails(Targets::Values(&[0.5; 3]), uneven);
    fails(Targets::Values(&[]), Error::Empty { argument: "targets" });
    fails(Targets::Classes(&[0]), Error::Length { argument: "targets", expected: 2, actual: 1 });
    let infinite = f64::INFINITY;
    fails(Targets::Classes(&[7, 8]), Error::NonFiniteLoss { rows: 2, loss: infinite });
    let named = Error::NonFinite { argument: "targets", index: 0, value: infinite };
    fails(Targets::Values(&[f32::INFINITY, 0.0]), named.clone());
    let targets = Targets::Values(&[f32::INFINITY, 0.0]);
    assert_eq!(trainer.evaluate(&x, targets), Err(named));
    assert_eq!(bits(trainer.network().parameters()), before);
}

/// Neither a loss nor an optimizer of one's own is gone after a panic of it.
#[test]
fn rules_that_panic_stay() {
    struct Sign {
        panics: bool,
    }
    impl UpdateRule<f32> for Sign {
        fn update(&mut self, stretch: Stretch<'_, f32>) {
            assert!(!core::mem::take(&mut self.panics), "own optimizer");
            for (parameter, g) in stretch.parameters.iter_mut().zip(stretch.gradient) {
                *parameter -= 0.5 * g.signum();
            }
        }
    }
    let network = NetworkBuilder::<f32>::new(1).dense(1, Activation::Identity).build().unwrap();
    let new = Trainer::builder(network, Loss::MeanSquaredError, Optimizer::adam(0.01));
    let mut trainer = new.build().unwrap();
    trainer.network_mut().parameters_mut().fill(1.0);
    trainer.use_rule(Sign { panics: true }).unwrap();
    let mut panics = true;
    trainer
        .use_loss(move |outcome: Outcome<'_, f32>| {
            assert!(!core::mem::take(&mut panics), "own loss");
            outcome.delta[0] = 7.0;
            1.0
        })
        .unwrap();
    for _ in 0..2 {
        let step = std::panic::AssertUnwindSafe(|| trainer.step(&[2.0], Targets::Classes(&[0])));
        assert!(std::panic::catch_unwind(step).is_err());
    }
    assert_eq!(trainer.network().parameters(), [1.0, 1.0]);
    trainer.step(&[2.0], Targets::Classes(&[0])).unwrap();
    assert_eq!(trainer.network().parameters(), [0.5, 0.5]);
    // A batch in parts is then forgotten, for its gradient was lost.
    trainer.use_rule(Sign { panics: true }).unwrap();
    trainer.accumulate(&[2.0], Targets::Classes(&[0]), 1).unwrap();
    let step = std::panic::AssertUnwindSafe(|| trainer.step_accumulated());
    assert!(std::panic::catch_unwind(step).is_err());
    let forgotten = Error::BatchRows { rows: 0, batch_rows: 1, announced: 1 };
    assert_eq!(trainer.step_accumulated(), Err(forgotten));
    trainer.accumulate(&[2.0], Targets::Classes(&[0]), 1).unwrap();
    trainer.step_accumulated().unwrap();
    assert_eq!(trainer.network().parameters(), [0.0, 0.0]);
}

/// Masks of the outputs' own layer, and the portable lanes, whose shards are of fixed size.
#[test]
fn it_runs_on_every_isa() {
    fn step<E: Element>(isa: Isa) -> Vec<E> {
        let network = NetworkBuilder::<E>::new(4).dense(6, Activation::Tanh).dropout(0.5).isa(isa);
        let new =
            Trainer::builder(network.build().unwrap(), Loss::MeanSquaredError, Optimizer::sgd(0.5));
        let mut trainer = new.build().unwrap();
        let x = sample::<E>(4 * 150, 1);
        trainer
            .step_with(&x, |y, delta| {
                assert!(y.iter().filter(|&&y| y == E::ZERO).count() > 300, "half are dropped");
                delta.copy_from_slice(y);
                1.0
            })
            .unwrap();
        trainer.network().parameters().to_vec()
    }
    let reference = step::<f64>(Isa::active().unwrap());
    for isa in Isa::available() {
        for (found, expected) in step::<f32>(isa).iter().zip(&reference) {
            assert_relative_eq!(f64::from(*found), *expected, max_relative = 1e-3, epsilon = 1e-3);
        }
    }
}
