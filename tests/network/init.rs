//! How weights begin.

use deltarule::{Activation, Categorical, Distribution, Fan, Init, Layer, Network, NetworkBuilder};

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
        (Init::LecunUniform, 1.0 / inputs, true),
        (Init::LecunNormal, 1.0 / inputs, false),
        (scaled(1.5, Fan::Outputs, Distribution::Uniform), 2.25 / outputs, true),
        (scaled(0.5, Fan::Mean, Distribution::Normal), 0.5 / (inputs + outputs), false),
        (Init::Uniform { bound: 0.5 }, 0.25 / 3.0, true),
        (Init::Normal { deviation: 0.5 }, 0.25, false),
    ] {
        let weights = weights(Some(init), Activation::Tanh);
        let n = weights.len() as f64;
        let mean = weights.iter().sum::<f64>() / n;
        let found = weights.iter().map(|w| (w - mean).powi(2)).sum::<f64>() / n;
        approx::assert_relative_eq!(found, variance, max_relative = 0.03);
        assert!(mean.abs() < 4.0 * (variance / n).sqrt(), "{init:?}: mean {mean}");
        let bound = (3.0 * variance).sqrt();
        let largest = weights.iter().fold(0.0, |largest, w| w.abs().max(largest));
        assert_eq!(largest <= bound * (1.0 + 1e-15), bounded, "{init:?}: {largest} and {bound}");
        assert!(largest > 0.99 * bound);
    }
}

fn scaled(gain: f64, fan: Fan, distribution: Distribution) -> Init {
    Init::Scaled { gain, fan, distribution }
}

#[test]
fn scaled_ones_include_the_others() {
    let relu = Init::gain(Activation::Relu);
    for (init, same) in [
        (scaled(1.0, Fan::Mean, Distribution::Uniform), Init::XavierUniform),
        (scaled(relu, Fan::Inputs, Distribution::Normal), Init::HeNormal),
        (scaled(1.0, Fan::Inputs, Distribution::Uniform), Init::LecunUniform),
    ] {
        let pairs = [init, same].map(|init| weights(Some(init), Activation::Relu));
        approx::assert_relative_eq!(&pairs[0][..], &pairs[1][..], max_relative = 1e-14);
    }
    assert_eq!(Init::gain(Activation::LeakyRelu { slope: 1.0 }), 1.0);
    assert_eq!(Init::gain(Activation::Tanh), 5.0 / 3.0);
    assert_eq!(Init::gain(Activation::Sigmoid), 1.0);
    assert_eq!(Init::gain(Activation::Selu), 0.75);
    assert_eq!(Init::gain(Activation::Mish), relu);
}

#[test]
fn orthogonal_rows_or_columns() {
    for (inputs, outputs) in [(30, 20), (20, 30), (64, 64), (1, 5), (5, 1)] {
        let network = NetworkBuilder::<f64>::new(inputs)
            .dense(outputs, Activation::Tanh)
            .init(Init::Orthogonal { gain: 2.0 })
            .build()
            .unwrap();
        let w = network.layer(0).unwrap().as_dense().unwrap().weights;
        let at = |row: usize, column: usize| w[row * inputs + column];
        let product = |i: usize, j: usize| -> f64 {
            if outputs <= inputs {
                (0..inputs).map(|k| at(i, k) * at(j, k)).sum()
            } else {
                (0..outputs).map(|k| at(k, i) * at(k, j)).sum()
            }
        };
        for i in 0..inputs.min(outputs) {
            for j in 0..inputs.min(outputs) {
                let expected = if i == j { 4.0 } else { 0.0 };
                approx::assert_abs_diff_eq!(product(i, j), expected, epsilon = 1e-11);
            }
        }
    }
}

#[test]
fn a_layer_can_have_its_own() {
    let network = Network::builder(3)
        .dense(4, Activation::Relu)
        .layer(
            Layer::dense(2, Activation::Relu)
                .with_init(Init::HeNormal)
                .with_init(Init::Constant(0.5)),
        )
        .init(Init::Zeros)
        .build()
        .unwrap();
    assert_eq!(network.parameters()[..16], [0.0; 16]);
    assert_eq!(network.parameters()[16..24], [0.5; 8]);
    let embedding = |init: fn(Layer) -> Layer| {
        let columns = vec![Categorical { column: 0, categories: 50, dimensions: 4 }];
        let layer = init(Layer::Embedding { columns, init: None });
        Network::builder(1).layer(layer).init(Init::Zeros).build().unwrap().parameters().to_vec()
    };
    assert_eq!(embedding(|layer| layer.with_init(Init::Constant(0.5))), [0.5; 200]);
    // An init of the network is none of vectors, which are uniform in ±1/√4.
    let largest = embedding(|layer| layer).into_iter().fold(0.0, |largest, x| x.abs().max(largest));
    assert!((0.49..=0.5).contains(&largest), "{largest}");
}

#[test]
fn the_default_is_chosen_by_the_activation() {
    for (activation, init) in [
        (Activation::Relu, Init::HeUniform),
        (Activation::Tanh, Init::XavierUniform),
        (Activation::Sigmoid, Init::XavierUniform),
        (Activation::Identity, Init::XavierUniform),
        (Activation::Selu, Init::LecunNormal),
        (Activation::Elu { alpha: 1.0 }, Init::HeUniform),
        (Activation::Softplus, Init::HeUniform),
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
