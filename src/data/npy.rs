//! NumPy's `.npy` files, versions 1 to 3: booleans, integers and floats, of either byte order, in C
//! order or, with up to two dimensions, in Fortran order.
//!
//! The format: NEP 1, and `numpy.lib.format`.
//!
//! ```
//! use deltarule::data::{ReadError, npy};
//! let header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (2,)}";
//! let mut file = b"\x93NUMPY\x01\x00".to_vec();
//! file.extend((header.len() as u16).to_le_bytes());
//! file.extend(header);
//! file.extend([0.5f64, 1.5].iter().flat_map(|x| x.to_le_bytes()));
//! assert_eq!(npy::read::<f32>(file.as_slice(), 2)?.values(), [0.5, 1.5]);
//! // A file that was cut off.
//! let error = npy::read::<f32>(&file[..file.len() - 1], 2).unwrap_err();
//! assert!(matches!(error, ReadError::Truncated { expected: 2, actual: 1, .. }));
//! # Ok::<(), deltarule::data::ReadError>(())
//! ```

use deltarule_kernels::Element;
use std::io::Read;
use std::path::Path;

use super::array::{self, Promise, fill, header};
use super::{Array, MAX_ELEMENTS, ReadError};

const FORMAT: &str = "NPY";

/// The most bytes of a header. NumPy's own, of a type without fields, have 118 or so.
const MAX_HEADER: usize = 1 << 16;

fn invalid(problem: impl Into<String>) -> ReadError {
    ReadError::Format { format: FORMAT, problem: problem.into() }
}

/// Reads a file of at most [`MAX_ELEMENTS`] elements.
///
/// ```
/// use deltarule::data::npy;
/// # let path = std::env::temp_dir().join("deltarule_open_doc.npy");
/// # let header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2)}";
/// # let mut file = b"\x93NUMPY\x01\x00".to_vec();
/// # file.extend((header.len() as u16).to_le_bytes());
/// # file.extend(header);
/// # file.extend([1f32, 2.].iter().flat_map(|x| x.to_le_bytes()));
/// # std::fs::write(&path, &file)?;
/// let array = npy::open::<f32>(&path)?;
/// assert_eq!((array.shape(), array.values()), ([1, 2].as_slice(), [1.0, 2.0].as_slice()));
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

/// Reads an array of at most `max_elements` elements.
///
/// The types b1, i1, i2, i4, i8, u1, u2, u4, u8, f2, f4 and f8 are read. Integers of 64 bits are
/// rounded to f64, and f64 is rounded where the element is f32; true is 1. Memory grows with what is
/// there, whatever the header promises, and never beyond twice `max_elements`, or three times in
/// Fortran order, whose numbers are copied row by row.
///
/// ```
/// let mut file = b"\x93NUMPY\x01\x00\x3d\x00".to_vec();
/// file.extend(b"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }  \n");
/// file.truncate(10 + 0x3d);
/// file.extend([0, 0, 128, 63, 0, 0, 0, 64]);
/// let array = deltarule::data::npy::read::<f32>(file.as_slice(), 2)?;
/// assert_eq!((array.shape(), array.values()), ([2, 1].as_slice(), [1.0, 2.0].as_slice()));
/// # Ok::<(), deltarule::data::ReadError>(())
/// ```
///
/// # Errors
/// [`ReadError::Format`] if this is no such file or something follows its elements,
/// [`ReadError::TooLarge`] for more than `max_elements`, [`ReadError::Truncated`] if there are
/// fewer than promised, [`ReadError::Io`] if reading fails.
pub fn read<E: Element>(mut reader: impl Read, max_elements: usize) -> Result<Array<E>, ReadError> {
    let reader = &mut reader;
    if header(FORMAT, reader)? != *b"\x93NUMPY" {
        return Err(invalid("its first six bytes are not \\x93NUMPY"));
    }
    let length = match header(FORMAT, reader)? {
        [1, _] => usize::from(u16::from_le_bytes(header(FORMAT, reader)?)),
        [2 | 3, _] => u32::from_le_bytes(header(FORMAT, reader)?) as usize,
        [major, minor] => return Err(invalid(format!("its version is {major}.{minor}"))),
    };
    if length > MAX_HEADER {
        return Err(invalid(format!("its header has {length} bytes")));
    }
    let mut text = vec![0; length];
    if fill(reader, &mut text)? < length {
        return Err(invalid("it ends within its header"));
    }
    let text = core::str::from_utf8(&text).map_err(|_| invalid("its header is not text"))?;
    let Header { element, fortran_order, shape } = Header::parse(text)?;
    let dimensions = shape.len();
    if fortran_order && dimensions > 2 {
        return Err(invalid(format!(
            "it is in Fortran order, which is read of up to 2 dimensions, and has {dimensions}: \
             save `np.ascontiguousarray(x)`"
        )));
    }
    let promise = Promise { format: FORMAT, shape, max_elements };
    let array = elements(reader, promise, &element)?;
    Ok(if fortran_order && dimensions == 2 { array.by_rows()? } else { array })
}

/// Reads elements of the type that a header names: the order of the bytes, `|` if there is but one,
/// the kind, and the bytes.
fn elements<E: Element>(
    reader: &mut impl Read,
    promise: Promise,
    name: &str,
) -> Result<Array<E>, ReadError> {
    let big = name.starts_with('>');
    match name.strip_prefix(['<', '>', '|']).unwrap_or(name) {
        "b1" => promise.read(reader, |[byte]| E::from_f64((byte != 0).into())),
        "i1" => promise.read(reader, |bytes| E::from_f64(i8::from_le_bytes(bytes).into())),
        "u1" => promise.read(reader, |[byte]| E::from_f64(byte.into())),
        "i2" => promise.read(reader, |b| E::from_f64(i16::from_le_bytes(little(b, big)).into())),
        "u2" => promise.read(reader, |b| E::from_f64(u16::from_le_bytes(little(b, big)).into())),
        "f2" => promise.read(reader, |b| E::from_f64(half(u16::from_le_bytes(little(b, big))))),
        "i4" => promise.read(reader, |b| E::from_f64(i32::from_le_bytes(little(b, big)).into())),
        "u4" => promise.read(reader, |b| E::from_f64(u32::from_le_bytes(little(b, big)).into())),
        "f4" => promise.read(reader, |b| E::from_f64(f32::from_le_bytes(little(b, big)).into())),
        "i8" => promise.read(reader, |b| E::from_f64(i64::from_le_bytes(little(b, big)) as f64)),
        "u8" => promise.read(reader, |b| E::from_f64(u64::from_le_bytes(little(b, big)) as f64)),
        "f8" => promise.read(reader, |b| E::from_f64(f64::from_le_bytes(little(b, big)))),
        _ => Err(invalid(format!(
            "its type is {name:?}, and only numbers that are real are read: save `x.astype('f4')`"
        ))),
    }
}

/// Bytes in little-endian order.
fn little<const N: usize>(mut bytes: [u8; N], big: bool) -> [u8; N] {
    if big {
        bytes.reverse();
    }
    bytes
}

/// The number that IEEE 754's binary16 has for these bits.
fn half(bits: u16) -> f64 {
    let fraction = f64::from(bits & 0x3ff);
    let size = match bits >> 10 & 0x1f {
        0 => fraction * 2f64.powi(-24),
        0x1f if fraction == 0.0 => f64::INFINITY,
        0x1f => f64::NAN,
        exponent => (1024.0 + fraction) * 2f64.powi(i32::from(exponent) - 25),
    };
    if bits >> 15 == 0 { size } else { -size }
}

struct Header {
    element: String,
    fortran_order: bool,
    shape: Vec<u64>,
}

impl Header {
    /// Parses the literal of a Python dictionary with just these three keys.
    fn parse(text: &str) -> Result<Self, ReadError> {
        let (mut element, mut fortran_order, mut shape) = (None, None, None);
        let mut literal = Literal(text);
        literal.expect("{")?;
        while !literal.take("}") {
            let key = literal.string()?;
            literal.expect(":")?;
            match key {
                "descr" if literal.0.trim_start().starts_with('[') => {
                    return Err(invalid(
                        "its type is a structure, of which no field is read: save \
                         `x['name'].astype('f4')`",
                    ));
                }
                "descr" => element = Some(literal.string()?.to_owned()),
                "fortran_order" => fortran_order = Some(literal.boolean()?),
                "shape" => shape = Some(literal.tuple()?),
                other => return Err(invalid(format!("its header has a key {other:?}"))),
            }
            if !literal.take(",") {
                literal.expect("}")?;
                break;
            }
        }
        literal.end()?;
        let missing = |key| invalid(format!("its header has no key {key:?}"));
        Ok(Self {
            element: element.ok_or_else(|| missing("descr"))?,
            fortran_order: fortran_order.ok_or_else(|| missing("fortran_order"))?,
            shape: shape.ok_or_else(|| missing("shape"))?,
        })
    }
}

/// What is left of a literal.
struct Literal<'a>(&'a str);

impl<'a> Literal<'a> {
    fn take(&mut self, token: &str) -> bool {
        let rest = self.0.trim_start().strip_prefix(token);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    fn expect(&mut self, token: &str) -> Result<(), ReadError> {
        if self.take(token) { Ok(()) } else { Err(self.wanted(token)) }
    }

    fn wanted(&self, token: &str) -> ReadError {
        let found: String = self.0.trim_start().chars().take(20).collect();
        invalid(format!("its header has {found:?} where {token} is needed"))
    }

    fn string(&mut self) -> Result<&'a str, ReadError> {
        let rest = self.0.trim_start();
        for quote in ['\'', '"'] {
            if let Some((string, rest)) =
                rest.strip_prefix(quote).and_then(|rest| rest.split_once(quote))
            {
                self.0 = rest;
                return Ok(string);
            }
        }
        Err(self.wanted("a string"))
    }

    fn boolean(&mut self) -> Result<bool, ReadError> {
        if self.take("True") {
            return Ok(true);
        }
        if self.take("False") { Ok(false) } else { Err(self.wanted("True or False")) }
    }

    fn tuple(&mut self) -> Result<Vec<u64>, ReadError> {
        let mut numbers = Vec::new();
        self.expect("(")?;
        while !self.take(")") {
            let rest = self.0.trim_start();
            let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
            numbers.push(rest[..end].parse().map_err(|_| self.wanted("a number"))?);
            self.0 = &rest[end..];
            if !self.take(",") {
                self.expect(")")?;
                break;
            }
        }
        Ok(numbers)
    }

    fn end(&self) -> Result<(), ReadError> {
        if self.0.trim().is_empty() { Ok(()) } else { Err(self.wanted("the end")) }
    }
}
