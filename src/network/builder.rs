//! How a network is put together.

use core::marker::PhantomData;
use deltarule_kernels::activation::Activation;
use deltarule_kernels::{Aligned, Element, Isa};

use super::Network;
use super::route::Route;
use crate::error::{Error, Result, try_aligned};
use crate::init::Init;
use crate::layers::{Categorical, Compiler, Layer};
use crate::random::{Purpose, Random};

/// What a [`Network`] is to be.
///
/// [`Network::builder`] makes one for f32, the usual element; `NetworkBuilder::<f64>::new` one
/// for f64.
///
/// ```
/// use deltarule::{Activation, NetworkBuilder};
/// let network = NetworkBuilder::<f64>::new(4)
///     .dense(16, Activation::Tanh)
///     .dense(1, Activation::Identity)
///     .seed(42)
///     .build()?;
/// let y: Vec<f64> = network.predict(&[0.1, 0.2, 0.3, 0.4])?;
/// assert_eq!(y.len(), 1);
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct NetworkBuilder<E: Element = f32> {
    inputs: usize,
    layers: Vec<Layer>,
    init: Option<Init>,
    seed: u64,
    isa: Option<Isa>,
    element: PhantomData<E>,
}

/// The layers of a residual block, to be added with the methods of [`NetworkBuilder`].
///
/// ```
/// use deltarule::{Activation, Block, Network};
/// // Layers in a function, for blocks that are all alike.
/// fn bottleneck(block: Block) -> Block {
///     block
///         .layer_norm()
///         .dense(2, Activation::Relu)
///         .dropout(0.1)
///         .dense_without_bias(8, Activation::Identity)
/// }
/// let network = Network::builder(8).residual(bottleneck).residual(bottleneck).build()?;
/// assert_eq!(network.layers().len(), 2 * (4 + 1));
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use = "a block does nothing unless a builder gets it back"]
pub struct Block {
    layers: Vec<Layer>,
}

/// The methods that add a layer, which the network and a block share.
macro_rules! layer_methods {
    () => {
        /// Adds this layer.
        ///
        /// ```
        /// use deltarule::{Layer, Network};
        /// // An option for which there is no method.
        /// let norm = Layer::BatchNorm { momentum: 0.01, epsilon: 1e-3, affine: false };
        /// let network = Network::builder(8).layer(norm.clone()).build()?;
        /// assert_eq!(network.specification(), [norm]);
        /// # Ok::<(), deltarule::Error>(())
        /// ```
        pub fn layer(mut self, layer: Layer) -> Self {
            self.layers.push(layer);
            self
        }

        /// Adds a dense layer a = σ(W x + b) of `outputs` units.
        ///
        /// ```
        /// use deltarule::{Activation, Network};
        /// let mut network = Network::builder(2).dense(1, Activation::Relu).build()?;
        /// network.parameters_mut().copy_from_slice(&[3.0, -1.0, 0.5]); // W, then b
        /// assert_eq!(network.predict(&[1.0, 2.0, 0.0, 2.0])?, [1.5, 0.0]);
        /// # Ok::<(), deltarule::Error>(())
        /// ```
        pub fn dense(self, outputs: usize, activation: Activation) -> Self {
            self.layer(Layer::dense(outputs, activation))
        }

        /// Adds a dense layer a = σ(W x) of `outputs` units, as is usual before a normalization,
        /// whose β does what b would.
        ///
        /// ```
        /// use deltarule::{Activation, Network};
        /// let network = Network::builder(4)
        ///     .dense_without_bias(3, Activation::Identity)
        ///     .batch_norm()
        ///     .activation(Activation::Relu)
        ///     .build()?;
        /// assert_eq!(network.parameters().len(), 4 * 3 + 2 * 3); // W, γ and β
        /// # Ok::<(), deltarule::Error>(())
        /// ```
        pub fn dense_without_bias(self, outputs: usize, activation: Activation) -> Self {
            self.layer(Layer::dense_without_bias(outputs, activation))
        }

        /// Adds [`Layer::batch_norm`].
        ///
        /// ```
        /// use deltarule::Network;
        /// let mut network = Network::builder(1).batch_norm().build()?;
        /// network.statistics_mut().copy_from_slice(&[10.0, 4.0]); // μ and σ²
        /// let y = network.predict(&[14.0])?[0];
        /// assert!((y - 2.0).abs() < 1e-5);
        /// # Ok::<(), deltarule::Error>(())
        /// ```
        pub fn batch_norm(self) -> Self {
            self.layer(Layer::batch_norm())
        }

        /// Adds [`Layer::layer_norm`].
        ///
        /// ```
        /// use deltarule::Network;
        /// let network = Network::builder(2).layer_norm().build()?;
        /// let y = network.predict(&[1.0, 3.0, 500.0, 100.0])?;
        /// for (y, exact) in y.iter().zip([-1.0, 1.0, 1.0, -1.0]) {
        ///     assert!((y - exact).abs() < 1e-5);
        /// }
        /// # Ok::<(), deltarule::Error>(())
        /// ```
        pub fn layer_norm(self) -> Self {
            self.layer(Layer::layer_norm())
        }

        /// Adds [`Layer::Dropout`] with this probability.
        ///
        /// ```
        /// use deltarule::Network;
        /// let network = Network::builder(3).dropout(0.5).build()?;
        /// // It is for training: a prediction is not touched.
        /// assert_eq!(network.predict(&[1.0, 2.0, 3.0])?, [1.0, 2.0, 3.0]);
        /// # Ok::<(), deltarule::Error>(())
        /// ```
        pub fn dropout(self, rate: f64) -> Self {
            self.layer(Layer::Dropout { rate })
        }

        /// Adds an activation by itself.
        ///
        /// ```
        /// use deltarule::{Activation, Network};
        /// let network = Network::builder(2).activation(Activation::Relu).build()?;
        /// assert_eq!(network.predict(&[-1.0, 2.0])?, [0.0, 2.0]);
        /// # Ok::<(), deltarule::Error>(())
        /// ```
        pub fn activation(self, activation: Activation) -> Self {
            self.layer(Layer::Activation(activation))
        }

        /// Adds x + f(x), f the layers that `block` is given. At most 32 such blocks may lie in each
        /// other.
        ///
        /// ```
        /// use deltarule::{Activation, Network};
        /// let network = Network::builder(8)
        ///     .residual(|block| {
        ///         block.layer_norm().dense(16, Activation::Relu).dense(8, Activation::Identity)
        ///     })
        ///     .dense(1, Activation::Identity)
        ///     .build()?;
        /// assert_eq!(network.layers().len(), 5);
        /// # Ok::<(), deltarule::Error>(())
        /// ```
        pub fn residual(self, block: impl FnOnce(Block) -> Block) -> Self {
            self.layer(Layer::Residual(block(Block::default()).layers))
        }
    };
}

impl Block {
    layer_methods! {}
}

impl<E: Element> NetworkBuilder<E> {
    /// A network whose inputs have `inputs` elements, without layers yet.
    pub fn new(inputs: usize) -> Self {
        Self { inputs, layers: Vec::new(), init: None, seed: 0, isa: None, element: PhantomData }
    }

    layer_methods! {}

    /// Replaces categorical columns by learned vectors: [`Layer::Embedding`]. This has to be the
    /// first layer.
    ///
    /// ```
    /// use deltarule::{Activation, Categorical, Network};
    /// let weekday = Categorical { column: 0, categories: 7, dimensions: 3 };
    /// let network = Network::builder(2) // a weekday, 0 to 6, and a temperature
    ///     .embedding([weekday])
    ///     .dense(1, Activation::Identity)
    ///     .build()?;
    /// assert!(network.predict(&[6.0, 21.5]).is_ok());
    /// let error = network.predict(&[7.0, 21.5]).unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "row 0 of `x` has 7 in column 0, but its 7 categories are the whole numbers from 0"
    /// );
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn embedding(self, columns: impl IntoIterator<Item = Categorical>) -> Self {
        self.layer(Layer::Embedding { columns: columns.into_iter().collect(), init: None })
    }

    /// Sets the distribution of the weights of all dense layers that have none of their own, which
    /// otherwise is [`Init::for_activation`] of each.
    ///
    /// ```
    /// use deltarule::{Activation, Init, Network};
    /// let network = Network::builder(4)
    ///     .dense(8, Activation::Tanh)
    ///     .init(Init::Constant(0.25))
    ///     .build()?;
    /// let (weights, biases) = network.parameters().split_at(4 * 8);
    /// assert!(weights.iter().all(|&w| w == 0.25) && biases.iter().all(|&b| b == 0.0));
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn init(mut self, init: Init) -> Self {
        self.init = Some(init);
        self
    }

    /// Sets the seed of the weights, which is 0 otherwise. Layer `l` draws from a ChaCha8 stream
    /// of its own, which depends on nothing but the seed and `l`.
    ///
    /// ```
    /// use deltarule::{Activation, Network};
    /// let builder = Network::builder(4).dense(8, Activation::Relu);
    /// let network = builder.clone().seed(1).build()?;
    /// assert_eq!(network.parameters(), builder.clone().seed(1).build()?.parameters());
    /// assert_ne!(network.parameters(), builder.seed(2).build()?.parameters());
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets the instruction set, which is [`Isa::active`] otherwise.
    ///
    /// ```
    /// use deltarule::{Activation, Isa, Network};
    /// let portable = Isa::named("portable")?;
    /// let network = Network::builder(4).dense(8, Activation::Relu).isa(portable).build()?;
    /// assert_eq!(network.isa(), portable);
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn isa(mut self, isa: Isa) -> Self {
        self.isa = Some(isa);
        self
    }

    /// Makes the network.
    ///
    /// ```
    /// use deltarule::{Activation, Error, Network};
    /// let builder = Network::builder(4).residual(|block| block.dense(8, Activation::Relu));
    /// let error = builder.build().unwrap_err();
    /// assert_eq!(error, Error::ResidualWidth { first: 0, inputs: 4, outputs: 8 });
    /// ```
    ///
    /// # Errors
    /// [`Error::Zero`] for a width of 0, [`Error::Empty`] if there are no layers or none in a
    /// residual block, [`Error::OutOfRange`] for a number that has no meaning,
    /// [`Error::ResidualWidth`] if a block ends with another width than it begins with,
    /// [`Error::NotFirst`] for an embedding after other layers, [`Error::Column`] for a column of
    /// it that is not one of the inputs or is named twice, [`Error::Overflow`] and
    /// [`Error::OutOfMemory`] if the parameters are too many, [`Error::Isa`] if the environment
    /// forces an instruction set that this CPU lacks.
    pub fn build(self) -> Result<Network<E>> {
        self.init.map_or(Ok(()), Init::check)?;
        let (init, seed) = (self.init, self.seed);
        let mut network = self.assemble(|parameters, statistics| {
            Ok((try_aligned("parameters", parameters)?, try_aligned("statistics", statistics)?))
        })?;
        let Network { ops, parameters, statistics, .. } = &mut network;
        for (index, op) in (0..).zip(ops.iter()) {
            let mut random = Random::new(seed, Purpose::Initialization, index);
            op.operation().begin(init, &mut random, parameters, statistics);
        }
        Ok(network)
    }

    /// The network with the parameters and statistics that it gets for their numbers.
    pub(crate) fn assemble(
        self,
        weights: impl FnOnce(usize, usize) -> Result<(Aligned<E>, Aligned<E>)>,
    ) -> Result<Network<E>> {
        let isa = self.isa.map_or_else(Isa::active, Ok)?;
        if self.inputs == 0 {
            return Err(Error::Zero { argument: "inputs" });
        }
        if self.layers.is_empty() {
            return Err(Error::Empty { argument: "layers" });
        }
        let mut compiler = Compiler::new(self.inputs);
        for layer in &self.layers {
            layer.clone().compile(&mut compiler)?;
        }
        let Compiler { width, ops, parameters, statistics, moments, .. } = compiler;
        let (parameters, statistics) = weights(parameters, statistics)?;
        let route = Route::new::<E>(isa, self.inputs, &ops, moments)?;
        Ok(Network {
            isa,
            inputs: self.inputs,
            outputs: width,
            specification: self.layers,
            ops: ops.into(),
            parameters,
            statistics,
            route,
        })
    }
}
