//! What a step pulls the outputs towards.

use deltarule_kernels::{Element, Isa, reduce};

use super::Score;
use super::propagate::Phase;
use crate::error::Result;
use crate::loss::{Loss, Reduction};
use crate::targets::{Targets, WeightedTargets};

/// The loss of a trainer.
#[derive(Clone, Debug)]
pub(crate) struct Objective<E> {
    pub(crate) loss: Loss,
    pub(crate) reduction: Reduction,
    /// Those of the classes; none for none.
    pub(crate) class_weights: Vec<E>,
}

/// Where δ of the outputs comes from.
#[derive(Clone, Copy)]
pub(crate) enum Goal<'a, E: Element> {
    /// From the trainer's loss.
    Targets(WeightedTargets<'a, E>),
    /// From nowhere: only the outputs are wanted.
    Outputs,
    /// From a loss of the user's own, which made it of outputs that were computed before.
    Delta {
        loss: f64,
        delta: &'a [E],
        /// Whether the layers' values are still there.
        has_values: bool,
    },
}

impl<E: Element> Goal<'_, E> {
    /// Which way the rows go.
    pub(crate) fn phase(&self) -> Phase {
        match self {
            Self::Outputs => Phase::Forward,
            Self::Delta { has_values: true, .. } => Phase::Backward,
            _ => Phase::Both,
        }
    }

    /// The score of rows with these losses, if it is finite.
    pub(crate) fn score(&self, isa: Isa, losses: &[E], correct: usize) -> Result<Score> {
        let rows = losses.len();
        let goal = match *self {
            Self::Targets(goal) => goal,
            Self::Outputs => return Ok(Score { loss: 0.0, rows, correct: None }),
            Self::Delta { loss, .. } => return Ok(Score { loss, rows, correct: None }),
        };
        let loss = reduce::sum(isa, losses).to_f64();
        goal.check_loss(isa, rows, loss)?;
        let correct = matches!(goal.targets, Targets::Classes(_)).then_some(correct);
        Ok(Score { loss, rows, correct })
    }
}
