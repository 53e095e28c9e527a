//! What a kernel says when its arguments do not fit together.

use crate::Isa;

/// Arguments whose sizes disagree. Nothing was written.
///
/// ```
/// use deltarule_kernels::{Isa, ShapeError, activation::Activation};
/// let mut y = [7.0f32; 3];
/// let error = Activation::Relu.forward(Isa::detect(), &[1.0; 4], &mut y).unwrap_err();
/// assert_eq!(error, ShapeError::Length { argument: "y", expected: 4, actual: 3 });
/// assert_eq!(error.to_string(), "`y` has 3 elements, but 4 are needed");
/// assert_eq!(y, [7.0; 3]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ShapeError {
    /// A slice has another length than the other arguments require.
    #[error("`{argument}` has {actual} elements, but {expected} are needed")]
    Length {
        /// The argument's name.
        argument: &'static str,
        /// The length that the other arguments require.
        expected: usize,
        /// The length it has.
        actual: usize,
    },
    /// Two elements of a matrix that is written to share a place.
    #[error(
        "`{argument}`, a {rows} x {columns} matrix to write with a row stride of {row_stride} and \
         a column stride of {column_stride}, has elements that overlap"
    )]
    Overlap {
        /// The argument's name.
        argument: &'static str,
        /// Its rows.
        rows: usize,
        /// Its columns.
        columns: usize,
        /// Elements from a row to the next.
        row_stride: usize,
        /// Elements from a column to the next.
        column_stride: usize,
    },
    /// The elements of a row of a matrix do not lie side by side.
    #[error("`{argument}` has the elements of a row {column_stride} apart, but they are to be 1")]
    Apart {
        /// The argument's name.
        argument: &'static str,
        /// Elements from a column to the next.
        column_stride: usize,
    },
    /// An operand was packed for another ISA than the kernel runs on.
    #[error("`{argument}` was packed for {packed}, but the product runs on {isa}")]
    Isa {
        /// The argument's name.
        argument: &'static str,
        /// The ISA that it was packed for.
        packed: Isa,
        /// The ISA of the product.
        isa: Isa,
    },
    /// A class index is not below the number of classes.
    #[error("`{argument}[{row}]` is class {class}, but there are only {classes} classes")]
    Class {
        /// The argument's name.
        argument: &'static str,
        /// The position in it.
        row: usize,
        /// The class found there.
        class: usize,
        /// The number of classes.
        classes: usize,
    },
    /// A number of rows, columns or elements is zero where none is meaningful.
    #[error("`{argument}` is 0, but at least 1 is needed")]
    Zero {
        /// The argument's name.
        argument: &'static str,
    },
    /// A product of sizes does not fit in `usize`.
    #[error("`{argument}` needs {rows} x {columns} elements, which overflows usize")]
    Overflow {
        /// The argument's name.
        argument: &'static str,
        /// Its rows.
        rows: usize,
        /// Its columns, or its stride between rows.
        columns: usize,
    },
    /// The memory for this many elements is not to be had.
    #[error("`{argument}` needs {elements} elements, for which there is no memory")]
    OutOfMemory {
        /// The argument's name.
        argument: &'static str,
        /// How many.
        elements: usize,
    },
}

/// Checks that `slice` has `expected` elements.
pub(crate) fn check_length<T>(
    argument: &'static str,
    slice: &[T],
    expected: usize,
) -> Result<(), ShapeError> {
    match slice.len() {
        actual if actual == expected => Ok(()),
        actual => Err(ShapeError::Length { argument, expected, actual }),
    }
}

/// `rows · columns`, or an error that names both.
pub(crate) fn checked_area(
    argument: &'static str,
    rows: usize,
    columns: usize,
) -> Result<usize, ShapeError> {
    rows.checked_mul(columns).ok_or(ShapeError::Overflow { argument, rows, columns })
}
