//! What a predictor's outputs lose when its weights take fewer bytes.
//!
//! ```text
//! cargo run --release --features data --example weight_formats
//! cargo run --release --features data --example weight_formats -- --folder DIR --hidden 512,512
//! ```

// The digits, which lie in this repository.
#[path = "digits/data.rs"]
#[expect(dead_code, reason = "the number of classes is found in the labels here")]
mod digits;

use clap::Parser;
use deltarule::data::{Dataset, idx};
use deltarule::metrics::{accuracy, log_loss};
use deltarule::{Activation, Loss, Network, Optimizer, Predictor, Schedule, Trainer, WeightFormat};
use digits::Images;
use std::error::Error;
use std::path::{Path, PathBuf};

/// Trains a network, and tests predictors with its weights in f32, bf16 and int8.
#[derive(Debug, Parser)]
struct Options {
    /// The folder with train-images-idx3-ubyte.gz and its kin, instead of the digits
    #[arg(long)]
    folder: Option<PathBuf>,
    /// Widths of the hidden layers
    #[arg(long, value_delimiter = ',', default_value = "128,64")]
    hidden: Vec<usize>,
    /// Times that each training image is seen
    #[arg(long, default_value_t = 10)]
    epochs: u64,
    /// Seed of the weights and of the batches
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let [train, test] = match &options.folder {
        Some(folder) => [images(folder, "train")?, images(folder, "t10k")?],
        None => {
            let (train, test) = Images::load()?;
            let data = |it: Images| Dataset::from_classes(it.pixels, digits::PIXELS, it.labels);
            [data(train)?, data(test)?]
        }
    };
    let mut network = Network::builder(train.columns()).seed(options.seed);
    for &width in &options.hidden {
        network = network.dense(width, Activation::Relu);
    }
    let network = network.dense(train.outputs(), Activation::Identity).build()?;
    let optimizer = Optimizer::adam_w(2e-3, 0.05);
    let mut trainer = Trainer::builder(network, Loss::SoftmaxCrossEntropy, optimizer).build()?;
    trainer
        .fit(&train)
        .epochs(options.epochs)
        .batch(64)
        .seed(options.seed)
        .schedule(Schedule::one_cycle(options.epochs as f64))
        .run()?;

    let predictor = || Predictor::builder(trainer.network()).softmax(true);
    let exact = predictor().build()?;
    let (exact_outputs, exact_classes) =
        (exact.predict(test.features())?, exact.classify(test.features())?);
    println!("{} test images", test.rows());
    println!("weights  accuracy  log loss  other classes  largest change of a probability");
    for (name, predictor) in [
        ("f32", predictor()),
        ("bf16", predictor().weights(WeightFormat::Bf16)),
        ("int8", predictor().weights(WeightFormat::Int8)),
    ] {
        let predictor = predictor.build()?;
        let outputs = predictor.predict(test.features())?;
        let classes = predictor.classify(test.features())?;
        let others = classes.iter().zip(&exact_classes).filter(|(one, other)| one != other);
        let change = outputs.iter().zip(&exact_outputs).map(|(one, other)| (one - other).abs());
        println!(
            "{name:7}  {:8.4}  {:8.4}  {:13}  {:.4}",
            accuracy(&classes, test.labels())?,
            log_loss(&outputs, test.outputs(), test.labels())?,
            others.count(),
            change.fold(0.0, f32::max)
        );
    }
    Ok(())
}

/// The images of a part of the data, and their classes.
fn images(folder: &Path, part: &str) -> Result<Dataset, Box<dyn Error>> {
    let file = |kind: &str| folder.join(format!("{part}-{kind}-ubyte.gz"));
    Ok(idx::open_images(file("images-idx3"), file("labels-idx1"))?)
}
