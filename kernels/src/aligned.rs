//! Elements that begin on a cache line.

use crate::ShapeError;
use crate::lockstep::LINE;
use core::fmt;
use core::ops::{Deref, DerefMut};

/// A fixed number of elements, the first of them on a cache line if their size divides one.
///
/// Kernels take slices that begin anywhere. But a register of AVX-512 is as long as a line: in
/// slices that do not begin with one, each is in two lines, and those that are written the most
/// cost the most. A step of 784-512-512-10 on 1,024 rows takes 1.01 to 1.06 times as long in
/// vectors of the allocator's choice, and of 64-64-64-10 on 32 rows 1.01 to 1.04 times (AMD EPYC,
/// Zen 4).
///
/// ```
/// use deltarule_kernels::{Aligned, ShapeError};
/// let mut x = Aligned::<f32>::new("x", 100)?;
/// assert_eq!(x.as_ptr().addr() % 64, 0);
/// x[99] = 1.0;
/// assert_eq!(x.iter().sum::<f32>(), 1.0);
/// assert!(matches!(
///     Aligned::<f32>::new("y", usize::MAX),
///     Err(ShapeError::OutOfMemory { argument: "y", .. })
/// ));
/// # Ok::<(), ShapeError>(())
/// ```
pub struct Aligned<T> {
    /// The elements, and before them what does not begin a line.
    data: Vec<T>,
    first: usize,
}

impl<T: Copy + Default> Aligned<T> {
    /// So many default values, for an argument of this name.
    ///
    /// ```
    /// use deltarule_kernels::Aligned;
    /// assert_eq!(*Aligned::<f64>::new("x", 3)?, [0.0; 3]);
    /// # Ok::<(), deltarule_kernels::ShapeError>(())
    /// ```
    ///
    /// # Errors
    /// [`ShapeError::OutOfMemory`] if there is no memory for them.
    pub fn new(argument: &'static str, length: usize) -> Result<Self, ShapeError> {
        let none = |_| ShapeError::OutOfMemory { argument, elements: length };
        let mut data = Vec::new();
        data.try_reserve_exact(length.saturating_add(slack::<T>())).map_err(none)?;
        let mut aligned = Self::begun(data);
        aligned.data.resize(aligned.first + length, T::default());
        Ok(aligned)
    }

    /// No elements yet, in an empty vector with room for them and the slack.
    fn begun(mut data: Vec<T>) -> Self {
        let first = data.as_ptr().align_offset(LINE).min(slack::<T>());
        data.resize(first, T::default());
        Self { data, first }
    }
}

/// Elements before the first that begins a line, at most.
fn slack<T>() -> usize {
    LINE / size_of::<T>().max(1)
}

/// Nothing, without an allocation.
impl<T> Default for Aligned<T> {
    fn default() -> Self {
        Self { data: Vec::new(), first: 0 }
    }
}

impl<T> Deref for Aligned<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        &self.data[self.first..]
    }
}

impl<T> DerefMut for Aligned<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.data[self.first..]
    }
}

impl<T: Copy + Default> Clone for Aligned<T> {
    /// Another allocation may be aligned differently, so the elements move with it.
    fn clone(&self) -> Self {
        let mut copy = Self::begun(Vec::with_capacity(self.len() + slack::<T>()));
        copy.data.extend_from_slice(self);
        copy
    }
}

impl<T: fmt::Debug> fmt::Debug for Aligned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_begin_on_a_cache_line_in_copies_too() {
        for length in [0, 1, 63, 64, 1000] {
            let mut elements = Aligned::<i8>::new("b", length).unwrap();
            elements.fill(7);
            for _ in 0..5 {
                elements = elements.clone();
                assert_eq!(*elements, vec![7; length]);
                assert_eq!(elements.as_ptr().addr() % LINE, 0);
            }
        }
        assert!(Aligned::<f64>::default().clone().is_empty());
        for elements in [usize::MAX, isize::MAX as usize, 1 << 60] {
            let error = ShapeError::OutOfMemory { argument: "b", elements };
            assert_eq!(Aligned::<i8>::new("b", elements).unwrap_err(), error);
        }
    }
}
