//! Sums in a fixed order, the same bits on every ISA with FMA and for any number of threads.
//!
//! [`sum`] and [`sum_of_squares`], and all losses and norms where they sum over a row, add in one
//! documented order: pieces of 256 with 16 virtual lanes, 8 pieces a block, and a balanced tree of
//! blocks. See [the order](#the-order).
//!
//! ```
//! use deltarule_kernels::{Isa, reduce};
//! let x: Vec<f32> = (1..=10_000).map(|i| 1.0 / i as f32).collect();
//! let sums: Vec<f32> = Isa::available().map(|isa| reduce::sum(isa, &x)).collect();
//! assert!(sums.iter().all(|sum| sum.to_bits() == sums[0].to_bits()));
//! assert!((sums[0] - 9.787_606).abs() < 1e-5);
//! ```
//!
//! # The order
//! With terms t₀, t₁, …:
//!
//! 1. Pieces of 256 terms. In each, lane l of 16 starts from +0 and adds tₗ, tₗ₊₁₆, tₗ₊₃₂, …
//! 2. Blocks of 8 pieces, whose lanes are added as ((p₀+p₁)+(p₂+p₃)) + ((p₄+p₅)+(p₆+p₇)), missing
//!    pieces being +0; then lanes at a distance of 8, 4, 2, 1 are added.
//! 3. Blocks pairwise, neighbours first, in a binary tree.
//!
//! The error of a sum of n terms is at most (23 + ⌈log₂(n/2048)⌉) · u · Σ|tᵢ| to first order,
//! u = 2⁻²⁴ for f32 and 2⁻⁵³ for f64.

pub(crate) mod columns;
mod finite;
pub(crate) mod fixed_tree;
#[cfg(test)]
mod tests;
mod tree;

pub use columns::{PIECE_ROWS, add_column_sums};
pub use finite::first_non_finite;

use crate::dispatch::Kernel;
use crate::lanes::{Lanes, Simd};
use crate::precompiled::precompiled;
use crate::{Element, Isa, MatRef};
use fixed_tree::{Terms, sum_terms};

/// Σ xᵢ; 0 for an empty slice.
///
/// ```
/// use deltarule_kernels::{Isa, reduce};
/// assert_eq!(reduce::sum(Isa::detect(), &[1.0_f32, 2.5, -0.5]), 3.0);
/// ```
pub fn sum<E: Element>(isa: Isa, x: &[E]) -> E {
    <E as ReduceKernels>::sum(isa, x)
}

/// Σ xᵢ², each square added by a fused multiply-add: for gradient norms.
///
/// For f32 it is right at every magnitude that x may have. Where the squares leave the range of
/// f32, x is gone over once more, multiplied by a power of 2 that brings them back. For f64 a sum
/// above 1.8·10³⁰⁸ is +∞.
///
/// ```
/// use deltarule_kernels::{Isa, reduce};
/// let norm = reduce::sum_of_squares(Isa::detect(), &[3e30_f32, -4e30]).sqrt();
/// assert!((norm / 5e30 - 1.0).abs() < 1e-7);
/// ```
pub fn sum_of_squares<E: Element>(isa: Isa, x: &[E]) -> f64 {
    E::sum_of_squares(isa, x)
}

precompiled! {
    /// The kernels of this module.
    ReduceKernels:
    fn sum(isa: Isa, x: &[Self]) -> Self = sum_values;
    fn sum_of_squares(isa: Isa, x: &[Self]) -> f64 = squares;
    fn add_column_sums(isa: Isa, x: MatRef<'_, Self>, sums: &mut [Self]) = columns::add;
    fn first_non_finite(isa: Isa, x: &[Self]) -> Option<usize> = finite::find;
}

fn sum_values<E: Element>(isa: Isa, x: &[E]) -> E {
    match *x {
        // The loss of a single row: of a step of a small network it would be a noticeable part.
        [x] => E::ZERO + x,
        _ => isa.run(Sum { x, terms: Values }),
    }
}

struct Sum<'a, E, T> {
    x: &'a [E],
    terms: T,
}

impl<E: Element, T: Terms<E, 1, 0>> Kernel for Sum<'_, E, T> {
    type Output = E;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> E {
        sum_terms(simd, self.terms, self.x.len(), [self.x], [])
    }
}

/// x.
#[derive(Clone, Copy)]
pub(crate) struct Values;

impl<E: Element> Terms<E, 1, 0> for Values {
    const IS_LIGHT: bool = true;

    #[inline(always)]
    fn add<V: Lanes<Element = E>>(self, _at: usize, [x]: [V; 1], sum: V) -> ([V; 0], V) {
        ([], sum + x)
    }
}

/// A sum of squares from this on has lost nothing that counts to underflow.
const LEAST: f64 = 1.0 / (1u128 << 80) as f64;
/// Brings the square of the largest f32 into the range, with room for 2³² of them, and back.
const DOWN: f64 = LEAST;
/// Brings the square of the smallest f32 into the range, and those in a sum below [`LEAST`] not
/// out of it.
const UP: f64 = (1u128 << 100) as f64;

fn squares<E: Element>(isa: Isa, x: &[E]) -> f64 {
    let scaled = |scale: f64| {
        let terms = ScaledSquares { scale: E::from_f64(scale) };
        isa.run(Sum { x, terms }).to_f64() / scale / scale
    };
    let sum = isa.run(Sum { x, terms: Squares }).to_f64();
    if !sum.is_finite() {
        scaled(DOWN)
    } else if sum < LEAST {
        scaled(UP)
    } else {
        sum
    }
}

/// x².
#[derive(Clone, Copy)]
struct Squares;

impl<E: Element> Terms<E, 1, 0> for Squares {
    const IS_LIGHT: bool = true;

    #[inline(always)]
    fn add<V: Lanes<Element = E>>(self, _at: usize, [x]: [V; 1], sum: V) -> ([V; 0], V) {
        ([], x.mul_add(x, sum))
    }
}

/// (scale·x)².
#[derive(Clone, Copy)]
struct ScaledSquares<E> {
    scale: E,
}

impl<E: Element> Terms<E, 1, 0> for ScaledSquares<E> {
    #[inline(always)]
    fn add<V: Lanes<Element = E>>(self, at: usize, [x]: [V; 1], sum: V) -> ([V; 0], V) {
        Terms::<E, 1, 0>::add(Squares, at, [x * x.splat(self.scale)], sum)
    }
}
