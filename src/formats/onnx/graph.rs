//! A model's graph, in which each name is looked up once.

use core::cell::Cell;
use deltarule_kernels::Element;
use std::collections::HashMap;

use super::invalid;
use super::proto::{self, Attribute, Node, Tensor, ValueInfo, data_type};
use crate::error::{Error, Result};

/// What a name stands for. Two that are equal are the same value; constants never are.
#[derive(Clone, Copy)]
pub(super) enum Value<'a> {
    /// The model's input.
    Input,
    /// This output of this node.
    Node(usize, usize),
    Constant(Constant<'a>),
    /// An input of a node that is left out.
    Nothing,
}

/// A value that does not depend on the input.
#[derive(Clone, Copy)]
pub(super) enum Constant<'a> {
    Tensor(&'a Tensor),
    /// A matrix, the other way round.
    Transposed(&'a Tensor),
    /// The attribute of a constant.
    Attribute(&'a Attribute),
}

impl PartialEq for Value<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Input, Self::Input) => true,
            (Self::Node(node, output), Self::Node(other, of_other)) => {
                (node, output) == (other, of_other)
            }
            _ => false,
        }
    }
}

/// A graph in order: every node comes after those whose outputs it needs.
pub(super) struct Graph<'a> {
    nodes: &'a [Node],
    arguments: Vec<Vec<Value<'a>>>,
    names: HashMap<&'a str, Value<'a>>,
    pub(super) opset: i64,
    pub(super) input: &'a ValueInfo,
    /// How many numbers may still be taken: names may be used again, but not to make much of
    /// little.
    budget: Cell<usize>,
}

/// Whether an operator's domain is ONNX's own.
fn is_own(domain: &str) -> bool {
    matches!(domain, "" | "ai.onnx")
}

impl<'a> Graph<'a> {
    pub(super) fn new(
        model: &'a proto::Model,
        graph: &'a proto::Graph,
        bytes: usize,
    ) -> Result<Self> {
        let opset = model.opset_import.iter().find(|set| is_own(&set.domain));
        let opset = opset.ok_or_else(|| invalid("it does not say which opset it has"))?.version;
        if !(7..=26).contains(&opset) {
            return Err(invalid(format!("it has opset {opset}, but 7 to 26 are read")));
        }
        let mut names = HashMap::new();
        for tensor in &graph.initializer {
            let value = Value::Constant(Constant::Tensor(tensor));
            if names.insert(tensor.name.as_str(), value).is_some() {
                return Err(invalid(format!("its tensor `{}` is there twice", tensor.name)));
            }
        }
        // Before IR version 4 initializers are inputs too.
        let mut inputs =
            graph.input.iter().filter(|input| !names.contains_key(input.name.as_str()));
        let (Some(input), None) = (inputs.next(), inputs.next()) else {
            return Err(invalid("it has not one input, but none or several"));
        };
        names.insert(&input.name, Value::Input);
        let mut this = Self {
            nodes: &graph.node,
            arguments: Vec::with_capacity(graph.node.len()),
            names,
            opset,
            input,
            budget: Cell::new(bytes.saturating_add(1024)),
        };
        for (index, node) in graph.node.iter().enumerate() {
            this.add(index, node)?;
        }
        Ok(this)
    }

    /// Looks up what the node needs, and names what it makes.
    fn add(&mut self, index: usize, node: &'a Node) -> Result<()> {
        let mut arguments = Vec::with_capacity(node.input.len());
        for name in &node.input {
            let value = match self.names.get(name.as_str()) {
                Some(value) => *value,
                None if name.is_empty() => Value::Nothing,
                None => {
                    let problem = format!("its input `{name}` is made by nothing before it");
                    return Err(self.error(index, problem));
                }
            };
            arguments.push(value);
        }
        let only = arguments.first().copied().unwrap_or(Value::Nothing);
        let first = match (node.op_type.as_str(), only) {
            ("Constant", _) if is_own(&node.domain) => match &node.attribute[..] {
                [Attribute { t: Some(tensor), .. }] => Value::Constant(Constant::Tensor(tensor)),
                [attribute] => Value::Constant(Constant::Attribute(attribute)),
                _ => return Err(self.error(index, "it is not one value")),
            },
            ("Identity", value) if is_own(&node.domain) => value,
            ("Cast", value) if is_own(&node.domain) && casts_to_float(node) => value,
            ("Transpose", Value::Constant(Constant::Tensor(tensor))) if is_own(&node.domain) => {
                let ints = node.attribute.first().map(|attribute| &attribute.ints[..]);
                if tensor.dims.len() == 2 && matches!(ints, None | Some([1, 0])) {
                    Value::Constant(Constant::Transposed(tensor))
                } else {
                    Value::Node(index, 0)
                }
            }
            _ => Value::Node(index, 0),
        };
        self.arguments.push(arguments);
        for (output, name) in node.output.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
            let value = if output == 0 { first } else { Value::Node(index, output) };
            if self.names.insert(name, value).is_some() {
                return Err(self.error(index, format!("its output `{name}` is made before it")));
            }
        }
        Ok(())
    }

    /// The value of this name.
    pub(super) fn value(&self, name: &str) -> Option<Value<'a>> {
        self.names.get(name).copied()
    }

    pub(super) fn node(&self, index: usize) -> &'a Node {
        &self.nodes[index]
    }

    /// Its operator; those of other domains have their domain before them.
    pub(super) fn operator(&self, index: usize) -> String {
        let Node { op_type, domain, .. } = &self.nodes[index];
        if is_own(domain) { op_type.clone() } else { format!("{domain}.{op_type}") }
    }

    /// Whether it is this operator of ONNX's own.
    pub(super) fn is(&self, index: usize, operator: &str) -> bool {
        let node = &self.nodes[index];
        node.op_type == operator && is_own(&node.domain)
    }

    /// An input of a node.
    pub(super) fn argument(&self, node: usize, index: usize) -> Value<'a> {
        self.arguments[node].get(index).copied().unwrap_or(Value::Nothing)
    }

    /// All inputs of a node.
    pub(super) fn arguments(&self, node: usize) -> &[Value<'a>] {
        &self.arguments[node]
    }

    /// An error that names the node.
    pub(super) fn error(&self, index: usize, problem: impl Into<String>) -> Error {
        let name = &self.nodes[index].name;
        let (operator, problem) = (self.operator(index), problem.into());
        Error::Node { index, name: name.clone(), operator, problem }
    }

    fn attribute(&self, node: usize, name: &str) -> Option<&'a Attribute> {
        self.nodes[node].attribute.iter().find(|attribute| attribute.name == name)
    }

    pub(super) fn integer(&self, node: usize, name: &str, usual: i64) -> i64 {
        self.attribute(node, name).map_or(usual, |attribute| attribute.i)
    }

    pub(super) fn floats(&self, node: usize, name: &str) -> Vec<f64> {
        let floats = self.attribute(node, name).map_or(&[][..], |attribute| &attribute.floats);
        floats.iter().map(|&number| number.into()).collect()
    }

    pub(super) fn integers(&self, node: usize, name: &str) -> Option<&'a [i64]> {
        self.attribute(node, name).map(|attribute| &attribute.ints[..])
    }

    pub(super) fn string(&self, node: usize, name: &str) -> Option<&'a [u8]> {
        self.attribute(node, name).map(|attribute| &attribute.s[..])
    }

    /// A number, as the shortest decimal that is this f32: 0.1 for the f32 next to it.
    pub(super) fn float(&self, node: usize, name: &str, usual: f64) -> f64 {
        self.attribute(node, name).map_or(usual, |attribute| decimal(attribute.f))
    }

    /// Checks that a node works on rows, by its attribute or as is usual.
    pub(super) fn check_axis(&self, node: usize, usual: i64) -> Result<()> {
        match self.integer(node, "axis", usual) {
            1 | -1 => Ok(()),
            axis => Err(self.error(node, format!("its axis is {axis}, not that of a row"))),
        }
    }

    /// Takes so many numbers from the budget.
    pub(super) fn spend(&self, node: usize, count: usize) -> Result<()> {
        let left = self.budget.get().checked_sub(count).ok_or_else(|| {
            self.error(node, format!("its {count} numbers are more than the file has"))
        })?;
        self.budget.set(left);
        Ok(())
    }

    /// The extents and numbers of a constant.
    fn numbers<E: Element>(&self, node: usize, value: Value<'a>) -> Result<(Vec<usize>, Vec<E>)> {
        let Value::Constant(constant) = value else {
            return Err(self.error(node, "one of its inputs is no constant, but has to be"));
        };
        let of = |tensor: &Tensor| {
            self.spend(node, tensor.count().map_err(|problem| self.error(node, problem))?)?;
            let numbers = tensor.floats().and_then(|numbers| Ok((tensor.extents()?, numbers)));
            numbers.map_err(|problem| self.error(node, problem))
        };
        match constant {
            Constant::Tensor(tensor) => of(tensor),
            Constant::Transposed(tensor) => {
                let (extents, numbers) = of(tensor)?;
                let [rows, columns] = extents[..] else { return Ok((extents, numbers)) };
                Ok((vec![columns, rows], transposed(&numbers, rows, columns)))
            }
            Constant::Attribute(attribute) => match &attribute.name[..] {
                "value_float" => Ok((Vec::new(), vec![E::from_f64(attribute.f.into())])),
                "value_floats" => {
                    self.spend(node, attribute.floats.len())?;
                    let numbers = attribute.floats.iter().map(|&x| E::from_f64(x.into())).collect();
                    Ok((vec![attribute.floats.len()], numbers))
                }
                other => Err(self.error(node, format!("a constant's {other} is of no floats"))),
            },
        }
    }

    /// A constant of two dimensions: rows, columns and numbers.
    pub(super) fn matrix<E: Element>(
        &self,
        node: usize,
        value: Value<'a>,
    ) -> Result<(usize, usize, Vec<E>)> {
        let (extents, numbers) = self.numbers(node, value)?;
        match extents[..] {
            [rows, columns] if rows > 0 && columns > 0 => Ok((rows, columns, numbers)),
            _ => Err(self.error(node, format!("{extents:?} is no matrix of weights"))),
        }
    }

    /// A constant that is a row of so many columns, or one number for all of them.
    pub(super) fn row<E: Element>(
        &self,
        node: usize,
        value: Value<'a>,
        columns: usize,
    ) -> Result<Vec<E>> {
        let (extents, numbers) = self.numbers(node, value)?;
        let is_row = is_row(&extents, numbers.len());
        if is_row && numbers.len() == columns {
            return Ok(numbers);
        }
        if let (true, [number]) = (is_row, &numbers[..]) {
            self.spend(node, columns)?;
            return Ok(vec![*number; columns]);
        }
        Err(self.error(node, format!("{extents:?} is no row of {columns} numbers")))
    }

    /// A constant that is a row of any columns, or one number for all of them.
    pub(super) fn any_row(&self, node: usize, value: Value<'a>) -> Result<Vec<f64>> {
        let (extents, numbers) = self.numbers(node, value)?;
        if is_row(&extents, numbers.len()) && !numbers.is_empty() {
            return Ok(numbers);
        }
        Err(self.error(node, format!("{extents:?} is no row of numbers")))
    }

    /// The length of a constant that is a row.
    pub(super) fn row_length(&self, value: Value<'a>) -> Option<usize> {
        let Value::Constant(Constant::Tensor(tensor)) = value else { return None };
        let extents = tensor.extents().ok()?;
        (extents.len() <= 2 && tensor.count().ok()? == *extents.last()?).then_some(*extents.last()?)
    }

    /// A constant of one number.
    pub(super) fn scalar(&self, value: Value<'a>) -> Option<f64> {
        match value {
            Value::Constant(Constant::Tensor(tensor)) if tensor.count() == Ok(1) => {
                if tensor.data_type == data_type::INT64 {
                    return tensor.integers().ok().map(|numbers| numbers[0] as f64);
                }
                tensor.floats::<f64>().ok().map(|numbers| numbers[0])
            }
            Value::Constant(Constant::Attribute(attribute)) => match &attribute.name[..] {
                "value_float" => Some(attribute.f.into()),
                "value_int" => Some(attribute.i as f64),
                _ => None,
            },
            _ => None,
        }
    }

    /// A constant of one number; if it is no f64, as the shortest decimal that is this f32.
    pub(super) fn decimal(&self, value: Value<'a>) -> Option<f64> {
        let is_double = matches!(value, Value::Constant(Constant::Tensor(tensor))
            if tensor.data_type == data_type::DOUBLE);
        self.scalar(value).map(|number| if is_double { number } else { decimal(number as f32) })
    }

    /// Whether the model's input is of f64.
    pub(super) fn is_double(&self) -> bool {
        let tensor = self.input.r#type.as_ref().and_then(|it| it.tensor_type.as_ref());
        tensor.is_some_and(|tensor| tensor.elem_type == data_type::DOUBLE)
    }

    /// A constant of indices; none for nothing.
    pub(super) fn indices(&self, node: usize, value: Value<'a>) -> Result<Vec<usize>> {
        let tensor = match value {
            Value::Nothing => return Ok(Vec::new()),
            Value::Constant(Constant::Tensor(tensor)) => tensor,
            _ => return Err(self.error(node, "its columns are no constants")),
        };
        let count = tensor.count().map_err(|problem| self.error(node, problem))?;
        self.spend(node, count)?;
        let numbers = tensor.integers().map_err(|problem| self.error(node, problem))?;
        let indices = numbers.iter().map(|&number| usize::try_from(number).ok()).collect();
        let indices: Option<Vec<usize>> = indices;
        indices.ok_or_else(|| self.error(node, "one of its columns is negative"))
    }

    /// A constant of whole numbers, not more than a few.
    pub(super) fn whole_numbers(&self, value: Value<'a>) -> Option<Vec<i64>> {
        const MOST: usize = 8;
        match value {
            Value::Constant(Constant::Tensor(tensor)) if tensor.count().ok()? <= MOST => {
                tensor.integers().ok()
            }
            Value::Constant(Constant::Attribute(attribute))
                if attribute.name == "value_ints" && attribute.ints.len() <= MOST =>
            {
                Some(attribute.ints.clone())
            }
            _ => None,
        }
    }
}

fn is_row(extents: &[usize], count: usize) -> bool {
    extents.len() <= 2 && extents.last().is_none_or(|&last| last == count)
}

fn casts_to_float(node: &Node) -> bool {
    let floats = [data_type::FLOAT, data_type::DOUBLE, data_type::FLOAT16, data_type::BFLOAT16]
        .map(i64::from);
    node.attribute.iter().any(|attribute| attribute.name == "to" && floats.contains(&attribute.i))
}

/// The shortest decimal that is this f32.
pub(super) fn decimal(number: f32) -> f64 {
    number.to_string().parse().unwrap_or(number.into())
}

/// A row-major matrix, the other way round.
pub(super) fn transposed<E: Element>(numbers: &[E], rows: usize, columns: usize) -> Vec<E> {
    (0..columns)
        .flat_map(|column| (0..rows).map(move |row| numbers[row * columns + column]))
        .collect()
}
