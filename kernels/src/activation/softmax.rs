//! Softmax and log-softmax over rows, with their derivatives.

use crate::dispatch::Kernel;
use crate::error::{check_length, checked_area};
use crate::lanes::columns::{self, NarrowRows};
use crate::lanes::{Lanes, Mask, Simd};
use crate::lockstep::{Quotient, Update, update_all, updates};
use crate::loss::softmax::{Exponentials, exponentials, greatest};
use crate::math::{exp, log1p};
use crate::precompiled::precompiled;
use crate::reduce::Values;
use crate::reduce::fixed_tree::{LANES, Terms, are_narrow, sum_of_columns, sum_terms};
use crate::{Element, Isa, ShapeError};
use core::ops::Range;

/// A function from a row of numbers to a row of probabilities, or of their logarithms.
///
/// ```
/// use deltarule_kernels::{Isa, activation::RowActivation};
/// let mut y = [1.0f32, 1.0, f32::NEG_INFINITY, 0.0, 0.0, 1e30];
/// RowActivation::Softmax.forward_in_place(Isa::detect(), (2, 3), &mut y)?;
/// assert_eq!(y, [0.5, 0.5, 0.0, 0.0, 0.0, 1.0]);
/// # Ok::<(), deltarule_kernels::ShapeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RowActivation {
    /// yⱼ = e^{xⱼ} / Σₖ e^{xₖ}
    Softmax,
    /// yⱼ = xⱼ − ln Σₖ e^{xₖ}
    LogSoftmax,
}

precompiled! {
    /// The kernels of this module.
    RowKernels:
    fn row_forward(
        function: RowActivation,
        isa: Isa,
        columns: usize,
        x: Option<&[Self]>,
        y: &mut [Self],
    ) = forward;
    fn row_backward(
        function: RowActivation,
        isa: Isa,
        columns: usize,
        y: &[Self],
        delta: &mut [Self],
    ) = backward;
}

fn forward<E: Element>(
    function: RowActivation,
    isa: Isa,
    columns: usize,
    x: Option<&[E]>,
    y: &mut [E],
) {
    isa.run(Forward { function, columns, x, y });
}

fn backward<E: Element>(
    function: RowActivation,
    isa: Isa,
    columns: usize,
    y: &[E],
    delta: &mut [E],
) {
    isa.run(Backward { function, columns, y, delta });
}

impl RowActivation {
    /// Each row of y, (rows, columns) and row-major, ← the function of that row.
    ///
    /// Exponentials are taken of x − max x, so no finite x overflows, and are added in the order
    /// of [`crate::reduce`]. The sum for log-softmax leaves the greatest element's 1 to `log1p`, so
    /// that the logarithm of a probability close to 1 keeps its digits. An element of −∞ has
    /// probability 0. A row with NaN, with +∞, or of −∞ only becomes NaN.
    ///
    /// ```
    /// use deltarule_kernels::{Isa, activation::RowActivation};
    /// let mut y = [1e4f64, 1e4 + 3f64.ln()]; // one row; no exponential overflows
    /// RowActivation::Softmax.forward_in_place(Isa::detect(), (1, 2), &mut y)?;
    /// assert!((y[0] - 0.25).abs() < 1e-12 && (y[1] - 0.75).abs() < 1e-12);
    /// # Ok::<(), deltarule_kernels::ShapeError>(())
    /// ```
    ///
    /// # Errors
    /// [`ShapeError`] if `y` does not have rows · columns elements; nothing was written.
    pub fn forward_in_place<E: Element>(
        self,
        isa: Isa,
        (rows, columns): (usize, usize),
        y: &mut [E],
    ) -> Result<(), ShapeError> {
        check_length("y", y, checked_area("y", rows, columns)?)?;
        if columns > 0 {
            E::row_forward(self, isa, columns, None, y);
        }
        Ok(())
    }

    /// [`RowActivation::forward_in_place`], from x to y.
    ///
    /// ```
    /// use deltarule_kernels::{Isa, activation::RowActivation};
    /// let mut y = [0.0f64; 4];
    /// RowActivation::LogSoftmax.forward(Isa::detect(), (2, 2), &[0.0, 0.0, 50.0, 0.0], &mut y)?;
    /// assert!((y[0] + 2f64.ln()).abs() < 1e-15);
    /// assert!((y[2] / -(-50f64).exp() - 1.0).abs() < 1e-14); // a probability of almost 1
    /// # Ok::<(), deltarule_kernels::ShapeError>(())
    /// ```
    ///
    /// # Errors
    /// [`ShapeError`] if `x` or `y` does not have rows · columns elements; nothing was written.
    pub fn forward<E: Element>(
        self,
        isa: Isa,
        (rows, columns): (usize, usize),
        x: &[E],
        y: &mut [E],
    ) -> Result<(), ShapeError> {
        let area = checked_area("x", rows, columns)?;
        check_length("x", x, area)?;
        check_length("y", y, area)?;
        if columns > 0 {
            E::row_forward(self, isa, columns, Some(x), y);
        }
        Ok(())
    }

    /// δ ← δ times the function's Jacobian, from its output y: for softmax
    /// δⱼ ← yⱼ(δⱼ − Σₖ δₖyₖ), for log-softmax δⱼ ← δⱼ − e^{yⱼ} Σₖ δₖ.
    ///
    /// ```
    /// use deltarule_kernels::{Isa, activation::RowActivation};
    /// let mut delta = [1.0f64, 0.0];
    /// RowActivation::Softmax.backward(Isa::detect(), (1, 2), &[0.25, 0.75], &mut delta)?;
    /// assert_eq!(delta, [0.25 * 0.75, -0.75 * 0.25]);
    /// # Ok::<(), deltarule_kernels::ShapeError>(())
    /// ```
    ///
    /// # Errors
    /// [`ShapeError`] if `y` or `delta` does not have rows · columns elements; nothing was written.
    pub fn backward<E: Element>(
        self,
        isa: Isa,
        (rows, columns): (usize, usize),
        y: &[E],
        delta: &mut [E],
    ) -> Result<(), ShapeError> {
        let area = checked_area("y", rows, columns)?;
        check_length("y", y, area)?;
        check_length("delta", delta, area)?;
        if columns > 0 {
            E::row_backward(self, isa, columns, y, delta);
        }
        Ok(())
    }
}

struct Forward<'a, E> {
    function: RowActivation,
    columns: usize,
    /// From y if there is none.
    x: Option<&'a [E]>,
    y: &'a mut [E],
}

impl<E: Element> Kernel for Forward<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let columns = self.columns.max(1);
        let rows = self.y.len() / columns;
        if are_narrow(rows, columns) {
            return columns::run_narrow(simd, rows, self);
        }
        // An x elsewhere is read where it is: to copy it to y first takes up to 2.8 times as long, since
        // a row of y is then written in pieces while the next one of x, perhaps at the same place of
        // its page, is read.
        for (i, y) in self.y.chunks_exact_mut(columns).enumerate() {
            let x = self.x.map(|x| &x[i * columns..(i + 1) * columns]);
            let from = x.unwrap_or(&*y);
            let max = greatest(simd, from);
            match self.function {
                RowActivation::Softmax => {
                    update_from(simd, Exponential { max }, x, y);
                    let sum = sum_terms(simd, Values, y.len(), [&*y], []);
                    update_all(simd, Quotient { divisor: sum }, [], y, []);
                }
                RowActivation::LogSoftmax => {
                    let but = first_equal(simd, from, max);
                    let terms = Discarded(Exponentials { max, but });
                    let others = sum_terms(simd, terms, from.len(), [from], []);
                    let log_sum = log1p(E::Lanes::splat_in(simd, others)).first();
                    // An infinite maximum is not among the terms, so it makes its NaN here.
                    let log_sum = log_sum + max * E::ZERO;
                    update_from(simd, Less { max, log_sum }, x, y);
                }
            }
        }
    }
}

impl<E: Element> NarrowRows<E> for Forward<'_, E> {
    #[inline(always)]
    fn run<V: Lanes<Element = E>>(&mut self, simd: V::Simd, rows: Range<usize>) {
        let columns = self.columns;
        let zero = V::splat_in(simd, E::ZERO);
        let (mut x, mut out, mut others) = ([zero; LANES], [zero; LANES], [zero; LANES]);
        for first in rows.clone().step_by(V::LEN) {
            let rows_on = &self.x.unwrap_or(&*self.y)[first * columns..];
            columns::load(simd, rows_on, columns, &mut x);
            let x = &x[..columns];
            let max = exponentials(simd, x, &mut out);
            match self.function {
                RowActivation::Softmax => {
                    let sum = sum_of_columns(&out);
                    let terms = &mut out[..columns];
                    let mut j = 0;
                    while j < columns {
                        terms[j] = terms[j] / sum;
                        j += 1;
                    }
                }
                RowActivation::LogSoftmax => {
                    let mut left_out = zero;
                    let one = zero.splat(E::ONE);
                    let (terms, all_others) = (&mut out[..columns], &mut others);
                    let others = &mut all_others[..columns];
                    let mut j = 0;
                    while j < columns {
                        let is_max = x[j].eq(max);
                        let is_first = is_max & left_out.eq(zero);
                        left_out = one.select(is_max, left_out);
                        others[j] = zero.select(is_first, terms[j]);
                        j += 1;
                    }
                    let others = sum_of_columns(all_others);
                    let log_sum = log1p(others) + max * zero;
                    j = 0;
                    while j < columns {
                        terms[j] = x[j] - max - log_sum;
                        j += 1;
                    }
                }
            }
            let end = rows.end.min(first + V::LEN);
            columns::store(simd, &out, columns, &mut self.y[first * columns..end * columns]);
        }
    }
}

struct Backward<'a, E> {
    function: RowActivation,
    columns: usize,
    y: &'a [E],
    delta: &'a mut [E],
}

impl<E: Element> Kernel for Backward<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let columns = self.columns.max(1);
        let rows = self.y.len() / columns;
        if are_narrow(rows, columns) {
            return columns::run_narrow(simd, rows, self);
        }
        let rows = self.y.chunks_exact(columns);
        for (y, delta) in rows.zip(self.delta.chunks_exact_mut(columns)) {
            match self.function {
                RowActivation::Softmax => {
                    let sum = sum_terms(simd, Products, y.len(), [y, &*delta], []);
                    update_all(simd, SoftmaxDerivative { sum }, [y], delta, []);
                }
                RowActivation::LogSoftmax => {
                    let sum = sum_terms(simd, Values, y.len(), [&*delta], []);
                    update_all(simd, LogSoftmaxDerivative { sum }, [y], delta, []);
                }
            }
        }
    }
}

impl<E: Element> NarrowRows<E> for Backward<'_, E> {
    #[inline(always)]
    fn run<V: Lanes<Element = E>>(&mut self, simd: V::Simd, rows: Range<usize>) {
        let columns = self.columns;
        let is_softmax = self.function == RowActivation::Softmax;
        let zero = V::splat_in(simd, E::ZERO);
        let (mut y, mut delta, mut products) = ([zero; LANES], [zero; LANES], [zero; LANES]);
        for first in rows.clone().step_by(V::LEN) {
            columns::load(simd, &self.y[first * columns..], columns, &mut y);
            columns::load(simd, &self.delta[first * columns..], columns, &mut delta);
            let y = &y[..columns];
            let mut j = 0;
            if is_softmax {
                let (errors, terms) = (&mut delta[..columns], &mut products[..columns]);
                while j < columns {
                    terms[j] = y[j] * errors[j];
                    j += 1;
                }
                let sum = sum_of_columns(&products);
                j = 0;
                while j < columns {
                    errors[j] = y[j] * (errors[j] - sum);
                    j += 1;
                }
            } else {
                let sum = sum_of_columns(&delta);
                let errors = &mut delta[..columns];
                while j < columns {
                    errors[j] = exp(y[j]).neg_mul_add(sum, errors[j]);
                    j += 1;
                }
            }
            let end = rows.end.min(first + V::LEN);
            let deltas = &mut self.delta[first * columns..end * columns];
            columns::store(simd, &delta, columns, deltas);
        }
    }
}

/// The index of the first element that equals `value`; the number of elements if none does.
#[inline(always)]
fn first_equal<S: Simd, E: Element>(simd: S, x: &[E], value: E) -> usize {
    let wanted = E::Lanes::splat_in(simd, value);
    for (i, chunk) in x.chunks(E::Lanes::<S>::LEN).enumerate() {
        if E::Lanes::load_partial(simd, chunk).eq(wanted).any()
            && let Some(j) = chunk.iter().position(|&x| x == value)
        {
            return i * E::Lanes::<S>::LEN + j;
        }
    }
    x.len()
}

/// Products of two.
#[derive(Clone, Copy)]
struct Products;

impl<E: Element> Terms<E, 2, 0> for Products {
    const IS_LIGHT: bool = true;

    #[inline(always)]
    fn add<V: Lanes<Element = E>>(self, _at: usize, [x, y]: [V; 2], sum: V) -> ([V; 0], V) {
        ([], x.mul_add(y, sum))
    }
}

/// Terms that are not written.
#[derive(Clone, Copy)]
struct Discarded<T>(T);

impl<E: Element, T: Terms<E, 1, 1>> Terms<E, 1, 0> for Discarded<T> {
    #[inline(always)]
    fn add<V: Lanes<Element = E>>(self, at: usize, read: [V; 1], sum: V) -> ([V; 0], V) {
        let (_, sum) = self.0.add(at, read, sum);
        ([], sum)
    }
}

/// An update of y as if its elements were those of an x elsewhere.
#[derive(Clone, Copy)]
struct Elsewhere<U>(U);

impl<E: Element, U: Update<E, 0, 0>> Update<E, 1, 0> for Elsewhere<U> {
    #[inline(always)]
    fn update<V: Lanes<Element = E>>(
        self,
        at: usize,
        [x]: [V; 1],
        _y: V,
        []: [V; 0],
    ) -> (V, [V; 0]) {
        self.0.update(at, [], x, [])
    }
}

/// y ← update(x), x being y itself if there is none.
#[inline(always)]
fn update_from<S: Simd, E: Element>(
    simd: S,
    update: impl Update<E, 0, 0>,
    x: Option<&[E]>,
    y: &mut [E],
) {
    match x {
        Some(x) => update_all(simd, Elsewhere(update), [x], y, []),
        None => update_all(simd, update, [], y, []),
    }
}

updates! {
    /// e^{x − max}.
    Exponential { max }: 0 (; x) => exp(x - max);
    /// x − max − log_sum.
    Less { max, log_sum }: 0 (; x) => x - max - log_sum;
    /// y·(δ − sum).
    SoftmaxDerivative { sum }: 1 (y; delta) => y * (delta - sum);
    /// δ − e^y·sum.
    LogSoftmaxDerivative { sum }: 1 (y; delta) => exp(y).neg_mul_add(sum, delta);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference;
    use crate::testing::{assert_isas_agree, same_bits, values};

    const BOTH: [RowActivation; 2] = [RowActivation::Softmax, RowActivation::LogSoftmax];

    fn forward<E: Element>(f: RowActivation, isa: Isa, columns: usize, x: &[E]) -> Vec<E> {
        let shape = (x.len() / columns, columns);
        let mut y = vec![E::HALF; x.len()];
        f.forward(isa, shape, x, &mut y).unwrap();
        let mut in_place = x.to_vec();
        f.forward_in_place(isa, shape, &mut in_place).unwrap();
        assert!(y.iter().zip(&in_place).all(|(&a, &b)| same_bits(a, b)));
        y
    }

    fn check_reference<E: Element>(tolerance: f64) {
        for f in BOTH {
            for columns in (1..=70).chain([1000]) {
                let x: Vec<E> = values(1, 3 * columns);
                let delta: Vec<E> = values(2, 3 * columns);
                for isa in Isa::available() {
                    let y = forward(f, isa, columns, &x);
                    let mut gradient = delta.clone();
                    f.backward(isa, (3, columns), &y, &mut gradient).unwrap();
                    for row in 0..3 {
                        let range = row * columns..(row + 1) * columns;
                        let exact = reference::row_activation(f, &x[range.clone()]);
                        for (&y, &exact) in y[range.clone()].iter().zip(&exact) {
                            let error = (y.to_f64() - exact).abs();
                            assert!(error <= tolerance * exact.abs().max(1e-300), "{f:?} {isa}");
                        }
                        let exact = reference::row_activation_backward(
                            f,
                            &y[range.clone()],
                            &delta[range.clone()],
                        );
                        for (&g, &exact) in gradient[range].iter().zip(&exact) {
                            let error = (g.to_f64() - exact).abs();
                            assert!(error <= tolerance * 16.0, "{f:?}′ {isa} {columns}");
                        }
                    }
                }
                let y = assert_isas_agree(|isa| forward(f, isa, columns, &x));
                assert_isas_agree(|isa| {
                    let mut gradient = delta.clone();
                    f.backward(isa, (3, columns), &y, &mut gradient).unwrap();
                    gradient
                });
            }
        }
    }

    #[test]
    fn rows_and_gradients_agree_with_the_reference() {
        check_reference::<f32>(2e-6);
        check_reference::<f64>(4e-15);
    }

    /// Rows of more than 16 elements, of which those behind the first few are masked.
    fn check_narrow_rows<E: Element>() {
        for (isa, f) in Isa::available().flat_map(|isa| BOTH.map(|f| (isa, f))) {
            for columns in 1..=16 {
                let narrow: Vec<E> = values(columns as u64, 37 * columns);
                let delta: Vec<E> = values(4, 37 * columns);
                let widened = |rows: &[E], fill: E| -> Vec<E> {
                    let rows = rows.chunks(columns);
                    rows.flat_map(|row| row.iter().copied().chain([fill; 17]).take(17)).collect()
                };
                let y = forward(f, isa, columns, &narrow);
                let wide = forward(f, isa, 17, &widened(&narrow, -E::INFINITY));
                let mut gradient = delta.clone();
                f.backward(isa, (37, columns), &y, &mut gradient).unwrap();
                let mut wide_gradient = widened(&delta, E::ZERO);
                f.backward(isa, (37, 17), &wide, &mut wide_gradient).unwrap();
                for (i, row) in wide.chunks(17).enumerate() {
                    let at = i * columns..(i + 1) * columns;
                    assert_eq!(y[at.clone()], row[..columns], "{isa}: {f:?}: {columns}");
                    let row = &wide_gradient[17 * i..][..columns];
                    assert_eq!(gradient[at], *row, "{isa}: {f:?}′: {columns}");
                }
            }
        }
    }

    #[test]
    fn narrow_rows_have_the_bits_of_wide_ones() {
        check_narrow_rows::<f32>();
        check_narrow_rows::<f64>();
    }

    #[test]
    fn extreme_and_masked_elements() {
        let (inf, nan) = (f64::INFINITY, f64::NAN);
        let rows: [([f64; 3], [f64; 3]); 6] = [
            ([1e30, -1e30, 0.0], [1.0, 0.0, 0.0]),
            ([-inf, 2.0, -inf], [0.0, 1.0, 0.0]),
            ([-inf, -1e30, -1e30], [0.0, 0.5, 0.5]),
            ([-inf, -inf, -inf], [nan; 3]),
            ([inf, 0.0, 0.0], [nan; 3]),
            ([0.0, nan, 5.0], [nan; 3]),
        ];
        for isa in Isa::available() {
            for (x, expected) in rows {
                let y = forward(RowActivation::Softmax, isa, 3, &x);
                let log = forward(RowActivation::LogSoftmax, isa, 3, &x);
                // Among other rows, where several go together.
                let many = forward(RowActivation::Softmax, isa, 3, &[x, x, x].concat());
                let many_log = forward(RowActivation::LogSoftmax, isa, 3, &[x, x, x].concat());
                for j in 0..9 {
                    assert!(same_bits(many[j], y[j % 3]), "{isa} {x:?}: {many:?}");
                    assert!(same_bits(many_log[j], log[j % 3]), "{isa} {x:?}: {many_log:?}");
                }
                for j in 0..3 {
                    assert!(same_bits(y[j], expected[j]), "{isa} {x:?}: {y:?}");
                    assert_eq!(log[j].is_nan(), expected[j].is_nan(), "{isa} {x:?}: {log:?}");
                    if expected[j] > 0.0 && expected[j] < 1.0 {
                        assert_eq!(log[j], expected[j].ln());
                    }
                }
            }
        }
    }

    /// ln(1/(1 + e⁻³⁰)) is −e⁻³⁰, not 0.
    #[test]
    fn the_logarithm_of_a_probability_close_to_1_keeps_its_digits() {
        for isa in Isa::available() {
            let y = forward(RowActivation::LogSoftmax, isa, 2, &[0.0f32, 30.0]);
            let exact = -(-30f64).exp();
            assert!((f64::from(y[1]) - exact).abs() < 1e-6 * exact.abs(), "{isa}: {y:?}");
        }
    }

    #[test]
    fn nan_stays_in_its_row() {
        for isa in Isa::available() {
            for at in 0..37 {
                let mut x: Vec<f32> = values(3, 3 * 37);
                x[37 + at] = f32::NAN;
                for f in BOTH {
                    let y = forward(f, isa, 37, &x);
                    for (i, y) in y.iter().enumerate() {
                        assert_eq!(y.is_nan(), i / 37 == 1, "{f:?} {isa} {at} {i}");
                    }
                }
            }
        }
    }

    #[test]
    fn wrong_sizes_are_errors_and_nothing_is_written() {
        let isa = Isa::detect();
        let mut y = [7.0f32; 6];
        let f = RowActivation::Softmax;
        assert!(f.forward(isa, (2, 2), &[0.0; 4], &mut y).is_err());
        assert!(f.forward_in_place(isa, (2, 4), &mut y).is_err());
        assert!(f.backward(isa, (2, 3), &[0.0; 5], &mut y).is_err());
        assert!(f.forward_in_place(isa, (usize::MAX, 2), &mut y).is_err());
        assert_eq!(y, [7.0; 6]);
        assert!(f.forward_in_place::<f32>(isa, (5, 0), &mut []).is_ok());
    }
}
