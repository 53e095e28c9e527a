//! The training that `tests/golden/version_1.checkpoint` and the later ones are of.

use deltarule::data::Dataset;
use deltarule::{
    Activation, Averaging, EarlyStopping, Fit, Loss, Network, Optimizer, Trainer, TrainerBuilder,
};

/// Its rows.
pub fn data() -> Dataset {
    let x: Vec<f32> = (0..20).map(|i| i as f32 / 16.0).collect();
    let y = x.iter().map(|x| x * x).collect();
    Dataset::from_values(x, 1, y, 1).unwrap()
}

fn builder() -> TrainerBuilder {
    let network = Network::builder(1)
        .dense(2, Activation::Relu)
        .batch_norm()
        .residual(|block| block.dropout(0.25).dense(2, Activation::LeakyRelu { slope: 0.125 }))
        .dense(1, Activation::Identity)
        .build()
        .unwrap();
    Trainer::builder(network, Loss::MeanSquaredError, Optimizer::adam(0.05))
}

/// Its trainer.
pub fn trainer() -> Trainer {
    builder().build().unwrap()
}

/// That of version 3, which keeps an average.
pub fn averaging_trainer() -> Trainer {
    let averaging = Averaging::Exponential { decay: 0.75 };
    builder().average(averaging).average_after(2).build().unwrap()
}

/// All that was said about it.
pub fn fit<'a>(trainer: &'a mut Trainer, data: &'a Dataset) -> Fit<'a> {
    let fit = trainer.fit(data).epochs(4).batch(6).validation_split(0.25);
    fit.early_stopping(EarlyStopping::patience(9))
}
