//! Layer normalization.

use deltarule_kernels::norm::{Moments, layer};
use deltarule_kernels::{Element, Isa, ShapeError};

use super::norm::Affine;
use super::{
    Backward, Compiler, Forward, LayerRef, Operation, PARTIAL_ROWS, Part, Pass, Shape, add,
};
use crate::error::Result;
use crate::init::Init;
use crate::random::Random;

/// What the forward pass keeps of a row: mean, what its rounding lost, and 1/√(σ² + ε).
pub(super) const ROW_MOMENTS: usize = 3;

/// A layer normalization.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct LayerNorm {
    affine: Affine,
}

/// A layer normalization of a network, to look at: y = γ (x − μ)/√(σ² + ε) + β, μ and σ² a row's.
///
/// ```
/// use deltarule::{Layer, LayerRef, Network};
/// let network =
///     Network::builder(3).layer(Layer::LayerNorm { epsilon: 1e-6, affine: false }).build()?;
/// let Some(LayerRef::LayerNorm(norm)) = network.layer(0) else { unreachable!() };
/// assert_eq!((norm.epsilon, norm.affine), (1e-6, false));
/// assert_eq!((norm.gamma, norm.beta), (&[1.0; 3][..], &[0.0; 3][..]));
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct LayerNormRef<'a, E> {
    /// ε.
    pub epsilon: f64,
    /// Whether γ and β are learned.
    pub affine: bool,
    /// γ.
    pub gamma: &'a [E],
    /// β.
    pub beta: &'a [E],
}

impl LayerNorm {
    pub(super) fn new(to: &mut Compiler, epsilon: f64, affine: bool) -> Result<Self> {
        Ok(Self { affine: Affine::new(to, epsilon, affine)? })
    }

    /// ∂γ and ∂β: what the shards contribute, block by block, added in their order.
    pub(crate) fn add_gradient<'a, E: Element>(
        isa: Isa,
        partials: impl Iterator<Item = &'a [E]>,
        gradient: &mut [E],
    ) -> Result<(), ShapeError> {
        for partial in partials {
            for block in partial.chunks(gradient.len()) {
                add(isa, block, gradient)?;
            }
        }
        Ok(())
    }
}

impl Shape for LayerNorm {
    fn outputs(&self) -> usize {
        self.affine.features
    }

    fn learns(&self) -> bool {
        self.affine.is_learned
    }

    fn kept_columns(&self, _evaluation: bool) -> usize {
        ROW_MOMENTS
    }

    fn partial_len(&self) -> usize {
        2 * self.affine.features
    }

    fn parts(&self, _: usize) -> Vec<(Part, usize)> {
        self.affine.parts()
    }
}

impl<E: Element> Operation<E> for LayerNorm {
    fn view<'a>(&'a self, parameters: &'a [E], _: &'a [E]) -> LayerRef<'a, E> {
        LayerRef::LayerNorm(LayerNormRef {
            epsilon: self.affine.epsilon,
            affine: self.affine.is_learned,
            gamma: self.affine.gamma(parameters),
            beta: self.affine.beta(parameters),
        })
    }

    fn begin(&self, _: Option<Init>, _: &mut Random, parameters: &mut [E], _: &mut [E]) {
        self.affine.begin(parameters);
    }

    fn forward(&self, pass: &Pass<'_, E>, io: Forward<'_, E>) -> Result<(), ShapeError> {
        let rows = io.y.len() / self.affine.features;
        let (mean, rest) = io.kept.split_at_mut(rows);
        let (mean_low, inverse_std) = rest.split_at_mut(rows);
        let arguments = layer::Forward {
            shape: (rows, self.affine.features),
            epsilon: self.affine.epsilon,
            gamma: self.affine.gamma(pass.parameters),
            beta: self.affine.beta(pass.parameters),
            x: io.x,
            mean,
            mean_low,
            inverse_std,
            y: io.y,
        };
        layer::forward(pass.isa, arguments)
    }

    fn backward(&self, pass: &Pass<'_, E>, io: Backward<'_, E>) -> Result<(), ShapeError> {
        let features = self.affine.features;
        let rows = io.delta.len() / features;
        let (mean, rest) = io.stored.kept.split_at(rows);
        let (mean_low, inverse_std) = rest.split_at(rows);
        io.partial.fill(E::ZERO);
        let blocks = io.delta.chunks_mut(PARTIAL_ROWS * features);
        for (block, (delta, partial)) in blocks.zip(io.partial.chunks_mut(2 * features)).enumerate()
        {
            let first = block * PARTIAL_ROWS;
            let rows = first..first + delta.len() / features;
            let (gamma_gradient, beta_gradient) = partial.split_at_mut(features);
            let moments = Moments {
                mean: &mean[rows.clone()],
                mean_low: &mean_low[rows.clone()],
                inverse_std: &inverse_std[rows.clone()],
            };
            let arguments = layer::Backward {
                shape: (rows.len(), features),
                moments,
                gamma: self.affine.gamma(pass.parameters),
                x: &io.stored.x[rows.start * features..rows.end * features],
                gamma_gradient,
                beta_gradient,
                delta,
            };
            layer::backward(pass.isa, arguments)?;
        }
        Ok(())
    }
}
