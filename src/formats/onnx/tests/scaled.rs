//! Numbers of rows, squeezed outputs, and scalings.

use super::{
    Attribute, Graph, NO_ROWS, NOT_READ, check, floats, int, ints, model, node, read, square,
    value, whole, with,
};
use crate::{Activation, Layer};

#[test]
fn numbers_of_rows() {
    let gather = with(node("Gather", &["extents", "zero"], "count"), int("axis", 0));
    let nodes = vec![
        node("Shape", &["x"], "extents"),
        gather,
        node("Unsqueeze", &["count", "first"], "rows"),
        with(node("Concat", &["rows", "rest"], "shape"), int("axis", 0)),
        node("Reshape", &["x", "shape"], "z"),
        node("MatMul", &["z", "w"], "y"),
    ];
    let tensors = vec![
        whole("zero", &[], &[0]),
        whole("first", &[1], &[0]),
        whole("rest", &[1], &[-1]),
        square("w"),
    ];
    let mut good = model(2, tensors, nodes);
    good.graph.as_mut().unwrap().input = vec![value("x", &[0, 1, 2])];
    assert_eq!(read(&good).unwrap().0.inputs(), 2);
    let others: [fn(&mut Graph); 3] = [
        |graph| graph.node[1] = node("Slice", &["extents", "first", "one"], "count"),
        |graph| {
            graph.node[0] = with(node("Shape", &["x"], "count"), int("end", 1));
            graph.node.remove(1);
        },
        |graph| {
            graph.initializer[2].int64_data[0] = 2;
            graph.input[0] = value("x", &[0, 0, 0]);
        },
    ];
    for (index, change) in others.iter().enumerate() {
        let mut model = good.clone();
        let graph = model.graph.as_mut().unwrap();
        graph.initializer.push(whole("one", &[1], &[1]));
        change(graph);
        let network = read(&model).unwrap_or_else(|error| panic!("{index}: {error}")).0;
        assert_eq!(network.predict(&[1.0, 0.0]).unwrap(), [1.0, 2.0]);
    }
    check(
        good,
        &[
            (|graph| graph.initializer[0].int64_data[0] = 1, NO_ROWS),
            (|graph| graph.node[1].op_type = "Mul".to_owned(), NO_ROWS),
            (|graph| graph.node[3].op_type = "Add".to_owned(), NO_ROWS),
            (|graph| graph.node[0].input[0] = "w".to_owned(), NO_ROWS),
            (|graph| graph.initializer[2] = whole("rest", &[2], &[1, 2]), NO_ROWS),
            (|graph| graph.initializer[2].int64_data[0] = 0, NO_ROWS),
            (|graph| graph.node[3].input.push("rest".to_owned()), NO_ROWS),
            (|graph| graph.initializer[2].int64_data[0] = 3, "but its first layer takes 3"),
        ],
    );
}

#[test]
fn squeezed_outputs() {
    let nodes = vec![
        node("MatMul", &["x", "w"], "z"),
        node("Squeeze", &["z", "axes"], "s"),
        node("Mul", &["s", "two"], "t"),
        node("Sigmoid", &["t"], "y"),
    ];
    let tensors = vec![
        floats("w", &[2, 1], &[1.0, 2.0]),
        whole("axes", &[1], &[-1]),
        floats("two", &[], &[2.0]),
    ];
    let good = model(2, tensors, nodes);
    // The scaling is in the weights.
    let (network, _) = read(&good).unwrap();
    assert_eq!(network.specification(), [Layer::dense(1, Activation::Sigmoid)]);
    assert_eq!(network.parameters(), [2.0, 4.0, 0.0]);
    let others: [fn(&mut Graph); 4] = [
        |graph| graph.initializer[1].int64_data[0] = 1,
        |graph| graph.node[1].input.truncate(1),
        |graph| graph.node[1] = with(node("Squeeze", &["z"], "s"), ints("axes", &[1])),
        |graph| graph.node[1].op_type = "Reshape".to_owned(),
    ];
    for (index, change) in others.iter().enumerate() {
        let mut model = good.clone();
        change(model.graph.as_mut().unwrap());
        let same = read(&model).unwrap_or_else(|error| panic!("{index}: {error}")).0;
        assert_eq!(same.parameters(), network.parameters());
    }
    let last = "only activations and scalings may come after it: squeeze last";
    check(
        good,
        &[
            (|graph| graph.initializer[1].int64_data[0] = 0, NOT_READ),
            (
                |graph| graph.initializer[0] = square("w"),
                "it squeezes rows of 2, which have to be of 1",
            ),
            (|graph| graph.initializer[2] = floats("two", &[2], &[1.0; 2]), last),
            (|graph| graph.node[3] = node("Add", &["s", "t"], "y"), last),
            (|graph| graph.node[3] = node("LayerNormalization", &["t"], "y"), last),
            (|graph| graph.node[3] = node("Add", &["z", "t"], "y"), last),
            (|graph| graph.node[3] = node("Softmax", &["t"], "y"), last),
        ],
    );
}

#[test]
fn scalings() {
    let nodes = vec![
        node("Sub", &["x", "mean"], "a"),
        node("Div", &["a", "std"], "b"),
        node("MatMul", &["b", "w"], "c"),
        node("Mul", &["factor", "c"], "d"),
        node("Sub", &["shift", "d"], "y"),
    ];
    let tensors = vec![
        floats("mean", &[2], &[100.0, -1.0]),
        floats("std", &[1, 2], &[2.0, -0.5]),
        square("w"),
        floats("factor", &[1], &[0.5]),
        floats("shift", &[2], &[1.0, 2.0]),
    ];
    let good = model(2, tensors.clone(), nodes);
    let (network, _) = read(&good).unwrap();
    let layers = [Layer::batch_norm(), Layer::dense(2, Activation::Identity)];
    assert_eq!(network.specification(), layers);
    assert_eq!(network.statistics(), [100.0, -1.0, 4.0, 0.25]);
    assert_eq!(network.parameters()[4..], [-0.5, -1.5, -1.0, -2.0, 1.0, 2.0]);
    let y = network.predict(&[102.0, -2.0, 100.0, -1.0]).unwrap();
    let (first, second) = (1.0 - 0.5 * (1.0 + 3.0 * 2.0), 2.0 - 0.5 * (2.0 + 4.0 * 2.0));
    for (got, wanted) in y.iter().zip([first, second, 1.0, 2.0]) {
        assert!((got - wanted).abs() < 1e-6, "{y:?}");
    }
    let after = vec![
        node("MatMul", &["x", "w"], "z"),
        node("Sub", &["z", "shift"], "d"),
        node("Mul", &["d", "factor"], "y"),
    ];
    let after = read(&model(2, tensors[2..].to_vec(), after)).unwrap().0;
    assert_eq!(after.parameters(), [0.5, 1.5, 1.0, 2.0, -0.5, -1.0]);
    // Sums before and after products, none of which has a row.
    let alone = vec![
        node("Add", &["x", "one"], "a"),
        node("Mul", &["a", "zero"], "b"),
        node("Add", &["b", "one"], "c"),
        node("Div", &["c", "half"], "d"),
        node("Sub", &["d", "one"], "y"),
    ];
    let tensors = [("one", 1.0), ("zero", 0.0), ("half", 0.5)];
    let tensors = tensors.map(|(name, number)| floats(name, &[], &[number])).to_vec();
    let alone = read(&model(2, tensors, alone)).unwrap().0;
    assert_eq!(alone.specification(), [Layer::batch_norm()]);
    assert_eq!(alone.predict(&[3.0, 4.0]).unwrap(), [1.0, 1.0]);
    check(
        good,
        &[
            (|graph| graph.node[1].input.reverse(), NOT_READ),
            (|graph| graph.node[1].input[1] = "a".to_owned(), NOT_READ),
            (|graph| graph.initializer[0].dims = vec![2, 1], "[2, 1] is no row of numbers"),
            (
                |graph| graph.initializer[4] = floats("shift", &[3], &[1.0; 3]),
                "it has 3 numbers for 2 columns",
            ),
            (|graph| graph.initializer[0] = floats("mean", &[0], &[]), "[0] is no row of numbers"),
        ],
    );
}

#[test]
fn scalers() {
    let numbers = |name: &str, floats: &[f32]| Attribute {
        name: name.to_owned(),
        floats: floats.to_vec(),
        ..Attribute::default()
    };
    let mut scaler = node("Scaler", &["x"], "scaled");
    scaler.domain = "ai.onnx.ml".to_owned();
    scaler.attribute = vec![numbers("offset", &[1.0, -2.0]), numbers("scale", &[0.5, 4.0])];
    let good = model(2, vec![square("w")], vec![scaler, node("MatMul", &["scaled", "w"], "y")]);
    let predict = |model| read(&model).unwrap().0.predict(&[5.0, -1.0]).unwrap();
    // (2, 4) by 1, 2, 3, 4.
    assert_eq!(predict(good.clone()), [14.0, 20.0]);
    let mut of_all = good.clone();
    let graph = of_all.graph.as_mut().unwrap();
    graph.node[0].attribute = vec![numbers("scale", &[0.5]), numbers("offset", &[1.0])];
    assert_eq!(predict(of_all), [-1.0, 0.0]);
    check(
        good,
        &[
            (|graph| graph.node[0].attribute.truncate(1), "it has no `scale`"),
            (|graph| graph.node[0].attribute.clear(), "it has no `offset`"),
            (|graph| graph.node[0].domain.clear(), NOT_READ),
        ],
    );
}
