//! Functions, activations, sums, losses and optimizer updates, each beside its naive loop, on
//! arrays that stay in L1.
//!
//! The naive loop is that of `kernels::reference`: f64 arithmetic and the standard library's
//! functions, an element at a time.

#![allow(missing_docs, reason = "criterion_group! makes functions without documentation")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use deltarule::kernels::activation::Activation;
use deltarule::kernels::math::Function;
use deltarule::kernels::optimizer::{
    Adagrad, Adam, Lion, Momentum, NAdam, Optimizer, RmsProp, Sgd, Step,
};
use deltarule::kernels::{Isa, loss, reduce, reference};
use std::hint::black_box;
use std::time::Duration;

/// Elements of an array: 8 KiB of f32.
const LEN: usize = 2048;

/// Values in (−4, 4), positive ones if asked for.
fn values(positive: bool) -> Vec<f32> {
    let spread = (0..LEN).map(|i| (i * 997 % LEN) as f32 / LEN as f32 * 8.0 - 4.0);
    spread.map(|x| if positive { x.abs() + 0.01 } else { x }).collect()
}

/// Times a kernel and its naive counterpart in one group.
fn pair(
    criterion: &mut Criterion,
    name: &str,
    elements: usize,
    kernel: &mut dyn FnMut(),
    naive: &mut dyn FnMut(),
) {
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(elements as u64));
    group.sample_size(20).warm_up_time(Duration::from_millis(100));
    group.measurement_time(Duration::from_millis(300));
    group.bench_function("deltarule", |bencher| bencher.iter(&mut *kernel));
    group.bench_function("naive", |bencher| bencher.iter(&mut *naive));
    group.finish();
}

/// Times a kernel from x to y and the naive function of one element.
fn map(
    criterion: &mut Criterion,
    name: &str,
    x: &[f32],
    kernel: &dyn Fn(&[f32], &mut [f32]),
    naive: &dyn Fn(f64) -> f64,
) {
    let (mut y, mut z) = (vec![0.5; x.len()], vec![0.0; x.len()]);
    let mut fast = || kernel(black_box(x), black_box(&mut y));
    let mut slow = || {
        for (z, &x) in z.iter_mut().zip(black_box(x)) {
            *z = naive(f64::from(x)) as f32;
        }
        black_box(&mut z);
    };
    pair(criterion, name, x.len(), &mut fast, &mut slow);
}

fn functions(criterion: &mut Criterion) {
    let isa = Isa::active().expect("an ISA that this CPU has");
    for &function in Function::ALL {
        let kernel = |x: &[f32], y: &mut [f32]| function.evaluate(isa, x, y).expect("one length");
        let name = format!("math/{}", function.name());
        let x = values(function.name().starts_with("log"));
        map(criterion, &name, &x, &kernel, &|x| reference::function(function, x));
    }
}

fn activations(criterion: &mut Criterion) {
    let isa = Isa::active().expect("an ISA that this CPU has");
    for &activation in Activation::ALL {
        let forward = |x: &[f32], y: &mut [f32]| activation.forward(isa, x, y).expect("one length");
        let name = format!("activations/{}", activation.name());
        let naive = |x| reference::activation(activation, x);
        map(criterion, &name, &values(false), &forward, &naive);
        // δ is multiplied again and again, and is soon 0 or infinite, which costs the same.
        let backward =
            |x: &[f32], y: &mut [f32]| activation.backward(isa, x, y).expect("one length");
        let name = format!("activations/{} derivative", activation.name());
        let naive = |x| reference::activation_derivative(activation, x);
        map(criterion, &name, &values(false), &backward, &naive);
    }
}

fn sums(criterion: &mut Criterion) {
    let isa = Isa::active().expect("an ISA that this CPU has");
    let x = values(false);
    let (mut fast, mut slow) = (0.0, 0.0);
    pair(
        criterion,
        "reduce/sum",
        LEN,
        &mut || fast += black_box(reduce::sum(isa, black_box(&x))),
        &mut || slow += black_box(reference::sum(black_box(&x))),
    );
    pair(
        criterion,
        "reduce/sum of squares",
        LEN,
        &mut || fast += black_box(reduce::sum_of_squares(isa, black_box(&x))),
        &mut || slow += black_box(reference::sum_of_squares(black_box(&x))),
    );
}

fn losses(criterion: &mut Criterion) {
    let isa = Isa::active().expect("an ISA that this CPU has");
    for columns in [1, 8, 64, 512] {
        let rows = LEN / columns;
        let (x, targets) = (values(false), values(true));
        let labels: Vec<usize> = (0..rows).map(|row| row * 7 % columns).collect();
        let (mut rows_losses, mut delta) = (vec![0.0; rows], vec![0.0; LEN]);
        let (mut naive_losses, mut naive_delta) = (rows_losses.clone(), delta.clone());
        let mut kernel = || {
            let (losses, delta) = (&mut rows_losses, &mut delta);
            loss::squared_error(isa, (rows, columns), black_box(&x), &targets, 0.5, losses, delta)
                .expect("shapes that fit");
        };
        let mut naive = || {
            let (losses, delta) = (&mut naive_losses, &mut naive_delta);
            reference::squared_error(columns, black_box(&x), &targets, 0.5, losses, delta);
        };
        let name = format!("losses/squared error {rows}x{columns}");
        pair(criterion, &name, LEN, &mut kernel, &mut naive);
        let mut kernel = || {
            let (losses, delta) = (&mut rows_losses, &mut delta);
            let shape = (rows, columns);
            loss::softmax_cross_entropy(isa, shape, black_box(&x), &labels, 0.5, losses, delta)
                .expect("shapes that fit");
        };
        let mut naive = || {
            let (losses, delta) = (&mut naive_losses, &mut naive_delta);
            reference::softmax_cross_entropy(columns, black_box(&x), &labels, 0.5, losses, delta);
        };
        let name = format!("losses/softmax cross-entropy {rows}x{columns}");
        pair(criterion, &name, LEN, &mut kernel, &mut naive);
    }
}

fn optimizers(criterion: &mut Criterion) {
    let isa = Isa::active().expect("an ISA that this CPU has");
    let rules: [(&str, Optimizer); 7] = [
        ("sgd", Sgd::default().into()),
        ("momentum", Momentum::default().into()),
        ("rmsprop", RmsProp::default().into()),
        ("adam", Adam::default().into()),
        ("nadam", NAdam::default().into()),
        ("adagrad", Adagrad::default().into()),
        ("lion", Lion::default().into()),
    ];
    let (gradients, step) = (values(false), Step::new(10));
    for (name, optimizer) in rules {
        let mut parameters = values(true);
        let [mut a, mut b, mut c] = [(); 3].map(|()| vec![0.0; LEN]);
        let update = optimizer.at_step::<f32>(&step);
        let mut kernel = || {
            let state = [&mut a[..], &mut b[..], &mut c[..]];
            update.apply(isa, black_box(&gradients), &mut parameters, state).expect("one length");
        };
        let mut naive_parameters: Vec<f64> = values(true).into_iter().map(f64::from).collect();
        let mut states = vec![[0.0; 3]; LEN];
        let mut naive = || {
            let elements = naive_parameters.iter_mut().zip(&mut states);
            for ((parameter, state), &gradient) in elements.zip(black_box(&gradients)) {
                let g = f64::from(gradient);
                *parameter = reference::optimizer_step(&optimizer, &step, g, *parameter, state);
            }
        };
        pair(criterion, &format!("optimizers/{name}"), LEN, &mut kernel, &mut naive);
    }
}

criterion_group!(benches, functions, activations, sums, losses, optimizers);
criterion_main!(benches);
