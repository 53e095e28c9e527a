//! The tails of the normal distribution and of the error function, accurate in relative terms
//! down to the smallest subnormal.

use super::exp::Reduced;
use super::tail_constants::{LogTail, NormalTail, TailConstants, TailPolynomial};
use super::{exact_mul_add, horner, polynomial};
use crate::Element;
use crate::lanes::{Lanes, Mask};

impl<E: Element> LogTail<E> {
    /// The value, the polynomial, and w.
    #[inline(always)]
    fn terms<V: Lanes<Element = E>>(&self, x: V) -> (V, V, V) {
        let w = x - x.splat(self.centre);
        (x.splat(self.value), horner(w, self.coefficients), w)
    }
}

/// ratio·eʳ·2ⁿ: the ratio of a tail to its e^{−x²/2} or e^{−x²}, and that exponential.
#[derive(Clone, Copy)]
struct Tail<V> {
    /// Rounded.
    ratio: V,
    /// What the rounding left over.
    ratio_low: V,
    exponential: Reduced<V>,
}

impl<V: Lanes> Tail<V> {
    /// Φ(−t) · (t or 1), 0 ≤ t ≤ NORMAL_TOP.
    #[inline(always)]
    fn normal(t: V, times_t: bool, polynomial_in_v: TailPolynomial<V::Element>) -> Self {
        let exponential = Reduced::new_square(t, V::Element::HALF);
        Self::new(t, times_t, exponential, polynomial_in_v)
    }

    /// erfc t, 0 ≤ t ≤ ERFC_TOP.
    #[inline(always)]
    fn erfc(t: V) -> Self {
        let exponential = Reduced::new_square(t, V::Element::ONE);
        Self::new(t, false, exponential, V::Element::ERFC)
    }

    #[inline(always)]
    fn new(
        t: V,
        times_t: bool,
        exponential: Reduced<V>,
        polynomial_in_v: TailPolynomial<V::Element>,
    ) -> Self {
        let TailPolynomial { centre, offset, exact_terms, coefficients } = polynomial_in_v;
        let one = t.splat(V::Element::ONE);
        let offset = t.splat(offset);
        let sum = t + offset;
        // t + offset = sum + sum_low exactly, for the offset's last bit is above that of sum.
        let sum_low = t - (sum - offset);
        let reciprocal = one / sum;
        // What the polynomial is multiplied with, and v.
        let numerator = if times_t { t } else { one };
        let factor = numerator * reciprocal;
        let remainder = exact_mul_add(-factor, sum, numerator);
        let factor_low = factor.neg_mul_add(sum_low, remainder) * reciprocal;
        let (v, v_low) = if times_t {
            (factor, factor_low)
        } else {
            let v = t * factor;
            (v, t.mul_add(factor_low, exact_mul_add(t, factor, -v)))
        };

        let distance = v - t.splat(centre);
        let w = distance + v_low;
        let w_low = v_low - (w - distance);
        // The first terms cancel; what rounding takes from them, and from w, is kept apart.
        let (first, rest) = coefficients.split_at(exact_terms);
        let (mut s, mut s_low) = (polynomial(w, w * w, rest), None);
        for &c in first.iter().rev() {
            let c = t.splat(c);
            let next = s.mul_add(w, c);
            let low = s.mul_add(w_low, exact_mul_add(s, w, c - next));
            s_low = match s_low {
                Some(lower) => Some(w.mul_add(lower, low)),
                None => Some(low),
            };
            s = next;
        }
        let s_low = s_low.expect("there is an exact term");
        let ratio = s * factor;
        let ratio_low = exact_mul_add(s, factor, -ratio);
        let ratio_low = s.mul_add(factor_low, s_low.mul_add(factor, ratio_low));
        Self { ratio, ratio_low, exponential }
    }

    /// The tail, rounded once but for the error of eʳ.
    #[inline(always)]
    fn value(self) -> V {
        let p = self.exponential.expm1();
        let low = self.ratio_low.mul_add(p, self.ratio_low);
        let value = self.ratio + self.ratio.mul_add(p, low);
        self.exponential.scale_down(value)
    }
}

/// erfc x = 1 − erf x.
///
/// −∞ to 2, +∞ to 0, ±0 to 1, NaN to NaN.
#[inline(always)]
pub(crate) fn erfc<V: Lanes>(x: V) -> V {
    let t = x.splat(V::Element::ERFC_TOP).less_or(x.abs());
    let tail = Tail::erfc(t).value();
    let negative = x.lt(x.splat(V::Element::ZERO));
    (x.splat(V::Element::TWO) - tail).select(negative, tail)
}

/// x·Φ(x), Φ the cumulative distribution function of the standard normal distribution.
///
/// −∞ to −0, +∞ to +∞, ±0 to ±0, NaN to NaN.
#[inline(always)]
pub(crate) fn times_normal_cdf<V: Lanes>(x: V) -> V {
    // x·Φ(x) = x − x·Φ(−x) for positive x. The zero is −0, so that −0 − 0 is what an underflow
    // below 0 gives.
    let t = x.splat(V::Element::NORMAL_TOP).less_or(x.abs());
    let below = match V::Element::NORMAL_TAIL {
        NormalTail::Pieces { middle, tail: (near, far), .. } => {
            near_or_far(near.evaluate(t), t, t, middle, far)
        }
        NormalTail::Ratio { tail, .. } => Tail::normal(t, true, tail).value(),
    };
    x.splat(V::Element::SIGN_BIT).greater_or(x) - below
}

/// `near` for t up to `middle`, and from there on factor·e^{−t²/2} times what `far` is the
/// logarithm of; t ≤ NORMAL_TOP.
#[inline(always)]
fn near_or_far<V: Lanes>(
    near: V,
    factor: V,
    t: V,
    middle: V::Element,
    far: LogTail<V::Element>,
) -> V {
    let is_near = t.le(t.splat(middle));
    if is_near.all() {
        return near;
    }
    let (logarithm, slope, w) = far.terms(t);
    let power = Reduced::new_half_square_and(t, logarithm, slope, w);
    let far = factor.mul_add(power.expm1(), factor).scale_by_pow2(power.n);
    near.select(is_near, far)
}

/// Φ(x) + x·φ(x), the derivative of x·Φ(x), φ the density.
///
/// −∞ to −0, +∞ to 1, NaN to NaN.
#[inline(always)]
pub(crate) fn times_normal_cdf_derivative<V: Lanes>(x: V) -> V {
    let one = x.splat(V::Element::ONE);
    let t = x.splat(V::Element::NORMAL_TOP).less_or(x.abs());
    let below = match V::Element::NORMAL_TAIL {
        NormalTail::Pieces { middle, zero: (zero, zero_low), slope: (near, far), .. } => {
            let distance = (x.splat(zero) - t) + x.splat(zero_low);
            near_or_far(near.evaluate(t) * distance, distance, t, middle, far)
        }
        NormalTail::Ratio { tail, frac_1_sqrt_tau } => gelu_slope(t, tail, frac_1_sqrt_tau),
    };
    below.select(x.lt(x.splat(V::Element::ZERO)), one - below)
}

/// Φ(−t) − t·φ(t), 0 ≤ t ≤ NORMAL_TOP.
#[inline(always)]
fn gelu_slope<V: Lanes>(
    t: V,
    tail: TailPolynomial<V::Element>,
    (c, c_low): (V::Element, V::Element),
) -> V {
    // With Φ(−t) = ratio·e and φ(t) = e/√(2π), e = e^{−t²/2}: e·(ratio − t/√(2π)).
    let Tail { ratio, ratio_low, exponential } = Tail::normal(t, false, tail);
    let (c, c_low) = (t.splat(c), t.splat(c_low));
    let product = t * c;
    let product_low = t.mul_add(c_low, exact_mul_add(t, c, -product));
    // Knuth's two-sum: either may be the larger.
    let difference = ratio - product;
    let from_product = difference - ratio;
    let rounding = (ratio - (difference - from_product)) - (product + from_product);
    let difference_low = rounding - product_low + ratio_low;
    Tail { ratio: difference, ratio_low: difference_low, exponential }.value()
}
