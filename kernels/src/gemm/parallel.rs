//! A product cut in parts for the threads of the current rayon pool.

use super::driver::{Multiplication, Part, scratch_len};
use super::{Gemm, fallback, one_row, tiny};
use crate::precompiled::Checked;
use crate::{Element, Isa, ShapeError};
use rayon::prelude::*;

/// Multiply-adds that are worth a thread: below that, waking it costs more than it saves. With two
/// threads 64 x 64 x 64 takes 1.13 of one thread's time, 80 x 80 x 80 1.0, and 96 x 96 x 96 0.8 (AMD
/// EPYC, Zen 3).
const WORK_PER_THREAD: usize = 3 << 17;

/// An element of B has to be fetched, which takes as long as multiplying it by so many rows.
const ROWS_OF_FETCHING: usize = 3;

/// Columns of a part are a multiple of this, which every ISA's NR divides.
const COLUMN_UNIT: usize = 32;

/// With fewer steps of k, writing C takes much of the time, and threads that write to the same rows
/// get in each other's way.
const FEW_STEPS: usize = 128;

/// More threads than a pool can have are not looked for: the grids of so many are tried one by one.
const MOST_THREADS: usize = 1024;

/// How C is cut: `rows` × `columns` parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Grid {
    rows: usize,
    columns: usize,
}

impl Grid {
    /// At most `threads` parts, none of them empty.
    ///
    /// The parts' number follows the work. Of the grids with that number the one whose parts have
    /// the smallest perimeter reads and packs the least; columns are preferred, since parts side
    /// by side pack different columns of B, unless there are few steps of k.
    fn new((m, n, k): (usize, usize, usize), threads: usize) -> Self {
        let whole = Self { rows: 1, columns: 1 };
        if threads <= 1 {
            return whole;
        }
        let work = m.saturating_add(ROWS_OF_FETCHING).saturating_mul(n).saturating_mul(k);
        let parts = (work / WORK_PER_THREAD).clamp(1, threads.min(MOST_THREADS));
        if parts == 1 {
            return whole;
        }
        let cost = |grid: &Self| {
            let (rows, columns) = (m.div_ceil(grid.rows), n.div_ceil(grid.columns));
            let padded = columns.saturating_add(COLUMN_UNIT - 1) / COLUMN_UNIT * COLUMN_UNIT;
            let reads = rows.saturating_add(2 * columns);
            // The time of the largest part, then what keeps it from writing where its neighbour
            // does, and from reading too much.
            (rows.saturating_mul(padded), if k < FEW_STEPS { grid.columns } else { 0 }, reads)
        };
        (1..=parts)
            .map(|rows| Self {
                rows: rows.min(m.max(1)),
                columns: (parts / rows).min(n.div_ceil(COLUMN_UNIT).max(1)),
            })
            .min_by_key(cost)
            .unwrap_or(whole)
    }

    fn parts(self) -> usize {
        self.rows * self.columns
    }
}

/// Elements of scratch space for [`run`].
pub(super) fn parallel_scratch_len<E: Element>(
    isa: Isa,
    (m, n, k): (usize, usize, usize),
    threads: usize,
) -> usize {
    if m == 0 || n == 0 || !isa.has_fma() {
        return 0;
    }
    let grid = Grid::new((m, n, k), threads);
    let part = (m.div_ceil(grid.rows), part_columns(n, grid), k);
    scratch_len::<E>(isa, part).saturating_mul(grid.parts())
}

fn part_columns(n: usize, grid: Grid) -> usize {
    n.div_ceil(grid.columns).next_multiple_of(COLUMN_UNIT).min(n)
}

/// C's first element, for many threads.
struct SharedC<E>(*mut E);

// SAFETY: each part touches elements of its own.
unsafe impl<E: Send> Send for SharedC<E> {}
// SAFETY: as above.
unsafe impl<E: Send> Sync for SharedC<E> {}

impl<E> SharedC<E> {
    fn get(&self) -> *mut E {
        self.0
    }
}

/// Runs a product whose shapes and ISA have been checked. With too little scratch space, nothing is
/// written.
pub(super) fn run<E: Element>(
    isa: Isa,
    Checked(gemm): Checked<&mut Gemm<'_, E>>,
    scratch: &mut [E],
) -> Result<(), ShapeError> {
    let (m, n, k) = (gemm.c.rows(), gemm.c.columns(), gemm.a.columns());
    if m == 0 || n == 0 {
        return Ok(());
    }
    #[cfg(feature = "blas")]
    if super::blas::run(isa, gemm) {
        return Ok(());
    }
    if !isa.has_fma() {
        fallback::run(isa, gemm);
        return Ok(());
    }
    if tiny::run(isa, gemm) {
        return Ok(());
    }
    let grid = Grid::new((m, n, k), gemm.threads);
    if grid.parts() == 1 && one_row::run(isa, gemm) {
        return Ok(());
    }
    let &mut Gemm { a, b, ref mut c, alpha, start, ref mut epilogue, threads, .. } = gemm;
    let epilogue = epilogue.as_deref_mut();
    let length = scratch.len();
    let too_short = || ShapeError::Length {
        argument: "scratch",
        expected: parallel_scratch_len::<E>(isa, (m, n, k), threads),
        actual: length,
    };
    let c_strides = (c.shape().row_stride, c.shape().column_stride);
    let shared = SharedC(c.data().as_mut_ptr());
    let part = |rows, columns| Part {
        isa,
        a,
        b,
        c: (shared.get(), c_strides),
        alpha,
        start,
        turned: false,
        rows,
        columns,
    };
    if grid.parts() == 1 {
        let all = Multiplication { part: part(0..m, 0..n), epilogue, scratch };
        // SAFETY: the shapes and the ISA were checked; C is borrowed for as long as this runs.
        return if unsafe { all.run() } { Ok(()) } else { Err(too_short()) };
    }
    if length < parallel_scratch_len::<E>(isa, (m, n, k), threads) {
        return Err(too_short());
    }
    let (rows, columns) = (m.div_ceil(grid.rows), part_columns(n, grid));
    let share = scratch.len() / grid.parts();
    let run = |(at, scratch)| {
        let (i, j) = (at / grid.columns * rows, at % grid.columns * columns);
        if i >= m || j >= n {
            return true;
        }
        let part = part(i..(i + rows).min(m), j..(j + columns).min(n));
        // SAFETY: the shapes and the ISA were checked; C is borrowed for as long as this runs, and no
        // two parts share an element; columns begin at a multiple of every NR.
        unsafe { Multiplication { part, epilogue: None, scratch }.run() }
    };
    let shares = scratch.par_chunks_mut(share).take(grid.parts()).enumerate();
    if !shares.map(run).reduce(|| true, |one, other| one & other) {
        return Err(too_short());
    }
    if let Some(epilogue) = epilogue {
        epilogue.finish(isa, 0, 0, c.reborrow());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Grid;

    #[test]
    fn the_grid_follows_the_work_and_the_shape() {
        let grid = |shape, threads| {
            let Grid { rows, columns } = Grid::new(shape, threads);
            (rows, columns)
        };
        assert_eq!(grid((usize::MAX / 2, 1, 1), usize::MAX), (super::MOST_THREADS, 1));
        assert_eq!(grid((64, 64, 64), 8), (1, 1));
        assert_eq!(grid((96, 96, 96), 8), (2, 1));
        assert_eq!(grid((1, 512, 784), 2), (1, 2));
        assert_eq!(grid((1, 512, 10), 2), (1, 1));
        assert_eq!(grid((64, 512, 784), 1), (1, 1));
        assert_eq!(grid((64, 512, 784), 2), (1, 2));
        assert_eq!(grid((512, 512, 32), 2), (2, 1));
        assert_eq!(grid((4096, 10, 512), 2), (2, 1));
        assert_eq!(grid((1024, 1024, 1024), 4), (1, 4));
        assert_eq!(grid((0, 5, 5), 4), (1, 1));
        assert_eq!(grid((usize::MAX, 1, 1), 3), (3, 1));
    }
}
