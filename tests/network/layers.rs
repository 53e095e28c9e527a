//! Every kind of layer: its gradient, what it does in evaluation, and what it keeps.

use crate::common::{ZOO_INPUTS, ZOO_OUTPUTS, bits, labels, sample, zoo, zoo_rows};
use deltarule::kernels::optimizer::Adam;
use deltarule::{
    Activation, Categorical, Isa, Layer, LayerRef, Loss, Network, NetworkBuilder, Optimizer,
    ParameterGroup, Targets, Trainer,
};

fn trainer(builder: NetworkBuilder<f64>, isa: Isa) -> Trainer<f64> {
    let mut network = builder.isa(isa).build().unwrap();
    let noise = sample::<f64>(network.parameters().len(), 3);
    for (parameter, noise) in network.parameters_mut().iter_mut().zip(noise) {
        *parameter += 0.3 * noise;
    }
    let optimizer = Optimizer::sgd(0.1);
    Trainer::builder(network, Loss::MeanSquaredError, optimizer).seed(5).build().unwrap()
}

/// Compares the gradient of every so-manieth parameter with that of the loss of training, which has
/// the masks of the step to come and moments of the batch.
fn check_gradient(
    name: &str,
    trainer: &mut Trainer<f64>,
    every: usize,
    is_learned: impl Fn(usize) -> bool,
) {
    const STEP: f64 = 1e-5;
    let rows = 70;
    let x = zoo_rows::<f64>(rows, 7);
    let y = sample::<f64>(rows * ZOO_OUTPUTS, 6);
    let targets = Targets::Values(&y);
    let count = trainer.network().parameters().len();
    let mut gradient = vec![f64::NAN; count];
    let mut unused = vec![0.0; count];
    trainer.gradients(&x, targets, &mut gradient).unwrap();
    assert!(gradient.iter().any(|&g| g.abs() > 1e-3), "{name}: the gradient vanishes");
    for (index, &analytic) in gradient.iter().enumerate() {
        if !is_learned(index) {
            assert_eq!(analytic, 0.0, "{name}: parameter {index} is not learned");
            continue;
        }
        if index % every != 0 {
            continue;
        }
        let theta = trainer.network().parameters()[index];
        let mut loss_at = |value| {
            trainer.network_mut().parameters_mut()[index] = value;
            trainer.gradients(&x, targets, &mut unused).unwrap().loss
        };
        let numeric = (loss_at(theta + STEP) - loss_at(theta - STEP)) / (2.0 * STEP);
        trainer.network_mut().parameters_mut()[index] = theta;
        assert!(
            (analytic - numeric).abs() <= 1e-7 + 1e-6 * numeric.abs(),
            "{name}: parameter {index}: {analytic} but numerically {numeric}"
        );
    }
}

/// Whether the parameter at an index belongs to a layer that learns.
fn learned(network: &Network<f64>, is_frozen: impl Fn(usize) -> bool) -> Vec<bool> {
    let of_layer = |(index, layer): (usize, LayerRef<'_, f64>)| {
        let (count, learns) = match layer {
            LayerRef::Dense(layer) => (layer.weights.len() + layer.biases.len(), true),
            LayerRef::BatchNorm(layer) => (2 * layer.gamma.len(), layer.affine),
            LayerRef::LayerNorm(layer) => (2 * layer.gamma.len(), layer.affine),
            LayerRef::Embedding(layer) => {
                (layer.tables().map(|(_, table)| table.len()).sum(), true)
            }
            _ => (0, false),
        };
        std::iter::repeat_n(learns && !is_frozen(index), count)
    };
    let learned: Vec<bool> = network.layers().enumerate().flat_map(of_layer).collect();
    assert_eq!(learned.len(), network.parameters().len());
    learned
}

#[test]
fn gradients_through_every_kind_of_layer() {
    for isa in Isa::available() {
        for (name, builder) in zoo() {
            let mut trainer = trainer(builder, isa);
            let learned = learned(trainer.network(), |_| false);
            check_gradient(&format!("{isa} {name}"), &mut trainer, 1, |index| learned[index]);
        }
    }
}

/// Freezes each layer, and all but each.
#[test]
fn gradients_where_layers_are_frozen() {
    for (name, builder) in zoo::<f64>() {
        let layers = builder.clone().build().unwrap().layers().len();
        for layer in 0..layers {
            for only in [false, true] {
                let is_frozen = |index| (index == layer) != only;
                let network = trainer(builder.clone(), Isa::active().unwrap()).into_network();
                let learned = learned(&network, is_frozen);
                if !learned.contains(&true) {
                    continue;
                }
                let mut trainer =
                    Trainer::builder(network, Loss::MeanSquaredError, Optimizer::adam(0.1));
                for index in (0..layers).filter(|&index| is_frozen(index)) {
                    trainer = trainer.group(index..=index, ParameterGroup::frozen());
                }
                let mut trainer = trainer.build().unwrap();
                let name = format!("{name}, layer {layer}, the only one: {only}");
                check_gradient(&name, &mut trainer, 11, |index| learned[index]);

                let before = trainer.network().clone();
                let x = zoo_rows::<f64>(70, 7);
                let y = sample::<f64>(70 * ZOO_OUTPUTS, 6);
                trainer.step(&x, Targets::Values(&y)).unwrap();
                let after = trainer.network();
                let layers = before.layers().zip(after.layers()).enumerate();
                for (index, (before, after)) in layers {
                    assert!(!is_frozen(index) || before == after, "{name}: {index} changed");
                }
                let changed = before.parameters().iter().zip(after.parameters());
                for ((before, after), learned) in changed.zip(learned) {
                    assert!(learned || before == after, "{name}");
                }
            }
        }
    }
}

#[test]
fn a_prediction_is_that_of_evaluation() {
    for (name, builder) in zoo::<f64>() {
        let mut trainer = trainer(builder, Isa::active().unwrap());
        let x = zoo_rows::<f64>(150, 7);
        let y = sample::<f64>(150 * ZOO_OUTPUTS, 6);
        for _ in 0..3 {
            trainer.step(&x, Targets::Values(&y)).unwrap();
        }
        let score = trainer.evaluate(&x, Targets::Values(&y)).unwrap();
        let predicted = trainer.network().predict(&x).unwrap();
        let mut last = Vec::new();
        trainer.network().trace(&x, |_, _, outputs| last = outputs.to_vec()).unwrap();
        assert_eq!(bits(&last), bits(&predicted), "{name}");
        let squares = predicted.iter().zip(&y).map(|(p, y)| (p - y).powi(2));
        let loss = squares.sum::<f64>() / 150.0;
        approx::assert_relative_eq!(score.loss, loss, max_relative = 1e-12);
        for (row, (x, together)) in
            x.chunks(ZOO_INPUTS).zip(predicted.chunks(ZOO_OUTPUTS)).enumerate()
        {
            let alone = trainer.network().predict(x).unwrap();
            assert_eq!(bits(&alone), bits(together), "{name}: row {row}");
        }
    }
}

#[test]
fn a_batch_in_parts_has_the_bits_of_the_whole() {
    for (name, builder) in zoo::<f32>() {
        let network = builder.build().unwrap();
        let has_batch_norm = network.layers().any(|layer| matches!(layer, LayerRef::BatchNorm(_)));
        let optimizer = Optimizer::adam_w(0.01, 0.1).clip_norm(0.5);
        let new = Trainer::builder(network, Loss::SoftmaxCrossEntropy, optimizer).seed(3);
        let mut whole = new.clone().max_batch(300).build().unwrap();
        let mut parts = new.max_batch(128).build().unwrap();
        for step in 0..3 {
            let x = zoo_rows::<f32>(300, step);
            let labels = labels(300, ZOO_OUTPUTS, 6);
            let whole_score = whole.step(&x, Targets::Classes(&labels)).unwrap();
            let mut sum = 0.0;
            for (x, labels) in x.chunks(128 * ZOO_INPUTS).zip(labels.chunks(128)) {
                let score = parts.accumulate(x, Targets::Classes(labels), 300).unwrap();
                assert_eq!(score.rows, labels.len());
                sum += score.loss * score.rows as f64;
            }
            let score = parts.step_accumulated().unwrap();
            assert_eq!(score.rows, 300);
            approx::assert_relative_eq!(sum, 300.0 * score.loss, max_relative = 1e-5);
            if !has_batch_norm {
                approx::assert_relative_eq!(score.loss, whole_score.loss, max_relative = 1e-5);
                assert_eq!(score.correct, whole_score.correct, "{name}");
                let (whole, parts) = (whole.network(), parts.network());
                assert_eq!(bits(parts.parameters()), bits(whole.parameters()), "{name}");
            }
        }
    }
}

#[test]
fn running_statistics_are_means_over_the_batches() {
    let network =
        NetworkBuilder::<f64>::new(2).batch_norm().dense(1, Activation::Identity).build().unwrap();
    assert_eq!(network.statistics(), [0.0, 0.0, 1.0, 1.0]);
    let trainer = Trainer::builder(network, Loss::MeanSquaredError, Optimizer::sgd(0.1));
    let mut trainer = trainer.build().unwrap();
    let x = [1.0, 10.0, 3.0, 10.0, 5.0, 40.0];
    trainer.step(&x, Targets::Values(&[0.0; 3])).unwrap();
    let expected = [0.3, 2.0, 0.9 + 0.1 * 4.0, 0.9 + 0.1 * 300.0];
    approx::assert_relative_eq!(trainer.network().statistics(), &expected[..], epsilon = 1e-12);
    let before = trainer.network().statistics().to_vec();
    let mut gradient = vec![0.0; trainer.network().parameters().len()];
    trainer.gradients(&x, Targets::Values(&[0.0; 3]), &mut gradient).unwrap();
    trainer.evaluate(&x, Targets::Values(&[0.0; 3])).unwrap();
    trainer.step(&x, Targets::Values(&[1e300; 3])).unwrap_err();
    assert_eq!(trainer.network().statistics(), before);
    trainer.accumulate(&x, Targets::Values(&[0.0; 3]), 6).unwrap();
    let expected: Vec<f64> =
        before.iter().zip([3.0, 20.0, 4.0, 300.0]).map(|(s, of_x)| 0.9 * s + 0.1 * of_x).collect();
    approx::assert_relative_eq!(trainer.network().statistics(), &expected[..], epsilon = 1e-12);
}

#[test]
fn masks_are_those_of_a_seed_and_a_step() {
    let new = |seed| {
        let network = NetworkBuilder::<f64>::new(200).dropout(0.5).dense(1, Activation::Identity);
        Trainer::builder(network.build().unwrap(), Loss::MeanSquaredError, Optimizer::sgd(0.0))
            .seed(seed)
            .build()
            .unwrap()
    };
    let x = vec![1.0; 200];
    let gradient = |trainer: &mut Trainer<f64>| {
        let mut gradient = vec![0.0; 201];
        trainer.gradients(&x, Targets::Values(&[1.0]), &mut gradient).unwrap();
        gradient
    };
    let mut trainer = new(1);
    let first = gradient(&mut trainer);
    let dropped = first.iter().filter(|&&g| g == 0.0).count();
    assert!((70..130).contains(&dropped), "{dropped} of 200 dropped");
    assert_eq!(gradient(&mut trainer), first);
    assert_eq!(gradient(&mut new(1)), first);
    assert_ne!(gradient(&mut new(2)), first);
    trainer.step(&x, Targets::Values(&[1.0])).unwrap();
    assert_ne!(gradient(&mut trainer), first);
}

/// A vector that does not occur keeps its bits and its optimizer's state, whatever the decay.
#[test]
fn only_vectors_that_occur_are_updated() {
    let column = Categorical { column: 0, categories: 9000, dimensions: 5 };
    let optimizers = [
        Optimizer::adam_w(0.1, 0.1),
        Optimizer::adam_w(0.1, 0.1).clip_norm(0.1),
        Optimizer::momentum(0.1, 0.9),
    ];
    for (optimizer, in_parts) in optimizers.into_iter().flat_map(|it| [(it, false), (it, true)]) {
        let step = |trainer: &mut Trainer<f64>, x: &[f64], y: &[f64]| {
            if !in_parts {
                return trainer.step(x, Targets::Values(y)).unwrap();
            }
            for (x, y_of_row) in x.chunks(2).zip(y.chunks(1)) {
                trainer.accumulate(x, Targets::Values(y_of_row), y.len()).unwrap();
            }
            trainer.step_accumulated().unwrap()
        };
        let network = NetworkBuilder::<f64>::new(2)
            .embedding([column])
            .dense(1, Activation::Identity)
            .build()
            .unwrap();
        let before = network.parameters().to_vec();
        let mut trainer =
            Trainer::builder(network, Loss::MeanSquaredError, optimizer).build().unwrap();
        let rows = [(7, 0.5), (8999, -0.25), (7, 1.0), (0, 2.0)];
        let x: Vec<f64> = rows.iter().flat_map(|&(c, x)| [f64::from(c), x]).collect();
        step(&mut trainer, &x, &[1.0, 2.0, 3.0, 4.0]);
        let after_one = trainer.network().parameters().to_vec();
        for (category, (before, after)) in
            before[..45000].chunks(5).zip(after_one.chunks(5)).enumerate()
        {
            let occurs = [0, 7, 8999].contains(&category);
            assert_eq!(before != after, occurs, "{optimizer:?}: {category}");
        }
        let mut gradient = vec![f64::NAN; after_one.len()];
        trainer.gradients(&[3.0, 1.0], Targets::Values(&[1.0]), &mut gradient).unwrap();
        for (category, gradient) in gradient[..45000].chunks(5).enumerate() {
            assert_eq!(gradient != [0.0; 5], category == 3, "{category}: {gradient:?}");
        }
        step(&mut trainer, &[3.0, 1.0], &[1.0]);
        for (category, (before, after)) in
            after_one[..45000].chunks(5).zip(trainer.network().parameters().chunks(5)).enumerate()
        {
            assert_eq!(before != after, category == 3, "{optimizer:?}: {category}");
        }
    }
}

/// The first step is that of a dense layer on one-hot columns.
#[test]
fn an_embedding_is_a_product_with_one_hot_rows() {
    let column = Categorical { column: 0, categories: 4, dimensions: 3 };
    let optimizer = Optimizer::new(Adam::default()).with_learning_rate(0.1);
    let embedding = NetworkBuilder::<f64>::new(1).embedding([column]).dense(2, Activation::Tanh);
    let one_hot = NetworkBuilder::<f64>::new(4)
        .dense_without_bias(3, Activation::Identity)
        .dense(2, Activation::Tanh);
    let (embedding, mut one_hot) = (embedding.build().unwrap(), one_hot.build().unwrap());
    for category in 0..4 {
        for dimension in 0..3 {
            let value = embedding.parameters()[category * 3 + dimension];
            one_hot.parameters_mut()[dimension * 4 + category] = value;
        }
    }
    one_hot.parameters_mut()[12..].copy_from_slice(&embedding.parameters()[12..]);
    let categories = labels(50, 4, 1);
    let x: Vec<f64> = categories.iter().map(|&c| c as f64).collect();
    let rows: Vec<f64> =
        categories.iter().flat_map(|&c| (0..4).map(move |i| f64::from(u8::from(i == c)))).collect();
    let y = sample::<f64>(100, 2);
    let trained = |network, x: &[f64]| {
        let trainer = Trainer::builder(network, Loss::MeanSquaredError, optimizer);
        let mut trainer = trainer.build().unwrap();
        trainer.step(x, Targets::Values(&y)).unwrap();
        trainer.into_network()
    };
    let (embedding, one_hot) = (trained(embedding, &x), trained(one_hot, &rows));
    for category in 0..4 {
        for dimension in 0..3 {
            approx::assert_relative_eq!(
                embedding.parameters()[category * 3 + dimension],
                one_hot.parameters()[dimension * 4 + category],
                max_relative = 1e-10
            );
        }
    }
}

#[test]
fn layers_are_there_to_look_at_and_to_build_again() {
    for (name, builder) in zoo::<f32>() {
        let network = builder.build().unwrap();
        let mut width = network.inputs();
        for layer in network.layers() {
            assert_eq!(layer.inputs(), width, "{name}: {layer:?}");
            width = layer.outputs();
        }
        assert_eq!(width, network.outputs());
        let again = NetworkBuilder::<f32>::new(network.inputs()).seed(42);
        let again = network.specification().iter().cloned().fold(again, NetworkBuilder::layer);
        let again = again.build().unwrap();
        assert!(again.layers().eq(network.layers()), "{name}");
    }
    let norm = Network::builder(3).residual(|block| block.layer_norm()).build().unwrap();
    assert_eq!(norm.summary().flops(), 3 * 11 + 3);
    let network = Network::builder(3)
        .layer(Layer::batch_norm())
        .residual(|block| block.dense(5, Activation::Relu).dense(3, Activation::Relu))
        .build()
        .unwrap();
    assert_eq!(network.layer(3), Some(LayerRef::Residual { width: 3, first: 1 }));
    let Some(LayerRef::BatchNorm(norm)) = network.layer(0) else { panic!("{network:?}") };
    assert_eq!((norm.gamma, norm.running_variance), (&[1.0; 3][..], &[1.0; 3][..]));
}
