//! Sums down the columns of a matrix.

use super::fixed_tree::LANES;
use crate::dispatch::Kernel;
use crate::error::check_length;
use crate::lanes::{Lanes, Simd};
use crate::lockstep::{FAR, FAR_AHEAD, each, stretches};
use crate::{Element, Isa, MatRef, ShapeError};
use core::ops::Range;

/// Rows that [`add_column_sums`] sums before it adds them to the total.
///
/// ```
/// use deltarule_kernels::{Isa, MatRef, reduce::{PIECE_ROWS, add_column_sums}};
/// let x: Vec<f32> = (1..=100).map(|i| 1.0 / i as f32).collect();
/// let (mut whole, mut blocks) = ([0.0], [0.0]);
/// add_column_sums(Isa::detect(), MatRef::new(&x, 100, 1)?, &mut whole)?;
/// for block in x.chunks(2 * PIECE_ROWS) {
///     add_column_sums(Isa::detect(), MatRef::new(block, block.len(), 1)?, &mut blocks)?;
/// }
/// assert_eq!(whole, blocks); // bit for bit
/// # Ok::<(), deltarule_kernels::ShapeError>(())
/// ```
pub const PIECE_ROWS: usize = 32;

/// `sums[j] += Σᵢ xᵢⱼ`: ∂ℒ/∂b of a batch of δ.
///
/// The rows are cut in pieces of [`PIECE_ROWS`]; each is summed from +0, row after row, and the
/// pieces' sums are added to `sums` in order. So calls on successive blocks of rows give the bits
/// of one call on all of them, if every block but the last has a multiple of [`PIECE_ROWS`] rows;
/// and a column's sum does not depend on the other columns or on the strides.
///
/// ```
/// use deltarule_kernels::{Isa, MatRef, reduce::add_column_sums};
/// let delta = MatRef::new(&[1.0f32, 2.0, 3.0, 4.0], 2, 2)?;
/// let mut gradient = [10.0, 20.0];
/// add_column_sums(Isa::detect(), delta, &mut gradient)?;
/// assert_eq!(gradient, [14.0, 26.0]);
/// # Ok::<(), deltarule_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError`] if `sums` does not have an element for each column.
pub fn add_column_sums<E: Element>(
    isa: Isa,
    x: MatRef<'_, E>,
    sums: &mut [E],
) -> Result<(), ShapeError> {
    check_length("sums", sums, x.columns())?;
    // Rows without elements may be very many.
    if !sums.is_empty() {
        E::add_column_sums(isa, x, sums);
    }
    Ok(())
}

/// A single row of at most so many columns is over before a kernel has come to it.
const FEW_COLUMNS: usize = 64;

pub(super) fn add<E: Element>(isa: Isa, x: MatRef<'_, E>, sums: &mut [E]) {
    if x.rows() == 1 && x.columns() <= FEW_COLUMNS && x.shape().column_stride == 1 {
        for (sum, &x) in sums.iter_mut().zip(x.data()) {
            // From +0 on, as the kernel does.
            *sum += E::ZERO + x;
        }
        return;
    }
    isa.run(AddColumnSums { x, sums });
}

struct AddColumnSums<'a, E> {
    x: MatRef<'a, E>,
    sums: &'a mut [E],
}

impl<E: Element> Kernel for AddColumnSums<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        add_columns::<S, E, _, 1, 0, 1, 8>(
            simd,
            Values,
            [self.x],
            [],
            [self.sums],
            is_far(&self.x),
        );
    }
}

/// x.
#[derive(Clone, Copy)]
struct Values;

impl<E: Element> ColumnTerms<E, 1, 0, 1> for Values {
    #[inline(always)]
    fn add<V: Lanes<Element = E>>(
        self,
        _row: usize,
        [x]: [V; 1],
        []: [V; 0],
        [sum]: [V; 1],
    ) -> [V; 1] {
        [sum + x]
    }
}

/// Makes the terms of `S` sums a column from `R` matrices of one shape and `C` slices with an
/// element a column.
pub(crate) trait ColumnTerms<E: Element, const R: usize, const C: usize, const S: usize>:
    Copy
{
    /// `sums` plus the terms of some neighbouring columns of a row.
    fn add<V: Lanes<Element = E>>(
        self,
        row: usize,
        values: [V; R],
        of_column: [V; C],
        sums: [V; S],
    ) -> [V; S];
}

/// Adds the terms of every row to `sums`, in the order of [`add_column_sums`]. `K` registers go
/// side by side, because each is one chain of additions that wait for each other. What is far is in
/// no cache yet.
#[inline(always)]
pub(crate) fn add_columns<
    I: Simd,
    E: Element,
    T: ColumnTerms<E, R, C, S>,
    const R: usize,
    const C: usize,
    const S: usize,
    const K: usize,
>(
    simd: I,
    terms: T,
    values: [MatRef<'_, E>; R],
    of_column: [&[E]; C],
    mut sums: [&mut [E]; S],
    is_far: bool,
) {
    let (rows, columns) = (values[0].rows(), values[0].columns());
    let len = E::Lanes::<I>::LEN;
    let zero = E::Lanes::splat_in(simd, E::ZERO);
    let contiguous = values.iter().all(|matrix| matrix.shape().column_stride == 1);
    if contiguous && is_far && columns >= LEAST_FAR {
        return add_columns_from_afar(simd, terms, values, of_column, sums);
    }
    let in_strips = if contiguous { columns - columns % (K * len) } else { 0 };
    for first in (0..rows).step_by(PIECE_ROWS) {
        let rows = first..rows.min(first + PIECE_ROWS);
        for j in (0..in_strips).step_by(K * len) {
            let strip_sums =
                sum_strip::<I, E, T, R, C, S, K>(simd, terms, &values, &of_column, &rows, j);
            for (k, register) in strip_sums.into_iter().enumerate() {
                add_to_totals(simd, register, j + k * len..j + (k + 1) * len, &mut sums);
            }
        }
        let mut j = in_strips;
        while j < columns {
            let end = columns.min(j + len);
            let column = each!(i < C, zero => load_part(simd, &of_column[i][j..end]));
            let mut part_sums = [zero; S];
            let mut row = rows.start;
            while row < rows.end {
                let x = each!(i < R, zero => load_row(simd, values[i], row, j..end));
                part_sums = terms.add(row, x, column, part_sums);
                row += 1;
            }
            add_to_totals(simd, part_sums, j..end, &mut sums);
            j = end;
        }
    }
}

/// The sums of a piece of rows, of `K` registers of contiguous columns from `first` on.
///
/// A row's columns are one slice of a length that the compiler knows, so nothing is left to check
/// for a register.
#[inline(always)]
fn sum_strip<
    I: Simd,
    E: Element,
    T: ColumnTerms<E, R, C, S>,
    const R: usize,
    const C: usize,
    const S: usize,
    const K: usize,
>(
    simd: I,
    terms: T,
    values: &[MatRef<'_, E>; R],
    of_column: &[&[E]; C],
    rows: &Range<usize>,
    first: usize,
) -> [[E::Lanes<I>; S]; K] {
    let len = E::Lanes::<I>::LEN;
    let zero = E::Lanes::splat_in(simd, E::ZERO);
    let constants = stretches(of_column, first, K * len);
    let mut registers = [[zero; S]; K];
    let mut row = rows.start;
    while row < rows.end {
        let slices = row_stretches(values, row, first, K * len);
        let mut k = 0;
        while k < K {
            let (start, end) = (k * len, (k + 1) * len);
            let x = each!(i < R, zero => E::Lanes::load(simd, &slices[i][start..end]));
            let column = each!(i < C, zero => E::Lanes::load(simd, &constants[i][start..end]));
            registers[k] = terms.add(row, x, column, registers[k]);
            k += 1;
        }
        row += 1;
    }
    registers
}

/// [`stretches`] of a row of matrices whose columns are contiguous.
#[inline(always)]
fn row_stretches<'a, E: Element, const N: usize>(
    matrices: &[MatRef<'a, E>; N],
    row: usize,
    first: usize,
    count: usize,
) -> [&'a [E]; N] {
    let none: &[E] = &[];
    each!(i < N, none => {
        let start = row * matrices[i].shape().row_stride + first;
        &matrices[i].data()[start..start + count]
    })
}

/// Whether a matrix is hardly in a core's own caches.
#[inline(always)]
pub(crate) fn is_far<E: Element>(x: &MatRef<'_, E>) -> bool {
    x.rows() * x.columns() * size_of::<E>() >= FAR
}

/// Columns whose sums of a piece of rows stay in the L1 cache.
const WIDTH: usize = 1024;
/// Narrower rows would wait for the sums that the row before them has just stored.
const LEAST_FAR: usize = 128;

/// [`add_columns`] of wide matrices that are in no cache, and whose columns are contiguous.
#[inline(always)]
pub(crate) fn add_columns_from_afar<
    I: Simd,
    E: Element,
    T: ColumnTerms<E, R, C, S>,
    const R: usize,
    const C: usize,
    const S: usize,
>(
    simd: I,
    terms: T,
    values: [MatRef<'_, E>; R],
    of_column: [&[E]; C],
    mut sums: [&mut [E]; S],
) {
    let columns = values[0].columns();
    for first in (0..columns).step_by(WIDTH) {
        let columns = first..columns.min(first + WIDTH);
        add_from_afar(simd, terms, &values, &of_column, &mut sums, columns);
    }
}

/// [`add_columns`] of at most [`WIDTH`] contiguous columns of matrices that are in no cache: row
/// after row, as memory likes it, and what comes is asked for before its use.
#[inline(always)]
fn add_from_afar<
    I: Simd,
    E: Element,
    T: ColumnTerms<E, R, C, S>,
    const R: usize,
    const C: usize,
    const S: usize,
>(
    simd: I,
    terms: T,
    values: &[MatRef<'_, E>; R],
    of_column: &[&[E]; C],
    sums: &mut [&mut [E]; S],
    columns: Range<usize>,
) {
    let len = E::Lanes::<I>::LEN;
    let zero = E::Lanes::splat_in(simd, E::ZERO);
    let width = columns.len();
    let constants = stretches(of_column, columns.start, width);
    let mut piece = [[E::ZERO; WIDTH]; S];
    let rows = values[0].rows();
    for row in 0..rows {
        let begins = row % PIECE_ROWS == 0;
        let ends = (row + 1) % PIECE_ROWS == 0 || row + 1 == rows;
        let slices = row_stretches(values, row, columns.start, width);
        let mut at = 0;
        while at < width {
            let end = width.min(at + len);
            let x = each!(i < R, zero => {
                simd.prefetch(slices[i].as_ptr().wrapping_add(at + FAR_AHEAD / size_of::<E>()));
                load_part(simd, &slices[i][at..end])
            });
            let column = each!(i < C, zero => load_part(simd, &constants[i][at..end]));
            let mut before = [zero; S];
            if !begins {
                before = each!(i < S, zero => E::Lanes::load(simd, &piece[i][at..at + len]));
            }
            let after = terms.add(row, x, column, before);
            if ends {
                add_to_totals(simd, after, columns.start + at..columns.start + end, sums);
            } else {
                let mut i = 0;
                while i < S {
                    after[i].store(&mut piece[i][at..at + len]);
                    i += 1;
                }
            }
            at = end;
        }
    }
}

/// Adds a piece's sums of some columns, a register at most, to those of all pieces.
#[inline(always)]
fn add_to_totals<I: Simd, E: Element, const S: usize>(
    simd: I,
    piece: [E::Lanes<I>; S],
    columns: Range<usize>,
    sums: &mut [&mut [E]; S],
) {
    let mut i = 0;
    while i < S {
        let total = &mut sums[i][columns.start..columns.end];
        let sum = load_part(simd, total) + piece[i];
        if total.len() == E::Lanes::<I>::LEN {
            sum.store(total)
        } else {
            sum.store_partial(total)
        }
        i += 1;
    }
}

/// At most a register.
#[inline(always)]
fn load_part<S: Simd, E: Element>(simd: S, slice: &[E]) -> E::Lanes<S> {
    if slice.len() == E::Lanes::<S>::LEN {
        E::Lanes::load(simd, slice)
    } else {
        E::Lanes::load_partial(simd, slice)
    }
}

/// At most a register of a matrix row, at any strides.
#[inline(always)]
fn load_row<S: Simd, E: Element>(
    simd: S,
    x: MatRef<'_, E>,
    row: usize,
    columns: Range<usize>,
) -> E::Lanes<S> {
    if x.shape().column_stride == 1 {
        let start = row * x.shape().row_stride;
        return load_part(simd, &x.data()[start + columns.start..start + columns.end]);
    }
    let mut gathered = [E::ZERO; LANES];
    for (lane, column) in gathered.iter_mut().zip(columns) {
        *lane = x.at(row, column);
    }
    E::Lanes::load(simd, &gathered)
}
