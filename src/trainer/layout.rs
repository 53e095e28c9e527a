//! Where a shard's values and errors lie, and how errors go from layer to layer.

use core::ops::Range;
use deltarule_kernels::{Element, reduce};

use crate::error::{Error, Result, checked_area};
use crate::layers::{Op, PARTIAL_ROWS, Stored};

/// Rows of a shard where they must not depend on the batch or the threads.
const FIXED_ROWS: usize = PARTIAL_ROWS;

/// The most rows of a shard, of which each reads all weights. A step of 784-512-512-10 on 1,024
/// rows takes 1.14 times as long in shards of 64 rows, and as long in shards of 256 as of 512.
const MOST_ROWS: usize = 512;

/// How a batch is cut in shards, and how a shard's stretch of the arena is laid out: the layers'
/// values, their errors, and what it contributes to their gradients.
#[derive(Clone, Debug)]
pub(crate) struct ShardLayout {
    /// Rows of all shards but the last of the batch at hand.
    rows: usize,
    /// Whether these are [`FIXED_ROWS`].
    is_fixed: bool,
    ops: Vec<OpLayout>,
    /// The elements of a row's values and errors, and of what [`PARTIAL_ROWS`] contribute.
    values: usize,
    errors: usize,
    partials: usize,
    /// The first layer that the backward pass comes to.
    lowest: usize,
    /// The batch normalizations over this batch, for each of which all rows have to arrive.
    barriers: Vec<usize>,
}

/// A layer's places in a shard: matrices whose columns follow those of the matrix before.
#[derive(Clone, Debug)]
struct OpLayout {
    inputs: usize,
    /// y among the values, and what is kept besides.
    y: Range<usize>,
    kept: Range<usize>,
    /// δ among the errors.
    delta: Range<usize>,
    /// What blocks of the shard contribute to the gradient, among all that they contribute.
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
    /// Shards in the training of these layers, of which some are frozen; `is_fixed` is whether
    /// their rows must not depend on the batch or the threads.
    pub(crate) fn new(ops: &[Op], is_frozen: &[bool], is_fixed: bool) -> Result<Self> {
        let mut values = 0;
        let mut layouts: Vec<OpLayout> = Vec::with_capacity(ops.len());
        let mut lowest = None;
        for (index, (op, &is_frozen)) in ops.iter().zip(is_frozen).enumerate() {
            let shape = op.shape();
            if lowest.is_none() && shape.learns() && !is_frozen {
                lowest = Some(index);
            }
            layouts.push(OpLayout {
                inputs: shape.inputs(),
                y: take(&mut values, shape.outputs())?,
                kept: take(&mut values, shape.kept_columns(false))?,
                delta: 0..0,
                partial: 0..0,
                below: ToBelow::Nothing,
                skip: None,
                is_finished: false,
            });
        }
        let lowest = lowest.unwrap_or(ops.len());
        // The layers before it have no δ.
        let (mut errors, mut partials) = (0, 0);
        let mut has_delta_from_above = vec![false; ops.len()];
        for (index, op) in ops.iter().enumerate().rev() {
            if has_place_of_its_own(ops, lowest, index, &has_delta_from_above) {
                layouts[index].delta = take(&mut errors, op.shape().outputs())?;
            } else if let Some(above) = layouts.get(index + 1) {
                layouts[index].delta = above.delta.clone();
            }
            layouts[index].partial = take(&mut partials, op.shape().partial_len())?;
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
        let over_batch =
            |(op, &is_frozen): (&Op, &bool)| matches!(op, Op::BatchNorm(_)) && !is_frozen;
        let barriers = ops.iter().zip(is_frozen).map(over_batch);
        let barriers = barriers.enumerate().filter_map(|(index, is_one)| is_one.then_some(index));
        let barriers = barriers.collect();
        Ok(Self {
            rows: FIXED_ROWS,
            is_fixed,
            ops: layouts,
            values,
            errors,
            partials,
            lowest,
            barriers,
        })
    }

    /// Cuts so many rows in shards for so many threads: each thread gets as many, of nearly as many
    /// rows.
    pub(crate) fn cut(&mut self, rows: usize, threads: usize) {
        if self.is_fixed {
            return;
        }
        let unit = self.unit();
        let most = if threads == 1 { MOST_ROWS } else { unit };
        self.rows = if rows <= most {
            most
        } else {
            let shards = rows.div_ceil(MOST_ROWS).next_multiple_of(threads);
            rows.div_ceil(shards).next_multiple_of(unit)
        };
    }

    /// The most rows of a shard of any batch.
    pub(crate) fn most_rows(&self) -> usize {
        if self.is_fixed { FIXED_ROWS } else { MOST_ROWS }
    }

    /// The rows of a shard, of which the last may have fewer.
    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    /// What the rows of a shard are a multiple of, so that its sums are some of the whole batch's.
    pub(crate) fn unit(&self) -> usize {
        if self.is_fixed {
            FIXED_ROWS
        } else if self.partials > 0 {
            PARTIAL_ROWS
        } else {
            reduce::PIECE_ROWS
        }
    }

    /// The elements of a row.
    pub(crate) fn row_len(&self) -> usize {
        self.values.saturating_add(self.errors)
    }

    /// The elements of a shard of so many rows.
    pub(crate) fn shard_len(&self, rows: usize) -> usize {
        rows * self.row_len() + rows.div_ceil(PARTIAL_ROWS) * self.partials
    }

    /// The elements of all shards for up to so many rows, however they are cut.
    pub(crate) fn arena_len(&self, rows: usize) -> Result<usize> {
        let of_rows = checked_area("activations", rows, self.row_len())?;
        let partials = checked_area("activations", rows.div_ceil(PARTIAL_ROWS), self.partials)?;
        let columns = self.row_len();
        let overflow = Error::Overflow { argument: "activations", rows, columns };
        of_rows.checked_add(partials).ok_or(overflow)
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

    /// The values and the errors of a shard of so many rows.
    pub(crate) fn split<'a, E>(
        &self,
        shard: &'a mut [E],
        rows: usize,
    ) -> (&'a mut [E], &'a mut [E]) {
        shard.split_at_mut(rows * self.values)
    }

    /// Where y lies among the values of so many rows.
    pub(crate) fn y(&self, op: usize, rows: usize) -> Range<usize> {
        place(&self.ops[op].y, rows)
    }

    /// Where what is kept lies among the values of so many rows.
    pub(crate) fn kept(&self, op: usize, rows: usize) -> Range<usize> {
        place(&self.ops[op].kept, rows)
    }

    /// Where δ lies among the errors of so many rows.
    pub(crate) fn delta(&self, op: usize, rows: usize) -> Range<usize> {
        place(&self.ops[op].delta, rows)
    }

    /// Where the contribution to the gradient lies among the errors of so many rows.
    pub(crate) fn partial(&self, op: usize, rows: usize) -> Range<usize> {
        let Range { start, end } = place(&self.ops[op].partial, rows.div_ceil(PARTIAL_ROWS));
        rows * self.errors + start..rows * self.errors + end
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
            let (shard, arena_after) = arena.split_at(self.shard_len(rows));
            let (x_here, x_after) = x.split_at(rows * inputs);
            (x, arena) = (x_after, arena_after);
            let (values, errors) = shard.split_at(rows * self.values);
            Some(Shard { layout: self, rows, x: x_here, values, errors })
        })
    }

    /// δ of one row of a batch of so many rows that has been through.
    pub(crate) fn delta_row<'a, E>(
        &self,
        op: usize,
        (row, rows): (usize, usize),
        arena: &'a [E],
    ) -> &'a [E] {
        let (shard, row) = (row / self.rows, row % self.rows);
        let rows = self.rows.min(rows - shard * self.rows);
        let delta = &self.ops[op].delta;
        let errors = shard * self.shard_len(self.rows) + rows * self.values;
        let start = errors + rows * delta.start + row * delta.len();
        &arena[start..start + delta.len()]
    }
}

/// Where these columns' matrix of so many rows lies.
fn place(columns: &Range<usize>, rows: usize) -> Range<usize> {
    rows * columns.start..rows * columns.end
}

/// Whether δ of a layer can't share the place of the layer's above.
fn has_place_of_its_own(ops: &[Op], lowest: usize, index: usize, skipped: &[bool]) -> bool {
    let shares =
        ops.get(index + 1).is_some_and(|above| above.shape().works_in_place() && !skipped[index]);
    index + 1 == ops.len() || (index >= lowest && !shares)
}

/// The next `count` columns after those that end at `end`, which moves on.
fn take(end: &mut usize, count: usize) -> Result<Range<usize>> {
    let overflow = Error::Overflow { argument: "activations", rows: 1, columns: count };
    let start = *end;
    *end = start.checked_add(count).ok_or(overflow)?;
    Ok(start..*end)
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
        &self.errors[self.layout.partial(op, self.rows)]
    }
}
