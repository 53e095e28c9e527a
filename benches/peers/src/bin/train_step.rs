//! A step of training on softmax and cross-entropy, ours and candle's.

use candle_core::{Device, Tensor, Var};
use candle_nn::{AdamW, Linear, Optimizer as _, ParamsAdamW, SGD, loss};
use clap::{Parser, ValueEnum};
use deltarule::kernels::optimizer::{Adam, Epsilon};
use deltarule::{Loss, Optimizer, Targets, Trainer};
use deltarule_peers::{Options, Result, by_candle, tensors};

const LEARNING_RATE: f64 = 1e-3;

/// The most that losses may differ by, against the loss.
const TOLERANCE: f64 = 1e-3;

#[derive(Debug, Parser)]
struct TrainOptions {
    #[command(flatten)]
    options: Options,
    /// The optimizer
    #[arg(long, value_enum, default_value_t = Rule::Adam)]
    optimizer: Rule,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Rule {
    Adam,
    Sgd,
}

/// candle's.
enum ByCandle {
    Adam(AdamW),
    Sgd(SGD),
}

impl ByCandle {
    fn new(rule: Rule, variables: Vec<Var>) -> candle_core::Result<Self> {
        let lr = LEARNING_RATE;
        Ok(match rule {
            Rule::Adam => Self::Adam(AdamW::new(
                variables,
                ParamsAdamW { lr, weight_decay: 0.0, ..ParamsAdamW::default() },
            )?),
            Rule::Sgd => Self::Sgd(SGD::new(variables, lr)?),
        })
    }

    fn backward_step(&mut self, loss: &Tensor) -> candle_core::Result<()> {
        match self {
            Self::Adam(adam) => adam.backward_step(loss),
            Self::Sgd(sgd) => sgd.backward_step(loss),
        }
    }
}

fn main() -> Result {
    let TrainOptions { options, optimizer } = TrainOptions::parse();
    let network = options.network();
    let x = options.rows();
    let classes = network.outputs();
    let labels: Vec<usize> = (0..options.batch).map(|row| row * 7 % classes).collect();

    let mut layers = Vec::new();
    let mut variables = Vec::new();
    for (weights, biases) in tensors(&network)? {
        let (weights, biases) = (Var::from_tensor(&weights)?, Var::from_tensor(&biases)?);
        layers.push(Linear::new(weights.as_tensor().clone(), Some(biases.as_tensor().clone())));
        variables.extend([weights, biases]);
    }
    let mut by_candle_rule = ByCandle::new(optimizer, variables)?;
    let input = Tensor::from_slice(&x, (options.batch, options.dims[0]), &Device::Cpu)?;
    let targets = labels.iter().map(|&label| label as u32).collect::<Vec<_>>();
    let targets = Tensor::from_vec(targets, options.batch, &Device::Cpu)?;
    let mut step = || -> candle_core::Result<f32> {
        let loss = loss::cross_entropy(&by_candle(&layers, &input)?, &targets)?;
        by_candle_rule.backward_step(&loss)?;
        loss.to_scalar()
    };

    let rule = match optimizer {
        Rule::Adam => {
            // Where candle has it.
            let epsilon = Epsilon::OutsideRoot(1e-8);
            let adam = Optimizer::new(Adam { epsilon, ..Adam::default() });
            adam.with_learning_rate(LEARNING_RATE)
        }
        Rule::Sgd => Optimizer::sgd(LEARNING_RATE),
    };
    let mut trainer = Trainer::builder(network, Loss::SoftmaxCrossEntropy, rule)
        .max_batch(options.batch)
        .threads(rayon::current_num_threads())
        .build()?;
    // The second loss tells whether the first step was the same.
    for _ in 0..2 {
        let expected = trainer.step(&x, Targets::Classes(&labels))?.loss;
        let found = f64::from(step()?);
        if (expected - found).abs() > TOLERANCE * expected {
            return Err(format!("the losses differ: {expected} and {found}").into());
        }
    }
    options.compare(&mut [
        ("deltarule", Box::new(|| Ok(trainer.step(&x, Targets::Classes(&labels)).map(drop)?))),
        ("candle", Box::new(|| Ok(step().map(drop)?))),
    ])
}
