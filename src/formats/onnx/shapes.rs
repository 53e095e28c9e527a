//! Shapes, and what makes them of others.

use super::graph::{Graph, Value};

impl<'a> Graph<'a> {
    /// What a value is reshaped to: constants, or its own number of rows, for which 0 stands, and a
    /// constant.
    pub(super) fn shape(&self, shape: Value<'a>, x: Value<'a>) -> Option<Vec<i64>> {
        let Value::Node(node, 0) = shape else { return self.whole_numbers(shape) };
        let [rows, columns] = *self.arguments(node) else { return None };
        let columns = self.whole_numbers(columns)?;
        let is_shape = self.is(node, "Concat") && columns.len() == 1 && self.is_row_count(rows, x);
        is_shape.then(|| vec![0, columns[0]])
    }

    /// Whether this is the first extent of a value, or of the model's input, which has as many
    /// rows.
    fn is_row_count(&self, mut value: Value<'a>, x: Value<'a>) -> bool {
        while let Value::Node(node, 0) = value {
            let first = self.argument(node, 0);
            let is_zero = |index| self.scalar(self.argument(node, index)) == Some(0.0);
            let is_first = match self.node(node).op_type.as_str() {
                _ if !self.is(node, &self.node(node).op_type) => return false,
                // One number remains one.
                "Reshape" | "Squeeze" | "Unsqueeze" => {
                    value = first;
                    continue;
                }
                "Gather" => is_zero(1),
                "Slice" => is_zero(1) && self.scalar(self.argument(node, 2)) == Some(1.0),
                "Shape" => self.integer(node, "start", 0) == 0 && self.integer(node, "end", 0) == 1,
                _ => false,
            };
            let of =
                if self.is(node, "Shape") { Some(first) } else { self.input_of(first, "Shape") };
            return is_first && of.is_some_and(|of| of == x || of == Value::Input);
        }
        false
    }

    /// Whether a node takes away the second of two dimensions, or those of 1.
    pub(super) fn squeezes_columns(&self, node: usize) -> bool {
        match (self.integers(node, "axes"), self.argument(node, 1)) {
            (None, Value::Nothing) | (Some([-1 | 1]), _) => true,
            (None, axes) => matches!(self.whole_numbers(axes).as_deref(), Some([-1 | 1])),
            (Some(_), _) => false,
        }
    }
}
