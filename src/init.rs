//! How weights begin. Biases begin at 0.

use crate::random::Random;
use deltarule_kernels::Element;
use deltarule_kernels::activation::Activation;

/// The distribution that a layer's weights are drawn from, given its inputs and outputs.
///
/// Xavier is Glorot and Bengio, *Understanding the difficulty of training deep feedforward neural
/// networks* (2010); He is He et al., *Delving Deep into Rectifiers* (2015).
///
/// All kinds draw the same weights on every machine: the uniform ones need no more than a square
/// root, and the normal ones take the logarithm and the cosine from `libm`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
}

impl Init {
    /// What a network uses if nothing was chosen, uniform in either case: He for ReLU and what is
    /// close to it for large |x|, Xavier otherwise.
    pub fn for_activation(activation: Activation) -> Self {
        match activation {
            Activation::Relu
            | Activation::LeakyRelu { .. }
            | Activation::Elu { .. }
            | Activation::Gelu
            | Activation::GeluTanh
            | Activation::HardSwish
            | Activation::Mish
            | Activation::Silu
            | Activation::Softplus => Self::HeUniform,
            _ => Self::XavierUniform,
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
        let (inputs, outputs) = (inputs as f64, outputs as f64);
        let variance = match self {
            Self::XavierUniform | Self::XavierNormal => 2.0 / (inputs + outputs),
            Self::HeUniform | Self::HeNormal => 2.0 / inputs,
        };
        let mut draw: Box<dyn FnMut() -> f64> = match self {
            Self::XavierUniform | Self::HeUniform => {
                let bound = (3.0 * variance).sqrt();
                Box::new(move || bound * (2.0 * random.uniform() - 1.0))
            }
            Self::XavierNormal | Self::HeNormal => {
                let deviation = variance.sqrt();
                Box::new(move || deviation * random.normal())
            }
        };
        weights.fill_with(|| E::from_f64(draw()));
    }
}
