//! How weights begin. Biases begin at 0.

use crate::error::Result;
use crate::optimizer::{check, not_negative};
use crate::random::Random;
use deltarule_kernels::Element;
use deltarule_kernels::activation::Activation;

/// The distribution that a layer's weights are drawn from, given its inputs and outputs.
///
/// Xavier is Glorot and Bengio, *Understanding the difficulty of training deep feedforward neural
/// networks* (2010); He is He et al., *Delving Deep into Rectifiers* (2015); LeCun is LeCun et al.,
/// *Efficient BackProp* (1998); orthogonal is Saxe et al., *Exact solutions to the nonlinear
/// dynamics of learning in deep linear neural networks* (2014).
///
/// All kinds draw the same weights on every machine: the uniform ones need no more than a square
/// root, and the normal ones take the logarithm and the cosine from `libm`.
///
/// ```
/// use deltarule::{Activation, Distribution, Fan, Init, Layer, Network};
/// // Kaiming's for a leaky ReLU, with the gain that belongs to it.
/// let activation = Activation::LeakyRelu { slope: 0.2 };
/// let init = Init::Scaled {
///     gain: Init::gain(activation),
///     fan: Fan::Inputs,
///     distribution: Distribution::Normal,
/// };
/// let network = Network::builder(8)
///     .layer(Layer::dense(16, activation).with_init(init))
///     .dense(1, Activation::Identity)
///     .build()?;
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Init {
    /// Uniform in ±√(6 / (inputs + outputs)).
    XavierUniform,
    /// Normal with variance 2 / (inputs + outputs).
    XavierNormal,
    /// Uniform in ±√(6 / inputs).
    HeUniform,
    /// Normal with variance 2 / inputs.
    HeNormal,
    /// Uniform in ±√(3 / inputs).
    LecunUniform,
    /// Normal with variance 1 / inputs.
    LecunNormal,
    /// Variance gain² / fan: Xavier's with [`Fan::Mean`], He's with [`Fan::Inputs`] or
    /// [`Fan::Outputs`], and [`Init::gain`].
    Scaled {
        /// The gain.
        gain: f64,
        /// The fan.
        fan: Fan,
        /// The distribution.
        distribution: Distribution,
    },
    /// The rows or the columns of W, whichever are fewer, are orthogonal, each of length `gain`.
    /// It takes time that grows as inputs · outputs · the smaller of both.
    Orthogonal {
        /// The gain.
        gain: f64,
    },
    /// Uniform in ±`bound`.
    Uniform {
        /// The bound.
        bound: f64,
    },
    /// Normal with this standard deviation.
    Normal {
        /// The standard deviation.
        deviation: f64,
    },
    /// All the same.
    Constant(f64),
    /// All 0.
    Zeros,
}

/// The number of units that a weight's variance is inverse to.
///
/// ```
/// use deltarule::{Activation, Distribution, Fan, Init, Network};
/// // Uniform in ±√(3/fan): the widest weights for the smallest fan.
/// let largest = |fan| {
///     let init = Init::Scaled { gain: 1.0, fan, distribution: Distribution::Uniform };
///     let network = Network::builder(10).dense(90, Activation::Identity).init(init).build()?;
///     let weights = network.parameters().iter().map(|w| w.abs());
///     Ok::<f32, deltarule::Error>(weights.fold(0.0, f32::max))
/// };
/// assert!((largest(Fan::Inputs)? - 0.3f32.sqrt()).abs() < 0.01);
/// assert!((largest(Fan::Mean)? - 0.06f32.sqrt()).abs() < 0.01);
/// assert!((largest(Fan::Outputs)? - (1.0f32 / 30.0).sqrt()).abs() < 0.01);
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Fan {
    /// The layer's inputs: keeps the variance of values on the way forward.
    Inputs,
    /// The layer's outputs: keeps the variance of errors on the way back.
    Outputs,
    /// The mean of both.
    Mean,
}

/// The shape of a distribution with a given variance.
///
/// ```
/// use deltarule::{Activation, Distribution, Fan, Init, Network};
/// let deviation = |distribution| {
///     let init = Init::Scaled { gain: 1.0, fan: Fan::Inputs, distribution };
///     let network = Network::builder(25).dense(400, Activation::Identity).init(init).build()?;
///     let weights = &network.parameters()[..25 * 400];
///     let squares: f32 = weights.iter().map(|w| w * w).sum();
///     Ok::<f32, deltarule::Error>((squares / weights.len() as f32).sqrt())
/// };
/// // The same variance of 1/25 in either shape.
/// assert!((deviation(Distribution::Normal)? - 0.2).abs() < 0.005);
/// assert!((deviation(Distribution::Uniform)? - 0.2).abs() < 0.005);
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Distribution {
    /// Uniform in ±√(3 · variance).
    Uniform,
    /// Normal.
    Normal,
}

impl Init {
    /// What a network uses if nothing was chosen: LeCun's normal for SELU, uniform for the others,
    /// He for ReLU and what is close to it for large |x|, Xavier for what remains.
    ///
    /// ```
    /// use deltarule::{Activation, Init};
    /// assert_eq!(Init::for_activation(Activation::Relu), Init::HeUniform);
    /// assert_eq!(Init::for_activation(Activation::Tanh), Init::XavierUniform);
    /// assert_eq!(Init::for_activation(Activation::Selu), Init::LecunNormal);
    /// ```
    pub fn for_activation(activation: Activation) -> Self {
        match activation {
            Activation::Selu => Self::LecunNormal,
            _ if is_like_relu(activation) => Self::HeUniform,
            _ => Self::XavierUniform,
        }
    }

    /// The gain by which weights make up for what an activation does to the variance, as in
    /// PyTorch: √2 for ReLU and what is close to it for large |x|, √(2/(1 + slope²)) for leaky
    /// ReLU, 5/3 for tanh, 3/4 for SELU, and 1 for the others.
    ///
    /// ```
    /// use deltarule::{Activation, Init};
    /// assert_eq!(Init::gain(Activation::Relu), 2f64.sqrt());
    /// assert_eq!(Init::gain(Activation::LeakyRelu { slope: 1.0 }), 1.0); // it is the identity
    /// ```
    pub fn gain(activation: Activation) -> f64 {
        match activation {
            Activation::LeakyRelu { slope } => (2.0 / (1.0 + slope * slope)).sqrt(),
            Activation::Tanh => 5.0 / 3.0,
            Activation::Selu => 0.75,
            _ if is_like_relu(activation) => core::f64::consts::SQRT_2,
            _ => 1.0,
        }
    }

    /// Checks that every number has a meaning.
    pub(crate) fn check(self) -> Result<()> {
        match self {
            Self::Scaled { gain, .. } | Self::Orthogonal { gain } => not_negative("gain", gain),
            Self::Uniform { bound } => not_negative("bound", bound),
            Self::Normal { deviation } => not_negative("deviation", deviation),
            Self::Constant(value) => check("constant", value, value.is_finite(), "finite"),
            _ => Ok(()),
        }
    }

    /// Draws every weight of a layer.
    pub(crate) fn fill<E: Element>(
        self,
        inputs: usize,
        outputs: usize,
        random: &mut Random,
        weights: &mut [E],
    ) {
        use Distribution::{Normal, Uniform};
        let (fan_in, fan_out) = (inputs as f64, outputs as f64);
        let (variance, distribution) = match self {
            Self::XavierUniform => (2.0 / (fan_in + fan_out), Uniform),
            Self::XavierNormal => (2.0 / (fan_in + fan_out), Normal),
            Self::HeUniform => (2.0 / fan_in, Uniform),
            Self::HeNormal => (2.0 / fan_in, Normal),
            Self::LecunUniform => (1.0 / fan_in, Uniform),
            Self::LecunNormal => (1.0 / fan_in, Normal),
            Self::Scaled { gain, fan, distribution } => {
                let fan = match fan {
                    Fan::Inputs => fan_in,
                    Fan::Outputs => fan_out,
                    Fan::Mean => 0.5 * (fan_in + fan_out),
                };
                (gain * gain / fan, distribution)
            }
            Self::Uniform { bound } => return uniform(bound, random, weights),
            Self::Normal { deviation } => return normal(deviation, random, weights),
            Self::Orthogonal { gain } => {
                return orthogonal(inputs, outputs, gain, random, weights);
            }
            Self::Constant(value) => return weights.fill(E::from_f64(value)),
            Self::Zeros => return weights.fill(E::ZERO),
        };
        match distribution {
            Uniform => uniform((3.0 * variance).sqrt(), random, weights),
            Normal => normal(variance.sqrt(), random, weights),
        }
    }
}

fn uniform<E: Element>(bound: f64, random: &mut Random, weights: &mut [E]) {
    weights.fill_with(|| E::from_f64(bound * (2.0 * random.uniform() - 1.0)));
}

fn normal<E: Element>(deviation: f64, random: &mut Random, weights: &mut [E]) {
    weights.fill_with(|| E::from_f64(deviation * random.normal()));
}

/// Whether σ(x) is x, or close to it, for large x, and close to 0 for large −x.
fn is_like_relu(activation: Activation) -> bool {
    matches!(
        activation,
        Activation::Relu
            | Activation::LeakyRelu { .. }
            | Activation::Elu { .. }
            | Activation::Gelu
            | Activation::GeluTanh
            | Activation::HardSwish
            | Activation::Mish
            | Activation::Silu
            | Activation::Softplus
            | Activation::Clip { low: 0.0, .. }
    )
}

/// Normal vectors made orthogonal by the modified Gram–Schmidt process in f64, whose error is
/// about their condition number, some thousands for square matrices, times 2⁻⁵³. A vector that
/// is left with nothing, which has a probability of 0, is drawn again.
fn orthogonal<E: Element>(
    inputs: usize,
    outputs: usize,
    gain: f64,
    random: &mut Random,
    weights: &mut [E],
) {
    let (count, length) = (inputs.min(outputs), inputs.max(outputs));
    let mut vectors: Vec<f64> = (0..count * length).map(|_| random.normal()).collect();
    for at in 0..count {
        let (done, rest) = vectors.split_at_mut(at * length);
        let vector = &mut rest[..length];
        let mut norm = dot(vector, vector).sqrt();
        while norm.is_nan() || norm <= 1e-8 {
            vector.fill_with(|| random.normal());
            for other in done.chunks_exact(length) {
                subtract_projection(other, vector);
            }
            norm = dot(vector, vector).sqrt();
        }
        vector.iter_mut().for_each(|x| *x /= norm);
        let (vector, rest) = rest.split_at_mut(length);
        for other in rest.chunks_exact_mut(length) {
            subtract_projection(vector, other);
        }
    }
    for (index, weight) in weights.iter_mut().enumerate() {
        let (row, column) = (index / inputs, index % inputs);
        let at = if outputs <= inputs { row * length + column } else { column * length + row };
        *weight = E::from_f64(gain * vectors[at]);
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// from ← from − (unit · from) unit.
fn subtract_projection(unit: &[f64], from: &mut [f64]) {
    let along = dot(unit, from);
    for (x, unit) in from.iter_mut().zip(unit) {
        *x -= along * unit;
    }
}
