//! What a fit refuses, and how it is left when something goes wrong.

use core::ops::ControlFlow::Continue;
use deltarule::data::{Dataset, Rows};
use deltarule::{
    Activation, Categorical, EarlyStopping, Error, Loss, Metric, Monitor, Network, Optimizer,
    ReduceOnPlateau, Schedule, Targets, Trainer,
};
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::common::bits;
use super::{ROWS, builder, thirds, trainer};

#[test]
fn numbers_to_be_predicted_are_no_classes() {
    let prices = Targets::Values(&[0.5, 3.0]);
    let message = "the metric roc_auc needs targets that are classes, or one value of 0 to 1 a row";
    let error = Metric::RocAuc.evaluate(&[0.2, 2.5], 1, prices).unwrap_err();
    assert_eq!(error.to_string(), message);
    assert!(Metric::R2.evaluate(&[0.2, 2.5], 1, prices).is_ok());

    let network = Network::builder(1).dense(1, Activation::Identity).build().unwrap();
    let builder = Trainer::builder(network, Loss::MeanSquaredError, Optimizer::sgd(0.1));
    let mut trainer = builder.build().unwrap();
    let good = Rows::new(&[1.0, 2.0], 1, Targets::Values(&[0.0, 1.0])).unwrap();
    let bad = Rows::new(&[1.0, 2.0], 1, prices).unwrap();
    for (rows, validation) in [(good, bad), (bad, good)] {
        let fit = trainer.fit(rows).validation(validation).metric(Metric::RocAuc);
        assert_eq!(fit.run().unwrap_err().to_string(), message);
    }
    assert_eq!(trainer.steps(), 0);
}

#[test]
fn a_panic_of_a_callback_leaves_the_learning_rate_as_it_was() {
    let (data, mut trainer) = (thirds(), trainer());
    let rate = trainer.optimizer().learning_rate();
    let fit = trainer.fit(data.view()).epochs(5).schedule(Schedule::exponential(0.5));
    let fit =
        fit.on_epoch(|end| if end.epoch.epoch == 3 { panic!("enough") } else { Continue(()) });
    let panic = catch_unwind(AssertUnwindSafe(|| fit.run())).unwrap_err();
    assert_eq!(panic.downcast_ref(), Some(&"enough"));
    assert_eq!(trainer.optimizer().learning_rate(), rate);
}

#[test]
fn a_category_is_looked_for_in_the_rows_that_have_it() {
    let network =
        Network::builder(1).embedding([Categorical { column: 0, categories: 3, dimensions: 2 }]);
    let network = network.dense(1, Activation::Identity).build().unwrap();
    let builder = Trainer::builder(network, Loss::MeanSquaredError, Optimizer::sgd(0.1));
    let mut trainer = builder.build().unwrap();
    let good = Rows::new(&[1.0, 2.0], 1, Targets::Values(&[0.0, 1.0])).unwrap();
    let bad = Rows::new(&[1.0, 3.0], 1, Targets::Values(&[0.0, 1.0])).unwrap();
    for (rows, validation, expected) in [(good, bad, "validation x"), (bad, good, "x")] {
        let error = trainer.fit(rows).validation(validation).run().unwrap_err();
        assert!(
            matches!(error, Error::Category { argument, row: 1, .. } if argument == expected),
            "{error:?}"
        );
    }
}

#[test]
fn an_error_leaves_a_trainer_that_works() {
    let mut spoilt = thirds();
    spoilt.features_mut()[100] = f32::NAN;
    let mut trainer = trainer();
    let error = trainer.fit(&spoilt).schedule(Schedule::exponential(0.5)).run().unwrap_err();
    assert!(matches!(error, Error::NonFinite { argument: "x", .. }), "{error}");
    assert_eq!(trainer.optimizer().learning_rate(), 0.01);
    trainer.fit(&thirds()).run().unwrap();
}

/// And is named by its place among all rows, not in a batch of them.
#[test]
fn a_bad_row_is_found_before_the_first_step() {
    let (good, mut trainer) = (thirds(), trainer());
    let mut with_nan = good.clone();
    with_nan.features_mut()[100] = f32::NAN;
    let mut labels = good.labels().to_vec();
    labels[77] = 3;
    let with_label = Dataset::from_classes(good.features().to_vec(), 2, labels).unwrap();
    let nan = "is NaN, but only finite values can be learned from";
    let class = "is class 3, but there are only 3 classes";
    for (train, validation, message) in [
        (&with_nan, None, format!("`x[100]` {nan}")),
        (&good, Some(&with_nan), format!("`validation x[100]` {nan}")),
        (&with_label, None, format!("`targets[77]` {class}")),
        (&good, Some(&with_label), format!("`validation targets[77]` {class}")),
    ] {
        let fit = trainer.fit(train).batch(4);
        let fit = match validation {
            Some(rows) => fit.validation(rows),
            None => fit.validation_split(0.2),
        };
        assert_eq!(fit.run().unwrap_err().to_string(), message);
        assert_eq!(trainer.steps(), 0);
    }
    let network = Network::builder(2).dense(1, Activation::Identity).build().unwrap();
    let builder = Trainer::builder(network, Loss::MeanAbsoluteError, Optimizer::sgd(0.1));
    let mut trainer = builder.build().unwrap();
    let mut values = vec![0.0; ROWS];
    values[50] = f32::INFINITY;
    let data = Dataset::from_values(good.features().to_vec(), 2, values, 1).unwrap();
    let error = trainer.fit(&data).batch(4).run().unwrap_err();
    let value = f64::INFINITY;
    assert_eq!(error, Error::NonFinite { argument: "targets", index: 50, value });
    assert_eq!(trainer.steps(), 0);
}

#[test]
fn what_makes_no_sense_is_refused_before_the_first_step() {
    let data = thirds();
    let wide = Dataset::from_classes(vec![0.0; 9], 3, vec![0; 3]).unwrap();
    let mut trainer = trainer();
    let before = bits(trainer.network().parameters());
    let mut fails = |fit: &dyn Fn(&mut Trainer) -> deltarule::Result<deltarule::History>,
                     message: &str| {
        assert_eq!(fit(&mut trainer).unwrap_err().to_string(), message);
        assert_eq!(bits(trainer.network().parameters()), before);
        assert_eq!((trainer.steps(), trainer.optimizer().learning_rate()), (0, 0.01));
    };
    fails(&|t| t.fit(&data).batch(0).run(), "`batch` is 0, but at least 1 is needed");
    fails(&|t| t.fit(&data).epochs(0).run(), "`epochs` is 0, but at least 1 is needed");
    fails(&|t| t.fit(&wide).run(), "`columns of the data` has 3 elements, but 2 are needed");
    fails(
        &|t| t.fit(&data).validation(&wide).run(),
        "`columns of the validation data` has 3 elements, but 2 are needed",
    );
    let values = Dataset::from_values(vec![0.0; 4], 2, vec![0.0; 2], 1).unwrap();
    fails(
        &|t| t.fit(&data).validation(&values).run(),
        "`validation targets` has 2 elements, but 6 are needed",
    );
    fails(
        &|t| t.fit(&data).validation_split(1.5).run(),
        "`test_share` is 1.5, but it must be between 0 and 1",
    );
    fails(
        &|t| t.fit(&data).validation_split(0.0).run(),
        "`validation rows` has 0 elements, but at least 1 is needed",
    );
    fails(
        &|t| t.fit(&data).validation_split(1.0).run(),
        "`training rows` has 0 elements, but at least 1 is needed",
    );
    fails(
        &|t| t.fit(&data).schedule(Schedule::step(0.0, 0.5)).run(),
        "`every` is 0, but it must be finite and above 0",
    );
    fails(
        &|t| t.fit(&data).schedule_with(|_| f64::NAN).run(),
        "`schedule` is NaN, but it must be finite and not negative",
    );
    fails(
        &|t| t.fit(&data).metric(Metric::R2).run(),
        "the metric r2 needs targets that are values",
    );
    let monitor = Monitor::Metric(Metric::RocAuc);
    let watching = EarlyStopping { monitor, ..EarlyStopping::default() };
    fails(
        &|t| t.fit(&data).early_stopping(watching).run(),
        "the metric roc_auc is monitored, but it is not evaluated",
    );
    fails(
        &|t| t.fit(&data).reduce_on_plateau(ReduceOnPlateau::default(), monitor).run(),
        "the metric roc_auc is monitored, but it is not evaluated",
    );
    let rule = ReduceOnPlateau { factor: 1.0, ..ReduceOnPlateau::default() };
    fails(
        &|t| t.fit(&data).reduce_on_plateau(rule, Monitor::Loss).run(),
        "`plateau.factor` is 1, but it must be at least 0 and below 1",
    );
    let negative = EarlyStopping { min_delta: -1.0, ..EarlyStopping::default() };
    fails(
        &|t| t.fit(&data).early_stopping(negative).run(),
        "`min_delta` is -1, but it must be finite and not negative",
    );
    fails(&|t| t.fit(&data).metric(Metric::TopK(0)).run(), "`k` is 0, but at least 1 is needed");
    let ones = Dataset::from_classes(vec![0.0; 4], 2, vec![1; 2]).unwrap();
    fails(
        &|t| t.fit(&data).validation(&ones).metric(Metric::RocAuc).run(),
        "`labels` have no row of class 0",
    );
    let small = builder(Optimizer::sgd(0.1)).max_batch(16);
    let mut small = small.build().unwrap();
    assert_eq!(
        small.fit(&data).batch(17).run().unwrap_err(),
        Error::BatchTooLarge { argument: "batch", rows: 17, max_batch: 16 }
    );
    small.fit(&data).epochs(1).run().unwrap();
    // A batch of more rows than there are is all of them.
    trainer.fit(&data).epochs(1).batch(usize::MAX).run().unwrap();
    assert_eq!(trainer.steps(), 1);
}
