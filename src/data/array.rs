//! Numbers in a shape, as files of arrays hold them.

use deltarule_kernels::Element;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use super::{Dataset, ReadError};
use crate::error::{Error, Result, try_reserve, try_vec};

/// The most elements that are read from a file unless another limit is given: 2²⁸, which are 1 GiB
/// of f32.
///
/// ```
/// use deltarule::data::{MAX_ELEMENTS, ReadError, npy};
/// let header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000, 1000000)}";
/// let mut file = b"\x93NUMPY\x01\x00".to_vec();
/// file.extend((header.len() as u16).to_le_bytes());
/// file.extend(header);
/// let error = npy::read::<f32>(file.as_slice(), MAX_ELEMENTS).unwrap_err();
/// assert!(matches!(error, ReadError::TooLarge { limit: MAX_ELEMENTS, .. }));
/// ```
pub const MAX_ELEMENTS: usize = 1 << 28;

/// What a file of an array holds, row-major.
///
/// ```
/// use deltarule::data::npy;
/// # let header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)}";
/// # let mut file = b"\x93NUMPY\x01\x00".to_vec();
/// # file.extend((header.len() as u16).to_le_bytes());
/// # file.extend(header);
/// # file.extend([1f32, 2., 3., 4., 5., 6.].iter().flat_map(|x| x.to_le_bytes()));
/// let mut array = npy::read::<f32>(file.as_slice(), 6)?;
/// assert_eq!((array.shape(), array.rows(), array.columns()), ([2, 3].as_slice(), 2, 3));
/// for x in array.values_mut() {
///     *x /= 2.0;
/// }
/// assert_eq!(array.values()[..3], [0.5, 1.0, 1.5]);
/// assert_eq!(array.into_values().len(), 6);
/// # Ok::<(), deltarule::data::ReadError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Array<E: Element = f32> {
    shape: Vec<usize>,
    values: Vec<E>,
}

impl<E: Element> Array<E> {
    /// The extent of each dimension; none for a single number.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The numbers.
    pub fn values(&self) -> &[E] {
        &self.values
    }

    /// The numbers, to change.
    pub fn values_mut(&mut self) -> &mut [E] {
        &mut self.values
    }

    /// The numbers.
    pub fn into_values(self) -> Vec<E> {
        self.values
    }

    /// The extent of the first dimension.
    pub fn rows(&self) -> usize {
        self.shape.first().copied().unwrap_or(1)
    }

    /// The elements of a row: all dimensions but the first. Of an array without elements they may
    /// be more than `usize` holds; then it is `usize::MAX`.
    pub fn columns(&self) -> usize {
        self.shape.iter().skip(1).fold(1, |product, &extent| product.saturating_mul(extent))
    }

    /// The numbers as classes.
    ///
    /// ```
    /// use deltarule::data::npy;
    /// # let header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}";
    /// # let mut file = b"\x93NUMPY\x01\x00".to_vec();
    /// # file.extend((header.len() as u16).to_le_bytes());
    /// # file.extend(header);
    /// # file.extend([2f32, 0., 1.].iter().flat_map(|x| x.to_le_bytes()));
    /// let mut array = npy::read::<f32>(file.as_slice(), 3)?; // 2, 0, 1
    /// assert_eq!(array.to_labels()?, [2, 0, 1]);
    /// array.values_mut()[1] = 0.5;
    /// assert!(array.to_labels().is_err());
    /// # Ok::<(), deltarule::data::ReadError>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for a number that is no class: negative, not whole, or too large to
    /// be exact.
    pub fn to_labels(&self) -> Result<Vec<usize>> {
        // Up to here each whole number is an f32 or an f64.
        let largest = if size_of::<E>() == 4 { 2f64.powi(24) } else { 2f64.powi(53) };
        let label = |x: &E| {
            let value = x.to_f64();
            if value.fract() == 0.0 && (0.0..=largest).contains(&value) {
                return Ok(value as usize);
            }
            let expected = "a class: a whole number, and not negative";
            Err(Error::OutOfRange { argument: "labels", value, expected })
        };
        self.values.iter().map(label).collect()
    }

    /// The array of two dimensions whose numbers were read column by column.
    pub(super) fn by_rows(self) -> Result<Self> {
        let (rows, columns) = (self.rows(), self.columns());
        let mut values = try_vec("values", self.values.len())?;
        // An array without numbers may have any extents, but no rows to fill.
        for (row, to) in values.chunks_exact_mut(columns.max(1)).enumerate() {
            let from = self.values[row..].iter().step_by(rows);
            to.iter_mut().zip(from).for_each(|(to, &from)| *to = from);
        }
        Ok(Self { shape: self.shape, values })
    }

    /// A data set of this array's rows and of a class for each.
    ///
    /// ```
    /// use deltarule::data::npy;
    /// # let file = |shape: &str, values: &[f32]| {
    /// #     let head = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({shape})}}");
    /// #     let mut file = b"\x93NUMPY\x01\x00".to_vec();
    /// #     file.extend((head.len() as u16).to_le_bytes());
    /// #     file.extend(head.bytes());
    /// #     file.extend(values.iter().flat_map(|x| x.to_le_bytes()));
    /// #     file
    /// # };
    /// # let features = file("3, 2", &[1., 2., 3., 4., 5., 6.]);
    /// # let labels = file("3,", &[2., 0., 1.]);
    /// let features = npy::read::<f32>(features.as_slice(), 6)?; // (3, 2)
    /// let labels = npy::read::<f32>(labels.as_slice(), 3)?; // 2, 0, 1
    /// let data = features.with_labels(&labels)?;
    /// assert_eq!((data.rows(), data.columns(), data.labels()), (3, 2, [2, 0, 1].as_slice()));
    /// # Ok::<(), deltarule::data::ReadError>(())
    /// ```
    ///
    /// # Errors
    /// As [`Array::to_labels`] and [`Dataset::from_classes`].
    pub fn with_labels(self, labels: &Self) -> Result<Dataset<E>> {
        let columns = self.columns();
        Dataset::from_classes(self.values, columns, labels.to_labels()?)
    }

    /// A data set of this array's rows and of the rows of `targets`.
    ///
    /// ```
    /// use deltarule::data::npy;
    /// # let file = |shape: &str, values: &[f32]| {
    /// #     let head = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({shape})}}");
    /// #     let mut file = b"\x93NUMPY\x01\x00".to_vec();
    /// #     file.extend((head.len() as u16).to_le_bytes());
    /// #     file.extend(head.bytes());
    /// #     file.extend(values.iter().flat_map(|x| x.to_le_bytes()));
    /// #     file
    /// # };
    /// # let (features, targets) = (file("2, 1", &[1., 2.]), file("2, 2", &[1., -1., 2., -2.]));
    /// let features = npy::read::<f32>(features.as_slice(), 2)?; // (2, 1)
    /// let targets = npy::read::<f32>(targets.as_slice(), 4)?; // (2, 2)
    /// let data = features.with_targets(targets)?;
    /// assert_eq!((data.rows(), data.outputs(), data.values().len()), (2, 2, 4));
    /// # Ok::<(), deltarule::data::ReadError>(())
    /// ```
    ///
    /// # Errors
    /// As [`Dataset::from_values`].
    pub fn with_targets(self, targets: Self) -> Result<Dataset<E>> {
        let (columns, outputs) = (self.columns(), targets.columns());
        Dataset::from_values(self.values, columns, targets.values, outputs)
    }
}

/// Opens a file to read from.
pub(super) fn open(path: &Path) -> Result<BufReader<File>, ReadError> {
    let error = |source| ReadError::Open { path: path.to_owned(), source };
    let file = File::open(path).map_err(error)?;
    // A directory opens, but can't be read, which would be told without its name.
    if file.metadata().map_err(error)?.is_dir() {
        return Err(error(io::ErrorKind::IsADirectory.into()));
    }
    Ok(BufReader::new(file))
}

/// What a header promises: an array of this shape in this format.
pub(super) struct Promise {
    pub(super) format: &'static str,
    pub(super) shape: Vec<u64>,
    pub(super) max_elements: usize,
}

impl Promise {
    /// Reads the elements, each `N` bytes, and the end of the file after them.
    ///
    /// Memory grows with what has been read, and never with what is merely promised: the vector
    /// has less than twice the elements that are there, plus one buffer.
    pub(super) fn read<E: Element, const N: usize>(
        self,
        reader: &mut impl Read,
        convert: impl Fn([u8; N]) -> E,
    ) -> Result<Array<E>, ReadError> {
        let Self { format, shape, max_elements } = self;
        let product = shape.iter().try_fold(1u64, |product, &extent| product.checked_mul(extent));
        // A product of 0 may hide extents of any size.
        let extents: Option<Vec<usize>> =
            shape.iter().map(|&extent| usize::try_from(extent).ok()).collect();
        let count = product.and_then(|product| usize::try_from(product).ok());
        let (Some(count), Some(extents)) = (count.filter(|&c| c <= max_elements), extents) else {
            return Err(ReadError::TooLarge { format, shape, limit: max_elements });
        };
        let mut buffer = vec![0; 8192 * N];
        let mut values: Vec<E> = Vec::new();
        while values.len() < count {
            let wanted = (count - values.len()).min(8192);
            let got = fill(reader, &mut buffer[..wanted * N])? / N;
            try_reserve("values", &mut values, got)?;
            let (elements, _) = buffer[..got * N].as_chunks();
            values.extend(elements.iter().map(|&bytes| convert(bytes)));
            if got < wanted {
                let (expected, actual) = (count, values.len());
                return Err(ReadError::Truncated { format, expected, actual });
            }
        }
        if fill(reader, &mut buffer[..1])? > 0 {
            let problem = format!("something follows the {count} elements that it promises");
            return Err(ReadError::Format { format, problem });
        }
        Ok(Array { shape: extents, values })
    }
}

/// Reads until the buffer is full or the file ends, and says how many bytes that were.
pub(super) fn fill(reader: &mut impl Read, buffer: &mut [u8]) -> Result<usize, ReadError> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(filled)
}

/// Reads the next `N` bytes of a header.
pub(super) fn header<const N: usize>(
    format: &'static str,
    reader: &mut impl Read,
) -> Result<[u8; N], ReadError> {
    let mut bytes = [0; N];
    if fill(reader, &mut bytes)? == N {
        return Ok(bytes);
    }
    let problem = "it ends within its header".to_owned();
    Err(ReadError::Format { format, problem })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    #[test]
    fn labels_are_as_large_as_is_exact() {
        fn check<E: Element>(largest: f64) {
            let labels =
                |x: f64| Array { shape: vec![1], values: vec![E::from_f64(x)] }.to_labels();
            assert_eq!(labels(largest), Ok(vec![largest as usize]));
            assert!(labels(2.0 * largest).is_err() && labels(-1.0).is_err());
        }
        check::<f32>(2f64.powi(24));
        check::<f64>(2f64.powi(53));
    }

    /// A byte at a time, each after an interruption.
    pub(in crate::data) struct Slow<'a>(pub(in crate::data) &'a [u8], pub(in crate::data) bool);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(std::io::ErrorKind::Interrupted.into());
            }
            let most = buffer.len().min(1);
            self.0.read(&mut buffer[..most])
        }
    }

    #[test]
    fn a_reader_may_be_slow() {
        let mut buffer = [7; 5];
        assert_eq!(fill(&mut Slow(b"abc", false), &mut buffer).unwrap(), 3);
        assert_eq!(buffer, *b"abc\x07\x07");
    }
}
