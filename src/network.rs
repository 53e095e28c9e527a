//! The network: its layers and one arena of parameters.

use core::fmt;
use deltarule_kernels::activation::Activation;
use deltarule_kernels::{Element, Isa};

use crate::error::{Error, Result, check_length, checked_area, try_vec, whole_rows};
use crate::init::Init;
use crate::layers::{Dense, LayerRef};
use crate::metrics::largest_of_rows;
use crate::random::{Purpose, Random};

/// Rows that a prediction takes through all layers at a time.
const PREDICTION_ROWS: usize = 64;

/// A multi-layer perceptron: dense layers, and all their parameters in one slice.
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
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Clone)]
pub struct Network<E: Element = f32> {
    isa: Isa,
    layers: Vec<Dense>,
    parameters: Vec<E>,
    workspace: WorkspaceLengths,
}

/// What a [`Network`] is to be.
///
/// [`Network::builder`] makes one for f32, the usual element; `NetworkBuilder::<f64>::new` one
/// for f64.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct NetworkBuilder<E: Element = f32> {
    inputs: usize,
    layers: Vec<(usize, Activation)>,
    init: Option<Init>,
    seed: u64,
    isa: Option<Isa>,
    element: core::marker::PhantomData<E>,
}

impl<E: Element> NetworkBuilder<E> {
    /// A network whose inputs have `inputs` elements, without layers yet.
    pub fn new(inputs: usize) -> Self {
        let element = core::marker::PhantomData;
        Self { inputs, layers: Vec::new(), init: None, seed: 0, isa: None, element }
    }

    /// Adds a dense layer a = σ(W x + b) of `outputs` units.
    pub fn dense(mut self, outputs: usize, activation: Activation) -> Self {
        self.layers.push((outputs, activation));
        self
    }

    /// Sets the distribution of all layers' weights, which otherwise is
    /// [`Init::for_activation`] of each.
    pub fn init(mut self, init: Init) -> Self {
        self.init = Some(init);
        self
    }

    /// Sets the seed of the weights, which is 0 otherwise. Layer `l` draws from a ChaCha8 stream
    /// of its own, which depends on nothing but the seed and `l`.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets the instruction set, which is [`Isa::active`] otherwise.
    pub fn isa(mut self, isa: Isa) -> Self {
        self.isa = Some(isa);
        self
    }

    /// Makes the network.
    ///
    /// # Errors
    /// [`Error::Zero`] for a width of 0, [`Error::Empty`] if there are no layers,
    /// [`Error::Overflow`] and [`Error::OutOfMemory`] if the parameters are too many,
    /// [`Error::Isa`] if the environment forces an instruction set that this CPU lacks.
    pub fn build(self) -> Result<Network<E>> {
        let isa = self.isa.map_or_else(Isa::active, Ok)?;
        if self.inputs == 0 {
            return Err(Error::Zero { argument: "inputs" });
        }
        if self.layers.is_empty() {
            return Err(Error::Empty { argument: "layers" });
        }
        let mut layers: Vec<Dense> = Vec::new();
        let mut inputs = self.inputs;
        for (outputs, activation) in self.layers {
            if outputs == 0 {
                return Err(Error::Zero { argument: "outputs" });
            }
            let start = layers.last().map_or(0, |layer| layer.biases().end);
            layers.push(Dense::new(inputs, outputs, activation, start)?);
            inputs = outputs;
        }
        let count = layers.last().map_or(0, |layer| layer.biases().end);
        let mut parameters = try_vec("parameters", count)?;
        for (index, layer) in (0..).zip(&layers) {
            let init = self.init.unwrap_or(Init::for_activation(layer.activation));
            let mut random = Random::new(self.seed, Purpose::Initialization, index);
            let weights = &mut parameters[layer.weights()];
            init.fill(layer.inputs, layer.outputs, &mut random, weights);
        }
        let workspace = WorkspaceLengths::new::<E>(isa, &layers)?;
        Ok(Network { isa, layers, parameters, workspace })
    }
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
        self.layers[0].inputs
    }

    /// The elements of an output row.
    pub fn outputs(&self) -> usize {
        self.layers[self.layers.len() - 1].outputs
    }

    /// The instruction set that the kernels run on.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// All parameters: layer after layer, each its W, (outputs, inputs) row-major, then its b.
    pub fn parameters(&self) -> &[E] {
        &self.parameters
    }

    /// All parameters, to change, in the order of [`Network::parameters`].
    pub fn parameters_mut(&mut self) -> &mut [E] {
        &mut self.parameters
    }

    /// The layer at this index, or `None` past the last.
    pub fn layer(&self, index: usize) -> Option<LayerRef<'_, E>> {
        self.layers.get(index).map(|layer| layer.view(&self.parameters))
    }

    /// The layers, from the input on.
    pub fn layers(&self) -> impl ExactSizeIterator<Item = LayerRef<'_, E>> {
        self.layers.iter().map(|layer| layer.view(&self.parameters))
    }

    pub(crate) fn dense_layers(&self) -> &[Dense] {
        &self.layers
    }

    /// The layers' shapes beside the parameters that an optimizer is to change.
    pub(crate) fn split_mut(&mut self) -> (Isa, &[Dense], &mut [E]) {
        (self.isa, &self.layers, &mut self.parameters)
    }

    /// The outputs for every row of `x`, (rows, [`Network::inputs`]) row-major.
    ///
    /// The outputs of a row are the same bits alone as in any batch. A row that holds NaN gives
    /// NaN.
    ///
    /// # Errors
    /// [`Error::Empty`] or [`Error::PartialRow`] if `x` is not one whole row or more.
    pub fn predict(&self, x: &[E]) -> Result<Vec<E>> {
        let rows = whole_rows("x", x.len(), self.inputs())?;
        let mut out = try_vec("out", checked_area("out", rows, self.outputs())?)?;
        self.predict_into(x, &mut out, &mut Workspace::new(self)?)?;
        Ok(out)
    }

    /// [`Network::predict`] into a slice, without an allocation.
    ///
    /// # Errors
    /// As [`Network::predict`]; [`Error::Length`] if `out` is not (rows, [`Network::outputs`]),
    /// or if the workspace was made for a smaller network. Nothing was written then.
    pub fn predict_into(&self, x: &[E], out: &mut [E], workspace: &mut Workspace<E>) -> Result<()> {
        let rows = whole_rows("x", x.len(), self.inputs())?;
        check_length("out", out.len(), checked_area("out", rows, self.outputs())?)?;
        workspace.check(self)?;
        let blocks = x.chunks(PREDICTION_ROWS * self.inputs());
        for (x, out) in blocks.zip(out.chunks_mut(PREDICTION_ROWS * self.outputs())) {
            self.predict_block(x, out, workspace)?;
        }
        Ok(())
    }

    fn predict_block(&self, x: &[E], out: &mut [E], workspace: &mut Workspace<E>) -> Result<()> {
        let rows = x.len() / self.inputs();
        let Workspace { from, to, scratch } = workspace;
        let last = self.layers.len() - 1;
        for (index, layer) in self.layers().enumerate() {
            let x = if index == 0 { x } else { &from[..rows * layer.inputs] };
            let a = if index == last { &mut *out } else { &mut to[..rows * layer.outputs] };
            layer.forward(self.isa, x, None, a, scratch)?;
            core::mem::swap(from, to);
        }
        Ok(())
    }

    /// The class of every row of `x`: the index of its largest output, the first of equals.
    ///
    /// # Errors
    /// As [`Network::predict`].
    pub fn classify(&self, x: &[E]) -> Result<Vec<usize>> {
        Ok(largest_of_rows(&self.predict(x)?, self.outputs()).collect())
    }
}

impl<E: Element> fmt::Debug for Network<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Network")
            .field("isa", &self.isa)
            .field("layers", &self.layers)
            .field("parameters", &self.parameters.len())
            .finish()
    }
}

/// The buffers that [`Network::predict_into`] works in. One serves any number of calls, with any
/// number of rows, one at a time.
#[derive(Clone)]
pub struct Workspace<E: Element = f32> {
    from: Vec<E>,
    to: Vec<E>,
    scratch: Vec<E>,
}

impl<E: Element> Workspace<E> {
    /// Buffers for this network, and for all that are no wider.
    ///
    /// # Errors
    /// [`Error::Overflow`] or [`Error::OutOfMemory`] if they would be too large.
    pub fn new(network: &Network<E>) -> Result<Self> {
        let WorkspaceLengths { buffer, scratch } = network.workspace;
        Ok(Self {
            from: try_vec("workspace", buffer)?,
            to: try_vec("workspace", buffer)?,
            scratch: try_vec("workspace", scratch)?,
        })
    }

    fn check(&self, network: &Network<E>) -> Result<()> {
        let WorkspaceLengths { buffer, scratch } = network.workspace;
        for (actual, expected) in [(self.from.len(), buffer), (self.scratch.len(), scratch)] {
            if actual < expected {
                return Err(Error::Length { argument: "workspace", expected, actual });
            }
        }
        Ok(())
    }
}

/// The elements of each buffer of a [`Workspace`] and of its scratch space. A network knows them
/// from the beginning: to find them takes as long as a small prediction.
#[derive(Clone, Copy)]
struct WorkspaceLengths {
    buffer: usize,
    scratch: usize,
}

impl WorkspaceLengths {
    fn new<E: Element>(isa: Isa, layers: &[Dense]) -> Result<Self> {
        let last = layers.len() - 1;
        let widest = layers[..last].iter().map(|layer| layer.outputs).max().unwrap_or(0);
        let mut scratch = 0;
        for layer in layers {
            scratch = scratch.max(layer.scratch_len::<E>(isa, PREDICTION_ROWS, 0)?);
        }
        Ok(Self { buffer: checked_area("workspace", PREDICTION_ROWS, widest)?, scratch })
    }
}

impl<E: Element> fmt::Debug for Workspace<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workspace")
            .field("buffer", &self.from.len())
            .field("scratch", &self.scratch.len())
            .finish()
    }
}
