//! A large batch in spans of rows: each goes forward and back, and its part of the gradient is
//! added up, before the next one's values take the place of its own in the cache.
//!
//! An element of the gradient is one chain over the rows in their order however they are cut, so
//! its bits stay the same.

use core::mem;
use core::ops::Range;
use deltarule_kernels::Element;

use super::goal::Goal;
use super::layout::ShardLayout;
use super::propagate::{Batch, Phase, Propagate, Rows};
use super::update::Keep;
use super::{Buffers, PartOfBatch, Score, Trainer};
use crate::diagnostics::Diagnostics;
use crate::error::Result;
use crate::layers::{Mode, Op, Span};
use crate::network::Network;

/// Bytes of inputs, values and errors of a span, for each thread: they stay in a core's share of
/// the last cache. With twice as many, a step of 64-64-64-10 on 4,096 rows takes 1.2 times as long,
/// and one of 784-512-512-10 as long as with these.
const SPAN_BYTES: usize = 3 << 20;

/// The rows of a span, a multiple of the shards' that can be worked on at once, or all.
///
/// Between two spans the gradient goes to memory and comes back, so where it is larger than the
/// span, spans are as large as it is.
pub(super) fn span_rows<E: Element>(
    network: &Network<E>,
    layout: &ShardLayout,
    max_batch: usize,
    threads: usize,
) -> usize {
    // A batch normalization wants all rows at once, and a gradient of many categories, most of
    // which do not occur, is not to be written at all.
    if !layout.barriers().is_empty() || matches!(network.ops().first(), Some(Op::Embedding(_))) {
        return max_batch;
    }
    let of_row = layout.row_len().saturating_add(network.inputs());
    let cached = (SPAN_BYTES / size_of::<E>()).saturating_mul(threads);
    let unit = layout.unit().saturating_mul(threads);
    let most = cached.max(network.parameters().len()) / of_row / unit * unit;
    even_span(max_batch, most.max(unit), unit)
}

/// The rows of a span if so many are cut in as few spans of at most `most` rows as can be, all
/// nearly equal and multiples of `unit`, but for the last.
fn even_span(rows: usize, most: usize, unit: usize) -> usize {
    if rows <= most {
        return rows;
    }
    let span = rows.div_ceil(rows.div_ceil(most)).checked_next_multiple_of(unit);
    span.map_or(most, |span| span.min(most))
}

/// Rows to go forward and back.
#[derive(Clone, Copy)]
pub(super) struct Work<'a, E: Element> {
    pub(super) x: &'a [E],
    pub(super) goal: Goal<'a, E>,
    pub(super) of_batch: PartOfBatch,
    /// Into how many parts they are divided.
    pub(super) parts: usize,
}

impl<E: Element> Trainer<E> {
    /// Forward, loss and backward of a batch that is one span, with all that the gradient is
    /// computed from.
    pub(super) fn propagate(&mut self, work: Work<'_, E>) -> Result<Score> {
        let rows = work.x.len() / self.network.inputs();
        self.begin_work(rows, work)?;
        let correct = self.propagate_span(work, 0..rows)?;
        work.goal.score(self.network.isa(), &self.losses[..rows], correct)
    }

    /// Writes the gradient of some rows of a batch, or adds it to what is there. Nothing of that
    /// was changed if there is an error.
    pub(super) fn sum_gradient(
        &mut self,
        work: Work<'_, E>,
        to: Keep<'_, E>,
        diagnostics: Option<&mut Diagnostics<E>>,
    ) -> Result<Score> {
        if work.x.len() / self.network.inputs() <= self.buffers.span_rows {
            return self.sum_spans(work, to, diagnostics);
        }
        // An error may come after a span.
        self.make_room_to_keep()?;
        let mut sum = mem::take(&mut self.kept);
        if to.adds {
            sum.copy_from_slice(to.gradient);
        }
        let keep = Keep { gradient: &mut sum, adds: to.adds };
        let done = self.sum_spans(work, keep, diagnostics);
        if done.is_ok() {
            to.gradient.copy_from_slice(&sum);
        }
        self.kept = sum;
        done
    }

    /// [`Trainer::sum_gradient`], which may have been written in part if there is an error.
    pub(super) fn sum_spans(
        &mut self,
        work: Work<'_, E>,
        to: Keep<'_, E>,
        mut diagnostics: Option<&mut Diagnostics<E>>,
    ) -> Result<Score> {
        let Work { x, goal, parts, .. } = work;
        let (isa, inputs) = (self.network.isa(), self.network.inputs());
        let rows = x.len() / inputs;
        let span_rows = self.begin_work(rows, work)?;
        let (mut adds, mut correct, mut first) = (to.adds, 0, 0);
        loop {
            let span = first..rows.min(first + span_rows);
            correct += self.propagate_span(work, span.clone())?;
            // Before anything is written, if this span is all.
            let is_last = span.end == rows;
            let score = is_last.then(|| goal.score(isa, &self.losses[..rows], correct));
            let score = score.transpose()?;
            let x = &x[span.start * inputs..span.end * inputs];
            if let Some(diagnostics) = diagnostics.as_deref_mut() {
                let Buffers { layout, arena, .. } = &self.buffers;
                let shards = layout.shards(x, span.len(), arena);
                diagnostics.look_at_outputs(&self.network, first == 0, |op| {
                    shards.clone().map(move |shard| shard.y(op))
                });
            }
            let gradient = Keep { gradient: &mut *to.gradient, adds };
            let ops = self.network.ops();
            let (of_span, scratch) = self.buffers.gradient(isa, ops, (x, span.len()), Span::Batch);
            of_span.run(parts, scratch, gradient)?;
            if let Some(score) = score {
                return Ok(score);
            }
            (adds, first) = (true, span.end);
        }
    }

    /// What comes before the first span of work on so many rows; returns how many of them are one.
    fn begin_work(&mut self, rows: usize, work: Work<'_, E>) -> Result<usize> {
        match work.goal.phase() {
            Phase::Backward => Ok(rows),
            _ => self.begin_batch(rows, work.parts),
        }
    }

    /// What comes before the first span of so many rows; returns how many of them are a span.
    pub(super) fn begin_batch(&mut self, rows: usize, parts: usize) -> Result<usize> {
        let span = self.cut(rows, parts);
        self.network.use_running_statistics(&mut self.buffers.moments)?;
        Ok(span)
    }

    /// Cuts so many rows in spans and those in shards; returns how many of them are a span.
    pub(super) fn cut(&mut self, rows: usize, parts: usize) -> usize {
        let Buffers { layout, span_rows, .. } = &mut self.buffers;
        let threads = if parts == 1 { 1 } else { self.threads.at_once() };
        let span = even_span(rows, *span_rows, layout.unit().saturating_mul(threads));
        layout.cut(span, threads);
        span
    }

    /// Forward, loss and backward of a span; returns how many of its rows are classified correctly.
    pub(super) fn propagate_span(
        &mut self,
        work: Work<'_, E>,
        span: Range<usize>,
    ) -> Result<usize> {
        let Work { x, goal, of_batch, parts } = work;
        let mode = Mode::Training { seed: self.seed, step: self.number() };
        let Buffers { layout, arena, moments, scratch, occurrences, .. } = &mut self.buffers;
        let batch = Batch { x, goal, objective: &self.objective, mode, of_batch };
        let propagate = Propagate::new(&self.network, layout, batch);
        let losses = &mut self.losses[span.clone()];
        let first_row = span.start;
        let rows = Rows { parts, first_row, losses, arena, moments, scratch };
        let correct = propagate.run(rows)?;
        if let Some(Op::Embedding(embedding)) = self.network.ops().first() {
            embedding.find_occurrences(x, occurrences);
        }
        Ok(correct)
    }
}
