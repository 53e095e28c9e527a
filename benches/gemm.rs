//! Matrix products of this library beside the naive loops and the peers, on one and two threads.
//!
//! The table with everybody's share of the machine's peak is the example `roofline`.

#![allow(missing_docs, reason = "criterion_group! makes functions without documentation")]

mod common;

use common::contestants::{Contestant, Multiply, PEERS};
use common::products::{self, Operands, Product};
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput, measurement::WallTime};
use criterion::{criterion_group, criterion_main};
use deltarule_kernels::Isa;
use std::time::Duration;

const THREADS: [usize; 2] = [1, 2];

fn products(criterion: &mut Criterion) {
    let isa = Isa::active().expect("the environment names an ISA that this CPU has");
    for threads in THREADS {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .expect("threads can be started");
        for product in products::few() {
            measure::<f32>(criterion, isa, product, &pool);
        }
    }
}

/// One group a product: all contestants on the same operands.
fn measure<E: Multiply>(
    criterion: &mut Criterion,
    isa: Isa,
    product: Product,
    pool: &rayon::ThreadPool,
) {
    let threads = pool.current_num_threads();
    let Product { m, n, k, layout, .. } = product;
    let title = format!("gemm {}/{m}x{n}x{k} {}/threads {threads}", E::NAME, layout.name());
    let mut group = criterion.benchmark_group(title);
    group.throughput(Throughput::Elements(2 * product.multiply_adds() as u64));
    group.sample_size(20).warm_up_time(Duration::from_millis(200));
    group.measurement_time(Duration::from_millis(500));
    let mut operands = Operands::<E>::new(isa, product, threads);
    let mut run = |group: &mut BenchmarkGroup<'_, WallTime>, contestant: Contestant| {
        if contestant.takes::<E>(product.multiply_adds(), threads) {
            let id = BenchmarkId::from_parameter(contestant.name());
            group.bench_function(id, |bencher| {
                pool.install(|| bencher.iter(|| contestant.run(isa, threads, &mut operands)));
            });
        }
    };
    run(&mut group, Contestant::Ours);
    for peer in PEERS {
        run(&mut group, peer);
    }
    run(&mut group, Contestant::Naive);
    #[cfg(feature = "blas")]
    run(&mut group, Contestant::Cblas);
    group.finish();
}

criterion_group!(benches, products);
criterion_main!(benches);
