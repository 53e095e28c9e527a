//! Writing.

use deltarule_kernels::Element;
use deltarule_kernels::activation::Activation;

use super::Head;
use super::proto::{
    Attribute, Dimension, Graph, Model, Node, OperatorSet, Shape, Tensor, TensorType, Type,
    ValueInfo, attribute_type, data_type,
};
use crate::formats::numbers;
use crate::layers::{EmbeddingRef, LayerRef};
use crate::network::Network;

/// The first with an operator for each activation but SiLU.
const OPSET: i64 = 20;
/// The one that came with it.
const IR_VERSION: i64 = 9;
/// The name of the first dimension.
const BATCH: &str = "batch";

/// The model of a network.
pub(super) fn model<E: Element>(network: &Network<E>, head: Head) -> Model {
    let mut writer = Writer::default();
    // The value that goes into each layer.
    let mut inputs = Vec::new();
    let mut value = "x".to_owned();
    for (index, layer) in network.layers().enumerate() {
        inputs.push(value.clone());
        value = writer.layer(index, &layer, &inputs, value);
    }
    let (operator, attributes) = match head {
        Head::None => ("Identity", Vec::new()),
        Head::Softmax => ("Softmax", vec![integer("axis", 1)]),
        Head::LogSoftmax => ("LogSoftmax", vec![integer("axis", 1)]),
        Head::Sigmoid => ("Sigmoid", Vec::new()),
        Head::Exp => ("Exp", Vec::new()),
    };
    writer.push(Node {
        op_type: operator.to_owned(),
        input: vec![value],
        output: vec!["y".to_owned()],
        name: "head".to_owned(),
        attribute: attributes,
        ..Node::default()
    });
    let Writer { nodes, tensors } = writer;
    Model {
        ir_version: IR_VERSION,
        opset_import: vec![OperatorSet { domain: String::new(), version: OPSET }],
        producer_name: env!("CARGO_PKG_NAME").to_owned(),
        graph: Some(Graph {
            node: nodes,
            name: "network".to_owned(),
            initializer: tensors,
            input: vec![rows::<E>("x", network.inputs())],
            output: vec![rows::<E>("y", network.outputs())],
        }),
    }
}

fn element<E: Element>() -> i32 {
    if size_of::<E>() == 4 { data_type::FLOAT } else { data_type::DOUBLE }
}

/// A value of rows of so many columns.
fn rows<E: Element>(name: &str, columns: usize) -> ValueInfo {
    let dim = vec![
        Dimension { dim_value: None, dim_param: Some(BATCH.to_owned()) },
        Dimension { dim_value: Some(columns as i64), dim_param: None },
    ];
    let tensor_type = TensorType { elem_type: element::<E>(), shape: Some(Shape { dim }) };
    ValueInfo { name: name.to_owned(), r#type: Some(Type { tensor_type: Some(tensor_type) }) }
}

fn integer(name: &str, i: i64) -> Attribute {
    Attribute { name: name.to_owned(), r#type: attribute_type::INT, i, ..Attribute::default() }
}

fn float(name: &str, f: f64) -> Attribute {
    let (name, f) = (name.to_owned(), f as f32);
    Attribute { name, r#type: attribute_type::FLOAT, f, ..Attribute::default() }
}

fn string(name: &str, s: &str) -> Attribute {
    let (name, s) = (name.to_owned(), s.as_bytes().to_vec());
    Attribute { name, r#type: attribute_type::STRING, s, ..Attribute::default() }
}

/// The operator of an activation that is one of x alone, as SiLU and clip are not.
fn operator(activation: Activation) -> Option<(&'static str, Vec<Attribute>)> {
    Some(match activation {
        Activation::Elu { alpha } => ("Elu", vec![float("alpha", alpha)]),
        Activation::Gelu => ("Gelu", vec![string("approximate", "none")]),
        Activation::GeluTanh => ("Gelu", vec![string("approximate", "tanh")]),
        Activation::HardSigmoid => {
            ("HardSigmoid", vec![float("alpha", 1.0 / 6.0), float("beta", 0.5)])
        }
        Activation::HardSwish => ("HardSwish", Vec::new()),
        Activation::Identity => ("Identity", Vec::new()),
        Activation::LeakyRelu { slope } => ("LeakyRelu", vec![float("alpha", slope)]),
        Activation::Mish => ("Mish", Vec::new()),
        Activation::Relu => ("Relu", Vec::new()),
        Activation::Selu => ("Selu", Vec::new()),
        Activation::Sigmoid => ("Sigmoid", Vec::new()),
        Activation::Softplus => ("Softplus", Vec::new()),
        Activation::Tanh => ("Tanh", Vec::new()),
        _ => return None,
    })
}

#[derive(Default)]
struct Writer {
    nodes: Vec<Node>,
    tensors: Vec<Tensor>,
}

impl Writer {
    fn push(&mut self, node: Node) {
        self.nodes.push(node);
    }

    /// Adds a node with one output, which has its name, and returns that.
    fn node(
        &mut self,
        name: String,
        operator: &str,
        input: Vec<String>,
        attribute: Vec<Attribute>,
    ) -> String {
        self.push(Node {
            input,
            output: vec![name.clone()],
            name: name.clone(),
            op_type: operator.to_owned(),
            attribute,
            ..Node::default()
        });
        name
    }

    /// Adds numbers, and returns their name.
    fn numbers<E: Element>(&mut self, name: String, dims: &[usize], values: &[E]) -> String {
        let mut raw_data = Vec::with_capacity(size_of_val(values));
        let done = numbers::write(values, &mut raw_data);
        debug_assert!(done.is_ok(), "writing to memory does not fail: {done:?}");
        self.tensor(name, dims, element::<E>(), raw_data)
    }

    /// Adds whole numbers, and returns their name.
    fn indices(&mut self, name: String, dims: &[usize], values: &[usize]) -> String {
        let raw_data = values.iter().flat_map(|&value| (value as i64).to_le_bytes()).collect();
        self.tensor(name, dims, data_type::INT64, raw_data)
    }

    fn tensor(
        &mut self,
        name: String,
        dims: &[usize],
        data_type: i32,
        raw_data: Vec<u8>,
    ) -> String {
        self.tensors.push(Tensor {
            dims: dims.iter().map(|&dim| dim as i64).collect(),
            data_type,
            name: name.clone(),
            raw_data,
            ..Tensor::default()
        });
        name
    }

    /// σ of a value.
    fn activation<E: Element>(
        &mut self,
        name: String,
        activation: Activation,
        x: String,
    ) -> String {
        if let Some((operator, attributes)) = operator(activation) {
            return self.node(name, operator, vec![x], attributes);
        }
        if let Activation::Clip { low, high } = activation {
            let [low, high] = [("low", low), ("high", high)].map(|(suffix, bound)| {
                self.numbers(format!("{name}.{suffix}"), &[], &[E::from_f64(bound)])
            });
            return self.node(name, "Clip", vec![x, low, high], Vec::new());
        }
        let sigmoid = self.node(format!("{name}.sigmoid"), "Sigmoid", vec![x.clone()], Vec::new());
        self.node(name, "Mul", vec![x, sigmoid], Vec::new())
    }

    /// Adds the layer at this index, to which `inputs` are the inputs of those up to it, and
    /// returns its output.
    fn layer<E: Element>(
        &mut self,
        index: usize,
        layer: &LayerRef<'_, E>,
        inputs: &[String],
        x: String,
    ) -> String {
        let name = |suffix: &str| format!("{index}.{suffix}");
        match layer {
            LayerRef::Dense(dense) => {
                let dims = [dense.outputs, dense.inputs];
                let mut arguments = vec![x, self.numbers(name("weight"), &dims, dense.weights)];
                if !dense.biases.is_empty() {
                    arguments.push(self.numbers(name("bias"), &[dense.outputs], dense.biases));
                }
                let z = self.node(name("dense"), "Gemm", arguments, vec![integer("transB", 1)]);
                match dense.activation {
                    Activation::Identity => z,
                    activation => self.activation::<E>(name(activation.name()), activation, z),
                }
            }
            LayerRef::BatchNorm(norm) => {
                let mut arguments = vec![x];
                for (suffix, values) in [
                    ("weight", norm.gamma),
                    ("bias", norm.beta),
                    ("running_mean", norm.running_mean),
                    ("running_var", norm.running_variance),
                ] {
                    arguments.push(self.numbers(name(suffix), &[values.len()], values));
                }
                let momentum = float("momentum", 1.0 - norm.momentum);
                let attributes = vec![float("epsilon", norm.epsilon), momentum];
                self.node(name("batch_norm"), "BatchNormalization", arguments, attributes)
            }
            LayerRef::LayerNorm(norm) => {
                let width = [norm.gamma.len()];
                let gamma = self.numbers(name("weight"), &width, norm.gamma);
                let beta = self.numbers(name("bias"), &width, norm.beta);
                let attributes = vec![integer("axis", -1), float("epsilon", norm.epsilon)];
                let arguments = vec![x, gamma, beta];
                self.node(name("layer_norm"), "LayerNormalization", arguments, attributes)
            }
            LayerRef::Dropout { rate, .. } => {
                // An operator of f32, whatever it is applied to.
                let rate = self.numbers(name("rate"), &[], &[*rate as f32]);
                self.node(name("dropout"), "Dropout", vec![x, rate], Vec::new())
            }
            LayerRef::Activation { activation, .. } => {
                self.activation::<E>(name(activation.name()), *activation, x)
            }
            LayerRef::Residual { first, .. } => {
                let skip = inputs[*first].clone();
                self.node(name("residual"), "Add", vec![skip, x], Vec::new())
            }
            LayerRef::Embedding(embedding) => self.embedding(index, embedding, &x),
        }
    }

    /// The vectors of all categorical columns, and then the other columns.
    fn embedding<E: Element>(
        &mut self,
        layer: usize,
        embedding: &EmbeddingRef<'_, E>,
        x: &str,
    ) -> String {
        let columns = || vec![integer("axis", 1)];
        let mut parts = Vec::new();
        let mut numeric: Vec<usize> = (0..embedding.inputs).collect();
        for (index, (categorical, table)) in embedding.tables().enumerate() {
            let name = |suffix: &str| format!("{layer}.{index}.{suffix}");
            numeric.retain(|&column| column != categorical.column);
            let column = self.indices(name("column"), &[], &[categorical.column]);
            let number = self.node(name("number"), "Gather", vec![x.to_owned(), column], columns());
            let to = vec![integer("to", data_type::INT64.into())];
            let category = self.node(name("category"), "Cast", vec![number], to);
            let dims = [categorical.categories, categorical.dimensions];
            let table = self.numbers(name("weight"), &dims, table);
            parts.push(self.node(name("vector"), "Gather", vec![table, category], Vec::new()));
        }
        if !numeric.is_empty() {
            let which = self.indices(format!("{layer}.columns"), &[numeric.len()], &numeric);
            let others = vec![x.to_owned(), which];
            parts.push(self.node(format!("{layer}.numeric"), "Gather", others, columns()));
        }
        self.node(format!("{layer}.embedding"), "Concat", parts, columns())
    }
}
