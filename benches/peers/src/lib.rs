//! What both comparisons share: their arguments, a network, and contestants that take turns.

#[path = "../../common/perceptron.rs"]
mod perceptron;
#[expect(dead_code, reason = "no ratios are printed")]
#[path = "../../../examples/roofline/race.rs"]
mod race;
#[path = "../../../examples/step_time/turns.rs"]
mod turns;

use candle_core::{Device, Tensor};
use candle_nn::{Linear, Module};
use clap::Parser;
use deltarule::{LayerRef, Network};
use std::error::Error;
use std::time::Instant;

/// What both fail with.
pub type Result<T = ()> = std::result::Result<T, Box<dyn Error>>;

/// Compares with other libraries, on the same weights and inputs, in turns. The environment
/// variable RAYON_NUM_THREADS sets the threads of all of them but tract, which has one.
#[derive(Debug, Parser)]
pub struct Options {
    /// The widths, from the input to the output
    #[arg(long, value_delimiter = ',', default_value = "784,512,512,10")]
    pub dims: Vec<usize>,
    /// The rows of a batch
    #[arg(long, default_value_t = 64)]
    pub batch: usize,
    /// Samples, of which the median is printed
    #[arg(long, default_value_t = 101)]
    pub samples: usize,
    /// Calls that are timed one by one after that, for percentiles
    #[arg(long, default_value_t = 0)]
    pub calls: usize,
    /// Leave the turns to another process: write the peer's name, and then for each line with a
    /// number of calls the seconds that these take
    #[arg(long)]
    pub turns: bool,
}

/// Something that is timed, and its name.
pub type Contestant<'a> = (&'static str, Box<dyn FnMut() -> Result + 'a>);

impl Options {
    /// A network of these widths: ReLU, and no activation behind the last layer.
    pub fn network(&self) -> Network {
        perceptron::perceptron(&self.dims)
    }

    /// The rows that go into it.
    pub fn rows(&self) -> Vec<f32> {
        perceptron::rows(self.batch, self.dims[0])
    }

    /// Prints the median time of a call of each contestant, and percentiles if they are asked for;
    /// or obeys another process, on behalf of the last of them.
    ///
    /// # Errors
    /// What a contestant fails with.
    pub fn compare(&self, contestants: &mut [Contestant<'_>]) -> Result {
        for (_, run) in &mut *contestants {
            run()?;
        }
        if let (true, Some((name, run))) = (self.turns, contestants.last_mut()) {
            return turns::take_turns(name, run);
        }
        let mut failure = None;
        let samples = race::race(contestants.len(), self.samples, |at| {
            failure = failure.take().or((contestants[at].1)().err());
        });
        for (at, (name, run)) in contestants.iter_mut().enumerate() {
            print!("{name:<24} median_us: {:.2}", samples.seconds(at) * 1e6);
            let mut times = Vec::with_capacity(self.calls);
            for _ in 0..self.calls {
                let start = Instant::now();
                run()?;
                times.push(start.elapsed().as_secs_f64() * 1e6);
            }
            times.sort_by(f64::total_cmp);
            if let Some(last) = times.len().checked_sub(1) {
                let tail = times[(last as f64 * 0.999).round() as usize];
                print!(" of single calls: {:.2} p99.9_us: {tail:.2}", times[last / 2]);
            }
            println!();
        }
        failure.map_or(Ok(()), Err)
    }
}

/// The weights (outputs, inputs) and the biases of each dense layer, for candle.
///
/// # Errors
/// What candle fails with.
pub fn tensors(network: &Network) -> candle_core::Result<Vec<(Tensor, Tensor)>> {
    let mut tensors = Vec::new();
    for layer in network.layers() {
        if let LayerRef::Dense(dense) = layer {
            let shape = (dense.outputs, dense.inputs);
            let weights = Tensor::from_slice(dense.weights, shape, &Device::Cpu)?;
            let biases = Tensor::from_slice(dense.biases, dense.outputs, &Device::Cpu)?;
            tensors.push((weights, biases));
        }
    }
    Ok(tensors)
}

/// The outputs of these layers with ReLU between them.
///
/// # Errors
/// What candle fails with.
pub fn by_candle(layers: &[Linear], x: &Tensor) -> candle_core::Result<Tensor> {
    let mut h = x.clone();
    for (index, layer) in layers.iter().enumerate() {
        h = layer.forward(&h)?;
        if index + 1 < layers.len() {
            h = h.relu()?;
        }
    }
    Ok(h)
}
