//! The illnesses of gradients, made on purpose, named, and cured.
//!
//! ```text
//! cargo run --release --features report --example gradient_pathologies -- DIR
//! ```
//!
//! Prints what the diagnostics say of each network at its first step, and how well it has learned
//! in the end. Writes to DIR a page for each, with its curves, its gradients' norms by layer over
//! time, its weights and its activations.

use clap::Parser;
use deltarule::data::Rows;
use deltarule::{
    Activation, Diagnostics, Init, Loss, Network, NetworkBuilder, Optimizer, Report, Targets,
    Trainer,
};
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

/// Shows vanishing and exploding gradients and dead units, and what cures them.
#[derive(Parser)]
struct Options {
    /// The folder for the pages; it is made if it is not there
    folder: PathBuf,
    /// Times that each point is seen
    #[arg(long, default_value_t = 60)]
    epochs: u64,
}

const INPUTS: usize = 8;
const CLASSES: usize = 3;
const ROWS: usize = 512;

/// A network in training, ill or cured.
struct Patient {
    name: &'static str,
    network: NetworkBuilder,
    optimizer: Optimizer,
    /// What the first layer's biases are set to.
    biases: Option<f32>,
}

impl Patient {
    fn new(name: &'static str, network: NetworkBuilder, optimizer: Optimizer) -> Self {
        Self { name, network, optimizer, biases: None }
    }

    /// Biases so low that no ReLU is ever above 0.
    fn with_dead_units(self) -> Self {
        Self { biases: Some(-100.0), ..self }
    }
}

/// Twenty layers of 12 units, normalized by batch or not.
fn deep(activation: Activation, normalized: bool) -> NetworkBuilder {
    (0..20).fold(Network::builder(INPUTS), |network, _| match normalized {
        false => network.dense(12, activation),
        true => network.dense(12, Activation::Identity).batch_norm().activation(activation),
    })
}

fn patients() -> Vec<Patient> {
    let wild = Init::Normal { deviation: 1.0 };
    let shallow = || Network::builder(INPUTS).dense(32, Activation::Relu);
    let normalized = Network::builder(INPUTS)
        .dense(32, Activation::Identity)
        .batch_norm()
        .activation(Activation::Relu);
    let (adam, fast) = (Optimizer::adam(0.003), Optimizer::sgd(100.0));
    let sgd = Optimizer::sgd(0.2);
    vec![
        Patient::new("vanishing", deep(Activation::Sigmoid, false).init(wild), adam),
        Patient::new("vanishing-cured-by-he-and-relu", deep(Activation::Relu, false), adam),
        Patient::new(
            "vanishing-cured-by-batch-norm",
            deep(Activation::Sigmoid, true).init(wild),
            adam,
        ),
        Patient::new("exploding", shallow(), fast),
        Patient::new("exploding-cured-by-clipping", shallow(), fast.clip_norm(1e-3)),
        Patient::new("dead", shallow(), sgd).with_dead_units(),
        Patient::new("dead-cured-by-batch-norm", normalized, sgd).with_dead_units(),
    ]
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    fs::create_dir_all(&options.folder)?;
    let (x, labels) = points();
    for patient in patients() {
        println!("{}", treat(patient, &x, &labels, &options)?);
    }
    Ok(())
}

/// Points whose class depends on two of their coordinates, from a mixing of the index.
fn points() -> (Vec<f32>, Vec<usize>) {
    let coordinate = |i: usize| {
        let mixed = (i as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        ((mixed ^ (mixed >> 31)) >> 40) as f32 / (1u32 << 23) as f32 - 1.0
    };
    let x: Vec<f32> = (0..ROWS * INPUTS).map(coordinate).collect();
    let class = |x: &[f32]| usize::from(x[0] > 0.2) + usize::from(x[1] > 0.0);
    let labels = x.chunks_exact(INPUTS).map(class).collect();
    (x, labels)
}

/// Trains a network, and says what was found.
fn treat(
    patient: Patient,
    x: &[f32],
    labels: &[usize],
    options: &Options,
) -> Result<String, Box<dyn Error>> {
    let Patient { name, network, optimizer, biases } = patient;
    let network = network.dense(CLASSES, Activation::Identity).seed(7).build()?;
    let mut diagnostics = Diagnostics::new(&network)?;
    let of_biases = network.layer(0).and_then(|layer| layer.as_dense()).map(|dense| {
        let start = dense.weights.len();
        start..start + dense.biases.len()
    });
    let mut trainer =
        Trainer::builder(network, Loss::SoftmaxCrossEntropy, optimizer).max_batch(64).build()?;
    if let (Some(biases), Some(range)) = (biases, of_biases) {
        trainer.network_mut().parameters_mut()[range].fill(biases);
    }
    let batch = &x[..64 * INPUTS];
    trainer.step_diagnosed(batch, Targets::Classes(&labels[..64]), &mut diagnostics)?;
    let verdict = diagnostics.verdict();

    let targets = Targets::Classes(labels);
    let rows = Rows::new(x, INPUTS, targets)?;
    let trained = trainer.fit(rows).epochs(options.epochs).batch(64).gradient_norms().run();
    let outcome = match trained {
        Ok(history) => {
            write(&options.folder, name, &history, trainer.network(), x)?;
            let score = trainer.evaluate(x, targets)?;
            format!("accuracy {:.3}", score.accuracy().unwrap_or(f64::NAN))
        }
        Err(error) => format!("stopped: {error}"),
    };
    Ok(format!("{name}: {outcome}\n    {verdict}"))
}

fn write(
    folder: &Path,
    name: &str,
    history: &deltarule::History,
    network: &Network,
    x: &[f32],
) -> Result<(), Box<dyn Error>> {
    let page = Report::new(history).title(name).weights(network).activations(network, x)?;
    Ok(page.write(folder.join(format!("{name}.html")))?)
}
