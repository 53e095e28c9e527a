//! A network's layers, to look at.

use deltarule_kernels::activation::Activation;

use super::{BatchNormRef, DenseRef, EmbeddingRef, LayerNormRef};
#[cfg(doc)]
use crate::Layer;

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
