//! Losses that are sums over the elements of a row.

use super::Scale;
use crate::dispatch::Kernel;
use crate::error::{check_length, checked_area};
use crate::lanes::columns::{self, NarrowRows};
use crate::lanes::{Lanes, Simd};
use crate::lockstep::{self, sign};
use crate::math::{exp, log, log_of_1_to_2};
use crate::reduce::fixed_tree::{LANES, Terms, are_narrow, sum_of_columns, sum_terms};
use crate::{Element, Isa, ShapeError};
use core::ops::Range;

/// A loss that is a sum over the elements ŷ of the network's output and y of the targets.
///
/// ```
/// use deltarule_kernels::{Isa, loss::{ElementLoss, ElementRows}};
/// // e is 3 and −½.
/// let (predictions, targets) = ([4.0f64, 1.0], [1.0, 1.5]);
/// let loss_of = |loss: ElementLoss| {
///     let (mut losses, mut delta) = ([0.0], [0.0; 2]);
///     let rows = ElementRows {
///         shape: (1, 2),
///         predictions: &predictions,
///         targets: &targets,
///         scale: 1.0.into(),
///         losses: &mut losses,
///         delta: &mut delta,
///     };
///     loss.evaluate(Isa::detect(), rows)?;
///     Ok::<_, deltarule_kernels::ShapeError>((losses[0], delta))
/// };
/// assert_eq!(loss_of(ElementLoss::SquaredError)?, (9.25, [6.0, -1.0]));
/// assert_eq!(loss_of(ElementLoss::AbsoluteError)?, (3.5, [1.0, -1.0]));
/// assert_eq!(loss_of(ElementLoss::Huber { threshold: 1.0 })?, (2.5 + 0.125, [1.0, -0.5]));
/// # Ok::<(), deltarule_kernels::ShapeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum ElementLoss {
    /// (ŷ − y)²; ∂ = 2(ŷ − y).
    SquaredError,
    /// |ŷ − y|; ∂ = sign(ŷ − y), 0 at 0.
    AbsoluteError,
    /// (1 − τ)·(ŷ − y) where ŷ is above y, τ·(y − ŷ) where it is below, whose mean is least where ŷ
    /// is the τ-quantile of y; ∂ = 1 − τ above, −τ below, 0 at 0. R. Koenker and G. Bassett,
    /// *Regression Quantiles*, 1978; also called the pinball loss.
    Quantile {
        /// τ in 0..1: ½ is half of [`ElementLoss::AbsoluteError`].
        quantile: f64,
    },
    /// ½e² for |e| ≤ d, d(|e| − ½d) beyond, e = ŷ − y; ∂ = e, d·sign e. P. Huber, 1964. The
    /// smooth L1 loss is this with a scale of 1/d.
    Huber {
        /// d > 0, where the parabola ends.
        threshold: f64,
    },
    /// −p·y·log σ(ŷ) − (1 − y)·log(1 − σ(ŷ)) for a logit ŷ and a target y in 0..1;
    /// ∂ = (1 − y)·σ(ŷ) − p·y·σ(−ŷ).
    ///
    /// Computed as (1 − y)·s(ŷ) + p·y·s(−ŷ), s the softplus max(x, 0) + log1p(e^−|x|), in which
    /// nothing cancels; a factor that is 0 makes its product 0, also where the logit is ±∞.
    BinaryCrossEntropy {
        /// p, the weight of the positive class: 1 for none.
        positive_weight: f64,
    },
    /// e^ŷ − y·ŷ for the logarithm ŷ of a rate and a count y ≥ 0: −log of Poisson's probability of
    /// y, without log y!, which does not depend on ŷ. ∂ = e^ŷ − y. The product is 0 where y is, also
    /// where ŷ is −∞.
    Poisson,
    /// y·(log y − ŷ) for a log-probability ŷ and a probability y, 0 where y = 0; ∂ = −y.
    KlDivergence,
}

/// The arguments of [`ElementLoss::evaluate`].
#[derive(Debug)]
pub struct ElementRows<'a, E> {
    /// Rows, and elements in each.
    pub shape: (usize, usize),
    /// ŷ, row-major.
    pub predictions: &'a [E],
    /// y, row-major.
    pub targets: &'a [E],
    /// What each row is multiplied by.
    pub scale: Scale<'a, E>,
    /// Gets an element a row: the scaled sum.
    pub losses: &'a mut [E],
    /// Gets ∂ℒ/∂ŷ, row-major.
    pub delta: &'a mut [E],
}

impl ElementLoss {
    /// Writes `losses` and `delta`.
    ///
    /// ```
    /// use deltarule_kernels::{Isa, loss::{ElementLoss, ElementRows}};
    /// let (mut losses, mut delta) = ([0.0f64; 2], [0.0; 2]);
    /// let rows = ElementRows {
    ///     shape: (2, 1),
    ///     predictions: &[0.0, 1000.0], // logits
    ///     targets: &[1.0, 1.0],
    ///     scale: 0.5.into(),
    ///     losses: &mut losses,
    ///     delta: &mut delta,
    /// };
    /// ElementLoss::BinaryCrossEntropy { positive_weight: 1.0 }.evaluate(Isa::detect(), rows)?;
    /// assert!((losses[0] - 0.5 * 2f64.ln()).abs() < 1e-15);
    /// assert_eq!((losses[1], delta), (0.0, [-0.25, 0.0]));
    /// # Ok::<(), deltarule_kernels::ShapeError>(())
    /// ```
    ///
    /// # Errors
    /// [`ShapeError`] if a slice does not have rows · columns (or rows) elements; nothing was
    /// written.
    pub fn evaluate<E: Element>(
        self,
        isa: Isa,
        arguments: ElementRows<'_, E>,
    ) -> Result<(), ShapeError> {
        let (rows, columns) = arguments.shape;
        let area = checked_area("predictions", rows, columns)?;
        check_length("predictions", arguments.predictions, area)?;
        check_length("targets", arguments.targets, area)?;
        check_length("losses", arguments.losses, rows)?;
        check_length("delta", arguments.delta, area)?;
        arguments.scale.check(rows)?;
        E::element_loss(self, isa, arguments);
        Ok(())
    }
}

pub(super) fn evaluate<E: Element>(loss: ElementLoss, isa: Isa, arguments: ElementRows<'_, E>) {
    match loss {
        ElementLoss::SquaredError => run(isa, SquaredError, arguments),
        ElementLoss::AbsoluteError => run(isa, Tilted { above: E::ONE, below: E::ONE }, arguments),
        ElementLoss::Quantile { quantile } => {
            let (above, below) = (E::from_f64(1.0 - quantile), E::from_f64(quantile));
            run(isa, Tilted { above, below }, arguments);
        }
        ElementLoss::Huber { threshold } => {
            let half = E::from_f64(0.5 * threshold);
            run(isa, Huber { threshold: E::from_f64(threshold), half }, arguments);
        }
        ElementLoss::BinaryCrossEntropy { positive_weight } => {
            let positive_weight = E::from_f64(positive_weight);
            run(isa, BinaryCrossEntropy { positive_weight }, arguments);
        }
        ElementLoss::Poisson => run(isa, Poisson, arguments),
        ElementLoss::KlDivergence => run(isa, KlDivergence, arguments),
    }
}

/// One kernel for all widths would have more slices than registers for them.
fn run<E: Element, L: Loss<E>>(isa: Isa, loss: L, arguments: ElementRows<'_, E>) {
    let (rows, columns) = arguments.shape;
    if columns == 1 {
        isa.run(SingleElements { loss, arguments });
    } else if columns > 1 && are_narrow(rows, columns) {
        isa.run(ShortRows { loss, arguments });
    } else {
        isa.run(LongRows { loss, arguments });
    }
}

/// Half or whole, summed or averaged: `scale · ‖ŷᵢ − yᵢ‖²` for each row i.
///
/// `predictions` and `targets` are (rows, columns), row-major. Writes
/// `losses[i] = scale · Σⱼ (ŷᵢⱼ − yᵢⱼ)²` and `delta = 2 · scale · (ŷ − y)`. With scale = 1/rows,
/// the sum of `losses` is the mean squared error (1/n) Σᵢ ‖ŷᵢ − yᵢ‖². This is
/// [`ElementLoss::SquaredError`].
///
/// ```
/// use deltarule_kernels::{Isa, loss::squared_error};
/// let (isa, mean) = (Isa::detect(), 0.5); // of two rows
/// let (mut losses, mut delta) = ([0.0f32; 2], [0.0; 4]);
/// let (predictions, targets) = ([1.0, 2.0, 3.0, 4.0], [1.0, 0.0, 3.0, 5.0]);
/// squared_error(isa, (2, 2), &predictions, &targets, mean, &mut losses, &mut delta)?;
/// assert_eq!((losses, delta), ([2.0, 0.5], [0.0, 2.0, 0.0, -1.0]));
/// # Ok::<(), deltarule_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError`] if a slice does not have rows · columns (or rows) elements; nothing was written.
pub fn squared_error<'a, E: Element>(
    isa: Isa,
    shape: (usize, usize),
    predictions: &'a [E],
    targets: &'a [E],
    scale: impl Into<Scale<'a, E>>,
    losses: &'a mut [E],
    delta: &'a mut [E],
) -> Result<(), ShapeError> {
    let scale = scale.into();
    let rows = ElementRows { shape, predictions, targets, scale, losses, delta };
    ElementLoss::SquaredError.evaluate(isa, rows)
}

/// One element's loss.
trait Loss<E: Element>: Copy {
    /// As [`Terms::IS_HEAVY`].
    const IS_HEAVY: bool;

    /// `sum` plus the loss, and its derivative by the prediction.
    fn add<V: Lanes<Element = E>>(self, prediction: V, target: V, sum: V) -> (V, V);
}

#[derive(Clone, Copy)]
struct SquaredError;

impl<E: Element> Loss<E> for SquaredError {
    const IS_HEAVY: bool = false;

    #[inline(always)]
    fn add<V: Lanes<Element = E>>(self, prediction: V, target: V, sum: V) -> (V, V) {
        let error = prediction - target;
        (error.mul_add(error, sum), error + error)
    }
}

/// The error, times what it weighs above 0 and below.
#[derive(Clone, Copy)]
struct Tilted<E> {
    above: E,
    below: E,
}

impl<E: Element> Loss<E> for Tilted<E> {
    const IS_HEAVY: bool = false;

    #[inline(always)]
    fn add<V: Lanes<Element = E>>(self, prediction: V, target: V, sum: V) -> (V, V) {
        let error = prediction - target;
        let zero = error.splat(E::ZERO);
        let slope = error.splat(self.above).select(zero.lt(error), error.splat(-self.below));
        // That of 0 is 0, and that of NaN is NaN.
        let slope = slope.select(zero.lt(error.abs()), error);
        (sum + error * slope, slope)
    }
}

#[derive(Clone, Copy)]
struct Huber<E> {
    threshold: E,
    half: E,
}

impl<E: Element> Loss<E> for Huber<E> {
    const IS_HEAVY: bool = false;

    #[inline(always)]
    fn add<V: Lanes<Element = E>>(self, prediction: V, target: V, sum: V) -> (V, V) {
        let error = prediction - target;
        let threshold = error.splat(self.threshold);
        let inside = error.abs().le(threshold);
        let parabola = error * error * error.splat(E::HALF);
        let line = threshold * (error.abs() - error.splat(self.half));
        let slope = error.select(inside, threshold * sign(error));
        (sum + parabola.select(inside, line), slope)
    }
}

#[derive(Clone, Copy)]
struct BinaryCrossEntropy<E> {
    positive_weight: E,
}

impl<E: Element> Loss<E> for BinaryCrossEntropy<E> {
    const IS_HEAVY: bool = true;

    #[inline(always)]
    fn add<V: Lanes<Element = E>>(self, logit: V, target: V, sum: V) -> (V, V) {
        let (zero, one) = (logit.splat(E::ZERO), logit.splat(E::ONE));
        let magnitude = logit.abs();
        let small = exp(-magnitude);
        let total = one + small;
        let greater = one / total;
        let lesser = small * greater;
        let past_one = total - one;
        // log1p: the logarithm of the rounded total, and what the rounding lost.
        let log1p = (small - past_one).mul_add(greater, log_of_1_to_2(total, past_one));
        let positive = zero.lt(logit);
        let (off, on) = (one - target, target * logit.splat(self.positive_weight));
        // The weights of the softplus that has the magnitude in it, and of the other one.
        let (major, minor) = (off.select(positive, on), on.select(positive, off));
        let major_loss = zero.select(major.eq(zero), major * (magnitude + log1p));
        // log1p is finite, unless the logit is NaN.
        let loss = major_loss + minor * log1p;
        let (up, down) = (major * greater, minor * lesser);
        (sum + loss, (up - down).select(positive, down - up))
    }
}

#[derive(Clone, Copy)]
struct Poisson;

impl<E: Element> Loss<E> for Poisson {
    const IS_HEAVY: bool = true;

    #[inline(always)]
    fn add<V: Lanes<Element = E>>(self, prediction: V, target: V, sum: V) -> (V, V) {
        let zero = prediction.splat(E::ZERO);
        let rate = exp(prediction);
        let is_none = target.eq(zero) & !prediction.is_nan();
        let product = zero.select(is_none, target * prediction);
        (sum + (rate - product), rate - target)
    }
}

#[derive(Clone, Copy)]
struct KlDivergence;

impl<E: Element> Loss<E> for KlDivergence {
    const IS_HEAVY: bool = true;

    #[inline(always)]
    fn add<V: Lanes<Element = E>>(self, prediction: V, target: V, sum: V) -> (V, V) {
        (sum + divergence(target, prediction), -target)
    }
}

/// t·(log t − `log_q`), 0 where t is 0 and `log_q` not NaN.
#[inline(always)]
pub(super) fn divergence<V: Lanes>(t: V, log_q: V) -> V {
    let zero = t.splat(V::Element::ZERO);
    zero.select(t.eq(zero) & !log_q.is_nan(), t * (log(t) - log_q))
}

/// Rows of one element, a lane a row.
struct SingleElements<'a, E, L> {
    loss: L,
    arguments: ElementRows<'a, E>,
}

impl<E: Element, L: Loss<E>> Kernel for SingleElements<'_, E, L> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let ElementRows { predictions, targets, scale, losses, delta, .. } = self.arguments;
        let weights = scale.weights.unwrap_or(targets);
        let weighted = scale.weights.is_some();
        let column = Column { loss: self.loss, factor: scale.factor, weighted };
        lockstep::update_all(simd, column, [predictions, targets, weights], losses, [delta]);
    }
}

/// Rows of many elements, or of few if the rows are few too, one after the other.
struct LongRows<'a, E, L> {
    loss: L,
    arguments: ElementRows<'a, E>,
}

impl<E: Element, L: Loss<E>> Kernel for LongRows<'_, E, L> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { loss, arguments } = self;
        let ElementRows { shape, predictions, targets, scale, losses, delta } = arguments;
        let (_, columns) = shape;
        for (i, total) in losses.iter_mut().enumerate() {
            let elements = i * columns..(i + 1) * columns;
            let scale = scale.of_row(i);
            let read = [&predictions[elements.clone()], &targets[elements.clone()]];
            let write = [&mut delta[elements]];
            *total = scale * sum_terms(simd, Row { loss, scale }, columns, read, write);
        }
    }
}

/// Rows of 2 to 16 elements: as many as there are lanes are one run of elements, whose losses alone
/// are then summed a lane a row.
struct ShortRows<'a, E, L> {
    loss: L,
    arguments: ElementRows<'a, E>,
}

impl<E: Element, L: Loss<E>> Kernel for ShortRows<'_, E, L> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        columns::run_narrow(simd, self.arguments.shape.0, self);
    }
}

impl<E: Element, L: Loss<E>> NarrowRows<E> for ShortRows<'_, E, L> {
    #[inline(always)]
    fn run<V: Lanes<Element = E>>(&mut self, simd: V::Simd, rows: Range<usize>) {
        let Self { loss, arguments } = self;
        let ElementRows { shape: (_, columns), predictions, targets, scale, losses, delta } =
            arguments;
        let columns = *columns;
        let zero = V::splat_in(simd, E::ZERO);
        let mut scales = [zero.splat(scale.of_all()); LANES];
        let (mut terms, mut turned) = ([zero; LANES], [zero; LANES]);
        for first in rows.clone().step_by(V::LEN) {
            let rows = first..rows.end.min(first + V::LEN);
            let area = rows.start * columns..rows.end * columns;
            scale.spread(rows.clone(), columns, columns::elements_mut(&mut scales));
            let (x, y) = (&predictions[area.clone()], &targets[area.clone()]);
            let slopes = &mut delta[area];
            let (mut start, mut j) = (0, 0);
            while start < slopes.len() {
                let end = slopes.len().min(start + V::LEN);
                let is_whole = end - start == V::LEN;
                let (x, y, delta) = (&x[start..end], &y[start..end], &mut slopes[start..end]);
                let (x, y) = if is_whole {
                    (V::load(simd, x), V::load(simd, y))
                } else {
                    (V::load_partial(simd, x), V::load_partial(simd, y))
                };
                let (term, slope) = loss.add(x, y, zero);
                terms[j] = term;
                let slope = slope * scales[j];
                if is_whole {
                    slope.store(delta)
                } else {
                    slope.store_partial(delta)
                }
                (start, j) = (end, j + 1);
            }
            columns::load_whole(simd, columns::elements(&terms), columns, &mut turned);
            let scale: V = scale.of_rows(simd, first, rows.len());
            let sum = scale * sum_of_columns(&turned);
            sum.store_partial(&mut losses[rows]);
        }
    }
}

/// The terms of a row.
#[derive(Clone, Copy)]
struct Row<L, E> {
    loss: L,
    scale: E,
}

impl<E: Element, L: Loss<E>> Terms<E, 2, 1> for Row<L, E> {
    const IS_HEAVY: bool = L::IS_HEAVY;

    #[inline(always)]
    fn add<V: Lanes<Element = E>>(
        self,
        _at: usize,
        [prediction, target]: [V; 2],
        sum: V,
    ) -> ([V; 1], V) {
        let (sum, slope) = self.loss.add(prediction, target, sum);
        ([slope * sum.splat(self.scale)], sum)
    }
}

/// Rows of one element each.
#[derive(Clone, Copy)]
struct Column<L, E> {
    loss: L,
    factor: E,
    weighted: bool,
}

impl<E: Element, L: Loss<E>> lockstep::Update<E, 3, 1> for Column<L, E> {
    const IS_HEAVY: bool = L::IS_HEAVY;

    #[inline(always)]
    fn update<V: Lanes<Element = E>>(
        self,
        _at: usize,
        [prediction, target, weight]: [V; 3],
        _loss: V,
        [_delta]: [V; 1],
    ) -> (V, [V; 1]) {
        let factor = prediction.splat(self.factor);
        let scale = if self.weighted { factor * weight } else { factor };
        let (loss, slope) = self.loss.add(prediction, target, prediction.splat(E::ZERO));
        (scale * loss, [slope * scale])
    }
}
