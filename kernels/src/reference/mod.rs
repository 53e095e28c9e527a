//! The naive implementation of every kernel: plain loops, f64 sums, no cleverness.
//!
//! It is what the tests and benches compare with. Speed is no concern here, and neither are bad
//! arguments: these functions index, and panic where a kernel returns an error.

mod loss;
mod norm;
mod optimizer;

pub use loss::{class_loss, element_loss, softmax_cross_entropy, squared_error};
pub use norm::{normalize, normalize_backward};
pub use optimizer::optimizer_step;

use crate::activation::Activation;
use crate::gemm::Start;
use crate::{Element, MatMut, MatRef};

/// The distance of `value` from `exact` in units in the last place of f32 at `exact`; 0 where
/// both are NaN or the same infinity, +∞ where only one is. Beyond the largest f32 the next power
/// of 2 stands for the infinity that is the rounded result.
pub fn ulps_f32(value: f32, exact: f64) -> f64 {
    let value = f64::from(value);
    if value == exact || (value.is_nan() && exact.is_nan()) {
        return 0.0;
    }
    let limit = 2f64.powi(128);
    let value = if value.is_infinite() { limit.copysign(value) } else { value };
    let exact = exact.clamp(-limit, limit);
    let exponent = ((exact.to_bits() >> 52 & 0x7ff) as i32 - 1023).clamp(-126, 127);
    let error = (value - exact).abs() * 2f64.powi(23 - exponent);
    if error.is_nan() { f64::INFINITY } else { error }
}

/// Σ xᵢ.
pub fn sum<E: Element>(x: &[E]) -> f64 {
    x.iter().map(|x| x.to_f64()).sum()
}

/// Σ xᵢ².
pub fn sum_of_squares<E: Element>(x: &[E]) -> f64 {
    x.iter().map(|x| x.to_f64() * x.to_f64()).sum()
}

/// σ(x).
pub fn activation(activation: Activation, x: f64) -> f64 {
    activation.reference_value(x)
}

/// σ′ from what [`Activation::derivative_from`] names.
pub fn activation_derivative(activation: Activation, stored: f64) -> f64 {
    activation.reference_derivative(stored)
}

/// [`crate::gemm::Gemm`]: for each element of C one chain of fused multiply-adds over k, in
/// ascending order. The one reference that does not sum in f64, since the chain is the
/// definition.
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
