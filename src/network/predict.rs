//! Predictions of a network.

use deltarule_kernels::Element;

use super::Network;
use super::route::Workspace;
#[cfg(doc)]
use crate::Error;
use crate::error::{Result, check_length, checked_area, try_vec, whole_rows};
use crate::layers::{Forward, LayerRef, Op, Pass};
use crate::metrics::classes_of_rows;

impl<E: Element> Network<E> {
    /// The outputs for every row of `x`, (rows, [`Network::inputs`]) row-major.
    ///
    /// The outputs of a row are the same bits alone as in any batch. A row that holds NaN gives
    /// NaN. All is done on the calling thread: rows that are many can be shared out to threads.
    ///
    /// ```
    /// use deltarule::{Activation, Error, Network};
    /// let network = Network::builder(2).dense(3, Activation::Sigmoid).build()?;
    /// let y = network.predict(&[0.5, 1.0, -2.0, 0.0])?; // two rows
    /// assert_eq!(y.len(), 2 * 3);
    /// assert_eq!(y[..3], network.predict(&[0.5, 1.0])?);
    /// let error = network.predict(&[0.5, 1.0, -2.0]).unwrap_err();
    /// assert_eq!(error, Error::PartialRow { argument: "x", length: 3, columns: 2 });
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Empty`] or [`Error::PartialRow`] if `x` is not one whole row or more,
    /// [`Error::Category`] if a categorical column does not hold the index of a category.
    pub fn predict(&self, x: &[E]) -> Result<Vec<E>> {
        let rows = whole_rows("x", x.len(), self.inputs())?;
        let mut out = try_vec("out", checked_area("out", rows, self.outputs())?)?;
        self.predict_into(x, &mut out, &mut Workspace::new(self)?)?;
        Ok(out)
    }

    /// [`Network::predict`] into a slice, without an allocation.
    ///
    /// ```
    /// use deltarule::{Activation, Network, Workspace};
    /// let network = Network::builder(2).dense(3, Activation::Sigmoid).build()?;
    /// let mut workspace = Workspace::new(&network)?;
    /// let mut y = [0.0; 3];
    /// for x in [[0.5, 1.0], [-2.0, 0.0]] {
    ///     network.predict_into(&x, &mut y, &mut workspace)?;
    ///     assert_eq!(y[..], network.predict(&x)?);
    /// }
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Network::predict`]; [`Error::Length`] if `out` is not (rows, [`Network::outputs`]),
    /// or if the workspace was made for a smaller network. Nothing was written then.
    pub fn predict_into(&self, x: &[E], out: &mut [E], workspace: &mut Workspace<E>) -> Result<()> {
        let rows = whole_rows("x", x.len(), self.inputs())?;
        check_length("out", out.len(), checked_area("out", rows, self.outputs())?)?;
        workspace.check(&self.route)?;
        self.check_categories("x", x, 0)?;
        self.use_running_statistics(&mut workspace.moments)?;
        let Workspace { buffers, moments, .. } = workspace;
        let pass = Pass::evaluation(self.isa, &self.parameters, moments);
        self.route.run(&self.ops, &pass, x, out, buffers)
    }

    /// Gives `see` every layer with its index and its outputs for the rows of `x`,
    /// (rows, outputs) row-major, as they are in a prediction.
    ///
    /// ```
    /// use deltarule::{Activation, Network};
    /// let network = Network::builder(2)
    ///     .dense(3, Activation::Relu)
    ///     .dense(1, Activation::Identity)
    ///     .build()?;
    /// let mut widths = Vec::new();
    /// network.trace(&[0.5, 1.0], |_, _, outputs| widths.push(outputs.len()))?;
    /// assert_eq!(widths, [3, 1]);
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Network::predict`]; [`Error::OutOfMemory`] if there is no memory for the outputs of all
    /// layers.
    pub fn trace(&self, x: &[E], mut see: impl FnMut(usize, LayerRef<'_, E>, &[E])) -> Result<()> {
        let rows = whole_rows("x", x.len(), self.inputs())?;
        self.check_categories("x", x, 0)?;
        let mut moments = try_vec("moments", self.moments_len())?;
        self.use_running_statistics(&mut moments)?;
        let pass = Pass::evaluation(self.isa, &self.parameters, &moments);
        let mut outputs: Vec<Vec<E>> = Vec::with_capacity(self.ops.len());
        for (index, (op, layer)) in self.ops.iter().zip(self.layers()).enumerate() {
            let shape = op.shape();
            let area = |columns| checked_area("activations", rows, columns);
            let mut y = try_vec("activations", area(shape.outputs())?)?;
            let mut kept = try_vec("activations", area(shape.kept_columns(true))?)?;
            let mut scratch = match op {
                Op::Dense(dense) => {
                    try_vec("scratch", dense.scratch_len::<E>(self.isa, rows, false)?)?
                }
                _ => Vec::new(),
            };
            let output_of = |index: Option<usize>| index.map_or(x, |index| &outputs[index]);
            let io = Forward {
                rows,
                x: output_of(index.checked_sub(1)),
                skip: shape.skips_from().map_or(&[], |first| output_of(first.checked_sub(1))),
                y: &mut y,
                kept: &mut kept,
                scratch: &mut scratch,
            };
            op.operation().forward(&pass, io)?;
            see(index, layer, &y);
            outputs.push(y);
        }
        Ok(())
    }

    /// The class of every row of `x`: the index of its largest output, the first of equals. A single
    /// output, as after a training on binary cross-entropy, is class 1's logit: the class is 1
    /// where it is above 0, and 0 elsewhere.
    ///
    /// ```
    /// use deltarule::{Activation, Network};
    /// let mut network = Network::builder(1).dense(3, Activation::Identity).build()?;
    /// network.parameters_mut()[..3].copy_from_slice(&[-1.0, 0.0, 2.0]);
    /// assert_eq!(network.classify(&[1.0, -1.0, 0.0])?, [2, 0, 0]);
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Network::predict`]; [`Error::NonFinite`](crate::Error::NonFinite) if an output is NaN, as that
    /// of a row with NaN is.
    pub fn classify(&self, x: &[E]) -> Result<Vec<usize>> {
        classes_of_rows(&self.predict(x)?, self.outputs())
    }
}

impl<E: Element> Workspace<E> {
    /// Buffers for this network, and for all that are no wider.
    ///
    /// # Errors
    /// [`Error::Overflow`] or [`Error::OutOfMemory`] if they would be too large.
    pub fn new(network: &Network<E>) -> Result<Self> {
        Self::for_route(&network.route)
    }
}
