//! The naive implementation of every kernel: plain loops, f64 sums, no cleverness.
//!
//! It is what the tests and benches compare with. Speed is no concern here, and neither are bad
//! arguments: these functions index, and panic where a kernel returns an error.

use crate::activation::Activation;
use crate::gemm::Start;
use crate::{Element, MatMut, MatRef};

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
    match activation {
        Activation::Identity => x,
        Activation::Sigmoid => 1.0 / (1.0 + (-x).exp()),
        Activation::Tanh => x.tanh(),
        Activation::Relu => {
            if x < 0.0 {
                0.0
            } else {
                x
            }
        }
    }
}

/// σ′ from what [`Activation::derivative_from`] names.
pub fn activation_derivative(activation: Activation, stored: f64) -> f64 {
    match activation {
        Activation::Identity => 1.0,
        Activation::Sigmoid => stored * (1.0 - stored),
        Activation::Tanh => 1.0 - stored * stored,
        Activation::Relu => {
            if stored > 0.0 {
                1.0
            } else {
                stored * 0.0
            }
        }
    }
}

/// [`crate::loss::squared_error`].
pub fn squared_error<E: Element>(
    columns: usize,
    predictions: &[E],
    targets: &[E],
    scale: E,
    losses: &mut [E],
    delta: &mut [E],
) {
    for (i, loss) in losses.iter_mut().enumerate() {
        let mut sum = 0.0;
        for j in i * columns..(i + 1) * columns {
            let error = predictions[j].to_f64() - targets[j].to_f64();
            sum += error * error;
            delta[j] = E::from_f64(2.0 * scale.to_f64() * error);
        }
        *loss = E::from_f64(scale.to_f64() * sum);
    }
}

/// [`crate::loss::softmax_cross_entropy`].
pub fn softmax_cross_entropy<E: Element>(
    classes: usize,
    logits: &[E],
    labels: &[usize],
    scale: E,
    losses: &mut [E],
    delta: &mut [E],
) {
    for (i, (loss, &label)) in losses.iter_mut().zip(labels).enumerate() {
        let row: Vec<f64> =
            logits[i * classes..(i + 1) * classes].iter().map(|z| z.to_f64()).collect();
        let largest = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let total: f64 = row.iter().map(|z| (z - largest).exp()).sum();
        *loss = E::from_f64(scale.to_f64() * (total.ln() + largest - row[label]));
        for (j, z) in row.iter().enumerate() {
            let hit = if j == label { 1.0 } else { 0.0 };
            let softmax = (z - largest).exp() / total;
            delta[i * classes + j] = E::from_f64(scale.to_f64() * (softmax - hit));
        }
    }
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
