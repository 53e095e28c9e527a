//! The layers: their shapes, where their parameters lie, and which kernels they call.
//!
//! [`Layer`] is what a user asks for, [`Op`] what becomes of it: a residual block is laid flat,
//! its layers and then the sum, so that a network is one list of operations, each on the output of
//! the one before.

mod activation;
mod batch_norm;
mod dense;
mod dropout;
mod embedding;
mod layer_norm;
mod residual;

pub use batch_norm::BatchNormRef;
pub(crate) use batch_norm::{BatchNorm, ColumnSums};
pub use dense::DenseRef;
pub(crate) use dense::{Below, Dense};
pub use embedding::{Categorical, EmbeddingRef};
pub(crate) use embedding::{Embedding, Occurrences, Span};
pub(crate) use layer_norm::LayerNorm;
pub use layer_norm::LayerNormRef;
pub(crate) use residual::{Residual, add};

use core::ops::Range;
use deltarule_kernels::activation::{Activation, DerivativeFrom};
use deltarule_kernels::{Element, Isa, ShapeError};

use crate::error::{Error, Result, checked_area};
use crate::init::Init;
use crate::random::Random;
use activation::Activate;
use dropout::Dropout;

/// A layer to be, plain data; [`NetworkBuilder`](crate::NetworkBuilder) makes them of its methods.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Layer {
    /// a = σ(W x + b).
    Dense {
        /// The units.
        outputs: usize,
        /// σ.
        activation: Activation,
        /// Whether there is a b.
        bias: bool,
        /// How W begins, if not as the network's builder says.
        init: Option<Init>,
    },
    /// y = γ x̂ + β, x̂ each column standardized over the rows of the batch in training, and by
    /// running statistics in evaluation.
    BatchNorm {
        /// The weight of a new batch in the running statistics, above 0 and at most 1.
        momentum: f64,
        /// ε of x̂ = (x − μ)/√(σ² + ε), above 0.
        epsilon: f64,
        /// Whether γ and β are learned; they stay 1 and 0 otherwise.
        affine: bool,
    },
    /// y = γ x̂ + β, x̂ each row standardized over its elements.
    LayerNorm {
        /// ε of x̂ = (x − μ)/√(σ² + ε), above 0.
        epsilon: f64,
        /// Whether γ and β are learned; they stay 1 and 0 otherwise.
        affine: bool,
    },
    /// In training sets an element to 0 with probability p, and divides it by 1 − p otherwise;
    /// does nothing in evaluation.
    Dropout {
        /// p, at least 0 and below 1.
        rate: f64,
    },
    /// σ by itself.
    Activation(Activation),
    /// x + f(x), f these layers, which end as wide as they begin.
    Residual(Vec<Layer>),
    /// Columns that hold the index of a category, each replaced by a learned vector: the outputs
    /// are these vectors, in the order of `columns`, and then the other columns. It can only be
    /// the first layer.
    Embedding {
        /// The columns.
        columns: Vec<Categorical>,
        /// How the vectors begin; uniform in ±1/√dimensions otherwise.
        init: Option<Init>,
    },
}

impl Layer {
    /// [`Layer::Dense`] with biases.
    pub fn dense(outputs: usize, activation: Activation) -> Self {
        Self::Dense { outputs, activation, bias: true, init: None }
    }

    /// [`Layer::Dense`] without biases.
    pub fn dense_without_bias(outputs: usize, activation: Activation) -> Self {
        Self::Dense { outputs, activation, bias: false, init: None }
    }

    /// [`Layer::BatchNorm`] with γ and β, a momentum of 0.1 and ε = 10⁻⁵, as PyTorch has them.
    pub fn batch_norm() -> Self {
        Self::BatchNorm { momentum: 0.1, epsilon: 1e-5, affine: true }
    }

    /// [`Layer::LayerNorm`] with γ and β and ε = 10⁻⁵, as PyTorch has them.
    pub fn layer_norm() -> Self {
        Self::LayerNorm { epsilon: 1e-5, affine: true }
    }

    /// The same, its weights beginning like this, if it is [`Layer::Dense`] or
    /// [`Layer::Embedding`].
    #[must_use]
    pub fn with_init(mut self, of_weights: Init) -> Self {
        if let Self::Dense { init, .. } | Self::Embedding { init, .. } = &mut self {
            *init = Some(of_weights);
        }
        self
    }

    /// Appends the operations of this layer.
    pub(crate) fn compile(self, to: &mut Compiler) -> Result<()> {
        let op = match self {
            Self::Dense { outputs, activation, bias, init } => {
                Op::Dense(Dense::new(to, outputs, activation, bias, init)?)
            }
            Self::BatchNorm { momentum, epsilon, affine } => {
                Op::BatchNorm(BatchNorm::new(to, momentum, epsilon, affine)?)
            }
            Self::LayerNorm { epsilon, affine } => {
                Op::LayerNorm(LayerNorm::new(to, epsilon, affine)?)
            }
            Self::Dropout { rate } => Op::Dropout(Dropout::new(to, rate)?),
            Self::Activation(activation) => {
                Op::Activation(Activate { width: to.width, activation })
            }
            Self::Residual(block) => Op::Residual(Residual::new(to, block)?),
            Self::Embedding { columns, init } => Op::Embedding(Embedding::new(to, columns, init)?),
        };
        to.width = op.outputs();
        to.ops.push(op);
        Ok(())
    }
}

/// A network's operations so far.
#[derive(Debug)]
pub(crate) struct Compiler {
    /// The width of the last one's outputs.
    pub(crate) width: usize,
    pub(crate) ops: Vec<Op>,
    /// The parameters that were given a place.
    pub(crate) parameters: usize,
    /// The same of the running statistics.
    pub(crate) statistics: usize,
    /// The same of what a batch is normalized by.
    pub(crate) moments: usize,
}

impl Compiler {
    /// No operations yet on rows of so many elements.
    pub(crate) fn new(inputs: usize) -> Self {
        Self { width: inputs, ops: Vec::new(), parameters: 0, statistics: 0, moments: 0 }
    }

    /// Where so many more parameters begin.
    fn parameters(&mut self, rows: usize, columns: usize) -> Result<usize> {
        let start = self.parameters;
        let error = Error::Overflow { argument: "parameters", rows, columns };
        let end = rows.checked_mul(columns).and_then(|count| count.checked_add(start));
        self.parameters = end.ok_or(error)?;
        Ok(start)
    }
}

/// A layer of a network, to look at.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum LayerRef<'a, E> {
    /// [`Layer::Dense`].
    Dense(DenseRef<'a, E>),
    /// [`Layer::BatchNorm`].
    BatchNorm(BatchNormRef<'a, E>),
    /// [`Layer::LayerNorm`].
    LayerNorm(LayerNormRef<'a, E>),
    /// [`Layer::Dropout`].
    Dropout {
        /// The elements of a row.
        width: usize,
        /// p.
        rate: f64,
    },
    /// [`Layer::Activation`].
    Activation {
        /// The elements of a row.
        width: usize,
        /// σ.
        activation: Activation,
    },
    /// The end of [`Layer::Residual`], whose layers stand before it: what goes into the first of
    /// them is added to what comes out of the last.
    Residual {
        /// The elements of a row.
        width: usize,
        /// The index of the block's first layer. Its last is the one before this.
        first: usize,
    },
    /// [`Layer::Embedding`].
    Embedding(EmbeddingRef<'a, E>),
}

impl<'a, E> LayerRef<'a, E> {
    /// The elements of an input row.
    pub fn inputs(&self) -> usize {
        match self {
            Self::Dense(layer) => layer.inputs,
            Self::Embedding(layer) => layer.inputs,
            _ => self.outputs(),
        }
    }

    /// The elements of an output row.
    pub fn outputs(&self) -> usize {
        match self {
            Self::Dense(layer) => layer.outputs,
            Self::BatchNorm(layer) => layer.gamma.len(),
            Self::LayerNorm(layer) => layer.gamma.len(),
            Self::Embedding(layer) => layer.outputs,
            Self::Dropout { width, .. }
            | Self::Activation { width, .. }
            | Self::Residual { width, .. } => *width,
        }
    }

    /// The number of its parameters, which follow those of the layer before in
    /// [`Network::parameters`](crate::Network::parameters).
    pub fn parameters(&self) -> usize {
        match self {
            Self::Dense(layer) => layer.weights.len() + layer.biases.len(),
            Self::BatchNorm(layer) => 2 * layer.gamma.len(),
            Self::LayerNorm(layer) => 2 * layer.gamma.len(),
            Self::Embedding(layer) => layer.tables().map(|(_, table)| table.len()).sum(),
            Self::Dropout { .. } | Self::Activation { .. } | Self::Residual { .. } => 0,
        }
    }

    /// The dense layer, if it is one.
    pub fn as_dense(self) -> Option<DenseRef<'a, E>> {
        match self {
            Self::Dense(layer) => Some(layer),
            _ => None,
        }
    }
}

/// A layer with its place in the network's arenas.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Op {
    Dense(Dense),
    BatchNorm(BatchNorm),
    LayerNorm(LayerNorm),
    Dropout(Dropout),
    Activation(Activate),
    Residual(Residual),
    Embedding(Embedding),
}

/// What a pass through a network shares among its layers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pass<'a, E> {
    pub(crate) isa: Isa,
    pub(crate) parameters: &'a [E],
    /// What batch normalization normalizes by.
    pub(crate) moments: &'a [E],
    pub(crate) mode: Mode,
    /// The rows of the batch.
    pub(crate) batch_rows: usize,
    /// The place in the batch of the first of the rows at hand.
    pub(crate) first_row: usize,
}

/// What layers that are not the same in training have to know.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Mode {
    Evaluation,
    /// Masks are those of this seed and step.
    Training {
        seed: u64,
        step: u64,
    },
}

/// What a layer reads and writes in the forward pass.
#[derive(Debug)]
pub(crate) struct Forward<'a, E> {
    /// The input.
    pub(crate) x: &'a [E],
    /// The input of a residual block's first layer, at its end; empty otherwise.
    pub(crate) skip: &'a [E],
    /// The output.
    pub(crate) y: &'a mut [E],
    /// What is kept for the backward pass: [`Op::kept_len`] elements.
    pub(crate) kept: &'a mut [E],
    pub(crate) scratch: &'a mut [E],
}

/// What the forward pass left, for the backward pass.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stored<'a, E> {
    pub(crate) x: &'a [E],
    pub(crate) y: &'a [E],
    pub(crate) kept: &'a [E],
}

/// A layer.
pub(crate) trait Operation<E: Element> {
    /// y from x.
    fn forward(&self, pass: &Pass<'_, E>, io: Forward<'_, E>) -> Result<(), ShapeError>;

    /// ∂ℒ/∂y becomes ∂ℒ/∂x, where that can be done in place. `partial`, of [`Op::partial_len`]
    /// elements, is for what these rows contribute to the gradient.
    fn backward(
        &self,
        _pass: &Pass<'_, E>,
        _stored: Stored<'_, E>,
        _delta: &mut [E],
        _partial: &mut [E],
    ) -> Result<(), ShapeError> {
        Ok(())
    }
}

/// A stretch of a layer's gradient that is computed at once.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Part {
    /// These rows of ∂W.
    Weights(Range<usize>),
    /// ∂b.
    Biases,
    /// ∂γ and ∂β.
    Norm,
    /// These rows of a table of vectors, by its index.
    Table(usize, Range<usize>),
}

impl Part {
    /// Whether decay is for parameters of this kind, if nothing else was chosen.
    pub(crate) fn is_weights(&self) -> bool {
        matches!(self, Self::Weights(_) | Self::Table(..))
    }
}

/// Elements of a matrix of weights in a part, about: 64 KiB of f32, which leave room for the
/// operands in L2.
const PART_ELEMENTS: usize = 16 * 1024;

/// Cuts `rows` rows of `columns` elements in parts of a multiple of `step` rows.
fn parts_of(
    rows: usize,
    columns: usize,
    step: usize,
) -> impl Iterator<Item = (Range<usize>, usize)> {
    let step = part_rows(rows, columns, step);
    (0..rows).step_by(step).map(move |start| {
        let part = start..rows.min(start.saturating_add(step));
        (part.clone(), part.len() * columns)
    })
}

fn part_rows(rows: usize, columns: usize, step: usize) -> usize {
    (PART_ELEMENTS / columns / step * step).max(step).min(rows)
}

impl Op {
    /// The operation's code.
    pub(crate) fn operation<E: Element>(&self) -> &dyn Operation<E> {
        match self {
            Self::Dense(op) => op,
            Self::BatchNorm(op) => op,
            Self::LayerNorm(op) => op,
            Self::Dropout(op) => op,
            Self::Activation(op) => op,
            Self::Residual(op) => op,
            Self::Embedding(op) => op,
        }
    }

    /// The elements of an input row.
    pub(crate) fn inputs(&self) -> usize {
        match self {
            Self::Dense(op) => op.inputs,
            Self::Embedding(op) => op.inputs,
            _ => self.outputs(),
        }
    }

    /// The elements of an output row.
    pub(crate) fn outputs(&self) -> usize {
        match self {
            Self::Dense(op) => op.outputs,
            Self::BatchNorm(op) => op.features,
            Self::LayerNorm(op) => op.features,
            Self::Dropout(op) => op.width,
            Self::Activation(op) => op.width,
            Self::Residual(op) => op.width,
            Self::Embedding(op) => op.outputs,
        }
    }

    /// The layer with its parameters.
    pub(crate) fn view<'a, E>(
        &'a self,
        parameters: &'a [E],
        statistics: &'a [E],
    ) -> LayerRef<'a, E> {
        match self {
            Self::Dense(op) => LayerRef::Dense(op.view(parameters)),
            Self::BatchNorm(op) => LayerRef::BatchNorm(op.view(parameters, statistics)),
            Self::LayerNorm(op) => LayerRef::LayerNorm(op.view(parameters)),
            Self::Dropout(op) => LayerRef::Dropout { width: op.width, rate: op.rate },
            Self::Activation(Activate { width, activation }) => {
                LayerRef::Activation { width: *width, activation: *activation }
            }
            Self::Residual(Residual { width, first }) => {
                LayerRef::Residual { width: *width, first: *first }
            }
            Self::Embedding(op) => LayerRef::Embedding(op.view(parameters)),
        }
    }

    /// Multiply-adds of a row's forward pass, about.
    pub(crate) fn work(&self) -> usize {
        match self {
            Self::Dense(op) => op.outputs * (op.inputs + 1),
            _ => self.outputs(),
        }
    }

    /// Whether it does nothing in evaluation.
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self, Self::Dropout(_))
    }

    /// The input of the layer at this index is added to the output.
    pub(crate) fn skips_from(&self) -> Option<usize> {
        match self {
            Self::Residual(op) => Some(op.first),
            _ => None,
        }
    }

    /// Whether its input's δ can take the place of its output's.
    pub(crate) fn works_in_place(&self) -> bool {
        !matches!(self, Self::Dense(_) | Self::Embedding(_))
    }

    /// Whether there are parameters to learn.
    pub(crate) fn learns(&self) -> bool {
        match self {
            Self::Dense(_) | Self::Embedding(_) => true,
            Self::BatchNorm(op) => op.affine,
            Self::LayerNorm(op) => op.affine,
            Self::Dropout(_) | Self::Activation(_) | Self::Residual(_) => false,
        }
    }

    /// What the forward pass keeps of so many rows besides the output. In evaluation that is no
    /// more than the layer needs for its own work.
    pub(crate) fn kept_len(&self, rows: usize, evaluation: bool) -> Result<usize> {
        let columns = match self {
            Self::Dense(op) if !evaluation && op.keeps_pre_activation() => op.outputs,
            Self::LayerNorm(_) => layer_norm::ROW_MOMENTS,
            _ => 0,
        };
        checked_area("activations", rows, columns)
    }

    /// What rows contribute to the gradient in the backward pass already.
    pub(crate) fn partial_len(&self) -> usize {
        match self {
            Self::LayerNorm(op) => 2 * op.features,
            _ => 0,
        }
    }

    /// The parts of the gradient in the order of the parameters, without a gap, and how long each
    /// is.
    pub(crate) fn parts(&self) -> Vec<(Part, usize)> {
        match self {
            Self::Dense(op) => op.parts(),
            Self::BatchNorm(op) => vec![(Part::Norm, 2 * op.features)],
            Self::LayerNorm(op) => vec![(Part::Norm, 2 * op.features)],
            Self::Embedding(op) => op.parts(),
            Self::Dropout(_) | Self::Activation(_) | Self::Residual(_) => Vec::new(),
        }
    }

    /// Sets the parameters as they begin. They are 0 before.
    pub(crate) fn begin<E: Element>(
        &self,
        init: Option<Init>,
        random: &mut Random,
        parameters: &mut [E],
    ) {
        match self {
            Self::Dense(op) => op.begin(init, random, parameters),
            Self::BatchNorm(op) => parameters[op.gamma()].fill(E::ONE),
            Self::LayerNorm(op) => parameters[op.gamma()].fill(E::ONE),
            Self::Embedding(op) => op.begin(random, parameters),
            Self::Dropout(_) | Self::Activation(_) | Self::Residual(_) => {}
        }
    }

    /// Sets the running statistics as they begin. They are 0 before.
    pub(crate) fn begin_statistics<E: Element>(&self, statistics: &mut [E]) {
        if let Self::BatchNorm(op) = self {
            statistics[op.running_variance()].fill(E::ONE);
        }
    }
}

/// What the derivative of an activation is computed from.
fn derivative_from<'a, E>(activation: Activation, x: &'a [E], y: &'a [E]) -> &'a [E] {
    match activation.derivative_from() {
        DerivativeFrom::Input => x,
        DerivativeFrom::Output => y,
    }
}
