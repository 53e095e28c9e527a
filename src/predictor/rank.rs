//! The classes that a predictor holds most likely.

use deltarule_kernels::Element;

use super::Predictor;
use crate::error::{Error, Result, check_length, checked_area, try_vec, whole_rows};
use crate::network::{BLOCK_ROWS, Workspace};

/// A class, and the output that speaks for it.
///
/// ```
/// use deltarule::{Activation, Network, Ranked};
/// let mut network = Network::builder(1).dense(2, Activation::Identity).build()?;
/// network.parameters_mut().copy_from_slice(&[1.0, 3.0, 0.0, 0.0]);
/// let names = ["cat", "dog"];
/// let best: Vec<Ranked> = network.freeze()?.top_k(&[1.0, -1.0], 1)?;
/// assert_eq!([names[best[0].class], names[best[1].class]], ["dog", "cat"]);
/// assert_eq!([best[0].score, best[1].score], [3.0, -1.0]);
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Ranked<E = f32> {
    /// The index of the output.
    pub class: usize,
    /// The output.
    pub score: E,
}

impl<E: Element> Predictor<E> {
    /// The `k` classes of the largest outputs of every row of `x`, row after row, the largest
    /// first. Of equals, the smaller index is first; NaN is the least.
    ///
    /// ```
    /// use deltarule::{Activation, Network, Predictor};
    /// let mut network = Network::builder(1).dense(3, Activation::Identity).build()?;
    /// network.parameters_mut().copy_from_slice(&[1.0, 3.0, 2.0, 0.0, 0.0, 0.0]);
    /// let predictor = Predictor::builder(&network).softmax(true).build()?;
    /// let best = predictor.top_k(&[1.0], 2)?;
    /// assert_eq!([best[0].class, best[1].class], [1, 2]);
    /// assert!((best[0].score - 0.665).abs() < 1e-3);
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Predictor::predict`]; [`Error::Zero`] if `k` is 0, [`Error::OutOfRange`] if it is more
    /// than [`Predictor::outputs`].
    pub fn top_k(&self, x: &[E], k: usize) -> Result<Vec<Ranked<E>>> {
        let rows = whole_rows("x", x.len(), self.inputs)?;
        self.check_k(k)?;
        let mut ranked = try_vec("ranked", checked_area("ranked", rows, k)?)?;
        self.top_k_into(x, k, &mut ranked, &mut self.workspace()?)?;
        Ok(ranked)
    }

    /// [`Predictor::top_k`] into a slice, without an allocation.
    ///
    /// ```
    /// use deltarule::{Activation, Error, Network, Ranked};
    /// let predictor = Network::builder(2).dense(5, Activation::Identity).build()?.freeze()?;
    /// let (mut workspace, mut best) = (predictor.workspace()?, [Ranked::default(); 3]);
    /// for x in [[0.5, 1.0], [-2.0, 0.0]] {
    ///     predictor.top_k_into(&x, 3, &mut best, &mut workspace)?;
    ///     assert_eq!(best[..], predictor.top_k(&x, 3)?);
    /// }
    /// let error = predictor.top_k(&[0.5, 1.0], 6).unwrap_err();
    /// assert_eq!(error.to_string(), "`k` is 6, but it must be at most the number of outputs");
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Predictor::top_k`] and [`Predictor::predict_into`]. Nothing was written then.
    pub fn top_k_into(
        &self,
        x: &[E],
        k: usize,
        ranked: &mut [Ranked<E>],
        workspace: &mut Workspace<E>,
    ) -> Result<()> {
        let rows = whole_rows("x", x.len(), self.inputs)?;
        self.check_k(k)?;
        check_length("ranked", ranked.len(), checked_area("ranked", rows, k)?)?;
        self.check(x, workspace)?;
        let mut scores = core::mem::take(&mut workspace.outputs);
        let blocks = x.chunks(BLOCK_ROWS * self.inputs).zip(ranked.chunks_mut(BLOCK_ROWS * k));
        let done = blocks.map(|(x, ranked)| {
            let scores = &mut scores[..x.len() / self.inputs * self.outputs];
            self.run(x, scores, workspace)?;
            for (ranked, scores) in ranked.chunks_exact_mut(k).zip(scores.chunks(self.outputs)) {
                rank(scores, ranked);
            }
            Ok(())
        });
        let done = done.collect();
        workspace.outputs = scores;
        done
    }

    fn check_k(&self, k: usize) -> Result<()> {
        if k == 0 {
            return Err(Error::Zero { argument: "k" });
        }
        if k > self.outputs {
            let expected = "at most the number of outputs";
            return Err(Error::OutOfRange { argument: "k", value: k as f64, expected });
        }
        Ok(())
    }
}

/// Fills `ranked` with the largest scores, of which there are no fewer.
fn rank<E: Element>(scores: &[E], ranked: &mut [Ranked<E>]) {
    for (class, &score) in scores.iter().enumerate() {
        let so_far = class.min(ranked.len());
        let is_behind = |it: &Ranked<E>| {
            score > it.score || (it.score.to_f64().is_nan() && !score.to_f64().is_nan())
        };
        let place = ranked[..so_far].iter().position(is_behind).unwrap_or(so_far);
        if place < ranked.len() {
            let end = (so_far + 1).min(ranked.len());
            ranked[place..end].rotate_right(1);
            ranked[place] = Ranked { class, score };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_come_first_and_nan_last() {
        let nan = f32::NAN;
        let scores = [nan, 1.0, f32::NEG_INFINITY, 3.0, 1.0, nan, 2.0];
        for k in 1..=scores.len() {
            let mut ranked = vec![Ranked::default(); k];
            rank(&scores, &mut ranked);
            let classes: Vec<usize> = ranked.iter().map(|it| it.class).collect();
            assert_eq!(classes, [3, 6, 1, 4, 2, 0, 5][..k]);
            for it in ranked {
                assert_eq!(it.score.to_bits(), scores[it.class].to_bits());
            }
        }
    }
}
