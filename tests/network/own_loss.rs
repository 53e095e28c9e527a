//! A loss of one's own takes the place of the trainer's, and nothing else changes.

use approx::assert_relative_eq;
use deltarule::{
    Activation, Element, Error, Isa, Loss, NetworkBuilder, Optimizer, Targets, Trainer,
    TrainerBuilder,
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

fn agree(new: &TrainerBuilder<f32>, x: &[f32], targets: &[f32], rows: usize, name: &str) {
    let [mut own, mut built_in] = [(); 2].map(|()| new.clone().build().unwrap());
    let count = own.network().parameters().len();
    let (mut found, mut expected) = (vec![0.0; count], vec![0.0; count]);
    for _ in 0..3 {
        let targets = Targets::Values(targets);
        let Targets::Values(values) = targets else { unreachable!() };
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
    for index in 0..count {
        let h = 1e-5;
        let mut loss_at = |offset: f64| {
            let before = trainer.network().parameters()[index];
            trainer.network_mut().parameters_mut()[index] = before + offset;
            let y = trainer.network().predict(&x).unwrap();
            trainer.network_mut().parameters_mut()[index] = before;
            loss(&y, &mut vec![0.0; y.len()])
        };
        let slope = (loss_at(h) - loss_at(-h)) / (2.0 * h);
        assert_relative_eq!(gradient[index], slope, max_relative = 1e-6, epsilon = 1e-6);
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
