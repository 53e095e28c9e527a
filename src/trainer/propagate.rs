//! The first region of a step: blocks of rows forward, through the loss, and backward.
//!
//! A batch normalization needs all rows before any goes on, so there the sweep stops, once on the
//! way forward and once on the way back; without one it is one sweep.

use core::ops::Range;
use core::sync::atomic::{AtomicUsize, Ordering};
use deltarule_kernels::activation::Activation;
use deltarule_kernels::{Element, reduce};

use super::PartOfBatch;
use super::goal::{Goal, Objective};
use super::layout::{Shard, ShardLayout, ToBelow};
use super::parallel::{Divide, Scratch, divide};
use crate::error::{Error, Result};
use crate::layers::{Backward, Below, ColumnSums, Dense, Forward, Mode, Op, Pass, add};
use crate::metrics::largest;
use crate::network::Network;
use crate::targets::Targets;

/// What becomes of a batch.
#[derive(Clone, Copy)]
pub(crate) struct Batch<'a, E: Element> {
    pub(crate) x: &'a [E],
    pub(crate) goal: Goal<'a, E>,
    pub(crate) objective: &'a Objective<E>,
    /// In training δ is wanted of every layer, in evaluation just the loss.
    pub(crate) mode: Mode,
    /// Masks depend on it, and by what the losses are divided.
    pub(crate) of_batch: PartOfBatch,
}

/// Which way the rows of a batch go.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Phase {
    /// To the outputs.
    Forward,
    /// From the outputs back: they have been there, and the layers' values are left.
    Backward,
    /// There and back.
    Both,
}

/// Everything that propagates a batch.
pub(crate) struct Propagate<'a, E: Element> {
    network: &'a Network<E>,
    layout: &'a ShardLayout,
    batch: Batch<'a, E>,
    /// How many rows' largest output is at their class, in the run under way.
    correct: AtomicUsize,
}

/// A sweep from one barrier to the next: some layers forward, the loss, some layers backward.
#[derive(Clone)]
struct Sweep {
    begins: bool,
    forward: Range<usize>,
    has_loss: bool,
    /// From the last to the first.
    backward: Range<usize>,
    batch_rows: usize,
}

/// Rows of the batch to propagate, and what that works in.
pub(crate) struct Rows<'a, E> {
    /// Into how many parts they are divided.
    pub(crate) parts: usize,
    /// The first of them.
    pub(crate) first_row: usize,
    /// One for each of them.
    pub(crate) losses: &'a mut [E],
    pub(crate) arena: &'a mut [E],
    /// Those of the running statistics; in training, which begins at row 0, they become the
    /// batch's.
    pub(crate) moments: &'a mut [E],
    pub(crate) scratch: &'a mut Scratch<E>,
}

/// Neighbouring shards, and the losses of their rows.
struct Shards<'a, E> {
    layout: &'a ShardLayout,
    first_row: usize,
    arena: &'a mut [E],
    losses: &'a mut [E],
}

impl<E: Element> Divide for Shards<'_, E> {
    fn len(&self) -> usize {
        self.losses.len().div_ceil(self.layout.rows())
    }

    fn split_at(self, at: usize) -> (Self, Self) {
        let Self { layout, first_row, arena, losses } = self;
        // The last shard may have fewer rows.
        let rows = losses.len().min(at * layout.rows());
        let shards = arena.len().min(at * layout.shard_len(layout.rows()));
        let (arena, arena_after) = arena.split_at_mut(shards);
        let (losses, losses_after) = losses.split_at_mut(rows);
        let after =
            Self { layout, first_row: first_row + rows, arena: arena_after, losses: losses_after };
        (Self { layout, first_row, arena, losses }, after)
    }
}

/// Columns that a thread sums at least.
const COLUMNS: usize = 64;

impl<E: Element, const N: usize> Divide for ColumnSums<'_, E, N> {
    fn len(&self) -> usize {
        self.count().div_ceil(COLUMNS)
    }

    fn split_at(self, at: usize) -> (Self, Self) {
        self.split_at(at * COLUMNS)
    }
}

impl<'a, E: Element> Propagate<'a, E> {
    pub(crate) fn new(
        network: &'a Network<E>,
        layout: &'a ShardLayout,
        batch: Batch<'a, E>,
    ) -> Self {
        Self { network, layout, batch, correct: AtomicUsize::new(0) }
    }

    /// Propagates these rows, and returns how many of them are classified correctly.
    pub(crate) fn run(&self, mut room: Rows<'_, E>) -> Result<usize> {
        let (end, batch_rows) = (self.network.ops().len(), room.losses.len());
        let phase = self.batch.goal.phase();
        let (goes_up, comes_back) = (phase != Phase::Backward, phase != Phase::Forward);
        self.correct.store(0, Ordering::Relaxed);
        let (barriers, lowest) = match self.batch.mode {
            Mode::Evaluation => (&[][..], end),
            Mode::Training { .. } => (self.layout.barriers(), self.layout.lowest()),
        };
        let none =
            Sweep { begins: false, forward: 0..0, has_loss: false, backward: 0..0, batch_rows };
        let mut from = 0;
        for &barrier in barriers.iter().filter(|_| goes_up) {
            let forward = from..barrier;
            self.sweep(Sweep { begins: from == 0, forward, ..none.clone() }, &mut room)?;
            self.sum_moments(barrier, &mut room)?;
            from = barrier;
        }
        let begins = goes_up && barriers.is_empty();
        let forward = if goes_up { from..end } else { end..end };
        let mut barriers = barriers.iter().rev().take_while(|&&barrier| barrier >= lowest);
        let mut next = barriers.next();
        let backward = next.map_or(lowest, |barrier| barrier + 1)..end;
        let backward = if comes_back { backward } else { end..end };
        self.sweep(Sweep { begins, forward, has_loss: comes_back, backward, ..none }, &mut room)?;
        while let Some(&barrier) = next.filter(|_| comes_back) {
            self.sum_gradients(barrier, &mut room)?;
            next = barriers.next();
            if barrier > lowest {
                let backward = next.map_or(lowest, |barrier| barrier + 1)..barrier + 1;
                self.sweep(Sweep { backward, ..none.clone() }, &mut room)?;
            }
        }
        Ok(self.correct.load(Ordering::Relaxed))
    }

    fn sweep(&self, sweep: Sweep, room: &mut Rows<'_, E>) -> Result<()> {
        let Rows { parts, first_row, losses, arena, moments, scratch } = room;
        let shards = Shards { layout: self.layout, first_row: *first_row, arena, losses };
        scratch.divide(shards, *parts, &|shards, scratch| {
            self.run_shards(&sweep, moments, shards, scratch)
        })
    }

    /// At a barrier on the way forward: the moments of the batch.
    fn sum_moments(&self, barrier: usize, room: &mut Rows<'_, E>) -> Result<()> {
        let Op::BatchNorm(norm) = &self.network.ops()[barrier] else { return Ok(()) };
        let shards = self.layout.shards(self.batch.x, room.losses.len(), room.arena);
        divide(norm.moment_columns(room.moments), room.parts, &|columns| {
            let blocks = shards.clone().map(|shard| shard.x(barrier));
            Ok(norm.sum_moments(self.network.isa(), blocks, columns)?)
        })?;
        match norm.bad_variance(self.network.isa(), room.moments) {
            None => Ok(()),
            Some(variance) => {
                let (layer, variance) = (barrier, variance.to_f64());
                Err(Error::NonFiniteVariance { layer, variance })
            }
        }
    }

    /// At a barrier on the way back: the gradients, which δ below depends on.
    fn sum_gradients(&self, barrier: usize, room: &mut Rows<'_, E>) -> Result<()> {
        let Op::BatchNorm(norm) = &self.network.ops()[barrier] else { return Ok(()) };
        let shards = self.layout.shards(self.batch.x, room.losses.len(), room.arena);
        let (moments, columns) = norm.gradient_columns(room.moments);
        divide(columns, room.parts, &|columns| {
            let blocks = shards.clone().map(|shard| (shard.x(barrier), shard.delta(barrier)));
            Ok(norm.sum_gradients(self.network.isa(), moments, blocks, columns)?)
        })
    }

    fn run_shards(
        &self,
        sweep: &Sweep,
        moments: &[E],
        mut shards: Shards<'_, E>,
        scratch: &mut [E],
    ) -> Result<()> {
        while !shards.losses.is_empty() {
            let (Shards { first_row, arena: shard, losses, .. }, rest) = shards.split_at(1);
            shards = rest;
            let pass = Pass {
                isa: self.network.isa(),
                parameters: self.network.parameters(),
                weights: &[],
                moments,
                mode: self.batch.mode,
                batch_rows: sweep.batch_rows,
                first_row: self.batch.of_batch.first_row + first_row,
            };
            self.run_shard(sweep, &pass, first_row, shard, losses, scratch)?;
        }
        Ok(())
    }

    fn run_shard(
        &self,
        sweep: &Sweep,
        pass: &Pass<'_, E>,
        first_row: usize,
        shard: &mut [E],
        losses: &mut [E],
        scratch: &mut [E],
    ) -> Result<()> {
        let network = self.network;
        let rows = first_row..first_row + losses.len();
        let from = first_row * network.inputs();
        let x = &self.batch.x[from..rows.end * network.inputs()];
        if sweep.begins {
            if let Some(index) = reduce::first_non_finite(network.isa(), x) {
                let value = x[index].to_f64();
                return Err(Error::NonFinite { argument: "x", index: from + index, value });
            }
            network.check_categories("x", x, first_row)?;
        }
        let (values, errors) = self.layout.split(shard, rows.len());
        for op in sweep.forward.clone() {
            self.forward(pass, op, x, rows.len(), values, scratch)?;
        }
        let shard = Shard::new(self.layout, rows.len(), x, values);
        if sweep.has_loss {
            self.loss(rows, shard, losses, errors)?;
        }
        for op in sweep.backward.clone().rev() {
            self.backward(pass, op, shard, errors, scratch)?;
        }
        Ok(())
    }

    fn forward(
        &self,
        pass: &Pass<'_, E>,
        index: usize,
        x: &[E],
        rows: usize,
        values: &mut [E],
        scratch: &mut [E],
    ) -> Result<()> {
        let op = &self.network.ops()[index];
        let (y, kept) = (self.layout.y(index, rows), self.layout.kept(index, rows));
        let (before, from_here) = values.split_at_mut(y.start);
        let (here, after) = from_here.split_at_mut(kept.start - y.start);
        let output_of = |op: Option<usize>| op.map_or(x, |op| &before[self.layout.y(op, rows)]);
        let io = Forward {
            rows,
            x: output_of(index.checked_sub(1)),
            skip: op.shape().skips_from().map_or(&[], |first| output_of(first.checked_sub(1))),
            y: &mut here[..y.len()],
            kept: &mut after[..kept.len()],
            scratch,
        };
        Ok(op.operation().forward(pass, io)?)
    }

    fn loss(
        &self,
        rows: Range<usize>,
        shard: Shard<'_, E>,
        losses: &mut [E],
        errors: &mut [E],
    ) -> Result<()> {
        let outputs = self.network.outputs();
        let last = self.network.ops().len() - 1;
        let (y, delta) = (shard.y(last), &mut errors[self.layout.delta(last, rows.len())]);
        let Batch { goal, objective: Objective { loss, reduction, class_weights }, .. } =
            self.batch;
        let targets = match goal {
            Goal::Targets(targets) => targets.rows(rows.clone(), outputs),
            Goal::Outputs => return Ok(()),
            Goal::Delta { delta: known, .. } => {
                delta.copy_from_slice(&known[rows.start * outputs..rows.end * outputs]);
                return Ok(());
            }
        };
        let scale = loss.scale(*reduction, self.batch.of_batch.batch_rows, outputs);
        let (isa, factor) = (self.network.isa(), E::from_f64(scale));
        loss.run(isa, (y, outputs), (targets, class_weights), factor, losses, delta)?;
        if let Targets::Classes(labels) = targets.targets {
            let predicted = |row: usize| largest(&y[row * outputs..][..outputs]);
            let correct =
                labels.iter().enumerate().filter(|&(row, &label)| predicted(row) == label);
            self.correct.fetch_add(correct.count(), Ordering::Relaxed);
        }
        Ok(())
    }

    fn backward(
        &self,
        pass: &Pass<'_, E>,
        index: usize,
        shard: Shard<'_, E>,
        errors: &mut [E],
        scratch: &mut [E],
    ) -> Result<()> {
        let op = &self.network.ops()[index];
        let delta = self.layout.delta(index, shard.rows);
        if let Some((skip, is_first)) = self.layout.skip(index) {
            let skip = self.layout.delta(skip, shard.rows);
            let (above, below) = errors.split_at_mut(skip.start);
            let (delta, skip) = (&above[delta.clone()], &mut below[..skip.len()]);
            if is_first {
                skip.copy_from_slice(delta);
            } else {
                add(pass.isa, delta, skip)?;
            }
        }
        let to_below = self.layout.below(index);
        if let Op::Dense(dense) = op {
            if !self.layout.is_finished(index) && dense.activation != Activation::Identity {
                let stored = dense.derivative_from(shard.stored(index));
                dense.activation.backward(pass.isa, stored, &mut errors[delta])?;
            }
            return match to_below {
                ToBelow::Nothing => Ok(()),
                _ => self.dense_backward(pass, index, dense, shard, errors, scratch),
            };
        }
        let partial = self.layout.partial(index, shard.rows);
        let (deltas, rest) = errors.split_at_mut(partial.start);
        let (delta_here, partial) = (&mut deltas[delta.clone()], &mut rest[..partial.len()]);
        let io = Backward { stored: shard.stored(index), delta: delta_here, partial };
        op.operation().backward(pass, io)?;
        if to_below == ToBelow::Adds {
            let below = self.layout.delta(index - 1, shard.rows);
            let (above, below) = errors.split_at_mut(below.start);
            add(pass.isa, &above[delta.clone()], &mut below[..delta.len()])?;
        }
        Ok(())
    }

    /// δ of a dense layer's input; if another dense layer made that, it is made that layer's at
    /// once, by the derivative of its activation.
    fn dense_backward(
        &self,
        pass: &Pass<'_, E>,
        index: usize,
        dense: &Dense,
        shard: Shard<'_, E>,
        errors: &mut [E],
        scratch: &mut [E],
    ) -> Result<()> {
        let below = self.layout.delta(index - 1, shard.rows);
        let (above, rest) = errors.split_at_mut(below.start);
        let layer_below = &self.network.ops()[index - 1];
        let (activation, stored) = match layer_below {
            Op::Dense(dense) => (dense.activation, dense.derivative_from(shard.stored(index - 1))),
            _ => (Activation::Identity, &[][..]),
        };
        let below = Below {
            rows: shard.rows,
            delta: &mut rest[..below.len()],
            adds: self.layout.below(index) == ToBelow::Adds,
            activation,
            stored,
        };
        let delta = &above[self.layout.delta(index, shard.rows)];
        Ok(dense.backward(pass, delta, below, scratch)?)
    }
}
