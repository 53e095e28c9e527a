//! Models that look like ones that are read, but are not.

use super::proto::{
    Attribute, Dimension, Graph, Model, Node, OperatorSet, Shape, Tensor, TensorType, Type,
    ValueInfo, data_type,
};
use super::{Head, Network, Result, import};
use crate::{Activation, Layer};

mod scaled;

fn node(op_type: &str, inputs: &[&str], output: &str) -> Node {
    let input = inputs.iter().map(|&input| input.to_owned()).collect();
    Node { input, output: vec![output.to_owned()], op_type: op_type.to_owned(), ..Node::default() }
}

fn int(name: &str, i: i64) -> Attribute {
    Attribute { name: name.to_owned(), i, ..Attribute::default() }
}

fn float(name: &str, f: f32) -> Attribute {
    Attribute { name: name.to_owned(), f, ..Attribute::default() }
}

fn ints(name: &str, ints: &[i64]) -> Attribute {
    Attribute { name: name.to_owned(), ints: ints.to_vec(), ..Attribute::default() }
}

fn with(mut node: Node, attribute: Attribute) -> Node {
    node.attribute.push(attribute);
    node
}

fn floats(name: &str, dims: &[i64], numbers: &[f32]) -> Tensor {
    let (name, dims, float_data) = (name.to_owned(), dims.to_vec(), numbers.to_vec());
    Tensor { name, dims, data_type: data_type::FLOAT, float_data, ..Tensor::default() }
}

fn whole(name: &str, dims: &[i64], numbers: &[i64]) -> Tensor {
    let (name, dims, int64_data) = (name.to_owned(), dims.to_vec(), numbers.to_vec());
    Tensor { name, dims, data_type: data_type::INT64, int64_data, ..Tensor::default() }
}

fn value(name: &str, extents: &[i64]) -> ValueInfo {
    let dim = |&extent| Dimension { dim_value: Some(extent), dim_param: None };
    let shape = Some(Shape { dim: extents.iter().map(dim).collect() });
    let tensor_type = Some(TensorType { elem_type: data_type::FLOAT, shape });
    ValueInfo { name: name.to_owned(), r#type: Some(Type { tensor_type }) }
}

/// From rows `x` of so many columns to `y`.
fn model(columns: i64, initializer: Vec<Tensor>, node: Vec<Node>) -> Model {
    let (input, output) = (vec![value("x", &[1, columns])], vec![value("y", &[1, columns])]);
    Model {
        opset_import: vec![OperatorSet { domain: String::new(), version: 20 }],
        graph: Some(Graph { node, initializer, input, output, ..Graph::default() }),
        ..Model::default()
    }
}

fn read(model: &Model) -> Result<(Network, Head)> {
    import::network(model, 1 << 16)
}

/// What a good model is good for no more.
type Change = fn(&mut Graph);

/// Reads a model, and what becomes of it by each of these changes, and how it is refused then.
fn check(good: Model, changes: &[(Change, &str)]) {
    read(&good).unwrap();
    for (index, (change, message)) in changes.iter().enumerate() {
        let mut model = good.clone();
        change(model.graph.as_mut().unwrap());
        let Err(error) = read(&model) else { panic!("change {index} is read: {message}") };
        assert!(error.to_string().ends_with(message), "change {index}: {error}");
    }
}

const NOT_READ: &str = import::NOT_READ;
const NO_ROWS: &str = import::NO_ROWS;
const NOT_OF_TWO: &str = "it is not of the two probabilities 1 − p and p";

fn square(name: &str) -> Tensor {
    floats(name, &[2, 2], &[1.0, 2.0, 3.0, 4.0])
}

#[test]
fn products() {
    let gemm = node("Gemm", &["x", "w", "b"], "y");
    let good = model(2, vec![square("w"), floats("b", &[1, 2], &[5.0, 6.0])], vec![gemm]);
    for (opset, is_read) in [(6, false), (7, true), (26, true), (27, false)] {
        let mut model = good.clone();
        model.opset_import[0].version = opset;
        assert_eq!(read(&model).is_ok(), is_read, "opset {opset}");
    }
    let mut old = good.clone();
    // So it was before IR version 4; and a width of 0 is one that is not known.
    let graph = old.graph.as_mut().unwrap();
    graph.input = vec![value("w", &[2, 2]), value("b", &[1, 2]), value("x", &[0, 0])];
    assert_eq!(read(&old).unwrap().0.predict(&[1.0, 0.0]).unwrap(), [6.0, 8.0]);
    check(
        good,
        &[
            (|graph| graph.input[0] = value("x", &[1, 3]), "but its first layer takes 2"),
            (|graph| graph.input[0] = value("x", &[1, 2, 1]), "3 dimensions, not rows and columns"),
            (
                |graph| graph.output.push(value("z", &[1])),
                "not one output of floats, but none or several",
            ),
            (
                |graph| graph.node.push(node("Relu", &["x"], "y")),
                "its output `y` is made before it",
            ),
            (|graph| graph.initializer[0].dims = vec![0, 2], "but its shape is [0, 2]"),
            (
                |graph| graph.initializer[0] = floats("w", &[0, 2], &[]),
                "[0, 2] is no matrix of weights",
            ),
            (|graph| graph.initializer[1].dims = vec![2, 1], "[2, 1] is no row of 2 numbers"),
            (|graph| graph.initializer[0].raw_data = vec![0; 17], "`w` has 17 bytes"),
            (
                |graph| {
                    graph.node[0].input[1] = "t".to_owned();
                    let transpose = node("Transpose", &["w"], "t");
                    graph.node.insert(0, with(transpose, ints("perm", &[0, 1])));
                },
                "one of its inputs is no constant, but has to be",
            ),
            (
                |graph| {
                    graph.node[0].output[0] = "z".to_owned();
                    graph.initializer.push(floats("v", &[3, 1], &[1.0; 3]));
                    graph.node.push(node("MatMul", &["z", "v"], "y"));
                },
                "a layer takes rows of 3, but gets 2",
            ),
        ],
    );
}

#[test]
fn heads_and_shapes() {
    let dense = || node("MatMul", &["x", "w"], "z");
    let after = |last: Node| model(2, vec![square("w")], vec![dense(), last]);
    let axis_0: Change = |graph| graph.node[1].attribute = vec![int("axis", 0)];
    check(after(node("Softmax", &["z"], "y")), &[(axis_0, "its axis is 0, not that of a row")]);
    check(
        after(node("LayerNormalization", &["z"], "y")),
        &[(axis_0, "its axis is 0, not that of a row")],
    );
    check(after(node("Flatten", &["z"], "y")), &[(axis_0, NOT_READ)]);
    let mut reshape = after(node("Reshape", &["z", "shape"], "y"));
    reshape.graph.as_mut().unwrap().initializer.push(whole("shape", &[2], &[-1, 2]));
    check(reshape, &[(|graph| graph.initializer[1].int64_data[1] = 0, NO_ROWS)]);
    let row = |name| floats(name, &[2], &[1.0; 2]);
    let norm = node("BatchNormalization", &["x", "a", "b", "c", "d"], "y");
    let norm = model(2, ["a", "b", "c", "d"].map(row).to_vec(), vec![norm]);
    assert_eq!(read(&norm).unwrap().0.specification(), [Layer::batch_norm()]);
    let training: Change = |graph| graph.node[0].attribute = vec![int("training_mode", 1)];
    check(norm, &[(training, "it is in training mode")]);
    let dropout = read(&model(2, vec![], vec![node("Dropout", &["x"], "y")])).unwrap();
    assert_eq!(dropout.0.specification(), [Layer::Dropout { rate: 0.5 }]);
}

/// As a file could have them to be gone through for every node.
#[test]
fn tensors_of_many_dimensions() {
    for (dimensions, is_read) in [(8, true), (9, false)] {
        let low = floats("low", &vec![1; dimensions], &[0.1]);
        let clip = model(2, vec![low], vec![node("Clip", &["x", "low"], "y")]);
        assert_eq!(read(&clip).is_ok(), is_read, "{dimensions} dimensions");
    }
}

#[test]
fn two_probabilities() {
    let nodes = vec![
        node("MatMul", &["x", "w"], "z"),
        node("Sigmoid", &["z"], "p"),
        node("Sub", &["one", "p"], "q"),
        node("Concat", &["q", "p"], "y"),
    ];
    let tensors = vec![floats("w", &[2, 1], &[1.0, 2.0]), floats("one", &[], &[1.0])];
    check(
        model(2, tensors, nodes),
        &[
            (|graph| graph.initializer[1].float_data[0] = 2.0, NOT_OF_TWO),
            (|graph| graph.node[2].input[1] = "z".to_owned(), NOT_OF_TWO),
            (|graph| graph.node[3].input.push("p".to_owned()), NOT_OF_TWO),
            (
                |graph| graph.node[3].attribute = vec![int("axis", 0)],
                "its axis is 0, not that of a row",
            ),
            (|graph| graph.initializer[0] = square("w"), "p is not made of one logit"),
        ],
    );
}

#[test]
fn residual_blocks() {
    let nodes = vec![
        node("Relu", &["x"], "a"),
        node("MatMul", &["a", "w"], "b"),
        node("Add", &["a", "b"], "y"),
    ];
    check(
        model(2, vec![square("w")], nodes),
        &[
            (|graph| graph.node[2].input[1] = "a".to_owned(), "its block takes 2 to 2"),
            (
                |graph| graph.initializer[0] = floats("w", &[2, 3], &[1.0; 6]),
                "its block takes 2 to 3",
            ),
        ],
    );
    for (depth, is_read) in [(32, true), (33, false)] {
        let inner = (0..depth).map(|i| node("Relu", &[&format!("r{i}")], &format!("r{}", i + 1)));
        let adds = (0..depth).map(|i| {
            let inputs = [format!("a{i}"), format!("r{}", depth - 1 - i)];
            node("Add", &inputs.each_ref().map(String::as_str), &format!("a{}", i + 1))
        });
        let mut model = model(2, vec![], inner.chain(adds).collect());
        let graph = model.graph.as_mut().unwrap();
        graph.input[0].name = "r0".to_owned();
        graph.output[0].name = format!("a{depth}");
        graph.node[depth].input[0] = format!("r{depth}");
        assert_eq!(read(&model).is_ok(), is_read, "{depth} blocks");
    }
}

#[test]
fn activations() {
    let of = |last: Node| model(2, vec![], vec![last]);
    let refused = |last: Node| read(&of(last)).unwrap_err().to_string().ends_with(NOT_READ);
    let selu = || node("Selu", &["x"], "y");
    assert!(refused(with(selu(), float("alpha", 1.5))));
    assert!(refused(with(selu(), float("gamma", 1.5))));
    let approximate = Attribute { s: b"sigmoid".to_vec(), ..int("approximate", 0) };
    assert!(refused(with(node("Gelu", &["x"], "y"), approximate)));
    let sigmoid = with(node("HardSigmoid", &["x"], "y"), float("alpha", 1.0 / 6.0));
    assert_eq!(
        read(&of(sigmoid.clone())).unwrap().0.specification(),
        [Layer::Activation(Activation::HardSigmoid)]
    );
    assert!(refused(with(sigmoid, float("beta", 0.4))));
}

#[test]
fn clips() {
    const MOST: f64 = f32::MAX as f64;
    let of = |opset, attributes: &[(&str, f32)], inputs: &[&str]| {
        let mut clip = node("Clip", inputs, "y");
        clip.attribute.extend(attributes.iter().map(|&(name, f)| float(name, f)));
        let constants = [("low", -0.3), ("zero", 0.0), ("high", 0.7), ("nan", f32::NAN)];
        let mut tensors = constants.map(|(name, number)| floats(name, &[], &[number])).to_vec();
        tensors.extend([floats("inf", &[1], &[f32::INFINITY]), floats("two", &[2], &[0.0; 2])]);
        let mut model = model(2, tensors, vec![clip]);
        model.opset_import[0].version = opset;
        read(&model).map(|(network, _)| match network.specification() {
            [Layer::Activation(activation)] => *activation,
            other => panic!("{other:?}"),
        })
    };
    let clip = |low, high| Ok(Activation::Clip { low, high });
    for (inputs, expected) in [
        (&["x", "low", "high"][..], clip(-0.3, 0.7)),
        (&["x", "zero", "high"], clip(0.0, 0.7)),
        (&["x", "", "high"], clip(-MOST, 0.7)),
        (&["x", "low"], clip(-0.3, MOST)),
        (&["x", "low", "inf"], clip(-0.3, MOST)),
        (&["x"], clip(-MOST, MOST)),
        (&["x", "zero"], Ok(Activation::Relu)),
        (&["x", "zero", "inf"], Ok(Activation::Relu)),
    ] {
        assert_eq!(of(13, &[], inputs), expected, "{inputs:?}");
    }
    // The attributes of a newer one mean nothing.
    assert_eq!(of(11, &[("min", -2.0)], &["x", "zero"]), Ok(Activation::Relu));
    assert_eq!(of(10, &[("min", -0.1), ("max", 6.0)], &["x"]), clip(-0.1, 6.0));
    assert_eq!(of(7, &[("max", 6.0)], &["x"]), clip(-MOST, 6.0));
    assert_eq!(of(7, &[("min", 0.0)], &["x"]), Ok(Activation::Relu));
    assert_eq!(of(7, &[("min", 0.0), ("max", f32::MAX)], &["x"]), Ok(Activation::Relu));
    let message = |inputs| of(20, &[], inputs).unwrap_err().to_string();
    assert_eq!(message(&["x", "high", "low"]), "`low` is 0.7, but it must be at most `high`");
    assert_eq!(message(&["x", "nan", "high"]), "`low` is NaN, but it must be finite");
    assert!(message(&["x", "x", "high"]).ends_with(NOT_READ));
    assert!(message(&["x", "two", "high"]).ends_with(NOT_READ));
}

#[test]
fn a_softplus_of_parts() {
    let nodes = vec![
        node("Relu", &["x"], "r"),
        node("Softplus", &["r"], "s"),
        node("Greater", &["r", "threshold"], "is_large"),
        node("Where", &["is_large", "r", "s"], "y"),
    ];
    check(
        model(2, vec![floats("threshold", &[], &[20.0])], nodes),
        &[
            (|graph| graph.initializer[0].float_data[0] = 10.0, NOT_READ),
            (|graph| graph.node[2].input[0] = "x".to_owned(), NOT_READ),
            (|graph| graph.node[1].input[0] = "x".to_owned(), NOT_READ),
        ],
    );
}

#[test]
fn a_gelu_of_parts() {
    let scalars =
        [("half", 0.5), ("one", 1.0), ("three", 3.0), ("c", 0.044715), ("d", 0.797_884_6)];
    let scalars = || scalars.map(|(name, number)| floats(name, &[], &[number])).to_vec();
    let by_tanh = vec![
        node("Relu", &["x"], "r"),
        node("Pow", &["r", "three"], "cube"),
        node("Mul", &["cube", "c"], "small"),
        node("Add", &["r", "small"], "sum"),
        node("Mul", &["sum", "d"], "inner"),
        node("Tanh", &["inner"], "tanh"),
        node("Add", &["tanh", "one"], "more"),
        node("Mul", &["r", "more"], "twice"),
        node("Mul", &["twice", "half"], "y"),
    ];
    check(
        model(2, scalars(), by_tanh),
        &[
            (|graph| graph.node[1].input[0] = "x".to_owned(), NOT_READ),
            (|graph| graph.node[3].input[0] = "x".to_owned(), NOT_READ),
            (|graph| graph.initializer[2].float_data[0] = 2.0, NOT_READ),
            (|graph| graph.initializer[1].float_data[0] = 2.0, NOT_READ),
        ],
    );
    let by_erf = vec![
        node("Relu", &["x"], "r"),
        node("Div", &["r", "root"], "inner"),
        node("Erf", &["inner"], "erf"),
        node("Add", &["erf", "one"], "more"),
        node("Mul", &["r", "more"], "twice"),
        node("Mul", &["twice", "half"], "y"),
    ];
    let mut tensors = scalars();
    tensors.push(floats("root", &[], &[core::f32::consts::SQRT_2]));
    check(
        model(2, tensors, by_erf),
        &[
            (|graph| graph.node[1].input[0] = "x".to_owned(), NOT_READ),
            (|graph| graph.initializer[5].float_data[0] = 1.5, NOT_READ),
        ],
    );
}

#[test]
fn a_layer_normalization_of_parts() {
    let mean = |x: &str, y: &str| with(node("ReduceMean", &[x], y), ints("axes", &[-1]));
    let nodes = vec![
        node("Relu", &["x"], "r"),
        mean("r", "m"),
        node("Sub", &["r", "m"], "d"),
        node("Mul", &["d", "d"], "square"),
        mean("square", "v"),
        node("Add", &["v", "e"], "s"),
        node("Sqrt", &["s"], "root"),
        node("Div", &["d", "root"], "y"),
    ];
    check(
        model(2, vec![floats("e", &[], &[1e-5])], nodes),
        &[
            (|graph| graph.node[1].attribute.push(int("keepdims", 0)), NOT_READ),
            (|graph| graph.node[1].attribute[0].ints = vec![0], NOT_READ),
            (|graph| graph.node[4].attribute[0].ints = vec![0, 1], NOT_READ),
            (|graph| graph.node[1].input[0] = "x".to_owned(), NOT_READ),
            (|graph| graph.node[3].input[1] = "r".to_owned(), NOT_READ),
        ],
    );
}

#[test]
fn an_embedding_of_parts() {
    let gather =
        |x: &str, which: &str, y: &str| with(node("Gather", &[x, which], y), int("axis", 1));
    let nodes = vec![
        gather("x", "one", "number"),
        with(node("Cast", &["number"], "category"), int("to", data_type::INT64.into())),
        node("Gather", &["table", "category"], "vector"),
        gather("x", "others", "numeric"),
        with(node("Concat", &["vector", "numeric"], "y"), int("axis", 1)),
    ];
    let tensors = vec![square("table"), whole("one", &[], &[1]), whole("others", &[2], &[0, 2])];
    let good = model(3, tensors, nodes);
    let of_int32: [Change; 2] = [
        |graph| graph.initializer[2].int32_data = vec![0, 2],
        |graph| graph.initializer[2].raw_data = [0i32, 2].map(i32::to_le_bytes).concat(),
    ];
    for change in of_int32 {
        let mut model = good.clone();
        let graph = model.graph.as_mut().unwrap();
        graph.initializer[2].data_type = data_type::INT32;
        graph.initializer[2].int64_data.clear();
        change(graph);
        assert_eq!(
            read(&model).unwrap().0.predict(&[7.0, 1.0, 9.0]).unwrap(),
            [3.0, 4.0, 7.0, 9.0]
        );
    }
    let order = "it is not of every column once, and in order";
    check(
        good,
        &[
            (|graph| graph.initializer[2].int64_data = vec![2, 0], order),
            (|graph| graph.initializer[2].int64_data = vec![0, 1], order),
            (
                |graph| graph.initializer[2].int64_data = vec![0, -1],
                "one of its columns is negative",
            ),
            (|graph| graph.node[0].attribute[0].i = 0, NOT_OF_TWO),
            (|graph| graph.node[3].attribute[0].i = 0, NOT_OF_TWO),
            (|graph| graph.node[2].attribute.push(int("axis", 1)), NOT_OF_TWO),
            (
                |graph| {
                    graph.node[3].input[0] = "r".to_owned();
                    graph.node.insert(0, node("Relu", &["x"], "r"));
                },
                NOT_OF_TWO,
            ),
            (|graph| graph.node[4].attribute[0].i = 0, NOT_OF_TWO),
        ],
    );
}
