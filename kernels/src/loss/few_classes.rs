//! Softmax cross-entropy of rows of at most 16 classes: a lane a row.
//!
//! A short row leaves most lanes empty and waits for its sum to cross them. Here as many rows as a
//! register has lanes go together, and a row's 16 virtual lanes are 16 registers, added in the
//! order of [`crate::reduce`]: the bits are those of a row by itself.

use crate::Element;
use crate::lanes::{Lanes, Simd};
use crate::math::{exp, log};
use crate::reduce::fixed_tree::LANES;

/// A matrix of at most 16 × 16, a class a row and a batch row a column.
type Block<E> = [[E; LANES]; LANES];

/// Rows that go together, and what to do with them.
pub(super) struct FewClasses<E> {
    classes: usize,
    logits: Block<E>,
    delta: Block<E>,
    labels: [E; LANES],
    scales: [E; LANES],
    losses: [E; LANES],
}

impl<E: Element> FewClasses<E> {
    /// For 1 to 16 classes.
    #[inline(always)]
    pub(super) fn new(classes: usize) -> Self {
        let zeros = [E::ZERO; LANES];
        Self {
            classes,
            logits: [zeros; LANES],
            delta: [zeros; LANES],
            labels: zeros,
            scales: zeros,
            losses: zeros,
        }
    }

    /// Puts a row of the batch into a lane.
    #[inline(always)]
    pub(super) fn set_row(&mut self, lane: usize, logits: &[E], label: usize, scale: E) {
        for (class, &logit) in self.logits.iter_mut().zip(logits) {
            class[lane] = logit;
        }
        self.labels[lane] = E::from_f64(label as f64);
        self.scales[lane] = scale;
    }

    /// Takes a row's δ out of its lane, and returns its loss.
    #[inline(always)]
    pub(super) fn take_row(&self, lane: usize, delta: &mut [E]) -> E {
        for (delta, class) in delta.iter_mut().zip(&self.delta) {
            *delta = class[lane];
        }
        self.losses[lane]
    }

    /// Computes all lanes; those without a row hold an older one.
    #[inline(always)]
    pub(super) fn evaluate<S: Simd>(&mut self, simd: S) {
        let zero = E::Lanes::splat_in(simd, E::ZERO);
        let labels = E::Lanes::load(simd, &self.labels);
        let scale = E::Lanes::load(simd, &self.scales);
        let logits = &self.logits[..self.classes];
        let mut max = zero.splat(-E::INFINITY);
        for class in logits {
            max = E::Lanes::load(simd, class).greater_or(max);
        }
        let (mut terms, mut own, mut own_logit) = ([zero; LANES], zero, zero);
        for (j, (logits, delta)) in logits.iter().zip(&mut self.delta).enumerate() {
            let logit = E::Lanes::load(simd, logits);
            let exponential = exp(logit - max);
            exponential.store(delta);
            let is_label = labels.eq(zero.splat(E::from_f64(j as f64)));
            terms[j] = zero.select(is_label, exponential);
            own = exponential.select(is_label, own);
            own_logit = logit.select(is_label, own_logit);
        }
        for distance in [8, 4, 2, 1] {
            for l in 0..distance {
                terms[l] = terms[l] + terms[l + distance];
            }
        }
        let others = terms[0];
        let (total, lost) = two_sum(others, own);
        let log_total = log(total) + lost / total;
        let factor = scale / total;
        for (j, delta) in self.delta[..self.classes].iter_mut().enumerate() {
            let is_label = labels.eq(zero.splat(E::from_f64(j as f64)));
            let scaled = E::Lanes::load(simd, delta) * factor;
            (-(others * factor)).select(is_label, scaled).store(delta);
        }
        (scale * (log_total + (max - own_logit))).store(&mut self.losses);
    }
}

/// a + b, and what its rounding lost (D. Knuth).
#[inline(always)]
pub(super) fn two_sum<V: Lanes>(a: V, b: V) -> (V, V) {
    let total = a + b;
    let part = total - a;
    (total, (a - (total - part)) + (b - part))
}
