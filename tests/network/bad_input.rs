//! Bad input gives a typed error that names the argument and both numbers, and changes nothing.

use deltarule::kernels::optimizer::{Adam, Epsilon};

use crate::common::{bits, labels, network, sample};
use deltarule::{
    Activation, Categorical, Error, Init, Isa, Layer, Loss, Network, NetworkBuilder, Optimizer,
    ParameterGroup, Targets, Trainer, Workspace,
};

const INPUTS: usize = 3;
const OUTPUTS: usize = 4;
const ROWS: usize = 70;

fn trainer(loss: Loss, isa: Isa) -> Trainer {
    let network = network(&[INPUTS, 5, OUTPUTS], Activation::Relu).isa(isa).build().unwrap();
    Trainer::builder(network, loss, Optimizer::sgd(0.1)).max_batch(ROWS).build().unwrap()
}

/// Every call that learns or scores fails with the same error, writes nothing, and leaves a
/// trainer that works.
fn fails(loss: Loss, x: &[f32], targets: Targets<'_>, message: &str) {
    for isa in Isa::available() {
        let mut trainer = trainer(loss, isa);
        let before = bits(trainer.network().parameters());
        let mut gradients = vec![0.5; before.len()];
        let error = trainer.step(x, targets).unwrap_err();
        assert_eq!(error.to_string(), message, "{isa}");
        let again = trainer.gradients(x, targets, &mut gradients).unwrap_err();
        assert_eq!(again.to_string(), message, "{isa}: gradients");
        assert!(gradients.iter().all(|&g| g == 0.5), "{isa}: a gradient was written");
        if !matches!(error, Error::BatchTooLarge { .. }) {
            let error = trainer.evaluate(x, targets).unwrap_err();
            assert_eq!(error.to_string(), message, "{isa}: evaluate");
        }
        assert_eq!(bits(trainer.network().parameters()), before, "{isa}: the weights changed");

        let (x, labels, values) = good();
        let targets = match loss {
            Loss::SoftmaxCrossEntropy => Targets::Classes(&labels),
            _ => Targets::Values(&values),
        };
        let mut fresh = self::trainer(loss, isa);
        assert_eq!(trainer.step(&x, targets), fresh.step(&x, targets), "{isa}: a step after");
        let parameters = bits(trainer.network().parameters());
        assert_eq!(parameters, bits(fresh.network().parameters()), "{isa}: weights after");
        assert_ne!(parameters, before);
    }
}

fn good() -> (Vec<f32>, Vec<usize>, Vec<f32>) {
    (sample(ROWS * INPUTS, 1), labels(ROWS, OUTPUTS, 2), sample(ROWS * OUTPUTS, 3))
}

#[test]
fn shapes() {
    let (x, labels, values) = good();
    let classes = Targets::Classes(&labels);
    let fails_with =
        |x: &[f32], targets, message| fails(Loss::SoftmaxCrossEntropy, x, targets, message);
    fails_with(&[], classes, "`x` has 0 elements, but at least 1 is needed");
    fails_with(&x[1..], classes, "`x` has 209 elements, which is no multiple of its 3 columns");
    fails_with(&sample(71 * INPUTS, 1), classes, "`x` has 71 rows, but `max_batch` is 70");
    fails_with(&x, Targets::Classes(&labels[1..]), "`targets` has 69 elements, but 70 are needed");
    fails_with(&x, Targets::Values(&values[1..]), "`targets` has 279 elements, but 280 are needed");
    fails(
        Loss::MeanSquaredError,
        &x,
        Targets::Values(&values[..1]),
        "`targets` has 1 elements, but 280 are needed",
    );
    fails(
        Loss::MeanSquaredError,
        &x,
        classes,
        "the loss MeanSquaredError needs targets that are values, but they are classes",
    );
}

#[test]
fn labels_out_of_range() {
    let (x, mut labels, _) = good();
    labels[69] = OUTPUTS;
    fails(
        Loss::SoftmaxCrossEntropy,
        &x,
        Targets::Classes(&labels),
        "`targets[69]` is class 4, but there are only 4 classes",
    );
    labels[2] = usize::MAX;
    fails(
        Loss::SoftmaxCrossEntropy,
        &x,
        Targets::Classes(&labels),
        &format!("`targets[2]` is class {}, but there are only 4 classes", usize::MAX),
    );
}

#[test]
fn non_finite_inputs_and_targets_at_every_position() {
    let (x, labels, values) = good();
    for (value, name) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf"), (-f32::INFINITY, "-inf")] {
        for index in [0, 1, 63 * INPUTS + 2, 64 * INPUTS, ROWS * INPUTS - 1] {
            let mut x = x.clone();
            x[index] = value;
            // A second one later must not be the one that is named.
            x[ROWS * INPUTS - 1] = value;
            let message =
                format!("`x[{index}]` is {name}, but only finite values can be learned from");
            fails(Loss::SoftmaxCrossEntropy, &x, Targets::Classes(&labels), &message);
        }
        for index in [0, 64 * OUTPUTS + 1, ROWS * OUTPUTS - 1] {
            let mut values = values.clone();
            values[index] = value;
            let message =
                format!("`targets[{index}]` is {name}, but only finite values can be learned from");
            fails(Loss::MeanSquaredError, &good().0, Targets::Values(&values), &message);
        }
    }
}

#[test]
fn the_first_of_many_in_a_pool() {
    const WIDE: usize = 150;
    let network = network::<f32>(&[WIDE, 150, 10], Activation::Relu).build().unwrap();
    let trainer = Trainer::builder(network, Loss::SoftmaxCrossEntropy, Optimizer::sgd(0.1));
    let mut trainer = trainer.max_batch(400).build().unwrap();
    let before = bits(trainer.network().parameters());
    let mut x = sample::<f32>(400 * WIDE, 1);
    for row in [70, 130, 399] {
        x[row * WIDE + 3] = f32::NAN;
    }
    let labels = labels(400, 10, 2);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    for _ in 0..20 {
        let error = pool.install(|| trainer.step(&x, Targets::Classes(&labels)).unwrap_err());
        assert!(
            matches!(error, Error::NonFinite { argument: "x", index, .. } if index == 70 * WIDE + 3)
        );
    }
    assert_eq!(bits(trainer.network().parameters()), before);
}

#[test]
fn a_loss_that_overflows() {
    let (x, _, mut values) = good();
    values[5] = 3e38;
    fails(
        Loss::MeanSquaredError,
        &x,
        Targets::Values(&values),
        "the loss of 70 rows is inf: the parameters or the outputs have overflowed",
    );

    let (x, labels, _) = good();
    let mut spoilt = trainer(Loss::SoftmaxCrossEntropy, Isa::active().unwrap());
    spoilt.network_mut().parameters_mut()[0] = f32::NAN;
    let before = bits(spoilt.network().parameters());
    let error = spoilt.step(&x, Targets::Classes(&labels)).unwrap_err();
    assert!(matches!(error, Error::NonFiniteLoss { rows: ROWS, loss } if loss.is_nan()));
    assert_eq!(bits(spoilt.network().parameters()), before);
}

#[test]
fn a_gradient_whose_norm_overflows() {
    let network = NetworkBuilder::<f64>::new(1).dense(1, Activation::Identity).build().unwrap();
    let optimizer = Optimizer::sgd(0.1).clip_norm(1.0);
    let mut trainer =
        Trainer::builder(network, Loss::MeanAbsoluteError, optimizer).build().unwrap();
    trainer.network_mut().parameters_mut().fill(0.5);
    let error = trainer.step(&[1e200], Targets::Values(&[0.0])).unwrap_err();
    assert!(matches!(error, Error::NonFiniteGradient { rows: 1, norm: f64::INFINITY }), "{error}");
    assert_eq!(trainer.network().parameters(), [0.5, 0.5]);
    assert_eq!(trainer.steps(), 0);
    trainer.step(&[1.0], Targets::Values(&[0.0])).unwrap();
    assert_eq!(trainer.steps(), 1);
}

/// The squares of these are beyond f32, but not their norm.
#[test]
fn a_huge_gradient_is_clipped() {
    let network = Network::builder(1).dense(1, Activation::Identity).build().unwrap();
    let optimizer = Optimizer::sgd(0.1).clip_norm(1.0);
    let mut trainer =
        Trainer::builder(network, Loss::MeanAbsoluteError, optimizer).build().unwrap();
    trainer.network_mut().parameters_mut().fill(0.5);
    trainer.step(&[1e30], Targets::Values(&[0.0])).unwrap();
    assert_eq!(trainer.network().parameters(), [0.4, 0.5]);
}

#[test]
fn numbers_that_have_no_meaning() {
    let build = |loss, optimizer| {
        let network = Network::builder(1).dense(1, Activation::Identity).build().unwrap();
        Trainer::builder(network, loss, optimizer).build().map(|_| ()).map_err(|e| e.to_string())
    };
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
        let mut trainer = trainer(Loss::MeanSquaredError, Isa::active().unwrap());
        assert_eq!(trainer.set_learning_rate(rate).unwrap_err().to_string(), message);
        assert_eq!(trainer.optimizer().learning_rate(), 0.1);
    }
    let share = "must be at least 0 and below 1";
    fails(Optimizer::momentum(0.1, 1.0), &format!("`momentum` is 1, but it {share}"));
    let adam = Adam { beta2: -0.5, ..Adam::default() };
    fails(Optimizer::new(adam), &format!("`beta2` is -0.5, but it {share}"));
    let epsilon = Epsilon::OutsideRoot(f64::NAN);
    fails(
        Optimizer::new(Adam { epsilon, ..Adam::default() }),
        "`epsilon` is NaN, but it must be finite and not negative",
    );
    fails(
        Optimizer::adam_w(0.1, -1.0),
        "`decay.decoupled` is -1, but it must be finite and not negative",
    );
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
    let batch_norm = |momentum, epsilon| Layer::BatchNorm { momentum, epsilon, affine: true };
    let share = "must be above 0 and at most 1";
    fails(batch_norm(0.0, 1e-5), &format!("`momentum` is 0, but it {share}"));
    fails(batch_norm(1.5, 1e-5), &format!("`momentum` is 1.5, but it {share}"));
    let above = "must be finite and above 0";
    fails(batch_norm(0.1, 0.0), &format!("`epsilon` is 0, but it {above}"));
    let layer_norm = Layer::LayerNorm { epsilon: f64::INFINITY, affine: false };
    fails(layer_norm, &format!("`epsilon` is inf, but it {above}"));
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
fn categories_that_are_not_there() {
    let column = Categorical { column: 1, categories: 7, dimensions: 2 };
    let network = Network::builder(INPUTS)
        .embedding([column])
        .batch_norm()
        .dense(OUTPUTS, Activation::Relu)
        .build()
        .unwrap();
    let new = Trainer::builder(network, Loss::SoftmaxCrossEntropy, Optimizer::adam(0.1));
    let mut trainer = new.max_batch(ROWS).build().unwrap();
    let (mut good, labels, _) = good();
    good.iter_mut().skip(1).step_by(INPUTS).for_each(|x| *x = 6.0);
    let targets = Targets::Classes(&labels);
    let before = trainer.network().clone();
    for (value, name) in
        [(7.0, "7"), (-1.0, "-1"), (0.5, "0.5"), (1e30, "1000000015047466200000000000000")]
    {
        let mut x = good.clone();
        x[67 * INPUTS + 1] = value;
        let message = format!(
            "row 67 of `x` has {name} in column 1, but its 7 categories are the whole numbers from 0"
        );
        let mut gradients = vec![0.5; before.parameters().len()];
        let errors = [
            trainer.step(&x, targets).unwrap_err(),
            trainer.gradients(&x, targets, &mut gradients).unwrap_err(),
            trainer.accumulate(&x, targets, 100).unwrap_err(),
            trainer.evaluate(&x, targets).unwrap_err(),
            trainer.network().predict(&x).unwrap_err(),
        ];
        errors.iter().for_each(|error| assert_eq!(error.to_string(), message));
        assert!(gradients.iter().all(|&g| g == 0.5));
        let mut out = vec![0.5; ROWS * OUTPUTS];
        let mut workspace = Workspace::new(&before).unwrap();
        before.predict_into(&x, &mut out, &mut workspace).unwrap_err();
        assert!(out.iter().all(|&y| y == 0.5));
        let after = trainer.network();
        assert!(after.layers().eq(before.layers()), "{name}");
    }
    let mut unknown = good.clone();
    unknown[1] = f32::NAN;
    assert!(matches!(before.predict(&unknown), Err(Error::Category { row: 0, column: 1, .. })));
    trainer.step(&good, targets).unwrap();
}

#[test]
fn a_network_of_other_layers_in_a_trainer() {
    let (x, labels, _) = good();
    let targets = Targets::Classes(&labels);
    let mut trainer = trainer(Loss::SoftmaxCrossEntropy, Isa::active().unwrap());
    let own = trainer.network().clone();
    let build = |hidden, activation| {
        network::<f32>(&[INPUTS, hidden, OUTPUTS], activation).build().unwrap()
    };
    for other in [build(50, Activation::Relu), build(5, Activation::Gelu)] {
        trainer.network_mut().clone_from(&other);
        let mut gradients = vec![0.5; own.parameters().len()];
        for error in [
            trainer.step(&x, targets).unwrap_err(),
            trainer.gradients(&x, targets, &mut gradients).unwrap_err(),
            trainer.evaluate(&x, targets).unwrap_err(),
            trainer.accumulate(&x, targets, ROWS).unwrap_err(),
        ] {
            assert_eq!(error, Error::OtherNetwork);
        }
        assert_eq!(trainer.network().parameters(), other.parameters());
    }
    *trainer.network_mut() = build(5, Activation::Relu);
    trainer.step(&x, targets).unwrap();
}

#[test]
fn parts_that_are_not_a_batch() {
    let (x, labels, _) = good();
    let mut trainer = trainer(Loss::SoftmaxCrossEntropy, Isa::active().unwrap());
    let before = bits(trainer.network().parameters());
    let targets = Targets::Classes(&labels);
    let rows = |rows, batch_rows, announced| Error::BatchRows { rows, batch_rows, announced };
    assert_eq!(trainer.step_accumulated().unwrap_err(), rows(0, 0, 0));
    assert_eq!(trainer.accumulate(&x, targets, 69).unwrap_err(), rows(70, 69, 69));
    trainer.accumulate(&x, targets, 100).unwrap();
    assert_eq!(trainer.accumulate(&x, targets, 140).unwrap_err(), rows(140, 140, 100));
    assert_eq!(trainer.accumulate(&x, targets, 100).unwrap_err(), rows(140, 100, 100));
    assert_eq!(
        trainer.step_accumulated().unwrap_err().to_string(),
        "70 rows of a batch of 100 were accumulated, of which 100 were announced"
    );
    assert_eq!(bits(trainer.network().parameters()), before);
    trainer.accumulate(&x[..30 * INPUTS], Targets::Classes(&labels[..30]), 100).unwrap();
    assert_eq!(trainer.step_accumulated().unwrap().rows, 100);
    assert_ne!(bits(trainer.network().parameters()), before);
    assert_eq!(trainer.step_accumulated().unwrap_err(), rows(0, 100, 100));
}

#[test]
fn groups_that_can_not_be() {
    let build = |layers: std::ops::Range<usize>, group| {
        let network = network::<f32>(&[INPUTS, 5, OUTPUTS], Activation::Relu).build().unwrap();
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

#[test]
fn predictions() {
    let wide = network::<f32>(&[INPUTS, 50, OUTPUTS], Activation::Relu).build().unwrap();
    let narrow = network::<f32>(&[INPUTS, 5, OUTPUTS], Activation::Relu).build().unwrap();
    let x = sample::<f32>(2 * INPUTS, 1);
    assert_eq!(narrow.predict(&[]).unwrap_err(), Error::Empty { argument: "x" });
    assert_eq!(
        narrow.classify(&x[1..]).unwrap_err().to_string(),
        "`x` has 5 elements, which is no multiple of its 3 columns"
    );
    let mut out = [0.5; 2 * OUTPUTS];
    let mut workspace = Workspace::new(&narrow).unwrap();
    let short = narrow.predict_into(&x, &mut out[1..], &mut workspace).unwrap_err();
    assert_eq!(short, Error::Length { argument: "out", expected: 8, actual: 7 });
    let small = wide.predict_into(&x, &mut out, &mut workspace).unwrap_err();
    assert!(matches!(small, Error::Length { argument: "workspace", .. }));
    assert_eq!(out, [0.5; 2 * OUTPUTS]);
    narrow.predict_into(&x, &mut out, &mut Workspace::new(&wide).unwrap()).unwrap();
    assert_eq!(out.as_slice(), narrow.predict(&x).unwrap());
}

#[test]
fn rows_to_gather() {
    let gather = |x: &[f32], columns, rows: &[usize], out: &mut [f32]| {
        deltarule::data::gather(x, columns, rows, out).unwrap_err().to_string()
    };
    let mut out = [0.5; 4];
    let x = sample::<f32>(6, 1);
    assert_eq!(gather(&x, 2, &[0, 3], &mut out), "`rows[1]` is row 3, but there are only 3 rows");
    assert_eq!(gather(&x, 2, &[0], &mut out), "`out` has 4 elements, but 2 are needed");
    assert_eq!(gather(&x, 0, &[0], &mut out), "`columns` is 0, but at least 1 is needed");
    assert_eq!(out, [0.5; 4]);
}
