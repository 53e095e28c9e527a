//! Activation functions and their derivatives.
//!
//! An activation is one file: a struct that implements [`ActivationFunction`], and one line in the
//! list below, which makes the variant of [`Activation`] of it.

use crate::elementwise::{self, Update};
use crate::error::check_length;
use crate::lanes::Lanes;
use crate::precompiled::precompiled;
use crate::{Element, Isa, MatMut, MatRef, ShapeError};

/// Makes [`Activation`] of the list: a variant, with the fields of its struct, for each file.
macro_rules! activations {
    ($d:tt $($module:ident::$Name:ident $({ $($field:ident: $Type:ty),+ })?, $formula:literal;)+) => {
        $(mod $module;)+

        /// An activation function σ.
        #[derive(Clone, Copy, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum Activation {
            $(
                #[doc = $formula]
                $Name $({
                    $(
                        #[doc = concat!("The formula's ", stringify!($field), ".")]
                        $field: $Type,
                    )+
                })?,
            )+
        }

        /// Evaluates an expression in which `$f` is the activation's function.
        macro_rules! with_function {
            ($d activation:expr, $d f:ident => $d body:expr) => {
                match $d activation {
                    $(
                        Activation::$Name $({ $($field),+ })? => {
                            let $d f = $module::$Name $({ $($field),+ })?;
                            $d body
                        }
                    )+
                }
            };
        }
    };
}

activations! { $
    identity::Identity, "x";
    relu::Relu, "max(0, x)";
    sigmoid::Sigmoid, "1 / (1 + e⁻ˣ)";
    tanh::Tanh, "tanh x";
}

/// What an activation's derivative is computed from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DerivativeFrom {
    /// The input x: the forward pass has to keep z.
    Input,
    /// The output y = σ(x): the forward pass has to keep only a.
    Output,
}

/// An activation function σ: its value, its derivative, and the naive formula of both.
trait ActivationFunction: Copy {
    /// What [`ActivationFunction::derivative`] takes: whichever is cheaper and more exact.
    fn derivative_from(self) -> DerivativeFrom;

    /// σ(x).
    fn value<V: Lanes>(self, x: V) -> V;

    /// σ′, from what [`ActivationFunction::derivative_from`] names.
    fn derivative<V: Lanes>(self, stored: V) -> V;

    /// [`ActivationFunction::value`], naively.
    fn reference_value(self, x: f64) -> f64;

    /// [`ActivationFunction::derivative`], naively.
    fn reference_derivative(self, stored: f64) -> f64;
}

/// y ← σ(x).
#[derive(Clone, Copy)]
struct Value<F>(F);

impl<F: ActivationFunction> Update for Value<F> {
    #[inline(always)]
    fn update<V: Lanes>(self, x: V, _: V) -> V {
        self.0.value(x)
    }
}

/// δ ← δ·σ′.
#[derive(Clone, Copy)]
struct TimesDerivative<F>(F);

impl<F: ActivationFunction> Update for TimesDerivative<F> {
    #[inline(always)]
    fn update<V: Lanes>(self, stored: V, delta: V) -> V {
        delta * self.0.derivative(stored)
    }
}

precompiled! {
    /// The kernels of this module.
    ActivationKernels:
    fn activate(activation: Activation, isa: Isa, x: &[Self], y: &mut [Self]) = activate;
    fn activate_in_place(activation: Activation, isa: Isa, y: &mut [Self]) = activate_in_place;
    fn activate_strip(activation: Activation, isa: Isa, y: MatMut<'_, Self>) = activate_strip;
    fn times_derivative(activation: Activation, isa: Isa, stored: &[Self], delta: &mut [Self]) =
        times_derivative;
    fn times_derivative_strip(
        activation: Activation,
        isa: Isa,
        stored: MatRef<'_, Self>,
        delta: MatMut<'_, Self>,
    ) = times_derivative_strip;
}

fn activate<E: Element>(activation: Activation, isa: Isa, x: &[E], y: &mut [E]) {
    with_function!(activation, f => elementwise::update(isa, Value(f), x, y));
}

fn activate_in_place<E: Element>(activation: Activation, isa: Isa, y: &mut [E]) {
    with_function!(activation, f => elementwise::update_in_place(isa, Value(f), y));
}

fn activate_strip<E: Element>(activation: Activation, isa: Isa, y: MatMut<'_, E>) {
    with_function!(activation, f => elementwise::update_strip_in_place(isa, Value(f), y));
}

fn times_derivative<E: Element>(activation: Activation, isa: Isa, stored: &[E], delta: &mut [E]) {
    with_function!(activation, f => elementwise::update(isa, TimesDerivative(f), stored, delta));
}

fn times_derivative_strip<E: Element>(
    activation: Activation,
    isa: Isa,
    stored: MatRef<'_, E>,
    delta: MatMut<'_, E>,
) {
    with_function!(activation, f => {
        elementwise::update_strip(isa, TimesDerivative(f), stored, delta)
    });
}

impl Activation {
    /// Which of z and a the forward pass has to keep for [`Activation::backward`].
    pub fn derivative_from(self) -> DerivativeFrom {
        with_function!(self, f => f.derivative_from())
    }

    /// y = σ(x).
    ///
    /// # Errors
    /// [`ShapeError::Length`] if the slices differ in length.
    pub fn forward<E: Element>(self, isa: Isa, x: &[E], y: &mut [E]) -> Result<(), ShapeError> {
        check_length("y", y, x.len())?;
        E::activate(self, isa, x, y);
        Ok(())
    }

    /// y ← σ(y).
    pub fn forward_in_place<E: Element>(self, isa: Isa, y: &mut [E]) {
        E::activate_in_place(self, isa, y);
    }

    /// δ ← δ ⊙ σ′, σ′ from x or y as [`Activation::derivative_from`] says.
    ///
    /// # Errors
    /// [`ShapeError::Length`] if the slices differ in length.
    pub fn backward<E: Element>(
        self,
        isa: Isa,
        stored: &[E],
        delta: &mut [E],
    ) -> Result<(), ShapeError> {
        check_length("delta", delta, stored.len())?;
        E::times_derivative(self, isa, stored, delta);
        Ok(())
    }

    /// [`Activation::forward_in_place`] on a strip of a matrix.
    pub(crate) fn forward_strip<E: Element>(self, isa: Isa, strip: &mut MatMut<'_, E>) {
        let strip = strip.reborrow();
        E::activate_strip(self, isa, strip);
    }

    /// [`Activation::backward`] on a strip of a matrix whose first element is `stored`'s `origin`.
    pub(crate) fn backward_strip<E: Element>(
        self,
        isa: Isa,
        stored: MatRef<'_, E>,
        origin: (usize, usize),
        strip: &mut MatMut<'_, E>,
    ) {
        let stored = stored.block(origin, (strip.rows(), strip.columns()));
        let strip = strip.reborrow();
        E::times_derivative_strip(self, isa, stored, strip);
    }

    /// σ(x), naively.
    pub(crate) fn reference_value(self, x: f64) -> f64 {
        with_function!(self, f => f.reference_value(x))
    }

    /// σ′ from what [`Activation::derivative_from`] names, naively.
    pub(crate) fn reference_derivative(self, stored: f64) -> f64 {
        with_function!(self, f => f.reference_derivative(stored))
    }
}

#[cfg(test)]
mod tests;
