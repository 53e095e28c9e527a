//! What a trainer makes of an optimizer.

use crate::common::{labels, network, sample};
use deltarule::kernels::optimizer::{Adam, Decay, Step, norm_clip_factor};
use deltarule::kernels::reduce;
use deltarule::{Activation, Isa, LayerRef, Loss, Network, Optimizer, Targets, Trainer};

const WIDTHS: [usize; 3] = [9, 33, 4];
const ROWS: usize = 150;

fn build() -> Network<f64> {
    network(&WIDTHS, Activation::Tanh).build().unwrap()
}

fn all() -> Vec<Optimizer> {
    vec![
        Optimizer::sgd(0.1),
        Optimizer::momentum(0.05, 0.9),
        Optimizer::nesterov(0.05, 0.9),
        Optimizer::rms_prop(0.003),
        Optimizer::adam(0.003),
        Optimizer::new(Adam { amsgrad: true, ..Adam::default() }).with_learning_rate(0.003),
        Optimizer::nadam(0.003),
        Optimizer::adagrad(0.03),
        Optimizer::lion(0.001),
    ]
}

/// Steps of a trainer are the rule applied to the whole arena, decay to the weights alone.
#[test]
fn a_step_is_the_rule_on_every_parameter() {
    let isa = Isa::active().unwrap();
    let (x, labels) = (sample::<f64>(ROWS * WIDTHS[0], 7), labels(ROWS, 4, 5));
    let targets = Targets::Classes(&labels);
    let decay = Decay { l2: 0.01, l1: 0.001, decoupled: 0.1 };
    for plain in all() {
        for optimizer in [plain, plain.decay(decay), plain.clip_norm(0.05).clip_value(0.01)] {
            let trainer = Trainer::builder(build(), Loss::SoftmaxCrossEntropy, optimizer);
            let mut trainer = trainer.build().unwrap();
            let mut expected = build();
            let count = expected.parameters().len();
            let is_bias: Vec<bool> = expected
                .layers()
                .filter_map(LayerRef::as_dense)
                .flat_map(|layer| {
                    let kinds = [(false, layer.weights.len()), (true, layer.biases.len())];
                    kinds.into_iter().flat_map(|(bias, n)| std::iter::repeat_n(bias, n))
                })
                .collect();
            let mut gradient = vec![0.0; count];
            let mut states = [(); 3].map(|()| vec![0.0; count]);
            for number in 1..=4 {
                trainer.gradients(&x, targets, &mut gradient).unwrap();
                let mut step = Step::new(number);
                if optimizer != plain && optimizer != plain.decay(decay) {
                    let norm = reduce::sum_of_squares(isa, &gradient);
                    assert!(norm.sqrt() > 0.05, "{optimizer:?}: nothing to clip");
                    step.gradient_factor = norm_clip_factor(norm, 0.05);
                    step.clip_value = 0.01;
                }
                let [a, b, c] = &mut states;
                for (index, &is_bias) in is_bias.iter().enumerate() {
                    let decay = if optimizer == plain.decay(decay) && !is_bias {
                        decay
                    } else {
                        Decay::default()
                    };
                    let at = index..index + 1;
                    let state = [&mut a[at.clone()], &mut b[at.clone()], &mut c[at.clone()]];
                    let update = optimizer.rule().at_step::<f64>(&Step { decay, ..step });
                    let parameters = &mut expected.parameters_mut()[at.clone()];
                    update.apply(isa, &gradient[at], parameters, state).unwrap();
                }
                trainer.step(&x, targets).unwrap();
                let parameters = trainer.network().parameters();
                assert_eq!(parameters, expected.parameters(), "{optimizer:?}, step {number}");
            }
        }
    }
}

#[test]
fn every_rule_learns() {
    let (x, labels) = (sample::<f64>(ROWS * WIDTHS[0], 7), labels(ROWS, 4, 5));
    let targets = Targets::Classes(&labels);
    for optimizer in all() {
        let trainer = Trainer::builder(build(), Loss::SoftmaxCrossEntropy, optimizer);
        let mut trainer = trainer.build().unwrap();
        let before = trainer.evaluate(&x, targets).unwrap();
        for _ in 0..300 {
            trainer.step(&x, targets).unwrap();
        }
        let after = trainer.evaluate(&x, targets).unwrap();
        assert!(after.loss < 0.95 * before.loss, "{optimizer:?}: {before:?} {after:?}");
        assert!(after.accuracy() > before.accuracy(), "{optimizer:?}");
    }
}

#[test]
fn another_learning_rate_is_that_of_the_next_step() {
    let (x, labels) = (sample::<f64>(ROWS * WIDTHS[0], 7), labels(ROWS, 4, 5));
    for optimizer in all() {
        let learn = |first: Optimizer| {
            Trainer::builder(build(), Loss::SoftmaxCrossEntropy, first).build().unwrap()
        };
        let (mut changed, mut fresh) =
            (learn(optimizer), learn(optimizer.with_learning_rate(0.02)));
        changed.set_learning_rate(0.02).unwrap();
        for trainer in [&mut changed, &mut fresh] {
            trainer.step(&x, Targets::Classes(&labels)).unwrap();
        }
        assert_eq!(changed.network().parameters(), fresh.network().parameters());
        changed.set_learning_rate(0.0).unwrap();
        let before = changed.network().parameters().to_vec();
        changed.step(&x, Targets::Classes(&labels)).unwrap();
        assert_eq!(changed.network().parameters(), before, "{optimizer:?} with a rate of 0");
    }
}

#[test]
fn weights_and_states_begin_on_a_cache_line() {
    let aligned = |x: &[f64]| assert_eq!(x.as_ptr().addr() % 64, 0);
    for optimizer in all() {
        // Several of each, since a line may be met by chance.
        for _ in 0..5 {
            let network = build();
            aligned(network.clone().parameters());
            let trainer =
                Trainer::builder(network, Loss::SoftmaxCrossEntropy, optimizer).build().unwrap();
            aligned(trainer.network().parameters());
            trainer.states().for_each(aligned);
        }
    }
}
