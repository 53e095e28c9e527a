//! How a gradient changes the parameters.

use deltarule_kernels::{Element, Isa, ShapeError, optimizer};

use crate::error::{Error, Result};

/// A rule by which the gradient g changes the parameters θ.
///
/// ```
/// let optimizer = deltarule::Optimizer::sgd(0.1);
/// assert_eq!(optimizer.learning_rate(), 0.1);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Optimizer {
    rule: Rule,
    learning_rate: f64,
}

/// The rules; all but the learning rate of each is fixed for a training.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Rule {
    Sgd,
}

impl Optimizer {
    /// Stochastic gradient descent: θ ← θ − η g.
    pub fn sgd(learning_rate: f64) -> Self {
        Self { rule: Rule::Sgd, learning_rate }
    }

    /// η.
    pub fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    /// The same rule with another η.
    #[must_use]
    pub fn with_learning_rate(self, learning_rate: f64) -> Self {
        Self { learning_rate, ..self }
    }

    /// Checks that every number has a meaning.
    pub(crate) fn check(&self) -> Result<()> {
        let value = self.learning_rate;
        if value.is_finite() && value >= 0.0 {
            Ok(())
        } else {
            let expected = "finite and not negative";
            Err(Error::OutOfRange { argument: "learning_rate", value, expected })
        }
    }

    /// Updates some of the parameters by their part of the gradient.
    pub(crate) fn apply<E: Element>(
        &self,
        isa: Isa,
        gradient: &[E],
        parameters: &mut [E],
    ) -> Result<(), ShapeError> {
        let learning_rate = E::from_f64(self.learning_rate);
        match self.rule {
            Rule::Sgd => optimizer::sgd(isa, learning_rate, gradient, parameters),
        }
    }
}
