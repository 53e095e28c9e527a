//! What a user asks for, and how it is laid flat.

use deltarule_kernels::activation::Activation;

use super::activation::Activate;
use super::dropout::Dropout;
use super::{BatchNorm, Categorical, Dense, Embedding, LayerNorm, Op, Residual};
use crate::error::{Error, Result};
use crate::init::Init;

/// A layer to be, plain data; [`NetworkBuilder`](crate::NetworkBuilder) makes them of its methods.
///
/// Sources: batch normalization, Ioffe and Szegedy (2015); layer normalization, Ba, Kiros and
/// Hinton (2016); dropout, Srivastava et al. (2014); residual blocks, He et al., *Deep Residual
/// Learning for Image Recognition* (2016); embeddings, Guo and Berkhahn, *Entity Embeddings of
/// Categorical Variables* (2016).
///
/// ```
/// use deltarule::{Activation, Layer, Network};
/// let body = [
///     Layer::dense_without_bias(16, Activation::Identity),
///     Layer::batch_norm(),
///     Layer::Activation(Activation::Relu),
///     Layer::Dropout { rate: 0.2 },
///     Layer::Residual(vec![Layer::layer_norm(), Layer::dense(16, Activation::Gelu)]),
/// ];
/// let builder = body.into_iter().fold(Network::builder(4), |builder, layer| builder.layer(layer));
/// let network = builder.dense(1, Activation::Identity).build()?;
/// assert_eq!(network.layers().len(), 8); // the end of the residual block is one, too
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
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
    /// x + f(x), f these layers, which end as wide as they begin. At most 32 such blocks may lie in
    /// each other.
    Residual(Vec<Layer>),
    /// Columns that hold the index of a category, each replaced by a learned vector: the outputs
    /// are these vectors, in the order of `columns`, and then the other columns. It can only be
    /// the first layer. A step moves the vectors of the categories that occur in its batch; the
    /// others are not touched, by momentum and decay neither.
    Embedding {
        /// The columns.
        columns: Vec<Categorical>,
        /// How the vectors begin; uniform in ±1/√dimensions otherwise. The dimensions count as
        /// inputs and the categories as outputs.
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
    ///
    /// ```
    /// use deltarule::{Activation, Init, Layer, Network};
    /// // Outputs that begin at 0, whatever the layers before do.
    /// let network = Network::builder(2)
    ///     .dense(8, Activation::Relu)
    ///     .layer(Layer::dense(1, Activation::Identity).with_init(Init::Zeros))
    ///     .build()?;
    /// assert_eq!(network.predict(&[3.0, -4.0])?, [0.0]);
    /// # Ok::<(), deltarule::Error>(())
    /// ```
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
            Self::Activation(activation) => Op::Activation(Activate::new(to.width, activation)?),
            Self::Residual(block) => Op::Residual(Residual::new(to, block)?),
            Self::Embedding { columns, init } => Op::Embedding(Embedding::new(to, columns, init)?),
        };
        to.push(op);
        Ok(())
    }
}

/// A network's operations so far.
#[derive(Debug)]
pub(crate) struct Compiler {
    /// The width of the last one's outputs.
    pub(crate) width: usize,
    pub(crate) ops: Vec<Op>,
    /// The dense layers among them.
    pub(super) dense_layers: usize,
    /// The residual blocks that the next one lies in.
    pub(super) depth: usize,
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
        Self {
            width: inputs,
            ops: Vec::new(),
            dense_layers: 0,
            depth: 0,
            parameters: 0,
            statistics: 0,
            moments: 0,
        }
    }

    /// Appends an operation.
    pub(crate) fn push(&mut self, op: Op) {
        self.width = op.shape().outputs();
        self.dense_layers += usize::from(matches!(op, Op::Dense(_)));
        self.ops.push(op);
    }

    /// Where so many more parameters begin.
    pub(super) fn parameters(&mut self, rows: usize, columns: usize) -> Result<usize> {
        let start = self.parameters;
        let error = Error::Overflow { argument: "parameters", rows, columns };
        let end = rows.checked_mul(columns).and_then(|count| count.checked_add(start));
        self.parameters = end.ok_or(error)?;
        Ok(start)
    }
}
