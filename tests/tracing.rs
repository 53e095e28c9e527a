//! A training tells of its epochs by events, and prints nothing.
#![cfg(feature = "tracing")]

use deltarule::data::Dataset;
use deltarule::{Activation, Loss, Network, Optimizer, Trainer};
use std::sync::{Arc, Mutex};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Keeps the fields of every event.
#[derive(Clone, Default)]
struct Events(Arc<Mutex<Vec<String>>>);

struct Fields(String);

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn core::fmt::Debug) {
        self.0 += &format!("{}={value:?} ", field.name());
    }
}

impl Subscriber for Events {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("deltarule")
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let mut fields = Fields(String::new());
        event.record(&mut fields);
        self.0.lock().unwrap().push(fields.0);
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[test]
fn an_event_for_each_epoch_and_one_for_the_end() {
    let data = Dataset::from_values(vec![1.0f32, 2.0], 1, vec![2.0, 4.0], 1).unwrap();
    let network = Network::builder(1).dense(1, Activation::Identity).build().unwrap();
    let builder = Trainer::builder(network, Loss::MeanSquaredError, Optimizer::sgd(0.01));
    let mut trainer = builder.build().unwrap();
    let events = Events::default();
    let fit = || trainer.fit(&data).epochs(3).run().unwrap();
    let history = tracing::subscriber::with_default(events.clone(), fit);
    let events = events.0.lock().unwrap();
    assert_eq!(events.len(), 4);
    let loss = history.epochs()[1].loss;
    assert!(events[1].contains("epoch=2 ") && events[1].contains(&format!("loss={loss:?} ")));
    assert!(events[3].contains("end=Epochs"), "{}", events[3]);
}
