//! Some rows times a matrix whose columns are contiguous: x Wᵀ of a small batch.
//!
//! To read Wᵀ in rows, all of it would have to be transposed. It is x that is transposed instead,
//! and each finished tile of Cᵀ = W xᵀ back, which moves fewer elements as long as the rows are
//! few.

use super::blocking::{half_of_l2, is_aliased};
use super::driver::Part;
use super::micro_kernel::{MicroKernels, Tile};
use super::packing::pack_columns;
use super::{Epilogue, Right, Start};
use crate::Element;
use crate::lanes::{Lanes, Transpose};
use core::ptr;

/// Strips of W that are finished before the epilogue sees them.
const STRIPS_AT_ONCE: usize = 8;

/// With fewer rows or steps than this it does not pay.
const LEAST_ROWS: usize = 5;
const LEAST_STEPS: usize = 16;

/// To transpose an element takes about as long as to multiply it with so many rows.
const TRANSPOSITION: usize = 5;

/// A tile of one vector that has no more rows than one of two takes the time of so many more.
const FEW_CHAINS: usize = 3;

/// Of rows of W that share a set of the L1 cache, it keeps just so many beside what else it is
/// asked for.
const ALIASED_ROWS: usize = 6;

/// Where the parts of the scratch space lie, in elements.
pub(super) struct Room {
    panels: usize,
    tile: usize,
}

impl Room {
    /// The room for a product of so many rows and steps.
    #[inline(always)]
    fn new<V: MicroKernels>(rows: usize, k: usize) -> Self {
        let panels = rows.next_multiple_of(panel_columns::<V>(rows)) * k;
        Self { panels, tile: Self::tile::<V>(strip_rows::<V>(rows)) }
    }

    #[inline(always)]
    fn tile<V: MicroKernels>(rows: usize) -> usize {
        let side = <V::Transposer as Lanes>::LEN;
        rows.next_multiple_of(side) * V::VECTORS * V::LEN
    }

    /// Elements of both parts together.
    pub(super) fn total(&self) -> usize {
        self.panels + self.tile
    }

    /// The most room that a product of at most these sizes takes, if it is one for
    /// [`multiply_few_rows`].
    #[inline(always)]
    pub(super) fn most<V: MicroKernels>((m, n, k): (usize, usize, usize)) -> usize {
        let rows = m.min(cheaper_rows(n, k));
        if rows < LEAST_ROWS || k < LEAST_STEPS {
            return 0;
        }
        let panels = rows.next_multiple_of(V::VECTORS * V::LEN).saturating_mul(k);
        // With fewer steps there may be more rows, but not more elements.
        panels.min(cached::<V>()) + Self::tile::<V>(V::NARROW_ROWS.max(V::ROWS))
    }
}

/// The columns of a panel of xᵀ: no idle register, or it would take twice the lines of L1.
#[inline(always)]
fn panel_columns<V: MicroKernels>(rows: usize) -> usize {
    if rows <= V::LEN { V::LEN } else { V::VECTORS * V::LEN }
}

/// Rows of W in a tile, whose columns are so many rows of x.
#[inline(always)]
fn strip_rows<V: MicroKernels>(rows: usize) -> usize {
    if rows <= V::LEN { V::NARROW_ROWS } else { V::ROWS }
}

/// The most rows of which x and C are transposed sooner than W.
#[inline(always)]
fn cheaper_rows(n: usize, k: usize) -> usize {
    n.saturating_mul(k) / n.saturating_mul(2).saturating_add(k)
}

/// Elements of xᵀ that stay in L2.
#[inline(always)]
fn cached<V: Lanes>() -> usize {
    half_of_l2() / size_of::<V::Element>()
}

/// The most rows that are few: transposing x and C costs less than transposing W, and xᵀ stays in
/// L2.
#[inline(always)]
fn most_rows<V: MicroKernels>(n: usize, k: usize) -> usize {
    if k < LEAST_STEPS {
        return 0;
    }
    let nr = V::VECTORS * V::LEN;
    cheaper_rows(n, k).min(cached::<V>() / k / nr * nr)
}

/// Whether so many rows are few enough, even if some lanes are idle.
#[inline(always)]
fn pays<V: MicroKernels>((m, n, k): (usize, usize, usize)) -> bool {
    if !(LEAST_ROWS..=most_rows::<V>(n, k)).contains(&m) {
        return false;
    }
    let vectors = m.div_ceil(V::LEN);
    let few_chains = vectors > 1 && !vectors.is_multiple_of(V::VECTORS) && V::NARROW_ROWS > V::ROWS;
    let lost = vectors * V::LEN - m + if few_chains { FEW_CHAINS } else { 0 };
    // m and k are small where this does not overflow, and n is no matter where it does.
    let moved = (m * k).saturating_add((2 * m).saturating_mul(n));
    let area = n.saturating_mul(k);
    lost < TRANSPOSITION
        && moved.saturating_mul(TRANSPOSITION) <= area.saturating_mul(TRANSPOSITION - lost)
}

impl<E: Element> Part<'_, E> {
    /// W's first element and the distance to its next row, if this is a product for
    /// [`multiply_few_rows`].
    #[inline(always)]
    pub(super) fn rows_of_weights<V: MicroKernels<Element = E>>(
        &self,
    ) -> Option<((*const E, usize), Room)> {
        let (m, n, k) = (self.rows.len(), self.columns.len(), self.a.columns());
        let Right::Strided(b) = self.b else { return None };
        let fits = !self.turned
            && b.shape().row_stride == 1
            && self.a.shape().column_stride == 1
            && self.c.1.1 == 1
            && self.alpha == E::ONE
            && matches!(self.start, Start::Zero | Start::Row(_))
            && pays::<V>((m, n, k));
        fits.then(|| ((b.data().as_ptr(), b.shape().column_stride), Room::new::<V>(m, k)))
    }
}

/// Computes the part, whose B has contiguous columns: the first element, and the distance to the
/// next column.
///
/// # Safety
/// As [`Multiplication::run`](super::driver::Multiplication::run), with any first column; the part
/// is one that [`Part::rows_of_weights`] gave the columns and the room for, and `scratch` is valid
/// for reads and writes of that.
#[inline(always)]
pub(super) unsafe fn multiply_few_rows<V: MicroKernels>(
    simd: V::Simd,
    part: &Part<'_, V::Element>,
    (weights, stride): (*const V::Element, usize),
    room: Room,
    mut epilogue: Option<&mut dyn Epilogue<V::Element>>,
    scratch: *mut V::Element,
) {
    let k = part.a.columns();
    let m = part.rows.len();
    let nr = panel_columns::<V>(m);
    let spare = scratch.wrapping_add(room.panels);
    let aliased = is_aliased::<V::Element>(stride);
    let strip = strip_rows::<V>(m).min(if aliased { ALIASED_ROWS } else { usize::MAX });
    let a_stride = part.a.shape().row_stride;
    let x = part.a.data().as_ptr().wrapping_add(part.rows.start * a_stride);
    // SAFETY: x lies within A, whose view was checked on construction; there is room for its
    // panels.
    unsafe {
        let simd = V::transposer(simd);
        pack_columns::<V::Transposer>(simd, (x, a_stride), (k, m), scratch, nr);
    }
    let (mut j, mut finished, mut strips) = (part.columns.start, part.columns.start, 0);
    while j < part.columns.end {
        let left = part.columns.end - j;
        let columns = left.div_ceil(left.div_ceil(strip));
        for i in (0..m).step_by(nr) {
            let rows = nr.min(m - i);
            let mut start = ptr::null();
            if let Start::Row(row) = part.start {
                for (at, &element) in row[j..j + columns].iter().enumerate() {
                    for lane in (0..nr).step_by(V::LEN) {
                        // SAFETY: the spare tile has so many rows of a panel's width.
                        unsafe {
                            V::splat_in(simd, element).store_ptr(spare.add(at * nr + lane));
                        }
                    }
                }
                start = spare.cast_const();
            }
            let tile = Tile {
                k,
                a: weights.wrapping_add(j * stride),
                a_row_stride: stride,
                a_k_stride: 1,
                b: scratch.wrapping_add(i * k),
                b_k_stride: nr,
                b_panel_stride: nr * k,
                start,
                start_row_stride: nr,
                c: spare,
                c_row_stride: nr,
            };
            // SAFETY: W has these rows, the panel these columns up to whole vectors, and the spare
            // tile both; C's rows are contiguous, and its columns up to the part's last are ours.
            unsafe {
                V::multiply(simd, columns, rows.div_ceil(V::LEN), 1, tile);
                let to = (part.c_at(part.rows.start + i, j), part.c.1.0);
                let tile = (spare.cast_const(), nr, columns);
                store_transposed::<V::Transposer>(V::transposer(simd), tile, to, (rows, left));
            }
        }
        j += columns;
        strips += 1;
        if let Some(epilogue) = &mut epilogue
            && (strips == STRIPS_AT_ONCE || j == part.columns.end)
        {
            // SAFETY: C is ours for as long as this runs, and neither rows nor columns are 0.
            unsafe { part.finish(&mut **epilogue, part.rows.clone(), finished..j) };
            (finished, strips) = (j, 0);
        }
    }
}

/// Writes the first `rows` columns of a tile as rows: of each, `columns` elements, and perhaps more
/// after them that are still to be written, but none from `left` on.
///
/// # Safety
/// The tile is valid for reads of `columns` rows, rounded up to whole squares, of `rows` elements,
/// rounded up too. `to` is valid for writes of `rows` rows of `left` ≥ `columns` elements.
#[inline(always)]
unsafe fn store_transposed<T: Transpose>(
    simd: T::Simd,
    (tile, tile_stride, columns): (*const T::Element, usize, usize),
    (to, stride): (*mut T::Element, usize),
    (rows, left): (usize, usize),
) {
    for i in (0..rows).step_by(T::LEN) {
        for j in (0..columns).step_by(T::LEN) {
            // SAFETY: as the caller promises.
            unsafe {
                let square = T::load_transposed(simd, tile.add(j * tile_stride + i), tile_stride);
                let there = T::LEN.min(left - j);
                for (r, lanes) in square.as_ref().iter().enumerate().take(rows - i) {
                    let to = to.add((i + r) * stride + j);
                    if there == T::LEN {
                        lanes.store_ptr(to);
                    } else {
                        lanes.store_ptr_partial(to, there);
                    }
                }
            }
        }
    }
}
