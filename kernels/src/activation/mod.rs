//! Activation functions and their derivatives.

use crate::error::check_length;
use crate::{Element, Isa, MatMut, MatRef, ShapeError, reference};

/// An activation function σ.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Activation {
    /// x
    Identity,
    /// 1 / (1 + e⁻ˣ)
    Sigmoid,
    /// tanh x
    Tanh,
    /// max(0, x)
    Relu,
}

/// What an activation's derivative is computed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DerivativeFrom {
    /// The input x: the forward pass has to keep z.
    Input,
    /// The output y = σ(x): the forward pass has to keep only a.
    Output,
}

impl Activation {
    /// Which of z and a the forward pass has to keep for [`Activation::backward`].
    pub fn derivative_from(self) -> DerivativeFrom {
        DerivativeFrom::Output
    }

    /// y = σ(x).
    ///
    /// # Errors
    /// [`ShapeError::Length`] if the slices differ in length.
    pub fn forward<E: Element>(self, _isa: Isa, x: &[E], y: &mut [E]) -> Result<(), ShapeError> {
        check_length("y", y, x.len())?;
        for (y, &x) in y.iter_mut().zip(x) {
            *y = E::from_f64(reference::activation(self, x.to_f64()));
        }
        Ok(())
    }

    /// y ← σ(y).
    pub fn forward_in_place<E: Element>(self, _isa: Isa, y: &mut [E]) {
        for y in y {
            *y = E::from_f64(reference::activation(self, y.to_f64()));
        }
    }

    /// δ ← δ ⊙ σ′, σ′ from x or y as [`Activation::derivative_from`] says.
    ///
    /// # Errors
    /// [`ShapeError::Length`] if the slices differ in length.
    pub fn backward<E: Element>(
        self,
        _isa: Isa,
        stored: &[E],
        delta: &mut [E],
    ) -> Result<(), ShapeError> {
        check_length("delta", delta, stored.len())?;
        for (d, &s) in delta.iter_mut().zip(stored) {
            *d = *d * E::from_f64(reference::activation_derivative(self, s.to_f64()));
        }
        Ok(())
    }

    /// [`Activation::forward_in_place`] on a strip of a matrix.
    pub(crate) fn forward_strip<E: Element>(self, isa: Isa, strip: &mut MatMut<'_, E>) {
        for i in 0..strip.rows() {
            for j in 0..strip.columns() {
                self.forward_in_place(isa, core::slice::from_mut(strip.at(i, j)));
            }
        }
    }

    /// [`Activation::backward`] on a strip of a matrix whose first element is `stored`'s `origin`.
    pub(crate) fn backward_strip<E: Element>(
        self,
        _isa: Isa,
        stored: MatRef<'_, E>,
        origin: (usize, usize),
        strip: &mut MatMut<'_, E>,
    ) {
        for i in 0..strip.rows() {
            for j in 0..strip.columns() {
                let s = stored.at(origin.0 + i, origin.1 + j).to_f64();
                let d = strip.at(i, j);
                *d = *d * E::from_f64(reference::activation_derivative(self, s));
            }
        }
    }
}
