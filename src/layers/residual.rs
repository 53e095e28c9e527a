//! The end of a residual block: y = x + f(x).

use deltarule_kernels::optimizer::sgd;
use deltarule_kernels::{Element, Isa, ShapeError};

use super::{Compiler, Forward, Layer, LayerRef, Operation, Pass, Shape};
use crate::error::{Error, Result};

/// How many residual blocks may lie in each other: each format's reader has to follow them.
pub(crate) const MAX_NESTED: usize = 32;

/// Adds the input of the block's first layer. Its δ goes to both unchanged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Residual {
    width: usize,
    /// The index of the block's first operation.
    first: usize,
}

impl Residual {
    /// Appends the block's operations.
    pub(super) fn new(to: &mut Compiler, block: Vec<Layer>) -> Result<Self> {
        if block.is_empty() {
            return Err(Error::Empty { argument: "residual" });
        }
        let (first, width) = (to.ops.len(), to.width);
        to.depth += 1;
        if to.depth > MAX_NESTED {
            let (argument, value) = ("depth of residual blocks", to.depth as f64);
            return Err(Error::OutOfRange { argument, value, expected: "at most 32" });
        }
        for layer in block {
            layer.compile(to)?;
        }
        to.depth -= 1;
        if to.width != width {
            return Err(Error::ResidualWidth { first, inputs: width, outputs: to.width });
        }
        Ok(Self { width, first })
    }

    /// Of operations that stand already, the first of them at this index.
    pub(crate) fn of_block(to: &Compiler, first: usize) -> Self {
        Self { width: to.width, first }
    }
}

impl Shape for Residual {
    fn outputs(&self) -> usize {
        self.width
    }

    fn skips_from(&self) -> Option<usize> {
        Some(self.first)
    }
}

impl<E: Element> Operation<E> for Residual {
    fn view<'a>(&'a self, _: &'a [E], _: &'a [E]) -> LayerRef<'a, E> {
        LayerRef::Residual { width: self.width, first: self.first }
    }

    fn forward(&self, pass: &Pass<'_, E>, io: Forward<'_, E>) -> Result<(), ShapeError> {
        io.y.copy_from_slice(io.x);
        add(pass.isa, io.skip, io.y)
    }
}

/// to ← to + x, exactly rounded: a step of gradient descent at a rate of −1.
pub(crate) fn add<E: Element>(isa: Isa, x: &[E], to: &mut [E]) -> Result<(), ShapeError> {
    sgd(isa, -E::ONE, x, to)
}
