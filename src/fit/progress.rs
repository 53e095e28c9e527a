//! What a user sees of a training: a bar on a terminal, and lines elsewhere.

use indicatif::{ProgressBar, ProgressStyle};
use std::fmt::Write;
use std::time::{Duration, Instant};

use super::history::Short;
use super::{Epoch, Metric};

/// Where there is no terminal, a line is written no more often than this.
const BETWEEN_LINES: Duration = Duration::from_secs(1);

pub(super) struct Progress {
    bar: ProgressBar,
    epochs: u64,
    line: Option<Instant>,
}

impl Progress {
    pub(super) fn new(epochs: u64, rows: usize) -> Self {
        let style = ProgressStyle::with_template(
            "{bar:25} {percent:>3}% {msg}, {per_sec:.0} rows, {eta} left",
        );
        let bar = ProgressBar::new(epochs.saturating_mul(rows as u64));
        let bar = style.map(|style| bar.clone().with_style(style)).unwrap_or(bar);
        Self { bar, epochs, line: None }
    }

    /// After a step on so many rows.
    pub(super) fn step(&mut self, epoch: u64, rows: usize, loss: f64) {
        self.bar.inc(rows as u64);
        // The message takes longer to make than a small step, and a hidden bar does not show it.
        if !self.bar.is_hidden() {
            self.bar.set_message(format!("epoch {epoch}/{}, loss {}", self.epochs, Short(loss)));
        }
    }

    /// After an epoch: its line stands above the bar, or by itself.
    pub(super) fn epoch(&mut self, epoch: &Epoch, metrics: &[Metric]) {
        let is_last = epoch.epoch == self.epochs;
        if !self.bar.is_hidden() {
            self.bar.println(describe(epoch, metrics, self.epochs));
            if is_last {
                self.bar.finish_and_clear();
            }
        } else if is_last || self.line.is_none_or(|line| line.elapsed() >= BETWEEN_LINES) {
            self.line = Some(Instant::now());
            let left = self.bar.eta().as_secs();
            eprintln!("{}, {left} s left", describe(epoch, metrics, self.epochs));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// An epoch in a line.
fn describe(epoch: &Epoch, metrics: &[Metric], epochs: u64) -> String {
    let mut text = format!("epoch {}/{epochs}: loss {}", epoch.epoch, Short(epoch.loss));
    let mut add = |name: &str, value: f64| {
        // Writing to a string can't fail.
        let _ = write!(text, ", {name} {}", Short(value));
    };
    for (name, value) in [
        ("accuracy", epoch.accuracy),
        ("validation loss", epoch.validation_loss),
        ("validation accuracy", epoch.validation_accuracy),
    ] {
        if let Some(value) = value {
            add(name, value);
        }
    }
    for (metric, &value) in metrics.iter().zip(&epoch.metrics) {
        add(&metric.name(), value);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_is_a_line() {
        let epoch = Epoch {
            epoch: 3,
            steps: 30,
            learning_rate: 0.1,
            loss: 0.51234,
            accuracy: Some(0.75),
            validation_loss: Some(1e-7),
            validation_accuracy: None,
            metrics: vec![0.5],
            gradient_norms: Vec::new(),
            seconds: 1.0,
        };
        assert_eq!(
            describe(&epoch, &[Metric::R2], 20),
            "epoch 3/20: loss 0.5123, accuracy 0.7500, validation loss 1.000e-7, r2 0.5000"
        );
    }
}
