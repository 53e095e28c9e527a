//! How weights begin.

use deltarule::{Activation, Init, Network, NetworkBuilder};

const INPUTS: usize = 300;
const OUTPUTS: usize = 200;

fn weights(init: Option<Init>, activation: Activation) -> Vec<f64> {
    let mut builder = NetworkBuilder::<f64>::new(INPUTS).dense(OUTPUTS, activation).seed(9);
    if let Some(init) = init {
        builder = builder.init(init);
    }
    let network = builder.build().unwrap();
    let layer = network.layer(0).unwrap().as_dense().unwrap();
    assert!(layer.biases.iter().all(|&b| b == 0.0));
    assert_eq!(layer.weights.len(), INPUTS * OUTPUTS);
    layer.weights.to_vec()
}

#[test]
fn each_kind_has_its_variance_and_bound() {
    let (inputs, outputs) = (INPUTS as f64, OUTPUTS as f64);
    for (init, variance, bounded) in [
        (Init::XavierUniform, 2.0 / (inputs + outputs), true),
        (Init::XavierNormal, 2.0 / (inputs + outputs), false),
        (Init::HeUniform, 2.0 / inputs, true),
        (Init::HeNormal, 2.0 / inputs, false),
    ] {
        let weights = weights(Some(init), Activation::Tanh);
        let n = weights.len() as f64;
        let mean = weights.iter().sum::<f64>() / n;
        let found = weights.iter().map(|w| (w - mean).powi(2)).sum::<f64>() / n;
        approx::assert_relative_eq!(found, variance, max_relative = 0.03);
        assert!(mean.abs() < 4.0 * (variance / n).sqrt(), "{init:?}: mean {mean}");
        let bound = (3.0 * variance).sqrt();
        let largest = weights.iter().fold(0.0, |largest, w| w.abs().max(largest));
        assert_eq!(largest <= bound, bounded, "{init:?}: {largest} and {bound}");
        assert!(largest > 0.99 * bound);
    }
}

#[test]
fn the_default_is_chosen_by_the_activation() {
    for (activation, init) in [
        (Activation::Relu, Init::HeUniform),
        (Activation::Tanh, Init::XavierUniform),
        (Activation::Sigmoid, Init::XavierUniform),
        (Activation::Identity, Init::XavierUniform),
    ] {
        assert_eq!(weights(None, activation), weights(Some(init), activation));
    }
}

#[test]
fn a_layer_added_leaves_the_others_weights_as_they_were() {
    let one = Network::builder(3).dense(4, Activation::Relu).build().unwrap();
    let two = Network::builder(3)
        .dense(4, Activation::Relu)
        .dense(2, Activation::Identity)
        .build()
        .unwrap();
    assert_eq!(one.layer(0), two.layer(0));
    let weights = |index| two.layer(index).unwrap().as_dense().unwrap().weights;
    assert_ne!(weights(0)[..4], weights(1)[..4]);
    assert_eq!(two.layers().len(), 2);
    assert_eq!(two.layer(2), None);
    assert_eq!(two.parameters().len(), 3 * 4 + 4 + 4 * 2 + 2);
}

/// The numbers are from `tests/golden/random_streams.py`. Uniform weights go through nothing that
/// a machine could round another way.
#[test]
fn the_weights_of_a_seed_are_those_of_version_0_1() {
    let first = |init| {
        let network = Network::builder(2).dense(2, Activation::Relu).init(init).seed(42);
        network.build().unwrap().parameters()[..4].to_vec()
    };
    assert_eq!(first(Init::HeUniform), [1.506015, -0.5949867, -0.9598308, 1.1798753]);
    let normal = [-0.77987826f32, 0.27069485, 0.9493725, 0.2546674];
    for (actual, expected) in first(Init::XavierNormal).into_iter().zip(normal) {
        approx::assert_relative_eq!(actual, expected, max_relative = f32::EPSILON);
    }
}
