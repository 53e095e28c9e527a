//! What happened in a training.

use core::fmt;
use std::io::{self, Write};

use super::Metric;

/// What is known of an epoch when it has ended.
///
/// ```
/// # use deltarule::{Activation, Loss, Network, Optimizer, Trainer, data::Dataset};
/// use deltarule::Metric;
/// # let network = Network::builder(1).dense(2, Activation::Identity).build()?;
/// # let data = Dataset::from_classes(vec![1.0, 2.0, 3.0, 4.0], 1, vec![0, 0, 1, 1])?;
/// # let builder = Trainer::builder(network, Loss::SoftmaxCrossEntropy, Optimizer::sgd(0.01));
/// # let mut trainer = builder.build()?;
/// let fit = trainer.fit(&data).epochs(2).batch(2).metric(Metric::LogLoss);
/// let history = fit.gradient_norms().run()?;
/// let epoch = &history.epochs()[1];
/// assert_eq!((epoch.epoch, epoch.steps, epoch.learning_rate), (2, 4, 0.01));
/// assert!(epoch.loss < history.epochs()[0].loss && epoch.accuracy.is_some());
/// assert_eq!((epoch.validation_loss, epoch.validation_accuracy), (None, None));
/// assert_eq!((epoch.metrics.len(), epoch.gradient_norms.len()), (1, 1));
/// println!("{:.0} rows/s", data.rows() as f64 / epoch.seconds);
/// # Ok::<(), deltarule::Error>(())
/// ```
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
///
/// ```
/// # use deltarule::{*, Loss::MeanSquaredError, data::Dataset};
/// use deltarule::{EarlyStopping, End};
/// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
/// # let data = Dataset::from_values(vec![1., 2., 3., 4.], 1, vec![2., 4., 6., 8.], 1)?;
/// # let mut trainer = Trainer::builder(network, MeanSquaredError, Optimizer::sgd(0.01)).build()?;
/// let fit = trainer.fit(&data).epochs(5).early_stopping(EarlyStopping::patience(1));
/// match fit.run()?.end() {
///     End::Epochs => println!("it may become better yet"),
///     End::EarlyStopping | End::Callback => println!("that's it"),
/// }
/// # assert_eq!(trainer.fit(&data).epochs(1).run()?.end(), End::Epochs);
/// # Ok::<(), deltarule::Error>(())
/// ```
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
///
/// ```
/// # use deltarule::{*, Loss::MeanSquaredError, data::Dataset};
/// use deltarule::{EarlyStopping, End, Metric};
/// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
/// # let data = Dataset::from_values(vec![1., 2., 3., 4.], 1, vec![2., 4., 6., 8.], 1)?;
/// # let mut trainer = Trainer::builder(network, MeanSquaredError, Optimizer::sgd(0.01)).build()?;
/// let fit = trainer.fit(&data).epochs(4).metric(Metric::R2);
/// let history = fit.early_stopping(EarlyStopping::patience(10)).run()?;
/// assert_eq!((history.epochs().len(), history.end()), (4, End::Epochs));
/// assert_eq!(history.metrics(), [Metric::R2]);
/// let (last, best) = (history.last().unwrap(), history.best().unwrap());
/// assert!(best.loss <= last.loss && last.epoch == 4);
/// println!("{history}");
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct History {
    pub(super) epochs: Vec<Epoch>,
    pub(super) metrics: Vec<Metric>,
    pub(crate) best: Option<usize>,
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
    ///
    /// ```
    /// # use deltarule::{Activation, Loss, Network, Optimizer, Trainer, data::Dataset};
    /// # let network = Network::builder(1).dense(2, Activation::Identity).build()?;
    /// # let data = Dataset::from_classes(vec![1.0, 2.0, 3.0, 4.0], 1, vec![0, 0, 1, 1])?;
    /// # let builder = Trainer::builder(network, Loss::SoftmaxCrossEntropy, Optimizer::sgd(0.01));
    /// # let mut trainer = builder.build()?;
    /// let history = trainer.fit(&data).validation_split(0.5).run()?;
    /// assert_eq!(history.columns()[..3], ["loss", "accuracy", "validation_loss"]);
    /// assert_eq!(history.columns()[3..], ["validation_accuracy", "learning_rate", "seconds"]);
    /// # Ok::<(), deltarule::Error>(())
    /// ```
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
    ///
    /// ```
    /// # use deltarule::{*, Loss::MeanSquaredError, data::Dataset};
    /// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
    /// # let data = Dataset::from_values(vec![1., 2., 3., 4.], 1, vec![2., 4., 6., 8.], 1)?;
    /// # let mut trainer =
    /// #     Trainer::builder(network, MeanSquaredError, Optimizer::sgd(0.01)).build()?;
    /// let history = trainer.fit(&data).epochs(5).run()?;
    /// let losses = history.curve("loss").expect("there always is one");
    /// assert!(losses.windows(2).all(|pair| pair[1] < pair[0]));
    /// assert_eq!(history.curve("accuracy"), None); // these targets are no classes
    /// # Ok::<(), deltarule::Error>(())
    /// ```
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
    /// ```
    /// # use deltarule::{*, Loss::MeanSquaredError, data::Dataset};
    /// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
    /// # let data = Dataset::from_values(vec![1., 2., 3., 4.], 1, vec![2., 4., 6., 8.], 1)?;
    /// # let mut trainer =
    /// #     Trainer::builder(network, MeanSquaredError, Optimizer::sgd(0.01)).build()?;
    /// let history = trainer.fit(&data).epochs(2).run()?;
    /// let mut csv = Vec::new(); // or a file
    /// history.write_csv(&mut csv)?;
    /// let csv = String::from_utf8(csv)?;
    /// let mut lines = csv.lines();
    /// assert_eq!(lines.next(), Some("epoch,steps,loss,learning_rate,seconds"));
    /// assert!(lines.next().is_some_and(|line| line.starts_with("1,1,")));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
        if size != 0.0 && !(1e-3..1e5).contains(&size) {
            write!(f, "{:.3e}", self.0)
        } else {
            write!(f, "{:.4}", self.0)
        }
    }
}
