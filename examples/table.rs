//! Classifies a table: `cargo run --release --features data --example table -- FILE COLUMN`.

use deltarule::data::{Scaling, csv::Csv};
use deltarule::{Activation, EarlyStopping, Loss, Network, Optimizer, Trainer};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, column] = arguments.as_slice() else { return Err("wanted: FILE COLUMN".into()) };
    let (mut train, mut test) = Csv::classification(column).open(file)?.split(0.2, 42)?;
    let scaling = Scaling::standard(train.features(), train.columns())?;
    train.scale(&scaling)?;
    test.scale(&scaling)?;
    let network = Network::builder(train.columns())
        .dense(32, Activation::Relu)
        .dense(train.outputs(), Activation::Identity)
        .build()?;
    let mut trainer =
        Trainer::builder(network, Loss::SoftmaxCrossEntropy, Optimizer::adam(0.01)).build()?;
    let fit = trainer.fit(&train).epochs(100).validation_split(0.2);
    println!("{}", fit.early_stopping(EarlyStopping::patience(10)).run()?);
    let score = trainer.evaluate(test.features(), test.targets())?;
    println!("test accuracy: {:.3}", score.accuracy().unwrap_or(f64::NAN));
    Ok(())
}
