//! The dense layer a = σ(W x + b).

use core::ops::Range;
use deltarule_kernels::activation::{Activation, DerivativeFrom};
use deltarule_kernels::gemm::{Activate, Gemm, Start, TimesDerivative, scratch_len};
use deltarule_kernels::{Element, Isa, MatMut, MatRef, ShapeError, reduce};

use crate::error::{Error, Result, checked_area};

/// A dense layer's shape, and where its parameters begin in the network's arena: W, which is
/// (outputs, inputs) row-major, then b.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Dense {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) activation: Activation,
    start: usize,
}

/// A dense layer of a network, to look at: a = σ(W x + b).
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct LayerRef<'a, E> {
    /// The width of x.
    pub inputs: usize,
    /// The width of a.
    pub outputs: usize,
    /// σ.
    pub activation: Activation,
    /// W, (outputs, inputs), row-major.
    pub weights: &'a [E],
    /// b.
    pub biases: &'a [E],
}

impl Dense {
    /// A layer whose parameters begin at `start`.
    pub(crate) fn new(
        inputs: usize,
        outputs: usize,
        activation: Activation,
        start: usize,
    ) -> Result<Self> {
        let weights = checked_area("weights", outputs, inputs)?;
        weights
            .checked_add(outputs)
            .and_then(|count| count.checked_add(start))
            .ok_or(Error::Overflow { argument: "parameters", rows: outputs, columns: inputs })?;
        Ok(Self { inputs, outputs, activation, start })
    }

    /// Where W lies in the arena.
    pub(crate) fn weights(&self) -> Range<usize> {
        self.start..self.start + self.outputs * self.inputs
    }

    /// Where b lies in the arena.
    pub(crate) fn biases(&self) -> Range<usize> {
        let start = self.weights().end;
        start..start + self.outputs
    }

    /// The layer with its parameters.
    pub(crate) fn view<'a, E>(&self, parameters: &'a [E]) -> LayerRef<'a, E> {
        LayerRef {
            inputs: self.inputs,
            outputs: self.outputs,
            activation: self.activation,
            weights: &parameters[self.weights()],
            biases: &parameters[self.biases()],
        }
    }

    /// Whether the backward pass asks for z = W x + b, and not just for a.
    pub(crate) fn keeps_pre_activation(&self) -> bool {
        self.activation.derivative_from() == DerivativeFrom::Input
    }

    /// Scratch space for all three products of this layer, with up to `rows` rows in a batch and
    /// `tile_rows` rows in a tile of ∂W.
    pub(crate) fn scratch_len<E: Element>(
        &self,
        isa: Isa,
        rows: usize,
        tile_rows: usize,
    ) -> Result<usize> {
        let forward = scratch_len::<E>(isa, rows, self.outputs, self.inputs)?;
        let backward = scratch_len::<E>(isa, rows, self.inputs, self.outputs)?;
        let gradient = scratch_len::<E>(isa, tile_rows, self.inputs, rows)?;
        Ok(forward.max(backward).max(gradient))
    }
}

impl<E: Element> LayerRef<'_, E> {
    /// a = σ(x Wᵀ + b) for every row of x; z = x Wᵀ + b too, where it is to be kept.
    pub(crate) fn forward(
        &self,
        isa: Isa,
        x: &[E],
        z: Option<&mut [E]>,
        a: &mut [E],
        scratch: &mut [E],
    ) -> Result<(), ShapeError> {
        let rows = x.len() / self.inputs;
        let x = MatRef::new(x, rows, self.inputs)?;
        let weights = MatRef::new(self.weights, self.outputs, self.inputs)?.transposed();
        let product = |z| Gemm::new(x, weights, z).start(Start::Row(self.biases));
        let mut activate = Activate { activation: self.activation };
        match z {
            Some(z) => {
                product(MatMut::new(z, rows, self.outputs)?).run(isa, scratch)?;
                self.activation.forward(isa, z, a)
            }
            None if self.activation == Activation::Identity => {
                product(MatMut::new(a, rows, self.outputs)?).run(isa, scratch)
            }
            None => product(MatMut::new(a, rows, self.outputs)?)
                .epilogue(&mut activate)
                .run(isa, scratch),
        }
    }

    /// δ of the layer below, δ W ⊙ σ′, whose activation is `below` and which kept `stored`.
    pub(crate) fn backward(
        &self,
        isa: Isa,
        delta: &[E],
        below: Activation,
        stored: &[E],
        delta_below: &mut [E],
        scratch: &mut [E],
    ) -> Result<(), ShapeError> {
        let rows = delta.len() / self.outputs;
        let delta = MatRef::new(delta, rows, self.outputs)?;
        let weights = MatRef::new(self.weights, self.outputs, self.inputs)?;
        let stored = MatRef::new(stored, rows, self.inputs)?;
        let mut times_derivative = TimesDerivative { activation: below, stored };
        let mut product = Gemm::new(delta, weights, MatMut::new(delta_below, rows, self.inputs)?);
        if below != Activation::Identity {
            product = product.epilogue(&mut times_derivative);
        }
        product.run(isa, scratch)
    }
}

/// What a block of rows contributes to a layer's gradient.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block<'a, E> {
    /// The layer's δ, (rows, outputs).
    pub(crate) delta: &'a [E],
    /// The layer's input, (rows, inputs).
    pub(crate) x: &'a [E],
}

impl Dense {
    /// Rows `outputs` of ∂ℒ/∂W = δᵀ x, summed over the blocks in their order: each element is one
    /// chain of multiply-adds over the whole batch.
    pub(crate) fn weight_gradient<'a, E: Element>(
        &self,
        isa: Isa,
        outputs: Range<usize>,
        blocks: impl Iterator<Item = Block<'a, E>>,
        gradient: &mut [E],
        scratch: &mut [E],
    ) -> Result<(), ShapeError> {
        for (index, block) in blocks.enumerate() {
            let rows = block.x.len() / self.inputs;
            let delta = MatRef::with_strides(
                &block.delta[outputs.start..],
                (rows, outputs.len()),
                (self.outputs, 1),
            )?;
            let x = MatRef::new(block.x, rows, self.inputs)?;
            let gradient = MatMut::new(gradient, outputs.len(), self.inputs)?;
            let start = if index == 0 { Start::Zero } else { Start::Accumulate };
            Gemm::new(delta.transposed(), x, gradient).start(start).run(isa, scratch)?;
        }
        Ok(())
    }

    /// ∂ℒ/∂b, the column sums of δ over the blocks in their order.
    pub(crate) fn bias_gradient<'a, E: Element>(
        &self,
        isa: Isa,
        blocks: impl Iterator<Item = Block<'a, E>>,
        gradient: &mut [E],
    ) -> Result<(), ShapeError> {
        gradient.fill(E::ZERO);
        for block in blocks {
            let rows = block.delta.len() / self.outputs;
            let delta = MatRef::new(block.delta, rows, self.outputs)?;
            reduce::add_column_sums(isa, delta, gradient)?;
        }
        Ok(())
    }
}
