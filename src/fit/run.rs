//! The loop over epochs and batches.

use core::ops::ControlFlow;
use deltarule_kernels::{Element, reduce};
use std::time::Instant;

use super::history::{End, Epoch, History};
use super::rate::Time;
use super::{EarlyStopping, EpochEnd, Fit, Metric, Monitor, Step, Validation};
use crate::data::{Batches, Dataset, Rows, gather};
use crate::error::{Error, Result, check_length, checked_area, try_vec};
use crate::loss::Targets;
use crate::network::Network;
use crate::schedule::Plateau;
use crate::trainer::{Score, Trainer};

/// Trains as it was said.
pub(super) fn run<E: Element>(mut fit: Fit<'_, E>) -> Result<History> {
    check(&mut fit)?;
    let data = fit.data;
    let (train, validation): (Dataset<E>, Dataset<E>);
    let (rows, judged) = match fit.validation {
        Validation::None => (data, None),
        Validation::Rows(rows) => (data, Some(rows)),
        Validation::Share(share) => {
            let split = data.split(share, fit.seed)?;
            train = data.select(&split.train)?;
            validation = data.select(&split.test)?;
            (train.view(), Some(validation.view()))
        }
    };
    let base_rate = fit.trainer.optimizer().learning_rate();
    let mut best = fit.early_stopping.map(|rule| Best { rule, value: None, network: None, at: 0 });
    let result = epochs(&mut fit, rows, judged, base_rate, &mut best);
    fit.trainer.set_learning_rate(base_rate)?;
    let at = best.as_ref().and_then(|best| best.value.map(|_| best.at));
    if let Some(network) = best.and_then(|best| best.network) {
        *fit.trainer.network_mut() = network;
    }
    let (epochs, end) = result?;
    #[cfg(feature = "tracing")]
    tracing::info!(epochs = epochs.len(), ?end, "training ended");
    Ok(History { epochs, metrics: fit.metrics, best: at, end })
}

/// Checks everything that can be checked before the first step.
fn check<E: Element>(fit: &mut Fit<'_, E>) -> Result<()> {
    for (argument, value) in [("batch", fit.batch as u64), ("epochs", fit.epochs)] {
        if value == 0 {
            return Err(Error::Zero { argument });
        }
    }
    let (rows, max_batch) = (fit.batch.min(fit.data.rows()), fit.trainer.max_batch());
    if rows > max_batch {
        return Err(Error::BatchTooLarge { argument: "batch", rows, max_batch });
    }
    let network = fit.trainer.network();
    check_length("columns of the data", fit.data.columns(), network.inputs())?;
    if let Validation::Rows(rows) = fit.validation {
        check_length("columns of the validation data", rows.columns(), network.inputs())?;
        // One row is enough to see whether the loss takes these targets.
        let target = rows.targets().rows(0..1, rows.target_columns());
        fit.trainer.evaluate(&rows.x()[..rows.columns()], target)?;
    }
    let network = fit.trainer.network();
    fit.rate.check()?;
    if let Some(rule) = &fit.early_stopping {
        rule.check(&fit.metrics)?;
    }
    if let Some((rule, monitor)) = &fit.plateau {
        rule.check()?;
        monitor.check(&fit.metrics)?;
    }
    // One row is enough to see whether a metric is for the other kind of targets. Whatever else
    // may be wrong with it depends on the rows.
    let row = fit.data.targets().rows(0..1, fit.data.target_columns());
    let outputs = try_vec("outputs", network.outputs())?;
    for metric in &fit.metrics {
        if let Err(error @ Error::MetricTargets { .. }) =
            metric.evaluate(&outputs, network.outputs(), row)
        {
            return Err(error);
        }
    }
    Ok(())
}

/// The best network so far.
struct Best<E: Element> {
    rule: EarlyStopping,
    value: Option<f64>,
    network: Option<Network<E>>,
    at: usize,
}

impl<E: Element> Best<E> {
    /// Takes an epoch, and says whether patience is at its end.
    fn observe(&mut self, index: usize, value: f64, network: &Network<E>) -> bool {
        if self.rule.is_better(value, self.value) {
            (self.value, self.at) = (Some(value), index);
            match &mut self.network {
                Some(best) => best.clone_from(network),
                None => self.network = Some(network.clone()),
            }
        }
        let since = match self.value {
            Some(_) => index - self.at,
            None => index + 1,
        };
        since as u64 > self.rule.patience
    }
}

/// All epochs, until something ends them.
fn epochs<E: Element>(
    fit: &mut Fit<'_, E>,
    rows: Rows<'_, E>,
    judged: Option<Rows<'_, E>>,
    base_rate: f64,
    best: &mut Option<Best<E>>,
) -> Result<(Vec<Epoch>, End)> {
    let mut batches = Batches::new(rows.rows(), fit.batch, fit.seed)?;
    let mut gathered = Gathered::new(rows, fit.batch)?;
    let mut plateau = fit.plateau.map(|(rule, monitor)| (rule.start(), monitor));
    let mut reduction = 1.0;
    let mut done: Vec<Epoch> = Vec::new();
    let mut steps = 0;
    #[cfg(feature = "progress")]
    let mut progress =
        fit.progress.then(|| super::progress::Progress::new(fit.epochs, rows.rows()));
    for number in 1..=fit.epochs {
        let start = Instant::now();
        let mut total = Total::default();
        let mut learning_rate = base_rate;
        let in_epoch = rows.rows().div_ceil(fit.batch) as f64;
        for (index, chosen) in batches.epoch(number - 1).enumerate() {
            let time = Time { step: steps, epoch: (number - 1) as f64 + index as f64 / in_epoch };
            learning_rate = base_rate * reduction * fit.rate.factor(time)?;
            fit.trainer.set_learning_rate(learning_rate)?;
            let (x, targets) = gathered.gather(chosen)?;
            let score = fit.trainer.step(x, targets)?;
            total.add(score);
            steps += 1;
            #[cfg(feature = "progress")]
            if let Some(progress) = &mut progress {
                progress.step(number, score.rows, total.loss());
            }
            let step = Step { time, learning_rate, score };
            if breaks(&mut fit.on_step, &step) {
                return Ok((done, End::Callback));
            }
        }
        let seconds = start.elapsed().as_secs_f64();
        let norms = if fit.gradient_norms { gathered.norms(fit.trainer)? } else { Vec::new() };
        let score =
            judged.map(|rows| fit.trainer.evaluate(rows.x(), rows.targets())).transpose()?;
        let metrics = evaluate(fit.trainer.network(), &fit.metrics, judged.unwrap_or(rows))?;
        done.push(Epoch {
            epoch: number,
            steps,
            learning_rate,
            loss: total.loss(),
            accuracy: total.accuracy(),
            validation_loss: score.map(|score| score.loss),
            validation_accuracy: score.and_then(|score| score.accuracy()),
            metrics,
            gradient_norms: norms,
            seconds,
        });
        let epoch = &done[done.len() - 1];
        #[cfg(feature = "tracing")]
        tracing::info!(
            epoch = epoch.epoch,
            steps = epoch.steps,
            learning_rate = epoch.learning_rate,
            loss = epoch.loss,
            accuracy = epoch.accuracy,
            validation_loss = epoch.validation_loss,
            validation_accuracy = epoch.validation_accuracy,
            seconds = epoch.seconds,
            "epoch ended"
        );
        #[cfg(feature = "progress")]
        if let Some(progress) = &mut progress {
            progress.epoch(epoch, &fit.metrics);
        }
        if let Some((plateau, monitor)) = &mut plateau {
            reduction = reduced(plateau, *monitor, epoch, &fit.metrics);
        }
        let stops = best.as_mut().is_some_and(|best| {
            let value = best.rule.monitor.value(epoch, &fit.metrics);
            best.observe(done.len() - 1, value, fit.trainer.network())
        });
        let end = EpochEnd { epoch, network: fit.trainer.network() };
        if breaks(&mut fit.on_epoch, &end) {
            return Ok((done, End::Callback));
        }
        if stops {
            return Ok((done, End::EarlyStopping));
        }
    }
    Ok((done, End::Epochs))
}

/// Calls all callbacks, and says whether one of them would end the training.
fn breaks<T: ?Sized, F: FnMut(&T) -> ControlFlow<()> + ?Sized>(
    callbacks: &mut [Box<F>],
    event: &T,
) -> bool {
    callbacks.iter_mut().filter_map(|callback| callback(event).break_value()).count() > 0
}

fn reduced(plateau: &mut Plateau, monitor: Monitor, epoch: &Epoch, metrics: &[Metric]) -> f64 {
    plateau.observe(monitor.value(epoch, metrics), monitor.higher_is_better())
}

fn evaluate<E: Element>(
    network: &Network<E>,
    metrics: &[Metric],
    rows: Rows<'_, E>,
) -> Result<Vec<f64>> {
    if metrics.is_empty() {
        return Ok(Vec::new());
    }
    let outputs = network.predict(rows.x())?;
    let evaluate = |metric: &Metric| metric.evaluate(&outputs, network.outputs(), rows.targets());
    metrics.iter().map(evaluate).collect()
}

/// The scores of an epoch's batches.
#[derive(Default)]
struct Total {
    rows: usize,
    loss: f64,
    correct: Option<usize>,
}

impl Total {
    fn add(&mut self, score: Score) {
        self.rows += score.rows;
        self.loss += score.loss * score.rows as f64;
        if let Some(correct) = score.correct {
            *self.correct.get_or_insert(0) += correct;
        }
    }

    fn loss(&self) -> f64 {
        self.loss / self.rows as f64
    }

    fn accuracy(&self) -> Option<f64> {
        self.correct.map(|correct| correct as f64 / self.rows as f64)
    }
}

/// The rows of a batch, copied together.
pub(super) struct Gathered<'a, E: Element> {
    rows: Rows<'a, E>,
    x: Vec<E>,
    labels: Vec<usize>,
    values: Vec<E>,
    /// Those of the last batch.
    count: usize,
}

impl<'a, E: Element> Gathered<'a, E> {
    /// Room for batches of these rows.
    pub(super) fn new(rows: Rows<'a, E>, batch: usize) -> Result<Self> {
        let batch = batch.min(rows.rows());
        let labels = match rows.targets() {
            Targets::Classes(_) => try_vec("labels", batch)?,
            Targets::Values(_) => Vec::new(),
        };
        Ok(Self {
            rows,
            x: try_vec("batch", checked_area("batch", batch, rows.columns())?)?,
            labels,
            values: try_vec("batch", checked_area("batch", batch, rows.target_columns())?)?,
            count: 0,
        })
    }

    /// Copies these rows together.
    pub(super) fn gather(&mut self, chosen: &[usize]) -> Result<(&[E], Targets<'_, E>)> {
        self.count = chosen.len();
        let columns = self.rows.columns();
        gather(self.rows.x(), columns, chosen, &mut self.x[..chosen.len() * columns])?;
        match self.rows.targets() {
            Targets::Classes(labels) => {
                for (label, &row) in self.labels.iter_mut().zip(chosen) {
                    *label = labels[row];
                }
            }
            Targets::Values(values) => {
                let outputs = self.rows.target_columns();
                gather(values, outputs, chosen, &mut self.values[..chosen.len() * outputs])?;
            }
        }
        Ok(self.last())
    }

    /// The last batch.
    fn last(&self) -> (&[E], Targets<'_, E>) {
        let targets = match self.rows.targets() {
            Targets::Classes(_) => Targets::Classes(&self.labels[..self.count]),
            Targets::Values(_) => {
                Targets::Values(&self.values[..self.count * self.rows.target_columns()])
            }
        };
        (&self.x[..self.count * self.rows.columns()], targets)
    }

    /// The norm of each layer's gradient on the last batch.
    fn norms(&self, trainer: &mut Trainer<E>) -> Result<Vec<f64>> {
        let (x, targets) = self.last();
        let mut gradients = try_vec("gradients", trainer.network().parameters().len())?;
        trainer.gradients(x, targets, &mut gradients)?;
        let network = trainer.network();
        let mut rest = gradients.as_slice();
        let norm = |layer: crate::LayerRef<'_, E>| {
            let (own, after) = rest.split_at(layer.parameters());
            rest = after;
            reduce::sum_of_squares(network.isa(), own).sqrt()
        };
        Ok(network.layers().filter(|layer| layer.parameters() > 0).map(norm).collect())
    }
}
