//! The time of one training step or prediction, beside the machine's peak.
//!
//! ```text
//! cargo run --release --example step_time -- --dims 784,512,512,10 --batch 64 --threads 1
//! cargo run --release --example step_time -- --dims 64,64,64,10 --batch 1 --mode predict
//! cargo run --release --example step_time -- --mode predict --batch 1 --calls 1000000
//! ```
//!
//! Prints one line, `median_us: X gflops: Y peak_share: Z`. The step and a burst of multiply-adds
//! in registers take turns, and the share is the median of the ratios within a turn. The
//! operations are those of the products: 2 P a row of a prediction, P the weights, and 6 P − 2 P₁
//! of a step, P₁ the first layer's, whose δ into the input is not computed.
//!
//! With `--calls N` it times N calls one by one, and prints percentiles of their times, the
//! clock's own included, and the ratio of the 99.9th to the median. With `--turns` it takes turns
//! with other processes (`scripts/turns.py`): it writes a line when it is warm, and for every line
//! with a number of calls that it reads one with the seconds that they took.

// Contestants that take turns, as in the other comparisons.
#[path = "../roofline/race.rs"]
mod race;
mod turns;

use clap::{Parser, ValueEnum};
use deltarule::kernels::{Aligned, limits};
use deltarule::{
    Activation, Isa, Loss, Network, Optimizer, Predictor, Targets, Trainer, WeightFormat,
};
use race::race;
use std::error::Error;
use std::hint::black_box;
use std::num::NonZeroU32;
use std::time::Instant;
use turns::take_turns;

/// Times a training step or a prediction of a multi-layer perceptron.
#[derive(Parser)]
struct Options {
    /// The widths, from the input to the output.
    #[arg(long, value_delimiter = ',', default_value = "784,512,512,10")]
    dims: Vec<usize>,
    /// The rows of a batch.
    #[arg(long, default_value_t = 64)]
    batch: usize,
    /// The threads.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// How the weights change.
    #[arg(long, value_enum, default_value = "adam")]
    optimizer: Rule,
    /// The hidden layers' activation, by its name in snake case.
    #[arg(long, default_value = "relu", value_parser = activation)]
    activation: Activation,
    /// What is timed.
    #[arg(long, value_enum, default_value = "train")]
    mode: Mode,
    /// Samples, of which the median is printed.
    #[arg(long, default_value_t = 25, value_parser = clap::value_parser!(u16).range(9..))]
    samples: u16,
    /// How a prediction's weights are stored, if not as f32.
    #[arg(long, value_enum)]
    weights: Option<Weights>,
    /// Times so many calls one by one instead, and prints percentiles.
    #[arg(long)]
    calls: Option<NonZeroU32>,
    /// Takes turns with other processes instead, as `scripts/turns.py` says.
    #[arg(long, conflicts_with = "calls")]
    turns: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Rule {
    Sgd,
    Momentum,
    Nesterov,
    RmsProp,
    Adam,
    AdamW,
    Nadam,
    Adagrad,
    Lion,
}

impl Rule {
    fn optimizer(self) -> Optimizer {
        match self {
            Self::Sgd => Optimizer::sgd(1e-3),
            Self::Momentum => Optimizer::momentum(1e-3, 0.9),
            Self::Nesterov => Optimizer::nesterov(1e-3, 0.9),
            Self::RmsProp => Optimizer::rms_prop(1e-3),
            Self::Adam => Optimizer::adam(1e-3),
            Self::AdamW => Optimizer::adam_w(1e-3, 1e-2),
            Self::Nadam => Optimizer::nadam(1e-3),
            Self::Adagrad => Optimizer::adagrad(1e-2),
            Self::Lion => Optimizer::lion(1e-4),
        }
    }
}

#[derive(Clone, Copy, ValueEnum)]
enum Weights {
    Bf16,
    Int8,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum Mode {
    Train,
    Predict,
}

fn activation(name: &str) -> Result<Activation, String> {
    let named = |activation: &&Activation| activation.name() == name;
    Activation::ALL.iter().find(named).copied().ok_or_else(|| {
        let names: Vec<&str> = Activation::ALL.iter().map(|activation| activation.name()).collect();
        format!("expected one of {}", names.join(", "))
    })
}

/// Calls before the first turn.
const WARM_UP: usize = 20;

/// Steps of multiply-adds in a burst.
const BURST: usize = 20_000;

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(options.threads).build()?;
    pool.install(|| run(&options).map_err(|error| error.to_string()))?;
    Ok(())
}

fn run(options: &Options) -> Result<(), Box<dyn Error>> {
    let Options { dims, batch, threads, mode, .. } = options;
    let [inputs, hidden @ .., outputs] = &dims[..] else {
        return Err("--dims needs two widths at least".into());
    };
    let mut builder = Network::builder(*inputs);
    for &width in hidden {
        builder = builder.dense(width, options.activation);
    }
    let network = builder.dense(*outputs, Activation::Identity).build()?;
    let isa = network.isa();
    let flops = flops(dims, *batch, *mode);
    let mut x = Aligned::new("x", batch * inputs)?;
    for (i, x) in x.iter_mut().enumerate() {
        // They repeat after a prime number, so that no two rows are alike.
        *x = (i * 7 % 1009) as f32 / 504.5 - 1.0;
    }
    let labels: Vec<usize> = (0..*batch).map(|row| row * 3 % outputs).collect();

    let mut trainer =
        Trainer::builder(network.clone(), Loss::SoftmaxCrossEntropy, options.optimizer.optimizer())
            .max_batch(*batch)
            .threads(*threads)
            .build()?;
    let mut predictor = Predictor::builder(&network);
    if let Some(weights) = options.weights {
        predictor = predictor.weights(match weights {
            Weights::Bf16 => WeightFormat::Bf16,
            Weights::Int8 => WeightFormat::Int8,
        });
    }
    let predictor = predictor.build()?;
    let mut workspace = predictor.workspace()?;
    let mut out = vec![0.0; batch * outputs];
    let mut call = || match mode {
        Mode::Train => trainer.step(&x, Targets::Classes(&labels)).map(drop),
        Mode::Predict => predictor.predict_into(&x, black_box(&mut out), &mut workspace),
    };
    if let Some(calls) = options.calls {
        let mut times = Vec::with_capacity(calls.get() as usize);
        for _ in 0..calls.get() {
            let start = Instant::now();
            call()?;
            times.push(start.elapsed().as_nanos() as u64);
        }
        println!("{}", percentiles(times));
        return Ok(());
    }
    if options.turns {
        for _ in 0..WARM_UP {
            call()?;
        }
        let name = concat!("deltarule ", env!("CARGO_PKG_VERSION"));
        return take_turns(name, || Ok(call()?));
    }
    let mut failure = None;
    let samples = race(2, usize::from(options.samples), |contestant| {
        let done = match contestant {
            0 => {
                rayon::broadcast(|_| black_box(limits::multiply_adds::<f32>(isa, BURST)));
                Ok(())
            }
            _ => call(),
        };
        failure = failure.take().or(done.err());
    });
    if let Some(error) = failure {
        return Err(error.into());
    }
    let burst = rayon::current_num_threads() as f64 * burst_flops(isa);
    let seconds = samples.seconds(1);
    let share = flops / burst / samples.ratio(1, 0);
    let (us, gflops) = (seconds * 1e6, flops / seconds / 1e9);
    println!("median_us: {us:.3} gflops: {gflops:.1} peak_share: {share:.3}");
    Ok(())
}

/// The line about times in nanoseconds.
fn percentiles(mut times: Vec<u64>) -> String {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share).round() as usize] as f64 / 1e3;
    let (median, tail) = (at(0.5), at(0.999));
    format!(
        "median_us: {median:.3} p99_us: {:.3} p99.9_us: {tail:.3} max_us: {:.3} tail: {:.2}",
        at(0.99),
        at(1.0),
        tail / median
    )
}

/// Operations of a burst on one thread.
fn burst_flops(isa: Isa) -> f64 {
    limits::multiply_adds::<f32>(isa, 1) as f64 * BURST as f64
}

/// Operations of the products of a step or a prediction.
fn flops(dims: &[usize], batch: usize, mode: Mode) -> f64 {
    let weights: Vec<usize> = dims.windows(2).map(|pair| pair[0] * pair[1]).collect();
    let all: usize = weights.iter().sum();
    let a_row = match mode {
        Mode::Train => 4 * all + 2 * (all - weights[0]),
        Mode::Predict => 2 * all,
    };
    (a_row * batch) as f64
}
