//! 100 steps equal 50, a checkpoint, and 50 more.

use core::ops::ControlFlow::{Break, Continue};
use deltarule::data::Dataset;
use deltarule::kernels::optimizer::Decay;
use deltarule::{
    Activation, Averaging, Checkpoint, EarlyStopping, Element, End, Epoch, Error, Every, Fit,
    History, Layer, Loss, Metric, Monitor, Network, NetworkBuilder, Optimizer, Outcome,
    ParameterGroup, ReduceOnPlateau, Reduction, Schedule, Stretch, Targets, Trainer,
    TrainerBuilder, UpdateRule,
};

use std::thread::sleep;
use std::time::Duration;

use super::Temporary;
use super::common::{ZOO_OUTPUTS, bits, sample, zoo, zoo_rows};

fn optimizers() -> [Optimizer; 8] {
    [
        Optimizer::sgd(0.05),
        Optimizer::nesterov(0.02, 0.9).clip_norm(0.5),
        Optimizer::rms_prop(0.01),
        Optimizer::adam(0.01),
        Optimizer::adam_w(0.01, 0.01).clip_value(0.5),
        Optimizer::nadam(0.01).decay(Decay { l2: 0.01, ..Decay::default() }),
        Optimizer::adagrad(0.05),
        Optimizer::lion(0.001),
    ]
}

const EXPONENTIAL: Averaging = Averaging::Exponential { decay: 0.9 };

fn steps_equal_halves<E: Element>(
    network: &NetworkBuilder<E>,
    optimizer: Optimizer,
    (averaging, after): (Averaging, u64),
    name: &str,
) {
    let build = || {
        let network = network.clone().build().unwrap();
        Trainer::builder(network, Loss::MeanSquaredError, optimizer)
            .seed(7)
            .group(1..2, ParameterGroup::with_learning_rate_factor(0.5))
            .average(averaging)
            .average_after(after)
            .build()
            .unwrap()
    };
    let (x, y) = (zoo_rows::<E>(9, 1), sample::<E>(9 * ZOO_OUTPUTS, 2));
    let steps = |trainer: &mut Trainer<E>| {
        for _ in 0..50 {
            trainer.step(&x, Targets::Values(&y)).unwrap();
        }
    };
    let mut whole = build();
    steps(&mut whole);
    let bytes = whole.checkpoint().to_bytes();
    steps(&mut whole);
    let mut half = build();
    half.set_learning_rate(0.3).unwrap();
    half.restore(&Checkpoint::from_bytes(&bytes).unwrap()).unwrap();
    assert_eq!(half.steps(), 50);
    steps(&mut half);
    let of = |trainer: &Trainer<E>| {
        let network = trainer.network();
        let states: Vec<_> = trainer.states().map(bits).collect();
        let average = trainer.average().unwrap();
        let weights = [network, average.network()]
            .map(|network| (bits(network.parameters()), bits(network.statistics())));
        (weights, states, average.updates())
    };
    assert_eq!(of(&half), of(&whole), "{name} by {optimizer:?}");
    assert_eq!(half.optimizer(), whole.optimizer());
}

#[test]
fn a_hundred_steps_of_every_layer_and_optimizer() {
    for (name, network) in zoo::<f32>() {
        steps_equal_halves(&network, Optimizer::adam(0.01), (EXPONENTIAL, 0), name);
    }
    let (name, network) = zoo::<f64>().swap_remove(0);
    for optimizer in optimizers() {
        steps_equal_halves(&network, optimizer, (Averaging::Equal, 0), name);
    }
    // Broken off before the average begins, as it does, and after.
    for after in [49, 50, 51, 75] {
        steps_equal_halves(&network, Optimizer::sgd(0.05), (Averaging::Equal, after), name);
    }
}

fn data() -> Dataset {
    let x = sample::<f32>(2 * 60, 1);
    let third = |point: &[f32]| ((point[0] + point[1] + 2.0) * 0.75).min(2.0) as usize;
    let labels = x.chunks_exact(2).map(third).collect();
    Dataset::from_classes(x, 2, labels).unwrap()
}

fn trainer_builder() -> TrainerBuilder {
    let network = Network::builder(2)
        .dense(8, Activation::Tanh)
        .batch_norm()
        .dropout(0.2)
        .dense(3, Activation::Identity)
        .seed(3)
        .build()
        .unwrap();
    Trainer::builder(network, Loss::SoftmaxCrossEntropy, Optimizer::adam(0.3))
}

/// Everything that can be said about a fit; its high rate soon makes the network worse.
fn plan<'a>(trainer: &'a mut Trainer, data: &'a Dataset) -> Fit<'a> {
    let monitor = Monitor::Metric(Metric::Accuracy);
    let rule = ReduceOnPlateau { patience: 0, threshold: 0.3, factor: 0.5, ..Default::default() };
    trainer
        .fit(data)
        .epochs(20)
        .batch(7)
        .seed(11)
        .validation_split(0.25)
        .metric(Metric::RocAuc)
        .metric(Metric::Accuracy)
        .gradient_norms()
        .schedule(Schedule::cosine(12.0, 0.1).warm_up(2.0, 0.5))
        .reduce_on_plateau(rule, monitor)
        .early_stopping(EarlyStopping { patience: 3, min_delta: 0.05, ..EarlyStopping::default() })
}

/// What is the same whenever it happens.
fn timeless(history: &History) -> (Vec<Epoch>, Option<u64>, End) {
    let mut epochs = history.epochs().to_vec();
    epochs.iter_mut().for_each(|epoch| epoch.seconds = 0.0);
    (epochs, history.best().map(|epoch| epoch.epoch), history.end())
}

#[test]
fn a_fit_that_is_broken_off_after_any_step() {
    goes_on_after_any_step(trainer_builder);
}

#[test]
fn a_fit_with_an_average_that_is_broken_off_after_any_step() {
    goes_on_after_any_step(|| trainer_builder().average(EXPONENTIAL).average_after(9));
}

fn goes_on_after_any_step(trainer_builder: impl Fn() -> TrainerBuilder) {
    let data = data();
    let mut whole = trainer_builder().build().unwrap();
    let history = plan(&mut whole, &data).run().unwrap();
    assert_eq!(history.end(), End::EarlyStopping);
    let rates: Vec<f64> = history.epochs().iter().map(|epoch| epoch.learning_rate).collect();
    assert!(rates.last() < Some(&0.15), "the plateau is to reduce the rate: {rates:?}");
    let steps = history.last().unwrap().steps;
    let file = Temporary::new("fit");
    for broken_after in (1..=steps).step_by(3).chain([7, 14]) {
        let mut first = trainer_builder().build().unwrap();
        let broken = plan(&mut first, &data)
            .on_step(
                |step| if step.time.step + 1 < broken_after { Continue(()) } else { Break(()) },
            )
            .checkpoint(&file.0, Every::Epochs(1000))
            .run()
            .unwrap();
        assert_eq!(broken.end(), End::Callback);
        let mut second = trainer_builder().build().unwrap();
        let checkpoint = Checkpoint::read(&file.0).unwrap();
        assert_eq!(checkpoint.steps(), broken_after);
        let resumed = plan(&mut second, &data).resume(checkpoint).run().unwrap();
        assert_eq!(timeless(&resumed), timeless(&history), "after {broken_after}");
        let [second_network, whole_network] = [&second, &whole].map(Trainer::network);
        let weights =
            |network: &Network| bits(&[network.parameters(), network.statistics()].concat());
        assert_eq!(weights(second_network), weights(whole_network), "after {broken_after}");
        let [second_average, whole_average] = [&second, &whole]
            .map(|trainer| trainer.average().map(|average| weights(average.network())));
        assert_eq!(second_average, whole_average, "after {broken_after}");
        assert_eq!(second.optimizer(), whole.optimizer());
    }
}

#[test]
fn an_epoch_that_is_taken_up_again_has_the_seconds_of_both_parts() {
    const PAUSE: Duration = Duration::from_millis(20);
    let (data, file) = (data(), Temporary::new("seconds"));
    let mut trainer = trainer_builder().build().unwrap();
    let fit = trainer.fit(&data).epochs(1).checkpoint(&file.0, Every::Steps(9));
    let pausing = fit.on_step(|_| {
        sleep(PAUSE);
        Break(())
    });
    pausing.run().unwrap();
    let checkpoint = Checkpoint::read(&file.0).unwrap();
    let history = trainer.fit(&data).epochs(1).resume(checkpoint).run().unwrap();
    assert!(history.epochs()[0].seconds >= PAUSE.as_secs_f64());
}

#[test]
fn a_fit_writes_as_often_as_it_should() {
    let data = data();
    let file = Temporary::new("often");
    let run = |every, epochs| {
        let mut seen = Vec::new();
        let mut trainer = trainer_builder().build().unwrap();
        let fit = trainer.fit(&data).epochs(epochs).batch(20).checkpoint(&file.0, every);
        let on_step = |_: &deltarule::Step| {
            seen.push(Checkpoint::<f32>::read(&file.0).map_or(0, |checkpoint| checkpoint.steps()));
            Continue(())
        };
        fit.on_step(on_step).run().unwrap();
        seen.push(Checkpoint::<f32>::read(&file.0).unwrap().steps());
        std::fs::remove_file(&file.0).unwrap();
        seen
    };
    assert_eq!(run(Every::Epochs(1), 3), [0, 0, 0, 3, 3, 3, 6, 6, 6, 9]);
    assert_eq!(run(Every::Epochs(2), 3), [0, 0, 0, 0, 0, 0, 6, 6, 6, 9]);
    assert_eq!(run(Every::Steps(2), 2), [0, 0, 2, 2, 4, 4, 6]);
    assert_eq!(run(Every::Steps(100), 1), [0, 0, 0, 3]);
    let mut trainer = trainer_builder().build().unwrap();
    for every in [Every::Epochs(0), Every::Steps(0)] {
        let error = trainer.fit(&data).checkpoint(&file.0, every).run().unwrap_err();
        assert_eq!(error, Error::Zero { argument: "every" });
    }
    // What can't be written later is told before the first step.
    let directory = std::env::temp_dir();
    for nowhere in [file.0.join("nowhere"), directory] {
        let error = trainer.fit(&data).checkpoint(&nowhere, Every::Epochs(1)).run().unwrap_err();
        assert!(matches!(&error, Error::File { path, .. } if *path == nowhere), "{error}");
        assert_eq!(trainer.steps(), 0);
    }
}

#[test]
fn more_epochs_go_on_from_the_end() {
    let data = data();
    let file = Temporary::new("more");
    let fit = |trainer: &mut Trainer, epochs, checkpoint: Option<Checkpoint>| {
        let mut fit = trainer.fit(&data).epochs(epochs).checkpoint(&file.0, Every::Epochs(2));
        if let Some(checkpoint) = checkpoint {
            fit = fit.resume(checkpoint);
        }
        fit.run().unwrap()
    };
    let (mut whole, mut parts) =
        (trainer_builder().build().unwrap(), trainer_builder().build().unwrap());
    let history = fit(&mut whole, 5, None);
    fit(&mut parts, 3, None);
    let resumed = fit(&mut parts, 5, Some(Checkpoint::read(&file.0).unwrap()));
    assert_eq!(timeless(&resumed), timeless(&history));
    assert_eq!(bits(parts.network().parameters()), bits(whole.network().parameters()));
    // There is nothing left to do.
    let resumed = fit(&mut parts, 2, Some(Checkpoint::read(&file.0).unwrap()));
    assert_eq!((resumed.epochs().len(), resumed.end()), (5, End::Epochs));
    // What has stopped early does not go on.
    let [mut stopped, mut again] = [(); 2].map(|()| trainer_builder().build().unwrap());
    let fit = plan(&mut stopped, &data).checkpoint(&file.0, Every::Epochs(1000));
    let history = fit.run().unwrap();
    let fit = plan(&mut again, &data).resume(Checkpoint::read(&file.0).unwrap());
    assert_eq!(timeless(&fit.run().unwrap()), timeless(&history));
    assert_eq!(bits(again.network().parameters()), bits(stopped.network().parameters()));
}

/// Without the loss or the optimizer that the program put in, the training would be another.
#[test]
fn what_is_the_programs_own_has_to_be_put_in_again() {
    let squares = |outcome: Outcome<'_, f32>| {
        outcome.delta.copy_from_slice(outcome.outputs);
        outcome.outputs.iter().map(|y| f64::from(y * y) / 2.0).sum()
    };
    struct Still;
    impl UpdateRule<f32> for Still {
        fn update(&mut self, _: Stretch<'_, f32>) {}
    }
    let plain = || trainer_builder().build().unwrap();
    let (mut with_loss, mut with_rule) = (plain(), plain());
    with_loss.use_loss(squares).unwrap();
    with_rule.use_rule(Still).unwrap();
    for (own, what) in [(&mut with_loss, "loss"), (&mut with_rule, "optimizer")] {
        let mut forgetful = plain();
        for (from, to) in [(own.checkpoint(), &mut forgetful), (plain().checkpoint(), own)] {
            let error = to.restore(&from).unwrap_err();
            assert!(
                matches!(&error, Error::OtherTraining { what: named, .. } if named == what),
                "{error}"
            );
        }
    }
    let checkpoint = with_loss.checkpoint();
    with_loss.restore(&checkpoint).unwrap();
}

#[test]
fn another_training_is_refused_by_name() {
    let refused = |checkpoint: &Checkpoint, builder: TrainerBuilder, what: &str| {
        let mut trainer = builder.build().unwrap();
        let before = bits(trainer.network().parameters());
        let error = trainer.restore(checkpoint).unwrap_err();
        let Error::OtherTraining { what: named, .. } = &error else { panic!("{error}") };
        assert_eq!(named, what, "{error}");
        assert_eq!((trainer.steps(), bits(trainer.network().parameters())), (0, before));
    };
    let network = |width| {
        let network = Network::builder(3).dense(width, Activation::Relu);
        network.dense(2, Activation::Identity).build().unwrap()
    };
    let builder = |width| {
        Trainer::builder(network(width), Loss::MeanSquaredError, Optimizer::adam(0.1)).seed(1)
    };
    let mut trainer = builder(4).build().unwrap();
    trainer.step(&[0.5; 3], Targets::Values(&[1.0; 2])).unwrap();
    let checkpoint = trainer.checkpoint();
    builder(4).threads(1).max_batch(3).build().unwrap().restore(&checkpoint).unwrap();
    refused(&checkpoint, builder(5), "layer 0");
    refused(&checkpoint, builder(4).seed(2), "seed of the masks");
    refused(&checkpoint, builder(4).reduction(Reduction::MeanOverElements), "reduction");
    refused(&checkpoint, builder(4).group(1.., ParameterGroup::frozen()), "parameter groups");
    let average = "average of weights (after steps)";
    refused(&checkpoint, builder(4).average(EXPONENTIAL), average);
    let mut averaging = builder(4).average(EXPONENTIAL).build().unwrap();
    averaging.step(&[0.5; 3], Targets::Values(&[1.0; 2])).unwrap();
    let averaged = averaging.checkpoint();
    refused(&averaged, builder(4), average);
    refused(&averaged, builder(4).average(Averaging::Equal), average);
    refused(&averaged, builder(4).average(EXPONENTIAL).average_after(1), average);
    let other = |loss, optimizer| Trainer::builder(network(4), loss, optimizer).seed(1);
    refused(&checkpoint, other(Loss::MeanAbsoluteError, Optimizer::adam(0.1)), "loss");
    refused(&checkpoint, other(Loss::MeanSquaredError, Optimizer::lion(0.1)), "optimizer");
    let deep = network(4).specification().to_vec();
    let deep = deep.into_iter().chain([Layer::Dropout { rate: 0.5 }]);
    let deep = deep.fold(Network::builder(3), NetworkBuilder::layer).build().unwrap();
    let deep = Trainer::builder(deep, Loss::MeanSquaredError, Optimizer::adam(0.1)).seed(1);
    refused(&checkpoint, deep, "number of layers");
    let wide = Network::builder(4).dense(2, Activation::Identity).build().unwrap();
    let wide = Trainer::builder(wide, Loss::MeanSquaredError, Optimizer::adam(0.1)).seed(1);
    refused(&checkpoint, wide, "number of inputs");
}

/// What this fit has that its checkpoint has not.
fn differs_in(fit: Fit<'_>) -> String {
    let error = fit.run().unwrap_err();
    let Error::OtherTraining { what, .. } = error else { panic!("{error}") };
    what
}

#[test]
fn another_fit_is_refused_by_name() {
    let data = data();
    let file = Temporary::new("refused");
    let mut trainer = trainer_builder().build().unwrap();
    plan(&mut trainer, &data).epochs(1).checkpoint(&file.0, Every::Epochs(1)).run().unwrap();
    let checkpoint = Checkpoint::read(&file.0).unwrap();
    let refused = |change: &dyn Fn(Fit<'_>) -> String, what: &str| {
        let mut trainer = trainer_builder().build().unwrap();
        let before = bits(trainer.network().parameters());
        assert_eq!(change(plan(&mut trainer, &data).resume(checkpoint.clone())), what);
        assert_eq!((trainer.steps(), bits(trainer.network().parameters())), (0, before));
    };
    refused(&|fit| differs_in(fit.batch(8)), "batch");
    refused(&|fit| differs_in(fit.seed(8)), "seed of the rows' order");
    refused(&|fit| differs_in(fit.validation(&data)), "number of rows");
    refused(&|fit| differs_in(fit.metric(Metric::LogLoss)), "metrics");
    refused(&|fit| differs_in(fit.schedule(Schedule::constant())), "schedule");
    let by_step = Schedule::cosine(12.0, 0.1).warm_up(2.0, 0.5);
    refused(&|fit| differs_in(fit.schedule_by_step(by_step)), "schedule");
    refused(&|fit| differs_in(fit.early_stopping(EarlyStopping::patience(9))), "early stopping");
    let rule = ReduceOnPlateau::default();
    refused(
        &|fit| differs_in(fit.reduce_on_plateau(rule, Monitor::Loss)),
        "reduction on a plateau",
    );
    let mut trainer = trainer_builder().build().unwrap();
    let steps_only = trainer.checkpoint();
    assert_eq!(differs_in(plan(&mut trainer, &data).resume(steps_only)), "fit");
    let fit = trainer.fit(&data).epochs(1).validation(&data);
    fit.checkpoint(&file.0, Every::Epochs(1)).run().unwrap();
    let checkpoint = Checkpoint::read(&file.0).unwrap();
    let few = data.select(&[0, 1, 2]).unwrap();
    let fit = trainer.fit(&data).validation(&few).resume(checkpoint.clone());
    assert_eq!(differs_in(fit), "validation (share, rows)");
    let fit = trainer.fit(&data).validation(&data).gradient_norms().resume(checkpoint);
    assert_eq!(differs_in(fit), "choice to keep gradient norms");
}

#[test]
fn class_weights_are_kept() {
    let (data, weights) = (data(), [1.0, 2.5, 0.25]);
    let rows = (data.features(), data.targets());
    let build = || trainer_builder().class_weights(weights).build().unwrap();
    let mut first = build();
    first.step(rows.0, rows.1).unwrap();
    let checkpoint = Checkpoint::from_bytes(&first.checkpoint().to_bytes()).unwrap();
    let mut second = build();
    second.restore(&checkpoint).unwrap();
    assert_eq!(first.step(rows.0, rows.1), second.step(rows.0, rows.1));
    assert_eq!(bits(first.network().parameters()), bits(second.network().parameters()));
    let mut without = trainer_builder().build().unwrap();
    let error = without.restore(&checkpoint).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the checkpoint's list of class weights is [1.0, 2.5, 0.25], but this training's is []"
    );
}
