//! An activation by itself.

use deltarule_kernels::activation::Activation;
use deltarule_kernels::{Element, ShapeError};

use super::{Forward, Operation, Pass, Stored, derivative_from};

/// y = σ(x).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Activate {
    pub(crate) width: usize,
    pub(crate) activation: Activation,
}

impl<E: Element> Operation<E> for Activate {
    fn forward(&self, pass: &Pass<'_, E>, io: Forward<'_, E>) -> Result<(), ShapeError> {
        self.activation.forward(pass.isa, io.x, io.y)
    }

    fn backward(
        &self,
        pass: &Pass<'_, E>,
        stored: Stored<'_, E>,
        delta: &mut [E],
        _partial: &mut [E],
    ) -> Result<(), ShapeError> {
        let from = derivative_from(self.activation, stored.x, stored.y);
        self.activation.backward(pass.isa, from, delta)
    }
}
