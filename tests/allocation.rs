//! A step and a prediction allocate nothing once everything is built.

#[path = "network/common.rs"]
mod common;

use common::{fused_isas, labels, network, sample};
use deltarule::{Activation, Isa, Loss, Optimizer, Targets, Trainer, Workspace};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps this function's contract, which is that one's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps this function's contract, which is that one's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The allocations of all threads during `body`.
fn allocations(body: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    body();
    ALLOCATIONS.load(Ordering::Relaxed) - before
}

const WIDTHS: [usize; 4] = [32, 130, 100, 10];
const ROWS: usize = 200;
const STEPS: usize = 70;

fn steps(isa: Isa, threads: usize) -> usize {
    let network = network::<f32>(&WIDTHS, Activation::Tanh).isa(isa).build().unwrap();
    let mut trainer = Trainer::builder(network, Loss::SoftmaxCrossEntropy, Optimizer::sgd(0.1))
        .max_batch(ROWS)
        .threads(threads)
        .build()
        .unwrap();
    let x = sample::<f32>(ROWS * WIDTHS[0], 1);
    let labels = labels(ROWS, 10, 2);
    let mut gradients = vec![0.0; trainer.network().parameters().len()];
    let mut run = |steps| {
        for _ in 0..steps {
            trainer.step(&x, Targets::Classes(&labels)).unwrap();
            trainer.gradients(&x, Targets::Classes(&labels), &mut gradients).unwrap();
        }
    };
    // What threads and locks set up on their first use is not a step's.
    run(5);
    allocations(|| run(STEPS))
}

fn predictions(isa: Isa) -> usize {
    let network = network::<f32>(&WIDTHS, Activation::Tanh).isa(isa).build().unwrap();
    let x = sample::<f32>(ROWS * WIDTHS[0], 1);
    let mut out = vec![0.0; ROWS * 10];
    let mut workspace = Workspace::new(&network).unwrap();
    allocations(|| {
        for rows in [1, 2, 63, 64, 65, ROWS] {
            let (x, out) = (&x[..rows * WIDTHS[0]], &mut out[..rows * 10]);
            network.predict_into(x, out, &mut workspace).unwrap();
        }
    })
}

/// One test, so that no other runs in this process and counts as well.
#[test]
fn a_step_and_a_prediction_allocate_nothing() {
    // Without fused multiply-adds products go through `matrixmultiply`, which allocates.
    let isas = fused_isas();
    // The calling thread alone comes first: pools may still be busy with their own beginning.
    for &isa in &isas {
        assert_eq!(predictions(isa), 0, "{isa}: predictions");
        assert_eq!(steps(isa, 1), 0, "{isa}: on the calling thread");
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    for &isa in &isas {
        let inside = pool.install(|| steps(isa, usize::MAX));
        assert_eq!(inside, 0, "{isa}: in a pool");
    }
    for isa in isas {
        // From outside, rayon's queue takes a block for every 63 entries into the pool.
        let outside = steps(isa, usize::MAX);
        assert!(outside <= 2 * STEPS / 63 + 1, "{isa}: from outside the pool: {outside}");
    }
}
