//! Softmax cross-entropy with class indices.

use super::Scale;
use crate::dispatch::Kernel;
use crate::error::{check_length, checked_area};
use crate::lanes::columns::{self, Columns, NarrowRows};
use crate::lanes::{Lanes, Simd};
use crate::lockstep::{Product, update_all};
use crate::math::{exp, log};
use crate::reduce::fixed_tree::{
    Greatest, LANES, Terms, across, are_narrow, sum_of_columns, sum_terms,
};
use crate::{Element, Isa, ShapeError};
use core::marker::PhantomData;
use core::ops::Range;

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
            columns::run_narrow(simd, self.labels.len(), self);
        } else {
            self.row_by_row(simd);
        }
    }
}

impl<E: Element> NarrowRows<E> for LabelledRows<'_, E> {
    #[inline(always)]
    fn run<V: Lanes<Element = E>>(&mut self, simd: V::Simd, rows: Range<usize>) {
        let classes = self.classes.max(1);
        let zero = V::splat_in(simd, E::ZERO);
        let numbers = numbers::<E>();
        let (mut logits, mut out) = ([zero; LANES], [zero; LANES]);
        for first in rows.clone().step_by(V::LEN) {
            let rows = first..rows.end.min(first + V::LEN);
            columns::load(simd, &self.logits[first * classes..], classes, &mut logits);
            let labels: V = as_lanes(simd, &self.labels[rows.clone()]);
            let max = exponentials(simd, &logits[..classes], &mut out);
            let (mut own, mut own_logit) = (zero, zero);
            let (others, terms) = (&mut logits[..classes], &mut out[..classes]);
            let mut j = 0;
            while j < classes {
                let is_label = labels.eq(zero.splat(numbers[j]));
                own = terms[j].select(is_label, own);
                own_logit = others[j].select(is_label, own_logit);
                // The terms of the other classes take the places of the logits.
                others[j] = zero.select(is_label, terms[j]);
                j += 1;
            }
            let others = sum_of_columns(&logits);
            let (total, lost) = two_sum(others, own);
            let log_total = log(total) + lost / total;
            let scale: V = self.scale.of_rows(simd, first, rows.len());
            let factor = scale / total;
            let of_label = -(others * factor);
            j = 0;
            while j < classes {
                let is_label = labels.eq(zero.splat(numbers[j]));
                terms[j] = of_label.select(is_label, terms[j] * factor);
                j += 1;
            }
            let losses = &mut self.losses[rows.clone()];
            (scale * (log_total + (max - own_logit))).store_partial(losses);
            let delta = &mut self.delta[rows.start * classes..rows.end * classes];
            columns::store(simd, &out, classes, delta);
        }
    }
}

impl<E: Element> LabelledRows<'_, E> {
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
pub(crate) fn exponentials<V: Lanes>(simd: V::Simd, logits: &[V], out: &mut Columns<V>) -> V {
    let mut max = V::splat_in(simd, -V::Element::INFINITY);
    simd.call(ColumnExponentials { logits, max: &mut max, out });
    max
}

/// It is compiled once for all that call it.
struct ColumnExponentials<'a, V> {
    logits: &'a [V],
    max: &'a mut V,
    out: &'a mut Columns<V>,
}

impl<V: Lanes> Kernel for ColumnExponentials<'_, V> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, _: S) {
        let mut max = *self.max;
        let (logits, out) = (self.logits, &mut self.out[..self.logits.len()]);
        let mut j = 0;
        while j < logits.len() {
            max = logits[j].greater_or(max);
            j += 1;
        }
        *self.max = max;
        j = 0;
        while j < logits.len() {
            out[j] = exp(logits[j] - max);
            j += 1;
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
        let mut r = 0;
        while r < 4 {
            fours[r] = E::Lanes::load(simd, &chunk[r * len..]).greater_or(fours[r]);
            r += 1;
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

/// 0, 1, 2, …
#[inline(always)]
pub(super) fn numbers<E: Element>() -> [E; LANES] {
    let mut numbers = [E::ZERO; LANES];
    for (i, number) in numbers.iter_mut().enumerate() {
        *number = E::from_f64(i as f64);
    }
    numbers
}

/// Labels below 256 as numbers, a lane a row.
#[inline(always)]
pub(super) fn as_lanes<V: Lanes>(simd: V::Simd, labels: &[usize]) -> V {
    const { assert!(V::LEN <= 2 * LANES) }
    let mut numbers = [V::Element::ZERO; 2 * LANES];
    // A loop whose length the compiler knows becomes vectors. Of elements that are written one by
    // one a register can't be read before all of them are in the cache.
    if let Some(labels) = labels.get(..V::LEN) {
        for i in 0..V::LEN {
            numbers[i] = V::Element::from(labels[i] as u8);
        }
    } else {
        for (number, &label) in numbers.iter_mut().zip(labels) {
            *number = V::Element::from(label as u8);
        }
    }
    V::load(simd, &numbers)
}

/// The most lanes that ask for an index.
const MOST: usize = 2 * LANES;

/// 1 among zeros.
struct OneHot<E>(PhantomData<E>);

impl<E: Element> OneHot<E> {
    const WINDOW: [E; 2 * MOST] = {
        let mut window = [E::ZERO; 2 * MOST];
        window[MOST] = E::ONE;
        window
    };
}

/// Yes in the lane of index `index`, if it is among those from `at` on: lanes see as much of a
/// window as lies that far before its 1, or before all of it.
#[inline(always)]
pub(super) fn is_index<V: Lanes>(like: V, at: usize, index: usize) -> V::Mask {
    const { assert!(V::LEN <= MOST) }
    let start = MOST - index.wrapping_sub(at).min(MOST);
    V::load(like.simd(), &OneHot::WINDOW[start..]).eq(like.splat(V::Element::ONE))
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
