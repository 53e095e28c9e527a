//! The same bits for any number of threads, on any ISA with fused multiply-adds, alone or in a
//! batch.

use deltarule::kernels::optimizer::Adam;

use crate::common::{
    ZOO_INPUTS, ZOO_OUTPUTS, bits, fnv1a, fused_isas, labels, network, sample, zoo, zoo_rows,
};
use deltarule::{
    Activation, Element, Isa, Loss, Network, NetworkBuilder, Optimizer, Score, Targets, Trainer,
};
use rayon::prelude::*;

const WIDTHS: [usize; 4] = [37, 150, 131, 10];
const ROWS: usize = 333;
const STEPS: usize = 5;

/// Trains on `ROWS` rows, and a few less each step, so that shards begin and end everywhere.
fn train<E: Element>(isa: Isa, activation: Activation, threads: usize) -> (Vec<u64>, Vec<Score>) {
    train_with::<E>(isa, activation, threads, Optimizer::sgd(0.1))
}

fn train_with<E: Element>(
    isa: Isa,
    activation: Activation,
    threads: usize,
    optimizer: Optimizer,
) -> (Vec<u64>, Vec<Score>) {
    let network = network::<E>(&WIDTHS, activation).isa(isa).build().unwrap();
    let mut trainer = Trainer::builder(network, Loss::SoftmaxCrossEntropy, optimizer)
        .max_batch(ROWS)
        .threads(threads)
        .build()
        .unwrap();
    let x = sample::<E>(ROWS * WIDTHS[0], 1);
    let labels = labels(ROWS, 10, 2);
    let scores = (0..STEPS)
        .map(|step| {
            let rows = ROWS - 13 * step;
            trainer.step(&x[..rows * WIDTHS[0]], Targets::Classes(&labels[..rows])).unwrap()
        })
        .collect();
    (bits(trainer.network().parameters()), scores)
}

fn pool(threads: usize) -> rayon::ThreadPool {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap()
}

#[test]
fn for_any_number_of_threads() {
    for isa in Isa::available() {
        for activation in [Activation::Relu, Activation::Tanh] {
            let alone = train::<f32>(isa, activation, 1);
            for threads in [1, 2, 3, 8] {
                let pooled = pool(threads).install(|| train::<f32>(isa, activation, usize::MAX));
                assert!(pooled == alone, "{isa} {activation:?}: a pool of {threads} threads");
                let capped = pool(8).install(|| train::<f32>(isa, activation, threads));
                assert!(capped == alone, "{isa} {activation:?}: {threads} of 8 threads");
            }
        }
    }
}

/// More steps than a trainer times on all threads before it times some on one.
#[test]
fn whichever_way_takes_less_time() {
    const ROWS: usize = 40;
    let train = || {
        let network = network::<f32>(&WIDTHS, Activation::Relu).build().unwrap();
        let mut trainer =
            Trainer::builder(network, Loss::SoftmaxCrossEntropy, Optimizer::adam(1e-3))
                .build()
                .unwrap();
        let (x, labels) = (sample::<f32>(ROWS * WIDTHS[0], 1), labels(ROWS, 10, 2));
        for _ in 0..40 {
            trainer.step(&x, Targets::Classes(&labels)).unwrap();
        }
        bits(trainer.network().parameters())
    };
    assert!(pool(3).install(train) == pool(1).install(train));
}

#[test]
fn with_state_and_clipping_too() {
    for isa in Isa::available() {
        for optimizer in [
            Optimizer::adam_w(0.01, 0.1),
            Optimizer::momentum(0.1, 0.9).clip_norm(0.1),
            Optimizer::new(Adam { amsgrad: true, ..Adam::default() }).clip_value(1e-3),
        ] {
            let train = |threads| train_with::<f32>(isa, Activation::Relu, threads, optimizer);
            let alone = train(1);
            for threads in [2, 3, 8] {
                assert!(pool(threads).install(|| train(threads)) == alone, "{isa} {optimizer:?}");
            }
        }
    }
}

/// Two optimizers, one of which takes the unfused path, on networks of every kind of layer.
fn train_zoo<E: Element>(
    builder: NetworkBuilder<E>,
    isa: Isa,
    threads: usize,
    optimizer: Optimizer,
) -> (Vec<u64>, Vec<Score>) {
    let mut trainer =
        Trainer::builder(builder.isa(isa).build().unwrap(), Loss::SoftmaxCrossEntropy, optimizer)
            .max_batch(ROWS)
            .threads(threads)
            .parallel_threshold(0)
            .seed(9)
            .build()
            .unwrap();
    let x = zoo_rows::<E>(ROWS, 1);
    let labels = labels(ROWS, ZOO_OUTPUTS, 2);
    let step = |step| {
        let rows = ROWS - 13 * step;
        trainer.step(&x[..rows * ZOO_INPUTS], Targets::Classes(&labels[..rows])).unwrap()
    };
    let scores = (0..STEPS).map(step).collect();
    let network = trainer.network();
    (bits(&[network.parameters(), network.statistics()].concat()), scores)
}

const ZOO_OPTIMIZERS: [fn() -> Optimizer; 2] =
    [|| Optimizer::adam_w(0.01, 0.1), || Optimizer::momentum(0.1, 0.9).clip_norm(0.1)];

#[test]
fn of_every_kind_of_layer_for_any_number_of_threads() {
    let pools = [1, 2, 3, 8].map(pool);
    for isa in Isa::available() {
        for optimizer in ZOO_OPTIMIZERS {
            for (name, builder) in zoo::<f32>() {
                let alone = train_zoo(builder.clone(), isa, 1, optimizer());
                for pool in &pools {
                    let train = || train_zoo(builder.clone(), isa, usize::MAX, optimizer());
                    let threads = pool.current_num_threads();
                    assert!(pool.install(train) == alone, "{isa} {name}: {threads} threads");
                }
            }
        }
    }
}

#[test]
fn of_every_kind_of_layer_on_every_isa_that_fuses() {
    let isas = fused_isas();
    for pair in isas.windows(2) {
        for optimizer in ZOO_OPTIMIZERS {
            for ((name, f32s), (_, f64s)) in zoo::<f32>().into_iter().zip(zoo::<f64>()) {
                let train = |isa| train_zoo(f32s.clone(), isa, 1, optimizer());
                assert!(train(pair[0]) == train(pair[1]), "f32 {name}: {pair:?}");
                let train = |isa| train_zoo(f64s.clone(), isa, 1, optimizer());
                assert!(train(pair[0]) == train(pair[1]), "f64 {name}: {pair:?}");
            }
        }
    }
}

#[test]
fn on_every_isa_that_fuses() {
    let isas = fused_isas();
    for activation in [Activation::Relu, Activation::Tanh, Activation::Sigmoid] {
        for pair in isas.windows(2) {
            let [one, other] = [pair[0], pair[1]];
            let same = train::<f32>(one, activation, 1) == train::<f32>(other, activation, 1);
            assert!(same, "f32 {activation:?}: {one} and {other}");
            let same = train::<f64>(one, activation, 1) == train::<f64>(other, activation, 1);
            assert!(same, "f64 {activation:?}: {one} and {other}");
        }
    }
}

#[test]
fn in_this_version_as_in_every_other() {
    const GOLDEN: [(Activation, u64); 3] = [
        (Activation::Relu, 0x184d_3e7f_6930_44f2),
        (Activation::Tanh, 0x05d9_c0b6_5889_a8bf),
        (Activation::Sigmoid, 0x4714_2561_b995_81cb),
    ];
    for isa in fused_isas() {
        let found = GOLDEN.map(|(activation, _)| {
            let network = network::<f32>(&[7, 20, 15, 3], activation).isa(isa).build().unwrap();
            let mut trainer =
                Trainer::builder(network, Loss::SoftmaxCrossEntropy, Optimizer::sgd(0.1))
                    .build()
                    .unwrap();
            let x = sample::<f32>(70 * 7, 1);
            let labels = labels(70, 3, 2);
            for _ in 0..50 {
                trainer.step(&x, Targets::Classes(&labels)).unwrap();
            }
            (activation, fnv1a(trainer.network().parameters()))
        });
        assert_eq!(found, GOLDEN, "{isa}: {found:x?}");
    }
}

#[test]
fn for_a_row_alone_and_in_a_batch() {
    for isa in Isa::available() {
        for activation in [Activation::Relu, Activation::Tanh, Activation::Sigmoid] {
            let network = network::<f32>(&WIDTHS, activation).isa(isa).build().unwrap();
            let mut x = sample::<f32>(300 * WIDTHS[0], 4);
            x[3 * WIDTHS[0] + 5] = f32::NAN;
            x[7 * WIDTHS[0]] = f32::INFINITY;
            let batch = network.predict(&x).unwrap();
            for (index, (x, together)) in x.chunks(WIDTHS[0]).zip(batch.chunks(10)).enumerate() {
                let alone = network.predict(x).unwrap();
                // The bits of a NaN are not promised, only that it is one.
                let same = alone
                    .iter()
                    .zip(together)
                    .all(|(a, b)| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()));
                assert!(same, "{isa} {activation:?}: row {index}");
                if index == 3 {
                    assert!(alone.iter().all(|y| y.is_nan()), "{isa} {activation:?}: NaN is lost");
                }
            }
        }
    }
}

#[test]
fn of_a_score_for_any_largest_batch() {
    let x = sample::<f32>(ROWS * WIDTHS[0], 1);
    let labels = labels(ROWS, 10, 2);
    let score = |max_batch| {
        let network = network::<f32>(&WIDTHS, Activation::Relu).build().unwrap();
        let trainer = Trainer::builder(network, Loss::SoftmaxCrossEntropy, Optimizer::sgd(0.1));
        let mut trainer = trainer.max_batch(max_batch).build().unwrap();
        trainer.evaluate(&x, Targets::Classes(&labels)).unwrap()
    };
    let whole = score(ROWS);
    assert_eq!(whole.rows, ROWS);
    for max_batch in [1, 31, 64, 100, ROWS + 1] {
        assert_eq!(score(max_batch), whole, "max_batch {max_batch}");
    }
}

#[test]
fn of_many_trainers_at_once_in_one_pool() {
    let isa = Isa::active().unwrap();
    let alone = train::<f32>(isa, Activation::Relu, 1);
    for threads in [1, 2, 4] {
        let all: Vec<_> = pool(threads).install(|| {
            (0..12)
                .into_par_iter()
                .map(|_| train::<f32>(isa, Activation::Relu, usize::MAX))
                .collect()
        });
        assert!(all.iter().all(|one| *one == alone), "{threads} threads");
    }
}

#[test]
fn from_a_seed() {
    let parameters = |seed| {
        let network: Network =
            Network::builder(3).dense(4, Activation::Relu).seed(seed).build().unwrap();
        network.parameters().to_vec()
    };
    assert_eq!(parameters(1), parameters(1));
    assert_ne!(parameters(1), parameters(2));
}
