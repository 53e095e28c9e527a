//! The page about a training: it is whole, it is self-contained, and it has what was asked for.
#![cfg(feature = "report")]

#[path = "network/common.rs"]
mod common;

use common::sample;
use deltarule::data::Dataset;
use deltarule::metrics::ConfusionMatrix;
use deltarule::{
    Activation, EarlyStopping, History, Loss, Metric, Network, Optimizer, Report, Trainer,
};

fn history(epochs: u64) -> (History, Network, Dataset) {
    let x = sample::<f32>(120, 1);
    let labels = x.chunks_exact(2).map(|p| usize::from(p[0] > p[1])).collect();
    let data = Dataset::from_classes(x, 2, labels).unwrap();
    let network = Network::builder(2)
        .dense(8, Activation::Tanh)
        .dense(8, Activation::Relu)
        .dense(2, Activation::Identity)
        .build()
        .unwrap();
    let optimizer = Optimizer::adam(0.02);
    let mut trainer =
        Trainer::builder(network, Loss::SoftmaxCrossEntropy, optimizer).build().unwrap();
    let fit = trainer.fit(&data).epochs(epochs).validation_split(0.25).gradient_norms();
    let fit = fit.metric(Metric::RocAuc).early_stopping(EarlyStopping::patience(50));
    (fit.run().unwrap(), trainer.into_network(), data)
}

/// How often a piece of text occurs.
fn count(page: &str, piece: &str) -> usize {
    page.matches(piece).count()
}

#[test]
fn a_page_has_everything_and_loads_nothing() {
    let (history, network, data) = history(30);
    let mut confusion = ConfusionMatrix::new(2).unwrap();
    confusion.add(&network.classify(data.features()).unwrap(), data.labels()).unwrap();
    let page = Report::new(&history)
        .title("a < b & c")
        .weights(&network)
        .activations(&network, data.features())
        .unwrap()
        .confusion(&confusion, &["left", "<right>"])
        .unwrap()
        .to_html()
        .unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>\n"));
    assert!(page.contains("<h1>a &lt; b &amp; c</h1>"));
    // Loss, accuracy, ROC AUC, learning rate; gradients; three layers twice.
    assert_eq!(count(&page, "<svg"), 4 + 1 + 6);
    assert_eq!(count(&page, "</svg>"), 11);
    for piece in ["Norms of the gradients", "Weights", "Activations", "&lt;right&gt;", "Best epoch"]
    {
        assert!(page.contains(piece), "{piece}");
    }
    for counted in 0..4 {
        let cell = format!(">{}</td>", confusion.count(counted / 2, counted % 2).unwrap());
        assert!(page.contains(&cell), "{cell}");
    }
    let without_namespaces = page.replace("http://www.w3.org/2000/svg", "");
    for outside in ["http:", "https:", "src=", "<script", "<link", "@import", "url("] {
        assert!(!without_namespaces.contains(outside), "{outside}");
    }
    assert_eq!(count(&page, "<tr class=\"best\">"), 1);
    assert_eq!(count(&page, "NaN"), 0);
}

#[test]
fn a_history_writes_its_page() {
    let (history, _, _) = history(1);
    let path = std::env::temp_dir().join(format!("deltarule-{}.html", std::process::id()));
    history.report(&path).unwrap();
    let page = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    // A single epoch is a dot in each line.
    assert!(count(&page, "<circle") >= 4, "{}", count(&page, "<circle"));
    assert!(history.report("no/such/folder/run.html").is_err());
}

#[test]
fn what_is_not_finite_is_left_out_and_counted() {
    let (history, mut network, data) = history(2);
    network.parameters_mut()[..16].fill(f32::NAN);
    network.parameters_mut()[3] = 1.0;
    network.parameters_mut()[24..88].fill(0.5);
    let page = Report::new(&history)
        .weights(&network)
        .activations(&network, data.features())
        .unwrap()
        .to_html()
        .unwrap();
    assert!(page.contains("Layer 1: 1 ± 0, 15 not finite"), "NaN among weights");
    assert!(page.contains("Layer 2: 0.5 ± 0<"), "weights that are all equal");
    let message = |result: deltarule::Result<Report<'_>>| result.unwrap_err().to_string();
    assert_eq!(
        message(Report::new(&history).activations(&network, &[1.0; 3])),
        "`x` has 3 elements, which is no multiple of its 2 columns"
    );
    let confusion = ConfusionMatrix::new(2).unwrap();
    assert_eq!(
        message(Report::new(&history).confusion(&confusion, &["a"])),
        "`class_names` has 1 elements, but 2 are needed"
    );
    let numbered = Report::new(&history).confusion(&confusion, &[] as &[&str]).unwrap();
    assert!(numbered.to_html().unwrap().contains("<th>1</th>"));
}

#[cfg(feature = "serde")]
#[test]
fn a_history_of_absurd_numbers_has_a_page() {
    let epoch = r#"{"epoch":18446744073709551615,"steps":1,"learning_rate":0.01,"loss":1.0,
        "accuracy":null,"validation_loss":null,"validation_accuracy":null,"metrics":[],
        "gradient_norms":[0.0],"seconds":0.5}"#;
    for (epochs, best) in [(epoch, 0), (epoch, 7), ("", 7)] {
        let text = format!(r#"{{"epochs":[{epochs}],"metrics":[],"best":{best},"end":"Epochs"}}"#);
        let history: History = serde_json::from_str(&text).unwrap();
        let page = Report::new(&history).to_html().unwrap();
        assert!(page.len() < 100_000, "{}", page.len());
        assert!(!page.contains("inf"), "{epochs}");
    }
}
