//! IDX files, in which MNIST and its kin come, plain or compressed by gzip.
//!
//! The format: two bytes of 0, a byte for the type of the elements, a byte for the number of
//! dimensions, each dimension's extent as a big-endian u32, and the elements, big-endian and
//! row-major. Described by LeCun, Cortes and Burges beside the MNIST database.
//!
//! ```
//! use deltarule::data::idx;
//! // u8, one dimension of 3: the labels of three images.
//! let labels = [0, 0, 8, 1, 0, 0, 0, 3, 7, 2, 1];
//! assert_eq!(idx::read::<f32>(labels.as_slice(), 1000)?.to_labels()?, [7, 2, 1]);
//! # Ok::<(), deltarule::data::ReadError>(())
//! ```

use deltarule_kernels::Element;
use std::io::Read;
use std::path::Path;

use super::array::{self, Promise, header};
use super::{Array, Dataset, MAX_ELEMENTS, ReadError, inflate::Inflate};

const FORMAT: &str = "IDX";

/// Reads a file of at most [`MAX_ELEMENTS`] elements.
///
/// ```
/// use deltarule::data::idx;
/// # let path = std::env::temp_dir().join("deltarule_open_doc.idx");
/// # std::fs::write(&path, [0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 10, 20, 30, 40, 50, 60])?;
/// let array = idx::open::<f32>(&path)?;
/// assert_eq!((array.rows(), array.columns()), (2, 3));
/// # std::fs::remove_file(&path)?;
/// # Ok::<(), deltarule::data::ReadError>(())
/// ```
///
/// # Errors
/// [`ReadError::Open`], and [`ReadError::InFile`] for those of [`read`].
pub fn open<E: Element>(path: impl AsRef<Path>) -> Result<Array<E>, ReadError> {
    let path = path.as_ref();
    read(array::open(path)?, MAX_ELEMENTS).map_err(|error| error.in_file(path))
}

/// Reads an array of at most `max_elements` elements. Whether it is compressed is seen from its
/// first bytes.
///
/// All of the format's types are read: u8, i8, i16, i32, f32 and f64. Memory grows with what is
/// there, whatever the header promises, and never beyond twice `max_elements`.
///
/// ```
/// let file = [0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 10, 20, 30, 40, 50, 60];
/// let array = deltarule::data::idx::read::<f32>(file.as_slice(), 6)?;
/// assert_eq!(array.shape(), [2, 3]);
/// assert_eq!(array.values(), [10.0, 20.0, 30.0, 40.0, 50.0, 60.0]);
/// # Ok::<(), deltarule::data::ReadError>(())
/// ```
///
/// # Errors
/// [`ReadError::Format`] if this is no IDX file or something follows its elements,
/// [`ReadError::TooLarge`] for more than `max_elements`, [`ReadError::Truncated`] if there are
/// fewer than promised, [`ReadError::Io`] if reading or decompressing fails.
pub fn read<E: Element>(reader: impl Read, max_elements: usize) -> Result<Array<E>, ReadError> {
    // The elements are limited, and so is what is inflated for them.
    let reader = &mut Inflate::new(reader, u64::MAX)?;
    let [zero, nought, element, dimensions] = header(FORMAT, reader)?;
    if (zero, nought) != (0, 0) {
        let problem = "its first two bytes are not 0".to_owned();
        return Err(ReadError::Format { format: FORMAT, problem });
    }
    let mut shape = Vec::with_capacity(dimensions.into());
    for _ in 0..dimensions {
        shape.push(u32::from_be_bytes(header(FORMAT, reader)?).into());
    }
    let promise = Promise { format: FORMAT, shape, max_elements };
    match element {
        0x08 => promise.read(reader, |[byte]| E::from_f64(byte.into())),
        0x09 => promise.read(reader, |bytes| E::from_f64(i8::from_be_bytes(bytes).into())),
        0x0b => promise.read(reader, |bytes| E::from_f64(i16::from_be_bytes(bytes).into())),
        0x0c => promise.read(reader, |bytes| E::from_f64(i32::from_be_bytes(bytes).into())),
        0x0d => promise.read(reader, |bytes| E::from_f64(f32::from_be_bytes(bytes).into())),
        0x0e => promise.read(reader, |bytes| E::from_f64(f64::from_be_bytes(bytes))),
        other => {
            let problem = format!("{other:#04x} is no type of elements");
            Err(ReadError::Format { format: FORMAT, problem })
        }
    }
}

/// Reads images and their labels. The images' numbers, 0 to 255, are divided by 255.
///
/// ```
/// use deltarule::data::idx;
/// # let folder = std::env::temp_dir();
/// # let images = folder.join("deltarule_doc-images-idx3-ubyte");
/// # let labels = folder.join("deltarule_doc-labels-idx1-ubyte");
/// # std::fs::write(&images, [0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2, 0, 255, 51, 102])?;
/// # std::fs::write(&labels, [0, 0, 8, 1, 0, 0, 0, 2, 1, 0])?;
/// let data = idx::open_images::<f32>(&images, &labels)?; // two images of 1 × 2
/// assert_eq!((data.rows(), data.columns(), data.labels()), (2, 2, [1, 0].as_slice()));
/// assert_eq!(data.features(), [0.0, 1.0, 0.2, 0.4]);
/// # std::fs::remove_file(&images)?;
/// # std::fs::remove_file(&labels)?;
/// # Ok::<(), deltarule::data::ReadError>(())
/// ```
///
/// # Errors
/// As [`open`]; [`ReadError::Invalid`] if there are not as many labels as images.
pub fn open_images<E: Element>(
    images: impl AsRef<Path>,
    labels: impl AsRef<Path>,
) -> Result<Dataset<E>, ReadError> {
    let mut images: Array<E> = open(images)?;
    for pixel in images.values_mut() {
        *pixel = E::from_f64(pixel.to_f64() / 255.0);
    }
    Ok(images.with_labels(&open(labels)?)?)
}
