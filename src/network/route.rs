//! The way of a prediction through the layers.

use core::fmt;
use core::ops::Range;
use deltarule_kernels::{Aligned, Element, Isa};

use crate::error::{Error, Result, checked_area, try_aligned};
use crate::layers::{Forward, Op, Pass};
#[cfg(doc)]
use crate::{Network, Predictor};

/// Rows that a prediction takes through all layers at a time: each time, all weights are read. With
/// 64 a prediction of 256 rows takes 1.3 times as long for 1024-1024-1024-10, whose weights are
/// more than a core's share of the last cache, and 1.03 times for 784-512-512-10.
pub(crate) const BLOCK_ROWS: usize = 256;

/// Which layers a prediction goes through, and the buffers between them. A network knows it from
/// the beginning: to find it takes as long as a small prediction.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    inputs: usize,
    outputs: usize,
    stages: Vec<Stage>,
    lengths: Lengths,
}

/// The elements of a [`Workspace`]'s buffers.
#[derive(Clone, Copy, Debug, Default)]
struct Lengths {
    registers: usize,
    kept: usize,
    scratch: usize,
    moments: usize,
    outputs: usize,
}

/// A layer, and where its input, what it adds to it, and its output lie.
#[derive(Clone, Copy, Debug)]
struct Stage {
    op: usize,
    x: Place,
    skip: Option<Place>,
    y: Place,
    /// The elements of a row of the input, of the output, and of what is kept for the layer's work.
    inputs: usize,
    outputs: usize,
    kept: usize,
}

/// Where a block of rows lies.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    Input,
    /// From here on in the workspace's registers.
    Register(usize),
    Output,
}

/// A buffer between layers that holds one value after the other.
#[derive(Clone, Copy)]
struct Register {
    width: usize,
    /// The operation that reads its value last.
    busy_until: usize,
}

impl Route {
    pub(crate) fn new<E: Element>(
        isa: Isa,
        inputs: usize,
        ops: &[Op],
        moments: usize,
    ) -> Result<Self> {
        let mut lengths = Lengths { moments, ..Lengths::default() };
        // The operation that makes the value which each operation's output is, `None` for the
        // network's input: idle operations hand theirs on.
        let mut made_by: Vec<Option<usize>> = Vec::with_capacity(ops.len());
        for (index, op) in ops.iter().enumerate() {
            let before = index.checked_sub(1).and_then(|before| made_by[before]);
            made_by.push(if op.shape().is_idle() { before } else { Some(index) });
            lengths.kept = lengths.kept.max(op.shape().kept_columns(true));
            if let Op::Dense(dense) = op {
                let scratch = dense.scratch_len::<E>(isa, BLOCK_ROWS, false)?;
                lengths.scratch = lengths.scratch.max(scratch);
            }
        }
        let output_of = |index: Option<usize>| index.and_then(|index| made_by[index]);
        let mut last_read = vec![0; ops.len()];
        for (index, op) in ops.iter().enumerate() {
            let skip = op.shape().skips_from().and_then(|first| output_of(first.checked_sub(1)));
            for made_by in [output_of(index.checked_sub(1)), skip].into_iter().flatten() {
                last_read[made_by] = index;
            }
        }
        let result = output_of(ops.len().checked_sub(1));
        let mut registers: Vec<Register> = Vec::new();
        let mut held_in = vec![0; ops.len()];
        for (index, op) in ops.iter().enumerate() {
            if op.shape().is_idle() || result == Some(index) {
                continue;
            }
            let is_free = |register: &Register| register.busy_until < index;
            let free = registers.iter().position(is_free).unwrap_or(registers.len());
            if free == registers.len() {
                registers.push(Register { width: 0, busy_until: 0 });
            }
            let register = &mut registers[free];
            register.width = register.width.max(op.shape().outputs());
            register.busy_until = last_read[index];
            held_in[index] = free;
        }
        let mut starts = Vec::with_capacity(registers.len());
        for register in registers {
            starts.push(lengths.registers);
            let overflow = Error::Overflow {
                argument: "workspace",
                rows: BLOCK_ROWS,
                columns: register.width,
            };
            let len = checked_area("workspace", BLOCK_ROWS, register.width)?;
            lengths.registers = lengths.registers.checked_add(len).ok_or(overflow)?;
        }
        checked_area("workspace", BLOCK_ROWS, inputs)?;
        lengths.kept = checked_area("workspace", BLOCK_ROWS, lengths.kept)?;
        let place = |index: Option<usize>| match output_of(index) {
            None => Place::Input,
            made_by if made_by == result => Place::Output,
            Some(made_by) => Place::Register(starts[held_in[made_by]]),
        };
        let working = ops.iter().enumerate().filter(|(_, op)| !op.shape().is_idle());
        let stages = working.map(|(index, op)| Stage {
            op: index,
            x: place(index.checked_sub(1)),
            skip: op.shape().skips_from().map(|first| place(first.checked_sub(1))),
            y: place(Some(index)),
            inputs: op.shape().inputs(),
            outputs: op.shape().outputs(),
            kept: op.shape().kept_columns(true),
        });
        let outputs = ops.last().map_or(inputs, |op| op.shape().outputs());
        lengths.outputs = checked_area("workspace", BLOCK_ROWS, outputs)?;
        Ok(Self { inputs, outputs, stages: stages.collect(), lengths })
    }

    /// The elements of what batch normalizations normalize by.
    pub(crate) fn moments(&self) -> usize {
        self.lengths.moments
    }

    /// Takes rows of x through the layers, some rows at a time; `buffers` were made for them.
    pub(crate) fn run<E: Element>(
        &self,
        ops: &[Op],
        pass: &Pass<'_, E>,
        x: &[E],
        out: &mut [E],
        buffers: &mut Buffers<E>,
    ) -> Result<()> {
        if self.stages.is_empty() {
            out.copy_from_slice(x);
            return Ok(());
        }
        let Buffers { registers, kept, scratch } = buffers;
        let (mut x_left, mut out_left) = (x, out);
        while !x_left.is_empty() {
            let rows = BLOCK_ROWS.min(x_left.len() / self.inputs);
            let (x, x_after) = x_left.split_at(rows * self.inputs);
            let (out, out_after) = out_left.split_at_mut(rows * self.outputs);
            (x_left, out_left) = (x_after, out_after);
            for stage in &self.stages {
                let y = match stage.y {
                    Place::Register(start) => start..start + rows * stage.outputs,
                    Place::Input | Place::Output => 0..0,
                };
                let (before, rest) = registers.split_at_mut(y.start);
                let (buffer, after) = rest.split_at_mut(y.len());
                let read = |place, width| match place {
                    Place::Register(start) => read_around(before, &y, after, start, rows * width),
                    Place::Input | Place::Output => x,
                };
                let io = Forward {
                    rows,
                    x: read(stage.x, stage.inputs),
                    skip: stage.skip.map_or(&[], |skip| read(skip, stage.outputs)),
                    y: if stage.y == Place::Output { &mut *out } else { buffer },
                    kept: &mut kept[..rows * stage.kept],
                    scratch,
                };
                ops[stage.op].operation().forward(pass, io)?;
            }
        }
        Ok(())
    }
}

/// `len` elements from `start` on, of what lies before and after `middle`.
fn read_around<'a, E>(
    before: &'a [E],
    middle: &Range<usize>,
    after: &'a [E],
    start: usize,
    len: usize,
) -> &'a [E] {
    match start.checked_sub(middle.end) {
        Some(start) => &after[start..start + len],
        None => &before[start..start + len],
    }
}

/// What layers write to on the way.
#[derive(Clone)]
pub(crate) struct Buffers<E: Element> {
    registers: Aligned<E>,
    kept: Aligned<E>,
    scratch: Aligned<E>,
}

/// The buffers that [`Network::predict_into`] and [`Predictor::predict_into`] work in. One serves
/// any number of calls, with any number of rows, one at a time.
///
/// ```
/// use deltarule::{Activation, Network, Workspace};
/// let network =
///     Network::builder(2).dense(8, Activation::Relu).dense(1, Activation::Identity).build()?;
/// let predictor = network.freeze()?;
/// // One for both: it is as large as the larger needs it.
/// let mut workspace = Workspace::new(&network)?;
/// let (mut y, mut frozen) = ([0.0], [0.0]);
/// network.predict_into(&[0.5, 1.0], &mut y, &mut workspace)?;
/// predictor.predict_into(&[0.5, 1.0], &mut frozen, &mut workspace)?;
/// assert_eq!(y, frozen);
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Clone)]
pub struct Workspace<E: Element = f32> {
    pub(crate) buffers: Buffers<E>,
    pub(crate) moments: Aligned<E>,
    /// Outputs that are not the caller's.
    pub(crate) outputs: Aligned<E>,
}

impl<E: Element> Workspace<E> {
    /// Buffers for this way, and for all whose layers are no wider.
    pub(crate) fn for_route(route: &Route) -> Result<Self> {
        let Lengths { registers, kept, scratch, moments, outputs } = route.lengths;
        let buffer = |length| try_aligned("workspace", length);
        Ok(Self {
            buffers: Buffers {
                registers: buffer(registers)?,
                kept: buffer(kept)?,
                scratch: buffer(scratch)?,
            },
            moments: buffer(moments)?,
            outputs: buffer(outputs)?,
        })
    }

    pub(crate) fn check(&self, route: &Route) -> Result<()> {
        let Lengths { registers, kept, scratch, moments, outputs } = route.lengths;
        for (actual, expected) in [
            (self.buffers.registers.len(), registers),
            (self.buffers.kept.len(), kept),
            (self.buffers.scratch.len(), scratch),
            (self.moments.len(), moments),
            (self.outputs.len(), outputs),
        ] {
            if actual < expected {
                return Err(Error::Length { argument: "workspace", expected, actual });
            }
        }
        Ok(())
    }
}

impl<E: Element> fmt::Debug for Workspace<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workspace")
            .field("registers", &self.buffers.registers.len())
            .field("kept", &self.buffers.kept.len())
            .field("scratch", &self.buffers.scratch.len())
            .field("moments", &self.moments.len())
            .field("outputs", &self.outputs.len())
            .finish()
    }
}
