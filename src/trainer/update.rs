//! The second region of a step: tiles of the gradient, and what is done with each.

use core::marker::PhantomData;
use core::ops::Range;
use deltarule_kernels::optimizer::{MAX_STATES, Update};
use deltarule_kernels::{Element, Isa, ShapeError};

use super::layout::ShardLayout;
use super::parallel::{Divide, Scratch, divide};
use crate::error::Result;
use crate::layers::{Embedding, LayerNorm, Occurrences, Op, Part, Span};
use crate::optimizer::Rates;

/// A stretch of the gradient that is computed, and used, at once.
#[derive(Clone, Debug)]
pub(crate) struct Tile {
    pub(crate) op: usize,
    pub(crate) part: Part,
    pub(crate) len: usize,
    /// By which of the step's updates it is trained, if it is.
    pub(crate) update: Option<usize>,
}

/// The tiles of all layers, in the order of the parameters, without a gap.
#[derive(Clone, Debug)]
pub(crate) struct TilePlan {
    tiles: Vec<Tile>,
    largest: usize,
}

impl TilePlan {
    /// `rates_of` says how a part of a layer is trained, if it is; each kind of rates becomes one
    /// of the updates that are returned.
    pub(crate) fn new(
        ops: &[Op],
        rates_of: impl Fn(usize, &Part) -> Option<Rates>,
    ) -> (Self, Vec<Rates>) {
        let (mut tiles, mut updates) = (Vec::new(), Vec::new());
        for (op, layer) in ops.iter().enumerate() {
            for (part, len) in layer.shape().parts() {
                let update = rates_of(op, &part).map(|rates| {
                    let known = updates.iter().position(|known| *known == rates);
                    known.unwrap_or_else(|| {
                        updates.push(rates);
                        updates.len() - 1
                    })
                });
                tiles.push(Tile { op, part, len, update });
            }
        }
        let largest = tiles.iter().map(|tile| tile.len).max().unwrap_or(0);
        (Self { tiles, largest }, updates)
    }

    /// The tiles.
    pub(crate) fn tiles(&self) -> &[Tile] {
        &self.tiles
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

    /// Takes the gradient of all these elements: `compute` writes it to where it is told to, or
    /// adds it to what is there. `room` is room for it.
    fn take(
        self,
        update: usize,
        room: &mut [E],
        compute: impl FnOnce(&mut [E], bool) -> Result<(), ShapeError>,
    ) -> Result<(), ShapeError>;

    /// These elements have no gradient.
    fn pass_over(self);
}

/// The gradient is wanted itself.
pub(crate) struct Keep<'a, E> {
    pub(crate) gradient: &'a mut [E],
    /// Whether it is added to what is there.
    pub(crate) adds: bool,
}

impl<E: Element> Destination<E> for Keep<'_, E> {
    fn split_at(self, at: usize) -> (Self, Self) {
        let (before, after) = self.gradient.split_at_mut(at);
        let adds = self.adds;
        (Self { gradient: before, adds }, Self { gradient: after, adds })
    }

    fn take(
        self,
        _: usize,
        _: &mut [E],
        compute: impl FnOnce(&mut [E], bool) -> Result<(), ShapeError>,
    ) -> Result<(), ShapeError> {
        compute(self.gradient, self.adds)
    }

    fn pass_over(self) {
        if !self.adds {
            self.gradient.fill(E::ZERO);
        }
    }
}

/// The gradient is applied to the parameters, tile by tile, while it is in cache.
pub(crate) struct Apply<'a, E> {
    pub(crate) isa: Isa,
    pub(crate) updates: &'a [Update<E>],
    pub(crate) parameters: &'a mut [E],
    /// The optimizer's state; what it does not keep is empty.
    pub(crate) states: [&'a mut [E]; MAX_STATES],
}

impl<E: Element> Apply<'_, E> {
    fn apply(self, update: usize, gradient: &[E]) -> Result<(), ShapeError> {
        self.updates[update].apply(self.isa, gradient, self.parameters, self.states)
    }
}

impl<E: Element> Destination<E> for Apply<'_, E> {
    fn split_at(self, at: usize) -> (Self, Self) {
        let Self { isa, updates, parameters, states } = self;
        let (parameters, parameters_after) = parameters.split_at_mut(at);
        let [a, b, c] = states.map(|state| state.split_at_mut(at.min(state.len())));
        let states = [a.0, b.0, c.0];
        let states_after = [a.1, b.1, c.1];
        (
            Self { isa, updates, parameters, states },
            Self { isa, updates, parameters: parameters_after, states: states_after },
        )
    }

    fn take(
        self,
        update: usize,
        room: &mut [E],
        compute: impl FnOnce(&mut [E], bool) -> Result<(), ShapeError>,
    ) -> Result<(), ShapeError> {
        let gradient = &mut room[..self.parameters.len()];
        compute(gradient, false)?;
        self.apply(update, gradient)
    }

    fn pass_over(self) {}
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
        update: usize,
        _: &mut [E],
        _: impl FnOnce(&mut [E], bool) -> Result<(), ShapeError>,
    ) -> Result<(), ShapeError> {
        self.to.apply(update, self.gradient)
    }

    fn pass_over(self) {}
}

/// Everything that the gradient is computed from.
pub(crate) struct Gradient<'a, E> {
    pub(crate) isa: Isa,
    pub(crate) ops: &'a [Op],
    pub(crate) tiles: &'a TilePlan,
    pub(crate) layout: &'a ShardLayout,
    pub(crate) scratch: &'a Scratch<E>,
    pub(crate) x: &'a [E],
    pub(crate) arena: &'a [E],
    pub(crate) moments: &'a [E],
    pub(crate) occurrences: &'a Occurrences,
    pub(crate) span: Span,
}

/// Neighbouring tiles, and where they go.
struct Tiles<'a, D, E> {
    tiles: &'a [Tile],
    to: D,
    element: PhantomData<E>,
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
        let work = Tiles { tiles: &self.tiles.tiles, to, element: PhantomData };
        divide(work, parts, &|tiles| self.run_tiles(tiles))
    }

    fn run_tiles<D: Destination<E>>(&self, work: Tiles<'_, D, E>) -> Result<()> {
        let mut scratch = self.scratch.lock();
        let (room, scratch) = scratch.split_at_mut(self.tiles.largest);
        let mut rest = work.to;
        for tile in work.tiles {
            let (to, after) = rest.split_at(tile.len);
            rest = after;
            match (tile.update, &self.ops[tile.op], &tile.part) {
                (None, ..) => to.pass_over(),
                (Some(update), Op::Embedding(embedding), Part::Table(table, categories)) => {
                    let vectors = Vectors { op: tile.op, embedding, table: *table };
                    self.run_vectors(vectors, categories, update, to, room)?;
                }
                (Some(update), ..) => {
                    to.take(update, room, |gradient, adds| {
                        self.compute(tile, gradient, adds, scratch)
                    })?;
                }
            }
        }
        Ok(())
    }

    /// The vectors of the categories that occur, and no others.
    fn run_vectors<D: Destination<E>>(
        &self,
        vectors: Vectors<'_>,
        categories: &Range<usize>,
        update: usize,
        to: D,
        room: &mut [E],
    ) -> Result<()> {
        let Vectors { op, embedding, table } = vectors;
        let dimensions = embedding.dimensions(table);
        let mut next = categories.start;
        let mut rest = Some(to);
        self.occurrences.for_each(self.span, table, categories, |category, rows| {
            let Some(to) = rest.take() else { return Ok(()) };
            let (between, from_here) = to.split_at((category - next) * dimensions);
            between.pass_over();
            let (to, after) = from_here.split_at(dimensions);
            (rest, next) = (Some(after), category + 1);
            to.take(update, room, |gradient, adds| {
                if !adds {
                    gradient.fill(E::ZERO);
                }
                let delta_of = |row| self.layout.delta_row(op, row, self.arena);
                embedding.add_gradient(self.isa, table, rows, delta_of, gradient)
            })
        })?;
        if let Some(rest) = rest {
            rest.pass_over();
        }
        Ok(())
    }

    /// A layer's contribution to the gradient.
    fn compute(
        &self,
        tile: &Tile,
        gradient: &mut [E],
        adds: bool,
        scratch: &mut [E],
    ) -> Result<(), ShapeError> {
        let (isa, op) = (self.isa, tile.op);
        let shards = self.layout.shards(self.x, self.arena);
        if let (Op::Dense(dense), Part::Weights(rows)) = (&self.ops[op], &tile.part) {
            let blocks = shards.map(|shard| (shard.x(op), shard.delta(op)));
            return dense.weight_gradient(isa, rows.clone(), blocks, adds, gradient, scratch);
        }
        if !adds {
            gradient.fill(E::ZERO);
        }
        match &self.ops[op] {
            Op::Dense(dense) => {
                dense.add_bias_gradient(isa, shards.map(|shard| shard.delta(op)), gradient)
            }
            Op::LayerNorm(_) => {
                LayerNorm::add_gradient(isa, shards.map(|shard| shard.partial(op)), gradient)
            }
            Op::BatchNorm(norm) => norm.add_gradient(isa, self.moments, gradient),
            _ => Ok(()),
        }
    }
}

/// A table of vectors.
#[derive(Clone, Copy)]
struct Vectors<'a> {
    op: usize,
    embedding: &'a Embedding,
    table: usize,
}
