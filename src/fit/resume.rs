//! Trainings that are saved, and taken up again.

use deltarule_kernels::Element;
use std::path::Path;

use super::course::{Course, Position};
use super::rate::RateKind;
use super::{EarlyStopping, Fit, Metric, Monitor, Validation};
use crate::error::{Error, Result};
use crate::formats::{Checkpoint, Every, Saving, Stand, Weights, check_described, check_directory};
use crate::schedule::ReduceOnPlateau;

/// How a training goes, but for the number of its epochs, which may be raised.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Plan {
    /// The rows that are trained on.
    rows: usize,
    batch: usize,
    seed: u64,
    /// The share of the data, or the rows.
    validation: Option<(f64, usize)>,
    metrics: Vec<Metric>,
    early_stopping: Option<EarlyStopping>,
    rate: RateKind,
    plateau: Option<(ReduceOnPlateau, Monitor)>,
    gradient_norms: bool,
}

impl Plan {
    fn new<E: Element>(fit: &Fit<'_, E>, rows: usize) -> Self {
        Self {
            rows,
            batch: fit.batch,
            seed: fit.seed,
            validation: match fit.validation {
                Validation::None => None,
                Validation::Share(share) => Some((share, 0)),
                Validation::Rows(rows) => Some((0.0, rows.rows())),
            },
            metrics: fit.metrics.clone(),
            early_stopping: fit.early_stopping,
            rate: fit.rate.kind(),
            plateau: fit.plateau,
            gradient_norms: fit.gradient_norms,
        }
    }

    /// Everything in words.
    fn describe(&self) -> [(&'static str, String); 9] {
        [
            ("number of rows", self.rows.to_string()),
            ("batch", self.batch.to_string()),
            ("seed of the rows' order", self.seed.to_string()),
            ("validation (share, rows)", format!("{:?}", self.validation)),
            ("metrics", format!("{:?}", self.metrics)),
            ("early stopping", format!("{:?}", self.early_stopping)),
            ("schedule", format!("{:?}", self.rate)),
            ("reduction on a plateau", format!("{:?}", self.plateau)),
            ("choice to keep gradient norms", self.gradient_norms.to_string()),
        ]
    }
}

impl Position {
    /// Whether there are the best weights of an epoch.
    pub(crate) fn has_best(&self) -> bool {
        self.best.is_some()
    }

    /// Checks that a training of this plan can stand here, or says why not.
    pub(crate) fn check(&self, plan: &Plan) -> Result<(), &'static str> {
        if plan.batch == 0 || plan.rows == 0 {
            return Err("its batches have no rows");
        }
        let in_epoch = plan.rows.div_ceil(plan.batch);
        let whole = (self.epochs.len() as u64).checked_mul(in_epoch as u64);
        let steps = whole.and_then(|whole| whole.checked_add(self.batch as u64));
        if self.batch > in_epoch || steps != Some(self.steps) {
            return Err("its epochs, batches and steps do not fit together");
        }
        if self.total.rows > plan.rows || self.total.correct > Some(plan.rows) {
            return Err("its epoch has more rows than its data");
        }
        if self.best.is_some_and(|best| best.index >= self.epochs.len()) {
            return Err("its best epoch has not been yet");
        }
        if self.best.is_some() && plan.early_stopping.is_none() {
            return Err("it has a best epoch, but no early stopping");
        }
        if self.plateau.is_some() != plan.plateau.is_some() {
            return Err("it has a plateau without a rule, or a rule without one");
        }
        Ok(())
    }
}

impl<E: Element> Fit<'_, E> {
    /// Writes a [`Checkpoint`] to this file every so often, and when the training ends, each in
    /// place of the one before: [`Checkpoint::write`]. From it [`Fit::resume`] goes on.
    ///
    /// ```
    /// # use deltarule::data::Dataset;
    /// # use deltarule::{Activation, Checkpoint, Every, Loss, Network, Optimizer, Trainer};
    /// # let data = Dataset::from_values(vec![1.0f32, 2.0], 1, vec![2.0, 4.0], 1)?;
    /// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
    /// # let builder = Trainer::builder(network, Loss::MeanSquaredError, Optimizer::adam(0.01));
    /// # let path = std::env::temp_dir().join("deltarule_fit_doc.checkpoint");
    /// let mut trainer = builder.clone().build()?;
    /// trainer.fit(&data).epochs(5).checkpoint(&path, Every::Epochs(1)).run()?;
    ///
    /// // In another process, perhaps.
    /// let mut trainer = builder.build()?;
    /// let checkpoint = Checkpoint::read(&path)?;
    /// let history = trainer.fit(&data).epochs(8).resume(checkpoint).run()?;
    /// assert_eq!(history.epochs().len(), 8);
    /// # std::fs::remove_file(&path).unwrap();
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// If one can't be written, the training ends with [`Error::File`]; where the directory is not
    /// there, before the first step.
    pub fn checkpoint(mut self, path: impl AsRef<Path>, every: Every) -> Self {
        self.saving = Some(Saving { path: path.as_ref().to_owned(), every });
        self
    }

    /// Goes on from where another training stood, in the middle of an epoch if need be: the weights
    /// and the history are then the same bits as if it had not been broken off, but for the
    /// seconds.
    ///
    /// Everything has to be said as it was for that training, on the same rows, but for the number
    /// of epochs, callbacks and checkpoints; a closure that is a schedule has to begin where it
    /// was. Otherwise [`Fit::run`] ends with [`Error::OtherTraining`] before the first step, but
    /// for what can't be seen: other numbers in as many rows, or in a loss or optimizer of one's
    /// own.
    ///
    /// ```
    /// # use deltarule::data::Dataset;
    /// # use deltarule::{Activation, Checkpoint, Error, Every, Loss, Network, Optimizer, Trainer};
    /// # let data = Dataset::from_values(vec![1.0f32, 2.0], 1, vec![2.0, 4.0], 1)?;
    /// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
    /// # let builder = Trainer::builder(network, Loss::MeanSquaredError, Optimizer::adam(0.01));
    /// # let path = std::env::temp_dir().join("deltarule_resume_doc.checkpoint");
    /// let (mut whole, mut first) = (builder.clone().build()?, builder.clone().build()?);
    /// whole.fit(&data).epochs(8).run()?;
    /// first.fit(&data).epochs(3).checkpoint(&path, Every::Epochs(1)).run()?;
    /// let checkpoint = Checkpoint::read(&path)?;
    /// let mut second = builder.build()?;
    /// second.fit(&data).epochs(8).resume(checkpoint.clone()).run()?;
    /// assert_eq!(second.network().parameters(), whole.network().parameters());
    /// // Another batch is another training.
    /// let error = second.fit(&data).epochs(8).batch(1).resume(checkpoint).run().unwrap_err();
    /// assert_eq!(error.to_string(), "the checkpoint's batch is 32, but this training's is 1");
    /// # std::fs::remove_file(&path).unwrap();
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn resume(mut self, checkpoint: Checkpoint<E>) -> Self {
        self.resumed = Some(checkpoint);
        self
    }
}

/// Goes to where the training stood that is to be resumed, if there is one.
pub(super) fn take_up<E: Element>(
    fit: &mut Fit<'_, E>,
    rows: usize,
    course: &mut Course<E>,
) -> Result<()> {
    if let Some(Saving { path, every }) = &fit.saving {
        if matches!(every, Every::Epochs(0) | Every::Steps(0)) {
            return Err(Error::Zero { argument: "every" });
        }
        // Hours may pass before the first one is written.
        check_directory(path)?;
    }
    let Some(checkpoint) = fit.resumed.take() else { return Ok(()) };
    let own = Plan::new(fit, rows);
    match checkpoint.fit() {
        Some(stand) => check_described(stand.plan.describe(), own.describe())?,
        None => {
            let (what, checkpoint) = ("fit".to_owned(), "none, but steps".to_owned());
            return Err(Error::OtherTraining { what, checkpoint, own: format!("{own:?}") });
        }
    }
    fit.trainer.restore(&checkpoint)?;
    if let Some(Stand { position, best, .. }) = checkpoint.into_fit() {
        course.best = best.map(|weights| weights.network_like(fit.trainer.network()));
        course.at = position;
    }
    Ok(())
}

/// Writes a checkpoint if one is to be written after so many steps or epochs as are done.
pub(super) fn save_after<E: Element>(
    done: Every,
    fit: &Fit<'_, E>,
    rows: usize,
    course: &Course<E>,
) -> Result<()> {
    let due = match (fit.saving.as_ref().map(|saving| saving.every), done) {
        (Some(Every::Steps(every)), Every::Steps(done))
        | (Some(Every::Epochs(every)), Every::Epochs(done)) => done.is_multiple_of(every),
        _ => false,
    };
    if due { save(fit, rows, course) } else { Ok(()) }
}

/// Writes a checkpoint, if any is to be written.
pub(super) fn save<E: Element>(fit: &Fit<'_, E>, rows: usize, course: &Course<E>) -> Result<()> {
    let Some(Saving { path, .. }) = &fit.saving else { return Ok(()) };
    let plan = Plan::new(fit, rows);
    let best = course.best.as_ref().map(Weights::of);
    let stand = Stand { plan, position: course.at.clone(), best };
    fit.trainer.checkpoint().with_fit(stand).write(path)
}

#[cfg(test)]
mod tests {
    use super::super::course::{Best, Total};
    use super::super::history::Epoch;
    use super::*;

    /// After an epoch and two batches of the next, of 10 rows in batches of 4.
    fn good() -> (Plan, Position) {
        let plan = Plan {
            rows: 10,
            batch: 4,
            seed: 0,
            validation: None,
            metrics: Vec::new(),
            early_stopping: Some(EarlyStopping::default()),
            rate: RateKind::Constant,
            plateau: None,
            gradient_norms: false,
        };
        let epoch = Epoch {
            epoch: 1,
            steps: 3,
            learning_rate: 0.1,
            loss: 1.0,
            accuracy: None,
            validation_loss: None,
            validation_accuracy: None,
            metrics: Vec::new(),
            gradient_norms: Vec::new(),
            seconds: 0.0,
        };
        let position = Position {
            epochs: vec![epoch],
            batch: 2,
            total: Total::default(),
            seconds: 0.0,
            steps: 5,
            base_rate: 0.1,
            learning_rate: 0.1,
            reduction: 1.0,
            plateau: None,
            best: Some(Best { index: 0, value: 1.0 }),
        };
        (plan, position)
    }

    #[test]
    fn a_position_that_can_not_be() {
        const NO_ROWS: &str = "its batches have no rows";
        const APART: &str = "its epochs, batches and steps do not fit together";
        const MORE_ROWS: &str = "its epoch has more rows than its data";
        const NO_RULE: &str = "it has a plateau without a rule, or a rule without one";
        type Change = fn(&mut Plan, &mut Position);
        let changes: [(Change, Result<(), &str>); 12] = [
            (|_, _| {}, Ok(())),
            (|_, position| (position.batch, position.steps) = (3, 6), Ok(())),
            (|_, position| (position.batch, position.steps) = (4, 7), Err(APART)),
            (|_, position| position.steps = 6, Err(APART)),
            (|plan, _| plan.batch = 0, Err(NO_ROWS)),
            (|plan, _| plan.rows = 0, Err(NO_ROWS)),
            (|_, position| position.total.rows = 11, Err(MORE_ROWS)),
            (|_, position| position.total.correct = Some(11), Err(MORE_ROWS)),
            (
                |_, position| position.best = Some(Best { index: 1, value: 1.0 }),
                Err("its best epoch has not been yet"),
            ),
            (
                |plan, _| plan.early_stopping = None,
                Err("it has a best epoch, but no early stopping"),
            ),
            (
                |plan, _| plan.plateau = Some((ReduceOnPlateau::default(), Monitor::Loss)),
                Err(NO_RULE),
            ),
            (
                |_, position| position.plateau = Some(ReduceOnPlateau::default().start()),
                Err(NO_RULE),
            ),
        ];
        for (index, (change, expected)) in changes.into_iter().enumerate() {
            let (mut plan, mut position) = good();
            change(&mut plan, &mut position);
            assert_eq!(position.check(&plan), expected, "change {index}");
        }
    }
}
