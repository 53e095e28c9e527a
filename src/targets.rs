//! What the outputs of a network should be, and what each row counts.

use core::ops::Range;
use deltarule_kernels::{Element, Isa};

use crate::error::{Error, Result, check_finite, check_length};

/// What the outputs of a batch should have been.
///
/// ```
/// use deltarule::{Activation, Error, Loss, Network, Optimizer, Targets, Trainer};
/// let network = Network::builder(1).dense(3, Activation::Identity).build()?;
/// let mut trainer =
///     Trainer::builder(network, Loss::SoftmaxCrossEntropy, Optimizer::sgd(0.1)).build()?;
/// // Two rows, by the index of their class and by the probability of each.
/// let by_class = trainer.evaluate(&[1.0, 2.0], Targets::Classes(&[2, 0]))?;
/// let by_value =
///     trainer.evaluate(&[1.0, 2.0], Targets::Values(&[0.0, 0.0, 1.0, 1.0, 0.0, 0.0]))?;
/// assert!((by_class.loss - by_value.loss).abs() < 1e-6);
/// let error = trainer.evaluate(&[1.0], Targets::Classes(&[3])).unwrap_err();
/// assert_eq!(error, Error::Class { argument: "targets", row: 0, class: 3, classes: 3 });
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Targets<'a, E: Element = f32> {
    /// For each row the index of its class.
    Classes(&'a [usize]),
    /// For each row the values of its outputs, (rows, outputs) row-major.
    Values(&'a [E]),
}

impl<'a, E: Element> Targets<'a, E> {
    /// The same, with a weight for each row.
    ///
    /// ```
    /// use deltarule::{Activation, Loss, Network, Optimizer, Targets, Trainer};
    /// let network = Network::builder(4).dense(3, Activation::Identity).build()?;
    /// let mut policy =
    ///     Trainer::builder(network, Loss::SoftmaxCrossEntropy, Optimizer::adam(0.01)).build()?;
    /// // REINFORCE: what was seen, what was done, and how much better than usual that was.
    /// let (states, actions, advantages) = ([0.5; 8], [2, 0], [1.5, -0.5]);
    /// policy.step(&states, Targets::Classes(&actions).weighted(&advantages))?;
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn weighted(self, weights: &'a [E]) -> WeightedTargets<'a, E> {
        WeightedTargets { targets: self, weights: Some(weights) }
    }

    /// The targets of these rows, of which each has `outputs` outputs.
    pub(crate) fn rows(self, rows: Range<usize>, outputs: usize) -> Self {
        match self {
            Self::Classes(labels) => Self::Classes(&labels[rows]),
            Self::Values(values) => Self::Values(&values[rows.start * outputs..rows.end * outputs]),
        }
    }
}

/// Targets, and how much each row counts; [`Targets::weighted`] makes them.
///
/// A row's loss and its gradient are multiplied by its weight wᵢ. The loss is still divided by the
/// rows n, and not by the sum of their weights: ℒ = (1/n) Σᵢ wᵢ ℓᵢ. Weights may be 0, and below 0,
/// as the advantages of a policy's gradient are. How many rows are classified correctly does not
/// depend on them. A [`Metric`](crate::Metric) is divided by the sum of the weights, none of which
/// may be below 0 then.
///
/// ```
/// use deltarule::{Activation, Error, Loss, Network, Optimizer, Targets, Trainer};
/// let network = Network::builder(1).dense(1, Activation::Identity).build()?;
/// let mut trainer =
///     Trainer::builder(network, Loss::MeanSquaredError, Optimizer::sgd(0.1)).build()?;
/// trainer.network_mut().parameters_mut().copy_from_slice(&[1.0, 0.0]); // ŷ = x
/// let (x, y) = ([1.0, 3.0], Targets::Values(&[0.0, 0.0]));
/// assert_eq!(trainer.evaluate(&x, y)?.loss, (1.0 + 9.0) / 2.0);
/// assert_eq!(trainer.evaluate(&x, y.weighted(&[4.0, 0.5]))?.loss, (4.0 + 4.5) / 2.0);
/// let error = trainer.evaluate(&x, y.weighted(&[2.0])).unwrap_err();
/// assert_eq!(error, Error::Length { argument: "weights", expected: 2, actual: 1 });
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WeightedTargets<'a, E: Element = f32> {
    /// What the outputs should be.
    pub targets: Targets<'a, E>,
    /// A weight for each row, or `None` if each counts as 1.
    pub weights: Option<&'a [E]>,
}

impl<'a, E: Element> WeightedTargets<'a, E> {
    /// Those of these rows, of which each has `outputs` outputs.
    pub(crate) fn rows(self, rows: Range<usize>, outputs: usize) -> Self {
        Self {
            weights: self.weights.map(|weights| &weights[rows.clone()]),
            targets: self.targets.rows(rows, outputs),
        }
    }

    /// Checks that there are as many targets, and one weight, for each of so many rows.
    pub(crate) fn check_rows(&self, argument: &'static str, rows: usize) -> Result<()> {
        self.check_weights(rows)?;
        match self.targets {
            Targets::Classes(labels) => check_length(argument, labels.len(), rows),
            Targets::Values([]) => Err(Error::Empty { argument }),
            Targets::Values(values) if !values.len().is_multiple_of(rows) => {
                Err(Error::Uneven { argument, length: values.len(), rows })
            }
            Targets::Values(_) => Ok(()),
        }
    }

    /// Checks that there is one weight for each of so many rows, if there are any.
    pub(crate) fn check_weights(&self, rows: usize) -> Result<()> {
        self.weights.map_or(Ok(()), |weights| check_length("weights", weights.len(), rows))
    }

    /// Checks that the loss of so many rows is finite, and if it is not, whether the targets are why.
    pub(crate) fn check_loss(&self, isa: Isa, rows: usize, loss: f64) -> Result<()> {
        if loss.is_finite() {
            return Ok(());
        }
        self.check_finite(isa, ["targets", "weights"])?;
        Err(Error::NonFiniteLoss { rows, loss })
    }

    /// Checks that there is neither infinity nor NaN in what goes by these names.
    pub(crate) fn check_finite(
        &self,
        isa: Isa,
        [targets, weights]: [&'static str; 2],
    ) -> Result<()> {
        if let Targets::Values(values) = self.targets {
            check_finite(isa, targets, values)?;
        }
        self.weights.map_or(Ok(()), |own| check_finite(isa, weights, own))
    }
}

impl<'a, E: Element> From<Targets<'a, E>> for WeightedTargets<'a, E> {
    /// Each row counts as 1.
    fn from(targets: Targets<'a, E>) -> Self {
        Self { targets, weights: None }
    }
}
