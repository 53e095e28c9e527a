//! What is done to a finished strip of C while it is in cache.

use crate::activation::Activation;
use crate::{Element, Isa, MatMut, MatRef};

/// An action on finished elements of C.
///
/// The strips that a product hands over are disjoint and cover C; their sizes and order are the
/// product's own affair.
pub trait Epilogue<E: Element> {
    /// Acts on the strip whose first element is C's (row, column).
    fn finish(&mut self, isa: Isa, row: usize, column: usize, strip: MatMut<'_, E>);
}

/// C ← σ(C): the forward pass of a dense layer. The pre-activation z is kept where the derivative
/// will ask for it.
pub struct Activate {
    /// σ.
    pub activation: Activation,
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

impl<E: Element> Epilogue<E> for TimesDerivative<'_, E> {
    fn finish(&mut self, isa: Isa, row: usize, column: usize, mut strip: MatMut<'_, E>) {
        self.activation.backward_strip(isa, self.stored, (row, column), &mut strip);
    }
}
