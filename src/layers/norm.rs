//! γ and β of a normalization.

use deltarule_kernels::Element;

use super::{Compiler, Part};
use crate::error::Result;
use crate::optimizer::positive;

/// Where γ, and β after it, lie in the network's arena, and ε.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Affine {
    pub(super) features: usize,
    pub(super) epsilon: f64,
    /// Whether they are learned.
    pub(super) is_learned: bool,
    start: usize,
}

impl Affine {
    pub(super) fn new(to: &mut Compiler, epsilon: f64, is_learned: bool) -> Result<Self> {
        positive("epsilon", Some(epsilon))?;
        let features = to.width;
        Ok(Self { features, epsilon, is_learned, start: to.parameters(2, features)? })
    }

    pub(super) fn gamma<'a, E>(&self, parameters: &'a [E]) -> &'a [E] {
        &parameters[self.start..self.start + self.features]
    }

    pub(super) fn beta<'a, E>(&self, parameters: &'a [E]) -> &'a [E] {
        &parameters[self.start + self.features..self.start + 2 * self.features]
    }

    /// γ begins at 1.
    pub(super) fn begin<E: Element>(&self, parameters: &mut [E]) {
        parameters[self.start..self.start + self.features].fill(E::ONE);
    }

    pub(super) fn parts(&self) -> Vec<(Part, usize)> {
        vec![(Part::Norm, 2 * self.features)]
    }
}
