//! The way of a prediction through the layers.

use core::fmt;
use core::ops::Range;
use deltarule_kernels::{Element, Isa};

use super::Network;
use crate::error::{Error, Result, check_length, checked_area, try_vec, whole_rows};
use crate::layers::{Forward, LayerRef, Mode, Op, Pass};
use crate::metrics::largest_of_rows;

/// Rows that a prediction takes through all layers at a time.
const BLOCK_ROWS: usize = 64;

/// Which layers a prediction goes through, and the buffers between them. A network knows it from
/// the beginning: to find it takes as long as a small prediction.
#[derive(Clone, Debug)]
pub(super) struct Route {
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
}

/// A layer, and where its input, what it adds to it, and its output lie.
#[derive(Clone, Copy, Debug)]
struct Stage {
    op: usize,
    x: Place,
    skip: Option<Place>,
    y: Place,
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
    pub(super) fn new<E: Element>(
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
        let result = output_of(Some(ops.len() - 1));
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
        });
        Ok(Self { stages: stages.collect(), lengths })
    }

    /// The elements of what batch normalizations normalize by.
    pub(super) fn moments(&self) -> usize {
        self.lengths.moments
    }
}

impl<E: Element> Network<E> {
    /// The outputs for every row of `x`, (rows, [`Network::inputs`]) row-major.
    ///
    /// The outputs of a row are the same bits alone as in any batch. A row that holds NaN gives
    /// NaN.
    ///
    /// # Errors
    /// [`Error::Empty`] or [`Error::PartialRow`] if `x` is not one whole row or more,
    /// [`Error::Category`] if a categorical column does not hold the index of a category.
    pub fn predict(&self, x: &[E]) -> Result<Vec<E>> {
        let rows = whole_rows("x", x.len(), self.inputs())?;
        let mut out = try_vec("out", checked_area("out", rows, self.outputs())?)?;
        self.predict_into(x, &mut out, &mut Workspace::new(self)?)?;
        Ok(out)
    }

    /// [`Network::predict`] into a slice, without an allocation.
    ///
    /// # Errors
    /// As [`Network::predict`]; [`Error::Length`] if `out` is not (rows, [`Network::outputs`]),
    /// or if the workspace was made for a smaller network. Nothing was written then.
    pub fn predict_into(&self, x: &[E], out: &mut [E], workspace: &mut Workspace<E>) -> Result<()> {
        let rows = whole_rows("x", x.len(), self.inputs())?;
        check_length("out", out.len(), checked_area("out", rows, self.outputs())?)?;
        workspace.check(self)?;
        self.check_categories(x, 0)?;
        self.use_running_statistics(&mut workspace.moments)?;
        let blocks = x.chunks(BLOCK_ROWS * self.inputs());
        for (x, out) in blocks.zip(out.chunks_mut(BLOCK_ROWS * self.outputs())) {
            self.predict_block(x, out, workspace)?;
        }
        Ok(())
    }

    /// A pass of so many rows that learns nothing.
    fn evaluation<'a>(&'a self, rows: usize, moments: &'a [E]) -> Pass<'a, E> {
        Pass {
            isa: self.isa,
            parameters: &self.parameters,
            packed: &[],
            moments,
            mode: Mode::Evaluation,
            batch_rows: rows,
            first_row: 0,
        }
    }

    fn predict_block(&self, x: &[E], out: &mut [E], workspace: &mut Workspace<E>) -> Result<()> {
        if self.route.stages.is_empty() {
            out.copy_from_slice(x);
            return Ok(());
        }
        let rows = x.len() / self.inputs();
        let Workspace { registers, kept, scratch, moments } = workspace;
        let pass = self.evaluation(rows, moments);
        for stage in &self.route.stages {
            let op = &self.ops[stage.op];
            let shape = op.shape();
            let y = match stage.y {
                Place::Register(start) => start..start + rows * shape.outputs(),
                Place::Input | Place::Output => 0..0,
            };
            let (before, rest) = registers.split_at_mut(y.start);
            let (buffer, after) = rest.split_at_mut(y.len());
            let read = |place, width| match place {
                Place::Register(start) => read_around(before, &y, after, start, rows * width),
                Place::Input | Place::Output => x,
            };
            let io = Forward {
                x: read(stage.x, shape.inputs()),
                skip: stage.skip.map_or(&[], |skip| read(skip, shape.outputs())),
                y: if stage.y == Place::Output { &mut *out } else { buffer },
                kept: &mut kept[..rows * shape.kept_columns(true)],
                scratch,
            };
            op.operation().forward(&pass, io)?;
        }
        Ok(())
    }

    /// Gives `see` every layer with its index and its outputs for the rows of `x`,
    /// (rows, outputs) row-major, as they are in a prediction.
    ///
    /// ```
    /// use deltarule::{Activation, Network};
    /// let network = Network::builder(2)
    ///     .dense(3, Activation::Relu)
    ///     .dense(1, Activation::Identity)
    ///     .build()?;
    /// let mut widths = Vec::new();
    /// network.trace(&[0.5, 1.0], |_, _, outputs| widths.push(outputs.len()))?;
    /// assert_eq!(widths, [3, 1]);
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Network::predict`]; [`Error::OutOfMemory`] if there is no memory for the outputs of all
    /// layers.
    pub fn trace(&self, x: &[E], mut see: impl FnMut(usize, LayerRef<'_, E>, &[E])) -> Result<()> {
        let rows = whole_rows("x", x.len(), self.inputs())?;
        self.check_categories(x, 0)?;
        let mut moments = try_vec("moments", self.moments_len())?;
        self.use_running_statistics(&mut moments)?;
        let pass = self.evaluation(rows, &moments);
        let mut outputs: Vec<Vec<E>> = Vec::with_capacity(self.ops.len());
        for (index, (op, layer)) in self.ops.iter().zip(self.layers()).enumerate() {
            let shape = op.shape();
            let area = |columns| checked_area("activations", rows, columns);
            let mut y = try_vec("activations", area(shape.outputs())?)?;
            let mut kept = try_vec("activations", area(shape.kept_columns(true))?)?;
            let mut scratch = match op {
                Op::Dense(dense) => {
                    try_vec("scratch", dense.scratch_len::<E>(self.isa, rows, false)?)?
                }
                _ => Vec::new(),
            };
            let output_of = |index: Option<usize>| index.map_or(x, |index| &outputs[index]);
            let io = Forward {
                x: output_of(index.checked_sub(1)),
                skip: shape.skips_from().map_or(&[], |first| output_of(first.checked_sub(1))),
                y: &mut y,
                kept: &mut kept,
                scratch: &mut scratch,
            };
            op.operation().forward(&pass, io)?;
            see(index, layer, &y);
            outputs.push(y);
        }
        Ok(())
    }

    /// The class of every row of `x`: the index of its largest output, the first of equals.
    ///
    /// # Errors
    /// As [`Network::predict`].
    pub fn classify(&self, x: &[E]) -> Result<Vec<usize>> {
        Ok(largest_of_rows(&self.predict(x)?, self.outputs()).collect())
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

/// The buffers that [`Network::predict_into`] works in. One serves any number of calls, with any
/// number of rows, one at a time.
#[derive(Clone)]
pub struct Workspace<E: Element = f32> {
    registers: Vec<E>,
    kept: Vec<E>,
    scratch: Vec<E>,
    moments: Vec<E>,
}

impl<E: Element> Workspace<E> {
    /// Buffers for this network, and for all that are no wider.
    ///
    /// # Errors
    /// [`Error::Overflow`] or [`Error::OutOfMemory`] if they would be too large.
    pub fn new(network: &Network<E>) -> Result<Self> {
        let Lengths { registers, kept, scratch, moments } = network.route.lengths;
        Ok(Self {
            registers: try_vec("workspace", registers)?,
            kept: try_vec("workspace", kept)?,
            scratch: try_vec("workspace", scratch)?,
            moments: try_vec("workspace", moments)?,
        })
    }

    fn check(&self, network: &Network<E>) -> Result<()> {
        let Lengths { registers, kept, scratch, moments } = network.route.lengths;
        for (actual, expected) in [
            (self.registers.len(), registers),
            (self.kept.len(), kept),
            (self.scratch.len(), scratch),
            (self.moments.len(), moments),
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
            .field("registers", &self.registers.len())
            .field("kept", &self.kept.len())
            .field("scratch", &self.scratch.len())
            .field("moments", &self.moments.len())
            .finish()
    }
}
