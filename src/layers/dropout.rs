//! Dropout: in training some elements are 0, by masks that depend on nothing but their place.

use deltarule_kernels::random::{Dropout as Mask, MaskStream};
use deltarule_kernels::{Element, ShapeError};

use super::{Backward, Compiler, Forward, LayerRef, Mode, Operation, Pass, Shape};
use crate::error::{Error, Result};
use crate::optimizer::check;

/// A dropout layer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Dropout {
    width: usize,
    rate: f64,
    /// Its index in the network.
    layer: u16,
}

impl Dropout {
    pub(super) fn new(to: &Compiler, rate: f64) -> Result<Self> {
        check("rate", rate, (0.0..1.0).contains(&rate), "at least 0 and below 1")?;
        let index = to.ops.len();
        let layer = u16::try_from(index).map_err(|_| Error::OutOfRange {
            argument: "index of a dropout layer",
            value: index as f64,
            expected: "at most 65535",
        })?;
        Ok(Self { width: to.width, rate, layer })
    }

    fn mask<E: Element>(&self, pass: &Pass<'_, E>, x: &mut [E]) -> Result<(), ShapeError> {
        let Mode::Training { seed, step } = pass.mode else { return Ok(()) };
        let stream = MaskStream { seed, step, layer: self.layer };
        Mask { rate: self.rate, stream }.apply(pass.isa, pass.first_row, self.width, x)
    }
}

impl Shape for Dropout {
    fn outputs(&self) -> usize {
        self.width
    }

    fn is_idle(&self) -> bool {
        true
    }
}

impl<E: Element> Operation<E> for Dropout {
    fn view<'a>(&'a self, _: &'a [E], _: &'a [E]) -> LayerRef<'a, E> {
        LayerRef::Dropout { width: self.width, rate: self.rate }
    }

    fn forward(&self, pass: &Pass<'_, E>, io: Forward<'_, E>) -> Result<(), ShapeError> {
        io.y.copy_from_slice(io.x);
        self.mask(pass, io.y)
    }

    /// The same mask once more.
    fn backward(&self, pass: &Pass<'_, E>, io: Backward<'_, E>) -> Result<(), ShapeError> {
        self.mask(pass, io.delta)
    }
}
