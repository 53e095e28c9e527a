//! Softmax cross-entropy with class indices.

use super::Scale;
use crate::dispatch::Kernel;
use crate::error::{check_length, checked_area};
use crate::lanes::columns::{self, Columns};
use crate::lanes::{Lanes, Simd};
use crate::lockstep::{Product, update_all};
use crate::math::{exp, log};
use crate::reduce::fixed_tree::{
    Greatest, LANES, Terms, across, are_narrow, sum_of_columns, sum_terms,
};
use crate::{Element, Isa, ShapeError};

/// Softmax cross-entropy with class indices: `scale · (log Σⱼ e^{zᵢⱼ} − zᵢ,labelᵢ)` for each row i.
///
/// `logits` are (rows, classes), row-major. Writes that into `losses` and
/// `delta = scale · (softmax(zᵢ) − onehot(labelᵢ))`, ∂ℒ/∂z. With scale = 1/rows the sum of
/// `losses` is the mean over the batch.
///
/// Exponentials are taken of z − max z, so no finite logit overflows. With s the sum of those of
/// the other classes, in the order of [`crate::reduce`], and t the sum of all, the label's δ is
/// −scale·s/t and the loss is log1p(s) where the label has the greatest logit: both keep their
/// relative accuracy however sure the network is, where softmax − 1 and log t would be 0. A logit
/// of −∞ masks a class: its δ is 0, or −scale and the loss +∞ if it is the label. A logit of +∞,
/// or a row of −∞ only, has no softmax and gives NaN, as a NaN does.
///
/// ```
/// use deltarule_kernels::{Isa, ShapeError, loss::softmax_cross_entropy};
/// let (isa, logits) = (Isa::detect(), [0.0f64, 3f64.ln()]);
/// let (mut losses, mut delta) = ([0.0], [0.0; 2]);
/// softmax_cross_entropy(isa, (1, 2), &logits, &[1], 1.0, &mut losses, &mut delta)?;
/// assert!((losses[0] + 0.75f64.ln()).abs() < 1e-15);
/// assert!((delta[0] - 0.25).abs() < 1e-15 && (delta[1] + 0.25).abs() < 1e-15);
/// let error = softmax_cross_entropy(isa, (1, 2), &logits, &[2], 1.0, &mut losses, &mut delta);
/// assert_eq!(error, Err(ShapeError::Class { argument: "labels", row: 0, class: 2, classes: 2 }));
/// # Ok::<(), deltarule_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError`] if a slice does not have rows · classes (or rows) elements, or a label is not
/// below `classes`; nothing was written.
pub fn softmax_cross_entropy<'a, E: Element>(
    isa: Isa,
    (rows, classes): (usize, usize),
    logits: &[E],
    labels: &[usize],
    scale: impl Into<Scale<'a, E>>,
    losses: &mut [E],
    delta: &mut [E],
) -> Result<(), ShapeError> {
    let scale = scale.into();
    let area = checked_area("logits", rows, classes)?;
    check_length("logits", logits, area)?;
    check_length("labels", labels, rows)?;
    check_length("losses", losses, rows)?;
    check_length("delta", delta, area)?;
    check_labels(labels, classes)?;
    scale.check(rows)?;
    E::label_cross_entropy(isa, LabelledRows { classes, logits, labels, scale, losses, delta });
    Ok(())
}

/// Checks that every label is a class.
pub(super) fn check_labels(labels: &[usize], classes: usize) -> Result<(), ShapeError> {
    match labels.iter().position(|&class| class >= classes) {
        Some(row) => {
            Err(ShapeError::Class { argument: "labels", row, class: labels[row], classes })
        }
        None => Ok(()),
    }
}

pub(super) fn evaluate<E: Element>(isa: Isa, rows: LabelledRows<'_, E>) {
    isa.run(rows);
}

pub struct LabelledRows<'a, E> {
    classes: usize,
    logits: &'a [E],
    labels: &'a [usize],
    scale: Scale<'a, E>,
    losses: &'a mut [E],
    delta: &'a mut [E],
}

impl<E: Element> Kernel for LabelledRows<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        if are_narrow(self.labels.len(), self.classes) {
            self.a_lane_a_row(simd);
        } else {
            self.row_by_row(simd);
        }
    }
}

impl<E: Element> LabelledRows<'_, E> {
    #[inline(always)]
    fn a_lane_a_row<S: Simd>(self, simd: S) {
        let classes = self.classes.max(1);
        let zero = E::Lanes::splat_in(simd, E::ZERO);
        let together = E::Lanes::<S>::LEN;
        let area = together * classes;
        let [mut logits, mut out]: [Columns<E>; 2] = [[[E::ZERO; LANES]; LANES]; 2];
        let inputs = self.logits.chunks(area).zip(self.labels.chunks(together));
        let outputs = self.losses.chunks_mut(together).zip(self.delta.chunks_mut(area));
        for (block, ((rows, labels), (losses, delta))) in inputs.zip(outputs).enumerate() {
            columns::load(simd, rows, classes, &mut logits);
            let mut own = [E::ZERO; LANES];
            for (own, &label) in own.iter_mut().zip(labels) {
                *own = E::from_f64(label as f64);
            }
            let labels = E::Lanes::load(simd, &own);
            let is_label = |j: usize| labels.eq(zero.splat(E::from_f64(j as f64)));
            let max = exponentials(simd, &logits[..classes], &mut out);
            let (mut own, mut own_logit) = (zero, zero);
            let others = sum_of_columns(simd, classes, |j| {
                let term = E::Lanes::load(simd, &out[j]);
                own = term.select(is_label(j), own);
                own_logit = E::Lanes::load(simd, &logits[j]).select(is_label(j), own_logit);
                zero.select(is_label(j), term)
            });
            let (total, lost) = two_sum(others, own);
            let log_total = log(total) + lost / total;
            let scale = self.scale.of_rows(simd, block * together, losses.len());
            let factor = scale / total;
            for (j, delta) in out.iter_mut().enumerate().take(classes) {
                let scaled = E::Lanes::load(simd, delta) * factor;
                (-(others * factor)).select(is_label(j), scaled).store(delta);
            }
            (scale * (log_total + (max - own_logit))).store_partial(losses);
            columns::store(simd, &out, classes, delta, &mut logits);
        }
    }

    #[inline(always)]
    fn row_by_row<S: Simd>(self, simd: S) {
        for (i, (loss, &label)) in self.losses.iter_mut().zip(self.labels).enumerate() {
            let elements = i * self.classes..(i + 1) * self.classes;
            let (logits, delta) = (&self.logits[elements.clone()], &mut self.delta[elements]);
            let (max, others) = sum_exponentials(simd, logits, label, delta);
            let splat = |value| E::Lanes::<S>::splat_in(simd, value);
            let (total, lost) = two_sum(splat(others), splat(delta[label]));
            let log_total = (log(total) + lost / total).first();
            let scale = self.scale.of_row(i);
            let factor = scale / total.first();
            update_all(simd, Product { factor }, [], delta, []);
            delta[label] = -(others * factor);
            *loss = scale * (log_total + (max - logits[label]));
        }
    }
}

/// The greatest logit of each row, −∞ if there is none but NaN; `out` gets e^(logit − greatest) of
/// each column.
#[inline(always)]
pub(crate) fn exponentials<S: Simd, E: Element>(
    simd: S,
    logits: &[[E; LANES]],
    out: &mut Columns<E>,
) -> E::Lanes<S> {
    let mut max = [E::ZERO; LANES];
    simd.call(ColumnExponentials { logits, max: &mut max, out });
    E::Lanes::load(simd, &max)
}

struct ColumnExponentials<'a, E> {
    logits: &'a [[E; LANES]],
    max: &'a mut [E; LANES],
    out: &'a mut Columns<E>,
}

impl<E: Element> Kernel for ColumnExponentials<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let mut max = E::Lanes::splat_in(simd, -E::INFINITY);
        for column in self.logits {
            max = E::Lanes::load(simd, column).greater_or(max);
        }
        max.store(self.max);
        for (column, out) in self.logits.iter().zip(self.out) {
            exp(E::Lanes::load(simd, column) - max).store(out);
        }
    }
}

/// The greatest logit of a row, and the sum of e^(logit − greatest) without the one at index `but`
/// (`usize::MAX` for none); `out` gets all of them.
#[inline(always)]
pub(super) fn sum_exponentials<S: Simd, E: Element>(
    simd: S,
    logits: &[E],
    but: usize,
    out: &mut [E],
) -> (E, E) {
    simd.call(RowExponentials { logits, but, out })
}

struct RowExponentials<'a, E> {
    logits: &'a [E],
    but: usize,
    out: &'a mut [E],
}

impl<E: Element> Kernel for RowExponentials<'_, E> {
    type Output = (E, E);

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> (E, E) {
        let Self { logits, but, out } = self;
        let max = greatest(simd, logits);
        let terms = Exponentials { max, but };
        (max, sum_terms(simd, terms, logits.len(), [logits], [out]))
    }
}

/// a + b, and what its rounding lost (D. Knuth).
#[inline(always)]
fn two_sum<V: Lanes>(a: V, b: V) -> (V, V) {
    let total = a + b;
    let part = total - a;
    (total, (a - (total - part)) + (b - part))
}

/// The greatest element, −∞ if there is none; NaN may get lost.
#[inline(always)]
pub(crate) fn greatest<S: Simd, E: Element>(simd: S, x: &[E]) -> E {
    let lowest = E::Lanes::splat_in(simd, -E::INFINITY);
    let len = E::Lanes::<S>::LEN;
    let mut fours = [lowest; 4];
    let mut chunks = x.chunks_exact(4 * len);
    for chunk in &mut chunks {
        for (r, greatest) in fours.iter_mut().enumerate() {
            *greatest = E::Lanes::load(simd, &chunk[r * len..]).greater_or(*greatest);
        }
    }
    let mut greatest = fours[0].greater_or(fours[1]).greater_or(fours[2].greater_or(fours[3]));
    for some in chunks.remainder().chunks(len) {
        let x = E::Lanes::load_partial(simd, some).first_lanes_or(some.len(), lowest);
        greatest = x.greater_or(greatest);
    }
    across::<Greatest, _>(greatest).first()
}

/// ln x of a number.
#[inline(always)]
pub(super) fn log_scalar<S: Simd, E: Element>(simd: S, x: E) -> E {
    log(E::Lanes::splat_in(simd, x)).first()
}

/// Yes in the lane of index `index`, if it is among those from `at` on.
#[inline(always)]
pub(super) fn is_index<V: Lanes>(like: V, at: usize, index: usize) -> V::Mask {
    let mut numbers = [V::Element::ZERO; LANES];
    for (i, number) in numbers.iter_mut().enumerate() {
        *number = V::Element::from_f64(i as f64);
    }
    let distance = index.wrapping_sub(at);
    let lane = if distance < V::LEN { distance as f64 } else { -1.0 };
    V::load(like.simd(), &numbers).eq(like.splat(V::Element::from_f64(lane)))
}

/// Writes e^(z − max) and adds them up, but for one.
#[derive(Clone, Copy)]
pub(crate) struct Exponentials<E> {
    pub(crate) max: E,
    /// The index of what is not added; `usize::MAX` for none.
    pub(crate) but: usize,
}

impl<E: Element> Terms<E, 1, 1> for Exponentials<E> {
    #[inline(always)]
    fn add<V: Lanes<Element = E>>(self, at: usize, [z]: [V; 1], sum: V) -> ([V; 1], V) {
        let exponential = exp(z - z.splat(self.max));
        let zero = z.splat(E::ZERO);
        let term = zero.select(is_index(z, at, self.but), exponential);
        ([exponential], sum + term)
    }
}
