//! The dense layer a = σ(W x + b).

use core::ops::Range;
use deltarule_kernels::activation::{Activation, DerivativeFrom};
use deltarule_kernels::gemm::{
    Activate, ActivateInto, CompactMatrix, Epilogue, FEW_COLUMNS, Gemm, InnerProducts,
    PackedMatrix, Rescale, Right, Start, TimesDerivative, scratch_len,
};
use deltarule_kernels::{Element, Isa, MatMut, MatRef, ShapeError, reduce};

use super::activation::check_numbers;
use super::{Compiler, Forward, LayerRef, Operation, Part, Pass, Shape, Stored, parts_of};
use crate::error::{Error, Result, checked_area};
use crate::init::Init;
use crate::random::Random;

/// A part of ∂W has a multiple of this many rows: a whole number of the micro-kernel's on every
/// ISA.
const PART_ROWS: usize = 24;

/// How the forward pass finds W.
#[derive(Clone, Debug)]
pub(crate) enum Weights<E: Element> {
    /// In the arena.
    InArena,
    /// Wᵀ, packed.
    Packed(PackedMatrix<E>),
    /// The same in fewer bytes.
    Compact(CompactMatrix<E>),
}

/// A dense layer's shape, and where its parameters begin in the network's arena: W, which is
/// (outputs, inputs) row-major, then b, if there is one. The arena of a predictor has no W but those
/// of [`Weights::InArena`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Dense {
    inputs: usize,
    outputs: usize,
    pub(crate) activation: Activation,
    bias: bool,
    init: Option<Init>,
    start: usize,
    first_bias: usize,
    /// The dense layers before this one.
    ordinal: usize,
}

/// A dense layer of a network, to look at: a = σ(W x + b).
///
/// ```
/// use deltarule::{Activation, Network};
/// let network = Network::builder(2).dense(3, Activation::Tanh).build()?;
/// let dense = network.layer(0).and_then(|layer| layer.as_dense()).expect("it is dense");
/// assert_eq!((dense.inputs, dense.outputs, dense.activation), (2, 3, Activation::Tanh));
/// // The weights of each unit.
/// for (weights, bias) in dense.weights.chunks_exact(dense.inputs).zip(dense.biases) {
///     println!("tanh({weights:?} · x + {bias})");
/// }
/// assert_eq!((dense.weights.len(), dense.biases.len()), (6, 3));
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct DenseRef<'a, E> {
    /// The width of x.
    pub inputs: usize,
    /// The width of a.
    pub outputs: usize,
    /// σ.
    pub activation: Activation,
    /// W, (outputs, inputs), row-major.
    pub weights: &'a [E],
    /// b; empty in a layer without.
    pub biases: &'a [E],
}

impl Dense {
    pub(super) fn new(
        to: &mut Compiler,
        outputs: usize,
        activation: Activation,
        bias: bool,
        init: Option<Init>,
    ) -> Result<Self> {
        if outputs == 0 {
            return Err(Error::Zero { argument: "outputs" });
        }
        init.map_or(Ok(()), Init::check)?;
        check_numbers(activation)?;
        let inputs = to.width;
        checked_area("weights", outputs, inputs)?;
        let start = to.parameters(outputs, inputs)?;
        let first_bias = to.parameters(outputs, usize::from(bias)).map_err(|_| {
            Error::Overflow { argument: "parameters", rows: outputs, columns: inputs }
        })?;
        let ordinal = to.dense_layers;
        Ok(Self { inputs, outputs, activation, bias, init, start, first_bias, ordinal })
    }

    /// A layer of a predictor.
    pub(crate) fn frozen<E: Element>(
        to: &mut Compiler,
        outputs: usize,
        activation: Activation,
        weights: &Weights<E>,
    ) -> Result<Self> {
        let in_arena = matches!(weights, Weights::InArena);
        let start = to.parameters(outputs, if in_arena { to.width } else { 0 })?;
        let first_bias = to.parameters(outputs, 1)?;
        Ok(Self {
            inputs: to.width,
            outputs,
            activation,
            bias: true,
            init: None,
            start,
            first_bias,
            ordinal: to.dense_layers,
        })
    }

    /// Whether x Wᵀ are [`InnerProducts`], which read the rows of W as they are: a rule of the layer
    /// alone, so that a row has the same bits in every batch.
    pub(crate) fn reads_rows(outputs: usize) -> bool {
        outputs <= FEW_COLUMNS
    }

    /// Where W lies in the arena.
    fn weights(&self) -> Range<usize> {
        self.start..self.start + self.outputs * self.inputs
    }

    /// Where b lies in the arena.
    fn biases(&self) -> Range<usize> {
        self.first_bias..self.first_bias + if self.bias { self.outputs } else { 0 }
    }

    /// Whether the backward pass asks for z = W x + b, and not just for a.
    fn keeps_pre_activation(&self) -> bool {
        self.activation.derivative_from() == DerivativeFrom::Input
    }

    /// What σ′ is computed from.
    pub(crate) fn derivative_from<'a, E>(&self, stored: Stored<'a, E>) -> &'a [E] {
        if self.keeps_pre_activation() { stored.kept } else { stored.y }
    }

    /// Scratch space for the forward product of up to `rows` rows, and where `training` for the
    /// products of the backward pass too.
    pub(crate) fn scratch_len<E: Element>(
        &self,
        isa: Isa,
        rows: usize,
        training: bool,
    ) -> Result<usize> {
        let forward = scratch_len::<E>(isa, rows, self.outputs, self.inputs)?;
        if !training {
            return Ok(forward);
        }
        let backward = scratch_len::<E>(isa, rows, self.inputs, self.outputs)?;
        let gradient = scratch_len::<E>(isa, self.outputs, self.inputs, rows)?;
        Ok(forward.max(backward).max(gradient))
    }

    /// z ← x Wᵀ + b, and what comes after it.
    fn multiply<'a, E: Element>(
        &self,
        pass: &'a Pass<'_, E>,
        x: MatRef<'a, E>,
        z: MatMut<'a, E>,
        epilogue: Option<&'a mut dyn Epilogue<E>>,
        scratch: &mut [E],
    ) -> Result<(), ShapeError> {
        let biases = self.bias.then(|| &pass.parameters[self.biases()]);
        let weights = match pass.weights.get(self.ordinal) {
            Some(Weights::Packed(packed)) => Right::Packed(packed),
            Some(Weights::Compact(compact)) => Right::Compact(compact),
            Some(Weights::InArena) | None => {
                let parameters = &pass.parameters[self.weights()];
                let weights = MatRef::new(parameters, self.outputs, self.inputs)?;
                if Self::reads_rows(self.outputs) {
                    return InnerProducts { x, w: weights, c: z, biases, epilogue }.run(pass.isa);
                }
                Right::Strided(weights.transposed())
            }
        };
        let product = Gemm::new(x, weights, z).start(biases.map_or(Start::Zero, Start::Row));
        match epilogue {
            Some(epilogue) => product.epilogue(epilogue).run(pass.isa, scratch),
            None => product.run(pass.isa, scratch),
        }
    }
}

impl Shape for Dense {
    fn inputs(&self) -> usize {
        self.inputs
    }

    fn outputs(&self) -> usize {
        self.outputs
    }

    fn work(&self) -> usize {
        self.outputs * (self.inputs + 1)
    }

    fn works_in_place(&self) -> bool {
        false
    }

    fn learns(&self) -> bool {
        true
    }

    fn kept_columns(&self, evaluation: bool) -> usize {
        if !evaluation && self.keeps_pre_activation() { self.outputs } else { 0 }
    }

    fn parts(&self, elements: usize) -> Vec<(Part, usize)> {
        let weights = parts_of(self.outputs, self.inputs, PART_ROWS, elements)
            .map(|(rows, len)| (Part::Weights(rows), len));
        weights.chain(self.bias.then_some((Part::Biases, self.outputs))).collect()
    }
}

impl<E: Element> Operation<E> for Dense {
    fn view<'a>(&'a self, parameters: &'a [E], _: &'a [E]) -> LayerRef<'a, E> {
        LayerRef::Dense(DenseRef {
            inputs: self.inputs,
            outputs: self.outputs,
            activation: self.activation,
            weights: &parameters[self.weights()],
            biases: &parameters[self.biases()],
        })
    }

    fn begin(&self, init: Option<Init>, random: &mut Random, parameters: &mut [E], _: &mut [E]) {
        let init = self.init.or(init).unwrap_or(Init::for_activation(self.activation));
        init.fill(self.inputs, self.outputs, random, &mut parameters[self.weights()]);
    }

    /// a = σ(x Wᵀ + b) for every row of x; z = x Wᵀ + b too, where it is to be kept.
    fn forward(&self, pass: &Pass<'_, E>, io: Forward<'_, E>) -> Result<(), ShapeError> {
        let Forward { rows, x, y: a, kept: z, scratch, .. } = io;
        let x = MatRef::new(x, rows, self.inputs)?;
        let a = MatMut::new(a, rows, self.outputs)?;
        let activation = self.activation;
        if !z.is_empty() {
            let z = MatMut::new(z, rows, self.outputs)?;
            return self.multiply(pass, x, z, Some(&mut ActivateInto { activation, a }), scratch);
        }
        if let Some(Weights::Compact(compact)) = pass.weights.get(self.ordinal)
            && !compact.scales().is_empty()
        {
            let biases = &pass.parameters[self.biases()];
            let mut rescale = Rescale { scales: compact.scales(), biases, activation };
            return Gemm::new(x, compact, a).epilogue(&mut rescale).run(pass.isa, scratch);
        }
        let mut activate = Activate { activation };
        let epilogue: Option<&mut dyn Epilogue<E>> =
            if activation == Activation::Identity { None } else { Some(&mut activate) };
        self.multiply(pass, x, a, epilogue, scratch)
    }
}

/// Where δ of a layer below goes, and what its last step is.
#[derive(Debug)]
pub(crate) struct Below<'a, E> {
    /// The rows at hand.
    pub(crate) rows: usize,
    /// Gets δ W ⊙ σ′.
    pub(crate) delta: &'a mut [E],
    /// Whether `delta` holds what other layers contribute, to be added to.
    pub(crate) adds: bool,
    /// σ of the layer below.
    pub(crate) activation: Activation,
    /// What σ′ is computed from.
    pub(crate) stored: &'a [E],
}

impl Dense {
    /// δ of the layer below.
    pub(crate) fn backward<E: Element>(
        &self,
        pass: &Pass<'_, E>,
        delta: &[E],
        below: Below<'_, E>,
        scratch: &mut [E],
    ) -> Result<(), ShapeError> {
        let rows = below.rows;
        let delta = MatRef::new(delta, rows, self.outputs)?;
        let weights = MatRef::new(&pass.parameters[self.weights()], self.outputs, self.inputs)?;
        let start = if below.adds { Start::Accumulate } else { Start::Zero };
        let delta_below = MatMut::new(below.delta, rows, self.inputs)?;
        let product = Gemm::new(delta, weights, delta_below).start(start);
        if below.activation == Activation::Identity {
            return product.run(pass.isa, scratch);
        }
        let stored = MatRef::new(below.stored, rows, self.inputs)?;
        let mut times_derivative = TimesDerivative { activation: below.activation, stored };
        product.epilogue(&mut times_derivative).run(pass.isa, scratch)
    }

    /// Rows `outputs` of ∂ℒ/∂W = δᵀ x, summed over the blocks (of so many rows, x, δ) in their
    /// order: each element is one chain of multiply-adds over the whole batch, which begins with
    /// what `gradient` holds if it `adds`.
    #[inline]
    pub(crate) fn weight_gradient<'a, E: Element>(
        &self,
        isa: Isa,
        outputs: Range<usize>,
        blocks: impl Iterator<Item = (usize, &'a [E], &'a [E])>,
        adds: bool,
        gradient: &mut [E],
        scratch: &mut [E],
    ) -> Result<(), ShapeError> {
        let mut start = if adds { Start::Accumulate } else { Start::Zero };
        for (rows, x, delta) in blocks {
            let shape = (rows, outputs.len());
            let delta = MatRef::with_strides(&delta[outputs.start..], shape, (self.outputs, 1))?;
            let x = MatRef::new(x, rows, self.inputs)?;
            let gradient = MatMut::new(gradient, outputs.len(), self.inputs)?;
            Gemm::new(delta.transposed(), x, gradient).start(start).run(isa, scratch)?;
            start = Start::Accumulate;
        }
        Ok(())
    }

    /// Adds ∂ℒ/∂b, the column sums of δ over the blocks (of so many rows, δ) in their order.
    #[inline]
    pub(crate) fn add_bias_gradient<'a, E: Element>(
        &self,
        isa: Isa,
        blocks: impl Iterator<Item = (usize, &'a [E])>,
        gradient: &mut [E],
    ) -> Result<(), ShapeError> {
        for (rows, delta) in blocks {
            let delta = MatRef::new(delta, rows, self.outputs)?;
            reduce::add_column_sums(isa, delta, gradient)?;
        }
        Ok(())
    }
}
