//! Where a training stands.

use deltarule_kernels::Element;

use super::{EarlyStopping, Epoch, Fit};
use crate::network::Network;
use crate::schedule::Plateau;
use crate::trainer::Score;

/// Where a training stands, with the best network so far if it is to be kept.
pub(super) struct Course<E: Element> {
    pub(super) at: Position,
    pub(super) best: Option<Network<E>>,
}

/// Where a training stands, but for weights.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "checkpoint", derive(serde::Serialize, serde::Deserialize))]
pub(crate) struct Position {
    /// The epochs that have ended.
    pub(super) epochs: Vec<Epoch>,
    /// The batches of the next one that are done, and what came of them.
    pub(super) batch: usize,
    pub(super) total: Total,
    /// How long they took.
    pub(super) seconds: f64,
    /// Those since the training began.
    pub(super) steps: u64,
    /// The trainer's own, and the last step's.
    pub(super) base_rate: f64,
    pub(super) learning_rate: f64,
    /// The factor of the plateau.
    pub(super) reduction: f64,
    pub(super) plateau: Option<Plateau>,
    pub(super) best: Option<Best>,
}

/// The best epoch so far.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "checkpoint", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Best {
    pub(super) index: usize,
    pub(super) value: f64,
}

/// The scores of an epoch's batches.
#[derive(Clone, Debug, Default, PartialEq)]
#[cfg_attr(feature = "checkpoint", derive(serde::Serialize, serde::Deserialize))]
pub(super) struct Total {
    pub(super) rows: usize,
    loss: f64,
    pub(super) correct: Option<usize>,
}

impl Total {
    fn add(&mut self, score: Score) {
        self.rows += score.rows;
        self.loss += score.loss * score.rows as f64;
        if let Some(correct) = score.correct {
            *self.correct.get_or_insert(0) += correct;
        }
    }

    pub(super) fn loss(&self) -> f64 {
        self.loss / self.rows as f64
    }

    pub(super) fn accuracy(&self) -> Option<f64> {
        self.correct.map(|correct| correct as f64 / self.rows as f64)
    }
}

impl Position {
    /// Takes a step.
    pub(super) fn step(&mut self, learning_rate: f64, score: Score) {
        self.total.add(score);
        self.learning_rate = learning_rate;
        self.batch += 1;
        self.steps += 1;
    }

    /// Takes the end of an epoch.
    pub(super) fn end_epoch(&mut self, epoch: Epoch) {
        self.epochs.push(epoch);
        (self.batch, self.total, self.seconds) = (0, Total::default(), 0.0);
    }
}

impl<E: Element> Course<E> {
    /// The beginning.
    pub(super) fn new(fit: &Fit<'_, E>) -> Self {
        let base_rate = fit.trainer.optimizer().learning_rate();
        let at = Position {
            epochs: Vec::new(),
            batch: 0,
            total: Total::default(),
            seconds: 0.0,
            steps: 0,
            base_rate,
            learning_rate: base_rate,
            reduction: 1.0,
            plateau: fit.plateau.map(|(rule, _)| rule.start()),
            best: None,
        };
        Self { at, best: None }
    }

    /// Shows the last epoch to whatever waits for the network to become better.
    pub(super) fn observe(&mut self, fit: &Fit<'_, E>) {
        let Some(index) = self.at.epochs.len().checked_sub(1) else { return };
        let epoch = &self.at.epochs[index];
        if let (Some(plateau), Some((_, monitor))) = (&mut self.at.plateau, fit.plateau) {
            let value = monitor.value(epoch, &fit.metrics);
            self.at.reduction = plateau.observe(value, monitor.higher_is_better());
        }
        let Some(rule) = &fit.early_stopping else { return };
        let value = rule.monitor.value(epoch, &fit.metrics);
        if rule.is_better(value, self.at.best.map(|best| best.value)) {
            self.at.best = Some(Best { index, value });
            match &mut self.best {
                Some(best) => best.clone_from(fit.trainer.judged()),
                None => self.best = Some(fit.trainer.judged().clone()),
            }
        }
    }

    /// Whether patience is at its end.
    pub(super) fn is_at_end(&self, rule: Option<&EarlyStopping>) -> bool {
        let since = match self.at.best {
            Some(best) => self.at.epochs.len() - 1 - best.index,
            None => self.at.epochs.len(),
        };
        rule.is_some_and(|rule| since as u64 > rule.patience)
    }
}
