//! Metrics against scikit-learn's.
//!
//! The numbers are made by `tests/golden/metrics.py`; no Python is needed here.

mod golden;

use deltarule::metrics::{self, Average, ClassScore, ConfusionMatrix, Truth};
use deltarule::{Element, Metric, Targets, WeightedTargets};
use golden::Golden;

fn golden() -> Golden {
    Golden::parse(include_str!("golden/metrics.txt"))
}

/// The case by this name and the one with weights, and these.
fn both(name: &str) -> [(String, Option<Vec<f64>>); 2] {
    let weighted = format!("weighted_{name}");
    let weights = golden().get::<f64>(&weighted, "weights");
    [(name.to_owned(), None), (weighted, Some(weights))]
}

fn truth<'a, T>(rows: &'a [T], weights: Option<&Vec<f64>>) -> Truth<'a, T> {
    weights.map_or(rows.into(), |weights| Truth::weighted(rows, weights))
}

/// What a metric says of a network's outputs.
fn of_outputs<E: Element>(
    metric: Metric,
    outputs: &[E],
    columns: usize,
    targets: Targets<'_, E>,
    weights: Option<&Vec<f64>>,
) -> f64 {
    let weights: Option<Vec<E>> =
        weights.map(|weights| weights.iter().map(|&weight| E::from_f64(weight)).collect());
    let targets = WeightedTargets { targets, weights: weights.as_deref() };
    metric.evaluate(outputs, columns, targets).unwrap()
}

#[test]
fn classes() {
    let golden = golden();
    for (case, weights) in &both("classes") {
        let (labels, predicted) = (golden.labels(case), golden.get::<f64>(case, "predicted"));
        let predicted: Vec<usize> = predicted.into_iter().map(|class| class as usize).collect();
        let truth = truth(&labels, weights.as_ref());
        let check = |key, got: &[f64]| golden.check("metrics", case, key, got, 1e-15);
        check("accuracy", &[metrics::accuracy(&predicted, &truth).unwrap()]);
        let mut confusion = ConfusionMatrix::new(6).unwrap();
        confusion.add(&predicted, &truth).unwrap();
        let places = (0..36).map(|place| confusion.count(place / 6, place % 6).unwrap());
        check("confusion", &places.collect::<Vec<_>>());
        let one_hot: Vec<f32> = predicted
            .iter()
            .flat_map(|&predicted| (0..6).map(move |class| f32::from(u8::from(class == predicted))))
            .collect();
        let targets = Targets::Classes(&labels);
        let of_outputs = |metric| of_outputs(metric, &one_hot, 6, targets, weights.as_ref());
        check("accuracy", &[of_outputs(Metric::Accuracy)]);
        check("accuracy", &[of_outputs(Metric::TopK(1))]);
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
        check("support", &column(|score| score.support));
        let total = weights.as_ref().map_or(60.0, |weights| weights.iter().sum());
        for (key, average) in
            [("macro", Average::Macro), ("micro", Average::Micro), ("weighted", Average::Weighted)]
        {
            let score = confusion.average(average).unwrap();
            check(key, &[score.precision, score.recall, score.f1]);
            assert_eq!((score.support, score.predicted), (total, total));
        }
    }
    assert_eq!(ConfusionMatrix::new(6).unwrap().average(Average::Macro), None);
}

#[test]
fn probabilities() {
    let golden = golden();
    for (case, weights) in &both("probabilities") {
        let (labels, p) = (golden.labels(case), golden.get::<f64>(case, "probabilities"));
        let truth = truth(&labels, weights.as_ref());
        let check = |key, got: &[f64]| golden.check("metrics", case, key, got, 1e-14);
        check("log_loss", &[metrics::log_loss(&p, 4, &truth).unwrap()]);
        check("one_vs_rest", &[metrics::roc_auc_one_vs_rest(&p, 4, &truth).unwrap()]);
        let logits = golden.get::<f64>(case, "logits");
        let targets = Targets::Classes(&labels);
        let of_logits = |metric| of_outputs(metric, &logits, 4, targets, weights.as_ref());
        check("log_loss", &[of_logits(Metric::LogLoss)]);
        check("one_vs_rest", &[of_logits(Metric::RocAuc)]);
        let precision = metrics::average_precision_one_vs_rest(&p, 4, &truth).unwrap();
        check("average_precision", &[precision]);
        check("average_precision", &[of_logits(Metric::AveragePrecision)]);
        check("top_k", &[1, 2, 3].map(|k| of_logits(Metric::TopK(k))));
        let logits = golden.get::<f32>(case, "logits");
        let top_k = |k| metrics::top_k_accuracy(&logits, 4, &truth, k).unwrap();
        check("top_k", &[1, 2, 3].map(top_k));
    }
    for (case, weights) in &both("certain") {
        let (labels, p) = (golden.labels(case), golden.get::<f64>(case, "probabilities"));
        let loss = metrics::log_loss(&p, 2, truth(&labels, weights.as_ref())).unwrap();
        golden.check("metrics", case, "log_loss", &[loss], 1e-14);
    }
}

#[test]
fn ties() {
    let golden = golden();
    for (case, weights) in &both("ties") {
        let (labels, scores) = (golden.labels(case), golden.get::<f64>(case, "scores"));
        let (truth, weights) = (truth(&labels, weights.as_ref()), weights.as_ref());
        let values: Vec<f64> = labels.iter().map(|&label| label as f64).collect();
        let two_logits: Vec<f64> = scores.iter().flat_map(|&score| [-score, score]).collect();
        for (key, metric, value) in [
            ("roc_auc", Metric::RocAuc, metrics::roc_auc(&scores, &truth)),
            (
                "average_precision",
                Metric::AveragePrecision,
                metrics::average_precision(&scores, &truth),
            ),
        ] {
            for value in [
                value.unwrap(),
                of_outputs(metric, &scores, 1, Targets::Values(&values), weights),
                of_outputs(metric, &two_logits, 2, Targets::Classes(&labels), weights),
            ] {
                golden.check("metrics", case, key, &[value], 1e-15);
            }
        }
    }
}

#[test]
fn numbers() {
    let golden = golden();
    for (name, columns) in [("one_column", 1), ("three_columns", 3)] {
        for (case, weights) in &both(name) {
            let [p, y] = ["predicted", "targets"].map(|key| golden.get::<f64>(case, key));
            let (truth, targets) = (truth(&y, weights.as_ref()), Targets::Values(&y));
            for (key, metric, value) in [
                (
                    "rmse",
                    Metric::RootMeanSquaredError,
                    metrics::root_mean_squared_error(&p, &truth, columns),
                ),
                (
                    "mae",
                    Metric::MeanAbsoluteError,
                    metrics::mean_absolute_error(&p, &truth, columns),
                ),
                ("r2", Metric::R2, metrics::r2(&p, &truth, columns)),
            ] {
                let again = of_outputs(metric, &p, columns, targets, weights.as_ref());
                golden.check("metrics", case, key, &[value.unwrap()], 1e-13);
                golden.check("metrics", case, key, &[again], 1e-13);
            }
        }
    }
}
