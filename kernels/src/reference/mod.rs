//! The naive implementation of every kernel: plain loops, f64 sums, no cleverness.
//!
//! It is what the tests and benches compare with. Speed is no concern here, and neither are bad
//! arguments: these functions index, and panic where a kernel returns an error.
//!
//! ```
//! use deltarule_kernels::{Isa, math::Function, reference};
//! let x: Vec<f32> = (-100..100).map(|i| i as f32 / 16.0).collect();
//! let mut y = vec![0.0; x.len()];
//! Function::Tanh.evaluate(Isa::detect(), &x, &mut y)?;
//! let errors = x.iter().zip(&y).map(|(&x, &y)| {
//!     reference::ulps(y, reference::function(Function::Tanh, f64::from(x)))
//! });
//! assert!(errors.fold(0.0, f64::max) < 2.0);
//! # Ok::<(), deltarule_kernels::ShapeError>(())
//! ```

mod double_double;
mod loss;
mod norm;
mod optimizer;
mod real;
mod row_activation;

pub use double_double::DoubleDouble;
pub use loss::{class_loss, element_loss, softmax_cross_entropy, squared_error};
pub use norm::{normalize, normalize_backward};
pub use optimizer::optimizer_step;
pub use real::Real;
pub use row_activation::{row_activation, row_activation_backward};

use crate::activation::Activation;
use crate::gemm::Start;
use crate::math::Function;
use crate::{Element, MatMut, MatRef};

/// The distance of `value` from `exact` in units in the last place of E at `exact`, f64 standing
/// for an exact result of f32, [`DoubleDouble`] for one of f64.
///
/// 0 where both are NaN or the same infinity, +∞ where only one is NaN. Beyond the largest finite
/// number the next power of 2 stands for the infinity that is the rounded result.
///
/// ```
/// use deltarule_kernels::reference::ulps;
/// assert_eq!(ulps(1.0f32, 1.0), 0.0);
/// assert_eq!(ulps(1.0f32 + 3.0 * f32::EPSILON, 1.0), 3.0);
/// assert_eq!(ulps(f32::NAN, 1.0), f64::INFINITY);
/// ```
pub fn ulps<E: Element, R: Real>(value: E, exact: R) -> f64 {
    let (value, nearest) = (value.to_f64(), exact.to_f64());
    if value == nearest && !nearest.is_finite() || value.is_nan() && nearest.is_nan() {
        return 0.0;
    }
    // The exponent's range and the bits after the point.
    let (least, greatest, bits) =
        if size_of::<E>() == 4 { (-126, 127, 23) } else { (-1022, 1023, 52) };
    if nearest.is_infinite() || value.is_infinite() {
        let half_limit = pow2(greatest);
        let magnitude = |x: f64| if x.is_infinite() { 2.0 } else { x.abs() / half_limit };
        let same_sign = value.is_sign_negative() == nearest.is_sign_negative();
        let error = (magnitude(value) - magnitude(nearest).min(2.0)).abs() * pow2(bits);
        return if same_sign && !value.is_nan() { error } else { f64::INFINITY };
    }
    let exponent = ((nearest.to_bits() >> 52 & 0x7ff) as i32 - 1023).clamp(least, greatest);
    let error = (R::from(value) - exact).to_f64().abs();
    // In two factors, for one could be out of range.
    let scale = bits - exponent;
    let error = error * pow2(scale / 2) * pow2(scale - scale / 2);
    if error.is_nan() { f64::INFINITY } else { error }
}

/// 2ⁿ, n within the exponents of normal f64.
fn pow2(n: i32) -> f64 {
    f64::from_bits(((1023 + n) as u64) << 52)
}

/// f(x).
///
/// ```
/// use deltarule_kernels::{math::Function, reference::{self, DoubleDouble}};
/// assert_eq!(reference::function(Function::Exp, 0.0), 1.0);
/// let e = reference::function(Function::Exp, DoubleDouble::from(1.0));
/// assert_eq!(e.high, core::f64::consts::E);
/// assert!((e.low - 1.445_646_891_729_250_2e-16).abs() < 1e-31); // the digits beyond
/// ```
pub fn function<R: Real>(function: Function, x: R) -> R {
    function.reference(x)
}

/// Σ xᵢ.
///
/// ```
/// use deltarule_kernels::reference;
/// assert_eq!(reference::sum(&[1e8f32, 1.0, -1e8]), 1.0); // in f64
/// ```
pub fn sum<E: Element>(x: &[E]) -> f64 {
    x.iter().map(|x| x.to_f64()).sum()
}

/// Σ xᵢ².
///
/// ```
/// use deltarule_kernels::reference;
/// assert_eq!(reference::sum_of_squares(&[3.0f32, 4.0]), 25.0);
/// ```
pub fn sum_of_squares<E: Element>(x: &[E]) -> f64 {
    x.iter().map(|x| x.to_f64() * x.to_f64()).sum()
}

/// σ(x).
///
/// ```
/// use deltarule_kernels::{activation::Activation, reference};
/// assert_eq!(reference::activation(Activation::Relu, -2.0), 0.0);
/// assert_eq!(reference::activation(Activation::Softplus, 0.0), 2f64.ln());
/// ```
pub fn activation<R: Real>(activation: Activation, x: R) -> R {
    activation.reference_value(x)
}

/// σ′ from what [`Activation::derivative_from`] names.
///
/// ```
/// use deltarule_kernels::{activation::Activation, reference};
/// // From y for tanh, from x for SiLU.
/// assert_eq!(reference::activation_derivative(Activation::Tanh, 0.5), 0.75);
/// assert_eq!(reference::activation_derivative(Activation::Silu, 0.0), 0.5);
/// ```
pub fn activation_derivative<R: Real>(activation: Activation, stored: R) -> R {
    activation.reference_derivative(stored)
}

/// [`crate::gemm::InnerProducts`] without an epilogue: for each element of C 8 chains of fused
/// multiply-adds over k, and their sum in its fixed order. Not in f64, since that is the definition.
///
/// ```
/// use deltarule_kernels::{MatMut, MatRef, reference};
/// let (x, w) = (MatRef::new(&[1.0f32, 2.0], 1, 2)?, MatRef::new(&[3.0, 4.0], 1, 2)?);
/// let mut c = [0.0];
/// reference::inner_products(x, w, Some(&[100.0]), MatMut::new(&mut c, 1, 1)?);
/// assert_eq!(c, [100.0 + 3.0 + 8.0]);
/// # Ok::<(), deltarule_kernels::ShapeError>(())
/// ```
pub fn inner_products<E: Element>(
    x: MatRef<'_, E>,
    w: MatRef<'_, E>,
    biases: Option<&[E]>,
    mut c: MatMut<'_, E>,
) {
    for i in 0..c.rows() {
        for j in 0..c.columns() {
            let mut s = [E::ZERO; 8];
            for p in 0..x.columns() {
                s[p % 8] = x.at(i, p).mul_add(w.at(j, p), s[p % 8]);
            }
            // Steps that are not there add 0 · 0.
            for p in x.columns()..x.columns().next_multiple_of(8) {
                s[p % 8] += E::ZERO;
            }
            let even = (s[0] + s[4]) + (s[2] + s[6]);
            let odd = (s[1] + s[5]) + (s[3] + s[7]);
            *c.at(i, j) = biases.map_or(E::ZERO, |b| b[j]) + (even + odd);
        }
    }
}

/// [`crate::gemm::Gemm`]: for each element of C one chain of fused multiply-adds over k, in
/// ascending order. The one reference that does not sum in f64, since the chain is the
/// definition.
///
/// ```
/// use deltarule_kernels::{MatMut, MatRef, gemm::Start, reference};
/// let (a, b) = (MatRef::new(&[1.0f32, 2.0], 1, 2)?, MatRef::new(&[3.0, 4.0], 2, 1)?);
/// let mut c = [100.0];
/// reference::gemm(a, b, 2.0, Start::Accumulate, MatMut::new(&mut c, 1, 1)?);
/// assert_eq!(c, [100.0 + 2.0 * (3.0 + 8.0)]);
/// # Ok::<(), deltarule_kernels::ShapeError>(())
/// ```
pub fn gemm<E: Element>(
    a: MatRef<'_, E>,
    b: MatRef<'_, E>,
    alpha: E,
    start: Start<'_, E>,
    mut c: MatMut<'_, E>,
) {
    for i in 0..c.rows() {
        for j in 0..c.columns() {
            let mut sum = match start {
                Start::Zero => E::ZERO,
                Start::Accumulate => *c.at(i, j),
                Start::Scaled(beta) if beta == E::ZERO => E::ZERO,
                Start::Scaled(beta) => beta * *c.at(i, j),
                Start::Row(row) => row[j],
            };
            for p in 0..a.columns() {
                sum = (alpha * a.at(i, p)).mul_add(b.at(p, j), sum);
            }
            *c.at(i, j) = sum;
        }
    }
}
