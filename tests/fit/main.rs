//! `Trainer::fit`: what it does is what a loop over steps would do, and it says what it did.

#[path = "../network/common.rs"]
mod common;
mod range_test;
mod refused;

use common::{bits, sample};
use core::ops::ControlFlow::{Break, Continue};
use deltarule::data::{Batches, Dataset, Rows, gather, stratified_split};
use deltarule::metrics::{Average, mean_absolute_error};
use deltarule::{
    Activation, Averaging, EarlyStopping, End, Loss, Metric, Monitor, Network, NetworkBuilder,
    Optimizer, Predictor, ReduceOnPlateau, Schedule, Targets, Trainer, TrainerBuilder,
};
use std::time::Instant;

const ROWS: usize = 90;

/// Points in the square, and in which third of it they lie.
fn thirds() -> Dataset {
    let x = sample::<f32>(2 * ROWS, 1);
    let third = |point: &[f32]| ((point[0] + point[1] + 2.0) * 0.75).min(2.0) as usize;
    let labels = x.chunks_exact(2).map(third).collect();
    Dataset::from_classes(x, 2, labels).unwrap()
}

fn builder(optimizer: Optimizer) -> TrainerBuilder {
    let network = Network::builder(2).dense(8, Activation::Tanh).dense(3, Activation::Identity);
    let network = network.seed(3).build().unwrap();
    Trainer::builder(network, Loss::SoftmaxCrossEntropy, optimizer)
}

fn trainer() -> Trainer {
    builder(Optimizer::adam(0.01)).build().unwrap()
}

#[test]
fn a_fit_is_a_loop_over_steps() {
    let data = thirds();
    for batch in [1, 7, 32, ROWS] {
        let mut by_hand = trainer();
        let mut batches = Batches::new(ROWS, batch, 5).unwrap();
        let (mut loss, mut correct) = (0.0, 0);
        for epoch in 0..3 {
            (loss, correct) = (0.0, 0);
            for rows in batches.epoch(epoch) {
                let mut x = vec![0.0; 2 * rows.len()];
                gather(data.features(), 2, rows, &mut x).unwrap();
                let labels: Vec<usize> = rows.iter().map(|&row| data.labels()[row]).collect();
                let score = by_hand.step(&x, Targets::Classes(&labels)).unwrap();
                loss += score.loss * score.rows as f64;
                correct += score.correct.unwrap();
            }
        }
        let mut fitted = trainer();
        let start = Instant::now();
        let history = fitted.fit(&data).epochs(3).batch(batch).seed(5).run().unwrap();
        let seconds = history.curve("seconds").unwrap();
        assert!(seconds.iter().all(|&seconds| seconds > 0.0));
        assert!(seconds.iter().sum::<f64>() <= start.elapsed().as_secs_f64());
        assert_eq!(bits(fitted.network().parameters()), bits(by_hand.network().parameters()));
        let last = history.last().unwrap();
        assert_eq!((history.epochs().len(), history.end()), (3, End::Epochs));
        assert_eq!((last.epoch, last.steps), (3, 3 * ROWS.div_ceil(batch) as u64));
        assert_eq!((last.loss, last.accuracy), (loss / 90.0, Some(correct as f64 / 90.0)));
        assert_eq!((last.validation_loss, history.best()), (None, None));
    }
}

#[test]
fn a_validation_split_is_not_trained_on() {
    let data = thirds();
    let split = stratified_split(data.labels(), 0.3, 7).unwrap();
    let [train, test] = [split.train, split.test].map(|rows| data.select(&rows).unwrap());
    let mut apart = trainer();
    let expected = apart.fit(&train).validation(&test).seed(7).epochs(4).run().unwrap();
    let mut split = trainer();
    let fit = split.fit(&data).validation_split(0.3).seed(7).epochs(4);
    let history = fit.metric(Metric::LogLoss).run().unwrap();
    assert_eq!(bits(split.network().parameters()), bits(apart.network().parameters()));
    let score = split.evaluate(test.features(), test.targets()).unwrap();
    let last = history.last().unwrap();
    assert_eq!(last.validation_loss, Some(score.loss));
    approx::assert_relative_eq!(last.metrics[0], score.loss, max_relative = 1e-5);
    assert_eq!(last.validation_accuracy, score.accuracy());
    assert_eq!(history.curve("validation_loss"), expected.curve("validation_loss"));
}

#[test]
fn early_stopping_restores_the_best_weights() {
    let data = thirds();
    let mut trainer = trainer();
    // From the tenth epoch on the network is spoilt.
    let history = trainer
        .fit(&data)
        .validation_split(0.3)
        .epochs(100)
        .schedule_with(|time| if time.epoch < 10.0 { 1.0 } else { 300.0 })
        .early_stopping(EarlyStopping::patience(4))
        .run()
        .unwrap();
    assert_eq!(history.end(), End::EarlyStopping);
    let best = history.best().unwrap();
    assert_eq!(history.epochs().len() as u64, best.epoch + 5);
    assert!(history.last().unwrap().validation_loss > best.validation_loss);
    let smallest = history.curve("validation_loss").unwrap().into_iter().fold(f64::NAN, f64::min);
    assert_eq!(best.validation_loss, Some(smallest));
    let split = stratified_split(data.labels(), 0.3, 0).unwrap();
    let test = data.select(&split.test).unwrap();
    assert_eq!(trainer.evaluate(test.features(), test.targets()).unwrap().loss, smallest);
}

#[test]
fn an_average_is_what_is_judged_and_restored() {
    let data = thirds();
    let (train, validation) = data.split(0.3, 1).unwrap();
    let averaging = Averaging::Exponential { decay: 0.9 };
    let mut trainer = builder(Optimizer::adam(0.01)).average(averaging).build().unwrap();
    let mut networks = Vec::new();
    let fit = trainer.fit(&train).validation(&validation).metric(Metric::LogLoss).epochs(100);
    let history = fit
        .schedule_with(|time| if time.epoch < 10.0 { 1.0 } else { 300.0 })
        .early_stopping(EarlyStopping::patience(4))
        .on_epoch(|end| {
            networks.push(end.average.expect("it was asked for").clone());
            assert_ne!(
                bits(end.network.parameters()),
                bits(networks[networks.len() - 1].parameters())
            );
            Continue(())
        })
        .run()
        .unwrap();
    let (x, targets) = (validation.features(), validation.targets());
    for (epoch, network) in history.epochs().iter().zip(&networks) {
        let judge =
            Trainer::builder(network.clone(), Loss::SoftmaxCrossEntropy, Optimizer::sgd(1.0));
        let score = judge.build().unwrap().evaluate(x, targets).unwrap();
        assert_eq!(epoch.validation_loss, Some(score.loss));
        let outputs = network.predict(x).unwrap();
        assert_eq!(epoch.metrics, [Metric::LogLoss.evaluate(&outputs, 3, targets).unwrap()]);
    }
    let best = history.best().unwrap().epoch as usize - 1;
    assert!(best + 1 < networks.len());
    let average = trainer.average().unwrap();
    assert_eq!(average.updates(), 0);
    for network in [trainer.network(), average.network()] {
        assert_eq!(bits(network.parameters()), bits(networks[best].parameters()));
    }
}

#[test]
fn early_stopping_may_watch_a_metric() {
    let data = thirds();
    let mut trainer = trainer();
    let monitor = Monitor::Metric(Metric::Accuracy);
    let history = trainer
        .fit(&data)
        .metric(Metric::LogLoss)
        .metric(Metric::Accuracy)
        .epochs(30)
        .early_stopping(EarlyStopping { patience: 2, min_delta: 0.005, monitor })
        .run()
        .unwrap();
    // The metric is on the training rows, and after the epoch.
    let accuracies = history.curve("metric_accuracy").unwrap();
    let score = trainer.evaluate(data.features(), data.targets()).unwrap();
    let best = history.best().unwrap();
    assert_eq!(score.accuracy(), Some(best.metrics[1]));
    assert!(accuracies.iter().all(|&accuracy| accuracy < best.metrics[1] + 0.005));
    approx::assert_relative_eq!(score.loss, best.metrics[0], max_relative = 1e-5);
}

/// The squares overflow, and so R² is NaN, which is never better.
#[test]
fn early_stopping_when_no_epoch_is_better_than_none() {
    let data = Dataset::from_values(vec![0.5f64, 1.0], 1, vec![1e200, -1e200], 1).unwrap();
    let network = NetworkBuilder::<f64>::new(1).dense(1, Activation::Identity).build().unwrap();
    let builder = Trainer::builder(network, Loss::MeanAbsoluteError, Optimizer::sgd(0.1));
    let mut trainer = builder.build().unwrap();
    let monitor = Monitor::Metric(Metric::R2);
    let rule = EarlyStopping { patience: 2, monitor, ..EarlyStopping::default() };
    let history = trainer.fit(&data).metric(Metric::R2).early_stopping(rule).run().unwrap();
    assert!(history.epochs()[0].metrics[0].is_nan());
    assert_eq!((history.end(), history.epochs().len()), (End::EarlyStopping, 3));
    assert_eq!((history.best(), trainer.steps()), (None, 3));
}

#[test]
fn a_network_that_stays_as_it_is_becomes_no_better() {
    let data = thirds();
    let mut trainer = builder(Optimizer::sgd(0.0)).build().unwrap();
    let fit = trainer.fit(&data).epochs(100).validation(&data);
    let history = fit.early_stopping(EarlyStopping::default()).run().unwrap();
    // The first epoch is the best, and of five that are no better the next is the last.
    assert_eq!((history.best().unwrap().epoch, history.epochs().len()), (1, 7));
    let best: Vec<bool> =
        history.to_string().lines().skip(1).map(|line| line.ends_with("  best")).collect();
    assert_eq!(best, [true, false, false, false, false, false, false]);
}

/// Where a network learns logarithms of rates, its errors are those of the rates.
#[test]
fn metrics_of_counts_are_those_of_rates() {
    let x = sample::<f32>(2 * ROWS, 1);
    let counts: Vec<f32> = x.chunks_exact(2).map(|x| (3.0 * (x[0] + 1.0)).round()).collect();
    let network = Network::builder(2).dense(1, Activation::Identity).build().unwrap();
    let builder = Trainer::builder(network, Loss::Poisson, Optimizer::adam(0.05));
    let mut trainer = builder.build().unwrap();
    let rows = Rows::new(&x, 2, Targets::Values(&counts)).unwrap();
    let history = trainer.fit(rows).metric(Metric::MeanAbsoluteError).epochs(3).run().unwrap();
    let rates = Predictor::builder(trainer.network()).exp(true).build().unwrap().predict(&x);
    let expected = mean_absolute_error(&rates.unwrap(), &counts, 1).unwrap();
    assert_eq!(history.last().unwrap().metrics, [expected]);
}

#[test]
fn callbacks_see_and_stop() {
    let data = thirds();
    let schedule = Schedule::cosine(40.0, 0.0);
    let mut rates = Vec::new();
    let mut fitted = trainer();
    let history = fitted
        .fit(&data)
        .batch(10)
        .schedule_by_step(schedule)
        .on_step(|step| {
            rates.push((step.time.step, step.learning_rate));
            assert_eq!(step.score.rows, 10);
            if step.time.step == 20 { Break(()) } else { Continue(()) }
        })
        .run()
        .unwrap();
    assert_eq!((history.end(), history.epochs().len()), (End::Callback, 2));
    let expected = (0..21u32).map(|t| (u64::from(t), 0.01 * schedule.factor(f64::from(t))));
    assert_eq!(rates, expected.collect::<Vec<_>>());
    assert_eq!(fitted.optimizer().learning_rate(), 0.01, "the rate is what it was");

    let mut seen = Vec::new();
    let history = fitted
        .fit(&data)
        .on_epoch(|end| {
            seen.push((end.epoch.epoch, end.network.inputs()));
            if seen.len() == 2 { Break(()) } else { Continue(()) }
        })
        .run()
        .unwrap();
    assert_eq!((history.end(), seen), (End::Callback, vec![(1, 2), (2, 2)]));
    let mut calls = 0;
    let history = fitted
        .fit(&data)
        .early_stopping(EarlyStopping::default())
        .on_epoch(|_| Break(()))
        .on_epoch(|_| {
            calls += 1;
            Continue(())
        })
        .run()
        .unwrap();
    // The epoch at whose end it broke off counts.
    assert_eq!((history.best().map(|epoch| epoch.epoch), calls), (Some(1), 1));
}

#[test]
fn a_schedule_of_epochs_goes_on_within_them() {
    let data = thirds();
    for batch in [45, 50, 89] {
        let mut rates = Vec::new();
        let mut trainer = trainer();
        trainer
            .fit(&data)
            .batch(batch)
            .epochs(2)
            .schedule(Schedule::polynomial(2.0, 1.0, 0.0))
            .on_step(|step| {
                rates.push(step.learning_rate);
                Continue(())
            })
            .run()
            .unwrap();
        assert_eq!(rates, [0.01, 0.0075, 0.005, 0.0025], "batches of {batch}");
    }
}

#[test]
fn the_rate_falls_on_a_plateau() {
    let data = thirds();
    let mut trainer = trainer();
    let rule = ReduceOnPlateau { factor: 0.5, patience: 1, threshold: 10.0, ..Default::default() };
    let history =
        trainer.fit(&data).epochs(6).reduce_on_plateau(rule, Monitor::Loss).run().unwrap();
    // No loss is better than −9 times the first.
    let rates = history.curve("learning_rate").unwrap();
    assert_eq!(rates, [0.01, 0.01, 0.01, 0.005, 0.005, 0.0025]);
    let rule = ReduceOnPlateau { factor: 0.5, patience: 0, ..Default::default() };
    let fit = trainer.fit(&data).epochs(10).metric(Metric::Accuracy);
    let history = fit.reduce_on_plateau(rule, Monitor::Metric(Metric::Accuracy)).run().unwrap();
    let mut plateau = rule.start();
    let accuracies = history.epochs().iter().map(|epoch| epoch.metrics[0]);
    let expected: Vec<f64> =
        accuracies.map(|accuracy| 0.01 * plateau.observe(accuracy, true)).collect();
    assert_eq!(history.curve("learning_rate").unwrap()[1..], expected[..9]);
}

#[test]
fn gradient_norms_are_those_of_the_last_batch() {
    let data = thirds();
    let mut trainer = trainer();
    let history = trainer.fit(&data).batch(ROWS).epochs(2).gradient_norms().run().unwrap();
    let mut gradients = vec![0.0; trainer.network().parameters().len()];
    trainer.gradients(data.features(), data.targets(), &mut gradients).unwrap();
    let norm = |part: &[f32]| part.iter().map(|&g| f64::from(g * g)).sum::<f64>().sqrt();
    let expected = [norm(&gradients[..24]), norm(&gradients[24..])];
    for (got, expected) in history.last().unwrap().gradient_norms.iter().zip(expected) {
        approx::assert_relative_eq!(*got, expected, max_relative = 1e-5);
    }
    assert_eq!(history.epochs()[0].gradient_norms.len(), 2);
}

#[test]
fn a_history_can_be_read() {
    let data = thirds();
    let mut trainer = trainer();
    let history = trainer
        .fit(&data)
        .epochs(2)
        .validation_split(0.5)
        .metric(Metric::F1(Average::Macro))
        .metric(Metric::TopK(2))
        .metric(Metric::TopK(2))
        .run()
        .unwrap();
    let columns = history.columns();
    assert_eq!(
        columns,
        [
            "loss",
            "accuracy",
            "validation_loss",
            "validation_accuracy",
            "macro_f1",
            "top_2_accuracy",
            "learning_rate",
            "seconds"
        ]
    );
    let last = history.last().unwrap();
    for (column, value) in [
        ("loss", Some(last.loss)),
        ("accuracy", last.accuracy),
        ("validation_loss", last.validation_loss),
        ("validation_accuracy", last.validation_accuracy),
        ("macro_f1", Some(last.metrics[0])),
        ("top_2_accuracy", Some(last.metrics[1])),
        ("learning_rate", Some(last.learning_rate)),
        ("seconds", Some(last.seconds)),
    ] {
        assert_eq!(
            history.curve(column).and_then(|curve| curve.last().copied()),
            value,
            "{column}"
        );
    }
    assert_eq!(history.curve("nothing"), None);
    assert_eq!(history.metrics(), [Metric::F1(Average::Macro), Metric::TopK(2)]);
    let mut csv = Vec::new();
    history.write_csv(&mut csv).unwrap();
    let csv = String::from_utf8(csv).unwrap();
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines[0], format!("epoch,steps,{}", columns.join(",")));
    assert!(lines[2].starts_with(&format!("2,4,{},", history.epochs()[1].loss)), "{csv}");
    let table = history.to_string();
    assert_eq!(table.lines().count(), 3);
    let width = table.lines().next().unwrap().len();
    assert!(table.lines().all(|line| line.len() == width), "{table}");
}

#[test]
fn values_and_single_logits() {
    let x = sample::<f32>(ROWS, 2);
    let y: Vec<f32> = x.iter().map(|x| f32::from(u8::from(*x > 0.0))).collect();
    let network = Network::builder(1).dense(1, Activation::Identity).build().unwrap();
    let loss = Loss::BinaryCrossEntropy { positive_weight: 1.0 };
    let mut trainer = Trainer::builder(network, loss, Optimizer::adam(0.1)).build().unwrap();
    let rows = Rows::new(&x, 1, Targets::Values(&y)).unwrap();
    let history = trainer
        .fit(rows)
        .epochs(30)
        .validation(rows)
        .metric(Metric::Accuracy)
        .metric(Metric::RocAuc)
        .metric(Metric::LogLoss)
        .metric(Metric::RootMeanSquaredError)
        .run()
        .unwrap();
    let last = history.last().unwrap();
    assert_eq!((last.accuracy, last.validation_accuracy), (None, None));
    assert!(last.metrics[0] > 0.95, "{last:?}");
    assert_eq!(last.metrics[1], 1.0);
    approx::assert_relative_eq!(
        last.metrics[2],
        last.validation_loss.unwrap(),
        max_relative = 1e-5
    );
}

#[cfg(feature = "progress")]
#[test]
fn a_progress_bar_changes_nothing() {
    let data = thirds();
    let [mut shown, mut silent] = [trainer(), trainer()];
    shown.fit(&data).epochs(3).progress().run().unwrap();
    silent.fit(&data).epochs(3).run().unwrap();
    assert_eq!(bits(shown.network().parameters()), bits(silent.network().parameters()));
}
