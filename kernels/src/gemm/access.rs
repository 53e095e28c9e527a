//! Registers from memory and to it, whole or in part.

use crate::lanes::Lanes;

/// How lanes come from memory and go there.
pub(super) trait Access: Copy {
    /// # Safety
    /// There are as many elements from here on.
    unsafe fn load<V: Lanes>(self, simd: V::Simd, from: *const V::Element) -> V;

    /// # Safety
    /// There is room for as many elements from here on.
    unsafe fn store<V: Lanes>(self, lanes: V, to: *mut V::Element);
}

/// As many neighbours as there are lanes.
#[derive(Clone, Copy)]
pub(super) struct All;

impl Access for All {
    #[inline(always)]
    unsafe fn load<V: Lanes>(self, simd: V::Simd, from: *const V::Element) -> V {
        // SAFETY: as the caller promises.
        unsafe { V::load_ptr(simd, from) }
    }

    #[inline(always)]
    unsafe fn store<V: Lanes>(self, lanes: V, to: *mut V::Element) {
        // SAFETY: as the caller promises.
        unsafe { lanes.store_ptr(to) }
    }
}

/// So many neighbours, which are fewer.
#[derive(Clone, Copy)]
pub(super) struct Fewer(pub(super) usize);

impl Access for Fewer {
    #[inline(always)]
    unsafe fn load<V: Lanes>(self, simd: V::Simd, from: *const V::Element) -> V {
        // SAFETY: as the caller promises; there are fewer than LEN.
        unsafe { V::load_ptr_partial(simd, from, self.0) }
    }

    #[inline(always)]
    unsafe fn store<V: Lanes>(self, lanes: V, to: *mut V::Element) {
        // SAFETY: as the caller promises; there are fewer than LEN.
        unsafe { lanes.store_ptr_partial(to, self.0) }
    }
}
