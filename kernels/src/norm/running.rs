//! The running statistics of batch normalization, which evaluation uses in a batch's place.

use crate::dispatch::Kernel;
use crate::error::check_length;
use crate::lanes::{Lanes, Simd};
use crate::lockstep::{self, update_all, updates};
use crate::{Element, Isa, ShapeError};

/// `out[j] = 1/√(variance[j] + ε)`: for the running variance.
///
/// ```
/// let mut out = [0.0f32];
/// let isa = deltarule_kernels::Isa::detect();
/// deltarule_kernels::norm::batch::inverse_std(isa, &[3.0], 1.0, &mut out)?;
/// assert_eq!(out, [0.5]);
/// # Ok::<(), deltarule_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError::Length`] if the slices differ in length; nothing was written.
pub fn inverse_std<E: Element>(
    isa: Isa,
    variance: &[E],
    epsilon: f64,
    out: &mut [E],
) -> Result<(), ShapeError> {
    check_length("out", out, variance.len())?;
    E::batch_inverse_std(isa, InverseStd { variance, epsilon: E::from_f64(epsilon), out });
    Ok(())
}

pub(super) struct InverseStd<'a, E> {
    variance: &'a [E],
    epsilon: E,
    out: &'a mut [E],
}

impl<E: Element> Kernel for InverseStd<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        update_all(simd, InverseRoot { epsilon: self.epsilon }, [self.variance], self.out, []);
    }
}

updates! {
    /// 1/√(variance + ε).
    InverseRoot { epsilon }: 1 (variance; out) => super::inverse_std(variance, epsilon);
}

/// The running statistics that evaluation uses: r ← r + momentum · (s − r), for the mean and for
/// the unbiased variance Σ(x − μ)²/(n − 1) (with n = 1, the biased one, 0).
///
/// `momentum` is the weight of the new value, as in PyTorch.
///
/// ```
/// use deltarule_kernels::{Isa, norm::batch::update_running};
/// let (mut mean, mut variance) = ([0.0f32], [1.0]);
/// // Of 2 rows: σ² = 4 is 8 without bias.
/// update_running(Isa::detect(), 0.25, 2, (&[2.0], &[4.0]), &mut mean, &mut variance)?;
/// assert_eq!((mean, variance), ([0.5], [1.0 + 0.25 * (8.0 - 1.0)]));
/// # Ok::<(), deltarule_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError::Length`] if a slice has another length than `running_mean`,
/// [`ShapeError::Zero`] if `rows` is 0; nothing was written.
pub fn update_running<E: Element>(
    isa: Isa,
    momentum: f64,
    rows: usize,
    (mean, variance): (&[E], &[E]),
    running_mean: &mut [E],
    running_variance: &mut [E],
) -> Result<(), ShapeError> {
    if rows == 0 {
        return Err(ShapeError::Zero { argument: "rows" });
    }
    let columns = running_mean.len();
    check_length("mean", mean, columns)?;
    check_length("variance", variance, columns)?;
    check_length("running_variance", running_variance, columns)?;
    let weight = E::from_f64(momentum);
    if weight == E::ONE {
        // Nothing is left of the past, and not of its rounding either.
        running_mean.fill(E::ZERO);
        running_variance.fill(E::ZERO);
    }
    let unbiased = E::from_f64(rows as f64 / rows.saturating_sub(1).max(1) as f64);
    E::batch_update_running(
        isa,
        UpdateRunning { weight, unbiased, mean, variance, running_mean, running_variance },
    );
    Ok(())
}

pub(super) struct UpdateRunning<'a, E> {
    weight: E,
    unbiased: E,
    mean: &'a [E],
    variance: &'a [E],
    running_mean: &'a mut [E],
    running_variance: &'a mut [E],
}

impl<E: Element> Kernel for UpdateRunning<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let running = Running { weight: self.weight, unbiased: self.unbiased };
        let read = [self.mean, self.variance];
        update_all(simd, running, read, self.running_mean, [self.running_variance]);
    }
}

#[derive(Clone, Copy)]
struct Running<E> {
    weight: E,
    unbiased: E,
}

impl<E: Element> lockstep::Update<E, 2, 1> for Running<E> {
    #[inline(always)]
    fn update<V: Lanes<Element = E>>(
        self,
        _at: usize,
        [mean, variance]: [V; 2],
        running_mean: V,
        [running_variance]: [V; 1],
    ) -> (V, [V; 1]) {
        let weight = mean.splat(self.weight);
        let unbiased = variance * mean.splat(self.unbiased);
        (
            (mean - running_mean).mul_add(weight, running_mean),
            [(unbiased - running_variance).mul_add(weight, running_variance)],
        )
    }
}
