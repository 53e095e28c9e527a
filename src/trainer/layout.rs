//! Where a shard's values and errors lie, and how errors go from layer to layer.

use core::ops::Range;
use deltarule_kernels::{Element, reduce};

use crate::error::{Error, Result, checked_area};
use crate::layers::{Op, Stored};

/// Rows of a shard, as a rule: a multiple of [`reduce::PIECE_ROWS`], so that the column sums of
/// shards are those of the whole batch.
pub(crate) const SHARD_ROWS: usize = 2 * reduce::PIECE_ROWS;

/// How a shard's stretch of the arena is laid out: the layers' values, then their errors.
#[derive(Clone, Debug)]
pub(crate) struct ShardLayout {
    rows: usize,
    ops: Vec<OpLayout>,
    /// The elements of all values.
    values: usize,
    /// The elements of a shard.
    len: usize,
    /// The first layer that the backward pass comes to.
    lowest: usize,
    /// The batch normalizations over this batch, for each of which all rows have to arrive.
    barriers: Vec<usize>,
}

/// A layer's places in a shard.
#[derive(Clone, Debug)]
struct OpLayout {
    inputs: usize,
    outputs: usize,
    /// Where y begins among the values, and what is kept besides.
    y: usize,
    kept: usize,
    kept_columns: usize,
    /// Where δ begins among the errors, and what the shard contributes to the gradient.
    delta: usize,
    partial: Range<usize>,
    /// What becomes of δ of the input.
    below: ToBelow,
    /// The layer before the block that ends here, if it is to have δ, and whether it is the first
    /// to give it some: it is set then, and added to otherwise.
    skip: Option<(usize, bool)>,
    /// Whether δ has been multiplied by the derivative of a dense layer's activation by the layer
    /// above.
    is_finished: bool,
}

/// How δ of a layer's input comes about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum ToBelow {
    /// Nobody asks for it.
    Nothing,
    /// It takes the place of the layer's own.
    Becomes,
    /// It is written to a place of its own.
    Sets,
    /// It is added to what blocks that skip the layer have left.
    Adds,
}

impl ShardLayout {
    /// Shards for batches of up to `max_batch` rows, in the training of these layers of which some
    /// are frozen.
    pub(crate) fn new(
        ops: &[Op],
        is_frozen: &[bool],
        max_batch: usize,
        threads: usize,
    ) -> Result<Self> {
        // Shards of half as many rows give the same bits, unless a layer sums over a shard what the
        // shards then add up.
        let enough = max_batch.div_ceil(SHARD_ROWS) >= threads;
        let sums_by_shard = ops.iter().any(|op| op.shape().partial_len() > 0);
        let rows = if enough || sums_by_shard { SHARD_ROWS } else { reduce::PIECE_ROWS };
        let rows = rows.min(max_batch);
        let mut values = Places { argument: "activations", rows, end: 0 };
        let mut layouts: Vec<OpLayout> = Vec::with_capacity(ops.len());
        let mut lowest = None;
        for (index, (op, &is_frozen)) in ops.iter().zip(is_frozen).enumerate() {
            let shape = op.shape();
            let y = values.columns(shape.outputs())?.start;
            let kept_columns = shape.kept_columns(false);
            let kept = values.columns(kept_columns)?.start;
            if lowest.is_none() && shape.learns() && !is_frozen {
                lowest = Some(index);
            }
            layouts.push(OpLayout {
                inputs: shape.inputs(),
                outputs: shape.outputs(),
                y,
                kept,
                kept_columns,
                delta: 0,
                partial: 0..0,
                below: ToBelow::Nothing,
                skip: None,
                is_finished: false,
            });
        }
        let lowest = lowest.unwrap_or(ops.len());
        // The layers before it have no δ.
        let mut errors = Places { argument: "activations", rows, end: 0 };
        let mut has_delta_from_above = vec![false; ops.len()];
        for (index, op) in ops.iter().enumerate().rev() {
            if has_place_of_its_own(ops, lowest, index, &has_delta_from_above) {
                layouts[index].delta = errors.columns(op.shape().outputs())?.start;
            } else if let Some(above) = layouts.get(index + 1) {
                layouts[index].delta = above.delta;
            }
            layouts[index].partial = errors.elements(op.shape().partial_len())?;
            let skipped = op.shape().skips_from().and_then(|first| first.checked_sub(1));
            if let Some(skipped) = skipped.filter(|&skipped| skipped >= lowest) {
                let is_first = !core::mem::replace(&mut has_delta_from_above[skipped], true);
                layouts[index].skip = Some((skipped, is_first));
            }
            let Some(below) = index.checked_sub(1).filter(|&below| below >= lowest) else {
                continue;
            };
            layouts[index].below = match (op.shape().works_in_place(), has_delta_from_above[below])
            {
                (_, true) => ToBelow::Adds,
                (true, false) => ToBelow::Becomes,
                (false, false) => ToBelow::Sets,
            };
            layouts[below].is_finished = matches!(op, Op::Dense(_));
        }
        let overflow = Error::Overflow { argument: "activations", rows, columns: values.end };
        let len = values.end.checked_add(errors.end).ok_or(overflow)?;
        let over_batch =
            |(op, &is_frozen): (&Op, &bool)| matches!(op, Op::BatchNorm(_)) && !is_frozen;
        let barriers = ops.iter().zip(is_frozen).map(over_batch);
        let barriers = barriers.enumerate().filter_map(|(index, is_one)| is_one.then_some(index));
        let barriers = barriers.collect();
        Ok(Self { rows, ops: layouts, values: values.end, len, lowest, barriers })
    }

    /// The most rows of a shard.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// The elements of a shard.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The elements of all shards for so many rows.
    pub(crate) fn arena_len(&self, max_batch: usize) -> Result<usize> {
        checked_area("activations", max_batch.div_ceil(self.rows), self.len)
    }

    /// The first layer that the backward pass comes to.
    pub(crate) fn lowest(&self) -> usize {
        self.lowest
    }

    /// The batch normalizations over this batch.
    pub(crate) fn barriers(&self) -> &[usize] {
        &self.barriers
    }

    /// What becomes of δ of a layer's input.
    pub(crate) fn below(&self, op: usize) -> ToBelow {
        self.ops[op].below
    }

    /// Where δ of what skips the block that ends here goes, and whether it is the first there.
    pub(crate) fn skip(&self, op: usize) -> Option<(usize, bool)> {
        self.ops[op].skip
    }

    /// Whether δ of a dense layer is that of z already.
    pub(crate) fn is_finished(&self, op: usize) -> bool {
        self.ops[op].is_finished
    }

    /// A shard's values and its errors.
    pub(crate) fn split<'a, E>(&self, shard: &'a mut [E]) -> (&'a mut [E], &'a mut [E]) {
        shard.split_at_mut(self.values)
    }

    /// Where y lies among the values of so many rows.
    pub(crate) fn y(&self, op: usize, rows: usize) -> Range<usize> {
        let OpLayout { y, outputs, .. } = self.ops[op];
        y..y + rows * outputs
    }

    /// Where what is kept lies among the values of so many rows.
    pub(crate) fn kept(&self, op: usize, rows: usize) -> Range<usize> {
        let OpLayout { kept, kept_columns, .. } = self.ops[op];
        kept..kept + rows * kept_columns
    }

    /// Where δ lies among the errors of so many rows.
    pub(crate) fn delta(&self, op: usize, rows: usize) -> Range<usize> {
        let OpLayout { delta, outputs, .. } = self.ops[op];
        delta..delta + rows * outputs
    }

    /// Where the contribution to the gradient lies among the errors.
    pub(crate) fn partial(&self, op: usize) -> Range<usize> {
        self.ops[op].partial.clone()
    }

    /// The shards of a batch of so many rows that has been through.
    pub(crate) fn shards<'a, E>(
        &'a self,
        x: &'a [E],
        rows: usize,
        arena: &'a [E],
    ) -> impl Iterator<Item = Shard<'a, E>> + Clone {
        let inputs = self.ops[0].inputs;
        let (mut left, mut x, mut arena) = (rows, x, arena);
        core::iter::from_fn(move || {
            let rows = left.min(self.rows);
            if rows == 0 {
                return None;
            }
            left -= rows;
            let (shard, arena_after) = arena.split_at(self.len);
            let (x_here, x_after) = x.split_at(rows * inputs);
            (x, arena) = (x_after, arena_after);
            let (values, errors) = shard.split_at(self.values);
            Some(Shard { layout: self, rows, x: x_here, values, errors })
        })
    }

    /// δ of one row of a batch that has been through.
    pub(crate) fn delta_row<'a, E>(&self, op: usize, row: usize, arena: &'a [E]) -> &'a [E] {
        let OpLayout { delta, outputs, .. } = self.ops[op];
        let shard = row / self.rows * self.len + self.values;
        let start = shard + delta + row % self.rows * outputs;
        &arena[start..start + outputs]
    }
}

/// Whether δ of a layer can't share the place of the layer's above.
fn has_place_of_its_own(ops: &[Op], lowest: usize, index: usize, skipped: &[bool]) -> bool {
    let shares =
        ops.get(index + 1).is_some_and(|above| above.shape().works_in_place() && !skipped[index]);
    index + 1 == ops.len() || (index >= lowest && !shares)
}

/// Places that are given out one after the other.
struct Places {
    argument: &'static str,
    rows: usize,
    end: usize,
}

impl Places {
    /// For a matrix of so many columns.
    fn columns(&mut self, columns: usize) -> Result<Range<usize>> {
        self.elements(checked_area(self.argument, self.rows, columns)?)
    }

    fn elements(&mut self, count: usize) -> Result<Range<usize>> {
        let (argument, rows, start) = (self.argument, self.rows, self.end);
        let error = Error::Overflow { argument, rows, columns: count };
        self.end = start.checked_add(count).ok_or(error)?;
        Ok(start..self.end)
    }
}

/// A shard that has been through, to read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shard<'a, E> {
    layout: &'a ShardLayout,
    pub(crate) rows: usize,
    x: &'a [E],
    values: &'a [E],
    errors: &'a [E],
}

impl<'a, E: Element> Shard<'a, E> {
    /// A shard whose errors are being written.
    pub(crate) fn new(layout: &'a ShardLayout, rows: usize, x: &'a [E], values: &'a [E]) -> Self {
        Self { layout, rows, x, values, errors: &[] }
    }

    /// A layer's input.
    pub(crate) fn x(&self, op: usize) -> &'a [E] {
        match op.checked_sub(1) {
            None => self.x,
            Some(below) => self.y(below),
        }
    }

    /// A layer's output.
    pub(crate) fn y(&self, op: usize) -> &'a [E] {
        &self.values[self.layout.y(op, self.rows)]
    }

    /// What a layer's forward pass left.
    pub(crate) fn stored(&self, op: usize) -> Stored<'a, E> {
        let kept = &self.values[self.layout.kept(op, self.rows)];
        Stored { x: self.x(op), y: self.y(op), kept }
    }

    /// A layer's δ.
    pub(crate) fn delta(&self, op: usize) -> &'a [E] {
        &self.errors[self.layout.delta(op, self.rows)]
    }

    /// What the shard contributes to a layer's gradient.
    pub(crate) fn partial(&self, op: usize) -> &'a [E] {
        &self.errors[self.layout.partial(op)]
    }
}
