//! Losses.

use crate::Element;
use crate::loss::ElementLoss;

/// [`crate::loss::squared_error`].
///
/// ```
/// use deltarule_kernels::reference;
/// let (mut losses, mut delta) = ([0.0f32], [0.0; 2]);
/// reference::squared_error(2, &[1.0, 2.0], &[0.0, 4.0], 0.5, &mut losses, &mut delta);
/// assert_eq!((losses, delta), ([2.5], [1.0, -2.0]));
/// ```
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
///
/// ```
/// use deltarule_kernels::reference;
/// let (mut losses, mut delta) = ([0.0f64], [0.0; 2]);
/// reference::softmax_cross_entropy(2, &[0.0, 0.0], &[1], 1.0, &mut losses, &mut delta);
/// assert_eq!((losses, delta), ([2f64.ln()], [0.5, -0.5]));
/// ```
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

/// An [`ElementLoss`] of one element, and its derivative by the prediction.
///
/// ```
/// use deltarule_kernels::{loss::ElementLoss, reference};
/// let huber = ElementLoss::Huber { threshold: 1.0 };
/// assert_eq!(reference::element_loss(huber, 3.0, 0.0), (2.5, 1.0));
/// assert_eq!(reference::element_loss(huber, 0.5, 0.0), (0.125, 0.5));
/// ```
pub fn element_loss(loss: ElementLoss, prediction: f64, target: f64) -> (f64, f64) {
    let error = prediction - target;
    let sign = if error == 0.0 { 0.0 } else { error.signum() };
    let softplus = |x: f64| x.max(0.0) + (-x.abs()).exp().ln_1p();
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    match loss {
        ElementLoss::SquaredError => (error * error, 2.0 * error),
        ElementLoss::AbsoluteError => (error.abs(), sign),
        ElementLoss::Quantile { quantile } => {
            let weight = if error > 0.0 { 1.0 - quantile } else { quantile };
            (weight * error.abs(), weight * sign)
        }
        ElementLoss::Huber { threshold } if error.abs() <= threshold => {
            (0.5 * error * error, error)
        }
        ElementLoss::Huber { threshold } => {
            (threshold * (error.abs() - 0.5 * threshold), threshold * sign)
        }
        ElementLoss::BinaryCrossEntropy { positive_weight } => {
            let (off, on) = (1.0 - target, positive_weight * target);
            (
                off * softplus(prediction) + on * softplus(-prediction),
                off * sigmoid(prediction) - on * sigmoid(-prediction),
            )
        }
        ElementLoss::Poisson => {
            let product = if target == 0.0 { 0.0 } else { target * prediction };
            (prediction.exp() - product, prediction.exp() - target)
        }
        ElementLoss::KlDivergence if target == 0.0 => (0.0, 0.0),
        ElementLoss::KlDivergence => (target * (target.ln() - prediction), -target),
    }
}

/// [`crate::loss::ClassTargets`] for one row: Σ q·(log q − log softmax z), without the log q where
/// it is not a divergence, and the derivative by z.
///
/// ```
/// use deltarule_kernels::reference;
/// let (loss, delta) = reference::class_loss(&[1.0, 0.0], &[0.0, 0.0], false);
/// assert_eq!((loss, delta), (2f64.ln(), vec![-0.5, 0.5]));
/// let (divergence, _) = reference::class_loss(&[0.5, 0.5], &[3.0, 3.0], true);
/// assert!(divergence.abs() < 1e-15);
/// ```
pub fn class_loss(q: &[f64], z: &[f64], is_divergence: bool) -> (f64, Vec<f64>) {
    let max = z.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let total: f64 = z.iter().map(|z| (z - max).exp()).sum();
    let mass: f64 = q.iter().sum();
    let mut loss = 0.0;
    for (&q, &z) in q.iter().zip(z).filter(|&(&q, _)| q != 0.0) {
        let own = if is_divergence { q.ln() } else { 0.0 };
        loss += q * (own + total.ln() + (max - z));
    }
    let delta = q.iter().zip(z).map(|(q, z)| (z - max).exp() / total * mass - q).collect();
    (loss, delta)
}
