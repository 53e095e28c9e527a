//! Which learning rates are worth a training.

use deltarule_kernels::Element;
use std::io::{self, Write};

use super::run::Gathered;
use crate::data::{Batches, Rows};
use crate::error::{Error, Result, check_length};
use crate::optimizer::positive;
use crate::trainer::TrainerBuilder;

/// How much of the smoothed loss is that of the step before.
const SMOOTHING: f64 = 0.9;
/// A smoothed loss that is so many times the smallest ends the test; a negative one, that is as much
/// above it.
const DIVERGED: f64 = 4.0;

/// The learning-rate range test: steps at rates that grow from each to the next by one factor, and
/// the loss of each. Smith, *Cyclical Learning Rates for Training Neural Networks* (2017).
///
/// It trains a network of its own, made by a copy of the trainer's builder; the caller's stays as
/// it is.
///
/// ```
/// use deltarule::{Activation, Loss, Network, Optimizer, RangeTest, Trainer, data::Dataset};
/// let x: Vec<f32> = (0..200).map(|i| i as f32 / 100.0 - 1.0).collect();
/// let data = Dataset::from_values(x.clone(), 1, x.iter().map(|x| x * x).collect(), 1)?;
/// let network =
///     Network::builder(1).dense(16, Activation::Tanh).dense(1, Activation::Identity).build()?;
/// let trainer = Trainer::builder(network, Loss::MeanSquaredError, Optimizer::sgd(0.1));
/// let curve = RangeTest::default().run(&trainer, &data)?;
/// assert!(curve.suggestion().is_some_and(|rate| rate < 1.0));
/// let mut csv = Vec::new();
/// curve.write_csv(&mut csv)?;
/// assert!(csv.starts_with(b"learning_rate,loss,smoothed_loss\n"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct RangeTest {
    /// The rate of the first step.
    pub lowest: f64,
    /// The rate of the last step.
    pub highest: f64,
    /// The steps, unless the loss diverges before.
    pub steps: u64,
    /// The rows of a step.
    pub batch: usize,
    /// The seed of the rows' order.
    pub seed: u64,
}

impl Default for RangeTest {
    /// From 10⁻⁶ to 10 in 100 steps on 32 rows.
    fn default() -> Self {
        Self { lowest: 1e-6, highest: 10.0, steps: 100, batch: 32, seed: 0 }
    }
}

impl RangeTest {
    /// Makes the steps.
    ///
    /// It ends early where the smoothed loss is four times its smallest, or not finite.
    ///
    /// ```
    /// # use deltarule::{Activation, Loss, Network, Optimizer, RangeTest, Trainer, data::Dataset};
    /// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
    /// # let data = Dataset::from_values(vec![1., 2., 3., 4.], 1, vec![2., 4., 6., 8.], 1)?;
    /// let trainer = Trainer::builder(network, Loss::MeanSquaredError, Optimizer::sgd(0.1));
    /// let test = RangeTest { lowest: 1e-4, highest: 1e4, steps: 81, ..RangeTest::default() };
    /// let curve = test.run(&trainer, &data)?;
    /// // It ended where the loss had grown out of hand.
    /// assert!(curve.points().last().is_some_and(|point| point.learning_rate < 1e4));
    /// assert!(RangeTest { highest: 1e-9, ..test }.run(&trainer, &data).is_err());
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::OutOfRange`] unless the lowest rate is above 0 and the highest above the lowest,
    /// and there are 2 steps at least; [`Error::Zero`] for a batch of 0; and as
    /// [`TrainerBuilder::build`] and
    /// [`Trainer::step`](crate::Trainer::step).
    pub fn run<'a, E: Element>(
        self,
        trainer: &TrainerBuilder<E>,
        data: impl Into<Rows<'a, E>>,
    ) -> Result<RangeCurve> {
        let Self { lowest, highest, steps, batch, seed } = self;
        positive("lowest", Some(lowest))?;
        positive("highest", Some(highest))?;
        if highest <= lowest {
            let (argument, expected) = ("highest", "above the lowest rate");
            return Err(Error::OutOfRange { argument, value: highest, expected });
        }
        if steps < 2 {
            let (argument, expected) = ("steps", "at least 2");
            return Err(Error::OutOfRange { argument, value: steps as f64, expected });
        }
        let rows = data.into();
        let mut trainer = trainer.clone().build()?;
        check_length("columns of the data", rows.columns(), trainer.network().inputs())?;
        trainer.check_rows(rows, ["x", "targets", "weights"])?;
        let mut batches = Batches::new(rows.rows(), batch, seed)?;
        let mut gathered = Gathered::new(rows, batch)?;
        let mut points: Vec<RangePoint> = Vec::new();
        let (mut average, mut smallest) = (0.0, f64::INFINITY);
        for epoch in 0.. {
            for chosen in batches.epoch(epoch) {
                let passed = points.len() as f64 / (steps - 1) as f64;
                let learning_rate = lowest * (highest / lowest).powf(passed);
                trainer.set_learning_rate(learning_rate)?;
                let (x, targets) = gathered.gather(chosen)?;
                let loss = match trainer.step(x, targets) {
                    Ok(score) => score.loss,
                    Err(
                        Error::NonFiniteLoss { .. }
                        | Error::NonFiniteGradient { .. }
                        | Error::NonFiniteVariance { .. },
                    ) => {
                        return Ok(RangeCurve { points });
                    }
                    Err(error) => return Err(error),
                };
                average = SMOOTHING * average + (1.0 - SMOOTHING) * loss;
                let weight = 1.0 - SMOOTHING.powf(points.len() as f64 + 1.0);
                let smoothed_loss = average / weight;
                points.push(RangePoint { learning_rate, loss, smoothed_loss });
                smallest = smallest.min(smoothed_loss);
                let rise = smoothed_loss - smallest;
                if rise > (DIVERGED - 1.0) * smallest.abs() || points.len() as u64 == steps {
                    return Ok(RangeCurve { points });
                }
            }
        }
        Ok(RangeCurve { points })
    }
}

/// A step of a [`RangeTest`].
///
/// ```
/// # use deltarule::{Activation, Loss, Network, Optimizer, RangeTest, Trainer, data::Dataset};
/// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
/// # let data = Dataset::from_values(vec![1., 2., 3., 4.], 1, vec![2., 4., 6., 8.], 1)?;
/// # let trainer = Trainer::builder(network, Loss::MeanSquaredError, Optimizer::sgd(0.1));
/// let test = RangeTest { lowest: 1e-6, highest: 1e-4, steps: 3, ..RangeTest::default() };
/// let curve = test.run(&trainer, &data)?;
/// let [first, second, _] = curve.points() else { unreachable!() };
/// assert_eq!(first.learning_rate, 1e-6);
/// assert!((second.learning_rate - 1e-5).abs() < 1e-12); // 10 times as much
/// assert!((first.smoothed_loss - first.loss).abs() < 1e-9 * first.loss);
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct RangePoint {
    /// Its learning rate.
    pub learning_rate: f64,
    /// The loss of its batch, before it.
    pub loss: f64,
    /// The exponential average of the losses so far, of which each step is a tenth, corrected for
    /// its beginning at 0.
    pub smoothed_loss: f64,
}

/// What a [`RangeTest`] saw.
///
/// ```
/// # use deltarule::{Activation, Loss, Network, Optimizer, RangeTest, Trainer, data::Dataset};
/// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
/// # let data = Dataset::from_values(vec![1., 2., 3., 4.], 1, vec![2., 4., 6., 8.], 1)?;
/// # let trainer = Trainer::builder(network, Loss::MeanSquaredError, Optimizer::sgd(0.1));
/// let curve = RangeTest { steps: 50, ..RangeTest::default() }.run(&trainer, &data)?;
/// let rates = curve.points().iter().map(|point| point.learning_rate);
/// let suggestion = curve.suggestion().expect("the loss falls");
/// assert!(rates.clone().any(|rate| rate == suggestion));
/// for (rate, point) in rates.zip(curve.points()) {
///     println!("{rate:8.1e} {}", "#".repeat(point.smoothed_loss.min(70.0) as usize));
/// }
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct RangeCurve {
    points: Vec<RangePoint>,
}

impl RangeCurve {
    /// The steps.
    pub fn points(&self) -> &[RangePoint] {
        &self.points
    }

    /// The rate at which the smoothed loss falls steepest over the logarithm of the rate; `None`
    /// if it never falls.
    pub fn suggestion(&self) -> Option<f64> {
        // All steps are alike in the logarithm, so the steepest is the largest fall.
        let fall = |three: &[RangePoint]| three[0].smoothed_loss - three[2].smoothed_loss;
        let steepest = self.points.windows(3).max_by(|a, b| fall(a).total_cmp(&fall(b)))?;
        (fall(steepest) > 0.0).then_some(steepest[1].learning_rate)
    }

    /// Writes the curve: a header, and a line for each step.
    ///
    /// ```
    /// # use deltarule::{Activation, Loss, Network, Optimizer, RangeTest, Trainer, data::Dataset};
    /// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
    /// # let data = Dataset::from_values(vec![1., 2., 3., 4.], 1, vec![2., 4., 6., 8.], 1)?;
    /// # let trainer = Trainer::builder(network, Loss::MeanSquaredError, Optimizer::sgd(0.1));
    /// let test = RangeTest { highest: 1e-3, steps: 10, ..RangeTest::default() };
    /// let curve = test.run(&trainer, &data)?;
    /// let mut csv = Vec::new(); // or a file
    /// curve.write_csv(&mut csv)?;
    /// assert_eq!(csv.iter().filter(|&&byte| byte == b'\n').count(), 1 + 10);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// Those of the writer.
    pub fn write_csv(&self, mut to: impl Write) -> io::Result<()> {
        writeln!(to, "learning_rate,loss,smoothed_loss")?;
        for RangePoint { learning_rate, loss, smoothed_loss } in &self.points {
            writeln!(to, "{learning_rate},{loss},{smoothed_loss}")?;
        }
        Ok(())
    }
}
