//! A prediction by a frozen network, with its weights in three formats, beside the network's own
//! and plain loops.

#![allow(missing_docs, reason = "criterion_group! makes functions without documentation")]

#[expect(dead_code, reason = "it learns in the example alone")]
#[path = "../examples/digits/naive.rs"]
mod naive;
#[path = "common/perceptron.rs"]
mod perceptron;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use deltarule::{Predictor, WeightFormat, Workspace};
use naive::Naive;
use perceptron::{perceptron, rows};

/// Widths and batch: weights that L2 holds, and some that only L3 does, of one row and of many.
const CASES: [(&[usize], usize); 4] = [
    (&[64, 64, 64, 10], 1),
    (&[784, 512, 512, 10], 1),
    (&[64, 64, 64, 10], 256),
    (&[784, 512, 512, 10], 256),
];

fn predict(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("predict");
    for (widths, batch) in CASES {
        let network = perceptron(widths);
        let classes = network.outputs();
        let x = rows(batch, widths[0]);
        let mut out = vec![0.0; batch * classes];
        let case = format!("{widths:?}x{batch}");
        group.throughput(Throughput::Elements(batch as u64));

        let builder = || Predictor::builder(&network);
        for (name, builder) in [
            ("deltarule, frozen", builder()),
            ("deltarule, frozen, bf16", builder().weights(WeightFormat::Bf16)),
            ("deltarule, frozen, int8", builder().weights(WeightFormat::Int8)),
        ] {
            let predictor = builder.build().expect("a predictor");
            let mut workspace = predictor.workspace().expect("a workspace");
            group.bench_function(BenchmarkId::new(name, &case), |bencher| {
                bencher.iter(|| predictor.predict_into(&x, &mut out, &mut workspace));
            });
        }
        let mut workspace = Workspace::new(&network).expect("a workspace");
        group.bench_function(BenchmarkId::new("deltarule, in training", &case), |bencher| {
            bencher.iter(|| network.predict_into(&x, &mut out, &mut workspace));
        });
        let naive = Naive::of(&network);
        group.sample_size(10);
        group.bench_function(BenchmarkId::new("naive loops", &case), |bencher| {
            bencher.iter(|| naive.classify(&x));
        });
        group.sample_size(100);
    }
    group.finish();
}

criterion_group!(benches, predict);
criterion_main!(benches);
