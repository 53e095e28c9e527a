//! Matrices over slices.

use crate::error::checked_area;
use crate::{Element, ShapeError};

/// A matrix to read. Element (i, j) is `data[i · row_stride + j · column_stride]`.
///
/// Strides may be anything, 0 included (a row repeated), as long as the slice holds every
/// element.
///
/// ```
/// use deltarule_kernels::{Isa, MatRef, reduce};
/// let data = [1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0];
/// let matrix = MatRef::new(&data, 2, 3)?;
/// let mut sums = [0.0; 3];
/// reduce::add_column_sums(Isa::detect(), matrix, &mut sums)?;
/// assert_eq!((matrix.rows(), matrix.columns(), sums), (2, 3, [5.0, 7.0, 9.0]));
/// # Ok::<(), deltarule_kernels::ShapeError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct MatRef<'a, E> {
    data: &'a [E],
    shape: Shape,
}

/// A matrix to write. Element (i, j) is `data[i · row_stride + j · column_stride]`, and no two
/// elements share a place.
///
/// ```
/// use deltarule_kernels::{Isa, MatMut, MatRef, gemm::{Gemm, scratch_len}};
/// let isa = Isa::detect();
/// let mut scratch = vec![0.0; scratch_len::<f32>(isa, 2, 2, 1)?];
/// // Into the middle columns of a matrix of four.
/// let mut data = [9.0f32; 8];
/// let c = MatMut::with_strides(&mut data[1..], (2, 2), (4, 1))?;
/// assert_eq!((c.rows(), c.columns()), (2, 2));
/// let (a, b) = (MatRef::new(&[1.0, 2.0], 2, 1)?, MatRef::new(&[3.0, 4.0], 1, 2)?);
/// Gemm::new(a, b, c).run(isa, &mut scratch)?;
/// assert_eq!(data, [9.0, 3.0, 4.0, 9.0, 9.0, 6.0, 8.0, 9.0]);
/// # Ok::<(), deltarule_kernels::ShapeError>(())
/// ```
#[derive(Debug)]
pub struct MatMut<'a, E> {
    data: &'a mut [E],
    shape: Shape,
}

/// Rows, columns and the distances between neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    pub(crate) row_stride: usize,
    pub(crate) column_stride: usize,
}

impl Shape {
    fn row_major(rows: usize, columns: usize) -> Self {
        Self { rows, columns, row_stride: columns, column_stride: 1 }
    }

    /// The same elements. Of strides that lead to none, which may be anything, those are 1 that are
    /// larger than what a slice reaches: kernels multiply strides before they know whether they need
    /// them.
    fn tamed(self) -> Self {
        let Self { rows, columns, row_stride, column_stride } = self;
        let is_empty = rows == 0 || columns == 0;
        let tamed = |stride: usize, count: usize| {
            if stride > usize::MAX >> 16 && (is_empty || count == 1) { 1 } else { stride }
        };
        let (row_stride, column_stride) = (tamed(row_stride, rows), tamed(column_stride, columns));
        Self { rows, columns, row_stride, column_stride }
    }

    pub(crate) fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
        }
    }

    /// Whether the elements of a row lie side by side.
    pub(crate) fn has_whole_rows(self) -> bool {
        self.column_stride == 1 || self.columns <= 1
    }

    /// Whether it is row after row without gaps.
    pub(crate) fn is_packed(self) -> bool {
        self.has_whole_rows() && (self.row_stride == self.columns || self.rows <= 1)
    }

    /// One past the offset of the last element, or 0 for a matrix without elements.
    fn extent(self, argument: &'static str) -> Result<usize, ShapeError> {
        if self.rows == 0 || self.columns == 0 {
            return Ok(0);
        }
        let down = checked_area(argument, self.rows - 1, self.row_stride)?;
        let across = checked_area(argument, self.columns - 1, self.column_stride)?;
        down.checked_add(across).and_then(|last| last.checked_add(1)).ok_or(ShapeError::Overflow {
            argument,
            rows: self.rows,
            columns: self.row_stride,
        })
    }

    /// Checks that the matrix lies within `length` elements.
    fn check_within(self, argument: &'static str, length: usize) -> Result<(), ShapeError> {
        let expected = self.extent(argument)?;
        if length < expected {
            return Err(ShapeError::Length { argument, expected, actual: length });
        }
        Ok(())
    }

    /// Checks that one stride steps over everything that the other reaches.
    fn check_disjoint(self, argument: &'static str) -> Result<(), ShapeError> {
        let Self { rows, columns, row_stride, column_stride } = self;
        let steps_over = |stride: usize, count: usize, inner_stride: usize, inner: usize| {
            count <= 1 || stride > inner.saturating_sub(1) * inner_stride
        };
        let empty = rows == 0 || columns == 0;
        let row_by_row = steps_over(row_stride, rows, column_stride, columns)
            && steps_over(column_stride, columns, 0, 1);
        let column_by_column = steps_over(column_stride, columns, row_stride, rows)
            && steps_over(row_stride, rows, 0, 1);
        if empty || row_by_row || column_by_column {
            return Ok(());
        }
        Err(ShapeError::Overlap { argument, rows, columns, row_stride, column_stride })
    }
}

impl<'a, E: Element> MatRef<'a, E> {
    /// `rows × columns` elements, row after row.
    ///
    /// ```
    /// use deltarule_kernels::{MatRef, ShapeError};
    /// let error = MatRef::new(&[1.0f32; 5], 2, 3).unwrap_err();
    /// assert_eq!(error, ShapeError::Length { argument: "data", expected: 6, actual: 5 });
    /// ```
    ///
    /// # Errors
    /// [`ShapeError::Length`] unless `data` has just that many; [`ShapeError::Overflow`].
    pub fn new(data: &'a [E], rows: usize, columns: usize) -> Result<Self, ShapeError> {
        crate::error::check_length("data", data, checked_area("data", rows, columns)?)?;
        Ok(Self { data, shape: Shape::row_major(rows, columns) })
    }

    /// A matrix at these strides.
    ///
    /// ```
    /// use deltarule_kernels::{Isa, MatRef, reduce};
    /// // Column 1 of a matrix of three columns, and one row four times.
    /// let data = [1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0];
    /// let column = MatRef::with_strides(&data[1..], (2, 1), (3, 1))?;
    /// let repeated = MatRef::with_strides(&data, (4, 1), (0, 1))?;
    /// let mut sum = [0.0];
    /// reduce::add_column_sums(Isa::detect(), column, &mut sum)?;
    /// assert_eq!(sum, [2.0 + 5.0]);
    /// reduce::add_column_sums(Isa::detect(), repeated, &mut sum)?;
    /// assert_eq!(sum, [7.0 + 4.0]);
    /// # Ok::<(), deltarule_kernels::ShapeError>(())
    /// ```
    ///
    /// # Errors
    /// [`ShapeError::Length`] if the slice ends before the last element;
    /// [`ShapeError::Overflow`].
    pub fn with_strides(
        data: &'a [E],
        (rows, columns): (usize, usize),
        (row_stride, column_stride): (usize, usize),
    ) -> Result<Self, ShapeError> {
        let shape = Shape { rows, columns, row_stride, column_stride }.tamed();
        shape.check_within("data", data.len())?;
        Ok(Self { data, shape })
    }

    /// The same elements, rows as columns.
    ///
    /// ```
    /// use deltarule_kernels::{Isa, MatRef, reduce};
    /// let matrix = MatRef::new(&[1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0], 2, 3)?;
    /// let mut sums = [0.0; 2];
    /// reduce::add_column_sums(Isa::detect(), matrix.transposed(), &mut sums)?;
    /// assert_eq!(sums, [6.0, 15.0]); // of the rows
    /// # Ok::<(), deltarule_kernels::ShapeError>(())
    /// ```
    pub fn transposed(self) -> Self {
        Self { data: self.data, shape: self.shape.transposed() }
    }

    /// Whole rows of so many elements.
    pub(crate) fn of_rows(data: &'a [E], columns: usize) -> Self {
        let rows = data.len().checked_div(columns).unwrap_or(0);
        Self { data, shape: Shape::row_major(rows, columns) }
    }

    /// One row.
    pub(crate) fn row(data: &'a [E]) -> Self {
        Self { data, shape: Shape::row_major(1, data.len()) }
    }

    /// All elements of a packed matrix as one row.
    pub(crate) fn flattened(self) -> Self {
        debug_assert!(self.shape.is_packed());
        let length = self.shape.rows * self.shape.columns;
        Self::row(&self.data[..length])
    }

    /// The (rows, columns) elements that begin at (row, column), all within the matrix.
    pub(crate) fn block(
        self,
        (row, column): (usize, usize),
        (rows, columns): (usize, usize),
    ) -> Self {
        debug_assert!(row + rows <= self.shape.rows && column + columns <= self.shape.columns);
        // An empty block may begin one past the last element.
        let start = row * self.shape.row_stride + column * self.shape.column_stride;
        let data = self.data.get(start..).unwrap_or_default();
        Self { data, shape: Shape { rows, columns, ..self.shape } }
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.shape.rows
    }

    /// The number of columns.
    pub fn columns(&self) -> usize {
        self.shape.columns
    }

    pub(crate) fn shape(&self) -> Shape {
        self.shape
    }

    pub(crate) fn data(&self) -> &'a [E] {
        self.data
    }

    /// Element (i, j), if there is one.
    ///
    /// ```
    /// use deltarule_kernels::MatRef;
    /// let a = MatRef::new(&[1.0_f32, 2.0, 3.0, 4.0], 2, 2)?;
    /// assert_eq!((a.get(1, 0), a.transposed().get(1, 0)), (Some(3.0), Some(2.0)));
    /// assert_eq!(a.get(2, 0), None);
    /// # Ok::<(), deltarule_kernels::ShapeError>(())
    /// ```
    pub fn get(&self, i: usize, j: usize) -> Option<E> {
        (i < self.rows() && j < self.columns()).then(|| self.at(i, j))
    }

    /// Element (i, j), both in range.
    pub(crate) fn at(&self, i: usize, j: usize) -> E {
        self.data[i * self.shape.row_stride + j * self.shape.column_stride]
    }
}

impl<'a, E: Element> MatMut<'a, E> {
    /// `rows × columns` elements, row after row.
    ///
    /// ```
    /// use deltarule_kernels::{MatMut, ShapeError};
    /// let error = MatMut::new(&mut [0.0f32; 5], 2, 3).unwrap_err();
    /// assert_eq!(error, ShapeError::Length { argument: "data", expected: 6, actual: 5 });
    /// ```
    ///
    /// # Errors
    /// [`ShapeError::Length`] unless `data` has just that many; [`ShapeError::Overflow`].
    pub fn new(data: &'a mut [E], rows: usize, columns: usize) -> Result<Self, ShapeError> {
        crate::error::check_length("data", data, checked_area("data", rows, columns)?)?;
        Ok(Self { data, shape: Shape::row_major(rows, columns) })
    }

    /// A matrix at these strides.
    ///
    /// ```
    /// use deltarule_kernels::{MatMut, ShapeError};
    /// let mut data = [0.0f32; 6];
    /// assert!(MatMut::with_strides(&mut data, (2, 3), (1, 2)).is_ok()); // column-major
    /// let error = MatMut::with_strides(&mut data, (2, 3), (1, 1)).unwrap_err();
    /// assert!(matches!(error, ShapeError::Overlap { row_stride: 1, column_stride: 1, .. }));
    /// ```
    ///
    /// # Errors
    /// [`ShapeError::Length`] if the slice ends before the last element;
    /// [`ShapeError::Overlap`] if two elements share a place; [`ShapeError::Overflow`].
    pub fn with_strides(
        data: &'a mut [E],
        (rows, columns): (usize, usize),
        (row_stride, column_stride): (usize, usize),
    ) -> Result<Self, ShapeError> {
        let shape = Shape { rows, columns, row_stride, column_stride }.tamed();
        shape.check_within("data", data.len())?;
        shape.check_disjoint("data")?;
        Ok(Self { data, shape })
    }

    /// One row.
    pub(crate) fn row(data: &'a mut [E]) -> Self {
        let shape = Shape::row_major(1, data.len());
        Self { data, shape }
    }

    /// All elements of a packed matrix as one row.
    pub(crate) fn flattened(self) -> Self {
        debug_assert!(self.shape.is_packed());
        let length = self.shape.rows * self.shape.columns;
        Self::row(&mut self.data[..length])
    }

    /// The same elements, rows as columns.
    ///
    /// ```
    /// use deltarule_kernels::{Isa, MatMut, MatRef, gemm::{Gemm, scratch_len}};
    /// let isa = Isa::detect();
    /// let mut scratch = vec![0.0; scratch_len::<f32>(isa, 2, 3, 1)?];
    /// let (a, b) = (MatRef::new(&[1.0, 10.0], 2, 1)?, MatRef::new(&[1.0, 2.0, 3.0], 1, 3)?);
    /// let mut data = [0.0f32; 6];
    /// let c = MatMut::new(&mut data, 3, 2)?.transposed(); // (2, 3), column after column
    /// Gemm::new(a, b, c).run(isa, &mut scratch)?;
    /// assert_eq!(data, [1.0, 10.0, 2.0, 20.0, 3.0, 30.0]);
    /// # Ok::<(), deltarule_kernels::ShapeError>(())
    /// ```
    pub fn transposed(self) -> Self {
        Self { data: self.data, shape: self.shape.transposed() }
    }

    /// The same matrix for a while.
    ///
    /// ```
    /// use deltarule_kernels::{Isa, MatMut, MatRef, gemm::{Gemm, Start, scratch_len}};
    /// let isa = Isa::detect();
    /// let mut scratch = vec![0.0; scratch_len::<f32>(isa, 1, 1, 2)?];
    /// let mut data = [0.0f32];
    /// let mut c = MatMut::new(&mut data, 1, 1)?;
    /// for x in [[1.0, 2.0], [3.0, 4.0]] {
    ///     let (row, column) = (MatRef::new(&x, 1, 2)?, MatRef::new(&x, 2, 1)?);
    ///     Gemm::new(row, column, c.reborrow()).start(Start::Accumulate).run(isa, &mut scratch)?;
    /// }
    /// assert_eq!(data, [30.0]);
    /// # Ok::<(), deltarule_kernels::ShapeError>(())
    /// ```
    pub fn reborrow(&mut self) -> MatMut<'_, E> {
        MatMut { data: self.data, shape: self.shape }
    }

    /// The (rows, columns) elements that begin at (row, column), all within the matrix.
    pub(crate) fn block(
        &mut self,
        (row, column): (usize, usize),
        (rows, columns): (usize, usize),
    ) -> MatMut<'_, E> {
        debug_assert!(row + rows <= self.shape.rows && column + columns <= self.shape.columns);
        // An empty block may begin one past the last element.
        let start = row * self.shape.row_stride + column * self.shape.column_stride;
        let data = self.data.get_mut(start..).unwrap_or_default();
        MatMut { data, shape: Shape { rows, columns, ..self.shape } }
    }

    /// The same matrix to read, for a while.
    pub fn as_ref(&self) -> MatRef<'_, E> {
        MatRef { data: self.data, shape: self.shape }
    }

    /// A matrix at strides that were checked before, in a slice that ends with its last element
    /// or later.
    pub(crate) fn at_strides(
        data: &'a mut [E],
        (rows, columns): (usize, usize),
        (row_stride, column_stride): (usize, usize),
    ) -> Self {
        Self { data, shape: Shape { rows, columns, row_stride, column_stride } }
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.shape.rows
    }

    /// The number of columns.
    pub fn columns(&self) -> usize {
        self.shape.columns
    }

    pub(crate) fn shape(&self) -> Shape {
        self.shape
    }

    pub(crate) fn data(&mut self) -> &mut [E] {
        self.data
    }

    /// Element (i, j), if there is one.
    pub fn get_mut(&mut self, i: usize, j: usize) -> Option<&mut E> {
        let is_there = i < self.rows() && j < self.columns();
        is_there.then(|| self.at(i, j))
    }

    /// Row i, if there is one and its elements are neighbours.
    ///
    /// ```
    /// use deltarule_kernels::MatMut;
    /// let mut data = [1.0_f32, 2.0, 3.0, 4.0];
    /// let mut c = MatMut::new(&mut data, 2, 2)?;
    /// c.row_mut(1).unwrap()[0] = 7.0;
    /// *c.get_mut(0, 1).unwrap() = 5.0;
    /// assert!(c.row_mut(2).is_none() && c.transposed().row_mut(0).is_none());
    /// assert_eq!(data, [1.0, 5.0, 7.0, 4.0]);
    /// # Ok::<(), deltarule_kernels::ShapeError>(())
    /// ```
    pub fn row_mut(&mut self, i: usize) -> Option<&mut [E]> {
        let Shape { rows, columns, row_stride, .. } = self.shape;
        if i >= rows || !self.shape.has_whole_rows() {
            return None;
        }
        // An empty row may begin past the last element.
        self.data.get_mut(i * row_stride..)?.get_mut(..columns)
    }

    /// Element (i, j), both in range.
    pub(crate) fn at(&mut self, i: usize, j: usize) -> &mut E {
        &mut self.data[i * self.shape.row_stride + j * self.shape.column_stride]
    }
}
