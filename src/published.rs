//! What one thread replaces while others read it.

use arc_swap::ArcSwap;
use core::fmt;
use std::sync::Arc;

/// A value that is replaced as a whole while any number of threads read it: a
/// [`Predictor`](crate::Predictor) in service, while a trainer makes the next one.
///
/// Whoever reads it gets the version that was the current one at that moment, and keeps it for as
/// long as needed. Readers never wait, neither for each other nor for whoever publishes, and never
/// see a value half replaced.
///
/// ```
/// use deltarule::{Activation, Loss, Network, Optimizer, Published, Targets, Trainer};
/// let network = Network::builder(2).dense(2, Activation::Identity).build()?;
/// let published = Published::new(network.freeze()?);
/// let mut trainer =
///     Trainer::builder(network, Loss::SoftmaxCrossEntropy, Optimizer::sgd(0.1)).build()?;
/// std::thread::scope(|scope| {
///     let reader = scope.spawn(|| {
///         let version = published.load();
///         (version.number(), version.predict(&[1.0, 0.0]))
///     });
///     trainer.step(&[0.0, 1.0], Targets::Classes(&[1]))?;
///     published.publish(trainer.network().freeze()?);
///     let (number, outputs) = reader.join().unwrap();
///     assert!(number <= 1 && outputs.is_ok());
///     assert_eq!(published.load().number(), 1);
///     Ok::<(), deltarule::Error>(())
/// })?;
/// # Ok::<(), deltarule::Error>(())
/// ```
pub struct Published<T> {
    current: ArcSwap<Version<T>>,
}

/// A value that was published, and how many were before it.
///
/// ```
/// use deltarule::Published;
/// let published = Published::new("first");
/// let version = published.load_full();
/// published.publish("second");
/// // Whoever has a version keeps it.
/// assert_eq!((version.number(), version.len()), (0, 5));
/// assert_eq!((published.load().number(), published.load().len()), (1, 6));
/// ```
#[derive(Debug)]
pub struct Version<T> {
    number: u64,
    value: Arc<T>,
}

impl<T> Version<T> {
    /// 0 of the first value, and one more of each that was published after it.
    pub fn number(&self) -> u64 {
        self.number
    }
}

impl<T> core::ops::Deref for Version<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> Published<T> {
    /// Version 0.
    pub fn new(value: T) -> Self {
        let first = Version { number: 0, value: Arc::new(value) };
        Self { current: ArcSwap::from_pointee(first) }
    }

    /// The current version, for a short while: to be held during a prediction, say, but not across
    /// an `await`.
    ///
    /// ```
    /// use deltarule::{Activation, Network, Published};
    /// let network = Network::builder(2).dense(1, Activation::Tanh).build()?;
    /// let published = Published::new(network.freeze()?);
    /// let predictor = published.load();
    /// assert_eq!(predictor.predict(&[0.5, 1.0])?, network.predict(&[0.5, 1.0])?);
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn load(&self) -> impl core::ops::Deref<Target = Arc<Version<T>>> + use<T> {
        self.current.load()
    }

    /// The current version, to keep.
    ///
    /// ```
    /// use deltarule::Published;
    /// use std::sync::Arc;
    /// let published = Published::new(vec![1, 2, 3]);
    /// let version = published.load_full();
    /// // It can go to another thread and stay there.
    /// let sum = std::thread::spawn(move || version.iter().sum::<i32>());
    /// published.publish(Vec::new());
    /// assert_eq!(sum.join().unwrap(), 6);
    /// assert_eq!(Arc::strong_count(&published.load_full()), 2);
    /// ```
    pub fn load_full(&self) -> Arc<Version<T>> {
        self.current.load_full()
    }

    /// Makes this value the current one, and returns its number. Of threads that publish at once
    /// one comes after the other.
    ///
    /// ```
    /// use deltarule::Published;
    /// let published = Published::new("first");
    /// assert_eq!(published.publish("second"), 1);
    /// assert_eq!(published.publish("third"), 2);
    /// assert_eq!(published.load().number(), 2);
    /// ```
    pub fn publish(&self, value: T) -> u64 {
        let value = Arc::new(value);
        let next = |before: &Arc<Version<T>>| Version {
            number: before.number + 1,
            value: Arc::clone(&value),
        };
        self.current.rcu(next).number + 1
    }
}

impl<T: fmt::Debug> fmt::Debug for Published<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Published").field(&**self.current.load()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A value that would show if half of it were of another version.
    #[derive(Debug, PartialEq)]
    struct Pair(u64, u64);

    #[test]
    fn a_version_is_whole_and_they_come_in_order() {
        const WRITERS: u64 = 3;
        const EACH: u64 = 2_000;
        let published = Published::new(Pair(0, !0));
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let mut last = 0;
                    while last < WRITERS * EACH {
                        let version = published.load();
                        assert_eq!(version.0, !version.1);
                        assert!(version.number() >= last);
                        last = version.number();
                    }
                });
            }
            for _ in 0..WRITERS {
                scope.spawn(|| {
                    let numbers: Vec<u64> =
                        (0..EACH).map(|i| published.publish(Pair(i, !i))).collect();
                    assert!(numbers.is_sorted_by(|one, other| one < other));
                });
            }
        });
        assert_eq!(published.load_full().number(), WRITERS * EACH);
    }

    #[test]
    fn what_was_loaded_stays() {
        let published = Published::new(String::from("old"));
        let kept = published.load_full();
        assert_eq!(published.publish(String::from("new")), 1);
        assert_eq!((&***kept, kept.number()), ("old", 0));
        assert_eq!(published.load().as_str(), "new");
        assert_eq!(format!("{published:?}"), "Published(Version { number: 1, value: \"new\" })");
    }

    #[test]
    fn any_thread_may_have_it() {
        fn check<T: Send + Sync>() {}
        check::<Published<crate::Predictor>>();
        check::<Version<crate::Predictor<f64>>>();
    }
}
