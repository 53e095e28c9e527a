//! A prediction by a frozen network, by candle and by tract.

use candle_core::{Device, Tensor};
use candle_nn::Linear;
use clap::Parser;
use deltarule::{Head, Predictor, WeightFormat};
use deltarule_peers::{Contestant, Options, Result, by_candle, tensors};
use std::hint::black_box;
use tract_onnx::prelude::*;

/// The most that outputs may differ by, against their largest.
const TOLERANCE: f32 = 1e-4;

fn main() -> Result {
    let options = Options::parse();
    let network = options.network();
    let x = options.rows();
    let shape = (options.batch, options.dims[0]);
    let expected = network.predict(&x)?;
    let mut out = [(); 3].map(|()| vec![0.0; expected.len()]);
    let mut contestants: Vec<Contestant<'_>> = Vec::new();

    let builder = || Predictor::builder(&network);
    let formats = [
        ("deltarule", builder()),
        ("deltarule bf16", builder().weights(WeightFormat::Bf16)),
        ("deltarule int8", builder().weights(WeightFormat::Int8)),
    ];
    for ((name, builder), out) in formats.into_iter().zip(&mut out) {
        let predictor = builder.build()?;
        let mut workspace = predictor.workspace()?;
        let x = &x;
        let run = move || Ok(predictor.predict_into(x, black_box(out), &mut workspace)?);
        contestants.push((name, Box::new(run)));
    }

    let input = Tensor::from_slice(&x, shape, &Device::Cpu)?;
    let layers = tensors(&network)?;
    let layers: Vec<Linear> =
        layers.into_iter().map(|(weights, biases)| Linear::new(weights, Some(biases))).collect();
    check(&expected, &by_candle(&layers, &input)?.flatten_all()?.to_vec1()?)?;
    contestants.push((
        "candle",
        Box::new(move || {
            black_box(by_candle(&layers, &input)?);
            Ok(())
        }),
    ));

    let model = tract_onnx::onnx()
        .model_for_read(&mut &network.to_onnx(Head::None)[..])?
        .with_input_fact(0, f32::fact([shape.0, shape.1]).into())?
        .into_optimized()?
        .into_runnable()?;
    let mut state = SimpleState::new(model)?;
    let row: TValue = tract_ndarray::Array2::from_shape_vec(shape, x.clone())?.into_tensor().into();
    let answer = state.run(tvec!(row.clone()))?;
    check(&expected, answer[0].as_slice()?)?;
    contestants.push((
        "tract",
        Box::new(move || {
            black_box(state.run(tvec!(row.clone()))?);
            Ok(())
        }),
    ));
    options.compare(&mut contestants)
}

fn check(expected: &[f32], found: &[f32]) -> Result {
    let largest = expected.iter().fold(0.0f32, |largest, y| largest.max(y.abs()));
    let near = |(a, b): (&f32, &f32)| (a - b).abs() <= TOLERANCE * largest;
    if expected.len() != found.len() || !expected.iter().zip(found).all(near) {
        return Err("the outputs differ".into());
    }
    Ok(())
}
