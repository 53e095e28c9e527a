//! A step and a prediction allocate nothing once everything is built.

#[path = "network/common.rs"]
mod common;

use common::{ZOO_INPUTS, ZOO_OUTPUTS, fused_isas, labels, network, sample, zoo, zoo_rows};
use deltarule::{
    Activation, Averaging, Isa, Loss, NetworkBuilder, Optimizer, Predictor, Ranked, Targets,
    Trainer, TrainerBuilder, WeightAverage, WeightFormat, Workspace,
};
use rayon::ThreadPoolBuilder;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicIsize, AtomicUsize, Ordering};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);
/// What counted threads have allocated and not freed.
static BYTES: AtomicIsize = AtomicIsize::new(0);

thread_local! {
    /// Whether this thread works for the test: those of the test's harness do not count.
    static IS_COUNTED: Cell<bool> = const { Cell::new(false) };
}

fn is_counted() -> bool {
    IS_COUNTED.try_with(Cell::get).unwrap_or(false)
}

fn count_this_thread() {
    IS_COUNTED.set(true);
}

// SAFETY: every call is passed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_counted() {
            ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
            BYTES.fetch_add(layout.size() as isize, Ordering::Relaxed);
        }
        // SAFETY: the caller keeps this function's contract, which is that one's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if is_counted() {
            BYTES.fetch_sub(layout.size() as isize, Ordering::Relaxed);
        }
        // SAFETY: the caller keeps this function's contract, which is that one's.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The allocations of all counted threads during `body`.
fn allocations(body: impl FnOnce()) -> usize {
    let before = ALLOCATIONS.load(Ordering::Relaxed);
    body();
    ALLOCATIONS.load(Ordering::Relaxed) - before
}

const WIDTHS: [usize; 4] = [32, 130, 100, 10];
const ROWS: usize = 300;
const STEPS: usize = 70;

fn steps(isa: Isa, threads: usize) -> usize {
    let network = network::<f32>(&WIDTHS, Activation::Tanh).isa(isa).build().unwrap();
    let trainer = Trainer::builder(network, Loss::SoftmaxCrossEntropy, Optimizer::sgd(0.1))
        .average(Averaging::Equal)
        .average_after(7);
    let x = sample::<f32>(ROWS * WIDTHS[0], 1);
    let labels = labels(ROWS, 10, 2);
    steps_of(trainer.threads(threads), &x, Targets::Classes(&labels), STEPS)
}

/// The allocations of some steps, whole, without an update and in parts.
fn steps_of(trainer: TrainerBuilder<f32>, x: &[f32], targets: Targets<'_>, count: usize) -> usize {
    let mut trainer = trainer.max_batch(ROWS).build().unwrap();
    let mut gradients = vec![0.0; trainer.network().parameters().len()];
    let mut average = WeightAverage::new(trainer.network(), Averaging::Equal).unwrap();
    let weights = [0.5; ROWS];
    let mut run = |steps| {
        for _ in 0..steps {
            trainer.step(x, targets).unwrap();
            trainer.gradients(x, targets, &mut gradients).unwrap();
            trainer.accumulate(x, targets, ROWS).unwrap();
            trainer.step_accumulated().unwrap();
            trainer.step(x, targets.weighted(&weights)).unwrap();
            trainer
                .step_with(x, |_, delta| {
                    delta[0] = 0.25;
                    1.0
                })
                .unwrap();
            average.update(trainer.network()).unwrap();
        }
    };
    // What threads and locks set up on their first use is not a step's.
    run(5);
    allocations(|| run(count))
}

/// Every kind of layer, every loss and every optimizer.
fn every_kind_of_step(isa: Isa) {
    let x = zoo_rows::<f32>(ROWS, 1);
    let labels = labels(ROWS, ZOO_OUTPUTS, 2);
    let values = vec![0.5; ROWS * ZOO_OUTPUTS];
    let (classes, values) = (Targets::Classes(&labels), Targets::Values(&values));
    for (name, builder) in zoo() {
        let network = builder.isa(isa).build().unwrap();
        let optimizer = Optimizer::adam_w(0.01, 0.1).clip_norm(0.1);
        let trainer = Trainer::builder(network, Loss::SoftmaxCrossEntropy, optimizer);
        assert_eq!(steps_of(trainer.threads(1), &x, classes, 2), 0, "{isa}: {name}");
    }
    let network = network::<f32>(&[ZOO_INPUTS, 9, ZOO_OUTPUTS], Activation::Gelu).isa(isa);
    let network = network.build().unwrap();
    for (loss, targets) in [
        (Loss::MeanSquaredError, values),
        (Loss::MeanAbsoluteError, values),
        (Loss::Quantile { quantile: 0.9 }, values),
        (Loss::Huber { threshold: 0.5 }, values),
        (Loss::Poisson, values),
        (Loss::BinaryCrossEntropy { positive_weight: 2.0 }, values),
        (Loss::SoftmaxCrossEntropy, classes),
        (Loss::SmoothedCrossEntropy { smoothing: 0.1 }, classes),
    ] {
        let trainer = Trainer::builder(network.clone(), loss, Optimizer::sgd(0.1));
        assert_eq!(steps_of(trainer.threads(1), &x, targets, 2), 0, "{isa}: {loss:?}");
    }
    for optimizer in [
        Optimizer::momentum(0.1, 0.9),
        Optimizer::rms_prop(0.01),
        Optimizer::nadam(0.01),
        Optimizer::adagrad(0.01),
        Optimizer::lion(0.01),
    ] {
        let trainer = Trainer::builder(network.clone(), Loss::SoftmaxCrossEntropy, optimizer);
        assert_eq!(steps_of(trainer.threads(1), &x, classes, 2), 0, "{isa}: {optimizer:?}");
    }
}

fn predictions(isa: Isa, builder: NetworkBuilder<f32>) -> usize {
    let network = builder.isa(isa).build().unwrap();
    let (inputs, outputs) = (network.inputs(), network.outputs());
    let x = zoo_rows::<f32>((ROWS * inputs).div_ceil(ZOO_INPUTS), 1);
    let mut out = vec![0.0; ROWS * outputs];
    let mut workspace = Workspace::new(&network).unwrap();
    let frozen = || Predictor::builder(&network).softmax(true);
    let mut frozen =
        [frozen(), frozen().weights(WeightFormat::Bf16), frozen().weights(WeightFormat::Int8)].map(
            |predictor| {
                let predictor = predictor.build().unwrap();
                let workspace = predictor.workspace().unwrap();
                (predictor, workspace)
            },
        );
    let mut ranked = vec![Ranked::default(); 2 * ROWS];
    allocations(|| {
        for rows in [1, 2, 63, 255, 256, 257, ROWS] {
            let (x, out) = (&x[..rows * inputs], &mut out[..rows * outputs]);
            network.predict_into(x, out, &mut workspace).unwrap();
            for (predictor, workspace) in &mut frozen {
                predictor.predict_into(x, out, workspace).unwrap();
                predictor.top_k_into(x, 2, &mut ranked[..2 * rows], workspace).unwrap();
            }
        }
    })
}

/// The formula of `TrainerBuilder::build`.
fn memory_is_as_stated(isa: Isa) {
    // The larger batch goes in four spans or six.
    for (batch, span, activation, buffers) in [
        (128, 128, Activation::Relu, 2),
        (128, 128, Activation::Gelu, 3),
        (1000, 256, Activation::Relu, 2),
        (1000, 192, Activation::Gelu, 3),
    ] {
        for (optimizer, states, clips, averages) in [
            (Optimizer::sgd(0.1), 0, false, 0),
            (Optimizer::sgd(0.1), 0, false, 1),
            (Optimizer::adam(0.1), 2, false, 0),
            (Optimizer::adam(0.1).clip_norm(1.0), 2, true, 0),
        ] {
            let gradients = usize::from(clips || batch > span);
            let network =
                network::<f32>(&[784, 512, 512, 10], activation).isa(isa).build().unwrap();
            let parameters = network.parameters().len();
            let before = BYTES.load(Ordering::Relaxed);
            let mut trainer = Trainer::builder(network, Loss::SoftmaxCrossEntropy, optimizer);
            if averages == 1 {
                trainer = trainer.average(Averaging::Equal);
            }
            let trainer = trainer.max_batch(batch).threads(1).build().unwrap();
            let found = (BYTES.load(Ordering::Relaxed) - before) as usize / size_of::<f32>();
            let stated = (states + gradients + averages) * parameters
                + span * (buffers * (512 + 512) + 2 * 10)
                + batch;
            let rest = found.checked_sub(stated).expect("no less than stated");
            let tile = 264 * 784;
            assert!((tile..=1 << 20).contains(&rest), "{isa} {activation:?} {optimizer:?}: {rest}");
            drop(trainer);
        }
    }
}

/// One test, so that no other is counted as well.
#[test]
fn a_step_and_a_prediction_allocate_nothing() {
    count_this_thread();
    // Without fused multiply-adds products go through `matrixmultiply`, which allocates.
    let isas = fused_isas();
    // The calling thread alone comes first: pools may still be busy with their own beginning.
    for &isa in &isas {
        for (name, builder) in zoo() {
            assert_eq!(predictions(isa, builder), 0, "{isa}: predictions of {name}");
        }
        let wide = network(&WIDTHS, Activation::Tanh);
        assert_eq!(predictions(isa, wide), 0, "{isa}: predictions");
        assert_eq!(steps(isa, 1), 0, "{isa}: on the calling thread");
        every_kind_of_step(isa);
        memory_is_as_stated(isa);
    }
    let pool = || ThreadPoolBuilder::new().num_threads(2).start_handler(|_| count_this_thread());
    pool().build_global().unwrap();
    let pool = pool().build().unwrap();
    for &isa in &isas {
        let inside = pool.install(|| steps(isa, usize::MAX));
        assert_eq!(inside, 0, "{isa}: in a pool");
    }
    for isa in isas {
        // From outside, rayon's queue takes a block for every 63 entries into the pool: one a call,
        // and two for a loss of one's own.
        let outside = steps(isa, usize::MAX);
        assert!(outside <= 7 * STEPS / 63 + 1, "{isa}: from outside the pool: {outside}");
    }
}
