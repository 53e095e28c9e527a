//! The functions of [`crate::math`] over slices.

use crate::elementwise::{self, Update};
use crate::error::check_length;
use crate::lanes::Lanes;
use crate::precompiled::precompiled;
use crate::reference::Real;
use crate::{Element, Isa, MatMut, MatRef, ShapeError};

/// Makes [`Function`] of a list: variant, name and lane function, formula, method of [`Real`].
macro_rules! functions {
    ($($Name:ident, $name:ident, $formula:literal, $reference:ident;)+) => {
        /// An elementary function, over slices.
        ///
        /// ```
        /// use deltarule_kernels::{Isa, math::Function};
        /// let x = [0.0f32, 1.0, f32::NEG_INFINITY];
        /// let mut y = [0.0; 3];
        /// Function::Exp.evaluate(Isa::detect(), &x, &mut y)?;
        /// assert_eq!(y, [1.0, core::f32::consts::E, 0.0]);
        /// # Ok::<(), deltarule_kernels::ShapeError>(())
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Function {
            $(#[doc = $formula] $Name,)+
        }

        impl Function {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$Name),+];

            /// The name in lower case.
            ///
            /// ```
            /// use deltarule_kernels::math::Function;
            /// let mut names = Function::ALL.iter().map(|function| function.name());
            /// assert!(names.any(|name| name == "log1p"));
            /// ```
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$Name => stringify!($name),)+
                }
            }

            /// y = f(x).
            ///
            /// ```
            /// use deltarule_kernels::{Isa, math::Function};
            /// let mut y = [0.0f64; 2];
            /// Function::Log1p.evaluate(Isa::detect(), &[1e-20, -1.0], &mut y)?;
            /// assert_eq!(y, [1e-20, f64::NEG_INFINITY]);
            /// assert!(Function::Exp.evaluate(Isa::detect(), &[1.0; 3], &mut y).is_err());
            /// # Ok::<(), deltarule_kernels::ShapeError>(())
            /// ```
            ///
            /// # Errors
            /// [`ShapeError::Length`] if the slices differ in length.
            pub fn evaluate<E: Element>(
                self,
                isa: Isa,
                x: &[E],
                y: &mut [E],
            ) -> Result<(), ShapeError> {
                check_length("y", y, x.len())?;
                E::evaluate(self, isa, Some(x), y);
                Ok(())
            }

            /// y ← f(y).
            ///
            /// ```
            /// use deltarule_kernels::{Isa, math::Function};
            /// let mut y = [0.0f32, 1.0];
            /// Function::Exp.evaluate_in_place(Isa::detect(), &mut y);
            /// assert_eq!(y, [1.0, core::f32::consts::E]);
            /// ```
            pub fn evaluate_in_place<E: Element>(self, isa: Isa, y: &mut [E]) {
                E::evaluate(self, isa, None, y);
            }

            /// f(x), naively.
            pub(crate) fn reference<R: Real>(self, x: R) -> R {
                match self {
                    $(Self::$Name => x.$reference(),)+
                }
            }
        }

        fn evaluate<E: Element>(function: Function, isa: Isa, x: Option<&[E]>, y: &mut [E]) {
            let (x, y) = (x.map(MatRef::row), MatMut::row(y));
            match function {
                $(Function::$Name => elementwise::update(isa, lane::$Name, x, y),)+
            }
        }

        /// The functions as types, so that they are compiled into the loop.
        mod lane {
            use super::*;
            $(
                #[derive(Clone, Copy)]
                pub(super) struct $Name;

                impl Update for $Name {
                    const READS_TARGET: bool = false;

                    #[inline(always)]
                    fn update<V: Lanes>(self, x: V, _: V) -> V {
                        super::super::$name(x)
                    }
                }
            )+
        }
    };
}

precompiled! {
    /// The kernels of this module. Without x, y is both what is read and what is written.
    MathKernels:
    fn evaluate(function: Function, isa: Isa, x: Option<&[Self]>, y: &mut [Self]) = evaluate;
}

functions! {
    Exp, exp, "eˣ", exp;
    Expm1, expm1, "eˣ − 1", exp_m1;
    Log, log, "ln x", ln;
    Log1p, log1p, "ln(1 + x)", ln_1p;
    Tanh, tanh, "tanh x", tanh;
    Sigmoid, sigmoid, "1 / (1 + e⁻ˣ)", sigmoid;
    Erf, erf, "erf x", erf;
    Erfc, erfc, "erfc x = 1 − erf x", erfc;
}
