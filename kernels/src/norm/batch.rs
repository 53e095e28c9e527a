//! Batch normalization: each column over the rows of a batch.
//!
//! In training: [`statistics`], [`update_running`], [`normalize`]; then [`add_gradients`] and
//! [`backward`]. In evaluation: [`inverse_std`] of the running variance, and [`normalize`] with the
//! running mean (and zeros for what its rounding lost).
//!
//! [`statistics`] and [`add_gradients`] need all rows, but a column does not depend on another: a
//! caller with threads gives each some columns. [`normalize`] and [`backward`] may be called on
//! any block of rows. Source: S. Ioffe, C. Szegedy, ICML 2015. An example of a whole batch is that
//! of [`super`].

pub use super::running::{inverse_std, update_running};

use super::{Moments, normalized};
use crate::dispatch::Kernel;
use crate::error::{check_length, checked_area};
use crate::lanes::{Lanes, Simd};
use crate::lockstep::{self, Quotient, RowsUpdate, update_all, update_rows};
use crate::reduce::columns::{ColumnTerms, add_columns, is_far};
use crate::{Element, Isa, MatRef, ShapeError};

/// Where [`statistics`] writes: an element a column in each slice.
#[derive(Debug)]
pub struct StatisticsMut<'a, E> {
    /// μ, rounded.
    pub mean: &'a mut [E],
    /// What the rounding of μ lost.
    pub mean_low: &'a mut [E],
    /// σ² = Σ(x − μ)²/n.
    pub variance: &'a mut [E],
    /// 1/√(σ² + ε).
    pub inverse_std: &'a mut [E],
}

/// Mean and variance of each column of a batch, which is given in blocks of rows.
///
/// The bits are those of one block of all rows, if every block but the last has a multiple of
/// [`PIECE_ROWS`](crate::reduce::PIECE_ROWS) rows; those of a column do not depend on the others.
///
/// ```
/// use deltarule_kernels::{Isa, MatRef, norm::batch::{StatisticsMut, statistics}};
/// let [mut mean, mut mean_low, mut variance, mut inverse_std] = [[0.0f32]; 4];
/// let to = StatisticsMut {
///     mean: &mut mean,
///     mean_low: &mut mean_low,
///     variance: &mut variance,
///     inverse_std: &mut inverse_std,
/// };
/// // Rows 1 and 2, then row 3.
/// let blocks = [MatRef::new(&[1.0, 3.0], 2, 1)?, MatRef::new(&[8.0], 1, 1)?];
/// statistics(Isa::detect(), blocks, 0.0, to)?;
/// assert_eq!((mean[0] + mean_low[0], variance[0]), (4.0, 26.0 / 3.0));
/// # Ok::<(), deltarule_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError::Zero`] if there are no rows, [`ShapeError::Length`] if a slice of `statistics`
/// does not have an element for each column of a block; nothing was written.
pub fn statistics<'a, E: Element>(
    isa: Isa,
    blocks: impl IntoIterator<Item = MatRef<'a, E>, IntoIter: Clone>,
    epsilon: f64,
    statistics: StatisticsMut<'_, E>,
) -> Result<(), ShapeError> {
    let StatisticsMut { mean, mean_low, variance, inverse_std } = statistics;
    let blocks = blocks.into_iter();
    let mut rows = 0;
    for x in blocks.clone() {
        check_length("mean", mean, x.columns())?;
        check_length("mean_low", mean_low, x.columns())?;
        check_length("variance", variance, x.columns())?;
        check_length("inverse_std", inverse_std, x.columns())?;
        let error = ShapeError::Overflow { argument: "rows", rows, columns: x.columns() };
        rows = x.rows().checked_add(rows).ok_or(error)?;
    }
    if rows == 0 {
        return Err(ShapeError::Zero { argument: "rows" });
    }
    // Rows without elements may be very many.
    if mean.is_empty() {
        return Ok(());
    }
    let count = E::from_f64(rows as f64);
    mean.fill(E::ZERO);
    for x in blocks.clone() {
        E::add_column_sums(isa, x, mean);
    }
    E::batch_mean(isa, Mean { count, mean });
    mean_low.fill(E::ZERO);
    variance.fill(E::ZERO);
    for x in blocks {
        E::batch_add_deviations(isa, AddDeviations { x, mean, sums: [mean_low, variance] });
    }
    let epsilon = E::from_f64(epsilon);
    E::batch_finish(isa, FinishStatistics { count, epsilon, mean_low, variance, inverse_std });
    Ok(())
}

pub(super) struct Mean<'a, E> {
    count: E,
    mean: &'a mut [E],
}

impl<E: Element> Kernel for Mean<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        update_all(simd, Quotient { divisor: self.count }, [], self.mean, []);
    }
}

pub(super) struct AddDeviations<'a, E> {
    x: MatRef<'a, E>,
    mean: &'a [E],
    sums: [&'a mut [E]; 2],
}

impl<E: Element> Kernel for AddDeviations<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let (is_far, x) = (is_far(&self.x), [self.x]);
        add_columns::<S, E, _, 1, 1, 2, 4>(simd, Deviations, x, [self.mean], self.sums, is_far);
    }
}

pub(super) struct FinishStatistics<'a, E> {
    count: E,
    epsilon: E,
    mean_low: &'a mut [E],
    variance: &'a mut [E],
    inverse_std: &'a mut [E],
}

impl<E: Element> Kernel for FinishStatistics<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let finish = Finish { count: self.count, epsilon: self.epsilon };
        update_all(simd, finish, [], self.variance, [self.mean_low, self.inverse_std]);
    }
}

/// d = x − mean, and d².
#[derive(Clone, Copy)]
struct Deviations;

impl<E: Element> ColumnTerms<E, 1, 1, 2> for Deviations {
    #[inline(always)]
    fn add<V: Lanes<Element = E>>(
        self,
        _row: usize,
        [x]: [V; 1],
        [mean]: [V; 1],
        [sum, squares]: [V; 2],
    ) -> [V; 2] {
        let deviation = x - mean;
        [sum + deviation, deviation.mul_add(deviation, squares)]
    }
}

/// From Σd² and Σd to the variance, what the mean lost, and 1/√(σ² + ε).
#[derive(Clone, Copy)]
struct Finish<E> {
    count: E,
    epsilon: E,
}

impl<E: Element> lockstep::Update<E, 0, 2> for Finish<E> {
    #[inline(always)]
    fn update<V: Lanes<Element = E>>(
        self,
        _at: usize,
        []: [V; 0],
        squares: V,
        [sum, _]: [V; 2],
    ) -> (V, [V; 2]) {
        let count = sum.splat(self.count);
        let mean_low = sum / count;
        let variance = super::variance(sum, squares, mean_low, count);
        (variance, [mean_low, super::inverse_std(variance, sum.splat(self.epsilon))])
    }
}

/// Checks what describes the columns.
fn check_columns<E>(
    columns: usize,
    moments: Moments<'_, E>,
    parameters: [(&'static str, &[E]); 2],
) -> Result<(), ShapeError> {
    check_length("mean", moments.mean, columns)?;
    check_length("mean_low", moments.mean_low, columns)?;
    check_length("inverse_std", moments.inverse_std, columns)?;
    for (argument, slice) in parameters {
        check_length(argument, slice, columns)?;
    }
    Ok(())
}

/// y = γ·x̂ + β for the rows of `x`, row-major with an element of γ and β a column.
///
/// ```
/// use deltarule_kernels::{Isa, norm::{Moments, batch::normalize}};
/// let moments = Moments { mean: &[1.0f32, 0.0], mean_low: &[0.0; 2], inverse_std: &[0.5, 1.0] };
/// let mut y = [0.0; 4]; // two rows of two columns
/// normalize(Isa::detect(), moments, &[1.0, 3.0], &[0.0, 7.0], &[3.0, 1.0, 1.0, 0.0], &mut y)?;
/// assert_eq!(y, [1.0, 10.0, 0.0, 7.0]);
/// # Ok::<(), deltarule_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError::Length`] if `y` differs from `x` in length or `x` is not made of whole rows, or a
/// slice of `moments` or β does not have as many elements as γ; nothing was written.
pub fn normalize<E: Element>(
    isa: Isa,
    moments: Moments<'_, E>,
    gamma: &[E],
    beta: &[E],
    x: &[E],
    y: &mut [E],
) -> Result<(), ShapeError> {
    check_columns(gamma.len(), moments, [("gamma", gamma), ("beta", beta)])?;
    check_rows("x", x, gamma.len())?;
    check_length("y", y, x.len())?;
    E::batch_normalize(isa, Normalize { moments, gamma, beta, x, y });
    Ok(())
}

/// Checks that a slice is made of whole rows.
fn check_rows<E>(argument: &'static str, x: &[E], columns: usize) -> Result<(), ShapeError> {
    let rows = x.len().checked_div(columns).unwrap_or(0);
    check_length(argument, x, checked_area(argument, rows, columns)?)
}

pub(super) struct Normalize<'a, E> {
    moments: Moments<'a, E>,
    gamma: &'a [E],
    beta: &'a [E],
    x: &'a [E],
    y: &'a mut [E],
}

impl<E: Element> Kernel for Normalize<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Moments { mean, mean_low, inverse_std } = self.moments;
        let of_column = [mean, mean_low, inverse_std, self.gamma, self.beta];
        update_rows(simd, Affine, self.x, of_column, self.y);
    }
}

/// y = γ·x̂ + β.
#[derive(Clone, Copy)]
struct Affine;

impl<E: Element> RowsUpdate<E, 5> for Affine {
    #[inline(always)]
    fn update<V: Lanes<Element = E>>(
        self,
        x: V,
        [mean, mean_low, inverse_std, gamma, beta]: [V; 5],
        _y: V,
    ) -> V {
        normalized(x, mean, mean_low, inverse_std).mul_add(gamma, beta)
    }
}

/// `gamma_gradient[j] += Σᵢ δᵢⱼ·x̂ᵢⱼ` and `beta_gradient[j] += Σᵢ δᵢⱼ`, δ = ∂ℒ/∂y, in the order of
/// [`crate::reduce::add_column_sums`].
///
/// ```
/// use deltarule_kernels::{Isa, MatRef, norm::{Moments, batch::add_gradients}};
/// let moments = Moments { mean: &[1.0f32], mean_low: &[0.0], inverse_std: &[0.5] };
/// let (x, delta) = (MatRef::new(&[3.0, -1.0], 2, 1)?, MatRef::new(&[4.0, 1.0], 2, 1)?);
/// let (mut gamma, mut beta) = ([0.0], [0.0]);
/// add_gradients(Isa::detect(), x, delta, moments, &mut gamma, &mut beta)?;
/// assert_eq!((gamma, beta), ([4.0 - 1.0], [4.0 + 1.0])); // x̂ is 1 and −1
/// # Ok::<(), deltarule_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError::Length`] if `delta` is not of the shape of `x` (its rows are named `delta.rows`),
/// or a slice does not have an element a column; nothing was written.
pub fn add_gradients<E: Element>(
    isa: Isa,
    x: MatRef<'_, E>,
    delta: MatRef<'_, E>,
    moments: Moments<'_, E>,
    gamma_gradient: &mut [E],
    beta_gradient: &mut [E],
) -> Result<(), ShapeError> {
    for (argument, expected, actual) in
        [("delta.rows", x.rows(), delta.rows()), ("delta.columns", x.columns(), delta.columns())]
    {
        if expected != actual {
            return Err(ShapeError::Length { argument, expected, actual });
        }
    }
    let gradients = [("gamma_gradient", &*gamma_gradient), ("beta_gradient", &*beta_gradient)];
    check_columns(x.columns(), moments, gradients)?;
    if x.columns() == 0 {
        return Ok(());
    }
    E::batch_add_gradients(isa, AddGradients { x, delta, moments, gamma_gradient, beta_gradient });
    Ok(())
}

pub(super) struct AddGradients<'a, E> {
    x: MatRef<'a, E>,
    delta: MatRef<'a, E>,
    moments: Moments<'a, E>,
    gamma_gradient: &'a mut [E],
    beta_gradient: &'a mut [E],
}

impl<E: Element> Kernel for AddGradients<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Moments { mean, mean_low, inverse_std } = self.moments;
        let of_column = [mean, mean_low, inverse_std];
        let (values, sums) = ([self.x, self.delta], [self.gamma_gradient, self.beta_gradient]);
        let is_far = is_far(&self.x);
        add_columns::<S, E, _, 2, 3, 2, 4>(simd, Gradients, values, of_column, sums, is_far);
    }
}

/// δ·x̂ and δ.
#[derive(Clone, Copy)]
struct Gradients;

impl<E: Element> ColumnTerms<E, 2, 3, 2> for Gradients {
    #[inline(always)]
    fn add<V: Lanes<Element = E>>(
        self,
        _row: usize,
        [x, delta]: [V; 2],
        [mean, mean_low, inverse_std]: [V; 3],
        [gamma, beta]: [V; 2],
    ) -> [V; 2] {
        let x = normalized(x, mean, mean_low, inverse_std);
        [delta.mul_add(x, gamma), beta + delta]
    }
}

/// The arguments of [`backward`].
#[derive(Debug)]
pub struct Backward<'a, E> {
    /// n, the rows that the moments are of.
    pub batch_rows: usize,
    /// The moments.
    pub moments: Moments<'a, E>,
    /// γ.
    pub gamma: &'a [E],
    /// Σ δ·x̂ of this batch alone, from [`add_gradients`] on zeros.
    pub gamma_gradient: &'a [E],
    /// Σ δ of this batch alone.
    pub beta_gradient: &'a [E],
    /// A block of rows of the input.
    pub x: &'a [E],
    /// The same rows: ∂ℒ/∂y before, ∂ℒ/∂x after.
    pub delta: &'a mut [E],
}

/// δ ← γ/√(σ² + ε) · (δ − Σδ/n − x̂·Σδx̂/n): back through the mean and the variance.
///
/// ```
/// use deltarule_kernels::{Isa, norm::{Moments, batch::{Backward, backward}}};
/// let mut delta = [4.0f32, 1.0];
/// let arguments = Backward {
///     batch_rows: 2,
///     moments: Moments { mean: &[1.0], mean_low: &[0.0], inverse_std: &[0.5] },
///     gamma: &[1.0],
///     gamma_gradient: &[3.0],
///     beta_gradient: &[5.0],
///     x: &[3.0, -1.0],
///     delta: &mut delta,
/// };
/// backward(Isa::detect(), arguments)?;
/// assert_eq!(delta, [0.0, 0.0]); // of two rows x̂ is ±1, whatever they are
/// # Ok::<(), deltarule_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError::Length`] if `delta` differs from `x` in length or `x` is not made of whole rows,
/// or another slice does not have as many elements as γ; [`ShapeError::Zero`] if `batch_rows` is 0;
/// nothing was written.
pub fn backward<E: Element>(isa: Isa, arguments: Backward<'_, E>) -> Result<(), ShapeError> {
    let Backward { batch_rows, moments, gamma, gamma_gradient, beta_gradient, x, .. } = arguments;
    if batch_rows == 0 {
        return Err(ShapeError::Zero { argument: "batch_rows" });
    }
    let gradients = [("gamma_gradient", gamma_gradient), ("beta_gradient", beta_gradient)];
    check_columns(gamma.len(), moments, gradients)?;
    check_rows("x", x, gamma.len())?;
    check_length("delta", arguments.delta, x.len())?;
    E::batch_backward(isa, arguments);
    Ok(())
}

impl<E: Element> Kernel for Backward<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Moments { mean, mean_low, inverse_std } = self.moments;
        let through = Through { inverse_count: E::from_f64(1.0 / self.batch_rows as f64) };
        let (gamma, sums) = (self.gamma, [self.gamma_gradient, self.beta_gradient]);
        let of_column = [mean, mean_low, inverse_std, gamma, sums[0], sums[1]];
        update_rows(simd, through, self.x, of_column, self.delta);
    }
}

#[derive(Clone, Copy)]
struct Through<E> {
    inverse_count: E,
}

impl<E: Element> RowsUpdate<E, 6> for Through<E> {
    #[inline(always)]
    fn update<V: Lanes<Element = E>>(
        self,
        x: V,
        [mean, mean_low, inverse_std, gamma, gamma_gradient, beta_gradient]: [V; 6],
        delta: V,
    ) -> V {
        let inverse_count = x.splat(self.inverse_count);
        let x = normalized(x, mean, mean_low, inverse_std);
        let centered = beta_gradient.neg_mul_add(inverse_count, delta);
        let projected = x.neg_mul_add(gamma_gradient * inverse_count, centered);
        gamma * inverse_std * projected
    }
}
