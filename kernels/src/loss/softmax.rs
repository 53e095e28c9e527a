//! Softmax cross-entropy with class indices.

use super::Scale;
use super::few_classes::{FewClasses, two_sum};
use crate::dispatch::Kernel;
use crate::error::{check_length, checked_area};
use crate::lanes::{Lanes, Simd};
use crate::lockstep::{Product, update_all};
use crate::math::{exp, log};
use crate::reduce::fixed_tree::{Greatest, LANES, Terms, across, sum_terms};
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
        if self.classes <= LANES {
            self.a_lane_a_row(simd);
        } else {
            self.row_by_row(simd);
        }
    }
}

impl<E: Element> LabelledRows<'_, E> {
    #[inline(always)]
    fn a_lane_a_row<S: Simd>(self, simd: S) {
        let (classes, together) = (self.classes.max(1), E::Lanes::<S>::LEN);
        let mut lanes = FewClasses::new(classes);
        let mut rows = self.logits.chunks_exact(classes).zip(self.labels).enumerate();
        let blocks =
            self.losses.chunks_mut(together).zip(self.delta.chunks_mut(together * classes));
        for (losses, delta) in blocks {
            for (lane, (i, (logits, &label))) in rows.by_ref().take(losses.len()).enumerate() {
                lanes.set_row(lane, logits, label, self.scale.of_row(i));
            }
            lanes.evaluate(simd);
            for (lane, (loss, delta)) in
                losses.iter_mut().zip(delta.chunks_exact_mut(classes)).enumerate()
            {
                *loss = lanes.take_row(lane, delta);
            }
        }
    }

    #[inline(always)]
    fn row_by_row<S: Simd>(self, simd: S) {
        for (i, (loss, &label)) in self.losses.iter_mut().zip(self.labels).enumerate() {
            let elements = i * self.classes..(i + 1) * self.classes;
            let (logits, delta) = (&self.logits[elements.clone()], &mut self.delta[elements]);
            let max = greatest(simd, logits);
            let terms = Exponentials { max, but: label };
            let others = sum_terms(simd, terms, logits.len(), [logits], [&mut *delta]);
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
