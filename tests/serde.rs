//! What is plain data comes back from JSON as it was.
#![cfg(all(feature = "serde", feature = "data"))]

use core::fmt::Debug;
use deltarule::data::csv::{Csv, Missing, Schema};
use deltarule::data::{Dataset, Scaling, stratified_split};
use deltarule::metrics::Average;
use deltarule::{
    Activation, Averaging, Categorical, Decays, EarlyStopping, Init, Layer, Loss, Metric, Monitor,
    Network, Optimizer, ParameterGroup, RangeTest, ReduceOnPlateau, Reduction, Schedule, Trainer,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

fn comes_back<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    let json = serde_json::to_string(value).unwrap();
    assert_eq!(serde_json::from_str::<T>(&json).unwrap(), *value, "{json}");
}

#[test]
fn every_config() {
    comes_back(&Schedule::cosine_restarts(10.0, 2.0, 0.1).warm_up(3.0, 0.5));
    comes_back(&Schedule::one_cycle(7.0));
    let mut plateau = ReduceOnPlateau::default().start();
    plateau.observe(0.5, false);
    comes_back(&plateau);
    comes_back(&RangeTest::default());
    let monitor = Monitor::Metric(Metric::F1(Average::Macro));
    comes_back(&EarlyStopping { monitor, ..EarlyStopping::default() });
    comes_back(&stratified_split(&[0, 1, 0, 1], 0.5, 1).unwrap());
}

#[test]
fn what_a_network_and_its_training_are() {
    for &activation in Activation::ALL {
        comes_back(&activation);
    }
    let layers = Network::builder(3)
        .embedding([Categorical { column: 0, categories: 4, dimensions: 2 }])
        .residual(|block| block.dense_without_bias(4, Activation::Gelu).layer_norm())
        .dropout(0.25)
        .layer(Layer::dense(2, Activation::LeakyRelu { slope: 0.1 }).with_init(Init::HeNormal))
        .batch_norm()
        .build()
        .unwrap();
    comes_back(&layers.specification().to_vec());
    for optimizer in [
        Optimizer::sgd(0.1).clip_norm(1.0),
        Optimizer::nesterov(0.1, 0.9),
        Optimizer::rms_prop(0.1),
        Optimizer::adam_w(0.1, 0.01).clip_value(2.0),
        Optimizer::nadam(0.1),
        Optimizer::adagrad(0.1),
        Optimizer::lion(0.1),
    ] {
        comes_back(&optimizer);
    }
    comes_back(&Loss::Huber { threshold: 0.5 });
    comes_back(&Reduction::MeanOverElements);
    comes_back(&Averaging::Exponential { decay: 0.999 });
    comes_back(&ParameterGroup { decays: Decays::All, ..ParameterGroup::frozen() });
}

#[test]
fn a_history() {
    let data = Dataset::from_values(vec![1.0f32, 2.0], 1, vec![2.0, 4.0], 1).unwrap();
    let network = Network::builder(1).dense(1, Activation::Identity).build().unwrap();
    let builder = Trainer::builder(network, Loss::MeanSquaredError, Optimizer::sgd(0.01));
    let mut trainer = builder.build().unwrap();
    comes_back(&trainer.fit(&data).metric(Metric::R2).gradient_norms().run().unwrap());
}

#[test]
fn a_schema_still_reads() {
    let text = "a,b,y\n1,x,2\n,z,3\n";
    let schema = Csv::regression("y").missing(Missing::Mean).learn(text.as_bytes()).unwrap();
    comes_back(&schema);
    let again: Schema = serde_json::from_str(&serde_json::to_string(&schema).unwrap()).unwrap();
    let read = |schema: &Schema| schema.read::<f64>(text.as_bytes()).unwrap();
    assert_eq!(read(&again), read(&schema));

    // As it was written when an index had no category of its own for what was not seen.
    let old = r#"{
        "columns": [
            {"name": "a", "kind": {"Category": {
                "encoding": "Index", "categories": ["p", "q"], "missing": false
            }}},
            {"name": "b", "kind": {"Category": {
                "encoding": "OneHot", "categories": ["x", "z"], "missing": false
            }}}
        ],
        "missing": "Mean", "missing_names": [""], "unknown": "Ignore", "delimiter": 44
    }"#;
    let old: Schema = serde_json::from_str(old).unwrap();
    let features = |a, b| {
        let features = old.features_of::<f64>(|column| if column == "a" { a } else { b });
        features.map_err(|error| error.to_string())
    };
    assert_eq!(features(Some("q"), Some("x")), Ok(vec![1.0, 1.0, 0.0]));
    assert_eq!(features(Some("p"), None), Ok(vec![0.0, 0.0, 0.0]));
    let error = "column `a`: `r` has no category to stand for it";
    assert_eq!(features(Some("r"), Some("x")), Err(error.to_owned()));
}

#[test]
fn a_scaling_is_checked() {
    comes_back(&Scaling::standard(&[1.0f32, 0.1, 2.0, 7.7], 2).unwrap());
    let wrong = r#"{"centers":[1.0,2.0],"factors":[1.0]}"#;
    let error = serde_json::from_str::<Scaling>(wrong).unwrap_err().to_string();
    assert!(error.starts_with("`factors` has 1 elements, but 2 are needed"), "{error}");
    assert!(serde_json::from_str::<Scaling>(r#"{"centers":[1.0],"factors":[0.0]}"#).is_err());
}
