//! The loop of kernels that treat each element by itself.

use crate::dispatch::Kernel;
use crate::lanes::{Lanes, Simd};
use crate::lockstep::{AHEAD, FAR, LINE};
use crate::{Element, Isa, MatMut, MatRef};

/// What is done to each element of y, given the element of x at the same place.
pub(crate) trait Update: Copy {
    /// Whether the new y depends on the old one, which is not read otherwise.
    const READS_TARGET: bool;

    /// The new y.
    fn update<V: Lanes>(self, x: V, y: V) -> V;
}

/// y ← update(x, y), or y ← update(y, y) if there is no x. The matrices have one shape.
pub(crate) fn update<E: Element, U: Update>(
    isa: Isa,
    update: U,
    x: Option<MatRef<'_, E>>,
    y: MatMut<'_, E>,
) {
    in_rows(x, y, &|x, y| isa.run(Rows { update, x, y }));
}

/// Elements that are not neighbours are brought together in buffers of this size.
const BUFFER: usize = 32;

/// What is done to matrices of one shape.
type OfMatrices<'f, E> = dyn Fn(Option<MatRef<'_, E>>, MatMut<'_, E>) + 'f;

/// Calls `update` for matrices in which the elements of a row are neighbours.
///
/// It knows neither function nor ISA, so that it is compiled once for all of them.
fn in_rows<E: Element>(
    mut x: Option<MatRef<'_, E>>,
    mut y: MatMut<'_, E>,
    update: &OfMatrices<'_, E>,
) {
    if y.shape().row_stride == 1 && y.shape().column_stride != 1 {
        x = x.map(MatRef::transposed);
        y = y.transposed();
    }
    if y.shape().is_packed() && x.is_none_or(|x| x.shape().is_packed()) {
        return update(x.map(MatRef::flattened), y.flattened());
    }
    let columns = y.columns();
    if y.shape().has_whole_rows() && x.is_none_or(|x| x.shape().has_whole_rows()) {
        return update(x, y);
    }
    let [mut x_buffer, mut y_buffer] = [[E::ZERO; BUFFER]; 2];
    for i in 0..y.rows() {
        for start in (0..columns).step_by(BUFFER) {
            let count = BUFFER.min(columns - start);
            let (x_row, y_row) = (&mut x_buffer[..count], &mut y_buffer[..count]);
            for j in 0..count {
                y_row[j] = *y.at(i, start + j);
                if let Some(x) = x {
                    x_row[j] = x.at(i, start + j);
                }
            }
            update(x.map(|_| MatRef::row(x_row)), MatMut::row(y_row));
            for (j, &value) in y_row.iter().enumerate() {
                *y.at(i, start + j) = value;
            }
        }
    }
}

/// Rows whose elements are neighbours.
struct Rows<'a, E, U> {
    update: U,
    x: Option<MatRef<'a, E>>,
    y: MatMut<'a, E>,
}

impl<E: Element, U: Update> Kernel for Rows<'_, E, U> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { update, x, mut y } = self;
        let (rows, columns) = (y.rows(), y.columns());
        for i in 0..rows {
            let x_row = x.map(|x| &x.data()[i * x.shape().row_stride..][..columns]);
            let offset = i * y.shape().row_stride;
            let y_row = &mut y.data()[offset..][..columns];
            row(simd, update, x_row, y_row);
        }
    }
}

/// Whole groups of registers, and then single ones.
#[inline(always)]
fn row<S: Simd, E: Element, U: Update>(simd: S, update: U, x: Option<&[E]>, y: &mut [E]) {
    let group = <E::Lanes<S> as Lanes>::Group::LEN;
    let (y_groups, y_rest) = y.split_at_mut(y.len() - y.len() % group);
    let x_rest = x.map(|x| &x[y_groups.len()..]);
    let is_far = size_of_val(y_groups) >= FAR;
    let mut x_groups = x.map(|x| x.chunks_exact(group));
    for y in y_groups.chunks_exact_mut(group) {
        let x = x_groups.as_mut().and_then(Iterator::next);
        if is_far {
            for at in (0..group).step_by(LINE / size_of::<E>()) {
                let next = at + AHEAD / size_of::<E>();
                simd.prefetch(y.as_ptr().wrapping_add(next));
                if let Some(x) = x {
                    simd.prefetch(x.as_ptr().wrapping_add(next));
                }
            }
        }
        let given = <E::Lanes<S> as Lanes>::Group::load(simd, x.unwrap_or(y));
        let old = if U::READS_TARGET { Lanes::load(simd, y) } else { given };
        update.update(given, old).store(y);
    }
    let len = E::Lanes::<S>::LEN;
    let mut x_registers = x_rest.map(|x| x.chunks(len));
    for y in y_rest.chunks_mut(len) {
        // There is one call of the function, for whole registers and for what is left of one.
        let is_whole = y.len() == len;
        let load = |slice: &[E]| {
            if is_whole { E::Lanes::load(simd, slice) } else { E::Lanes::load_partial(simd, slice) }
        };
        let old = load(y);
        let given = x_registers.as_mut().and_then(Iterator::next).map_or(old, load);
        let new = update.update(given, old);
        if is_whole { new.store(y) } else { new.store_partial(y) }
    }
}
