//! The second region of a step: tiles of the gradient, and what is done with each.

use core::ops::Range;
use deltarule_kernels::optimizer::MAX_STATES;
use deltarule_kernels::{Element, Isa, ShapeError};

use super::parallel::{Divide, Scratch, divide};
use super::propagate::ShardLayout;
use crate::error::Result;
use crate::layers::Dense;
use crate::optimizer::StepUpdate;

/// Elements of ∂W in a tile, about: 64 KiB of f32, which leave room for the operands in L2.
const TILE_ELEMENTS: usize = 16 * 1024;
/// A tile has at least this many rows of ∂W, and a multiple of them: a whole number of the
/// micro-kernel's rows on every ISA.
const TILE_ROWS: usize = 24;

/// A stretch of the gradient that is computed, and used, at once.
#[derive(Clone, Debug)]
pub(crate) struct Tile {
    layer: usize,
    part: Part,
    len: usize,
}

#[derive(Clone, Debug)]
pub(crate) enum Part {
    /// These rows of ∂W.
    Weights(Range<usize>),
    /// ∂b.
    Biases,
}

/// The tiles of all layers, in the order of the parameters, without a gap.
#[derive(Clone, Debug)]
pub(crate) struct TilePlan {
    tiles: Vec<Tile>,
    largest: usize,
}

impl TilePlan {
    pub(crate) fn new(layers: &[Dense]) -> Self {
        let mut tiles = Vec::new();
        for (index, layer) in layers.iter().enumerate() {
            let step = Self::tile_rows(layer);
            for start in (0..layer.outputs).step_by(step) {
                let rows = start..layer.outputs.min(start.saturating_add(step));
                let len = rows.len() * layer.inputs;
                tiles.push(Tile { layer: index, part: Part::Weights(rows), len });
            }
            tiles.push(Tile { layer: index, part: Part::Biases, len: layer.outputs });
        }
        let largest = tiles.iter().map(|tile| tile.len).max().unwrap_or(0);
        Self { tiles, largest }
    }

    /// Rows of a layer's ∂W in a tile.
    pub(crate) fn tile_rows(layer: &Dense) -> usize {
        let rows = TILE_ELEMENTS / layer.inputs / TILE_ROWS * TILE_ROWS;
        rows.max(TILE_ROWS).min(layer.outputs)
    }

    /// The elements of the largest tile.
    pub(crate) fn largest(&self) -> usize {
        self.largest
    }
}

/// Where a run of neighbouring tiles goes.
pub(crate) trait Destination<E>: Sized + Send {
    /// The first `at` elements, and the others.
    fn split_at(self, at: usize) -> (Self, Self);

    /// Takes the gradient of all these elements: `compute` writes it to where it is told to.
    /// `room` is room for it.
    fn take(
        self,
        part: &Part,
        room: &mut [E],
        compute: impl FnOnce(&mut [E]) -> Result<(), ShapeError>,
    ) -> Result<(), ShapeError>;
}

/// The gradient is wanted itself.
pub(crate) struct Keep<'a, E>(pub(crate) &'a mut [E]);

impl<E: Element> Destination<E> for Keep<'_, E> {
    fn split_at(self, at: usize) -> (Self, Self) {
        let (before, after) = self.0.split_at_mut(at);
        (Self(before), Self(after))
    }

    fn take(
        self,
        _: &Part,
        _: &mut [E],
        compute: impl FnOnce(&mut [E]) -> Result<(), ShapeError>,
    ) -> Result<(), ShapeError> {
        compute(self.0)
    }
}

/// The gradient is applied to the parameters, tile by tile, while it is in cache.
pub(crate) struct Apply<'a, E> {
    pub(crate) isa: Isa,
    pub(crate) update: &'a StepUpdate<E>,
    pub(crate) parameters: &'a mut [E],
    /// The optimizer's state; what it does not keep is empty.
    pub(crate) states: [&'a mut [E]; MAX_STATES],
}

impl<E: Element> Apply<'_, E> {
    fn apply(self, part: &Part, gradient: &[E]) -> Result<(), ShapeError> {
        let update = match part {
            Part::Weights(_) => &self.update.weights,
            Part::Biases => &self.update.biases,
        };
        update.apply(self.isa, gradient, self.parameters, self.states)
    }
}

impl<E: Element> Destination<E> for Apply<'_, E> {
    fn split_at(self, at: usize) -> (Self, Self) {
        let Self { isa, update, parameters, states } = self;
        let (parameters, parameters_after) = parameters.split_at_mut(at);
        let [a, b, c] = states.map(|state| state.split_at_mut(at.min(state.len())));
        let states = [a.0, b.0, c.0];
        let states_after = [a.1, b.1, c.1];
        (
            Self { isa, update, parameters, states },
            Self { isa, update, parameters: parameters_after, states: states_after },
        )
    }

    fn take(
        self,
        part: &Part,
        room: &mut [E],
        compute: impl FnOnce(&mut [E]) -> Result<(), ShapeError>,
    ) -> Result<(), ShapeError> {
        let gradient = &mut room[..self.parameters.len()];
        compute(gradient)?;
        self.apply(part, gradient)
    }
}

/// A gradient that was kept is applied to the parameters: nothing is computed again.
pub(crate) struct ApplyKept<'a, E> {
    pub(crate) gradient: &'a [E],
    pub(crate) to: Apply<'a, E>,
}

impl<E: Element> Destination<E> for ApplyKept<'_, E> {
    fn split_at(self, at: usize) -> (Self, Self) {
        let (gradient, gradient_after) = self.gradient.split_at(at);
        let (to, to_after) = self.to.split_at(at);
        (Self { gradient, to }, Self { gradient: gradient_after, to: to_after })
    }

    fn take(
        self,
        part: &Part,
        _: &mut [E],
        _: impl FnOnce(&mut [E]) -> Result<(), ShapeError>,
    ) -> Result<(), ShapeError> {
        self.to.apply(part, self.gradient)
    }
}

/// Everything that the gradient is computed from.
pub(crate) struct Gradient<'a, E> {
    pub(crate) isa: Isa,
    pub(crate) layers: &'a [Dense],
    pub(crate) tiles: &'a TilePlan,
    pub(crate) layout: &'a ShardLayout,
    pub(crate) scratch: &'a Scratch<E>,
    pub(crate) x: &'a [E],
    pub(crate) arena: &'a [E],
}

/// Neighbouring tiles, and where they go.
struct Tiles<'a, D, E> {
    tiles: &'a [Tile],
    to: D,
    element: core::marker::PhantomData<E>,
}

impl<E: Element, D: Destination<E>> Divide for Tiles<'_, D, E> {
    fn len(&self) -> usize {
        self.tiles.len()
    }

    fn split_at(self, at: usize) -> (Self, Self) {
        let (tiles, tiles_after) = self.tiles.split_at(at);
        let (to, to_after) = self.to.split_at(tiles.iter().map(|tile| tile.len).sum());
        let element = self.element;
        (Self { tiles, to, element }, Self { tiles: tiles_after, to: to_after, element })
    }
}

impl<E: Element> Gradient<'_, E> {
    /// Gives `to`, which covers all parameters, the gradient tile by tile.
    pub(crate) fn run(&self, parts: usize, to: impl Destination<E>) -> Result<()> {
        let work = Tiles { tiles: &self.tiles.tiles, to, element: core::marker::PhantomData };
        divide(work, parts, &|tiles| self.run_tiles(tiles))
    }

    fn run_tiles<D: Destination<E>>(&self, work: Tiles<'_, D, E>) -> Result<()> {
        let mut scratch = self.scratch.lock();
        let (room, scratch) = scratch.split_at_mut(self.tiles.largest);
        let mut rest = work.to;
        for tile in work.tiles {
            let (to, after) = rest.split_at(tile.len);
            to.take(&tile.part, room, |gradient| self.compute(tile, gradient, scratch))?;
            rest = after;
        }
        Ok(())
    }

    fn compute(
        &self,
        tile: &Tile,
        gradient: &mut [E],
        scratch: &mut [E],
    ) -> Result<(), ShapeError> {
        let layer = &self.layers[tile.layer];
        let blocks = self.layout.blocks(tile.layer, self.layers[0].inputs, self.x, self.arena);
        match &tile.part {
            Part::Weights(rows) => {
                layer.weight_gradient(self.isa, rows.clone(), blocks, gradient, scratch)
            }
            Part::Biases => layer.bias_gradient(self.isa, blocks, gradient),
        }
    }
}
