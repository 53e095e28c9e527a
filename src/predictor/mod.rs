//! A network frozen for predictions.

mod builder;
mod fold;
mod parallel;
mod rank;

pub use builder::PredictorBuilder;
pub use rank::Ranked;

use core::fmt;
use deltarule_kernels::activation::{Activation, RowActivation};
use deltarule_kernels::math::Function;
use deltarule_kernels::{Aligned, Element, Isa};

use crate::error::{Result, check_length, checked_area, try_vec, whole_rows};
use crate::layers::{Op, Pass, Weights, check_categories};
use crate::metrics::classes_of_rows;
use crate::network::{Network, Route, Workspace};
#[cfg(doc)]
use crate::{Error, Layer, data::Scaling};

/// A network frozen for predictions: nothing of it changes any more, so that it can be shared by
/// any number of threads, behind an [`Arc`](std::sync::Arc) or a reference, each with a
/// [`Workspace`] of its own.
///
/// Weights are packed once in the order in which products read them. [`Layer::Dropout`] is gone.
/// Batch normalization x ↦ (x − μ)·f + β, f = γ/√(σ² + ε), and a [`Scaling`] of the inputs become
/// part of the dense layer W x + b beside them, whose numbers are computed in f64 and rounded once:
///
/// - behind one that has no activation, W ← diag(f) W and b ← (b − μ)·f + β;
/// - before one, W ← W diag(f) and b ← b + W (β − f·μ), if no |μ| is more than 64 standard
///   deviations (with a scaling, no |c·f| is more than 64), and W is not stored in fewer bytes;
///
/// unless a residual block needs what is between the two, or a weight would overflow f32; then they
/// stay a layer. With n inputs of a layer and u half an ulp of 1, the folded layer is within
/// (n + 2)·u·(Σᵢ |wᵢ xᵢ| + |b|) of the exact value, to first order in u, w and b folded. An
/// activation behind a dense layer without one is computed with it.
///
/// If nothing is folded, the outputs are those of [`Network::predict`] bit for bit.
///
/// ```
/// use deltarule::{Activation, Network};
/// let network = Network::builder(4)
///     .dense_without_bias(16, Activation::Identity)
///     .batch_norm()
///     .activation(Activation::Relu)
///     .dropout(0.2)
///     .dense(3, Activation::Identity)
///     .build()?;
/// let predictor = network.freeze()?;
/// assert_eq!((predictor.inputs(), predictor.outputs()), (4, 3));
/// assert_eq!(predictor.isa(), network.isa());
/// let mut workspace = predictor.workspace()?; // one a thread
/// let mut scores = [0.0; 3];
/// predictor.predict_into(&[5.1, 3.5, 1.4, 0.2], &mut scores, &mut workspace)?;
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Clone)]
pub struct Predictor<E: Element = f32> {
    isa: Isa,
    inputs: usize,
    outputs: usize,
    ops: Vec<Op>,
    /// Of all operations, but the weights of dense layers that are elsewhere.
    parameters: Aligned<E>,
    weights: Vec<Weights<E>>,
    moments: Vec<E>,
    route: Route,
    head: Head,
}

/// What becomes of a network's outputs.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Head {
    None,
    Softmax,
    Sigmoid,
    Exp,
}

impl<E: Element> Network<E> {
    /// A copy of the network as it is now, frozen for predictions. [`Predictor::builder`] has
    /// choices.
    ///
    /// ```
    /// use deltarule::{Activation, Network};
    /// let mut network =
    ///     Network::builder(2).dense(8, Activation::Relu).dense(3, Activation::Identity).build()?;
    /// let predictor = network.freeze()?;
    /// assert_eq!(predictor.predict(&[0.5, 1.0])?, network.predict(&[0.5, 1.0])?);
    /// // It stays what it was when the network goes on.
    /// network.parameters_mut().fill(0.0);
    /// assert_ne!(predictor.predict(&[0.5, 1.0])?, network.predict(&[0.5, 1.0])?);
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`PredictorBuilder::build`].
    pub fn freeze(&self) -> Result<Predictor<E>> {
        Predictor::builder(self).build()
    }
}

impl<E: Element> Predictor<E> {
    /// Begins a predictor of the network as it is now.
    pub fn builder(network: &Network<E>) -> PredictorBuilder<'_, E> {
        PredictorBuilder::new(network)
    }

    /// The elements of an input row.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// The elements of an output row.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// The instruction set that the kernels run on.
    pub fn isa(&self) -> Isa {
        self.isa
    }

    /// The buffers that [`Predictor::predict_into`] works in, for this predictor and for all whose
    /// layers are no wider.
    ///
    /// ```
    /// use deltarule::{Activation, Network};
    /// let network = Network::builder(2).dense(1, Activation::Sigmoid).build()?;
    /// let predictor = network.freeze()?;
    /// std::thread::scope(|scope| {
    ///     for x in [[0.5, 1.0], [-2.0, 0.0]] {
    ///         let predictor = &predictor;
    ///         scope.spawn(move || {
    ///             let (mut workspace, mut y) = (predictor.workspace()?, [0.0]);
    ///             predictor.predict_into(&x, &mut y, &mut workspace)?;
    ///             assert_eq!(y[..], predictor.predict(&x)?);
    ///             Ok::<(), deltarule::Error>(())
    ///         });
    ///     }
    /// });
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Overflow`] or [`Error::OutOfMemory`] if they would be too large.
    pub fn workspace(&self) -> Result<Workspace<E>> {
        Workspace::for_route(&self.route)
    }

    /// The outputs for every row of `x`, (rows, [`Predictor::inputs`]) row-major.
    ///
    /// The outputs of a row are the same bits alone as in any batch. A row that holds NaN gives
    /// NaN. All is done on the calling thread; [`Predictor::predict_parallel`] shares rows that are
    /// many out to threads.
    ///
    /// ```
    /// use deltarule::{Activation, Error, Network};
    /// let predictor = Network::builder(2).dense(3, Activation::Identity).build()?.freeze()?;
    /// let y = predictor.predict(&[0.5, 1.0, -2.0, 0.0])?; // two rows
    /// assert_eq!(y.len(), 2 * predictor.outputs());
    /// assert_eq!(y[..3], predictor.predict(&[0.5, 1.0])?);
    /// let error = predictor.predict(&[0.5]).unwrap_err();
    /// assert_eq!(error, Error::PartialRow { argument: "x", length: 1, columns: 2 });
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Empty`] or [`Error::PartialRow`] if `x` is not one whole row or more,
    /// [`Error::Category`] if a categorical column does not hold the index of a category.
    pub fn predict(&self, x: &[E]) -> Result<Vec<E>> {
        let rows = whole_rows("x", x.len(), self.inputs)?;
        let mut out = try_vec("out", checked_area("out", rows, self.outputs)?)?;
        self.predict_into(x, &mut out, &mut self.workspace()?)?;
        Ok(out)
    }

    /// [`Predictor::predict`] into a slice, without an allocation.
    ///
    /// ```
    /// use deltarule::{Activation, Error, Network};
    /// let predictor = Network::builder(2).dense(1, Activation::Tanh).build()?.freeze()?;
    /// let (mut workspace, mut y) = (predictor.workspace()?, [0.0; 2]);
    /// predictor.predict_into(&[0.5, 1.0, -2.0, 0.0], &mut y, &mut workspace)?;
    /// assert_eq!(y[..], predictor.predict(&[0.5, 1.0, -2.0, 0.0])?);
    /// let error = predictor.predict_into(&[0.5, 1.0], &mut y, &mut workspace).unwrap_err();
    /// assert_eq!(error, Error::Length { argument: "out", expected: 1, actual: 2 });
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Predictor::predict`]; [`Error::Length`] if `out` is not (rows, [`Predictor::outputs`]),
    /// or if the workspace was made for a smaller predictor. Nothing was written then.
    pub fn predict_into(&self, x: &[E], out: &mut [E], workspace: &mut Workspace<E>) -> Result<()> {
        let rows = whole_rows("x", x.len(), self.inputs)?;
        check_length("out", out.len(), checked_area("out", rows, self.outputs)?)?;
        self.check(x, workspace)?;
        self.run(x, out, workspace)
    }

    fn check(&self, x: &[E], workspace: &Workspace<E>) -> Result<()> {
        workspace.check(&self.route)?;
        check_categories(&self.ops, "x", x, 0)
    }

    /// What the layers make of arguments that were checked.
    fn run_layers(&self, x: &[E], out: &mut [E], workspace: &mut Workspace<E>) -> Result<()> {
        let pass = Pass {
            weights: &self.weights,
            ..Pass::evaluation(self.isa, &self.parameters, &self.moments)
        };
        self.route.run(&self.ops, &pass, x, out, &mut workspace.buffers)
    }

    /// [`Predictor::predict_into`] of arguments that were checked.
    fn run(&self, x: &[E], out: &mut [E], workspace: &mut Workspace<E>) -> Result<()> {
        self.run_layers(x, out, workspace)?;
        match self.head {
            Head::None => {}
            Head::Softmax => {
                let shape = (x.len() / self.inputs, self.outputs);
                RowActivation::Softmax.forward_in_place(self.isa, shape, out)?;
            }
            Head::Sigmoid => Activation::Sigmoid.forward_in_place(self.isa, out),
            Head::Exp => Function::Exp.evaluate_in_place(self.isa, out),
        }
        Ok(())
    }

    /// The class of every row of `x`: the index of its largest output, the first of equals. A single
    /// output, as after a training on binary cross-entropy, is class 1's logit, whatever is made of
    /// it then: the class is 1 where it is above 0, and 0 elsewhere.
    ///
    /// ```
    /// use deltarule::{Activation, Network};
    /// let mut network = Network::builder(1).dense(3, Activation::Identity).build()?;
    /// network.parameters_mut()[..3].copy_from_slice(&[-1.0, 0.0, 2.0]);
    /// assert_eq!(network.freeze()?.classify(&[1.0, -1.0, 0.0])?, [2, 0, 0]);
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Predictor::predict`]; [`Error::NonFinite`](crate::Error::NonFinite) if an output is NaN, as
    /// that of a row with NaN is.
    pub fn classify(&self, x: &[E]) -> Result<Vec<usize>> {
        let rows = whole_rows("x", x.len(), self.inputs)?;
        let mut workspace = self.workspace()?;
        self.check(x, &workspace)?;
        let mut logits = try_vec("out", checked_area("out", rows, self.outputs)?)?;
        self.run_layers(x, &mut logits, &mut workspace)?;
        classes_of_rows(&logits, self.outputs)
    }
}

impl<E: Element> fmt::Debug for Predictor<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Predictor")
            .field("isa", &self.isa)
            .field("inputs", &self.inputs)
            .field("outputs", &self.outputs)
            .field("layers", &self.ops.len())
            .field("head", &self.head)
            .finish_non_exhaustive()
    }
}
