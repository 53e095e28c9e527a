//! eˣ as a power of two and what is left of it.

use super::exp::{ExpConstants, Reduced};
use super::horner;
use crate::Element;
use crate::lanes::Lanes;

/// x = n·ln 2/8 + r, |r| ≤ ln 2/16, n = 8m + j: then eˣ = 2ᵐ·2^{j/8}·eʳ, and two terms are enough
/// for eʳ − 1 − r.
///
/// For f32, whose registers have eight lanes.
pub struct Eighths<E> {
    /// 8/ln 2.
    log2_e: E,
    /// ln 2/8 in so few bits that n times it is exact, and the rest.
    ln_2: [E; 2],
    /// (eʳ − 1 − κ − r)/r².
    coefficients: [E; 2],
    /// 2^{j/8}, rounded, with j eighths of an exponent taken from its bits: n eighths are added.
    powers: [E; 8],
    /// What the rounding left over, relative, and κ.
    rest: [E; 8],
}

/// By `scripts/minimax.py split exp_eighths`.
// Largest error 1.88e-8, 0.315 half ulps.
pub(super) const EIGHTHS: Eighths<f32> = Eighths {
    log2_e: 8.0 * f32::LOG2_E,
    ln_2: [0.086_639_404, 3.993_273e-6],
    coefficients: [0.500_079_15, 0.166_694_02],
    powers: [
        1.0,
        0.982_753_9,
        0.969_603_54,
        0.960_919_8,
        0.957_106_77,
        0.958_605_4,
        0.965_896_4,
        0.979_504_05,
    ],
    rest: [
        -1.879647e-8,
        -3.078_862_7e-8,
        1.313_771_05e-8,
        -4.978719e-8,
        -1.682_199_2e-9,
        -1.356_313_6e-8,
        -3.351_607_7e-8,
        -2.492473e-8,
    ],
};

/// eˣ = power·(1 + rest).
#[derive(Clone, Copy)]
pub(super) struct Power<V> {
    pub(super) power: V,
    pub(super) rest: V,
}

impl<V: Lanes> Power<V> {
    /// For |x| ≤ NORMAL; anything else, NaN too, gives anything.
    #[inline(always)]
    pub(super) fn new(x: V) -> Self {
        match V::Element::EIGHTHS {
            Some(eighths) => Self::of_eighths(x, eighths),
            None => {
                let reduced = Reduced::new(x);
                Self::of_reduced(reduced, reduced.expm1_coarse())
            }
        }
    }

    /// eˣ = 2ⁿeʳ by x = n·ln 2 + r, and eʳ − 1.
    #[inline(always)]
    pub(super) fn of_reduced(reduced: Reduced<V>, rest: V) -> Self {
        Self { power: reduced.scale(rest.splat(V::Element::ONE)), rest }
    }

    #[inline(always)]
    fn of_eighths(x: V, eighths: &Eighths<V::Element>) -> Self {
        let round = x.splat(V::Element::ROUND);
        let bits = x.mul_add(x.splat(eighths.log2_e), round);
        let n = bits - round;
        let [high, low] = eighths.ln_2;
        let r = n.neg_mul_add(x.splat(low), n.neg_mul_add(x.splat(high), x));
        let slope = horner(r, &eighths.coefficients).mul_add(r, x.splat(V::Element::ONE));
        Self {
            power: bits.entry_of(&eighths.powers).int_add(bits.shift_eighths_to_exponent()),
            rest: slope.mul_add(r, bits.entry_of(&eighths.rest)),
        }
    }

    /// eˣ, rounded.
    #[inline(always)]
    pub(super) fn value(self) -> V {
        self.rest.mul_add(self.power, self.power)
    }
}
