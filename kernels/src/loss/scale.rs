//! What a row's loss is multiplied by.

use crate::error::check_length;
use crate::lanes::Lanes;
use crate::{Element, ShapeError};
use core::ops::Range;

/// What a row's loss and its δ are multiplied by: one factor, or a factor and a weight a row.
///
/// ```
/// use deltarule_kernels::loss::Scale;
/// let mean: Scale<'_, f32> = (1.0 / 64.0).into();
/// // A weighted mean: the factor is 1/Σ weights.
/// let weights = [1.0, 1.0, 2.0];
/// let weighted = Scale::weighted(0.25, &weights);
/// # let _ = (mean, weighted);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scale<'a, E> {
    pub(super) factor: E,
    pub(super) weights: Option<&'a [E]>,
}

impl<'a, E: Element> Scale<'a, E> {
    /// Row i is multiplied by `factor · weights[i]`.
    ///
    /// ```
    /// use deltarule_kernels::{Isa, loss::{Scale, squared_error}};
    /// let (mut losses, mut delta) = ([0.0f32; 2], [0.0; 2]);
    /// let scale = Scale::weighted(0.25, &[1.0, 3.0]);
    /// let (isa, y, zeros) = (Isa::detect(), [2.0, 2.0], [0.0, 0.0]);
    /// squared_error(isa, (2, 1), &y, &zeros, scale, &mut losses, &mut delta)?;
    /// assert_eq!((losses, delta), ([1.0, 3.0], [1.0, 3.0]));
    /// # Ok::<(), deltarule_kernels::ShapeError>(())
    /// ```
    pub fn weighted(factor: E, weights: &'a [E]) -> Self {
        Self { factor, weights: Some(weights) }
    }

    #[inline(always)]
    pub(super) fn of_row(&self, row: usize) -> E {
        match self.weights {
            Some(weights) => self.factor * weights[row],
            None => self.factor,
        }
    }

    /// What all rows are multiplied by, whatever their weights.
    #[inline(always)]
    pub(super) fn of_all(&self) -> E {
        self.factor
    }

    /// Puts [`Scale::of_row`] of some rows in the places of their elements, unless there are no
    /// weights: then [`Scale::of_all`] is there already.
    #[inline(always)]
    pub(super) fn spread(&self, rows: Range<usize>, columns: usize, to: &mut [E]) {
        if let Some(weights) = self.weights {
            for (row, weight) in to.chunks_exact_mut(columns).zip(&weights[rows]) {
                row.fill(self.factor * *weight);
            }
        }
    }

    /// [`Scale::of_row`] for `count` rows from `first` on, a lane a row.
    #[inline(always)]
    pub(super) fn of_rows<V: Lanes<Element = E>>(
        &self,
        simd: V::Simd,
        first: usize,
        count: usize,
    ) -> V {
        let factor = V::splat_in(simd, self.factor);
        match self.weights {
            Some(weights) => factor * V::load_partial(simd, &weights[first..first + count]),
            None => factor,
        }
    }

    pub(super) fn check(&self, rows: usize) -> Result<(), ShapeError> {
        self.weights.map_or(Ok(()), |weights| check_length("scale.weights", weights, rows))
    }
}

impl<E: Element> From<E> for Scale<'_, E> {
    fn from(factor: E) -> Self {
        Self { factor, weights: None }
    }
}
