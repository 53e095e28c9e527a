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
use crate::lockstep::{self, update_all};
use crate::reduce::columns::{ColumnTerms, add_columns};
use crate::reduce::fixed_tree::{Terms, sum_terms};
use crate::{Element, Isa, MatRef, ShapeError};

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
        for i in 0..self.shape.0 {
            let elements = i * features..(i + 1) * features;
            let x = &self.x[elements.clone()];
            let mean = sum_terms(simd, Deviations { mean: E::ZERO }, features, [x], []) / count;
            let sum = sum_terms(simd, Deviations { mean }, features, [x], []);
            let squares = sum_terms(simd, SquaredDeviations { mean }, features, [x], []);
            let mean_low = sum / count;
            let splat = |value| epsilon.splat(value);
            let variance =
                super::variance(splat(sum), splat(squares), splat(mean_low), splat(count));
            let inverse_std = super::inverse_std(variance, epsilon).first();
            (self.mean[i], self.mean_low[i], self.inverse_std[i]) = (mean, mean_low, inverse_std);
            let affine = Affine { mean, mean_low, inverse_std };
            update_all(simd, affine, [x, self.gamma, self.beta], &mut self.y[elements], []);
        }
    }
}

/// The terms of Σ(x − mean).
#[derive(Clone, Copy)]
struct Deviations<E> {
    mean: E,
}

impl<E: Element> Terms<E, 1, 0> for Deviations<E> {
    #[inline(always)]
    fn add<V: Lanes<Element = E>>(self, _at: usize, [x]: [V; 1], sum: V) -> ([V; 0], V) {
        ([], sum + (x - x.splat(self.mean)))
    }
}

/// The terms of Σ(x − mean)².
#[derive(Clone, Copy)]
struct SquaredDeviations<E> {
    mean: E,
}

impl<E: Element> Terms<E, 1, 0> for SquaredDeviations<E> {
    #[inline(always)]
    fn add<V: Lanes<Element = E>>(self, _at: usize, [x]: [V; 1], sum: V) -> ([V; 0], V) {
        let deviation = x - x.splat(self.mean);
        ([], deviation.mul_add(deviation, sum))
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
    let (x, delta) = (arguments.x, &*arguments.delta);
    let (x, delta) = (MatRef::new(x, rows, features)?, MatRef::new(delta, rows, features)?);
    let sums = [arguments.gamma_gradient, arguments.beta_gradient];
    E::layer_add_gradients(isa, AddGradients { x, delta, moments: arguments.moments, sums });
    let Backward { shape, moments, gamma, x, delta, .. } = arguments;
    E::layer_backward(isa, Through { shape, moments, gamma, x, delta });
    Ok(())
}

pub(super) struct AddGradients<'a, E> {
    x: MatRef<'a, E>,
    delta: MatRef<'a, E>,
    moments: Moments<'a, E>,
    sums: [&'a mut [E]; 2],
}

impl<E: Element> Kernel for AddGradients<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let terms = Gradients { moments: self.moments };
        add_columns::<S, E, _, 2, 0, 2, 4>(simd, terms, [self.x, self.delta], [], self.sums);
    }
}

/// δ·x̂ and δ.
#[derive(Clone, Copy)]
struct Gradients<'a, E> {
    moments: Moments<'a, E>,
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
        [gamma, beta]: [V; 2],
    ) -> [V; 2] {
        [delta.mul_add(of_row(&self.moments, row).normalized(x), gamma), beta + delta]
    }
}

pub(super) struct Through<'a, E> {
    shape: (usize, usize),
    moments: Moments<'a, E>,
    gamma: &'a [E],
    x: &'a [E],
    delta: &'a mut [E],
}

impl<E: Element> Kernel for Through<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let features = self.shape.1;
        let count = E::from_f64(features as f64);
        for i in 0..self.shape.0 {
            let elements = i * features..(i + 1) * features;
            let (x, delta) = (&self.x[elements.clone()], &mut self.delta[elements]);
            let affine = of_row(&self.moments, i);
            let read = [x, &*delta, self.gamma];
            let mean = sum_terms(simd, Weighted, features, [read[1], read[2]], []) / count;
            let along = sum_terms(simd, Along(affine), features, read, []) / count;
            update_all(simd, RowThrough { affine, mean, along }, [x, self.gamma], delta, []);
        }
    }
}

/// The terms of Σg.
#[derive(Clone, Copy)]
struct Weighted;

impl<E: Element> Terms<E, 2, 0> for Weighted {
    #[inline(always)]
    fn add<V: Lanes<Element = E>>(self, _at: usize, [delta, gamma]: [V; 2], sum: V) -> ([V; 0], V) {
        ([], delta.mul_add(gamma, sum))
    }
}

/// The terms of Σgx̂.
#[derive(Clone, Copy)]
struct Along<E>(Affine<E>);

impl<E: Element> Terms<E, 3, 0> for Along<E> {
    #[inline(always)]
    fn add<V: Lanes<Element = E>>(
        self,
        _at: usize,
        [x, delta, gamma]: [V; 3],
        sum: V,
    ) -> ([V; 0], V) {
        ([], (delta * gamma).mul_add(self.0.normalized(x), sum))
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
