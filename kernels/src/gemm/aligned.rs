//! Elements that begin on a cache line.

use super::packed::ALIGNMENT;
use crate::ShapeError;

/// A fixed number of elements, the first of them on a cache line.
#[derive(Debug)]
pub(super) struct Aligned<T> {
    data: Vec<T>,
    first: usize,
    length: usize,
}

impl<T: Copy + Default> Aligned<T> {
    /// So many default values, for an argument of this name.
    pub(super) fn new(argument: &'static str, length: usize) -> Result<Self, ShapeError> {
        let none = |_| ShapeError::OutOfMemory { argument, elements: length };
        let slack = ALIGNMENT / size_of::<T>();
        let mut data = Vec::new();
        data.try_reserve_exact(length.saturating_add(slack)).map_err(none)?;
        data.resize(length + slack, T::default());
        let first = data.as_ptr().align_offset(ALIGNMENT).min(slack);
        Ok(Self { data, first, length })
    }

    pub(super) fn get(&self) -> &[T] {
        &self.data[self.first..self.first + self.length]
    }

    pub(super) fn get_mut(&mut self) -> &mut [T] {
        &mut self.data[self.first..self.first + self.length]
    }
}

impl<T: Copy + Default> Clone for Aligned<T> {
    /// Another allocation may be aligned differently, so the elements move with it.
    fn clone(&self) -> Self {
        let slack = self.data.len() - self.length;
        let mut data = vec![T::default(); self.data.len()];
        let first = data.as_ptr().align_offset(ALIGNMENT).min(slack);
        data[first..first + self.length].copy_from_slice(self.get());
        Self { data, first, ..*self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_begin_on_a_cache_line_in_copies_too() {
        for length in [0, 1, 63, 64, 1000] {
            let mut elements = Aligned::<i8>::new("b", length).unwrap();
            elements.get_mut().fill(7);
            for _ in 0..5 {
                elements = elements.clone();
                assert_eq!(elements.get(), vec![7; length]);
                assert_eq!(elements.get().as_ptr().addr() % ALIGNMENT, 0);
            }
        }
        for elements in [usize::MAX, isize::MAX as usize, 1 << 60] {
            let error = ShapeError::OutOfMemory { argument: "b", elements };
            assert_eq!(Aligned::<i8>::new("b", elements).unwrap_err(), error);
        }
    }
}
