//! What can be said of a training before it runs.

use core::ops::ControlFlow;
use deltarule_kernels::Element;

use super::rate::Rate;
use super::{EarlyStopping, EpochEnd, Fit, History, Metric, Monitor, Step, Time, Validation, run};
use crate::data::Rows;
use crate::error::Result;
use crate::schedule::{ReduceOnPlateau, Schedule};
impl<'a, E: Element> Fit<'a, E> {
    /// Sets how many times every row is seen.
    ///
    /// ```
    /// # use deltarule::{*, Loss::MeanSquaredError, data::Dataset};
    /// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
    /// # let data = Dataset::from_values(vec![1., 2., 3., 4.], 1, vec![2., 4., 6., 8.], 1)?;
    /// # let mut trainer =
    /// #     Trainer::builder(network, MeanSquaredError, Optimizer::sgd(0.01)).build()?;
    /// let history = trainer.fit(&data).epochs(3).run()?;
    /// assert_eq!(history.last().map(|epoch| epoch.epoch), Some(3));
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn epochs(mut self, epochs: u64) -> Self {
        self.epochs = epochs;
        self
    }

    /// Sets the rows of a step: 1 is stochastic gradient descent, and all rows are batch gradient
    /// descent. The trainer's `max_batch` limits it. The last batch of an epoch may be smaller.
    ///
    /// ```
    /// # use deltarule::{*, Loss::MeanSquaredError, data::Dataset};
    /// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
    /// # let data = Dataset::from_values(vec![1., 2., 3., 4.], 1, vec![2., 4., 6., 8.], 1)?;
    /// # let mut trainer =
    /// #     Trainer::builder(network, MeanSquaredError, Optimizer::sgd(0.01)).build()?;
    /// trainer.fit(&data).epochs(2).batch(data.rows()).run()?; // batch gradient descent
    /// assert_eq!(trainer.steps(), 2);
    /// trainer.fit(&data).epochs(2).batch(1).run()?; // stochastic
    /// assert_eq!(trainer.steps(), 2 + 2 * 4);
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn batch(mut self, rows: usize) -> Self {
        self.batch = rows;
        self
    }

    /// Sets the seed of the rows' order and of the validation split, which is 0 otherwise.
    ///
    /// ```
    /// # use deltarule::{Activation, Loss, Network, Optimizer, Trainer, data::Dataset};
    /// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
    /// # let data = Dataset::from_values(vec![1., 2., 3., 4.], 1, vec![2., 4., 6., 8.], 1)?;
    /// let builder = Trainer::builder(network, Loss::MeanSquaredError, Optimizer::sgd(0.01));
    /// let train = |seed| {
    ///     let mut trainer = builder.clone().build()?;
    ///     trainer.fit(&data).batch(1).seed(seed).run()?;
    ///     Ok::<_, deltarule::Error>(trainer.network().parameters().to_vec())
    /// };
    /// assert_eq!(train(1)?, train(1)?);
    /// assert_ne!(train(1)?, train(2)?); // the rows came in another order
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Judges the network by these rows after each epoch.
    ///
    /// ```
    /// # use deltarule::{*, Loss::MeanSquaredError, data::Dataset};
    /// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
    /// # let data = Dataset::from_values(vec![1., 2., 3., 4.], 1, vec![2., 4., 6., 8.], 1)?;
    /// # let mut trainer =
    /// #     Trainer::builder(network, MeanSquaredError, Optimizer::sgd(0.01)).build()?;
    /// let (train, validation) = data.split(0.25, 42)?;
    /// let history = trainer.fit(&train).validation(&validation).run()?;
    /// let score = trainer.evaluate(validation.features(), validation.targets())?;
    /// assert_eq!(history.last().and_then(|epoch| epoch.validation_loss), Some(score.loss));
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn validation(mut self, rows: impl Into<Rows<'a, E>>) -> Self {
        self.validation = Validation::Rows(rows.into());
        self
    }

    /// Judges the network by this share of the data, chosen at random, on which it is not trained.
    /// If the targets are classes, it is this share of each. Both parts are copied.
    ///
    /// ```
    /// # use deltarule::{*, Loss::MeanSquaredError, data::Dataset};
    /// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
    /// # let data = Dataset::from_values(vec![1., 2., 3., 4.], 1, vec![2., 4., 6., 8.], 1)?;
    /// # let mut trainer =
    /// #     Trainer::builder(network, MeanSquaredError, Optimizer::sgd(0.01)).build()?;
    /// let history = trainer.fit(&data).batch(1).epochs(1).validation_split(0.25).run()?;
    /// assert_eq!(trainer.steps(), 3); // of 4 rows
    /// assert!(history.epochs()[0].validation_loss.is_some());
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn validation_split(mut self, share: f64) -> Self {
        self.validation = Validation::Share(share);
        self
    }

    /// Evaluates this metric after each epoch, on the validation rows, or on the training rows if
    /// there are none. If these have weights, each row counts as much as its own, and none may be
    /// negative: see [`Truth`](crate::metrics::Truth).
    ///
    /// ```
    /// # use deltarule::{*, Loss::MeanSquaredError, data::Dataset};
    /// use deltarule::Metric;
    /// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
    /// # let data = Dataset::from_values(vec![1., 2., 3., 4.], 1, vec![2., 4., 6., 8.], 1)?;
    /// # let mut trainer =
    /// #     Trainer::builder(network, MeanSquaredError, Optimizer::sgd(0.01)).build()?;
    /// let fit = trainer.fit(&data).metric(Metric::R2).metric(Metric::MeanAbsoluteError);
    /// let history = fit.run()?;
    /// assert_eq!(history.columns(), ["loss", "r2", "mae", "learning_rate", "seconds"]);
    /// assert_eq!(history.epochs()[0].metrics.len(), 2);
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn metric(mut self, metric: Metric) -> Self {
        if !self.metrics.contains(&metric) {
            self.metrics.push(metric);
        }
        self
    }

    /// Ends the training when the network has not become better for some epochs, and gives it its
    /// best weights: those of the averaged network, if one is kept by
    /// [`TrainerBuilder::average`](crate::TrainerBuilder::average).
    ///
    /// ```
    /// # use deltarule::{*, Loss::MeanSquaredError, data::Dataset};
    /// use deltarule::{EarlyStopping, End};
    /// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
    /// # let data = Dataset::from_values(vec![1., 2., 3., 4.], 1, vec![2., 4., 6., 8.], 1)?;
    /// # let mut trainer =
    /// #     Trainer::builder(network, MeanSquaredError, Optimizer::sgd(0.01)).build()?;
    /// let fit = trainer.fit(&data).epochs(1000).validation(&data);
    /// let rule = EarlyStopping { min_delta: 0.01, ..EarlyStopping::default() };
    /// let history = fit.early_stopping(rule).run()?;
    /// assert_eq!(history.end(), End::EarlyStopping);
    /// let best = history.best().and_then(|epoch| epoch.validation_loss);
    /// assert_eq!(best, Some(trainer.evaluate(data.features(), data.targets())?.loss));
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn early_stopping(mut self, early_stopping: EarlyStopping) -> Self {
        self.early_stopping = Some(early_stopping);
        self
    }

    /// Multiplies the learning rate by this schedule, whose time is in epochs. It changes with
    /// every step: an epoch has passed in part.
    ///
    /// ```
    /// # use deltarule::{*, Loss::MeanSquaredError, data::Dataset};
    /// use deltarule::Schedule;
    /// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
    /// # let data = Dataset::from_values(vec![1., 2., 3., 4.], 1, vec![2., 4., 6., 8.], 1)?;
    /// # let mut trainer =
    /// #     Trainer::builder(network, MeanSquaredError, Optimizer::sgd(0.01)).build()?;
    /// let history = trainer.fit(&data).epochs(3).schedule(Schedule::exponential(0.5)).run()?;
    /// assert_eq!(history.curve("learning_rate"), Some(vec![0.01, 0.005, 0.0025]));
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.rate = Rate::Epochs(schedule);
        self
    }

    /// Multiplies the learning rate by this schedule, whose time is in steps.
    ///
    /// ```
    /// # use deltarule::{*, Loss::MeanSquaredError, data::Dataset};
    /// use deltarule::Schedule;
    /// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
    /// # let data = Dataset::from_values(vec![1., 2., 3., 4.], 1, vec![2., 4., 6., 8.], 1)?;
    /// # let mut trainer =
    /// #     Trainer::builder(network, MeanSquaredError, Optimizer::sgd(0.01)).build()?;
    /// // 4 rows by 2: the last step of each epoch is step 1, 3 and 5 from 0.
    /// let fit = trainer.fit(&data).epochs(3).batch(2);
    /// let history = fit.schedule_by_step(Schedule::step(2.0, 0.5)).run()?;
    /// assert_eq!(history.curve("learning_rate"), Some(vec![0.01, 0.005, 0.0025]));
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn schedule_by_step(mut self, schedule: Schedule) -> Self {
        self.rate = Rate::Steps(schedule);
        self
    }

    /// Multiplies the learning rate by what this function says before every step.
    ///
    /// ```
    /// # use deltarule::{*, Loss::MeanSquaredError, data::Dataset};
    /// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
    /// # let data = Dataset::from_values(vec![1., 2., 3., 4.], 1, vec![2., 4., 6., 8.], 1)?;
    /// # let mut trainer =
    /// #     Trainer::builder(network, MeanSquaredError, Optimizer::sgd(0.01)).build()?;
    /// let fit = trainer.fit(&data).epochs(3);
    /// let history = fit.schedule_with(|time| if time.epoch < 2.0 { 1.0 } else { 0.1 }).run()?;
    /// assert_eq!(history.curve("learning_rate"), Some(vec![0.01, 0.01, 0.001]));
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn schedule_with(mut self, factor: impl FnMut(Time) -> f64 + 'a) -> Self {
        self.rate = Rate::Function(Box::new(factor));
        self
    }

    /// Multiplies the learning rate, besides any schedule, by a factor whenever the network has
    /// not become better for some epochs.
    ///
    /// ```
    /// # use deltarule::{Activation, Loss, Network, Optimizer, Trainer, data::Dataset};
    /// use deltarule::{Monitor, ReduceOnPlateau};
    /// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
    /// # let data = Dataset::from_values(vec![1., 2., 3., 4.], 1, vec![2., 4., 6., 8.], 1)?;
    /// // So small a rate that the loss stays what it is.
    /// let optimizer = Optimizer::sgd(1e-9);
    /// let mut trainer = Trainer::builder(network, Loss::MeanSquaredError, optimizer).build()?;
    /// let rule = ReduceOnPlateau { factor: 0.5, patience: 1, ..Default::default() };
    /// let fit = trainer.fit(&data).epochs(5).reduce_on_plateau(rule, Monitor::Loss);
    /// let rates = fit.run()?.curve("learning_rate");
    /// assert_eq!(rates, Some(vec![1e-9, 1e-9, 1e-9, 5e-10, 5e-10]));
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn reduce_on_plateau(mut self, rule: ReduceOnPlateau, monitor: Monitor) -> Self {
        self.plateau = Some((rule, monitor));
        self
    }

    /// Keeps the norm of every layer's gradient. It costs a gradient each epoch.
    ///
    /// ```
    /// # use deltarule::{Activation, Loss, Network, Optimizer, Trainer, data::Dataset};
    /// # let data = Dataset::from_values(vec![1., 2., 3., 4.], 1, vec![2., 4., 6., 8.], 1)?;
    /// let network = Network::builder(1)
    ///     .dense(8, Activation::Relu)
    ///     .dropout(0.1)
    ///     .dense(1, Activation::Identity)
    ///     .build()?;
    /// let builder = Trainer::builder(network, Loss::MeanSquaredError, Optimizer::sgd(0.01));
    /// let mut trainer = builder.build()?;
    /// let history = trainer.fit(&data).epochs(1).gradient_norms().run()?;
    /// // One for each layer with parameters.
    /// assert_eq!(history.epochs()[0].gradient_norms.len(), 2);
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn gradient_norms(mut self) -> Self {
        self.gradient_norms = true;
        self
    }

    /// Calls this after every step; `Break` ends the training.
    ///
    /// ```
    /// # use deltarule::{*, Loss::MeanSquaredError, data::Dataset};
    /// use std::{ops::ControlFlow, time::{Duration, Instant}};
    /// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
    /// # let data = Dataset::from_values(vec![1., 2., 3., 4.], 1, vec![2., 4., 6., 8.], 1)?;
    /// # let mut trainer =
    /// #     Trainer::builder(network, MeanSquaredError, Optimizer::sgd(0.01)).build()?;
    /// // For as many epochs as there is time.
    /// let end = Instant::now() + Duration::from_millis(1);
    /// let fit = trainer.fit(&data).epochs(u64::MAX).on_step(|_| {
    ///     if Instant::now() < end { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    /// });
    /// assert_eq!(fit.run()?.end(), deltarule::End::Callback);
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn on_step(mut self, callback: impl FnMut(&Step) -> ControlFlow<()> + 'a) -> Self {
        self.on_step.push(Box::new(callback));
        self
    }

    /// Calls this after every epoch; `Break` ends the training.
    ///
    /// ```
    /// # use deltarule::{*, Loss::MeanSquaredError, data::Dataset};
    /// use std::ops::ControlFlow;
    /// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
    /// # let data = Dataset::from_values(vec![1., 2., 3., 4.], 1, vec![2., 4., 6., 8.], 1)?;
    /// # let mut trainer =
    /// #     Trainer::builder(network, MeanSquaredError, Optimizer::sgd(0.01)).build()?;
    /// let fit = trainer.fit(&data).epochs(1000).on_epoch(|end| {
    ///     if end.epoch.loss < 1.0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    /// });
    /// let history = fit.run()?;
    /// assert!(history.last().is_some_and(|epoch| epoch.loss < 1.0 && epoch.epoch < 1000));
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn on_epoch(
        mut self,
        callback: impl FnMut(&EpochEnd<'_, E>) -> ControlFlow<()> + 'a,
    ) -> Self {
        self.on_epoch.push(Box::new(callback));
        self
    }

    /// Shows a progress bar on standard error with rate and time left, or a line now and then if
    /// that is no terminal.
    ///
    /// ```
    /// # use deltarule::{*, Loss::MeanSquaredError, data::Dataset};
    /// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
    /// # let data = Dataset::from_values(vec![1., 2., 3., 4.], 1, vec![2., 4., 6., 8.], 1)?;
    /// # let mut trainer =
    /// #     Trainer::builder(network, MeanSquaredError, Optimizer::sgd(0.01)).build()?;
    /// let history = trainer.fit(&data).epochs(3).progress().run()?;
    /// # assert_eq!(history.epochs().len(), 3);
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    #[cfg(feature = "progress")]
    pub fn progress(mut self) -> Self {
        self.progress = true;
        self
    }

    /// Trains.
    ///
    /// The weights are the same bits for the same seed, any number of threads, and with or without
    /// callbacks. The optimizer keeps its state from one training to the next, and its learning
    /// rate is afterwards what it was before.
    ///
    /// ```
    /// # use deltarule::{*, Loss::MeanSquaredError, data::Dataset};
    /// use deltarule::Error;
    /// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
    /// # let data = Dataset::from_values(vec![1., 2., 3., 4.], 1, vec![2., 4., 6., 8.], 1)?;
    /// # let mut trainer =
    /// #     Trainer::builder(network, MeanSquaredError, Optimizer::sgd(0.01)).build()?;
    /// let history = trainer.fit(&data).run()?;
    /// println!("{history}"); // a table
    /// // What makes no sense is an error before the first step.
    /// let error = trainer.fit(&data).batch(1000).epochs(0).run().unwrap_err();
    /// assert_eq!(error, Error::Zero { argument: "epochs" });
    /// assert_eq!(trainer.steps(), 10);
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// Before the first step, for anything that makes no sense: [`Error::Zero`] for a batch or
    /// epochs of 0,
    /// [`Error::BatchTooLarge`] for one that is larger than the trainer's `max_batch`,
    /// [`Error::Length`] for rows of another width than the network's, [`Error::OutOfRange`] for a
    /// share, a schedule's or another number, [`Error::Empty`] if no training or validation row is
    /// left, [`Error::TargetKind`], [`Error::Class`], [`Error::Category`] and [`Error::NonFinite`]
    /// for rows that can't be learned from or judged by, with their places among all rows;
    /// [`Error::MetricNotEvaluated`], [`Error::MetricTargets`], and what a metric says of targets
    /// and weights on which it is not defined.
    ///
    /// Later, as [`Trainer::step`]: then the network is as it was before the step that failed,
    /// or, with early stopping, has its best weights, if an epoch has passed.
    ///
    /// [`Trainer::step`]: crate::Trainer::step
    /// [`Error::Zero`]: crate::Error::Zero
    /// [`Error::BatchTooLarge`]: crate::Error::BatchTooLarge
    /// [`Error::Length`]: crate::Error::Length
    /// [`Error::OutOfRange`]: crate::Error::OutOfRange
    /// [`Error::Empty`]: crate::Error::Empty
    /// [`Error::MetricNotEvaluated`]: crate::Error::MetricNotEvaluated
    /// [`Error::MetricTargets`]: crate::Error::MetricTargets
    /// [`Error::TargetKind`]: crate::Error::TargetKind
    /// [`Error::Class`]: crate::Error::Class
    /// [`Error::Category`]: crate::Error::Category
    /// [`Error::NonFinite`]: crate::Error::NonFinite
    pub fn run(self) -> Result<History> {
        run::run(self)
    }
}
