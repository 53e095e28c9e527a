//! Learns what diamonds cost: a table with columns of categories.
//!
//! `cargo run --release --features data,progress --example diamonds -- FILE`

use clap::Parser;
use deltarule::data::csv::{Csv, Missing};
use deltarule::data::{Dataset, Scaling};
use deltarule::metrics::{mean_absolute_error, r2};
use deltarule::{Activation, Loss, Network, Optimizer, Schedule, Trainer};
use std::error::Error;
use std::path::PathBuf;

/// Predicts the logarithm of a diamond's price from its measures, cut, colour and clarity.
///
/// A fifth of the rows, chosen at random, is for the test. The last line is R² of the logarithm
/// on them; least squares on the same features gives 0.957.
#[derive(Debug, Parser)]
struct Options {
    /// ggplot2's diamonds as CSV, with the columns carat, cut, color, clarity, depth, table,
    /// price, x, y, z
    file: PathBuf,
    /// Widths of the hidden layers
    #[arg(long, value_delimiter = ',', default_value = "128,64")]
    hidden: Vec<usize>,
    /// Times that each training row is seen
    #[arg(long, default_value_t = 30)]
    epochs: u64,
    /// Rows in a batch
    #[arg(long, default_value_t = 64)]
    batch: usize,
    /// Highest learning rate
    #[arg(long, default_value_t = 4e-3)]
    learning_rate: f64,
    /// Seed of the weights, the batches and the split
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    // A few rows have a length of 0, which was not measured.
    let csv = Csv::regression("price").missing_names(["", "0", "0.0"]).missing(Missing::Mean);
    let mut data: Dataset = csv.open(&options.file)?;
    for price in data.values_mut() {
        *price = price.ln();
    }
    let (mut train, mut test) = data.split(0.2, options.seed)?;
    let features = Scaling::standard(train.features(), train.columns())?;
    for part in [&mut train, &mut test] {
        part.scale(&features)?;
        // A slipped decimal point is 45 standard deviations long.
        part.features_mut().iter_mut().for_each(|x| *x = x.clamp(-5.0, 5.0));
    }
    let prices = Scaling::standard(train.values(), 1)?;
    prices.apply(train.values_mut())?;
    println!("{} rows to learn from, {} to test on", train.rows(), test.rows());
    println!("features: {}", train.feature_names().join(", "));

    let mut network = Network::builder(train.columns()).seed(options.seed);
    for &width in &options.hidden {
        network = network.dense(width, Activation::Silu);
    }
    let network = network.dense(1, Activation::Identity).build()?;
    let optimizer = Optimizer::adam(options.learning_rate);
    let mut trainer = Trainer::builder(network, Loss::MeanSquaredError, optimizer).build()?;
    trainer
        .fit(&train)
        .epochs(options.epochs)
        .batch(options.batch)
        .seed(options.seed)
        .schedule(Schedule::one_cycle(options.epochs as f64))
        .progress()
        .run()?;

    let mut predicted = trainer.network().predict(test.features())?;
    prices.invert(&mut predicted)?;
    let score = r2(&predicted, test.values(), 1)?;
    let in_dollars = |logarithms: &[f32]| logarithms.iter().map(|x| x.exp()).collect::<Vec<_>>();
    let error = mean_absolute_error(&in_dollars(&predicted), &in_dollars(test.values()), 1)?;
    println!("mean absolute error of the price: {error:.0}");
    println!("test R2 of log price: {score:.4}");
    Ok(())
}
