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
mod norm;
mod residual;
mod specification;
mod view;

pub use batch_norm::BatchNormRef;
pub(crate) use batch_norm::{BatchNorm, ColumnSums};
pub use dense::DenseRef;
pub(crate) use dense::{Below, Dense, Weights};
pub use embedding::{Categorical, EmbeddingRef};
pub(crate) use embedding::{Embedding, Occurrences, Span};
pub(crate) use layer_norm::LayerNorm;
pub use layer_norm::LayerNormRef;
#[cfg(feature = "onnx")]
pub(crate) use residual::MAX_NESTED;
pub(crate) use residual::{Residual, add};
pub(crate) use specification::Compiler;
pub use specification::Layer;
pub use view::LayerRef;

use core::ops::Range;
use deltarule_kernels::{Element, Isa, ShapeError, reduce};

use crate::error::Result;
use crate::init::Init;
use crate::random::Random;
use activation::Activate;
use dropout::Dropout;

/// Rows whose contribution to a gradient is summed by itself in the backward pass: however a batch
/// is cut, the sums are the same.
pub(crate) const PARTIAL_ROWS: usize = 2 * reduce::PIECE_ROWS;

/// Makes [`Op`] of the list of layers.
macro_rules! ops {
    ($($Name:ident($Type:ty)),+ $(,)?) => {
        /// A layer with its place in the network's arenas.
        #[derive(Clone, Debug, PartialEq)]
        pub(crate) enum Op {
            $($Name($Type)),+
        }

        impl Op {
            /// What it looks like from outside.
            pub(crate) fn shape(&self) -> &dyn Shape {
                match self {
                    $(Self::$Name(op) => op),+
                }
            }

            /// What it does.
            pub(crate) fn operation<E: Element>(&self) -> &dyn Operation<E> {
                match self {
                    $(Self::$Name(op) => op),+
                }
            }
        }
    };
}

ops! {
    Dense(Dense),
    BatchNorm(BatchNorm),
    LayerNorm(LayerNorm),
    Dropout(Dropout),
    Activation(Activate),
    Residual(Residual),
    Embedding(Embedding),
}

/// The shape of a layer, and of what it needs.
pub(crate) trait Shape {
    /// The elements of an input row.
    fn inputs(&self) -> usize {
        self.outputs()
    }

    /// The elements of an output row.
    fn outputs(&self) -> usize;

    /// Multiply-adds of a row's forward pass, about.
    fn work(&self) -> usize {
        self.outputs()
    }

    /// Whether it does nothing in evaluation.
    fn is_idle(&self) -> bool {
        false
    }

    /// The input of the layer at this index is added to the output.
    fn skips_from(&self) -> Option<usize> {
        None
    }

    /// Whether its input's δ can take the place of its output's: [`Operation::backward`].
    fn works_in_place(&self) -> bool {
        true
    }

    /// Whether there are parameters to learn.
    fn learns(&self) -> bool {
        false
    }

    /// The elements of a row that the forward pass keeps besides the output. In evaluation they
    /// are no more than the layer needs for its own work.
    fn kept_columns(&self, _evaluation: bool) -> usize {
        0
    }

    /// What every [`PARTIAL_ROWS`] contribute to the gradient in the backward pass already.
    fn partial_len(&self) -> usize {
        0
    }

    /// The parts of the gradient in the order of the parameters, without a gap, and how long each
    /// is: some `elements` of a matrix at most.
    fn parts(&self, _elements: usize) -> Vec<(Part, usize)> {
        Vec::new()
    }
}

/// What a layer does.
pub(crate) trait Operation<E: Element> {
    /// The layer with its parameters.
    fn view<'a>(&'a self, parameters: &'a [E], statistics: &'a [E]) -> LayerRef<'a, E>;

    /// Sets the parameters and running statistics as they begin, if that is not at 0. `init` is
    /// for a dense layer without one of its own.
    fn begin(
        &self,
        _init: Option<Init>,
        _random: &mut Random,
        _parameters: &mut [E],
        _statistics: &mut [E],
    ) {
    }

    /// y from x.
    fn forward(&self, pass: &Pass<'_, E>, io: Forward<'_, E>) -> Result<(), ShapeError>;

    /// ∂ℒ/∂y becomes ∂ℒ/∂x, where that can be done in place.
    fn backward(&self, _pass: &Pass<'_, E>, _io: Backward<'_, E>) -> Result<(), ShapeError> {
        Ok(())
    }
}

/// What a pass through a network shares among its layers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pass<'a, E: Element> {
    pub(crate) isa: Isa,
    pub(crate) parameters: &'a [E],
    /// Where each dense layer's W is; in the arena, if there is nothing.
    pub(crate) weights: &'a [Weights<E>],
    /// What batch normalization normalizes by.
    pub(crate) moments: &'a [E],
    pub(crate) mode: Mode,
    /// The rows of the batch, in training.
    pub(crate) batch_rows: usize,
    /// The place in the batch of the first of the rows at hand.
    pub(crate) first_row: usize,
}

impl<'a, E: Element> Pass<'a, E> {
    /// A pass that learns nothing.
    pub(crate) fn evaluation(isa: Isa, parameters: &'a [E], moments: &'a [E]) -> Self {
        Self {
            isa,
            parameters,
            weights: &[],
            moments,
            mode: Mode::Evaluation,
            batch_rows: 0,
            first_row: 0,
        }
    }
}

/// Checks the categorical columns of rows of x, the first of which is row `first_row`.
pub(crate) fn check_categories<E: Element>(
    ops: &[Op],
    argument: &'static str,
    x: &[E],
    first_row: usize,
) -> Result<()> {
    match ops.first() {
        Some(Op::Embedding(embedding)) => embedding.check(argument, x, first_row),
        _ => Ok(()),
    }
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
    /// The rows at hand.
    pub(crate) rows: usize,
    /// The input.
    pub(crate) x: &'a [E],
    /// The input of a residual block's first layer, at its end; empty otherwise.
    pub(crate) skip: &'a [E],
    /// The output.
    pub(crate) y: &'a mut [E],
    /// What is kept for the backward pass: [`Shape::kept_columns`] of each row.
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

/// What a layer reads and writes in the backward pass.
#[derive(Debug)]
pub(crate) struct Backward<'a, E> {
    pub(crate) stored: Stored<'a, E>,
    /// ∂ℒ/∂y before, ∂ℒ/∂x after.
    pub(crate) delta: &'a mut [E],
    /// What these rows contribute to the gradient: [`Shape::partial_len`] elements for every
    /// [`PARTIAL_ROWS`].
    pub(crate) partial: &'a mut [E],
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

/// Cuts `rows` rows of `columns` elements in as few parts as can be, of nearly equal numbers of
/// rows, a multiple of `step`, and some `elements` elements at most.
fn parts_of(
    rows: usize,
    columns: usize,
    step: usize,
    elements: usize,
) -> impl Iterator<Item = (Range<usize>, usize)> {
    let most = (elements / columns).max(1);
    let part = rows.div_ceil(rows.div_ceil(most)).next_multiple_of(step);
    (0..rows).step_by(part).map(move |start| {
        let part = start..rows.min(start.saturating_add(part));
        (part.clone(), part.len() * columns)
    })
}
