//! How the learning rate changes in the course of a training.

use core::f64::consts::PI;

use crate::error::Result;
use crate::optimizer::{check, not_negative, positive};

/// The factor by which the learning rate is multiplied at time t.
///
/// Time counts from 0 in whatever unit the caller has: steps, or epochs, of which a fraction may
/// have passed. After [`Schedule::warm_up`] of w, time counts from its end, and t below is what
/// has passed since. η₀ is the optimizer's own learning rate; its schedule gives η₀ · factor(t).
///
/// A schedule is plain data, and nothing of it changes: [`Schedule::factor`] may be asked for any
/// t in any order, so a training that is taken up again goes on with the same rates.
///
/// ```
/// use deltarule::Schedule;
/// let schedule = Schedule::cosine(100.0, 0.0).warm_up(10.0, 0.1);
/// assert_eq!(schedule.factor(0.0), 0.1);
/// assert_eq!(schedule.factor(10.0), 1.0);
/// assert_eq!(schedule.factor(110.0), 0.0);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Schedule {
    shape: Shape,
    warm_up: Option<WarmUp>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
enum Shape {
    Constant,
    Step { every: f64, factor: f64 },
    Exponential { factor: f64 },
    InverseTime { decay: f64 },
    Polynomial { length: f64, power: f64, end: f64 },
    Cosine { length: f64, end: f64 },
    CosineRestarts { period: f64, growth: f64, end: f64 },
    OneCycle { length: f64, rise: f64, start: f64, end: f64 },
}

#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
struct WarmUp {
    length: f64,
    start: f64,
}

impl Schedule {
    fn new(shape: Shape) -> Self {
        Self { shape, warm_up: None }
    }

    /// 1.
    ///
    /// ```
    /// use deltarule::Schedule;
    /// assert_eq!(Schedule::constant().factor(1e6), 1.0);
    /// // By itself it is for the warm-up before it.
    /// assert_eq!(Schedule::constant().warm_up(4.0, 0.0).factor(1.0), 0.25);
    /// ```
    pub fn constant() -> Self {
        Self::new(Shape::Constant)
    }

    /// γ^⌊t / s⌋, γ being `factor` and s being `every`. PyTorch's `StepLR`.
    ///
    /// ```
    /// use deltarule::Schedule;
    /// let schedule = Schedule::step(10.0, 0.5); // halved every 10 epochs
    /// assert_eq!([9.9, 10.0, 25.0].map(|t| schedule.factor(t)), [1.0, 0.5, 0.25]);
    /// ```
    pub fn step(every: f64, factor: f64) -> Self {
        Self::new(Shape::Step { every, factor })
    }

    /// γᵗ, γ being `factor`. PyTorch's `ExponentialLR`.
    ///
    /// ```
    /// use deltarule::Schedule;
    /// let schedule = Schedule::exponential(0.5);
    /// assert_eq!([0.0, 1.0, 3.0].map(|t| schedule.factor(t)), [1.0, 0.5, 0.125]);
    /// ```
    pub fn exponential(factor: f64) -> Self {
        Self::new(Shape::Exponential { factor })
    }

    /// 1 / (1 + d t), d being `decay`.
    ///
    /// ```
    /// use deltarule::Schedule;
    /// let schedule = Schedule::inverse_time(0.5);
    /// assert_eq!([0.0, 2.0, 6.0].map(|t| schedule.factor(t)), [1.0, 0.5, 0.25]);
    /// ```
    pub fn inverse_time(decay: f64) -> Self {
        Self::new(Shape::InverseTime { decay })
    }

    /// e + (1 − e)(1 − min(t, L) / L)ᵖ, L being `length`, p `power` and e `end`; p = 1 is linear
    /// decay. With e = 0 PyTorch's `PolynomialLR`.
    ///
    /// ```
    /// use deltarule::Schedule;
    /// let schedule = Schedule::polynomial(10.0, 2.0, 0.0);
    /// assert_eq!([0.0, 5.0, 10.0, 20.0].map(|t| schedule.factor(t)), [1.0, 0.25, 0.0, 0.0]);
    /// ```
    pub fn polynomial(length: f64, power: f64, end: f64) -> Self {
        Self::new(Shape::Polynomial { length, power, end })
    }

    /// e + (1 − e)(1 + cos(π min(t, L) / L)) / 2, L being `length` and e `end`: half a cosine from
    /// 1 down to e, where it stays. PyTorch's `CosineAnnealingLR` up to L.
    ///
    /// Loshchilov and Hutter, *SGDR: Stochastic Gradient Descent with Warm Restarts* (2017).
    ///
    /// ```
    /// use deltarule::Schedule;
    /// let schedule = Schedule::cosine(10.0, 0.5);
    /// assert_eq!([0.0, 10.0, 20.0].map(|t| schedule.factor(t)), [1.0, 0.5, 0.5]);
    /// assert!((schedule.factor(5.0) - 0.75).abs() < 1e-12);
    /// ```
    pub fn cosine(length: f64, end: f64) -> Self {
        Self::new(Shape::Cosine { length, end })
    }

    /// [`Schedule::cosine`] again and again: the first takes `period`, and each of the others
    /// `growth` times as long as the one before. PyTorch's `CosineAnnealingWarmRestarts`.
    ///
    /// ```
    /// use deltarule::Schedule;
    /// // Periods of 10, 20 and 40 epochs begin at 0, 10 and 30.
    /// let schedule = Schedule::cosine_restarts(10.0, 2.0, 0.0);
    /// assert_eq!([0.0, 10.0, 30.0].map(|t| schedule.factor(t)), [1.0, 1.0, 1.0]);
    /// assert!((schedule.factor(20.0) - 0.5).abs() < 1e-12);
    /// ```
    pub fn cosine_restarts(period: f64, growth: f64, end: f64) -> Self {
        Self::new(Shape::CosineRestarts { period, growth, end })
    }

    /// Up from 1/25 to 1 in the first 0.3 of `length`, and down to 4·10⁻⁶ in the rest, both along
    /// half a cosine. η₀ is the highest rate.
    ///
    /// PyTorch's `OneCycleLR` with `total_steps` = T is this with a length of T − 1, but for its
    /// highest rate, which is at 0.3 T − 1. Smith and Topin, *Super-Convergence* (2018).
    ///
    /// ```
    /// use deltarule::Schedule;
    /// let schedule = Schedule::one_cycle(100.0);
    /// for (time, factor) in [(0.0, 0.04), (30.0, 1.0), (100.0, 4e-6)] {
    ///     assert!((schedule.factor(time) - factor).abs() < 1e-12);
    /// }
    /// ```
    pub fn one_cycle(length: f64) -> Self {
        Self::one_cycle_with(length, 0.3, 1.0 / 25.0, 4e-6)
    }

    /// [`Schedule::one_cycle`] that rises from `start` in the first `rise`, a share, of its
    /// length, and comes down to `end`.
    ///
    /// ```
    /// use deltarule::Schedule;
    /// let schedule = Schedule::one_cycle_with(100.0, 0.5, 0.1, 0.01);
    /// for (time, factor) in [(0.0, 0.1), (50.0, 1.0), (100.0, 0.01)] {
    ///     assert!((schedule.factor(time) - factor).abs() < 1e-12);
    /// }
    /// ```
    pub fn one_cycle_with(length: f64, rise: f64, start: f64, end: f64) -> Self {
        Self::new(Shape::OneCycle { length, rise, start, end })
    }

    /// Puts s + (1 − s) t / w before the schedule, w being `length` and s `start`, times the
    /// schedule's own beginning. PyTorch's `LinearLR` in a `SequentialLR`. Goyal et al., *Accurate,
    /// Large Minibatch SGD* (2017).
    ///
    /// With s = 0 the first step has a rate of 0 and does nothing.
    ///
    /// ```
    /// use deltarule::Schedule;
    /// let schedule = Schedule::exponential(0.5).warm_up(4.0, 0.5);
    /// assert_eq!([0.0, 2.0, 4.0, 5.0].map(|t| schedule.factor(t)), [0.5, 0.75, 1.0, 0.5]);
    /// ```
    #[must_use]
    pub fn warm_up(mut self, length: f64, start: f64) -> Self {
        self.warm_up = Some(WarmUp { length, start });
        self
    }

    /// The factor at this time. A time before 0, or NaN, is taken for 0.
    ///
    /// ```
    /// use deltarule::Schedule;
    /// let schedule = Schedule::inverse_time(1.0);
    /// let rates: Vec<f64> = (0..4).map(|epoch| 0.6 * schedule.factor(f64::from(epoch))).collect();
    /// assert_eq!(rates, [0.6, 0.3, 0.6 * (1.0 / 3.0), 0.15]);
    /// assert_eq!(schedule.factor(-1.0), schedule.factor(f64::NAN)); // both as at 0
    /// ```
    pub fn factor(&self, time: f64) -> f64 {
        let time = time.max(0.0);
        match self.warm_up {
            Some(WarmUp { length, start }) if time < length => {
                (start + (1.0 - start) * time / length) * self.shape.factor(0.0)
            }
            Some(WarmUp { length, .. }) => self.shape.factor(time - length),
            None => self.shape.factor(time),
        }
    }

    /// Checks that every number has a meaning. Whoever takes a schedule does so.
    ///
    /// ```
    /// use deltarule::Schedule;
    /// assert!(Schedule::cosine(100.0, 0.0).check().is_ok());
    /// let error = Schedule::cosine(0.0, 0.1).check().unwrap_err();
    /// assert_eq!(error.to_string(), "`length` is 0, but it must be finite and above 0");
    /// ```
    ///
    /// # Errors
    /// [`Error::OutOfRange`](crate::Error::OutOfRange) for a length or period that is not above 0
    /// and finite; for a factor, decay, power, start or end that is negative or not finite; for a
    /// growth below 1; and for a rise outside 0 to 1.
    pub fn check(&self) -> Result<()> {
        if let Some(WarmUp { length, start }) = self.warm_up {
            positive("warm_up.length", Some(length))?;
            not_negative("warm_up.start", start)?;
        }
        match self.shape {
            Shape::Constant => Ok(()),
            Shape::Step { every, factor } => {
                positive("every", Some(every))?;
                not_negative("factor", factor)
            }
            Shape::Exponential { factor } => not_negative("factor", factor),
            Shape::InverseTime { decay } => not_negative("decay", decay),
            Shape::Polynomial { length, power, end } => {
                positive("length", Some(length))?;
                not_negative("power", power)?;
                not_negative("end", end)
            }
            Shape::Cosine { length, end } => {
                positive("length", Some(length))?;
                not_negative("end", end)
            }
            Shape::CosineRestarts { period, growth, end } => {
                positive("period", Some(period))?;
                let good = growth.is_finite() && growth >= 1.0;
                check("growth", growth, good, "finite and at least 1")?;
                not_negative("end", end)
            }
            Shape::OneCycle { length, rise, start, end } => {
                positive("length", Some(length))?;
                check("rise", rise, rise > 0.0 && rise < 1.0, "above 0 and below 1")?;
                not_negative("start", start)?;
                not_negative("end", end)
            }
        }
    }
}

impl Default for Schedule {
    fn default() -> Self {
        Self::constant()
    }
}

impl Shape {
    fn factor(self, t: f64) -> f64 {
        match self {
            Self::Constant => 1.0,
            Self::Step { every, factor } => factor.powf((t / every).floor()),
            Self::Exponential { factor } => factor.powf(t),
            Self::InverseTime { decay } => 1.0 / (1.0 + decay * t),
            Self::Polynomial { length, power, end } => {
                end + (1.0 - end) * (1.0 - t.min(length) / length).powf(power)
            }
            Self::Cosine { length, end } => half_cosine(1.0, end, t.min(length) / length),
            Self::CosineRestarts { period, growth, end } => {
                half_cosine(1.0, end, passed_of_period(t / period, growth))
            }
            Self::OneCycle { length, rise, start, end } => {
                let passed = t.min(length) / length;
                if passed < rise {
                    half_cosine(start, 1.0, passed / rise)
                } else {
                    half_cosine(1.0, end, (passed - rise) / (1.0 - rise))
                }
            }
        }
    }
}

/// From one value to another along half a cosine, of which the share `passed` has passed.
fn half_cosine(from: f64, to: f64, passed: f64) -> f64 {
    to + (from - to) * (1.0 + (PI * passed).cos()) / 2.0
}

/// The share of its period that has passed at `t`: the first period is 1, and each is `growth`
/// times as long as the one before.
fn passed_of_period(t: f64, growth: f64) -> f64 {
    // Beyond the range of f64 there is no telling one period from another.
    let passed = exactly_passed(t, growth);
    if passed.is_finite() { passed.clamp(0.0, 1.0) } else { 0.0 }
}

fn exactly_passed(t: f64, growth: f64) -> f64 {
    if growth == 1.0 {
        return t.fract();
    }
    // Period n begins at (growthⁿ − 1) / (growth − 1). The logarithm may be off by one where a
    // period begins.
    let begin = |n: f64| (growth.powf(n) - 1.0) / (growth - 1.0);
    let mut n = (1.0 + t * (growth - 1.0)).log(growth).floor();
    if begin(n + 1.0) <= t {
        n += 1.0;
    } else if begin(n) > t {
        n -= 1.0;
    }
    (t - begin(n)) / growth.powf(n)
}

/// Multiplies the learning rate by a factor whenever a number has not become better for a while.
/// PyTorch's `ReduceLROnPlateau`.
///
/// ```
/// use deltarule::ReduceOnPlateau;
/// let mut plateau = ReduceOnPlateau { patience: 1, ..ReduceOnPlateau::default() }.start();
/// let factors = [0.5, 0.4, 0.4, 0.4, 0.3].map(|loss| plateau.observe(loss, false));
/// assert_eq!(factors, [1.0, 1.0, 1.0, 0.1, 0.1]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct ReduceOnPlateau {
    /// What the learning rate is multiplied by, at least 0 and below 1.
    pub factor: f64,
    /// Observations that may be no better than the best so far; the next reduces.
    pub patience: u64,
    /// The share of the best by which a better one must be better.
    pub threshold: f64,
    /// Observations after a reduction that don't count.
    pub cooldown: u64,
    /// The smallest product of all factors.
    pub smallest: f64,
}

impl Default for ReduceOnPlateau {
    /// A factor of 0.1, a patience of 10, a threshold of 10⁻⁴, and neither cooldown nor smallest.
    fn default() -> Self {
        Self { factor: 0.1, patience: 10, threshold: 1e-4, cooldown: 0, smallest: 0.0 }
    }
}

impl ReduceOnPlateau {
    /// Begins to observe.
    ///
    /// ```
    /// use deltarule::ReduceOnPlateau;
    /// let mut plateau = ReduceOnPlateau { patience: 0, ..ReduceOnPlateau::default() }.start();
    /// let accuracies = [0.7, 0.8, 0.8];
    /// assert_eq!(accuracies.map(|accuracy| plateau.observe(accuracy, true)), [1.0, 1.0, 0.1]);
    /// ```
    pub fn start(self) -> Plateau {
        Plateau { rule: self, best: None, bad: 0, cooling: 0, factor: 1.0 }
    }

    /// Checks that every number has a meaning.
    ///
    /// ```
    /// use deltarule::ReduceOnPlateau;
    /// assert!(ReduceOnPlateau::default().check().is_ok());
    /// assert!(ReduceOnPlateau { factor: 1.0, ..Default::default() }.check().is_err());
    /// ```
    ///
    /// # Errors
    /// [`Error::OutOfRange`](crate::Error::OutOfRange) for a factor outside 0 to 1, or a threshold
    /// or smallest factor that is negative or not finite.
    pub fn check(&self) -> Result<()> {
        let good = (0.0..1.0).contains(&self.factor);
        check("plateau.factor", self.factor, good, "at least 0 and below 1")?;
        not_negative("plateau.threshold", self.threshold)?;
        not_negative("plateau.smallest", self.smallest)
    }
}

/// What [`ReduceOnPlateau`] has seen so far.
///
/// ```
/// use deltarule::ReduceOnPlateau;
/// let rule = ReduceOnPlateau { factor: 0.5, patience: 1, cooldown: 2, ..Default::default() };
/// let mut plateau = rule.start();
/// // Two losses that are no better reduce; then two don't count, and then two do.
/// let factors = [1.0; 7].map(|loss| plateau.observe(loss, false));
/// assert_eq!(factors, [1.0, 1.0, 0.5, 0.5, 0.5, 0.5, 0.25]);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Plateau {
    rule: ReduceOnPlateau,
    best: Option<f64>,
    bad: u64,
    cooling: u64,
    factor: f64,
}

impl Plateau {
    /// Takes the next number, and returns the factor from now on. NaN is never better.
    ///
    /// ```
    /// use deltarule::ReduceOnPlateau;
    /// let rule = ReduceOnPlateau { factor: 0.5, patience: 0, ..Default::default() };
    /// let mut plateau = ReduceOnPlateau { smallest: 0.3, ..rule }.start();
    /// let factors = [2.0, 1.0, f64::NAN, 3.0].map(|loss| plateau.observe(loss, false));
    /// assert_eq!(factors, [1.0, 1.0, 0.5, 0.3]);
    /// ```
    pub fn observe(&mut self, value: f64, higher_is_better: bool) -> f64 {
        let ReduceOnPlateau { factor, patience, threshold, cooldown, smallest } = self.rule;
        let better = match self.best {
            None => !value.is_nan(),
            Some(best) if higher_is_better => value > best + best.abs() * threshold,
            Some(best) => value < best - best.abs() * threshold,
        };
        if better {
            self.best = Some(value);
            self.bad = 0;
        } else {
            self.bad = self.bad.saturating_add(1);
        }
        if self.cooling > 0 {
            self.cooling -= 1;
            self.bad = 0;
        }
        if self.bad > patience {
            self.factor = (self.factor * factor).max(smallest.min(self.factor));
            self.cooling = cooldown;
            self.bad = 0;
        }
        self.factor
    }
}
