//! How a predictor is put together.

use deltarule_kernels::gemm::{CompactMatrix, Format, PackedMatrix};
use deltarule_kernels::{Element, MatRef};

use super::fold::{Linear, Map, Piece, fold};
use super::{Head, Predictor};
use crate::data::Scaling;
use crate::error::{Error, Result, try_aligned, try_vec};
use crate::layers::{Compiler, Dense, Layer, Op, Residual, Weights};
use crate::network::{Network, Route};

/// What a [`Predictor`] is to be.
///
/// ```
/// use deltarule::{Activation, Network, Predictor, WeightFormat, data::Scaling};
/// let network =
///     Network::builder(2).dense(16, Activation::Relu).dense(3, Activation::Identity).build()?;
/// let scaling = Scaling::new(vec![20.0, 1000.0], vec![0.1, 0.01])?;
/// let predictor = Predictor::builder(&network)
///     .scaling(&scaling)
///     .softmax(true)
///     .weights(WeightFormat::Bf16)
///     .build()?;
/// let p = predictor.predict(&[25.0, 1013.0])?;
/// assert!((p.iter().sum::<f32>() - 1.0).abs() < 1e-6);
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct PredictorBuilder<'a, E: Element = f32> {
    network: &'a Network<E>,
    scaling: Option<&'a Scaling>,
    head: Head,
    format: Option<Format>,
}

impl<'a, E: Element> PredictorBuilder<'a, E> {
    pub(super) fn new(network: &'a Network<E>) -> Self {
        Self { network, scaling: None, head: Head::None, format: None }
    }

    /// Lets the predictor take inputs as they are, where the network takes what this scaling makes
    /// of them.
    ///
    /// ```
    /// use deltarule::{Activation, Network, Predictor, data::Scaling};
    /// let network = Network::builder(2).dense(1, Activation::Tanh).build()?;
    /// let raw = [25.0, 1013.0, 15.0, 987.0, 20.0, 1000.0];
    /// let scaling = Scaling::standard(&raw, 2)?;
    /// let predictor = Predictor::builder(&network).scaling(&scaling).build()?;
    /// let mut scaled = raw;
    /// scaling.apply(&mut scaled)?;
    /// for (y, of_scaled) in predictor.predict(&raw)?.iter().zip(network.predict(&scaled)?) {
    ///     assert!((y - of_scaled).abs() < 1e-4);
    /// }
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn scaling(mut self, scaling: &'a Scaling) -> Self {
        self.scaling = Some(scaling);
        self
    }

    /// Sets whether the outputs are the softmax of the network's, which are the probabilities of
    /// classes after a training on cross-entropy.
    ///
    /// ```
    /// use deltarule::{Activation, Network, Predictor};
    /// let mut network = Network::builder(1).dense(2, Activation::Identity).build()?;
    /// network.parameters_mut().copy_from_slice(&[0.0, 0.0, 0.0, 3f32.ln()]); // the logits are b
    /// let p = Predictor::builder(&network).softmax(true).build()?.predict(&[1.0])?;
    /// assert!((p[0] - 0.25).abs() < 1e-6 && (p[1] - 0.75).abs() < 1e-6);
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn softmax(self, softmax: bool) -> Self {
        self.with_head(Head::Softmax, softmax)
    }

    /// Sets whether the outputs are the sigmoid of the network's, which are the probabilities of
    /// their classes after a training on
    /// [`Loss::BinaryCrossEntropy`](crate::Loss::BinaryCrossEntropy). Of this, softmax and exp the
    /// one that was asked for last counts.
    ///
    /// ```
    /// use deltarule::{Activation, Network, Predictor};
    /// let mut network = Network::builder(1).dense(1, Activation::Identity).build()?;
    /// network.parameters_mut().copy_from_slice(&[0.0, 3f32.ln()]); // the logit is b
    /// let p = Predictor::builder(&network).sigmoid(true).build()?.predict(&[1.0])?;
    /// assert!((p[0] - 0.75).abs() < 1e-6);
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn sigmoid(self, sigmoid: bool) -> Self {
        self.with_head(Head::Sigmoid, sigmoid)
    }

    /// Sets whether the outputs are e to the power of the network's, which are the rates of counts,
    /// and not their logarithms, after a training on [`Loss::Poisson`](crate::Loss::Poisson). A rate
    /// may overflow to infinity, in f32 from a logarithm of 88.73.
    ///
    /// ```
    /// use deltarule::{Activation, Network, Predictor};
    /// let mut network = Network::builder(1).dense(1, Activation::Identity).build()?;
    /// network.parameters_mut().copy_from_slice(&[0.0, 2.5f32.ln()]); // the logarithm is b
    /// let rate = Predictor::builder(&network).exp(true).build()?.predict(&[1.0])?;
    /// assert!((rate[0] - 2.5).abs() < 1e-6);
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn exp(self, exp: bool) -> Self {
        self.with_head(Head::Exp, exp)
    }

    /// With this head, or without it.
    fn with_head(mut self, head: Head, is_wanted: bool) -> Self {
        if is_wanted {
            self.head = head;
        } else if self.head == head {
            self.head = Head::None;
        }
        self
    }

    /// Stores the weights of dense layers in fewer bytes: half as many in [`Format::Bf16`], a
    /// quarter in [`Format::Int8`], with a scale for each output. Inputs, biases and all sums stay
    /// as they are. Where weights are read from a far cache or from memory, a prediction of a
    /// single row takes less time; the outputs change by what the weights lose. A scaling or a
    /// batch normalization before a dense layer is then computed by itself, and not folded into
    /// weights that would lose more. In int8 the sums are those of integers, of up to 127 times an
    /// input, before the scale: inputs of more than 10³⁶ can overflow f32. A weight of an f64 network
    /// that is beyond the range of f32 is infinite in bf16.
    ///
    /// ```
    /// use deltarule::{Activation, Network, Predictor, WeightFormat};
    /// let network = Network::builder(64).dense(64, Activation::Identity).build()?;
    /// let x: Vec<f32> = (0..64).map(|i| (i as f32 * 0.1).sin()).collect();
    /// let exact = network.predict(&x)?;
    /// for (format, bound) in [(WeightFormat::Bf16, 0.02), (WeightFormat::Int8, 0.04)] {
    ///     let y = Predictor::builder(&network).weights(format).build()?.predict(&x)?;
    ///     assert!(y.iter().zip(&exact).all(|(y, exact)| (y - exact).abs() < bound));
    /// }
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn weights(mut self, format: Format) -> Self {
        self.format = Some(format);
        self
    }

    /// Makes the predictor.
    ///
    /// ```
    /// use deltarule::{Activation, Error, Network, Predictor, data::Scaling};
    /// let network = Network::builder(2).dense(1, Activation::Tanh).build()?;
    /// let scaling = Scaling::new(vec![20.0], vec![0.1])?; // of another table
    /// let error = Predictor::builder(&network).scaling(&scaling).build().unwrap_err();
    /// assert!(matches!(error, Error::Length { expected: 2, actual: 1, .. }));
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Length`] if the scaling is not for the network's inputs, [`Error::OutOfRange`] if
    /// it scales a categorical column, [`Error::Overflow`] and [`Error::OutOfMemory`] if the
    /// weights are too many.
    ///
    /// [`Error::Length`]: crate::Error::Length
    /// [`Error::OutOfRange`]: crate::Error::OutOfRange
    /// [`Error::Overflow`]: crate::Error::Overflow
    /// [`Error::OutOfMemory`]: crate::Error::OutOfMemory
    pub fn build(self) -> Result<Predictor<E>> {
        let Self { network, scaling, head, format } = self;
        let mut parts = Parts {
            network,
            format,
            compiler: Compiler::new(network.inputs()),
            parameters: Vec::new(),
            weights: Vec::new(),
            maps: Vec::new(),
        };
        for piece in fold(network, scaling, format.is_none())? {
            parts.add(piece)?;
        }
        let Parts { compiler, parameters, weights, maps, .. } = parts;
        let Compiler { ops, moments, .. } = compiler;
        let mut arena = try_aligned("parameters", parameters.len())?;
        arena.copy_from_slice(&parameters);
        let mut moments = try_vec("moments", moments)?;
        for (op, map) in maps {
            if let Op::BatchNorm(norm) = &ops[op] {
                norm.use_map(&map.centers, &map.factors, &mut moments);
            }
        }
        // The moments are the predictor's own, and none are to be found on the way.
        let route = Route::new::<E>(network.isa(), network.inputs(), &ops, 0)?;
        Ok(Predictor {
            isa: network.isa(),
            inputs: network.inputs(),
            outputs: network.outputs(),
            ops,
            parameters: arena,
            weights,
            moments,
            route,
            head,
        })
    }
}

/// A predictor so far.
struct Parts<'a, E: Element> {
    network: &'a Network<E>,
    format: Option<Format>,
    compiler: Compiler,
    parameters: Vec<E>,
    weights: Vec<Weights<E>>,
    /// The index of an operation, and what it does to each column.
    maps: Vec<(usize, Map)>,
}

impl<E: Element> Parts<'_, E> {
    fn add(&mut self, piece: Piece<'_, E>) -> Result<()> {
        let index = self.compiler.ops.len();
        match piece {
            Piece::Linear(linear) => self.add_linear(&linear)?,
            Piece::Map(map) => {
                // What ε would be is part of f.
                let layer = Layer::BatchNorm { momentum: 1.0, epsilon: 1.0, affine: true };
                layer.compile(&mut self.compiler)?;
                self.parameters.extend(map.shifts.iter().map(|_| E::ONE));
                self.parameters.extend(map.shifts.iter().map(|&shift| E::from_f64(shift)));
                self.maps.push((index, map));
            }
            Piece::Other(layer, parameters) => {
                layer.compile(&mut self.compiler)?;
                self.parameters.extend(parameters);
            }
            Piece::Residual(first) => {
                let op = Op::Residual(Residual::of_block(&self.compiler, first));
                self.compiler.push(op);
            }
        }
        Ok(())
    }

    fn add_linear(&mut self, linear: &Linear) -> Result<()> {
        let Linear { inputs, weights, biases, activation } = linear;
        let mut rounded = try_vec("weights", weights.len())?;
        for (rounded, &weight) in rounded.iter_mut().zip(weights) {
            *rounded = E::from_f64(weight);
        }
        let isa = self.network.isa();
        let transposed = MatRef::new(&rounded, biases.len(), *inputs)?.transposed();
        let weights = match self.format {
            Some(format) => Weights::Compact(CompactMatrix::new(isa, transposed, format)?),
            None if Dense::reads_rows(biases.len()) => {
                let elements = rounded.len();
                let error = Error::OutOfMemory { argument: "weights", elements };
                self.parameters.try_reserve(elements).map_err(|_| error)?;
                self.parameters.extend(&rounded);
                Weights::InArena
            }
            None => Weights::Packed(PackedMatrix::new(isa, transposed)?),
        };
        self.parameters.extend(biases.iter().map(|&bias| E::from_f64(bias)));
        let dense = Dense::frozen(&mut self.compiler, biases.len(), *activation, &weights)?;
        self.compiler.push(Op::Dense(dense));
        self.weights.push(weights);
        Ok(())
    }
}
