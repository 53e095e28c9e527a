//! How the gradient is cut.

use core::ops::Range;
use deltarule_kernels::PAGE;

use crate::layers::{Op, Part};
use crate::optimizer::Rates;

/// A stretch of one layer's gradient.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) op: usize,
    pub(crate) part: Part,
    pub(crate) len: usize,
    /// How it is trained, if it is.
    pub(crate) rates: Option<Rates>,
}

/// Neighbouring pieces, which are computed and used at once.
#[derive(Clone, Debug)]
pub(crate) struct Tile {
    pub(crate) pieces: Range<usize>,
    pub(crate) len: usize,
    /// By which of the step's updates they are trained, if they are.
    pub(crate) update: Option<usize>,
}

/// The tiles of all layers, in the order of the parameters, without a gap.
#[derive(Clone, Debug)]
pub(crate) struct TilePlan {
    pieces: Vec<Piece>,
    tiles: Vec<Tile>,
    largest: usize,
}

/// Pieces of up to so many elements together are one tile: each tile is a call of the optimizer,
/// which is much of what small layers take.
const JOINED_ELEMENTS: usize = 8 * 1024;

/// Elements of a part of a matrix: each part packs the other operand of its product for itself, but
/// with a few for each thread no thread waits long for another. A step of 784-512-512-10 on 1,024
/// rows takes 1.04 times as long with one thread and parts of 64 Ki as of 200 Ki elements. Of fewer
/// parameters each thread gets a part all the same: on 64 rows and two threads 128-128-10 takes 1.7
/// times as long in one.
fn part_elements(parameters: usize, threads: usize) -> usize {
    let of_thread = (parameters / threads).max(JOINED_ELEMENTS);
    (parameters / (3 * threads)).clamp(64 * 1024, 256 * 1024).min(of_thread)
}

impl TilePlan {
    /// The tiles of so many parameters for so many threads. `rates_of` says how a part of a layer
    /// is trained, if it is. Each kind of rates, of which `alike` says whether two are one, becomes
    /// one of the updates that are returned.
    pub(crate) fn new(
        ops: &[Op],
        (parameters, threads): (usize, usize),
        rates_of: impl Fn(usize, &Part) -> Option<Rates>,
        alike: impl Fn(Rates, Rates) -> bool,
    ) -> (Self, Vec<Rates>) {
        let elements = part_elements(parameters, threads);
        let (mut pieces, mut tiles, mut updates) =
            (Vec::<Piece>::new(), Vec::<Tile>::new(), vec![]);
        for (op, layer) in ops.iter().enumerate() {
            for (part, len) in layer.shape().parts(elements) {
                let rates = rates_of(op, &part);
                let update = rates.map(|rates| {
                    let known = updates.iter().position(|&known| alike(known, rates));
                    known.unwrap_or_else(|| {
                        updates.push(rates);
                        updates.len() - 1
                    })
                });
                let is_table = |part: &Part| matches!(part, Part::Table(..));
                let joins =
                    !is_table(&part) && pieces.last().is_some_and(|before| !is_table(&before.part));
                let at = pieces.len();
                pieces.push(Piece { op, part, len, rates });
                match tiles.last_mut() {
                    Some(tile)
                        if joins && tile.update == update && tile.len + len <= JOINED_ELEMENTS =>
                    {
                        tile.pieces.end = at + 1;
                        tile.len += len;
                    }
                    _ => tiles.push(Tile { pieces: at..at + 1, len, update }),
                }
            }
        }
        let largest = tiles.iter().map(|tile| tile.len).max().unwrap_or(0);
        (Self { pieces, tiles, largest }, updates)
    }

    /// The pieces of all tiles.
    pub(crate) fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// The tiles.
    pub(crate) fn tiles(&self) -> &[Tile] {
        &self.tiles
    }

    /// Elements of room in which the largest tile can begin anywhere in a page.
    pub(crate) fn room<E>(&self) -> usize {
        self.largest + PAGE / size_of::<E>()
    }
}
