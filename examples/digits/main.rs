//! Learns the UCI handwritten digits. `--help` lists the options.

mod data;
mod naive;
mod options;

use clap::Parser;
use data::{CLASSES, Images, PIXELS};
use deltarule::data::{Batches, gather};
use deltarule::metrics::{ConfusionMatrix, accuracy};
use deltarule::{Activation, Loss, Network, Score, Targets, Trainer};
use indicatif::{ProgressBar, ProgressStyle};
use naive::Naive;
use options::Options;
use std::error::Error;
use std::time::{Duration, Instant};

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let (train, test) = Images::load()?;
    println!("{} training images, {} test images", train.labels.len(), test.labels.len());

    let mut confusion = ConfusionMatrix::new(CLASSES)?;
    let mut accuracies = Vec::new();
    let mut time = Duration::ZERO;
    for seed in options.seed..options.seed.saturating_add(options.seeds) {
        let (network, taken) = learn(&options, seed, &train)?;
        let predicted = network.classify(&test.pixels)?;
        confusion.add(&predicted, &test.labels)?;
        accuracies.push(accuracy(&predicted, &test.labels)?);
        time += taken;
        println!("seed {seed}: test accuracy {:.4}", accuracies[accuracies.len() - 1]);
    }
    println!("\nConfusion matrix of all seeds' tests:\n{confusion}\n");

    let examples = (train.labels.len() as u64 * options.epochs) as f64;
    let rate = examples * accuracies.len() as f64 / time.as_secs_f64();
    println!("deltarule: {rate:.0} examples per second in training");
    let (naive_accuracy, taken) = learn_naively(&options, &train, &test)?;
    let naive_rate = examples / taken.as_secs_f64();
    println!(
        "naive reference: {naive_rate:.0} examples per second, test accuracy {naive_accuracy:.4} \
         with seed {}",
        options.seed
    );
    println!("speed-up over the naive reference: {:.1}", rate / naive_rate);
    let mean = accuracies.iter().sum::<f64>() / accuracies.len() as f64;
    println!("test accuracy: {mean:.4}");
    Ok(())
}

/// A new network for these images.
fn new_network(options: &Options, seed: u64) -> deltarule::Result<Network> {
    let mut builder = Network::builder(PIXELS).seed(seed);
    for &width in &options.hidden {
        builder = builder.dense(width, options.activation());
    }
    builder.dense(CLASSES, Activation::Identity).build()
}

/// Trains a network, and says how long all steps took.
fn learn(options: &Options, seed: u64, images: &Images) -> deltarule::Result<(Network, Duration)> {
    let mut builder = Trainer::builder(
        new_network(options, seed)?,
        Loss::SoftmaxCrossEntropy,
        options.optimizer(),
    )
    .max_batch(options.batch);
    if let Some(threads) = options.threads {
        builder = builder.threads(threads);
    }
    let mut trainer = builder.build()?;
    let progress = Progress::new(options.epochs);
    let mut time = Duration::ZERO;
    let mut scores = Vec::new();
    let mut batches = BatchReader::new(options, seed, images)?;
    for epoch in 0..options.epochs {
        let start = Instant::now();
        scores.clear();
        batches.each(epoch, |x, labels| {
            scores.push(trainer.step(x, Targets::Classes(labels))?);
            Ok(())
        })?;
        time += start.elapsed();
        progress.epoch(seed, epoch, &scores);
    }
    Ok((trainer.into_network(), time))
}

/// Trains the naive network of the first seed on the same batches.
fn learn_naively(
    options: &Options,
    train: &Images,
    test: &Images,
) -> deltarule::Result<(f64, Duration)> {
    let mut naive = Naive::of(&new_network(options, options.seed)?);
    let mut batches = BatchReader::new(options, options.seed, train)?;
    let start = Instant::now();
    for epoch in 0..options.epochs {
        batches.each(epoch, |x, labels| {
            naive.step(x, labels, options.naive_learning_rate());
            Ok(())
        })?;
    }
    let time = start.elapsed();
    Ok((accuracy(&naive.classify(&test.pixels), &test.labels)?, time))
}

/// Batches in the order of a seed, copied together.
struct BatchReader<'a> {
    images: &'a Images,
    batches: Batches,
    pixels: Vec<f32>,
    labels: Vec<usize>,
}

impl<'a> BatchReader<'a> {
    fn new(options: &Options, seed: u64, images: &'a Images) -> deltarule::Result<Self> {
        let batches = Batches::new(images.labels.len(), options.batch, seed)?;
        let batch = options.batch.min(images.labels.len());
        let pixels = vec![0.0; batch * PIXELS];
        Ok(Self { images, batches, pixels, labels: Vec::with_capacity(batch) })
    }

    fn each(
        &mut self,
        epoch: u64,
        mut act: impl FnMut(&[f32], &[usize]) -> deltarule::Result<()>,
    ) -> deltarule::Result<()> {
        for rows in self.batches.epoch(epoch) {
            let pixels = &mut self.pixels[..rows.len() * PIXELS];
            gather(&self.images.pixels, PIXELS, rows, pixels)?;
            self.labels.clear();
            self.labels.extend(rows.iter().map(|&row| self.images.labels[row]));
            act(pixels, &self.labels)?;
        }
        Ok(())
    }
}

/// A bar on a terminal, and now and then a line elsewhere.
struct Progress {
    bar: ProgressBar,
    epochs: u64,
}

impl Progress {
    fn new(epochs: u64) -> Self {
        let style = ProgressStyle::with_template("{bar:30} {pos:>3}/{len} {msg}");
        let bar = ProgressBar::new(epochs);
        Self { bar: style.map(|style| bar.clone().with_style(style)).unwrap_or(bar), epochs }
    }

    fn epoch(&self, seed: u64, epoch: u64, scores: &[Score]) {
        let rows: usize = scores.iter().map(|score| score.rows).sum();
        let correct: usize = scores.iter().filter_map(|score| score.correct).sum();
        let loss = scores.iter().map(|score| score.loss * score.rows as f64).sum::<f64>();
        let (loss, accuracy) = (loss / rows as f64, correct as f64 / rows as f64);
        let text = format!("seed {seed}: loss {loss:.4}, training accuracy {accuracy:.4}");
        self.bar.set_message(text.clone());
        self.bar.inc(1);
        let done = epoch + 1;
        if self.bar.is_hidden() && (done.is_multiple_of(10) || done == self.epochs) {
            println!("epoch {done:>3}/{}, {text}", self.epochs);
        }
        if done == self.epochs {
            self.bar.finish();
        }
    }
}
