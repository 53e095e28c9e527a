//! Batches that are too large for the cache go in spans of rows, which nobody is to notice.

use deltarule::{
    Activation, Categorical, Diagnostics, Error, Isa, Loss, Network, Optimizer, Targets, Trainer,
};

use crate::common::{bits, fused_isas, labels, sample};

const INPUTS: usize = 8;
const OUTPUTS: usize = 4;
/// Three spans or four, of which the last is not whole.
const ROWS: usize = 450;

/// Its values take so much room that some 150 rows are a span on one thread. Shards
/// have a multiple of 32 rows, or of 64 where a layer normalizes.
fn network(isa: Isa, normalizes: bool) -> Network {
    let network = Network::builder(INPUTS).dense(1200, Activation::Relu);
    let network = if normalizes { network.layer_norm() } else { network.dropout(0.2) };
    network.dropout(0.1).dense(OUTPUTS, Activation::Identity).seed(7).isa(isa).build().unwrap()
}

fn trainer(isa: Isa, normalizes: bool, max_batch: usize, threads: usize) -> Trainer {
    Trainer::builder(
        network(isa, normalizes),
        Loss::SoftmaxCrossEntropy,
        Optimizer::adam_w(0.01, 0.1),
    )
    .max_batch(max_batch)
    .threads(threads)
    .parallel_threshold(0)
    .build()
    .unwrap()
}

fn batch() -> (Vec<f32>, Vec<usize>) {
    (sample(ROWS * INPUTS, 1), labels(ROWS, OUTPUTS, 2))
}

#[test]
fn a_step_in_spans_has_the_bits_of_parts_that_are_one_span_each() {
    let (x, labels) = batch();
    for (isa, normalizes) in fused_isas().into_iter().flat_map(|isa| [(isa, false), (isa, true)]) {
        let mut parts = trainer(isa, normalizes, 64, 1);
        let mut gradient = vec![0.0; parts.network().parameters().len()];
        for _ in 0..2 {
            for (x, labels) in x.chunks(64 * INPUTS).zip(labels.chunks(64)) {
                parts.accumulate(x, Targets::Classes(labels), ROWS).unwrap();
            }
            let score = parts.step_accumulated().unwrap();
            assert_eq!(score.rows, ROWS);
        }
        for threads in [1, 2, 3, 8] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let [mut whole, mut diagnosed, mut summed] =
                    [(); 3].map(|()| trainer(isa, normalizes, ROWS, usize::MAX));
                let mut diagnostics = Diagnostics::new(whole.network()).unwrap();
                for _ in 0..2 {
                    let targets = Targets::Classes(&labels);
                    let score = whole.step(&x, targets).unwrap();
                    let step = diagnosed.step_diagnosed(&x, targets, &mut diagnostics).unwrap();
                    assert_eq!(step, score, "{isa}");
                    assert_eq!(summed.gradients(&x, targets, &mut gradient).unwrap(), score);
                    assert_eq!(summed.accumulate(&x, targets, ROWS).unwrap(), score);
                    assert_eq!(summed.step_accumulated().unwrap(), score);
                }
                for trainer in [&whole, &diagnosed, &summed] {
                    let (found, expected) = (trainer.network(), parts.network());
                    assert!(
                        bits(found.parameters()) == bits(expected.parameters()),
                        "{isa}, {threads} threads"
                    );
                }
            });
        }
    }
}

/// The vectors' gradients are of all rows at once, and so there is one span.
#[test]
fn a_step_of_an_embedding_has_the_bits_of_parts() {
    let (mut x, labels) = batch();
    x.iter_mut().step_by(INPUTS).enumerate().for_each(|(row, x)| *x = (row % 9) as f32);
    let network = Network::builder(INPUTS)
        .embedding([Categorical { column: 0, categories: 9, dimensions: 2 }])
        .dense(1200, Activation::Relu)
        .dense(OUTPUTS, Activation::Identity);
    let network = network.build().unwrap();
    let new = Trainer::builder(network, Loss::SoftmaxCrossEntropy, Optimizer::sgd(0.1));
    let new = new.max_batch(ROWS).threads(1);
    let (mut whole, mut parts) = (new.clone().build().unwrap(), new.build().unwrap());
    whole.step(&x, Targets::Classes(&labels)).unwrap();
    for (x, labels) in x.chunks(64 * INPUTS).zip(labels.chunks(64)) {
        parts.accumulate(x, Targets::Classes(labels), ROWS).unwrap();
    }
    parts.step_accumulated().unwrap();
    assert_eq!(bits(whole.network().parameters()), bits(parts.network().parameters()));
}

#[test]
fn a_look_at_every_span() {
    let (x, labels) = batch();
    let isa = Isa::active().unwrap();
    let mut trainer = trainer(isa, true, ROWS, 1);
    // Dead on the first rows of the batch, but for what the last row brings.
    let parameters = trainer.network_mut().parameters_mut();
    parameters[..INPUTS].copy_from_slice(&[1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    let first_bias = 1200 * INPUTS;
    parameters[first_bias..first_bias + 1200].fill(-1e3);
    let mut diagnostics = Diagnostics::new(trainer.network()).unwrap();
    let mut x = x;
    x[(ROWS - 1) * INPUTS] = 2e3;
    trainer.step_diagnosed(&x, Targets::Classes(&labels), &mut diagnostics).unwrap();
    let dead = diagnostics.layers()[0].dead.unwrap();
    let alive = (1.0 - dead) * 1200.0;
    assert!((1.0..1200.0).contains(&alive.round()), "{alive}");
    x[(ROWS - 1) * INPUTS] = 0.0;
    x[0] = 2e3;
    trainer.step_diagnosed(&x, Targets::Classes(&labels), &mut diagnostics).unwrap();
    assert!(diagnostics.layers()[0].dead.unwrap() < 1.0);
}

#[test]
fn an_error_in_the_last_span_changes_nothing() {
    let (x, labels) = batch();
    let targets = Targets::Classes(&labels);
    let mut bad = x.clone();
    bad[(ROWS - 1) * INPUTS + 3] = f32::INFINITY;
    let index = (ROWS - 1) * INPUTS + 3;
    let is_named = |error: Error| {
        assert!(
            matches!(error, Error::NonFinite { argument: "x", index: at, .. } if at == index),
            "{error:?}"
        );
    };
    let isa = Isa::active().unwrap();
    let [mut trainer, mut untouched] = [(); 2].map(|()| trainer(isa, true, ROWS, 1));
    let mut gradient = vec![0.5; trainer.network().parameters().len()];
    is_named(trainer.step(&bad, targets).unwrap_err());
    is_named(trainer.gradients(&bad, targets, &mut gradient).unwrap_err());
    assert!(gradient.iter().all(|&gradient| gradient == 0.5));
    for trainer in [&mut trainer, &mut untouched] {
        trainer.accumulate(&x, targets, 2 * ROWS).unwrap();
    }
    is_named(trainer.accumulate(&bad, targets, 2 * ROWS).unwrap_err());
    for trainer in [&mut trainer, &mut untouched] {
        trainer.accumulate(&x, targets, 2 * ROWS).unwrap();
        trainer.step_accumulated().unwrap();
    }
    assert_eq!(bits(trainer.network().parameters()), bits(untouched.network().parameters()));
}
