//! The functions of [`crate::math`] over slices.

use crate::elementwise::{self, Update};
use crate::error::check_length;
use crate::lanes::Lanes;
use crate::precompiled::precompiled;
use crate::{Element, Isa, ShapeError};

/// Makes [`Function`] of a list: variant, name, lane function, naive formula.
macro_rules! functions {
    ($($Name:ident, $name:ident, $formula:literal, $reference:expr;)+) => {
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
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$Name => stringify!($name),)+
                }
            }

            /// y = f(x).
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
                E::evaluate(self, isa, x, y);
                Ok(())
            }

            /// f(x), from the standard library: within an ulp or so of f64.
            pub fn reference(self, x: f64) -> f64 {
                match self {
                    $(Self::$Name => { let f: fn(f64) -> f64 = $reference; f(x) })+
                }
            }
        }

        fn evaluate<E: Element>(function: Function, isa: Isa, x: &[E], y: &mut [E]) {
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
    /// The kernels of this module.
    MathKernels:
    fn evaluate(function: Function, isa: Isa, x: &[Self], y: &mut [Self]) = evaluate;
}

functions! {
    Exp, exp, "eˣ", f64::exp;
    Log, log, "ln x", f64::ln;
    Tanh, tanh, "tanh x", f64::tanh;
    Sigmoid, sigmoid, "1 / (1 + e⁻ˣ)", |x| {
        if x < 0.0 { x.exp() / (1.0 + x.exp()) } else { 1.0 / (1.0 + (-x).exp()) }
    };
}
