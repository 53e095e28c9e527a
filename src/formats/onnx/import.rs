//! Reading: from the output back to the input, and then layer after layer.

use core::iter::repeat_n;
use deltarule_kernels::Element;
use deltarule_kernels::activation::Activation;

use super::graph::{Graph, Value, decimal, transposed};
use super::patterns::{Embedded, Normalized};
use super::pieces::{Layers, Piece};
use super::proto::{Model, ValueInfo, data_type};
use super::scaling::{Step, folded};
use super::{Head, invalid};
use crate::error::{Result, check_length, try_aligned};
use crate::layers::{Categorical, Layer, MAX_NESTED};
use crate::network::{Network, NetworkBuilder};

pub(super) const NOT_READ: &str = "this operator is not read here, or not with these inputs: \
    leave it out of the model, and do outside what it does";
const NOT_TWO: &str = "it is not of the two probabilities 1 − p and p";
pub(super) const NO_ROWS: &str = "its shape is not one of rows, as that of `x.flatten(1)` is";

/// The network of a model that is a file of so many bytes.
pub(super) fn network<E: Element>(model: &Model, bytes: usize) -> Result<(Network<E>, Head)> {
    let graph = model.graph.as_ref().ok_or_else(|| invalid("it has no graph"))?;
    let output = output(&graph.output)?;
    let graph = Graph::new(model, graph, bytes)?;
    let value = graph
        .value(&output.name)
        .ok_or_else(|| invalid(format!("its output `{}` is made by nothing", output.name)))?;
    let mut import = Import { graph: &graph, head: Head::None };
    let pieces = import.model(value)?;
    let head = import.head;
    let inputs = inputs(&graph, &pieces)?;
    let mut layers = Layers { layers: Vec::new(), parameters: Vec::new(), statistics: Vec::new() };
    layers.add(&graph, pieces, inputs)?;
    let Layers { mut layers, parameters, statistics } = layers;
    if layers.is_empty() {
        // A network has a layer.
        layers.push(Layer::Activation(Activation::Identity));
    }
    let builder = layers.into_iter().fold(NetworkBuilder::new(inputs), NetworkBuilder::layer);
    let network = builder.assemble(|count, of_statistics| {
        check_length("parameters", parameters.len(), count)?;
        check_length("statistics", statistics.len(), of_statistics)?;
        let mut weights =
            (try_aligned("parameters", count)?, try_aligned("statistics", of_statistics)?);
        weights.0.copy_from_slice(&parameters);
        weights.1.copy_from_slice(&statistics);
        Ok(weights)
    })?;
    Ok((network, head))
}

/// The output of floats; skl2onnx has the labels before it, and may give maps of probabilities.
fn output(outputs: &[ValueInfo]) -> Result<&ValueInfo> {
    let element = |output: &&ValueInfo| {
        output.r#type.as_ref().and_then(|it| it.tensor_type.as_ref()).map(|it| it.elem_type)
    };
    let is_float = |output: &&ValueInfo| {
        matches!(
            element(output),
            Some(data_type::FLOAT | data_type::DOUBLE | data_type::FLOAT16 | data_type::BFLOAT16)
        )
    };
    let is_no_tensor = |output: &&ValueInfo| element(output).is_none();
    let mut floats = outputs.iter().filter(is_float);
    let mut others = outputs.iter().filter(is_no_tensor);
    match (floats.next(), floats.next(), others.next(), others.next()) {
        (Some(output), None, ..) | (None, None, Some(output), None) => Ok(output),
        _ => Err(invalid("it has not one output of floats, but none or several")),
    }
}

/// The elements of an input row.
fn inputs<E: Element>(graph: &Graph<'_>, pieces: &[Piece<E>]) -> Result<usize> {
    let tensor = graph.input.r#type.as_ref().and_then(|it| it.tensor_type.as_ref());
    let shape = tensor.and_then(|tensor| tensor.shape.as_ref());
    let first = pieces.iter().find(|piece| !piece.is_elementwise());
    let becomes_rows = matches!(first, Some(Piece::Rows { .. }));
    // Some writers say 0 for what they don't know.
    let static_extent = |dim: &super::proto::Dimension| {
        dim.dim_value.and_then(|value| usize::try_from(value).ok()).filter(|&value| value > 0)
    };
    let declared = match shape {
        None => None,
        Some(shape) if shape.dim.len() == 2 || (shape.dim.len() > 2 && becomes_rows) => {
            let extents = shape.dim[1..].iter().map(static_extent);
            let product = extents.reduce(|a, b| a?.checked_mul(b?));
            product.flatten()
        }
        Some(shape) => {
            let count = shape.dim.len();
            return Err(invalid(format!("its input has {count} dimensions, not rows and columns")));
        }
    };
    let needed = pieces.iter().find_map(Piece::inputs);
    match (declared, needed) {
        (Some(declared), Some(needed)) if declared != needed => Err(invalid(format!(
            "its input has {declared} columns, but its first layer takes {needed}"
        ))),
        (declared, needed) => {
            declared.or(needed).ok_or_else(|| invalid("it does not say how wide its input is"))
        }
    }
}

/// The way back through a graph.
struct Import<'a> {
    graph: &'a Graph<'a>,
    head: Head,
}

impl<'a> Import<'a> {
    /// All pieces of a model that ends in this value, from the first on.
    fn model<E: Element>(&mut self, output: Value<'a>) -> Result<Vec<Piece<E>>> {
        let graph = self.graph;
        let mut value = output;
        if let Value::Node(node, 0) = value
            && graph.operator(node) == "ai.onnx.ml.ZipMap"
        {
            value = graph.argument(node, 0);
        }
        let Value::Node(node, 0) = value else { return self.chain(value, Value::Input, 0) };
        self.head = match graph.node(node).op_type.as_str() {
            "Softmax" if graph.is(node, "Softmax") => Head::Softmax,
            "LogSoftmax" if graph.is(node, "LogSoftmax") => Head::LogSoftmax,
            "Exp" if graph.is(node, "Exp") => Head::Exp,
            "Concat" if graph.is(node, "Concat") && graph.embedding(node).is_none() => {
                return self.two_classes(node);
            }
            _ => return self.chain(value, Value::Input, 0),
        };
        if self.head != Head::Exp {
            let usual = if graph.opset < 13 { 1 } else { -1 };
            graph.check_axis(node, usual)?;
        }
        self.chain(graph.argument(node, 0), Value::Input, 0)
    }

    /// 1 − σ(z) and σ(z) of one logit z, which are σ(−z) and σ(z).
    fn two_classes<E: Element>(&self, node: usize) -> Result<Vec<Piece<E>>> {
        let graph = self.graph;
        let &[negative, positive] = graph.arguments(node) else {
            return Err(graph.error(node, NOT_TWO));
        };
        let sigmoid = match (negative, positive) {
            (Value::Node(sub, 0), Value::Node(sigmoid, 0))
                if graph.is(sub, "Sub")
                    && graph.is(sigmoid, "Sigmoid")
                    && graph.scalar(graph.argument(sub, 0)) == Some(1.0)
                    && graph.argument(sub, 1) == positive =>
            {
                sigmoid
            }
            _ => return Err(graph.error(node, NOT_TWO)),
        };
        graph.check_axis(node, -1)?;
        let mut pieces = self.chain(graph.argument(sigmoid, 0), Value::Input, 0)?;
        match pieces.last_mut() {
            Some(Piece::Dense { inputs, weights, biases, activation })
                if weights.len() == *inputs =>
            {
                graph.spend(node, weights.len() + biases.len())?;
                for both in [weights, biases] {
                    let positive = both.clone();
                    both.iter_mut().for_each(|weight: &mut E| *weight = -*weight);
                    both.extend(positive);
                }
                *activation = Activation::Sigmoid;
                Ok(pieces)
            }
            _ => Err(graph.error(node, "p is not made of one logit")),
        }
    }

    /// The pieces from one value, behind them, to another.
    fn chain<E: Element>(
        &self,
        mut value: Value<'a>,
        start: Value<'a>,
        depth: usize,
    ) -> Result<Vec<Piece<E>>> {
        let mut pieces = Vec::new();
        let mut last = None;
        while value != start {
            let node = match (value, last) {
                (Value::Node(node, 0), _) => node,
                (Value::Node(node, output), _) => {
                    let problem = format!("its output {output} is used, which is not read");
                    return Err(self.graph.error(node, problem));
                }
                (_, Some(node)) => {
                    let problem = "what goes into it does not come from where it should";
                    return Err(self.graph.error(node, problem));
                }
                (_, None) => return Err(invalid("its output does not depend on its input")),
            };
            value = self.piece(node, depth, &mut pieces)?;
            last = Some(node);
        }
        pieces.reverse();
        self.check_squeezed(&pieces, depth)?;
        folded(self.graph, pieces)
    }

    /// Checks that nothing needs rows any more once they were squeezed.
    fn check_squeezed<E>(&self, pieces: &[Piece<E>], depth: usize) -> Result<()> {
        let mut rest = pieces.iter();
        let Some(&Piece::Squeeze { node }) =
            rest.find(|piece| matches!(piece, Piece::Squeeze { .. }))
        else {
            return Ok(());
        };
        if depth == 0 && self.head == Head::None && rest.all(Piece::is_elementwise) {
            return Ok(());
        }
        Err(self.graph.error(node, "only activations and scalings may come after it: squeeze last"))
    }

    /// Adds the piece that ends in this node, and returns what goes into it.
    fn piece<E: Element>(
        &self,
        node: usize,
        depth: usize,
        pieces: &mut Vec<Piece<E>>,
    ) -> Result<Value<'a>> {
        let graph = self.graph;
        let x = graph.argument(node, 0);
        if let Some((activation, x)) = graph.activation(node) {
            pieces.push(Piece::Activation(activation));
            return Ok(x);
        }
        if let Some(norm) = graph.layer_norm(node) {
            let x = norm.x;
            pieces.push(self.layer_norm(node, norm)?);
            return Ok(x);
        }
        if let Some(embedded) = graph.embedding(node) {
            let x = embedded.x;
            pieces.push(self.embedding(node, embedded)?);
            return Ok(x);
        }
        let operator = graph.operator(node);
        match operator.as_str() {
            "Gemm" | "MatMul" => {
                pieces.push(self.dense(node)?);
                Ok(x)
            }
            "Add" => self.add(node, depth, pieces),
            "BatchNormalization" => {
                pieces.push(self.batch_norm(node)?);
                Ok(x)
            }
            "LayerNormalization" => {
                graph.check_axis(node, -1)?;
                let [gamma, beta] = [1, 2].map(|index| graph.argument(node, index));
                let epsilon = graph.float(node, "epsilon", 1e-5);
                pieces.push(self.layer_norm(node, Normalized { x, epsilon, gamma, beta })?);
                Ok(x)
            }
            "Dropout" => {
                let rate = graph.decimal(graph.argument(node, 1));
                let rate = rate.unwrap_or_else(|| graph.float(node, "ratio", 0.5));
                pieces.push(Piece::Dropout { rate });
                Ok(x)
            }
            "Flatten" if graph.integer(node, "axis", 1) == 1 => {
                pieces.push(Piece::Rows { columns: None });
                Ok(x)
            }
            "Reshape" => {
                let piece = match graph.shape(graph.argument(node, 1), x).as_deref() {
                    Some([_, -1]) => Piece::Rows { columns: None },
                    Some(&[_, columns]) if columns > 0 => {
                        Piece::Rows { columns: usize::try_from(columns).ok() }
                    }
                    Some([-1]) => Piece::Squeeze { node },
                    _ => return Err(graph.error(node, NO_ROWS)),
                };
                pieces.push(piece);
                Ok(x)
            }
            "Squeeze" if graph.squeezes_columns(node) => {
                pieces.push(Piece::Squeeze { node });
                Ok(x)
            }
            "Sub" | "Mul" | "Div" => match Step::of(graph, node)? {
                Some((step, x)) => {
                    pieces.push(Piece::Scale { node, steps: vec![step] });
                    Ok(x)
                }
                None => Err(graph.error(node, NOT_READ)),
            },
            "ai.onnx.ml.Scaler" => {
                pieces.push(Piece::Scale { node, steps: Step::of_scaler(graph, node)? });
                Ok(x)
            }
            _ => Err(graph.error(node, NOT_READ)),
        }
    }

    /// W and b of a product.
    fn dense<E: Element>(&self, node: usize) -> Result<Piece<E>> {
        let graph = self.graph;
        let (rows, columns, numbers) = graph.matrix(node, graph.argument(node, 1))?;
        let activation = Activation::Identity;
        if graph.is(node, "MatMul") {
            let weights = transposed(&numbers, rows, columns);
            return Ok(Piece::Dense { inputs: rows, weights, biases: Vec::new(), activation });
        }
        if graph.integer(node, "transA", 0) != 0 {
            return Err(graph.error(node, "its transA is not 0"));
        }
        let (inputs, outputs, mut weights) = match graph.integer(node, "transB", 0) {
            0 => (rows, columns, transposed(&numbers, rows, columns)),
            _ => (columns, rows, numbers),
        };
        let mut biases = match graph.argument(node, 2) {
            Value::Nothing => Vec::new(),
            bias => graph.row(node, bias, outputs)?,
        };
        for (factor, numbers) in [("alpha", &mut weights), ("beta", &mut biases)] {
            let factor = graph.float(node, factor, 1.0);
            if factor != 1.0 {
                numbers.iter_mut().for_each(|number| *number = *number * E::from_f64(factor));
            }
        }
        Ok(Piece::Dense { inputs, weights, biases, activation })
    }

    /// A bias, or the end of a residual block.
    fn add<E: Element>(
        &self,
        node: usize,
        depth: usize,
        pieces: &mut Vec<Piece<E>>,
    ) -> Result<Value<'a>> {
        let graph = self.graph;
        let inputs = [graph.argument(node, 0), graph.argument(node, 1)];
        let (skip, end) = match inputs {
            [Value::Constant(_), Value::Node(product, 0)]
            | [Value::Node(product, 0), Value::Constant(_)]
                if graph.is(product, "Gemm") || graph.is(product, "MatMul") =>
            {
                let bias =
                    if matches!(inputs[0], Value::Constant(_)) { inputs[0] } else { inputs[1] };
                let mut piece = self.dense(product)?;
                if let Piece::Dense { inputs, weights, biases, .. } = &mut piece {
                    let more: Vec<E> = graph.row(node, bias, weights.len() / *inputs)?;
                    biases.resize(more.len(), E::ZERO);
                    biases.iter_mut().zip(more).for_each(|(bias, more)| *bias += more);
                }
                pieces.push(piece);
                return Ok(graph.argument(product, 0));
            }
            // A block's input is made before its output.
            [Value::Input, Value::Node(..)] => (inputs[0], inputs[1]),
            [Value::Node(..), Value::Input] => (inputs[1], inputs[0]),
            [Value::Node(first, _), Value::Node(second, _)] if first < second => {
                (inputs[0], inputs[1])
            }
            [Value::Node(..), Value::Node(..)] => (inputs[1], inputs[0]),
            _ => {
                let Some((step, x)) = Step::of(graph, node)? else {
                    return Err(graph.error(node, "it adds neither a row nor a residual block"));
                };
                pieces.push(Piece::Scale { node, steps: vec![step] });
                return Ok(x);
            }
        };
        if depth == MAX_NESTED {
            return Err(graph.error(node, "residual blocks lie too deep in each other"));
        }
        let block = self.chain(end, skip, depth + 1)?;
        pieces.push(Piece::Residual { node, block });
        Ok(skip)
    }

    fn embedding<E: Element>(&self, node: usize, embedded: Embedded<'a>) -> Result<Piece<E>> {
        let graph = self.graph;
        let numeric = graph.indices(node, embedded.numeric)?;
        let inputs = embedded.tables.len() + numeric.len();
        let (mut columns, mut tables) = (Vec::new(), Vec::new());
        let mut outputs = numeric.len();
        for (column, table) in embedded.tables {
            let (categories, dimensions, numbers) = graph.matrix::<E>(node, table)?;
            columns.push(Categorical { column, categories, dimensions });
            tables.extend(numbers);
            outputs += dimensions;
        }
        // All columns are there once, which are not categorical in their order.
        let is_ascending = numeric.is_sorted_by(|one, other| one < other);
        let mut all: Vec<usize> = columns.iter().map(|it| it.column).chain(numeric).collect();
        all.sort_unstable();
        if !is_ascending || !all.into_iter().eq(0..inputs) {
            return Err(graph.error(node, "it is not of every column once, and in order"));
        }
        Ok(Piece::Embedding { inputs, outputs, columns, tables })
    }

    fn batch_norm<E: Element>(&self, node: usize) -> Result<Piece<E>> {
        let graph = self.graph;
        if graph.integer(node, "training_mode", 0) != 0 {
            return Err(graph.error(node, "it is in training mode"));
        }
        let row_of = |index| graph.argument(node, index);
        let Some(features) = graph.row_length(row_of(1)) else {
            return Err(graph.error(node, "its scale is no constant of one dimension"));
        };
        let mut rows = [Vec::new(), Vec::new()];
        for (index, row) in (1..).zip([0, 0, 1, 1]) {
            let numbers: Vec<E> = graph.row(node, row_of(index), features)?;
            rows[row].extend(numbers);
        }
        let [parameters, statistics] = rows;
        // ONNX's is the weight of the old. The difference of two decimals is one of a few digits.
        let momentum = 1.0 - graph.float(node, "momentum", 0.9);
        let momentum = (momentum * 1e9).round() / 1e9;
        let epsilon = graph.float(node, "epsilon", 1e-5);
        let layer = Layer::BatchNorm { momentum, epsilon, affine: true };
        let features = Some(features);
        Ok(Piece::Norm { node, layer, features, parameters, statistics })
    }

    fn layer_norm<E: Element>(&self, node: usize, norm: Normalized<'a>) -> Result<Piece<E>> {
        let graph = self.graph;
        let Normalized { epsilon, gamma, beta, .. } = norm;
        let features = graph.row_length(gamma).or(graph.row_length(beta));
        let epsilon = decimal(epsilon as f32);
        let affine = features.is_some();
        let mut parameters = Vec::new();
        if let Some(features) = features {
            for (row, usual) in [(gamma, E::ONE), (beta, E::ZERO)] {
                match row {
                    Value::Nothing => {
                        graph.spend(node, features)?;
                        parameters.extend(repeat_n(usual, features));
                    }
                    row => parameters.extend(graph.row::<E>(node, row, features)?),
                }
            }
        } else if !matches!((gamma, beta), (Value::Nothing, Value::Nothing)) {
            return Err(graph.error(node, "its scale or shift is no constant row"));
        }
        let layer = Layer::LayerNorm { epsilon, affine };
        Ok(Piece::Norm { node, layer, features, parameters, statistics: Vec::new() })
    }
}
