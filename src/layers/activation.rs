//! An activation by itself.

use deltarule_kernels::activation::{Activation, DerivativeFrom};
use deltarule_kernels::{Element, ShapeError};

use super::{Backward, Forward, LayerRef, Operation, Pass, Shape};
use crate::error::Result;
use crate::optimizer::check;

/// y = σ(x).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Activate {
    width: usize,
    activation: Activation,
}

impl Activate {
    pub(super) fn new(width: usize, activation: Activation) -> Result<Self> {
        check_numbers(activation)?;
        Ok(Self { width, activation })
    }
}

/// Checks that an activation's numbers, if it has any, have a meaning.
pub(super) fn check_numbers(activation: Activation) -> Result<()> {
    let finite = |argument, value: f64| check(argument, value, value.is_finite(), "finite");
    match activation {
        Activation::Clip { low, high } => {
            finite("low", low)?;
            finite("high", high)?;
            check("low", low, low <= high, "at most `high`")
        }
        Activation::Elu { alpha } => finite("alpha", alpha),
        Activation::LeakyRelu { slope } => finite("slope", slope),
        _ => Ok(()),
    }
}

impl Shape for Activate {
    fn outputs(&self) -> usize {
        self.width
    }
}

impl<E: Element> Operation<E> for Activate {
    fn view<'a>(&'a self, _: &'a [E], _: &'a [E]) -> LayerRef<'a, E> {
        LayerRef::Activation { width: self.width, activation: self.activation }
    }

    fn forward(&self, pass: &Pass<'_, E>, io: Forward<'_, E>) -> Result<(), ShapeError> {
        self.activation.forward(pass.isa, io.x, io.y)
    }

    fn backward(&self, pass: &Pass<'_, E>, io: Backward<'_, E>) -> Result<(), ShapeError> {
        let from = match self.activation.derivative_from() {
            DerivativeFrom::Input => io.stored.x,
            DerivativeFrom::Output => io.stored.y,
        };
        self.activation.backward(pass.isa, from, io.delta)
    }
}
