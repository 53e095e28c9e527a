//! Elements that begin on a cache line, and in huge pages where there are many.

use crate::ShapeError;
use crate::lockstep::LINE;
use core::fmt;
use core::mem::MaybeUninit;
use core::ops::{Deref, DerefMut};
use core::ptr::NonNull;
use core::slice;
use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};

/// Bytes of a page, on which an [`Aligned`] begins that has as many. Slices that go side by side had
/// better begin alike in their pages.
///
/// ```
/// use deltarule_kernels::{Aligned, PAGE};
/// let x = Aligned::<f64>::new("x", PAGE / 8)?;
/// assert_eq!(x.as_ptr().addr() % PAGE, 0);
/// # Ok::<(), deltarule_kernels::ShapeError>(())
/// ```
pub const PAGE: usize = 4096;

/// Bytes of a huge page on x86-64 and most other systems. Where it has another size, only speed
/// is lost.
const HUGE_PAGE: usize = 2 << 20;

/// A fixed number of elements, the first of them on a cache line.
///
/// Kernels take slices that begin anywhere. But a register of AVX-512 is as long as a line: in
/// slices that do not begin with one, each is in two lines, and those that are written the most
/// cost the most. A step of 784-512-512-10 on 1,024 rows takes 1.01 to 1.06 times as long in
/// vectors of the allocator's choice, and of 64-64-64-10 on 32 rows 1.01 to 1.04 times (AMD EPYC,
/// Zen 4).
///
/// From 4 KiB on the elements begin on a page. A CPU makes a load wait for a store that is as far
/// into a page, whichever page that is; in slices that go side by side and begin alike, nothing
/// stored is where something is loaded soon. Where one of Adam's four slices begins 64 to 320 bytes
/// before another, as seen from their pages, it takes 1.05 to 1.8 times as long.
///
/// From 2 MiB on the elements begin on a huge page, and Linux is asked for such pages: one entry of
/// the CPU's table of addresses then serves as many bytes as 512 did. In small pages a step of
/// 784-512-512-10 takes 1.01 to 1.06 times as long, and a prediction of one row by 16 MiB of
/// weights, which come from memory, 1.17 times (the same CPU).
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
    first: NonNull<T>,
    length: usize,
    /// What the elements were allocated with, unless it has no size.
    layout: Layout,
}

// SAFETY: it owns its elements, as a vector does.
unsafe impl<T: Send> Send for Aligned<T> {}
// SAFETY: who shares it shares its elements, and nothing else.
unsafe impl<T: Sync> Sync for Aligned<T> {}

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
        layout::<T>(length)
            .and_then(|layout| Self::allocate(length, layout, |_| T::default()))
            .ok_or(ShapeError::OutOfMemory { argument, elements: length })
    }

    /// An element for each index; `None` if there is no memory for them.
    fn allocate(length: usize, layout: Layout, element: impl Fn(usize) -> T) -> Option<Self> {
        let first = if layout.size() == 0 {
            NonNull::dangling()
        } else {
            // SAFETY: its size is not zero.
            NonNull::new(unsafe { alloc(layout) })?.cast::<T>()
        };
        ask_for_huge_pages(first.cast(), layout.size());
        // SAFETY: there is room for `length` elements, which nobody else knows, and places without
        // a value may hold anything.
        let places = unsafe { slice::from_raw_parts_mut(first.cast().as_ptr(), length) };
        for (index, place) in places.iter_mut().enumerate() {
            *place = MaybeUninit::new(element(index));
        }
        Some(Self { first, length, layout })
    }
}

/// Room for so many elements, if an address space has it.
fn layout<T>(length: usize) -> Option<Layout> {
    let elements = Layout::array::<T>(length).ok()?;
    let align = match elements.size() {
        HUGE_PAGE.. => HUGE_PAGE,
        PAGE.. => PAGE,
        _ => LINE,
    };
    elements.align_to(align).ok()
}

/// Asks for huge pages where whole ones are in these bytes, which nobody has written yet. What the
/// system makes of it shows in the speed alone.
#[cfg(target_os = "linux")]
fn ask_for_huge_pages(first: NonNull<u8>, bytes: usize) {
    let whole = bytes - bytes % HUGE_PAGE;
    if whole > 0 {
        // SAFETY: the bytes are allocated, and this advice never changes what they hold.
        unsafe { libc::madvise(first.as_ptr().cast(), whole, libc::MADV_HUGEPAGE) };
    }
}

/// Other systems decide for themselves.
#[cfg(not(target_os = "linux"))]
fn ask_for_huge_pages(_: NonNull<u8>, _: usize) {}

impl<T> Drop for Aligned<T> {
    fn drop(&mut self) {
        if self.layout.size() > 0 {
            // SAFETY: the elements were allocated with it; being `Copy` they need no drop.
            unsafe { dealloc(self.first.as_ptr().cast(), self.layout) };
        }
    }
}

/// Nothing, without an allocation.
impl<T> Default for Aligned<T> {
    fn default() -> Self {
        Self { first: NonNull::dangling(), length: 0, layout: Layout::new::<()>() }
    }
}

impl<T> Deref for Aligned<T> {
    type Target = [T];

    #[inline]
    fn deref(&self) -> &[T] {
        // SAFETY: so many elements with values begin there, and live as long as `self`.
        unsafe { slice::from_raw_parts(self.first.as_ptr(), self.length) }
    }
}

impl<T> DerefMut for Aligned<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as for `deref`, and `self` is borrowed by nobody else.
        unsafe { slice::from_raw_parts_mut(self.first.as_ptr(), self.length) }
    }
}

impl<T: Copy + Default> Clone for Aligned<T> {
    fn clone(&self) -> Self {
        Self::allocate(self.length, self.layout, |index| self[index])
            .unwrap_or_else(|| handle_alloc_error(self.layout))
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
    fn elements_begin_on_a_line_or_a_page_or_a_huge_page_in_copies_too() {
        let lengths = [
            (LINE, [1, 63, 64, PAGE - 1]),
            (PAGE, [PAGE, PAGE + 1, 3 * PAGE, HUGE_PAGE - 1]),
            (HUGE_PAGE, [HUGE_PAGE, HUGE_PAGE + 1, 2 * HUGE_PAGE - 1, 2 * HUGE_PAGE]),
        ];
        for (align, length) in lengths.iter().flat_map(|(align, of)| of.map(|of| (align, of))) {
            let mut elements = Aligned::<i8>::new("b", length).unwrap();
            elements.fill(7);
            for _ in 0..5 {
                elements = elements.clone();
                assert!(elements.len() == length && elements.iter().all(|&b| b == 7));
                assert_eq!(elements.as_ptr().addr() % align, 0, "{length} elements");
            }
        }
    }

    #[test]
    fn nothing_takes_no_memory() {
        assert!(Aligned::<f64>::default().clone().is_empty());
        assert!(Aligned::<f64>::new("b", 0).unwrap().is_empty());
    }

    #[test]
    fn what_there_is_no_memory_for_is_an_error() {
        for elements in [usize::MAX, isize::MAX as usize, 1 << 60] {
            let error = ShapeError::OutOfMemory { argument: "b", elements };
            assert_eq!(Aligned::<i8>::new("b", elements).unwrap_err(), error);
        }
    }
}
