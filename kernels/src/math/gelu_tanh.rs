//! x/(1 + e^{−k(x)}), k(x) = 2√(2/π)·(x + 0.044715x³): the tanh form of GELU.

use super::exp::Reduced;
use super::logistic::{Logistic, OnePlusExp, times_small_exp};
use super::power::Power;
use super::{exact_mul_add, in_f64};
use crate::Element;
use crate::lanes::Lanes;

/// k(x) = x·(b + c·x²).
pub trait GeluTanhConstants: Sized + 'static {
    /// From here on x·e^{−k(x)} and its derivative round to 0.
    const TOP: Self;
    /// For |x| up to this, e^{k(x)} is normal.
    const NORMAL_K: Self;
    /// b in so few bits that it can be subtracted from b + c·x² without rounding.
    const B_HI: Self;
    /// b − B_HI.
    const B_LO: Self;
    /// c.
    const C_HI: Self;
    /// c − C_HI.
    const C_LO: Self;
}

impl GeluTanhConstants for f32 {
    const TOP: Self = 11.0;
    const NORMAL_K: Self = 9.9;
    const B_HI: Self = 1.595768;
    const B_LO: Self = 1.146_752_2e-6;
    const C_HI: Self = 0.071_354_814;
    const C_LO: Self = 2.398_832_5e-9;
}

impl GeluTanhConstants for f64 {
    const TOP: Self = 22.0;
    const NORMAL_K: Self = 20.9;
    const B_HI: Self = 1.595_767_974_853_515_6;
    const B_LO: Self = 1.146_752_215_086_759_8e-6;
    const C_HI: Self = 0.071_354_816_272_600_25;
    const C_LO: Self = -6.175_149_918_155_315e-19;
}

/// k(x) and what rounding took from it, and x². k is large where its exponential is small, and its
/// error is that one's relative error, so it takes twice the digits.
#[inline(always)]
fn exponent<V: Lanes>(x: V) -> (V, V, V) {
    let square = x * x;
    let square_low = exact_mul_add(x, x, -square);
    let (b, c) = (x.splat(V::Element::B_HI), x.splat(V::Element::C_HI));
    let (b_low, c_low) = (x.splat(V::Element::B_LO), x.splat(V::Element::C_LO));
    let ratio = c.mul_add(square, b);
    let ratio_low = exact_mul_add(c, square, b - ratio);
    let ratio_low = ratio_low + c.mul_add(square_low, square.mul_add(c_low, b_low));
    let k = x * ratio;
    (k, x.mul_add(ratio_low, exact_mul_add(x, ratio, -k)), square)
}

/// x/(1 + e^{−k(x)}).
///
/// −∞ to −0, +∞ to +∞, ±0 to ±0, NaN to NaN.
#[inline(always)]
pub(crate) fn gelu_tanh<V: Lanes>(x: V) -> V {
    let (k, k_low, _) = exponent(x);
    let exponential = Reduced::new_sum(-k, -k_low);
    let power = Power::of_reduced(exponential, exponential.expm1());
    let near = x / OnePlusExp::of_power(power).rounded();
    if x.within(V::Element::NORMAL_K) {
        return near;
    }
    let below = x.splat(V::Element::ZERO).less_or((-x.splat(V::Element::TOP)).greater_or(x));
    let (k, k_low, _) = exponent(below);
    let far = times_small_exp(x, Reduced::new_sum(k, k_low));
    near.select(x.abs().le(x.splat(V::Element::NORMAL_K)), far)
}

/// s·(1 + x·k′(x)·(1 − s)), s = 1/(1 + e^{−k(x)}), k′(x) = b + 3c·x².
///
/// −∞ to −0, +∞ to 1, NaN to NaN.
#[inline(always)]
pub(crate) fn gelu_tanh_derivative<V: Lanes>(x: V) -> V {
    if let Some(y) = in_f64::gelu_tanh_derivative(x) {
        return y;
    }
    let top = x.splat(V::Element::TOP);
    let (k, k_low, square) = exponent(top.less_or(x.abs()));
    let exponential = Reduced::new_sum(-k, -k_low);
    let logistic = Logistic::of_exponential(exponential, x.lt(x.splat(V::Element::ZERO)));
    // Where this counts at all, x is within ±TOP; beyond, the product with 1 − s = 0 has to be 0.
    let x = top.less_or((-top).greater_or(x));
    let (b, c) = (x.splat(V::Element::B_HI), x.splat(V::Element::C_HI));
    let c = c + c + c;
    let slope = c.mul_add(square, b);
    let slope_low = exact_mul_add(c, square, b - slope) + x.splat(V::Element::B_LO);
    let u = x * slope;
    let u_low = x.mul_add(slope_low, exact_mul_add(x, slope, -u));
    let one = x.splat(V::Element::ONE);
    logistic.choose(logistic.gated_derivative((u, u_low)), u + (one + u_low), one)
}
