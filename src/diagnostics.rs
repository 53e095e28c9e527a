//! How the layers fare in training, and what to try where they don't.

use core::fmt;
use deltarule_kernels::activation::Activation;
use deltarule_kernels::optimizer::sgd;
use deltarule_kernels::{Element, Isa, reduce};

use crate::error::{Result, check_length, try_vec};
use crate::layers::LayerRef;
use crate::network::Network;

/// What [`Trainer::step_diagnosed`](crate::Trainer::step_diagnosed) found in its last step, layer
/// by layer, and the buffers it needs: two copies of the parameters.
///
/// Such a step takes the unfused path, and reads all outputs and parameters once more. With Adam
/// on one thread of an AMD EPYC it took 1.15 times as long as a plain one for 64-64-64-10 with a
/// batch of 32, and 1.14, 1.06 and 1.03 times as long for 784-512-512-10 with batches of 64, 256
/// and 1,024; made every tenth step, that is 1.5 % or less.
///
/// ```
/// use deltarule::{Activation, Diagnostics, Loss, Network, Optimizer, Targets, Trainer, Verdict};
/// // Weights far too small for twelve layers.
/// let mut builder = Network::builder(4);
/// for _ in 0..12 {
///     builder = builder.dense(8, Activation::Tanh);
/// }
/// let network = builder
///     .dense(2, Activation::Identity)
///     .init(deltarule::Init::Normal { deviation: 0.1 })
///     .build()?;
/// let mut trainer =
///     Trainer::builder(network, Loss::SoftmaxCrossEntropy, Optimizer::sgd(0.01)).build()?;
/// let mut diagnostics = Diagnostics::new(trainer.network())?;
/// trainer.step_diagnosed(&[0.5, -1.0, 2.0, 0.25], Targets::Classes(&[1]), &mut diagnostics)?;
/// assert!(matches!(diagnostics.verdict(), Verdict::Vanishing { .. }));
/// assert_eq!(diagnostics.layers().len(), 13);
/// println!("{}", diagnostics.verdict());
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Diagnostics<E: Element = f32> {
    layers: Vec<LayerHealth>,
    pub(crate) gradient: Vec<E>,
    /// The parameters before the step.
    before: Vec<E>,
    /// What was found among the outputs of each layer so far in a step.
    found: Vec<Found>,
    /// Which units, layer after layer, have not been above 0 yet in that step.
    is_dead: Vec<bool>,
}

/// What was found among the outputs of a layer.
#[derive(Clone, Copy, Debug, Default)]
struct Found {
    outputs: usize,
    saturated: usize,
}

/// How a layer fared in a step.
///
/// ```
/// # use deltarule::{Activation, Diagnostics, Loss, Network, Optimizer, Targets, Trainer};
/// let network =
///     Network::builder(1).dense(4, Activation::Relu).dense(1, Activation::Sigmoid).build()?;
/// let mut trainer =
///     Trainer::builder(network, Loss::MeanSquaredError, Optimizer::sgd(0.1)).build()?;
/// // Of four ReLUs one is never above 0; the sigmoid is far out.
/// let parameters = [1.0, 1.0, 1.0, -1.0, 0.0, 0.0, 0.0, 0.0, 9.0, 9.0, 9.0, 9.0, 0.0];
/// trainer.network_mut().parameters_mut().copy_from_slice(&parameters);
/// let mut diagnostics = Diagnostics::new(trainer.network())?;
/// trainer.step_diagnosed(&[1.0, 2.0], Targets::Values(&[1.0, 0.0]), &mut diagnostics)?;
/// let [hidden, output] = diagnostics.layers() else { unreachable!() };
/// assert_eq!((hidden.dead, hidden.saturated), (Some(0.25), None));
/// assert_eq!((output.dead, output.saturated), (None, Some(1.0)));
/// assert!(output.parameters.is_some());
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct LayerHealth {
    /// The norms of its parameters, if it has any and is not frozen.
    pub parameters: Option<ParameterNorms>,
    /// Whether it is a dense layer, whose gradient is compared with that of the others.
    is_dense: bool,
    /// The share of outputs, over all units and rows, at which σ′ is below about a twenty-fifth of
    /// its largest: sigmoids below 0.01 or above 0.99, hyperbolic tangents beyond ±0.98. `None`
    /// for other layers.
    pub saturated: Option<f64>,
    /// The share of units whose ReLU is 0 on every row. `None` for other layers.
    pub dead: Option<f64>,
}

/// Euclidean norms over all parameters of a layer.
///
/// ```
/// # use deltarule::{Activation, Diagnostics, Loss, Network, Optimizer, Targets, Trainer};
/// # let network = Network::builder(1).dense_without_bias(1, Activation::Identity).build()?;
/// let mut trainer =
///     Trainer::builder(network, Loss::MeanSquaredError, Optimizer::sgd(0.125)).build()?;
/// trainer.network_mut().parameters_mut().copy_from_slice(&[4.0]);
/// let mut diagnostics = Diagnostics::new(trainer.network())?;
/// trainer.step_diagnosed(&[1.0], Targets::Values(&[0.0]), &mut diagnostics)?;
/// let norms = diagnostics.layers()[0].parameters.expect("it learns");
/// assert_eq!((norms.gradient, norms.weights, norms.update), (8.0, 4.0, 1.0));
/// assert_eq!(norms.update_ratio(), 0.25);
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct ParameterNorms {
    /// Of the gradient, before it is clipped.
    pub gradient: f64,
    /// Of the parameters before the step.
    pub weights: f64,
    /// Of what the step added to them.
    pub update: f64,
}

impl ParameterNorms {
    /// The norm of the update over that of the weights; about 10⁻³ is usual.
    pub fn update_ratio(&self) -> f64 {
        if self.update == 0.0 { 0.0 } else { self.update / self.weights }
    }
}

/// What the numbers of a [`Diagnostics`] mean. It displays as a sentence that says what to try.
///
/// ```
/// # use deltarule::{Activation, Diagnostics, Loss, Network, Optimizer, Targets, Trainer, Verdict};
/// # let network =
/// #     Network::builder(1).dense(8, Activation::Relu).dense(1, Activation::Identity).build()?;
/// let mut trainer =
///     Trainer::builder(network, Loss::MeanSquaredError, Optimizer::sgd(100.0)).build()?;
/// let mut diagnostics = Diagnostics::new(trainer.network())?;
/// trainer.step_diagnosed(&[1.0], Targets::Values(&[9.0]), &mut diagnostics)?;
/// let verdict = diagnostics.verdict();
/// assert!(matches!(verdict, Verdict::Exploding { update_ratio, .. } if update_ratio > 1.0));
/// assert!(verdict.to_string().contains("try a smaller learning rate"));
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Verdict {
    /// Nothing stands out.
    Healthy,
    /// From the last dense layer down to this one the gradient's norm falls by 10 a layer and by
    /// 100 at least, or by 10,000 altogether.
    Vanishing {
        /// The layer with the smallest gradient.
        layer: usize,
        /// The norm of its gradient over that of the last layer.
        share: f64,
    },
    /// The step changes this layer by more than there was of it, or from the last dense layer
    /// down to it the gradient's norm grows by 10 a layer and by 100 at least, or by 10,000
    /// altogether, or it is not finite.
    Exploding {
        /// The layer.
        layer: usize,
        /// [`ParameterNorms::update_ratio`].
        update_ratio: f64,
    },
    /// Half of this layer's ReLUs or more are 0 on every row: they don't learn any more.
    Dead {
        /// The layer.
        layer: usize,
        /// The share of dead ones.
        share: f64,
    },
}

/// What makes a gradient's fall or growth from layer to layer an illness.
const BY_LAYER: f64 = 10.0;
const AT_LEAST: f64 = 100.0;
const ALTOGETHER: f64 = 1e4;
/// The share of dead ReLUs that makes a layer dead.
const DEAD: f64 = 0.5;

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Healthy => f.write_str("healthy: gradients reach every layer"),
            Self::Vanishing { layer, share } => write!(
                f,
                "vanishing: the gradient of layer {layer} has {share:.1e} of the last one's norm, \
                 so it hardly learns; try He initialization with ReLU, batch normalization, \
                 residual blocks or fewer layers"
            ),
            Self::Exploding { layer, update_ratio } => write!(
                f,
                "exploding: a step changes layer {layer} by {update_ratio:.1e} of its norm; try a \
                 smaller learning rate, clipping by the global norm, batch normalization or \
                 smaller initial weights"
            ),
            Self::Dead { layer, share } => write!(
                f,
                "dead: {:.0} % of the ReLUs of layer {layer} are 0 on every row and don't learn; \
                 try batch normalization before them, leaky ReLU, a smaller learning rate, or He \
                 initialization with biases of 0",
                100.0 * share
            ),
        }
    }
}

impl LayerHealth {
    fn of_outputs<E: Element>(layer: &LayerRef<'_, E>, found: Found, is_dead: &[bool]) -> Self {
        let activation = activation_of(layer);
        let saturated =
            saturation(activation).map(|_| found.saturated as f64 / found.outputs as f64);
        let dead = || is_dead.iter().filter(|&&is_dead| is_dead).count();
        let dead = (activation == Activation::Relu).then(|| dead() as f64 / layer.outputs() as f64);
        let is_dense = matches!(layer, LayerRef::Dense(_));
        Self { parameters: None, is_dense, saturated, dead }
    }
}

fn activation_of<E: Element>(layer: &LayerRef<'_, E>) -> Activation {
    match layer {
        LayerRef::Dense(layer) => layer.activation,
        LayerRef::Activation { activation, .. } => *activation,
        _ => Activation::Identity,
    }
}

/// Which outputs of this activation are saturated, if any can be.
fn saturation(activation: Activation) -> Option<fn(f64) -> bool> {
    match activation {
        Activation::Sigmoid => Some(|y| !(0.01..=0.99).contains(&y)),
        Activation::Tanh => Some(|y| y.abs() > 0.98),
        _ => None,
    }
}

/// The outputs of all layers.
fn units<E: Element>(network: &Network<E>) -> usize {
    network.layers().map(|layer| layer.outputs()).sum()
}

impl<E: Element> Diagnostics<E> {
    /// For the training of this network.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory) if there is no memory for the buffers.
    pub fn new(network: &Network<E>) -> Result<Self> {
        let count = network.parameters().len();
        Ok(Self {
            layers: try_vec("diagnostics", network.layers().len())?,
            gradient: try_vec("diagnostics", count)?,
            before: try_vec("diagnostics", count)?,
            found: try_vec("diagnostics", network.layers().len())?,
            is_dead: try_vec("diagnostics", units(network))?,
        })
    }

    /// The layers, in the order of [`Network::layers`].
    pub fn layers(&self) -> &[LayerHealth] {
        &self.layers
    }

    /// Checks that this was made for a network of the same shape.
    pub(crate) fn check(&self, network: &Network<E>) -> Result<()> {
        check_length("diagnostics", self.gradient.len(), network.parameters().len())?;
        check_length("diagnostics", self.layers.len(), network.layers().len())?;
        check_length("diagnostics", self.is_dead.len(), units(network))
    }

    /// Looks at the outputs of some rows, the first of a step or further ones: `outputs_of` gives
    /// those of a layer in blocks of rows.
    pub(crate) fn look_at_outputs<'a, B: Iterator<Item = &'a [E]>>(
        &mut self,
        network: &Network<E>,
        are_first: bool,
        outputs_of: impl Fn(usize) -> B,
    ) {
        if are_first {
            self.found.fill(Found::default());
            self.is_dead.fill(true);
        }
        let mut units = &mut self.is_dead[..];
        for (index, (layer, found)) in network.layers().zip(&mut self.found).enumerate() {
            let width = layer.outputs();
            let (is_dead, after) = units.split_at_mut(width);
            units = after;
            let blocks = outputs_of(index);
            if let Some(is_saturated) = saturation(activation_of(&layer)) {
                for block in blocks {
                    found.outputs += block.len();
                    found.saturated += block.iter().filter(|y| is_saturated(y.to_f64())).count();
                }
            } else if activation_of(&layer) == Activation::Relu {
                for row in blocks.flat_map(|block| block.chunks_exact(width)) {
                    for (is_dead, &y) in is_dead.iter_mut().zip(row) {
                        *is_dead &= y <= E::ZERO;
                    }
                }
            }
        }
    }

    /// Remembers the parameters before a step.
    pub(crate) fn remember(&mut self, parameters: &[E]) {
        self.before.copy_from_slice(parameters);
    }

    /// Ends a step: says what was found, and compares the parameters with those before it.
    pub(crate) fn compare(
        &mut self,
        isa: Isa,
        network: &Network<E>,
        is_trained: impl Fn(usize) -> bool,
    ) -> Result<()> {
        let (mut start, mut units) = (0, &self.is_dead[..]);
        let layers = self.layers.iter_mut().zip(&self.found).zip(network.layers());
        for (index, ((health, found), layer)) in layers.enumerate() {
            let (is_dead, after) = units.split_at(layer.outputs());
            units = after;
            *health = LayerHealth::of_outputs(&layer, *found, is_dead);
            let part = start..start + layer.parameters();
            start = part.end;
            if !is_trained(index) {
                continue;
            }
            let norm = |x: &[E]| reduce::sum_of_squares(isa, x).sqrt();
            let before = &mut self.before[part.clone()];
            let weights = norm(before);
            // before ← before − after, exactly rounded.
            sgd(isa, E::ONE, &network.parameters()[part.clone()], before)?;
            let (gradient, update) = (norm(&self.gradient[part]), norm(before));
            health.parameters = Some(ParameterNorms { gradient, weights, update });
        }
        Ok(())
    }

    /// What the numbers mean: the first of exploding, dead and vanishing that fits.
    pub fn verdict(&self) -> Verdict {
        let learning: Vec<(usize, ParameterNorms)> = (0..)
            .zip(&self.layers)
            .filter_map(|(index, layer)| {
                Some((index, layer.parameters.filter(|_| layer.is_dense)?))
            })
            .collect();
        let last = learning.last().map_or(0.0, |(_, norms)| norms.gradient);
        // The layers below the last, each with how often the gradient passed through a layer to it.
        let below = || learning.iter().rev().skip(1).zip(1..);
        let is_ill = |fall: f64, layers: i32| {
            fall >= ALTOGETHER || (fall >= AT_LEAST && fall >= BY_LAYER.powi(layers))
        };
        let changed = learning.iter().find(|(_, norms)| {
            !norms.gradient.is_finite() || norms.update_ratio() > 1.0 && norms.weights > 0.0
        });
        let grown = || below().find(|((_, norms), n)| is_ill(norms.gradient / last, *n));
        if let Some((layer, norms)) = changed.or_else(|| grown().map(|(layer, _)| layer)) {
            return Verdict::Exploding { layer: *layer, update_ratio: norms.update_ratio() };
        }
        let dead = (0..).zip(&self.layers).find_map(|(layer, health)| {
            let share = health.dead.filter(|&share| share >= DEAD)?;
            Some(Verdict::Dead { layer, share })
        });
        if let Some(dead) = dead {
            return dead;
        }
        let fallen = below().filter(|((_, norms), n)| is_ill(last / norms.gradient, *n));
        let smallest = fallen.min_by(|((_, a), _), ((_, b), _)| a.gradient.total_cmp(&b.gradient));
        smallest.map_or(Verdict::Healthy, |((layer, norms), _)| Verdict::Vanishing {
            layer: *layer,
            share: norms.gradient / last,
        })
    }
}
