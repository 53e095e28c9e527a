//! The loop of kernels that treat each element by itself.

use crate::dispatch::Kernel;
use crate::lanes::{Lanes, Simd};
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
    isa.run(Strip { update, x, y });
}

struct Strip<'a, E, U> {
    update: U,
    x: Option<MatRef<'a, E>>,
    y: MatMut<'a, E>,
}

/// Elements that are not neighbours are brought together in buffers of this size.
const BUFFER: usize = 32;

impl<E: Element, U: Update> Kernel for Strip<'_, E, U> {
    type Output = ();

    /// There is one call of [`row`], so that the function is compiled once for all layouts.
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { update, mut x, mut y } = self;
        if y.shape().row_stride == 1 && y.shape().column_stride != 1 {
            x = x.map(MatRef::transposed);
            y = y.transposed();
        }
        let columns = y.columns();
        let is_row = |stride| stride == 1 || columns <= 1;
        let in_rows =
            is_row(y.shape().column_stride) && x.is_none_or(|x| is_row(x.shape().column_stride));
        let block = if in_rows { columns } else { BUFFER };
        let mut buffers = [[E::ZERO; BUFFER]; 2];
        for i in 0..y.rows() {
            let mut start = 0;
            while start < columns {
                let count = block.min(columns - start);
                let [x_buffer, y_buffer] = &mut buffers;
                let (x_row, y_row) = if in_rows {
                    let x_row = x.map(|x| &x.data()[i * x.shape().row_stride..][..count]);
                    let offset = i * y.shape().row_stride;
                    (x_row, &mut y.data()[offset..][..count])
                } else {
                    for j in 0..count {
                        y_buffer[j] = *y.at(i, start + j);
                        if let Some(x) = x {
                            x_buffer[j] = x.at(i, start + j);
                        }
                    }
                    (x.map(|_| &x_buffer[..count]), &mut y_buffer[..count])
                };
                row::<E::Lanes<S>, U>(simd, update, x_row, y_row);
                if !in_rows {
                    for (j, &value) in y_buffer[..count].iter().enumerate() {
                        *y.at(i, start + j) = value;
                    }
                }
                start += count;
            }
        }
    }
}

/// One body for whole registers and for the rest: a branch that is predicted costs less than the
/// function compiled twice.
#[inline(always)]
fn row<V: Lanes, U: Update>(
    simd: V::Simd,
    update: U,
    x: Option<&[V::Element]>,
    y: &mut [V::Element],
) {
    for (i, y) in y.chunks_mut(V::LEN).enumerate() {
        let old = load::<V>(simd, y);
        let given = match x {
            Some(x) => load::<V>(simd, &x[i * V::LEN..][..y.len()]),
            None => old,
        };
        let new = update.update(given, old);
        if y.len() == V::LEN { new.store(y) } else { new.store_partial(y) }
    }
}

/// A register, or what there is of one.
#[inline(always)]
fn load<V: Lanes>(simd: V::Simd, from: &[V::Element]) -> V {
    if from.len() == V::LEN { V::load(simd, from) } else { V::load_partial(simd, from) }
}
