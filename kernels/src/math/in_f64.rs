//! Functions of f32 in lanes of f64.
//!
//! Where f32 would have to carry a second number for what rounding loses, f64 has the digits: half
//! as many elements a register, but a third of the operations, and results that are but for 0.1
//! ulp the rounded exact ones. The polynomial of eˣ is the one that is good enough for f32.
//!
//! That pays for derivatives that pass through 0, where 1 − s cancels, and for mish. Where few
//! corrections are needed it was measured to be slower.

use super::exp::ExpConstants;
use super::gelu_tanh::GeluTanhConstants;
use super::polynomial;
use crate::Element;
use crate::lanes::{Lanes, WideFunction};

/// The numbers of a list as f64.
const fn widened<const N: usize>(list: &[f32]) -> [f64; N] {
    assert!(list.len() == N);
    let mut wide = [0.0; N];
    let mut i = 0;
    while i < N {
        wide[i] = list[i] as f64;
        i += 1;
    }
    wide
}

const EXP: [f64; 5] = widened(f32::EXP);

/// From here on eˣ is 0, and from its negative on +∞, in f32.
const LOWEST: f64 = f32::LOWEST as f64;

/// eˣ for |x| ≤ 700.
#[inline(always)]
fn exp<W: Lanes<Element = f64>>(x: W) -> W {
    let round = x.splat(f64::ROUND);
    let bits = x.mul_add(x.splat(f64::LOG2_E), round);
    let r = (bits - round).neg_mul_add(x.splat(core::f64::consts::LN_2), x);
    let r2 = r * r;
    let value = polynomial(r, r2, &EXP).mul_add(r2, r) + x.splat(1.0);
    value.int_add(bits.shift_to_exponent())
}

/// 1/(1 + e⁻ˣ), and 1 − that.
#[inline(always)]
fn logistic<W: Lanes<Element = f64>>(x: W) -> (W, W) {
    let one = x.splat(1.0);
    let e = exp(-x);
    let s = one / (one + e);
    (s, e * s)
}

/// x between ± `limit`; NaN stays.
#[inline(always)]
fn within<V: Lanes>(x: V, limit: f64) -> V {
    let limit = x.splat(V::Element::from_f64(limit));
    limit.less_or((-limit).greater_or(x))
}

/// Makes a function of lanes of f32 or f64, with a result for f32 only, from one of f64.
macro_rules! functions {
    ($($(#[$attribute:meta])* $name:ident $Name:ident ($x:ident) $value:expr;)+) => { $(
        $(#[$attribute])*
        #[inline(always)]
        pub(crate) fn $name<V: Lanes>(x: V) -> Option<V> {
            x.through_f64($Name)
        }

        #[derive(Clone, Copy)]
        struct $Name;

        impl WideFunction for $Name {
            #[inline(always)]
            fn evaluate<W: Lanes<Element = f64>>(self, $x: W) -> W {
                $value
            }
        }
    )+ };
}

functions! {
    /// The derivative s·(1 + x(1 − s)) of x·s, s = 1/(1 + e⁻ˣ).
    times_sigmoid_derivative TimesSigmoidDerivative(x) {
        let x = within(x, -LOWEST);
        let (s, rest) = logistic(x);
        s * x.mul_add(rest, x.splat(1.0))
    };

    /// The derivative s·(1 + x·k′(x)·(1 − s)) of x·s, s = 1/(1 + e^{−k(x)}), k as in
    /// [`super::gelu_tanh`].
    gelu_tanh_derivative GeluTanhDerivative(x) {
        let x = within(x, f64::from(f32::TOP));
        let (b, c) = gelu_tanh_constants(x);
        let square = x * x;
        let (s, rest) = logistic(x * square.mul_add(c, b));
        let slope = x * square.mul_add(c + c + c, b);
        s * slope.mul_add(rest, x.splat(1.0))
    };

    /// x·tanh(ln(1 + eˣ)) = x·n/(n + 2), n = e(e + 2), e = eˣ.
    mish Mish(x) {
        let x = x.splat(LOWEST).greater_or(x);
        let (e, two) = (mish_exponential(x), x.splat(2.0));
        let n = e * (e + two);
        x * (n / (n + two))
    };

    /// Its derivative e·((e + 2)d + 4x(1 + e))/d², d = n + 2.
    mish_derivative MishDerivative(x) {
        let x = x.splat(MISH_TOP).less_or(x.splat(LOWEST).greater_or(x));
        let (e, two) = (mish_exponential(x), x.splat(2.0));
        let d = e.mul_add(e + two, two);
        let four_x = (x + x) * two;
        e * (e + two).mul_add(d, four_x.mul_add(e, four_x)) / (d * d)
    };
}

/// b and c of k(x) = x·(b + c·x²).
#[inline(always)]
fn gelu_tanh_constants<W: Lanes<Element = f64>>(x: W) -> (W, W) {
    (x.splat(f64::B_HI + f64::B_LO), x.splat(f64::C_HI))
}

/// From here on x·tanh(ln(1 + eˣ)) is x.
const MISH_TOP: f64 = 40.0;

#[inline(always)]
fn mish_exponential<W: Lanes<Element = f64>>(x: W) -> W {
    exp(x.splat(MISH_TOP).less_or(x))
}
