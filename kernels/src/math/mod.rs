//! Elementary functions: pure lane arithmetic, each with its error bound.
//!
//! A function is written once, over [`Lanes`]; what differs between f32 and f64 (the constants of
//! the argument reduction and the polynomial) is in one trait a function. The polynomials come
//! from `scripts/minimax.py`.

mod exp;
mod function;
mod log;
mod sigmoid;
mod tanh;

pub use function::Function;
pub(crate) use function::MathKernels;

pub(crate) use exp::exp;
pub(crate) use log::log;
pub(crate) use sigmoid::sigmoid;
pub(crate) use tanh::tanh;

use crate::Element;
use crate::lanes::Lanes;

/// What the functions of this module need to know of a scalar.
#[doc(hidden)]
pub trait Math: exp::ExpConstants + log::LogConstants + tanh::TanhConstants {}

impl Math for f32 {}
impl Math for f64 {}

/// c₀ + x·(c₁ + c₂x + …), given x².
///
/// In the bracket the odd and the even terms are two Horner chains in x², half as long as one in
/// x, for the same number of operations. c₀ stands apart because the chains cancel where the
/// coefficients alternate, and then their rounding would count.
#[inline(always)]
fn polynomial<V: Lanes>(x: V, x2: V, coefficients: &[V::Element]) -> V {
    let (&c0, rest) = coefficients.split_first().expect("a polynomial has coefficients");
    let zero = x.splat(V::Element::ZERO);
    let mut chains = [zero; 2];
    for (i, &c) in rest.iter().enumerate().rev() {
        let c = x.splat(c);
        let chain = &mut chains[i % 2];
        *chain = if i + 2 < rest.len() { chain.mul_add(x2, c) } else { c };
    }
    let [even, odd] = chains;
    odd.mul_add(x, even).mul_add(x, x.splat(c0))
}

#[cfg(test)]
mod tests;
