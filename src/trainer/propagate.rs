//! The first region of a step: blocks of rows forward, through the loss, and backward.

use core::ops::Range;
use core::sync::atomic::{AtomicUsize, Ordering};
use deltarule_kernels::{Element, ShapeError, reduce};

use super::parallel::{Divide, Scratch, divide};
use crate::error::{Error, Result, checked_area};
use crate::layers::Block;
use crate::loss::{Loss, Targets};
use crate::metrics::largest_of_rows;
use crate::network::Network;

/// Rows of a shard. A multiple of [`reduce::PIECE_ROWS`], so that the column sums of shards are
/// those of the whole batch, and never a function of the number of threads.
pub(crate) const SHARD_ROWS: usize = 2 * reduce::PIECE_ROWS;

/// Where the buffers of a shard lie in its stretch of the arena.
#[derive(Clone, Debug)]
pub(crate) struct ShardLayout {
    rows: usize,
    layers: Vec<LayerBuffers>,
    len: usize,
}

/// A layer's buffers, each (rows, outputs), in this order: z where the backward pass asks for it,
/// a, and δ.
#[derive(Clone, Copy, Debug)]
struct LayerBuffers {
    start: usize,
    outputs: usize,
    keeps_pre_activation: bool,
    /// Elements reserved for each buffer.
    reserved: usize,
}

impl LayerBuffers {
    fn count(&self) -> usize {
        if self.keeps_pre_activation { 3 } else { 2 }
    }

    fn end(&self) -> usize {
        self.start + self.count() * self.reserved
    }

    /// z or nothing, a, and δ of the first `rows` rows, from the layer's part of a shard.
    fn split<'a, E>(
        &self,
        part: &'a mut [E],
        rows: usize,
    ) -> (Option<&'a mut [E]>, &'a mut [E], &'a mut [E]) {
        let used = rows * self.outputs;
        let (z, rest) = part.split_at_mut((self.count() - 2) * self.reserved);
        let (a, delta) = rest.split_at_mut(self.reserved);
        let z = self.keeps_pre_activation.then_some(z).map(|z| &mut z[..used]);
        (z, &mut a[..used], &mut delta[..used])
    }

    /// What a's derivative is computed from, and δ to write, from the layer's part of a shard.
    fn stored_and_delta<'a, E>(&self, part: &'a mut [E], rows: usize) -> (&'a [E], &'a mut [E]) {
        let (z, a, delta) = self.split(part, rows);
        (z.unwrap_or(a), delta)
    }

    fn a(&self, rows: usize) -> Range<usize> {
        let start = self.end() - 2 * self.reserved;
        start..start + rows * self.outputs
    }

    fn delta(&self, rows: usize) -> Range<usize> {
        let start = self.end() - self.reserved;
        start..start + rows * self.outputs
    }
}

impl ShardLayout {
    /// Shards for batches of up to `max_batch` rows.
    pub(crate) fn new<E: Element>(network: &Network<E>, max_batch: usize) -> Result<Self> {
        let rows = SHARD_ROWS.min(max_batch);
        let mut layers: Vec<LayerBuffers> = Vec::with_capacity(network.dense_layers().len());
        let mut start = 0;
        for layer in network.dense_layers() {
            let buffers = LayerBuffers {
                start,
                outputs: layer.outputs,
                keeps_pre_activation: layer.keeps_pre_activation(),
                reserved: checked_area("activations", rows, layer.outputs)?,
            };
            start = checked_area("activations", buffers.reserved, buffers.count())?
                .checked_add(start)
                .ok_or(Error::Overflow { argument: "activations", rows, columns: start })?;
            layers.push(buffers);
        }
        Ok(Self { rows, layers, len: start })
    }

    /// The most rows of a shard.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// The elements of all shards for so many rows.
    pub(crate) fn arena_len(&self, max_batch: usize) -> Result<usize> {
        checked_area("activations", max_batch.div_ceil(self.rows), self.len)
    }

    /// What the shards of a batch contribute to layer `layer`'s gradient, in the batch's order.
    pub(crate) fn blocks<'a, E>(
        &'a self,
        layer: usize,
        inputs: usize,
        x: &'a [E],
        arena: &'a [E],
    ) -> impl Iterator<Item = Block<'a, E>> {
        let blocks = x.chunks(self.rows * inputs).zip(arena.chunks_exact(self.len));
        blocks.map(move |(x, shard)| {
            let rows = x.len() / inputs;
            let x = match layer.checked_sub(1) {
                None => x,
                Some(below) => &shard[self.layers[below].a(rows)],
            };
            Block { delta: &shard[self.layers[layer].delta(rows)], x }
        })
    }
}

/// What becomes of a batch.
#[derive(Clone, Copy)]
pub(crate) struct Batch<'a, E: Element> {
    pub(crate) x: &'a [E],
    pub(crate) targets: Targets<'a, E>,
    pub(crate) loss: Loss,
    pub(crate) scale: E,
    /// Whether δ is wanted of every layer, or just the loss.
    pub(crate) backward: bool,
}

/// Everything that propagates a batch.
pub(crate) struct Propagate<'a, E: Element> {
    pub(crate) network: &'a Network<E>,
    pub(crate) layout: &'a ShardLayout,
    pub(crate) scratch: &'a Scratch<E>,
    pub(crate) batch: Batch<'a, E>,
    /// How many rows' largest output is at their class, in the run under way.
    correct: AtomicUsize,
}

/// Neighbouring shards, and the losses of their rows.
struct Shards<'a, E> {
    first_row: usize,
    arena: &'a mut [E],
    losses: &'a mut [E],
    rows: usize,
    len: usize,
}

impl<E: Element> Divide for Shards<'_, E> {
    fn len(&self) -> usize {
        self.losses.len().div_ceil(self.rows)
    }

    fn split_at(self, at: usize) -> (Self, Self) {
        let Self { first_row, arena, losses, rows, len } = self;
        let (arena, arena_after) = arena.split_at_mut(at * len);
        let (losses, losses_after) = losses.split_at_mut(at * rows);
        let after = Self {
            first_row: first_row + at * rows,
            arena: arena_after,
            losses: losses_after,
            rows,
            len,
        };
        (Self { first_row, arena, losses, rows, len }, after)
    }
}

impl<'a, E: Element> Propagate<'a, E> {
    pub(crate) fn new(
        network: &'a Network<E>,
        layout: &'a ShardLayout,
        scratch: &'a Scratch<E>,
        batch: Batch<'a, E>,
    ) -> Self {
        Self { network, layout, scratch, batch, correct: AtomicUsize::new(0) }
    }

    /// Propagates the batch's rows from `first_row` on, one for each of `losses`, and returns how
    /// many of them are classified correctly.
    pub(crate) fn run(
        &self,
        parts: usize,
        first_row: usize,
        arena: &mut [E],
        losses: &mut [E],
    ) -> Result<usize> {
        let ShardLayout { rows, len, .. } = *self.layout;
        let shards = Shards { first_row, arena, losses, rows, len };
        divide(shards, parts, &|shards| self.run_shards(shards))?;
        Ok(self.correct.swap(0, Ordering::Relaxed))
    }

    fn run_shards(&self, shards: Shards<'_, E>) -> Result<()> {
        let Shards { first_row, arena, losses, rows, len } = shards;
        let mut scratch = self.scratch.lock();
        let each = arena.chunks_exact_mut(len).zip(losses.chunks_mut(rows));
        for (index, (shard, losses)) in each.enumerate() {
            self.run_shard(first_row + index * rows, shard, losses, &mut scratch)?;
        }
        Ok(())
    }

    fn run_shard(
        &self,
        first_row: usize,
        shard: &mut [E],
        losses: &mut [E],
        scratch: &mut [E],
    ) -> Result<()> {
        let network = self.network;
        let rows = first_row..first_row + losses.len();
        let from = first_row * network.inputs();
        let x = &self.batch.x[from..rows.end * network.inputs()];
        if let Some(index) = reduce::first_non_finite(network.isa(), x) {
            let value = x[index].to_f64();
            return Err(Error::NonFinite { argument: "x", index: from + index, value });
        }
        self.forward(x, shard, scratch)?;
        self.loss(rows, shard, losses)?;
        if self.batch.backward {
            self.backward(losses.len(), shard, scratch)?;
        }
        Ok(())
    }

    fn forward(&self, x: &[E], shard: &mut [E], scratch: &mut [E]) -> Result<(), ShapeError> {
        let rows = x.len() / self.network.inputs();
        let mut below: Option<&LayerBuffers> = None;
        for (layer, buffers) in self.network.layers().zip(&self.layout.layers) {
            let (before, from_here) = shard.split_at_mut(buffers.start);
            let x = below.map_or(x, |below| &before[below.a(rows)]);
            let (z, a, _) = buffers.split(&mut from_here[..buffers.end() - buffers.start], rows);
            layer.forward(self.network.isa(), x, z, a, scratch)?;
            below = Some(buffers);
        }
        Ok(())
    }

    fn loss(&self, rows: Range<usize>, shard: &mut [E], losses: &mut [E]) -> Result<()> {
        let outputs = self.network.outputs();
        let targets = self.batch.targets.rows(rows.clone(), outputs);
        let buffers = &self.layout.layers[self.layout.layers.len() - 1];
        let (z, a, delta) = buffers.split(&mut shard[buffers.start..buffers.end()], rows.len());
        let isa = self.network.isa();
        self.batch.loss.run(isa, a, targets, self.batch.scale, losses, delta)?;
        if let Targets::Classes(labels) = targets {
            let predicted = largest_of_rows(a, outputs);
            let correct = predicted.zip(labels).filter(|(p, l)| p == *l).count();
            self.correct.fetch_add(correct, Ordering::Relaxed);
        }
        let activation = self.network.dense_layers()[self.layout.layers.len() - 1].activation;
        Ok(activation.backward(isa, z.unwrap_or(a), delta)?)
    }

    fn backward(&self, rows: usize, shard: &mut [E], scratch: &mut [E]) -> Result<(), ShapeError> {
        let layers = self.network.dense_layers();
        for index in (1..layers.len()).rev() {
            let layer = layers[index].view(self.network.parameters());
            let (buffers, below) = (&self.layout.layers[index], &self.layout.layers[index - 1]);
            let (before, from_here) = shard.split_at_mut(buffers.start);
            let delta = buffers.delta(rows);
            let delta = &from_here[delta.start - buffers.start..delta.end - buffers.start];
            let (stored, delta_below) = below.stored_and_delta(&mut before[below.start..], rows);
            let activation = layers[index - 1].activation;
            let isa = self.network.isa();
            layer.backward(isa, delta, activation, stored, delta_below, scratch)?;
        }
        Ok(())
    }
}
