//! Layer normalization: each row over its features.
//!
//! Sums over a row are in the order of [`crate::reduce`], those over rows in the order of
//! [`crate::reduce::add_column_sums`]. Source: J. Ba, J. Kiros, G. Hinton, arXiv:1607.06450.
//!
//! ```
//! use deltarule_kernels::{Isa, norm::{Moments, layer}};
//! // A mean of 10⁴, and deviations of 1/64 that f32 can hold beside it.
//! let (isa, x) = (Isa::detect(), [10_000.0f32 - 0.015625, 10_000.0, 10_000.0 + 0.015625]);
//! let [mut mean, mut mean_low, mut inverse_std] = [[0.0]; 3];
//! let (gamma, mut y) = ([1.0; 3], [0.0; 3]);
//! let forward = layer::Forward {
//!     shape: (1, 3),
//!     epsilon: 0.0,
//!     gamma: &gamma,
//!     beta: &[0.0; 3],
//!     x: &x,
//!     mean: &mut mean,
//!     mean_low: &mut mean_low,
//!     inverse_std: &mut inverse_std,
//!     y: &mut y,
//! };
//! layer::forward(isa, forward)?;
//! assert!((y[2] - 1.5f32.sqrt()).abs() < 1e-6 && y[1] == 0.0);
//! // Back: to shift or to scale all features changes nothing, so δ is at right angles to both.
//! let (mut gamma_gradient, mut beta_gradient, mut delta) = ([0.0; 3], [0.0; 3], [1.0, 2.0, 6.0]);
//! let backward = layer::Backward {
//!     shape: (1, 3),
//!     moments: Moments { mean: &mean, mean_low: &mean_low, inverse_std: &inverse_std },
//!     gamma: &gamma,
//!     x: &x,
//!     gamma_gradient: &mut gamma_gradient,
//!     beta_gradient: &mut beta_gradient,
//!     delta: &mut delta,
//! };
//! layer::backward(isa, backward)?;
//! assert_eq!(beta_gradient, [1.0, 2.0, 6.0]);
//! assert!((delta[0] + delta[1] + delta[2]).abs() < 1e-3 * delta[0]);
//! assert!((delta[2] - delta[0]).abs() < 1e-3 * delta[0]);
//! # Ok::<(), deltarule_kernels::ShapeError>(())
//! ```

use super::{Moments, normalized};
use crate::dispatch::Kernel;
use crate::error::{check_length, checked_area};
use crate::lanes::{Lanes, Simd};
use crate::lockstep::{self, FAR_AHEAD, update_all};
use crate::reduce::columns::{ColumnTerms, PIECE_ROWS, add_columns_from_afar};
use crate::reduce::fixed_tree::{ManyTerms, sum_many_terms};
use crate::{Element, Isa, MatRef, ShapeError};
use core::ops::Range;

/// The arguments of [`forward`].
#[derive(Debug)]
pub struct Forward<'a, E> {
    /// Rows and features.
    pub shape: (usize, usize),
    /// ε.
    pub epsilon: f64,
    /// γ, an element a feature.
    pub gamma: &'a [E],
    /// β, an element a feature.
    pub beta: &'a [E],
    /// The input, row-major.
    pub x: &'a [E],
    /// Gets μ of each row, rounded.
    pub mean: &'a mut [E],
    /// Gets what the rounding of μ lost.
    pub mean_low: &'a mut [E],
    /// Gets 1/√(σ² + ε) of each row.
    pub inverse_std: &'a mut [E],
    /// Gets the output, row-major.
    pub y: &'a mut [E],
}

/// y = γ·x̂ + β, and the moments of each row, which [`backward`] needs.
///
/// ```
/// use deltarule_kernels::{Isa, norm::layer};
/// let [mut mean, mut mean_low, mut inverse_std] = [[0.0f32; 2]; 3];
/// let mut y = [0.0; 4];
/// let arguments = layer::Forward {
///     shape: (2, 2),
///     epsilon: 0.0,
///     gamma: &[1.0, 10.0],
///     beta: &[0.0, 0.5],
///     x: &[1.0, 3.0, 500.0, 100.0],
///     mean: &mut mean,
///     mean_low: &mut mean_low,
///     inverse_std: &mut inverse_std,
///     y: &mut y,
/// };
/// layer::forward(Isa::detect(), arguments)?;
/// assert_eq!(y, [-1.0, 10.5, 1.0, -9.5]);
/// assert_eq!((mean, inverse_std[0]), ([2.0, 300.0], 1.0));
/// # Ok::<(), deltarule_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError`] if a slice does not have as many elements as the shape asks for, or there are
/// rows but no features; nothing was written.
pub fn forward<E: Element>(isa: Isa, arguments: Forward<'_, E>) -> Result<(), ShapeError> {
    let (rows, features) = arguments.shape;
    check_features(rows, features)?;
    let area = checked_area("x", rows, features)?;
    check_length("gamma", arguments.gamma, features)?;
    check_length("beta", arguments.beta, features)?;
    check_length("x", arguments.x, area)?;
    check_length("mean", arguments.mean, rows)?;
    check_length("mean_low", arguments.mean_low, rows)?;
    check_length("inverse_std", arguments.inverse_std, rows)?;
    check_length("y", arguments.y, area)?;
    E::layer_forward(isa, arguments);
    Ok(())
}

/// A row without features has no mean.
fn check_features(rows: usize, features: usize) -> Result<(), ShapeError> {
    if rows > 0 && features == 0 {
        return Err(ShapeError::Zero { argument: "features" });
    }
    Ok(())
}

impl<E: Element> Kernel for Forward<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let features = self.shape.1;
        let count = E::from_f64(features as f64);
        let epsilon = E::Lanes::<S>::splat_in(simd, E::from_f64(self.epsilon));
        for i in (0..self.shape.0).step_by(2) {
            // The last row may be its own neighbour, to whom nothing more is done.
            let rows = [i, (i + 1).min(self.shape.0 - 1)];
            let [first, second] = rows.map(|row| &self.x[row * features..(row + 1) * features]);
            let [sum, second_sum] = sum_many_terms(simd, Both, features, [first, second], []);
            let means = [sum / count, second_sum / count];
            let deviations = Deviations { means, next: second.as_ptr().wrapping_add(features) };
            let [sum, squares, second_sum, second_squares] =
                sum_many_terms(simd, deviations, features, [first, second], []);
            let sums = [(sum, squares), (second_sum, second_squares)];
            let each = rows.into_iter().zip(means).zip(sums).take(self.shape.0 - i);
            for ((row, mean), (sum, squares)) in each {
                let mean_low = sum / count;
                let (sum, squares) = (epsilon.splat(sum), epsilon.splat(squares));
                let variance = super::variance(sum, squares, sum.splat(mean_low), sum.splat(count));
                let inverse_std = super::inverse_std(variance, epsilon).first();
                self.mean[row] = mean;
                self.mean_low[row] = mean_low;
                self.inverse_std[row] = inverse_std;
                let affine = Affine { mean, mean_low, inverse_std };
                let elements = row * features..(row + 1) * features;
                let read = [&self.x[elements.clone()], self.gamma, self.beta];
                update_all(simd, affine, read, &mut self.y[elements], []);
            }
        }
    }
}

/// The terms of Σx of two rows: what is to be done for one of them waits for its sums, and
/// meanwhile the other's are on the way.
#[derive(Clone, Copy)]
struct Both;

impl<E: Element> ManyTerms<E, 2, 0, 2> for Both {
    const IS_LIGHT: bool = true;

    #[inline(always)]
    fn add_to_each<V: Lanes<Element = E>>(
        self,
        _at: usize,
        x: [V; 2],
        []: [V; 0],
        sums: [V; 2],
    ) -> ([V; 0], [V; 2]) {
        ([], [sums[0] + x[0], sums[1] + x[1]])
    }
}

/// The terms of Σ(x − mean) and Σ(x − mean)² of two rows.
///
/// The next two are asked for.
#[derive(Clone, Copy)]
struct Deviations<E> {
    means: [E; 2],
    next: *const E,
}

impl<E: Element> ManyTerms<E, 2, 0, 4> for Deviations<E> {
    #[inline(always)]
    fn add_to_each<V: Lanes<Element = E>>(
        self,
        at: usize,
        [first, second]: [V; 2],
        []: [V; 0],
        [sum, squares, second_sum, second_squares]: [V; 4],
    ) -> ([V; 0], [V; 4]) {
        // They follow each other, so that twice as far is as much of both.
        first.simd().prefetch(self.next.wrapping_add(2 * at));
        let deviation = first - first.splat(self.means[0]);
        let second_deviation = second - first.splat(self.means[1]);
        (
            [],
            [
                sum + deviation,
                deviation.mul_add(deviation, squares),
                second_sum + second_deviation,
                second_deviation.mul_add(second_deviation, second_squares),
            ],
        )
    }
}

/// y = γ·x̂ + β of one row.
#[derive(Clone, Copy)]
struct Affine<E> {
    mean: E,
    mean_low: E,
    inverse_std: E,
}

impl<E: Element> Affine<E> {
    /// x̂.
    #[inline(always)]
    fn normalized<V: Lanes<Element = E>>(self, x: V) -> V {
        normalized(x, x.splat(self.mean), x.splat(self.mean_low), x.splat(self.inverse_std))
    }

    /// The sums of δ·x̂ and δ down the columns, with this row's terms.
    #[inline(always)]
    fn add_gradients<V: Lanes<Element = E>>(self, x: V, delta: V, [gamma, beta]: [V; 2]) -> [V; 2] {
        [delta.mul_add(self.normalized(x), gamma), beta + delta]
    }
}

impl<E: Element> lockstep::Update<E, 3, 0> for Affine<E> {
    #[inline(always)]
    fn update<V: Lanes<Element = E>>(
        self,
        _at: usize,
        [x, gamma, beta]: [V; 3],
        _y: V,
        []: [V; 0],
    ) -> (V, [V; 0]) {
        (self.normalized(x).mul_add(gamma, beta), [])
    }
}

/// The arguments of [`backward`].
#[derive(Debug)]
pub struct Backward<'a, E> {
    /// Rows and features.
    pub shape: (usize, usize),
    /// What [`forward`] wrote.
    pub moments: Moments<'a, E>,
    /// γ.
    pub gamma: &'a [E],
    /// The input of [`forward`].
    pub x: &'a [E],
    /// Σᵢ δᵢⱼ·x̂ᵢⱼ is added to it.
    pub gamma_gradient: &'a mut [E],
    /// Σᵢ δᵢⱼ is added to it.
    pub beta_gradient: &'a mut [E],
    /// ∂ℒ/∂y before, ∂ℒ/∂x after, row-major.
    pub delta: &'a mut [E],
}

/// With g = γ⊙δ and n features, δ ← 1/√(σ² + ε) · (g − Σg/n − x̂·Σgx̂/n) in each row, and the
/// gradients of γ and β.
///
/// ```
/// use deltarule_kernels::{Isa, norm::{Moments, layer}};
/// let (mut gamma, mut beta) = ([0.0f32; 2], [0.0; 2]);
/// let mut delta = [4.0, 1.0];
/// let arguments = layer::Backward {
///     shape: (1, 2),
///     moments: Moments { mean: &[2.0], mean_low: &[0.0], inverse_std: &[1.0] },
///     gamma: &[1.0, 10.0],
///     x: &[1.0, 3.0],
///     gamma_gradient: &mut gamma,
///     beta_gradient: &mut beta,
///     delta: &mut delta,
/// };
/// layer::backward(Isa::detect(), arguments)?;
/// assert_eq!((gamma, beta), ([-4.0, 1.0], [4.0, 1.0])); // x̂ is (−1, 1)
/// assert_eq!(delta, [0.0, 0.0]); // of two features x̂ is ±1, whatever they are
/// # Ok::<(), deltarule_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// As [`forward`].
pub fn backward<E: Element>(isa: Isa, arguments: Backward<'_, E>) -> Result<(), ShapeError> {
    let (rows, features) = arguments.shape;
    check_features(rows, features)?;
    let area = checked_area("x", rows, features)?;
    check_length("mean", arguments.moments.mean, rows)?;
    check_length("mean_low", arguments.moments.mean_low, rows)?;
    check_length("inverse_std", arguments.moments.inverse_std, rows)?;
    check_length("gamma", arguments.gamma, features)?;
    check_length("x", arguments.x, area)?;
    check_length("gamma_gradient", arguments.gamma_gradient, features)?;
    check_length("beta_gradient", arguments.beta_gradient, features)?;
    check_length("delta", arguments.delta, area)?;
    E::layer_backward(isa, arguments);
    Ok(())
}

/// Features of which a piece of rows has room for its sums down the columns: less of it for narrower
/// rows, as it is cleared in every call.
const WIDTH: usize = 256;
const WIDE: usize = 2048;

impl<E: Element> Kernel for Backward<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        match self.shape.1 {
            features if features <= WIDTH => self.run_with_room::<S, WIDTH>(simd),
            features if features <= WIDE => self.run_with_room::<S, WIDE>(simd),
            _ => self.run_with_room::<S, 0>(simd),
        }
    }
}

impl<E: Element> Backward<'_, E> {
    /// With room for the sums of a piece of rows, x and δ come from memory once; otherwise from a
    /// cache the second time.
    #[inline(always)]
    fn run_with_room<S: Simd, const ROOM: usize>(mut self, simd: S) {
        let (rows, features) = self.shape;
        let count = E::from_f64(features as f64);
        let mut piece = [[E::ZERO; ROOM]; 2];
        for first in (0..rows).step_by(PIECE_ROWS) {
            let end = rows.min(first + PIECE_ROWS);
            if ROOM > 0 {
                piece.iter_mut().for_each(|sums| sums[..features].fill(E::ZERO));
            } else {
                self.add_to_gradients(simd, first..end);
            }
            for row in first..end {
                let elements = row * features..(row + 1) * features;
                let (x, delta) = (&self.x[elements.clone()], &mut self.delta[elements]);
                let affine = of_row(&self.moments, row);
                let across = AcrossRow { affine, next: [x.as_ptr(), delta.as_ptr()] };
                let read = [x, &*delta, self.gamma];
                let [weighted, along] = if ROOM > 0 {
                    let sums = piece.each_mut().map(|sums| &mut sums[..features]);
                    sum_many_terms(simd, BothWays(across), features, read, sums)
                } else {
                    sum_many_terms(simd, across, features, read, [])
                };
                let through = RowThrough { affine, mean: weighted / count, along: along / count };
                update_all(simd, through, [x, self.gamma], delta, []);
            }
            if ROOM > 0 {
                let totals = [&mut *self.gamma_gradient, &mut *self.beta_gradient];
                for (totals, sums) in totals.into_iter().zip(&piece) {
                    totals.iter_mut().zip(sums).for_each(|(total, &sum)| *total += sum);
                }
            }
        }
    }

    /// Adds the terms of these rows to the gradients.
    #[inline(always)]
    fn add_to_gradients<S: Simd>(&mut self, simd: S, rows: Range<usize>) {
        let features = self.shape.1;
        let elements = rows.start * features..rows.end * features;
        let values = [&self.x[elements.clone()], &self.delta[elements]];
        let values = values.map(|values| MatRef::of_rows(values, features));
        let moments = Moments {
            mean: &self.moments.mean[rows.clone()],
            mean_low: &self.moments.mean_low[rows.clone()],
            inverse_std: &self.moments.inverse_std[rows],
        };
        let sums = [&mut *self.gamma_gradient, &mut *self.beta_gradient];
        add_columns_from_afar(simd, Gradients { moments }, values, [], sums);
    }
}

/// δ·x̂ and δ.
#[derive(Clone, Copy)]
struct Gradients<'a, E> {
    moments: Moments<'a, E>,
}

/// The terms across a row, and those down the columns, added to what the rows before have left.
#[derive(Clone, Copy)]
struct BothWays<E>(AcrossRow<E>);

impl<E: Element> ManyTerms<E, 3, 2, 2> for BothWays<E> {
    #[inline(always)]
    fn add_to_each<V: Lanes<Element = E>>(
        self,
        at: usize,
        [x, delta, gamma]: [V; 3],
        [gamma_sum, beta_sum]: [V; 2],
        sums: [V; 2],
    ) -> ([V; 2], [V; 2]) {
        let ([], sums) = self.0.add_to_each(at, [x, delta, gamma], [], sums);
        (self.0.affine.add_gradients(x, delta, [gamma_sum, beta_sum]), sums)
    }
}

/// The moments of one row.
#[inline(always)]
fn of_row<E: Element>(moments: &Moments<'_, E>, row: usize) -> Affine<E> {
    Affine {
        mean: moments.mean[row],
        mean_low: moments.mean_low[row],
        inverse_std: moments.inverse_std[row],
    }
}

impl<E: Element> ColumnTerms<E, 2, 0, 2> for Gradients<'_, E> {
    #[inline(always)]
    fn add<V: Lanes<Element = E>>(
        self,
        row: usize,
        [x, delta]: [V; 2],
        []: [V; 0],
        sums: [V; 2],
    ) -> [V; 2] {
        of_row(&self.moments, row).add_gradients(x, delta, sums)
    }
}

/// The terms of Σg and Σgx̂.
///
/// What is at `next` is asked for.
#[derive(Clone, Copy)]
struct AcrossRow<E> {
    affine: Affine<E>,
    next: [*const E; 2],
}

impl<E: Element> ManyTerms<E, 3, 0, 2> for AcrossRow<E> {
    #[inline(always)]
    fn add_to_each<V: Lanes<Element = E>>(
        self,
        at: usize,
        [x, delta, gamma]: [V; 3],
        []: [V; 0],
        [weighted, along]: [V; 2],
    ) -> ([V; 0], [V; 2]) {
        for next in self.next {
            x.simd().prefetch(next.wrapping_add(at + FAR_AHEAD / size_of::<E>()));
        }
        let along = (delta * gamma).mul_add(self.affine.normalized(x), along);
        ([], [delta.mul_add(gamma, weighted), along])
    }
}

#[derive(Clone, Copy)]
struct RowThrough<E> {
    affine: Affine<E>,
    mean: E,
    along: E,
}

impl<E: Element> lockstep::Update<E, 2, 0> for RowThrough<E> {
    #[inline(always)]
    fn update<V: Lanes<Element = E>>(
        self,
        _at: usize,
        [x, gamma]: [V; 2],
        delta: V,
        []: [V; 0],
    ) -> (V, [V; 0]) {
        let centered = delta * gamma - x.splat(self.mean);
        let x = self.affine.normalized(x);
        let projected = x.neg_mul_add(x.splat(self.along), centered);
        (projected * x.splat(self.affine.inverse_std), [])
    }
}
