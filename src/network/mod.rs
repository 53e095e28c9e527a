//! The network: its layers and one arena of parameters.

mod builder;
mod predict;
mod route;
mod summary;

pub use builder::{Block, NetworkBuilder};
pub use route::Workspace;
pub(crate) use route::{BLOCK_ROWS, Route};
pub use summary::{LayerSummary, Summary};

use core::fmt;
use deltarule_kernels::{Aligned, Element, Isa};
use std::sync::Arc;

use crate::error::Result;
use crate::layers::{Layer, LayerRef, Op, check_categories};

/// A multi-layer perceptron: its layers, and all their parameters in one slice.
///
/// ```
/// use deltarule::{Activation, Network};
/// let network = Network::builder(4)
///     .dense(16, Activation::Relu)
///     .dense(3, Activation::Identity)
///     .seed(42)
///     .build()?;
/// let scores = network.predict(&[5.1, 3.5, 1.4, 0.2])?;
/// assert_eq!(scores.len(), 3);
/// assert_eq!((network.inputs(), network.outputs()), (4, 3));
/// println!("computed with {}", network.isa());
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Clone)]
pub struct Network<E: Element = f32> {
    isa: Isa,
    inputs: usize,
    outputs: usize,
    specification: Vec<Layer>,
    ops: Arc<[Op]>,
    parameters: Aligned<E>,
    statistics: Aligned<E>,
    route: Route,
}

/// What a step changes of a network, and what it needs to know for it.
pub(crate) struct Trained<'a, E> {
    pub(crate) isa: Isa,
    pub(crate) ops: &'a [Op],
    pub(crate) parameters: &'a mut [E],
    pub(crate) statistics: &'a mut [E],
}

impl Network<f32> {
    /// Begins an f32 network whose inputs have `inputs` elements.
    pub fn builder(inputs: usize) -> NetworkBuilder<f32> {
        NetworkBuilder::new(inputs)
    }
}

impl<E: Element> Network<E> {
    /// The elements of an input row.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// The elements of an output row.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// The instruction set that the kernels run on.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// The layers as they were asked for: with them [`NetworkBuilder::layer`] makes a network of
    /// the same shape.
    ///
    /// ```
    /// use deltarule::{Activation, Network, NetworkBuilder};
    /// let network =
    ///     Network::builder(4).dense(8, Activation::Relu).dense(1, Activation::Identity).build()?;
    /// let mut builder = NetworkBuilder::<f64>::new(network.inputs());
    /// for layer in network.specification() {
    ///     builder = builder.layer(layer.clone());
    /// }
    /// assert_eq!(builder.build()?.parameters().len(), network.parameters().len());
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn specification(&self) -> &[Layer] {
        &self.specification
    }

    /// All parameters: layer after layer, of a dense one its W, (outputs, inputs) row-major, then
    /// its b, of a normalization γ, then β, of an embedding its tables, (categories, dimensions)
    /// row-major.
    ///
    /// ```
    /// use deltarule::{Activation, Network};
    /// let mut network =
    ///     Network::builder(2).dense(1, Activation::Identity).layer_norm().build()?;
    /// network.parameters_mut()[..2].copy_from_slice(&[3.0, 4.0]);
    /// network.parameters_mut()[2] = 5.0;
    /// // W, b, γ, β.
    /// assert_eq!(network.parameters(), [3.0, 4.0, 5.0, 1.0, 0.0]);
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn parameters(&self) -> &[E] {
        &self.parameters
    }

    /// All parameters, to change, in the order of [`Network::parameters`].
    pub fn parameters_mut(&mut self) -> &mut [E] {
        &mut self.parameters
    }

    /// The running statistics of all batch normalizations, by which they normalize in evaluation:
    /// layer after layer the mean, then the variance, an element a feature. A copy of a network's
    /// state is its parameters and these.
    ///
    /// ```
    /// use deltarule::Network;
    /// let mut network = Network::builder(2).batch_norm().build()?;
    /// assert_eq!(network.statistics(), [0.0, 0.0, 1.0, 1.0]); // both means, both variances
    /// let mut copy = network.clone();
    /// network.statistics_mut().copy_from_slice(&[5.0, -5.0, 2.0, 3.0]);
    /// copy.parameters_mut().copy_from_slice(network.parameters());
    /// copy.statistics_mut().copy_from_slice(network.statistics());
    /// assert_eq!(copy.predict(&[1.0, 2.0])?, network.predict(&[1.0, 2.0])?);
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn statistics(&self) -> &[E] {
        &self.statistics
    }

    /// The running statistics, to change, in the order of [`Network::statistics`].
    pub fn statistics_mut(&mut self) -> &mut [E] {
        &mut self.statistics
    }

    /// The layer at this index, or `None` past the last.
    ///
    /// ```
    /// use deltarule::{Activation, Network};
    /// let network =
    ///     Network::builder(4).dense(8, Activation::Relu).dense(1, Activation::Identity).build()?;
    /// let first = network.layer(0).and_then(|layer| layer.as_dense());
    /// assert_eq!(first.map(|dense| dense.weights.len()), Some(32));
    /// assert!(network.layer(2).is_none());
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn layer(&self, index: usize) -> Option<LayerRef<'_, E>> {
        self.ops.get(index).map(|op| op.operation().view(&self.parameters, &self.statistics))
    }

    /// The layers, from the input on, each on the output of the one before. The layers of a
    /// residual block are among them; after their last stands [`LayerRef::Residual`].
    ///
    /// ```
    /// use deltarule::{Activation, LayerRef, Network};
    /// let network = Network::builder(8)
    ///     .residual(|block| block.layer_norm().dense(8, Activation::Tanh))
    ///     .dense(1, Activation::Identity)
    ///     .build()?;
    /// let widths: Vec<usize> = network.layers().map(|layer| layer.outputs()).collect();
    /// assert_eq!(widths, [8, 8, 8, 1]);
    /// assert_eq!(network.layers().nth(2), Some(LayerRef::Residual { width: 8, first: 0 }));
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn layers(&self) -> impl ExactSizeIterator<Item = LayerRef<'_, E>> {
        self.ops.iter().map(|op| op.operation().view(&self.parameters, &self.statistics))
    }

    pub(crate) fn ops(&self) -> &Arc<[Op]> {
        &self.ops
    }

    /// Whether this is a network of these layers on this instruction set, so that buffers for
    /// them are buffers for it. For a copy that is one comparison.
    pub(crate) fn is_shaped(&self, isa: Isa, ops: &Arc<[Op]>) -> bool {
        self.isa == isa && (Arc::ptr_eq(&self.ops, ops) || self.ops == *ops)
    }

    /// What a step changes.
    pub(crate) fn trained(&mut self) -> Trained<'_, E> {
        let Self { isa, ops, parameters, statistics, .. } = self;
        Trained { isa: *isa, ops, parameters, statistics }
    }

    /// The elements of what batch normalizations normalize by.
    pub(crate) fn moments_len(&self) -> usize {
        self.route.moments()
    }

    /// Lets all batch normalizations normalize by their running statistics.
    pub(crate) fn use_running_statistics(&self, moments: &mut [E]) -> Result<()> {
        for op in self.ops.iter() {
            if let Op::BatchNorm(norm) = op {
                norm.use_running(self.isa, &self.statistics, moments)?;
            }
        }
        Ok(())
    }

    /// Checks the categorical columns of rows of inputs, the first of which is row `first_row`.
    pub(crate) fn check_categories(
        &self,
        argument: &'static str,
        x: &[E],
        first_row: usize,
    ) -> Result<()> {
        check_categories(&self.ops, argument, x, first_row)
    }
}

impl<E: Element> fmt::Debug for Network<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network")
            .field("isa", &self.isa)
            .field("layers", &self.specification)
            .field("parameters", &self.parameters.len())
            .finish()
    }
}
