//! Optimizers' trajectories, losses and norms against PyTorch and ONNX's node tests.
//!
//! The numbers are made by `tests/golden/kernels.py`; no Python is needed here.

mod golden;

use deltarule_kernels::loss::{ClassTargets, ElementLoss, ElementRows, Scale, SoftmaxRows};
use deltarule_kernels::norm::{Moments, batch, layer};
use deltarule_kernels::optimizer::{
    Adagrad, Adam, Decay, Epsilon, Lion, Momentum, NAdam, Optimizer, RmsProp, Sgd, Step,
};
use deltarule_kernels::{Element, Isa, MatRef, loss};
use golden::Golden;

/// The script's `Numbers`.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f64 {
        self.0 = (1_103_515_245 * self.0 + 12_345) % (1 << 31);
        self.0 as f64 / 2f64.powi(31) - 0.5
    }
}

const START: [f64; 7] = [1.0, -2.0, 0.5, 3.0, -0.25, 0.125, -1.5];
const CURVATURE: [f64; 7] = [0.5, 1.0, 2.0, 0.25, 4.0, 1.5, 0.75];
const PULL: [f64; 7] = [0.1, -0.3, 0.7, 0.0, 0.2, -0.05, 0.4];

/// Each case's rule, step and first state.
fn optimizers() -> Vec<(&'static str, Optimizer, Step, f64)> {
    let outside = Epsilon::OutsideRoot;
    let inside = Epsilon::InsideRoot(1e-3);
    let plain = Step::new(1);
    let decayed = |decay| Step { decay, ..plain };
    let l2 = decayed(Decay { l2: 0.02, ..Decay::default() });
    let sgd = Optimizer::from(Sgd { learning_rate: 0.1 });
    let momentum = |dampening, nesterov| {
        Optimizer::from(Momentum { learning_rate: 0.05, momentum: 0.9, dampening, nesterov })
    };
    let rms = |centered, momentum, epsilon| {
        Optimizer::from(RmsProp { learning_rate: 0.02, rho: 0.9, epsilon, centered, momentum })
    };
    let adam = Adam { learning_rate: 0.05, epsilon: outside(1e-8), ..Adam::default() };
    let nadam = NAdam { learning_rate: 0.05, epsilon: outside(1e-8), ..NAdam::default() };
    let adagrad = Adagrad { learning_rate: 0.1, rate_decay: 0.05, epsilon: outside(1e-10) };
    vec![
        ("sgd", sgd, plain, 0.0),
        ("sgd_l2", sgd, l2, 0.0),
        ("sgd_l1", sgd, decayed(Decay { l1: 0.05, ..Decay::default() }), 0.0),
        ("sgd_clip_value", sgd, Step { clip_value: 0.25, ..plain }, 0.0),
        ("momentum", momentum(0.0, false), plain, 0.0),
        ("nesterov", momentum(0.0, true), plain, 0.0),
        ("momentum_dampened", momentum(0.25, false), plain, 0.0),
        ("rms_prop", rms(false, 0.0, outside(1e-6)), plain, 0.0),
        ("rms_prop_centered", rms(true, 0.0, outside(1e-6)), plain, 0.0),
        ("rms_prop_momentum", rms(false, 0.5, outside(1e-6)), plain, 0.0),
        ("rms_prop_both", rms(true, 0.5, outside(1e-6)), plain, 0.0),
        ("rms_prop_inside", rms(false, 0.0, inside), plain, 0.0),
        ("adam", adam.into(), plain, 0.0),
        ("adam_l2", adam.into(), l2, 0.0),
        ("adam_w", adam.into(), decayed(Decay { decoupled: 0.1, ..Decay::default() }), 0.0),
        ("adam_inside", Adam { epsilon: inside, ..adam }.into(), plain, 0.0),
        ("amsgrad", Adam { beta1: 0.8, beta2: 0.9, amsgrad: true, ..adam }.into(), plain, 0.0),
        ("nadam", nadam.into(), plain, 0.0),
        ("adagrad", adagrad.into(), plain, 0.25),
        (
            "adagrad_inside",
            Adagrad { rate_decay: 0.0, epsilon: inside, ..adagrad }.into(),
            plain,
            0.0,
        ),
        (
            "lion",
            Lion { learning_rate: 0.02, ..Lion::default() }.into(),
            decayed(Decay { decoupled: 0.1, ..Decay::default() }),
            0.0,
        ),
    ]
}

fn trajectories<E: Element>(tolerance: f64) {
    let golden = Golden::parse(include_str!("golden/optimizers.txt"));
    let cases = optimizers();
    for isa in Isa::available() {
        for &(name, optimizer, step, first_state) in &cases {
            let mut parameters = START.map(E::from_f64);
            let mut state = [[E::from_f64(first_state); 7]; 3];
            let mut numbers = Numbers(1);
            for number in 1..=100 {
                let mut gradients = [E::ZERO; 7];
                for (i, g) in gradients.iter_mut().enumerate() {
                    let slope = CURVATURE[i] * parameters[i].to_f64() - PULL[i];
                    *g = E::from_f64(slope + numbers.next());
                }
                let update = optimizer.at_step(&Step { number, ..step });
                let [a, b, c] = &mut state;
                update.apply(isa, &gradients, &mut parameters, [a, b, c]).unwrap();
                if [1, 2, 10, 100].contains(&number) {
                    golden.check(isa, name, &format!("step{number}"), &parameters, tolerance);
                }
            }
        }
    }
    let compared = cases.len() + golden.0.keys().filter(|name| name.starts_with("onnx")).count();
    assert_eq!(compared, golden.0.len(), "every trajectory of the file is compared");
}

#[test]
fn optimizers_follow_pytorch() {
    trajectories::<f64>(1e-12);
    trajectories::<f32>(1e-5);
}

#[test]
fn optimizers_follow_onnx() {
    let golden = Golden::parse(include_str!("golden/optimizers.txt"));
    // After the learning rate, the attributes in the order of their names.
    let scalars = |case: &str| golden.get::<f64>(case, "scalars");
    let momentum = |case: &str, nesterov| {
        let scalars = scalars(case);
        let (learning_rate, momentum) = (scalars[0], scalars[1]);
        Optimizer::from(Momentum { learning_rate, momentum, nesterov, ..Momentum::default() })
    };
    let adagrad = scalars("onnx_adagrad");
    let adagrad = Adagrad {
        learning_rate: adagrad[0],
        rate_decay: adagrad[1],
        epsilon: Epsilon::OutsideRoot(adagrad[2]),
    };
    for isa in Isa::available() {
        for (case, optimizer) in [
            ("onnx_momentum", momentum("onnx_momentum", false)),
            ("onnx_nesterov_momentum", momentum("onnx_nesterov_momentum", true)),
            ("onnx_adagrad", adagrad.into()),
        ] {
            let decay = Decay { l2: *scalars(case).last().unwrap(), ..Decay::default() };
            let update = optimizer.at_step::<f32>(&Step { decay, ..Step::new(1) });
            let mut parameter = golden.get(case, "parameter");
            let mut state = golden.get(case, "state");
            let gradient = golden.get(case, "gradient");
            update.apply(isa, &gradient, &mut parameter, [&mut state, &mut [], &mut []]).unwrap();
            golden.check(isa, case, "new_parameter", &parameter, 1e-6);
            golden.check(isa, case, "new_state", &state, 1e-6);
        }
    }
}

#[test]
fn adam_follows_onnx() {
    let golden = Golden::parse(include_str!("golden/optimizers.txt"));
    let case = "onnx_adam";
    // The learning rate, then α, β, ε and the decay.
    let scalars: Vec<f64> = golden.get(case, "scalars");
    let adam = Adam {
        learning_rate: scalars[0],
        beta1: scalars[1],
        beta2: scalars[2],
        epsilon: Epsilon::OutsideRoot(scalars[3]),
        amsgrad: false,
    };
    let decay = Decay { l2: scalars[4], ..Decay::default() };
    // In the node test T is 0, which leaves out the bias corrections, as very many steps do.
    let step = Step { decay, ..Step::new(u64::MAX) };
    let update = Optimizer::from(adam).at_step::<f32>(&step);
    for isa in Isa::available() {
        let [mut parameter, mut m, mut v] =
            ["parameter", "m", "v"].map(|key| golden.get(case, key));
        let gradient = golden.get(case, "gradient");
        update.apply(isa, &gradient, &mut parameter, [&mut m, &mut v, &mut []]).unwrap();
        golden.check(isa, case, "new_parameter", &parameter, 1e-6);
        golden.check(isa, case, "new_m", &m, 1e-6);
        golden.check(isa, case, "new_v", &v, 1e-6);
    }
}

const LOSS_SHAPE: (usize, usize) = (4, 5);

fn losses<E: Element>(tolerance: f64) {
    let golden = Golden::parse(include_str!("golden/losses.txt"));
    let input = |key| golden.get::<E>("inputs", key);
    let (x, targets, distribution) = (input("x"), input("targets"), input("distribution"));
    let (row_weights, class_weights) = (input("row_weights"), input("class_weights"));
    let labels = golden.labels("inputs");
    let scale = Scale::weighted(E::ONE, &row_weights);
    for isa in Isa::available() {
        let check = |case: &str, evaluate: &dyn Fn(&mut [E], &mut [E])| {
            let (mut losses, mut delta) = (vec![E::ZERO; 4], vec![E::ZERO; 20]);
            evaluate(&mut losses, &mut delta);
            golden.check(isa, case, "losses", &losses, tolerance);
            golden.check(isa, case, "delta", &delta, tolerance);
        };
        let bce = |positive_weight| ElementLoss::BinaryCrossEntropy { positive_weight };
        for (case, element_loss, targets) in [
            ("squared_error", ElementLoss::SquaredError, &targets),
            ("absolute_error", ElementLoss::AbsoluteError, &targets),
            ("quantile", ElementLoss::Quantile { quantile: 0.9 }, &targets),
            ("huber", ElementLoss::Huber { threshold: 1.5 }, &targets),
            ("binary_cross_entropy", bce(1.0), &targets),
            ("binary_cross_entropy_weighted", bce(2.5), &targets),
            ("poisson", ElementLoss::Poisson, &targets),
            ("kl_divergence", ElementLoss::KlDivergence, &distribution),
        ] {
            check(case, &|losses, delta| {
                let rows = ElementRows {
                    shape: LOSS_SHAPE,
                    predictions: &x,
                    targets,
                    scale,
                    losses,
                    delta,
                };
                element_loss.evaluate(isa, rows).unwrap();
            });
        }
        check("cross_entropy", &|losses, delta| {
            loss::softmax_cross_entropy(isa, LOSS_SHAPE, &x, &labels, scale, losses, delta)
                .unwrap();
        });
        let labelled = ClassTargets::labels(&labels);
        let given = ClassTargets::probabilities(&distribution);
        for (case, targets) in [
            ("cross_entropy", labelled),
            ("cross_entropy_smoothed", labelled.smoothed(0.1)),
            ("cross_entropy_weighted", labelled.smoothed(0.1).weighted(&class_weights)),
            ("cross_entropy_probabilities", given),
            ("cross_entropy_probabilities_weighted", given.weighted(&class_weights)),
            ("softmax_kl_divergence", given),
        ] {
            check(case, &|losses, delta| {
                let rows = SoftmaxRows { shape: LOSS_SHAPE, logits: &x, scale, losses, delta };
                if case == "softmax_kl_divergence" {
                    targets.kl_divergence(isa, rows).unwrap();
                } else {
                    targets.cross_entropy(isa, rows).unwrap();
                }
            });
        }
    }
}

#[test]
fn losses_are_pytorchs() {
    losses::<f64>(1e-14);
    losses::<f32>(2e-6);
}

#[test]
fn cross_entropy_is_onnxs() {
    let golden = Golden::parse(include_str!("golden/losses.txt"));
    for isa in Isa::available() {
        for case in ["onnx_sce_none", "onnx_sce_none_weights"] {
            let logits = golden.get::<f32>(case, "x");
            let (labels, weights) = (golden.labels(case), golden.get(case, "weights"));
            let (mut losses, mut delta) = (vec![0.0; labels.len()], vec![0.0; logits.len()]);
            let rows = SoftmaxRows {
                shape: (labels.len(), weights.len()),
                logits: &logits,
                scale: 1.0.into(),
                losses: &mut losses,
                delta: &mut delta,
            };
            ClassTargets::labels(&labels).weighted(&weights).cross_entropy(isa, rows).unwrap();
            golden.check(isa, case, "losses", &losses, 1e-6);
        }
    }
}

/// Statistics and output of batch normalization in training.
struct Batch<E> {
    mean: Vec<E>,
    mean_low: Vec<E>,
    variance: Vec<E>,
    inverse_std: Vec<E>,
    y: Vec<E>,
}

impl<E: Element> Batch<E> {
    fn new(isa: Isa, x: &[E], gamma: &[E], beta: &[E]) -> Self {
        let columns = gamma.len();
        let column = || vec![E::ZERO; columns];
        let (mut mean, mut mean_low, mut variance, mut inverse_std) =
            (column(), column(), column(), column());
        let statistics = batch::StatisticsMut {
            mean: &mut mean,
            mean_low: &mut mean_low,
            variance: &mut variance,
            inverse_std: &mut inverse_std,
        };
        let matrix = MatRef::new(x, x.len() / columns, columns).unwrap();
        batch::statistics(isa, [matrix], 1e-5, statistics).unwrap();
        let mut this = Self { mean, mean_low, variance, inverse_std, y: vec![E::ZERO; x.len()] };
        let mut y = core::mem::take(&mut this.y);
        batch::normalize(isa, this.moments(), gamma, beta, x, &mut y).unwrap();
        Self { y, ..this }
    }

    fn moments(&self) -> Moments<'_, E> {
        Moments { mean: &self.mean, mean_low: &self.mean_low, inverse_std: &self.inverse_std }
    }
}

fn norms<E: Element>(tolerance: f64) {
    let golden = Golden::parse(include_str!("golden/norms.txt"));
    let input = |key| golden.get::<E>("inputs", key);
    let (x, upstream, gamma, beta) = (input("x"), input("upstream"), input("gamma"), input("beta"));
    let (rows, columns) = (6, 5);
    for isa in Isa::available() {
        let check = |case, key, got: &[E]| golden.check(isa, case, key, got, tolerance);

        let outcome = Batch::new(isa, &x, &gamma, &beta);
        check("batch", "y", &outcome.y);
        let (mut gamma_gradient, mut beta_gradient) = ([E::ZERO; 5], [E::ZERO; 5]);
        let mut delta = upstream.clone();
        let [matrix, upstream_matrix] =
            [&x, &upstream].map(|x| MatRef::new(x, rows, columns).unwrap());
        let moments = outcome.moments();
        let sums = (&mut gamma_gradient, &mut beta_gradient);
        batch::add_gradients(isa, matrix, upstream_matrix, moments, sums.0, sums.1).unwrap();
        let backward = batch::Backward {
            batch_rows: rows,
            moments,
            gamma: &gamma,
            gamma_gradient: &gamma_gradient,
            beta_gradient: &beta_gradient,
            x: &x,
            delta: &mut delta,
        };
        batch::backward(isa, backward).unwrap();
        check("batch", "delta", &delta);
        check("batch", "gamma_gradient", &gamma_gradient);
        check("batch", "beta_gradient", &beta_gradient);

        let (mut mean, mut variance) = (input("running_mean"), input("running_variance"));
        let (mut inverse_std, mut y) = (vec![E::ZERO; columns], vec![E::ZERO; rows * columns]);
        batch::inverse_std(isa, &variance, 1e-5, &mut inverse_std).unwrap();
        let zeros = vec![E::ZERO; columns];
        let running = Moments { mean: &mean, mean_low: &zeros, inverse_std: &inverse_std };
        batch::normalize(isa, running, &gamma, &beta, &x, &mut y).unwrap();
        check("batch_running", "evaluated", &y);
        let batch_statistics = (&outcome.mean[..], &outcome.variance[..]);
        batch::update_running(isa, 0.1, rows, batch_statistics, &mut mean, &mut variance).unwrap();
        check("batch_running", "mean", &mean);
        check("batch_running", "variance", &variance);

        let mut moments = [vec![E::ZERO; rows], vec![E::ZERO; rows], vec![E::ZERO; rows]];
        let [mean, mean_low, inverse_std] = &mut moments;
        let (mut gamma_gradient, mut beta_gradient) = ([E::ZERO; 5], [E::ZERO; 5]);
        let mut delta = upstream.clone();
        let forward = layer::Forward {
            shape: (rows, columns),
            epsilon: 1e-5,
            gamma: &gamma,
            beta: &beta,
            x: &x,
            mean,
            mean_low,
            inverse_std,
            y: &mut y,
        };
        layer::forward(isa, forward).unwrap();
        check("layer", "y", &y);
        let [mean, mean_low, inverse_std] = &moments;
        let backward = layer::Backward {
            shape: (rows, columns),
            moments: Moments { mean, mean_low, inverse_std },
            gamma: &gamma,
            x: &x,
            gamma_gradient: &mut gamma_gradient,
            beta_gradient: &mut beta_gradient,
            delta: &mut delta,
        };
        layer::backward(isa, backward).unwrap();
        check("layer", "delta", &delta);
        check("layer", "gamma_gradient", &gamma_gradient);
        check("layer", "beta_gradient", &beta_gradient);
    }
}

#[test]
fn norms_are_pytorchs() {
    norms::<f64>(1e-13);
    norms::<f32>(5e-6);
}

#[test]
fn norms_are_onnxs() {
    let golden = Golden::parse(include_str!("golden/norms.txt"));
    for isa in Isa::available() {
        let [x, gamma, beta] = ["x", "gamma", "beta"].map(|key| golden.get("onnx_batch", key));
        let outcome = Batch::<f32>::new(isa, &x, &gamma, &beta);
        golden.check(isa, "onnx_batch", "y", &outcome.y, 2e-6);

        let [x, gamma, beta] = ["x", "gamma", "beta"].map(|key| golden.get("onnx_layer", key));
        let features = gamma.len();
        let rows = x.len() / features;
        let (mut mean, mut mean_low, mut inverse_std) =
            (vec![0.0_f32; rows], vec![0.0; rows], vec![0.0; rows]);
        let mut y = vec![0.0; x.len()];
        let forward = layer::Forward {
            shape: (rows, features),
            epsilon: 1e-5,
            gamma: &gamma,
            beta: &beta,
            x: &x,
            mean: &mut mean,
            mean_low: &mut mean_low,
            inverse_std: &mut inverse_std,
            y: &mut y,
        };
        layer::forward(isa, forward).unwrap();
        golden.check(isa, "onnx_layer", "y", &y, 2e-6);
        golden.check(isa, "onnx_layer", "mean", &mean, 1e-6);
        golden.check(isa, "onnx_layer", "inverse_std", &inverse_std, 2e-6);
    }
}
