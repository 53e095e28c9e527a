//! A training step beside candle's, beside the same step in plain loops, and beside what one writes
//! by hand with `ndarray`: products by `matrixmultiply`, all else in scalar loops, buffers made
//! once.

#![allow(missing_docs, reason = "criterion_group! makes functions without documentation")]

#[expect(dead_code, reason = "it classifies in the example alone")]
#[path = "../examples/digits/naive.rs"]
mod naive;
#[path = "common/peer.rs"]
mod peer;
#[path = "common/perceptron.rs"]
mod perceptron;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use deltarule::{Activation, LayerRef, Loss, Network, Optimizer, Targets, Trainer};
use naive::Naive;
use ndarray::linalg::general_mat_mul;
use ndarray::{Array1, Array2, ArrayView2, Axis, Zip};
use peer::{Peer, is_measuring};
use perceptron::{perceptron, rows};

const LEARNING_RATE: f32 = 1e-3;

/// Widths and batch: a tiny network one row at a time, the digits, Fashion-MNIST, a wide one.
const CASES: [(&[usize], usize); 4] = [
    (&[16, 32, 4], 1),
    (&[64, 128, 10], 32),
    (&[784, 256, 128, 10], 128),
    (&[512, 1024, 1024, 10], 256),
];

struct Layer {
    weights: Array2<f32>,
    biases: Array1<f32>,
    /// Whether ReLU follows.
    rectified: bool,
    output: Array2<f32>,
    delta: Array2<f32>,
    gradient: Array2<f32>,
}

/// A perceptron of ReLU layers, by hand.
struct ByHand {
    layers: Vec<Layer>,
}

impl ByHand {
    fn of(network: &Network, batch: usize) -> Self {
        let copy = |layer: deltarule::DenseRef<'_, f32>| {
            let shape = (layer.outputs, layer.inputs);
            Layer {
                weights: Array2::from_shape_vec(shape, layer.weights.to_vec())
                    .expect("the weights have that shape"),
                biases: Array1::from_vec(layer.biases.to_vec()),
                rectified: layer.activation == Activation::Relu,
                output: Array2::zeros((batch, layer.outputs)),
                delta: Array2::zeros((batch, layer.outputs)),
                gradient: Array2::zeros(shape),
            }
        };
        Self { layers: network.layers().filter_map(LayerRef::as_dense).map(copy).collect() }
    }

    fn step(&mut self, x: ArrayView2<'_, f32>, labels: &[usize]) {
        for index in 0..self.layers.len() {
            let (before, from_here) = self.layers.split_at_mut(index);
            let layer = &mut from_here[0];
            let input = before.last().map_or(x, |below| below.output.view());
            layer.output.assign(&layer.biases);
            general_mat_mul(1.0, &input, &layer.weights.t(), 1.0, &mut layer.output);
            if layer.rectified {
                layer.output.mapv_inplace(|z| z.max(0.0));
            }
        }
        let last = self.layers.len() - 1;
        let Layer { output, delta, .. } = &mut self.layers[last];
        for ((logits, mut delta), &label) in
            output.rows().into_iter().zip(delta.rows_mut()).zip(labels)
        {
            let largest = logits.fold(f32::NEG_INFINITY, |largest, &z| largest.max(z));
            delta.assign(&logits);
            delta.mapv_inplace(|z| (z - largest).exp());
            let scale = 1.0 / delta.sum();
            delta.mapv_inplace(|e| e * scale);
            delta[label] -= 1.0;
            delta.mapv_inplace(|d| d / labels.len() as f32);
        }
        for index in (0..self.layers.len()).rev() {
            let (before, from_here) = self.layers.split_at_mut(index);
            let layer = &mut from_here[0];
            let input = before.last().map_or(x, |below| below.output.view());
            general_mat_mul(1.0, &layer.delta.t(), &input, 0.0, &mut layer.gradient);
            if let Some(below) = before.last_mut() {
                general_mat_mul(1.0, &layer.delta, &layer.weights, 0.0, &mut below.delta);
                Zip::from(&mut below.delta).and(&below.output).for_each(|delta, &a| {
                    if a <= 0.0 {
                        *delta = 0.0;
                    }
                });
            }
            layer.weights.scaled_add(-LEARNING_RATE, &layer.gradient);
            layer.biases.scaled_add(-LEARNING_RATE, &layer.delta.sum_axis(Axis(0)));
        }
    }
}

/// The same step of the same network.
fn candle(widths: &[usize], batch: usize) -> Option<Peer> {
    let dims = widths.iter().map(usize::to_string).collect::<Vec<_>>().join(",");
    let batch = batch.to_string();
    let arguments = ["--dims", &dims, "--batch", &batch, "--optimizer", "sgd"];
    Peer::start("train_step", &arguments)
}

fn train_step(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("train_step");
    for (widths, batch) in CASES {
        let network = perceptron(widths);
        let classes = network.outputs();
        let x = rows(batch, widths[0]);
        let labels: Vec<usize> = (0..batch).map(|row| row * 7 % classes).collect();
        let case = format!("{widths:?}x{batch}");
        group.throughput(Throughput::Elements(batch as u64));

        for (name, threads) in [("deltarule, 1 thread", 1), ("deltarule, pool", usize::MAX)] {
            let optimizer = Optimizer::sgd(LEARNING_RATE.into());
            let mut trainer =
                Trainer::builder(network.clone(), Loss::SoftmaxCrossEntropy, optimizer)
                    .max_batch(batch)
                    .threads(threads)
                    .build()
                    .expect("a trainer");
            group.bench_function(BenchmarkId::new(name, &case), |bencher| {
                bencher.iter(|| trainer.step(&x, Targets::Classes(&labels)).expect("a step"));
            });
        }
        if is_measuring()
            && let Some(mut candle) = candle(widths, batch)
        {
            group.bench_function(BenchmarkId::new("candle, 1 thread", &case), |bencher| {
                bencher.iter_custom(|steps| candle.time(steps));
            });
        }
        let mut by_hand = ByHand::of(&network, batch);
        let view = ArrayView2::from_shape((batch, widths[0]), &x).expect("x has that shape");
        group.bench_function(BenchmarkId::new("by hand on matrixmultiply", &case), |bencher| {
            bencher.iter(|| by_hand.step(view, &labels));
        });
        let mut naive = Naive::of(&network);
        group.sample_size(10);
        group.bench_function(BenchmarkId::new("naive loops", &case), |bencher| {
            bencher.iter(|| naive.step(&x, &labels, LEARNING_RATE));
        });
        group.sample_size(100);
    }
    group.finish();
}

criterion_group!(benches, train_step);
criterion_main!(benches);
