//! Metrics against scikit-learn's.
//!
//! The numbers are made by `tests/golden/metrics.py`; no Python is needed here.

mod golden;

use deltarule::metrics::{self, Average, ClassScore, ConfusionMatrix};
use deltarule::{Metric, Targets};
use golden::Golden;

fn golden() -> Golden {
    Golden::parse(include_str!("golden/metrics.txt"))
}

#[test]
fn classes() {
    let golden = golden();
    let (labels, predicted) = (golden.labels("classes"), golden.get::<f64>("classes", "predicted"));
    let predicted: Vec<usize> = predicted.into_iter().map(|class| class as usize).collect();
    let check = |key, got: &[f64]| golden.check("metrics", "classes", key, got, 1e-15);
    check("accuracy", &[metrics::accuracy(&predicted, &labels).unwrap()]);
    let mut confusion = ConfusionMatrix::new(6).unwrap();
    confusion.add(&predicted, &labels).unwrap();
    let places = (0..36).map(|place| confusion.count(place / 6, place % 6).unwrap() as f64);
    check("confusion", &places.collect::<Vec<_>>());
    let one_hot: Vec<f32> = predicted
        .iter()
        .flat_map(|&predicted| (0..6).map(move |class| f32::from(u8::from(class == predicted))))
        .collect();
    let of_outputs =
        |metric: Metric| metric.evaluate(&one_hot, 6, Targets::Classes(&labels)).unwrap();
    check("accuracy", &[of_outputs(Metric::Accuracy)]);
    check(
        "weighted",
        &[
            of_outputs(Metric::Precision(Average::Weighted)),
            of_outputs(Metric::Recall(Average::Weighted)),
            of_outputs(Metric::F1(Average::Weighted)),
        ],
    );
    let scores = confusion.class_scores();
    let column = |value: fn(&ClassScore) -> f64| scores.iter().map(value).collect::<Vec<_>>();
    check("precision", &column(|score| score.precision));
    check("recall", &column(|score| score.recall));
    check("f1", &column(|score| score.f1));
    check("support", &column(|score| score.support as f64));
    for (key, average) in
        [("macro", Average::Macro), ("micro", Average::Micro), ("weighted", Average::Weighted)]
    {
        let score = confusion.average(average).unwrap();
        check(key, &[score.precision, score.recall, score.f1]);
        assert_eq!((score.support, score.predicted), (60, 60));
    }
    assert_eq!(ConfusionMatrix::new(6).unwrap().average(Average::Macro), None);
}

#[test]
fn probabilities() {
    let golden = golden();
    let case = "probabilities";
    let (labels, p) = (golden.labels(case), golden.get::<f64>(case, "probabilities"));
    let check = |key, got: &[f64]| golden.check("metrics", case, key, got, 1e-14);
    check("log_loss", &[metrics::log_loss(&p, 4, &labels).unwrap()]);
    check("one_vs_rest", &[metrics::roc_auc_one_vs_rest(&p, 4, &labels).unwrap()]);
    let logits = golden.get::<f64>(case, "logits");
    let of_logits =
        |metric: Metric| metric.evaluate(&logits, 4, Targets::Classes(&labels)).unwrap();
    check("log_loss", &[of_logits(Metric::LogLoss)]);
    check("one_vs_rest", &[of_logits(Metric::RocAuc)]);
    let precision = metrics::average_precision_one_vs_rest(&p, 4, &labels).unwrap();
    check("average_precision", &[precision]);
    check("average_precision", &[of_logits(Metric::AveragePrecision)]);
    check("top_k", &[1, 2, 3].map(|k| of_logits(Metric::TopK(k))));
    let logits = golden.get::<f32>(case, "logits");
    check("top_k", &[1, 2, 3].map(|k| metrics::top_k_accuracy(&logits, 4, &labels, k).unwrap()));

    let (labels, p) = (golden.labels("certain"), golden.get::<f64>("certain", "probabilities"));
    let loss = metrics::log_loss(&p, 2, &labels).unwrap();
    golden.check("metrics", "certain", "log_loss", &[loss], 1e-14);
}

#[test]
fn ties() {
    let golden = golden();
    let (labels, scores) = (golden.labels("ties"), golden.get::<f64>("ties", "scores"));
    let targets: Vec<f64> = labels.iter().map(|&label| label as f64).collect();
    let two_logits: Vec<f64> = scores.iter().flat_map(|&score| [-score, score]).collect();
    for (key, metric, value) in [
        ("roc_auc", Metric::RocAuc, metrics::roc_auc(&scores, &labels)),
        (
            "average_precision",
            Metric::AveragePrecision,
            metrics::average_precision(&scores, &labels),
        ),
    ] {
        for value in [
            value,
            metric.evaluate(&scores, 1, Targets::Values(&targets)),
            metric.evaluate(&two_logits, 2, Targets::Classes(&labels)),
        ] {
            golden.check("metrics", "ties", key, &[value.unwrap()], 1e-15);
        }
    }
}

#[test]
fn numbers() {
    let golden = golden();
    for (case, columns) in [("one_column", 1), ("three_columns", 3)] {
        let [predicted, targets] = ["predicted", "targets"].map(|key| golden.get::<f64>(case, key));
        let (p, y) = (&predicted, &targets);
        let check = |key, got| golden.check("metrics", case, key, &[got], 1e-13);
        check("rmse", metrics::root_mean_squared_error(p, y, columns).unwrap());
        check("mae", metrics::mean_absolute_error(p, y, columns).unwrap());
        check("r2", metrics::r2(p, y, columns).unwrap());
    }
}
