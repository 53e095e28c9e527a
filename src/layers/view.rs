//! A network's layers, to look at.

use deltarule_kernels::activation::Activation;

use super::{BatchNormRef, DenseRef, EmbeddingRef, LayerNormRef};
#[cfg(doc)]
use crate::Layer;

/// A layer of a network, to look at.
///
/// ```
/// use deltarule::{Activation, LayerRef, Network};
/// let network = Network::builder(4)
///     .dense(8, Activation::Relu)
///     .dropout(0.2)
///     .dense(1, Activation::Identity)
///     .build()?;
/// let mut sizes = Vec::new();
/// for layer in network.layers() {
///     sizes.push((layer.inputs(), layer.outputs(), layer.parameters()));
///     match layer {
///         LayerRef::Dense(dense) => assert_eq!(dense.biases.len(), dense.outputs),
///         LayerRef::Dropout { rate, .. } => assert_eq!(rate, 0.2),
///         other => println!("another: {other:?}"),
///     }
/// }
/// assert_eq!(sizes, [(4, 8, 40), (8, 8, 0), (8, 1, 9)]);
/// # Ok::<(), deltarule::Error>(())
/// ```
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
    ///
    /// ```
    /// use deltarule::{Activation, Network};
    /// let network = Network::builder(4).dense(8, Activation::Relu).batch_norm().build()?;
    /// let dense = network.layers().filter_map(|layer| layer.as_dense());
    /// assert_eq!(dense.map(|dense| dense.weights.len()).sum::<usize>(), 32);
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn as_dense(self) -> Option<DenseRef<'a, E>> {
        match self {
            Self::Dense(layer) => Some(layer),
            _ => None,
        }
    }
}
