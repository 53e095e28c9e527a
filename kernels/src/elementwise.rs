//! The loop of kernels that treat each element by itself.

use crate::dispatch::Kernel;
use crate::lanes::{Lanes, Simd};
use crate::lockstep::{AHEAD, FAR, LINE};
use crate::{Element, Isa, MatMut, MatRef};

/// What is done to each element of y, given the element of x at the same place.
pub(crate) trait Update: Copy {
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

/// The buffers for x and y. Their alignment is that of the whole stack frame, so that registers
/// that are kept there do not cross cache lines.
#[repr(align(64))]
struct Buffers<E>([[E; BUFFER]; 2]);

/// Calls `update` for matrices in which the elements of a row are neighbours.
///
/// It knows neither function nor ISA, so that it is compiled once for all of them.
fn in_rows<E: Element>(
    mut x: Option<MatRef<'_, E>>,
    mut y: MatMut<'_, E>,
    update: &dyn Fn(Option<MatRef<'_, E>>, MatMut<'_, E>),
) {
    if y.shape().row_stride == 1 && y.shape().column_stride != 1 {
        x = x.map(MatRef::transposed);
        y = y.transposed();
    }
    if y.shape().is_packed() && x.is_none_or(|x| x.shape().is_packed()) {
        return update(x.map(MatRef::flattened), y.flattened());
    }
    let columns = y.columns();
    let is_row = |stride| stride == 1 || columns <= 1;
    if is_row(y.shape().column_stride) && x.is_none_or(|x| is_row(x.shape().column_stride)) {
        return update(x, y);
    }
    let Buffers([mut x_buffer, mut y_buffer]) = Buffers([[E::ZERO; BUFFER]; 2]);
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
            row::<<E::Lanes<S> as Lanes>::Group, U>(simd, update, x_row, y_row);
        }
    }
}

/// There is one call of the function, for whole groups of lanes and for what is left of one, which is
/// done in buffers of a group's length: so the loop loads to registers and nowhere else.
#[inline(always)]
fn row<V: Lanes, U: Update>(
    simd: V::Simd,
    update: U,
    x: Option<&[V::Element]>,
    y: &mut [V::Element],
) {
    assert!(V::LEN <= BUFFER);
    let (y_whole, y_rest) = y.split_at_mut(y.len() - y.len() % V::LEN);
    let count = y_rest.len();
    let x_parts = x.map(|x| x.split_at(y_whole.len()));
    let Buffers([mut x_buffer, mut y_buffer]) = Buffers([[V::Element::ZERO; BUFFER]; 2]);
    if count > 0 {
        V::load_partial(simd, y_rest).store(&mut y_buffer);
        if let Some((_, x_rest)) = x_parts {
            V::load_partial(simd, x_rest).store(&mut x_buffer);
        }
    }
    for is_rest in [false, true] {
        let (x, y) = if is_rest {
            let padded = if count > 0 { V::LEN } else { 0 };
            (x_parts.map(|_| &x_buffer[..padded]), &mut y_buffer[..padded])
        } else {
            (x_parts.map(|(x_whole, _)| x_whole), &mut *y_whole)
        };
        let mut x_groups = x.map(|x| x.chunks_exact(V::LEN));
        let is_far = size_of_val(y) >= FAR;
        for y in y.chunks_exact_mut(V::LEN) {
            let old = V::load(simd, y);
            let x = x_groups.as_mut().and_then(Iterator::next);
            if is_far {
                for at in (0..V::LEN).step_by(LINE / size_of::<V::Element>()) {
                    let next = at + AHEAD / size_of::<V::Element>();
                    simd.prefetch(y.as_ptr().wrapping_add(next));
                    if let Some(x) = x {
                        simd.prefetch(x.as_ptr().wrapping_add(next));
                    }
                }
            }
            let given = match x {
                Some(x) => V::load(simd, x),
                None => old,
            };
            update.update(given, old).store(y);
        }
    }
    if count > 0 {
        V::load(simd, &y_buffer).store_partial(y_rest);
    }
}
