//! Trains on NumPy's arrays, and prints the score and the time: our side of
//! `scripts/compare_sklearn.py`.

use clap::Parser;
use deltarule::data::{Dataset, npy};
use deltarule::kernels::optimizer::{Adam, Epsilon};
use deltarule::{Activation, Init, Loss, Metric, Network, Optimizer, Trainer};
use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

/// Trains a ReLU network on train_x.npy and train_y.npy by scikit-learn's Adam, and scores it on
/// test_x.npy and test_y.npy: accuracy, or R² of --regression.
#[derive(Debug, Parser)]
struct Options {
    /// The folder with the arrays, f4 or f8; labels are whole numbers
    folder: PathBuf,
    /// The targets are values, and not classes
    #[arg(long)]
    regression: bool,
    /// Widths of the hidden layers
    #[arg(long, value_delimiter = ',')]
    hidden: Vec<usize>,
    /// Times that each row is seen
    #[arg(long)]
    epochs: u64,
    /// Rows in a batch
    #[arg(long)]
    batch: usize,
    /// Learning rate
    #[arg(long)]
    learning_rate: f64,
    /// First seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Seeds, counted up from the first
    #[arg(long, default_value_t = 5)]
    seeds: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let [train, test] = [part(&options, "train")?, part(&options, "test")?];
    let (loss, metric) = if options.regression {
        (Loss::MeanSquaredError, Metric::R2)
    } else {
        (Loss::SoftmaxCrossEntropy, Metric::Accuracy)
    };
    let (learning_rate, epsilon) = (options.learning_rate, Epsilon::OutsideRoot(1e-8));
    for seed in options.seed..options.seed.saturating_add(options.seeds) {
        let start = Instant::now();
        // As scikit-learn has it, for ReLU too.
        let init = Init::XavierUniform;
        let mut network = Network::builder(train.columns()).seed(seed).init(init);
        for &width in &options.hidden {
            network = network.dense(width, Activation::Relu);
        }
        let network = network.dense(train.outputs(), Activation::Identity).build()?;
        let optimizer = Optimizer::new(Adam { learning_rate, epsilon, ..Adam::default() });
        let builder = Trainer::builder(network, loss, optimizer);
        let mut trainer = builder.max_batch(options.batch).build()?;
        trainer.fit(&train).epochs(options.epochs).batch(options.batch).seed(seed).run()?;
        let seconds = start.elapsed().as_secs_f64();
        let outputs = trainer.network().predict(test.features())?;
        let score = metric.evaluate(&outputs, train.outputs(), test.targets())?;
        println!("seed {seed} score {score:.6} seconds {seconds:.6}");
    }
    Ok(())
}

fn part(options: &Options, name: &str) -> Result<Dataset, Box<dyn Error>> {
    let array = |of: &str| npy::open(options.folder.join(format!("{name}_{of}.npy")));
    let (x, y) = (array("x")?, array("y")?);
    Ok(if options.regression { x.with_targets(y)? } else { x.with_labels(&y)? })
}
