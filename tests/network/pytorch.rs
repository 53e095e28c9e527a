//! Networks trained by PyTorch: the numbers are made by `tests/golden/training.py`.

use crate::common::{ZOO_INPUTS, ZOO_OUTPUTS};
use crate::golden::Golden;
use deltarule::kernels::optimizer::{Adam, Epsilon};
use deltarule::{
    Activation, Categorical, Isa, Layer, Loss, NetworkBuilder, Optimizer, Targets, Trainer,
};

const STEPS: usize = 30;

/// The script's networks.
fn networks() -> [(&'static str, NetworkBuilder<f64>); 4] {
    use Activation::{Gelu, Identity, Relu, Silu, Tanh};
    let new = || NetworkBuilder::<f64>::new(ZOO_INPUTS);
    let first = Categorical { column: 0, categories: 3, dimensions: 2 };
    let second = Categorical { column: 1, categories: 5, dimensions: 3 };
    let plain = Layer::BatchNorm { momentum: 0.1, epsilon: 1e-5, affine: false };
    [
        ("batch norm", new().dense_without_bias(8, Identity).batch_norm().activation(Relu)),
        ("layer norm", new().dense(8, Tanh).layer_norm()),
        (
            "residual",
            new()
                .dense(8, Silu)
                .residual(|block| block.layer_norm().dense(12, Gelu).dense(8, Identity))
                .layer(Layer::BatchNorm { momentum: 0.3, epsilon: 1e-3, affine: true }),
        ),
        (
            "embedding",
            new().embedding([first, second]).dense(8, Identity).layer(plain).activation(Tanh),
        ),
    ]
}

#[test]
fn trains_to_the_same_weights() {
    let golden = Golden::parse(include_str!("../golden/training.txt"));
    let epsilon = Epsilon::OutsideRoot(1e-8);
    let adam = Optimizer::new(Adam { epsilon, ..Adam::default() }).with_learning_rate(0.01);
    let optimizers = [
        ("sgd", Optimizer::sgd(0.1)),
        ("nesterov", Optimizer::nesterov(0.02, 0.9)),
        ("adam", adam),
    ];
    let (x, labels) = (golden.get::<f64>("data", "x"), golden.labels("data"));
    for isa in Isa::available() {
        for (network, builder) in networks() {
            for (optimizer_name, optimizer) in optimizers {
                let case = format!("{network}, {optimizer_name}");
                let builder = builder.clone().dense(ZOO_OUTPUTS, Activation::Identity);
                let mut network = builder.isa(isa).build().unwrap();
                // Of a norm that does not learn PyTorch has no parameters.
                let is_there: Vec<bool> = network
                    .layers()
                    .flat_map(|layer| {
                        let is_there =
                            !matches!(layer, deltarule::LayerRef::BatchNorm(norm) if !norm.affine);
                        std::iter::repeat_n(is_there, layer.parameters())
                    })
                    .collect();
                let mut start = golden.get::<f64>(&case, "start").into_iter();
                for (parameter, &is_there) in network.parameters_mut().iter_mut().zip(&is_there) {
                    if is_there {
                        *parameter = start.next().unwrap();
                    }
                }
                let trainer = Trainer::builder(network, Loss::SoftmaxCrossEntropy, optimizer);
                let mut trainer = trainer.build().unwrap();
                let step = |step| {
                    let rows = labels.len() - step % 3;
                    let targets = Targets::Classes(&labels[..rows]);
                    trainer.step(&x[..rows * ZOO_INPUTS], targets).unwrap().loss
                };
                let losses: Vec<f64> = (0..STEPS).map(step).collect();
                let network = trainer.into_network();
                let end: Vec<f64> = network
                    .parameters()
                    .iter()
                    .zip(&is_there)
                    .filter_map(|(&parameter, is_there)| is_there.then_some(parameter))
                    .collect();
                golden.check(isa, &case, "losses", &losses, 1e-10);
                golden.check(isa, &case, "end", &end, 1e-8);
                if !network.statistics().is_empty() {
                    golden.check(isa, &case, "statistics", network.statistics(), 1e-9);
                }
                golden.check(isa, &case, "outputs", &network.predict(&x).unwrap(), 1e-8);
            }
        }
    }
}
