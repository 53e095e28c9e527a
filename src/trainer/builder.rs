//! How a network is to be trained.

use deltarule_kernels::Element;
use deltarule_kernels::optimizer::MAX_STATES;

use super::parallel::{Scratch, Threads};
use super::propagate::ShardLayout;
use super::update::TilePlan;
use super::{Buffers, Trainer};
use crate::error::{Error, Result, try_vec};
use crate::loss::{Loss, Reduction};
use crate::network::Network;
use crate::optimizer::Optimizer;

/// What a [`Trainer`] is to be; [`Trainer::builder`] makes one.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until `build` is called"]
pub struct TrainerBuilder<E: Element = f32> {
    network: Network<E>,
    loss: Loss,
    reduction: Reduction,
    optimizer: Optimizer,
    max_batch: usize,
    threads: usize,
}

impl<E: Element> TrainerBuilder<E> {
    pub(super) fn new(network: Network<E>, loss: Loss, optimizer: Optimizer) -> Self {
        let reduction = Reduction::default();
        Self { network, loss, reduction, optimizer, max_batch: 256, threads: usize::MAX }
    }

    /// Sets the most rows of a step, 256 otherwise: the buffers are made for so many.
    pub fn max_batch(mut self, rows: usize) -> Self {
        self.max_batch = rows;
        self
    }

    /// Sets the most threads that work on a step, otherwise all of rayon's current pool.
    ///
    /// The pool is that in which [`Trainer::step`] is called, or else rayon's global one; the
    /// trainer makes none. With 1, rayon is never touched. A step with little work stays on the
    /// calling thread anyway. The results are the same bits for any number.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Sets what a loss on values is divided by, the rows otherwise.
    pub fn reduction(mut self, reduction: Reduction) -> Self {
        self.reduction = reduction;
        self
    }

    /// Makes the trainer, with every buffer that a step needs.
    ///
    /// # Errors
    /// [`Error::Zero`] for a `max_batch` or `threads` of 0, [`Error::OutOfRange`] for a number of
    /// the optimizer's or the loss's that has no meaning, [`Error::Overflow`] or [`Error::OutOfMemory`] if the
    /// buffers are too large.
    pub fn build(self) -> Result<Trainer<E>> {
        let Self { network, loss, reduction, optimizer, max_batch, threads } = self;
        for (argument, value) in [("max_batch", max_batch), ("threads", threads)] {
            if value == 0 {
                return Err(Error::Zero { argument });
            }
        }
        optimizer.check()?;
        loss.check_numbers()?;
        let threads = Threads(threads);
        let layout = ShardLayout::new(&network, max_batch)?;
        let tiles = TilePlan::new(network.dense_layers());
        let arena = try_vec("activations", layout.arena_len(max_batch)?)?;
        let losses = try_vec("losses", max_batch)?;
        let mut products = 0;
        for layer in network.dense_layers() {
            let tile_rows = TilePlan::tile_rows(layer);
            let needed = layer.scratch_len::<E>(network.isa(), layout.rows(), tile_rows)?;
            products = products.max(needed);
        }
        let scratch_len = tiles.largest().checked_add(products).ok_or(Error::Overflow {
            argument: "scratch",
            rows: tiles.largest(),
            columns: products,
        })?;
        let scratch = Scratch::new(threads, scratch_len)?;
        let count = network.parameters().len();
        let mut states = [const { Vec::new() }; MAX_STATES];
        for state in &mut states[..optimizer.rule().states()] {
            *state = try_vec("optimizer state", count)?;
        }
        let kept = match optimizer.norm_limit() {
            Some(_) => try_vec("gradient", count)?,
            None => Vec::new(),
        };
        let buffers = Buffers { layout, tiles, arena, scratch };
        Ok(Trainer {
            network,
            loss,
            reduction,
            optimizer,
            max_batch,
            threads,
            steps: 0,
            states,
            kept,
            losses,
            buffers,
        })
    }
}
