//! Batches that are read on another thread while a trainer works.

use deltarule_kernels::Element;
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread::{Builder, JoinHandle};

#[cfg(feature = "data")]
use super::Dataset;
use super::ReadError;
use crate::error::{Error, Result, check_length, try_reserve};
use crate::targets::{Targets, WeightedTargets};

/// Rows of a stream, and the targets of each. Its memory is used again for the next ones.
///
/// ```
/// use deltarule::{Targets, data::Batch};
/// let mut batch: Batch = Batch::new();
/// batch.push_class(&[0.5, 1.0], 2)?;
/// batch.push_class(&[-2.0, 0.0], 0)?;
/// assert_eq!((batch.rows(), batch.x().len()), (2, 4));
/// assert_eq!(batch.targets(), Targets::Classes(&[2, 0]));
/// batch.clear(); // its memory stays
/// assert_eq!(batch.rows(), 0);
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Batch<E: Element = f32> {
    x: Vec<E>,
    labels: Vec<usize>,
    values: Vec<E>,
    /// None where no row was weighed.
    weights: Vec<E>,
    rows: usize,
}

impl<E: Element> Batch<E> {
    /// A batch without rows.
    pub fn new() -> Self {
        let (x, values, weights) = (Vec::new(), Vec::new(), Vec::new());
        Self { x, labels: Vec::new(), values, weights, rows: 0 }
    }

    /// Removes all rows.
    pub fn clear(&mut self) {
        self.x.clear();
        self.labels.clear();
        self.values.clear();
        self.weights.clear();
        self.rows = 0;
    }

    /// Adds a row and its class.
    ///
    /// ```
    /// use deltarule::{Error, data::Batch};
    /// let mut batch: Batch = Batch::new();
    /// batch.push_class(&[0.5, 1.0], 2)?;
    /// let error = batch.push_class(&[0.5], 0).unwrap_err();
    /// assert_eq!(error, Error::Length { argument: "x", expected: 2, actual: 1 });
    /// assert_eq!(batch.rows(), 1);
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Length`] if the row is not as long as the others, or they have values;
    /// [`Error::OutOfMemory`]. The batch is as it was then.
    pub fn push_class(&mut self, x: &[E], class: usize) -> Result<()> {
        self.check(x, 1, &[])?;
        self.reserve(x.len(), 1, 0)?;
        self.x.extend_from_slice(x);
        self.labels.push(class);
        self.end_row();
        Ok(())
    }

    /// Adds a row and its values.
    ///
    /// ```
    /// use deltarule::{Targets, data::Batch};
    /// let mut batch: Batch = Batch::new();
    /// batch.push_values(&[0.5, 1.0], &[10.0])?;
    /// batch.push_values(&[-2.0, 0.0], &[20.0])?;
    /// assert_eq!(batch.targets(), Targets::Values(&[10.0, 20.0]));
    /// assert!(batch.push_class(&[1.0, 1.0], 0).is_err());
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Length`] if the row, or its values, are not as long as the others, or if they have
    /// classes; [`Error::Empty`] without values; [`Error::OutOfMemory`]. The batch is as it was then.
    pub fn push_values(&mut self, x: &[E], values: &[E]) -> Result<()> {
        if values.is_empty() {
            return Err(Error::Empty { argument: "values" });
        }
        self.check(x, 0, values)?;
        self.reserve(x.len(), 0, values.len())?;
        self.x.extend_from_slice(x);
        self.values.extend_from_slice(values);
        self.end_row();
        Ok(())
    }

    /// Room for a row, so that it is added whole or not at all.
    fn reserve(&mut self, x: usize, labels: usize, values: usize) -> Result<()> {
        try_reserve("x", &mut self.x, x)?;
        try_reserve("labels", &mut self.labels, labels)?;
        try_reserve("values", &mut self.values, values)?;
        let weights = usize::from(!self.weights.is_empty());
        try_reserve("weights", &mut self.weights, weights)
    }

    /// A row is complete, which counts as 1 until it is weighed.
    fn end_row(&mut self) {
        self.rows += 1;
        if !self.weights.is_empty() {
            self.weights.push(E::ONE);
        }
    }

    /// Weighs the row that was added last; the others keep their weights, which are 1 otherwise.
    ///
    /// ```
    /// use deltarule::{Targets, data::Batch};
    /// let mut batch: Batch = Batch::new();
    /// batch.push_values(&[0.5], &[10.0])?;
    /// batch.push_values(&[1.5], &[20.0])?;
    /// batch.weigh(0.25)?;
    /// let targets = Targets::Values(&[10.0, 20.0]);
    /// assert_eq!(batch.weighted_targets(), targets.weighted(&[1.0, 0.25]));
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Empty`] if there is no row, [`Error::OutOfMemory`].
    pub fn weigh(&mut self, weight: E) -> Result<()> {
        if self.rows == 0 {
            return Err(Error::Empty { argument: "rows" });
        }
        let unweighed = self.rows - self.weights.len();
        try_reserve("weights", &mut self.weights, unweighed)?;
        self.weights.resize(self.rows, E::ONE);
        self.weights[self.rows - 1] = weight;
        Ok(())
    }

    fn check(&self, x: &[E], labels: usize, values: &[E]) -> Result<()> {
        if x.is_empty() {
            return Err(Error::Empty { argument: "x" });
        }
        if self.rows == 0 {
            return Ok(());
        }
        check_length("x", x.len(), self.x.len() / self.rows)?;
        check_length("labels", labels, self.labels.len() / self.rows)?;
        check_length("values", values.len(), self.values.len() / self.rows)
    }

    /// The rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The features, row-major.
    pub fn x(&self) -> &[E] {
        &self.x
    }

    /// All rows, with `columns` features each.
    #[cfg(feature = "data")]
    pub(crate) fn into_dataset(self, columns: usize) -> Result<Dataset<E>> {
        let Self { x, labels, values, weights, rows } = self;
        if rows == 0 {
            return Err(Error::Empty { argument: "rows" });
        }
        let data = if values.is_empty() {
            Dataset::from_classes(x, columns, labels)?
        } else {
            let outputs = values.len() / rows;
            Dataset::from_values(x, columns, values, outputs)?
        };
        if weights.is_empty() { Ok(data) } else { data.with_weights(weights) }
    }

    /// What the outputs should be.
    pub fn targets(&self) -> Targets<'_, E> {
        if self.values.is_empty() {
            Targets::Classes(&self.labels)
        } else {
            Targets::Values(&self.values)
        }
    }

    /// What the outputs should be, and how much each row counts.
    pub fn weighted_targets(&self) -> WeightedTargets<'_, E> {
        let weights = (!self.weights.is_empty()).then_some(self.weights.as_slice());
        WeightedTargets { targets: self.targets(), weights }
    }
}

impl<E: Element> Default for Batch<E> {
    fn default() -> Self {
        Self::new()
    }
}

/// Where the batches of a stream come from: a closure, or a file.
///
/// ```
/// use deltarule::data::{Batch, Prefetch, ReadError, Source};
///
/// /// The numbers below a limit, each with its square.
/// struct Squares {
///     next: u16,
///     limit: u16,
/// }
///
/// impl Source<f32> for Squares {
///     fn read(&mut self, batch: &mut Batch) -> Result<(), ReadError> {
///         while batch.rows() < 4 && self.next < self.limit {
///             let x = f32::from(self.next);
///             batch.push_values(&[x], &[x * x])?;
///             self.next += 1;
///         }
///         Ok(())
///     }
/// }
///
/// let mut stream = Prefetch::new(1, Squares { next: 0, limit: 6 })?;
/// let mut sum = 0.0;
/// while let Some(batch) = stream.next_batch()? {
///     sum += batch.x().iter().sum::<f32>();
/// }
/// assert_eq!(sum, 15.0);
/// # Ok::<(), deltarule::data::ReadError>(())
/// ```
pub trait Source<E: Element = f32>: Send {
    /// Adds the next rows to a batch, which is empty; none at the end of the stream.
    ///
    /// # Errors
    /// Whatever keeps it from reading. The stream ends with that.
    fn read(&mut self, batch: &mut Batch<E>) -> Result<(), ReadError>;
}

impl<E: Element, F: FnMut(&mut Batch<E>) -> Result<(), ReadError> + Send> Source<E> for F {
    fn read(&mut self, batch: &mut Batch<E>) -> Result<(), ReadError> {
        self(batch)
    }
}

/// Reads a source on a thread of its own, some batches ahead.
///
/// There are `ahead` + 2 batches in all, whatever the stream's length: those that wait, the one
/// that is being read, and the one that the caller has. They go back to the thread and are filled
/// again. The order is the source's. To drop it ends the stream, and waits for the read that is
/// under way.
///
/// ```
/// use deltarule::data::{Batch, Prefetch};
/// let mut next = 0;
/// let mut stream = Prefetch::new(2, move |batch: &mut Batch| {
///     while batch.rows() < 4 && next < 10 {
///         batch.push_class(&[next as f32], next % 2)?;
///         next += 1;
///     }
///     Ok(())
/// })?;
/// let mut rows = Vec::new();
/// while let Some(batch) = stream.next_batch()? {
///     rows.push(batch.rows());
/// }
/// assert_eq!(rows, [4, 4, 2]);
/// # Ok::<(), deltarule::data::ReadError>(())
/// ```
#[derive(Debug)]
pub struct Prefetch<E: Element = f32> {
    current: Batch<E>,
    /// `None` once the stream has ended.
    thread: Option<Thread<E>>,
}

#[derive(Debug)]
struct Thread<E: Element> {
    full: Receiver<Result<Batch<E>, ReadError>>,
    empty: Sender<Batch<E>>,
    handle: JoinHandle<()>,
}

/// A queue has its places from the beginning.
const MOST_AHEAD: usize = 1 << 16;

impl<E: Element> Prefetch<E> {
    /// Begins to read, up to `ahead` batches before they are asked for.
    ///
    /// # Errors
    /// [`ReadError::Invalid`] for an `ahead` of 0 or above 65,536, [`ReadError::Io`] if the system gives no
    /// thread.
    pub fn new(ahead: usize, source: impl Source<E> + 'static) -> Result<Self, ReadError> {
        if ahead == 0 {
            return Err(Error::Zero { argument: "ahead" }.into());
        }
        if ahead > MOST_AHEAD {
            let expected = "at most 65536";
            return Err(
                Error::OutOfRange { argument: "ahead", value: ahead as f64, expected }.into()
            );
        }
        let (full_sender, full) = sync_channel(ahead);
        let (empty, empty_receiver) = channel();
        let body = move || read_all(source, &full_sender, &empty_receiver);
        let handle = Builder::new().name("deltarule-prefetch".to_owned()).spawn(body)?;
        let thread = Some(Thread { full, empty, handle });
        Ok(Self { current: Batch::new(), thread })
    }

    /// The next batch; `None` at the end of the stream.
    ///
    /// ```
    /// use deltarule::{Activation, Loss, Network, Optimizer, Trainer};
    /// use deltarule::data::{Batch, Prefetch};
    /// let mut rows = (0..256).map(|i| i as f32 / 256.0);
    /// let mut stream = Prefetch::new(2, move |batch: &mut Batch| {
    ///     for x in rows.by_ref().take(32) {
    ///         batch.push_values(&[x], &[3.0 * x])?;
    ///     }
    ///     Ok(())
    /// })?;
    /// let network = Network::builder(1).dense(1, Activation::Identity).build()?;
    /// let mut trainer =
    ///     Trainer::builder(network, Loss::MeanSquaredError, Optimizer::sgd(0.1)).build()?;
    /// while let Some(batch) = stream.next_batch()? {
    ///     trainer.step(batch.x(), batch.weighted_targets())?;
    /// }
    /// assert_eq!(trainer.steps(), 8);
    /// # Ok::<(), deltarule::data::ReadError>(())
    /// ```
    ///
    /// # Errors
    /// What the source says, or [`ReadError::SourcePanicked`]. The stream has ended then.
    pub fn next_batch(&mut self) -> Result<Option<&Batch<E>>, ReadError> {
        let Some(thread) = &self.thread else { return Ok(None) };
        match thread.full.recv() {
            Ok(Ok(batch)) => {
                let used = core::mem::replace(&mut self.current, batch);
                // If the thread has ended, it needs no batch.
                let _ = thread.empty.send(used);
                Ok(Some(&self.current))
            }
            Ok(Err(error)) => {
                self.end()?;
                Err(error)
            }
            Err(_) => self.end().map(|()| None),
        }
    }

    /// Waits for the thread, which has nothing more to send to.
    fn end(&mut self) -> Result<(), ReadError> {
        let Some(Thread { full, empty, handle }) = self.thread.take() else { return Ok(()) };
        drop((full, empty));
        handle.join().map_err(|_| ReadError::SourcePanicked)
    }
}

impl<E: Element> Drop for Prefetch<E> {
    fn drop(&mut self) {
        // A panic of the source has no caller any more who could be told.
        let _ = self.end();
    }
}

/// What the thread does: until the stream ends, or nobody listens.
fn read_all<E: Element>(
    mut source: impl Source<E>,
    full: &SyncSender<Result<Batch<E>, ReadError>>,
    empty: &Receiver<Batch<E>>,
) {
    loop {
        let mut batch = empty.try_recv().unwrap_or_default();
        batch.clear();
        let read = source.read(&mut batch);
        if read.is_ok() && batch.rows() == 0 {
            return;
        }
        let last = read.is_err();
        if full.send(read.map(|()| batch)).is_err() || last {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn rows_count_as_1_until_they_are_weighed() {
        let mut batch = Batch::<f64>::new();
        assert_eq!(batch.weigh(2.0), Err(Error::Empty { argument: "rows" }));
        batch.push_class(&[0.5], 1).unwrap();
        assert_eq!(batch.weighted_targets().weights, None);
        for (class, weight) in [(0, Some(0.5)), (2, None), (1, Some(3.0))] {
            batch.push_class(&[1.5], class).unwrap();
            weight.map_or(Ok(()), |weight| batch.weigh(weight)).unwrap();
        }
        let targets = Targets::Classes(&[1, 0, 2, 1]);
        assert_eq!(batch.weighted_targets(), targets.weighted(&[1.0, 0.5, 1.0, 3.0]));
        batch.clear();
        batch.push_class(&[0.5], 1).unwrap();
        assert_eq!(batch.weighted_targets().weights, None);
    }

    fn numbers(count: usize, size: usize) -> impl Source<f64> {
        let mut next = 0;
        move |batch: &mut Batch<f64>| {
            while batch.rows() < size && next < count {
                batch.push_values(&[next as f64], &[-(next as f64)])?;
                next += 1;
            }
            Ok(())
        }
    }

    #[test]
    fn every_row_comes_once_and_in_order() {
        for (count, size, ahead) in [(0, 3, 1), (1, 1, 1), (1000, 7, 1), (1000, 7, 5)] {
            let mut stream = Prefetch::new(ahead, numbers(count, size)).unwrap();
            let mut rows = Vec::new();
            while let Some(batch) = stream.next_batch().unwrap() {
                let Targets::Values(values) = batch.targets() else { panic!("not values") };
                assert!(batch.x().iter().zip(values).all(|(x, y)| *x == -y));
                rows.extend_from_slice(batch.x());
            }
            assert!(rows.into_iter().eq((0..count).map(|row| row as f64)));
            assert!(stream.next_batch().unwrap().is_none());
        }
    }

    #[test]
    fn batches_are_used_again() {
        let mut stream = Prefetch::new(2, numbers(2000, 4)).unwrap();
        let mut places = std::collections::HashSet::new();
        while let Some(batch) = stream.next_batch().unwrap() {
            places.insert(batch.x().as_ptr() as usize);
        }
        // The thread may be ahead of the first batch that comes back.
        assert!(places.len() <= 6, "{}", places.len());
    }

    #[test]
    fn a_stream_may_be_dropped_early() {
        let mut stream = Prefetch::new(1, numbers(usize::MAX, 2)).unwrap();
        assert!(stream.next_batch().unwrap().is_some());
        drop(stream);
    }

    #[test]
    fn errors_and_panics_come_to_the_caller() {
        let calls = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&calls);
        let mut stream = Prefetch::new(3, move |batch: &mut Batch| {
            if counter.fetch_add(1, Ordering::Relaxed) > 0 {
                return Err(std::io::Error::other("the cable is out").into());
            }
            Ok(batch.push_class(&[1.0], 0)?)
        })
        .unwrap();
        assert_eq!(stream.next_batch().unwrap().unwrap().rows(), 1);
        assert_eq!(stream.next_batch().unwrap_err().to_string(), "the cable is out");
        assert!(stream.next_batch().unwrap().is_none());
        assert_eq!(calls.load(Ordering::Relaxed), 2, "it is not read on");

        let mut stream = Prefetch::<f32>::new(1, |_: &mut Batch| panic!("on purpose")).unwrap();
        assert!(matches!(stream.next_batch(), Err(ReadError::SourcePanicked)));
        assert!(stream.next_batch().unwrap().is_none());
        for ahead in [0, MOST_AHEAD + 1, usize::MAX] {
            assert!(Prefetch::new(ahead, numbers(1, 1)).is_err(), "{ahead}");
        }
    }

    #[test]
    fn rows_that_do_not_fit() {
        let mut batch = Batch::<f32>::new();
        assert!(batch.push_class(&[], 0).is_err());
        assert!(batch.push_values(&[1.0], &[]).is_err());
        batch.push_class(&[1.0, 2.0], 3).unwrap();
        let message = |result: Result<()>| result.unwrap_err().to_string();
        assert_eq!(message(batch.push_class(&[1.0], 3)), "`x` has 1 elements, but 2 are needed");
        assert_eq!(
            message(batch.push_values(&[1.0, 2.0], &[1.0])),
            "`labels` has 0 elements, but 1 are needed"
        );
        assert_eq!(
            (batch.rows(), batch.x(), batch.targets()),
            (1, [1.0, 2.0].as_slice(), Targets::Classes(&[3]))
        );
        // After `clear` any row fits.
        batch.clear();
        batch.push_class(&[4.0], 5).unwrap();
        assert_eq!((batch.x(), batch.targets()), ([4.0].as_slice(), Targets::Classes(&[5])));
        batch.clear();
        batch.push_values(&[6.0], &[7.0, 8.0]).unwrap();
        assert_eq!((batch.x(), batch.targets()), ([6.0].as_slice(), Targets::Values(&[7.0, 8.0])));
        assert_eq!(
            message(batch.push_values(&[6.0], &[7.0])),
            "`values` has 1 elements, but 2 are needed"
        );
    }
}
