//! Functions, activations, sums, losses, norms and optimizer updates, each beside its naive loop
//! and the functions of `wide` and rten-vecmath, on arrays that stay in L1.
//!
//! The groups are math, activations, reductions, losses, norms and optimizers. The table with the
//! share of the bandwidth, in the caches and beyond, is the example `roofline`.

#![allow(missing_docs, reason = "criterion_group! makes functions without documentation")]

#[expect(dead_code, reason = "the example roofline asks for more")]
mod workloads;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use deltarule_kernels::Isa;
use std::time::Duration;
use workloads::{Who, Workload};

/// Elements of an array: 4 KiB of f32, of which up to five fit in L1.
const LEN: usize = 1024;

/// Who is timed, and by which name.
const CONTESTANTS: [(Who, &str); 5] = [
    (Who::Ours, "deltarule"),
    (Who::Plain, "plain"),
    (Who::Naive, "naive"),
    (Who::Wide, "wide"),
    (Who::Rten, "rten-vecmath"),
];

/// Times every kernel of a group, and whoever else has it.
fn group(criterion: &mut Criterion, name: &str) {
    let isa = Isa::active().expect("the environment names an ISA that this CPU has");
    let mut group = criterion.benchmark_group(name);
    group.sample_size(20).warm_up_time(Duration::from_millis(100));
    group.measurement_time(Duration::from_millis(300));
    for workload in Workload::all().iter().filter(|workload| workload.group == name) {
        let rows = LEN / workload.columns;
        group.throughput(Throughput::Elements((rows * workload.columns) as u64));
        let mut arrays = workload.arrays::<f32>(rows);
        for (who, title) in CONTESTANTS {
            if let Some(mut call) = workload.call::<f32>(who, isa, rows) {
                let id = BenchmarkId::new(&workload.name, title);
                let n = rows * workload.columns;
                group.bench_function(id, |bencher| bencher.iter(|| arrays.run(n, &mut call)));
            }
        }
    }
    group.finish();
}

fn math(criterion: &mut Criterion) {
    group(criterion, "math");
}

fn activations(criterion: &mut Criterion) {
    group(criterion, "activations");
}

fn reductions(criterion: &mut Criterion) {
    group(criterion, "reductions");
}

fn losses(criterion: &mut Criterion) {
    group(criterion, "losses");
}

fn norms(criterion: &mut Criterion) {
    group(criterion, "norms");
}

fn optimizers(criterion: &mut Criterion) {
    group(criterion, "optimizers");
}

criterion_group!(benches, math, activations, reductions, losses, norms, optimizers);
criterion_main!(benches);
