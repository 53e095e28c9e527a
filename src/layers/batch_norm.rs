//! Batch normalization.
//!
//! Its moments lie in an arena of their own, which all rows share: μ, what its rounding lost,
//! 1/√(σ² + ε), σ², and then ∂γ and ∂β, each an element a feature. They are of the batch in
//! training, and made of the running statistics in evaluation and where the layer is frozen.

use core::ops::Range;
use deltarule_kernels::norm::{Moments, batch};
use deltarule_kernels::{Element, Isa, MatRef, ShapeError, reduce};

use super::norm::Affine;
use super::{Backward, Compiler, Forward, LayerRef, Operation, Part, Pass, Shape, add};
use crate::error::{Error, Result};
use crate::init::Init;
use crate::optimizer::check;
use crate::random::Random;

/// Slices of moments.
const MOMENTS: usize = 6;

/// A batch normalization; where the running mean, and the running variance after it, lie in the
/// network's statistics, and where its moments.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct BatchNorm {
    affine: Affine,
    momentum: f64,
    statistics: usize,
    moments: usize,
}

/// A batch normalization of a network, to look at: y = γ (x − μ)/√(σ² + ε) + β.
///
/// ```
/// use deltarule::{LayerRef, Network};
/// let network = Network::builder(3).batch_norm().build()?;
/// let Some(LayerRef::BatchNorm(norm)) = network.layer(0) else { unreachable!() };
/// assert_eq!((norm.momentum, norm.epsilon, norm.affine), (0.1, 1e-5, true));
/// assert_eq!((norm.gamma, norm.beta), (&[1.0; 3][..], &[0.0; 3][..]));
/// assert_eq!((norm.running_mean, norm.running_variance), (&[0.0; 3][..], &[1.0; 3][..]));
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct BatchNormRef<'a, E> {
    /// The weight of a new batch in the running statistics.
    pub momentum: f64,
    /// ε.
    pub epsilon: f64,
    /// Whether γ and β are learned.
    pub affine: bool,
    /// γ.
    pub gamma: &'a [E],
    /// β.
    pub beta: &'a [E],
    /// μ in evaluation.
    pub running_mean: &'a [E],
    /// σ² in evaluation.
    pub running_variance: &'a [E],
}

impl BatchNorm {
    pub(super) fn new(
        to: &mut Compiler,
        momentum: f64,
        epsilon: f64,
        affine: bool,
    ) -> Result<Self> {
        let is_share = momentum > 0.0 && momentum <= 1.0;
        check("momentum", momentum, is_share, "above 0 and at most 1")?;
        let affine = Affine::new(to, epsilon, affine)?;
        let (features, statistics, moments) = (affine.features, to.statistics, to.moments);
        // There are as many parameters as statistics at least.
        to.statistics += 2 * features;
        to.moments = features
            .checked_mul(MOMENTS)
            .and_then(|count| count.checked_add(moments))
            .ok_or(Error::Overflow { argument: "moments", rows: MOMENTS, columns: features })?;
        Ok(Self { affine, momentum, statistics, moments })
    }

    fn running_mean(&self) -> Range<usize> {
        self.statistics..self.statistics + self.affine.features
    }

    fn running_variance(&self) -> Range<usize> {
        self.statistics + self.affine.features..self.statistics + 2 * self.affine.features
    }

    fn all_moments(&self) -> Range<usize> {
        self.moments..self.moments + MOMENTS * self.affine.features
    }

    fn slices<'a, E>(&self, moments: &'a [E]) -> [&'a [E]; MOMENTS] {
        let mut slices = moments[self.all_moments()].chunks_exact(self.affine.features);
        [(); MOMENTS].map(|()| slices.next().unwrap_or_default())
    }

    fn slices_mut<'a, E>(&self, moments: &'a mut [E]) -> [&'a mut [E]; MOMENTS] {
        let mut slices = moments[self.all_moments()].chunks_exact_mut(self.affine.features);
        [(); MOMENTS].map(|()| slices.next().unwrap_or_default())
    }

    /// Sets the moments to the running ones, with gradients of 0.
    pub(crate) fn use_running<E: Element>(
        &self,
        isa: Isa,
        statistics: &[E],
        moments: &mut [E],
    ) -> Result<(), ShapeError> {
        let running_variance = &statistics[self.running_variance()];
        let [mean, mean_low, inverse_std, _, gamma_gradient, beta_gradient] =
            self.slices_mut(moments);
        mean.copy_from_slice(&statistics[self.running_mean()]);
        mean_low.fill(E::ZERO);
        gamma_gradient.fill(E::ZERO);
        beta_gradient.fill(E::ZERO);
        batch::inverse_std(isa, running_variance, self.affine.epsilon, inverse_std)
    }

    /// Sets the moments so that the layer is x ↦ γ (x − c)·f + β. What the rounding of c loses is
    /// kept.
    pub(crate) fn use_map<E: Element>(&self, centers: &[f64], factors: &[f64], moments: &mut [E]) {
        let [mean, mean_low, inverse_std, ..] = self.slices_mut(moments);
        for (index, (&center, &factor)) in centers.iter().zip(factors).enumerate() {
            mean[index] = E::from_f64(center);
            mean_low[index] = E::from_f64(center - mean[index].to_f64());
            inverse_std[index] = E::from_f64(factor);
        }
    }

    /// Lets the moments of a batch of so many rows into the running ones.
    pub(crate) fn update_running<E: Element>(
        &self,
        isa: Isa,
        rows: usize,
        moments: &[E],
        statistics: &mut [E],
    ) -> Result<(), ShapeError> {
        let [mean, _, _, variance, ..] = self.slices(moments);
        let running = &mut statistics[self.running_mean().start..self.running_variance().end];
        let (running_mean, running_variance) = running.split_at_mut(self.affine.features);
        let of_batch = (mean, variance);
        batch::update_running(isa, self.momentum, rows, of_batch, running_mean, running_variance)
    }

    /// The first variance of a batch that is infinite or NaN, if there is one.
    pub(crate) fn bad_variance<E: Element>(&self, isa: Isa, moments: &[E]) -> Option<E> {
        let [_, _, _, variance, ..] = self.slices(moments);
        reduce::first_non_finite(isa, variance).map(|index| variance[index])
    }

    /// Where to write the moments of a batch, column by column.
    pub(crate) fn moment_columns<'a, E>(&self, moments: &'a mut [E]) -> ColumnSums<'a, E, 4> {
        let [mean, mean_low, inverse_std, variance, ..] = self.slices_mut(moments);
        ColumnSums { first: 0, sums: [mean, mean_low, inverse_std, variance] }
    }

    /// The moments of some columns, from blocks of the input's rows.
    pub(crate) fn sum_moments<'a, E: Element>(
        &self,
        isa: Isa,
        blocks: impl Iterator<Item = &'a [E]> + Clone,
        columns: ColumnSums<'_, E, 4>,
    ) -> Result<(), ShapeError> {
        let count = columns.count();
        let first = columns.first;
        let blocks = blocks.map(|x| self.columns(x, first, count));
        let [mean, mean_low, inverse_std, variance] = columns.sums;
        let statistics = batch::StatisticsMut { mean, mean_low, variance, inverse_std };
        batch::statistics(isa, blocks, self.affine.epsilon, statistics)
    }

    fn columns<'a, E: Element>(&self, x: &'a [E], first: usize, count: usize) -> MatRef<'a, E> {
        let shape = (x.len() / self.affine.features, count);
        MatRef::with_strides(&x[first..], shape, (self.affine.features, 1))
            .expect("a block has whole rows of all columns")
    }

    /// ∂γ and ∂β, to write column by column, and the moments that they are written from.
    pub(crate) fn gradient_columns<'a, E>(
        &self,
        moments: &'a mut [E],
    ) -> (Moments<'a, E>, ColumnSums<'a, E, 2>) {
        let [mean, mean_low, inverse_std, _, gamma_gradient, beta_gradient] =
            self.slices_mut(moments);
        let moments = Moments { mean, mean_low, inverse_std };
        (moments, ColumnSums { first: 0, sums: [gamma_gradient, beta_gradient] })
    }

    /// ∂γ and ∂β of some columns, from blocks of the input's rows and their δ.
    pub(crate) fn sum_gradients<'a, E: Element>(
        &self,
        isa: Isa,
        moments: Moments<'_, E>,
        blocks: impl Iterator<Item = (&'a [E], &'a [E])>,
        columns: ColumnSums<'_, E, 2>,
    ) -> Result<(), ShapeError> {
        let (first, count) = (columns.first, columns.count());
        let part = first..first + count;
        let moments = Moments {
            mean: &moments.mean[part.clone()],
            mean_low: &moments.mean_low[part.clone()],
            inverse_std: &moments.inverse_std[part],
        };
        let [gamma_gradient, beta_gradient] = columns.sums;
        gamma_gradient.fill(E::ZERO);
        beta_gradient.fill(E::ZERO);
        for (x, delta) in blocks {
            let (x, delta) = (self.columns(x, first, count), self.columns(delta, first, count));
            batch::add_gradients(isa, x, delta, moments, gamma_gradient, beta_gradient)?;
        }
        Ok(())
    }

    /// Adds ∂γ, and ∂β after it.
    pub(crate) fn add_gradient<E: Element>(
        &self,
        isa: Isa,
        moments: &[E],
        gradient: &mut [E],
    ) -> Result<(), ShapeError> {
        let end = self.all_moments().end;
        add(isa, &moments[end - 2 * self.affine.features..end], gradient)
    }
}

impl Shape for BatchNorm {
    fn outputs(&self) -> usize {
        self.affine.features
    }

    fn learns(&self) -> bool {
        self.affine.is_learned
    }

    fn parts(&self, _: usize) -> Vec<(Part, usize)> {
        self.affine.parts()
    }
}

impl<E: Element> Operation<E> for BatchNorm {
    fn view<'a>(&'a self, parameters: &'a [E], statistics: &'a [E]) -> LayerRef<'a, E> {
        LayerRef::BatchNorm(BatchNormRef {
            momentum: self.momentum,
            epsilon: self.affine.epsilon,
            affine: self.affine.is_learned,
            gamma: self.affine.gamma(parameters),
            beta: self.affine.beta(parameters),
            running_mean: &statistics[self.running_mean()],
            running_variance: &statistics[self.running_variance()],
        })
    }

    fn begin(&self, _: Option<Init>, _: &mut Random, parameters: &mut [E], statistics: &mut [E]) {
        self.affine.begin(parameters);
        statistics[self.running_variance()].fill(E::ONE);
    }

    fn forward(&self, pass: &Pass<'_, E>, io: Forward<'_, E>) -> Result<(), ShapeError> {
        let [mean, mean_low, inverse_std, ..] = self.slices(pass.moments);
        let moments = Moments { mean, mean_low, inverse_std };
        let gamma = self.affine.gamma(pass.parameters);
        batch::normalize(pass.isa, moments, gamma, self.affine.beta(pass.parameters), io.x, io.y)
    }

    /// With gradients of 0, as a frozen layer has, δ ← γ δ/√(σ² + ε).
    fn backward(&self, pass: &Pass<'_, E>, io: Backward<'_, E>) -> Result<(), ShapeError> {
        let [mean, mean_low, inverse_std, _, gamma_gradient, beta_gradient] =
            self.slices(pass.moments);
        let arguments = batch::Backward {
            batch_rows: pass.batch_rows,
            moments: Moments { mean, mean_low, inverse_std },
            gamma: self.affine.gamma(pass.parameters),
            gamma_gradient,
            beta_gradient,
            x: io.stored.x,
            delta: io.delta,
        };
        batch::backward(pass.isa, arguments)
    }
}

/// Sums over the rows of a batch, of some neighbouring columns.
#[derive(Debug)]
pub(crate) struct ColumnSums<'a, E, const N: usize> {
    first: usize,
    sums: [&'a mut [E]; N],
}

impl<E, const N: usize> ColumnSums<'_, E, N> {
    pub(crate) fn count(&self) -> usize {
        self.sums[0].len()
    }

    /// The first `at` columns, and the others.
    pub(crate) fn split_at(self, at: usize) -> (Self, Self) {
        let first = self.first;
        let mut after = [(); N].map(|()| Default::default());
        let mut places = after.iter_mut();
        let before = self.sums.map(|sums| {
            let (before, rest) = sums.split_at_mut(at);
            if let Some(place) = places.next() {
                *place = rest;
            }
            before
        });
        (Self { first, sums: before }, Self { first: first + at, sums: after })
    }
}
