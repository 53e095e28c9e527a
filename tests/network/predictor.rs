//! A frozen network: what is folded, how exact it is, and the same bits whoever asks.

use crate::common::{
    ZOO_INPUTS, ZOO_OUTPUTS, bits, fnv1a, fused_isas, network, sample, zoo, zoo_rows,
};
use deltarule::data::Scaling;
use deltarule::kernels::activation::RowActivation;
use deltarule::kernels::math::Function;
use deltarule::{
    Activation, Categorical, Element, Error, Isa, Layer, LayerRef, Network, NetworkBuilder,
    Predictor, PredictorBuilder, Ranked, WeightFormat,
};

/// The network, as if it had been trained: no parameter or statistic is what it begins as.
fn trained<E: Element>(builder: NetworkBuilder<E>, isa: Isa) -> Network<E> {
    let mut network = builder.isa(isa).build().unwrap();
    let noise = sample::<E>(network.parameters().len(), 3);
    for (parameter, noise) in network.parameters_mut().iter_mut().zip(noise) {
        *parameter += E::HALF * noise;
    }
    let noise = sample::<E>(network.statistics().len(), 4);
    for (statistic, noise) in network.statistics_mut().iter_mut().zip(noise) {
        *statistic += E::HALF * noise;
    }
    network
}

fn normalizes_batches<E: Element>(network: &Network<E>) -> bool {
    network.layers().any(|layer| matches!(layer, LayerRef::BatchNorm(_)))
}

/// The same network in f64.
fn widened(builder: NetworkBuilder<f64>, network: &Network<f32>) -> Network<f64> {
    let mut wide = builder.isa(network.isa()).build().unwrap();
    let copy = |from: &[f32], to: &mut [f64]| {
        for (to, from) in to.iter_mut().zip(from) {
            *to = f64::from(*from);
        }
    };
    copy(network.parameters(), wide.parameters_mut());
    copy(network.statistics(), wide.statistics_mut());
    wide
}

#[test]
fn outputs_as_probabilities_of_their_classes() {
    let network = network::<f32>(&[3, 5, 4], Activation::Tanh).build().unwrap();
    let x = sample::<f32>(3 * 300, 1);
    let logits = network.predict(&x).unwrap();
    let predict = |builder: PredictorBuilder<'_>| builder.build().unwrap().predict(&x).unwrap();
    let mut expected = logits.clone();
    Activation::Sigmoid.forward_in_place(network.isa(), &mut expected);
    let builder = Predictor::builder(&network);
    assert_eq!(bits(&predict(builder.clone().sigmoid(true))), bits(&expected));
    // The last wish counts, and what was not wished can't be taken back.
    let softmax = predict(builder.clone().softmax(true));
    assert_eq!(predict(builder.clone().sigmoid(true).softmax(true)), softmax);
    assert_eq!(predict(builder.clone().softmax(true).sigmoid(true)), expected);
    assert_eq!(predict(builder.clone().sigmoid(true).softmax(false)), expected);
    assert_eq!(predict(builder.sigmoid(true).sigmoid(false)), logits);
}

#[test]
fn outputs_as_rates() {
    let network = network::<f32>(&[3, 5, 4], Activation::Tanh).build().unwrap();
    // Enough for several threads.
    let x = sample::<f32>(3 * 3000, 1);
    let mut expected = network.predict(&x).unwrap();
    Function::Exp.evaluate_in_place(network.isa(), &mut expected);
    let build = |builder: PredictorBuilder<'_>| builder.build().unwrap();
    let predictor = build(Predictor::builder(&network).sigmoid(true).exp(true));
    let rates = predictor.predict(&x).unwrap();
    assert_eq!(bits(&rates), bits(&expected));
    assert!(rates.iter().all(|&rate| rate > 0.0));
    assert_eq!(bits(&predictor.predict_parallel(&x).unwrap()), bits(&expected));
    assert_eq!(predictor.classify(&x).unwrap(), network.classify(&x).unwrap());
    let builder = Predictor::builder(&network);
    let logarithms = network.predict(&x).unwrap();
    assert_eq!(build(builder.clone().exp(true).exp(false)).predict(&x).unwrap(), logarithms);
    let softmax = build(builder.clone().softmax(true)).predict(&x).unwrap();
    assert_eq!(build(builder.exp(true).softmax(true)).predict(&x).unwrap(), softmax);
}

/// A class is where its logit is the largest, or its only one above 0.
#[test]
fn a_single_output_is_classified_by_its_sign() {
    let x = sample::<f32>(3 * 300, 1);
    let single = network::<f32>(&[3, 5, 1], Activation::Tanh).build().unwrap();
    let expected: Vec<usize> =
        single.predict(&x).unwrap().iter().map(|&logit| usize::from(logit > 0.0)).collect();
    assert!(expected.contains(&0) && expected.contains(&1));
    assert_eq!(single.classify(&x).unwrap(), expected);
    let builders = [Predictor::builder(&single), Predictor::builder(&single).sigmoid(true)];
    for builder in builders {
        assert_eq!(builder.build().unwrap().classify(&x).unwrap(), expected);
    }
}

#[test]
fn is_shared_by_threads() {
    fn check<T: Send + Sync + Clone + core::fmt::Debug + 'static>() {}
    check::<Predictor>();
    check::<Predictor<f64>>();
}

#[test]
fn predicts_the_bits_of_the_network_where_nothing_is_folded() {
    fn check<E: Element>(isa: Isa) {
        for (name, builder) in zoo::<E>() {
            let network = trained(builder, isa);
            if normalizes_batches(&network) {
                continue;
            }
            let predictor = network.freeze().unwrap();
            for rows in [1, 2, 64, 255, 256, 257, 300] {
                let x = zoo_rows::<E>(rows, 7);
                let (expected, found) =
                    (network.predict(&x).unwrap(), predictor.predict(&x).unwrap());
                assert_eq!(bits(&found), bits(&expected), "{isa} {name}: {rows} rows");
            }
        }
    }
    for isa in Isa::available() {
        check::<f32>(isa);
        check::<f64>(isa);
    }
}

#[test]
fn is_as_exact_as_the_network_where_layers_are_folded() {
    let rows = 70;
    for isa in Isa::available() {
        for ((name, builder), (_, wide)) in zoo::<f32>().into_iter().zip(zoo::<f64>()) {
            let network = trained(builder, isa);
            if !normalizes_batches(&network) {
                continue;
            }
            let wide = widened(wide, &network);
            let exact = wide.predict(&zoo_rows(rows, 7)).unwrap();
            let largest = exact.iter().fold(0.0f64, |largest, y| largest.max(y.abs()));
            let folded = wide.freeze().unwrap().predict(&zoo_rows(rows, 7)).unwrap();
            for (y, exact) in folded.iter().zip(&exact) {
                assert!((y - exact).abs() <= 1e-14 * largest, "{isa} {name}: {y} {exact}");
            }
            let error = |outputs: Vec<f32>| {
                let each = outputs.iter().zip(&exact);
                each.fold(0.0f64, |error, (y, exact)| error.max((f64::from(*y) - exact).abs()))
            };
            let x = zoo_rows::<f32>(rows, 7);
            let of_network = error(network.predict(&x).unwrap());
            let of_predictor = error(network.freeze().unwrap().predict(&x).unwrap());
            let bound = 2.0 * of_network + 2.0f64.powi(-24) * largest;
            assert!(of_predictor <= bound, "{isa} {name}: {of_predictor:e} > {bound:e}");
        }
    }
}

/// The bound that the documentation of `Predictor` states.
#[test]
fn a_folded_layer_is_as_exact_as_stated() {
    const UNIT: f64 = 1.0 / (1u64 << 24) as f64;
    let (inputs, outputs, rows) = (37, 41, 50);
    let mut worst = 0.0f64;
    for isa in Isa::available() {
        for is_before in [false, true] {
            let new = || NetworkBuilder::<f32>::new(inputs);
            let network = trained(
                match is_before {
                    false => new().dense(outputs, Activation::Identity).batch_norm(),
                    true => new().batch_norm().dense(outputs, Activation::Identity),
                },
                isa,
            );
            let layers: Vec<_> = network.layers().collect();
            let (dense, norm) = match &layers[..] {
                [LayerRef::Dense(dense), LayerRef::BatchNorm(norm)]
                | [LayerRef::BatchNorm(norm), LayerRef::Dense(dense)] => (dense, norm),
                _ => unreachable!(),
            };
            let map = |index: usize| {
                let variance = f64::from(norm.running_variance[index]);
                let factor = f64::from(norm.gamma[index]) / (variance + norm.epsilon).sqrt();
                let mean = f64::from(norm.running_mean[index]);
                (factor, f64::from(norm.beta[index]) - factor * mean)
            };
            let x = sample::<f32>(rows * inputs, 5);
            let found = network.freeze().unwrap().predict(&x).unwrap();
            for (x, found) in x.chunks(inputs).zip(found.chunks(outputs)) {
                for (j, &found) in found.iter().enumerate() {
                    let (mut sum, mut scale) = (0.0, 0.0);
                    let mut bias = f64::from(dense.biases[j]);
                    for (i, &x) in x.iter().enumerate() {
                        let mut w = f64::from(dense.weights[j * inputs + i]);
                        if is_before {
                            let (factor, shift) = map(i);
                            bias += w * shift;
                            w *= factor;
                        } else {
                            w *= map(j).0;
                        }
                        sum += w * f64::from(x);
                        scale += (w * f64::from(x)).abs();
                    }
                    if !is_before {
                        bias = bias * map(j).0 + map(j).1;
                    }
                    let bound = (inputs + 2) as f64 * UNIT * (scale + bias.abs());
                    let error = (f64::from(found) - (sum + bias)).abs();
                    assert!(error <= bound, "{isa} {is_before}: {error:e} > {bound:e}");
                    worst = worst.max(error / bound);
                }
            }
        }
    }
    assert!(worst > 0.02, "the bound is {worst} of what is needed");
}

#[test]
fn takes_inputs_as_they_are_with_a_scaling() {
    let rows = 90;
    for isa in Isa::available() {
        for (name, builder) in zoo::<f64>() {
            let network = trained(builder, isa);
            let raw: Vec<f64> = zoo_rows::<f64>(rows, 5)
                .iter()
                .enumerate()
                // The first two columns are categories for some networks.
                .map(|(i, x)| match i % ZOO_INPUTS {
                    0 | 1 => *x,
                    column => 3.0 * column as f64 + x * column as f64,
                })
                .collect();
            let mut fitted = Scaling::standard(&raw, ZOO_INPUTS).unwrap();
            let (mut centers, mut factors) = (fitted.centers().to_vec(), fitted.factors().to_vec());
            for column in 0..2 {
                (centers[column], factors[column]) = (0.0, 1.0);
            }
            for center in [None, Some(1e4)] {
                if let Some(center) = center {
                    // Too far to be folded.
                    centers[3] = center;
                }
                fitted = Scaling::new(centers.clone(), factors.clone()).unwrap();
                let mut scaled = raw.clone();
                fitted.apply(&mut scaled).unwrap();
                let expected = network.predict(&scaled).unwrap();
                let predictor = Predictor::builder(&network).scaling(&fitted).build().unwrap();
                for (y, expected) in predictor.predict(&raw).unwrap().iter().zip(expected) {
                    let error = (y - expected).abs();
                    assert!(error <= 1e-11 * (1.0 + expected.abs()), "{isa} {name}: {error:e}");
                }
            }
        }
    }
}

#[test]
fn keeps_the_digits_of_a_column_that_is_far_from_0() {
    let network = Network::builder(1).dense(1, Activation::Identity).build().unwrap();
    let scaling = Scaling::new(vec![1e6], vec![4.0]).unwrap();
    let predictor = Predictor::builder(&network).scaling(&scaling).build().unwrap();
    let w = network.parameters()[0];
    assert_eq!(predictor.predict(&[1e6 + 0.25]).unwrap(), [w]);
    // A centre between two f32.
    let scaling = Scaling::new(vec![16_777_217.0], vec![1.0]).unwrap();
    let predictor = Predictor::builder(&network).scaling(&scaling).build().unwrap();
    assert_eq!(predictor.predict(&[16_777_216.0]).unwrap(), [-w]);
}

/// Predictors of every kind of network, with their weights in every format.
fn folded_zoo(isa: Isa) -> Vec<(String, Predictor)> {
    let mut all = Vec::new();
    for (name, builder) in zoo() {
        let network = trained(builder, isa);
        for format in [None, Some(WeightFormat::Bf16), Some(WeightFormat::Int8)] {
            let mut builder = Predictor::builder(&network);
            if let Some(format) = format {
                builder = builder.weights(format);
            }
            all.push((format!("{name}, {format:?}"), builder.build().unwrap()));
        }
    }
    all
}

#[test]
fn loses_what_the_formats_of_weights_lose() {
    const UNIT: f64 = 1.0 / (1u64 << 24) as f64;
    let (inputs, outputs, rows) = (65, 35, 20);
    for isa in Isa::available() {
        let network =
            trained(NetworkBuilder::<f32>::new(inputs).dense(outputs, Activation::Identity), isa);
        let layer = network.layer(0).and_then(LayerRef::as_dense).unwrap();
        let x = sample::<f32>(rows * inputs, 5);
        for format in [WeightFormat::Bf16, WeightFormat::Int8] {
            let predictor = Predictor::builder(&network).weights(format).build().unwrap();
            let found = predictor.predict(&x).unwrap();
            let mut worst = 0.0f64;
            for (x, found) in x.chunks(inputs).zip(found.chunks(outputs)) {
                for (j, &found) in found.iter().enumerate() {
                    let weights = &layer.weights[j * inputs..][..inputs];
                    let bias = f64::from(layer.biases[j]);
                    let largest = weights.iter().fold(0.0f32, |largest, w| largest.max(w.abs()));
                    let (mut exact, mut scale, mut bound) = (bias, bias.abs(), 0.0);
                    for (&w, &x) in weights.iter().zip(x) {
                        let (w, x) = (f64::from(w), f64::from(x));
                        exact += w * x;
                        scale += (w * x).abs();
                        bound += x.abs()
                            * match format {
                                WeightFormat::Bf16 => w.abs() / 256.0,
                                _ => 0.5 * f64::from(largest) / 127.0,
                            };
                    }
                    // The weights, then as many roundings as a row has elements, and a few.
                    let bound = bound * (1.0 + 1e-5) + (inputs + 4) as f64 * UNIT * scale;
                    let error = (f64::from(found) - exact).abs();
                    assert!(error <= bound, "{isa} {format:?}: {error:e} > {bound:e}");
                    worst = worst.max(error / bound);
                }
            }
            assert!(worst > 0.05, "{isa} {format:?}: the bound is {worst} of what is needed");
        }
    }
}

/// Columns of very different sizes, and far from 0, share a scale with none that is folded in.
#[test]
fn loses_no_more_behind_a_scaling_or_a_batch_normalization() {
    let (rows, spread) = (50, [(3e4f32, 8e3f32), (0.05, 0.01), (1013.0, 40.0)]);
    let noise = sample::<f32>(3 * rows, 8);
    let columns = |row: &[f32]| -> Vec<f32> {
        row.iter().zip(spread).map(|(x, (center, deviation))| center + deviation * x).collect()
    };
    let raw: Vec<f32> = noise.chunks(3).flat_map(columns).collect();
    let scaling = Scaling::standard(&raw, 3).unwrap();
    let mut scaled = raw.clone();
    scaling.apply(&mut scaled).unwrap();
    let plain = network::<f32>(&[3, 32, 2], Activation::Tanh).build().unwrap();
    let dense = Network::builder(3).batch_norm().dense(32, Activation::Tanh);
    let mut normalized = dense.dense(2, Activation::Identity).build().unwrap();
    let affine = normalized.parameters().len() - plain.parameters().len();
    normalized.parameters_mut()[affine..].copy_from_slice(plain.parameters());
    for (j, statistics) in normalized.statistics_mut().chunks_mut(3).enumerate() {
        for (statistic, (center, factor)) in
            statistics.iter_mut().zip(scaling.centers().iter().zip(scaling.factors()))
        {
            *statistic = if j == 0 { *center as f32 } else { (factor * factor).recip() as f32 };
        }
    }
    for format in [WeightFormat::Bf16, WeightFormat::Int8] {
        let by_hand = Predictor::builder(&plain).weights(format).build().unwrap();
        let expected = by_hand.predict(&scaled).unwrap();
        let folded = Predictor::builder(&plain).scaling(&scaling).weights(format).build().unwrap();
        let after_norm = Predictor::builder(&normalized).weights(format).build().unwrap();
        for (predictor, bound) in [(folded, 1e-4), (after_norm, 0.1)] {
            for (y, expected) in predictor.predict(&raw).unwrap().iter().zip(&expected) {
                assert!((y - expected).abs() < bound, "{format:?}: {y}, by hand {expected}");
            }
        }
    }
}

#[test]
fn gives_the_same_bits_alone_and_in_any_batch() {
    let rows = 131;
    let x = zoo_rows::<f32>(rows, 9);
    for isa in Isa::available() {
        for (name, predictor) in folded_zoo(isa) {
            let together = bits(&predictor.predict(&x).unwrap());
            for batch in [1, 2, 3, 7, 64, 65] {
                let parts = x.chunks(batch * ZOO_INPUTS);
                let apart: Vec<u64> =
                    parts.flat_map(|x| bits(&predictor.predict(x).unwrap())).collect();
                assert!(apart == together, "{isa} {name}: batches of {batch}");
            }
        }
    }
}

/// Pieces of rows on any number of threads, the last of them shorter; and what is no row.
#[test]
fn gives_the_same_bits_on_many_threads() {
    let rows = 5000;
    let mut x = zoo_rows::<f32>(rows, 9);
    for (name, predictor) in folded_zoo(Isa::active().unwrap()) {
        let expected = bits(&predictor.predict(&x).unwrap());
        for threads in [1, 2, 3, 8] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            for rows in [1, 1024, 1025, rows] {
                let x = &x[..rows * ZOO_INPUTS];
                let found = bits(&pool.install(|| predictor.predict_parallel(x)).unwrap());
                assert!(found == expected[..found.len()], "{name}: {rows} rows, {threads} threads");
                assert_eq!(found.len() / predictor.outputs(), rows);
            }
        }
    }
    let embeds = zoo().into_iter().find(|(name, _)| *name == "embedding").unwrap().1;
    let predictor = embeds.build().unwrap().freeze().unwrap();
    x[4900 * ZOO_INPUTS] = 3.0;
    let error = predictor.predict_parallel(&x).unwrap_err();
    assert!(matches!(error, Error::Category { row: 4900, .. }), "{error:?}");
    assert_eq!(predictor.predict_parallel(&[]), Err(Error::Empty { argument: "x" }));
}

#[test]
fn gives_the_same_bits_on_every_isa_that_fuses_and_in_every_version() {
    let x = zoo_rows::<f32>(131, 9);
    for isa in fused_isas() {
        let outputs: Vec<f32> =
            folded_zoo(isa).iter().flat_map(|(_, it)| it.predict(&x).unwrap()).collect();
        let hash = fnv1a(&outputs);
        assert_eq!(hash, 0x771d_b9c5_ea52_8ae4, "{isa}: {hash:#018x}");
    }
}

#[test]
fn serves_many_threads_at_once() {
    let network = network::<f32>(&[37, 150, 131, 10], Activation::Gelu).build().unwrap();
    let predictor = network.freeze().unwrap();
    let x = sample::<f32>(130 * 37, 1);
    let expected = network.predict(&x).unwrap();
    std::thread::scope(|scope| {
        for rows in 1..=8 {
            let (predictor, x, expected) = (&predictor, &x, &expected);
            scope.spawn(move || {
                let mut workspace = predictor.workspace().unwrap();
                let mut out = vec![f32::NAN; rows * 10];
                for (x, expected) in x.chunks(rows * 37).zip(expected.chunks(rows * 10)) {
                    let out = &mut out[..expected.len()];
                    predictor.predict_into(x, out, &mut workspace).unwrap();
                    assert_eq!(bits(out), bits(expected));
                }
            });
        }
    });
}

#[test]
fn gives_nan_for_nan() {
    for isa in Isa::available() {
        for (name, predictor) in folded_zoo(isa) {
            let mut x = zoo_rows::<f32>(5, 2);
            x[3 * ZOO_INPUTS - 1] = f32::NAN;
            let outputs = predictor.predict(&x).unwrap();
            let is_nan: Vec<bool> = outputs.iter().map(|y| y.is_nan()).collect();
            let expected: Vec<bool> = (0..outputs.len()).map(|i| i / ZOO_OUTPUTS == 2).collect();
            assert_eq!(is_nan, expected, "{isa} {name}");
        }
    }
}

#[test]
fn ranks_probabilities() {
    let network = network::<f32>(&[6, 20, 9], Activation::Tanh).build().unwrap();
    let x = sample::<f32>(300 * 6, 3);
    let mut probabilities = network.predict(&x).unwrap();
    RowActivation::Softmax.forward_in_place(network.isa(), (300, 9), &mut probabilities).unwrap();
    let predictor = Predictor::builder(&network).softmax(true).build().unwrap();
    assert_eq!(bits(&predictor.predict(&x).unwrap()), bits(&probabilities));
    assert_eq!(predictor.classify(&x).unwrap(), network.classify(&x).unwrap());
    let ranked = predictor.top_k(&x, 4).unwrap();
    for (ranked, probabilities) in ranked.chunks(4).zip(probabilities.chunks(9)) {
        let mut sorted: Vec<usize> = (0..9).collect();
        sorted.sort_by(|&a, &b| probabilities[b].total_cmp(&probabilities[a]));
        let classes: Vec<usize> = ranked.iter().map(|it| it.class).collect();
        assert_eq!(classes, sorted[..4]);
        assert!(ranked.iter().all(|it| it.score == probabilities[it.class]));
    }
    let (mut workspace, mut again) = (predictor.workspace().unwrap(), ranked.clone());
    for _ in 0..2 {
        again.fill(Ranked::default());
        predictor.top_k_into(&x, 4, &mut again, &mut workspace).unwrap();
        assert_eq!(again, ranked);
    }
    let all = predictor.top_k(&x, 9).unwrap();
    assert!(all.chunks(9).zip(ranked.chunks(4)).all(|(all, ranked)| all.starts_with(ranked)));
}

#[test]
fn names_what_is_wrong_and_writes_nothing() {
    let network = network::<f32>(&[6, 20, 9], Activation::Tanh).build().unwrap();
    let predictor = network.freeze().unwrap();
    let mut workspace = predictor.workspace().unwrap();
    let mut out = [7.0; 18];
    let mut ranked = [Ranked { class: 77, score: 7.0 }; 4];
    let length = |argument, expected, actual| Error::Length { argument, expected, actual };
    let mut predict = |x: &[f32], out: &mut [f32]| predictor.predict_into(x, out, &mut workspace);
    assert_eq!(predict(&[], &mut out), Err(Error::Empty { argument: "x" }));
    let partial = Error::PartialRow { argument: "x", length: 7, columns: 6 };
    assert_eq!(predict(&[0.0; 7], &mut out), Err(partial));
    assert_eq!(predict(&[0.0; 12], &mut out[..17]), Err(length("out", 18, 17)));
    // It is looked at before there is room for so many.
    for k in [10, usize::MAX] {
        let error = predictor.top_k(&[0.0; 12], k).unwrap_err();
        assert!(matches!(error, Error::OutOfRange { argument: "k", .. }), "{error:?}");
    }
    let mut top_k =
        |k, ranked: &mut [Ranked]| predictor.top_k_into(&[0.0; 12], k, ranked, &mut workspace);
    assert_eq!(top_k(0, &mut ranked), Err(Error::Zero { argument: "k" }));
    assert_eq!(
        top_k(10, &mut ranked).unwrap_err().to_string(),
        "`k` is 10, but it must be at most the number of outputs"
    );
    assert_eq!(top_k(1, &mut ranked), Err(length("ranked", 2, 4)));
    let narrow = crate::common::network::<f32>(&[6, 9], Activation::Tanh).build().unwrap();
    let mut workspace = narrow.freeze().unwrap().workspace().unwrap();
    let too_small = predictor.predict_into(&[0.0; 12], &mut out, &mut workspace);
    assert!(matches!(too_small, Err(Error::Length { argument: "workspace", .. })));
    let too_small = predictor.top_k_into(&[0.0; 12], 2, &mut ranked, &mut workspace);
    assert!(matches!(too_small, Err(Error::Length { argument: "workspace", .. })));
    assert_eq!(out, [7.0; 18]);
    assert_eq!(ranked, [Ranked { class: 77, score: 7.0 }; 4]);

    let scaling = |columns| Scaling::new(vec![0.0; columns], vec![2.0; columns]).unwrap();
    let build = |network, columns| {
        Predictor::<f32>::builder(network).scaling(&scaling(columns)).build().unwrap_err()
    };
    assert_eq!(build(&network, 5), length("scaling", 6, 5));
    let first = Categorical { column: 1, categories: 3, dimensions: 2 };
    let embedding = Network::builder(2).embedding([first]).build().unwrap();
    assert_eq!(
        build(&embedding, 2).to_string(),
        "`scaling` is 2, but it must be a centre of 0 and a factor of 1 in a categorical column, as \
         `Scaling::except` makes it"
    );
    let scaling = Scaling::new(vec![0.0, 3.0], vec![1.0; 2]).unwrap();
    assert!(matches!(
        Predictor::builder(&embedding).scaling(&scaling).build(),
        Err(Error::OutOfRange { argument: "scaling", value: 3.0, .. })
    ));
    let predictor = embedding.freeze().unwrap();
    assert!(matches!(predictor.predict(&[0.0, 3.0]), Err(Error::Category { value: 3.0, .. })));
}

#[test]
fn of_layers_that_do_nothing_gives_what_it_takes() {
    let layers = [Layer::Dropout { rate: 0.5 }, Layer::Activation(Activation::Identity)];
    let builder = layers.into_iter().fold(Network::builder(3), NetworkBuilder::layer);
    let predictor = builder.build().unwrap().freeze().unwrap();
    let x = sample::<f32>(3 * 70, 1);
    assert_eq!(predictor.predict(&x).unwrap(), x);
}
