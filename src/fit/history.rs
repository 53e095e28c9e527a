//! What happened in a training.

use core::fmt;
use std::io::{self, Write};

use super::Metric;

/// What is known of an epoch when it has ended.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Epoch {
    /// Its number, the first being 1.
    pub epoch: u64,
    /// The steps since the training began.
    pub steps: u64,
    /// The learning rate of its last step.
    pub learning_rate: f64,
    /// The mean of the losses of its rows, each before the step on its batch.
    pub loss: f64,
    /// The share of its rows that were classified correctly, each before the step on its batch,
    /// if the targets are classes.
    pub accuracy: Option<f64>,
    /// The loss on the validation rows after the epoch, if there are any.
    pub validation_loss: Option<f64>,
    /// The share of them that is classified correctly, if the targets are classes.
    pub validation_accuracy: Option<f64>,
    /// The metrics that were asked for, in the order of [`History::metrics`].
    pub metrics: Vec<f64>,
    /// The Euclidean norm of each layer's gradient on its last batch, if it was asked for.
    pub gradient_norms: Vec<f64>,
    /// How long its steps took.
    pub seconds: f64,
}

/// Why a training ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum End {
    /// All epochs have passed.
    Epochs,
    /// [`EarlyStopping`](super::EarlyStopping)'s patience was at its end.
    EarlyStopping,
    /// A callback broke it off.
    Callback,
}

/// The course of a training.
///
/// It prints as a table, has every column as a curve, and can be written as CSV.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct History {
    pub(super) epochs: Vec<Epoch>,
    pub(super) metrics: Vec<Metric>,
    pub(super) best: Option<usize>,
    pub(super) end: End,
}

impl History {
    /// Every epoch that has ended, in order.
    pub fn epochs(&self) -> &[Epoch] {
        &self.epochs
    }

    /// The last epoch that has ended.
    pub fn last(&self) -> Option<&Epoch> {
        self.epochs.last()
    }

    /// The epoch whose weights the network has, where early stopping chose them.
    pub fn best(&self) -> Option<&Epoch> {
        self.epochs.get(self.best?)
    }

    /// Why it ended.
    pub fn end(&self) -> End {
        self.end
    }

    /// The metrics that were asked for.
    pub fn metrics(&self) -> &[Metric] {
        &self.metrics
    }

    /// The names of the columns: those of [`Epoch`]'s fields that are there, and of the metrics.
    pub fn columns(&self) -> Vec<String> {
        let has = |value: fn(&Epoch) -> Option<f64>| self.epochs.iter().any(|e| value(e).is_some());
        let mut columns: Vec<String> = vec!["loss".into()];
        if has(|epoch| epoch.accuracy) {
            columns.push("accuracy".into());
        }
        if has(|epoch| epoch.validation_loss) {
            columns.push("validation_loss".into());
        }
        if has(|epoch| epoch.validation_accuracy) {
            columns.push("validation_accuracy".into());
        }
        // A name says which column is meant.
        for name in self.metrics.iter().map(|metric| metric.name().into_owned()) {
            columns.push(if columns.contains(&name) { format!("metric_{name}") } else { name });
        }
        columns.push("learning_rate".into());
        columns.push("seconds".into());
        columns
    }

    /// A column's number of every epoch, NaN where it has none; `None` for a name that is not
    /// among [`History::columns`].
    pub fn curve(&self, column: &str) -> Option<Vec<f64>> {
        let names = self.columns();
        let place = names.iter().position(|name| name == column)?;
        let metrics = names.len() - 2 - self.metrics.len();
        let nan = |value: Option<f64>| value.unwrap_or(f64::NAN);
        let value = |epoch: &Epoch| match column {
            _ if (metrics..metrics + self.metrics.len()).contains(&place) => {
                nan(epoch.metrics.get(place - metrics).copied())
            }
            "accuracy" => nan(epoch.accuracy),
            "validation_loss" => nan(epoch.validation_loss),
            "validation_accuracy" => nan(epoch.validation_accuracy),
            "learning_rate" => epoch.learning_rate,
            "seconds" => epoch.seconds,
            _ => epoch.loss,
        };
        Some(self.epochs.iter().map(value).collect())
    }

    /// Writes a header, and a line for each epoch.
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write_csv(&self, mut to: impl Write) -> io::Result<()> {
        let columns = self.columns();
        writeln!(to, "epoch,steps,{}", columns.join(","))?;
        let curves: Vec<Vec<f64>> = columns.iter().filter_map(|name| self.curve(name)).collect();
        for (index, epoch) in self.epochs.iter().enumerate() {
            write!(to, "{},{}", epoch.epoch, epoch.steps)?;
            for curve in &curves {
                write!(to, ",{}", curve[index])?;
            }
            writeln!(to)?;
        }
        Ok(())
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let columns = self.columns();
        let curves: Vec<Vec<f64>> = columns.iter().filter_map(|name| self.curve(name)).collect();
        write!(f, "epoch")?;
        for name in &columns {
            write!(f, "  {name:>9}")?;
        }
        for (index, epoch) in self.epochs.iter().enumerate() {
            write!(f, "\n{:>5}", epoch.epoch)?;
            for (name, curve) in columns.iter().zip(&curves) {
                write!(f, "  {:>1$}", Short(curve[index]).to_string(), name.len().max(9))?;
            }
            if self.best == Some(index) {
                write!(f, "  best")?;
            }
        }
        Ok(())
    }
}

/// A number in four digits or so.
pub(super) struct Short(pub(super) f64);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = self.0.abs();
        if size != 0.0 && !(1e-3..1e5).contains(&size) && size.is_finite() {
            write!(f, "{:.3e}", self.0)
        } else {
            write!(f, "{:.4}", self.0)
        }
    }
}
