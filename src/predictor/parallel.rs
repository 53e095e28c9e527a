//! Many rows on many threads.

use deltarule_kernels::Element;
use rayon::prelude::*;

use super::Predictor;
#[cfg(doc)]
use crate::Error;
use crate::error::{Result, checked_area, try_vec, whole_rows};
use crate::layers::check_categories;
use crate::network::BLOCK_ROWS;

/// The rows that a thread takes at a time: they take longer than to hand them over, and to make a
/// workspace for them.
const PIECE_ROWS: usize = 4 * BLOCK_ROWS;

impl<E: Element> Predictor<E> {
    /// [`Predictor::predict`] on all threads of rayon's current pool, for rows that are many: a file
    /// to be scored, say. It is the same bits. Up to 1,024 rows stay on the calling thread.
    ///
    /// ```
    /// use deltarule::{Activation, Network};
    /// let network =
    ///     Network::builder(2).dense(64, Activation::Relu).dense(1, Activation::Identity).build()?;
    /// let predictor = network.freeze()?;
    /// let x: Vec<f32> = (0..20_000).map(|i| (i % 100) as f32 / 100.0).collect();
    /// assert_eq!(predictor.predict_parallel(&x)?, predictor.predict(&x)?);
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Predictor::predict`], and [`Error::OutOfMemory`] if there is no memory for the outputs
    /// and for a [`Workspace`](crate::Workspace) or two for each thread.
    pub fn predict_parallel(&self, x: &[E]) -> Result<Vec<E>> {
        let rows = whole_rows("x", x.len(), self.inputs)?;
        if rows <= PIECE_ROWS {
            return self.predict(x);
        }
        check_categories(&self.ops, "x", x, 0)?;
        let mut out = try_vec("out", checked_area("out", rows, self.outputs)?)?;
        x.par_chunks(PIECE_ROWS * self.inputs)
            .zip(out.par_chunks_mut(PIECE_ROWS * self.outputs))
            .try_for_each_init(
            || self.workspace(),
            |workspace, (x, out)| match workspace {
                Ok(workspace) => self.run(x, out, workspace),
                Err(error) => Err(error.clone()),
            },
        )?;
        Ok(out)
    }
}
