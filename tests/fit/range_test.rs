//! The search for a learning rate.

use deltarule::data::{Batches, Dataset};
use deltarule::{Activation, Loss, Network, NetworkBuilder, Optimizer, RangeTest, Trainer};

use super::{ROWS, builder, thirds, trainer};

#[test]
fn a_range_test_finds_where_learning_begins_and_ends() {
    let data = thirds();
    let range = RangeTest { lowest: 1e-5, highest: 1e4, steps: 200, batch: 30, seed: 1 };
    let curve = range.run(&builder(Optimizer::sgd(0.1)), &data).unwrap();
    let points = curve.points();
    assert!(points.len() < 200, "it should diverge");
    let factor = 1e9f64.powf(1.0 / 199.0);
    for pair in points.windows(2) {
        let grown = pair[1].learning_rate / pair[0].learning_rate;
        approx::assert_relative_eq!(grown, factor, max_relative = 1e-9);
    }
    assert_eq!((points[0].learning_rate, points[0].loss), (1e-5, points[0].smoothed_loss));
    let suggestion = curve.suggestion().unwrap();
    assert!((0.01..10.0).contains(&suggestion), "{suggestion}");
    let fall = |at: usize| points[at - 1].smoothed_loss - points[at + 1].smoothed_loss;
    let steepest = (1..points.len() - 1).max_by(|&a, &b| fall(a).total_cmp(&fall(b))).unwrap();
    assert_eq!(suggestion, points[steepest].learning_rate);
    let mut csv = Vec::new();
    curve.write_csv(&mut csv).unwrap();
    assert_eq!(String::from_utf8(csv).unwrap().lines().count(), points.len() + 1);

    let usual = RangeTest { lowest: 1e-6, highest: 10.0, steps: 100, batch: 32, seed: 0 };
    assert_eq!(RangeTest::default(), usual);
    let fails = |range: RangeTest, message: &str| {
        let error = range.run(&builder(Optimizer::sgd(0.1)), &data).unwrap_err();
        assert_eq!(error.to_string(), message);
    };
    fails(RangeTest { lowest: 0.0, ..range }, "`lowest` is 0, but it must be finite and above 0");
    fails(
        RangeTest { highest: 1e-5, ..range },
        "`highest` is 0.00001, but it must be above the lowest rate",
    );
    fails(RangeTest { steps: 1, ..range }, "`steps` is 1, but it must be at least 2");
    fails(RangeTest { batch: 0, ..range }, "`batch` is 0, but at least 1 is needed");
}

#[test]
fn a_range_test_is_a_loop_over_steps() {
    let data = thirds();
    let range = RangeTest { lowest: 1e-4, highest: 1e-3, steps: 7, batch: 30, seed: 5 };
    let curve = range.run(&builder(Optimizer::adam(0.1)), &data).unwrap();
    let (mut by_hand, mut batches) = (trainer(), Batches::new(ROWS, 30, 5).unwrap());
    let mut points = curve.points().iter();
    for epoch in 0..3 {
        for (rows, point) in batches.epoch(epoch).zip(&mut points) {
            by_hand.set_learning_rate(point.learning_rate).unwrap();
            let batch = data.select(rows).unwrap();
            let score = by_hand.step(batch.features(), batch.targets()).unwrap();
            assert_eq!(score.loss, point.loss);
        }
    }
    assert_eq!(by_hand.steps(), 7);
    approx::assert_relative_eq!(by_hand.optimizer().learning_rate(), 1e-3, max_relative = 1e-12);
}

#[test]
fn a_range_test_ends_where_the_loss_overflows() {
    let data = Dataset::from_values(vec![1e6f32; 4], 1, vec![1.0; 4], 1).unwrap();
    let network = Network::builder(1).dense(1, Activation::Identity).build().unwrap();
    let builder = Trainer::builder(network, Loss::MeanSquaredError, Optimizer::sgd(0.1));
    let range = RangeTest { lowest: 1e20, highest: 1e30, steps: 50, batch: 4, seed: 0 };
    let curve = range.run(&builder, &data).unwrap();
    assert!(curve.points().len() < 5);
    assert_eq!(curve.suggestion(), None);
    // Each step makes the loss 1.44 times as large, and so none falls.
    let one = Dataset::from_values(vec![1.0f32], 1, vec![0.0], 1).unwrap();
    let range = RangeTest { lowest: 0.55, highest: 0.56, steps: 4, batch: 1, seed: 0 };
    let curve = range.run(&builder, &one).unwrap();
    assert_eq!((curve.points().len(), curve.suggestion()), (4, None));
    let network = NetworkBuilder::<f64>::new(1).dense(1, Activation::Identity).build().unwrap();
    let optimizer = Optimizer::sgd(0.1).clip_norm(1.0);
    let builder = Trainer::builder(network, Loss::MeanAbsoluteError, optimizer);
    let data = Dataset::from_values(vec![1e200], 1, vec![0.0], 1).unwrap();
    assert_eq!(range.run(&builder, &data).unwrap().points(), []);
}

/// A Poisson loss has no log y!, and is below 0 for counts of more than a few.
#[test]
fn losses_below_0_do_not_end_a_range_test() {
    let x: Vec<f32> = (0..90).map(|row| row as f32 / 90.0).collect();
    let counts: Vec<f32> = x.iter().map(|x| (3.0 + x).exp().round()).collect();
    let mut network = Network::builder(1).dense(1, Activation::Identity).build().unwrap();
    network.parameters_mut()[1] = 3.0;
    let trainer = Trainer::builder(network, Loss::Poisson, Optimizer::sgd(0.1));
    let range = RangeTest { lowest: 1e-8, highest: 1e-6, steps: 20, batch: 30, seed: 1 };
    let data = Dataset::from_values(x.clone(), 1, counts.clone(), 1).unwrap();
    let curve = range.run(&trainer, &data).unwrap();
    assert!(curve.points()[0].loss < 0.0);
    assert_eq!(curve.points().len(), 20);
    // Rows of two columns, as many numbers as of one.
    let data = Dataset::from_values(x, 2, counts, 2).unwrap();
    let error = range.run(&trainer, &data).unwrap_err();
    assert_eq!(error.to_string(), "`columns of the data` has 2 elements, but 1 are needed");
}
