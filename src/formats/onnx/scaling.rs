//! Sums, differences, products and quotients of a value and constants.

use deltarule_kernels::Element;

use super::graph::{Graph, Value};
use super::pieces::Piece;
use crate::error::Result;
use crate::layers::Layer;

/// What is done with a value and a number.
#[derive(Clone, Copy)]
enum Operation {
    Add,
    Subtract,
    SubtractFrom,
    Multiply,
    Divide,
}

/// An operation with one number for all columns, or with one for each.
pub(super) struct Step {
    operation: Operation,
    numbers: Vec<f64>,
}

impl Step {
    /// That of a node, and the value it is done with.
    pub(super) fn of<'a>(graph: &Graph<'a>, node: usize) -> Result<Option<(Self, Value<'a>)>> {
        let (a, b) = (graph.argument(node, 0), graph.argument(node, 1));
        let is_first = match (a, b) {
            (Value::Input | Value::Node(..), Value::Constant(_)) => true,
            (Value::Constant(_), Value::Input | Value::Node(..)) => false,
            _ => return Ok(None),
        };
        let (x, constant) = if is_first { (a, b) } else { (b, a) };
        let operation = match (graph.operator(node).as_str(), is_first) {
            ("Add", _) => Operation::Add,
            ("Sub", true) => Operation::Subtract,
            ("Sub", false) => Operation::SubtractFrom,
            ("Mul", _) => Operation::Multiply,
            ("Div", true) => Operation::Divide,
            _ => return Ok(None),
        };
        let numbers = graph.any_row(node, constant)?;
        Ok(Some((Self { operation, numbers }, x)))
    }

    /// Those of skl2onnx's `Scaler`: (x − offset)·scale.
    pub(super) fn of_scaler(graph: &Graph<'_>, node: usize) -> Result<Vec<Self>> {
        let mut steps = Vec::with_capacity(2);
        for (name, operation) in [("offset", Operation::Subtract), ("scale", Operation::Multiply)] {
            let numbers = graph.floats(node, name);
            if numbers.is_empty() {
                return Err(graph.error(node, format!("it has no `{name}`")));
            }
            graph.spend(node, numbers.len())?;
            steps.push(Self { operation, numbers });
        }
        Ok(steps)
    }

    /// The columns it is for, if not for any.
    pub(super) fn columns(&self) -> Option<usize> {
        (self.numbers.len() > 1).then_some(self.numbers.len())
    }
}

/// x ↦ (x − center)·factor + shift.
struct Map {
    center: f64,
    factor: f64,
    shift: f64,
}

impl Map {
    /// What these steps do with a column. What comes before a product is kept apart, because x may
    /// be near it.
    fn of(steps: &[Step], column: usize) -> Self {
        let mut map = Self { center: 0.0, factor: 1.0, shift: 0.0 };
        let mut is_centering = true;
        for Step { operation, numbers } in steps {
            let number = if numbers.len() == 1 { numbers[0] } else { numbers[column] };
            match operation {
                Operation::Add if is_centering => map.center -= number,
                Operation::Add => map.shift += number,
                Operation::Subtract if is_centering => map.center += number,
                Operation::Subtract => map.shift -= number,
                Operation::SubtractFrom => map.multiply(-1.0, number),
                Operation::Multiply => map.multiply(number, 0.0),
                Operation::Divide => {
                    map.factor /= number;
                    map.shift /= number;
                }
            }
            is_centering &= matches!(operation, Operation::Add | Operation::Subtract);
        }
        map
    }

    fn multiply(&mut self, factor: f64, shift: f64) {
        self.factor *= factor;
        self.shift = self.shift * factor + shift;
    }
}

/// Makes one of scalings that follow each other, takes away what squeezes the one output of a dense
/// layer, and folds scalings into dense layers before them.
pub(super) fn folded<E: Element>(
    graph: &Graph<'_>,
    pieces: Vec<Piece<E>>,
) -> Result<Vec<Piece<E>>> {
    let mut joined: Vec<Piece<E>> = Vec::with_capacity(pieces.len());
    for piece in pieces {
        match (joined.last_mut(), piece) {
            (Some(Piece::Scale { steps, .. }), Piece::Scale { steps: more, .. }) => {
                steps.extend(more);
            }
            (Some(Piece::Dense { inputs, weights, .. }), Piece::Squeeze { .. })
                if weights.len() == *inputs => {}
            (_, piece) => joined.push(piece),
        }
    }
    let mut folded: Vec<Piece<E>> = Vec::with_capacity(joined.len());
    for piece in joined {
        match (folded.last_mut(), piece) {
            (Some(Piece::Dense { inputs, weights, biases, .. }), Piece::Scale { node, steps }) => {
                let outputs = weights.len() / *inputs;
                check_columns(graph, node, &steps, outputs)?;
                biases.resize(outputs, E::ZERO);
                let rows = weights.chunks_exact_mut(*inputs).zip(biases);
                for (output, (weights, bias)) in rows.enumerate() {
                    let Map { center, factor, shift } = Map::of(&steps, output);
                    for weight in weights {
                        *weight = E::from_f64(weight.to_f64() * factor);
                    }
                    *bias = E::from_f64((bias.to_f64() - center) * factor + shift);
                }
            }
            (_, piece) => folded.push(piece),
        }
    }
    Ok(folded)
}

/// Checks that these steps are for so many columns, and that there are not too many of either.
fn check_columns(graph: &Graph<'_>, node: usize, steps: &[Step], columns: usize) -> Result<()> {
    if let Some(wanted) = steps.iter().filter_map(Step::columns).find(|&it| it != columns) {
        return Err(graph.error(node, format!("it has {wanted} numbers for {columns} columns")));
    }
    graph.spend(node, columns.saturating_mul(steps.len()))
}

/// The batch normalization of so many columns that does what these steps do, with its parameters
/// and its statistics.
///
/// Its running variance is that by which they scale, so that a batch to be trained on is scaled
/// like it.
pub(super) fn batch_norm<E: Element>(
    graph: &Graph<'_>,
    node: usize,
    steps: &[Step],
    columns: usize,
) -> Result<(Layer, Vec<E>, Vec<E>)> {
    const EPSILON: f64 = 1e-5;
    check_columns(graph, node, steps, columns)?;
    graph.spend(node, columns.saturating_mul(4))?;
    let mut rows = [(); 4].map(|()| Vec::with_capacity(columns));
    for column in 0..columns {
        let Map { center, factor, shift } = Map::of(steps, column);
        let variance = E::from_f64(1.0 / (factor * factor));
        // What divides by no such number.
        let is_usual = variance > E::ZERO && variance.to_f64().is_finite();
        let variance = if is_usual { variance } else { E::ONE };
        let gamma = factor * (variance.to_f64() + EPSILON).sqrt();
        let numbers = [E::from_f64(gamma), E::from_f64(shift), E::from_f64(center), variance];
        rows.iter_mut().zip(numbers).for_each(|(row, number)| row.push(number));
    }
    let [gamma, beta, mean, variance] = rows;
    let layer = Layer::BatchNorm { momentum: 0.1, epsilon: EPSILON, affine: true };
    Ok((layer, [gamma, beta].concat(), [mean, variance].concat()))
}
