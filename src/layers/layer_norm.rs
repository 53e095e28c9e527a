//! Layer normalization.

use core::ops::Range;
use deltarule_kernels::norm::{Moments, layer};
use deltarule_kernels::{Element, Isa, ShapeError};

use super::{Compiler, Forward, Operation, Pass, Stored, add};
use crate::error::{Result, check_positive};

/// What the forward pass keeps of a row: mean, what its rounding lost, and 1/√(σ² + ε).
pub(super) const ROW_MOMENTS: usize = 3;

/// A layer normalization, and where γ, and β after it, lie in the network's arena.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct LayerNorm {
    pub(crate) features: usize,
    pub(crate) affine: bool,
    epsilon: f64,
    start: usize,
}

/// A layer normalization of a network, to look at: y = γ (x − μ)/√(σ² + ε) + β, μ and σ² a row's.
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
        check_positive("epsilon", epsilon)?;
        let features = to.width;
        Ok(Self { features, affine, epsilon, start: to.parameters(2, features)? })
    }

    pub(super) fn gamma(&self) -> Range<usize> {
        self.start..self.start + self.features
    }

    fn beta(&self) -> Range<usize> {
        self.start + self.features..self.start + 2 * self.features
    }

    pub(super) fn view<'a, E>(&self, parameters: &'a [E]) -> LayerNormRef<'a, E> {
        LayerNormRef {
            epsilon: self.epsilon,
            affine: self.affine,
            gamma: &parameters[self.gamma()],
            beta: &parameters[self.beta()],
        }
    }

    /// ∂γ and ∂β: what the shards contribute, added in their order.
    pub(crate) fn add_gradient<'a, E: Element>(
        isa: Isa,
        partials: impl Iterator<Item = &'a [E]>,
        gradient: &mut [E],
    ) -> Result<(), ShapeError> {
        for partial in partials {
            add(isa, partial, gradient)?;
        }
        Ok(())
    }
}

impl<E: Element> Operation<E> for LayerNorm {
    fn forward(&self, pass: &Pass<'_, E>, io: Forward<'_, E>) -> Result<(), ShapeError> {
        let rows = io.y.len() / self.features;
        let (mean, rest) = io.kept.split_at_mut(rows);
        let (mean_low, inverse_std) = rest.split_at_mut(rows);
        let arguments = layer::Forward {
            shape: (rows, self.features),
            epsilon: self.epsilon,
            gamma: &pass.parameters[self.gamma()],
            beta: &pass.parameters[self.beta()],
            x: io.x,
            mean,
            mean_low,
            inverse_std,
            y: io.y,
        };
        layer::forward(pass.isa, arguments)
    }

    fn backward(
        &self,
        pass: &Pass<'_, E>,
        stored: Stored<'_, E>,
        delta: &mut [E],
        partial: &mut [E],
    ) -> Result<(), ShapeError> {
        let rows = delta.len() / self.features;
        let (mean, rest) = stored.kept.split_at(rows);
        let (mean_low, inverse_std) = rest.split_at(rows);
        partial.fill(E::ZERO);
        let (gamma_gradient, beta_gradient) = partial.split_at_mut(self.features);
        let arguments = layer::Backward {
            shape: (rows, self.features),
            moments: Moments { mean, mean_low, inverse_std },
            gamma: &pass.parameters[self.gamma()],
            x: stored.x,
            gamma_gradient,
            beta_gradient,
            delta,
        };
        layer::backward(pass.isa, arguments)
    }
}
