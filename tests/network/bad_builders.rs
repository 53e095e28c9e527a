//! What can not be built gives a typed error that names the argument and the number.

use crate::common::network;
use deltarule::kernels::optimizer::{
    Adagrad, Adam, Decay, Epsilon, Lion, Momentum, NAdam, RmsProp,
};
use deltarule::{
    Activation, Categorical, Error, Init, Layer, Loss, Network, NetworkBuilder, Optimizer,
    ParameterGroup, Trainer,
};

#[test]
fn numbers_that_have_no_meaning() {
    let trainer = |loss, optimizer| {
        let network = Network::builder(1).dense(1, Activation::Identity).build().unwrap();
        Trainer::builder(network, loss, optimizer).build()
    };
    let build = |loss, optimizer| trainer(loss, optimizer).map(|_| ()).map_err(|e| e.to_string());
    let fails = |optimizer, message: &str| {
        assert_eq!(build(Loss::MeanSquaredError, optimizer).unwrap_err(), message);
    };
    for rate in [f64::NAN, f64::INFINITY, -0.1] {
        let message = format!("`learning_rate` is {rate}, but it must be finite and not negative");
        for optimizer in [
            Optimizer::sgd(rate),
            Optimizer::momentum(rate, 0.9),
            Optimizer::nesterov(rate, 0.9),
            Optimizer::rms_prop(rate),
            Optimizer::adam(rate),
            Optimizer::nadam(rate),
            Optimizer::adagrad(rate),
            Optimizer::lion(rate),
        ] {
            fails(optimizer, &message);
        }
        let mut trainer = trainer(Loss::MeanSquaredError, Optimizer::sgd(0.1)).unwrap();
        assert_eq!(trainer.set_learning_rate(rate).unwrap_err().to_string(), message);
        assert_eq!(trainer.optimizer().learning_rate(), 0.1);
    }
    for (optimizer, argument, value) in [
        (Optimizer::momentum(0.1, 1.0), "momentum", 1.0),
        (Optimizer::new(RmsProp { rho: 1.0, ..RmsProp::default() }), "rho", 1.0),
        (Optimizer::new(RmsProp { momentum: -0.5, ..RmsProp::default() }), "momentum", -0.5),
        (Optimizer::new(Adam { beta1: 1.5, ..Adam::default() }), "beta1", 1.5),
        (Optimizer::new(Adam { beta2: -0.5, ..Adam::default() }), "beta2", -0.5),
        (Optimizer::new(NAdam { beta1: 1.0, ..NAdam::default() }), "beta1", 1.0),
        (Optimizer::new(NAdam { beta2: 1.0, ..NAdam::default() }), "beta2", 1.0),
        (Optimizer::new(Lion { beta1: 1.0, ..Lion::default() }), "beta1", 1.0),
        (Optimizer::new(Lion { beta2: -0.1, ..Lion::default() }), "beta2", -0.1),
    ] {
        fails(
            optimizer,
            &format!("`{argument}` is {value}, but it must be at least 0 and below 1"),
        );
    }
    for dampening in [f64::NAN, -0.1, 1.5] {
        let message = format!("`dampening` is {dampening}, but it must be between 0 and 1");
        fails(Optimizer::new(Momentum { dampening, ..Momentum::default() }), &message);
    }
    let (inside, outside) = (Epsilon::InsideRoot(0.0), Epsilon::OutsideRoot(f64::NAN));
    for (optimizer, value) in [
        (Optimizer::new(RmsProp { epsilon: inside, ..RmsProp::default() }), 0.0),
        (Optimizer::new(Adam { epsilon: inside, ..Adam::default() }), 0.0),
        (Optimizer::new(Adam { epsilon: outside, ..Adam::default() }), f64::NAN),
        (Optimizer::new(NAdam { epsilon: inside, ..NAdam::default() }), 0.0),
        (Optimizer::new(Adagrad { epsilon: inside, ..Adagrad::default() }), 0.0),
    ] {
        fails(optimizer, &format!("`epsilon` is {value}, but it must be finite and above 0"));
    }
    let decay = |decay| Optimizer::sgd(0.1).decay(decay);
    for (optimizer, argument, value) in [
        (
            Optimizer::new(NAdam { momentum_decay: -0.5, ..NAdam::default() }),
            "momentum_decay",
            -0.5,
        ),
        (Optimizer::new(Adagrad { rate_decay: -0.5, ..Adagrad::default() }), "rate_decay", -0.5),
        (decay(Decay { l2: -1.0, ..Decay::default() }), "decay.l2", -1.0),
        (decay(Decay { l1: f64::INFINITY, ..Decay::default() }), "decay.l1", f64::INFINITY),
        (Optimizer::adam_w(0.1, -1.0), "decay.decoupled", -1.0),
    ] {
        fails(
            optimizer,
            &format!("`{argument}` is {value}, but it must be finite and not negative"),
        );
    }
    let above = "but it must be finite and above 0";
    fails(Optimizer::sgd(0.1).clip_norm(0.0), &format!("`clip_norm` is 0, {above}"));
    fails(Optimizer::sgd(0.1).clip_value(-2.0), &format!("`clip_value` is -2, {above}"));
    let huber = Loss::Huber { threshold: 0.0 };
    assert_eq!(
        build(huber, Optimizer::sgd(0.1)).unwrap_err(),
        format!("`threshold` is 0, {above}")
    );
    assert_eq!(
        build(Loss::SmoothedCrossEntropy { smoothing: 1.5 }, Optimizer::sgd(0.1)).unwrap_err(),
        "`smoothing` is 1.5, but it must be between 0 and 1"
    );
    for quantile in [0.0, 1.0, -0.5, f64::NAN] {
        assert_eq!(
            build(Loss::Quantile { quantile }, Optimizer::sgd(0.1)).unwrap_err(),
            format!("`quantile` is {quantile}, but it must be above 0 and below 1")
        );
    }
    let two = Network::builder(1).dense(2, Activation::Identity).build().unwrap();
    let smoothed = Loss::SmoothedCrossEntropy { smoothing: 1.0 };
    Trainer::builder(two, smoothed, Optimizer::sgd(0.1)).build().unwrap();
    assert_eq!(
        build(Loss::BinaryCrossEntropy { positive_weight: 0.0 }, Optimizer::sgd(0.1)).unwrap_err(),
        format!("`positive_weight` is 0, {above}")
    );
}

#[test]
fn networks_that_can_not_be() {
    let build = |inputs, widths: &[usize]| {
        let mut builder = Network::builder(inputs);
        for &width in widths {
            builder = builder.dense(width, Activation::Relu);
        }
        builder.build().unwrap_err()
    };
    assert_eq!(build(0, &[1]), Error::Zero { argument: "inputs" });
    assert_eq!(build(1, &[2, 0]), Error::Zero { argument: "outputs" });
    assert_eq!(build(1, &[]), Error::Empty { argument: "layers" });
    let half = usize::MAX / 2 + 1;
    let overflow = Error::Overflow { argument: "weights", rows: half, columns: 2 };
    assert_eq!(build(2, &[half]), overflow);
    assert!(matches!(
        build(1, &[usize::MAX]),
        Error::Overflow { argument: "parameters", rows: usize::MAX, columns: 1 }
    ));
    assert!(matches!(
        build(1, &[usize::MAX / 4, 1]),
        Error::OutOfMemory { argument: "parameters", .. }
    ));
    assert!(matches!(
        NetworkBuilder::<f64>::new(1 << 30).dense(1 << 30, Activation::Tanh).build(),
        Err(Error::OutOfMemory { argument: "parameters", elements }) if elements > 1 << 60
    ));
}

#[test]
fn layers_that_can_not_be() {
    let build = |layers: &[Layer]| {
        let builder = layers.iter().cloned().fold(Network::builder(3), NetworkBuilder::layer);
        builder.build().unwrap_err()
    };
    let fails = |layer: Layer, message: &str| {
        assert_eq!(build(&[layer]).to_string(), message);
    };
    let share = "must be at least 0 and below 1";
    fails(Layer::Dropout { rate: 1.0 }, &format!("`rate` is 1, but it {share}"));
    fails(Layer::Dropout { rate: f64::NAN }, &format!("`rate` is NaN, but it {share}"));
    // Masks are told apart by 16 bits of the layer's index.
    let deep = vec![Layer::Activation(Activation::Identity); 1 << 16];
    assert_eq!(
        build(&[deep, vec![Layer::Dropout { rate: 0.5 }]].concat()).to_string(),
        "`index of a dropout layer` is 65536, but it must be at most 65535"
    );
    let batch_norm = |momentum, epsilon| Layer::BatchNorm { momentum, epsilon, affine: true };
    let share = "must be above 0 and at most 1";
    fails(batch_norm(0.0, 1e-5), &format!("`momentum` is 0, but it {share}"));
    fails(batch_norm(1.5, 1e-5), &format!("`momentum` is 1.5, but it {share}"));
    let above = "must be finite and above 0";
    fails(batch_norm(0.1, 0.0), &format!("`epsilon` is 0, but it {above}"));
    let layer_norm = Layer::LayerNorm { epsilon: f64::INFINITY, affine: false };
    fails(layer_norm, &format!("`epsilon` is inf, but it {above}"));
    let (elu, leaky) = (Activation::Elu { alpha: f64::NAN }, f64::NEG_INFINITY);
    fails(Layer::dense(1, elu), "`alpha` is NaN, but it must be finite");
    let leaky = Layer::Activation(Activation::LeakyRelu { slope: leaky });
    fails(leaky, "`slope` is -inf, but it must be finite");
    for (low, high, message) in [
        (f64::NAN, 1.0, "`low` is NaN, but it must be finite"),
        (0.0, f64::NAN, "`high` is NaN, but it must be finite"),
        (0.0, f64::INFINITY, "`high` is inf, but it must be finite"),
        (1.0, -0.5, "`low` is 1, but it must be at most `high`"),
    ] {
        let clip = Activation::Clip { low, high };
        fails(Layer::dense(1, clip), message);
        fails(Layer::Activation(clip), message);
    }
    let init = |init| Layer::dense(1, Activation::Tanh).with_init(init);
    let not_negative = "must be finite and not negative";
    fails(init(Init::Orthogonal { gain: -1.0 }), &format!("`gain` is -1, but it {not_negative}"));
    let normal = Init::Normal { deviation: f64::NAN };
    fails(init(normal), &format!("`deviation` is NaN, but it {not_negative}"));
    fails(init(Init::Constant(f64::NAN)), "`constant` is NaN, but it must be finite");
    let network =
        Network::builder(1).dense(1, Activation::Tanh).init(Init::Uniform { bound: -1.0 });
    assert!(matches!(network.build(), Err(Error::OutOfRange { argument: "bound", .. })));

    fails(Layer::Residual(Vec::new()), "`residual` has 0 elements, but at least 1 is needed");
    let narrow = Layer::Residual(vec![Layer::batch_norm(), Layer::dense(2, Activation::Relu)]);
    assert_eq!(
        build(&[Layer::layer_norm(), narrow.clone()]),
        Error::ResidualWidth { first: 1, inputs: 3, outputs: 2 }
    );
    assert_eq!(
        build(&[Layer::Residual(vec![narrow])]),
        Error::ResidualWidth { first: 0, inputs: 3, outputs: 2 }
    );

    let embedding = |columns: &[(usize, usize, usize)]| {
        let columns = columns.iter().map(|&(column, categories, dimensions)| Categorical {
            column,
            categories,
            dimensions,
        });
        Layer::Embedding { columns: columns.collect(), init: None }
    };
    fails(
        embedding(&[(0, 1, 1)]).with_init(normal),
        &format!("`deviation` is NaN, but it {not_negative}"),
    );
    fails(embedding(&[]), "`columns` has 0 elements, but at least 1 is needed");
    fails(embedding(&[(0, 0, 1)]), "`categories` is 0, but at least 1 is needed");
    fails(embedding(&[(0, 1, 0)]), "`dimensions` is 0, but at least 1 is needed");
    let not_there =
        |index, column| Error::Column { argument: "columns", index, column, columns: 3 };
    assert_eq!(build(&[embedding(&[(2, 1, 1), (3, 1, 1)])]), not_there(1, 3));
    assert_eq!(build(&[embedding(&[(2, 1, 1), (2, 1, 1)])]), not_there(1, 2));
    let not_first = Error::NotFirst { layer: "embedding", index: 1 };
    assert_eq!(build(&[Layer::batch_norm(), embedding(&[(0, 1, 1)])]), not_first);
    let half = usize::MAX / 2 + 1;
    assert!(matches!(build(&[embedding(&[(0, half, 2)])]), Error::Overflow { .. }));
    assert!(matches!(
        build(&[embedding(&[(0, 1, usize::MAX / 2), (1, 1, usize::MAX / 2 + 1)])]),
        Error::Overflow { .. }
    ));
}

#[test]
fn groups_that_can_not_be() {
    let build = |layers: std::ops::Range<usize>, group| {
        let network = network::<f32>(&[3, 5, 4], Activation::Relu).build().unwrap();
        Trainer::builder(network, Loss::MeanSquaredError, Optimizer::sgd(0.1))
            .group(layers, group)
            .build()
            .map(|_| ())
    };
    let outside = Error::Layer { argument: "layers", index: 3, layers: 2 };
    assert_eq!(build(0..3, ParameterGroup::frozen()).unwrap_err(), outside);
    assert_eq!(build(3..3, ParameterGroup::frozen()).unwrap_err(), outside);
    build(0..2, ParameterGroup::frozen()).unwrap();
    assert_eq!(
        build(0..1, ParameterGroup::with_learning_rate_factor(-1.0)).unwrap_err().to_string(),
        "`learning_rate_factor` is -1, but it must be finite and not negative"
    );
}

#[test]
fn trainers_that_can_not_be() {
    let build_with = |network: NetworkBuilder, max_batch, threads| {
        Trainer::builder(network.build().unwrap(), Loss::MeanSquaredError, Optimizer::sgd(0.1))
            .max_batch(max_batch)
            .threads(threads)
            .build()
            .map(|_| ())
            .unwrap_err()
    };
    let dense = || Network::builder(2).dense(4, Activation::Identity);
    let build = |max_batch, threads| build_with(dense(), max_batch, threads);
    assert_eq!(build(0, 1), Error::Zero { argument: "max_batch" });
    assert_eq!(build(1, 0), Error::Zero { argument: "threads" });
    assert!(matches!(build(usize::MAX, 1), Error::OutOfMemory { argument: "losses", .. }));
    // A batch normalization wants all rows at once.
    let build = |max_batch| build_with(dense().batch_norm(), max_batch, 1);
    assert!(matches!(build(usize::MAX), Error::Overflow { argument: "activations", .. }));
    assert!(matches!(build(usize::MAX / 64), Error::OutOfMemory { argument: "activations", .. }));
}

/// Each trains next to nothing, and says nothing.
#[test]
fn outputs_that_a_loss_can_not_be_of() {
    let build = |builder: NetworkBuilder<f32>, loss| {
        Trainer::builder(builder.build().unwrap(), loss, Optimizer::sgd(0.1)).build().map(|_| ())
    };
    let binary = Loss::BinaryCrossEntropy { positive_weight: 1.0 };
    let ends = |outputs, activation| Network::builder(2).dense(outputs, activation);
    for (builder, loss) in [
        (ends(1, Activation::Identity), Loss::SoftmaxCrossEntropy),
        (ends(1, Activation::Identity), Loss::SmoothedCrossEntropy { smoothing: 0.1 }),
        (ends(1, Activation::Sigmoid), binary),
        (ends(3, Activation::Identity).activation(Activation::Sigmoid), binary),
    ] {
        let error = build(builder, loss).unwrap_err();
        assert!(matches!(error, Error::LossOfOutputs { .. }), "{error}");
    }
    for (builder, loss) in [
        (ends(2, Activation::Identity), Loss::SoftmaxCrossEntropy),
        (ends(1, Activation::Identity), binary),
        (ends(1, Activation::Sigmoid), Loss::MeanSquaredError),
        (ends(1, Activation::Sigmoid).dense(1, Activation::Identity), binary),
    ] {
        build(builder, loss).unwrap();
    }
}
