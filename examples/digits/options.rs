//! The command line.

use clap::{Parser, ValueEnum};
use deltarule::{Activation, Optimizer};

/// That of plain gradient descent, unless another is given.
const NAIVE_LEARNING_RATE: f64 = 0.2;

/// Learns handwritten digits (UCI, 1,797 images of 8×8) and says how well and how fast.
///
/// A run trains one network for each seed on four fifths of the images and tests it on the
/// others; the split is the same for all. The last line is the mean test accuracy of the seeds.
#[derive(Debug, Parser)]
pub(crate) struct Options {
    /// Widths of the hidden layers
    #[arg(long, value_delimiter = ',', default_value = "128,64")]
    pub(crate) hidden: Vec<usize>,
    /// Activation of the hidden layers
    #[arg(long, value_enum, default_value_t = ActivationName::Relu)]
    pub(crate) activation: ActivationName,
    /// Rule that changes the weights
    #[arg(long, value_enum, default_value_t = OptimizerName::Sgd)]
    optimizer: OptimizerName,
    /// Learning rate [default: 0.2 for sgd, 0.02 for momentum and nesterov, 0.003 otherwise]
    #[arg(long)]
    learning_rate: Option<f64>,
    /// Times that each training image is seen
    #[arg(long, default_value_t = 40)]
    pub(crate) epochs: u64,
    /// Images in a batch
    #[arg(long, default_value_t = 32)]
    pub(crate) batch: usize,
    /// First seed, of the weights and of the batches
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Seeds, counted up from the first
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) seeds: u64,
    /// Most threads that work on a step [default: all of rayon's pool]
    #[arg(long)]
    pub(crate) threads: Option<usize>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ActivationName {
    Sigmoid,
    Tanh,
    Relu,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum OptimizerName {
    Sgd,
    Momentum,
    Nesterov,
    RmsProp,
    Adam,
    AdamW,
}

impl Options {
    pub(crate) fn activation(&self) -> Activation {
        match self.activation {
            ActivationName::Sigmoid => Activation::Sigmoid,
            ActivationName::Tanh => Activation::Tanh,
            ActivationName::Relu => Activation::Relu,
        }
    }

    pub(crate) fn optimizer(&self) -> Optimizer {
        let rate = |default| self.learning_rate.unwrap_or(default);
        match self.optimizer {
            OptimizerName::Sgd => Optimizer::sgd(rate(NAIVE_LEARNING_RATE)),
            OptimizerName::Momentum => Optimizer::momentum(rate(0.02), 0.9),
            OptimizerName::Nesterov => Optimizer::nesterov(rate(0.02), 0.9),
            OptimizerName::RmsProp => Optimizer::rms_prop(rate(0.003)),
            OptimizerName::Adam => Optimizer::adam(rate(0.003)),
            OptimizerName::AdamW => Optimizer::adam_w(rate(0.003), 0.01),
        }
    }

    /// The learning rate of the naive reference, which knows plain gradient descent alone.
    pub(crate) fn naive_learning_rate(&self) -> f32 {
        match self.optimizer {
            OptimizerName::Sgd => self.optimizer().learning_rate() as f32,
            _ => NAIVE_LEARNING_RATE as f32,
        }
    }
}
