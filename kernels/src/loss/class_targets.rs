//! Softmax losses with any targets: probabilities, smoothed labels, class weights.

use super::Scale;
use super::element::divergence;
use super::softmax::{
    as_lanes, check_labels, exponentials, is_index, log_scalar, numbers, sum_exponentials,
};
use crate::dispatch::Kernel;
use crate::error::{check_length, checked_area};
use crate::lanes::columns::{self, NarrowRows};
use crate::lanes::{Lanes, Simd};
use crate::lockstep::{self, update_all};
use crate::math::log;
use crate::reduce::fixed_tree::{LANES, Terms, are_narrow, sum_of_columns, sum_terms};
use crate::{Element, Isa, ShapeError};
use core::ops::Range;

/// The target distribution q of each row, for a softmax over classes.
///
/// From labels, qⱼ = 1 − ε + ε/C for the label and ε/C for the other classes, C classes and ε the
/// smoothing; from probabilities, they. Class weights multiply it: qⱼ ← wⱼ·qⱼ.
///
/// ```
/// use deltarule_kernels::Isa;
/// use deltarule_kernels::loss::{ClassTargets, SoftmaxRows};
/// let (mut losses, mut delta) = ([0.0_f64], [0.0; 2]);
/// ClassTargets::labels(&[0]).smoothed(0.1).cross_entropy(
///     Isa::detect(),
///     SoftmaxRows {
///         shape: (1, 2),
///         logits: &[0.0, 0.0],
///         scale: 1.0.into(),
///         losses: &mut losses,
///         delta: &mut delta,
///     },
/// )?;
/// assert!((losses[0] - 2.0_f64.ln()).abs() < 1e-15);
/// assert!((delta[0] - (0.5 - 0.95)).abs() < 1e-15);
/// # Ok::<(), deltarule_kernels::ShapeError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ClassTargets<'a, E> {
    kind: Kind<'a, E>,
    class_weights: Option<&'a [E]>,
}

#[derive(Clone, Copy, Debug)]
enum Kind<'a, E> {
    Labels { labels: &'a [usize], smoothing: f64 },
    Probabilities(&'a [E]),
}

/// The other arguments of a softmax loss.
///
/// ```
/// use deltarule_kernels::{Isa, loss::{ClassTargets, Scale, SoftmaxRows}};
/// let (mut losses, mut delta) = ([0.0f64; 2], [0.0; 4]);
/// let rows = SoftmaxRows {
///     shape: (2, 2),
///     logits: &[0.0, 0.0, 1.0, 1.0],
///     scale: Scale::weighted(0.25, &[1.0, 3.0]), // a weighted mean
///     losses: &mut losses,
///     delta: &mut delta,
/// };
/// ClassTargets::labels(&[0, 1]).cross_entropy(Isa::detect(), rows)?;
/// assert!((losses[1] - 3.0 * losses[0]).abs() < 1e-15);
/// assert_eq!(delta, [-0.125, 0.125, 0.375, -0.375]);
/// # Ok::<(), deltarule_kernels::ShapeError>(())
/// ```
#[derive(Debug)]
pub struct SoftmaxRows<'a, E> {
    /// Rows, and classes.
    pub shape: (usize, usize),
    /// z, row-major.
    pub logits: &'a [E],
    /// What each row is multiplied by.
    pub scale: Scale<'a, E>,
    /// Gets an element a row.
    pub losses: &'a mut [E],
    /// Gets ∂ℒ/∂z, row-major.
    pub delta: &'a mut [E],
}

impl<'a, E: Element> ClassTargets<'a, E> {
    /// A class index a row.
    pub fn labels(labels: &'a [usize]) -> Self {
        Self { kind: Kind::Labels { labels, smoothing: 0.0 }, class_weights: None }
    }

    /// A probability for each class of each row, row-major.
    ///
    /// ```
    /// use deltarule_kernels::{Isa, loss::{ClassTargets, SoftmaxRows}};
    /// let (mut losses, mut delta) = ([0.0f64], [0.0; 2]);
    /// let rows = SoftmaxRows {
    ///     shape: (1, 2),
    ///     logits: &[0.0, 0.0],
    ///     scale: 1.0.into(),
    ///     losses: &mut losses,
    ///     delta: &mut delta,
    /// };
    /// ClassTargets::probabilities(&[0.75, 0.25]).cross_entropy(Isa::detect(), rows)?;
    /// assert_eq!(delta, [0.5 - 0.75, 0.5 - 0.25]);
    /// # Ok::<(), deltarule_kernels::ShapeError>(())
    /// ```
    pub fn probabilities(probabilities: &'a [E]) -> Self {
        Self { kind: Kind::Probabilities(probabilities), class_weights: None }
    }

    /// The part ε of the label's probability spread over all classes. Probabilities stay as they
    /// are.
    ///
    /// ```
    /// use deltarule_kernels::{Isa, loss::{ClassTargets, SoftmaxRows}};
    /// let (mut losses, mut delta) = ([0.0f64], [0.0; 4]);
    /// let rows = SoftmaxRows {
    ///     shape: (1, 4),
    ///     logits: &[0.0; 4],
    ///     scale: 1.0.into(),
    ///     losses: &mut losses,
    ///     delta: &mut delta,
    /// };
    /// ClassTargets::labels(&[0]).smoothed(0.5).cross_entropy(Isa::detect(), rows)?;
    /// // q is ½ + ⅛ for the label and ⅛ for the others.
    /// assert_eq!(delta, [0.25 - 0.625, 0.125, 0.125, 0.125]);
    /// # Ok::<(), deltarule_kernels::ShapeError>(())
    /// ```
    pub fn smoothed(mut self, epsilon: f64) -> Self {
        if let Kind::Labels { smoothing, .. } = &mut self.kind {
            *smoothing = epsilon;
        }
        self
    }

    /// A weight for each class.
    ///
    /// ```
    /// use deltarule_kernels::{Isa, loss::{ClassTargets, SoftmaxRows}};
    /// let (mut losses, mut delta) = ([0.0f64; 2], [0.0; 4]);
    /// let rows = SoftmaxRows {
    ///     shape: (2, 2),
    ///     logits: &[0.0; 4],
    ///     scale: 1.0.into(),
    ///     losses: &mut losses,
    ///     delta: &mut delta,
    /// };
    /// // A rare class counts three times.
    /// ClassTargets::labels(&[0, 1]).weighted(&[1.0, 3.0]).cross_entropy(Isa::detect(), rows)?;
    /// assert_eq!(delta, [-0.5, 0.5, 1.5, -1.5]);
    /// # Ok::<(), deltarule_kernels::ShapeError>(())
    /// ```
    pub fn weighted(mut self, class_weights: &'a [E]) -> Self {
        self.class_weights = Some(class_weights);
        self
    }

    /// Cross-entropy: `losses[i] = scale · Σⱼ qⱼ·(log Σₖ e^{zₖ} − zⱼ)` and
    /// `delta = scale · (softmax(z)·Σq − q)`.
    ///
    /// A class with q = 0 adds nothing, even with a logit of −∞. Other special values and the
    /// order of sums are those of [`super::softmax_cross_entropy`], which is faster and, for sure
    /// predictions, more exact where labels are neither smoothed nor weighted.
    ///
    /// ```
    /// use deltarule_kernels::{Isa, loss::{ClassTargets, SoftmaxRows}};
    /// let (mut losses, mut delta) = ([0.0f64], [0.0; 3]);
    /// // The last class is masked.
    /// let rows = SoftmaxRows {
    ///     shape: (1, 3),
    ///     logits: &[0.0, 0.0, f64::NEG_INFINITY],
    ///     scale: 1.0.into(),
    ///     losses: &mut losses,
    ///     delta: &mut delta,
    /// };
    /// ClassTargets::probabilities(&[1.0, 0.0, 0.0]).cross_entropy(Isa::detect(), rows)?;
    /// assert!((losses[0] - 2f64.ln()).abs() < 1e-15);
    /// assert_eq!(delta, [-0.5, 0.5, 0.0]);
    /// # Ok::<(), deltarule_kernels::ShapeError>(())
    /// ```
    ///
    /// # Errors
    /// [`ShapeError`] if a slice does not have rows · classes (or rows, or classes) elements, or a
    /// label is not below `classes`; nothing was written.
    pub fn cross_entropy(self, isa: Isa, rows: SoftmaxRows<'_, E>) -> Result<(), ShapeError> {
        self.evaluate(isa, false, rows)
    }

    /// Kullback–Leibler divergence: `losses[i] = scale · Σⱼ qⱼ·(log qⱼ − log softmax(z)ⱼ)`; `delta`
    /// as for [`ClassTargets::cross_entropy`], from which it differs by the entropy of q.
    ///
    /// ```
    /// use deltarule_kernels::{Isa, loss::{ClassTargets, SoftmaxRows}};
    /// let (mut losses, mut delta) = ([1.0f64], [1.0; 2]);
    /// let rows = SoftmaxRows {
    ///     shape: (1, 2),
    ///     logits: &[0.0, 3f64.ln()],
    ///     scale: 1.0.into(),
    ///     losses: &mut losses,
    ///     delta: &mut delta,
    /// };
    /// // Of the very distribution it is 0.
    /// ClassTargets::probabilities(&[0.25, 0.75]).kl_divergence(Isa::detect(), rows)?;
    /// assert!(losses[0].abs() < 1e-15 && delta.iter().all(|delta| delta.abs() < 1e-15));
    /// # Ok::<(), deltarule_kernels::ShapeError>(())
    /// ```
    ///
    /// # Errors
    /// As [`ClassTargets::cross_entropy`].
    pub fn kl_divergence(self, isa: Isa, rows: SoftmaxRows<'_, E>) -> Result<(), ShapeError> {
        self.evaluate(isa, true, rows)
    }

    fn evaluate(
        self,
        isa: Isa,
        divergence: bool,
        arguments: SoftmaxRows<'_, E>,
    ) -> Result<(), ShapeError> {
        let (rows, classes) = arguments.shape;
        let area = checked_area("logits", rows, classes)?;
        check_length("logits", arguments.logits, area)?;
        match self.kind {
            Kind::Labels { labels, .. } => {
                check_length("labels", labels, rows)?;
                check_labels(labels, classes)?;
            }
            Kind::Probabilities(probabilities) => {
                check_length("probabilities", probabilities, area)?;
                if classes == 0 && rows > 0 {
                    return Err(ShapeError::Zero { argument: "classes" });
                }
            }
        }
        if let Some(weights) = self.class_weights {
            check_length("class_weights", weights, classes)?;
        }
        check_length("losses", arguments.losses, rows)?;
        check_length("delta", arguments.delta, area)?;
        arguments.scale.check(rows)?;
        E::class_loss(self, isa, divergence, arguments);
        Ok(())
    }

    pub(super) fn run(self, isa: Isa, divergence: bool, arguments: SoftmaxRows<'_, E>) {
        isa.run(TargetRows { targets: self, divergence, arguments });
    }
}

/// q of one row. It reads t and w, or something else of their length where it needs neither.
#[derive(Clone, Copy)]
struct Distribution<E> {
    /// Whether q is t, and not from the label.
    probabilities: bool,
    weighted: bool,
    label: usize,
    on: E,
    off: E,
}

impl<E: Element> Distribution<E> {
    /// Whether Σq is 1 by construction.
    #[inline(always)]
    fn is_normalized(self) -> bool {
        !self.probabilities && !self.weighted
    }

    /// From index `at` on.
    #[inline(always)]
    fn at<V: Lanes<Element = E>>(self, at: usize, t: V, w: V) -> V {
        self.of(is_index(t, at, self.label), t, w)
    }

    #[inline(always)]
    fn of<V: Lanes<Element = E>>(self, is_label: V::Mask, t: V, w: V) -> V {
        let q = if self.probabilities {
            t
        } else {
            t.splat(self.on).select(is_label, t.splat(self.off))
        };
        if self.weighted { q * w } else { q }
    }
}

/// A class's share in the loss.
#[inline(always)]
fn share<V: Lanes, const DIVERGENCE: bool>((z, q): (V, V), max: V, log_total: V) -> V {
    // −log softmax: two addends that are never negative.
    let surprise = log_total + (max - z);
    if DIVERGENCE {
        divergence(q, -surprise)
    } else {
        let zero = z.splat(V::Element::ZERO);
        zero.select(q.eq(zero) & !surprise.is_nan(), q * surprise)
    }
}

struct TargetRows<'a, 'b, E> {
    targets: ClassTargets<'a, E>,
    /// Whether a loss is the divergence, and not the cross-entropy.
    divergence: bool,
    arguments: SoftmaxRows<'b, E>,
}

impl<E: Element> Kernel for TargetRows<'_, '_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let (rows, classes) = self.arguments.shape;
        if classes > 0 && are_narrow(rows, classes) {
            columns::run_narrow(simd, rows, self);
        } else {
            self.row_by_row(simd);
        }
    }
}

impl<E: Element> TargetRows<'_, '_, E> {
    /// All but the label.
    #[inline(always)]
    fn distribution(&self) -> Distribution<E> {
        let weighted = self.targets.class_weights.is_some();
        let label = usize::MAX;
        match self.targets.kind {
            Kind::Labels { smoothing, .. } => {
                let off = smoothing / self.arguments.shape.1 as f64;
                let (on, off) = (E::from_f64(1.0 - smoothing + off), E::from_f64(off));
                Distribution { probabilities: false, weighted, label, on, off }
            }
            Kind::Probabilities(_) => {
                let (on, off) = (E::ONE, E::ZERO);
                Distribution { probabilities: true, weighted, label, on, off }
            }
        }
    }

    #[inline(always)]
    fn row_by_row<S: Simd>(self, simd: S) {
        let mut distribution = self.distribution();
        let SoftmaxRows { shape: (_, classes), logits, scale, losses, delta } = self.arguments;
        for (i, loss) in losses.iter_mut().enumerate() {
            let elements = i * classes..(i + 1) * classes;
            let z = &logits[elements.clone()];
            let t = match self.targets.kind {
                Kind::Labels { labels, .. } => {
                    distribution.label = labels[i];
                    z
                }
                Kind::Probabilities(t) => &t[elements.clone()],
            };
            let w = self.targets.class_weights.unwrap_or(z);
            let delta = &mut delta[elements];

            let (max, total) = sum_exponentials(simd, z, usize::MAX, delta);
            let log_total = log_scalar(simd, total);
            let mass = if distribution.is_normalized() {
                E::ONE
            } else {
                sum_terms(simd, Mass(distribution), classes, [t, w], [])
            };
            let scale = scale.of_row(i);
            let read = [z, t, w];
            let sum = if self.divergence {
                let shares = Shares::<E, true> { distribution, max, log_total };
                simd.call(SumShares { shares, read })
            } else {
                let shares = Shares::<E, false> { distribution, max, log_total };
                simd.call(SumShares { shares, read })
            };
            *loss = scale * sum;
            let factor = scale * (mass / total);
            update_all(simd, Delta { distribution, scale, factor }, [t, w], delta, []);
        }
    }
}

impl<E: Element> NarrowRows<E> for TargetRows<'_, '_, E> {
    #[inline(always)]
    fn run<V: Lanes<Element = E>>(&mut self, simd: V::Simd, rows: Range<usize>) {
        let distribution = self.distribution();
        let SoftmaxRows { shape: (_, classes), logits, scale, losses, delta } = &mut self.arguments;
        let classes = *classes;
        let splat = |value| V::splat_in(simd, value);
        let numbers = numbers::<E>();
        let zeros = [splat(E::ZERO); LANES];
        let (mut z, mut t, mut out) = (zeros, zeros, zeros);
        for first in rows.clone().step_by(V::LEN) {
            let rows = first..rows.end.min(first + V::LEN);
            columns::load(simd, &logits[first * classes..], classes, &mut z);
            let own = match self.targets.kind {
                Kind::Labels { labels, .. } => as_lanes(simd, &labels[rows.clone()]),
                Kind::Probabilities(all) => {
                    columns::load(simd, &all[first * classes..], classes, &mut t);
                    splat(-E::ONE)
                }
            };
            let max = exponentials(simd, &z[..classes], &mut out);
            let total = sum_of_columns(&out);
            let log_total = log(total);
            // q takes the place of t, and a class's share in the loss that of z.
            let (shares, q) = (&mut z[..classes], &mut t[..classes]);
            let mut j = 0;
            while j < classes {
                let w = splat(match self.targets.class_weights {
                    Some(weights) => weights[j],
                    None => E::ONE,
                });
                q[j] = distribution.of(own.eq(splat(numbers[j])), q[j], w);
                shares[j] = if self.divergence {
                    share::<_, true>((shares[j], q[j]), max, log_total)
                } else {
                    share::<_, false>((shares[j], q[j]), max, log_total)
                };
                j += 1;
            }
            let loss = sum_of_columns(&z);
            let mass =
                if distribution.is_normalized() { splat(E::ONE) } else { sum_of_columns(&t) };
            let scale: V = scale.of_rows(simd, first, rows.len());
            (scale * loss).store_partial(&mut losses[rows.clone()]);
            let factor = scale * (mass / total);
            let (terms, q) = (&mut out[..classes], &t[..classes]);
            j = 0;
            while j < classes {
                terms[j] = terms[j].mul_add(factor, -(q[j] * scale));
                j += 1;
            }
            let delta = &mut delta[rows.start * classes..rows.end * classes];
            columns::store(simd, &out, classes, delta);
        }
    }
}

/// The terms of Σq.
#[derive(Clone, Copy)]
struct Mass<E>(Distribution<E>);

impl<E: Element> Terms<E, 2, 0> for Mass<E> {
    #[inline(always)]
    fn add<V: Lanes<Element = E>>(self, at: usize, [t, w]: [V; 2], sum: V) -> ([V; 0], V) {
        ([], sum + self.0.at(at, t, w))
    }
}

/// The terms of a row's loss: each class's share.
#[derive(Clone, Copy)]
struct Shares<E, const DIVERGENCE: bool> {
    distribution: Distribution<E>,
    max: E,
    log_total: E,
}

impl<E: Element, const DIVERGENCE: bool> Terms<E, 3, 0> for Shares<E, DIVERGENCE> {
    #[inline(always)]
    fn add<V: Lanes<Element = E>>(self, at: usize, [z, t, w]: [V; 3], sum: V) -> ([V; 0], V) {
        let q = self.distribution.at(at, t, w);
        let (max, log_total) = (z.splat(self.max), z.splat(self.log_total));
        ([], sum + share::<_, DIVERGENCE>((z, q), max, log_total))
    }
}

/// The sum of [`Shares`] over what they read. Each is compiled by itself: as part of one large
/// function, a compiler leaves what is the same for all elements to be asked at each.
struct SumShares<'a, E, const DIVERGENCE: bool> {
    shares: Shares<E, DIVERGENCE>,
    read: [&'a [E]; 3],
}

impl<E: Element, const DIVERGENCE: bool> Kernel for SumShares<'_, E, DIVERGENCE> {
    type Output = E;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> E {
        sum_terms(simd, self.shares, self.read[0].len(), self.read, [])
    }
}

/// δ from the exponentials.
#[derive(Clone, Copy)]
struct Delta<E> {
    distribution: Distribution<E>,
    scale: E,
    factor: E,
}

impl<E: Element> lockstep::Update<E, 2, 0> for Delta<E> {
    #[inline(always)]
    fn update<V: Lanes<Element = E>>(
        self,
        at: usize,
        [t, w]: [V; 2],
        exponential: V,
        []: [V; 0],
    ) -> (V, [V; 0]) {
        let q = self.distribution.at(at, t, w) * t.splat(self.scale);
        (exponential.mul_add(t.splat(self.factor), -q), [])
    }
}
