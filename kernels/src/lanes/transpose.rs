//! Blocks of memory into registers, rows as columns.

use super::Lanes;
use crate::Element;

/// Those of an element's lanes that transpose: all of a register, or those of a shorter one, which
/// fewer rows fill.
pub(crate) type Transposer<E, S> = <<E as Element>::Lanes<S> as Lanes>::Transposer;

/// Lanes that can take a square block from memory, transposed.
pub trait Transpose: Lanes {
    /// LEN registers.
    type Square: Copy + AsRef<[Self]>;

    /// Reads LEN rows of LEN elements: lane i of register j is element j of row i.
    ///
    /// # Safety
    /// Row i, at `from + i · stride`, is valid for reads of LEN elements, for every i < LEN.
    unsafe fn load_transposed(
        simd: Self::Simd,
        from: *const Self::Element,
        stride: usize,
    ) -> Self::Square;

    /// Reads LEN rows of four elements: lane i of register j is element j of row i.
    ///
    /// # Safety
    /// Row i, at `from + i · stride`, is valid for reads of four elements, for every i < LEN.
    unsafe fn load_fours(simd: Self::Simd, from: *const Self::Element, stride: usize) -> [Self; 4];

    /// Four columns as LEN rows: row i in the first four lanes of register i, and row 4 + i, where
    /// there is one, in the last four.
    fn into_rows(columns: [Self; 4]) -> [Self; 4];

    /// [`Transpose::load_transposed`] of `rows` rows of `columns` elements, both at most LEN; lanes
    /// of rows that do not exist are anything, and registers of columns that do not exist +0.
    ///
    /// # Safety
    /// Row i, at `from + i · stride`, is valid for reads of `columns` elements, for i < `rows`.
    #[inline(always)]
    unsafe fn load_transposed_some(
        simd: Self::Simd,
        from: *const Self::Element,
        stride: usize,
        rows: usize,
        columns: usize,
    ) -> Self::Square {
        const LONGEST: usize = 8;
        debug_assert!(Self::LEN <= LONGEST && rows <= Self::LEN && columns <= Self::LEN);
        // SAFETY: the caller promises the elements that are read; the square holds LEN rows.
        unsafe {
            if rows == Self::LEN && columns == Self::LEN {
                return Self::load_transposed(simd, from, stride);
            }
            let mut square = [Self::Element::default(); LONGEST * LONGEST];
            for i in 0..rows {
                let row = Self::load_ptr_partial(simd, from.add(i * stride), columns);
                row.store_ptr(square.as_mut_ptr().add(i * Self::LEN));
            }
            Self::load_transposed(simd, square.as_ptr(), Self::LEN)
        }
    }
}
