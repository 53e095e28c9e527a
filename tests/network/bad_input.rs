//! Bad input gives a typed error that names the argument and both numbers, and changes nothing.

use crate::common::{bits, labels, network, sample};
use deltarule::{
    Activation, Categorical, Error, Isa, Layer, Loss, Network, NetworkBuilder, Optimizer, Targets,
    Trainer, Workspace,
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

        let (x, labels, mut values) = good();
        // A binary cross-entropy takes no others.
        values.iter_mut().for_each(|value| *value = value.abs());
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
    fails_with(
        &sample(71 * INPUTS, 1),
        classes,
        "`x` has 71 rows, but the trainer was built for 70: see `TrainerBuilder::max_batch`",
    );
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
        "the loss MeanSquaredError needs targets that are values, but they are classes: a \
         cross-entropy over classes takes those, and one of two classes by a single output values \
         of 0 and 1",
    );
    let mut trainer = trainer(Loss::SoftmaxCrossEntropy, Isa::active().unwrap());
    let error = trainer.gradients(&x, classes, &mut [0.0; 43]).unwrap_err();
    assert_eq!(error, Error::Length { argument: "gradients", expected: 44, actual: 43 });
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

/// Labels of −1 and 1 are no probabilities, and would be learned from without end; nor are there
/// counts below 0.
#[test]
fn targets_that_the_loss_has_no_minimum_for() {
    let (x, _, mut values) = good();
    values.iter_mut().for_each(|value| *value = value.abs());
    let binary = Loss::BinaryCrossEntropy { positive_weight: 1.0 };
    let share = "must be between 0 and 1 for a binary cross-entropy";
    let count = "must be 0 or more for Poisson's loss";
    for (loss, value, expected) in
        [(binary, -1.0, share), (binary, 1.5, share), (Loss::Poisson, -0.5, count)]
    {
        values[7] = value;
        let message = format!("`targets` is {value}, but it {expected}");
        fails(loss, &x, Targets::Values(&values), &message);
    }
}

#[test]
fn a_loss_that_overflows() {
    let (x, _, mut values) = good();
    values[5] = 3e38;
    fails(
        Loss::MeanSquaredError,
        &x,
        Targets::Values(&values),
        "the loss of 70 rows is inf: unless a loss of your own has it so, the parameters or the \
         outputs have overflowed; try a smaller learning rate, clipping, or inputs and targets that \
         are scaled",
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
fn categories_that_are_not_there() {
    let column = Categorical { column: 1, categories: 7, dimensions: 2 };
    let builder =
        Network::builder(INPUTS).embedding([column]).batch_norm().dense(OUTPUTS, Activation::Relu);
    for isa in Isa::available() {
        categories_are_checked(builder.clone().isa(isa).build().unwrap());
    }
}

fn categories_are_checked(network: Network) {
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
        let hint = match value.fract() {
            0.0 => "",
            _ => "; if it was scaled, `Scaling::except` leaves it as it is",
        };
        let message = format!(
            "row 67 of `x` has {name} in column 1, but its 7 categories are the whole numbers from \
             0{hint}"
        );
        let mut gradients = vec![0.5; before.parameters().len()];
        let errors = [
            trainer.step(&x, targets).unwrap_err(),
            trainer.gradients(&x, targets, &mut gradients).unwrap_err(),
            trainer.accumulate(&x, targets, 100).unwrap_err(),
            trainer.evaluate(&x, targets).unwrap_err(),
            trainer.network().predict(&x).unwrap_err(),
            trainer.network().trace(&x, |_, _, _| {}).unwrap_err(),
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
    let on_another_isa = Isa::available().filter(|&isa| isa != own.isa()).map(|isa| {
        network::<f32>(&[INPUTS, 5, OUTPUTS], Activation::Relu).isa(isa).build().unwrap()
    });
    let others = [build(50, Activation::Relu), build(5, Activation::Gelu)];
    for other in others.into_iter().chain(on_another_isa) {
        *trainer.network_mut() = own.clone();
        trainer.accumulate(&x, targets, ROWS).unwrap();
        trainer.network_mut().clone_from(&other);
        let mut gradients = vec![0.5; own.parameters().len()];
        for error in [
            trainer.step(&x, targets).unwrap_err(),
            trainer.gradients(&x, targets, &mut gradients).unwrap_err(),
            trainer.evaluate(&x, targets).unwrap_err(),
            trainer.accumulate(&x, targets, ROWS).unwrap_err(),
            trainer.step_accumulated().unwrap_err(),
        ] {
            assert_eq!(error, Error::OtherNetwork);
        }
        assert_eq!(trainer.network().parameters(), other.parameters());
        trainer.discard_accumulated();
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
    // Large enough, but for moments, for what a layer normalization keeps, and for outputs.
    let mut workspace = Workspace::new(&wide).unwrap();
    let layers = [
        (Layer::batch_norm(), OUTPUTS, 6 * 5),
        (Layer::layer_norm(), OUTPUTS, 3 * 256),
        (Layer::Dropout { rate: 0.5 }, OUTPUTS + 1, 256 * (OUTPUTS + 1)),
    ];
    for (layer, outputs, expected) in layers {
        let network = Network::builder(INPUTS).dense(5, Activation::Relu).layer(layer);
        let network = network.dense(outputs, Activation::Identity).build().unwrap();
        let error =
            network.predict_into(&x, &mut vec![0.5; 2 * outputs], &mut workspace).unwrap_err();
        assert!(
            matches!(error, Error::Length { argument: "workspace", expected: it, .. } if it == expected),
            "{error}"
        );
    }
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

/// x̂ is 0 then, and the loss finite.
#[test]
fn a_variance_that_overflows() {
    let network = Network::builder(1).batch_norm().dense(1, Activation::Identity).build().unwrap();
    let mut trainer =
        Trainer::builder(network, Loss::MeanSquaredError, Optimizer::adam(0.1)).build().unwrap();
    let (x, y) = ([1.0f32, 2.0, 3.0, 4.0], [0.0f32; 4]);
    trainer.step(&x, Targets::Values(&y)).unwrap();
    let before = (trainer.network().parameters().to_vec(), trainer.network().statistics().to_vec());
    let huge = [1.0, 2.0, 2e20, 4.0];
    let error = trainer.step(&huge, Targets::Values(&y)).unwrap_err();
    let is_it = |error| matches!(error, Error::NonFiniteVariance { layer: 0, variance } if variance == f64::INFINITY);
    assert!(is_it(error));
    assert!(is_it(trainer.accumulate(&huge, Targets::Values(&y), 4).unwrap_err()));
    let network = trainer.network();
    assert_eq!((network.parameters(), network.statistics()), (&before.0[..], &before.1[..]));
    trainer.step(&x, Targets::Values(&y)).unwrap();
    assert!(trainer.evaluate(&x, Targets::Values(&y)).unwrap().loss.is_finite());
}

/// After it the gradient has no place any more, until one is made.
#[test]
fn a_rule_that_panics_once() {
    struct Panics(bool);
    impl deltarule::UpdateRule<f32> for Panics {
        fn update(&mut self, _: deltarule::Stretch<'_, f32>) {
            assert!(std::mem::take(&mut self.0), "once");
            self.0 = false;
        }
    }
    // Of several spans.
    let network = Network::builder(8)
        .dense(1200, Activation::Relu)
        .dense(4, Activation::Identity)
        .build()
        .unwrap();
    let count = network.parameters().len();
    let mut trainer = Trainer::builder(network, Loss::SoftmaxCrossEntropy, Optimizer::sgd(0.1))
        .max_batch(900)
        .threads(1)
        .build()
        .unwrap();
    trainer.use_rule(Panics(false)).unwrap();
    let (x, labels) = (vec![0.5; 8 * 900], vec![1; 900]);
    let (mut expected, mut found) = (vec![0.0; count], vec![0.0; count]);
    trainer.gradients(&x, Targets::Classes(&labels), &mut expected).unwrap();
    let step = std::panic::AssertUnwindSafe(|| trainer.step(&x, Targets::Classes(&labels)));
    assert!(std::panic::catch_unwind(step).is_err());
    trainer.gradients(&x, Targets::Classes(&labels), &mut found).unwrap();
    assert_eq!(found, expected);
}
