//! The weights after 50 steps, in this version as in every other: for every kind of layer, every
//! loss, and every optimizer. `DELTARULE_GOLDEN=print` prints the hashes in place of comparing
//! them.

use crate::common::{ZOO_INPUTS, ZOO_OUTPUTS, fnv1a, fused_isas, labels, sample, zoo, zoo_rows};
use deltarule::kernels::optimizer::{Adam, Decay, Epsilon, Momentum, RmsProp};
use deltarule::{
    Activation, Isa, Loss, NetworkBuilder, Optimizer, Reduction, Targets, Trainer, TrainerBuilder,
};

const ROWS: usize = 70;

/// The hash of the parameters and statistics after 50 steps.
fn train(trainer: TrainerBuilder<f32>, loss: Loss) -> u64 {
    let mut trainer = trainer.seed(11).build().unwrap();
    let x = zoo_rows::<f32>(ROWS, 1);
    let labels = labels(ROWS, ZOO_OUTPUTS, 2);
    let shares: Vec<f32> =
        sample(ROWS * ZOO_OUTPUTS, 3).iter().map(|y: &f32| (y + 1.0) / 8.0).collect();
    for step in 0..50 {
        let rows = ROWS - step % 8;
        let targets = match loss {
            Loss::SoftmaxCrossEntropy | Loss::SmoothedCrossEntropy { .. } => {
                Targets::Classes(&labels[..rows])
            }
            _ => Targets::Values(&shares[..rows * ZOO_OUTPUTS]),
        };
        trainer.step(&x[..rows * ZOO_INPUTS], targets).unwrap();
    }
    let network = trainer.network();
    fnv1a(&[network.parameters(), network.statistics()].concat())
}

/// Compares the hashes of all cases on every ISA with the lines of a golden file.
fn compare(golden: &str, cases: impl Fn(Isa) -> Vec<(String, u64)>) {
    let expected: Vec<(&str, &str)> =
        golden.lines().filter_map(|line| line.rsplit_once(": ")).collect();
    for isa in fused_isas() {
        let found = cases(isa);
        if std::env::var("DELTARULE_GOLDEN").as_deref() == Ok("print") {
            found.iter().for_each(|(name, hash)| println!("{name}: {hash:016x}"));
            continue;
        }
        assert_eq!(found.len(), expected.len());
        for ((name, hash), (expected_name, expected_hash)) in found.iter().zip(&expected) {
            let hash = format!("{hash:016x}");
            assert_eq!((name.as_str(), hash.as_str()), (*expected_name, *expected_hash), "{isa}");
        }
    }
}

fn small(isa: Isa, activation: Activation) -> NetworkBuilder<f32> {
    NetworkBuilder::new(ZOO_INPUTS)
        .seed(42)
        .isa(isa)
        .dense(9, activation)
        .dense(ZOO_OUTPUTS, Activation::Identity)
}

#[test]
fn of_every_kind_of_layer() {
    compare(include_str!("../golden/layers.txt"), |isa| {
        let loss = Loss::SoftmaxCrossEntropy;
        let of = |(name, builder): (&str, NetworkBuilder<f32>)| {
            let network = builder.isa(isa).build().unwrap();
            (name.to_string(), train(Trainer::builder(network, loss, Optimizer::adam(0.01)), loss))
        };
        zoo().into_iter().map(of).collect()
    });
}

#[test]
fn of_every_activation_loss_and_optimizer() {
    let losses = [
        Loss::MeanSquaredError,
        Loss::MeanAbsoluteError,
        Loss::Quantile { quantile: 0.9 },
        Loss::Huber { threshold: 0.5 },
        Loss::BinaryCrossEntropy { positive_weight: 1.7 },
        Loss::Poisson,
        Loss::SoftmaxCrossEntropy,
        Loss::SmoothedCrossEntropy { smoothing: 0.1 },
    ];
    let decay = Decay { l2: 0.01, l1: 0.001, decoupled: 0.1 };
    let momentum = RmsProp { momentum: 0.5, ..RmsProp::default() };
    let optimizers = [
        Optimizer::sgd(0.1),
        Optimizer::sgd(0.1).decay(decay).clip_value(0.01),
        Optimizer::sgd(0.1).clip_norm(0.05),
        Optimizer::momentum(0.05, 0.9),
        Optimizer::new(Momentum {
            learning_rate: 0.05,
            momentum: 0.9,
            nesterov: true,
            ..Momentum::default()
        }),
        Optimizer::rms_prop(0.003),
        Optimizer::new(RmsProp { centered: true, ..RmsProp::default() }),
        Optimizer::new(momentum),
        Optimizer::new(RmsProp { centered: true, ..momentum }),
        Optimizer::adam(0.01),
        Optimizer::adam_w(0.01, 0.1),
        Optimizer::new(Adam { amsgrad: true, ..Adam::default() }),
        Optimizer::new(Adam { epsilon: Epsilon::OutsideRoot(1e-8), ..Adam::default() }),
        Optimizer::nadam(0.01),
        Optimizer::adagrad(0.03),
        Optimizer::lion(0.001),
    ];
    compare(include_str!("../golden/networks.txt"), |isa| {
        let mut cases = Vec::new();
        for &activation in Activation::ALL {
            let network = small(isa, activation).build().unwrap();
            let loss = Loss::SoftmaxCrossEntropy;
            let trainer = Trainer::builder(network, loss, Optimizer::sgd(0.1));
            cases.push((format!("{activation:?}"), train(trainer, loss)));
        }
        for loss in losses {
            for reduction in [Reduction::MeanOverRows, Reduction::MeanOverElements] {
                let network = small(isa, Activation::Tanh).build().unwrap();
                let trainer = Trainer::builder(network, loss, Optimizer::sgd(0.1));
                let hash = train(trainer.reduction(reduction), loss);
                cases.push((format!("{loss:?}, {reduction:?}"), hash));
            }
        }
        for (index, optimizer) in optimizers.into_iter().enumerate() {
            let network = small(isa, Activation::Relu).build().unwrap();
            let loss = Loss::SoftmaxCrossEntropy;
            let hash = train(Trainer::builder(network, loss, optimizer), loss);
            cases.push((format!("optimizer {index}"), hash));
        }
        cases
    });
}
