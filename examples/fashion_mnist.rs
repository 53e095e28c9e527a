//! Learns Fashion-MNIST, or MNIST, whose files have the same names.
//!
//! `cargo run --release --features data,progress,report --example fashion_mnist -- DIR`

use clap::Parser;
use deltarule::data::{Dataset, Scaling, idx};
use deltarule::metrics::ConfusionMatrix;
use deltarule::{Activation, Loss, Network, Optimizer, Report, Schedule, Trainer};
use std::error::Error;
use std::path::{Path, PathBuf};

/// Learns images of ten classes, and says how many of the test images it recognises.
///
/// The last line is the test accuracy after the last epoch.
#[derive(Debug, Parser)]
struct Options {
    /// The folder with train-images-idx3-ubyte and its kin, plain or .gz
    folder: PathBuf,
    /// Widths of the hidden layers
    #[arg(long, value_delimiter = ',', default_value = "512,256")]
    hidden: Vec<usize>,
    /// Times that each training image is seen
    #[arg(long, default_value_t = 10)]
    epochs: u64,
    /// Images in a batch
    #[arg(long, default_value_t = 64)]
    batch: usize,
    /// Highest learning rate
    #[arg(long, default_value_t = 2e-3)]
    learning_rate: f64,
    /// Decay of the weights, decoupled from the gradient
    #[arg(long, default_value_t = 0.05)]
    decay: f64,
    /// The share of its probability that a class gives to all
    #[arg(long, default_value_t = 0.05)]
    smoothing: f64,
    /// Seed of the weights and of the batches
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// A file for a page about the training
    #[arg(long)]
    report: Option<PathBuf>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let [mut train, mut test] =
        [images(&options.folder, "train")?, images(&options.folder, "t10k")?];
    println!("{} training images, {} test images", train.rows(), test.rows());
    let scaling = one_scale(&train)?;
    train.scale(&scaling)?;
    test.scale(&scaling)?;

    let mut network = Network::builder(train.columns()).seed(options.seed);
    for &width in &options.hidden {
        network = network.dense(width, Activation::Relu);
    }
    let network = network.dense(train.outputs(), Activation::Identity).build()?;
    let loss = Loss::SmoothedCrossEntropy { smoothing: options.smoothing };
    let optimizer = Optimizer::adam_w(options.learning_rate, options.decay);
    let mut trainer = Trainer::builder(network, loss, optimizer).build()?;
    let history = trainer
        .fit(&train)
        .validation(&test)
        .epochs(options.epochs)
        .batch(options.batch)
        .seed(options.seed)
        .schedule(Schedule::one_cycle(options.epochs as f64))
        .gradient_norms()
        .progress()
        .run()?;
    println!("{history}\n");

    let mut confusion = ConfusionMatrix::new(train.outputs())?;
    confusion.add(&trainer.network().classify(test.features())?, test.labels())?;
    println!("{confusion}\n");
    if let Some(path) = &options.report {
        let some = &test.features()[..test.columns() * test.rows().min(1000)];
        Report::new(&history)
            .title(format!("Training on {}", options.folder.display()))
            .weights(trainer.network())
            .activations(trainer.network(), some)?
            .confusion(&confusion, test.class_names())?
            .write(path)?;
    }
    println!("test accuracy: {:.4}", confusion.accuracy().unwrap_or(f64::NAN));
    Ok(())
}

/// The images of a part of the data, and their classes.
fn images(folder: &Path, part: &str) -> Result<Dataset, Box<dyn Error>> {
    let file = |kind: &str| {
        let plain = folder.join(format!("{part}-{kind}-ubyte"));
        if plain.exists() { plain } else { folder.join(format!("{part}-{kind}-ubyte.gz")) }
    };
    Ok(idx::open_images(file("images-idx3"), file("labels-idx1"))?)
}

/// One centre and factor for all pixels, since most at the edge are always 0.
fn one_scale(data: &Dataset) -> deltarule::Result<Scaling> {
    let all = Scaling::standard(data.features(), 1)?;
    let copies = |number: &[f64]| number.repeat(data.columns());
    Scaling::new(copies(all.centers()), copies(all.factors()))
}
