//! The second region of a step: tiles of the gradient, and what is done with each.

use core::marker::PhantomData;
use core::ops::Range;
use deltarule_kernels::optimizer::{MAX_STATES, Update};
use deltarule_kernels::{Element, Isa, PAGE, ShapeError};

use super::layout::ShardLayout;
use super::parallel::{Divide, Scratch};
use super::tiles::{Piece, Tile, TilePlan};
use crate::error::Result;
use crate::layers::{Embedding, LayerNorm, Occurrences, Op, Part, Span};

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

impl<'a, E> Keep<'a, E> {
    /// The gradient is written.
    pub(crate) fn new(gradient: &'a mut [E]) -> Self {
        Self { gradient, adds: false }
    }
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

/// The first index in `room` that is as far into a page as the beginning of `other`.
fn begin_alike<E>(room: &[E], other: &[E]) -> usize {
    let bytes = other.as_ptr().addr().wrapping_sub(room.as_ptr().addr()) % PAGE;
    bytes / size_of::<E>()
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
        let begin = begin_alike(room, self.parameters);
        let gradient = &mut room[begin..][..self.parameters.len()];
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
    pub(crate) x: &'a [E],
    pub(crate) rows: usize,
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
    pub(crate) fn run(
        &self,
        parts: usize,
        scratch: &mut Scratch<E>,
        to: impl Destination<E>,
    ) -> Result<()> {
        let work = Tiles { tiles: self.tiles.tiles(), to, element: PhantomData };
        scratch.divide(work, parts, &|tiles, scratch| self.run_tiles(tiles, scratch))
    }

    fn run_tiles<D: Destination<E>>(&self, work: Tiles<'_, D, E>, scratch: &mut [E]) -> Result<()> {
        let (room, scratch) = scratch.split_at_mut(self.tiles.room::<E>());
        let mut rest = work.to;
        for tile in work.tiles {
            let (to, after) = rest.split_at(tile.len);
            rest = after;
            let Some(update) = tile.update else {
                to.pass_over();
                continue;
            };
            let pieces = &self.tiles.pieces()[tile.pieces.clone()];
            if let [Piece { op, part: Part::Table(table, categories), .. }] = pieces
                && let Op::Embedding(embedding) = &self.ops[*op]
            {
                let vectors = Vectors { op: *op, embedding, table: *table };
                self.run_vectors(vectors, categories, update, to, room)?;
                continue;
            }
            to.take(update, room, |mut gradient, adds| {
                for piece in pieces {
                    let (here, after) = gradient.split_at_mut(piece.len);
                    gradient = after;
                    self.compute(piece, here, adds, scratch)?;
                }
                Ok(())
            })?;
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
                let delta_of = |row| self.layout.delta_row(op, (row, self.rows), self.arena);
                embedding.add_gradient(self.isa, table, rows, delta_of, gradient)
            })
        })?;
        if let Some(rest) = rest {
            rest.pass_over();
        }
        Ok(())
    }

    /// A layer's contribution to the gradient.
    #[inline]
    fn compute(
        &self,
        piece: &Piece,
        gradient: &mut [E],
        adds: bool,
        scratch: &mut [E],
    ) -> Result<(), ShapeError> {
        let (isa, op) = (self.isa, piece.op);
        let shards = self.layout.shards(self.x, self.rows, self.arena);
        if let (Op::Dense(dense), Part::Weights(rows)) = (&self.ops[op], &piece.part) {
            let blocks = shards.map(|shard| (shard.rows, shard.x(op), shard.delta(op)));
            return dense.weight_gradient(isa, rows.clone(), blocks, adds, gradient, scratch);
        }
        if !adds {
            gradient.fill(E::ZERO);
        }
        match &self.ops[op] {
            Op::Dense(dense) => {
                let blocks = shards.map(|shard| (shard.rows, shard.delta(op)));
                dense.add_bias_gradient(isa, blocks, gradient)
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
