//! The dense layers' weights in the order in which the forward products read them.

use deltarule_kernels::gemm::PackedMatrix;
use deltarule_kernels::{Element, MatRef, ShapeError};

use super::parallel::{Divide, divide};
use crate::error::Result;
use crate::layers::Op;
use crate::network::Network;

/// How many times the elements of x and y that each shard would transpose, in place of W, have to be
/// W's before one thread packs W: it reads W from memory, and them from cache.
const PACKS_ABOVE: usize = 4;

/// A copy of each dense layer's Wᵀ, packed once for all shards of a batch; there is none if a batch
/// is one shard, which transposes what it needs as it goes along.
#[derive(Debug)]
pub(crate) struct PackedWeights<E> {
    layers: Vec<PackedMatrix<E>>,
    /// Whether they are the weights as they are now.
    current: bool,
}

impl<E: Element> PackedWeights<E> {
    /// Room for the weights of a network whose batches are cut in shards, or for none.
    pub(crate) fn new(network: &Network<E>, has_shards: bool) -> Result<Self> {
        let mut layers = Vec::new();
        if has_shards {
            let packed = weights(network).map(|weights| PackedMatrix::new(network.isa(), weights?));
            layers = packed.collect::<Result<_, _>>()?;
        }
        Ok(Self { layers, current: false })
    }

    /// Packs the weights as they are now, if that pays for so many rows in shards of `shard_rows`.
    ///
    /// Threads that read weights which another core has just changed had better read them once, and
    /// one after the other.
    pub(crate) fn pack(
        &mut self,
        network: &Network<E>,
        (rows, shard_rows): (usize, usize),
        parts: usize,
    ) -> Result<()> {
        self.current = false;
        if rows <= shard_rows || !(parts > 1 || self.pays(rows)) {
            return Ok(());
        }
        divide(Layers { first: 0, packed: &mut self.layers }, parts, &|layers| {
            let weights = weights(network).skip(layers.first);
            for (packed, weights) in layers.packed.iter_mut().zip(weights) {
                packed.pack(weights?)?;
            }
            Ok(())
        })?;
        self.current = true;
        Ok(())
    }

    /// What was packed, if anything.
    pub(crate) fn get(&self) -> &[PackedMatrix<E>] {
        if self.current { &self.layers } else { &[] }
    }

    fn pays(&self, rows: usize) -> bool {
        let (mut moved, mut weights) = (0usize, 0usize);
        for packed in &self.layers {
            let (inputs, outputs) = (packed.rows(), packed.columns());
            moved = moved.saturating_add(inputs).saturating_add(2 * outputs);
            weights = weights.saturating_add(inputs * outputs);
        }
        moved.saturating_mul(rows) > weights.saturating_mul(PACKS_ABOVE)
    }
}

/// Wᵀ of each dense layer.
fn weights<E: Element>(
    network: &Network<E>,
) -> impl Iterator<Item = Result<MatRef<'_, E>, ShapeError>> {
    network.ops().iter().filter_map(|op| match op {
        Op::Dense(dense) => Some(dense.transposed_weights(network.parameters())),
        _ => None,
    })
}

/// Neighbouring dense layers.
struct Layers<'a, E> {
    first: usize,
    packed: &'a mut [PackedMatrix<E>],
}

impl<E: Element> Divide for Layers<'_, E> {
    fn len(&self) -> usize {
        self.packed.len()
    }

    fn split_at(self, at: usize) -> (Self, Self) {
        let (packed, after) = self.packed.split_at_mut(at);
        (Self { first: self.first, packed }, Self { first: self.first + at, packed: after })
    }
}
