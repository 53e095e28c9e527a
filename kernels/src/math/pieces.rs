//! Functions by polynomials in pieces.

use crate::Element;
use crate::lanes::Lanes;

/// A function of 0 ≤ x < 4 in eight pieces of length ½: a register has the entries of all of them,
/// and takes for each lane that of its piece. That is a polynomial of few terms where one for all
/// x had many, and an exponential too.
///
/// For f32, whose registers have eight lanes.
#[derive(Clone, Copy)]
pub struct Pieces<E: 'static> {
    pub(super) centres: [E; 8],
    /// Of each power of x − centre, in ascending order.
    pub(super) coefficients: [[E; 8]; 8],
}

impl<E: Element> Pieces<E> {
    /// The function's value; anything for x that is not in 0 ≤ x < 4, but NaN for NaN.
    #[inline(always)]
    pub(super) fn evaluate<V: Lanes<Element = E>>(&self, x: V) -> V {
        let PieceTerms { w, value, slope, .. } = self.terms(x);
        slope.mul_add(w, value)
    }

    /// As [`Pieces::evaluate`].
    #[inline(always)]
    pub(super) fn terms<V: Lanes<Element = E>>(&self, x: V) -> PieceTerms<V> {
        // Rounds to a multiple of ½, which leaves twice that in the low bits.
        let round = x.splat(E::ROUND * E::HALF);
        let piece = (x - x.splat(E::HALF * E::HALF)) + round;
        let w = x - piece.entry_of(&self.centres);
        let [first, rest @ .., last] = &self.coefficients;
        let mut slope = piece.entry_of(last);
        for row in rest.iter().rev() {
            slope = slope.mul_add(w, piece.entry_of(row)).side_by_side();
        }
        PieceTerms { piece, w, value: piece.entry_of(first), slope }
    }
}

/// value + slope·w.
pub(super) struct PieceTerms<V> {
    /// Which piece, in the low bits.
    pub(super) piece: V,
    /// x − centre.
    pub(super) w: V,
    /// The function's value at the centre.
    pub(super) value: V,
    /// A polynomial in w.
    pub(super) slope: V,
}
