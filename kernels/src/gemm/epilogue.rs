//! What is done to a finished strip of C while it is in cache.

use super::check_size;
use crate::activation::Activation;
use crate::{Element, Isa, MatMut, MatRef, ShapeError};

/// An action on finished elements of C.
///
/// The strips that a product hands over are disjoint and cover C; their sizes and order are the
/// product's own affair.
pub trait Epilogue<E: Element> {
    /// Whether it can act on a C of so many rows and columns: a product fails before it begins if
    /// not.
    ///
    /// # Errors
    /// What is too small or too large.
    fn check(&self, rows: usize, columns: usize) -> Result<(), ShapeError> {
        let _ = (rows, columns);
        Ok(())
    }

    /// Acts on the strip whose first element is C's (row, column).
    fn finish(&mut self, isa: Isa, row: usize, column: usize, strip: MatMut<'_, E>);
}

/// C ← σ(C): the forward pass of a dense layer.
pub struct Activate {
    /// σ.
    pub activation: Activation,
}

/// a ← σ(C): the forward pass of a dense layer whose derivative will ask for z, which stays in C.
pub struct ActivateInto<'a, E> {
    /// σ.
    pub activation: Activation,
    /// a, of C's shape.
    pub a: MatMut<'a, E>,
}

/// C ← C ⊙ σ′: the backward pass of a dense layer, δ(l) = W(l+1)ᵀ δ(l+1) ⊙ σ′(z).
pub struct TimesDerivative<'a, E> {
    /// σ.
    pub activation: Activation,
    /// z or a = σ(z), as [`Activation::derivative_from`] says; of C's shape.
    pub stored: MatRef<'a, E>,
}

impl<E: Element> Epilogue<E> for Activate {
    fn finish(&mut self, isa: Isa, _: usize, _: usize, mut strip: MatMut<'_, E>) {
        self.activation.forward_strip(isa, &mut strip);
    }
}

impl<E: Element> Epilogue<E> for ActivateInto<'_, E> {
    fn check(&self, rows: usize, columns: usize) -> Result<(), ShapeError> {
        check_size("rows of the activated", rows, self.a.rows())?;
        check_size("columns of the activated", columns, self.a.columns())
    }

    fn finish(&mut self, isa: Isa, row: usize, column: usize, strip: MatMut<'_, E>) {
        let a = self.a.block((row, column), (strip.rows(), strip.columns()));
        E::activate(self.activation, isa, Some(strip.as_ref()), a);
    }
}

impl<E: Element> Epilogue<E> for TimesDerivative<'_, E> {
    fn check(&self, rows: usize, columns: usize) -> Result<(), ShapeError> {
        check_size("rows of stored", rows, self.stored.rows())?;
        check_size("columns of stored", columns, self.stored.columns())
    }

    fn finish(&mut self, isa: Isa, row: usize, column: usize, mut strip: MatMut<'_, E>) {
        self.activation.backward_strip(isa, self.stored, (row, column), &mut strip);
    }
}
