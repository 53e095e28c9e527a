//! What a network is trained to make small.

use core::ops::Range;
use deltarule_kernels::{Element, Isa, ShapeError, loss};

use crate::error::{Error, Result, check_length, checked_area};
use crate::metrics::check_classes;

/// A loss ℒ over the outputs ŷ of a batch of n rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Loss {
    /// (1/n) Σᵢ ‖ŷᵢ − yᵢ‖²; with [`Reduction::MeanOverElements`] divided by the width of a row
    /// as well. Takes [`Targets::Values`].
    MeanSquaredError,
    /// (1/n) Σᵢ (log Σⱼ exp ŷᵢⱼ − ŷᵢ,labelᵢ): the outputs are logits, the last layer is
    /// [`Activation::Identity`](crate::Activation::Identity). Takes [`Targets::Classes`].
    SoftmaxCrossEntropy,
}

/// What a loss on values is divided by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reduction {
    /// The rows: ℒ is the mean of the rows' losses, each a sum over its elements.
    #[default]
    MeanOverRows,
    /// The elements, as PyTorch's `reduction="mean"` does.
    MeanOverElements,
}

/// What the outputs of a batch should have been.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Targets<'a, E: Element = f32> {
    /// For each row the index of its class.
    Classes(&'a [usize]),
    /// For each row the values of its outputs, (rows, outputs) row-major.
    Values(&'a [E]),
}

impl<'a, E: Element> Targets<'a, E> {
    /// The targets of these rows, of which each has `outputs` outputs.
    pub(crate) fn rows(self, rows: Range<usize>, outputs: usize) -> Self {
        match self {
            Self::Classes(labels) => Self::Classes(&labels[rows]),
            Self::Values(values) => Self::Values(&values[rows.start * outputs..rows.end * outputs]),
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Self::Classes(_) => "classes",
            Self::Values(_) => "values",
        }
    }
}

impl Loss {
    /// What a batch's losses are scaled by before they are summed.
    pub(crate) fn scale(self, reduction: Reduction, rows: usize, outputs: usize) -> f64 {
        let elements = match (self, reduction) {
            (Self::MeanSquaredError, Reduction::MeanOverElements) => outputs,
            _ => 1,
        };
        1.0 / (rows as f64 * elements as f64)
    }

    /// Checks that the targets are of the kind that this loss takes, and fit the batch.
    pub(crate) fn check<E: Element>(
        self,
        targets: Targets<'_, E>,
        rows: usize,
        outputs: usize,
    ) -> Result<()> {
        match (self, targets) {
            (Self::SoftmaxCrossEntropy, Targets::Classes(labels)) => {
                check_length("targets", labels.len(), rows)?;
                check_classes("targets", labels, outputs)
            }
            (Self::MeanSquaredError, Targets::Values(values)) => {
                check_length("targets", values.len(), checked_area("targets", rows, outputs)?)
            }
            (Self::SoftmaxCrossEntropy, _) => Err(Error::TargetKind {
                loss: "SoftmaxCrossEntropy",
                expected: "classes",
                actual: targets.kind(),
            }),
            (Self::MeanSquaredError, _) => Err(Error::TargetKind {
                loss: "MeanSquaredError",
                expected: "values",
                actual: targets.kind(),
            }),
        }
    }

    /// Each row's loss, and δ = ∂ℒ/∂ŷ. The targets have passed [`Loss::check`].
    pub(crate) fn run<E: Element>(
        self,
        isa: Isa,
        outputs: &[E],
        targets: Targets<'_, E>,
        scale: E,
        losses: &mut [E],
        delta: &mut [E],
    ) -> Result<(), ShapeError> {
        let shape = (losses.len(), outputs.len() / losses.len());
        match targets {
            Targets::Classes(labels) => {
                loss::softmax_cross_entropy(isa, shape, outputs, labels, scale, losses, delta)
            }
            Targets::Values(values) => {
                loss::squared_error(isa, shape, outputs, values, scale, losses, delta)
            }
        }
    }
}
