//! Elementary functions: pure lane arithmetic, each with its error bound.
//!
//! A function is written once, over `Lanes`; what differs between f32 and f64 (the constants of
//! the argument reduction and the polynomial) is in one trait a function. The polynomials come
//! from `scripts/minimax.py`.
//!
#![doc = include_str!("../../ACCURACY.md")]

mod erf;
mod exp;
mod expm1;
mod function;
mod gelu_tanh;
pub(crate) mod in_f64;
mod log;
mod log1p;
mod logistic;
mod pieces;
mod power;
mod tail;
mod tail_constants;
mod tanh;

pub use function::Function;
pub(crate) use function::MathKernels;

pub(crate) use erf::erf;
pub(crate) use exp::exp;
pub(crate) use expm1::{expm1, expm1_below};
pub(crate) use gelu_tanh::{gelu_tanh, gelu_tanh_derivative};
pub(crate) use log::{log, log_of_1_to_2};
pub(crate) use log1p::{log1p, log1p_inside};
pub(crate) use logistic::{Logistic, sigmoid, times_sigmoid, times_sigmoid_derivative};
pub(crate) use tail::{erfc, times_normal_cdf, times_normal_cdf_derivative};
pub(crate) use tanh::tanh;

use crate::Element;
use crate::lanes::{Lanes, Simd};
use exp::ExpConstants;

/// What the functions of this module need to know of a scalar.
#[doc(hidden)]
pub trait Math:
    exp::ExpConstants
    + log::LogConstants
    + tanh::TanhConstants
    + erf::ErfConstants
    + tail_constants::TailConstants
    + gelu_tanh::GeluTanhConstants
{
}

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
        *chain = if i + 2 < rest.len() { chain.mul_add(x2, c).side_by_side() } else { c };
    }
    let [even, odd] = chains;
    odd.mul_add(x, even).mul_add(x, x.splat(c0))
}

/// c₀ + x·(c₁ + c₂x + …) by Horner's rule: the fewest operations, where the length of the chain
/// does not count.
#[inline(always)]
fn horner<V: Lanes>(x: V, coefficients: &[V::Element]) -> V {
    let (&last, rest) = coefficients.split_last().expect("a polynomial has coefficients");
    let mut sum = x.splat(last);
    for &c in rest.iter().rev() {
        sum = sum.mul_add(x, x.splat(c)).side_by_side();
    }
    sum
}

/// a·b + c where c nearly cancels the product: what rounding took from it is not lost without
/// fused multiply-adds either.
#[inline(always)]
pub(crate) fn exact_mul_add<V: Lanes>(a: V, b: V, c: V) -> V {
    if V::Simd::HAS_FMA {
        return a.mul_add(b, c);
    }
    // Dekker's product: halves multiply exactly.
    let mask = a.splat(V::Element::UPPER_HALF);
    let (a_upper, b_upper) = (a.bit_and(mask), b.bit_and(mask));
    let (a_lower, b_lower) = (a - a_upper, b - b_upper);
    let product = a * b;
    let low = a_upper * b_upper - product + a_upper * b_lower + a_lower * b_upper;
    product + c + (low + a_lower * b_lower)
}

#[cfg(test)]
mod tests;
