//! Losses: each row's value and its δ = ∂ℒ/∂(network output) in one pass.

use crate::error::{check_length, checked_area};
use crate::{Element, Isa, ShapeError, reference};

/// Half or whole, summed or averaged: `scale · ‖ŷᵢ − yᵢ‖²` for each row i.
///
/// `predictions` and `targets` are (rows, columns), row-major. Writes
/// `losses[i] = scale · Σⱼ (ŷᵢⱼ − yᵢⱼ)²` and `delta = 2 · scale · (ŷ − y)`. With scale = 1/rows,
/// the sum of `losses` is the mean squared error (1/n) Σᵢ ‖ŷᵢ − yᵢ‖².
///
/// # Errors
/// [`ShapeError`] if a slice does not have rows · columns (or rows) elements; nothing was written.
pub fn squared_error<E: Element>(
    _isa: Isa,
    (rows, columns): (usize, usize),
    predictions: &[E],
    targets: &[E],
    scale: E,
    losses: &mut [E],
    delta: &mut [E],
) -> Result<(), ShapeError> {
    let area = checked_area("predictions", rows, columns)?;
    check_length("predictions", predictions, area)?;
    check_length("targets", targets, area)?;
    check_length("losses", losses, rows)?;
    check_length("delta", delta, area)?;
    reference::squared_error(columns, predictions, targets, scale, losses, delta);
    Ok(())
}

/// Softmax cross-entropy with class indices: `scale · (log Σⱼ e^{zᵢⱼ} − zᵢ,labelᵢ)` for each row i.
///
/// `logits` are (rows, classes), row-major. Writes that into `losses` and
/// `delta = scale · (softmax(zᵢ) − onehot(labelᵢ))`, ∂ℒ/∂z. With scale = 1/rows the sum of
/// `losses` is the mean over the batch.
///
/// # Errors
/// [`ShapeError`] if a slice does not have rows · classes (or rows) elements, or a label is not
/// below `classes`; nothing was written.
pub fn softmax_cross_entropy<E: Element>(
    _isa: Isa,
    (rows, classes): (usize, usize),
    logits: &[E],
    labels: &[usize],
    scale: E,
    losses: &mut [E],
    delta: &mut [E],
) -> Result<(), ShapeError> {
    let area = checked_area("logits", rows, classes)?;
    check_length("logits", logits, area)?;
    check_length("labels", labels, rows)?;
    check_length("losses", losses, rows)?;
    check_length("delta", delta, area)?;
    for (row, &class) in labels.iter().enumerate() {
        if class >= classes {
            return Err(ShapeError::Class { argument: "labels", row, class, classes });
        }
    }
    reference::softmax_cross_entropy(classes, logits, labels, scale, losses, delta);
    Ok(())
}
