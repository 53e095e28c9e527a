//! Learns from a stream whose rule changes under way.
//!
//! `cargo run --release --example online -- --help`

use clap::Parser;
use deltarule::data::{Batch, Prefetch, ReadError};
use deltarule::{Activation, Loss, Network, Optimizer, Targets, Trainer};
use rand::rngs::ChaCha8Rng;
use rand::{Rng, SeedableRng};
use std::error::Error;
use std::f32::consts::PI;

/// Predicts each row of a generated stream before it learns from it, as a service would whose
/// answers come in later.
///
/// A point in the plane belongs to the class of the sector it lies in, and the sectors turn: a
/// network that stops learning soon guesses. The last line is the share of rows that were
/// predicted correctly.
#[derive(Debug, Parser)]
struct Options {
    /// Rows of the stream
    #[arg(long, default_value_t = 200_000)]
    rows: usize,
    /// Rows that come at a time
    #[arg(long, default_value_t = 20)]
    batch: usize,
    /// Full turns of the sectors in the course of the stream
    #[arg(long, default_value_t = 2.0)]
    turns: f32,
    /// Learning rate
    #[arg(long, default_value_t = 0.05)]
    learning_rate: f64,
    /// Seed of the stream and of the weights
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

const SECTORS: usize = 4;
/// Lines of the table.
const PARTS: usize = 10;

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let network = Network::builder(2)
        .dense(32, Activation::Relu)
        .dense(SECTORS, Activation::Identity)
        .seed(options.seed)
        .build()?;
    let optimizer = Optimizer::momentum(options.learning_rate, 0.9);
    let mut trainer = Trainer::builder(network, Loss::SoftmaxCrossEntropy, optimizer)
        .max_batch(options.batch)
        .build()?;
    let mut stream = Prefetch::new(4, turning_sectors(&options))?;
    // The network as it was after the first part of the stream.
    let mut frozen: Option<Network> = None;
    let mut parts = [Part::default(); PARTS];
    let mut rows = 0;
    println!("      rows  learning  frozen");
    while let Some(batch) = stream.next_batch()? {
        let place = rows * PARTS / options.rows;
        if place > 0 && frozen.is_none() {
            frozen = Some(trainer.network().clone());
        }
        let Targets::Classes(labels) = batch.targets() else { return Err("no classes".into()) };
        let part = &mut parts[place.min(PARTS - 1)];
        if let Some(frozen) = &frozen {
            let predicted = frozen.classify(batch.x())?;
            part.frozen += predicted.iter().zip(labels).filter(|(p, l)| p == l).count();
        }
        // A step's score is from before the step.
        part.learning += trainer.step(batch.x(), batch.targets())?.correct.unwrap_or(0);
        part.rows += batch.rows();
        rows += batch.rows();
        if rows * PARTS / options.rows > place {
            part.print(rows, frozen.is_some());
        }
    }
    let correct: usize = parts.iter().map(|part| part.learning).sum();
    println!("accuracy before learning: {:.4}", correct as f64 / rows as f64);
    Ok(())
}

/// What was predicted correctly in a part of the stream.
#[derive(Clone, Copy, Default)]
struct Part {
    rows: usize,
    learning: usize,
    frozen: usize,
}

impl Part {
    fn print(&self, rows: usize, has_frozen: bool) {
        let share = |correct: usize| correct as f64 / self.rows as f64;
        print!("{rows:>10}  {:>8.4}", share(self.learning));
        if has_frozen {
            print!("  {:>6.4}", share(self.frozen));
        }
        println!();
    }
}

/// A source of points in the square and of the sectors in which they lie at their time.
fn turning_sectors(
    options: &Options,
) -> impl FnMut(&mut Batch) -> Result<(), ReadError> + Send + 'static {
    let Options { rows, batch: size, turns, seed, .. } = *options;
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut row = 0;
    move |batch| {
        while batch.rows() < size && row < rows {
            let mut coordinate = || (random.next_u32() >> 8) as f32 / (1 << 23) as f32 - 1.0;
            let point = [coordinate(), coordinate()];
            let angle = point[1].atan2(point[0]) / (2.0 * PI) + turns * row as f32 / rows as f32;
            let sector = (angle.rem_euclid(1.0) * SECTORS as f32) as usize % SECTORS;
            batch.push_class(&point, sector)?;
            row += 1;
        }
        Ok(())
    }
}
