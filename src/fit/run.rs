//! The loop over epochs and batches.

use core::ops::ControlFlow;
use deltarule_kernels::math::Function;
use deltarule_kernels::{Aligned, Element, reduce};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Instant;

use super::course::{Course, Position};
use super::history::{End, Epoch, History};
use super::rate::Time;
#[cfg(feature = "checkpoint")]
use super::resume::save_after;
use super::{EpochEnd, Fit, Metric, Step, Validation};
use crate::data::{Batches, Dataset, Rows, gather};
use crate::error::{Error, Result, check_length, checked_area, try_aligned, try_vec};
#[cfg(feature = "checkpoint")]
use crate::formats::Every;
use crate::loss::Loss;
use crate::targets::{Targets, WeightedTargets};
use crate::trainer::{Trainer, WeightAverage};

/// Trains as it was said.
pub(super) fn run<E: Element>(mut fit: Fit<'_, E>) -> Result<History> {
    check(&fit)?;
    let data = fit.data;
    let (train, validation): (Dataset<E>, Dataset<E>);
    let (rows, judged) = match fit.validation {
        Validation::None => (data, None),
        Validation::Rows(rows) => (data, Some(rows)),
        Validation::Share(share) => {
            let split = data.split(share, fit.seed)?;
            split.check_sides("validation rows")?;
            train = data.select(&split.train)?;
            validation = data.select(&split.test)?;
            (train.view(), Some(validation.view()))
        }
    };
    check_metrics(&fit, judged.unwrap_or(rows))?;
    let mut course = Course::new(&fit);
    #[cfg(feature = "checkpoint")]
    super::resume::take_up(&mut fit, rows.rows(), &mut course)?;
    // What is put back after an error is put back after a panic, too, of a callback or of a loss.
    let result = catch_unwind(AssertUnwindSafe(|| {
        let end = epochs(&mut fit, rows, judged, &mut course)?;
        #[cfg(feature = "checkpoint")]
        super::resume::save(&fit, rows.rows(), &course)?;
        Ok::<_, Error>(end)
    }));
    fit.trainer.set_learning_rate(course.at.base_rate)?;
    let Course { at, best } = course;
    if let Some(network) = best {
        fit.trainer.take_network(network)?;
    }
    let end = result.unwrap_or_else(|panic| resume_unwind(panic))?;
    let Position { epochs, best, .. } = at;
    #[cfg(feature = "tracing")]
    tracing::info!(epochs = epochs.len(), ?end, "training ended");
    Ok(History { epochs, metrics: fit.metrics, best: best.map(|best| best.index), end })
}

/// Checks everything that can be checked before the first step.
fn check<E: Element>(fit: &Fit<'_, E>) -> Result<()> {
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
    fit.trainer.check_rows(fit.data, ["x", "targets", "weights"])?;
    if let Validation::Rows(rows) = fit.validation {
        check_length("columns of the validation data", rows.columns(), network.inputs())?;
        let names = ["validation x", "validation targets", "validation weights"];
        fit.trainer.check_rows(rows, names)?;
    }
    fit.rate.check()?;
    if let Some(rule) = &fit.early_stopping {
        rule.check(&fit.metrics)?;
    }
    if let Some((rule, monitor)) = &fit.plateau {
        rule.check()?;
        monitor.check(&fit.metrics)?;
    }
    for metric in &fit.metrics {
        metric.check_targets(network.outputs(), fit.data.targets())?;
        if let Validation::Rows(rows) = &fit.validation {
            metric.check_targets(network.outputs(), rows.targets())?;
        }
    }
    Ok(())
}

/// Checks that the metrics are defined on these rows: they are, or are not, whatever the outputs.
fn check_metrics<E: Element>(fit: &Fit<'_, E>, rows: Rows<'_, E>) -> Result<()> {
    if fit.metrics.is_empty() {
        return Ok(());
    }
    let columns = fit.trainer.network().outputs();
    let outputs = try_vec("outputs", checked_area("outputs", rows.rows(), columns)?)?;
    for metric in &fit.metrics {
        metric.evaluate(&outputs, columns, rows.weighted_targets())?;
    }
    Ok(())
}

/// All epochs, until something ends them.
fn epochs<E: Element>(
    fit: &mut Fit<'_, E>,
    rows: Rows<'_, E>,
    judged: Option<Rows<'_, E>>,
    course: &mut Course<E>,
) -> Result<End> {
    let mut batches = Batches::new(rows.rows(), fit.batch, fit.seed)?;
    let mut gathered = Gathered::new(rows, fit.batch)?;
    let in_epoch = rows.rows().div_ceil(fit.batch);
    #[cfg(feature = "progress")]
    let mut progress =
        fit.progress.then(|| super::progress::Progress::new(fit.epochs, rows.rows()));
    if course.is_at_end(fit.early_stopping.as_ref()) {
        return Ok(End::EarlyStopping);
    }
    for number in course.at.epochs.len() as u64 + 1..=fit.epochs {
        let start = Instant::now();
        let seconds_before = course.at.seconds;
        for (index, chosen) in batches.epoch(number - 1).enumerate() {
            // An epoch that is taken up again ends with its last batch, made or not.
            if index + 1 < course.at.batch {
                continue;
            }
            let (x, targets) = gathered.gather(chosen)?;
            if index < course.at.batch {
                continue;
            }
            let epoch = (number - 1) as f64 + index as f64 / in_epoch as f64;
            let time = Time { step: course.at.steps, epoch };
            let learning_rate =
                course.at.base_rate * course.at.reduction * fit.rate.factor(time)?;
            fit.trainer.set_learning_rate(learning_rate)?;
            let score = fit.trainer.step(x, targets)?;
            course.at.step(learning_rate, score);
            #[cfg(feature = "progress")]
            if let Some(progress) = &mut progress {
                progress.step(number, score.rows, course.at.total.loss());
            }
            let step = Step { time, learning_rate, score };
            let broken = breaks(&mut fit.on_step, &step);
            course.at.seconds = seconds_before + start.elapsed().as_secs_f64();
            if broken {
                return Ok(End::Callback);
            }
            #[cfg(feature = "checkpoint")]
            save_after(Every::Steps(course.at.steps), fit, rows.rows(), course)?;
        }
        let norms = if fit.gradient_norms { gathered.norms(fit.trainer)? } else { Vec::new() };
        let score = judged
            .map(|rows| fit.trainer.evaluate_average(rows.x(), rows.weighted_targets()))
            .transpose()?;
        let metrics = evaluate(fit.trainer, &fit.metrics, judged.unwrap_or(rows))?;
        course.at.end_epoch(Epoch {
            epoch: number,
            steps: course.at.steps,
            learning_rate: course.at.learning_rate,
            loss: course.at.total.loss(),
            accuracy: course.at.total.accuracy(),
            validation_loss: score.map(|score| score.loss),
            validation_accuracy: score.and_then(|score| score.accuracy()),
            metrics,
            gradient_norms: norms,
            seconds: course.at.seconds,
        });
        let epoch = &course.at.epochs[course.at.epochs.len() - 1];
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
        let broken = {
            let average = fit.trainer.average().map(WeightAverage::network);
            let end = EpochEnd { epoch, network: fit.trainer.network(), average };
            breaks(&mut fit.on_epoch, &end)
        };
        course.observe(fit);
        if broken {
            return Ok(End::Callback);
        }
        if course.is_at_end(fit.early_stopping.as_ref()) {
            return Ok(End::EarlyStopping);
        }
        // The last one is written by whoever called.
        #[cfg(feature = "checkpoint")]
        if number < fit.epochs {
            save_after(Every::Epochs(number), fit, rows.rows(), course)?;
        }
    }
    Ok(End::Epochs)
}

/// Calls all callbacks, and says whether one of them would end the training.
fn breaks<T: ?Sized, F: FnMut(&T) -> ControlFlow<()> + ?Sized>(
    callbacks: &mut [Box<F>],
    event: &T,
) -> bool {
    callbacks.iter_mut().filter_map(|callback| callback(event).break_value()).count() > 0
}

fn evaluate<E: Element>(
    trainer: &Trainer<E>,
    metrics: &[Metric],
    rows: Rows<'_, E>,
) -> Result<Vec<f64>> {
    if metrics.is_empty() {
        return Ok(Vec::new());
    }
    let network = trainer.judged();
    let mut outputs = network.predict(rows.x())?;
    if trainer.loss() == Some(Loss::Poisson) {
        Function::Exp.evaluate_in_place(network.isa(), &mut outputs);
    }
    let targets = rows.weighted_targets();
    let evaluate = |metric: &Metric| metric.evaluate(&outputs, network.outputs(), targets);
    metrics.iter().map(evaluate).collect()
}

/// The rows of a batch, copied together.
pub(super) struct Gathered<'a, E: Element> {
    rows: Rows<'a, E>,
    x: Aligned<E>,
    labels: Vec<usize>,
    values: Aligned<E>,
    weights: Vec<E>,
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
            x: try_aligned("batch", checked_area("batch", batch, rows.columns())?)?,
            labels,
            values: try_aligned("batch", checked_area("batch", batch, rows.target_columns())?)?,
            weights: try_vec("weights", rows.weights().map_or(0, |_| batch))?,
            count: 0,
        })
    }

    /// Copies these rows together.
    pub(super) fn gather(&mut self, chosen: &[usize]) -> Result<(&[E], WeightedTargets<'_, E>)> {
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
        if let Some(weights) = self.rows.weights() {
            gather(weights, 1, chosen, &mut self.weights[..chosen.len()])?;
        }
        Ok(self.last())
    }

    /// The last batch.
    fn last(&self) -> (&[E], WeightedTargets<'_, E>) {
        let targets = match self.rows.targets() {
            Targets::Classes(_) => Targets::Classes(&self.labels[..self.count]),
            Targets::Values(_) => {
                Targets::Values(&self.values[..self.count * self.rows.target_columns()])
            }
        };
        let weights = self.rows.weights().map(|_| &self.weights[..self.count]);
        (&self.x[..self.count * self.rows.columns()], WeightedTargets { targets, weights })
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
