//! The loops of kernels that treat each element by itself.

use crate::dispatch::Kernel;
use crate::lanes::{Lanes, Simd};
use crate::{Element, Isa, MatMut, MatRef};

/// What is done to each element of y, given the element of x at the same place.
pub(crate) trait Update: Copy {
    /// The new y.
    fn update<V: Lanes>(self, x: V, y: V) -> V;
}

/// y ← update(x, y). The slices have one length.
pub(crate) fn update<E: Element, U: Update>(isa: Isa, update: U, x: &[E], y: &mut [E]) {
    isa.run(Slices { update, x, y });
}

/// y ← update(y, y).
pub(crate) fn update_in_place<E: Element, U: Update>(isa: Isa, update: U, y: &mut [E]) {
    isa.run(InPlace { update, y });
}

/// y ← update(x, y). The matrices have one shape.
pub(crate) fn update_strip<E: Element, U: Update>(
    isa: Isa,
    update: U,
    x: MatRef<'_, E>,
    y: MatMut<'_, E>,
) {
    isa.run(Strip { update, x: Some(x), y });
}

/// y ← update(y, y).
pub(crate) fn update_strip_in_place<E: Element, U: Update>(isa: Isa, update: U, y: MatMut<'_, E>) {
    isa.run(Strip { update, x: None, y });
}

struct Slices<'a, E, U> {
    update: U,
    x: &'a [E],
    y: &'a mut [E],
}

impl<E: Element, U: Update> Kernel for Slices<'_, E, U> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        slices::<E::Lanes<S>, U>(simd, self.update, self.x, self.y);
    }
}

struct InPlace<'a, E, U> {
    update: U,
    y: &'a mut [E],
}

impl<E: Element, U: Update> Kernel for InPlace<'_, E, U> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        in_place::<E::Lanes<S>, U>(simd, self.update, self.y);
    }
}

struct Strip<'a, E, U> {
    update: U,
    /// y itself where there is none.
    x: Option<MatRef<'a, E>>,
    y: MatMut<'a, E>,
}

impl<E: Element, U: Update> Kernel for Strip<'_, E, U> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { update, mut x, mut y } = self;
        if y.shape().row_stride == 1 && y.shape().column_stride != 1 {
            x = x.map(MatRef::transposed);
            y = y.transposed();
        }
        let (rows, columns) = (y.rows(), y.columns());
        let in_rows =
            y.shape().column_stride == 1 && x.is_none_or(|x| x.shape().column_stride == 1);
        for i in 0..rows {
            if !in_rows {
                scattered_row::<E::Lanes<S>, U>(simd, update, x, &mut y, i);
                continue;
            }
            let start = i * y.shape().row_stride;
            let y = &mut y.data()[start..][..columns];
            match x {
                Some(x) => {
                    let x = &x.data()[i * x.shape().row_stride..][..columns];
                    slices::<E::Lanes<S>, U>(simd, update, x, y);
                }
                None => in_place::<E::Lanes<S>, U>(simd, update, y),
            }
        }
    }
}

#[inline(always)]
fn slices<V: Lanes, U: Update>(simd: V::Simd, update: U, x: &[V::Element], y: &mut [V::Element]) {
    let mut xs = x.chunks_exact(V::LEN);
    let mut ys = y.chunks_exact_mut(V::LEN);
    for (x, y) in xs.by_ref().zip(ys.by_ref()) {
        update.update(V::load(simd, x), V::load(simd, y)).store(y);
    }
    let (x, y) = (xs.remainder(), ys.into_remainder());
    if !y.is_empty() {
        let (x, old) = (V::load_partial(simd, x), V::load_partial(simd, y));
        update.update(x, old).store_partial(y);
    }
}

#[inline(always)]
fn in_place<V: Lanes, U: Update>(simd: V::Simd, update: U, y: &mut [V::Element]) {
    let mut ys = y.chunks_exact_mut(V::LEN);
    for y in ys.by_ref() {
        let old = V::load(simd, y);
        update.update(old, old).store(y);
    }
    let y = ys.into_remainder();
    if !y.is_empty() {
        let old = V::load_partial(simd, y);
        update.update(old, old).store_partial(y);
    }
}

/// Row i, whose elements are not neighbours, through a register's worth of neighbours.
#[inline(always)]
fn scattered_row<V: Lanes, U: Update>(
    simd: V::Simd,
    update: U,
    x: Option<MatRef<'_, V::Element>>,
    y: &mut MatMut<'_, V::Element>,
    i: usize,
) {
    let columns = y.columns();
    let mut start = 0;
    while start < columns {
        let count = V::LEN.min(columns - start);
        // No register has more lanes.
        let mut buffer = [V::Element::ZERO; 16];
        for (j, b) in buffer[..count].iter_mut().enumerate() {
            *b = *y.at(i, start + j);
        }
        let old = V::load(simd, &buffer);
        let mut given = old;
        if let Some(x) = x {
            for (j, b) in buffer[..count].iter_mut().enumerate() {
                *b = x.at(i, start + j);
            }
            given = V::load(simd, &buffer);
        }
        update.update(given, old).store(&mut buffer);
        for (j, &b) in buffer[..count].iter().enumerate() {
            *y.at(i, start + j) = b;
        }
        start += count;
    }
}
