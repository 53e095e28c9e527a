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
        if y.shape().is_packed() && x.is_none_or(|x| x.shape().is_packed()) {
            x = x.map(MatRef::flattened);
            y = y.flattened();
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

#[inline(always)]
fn row<V: Lanes, U: Update>(
    simd: V::Simd,
    update: U,
    x: Option<&[V::Element]>,
    y: &mut [V::Element],
) {
    let mut ys = y.chunks_exact_mut(V::LEN);
    let tail_start = match x {
        Some(x) => {
            let mut xs = x.chunks_exact(V::LEN);
            for (x, y) in xs.by_ref().zip(ys.by_ref()) {
                update.update(V::load(simd, x), V::load(simd, y)).store(y);
            }
            x.len() - xs.remainder().len()
        }
        None => {
            for y in ys.by_ref() {
                let old = V::load(simd, y);
                update.update(old, old).store(y);
            }
            0
        }
    };
    let y = ys.into_remainder();
    if !y.is_empty() {
        let old = V::load_partial(simd, y);
        let given = match x {
            Some(x) => V::load_partial(simd, &x[tail_start..]),
            None => old,
        };
        update.update(given, old).store_partial(y);
    }
}
