//! Activation functions and their derivatives.
//!
//! An activation is one file: a struct that implements `ActivationFunction`, and one line in the
//! list below, which makes the variant of [`Activation`] of it.
//!
//! ```
//! use deltarule_kernels::{Isa, activation::{Activation, DerivativeFrom}};
//! let (isa, activation) = (Isa::detect(), Activation::Relu);
//! let z = [-2.0f32, 0.5, 3.0];
//! let mut a = [0.0; 3];
//! activation.forward(isa, &z, &mut a)?;
//! assert_eq!(a, [0.0, 0.5, 3.0]);
//! // On the way back.
//! let stored = match activation.derivative_from() {
//!     DerivativeFrom::Input => z,
//!     DerivativeFrom::Output => a,
//! };
//! let mut delta = [10.0, 20.0, 30.0];
//! activation.backward(isa, &stored, &mut delta)?;
//! assert_eq!(delta, [0.0, 20.0, 30.0]);
//! # Ok::<(), deltarule_kernels::ShapeError>(())
//! ```

mod softmax;

pub use softmax::RowActivation;
pub(crate) use softmax::RowKernels;

use crate::elementwise::{self, Update};
use crate::error::check_length;
use crate::lanes::Lanes;
use crate::precompiled::precompiled;
use crate::reference::Real;
use crate::{Element, Isa, MatMut, MatRef, ShapeError};

/// Makes [`Activation`] of the list: for each file a variant, with the fields of its struct, all
/// f64, and their customary values.
macro_rules! activations {
    ($d:tt $($module:ident::$Name:ident $({ $($field:ident = $usual:literal),+ })?, $formula:literal;)+) => {
        $(mod $module;)+

        /// An activation function σ.
        ///
        /// Sources: ELU, Clevert et al. (2016); GELU, Hendrycks and Gimpel (2016); hard swish and
        /// the hard sigmoid in it, Howard et al. (2019); leaky ReLU, Maas et al. (2013); Mish,
        /// Misra (2019); SELU, Klambauer et al. (2017); SiLU, Elfwing et al. (2018).
        ///
        /// ```
        /// use deltarule_kernels::{Isa, activation::Activation};
        /// let mut y = [-2.0f32, 0.0, 2.0];
        /// Activation::LeakyRelu { slope: 0.25 }.forward_in_place(Isa::detect(), &mut y);
        /// assert_eq!(y, [-0.5, 0.0, 2.0]);
        /// for activation in Activation::ALL {
        ///     println!("{}", activation.name());
        /// }
        /// assert!(Activation::ALL.contains(&Activation::Silu));
        /// assert_eq!(Activation::HardSwish.name(), "hard_swish");
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        #[non_exhaustive]
        pub enum Activation {
            $(
                #[doc = $formula]
                $Name $({
                    $(
                        #[doc = concat!("The formula's ", stringify!($field), ".")]
                        $field: f64,
                    )+
                })?,
            )+
        }

        impl Activation {
            /// All of them, with customary parameters.
            pub const ALL: &'static [Self] =
                &[$(Self::$Name $({ $($field: $usual),+ })?),+];

            /// The name in snake case, without parameters.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$Name $({ $($field: _),+ })? => stringify!($module),)+
                }
            }
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
    clip::Clip { low = -1.0, high = 1.0 }, "min(max(x, low), high)";
    elu::Elu { alpha = 1.0 }, "x for x > 0, α(eˣ − 1) elsewhere";
    gelu::Gelu, "xΦ(x), Φ the standard normal distribution";
    gelu_tanh::GeluTanh, "½x(1 + tanh(√(2/π)(x + 0.044715x³))), close to xΦ(x)";
    hard_sigmoid::HardSigmoid, "min(max((x + 3)/6, 0), 1)";
    hard_swish::HardSwish, "x·min(max((x + 3)/6, 0), 1)";
    identity::Identity, "x";
    leaky_relu::LeakyRelu { slope = 0.01 }, "x for x > 0, slope·x elsewhere";
    mish::Mish, "x·tanh(ln(1 + eˣ))";
    relu::Relu, "max(0, x)";
    selu::Selu, "λx for x > 0, λα(eˣ − 1) elsewhere, λ ≈ 1.0507, α ≈ 1.6733";
    sigmoid::Sigmoid, "1 / (1 + e⁻ˣ)";
    silu::Silu, "x / (1 + e⁻ˣ), or swish";
    softplus::Softplus, "ln(1 + eˣ)";
    tanh::Tanh, "tanh x";
}

/// What an activation's derivative is computed from.
///
/// ```
/// use deltarule_kernels::activation::{Activation, DerivativeFrom};
/// // Those for which a forward pass has to keep z besides a.
/// let keep_z: Vec<&str> = Activation::ALL
///     .iter()
///     .filter(|activation| activation.derivative_from() == DerivativeFrom::Input)
///     .map(|activation| activation.name())
///     .collect();
/// assert!(keep_z.contains(&"gelu") && !keep_z.contains(&"relu"));
/// ```
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

    /// An interval around where the derivative passes through 0, if it does: there it has an
    /// absolute error bound, and none in ulp.
    fn derivative_crossing(self) -> Option<(f64, f64)> {
        None
    }

    /// σ(x).
    fn value<V: Lanes>(self, x: V) -> V;

    /// σ′, from what [`ActivationFunction::derivative_from`] names.
    fn derivative<V: Lanes>(self, stored: V) -> V;

    /// [`ActivationFunction::value`], naively.
    fn reference_value<R: Real>(self, x: R) -> R;

    /// [`ActivationFunction::derivative`], naively.
    fn reference_derivative<R: Real>(self, stored: R) -> R;
}

/// y ← σ(x).
#[derive(Clone, Copy)]
struct Value<F>(F);

impl<F: ActivationFunction> Update for Value<F> {
    const READS_TARGET: bool = false;

    #[inline(always)]
    fn update<V: Lanes>(self, x: V, _: V) -> V {
        self.0.value(x)
    }
}

/// δ ← δ·σ′.
#[derive(Clone, Copy)]
struct TimesDerivative<F>(F);

impl<F: ActivationFunction> Update for TimesDerivative<F> {
    const READS_TARGET: bool = true;

    #[inline(always)]
    fn update<V: Lanes>(self, stored: V, delta: V) -> V {
        delta * self.0.derivative(stored)
    }
}

precompiled! {
    /// The kernels of this module. Without x, y is both what is read and what is written.
    ActivationKernels:
    fn activate(
        activation: Activation,
        isa: Isa,
        x: Option<MatRef<'_, Self>>,
        y: MatMut<'_, Self>,
    ) = activate;
    fn times_derivative(
        activation: Activation,
        isa: Isa,
        stored: Option<MatRef<'_, Self>>,
        delta: MatMut<'_, Self>,
    ) = times_derivative;
}

fn activate<E: Element>(
    activation: Activation,
    isa: Isa,
    x: Option<MatRef<'_, E>>,
    y: MatMut<'_, E>,
) {
    with_function!(activation, f => elementwise::update(isa, Value(f), x, y));
}

fn times_derivative<E: Element>(
    activation: Activation,
    isa: Isa,
    stored: Option<MatRef<'_, E>>,
    delta: MatMut<'_, E>,
) {
    with_function!(activation, f => elementwise::update(isa, TimesDerivative(f), stored, delta));
}

impl Activation {
    /// Which of z and a the forward pass has to keep for [`Activation::backward`].
    ///
    /// ```
    /// use deltarule_kernels::activation::{Activation, DerivativeFrom};
    /// // tanh′ = 1 − y²
    /// assert_eq!(Activation::Tanh.derivative_from(), DerivativeFrom::Output);
    /// assert_eq!(Activation::Silu.derivative_from(), DerivativeFrom::Input);
    /// ```
    pub fn derivative_from(self) -> DerivativeFrom {
        with_function!(self, f => f.derivative_from())
    }

    /// An interval of inputs around where the derivative passes through 0, if it does. Its error
    /// is bounded in ulp outside, and absolutely within.
    ///
    /// ```
    /// use deltarule_kernels::activation::Activation;
    /// // Where GELU is least.
    /// let (low, high) = Activation::Gelu.derivative_crossing().expect("there is such a place");
    /// assert!(low < -0.7518 && -0.7518 < high);
    /// assert_eq!(Activation::Tanh.derivative_crossing(), None);
    /// ```
    pub fn derivative_crossing(self) -> Option<(f64, f64)> {
        with_function!(self, f => f.derivative_crossing())
    }

    /// y = σ(x).
    ///
    /// ```
    /// use deltarule_kernels::{Isa, activation::Activation};
    /// let mut y = [0.0f64; 3];
    /// Activation::Sigmoid.forward(Isa::detect(), &[-1e3, 0.0, 1e3], &mut y)?;
    /// assert_eq!(y, [0.0, 0.5, 1.0]);
    /// # Ok::<(), deltarule_kernels::ShapeError>(())
    /// ```
    ///
    /// # Errors
    /// [`ShapeError::Length`] if the slices differ in length.
    pub fn forward<E: Element>(self, isa: Isa, x: &[E], y: &mut [E]) -> Result<(), ShapeError> {
        check_length("y", y, x.len())?;
        E::activate(self, isa, Some(MatRef::row(x)), MatMut::row(y));
        Ok(())
    }

    /// y ← σ(y).
    ///
    /// ```
    /// use deltarule_kernels::{Isa, activation::Activation};
    /// let mut y = [-4.0f32, 0.0, 3.0, f32::NAN];
    /// Activation::HardSigmoid.forward_in_place(Isa::detect(), &mut y);
    /// assert_eq!(y[..3], [0.0, 0.5, 1.0]);
    /// assert!(y[3].is_nan());
    /// ```
    pub fn forward_in_place<E: Element>(self, isa: Isa, y: &mut [E]) {
        E::activate(self, isa, None, MatMut::row(y));
    }

    /// δ ← δ ⊙ σ′, σ′ from x or y as [`Activation::derivative_from`] says.
    ///
    /// ```
    /// use deltarule_kernels::{Isa, activation::Activation};
    /// let (isa, mut delta) = (Isa::detect(), [2.0f64, 2.0]);
    /// // From y = tanh x: 1 − y².
    /// Activation::Tanh.backward(isa, &[0.5, -1.0], &mut delta)?;
    /// assert_eq!(delta, [1.5, 0.0]);
    /// assert!(Activation::Tanh.backward(isa, &[0.5], &mut delta).is_err());
    /// # Ok::<(), deltarule_kernels::ShapeError>(())
    /// ```
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
        E::times_derivative(self, isa, Some(MatRef::row(stored)), MatMut::row(delta));
        Ok(())
    }

    /// [`Activation::forward_in_place`] on a strip of a matrix.
    pub(crate) fn forward_strip<E: Element>(self, isa: Isa, strip: &mut MatMut<'_, E>) {
        let strip = strip.reborrow();
        E::activate(self, isa, None, strip);
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
        E::times_derivative(self, isa, Some(stored), strip);
    }

    /// σ(x), naively.
    pub(crate) fn reference_value<R: Real>(self, x: R) -> R {
        with_function!(self, f => f.reference_value(x))
    }

    /// σ′ from what [`Activation::derivative_from`] names, naively.
    pub(crate) fn reference_derivative<R: Real>(self, stored: R) -> R {
        with_function!(self, f => f.reference_derivative(stored))
    }
}

#[cfg(test)]
mod tests;
