//! Layers that come as several nodes.

use core::f64::consts::{FRAC_2_SQRT_PI, SQRT_2};
use deltarule_kernels::activation::Activation;

use super::graph::{Graph, Value};

/// What a layer normalization is made of.
pub(super) struct Normalized<'a> {
    pub(super) x: Value<'a>,
    pub(super) epsilon: f64,
    /// γ and β, where they are.
    pub(super) gamma: Value<'a>,
    pub(super) beta: Value<'a>,
}

/// What an embedding is made of.
pub(super) struct Embedded<'a> {
    pub(super) x: Value<'a>,
    /// The categorical columns, each with its table.
    pub(super) tables: Vec<(usize, Value<'a>)>,
    /// The columns that stay as they are.
    pub(super) numeric: Value<'a>,
}

fn is_near(number: f64, wanted: f64) -> bool {
    (number - wanted).abs() <= 1e-5 * wanted.abs()
}

impl<'a> Graph<'a> {
    /// The first two inputs of the node that makes a value, if it is this operator.
    fn inputs_of(&self, value: Value<'a>, operator: &str) -> Option<[Value<'a>; 2]> {
        match value {
            Value::Node(node, 0) if self.is(node, operator) => {
                Some([self.argument(node, 0), self.argument(node, 1)])
            }
            _ => None,
        }
    }

    /// The input of the node that makes a value, if it is this operator.
    pub(super) fn input_of(&self, value: Value<'a>, operator: &str) -> Option<Value<'a>> {
        self.inputs_of(value, operator).map(|[input, _]| input)
    }

    /// The input of a sum or a product, in any order, of which the other is this number.
    fn beside(&self, value: Value<'a>, operator: &str, number: f64) -> Option<Value<'a>> {
        let [a, b] = self.inputs_of(value, operator)?;
        let is_number = |value| self.scalar(value).is_some_and(|it| is_near(it, number));
        if is_number(a) { Some(b) } else { is_number(b).then_some(a) }
    }

    /// An activation that ends in this node, and its input.
    pub(super) fn activation(&self, node: usize) -> Option<(Activation, Value<'a>)> {
        let x = self.argument(node, 0);
        let root = Value::Node(node, 0);
        let number = |name, usual| self.float(node, name, usual);
        let activation = match self.node(node).op_type.as_str() {
            _ if !self.is(node, &self.node(node).op_type) => return None,
            "Relu" => Activation::Relu,
            "Clip" => self.clip(node)?,
            "LeakyRelu" => Activation::LeakyRelu { slope: number("alpha", 0.01) },
            "Elu" => Activation::Elu { alpha: number("alpha", 1.0) },
            "Sigmoid" => Activation::Sigmoid,
            "Tanh" => Activation::Tanh,
            "Softplus" => Activation::Softplus,
            "Mish" => Activation::Mish,
            "HardSwish" => Activation::HardSwish,
            "HardSigmoid" if self.is_hard_sigmoid(node) => Activation::HardSigmoid,
            "Selu"
                if is_near(number("alpha", 1.67326), 1.67326)
                    && is_near(number("gamma", 1.0507), 1.0507) =>
            {
                Activation::Selu
            }
            "Gelu" => match self.string(node, "approximate") {
                None | Some(b"none") => Activation::Gelu,
                Some(b"tanh") => Activation::GeluTanh,
                Some(_) => return None,
            },
            "Where" => return self.softplus(node),
            "Mul" => return self.product(root).or_else(|| self.gelu(root)),
            _ => return None,
        };
        Some((activation, x))
    }

    /// x within two bounds. One that is left out is the largest number of x's type, and as good as
    /// one that is infinite.
    fn clip(&self, node: usize) -> Option<Activation> {
        let are_attributes = self.opset < 11;
        let largest =
            if are_attributes || !self.is_double() { f64::from(f32::MAX) } else { f64::MAX };
        let bound = |index, name, usual| {
            let number = match self.argument(node, index) {
                _ if are_attributes => self.float(node, name, usual),
                Value::Nothing => usual,
                value => self.decimal(value)?,
            };
            Some(number.clamp(-largest, largest))
        };
        let (low, high) = (bound(1, "min", -largest)?, bound(2, "max", largest)?);
        let is_relu = low == 0.0 && high == largest;
        Some(if is_relu { Activation::Relu } else { Activation::Clip { low, high } })
    }

    /// PyTorch's, of which ONNX has another by default.
    fn is_hard_sigmoid(&self, node: usize) -> bool {
        is_near(self.float(node, "alpha", 0.2), 1.0 / 6.0)
            && is_near(self.float(node, "beta", 0.5), 0.5)
    }

    /// x beyond a threshold, where it is the same, and softplus of x below.
    fn softplus(&self, node: usize) -> Option<(Activation, Value<'a>)> {
        let [x, softplus] = [1, 2].map(|index| self.argument(node, index));
        let [compared, threshold] = self.inputs_of(self.argument(node, 0), "Greater")?;
        let is_beyond = self.scalar(threshold).is_some_and(|threshold| threshold >= 16.0);
        let is_softplus = self.input_of(softplus, "Softplus") == Some(x);
        (is_beyond && is_softplus && compared == x).then_some((Activation::Softplus, x))
    }

    /// The activations that are x times a function of it.
    fn product(&self, root: Value<'a>) -> Option<(Activation, Value<'a>)> {
        let [a, b] = self.inputs_of(root, "Mul")?;
        for (x, factor) in [(a, b), (b, a)] {
            if self.input_of(factor, "Sigmoid") == Some(x) {
                return Some((Activation::Silu, x));
            }
            if let Value::Node(node, 0) = factor
                && self.input_of(factor, "HardSigmoid") == Some(x)
                && self.is_hard_sigmoid(node)
            {
                return Some((Activation::HardSwish, x));
            }
            if let Some(inner) = self.input_of(factor, "Tanh")
                && self.input_of(inner, "Softplus") == Some(x)
            {
                return Some((Activation::Mish, x));
            }
        }
        None
    }

    /// ½ x (1 + erf(x/√2)) or with tanh, the factors in any order.
    fn gelu(&self, root: Value<'a>) -> Option<(Activation, Value<'a>)> {
        let [a, b] = self.inputs_of(root, "Mul")?;
        let factors = [(a, b), (b, a)].into_iter().filter_map(|(inner, other)| {
            self.inputs_of(inner, "Mul").map(|[first, second]| [first, second, other])
        });
        for [a, b, c] in factors {
            for [half, x, sum] in [[a, b, c], [a, c, b], [b, a, c], [b, c, a], [c, a, b], [c, b, a]]
            {
                if !self.scalar(half).is_some_and(|half| is_near(half, 0.5)) {
                    continue;
                }
                let Some(function) = self.beside(sum, "Add", 1.0) else { continue };
                if self.is_erf_of(function, x) {
                    return Some((Activation::Gelu, x));
                }
                if self.is_tanh_of(function, x) {
                    return Some((Activation::GeluTanh, x));
                }
            }
        }
        None
    }

    /// Whether this is erf(x/√2).
    fn is_erf_of(&self, value: Value<'a>, x: Value<'a>) -> bool {
        let Some(inner) = self.input_of(value, "Erf") else { return false };
        let divided = self.inputs_of(inner, "Div").is_some_and(|[dividend, divisor]| {
            dividend == x && self.scalar(divisor).is_some_and(|it| is_near(it, SQRT_2))
        });
        divided || self.beside(inner, "Mul", 1.0 / SQRT_2) == Some(x)
    }

    /// Whether this is tanh(√(2/π) (x + 0.044715 x³)).
    fn is_tanh_of(&self, value: Value<'a>, x: Value<'a>) -> bool {
        let is_cube = |cube: Value<'a>| {
            let power = self.inputs_of(cube, "Pow");
            let product = self.inputs_of(cube, "Mul");
            let is_square = |square| self.inputs_of(square, "Mul") == Some([x, x]);
            power.is_some_and(|[base, exponent]| base == x && self.scalar(exponent) == Some(3.0))
                || product
                    .is_some_and(|[a, b]| (a == x && is_square(b)) || (b == x && is_square(a)))
        };
        let inner = self.input_of(value, "Tanh");
        let sum = inner.and_then(|inner| self.beside(inner, "Mul", FRAC_2_SQRT_PI / SQRT_2));
        let Some([a, b]) = sum.and_then(|sum| self.inputs_of(sum, "Add")) else { return false };
        [(a, b), (b, a)].into_iter().any(|(first, second)| {
            first == x && self.beside(second, "Mul", 0.044715).is_some_and(is_cube)
        })
    }

    /// A layer normalization that ends in this node.
    pub(super) fn layer_norm(&self, node: usize) -> Option<Normalized<'a>> {
        let root = Value::Node(node, 0);
        for (scaled, beta) in self.with_row(root, "Add") {
            for (quotient, gamma) in self.with_row(scaled, "Mul") {
                if let Some((x, epsilon)) = self.standardized(quotient) {
                    return Some(Normalized { x, epsilon, gamma, beta });
                }
            }
        }
        None
    }

    /// The value as it is, and, if it is this operator of a value and a constant, these.
    fn with_row(
        &self,
        value: Value<'a>,
        operator: &str,
    ) -> impl Iterator<Item = (Value<'a>, Value<'a>)> {
        let beside = self.inputs_of(value, operator).and_then(|[a, b]| match (a, b) {
            (Value::Constant(_), _) => Some((b, a)),
            (_, Value::Constant(_)) => Some((a, b)),
            _ => None,
        });
        [Some((value, Value::Nothing)), beside].into_iter().flatten()
    }

    /// (x − μ)/√(σ² + ε) of each row.
    fn standardized(&self, quotient: Value<'a>) -> Option<(Value<'a>, f64)> {
        let [centered, deviation] = self.inputs_of(quotient, "Div")?;
        let [a, b] = self.inputs_of(self.input_of(deviation, "Sqrt")?, "Add")?;
        let (variance, epsilon) = match (self.scalar(a), self.scalar(b)) {
            (Some(epsilon), None) => (b, epsilon),
            (None, Some(epsilon)) => (a, epsilon),
            _ => return None,
        };
        let square = self.mean_of(variance)?;
        let is_square = self.inputs_of(square, "Mul") == Some([centered, centered])
            || self.inputs_of(square, "Pow").is_some_and(|[base, exponent]| {
                base == centered && self.scalar(exponent) == Some(2.0)
            });
        let [x, mean] = self.inputs_of(centered, "Sub")?;
        (is_square && self.mean_of(mean) == Some(x)).then_some((x, epsilon))
    }

    /// What this is the mean of, over the last dimension, which is kept.
    fn mean_of(&self, value: Value<'a>) -> Option<Value<'a>> {
        let [x, axes] = self.inputs_of(value, "ReduceMean")?;
        let Value::Node(node, _) = value else { return None };
        let of_input = self.whole_numbers(axes);
        let axes = self.integers(node, "axes").or(of_input.as_deref());
        let is_last = matches!(axes, Some([-1 | 1]));
        (is_last && self.integer(node, "keepdims", 1) == 1).then_some(x)
    }

    /// The vectors of categories, and then the other columns, if this node puts them together.
    pub(super) fn embedding(&self, node: usize) -> Option<Embedded<'a>> {
        if !self.is(node, "Concat") || self.integer(node, "axis", 0) != 1 {
            return None;
        }
        let mut embedded =
            Embedded { x: Value::Nothing, tables: Vec::new(), numeric: Value::Nothing };
        for part in self.arguments(node) {
            let [from, which] = self.inputs_of(*part, "Gather")?;
            let x = match self.input_of(which, "Cast") {
                Some(number)
                    if matches!(embedded.numeric, Value::Nothing) && self.takes_rows(*part) =>
                {
                    let (x, column) = self.column(number)?;
                    embedded.tables.push((usize::try_from(column).ok()?, from));
                    x
                }
                None if matches!(embedded.numeric, Value::Nothing) => {
                    embedded.numeric = which;
                    self.column(*part)?.0
                }
                _ => return None,
            };
            let is_first = matches!(embedded.x, Value::Nothing);
            if !is_first && embedded.x != x {
                return None;
            }
            embedded.x = x;
        }
        (!embedded.tables.is_empty()).then_some(embedded)
    }

    /// Whether this takes rows of a table.
    fn takes_rows(&self, value: Value<'a>) -> bool {
        matches!(value, Value::Node(node, _) if self.integer(node, "axis", 0) == 0)
    }

    /// The rows that some columns are taken of, and which, or −1 if they are several.
    fn column(&self, value: Value<'a>) -> Option<(Value<'a>, i64)> {
        let [x, which] = self.inputs_of(value, "Gather")?;
        let Value::Node(node, _) = value else { return None };
        let column = self.scalar(which).map_or(-1, |column| column as i64);
        (self.integer(node, "axis", 0) == 1).then_some((x, column))
    }
}
