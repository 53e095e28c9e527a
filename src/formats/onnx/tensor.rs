//! The numbers of tensors.

use deltarule_kernels::Element;
use half::{bf16, f16};

use super::proto::{Tensor, data_type};
use crate::error::try_vec;
use crate::formats::numbers;

/// The most dimensions of a tensor that is read.
const MAX_DIMENSIONS: usize = 8;

impl Tensor {
    /// The extents. No layer has more than a few: a file could name thousands of them once, and have
    /// each of thousands of nodes go through them.
    pub(super) fn extents(&self) -> Result<Vec<usize>, String> {
        if self.dims.len() > MAX_DIMENSIONS {
            return Err(format!("`{}` has {} dimensions", self.name, self.dims.len()));
        }
        let extents = self.dims.iter().map(|&dim| usize::try_from(dim).ok()).collect();
        let extents: Option<Vec<usize>> = extents;
        extents.ok_or_else(|| format!("`{}` has the shape {:?}", self.name, self.dims))
    }

    /// The number of elements.
    pub(super) fn count(&self) -> Result<usize, String> {
        let extents = self.extents()?;
        let count = extents.iter().try_fold(1usize, |count, &extent| count.checked_mul(extent));
        count.ok_or_else(|| format!("`{}` has the shape {:?}", self.name, self.dims))
    }

    /// The bytes of an element, if it is of a type that is read.
    pub(super) fn element_bytes(&self) -> Result<usize, String> {
        match self.data_type {
            data_type::FLOAT16 | data_type::BFLOAT16 => Ok(2),
            data_type::FLOAT | data_type::INT32 => Ok(4),
            data_type::DOUBLE | data_type::INT64 => Ok(8),
            other => Err(format!("`{}` is of type {other}, which is not read", self.name)),
        }
    }

    /// The elements, if they are floats.
    pub(super) fn floats<E: Element>(&self) -> Result<Vec<E>, String> {
        let half = |bits: &i32| *bits as u16;
        match self.data_type {
            data_type::FLOAT => {
                self.read(&self.float_data, |bytes| f32::from_le_bytes(bytes).into(), |&x| x.into())
            }
            data_type::DOUBLE => self.read(&self.double_data, f64::from_le_bytes, |&x| x),
            data_type::FLOAT16 => self.read(
                &self.int32_data,
                |bytes| f16::from_le_bytes(bytes).to_f64(),
                |bits| f16::from_bits(half(bits)).to_f64(),
            ),
            data_type::BFLOAT16 => self.read(
                &self.int32_data,
                |bytes| bf16::from_le_bytes(bytes).to_f64(),
                |bits| bf16::from_bits(half(bits)).to_f64(),
            ),
            other => Err(format!("`{}` is of type {other}, which is none of floats", self.name)),
        }
    }

    /// The elements, if they are whole numbers.
    pub(super) fn integers(&self) -> Result<Vec<i64>, String> {
        let raw = &self.raw_data;
        let count = match (self.data_type, raw.len()) {
            (data_type::INT64, 0) => self.int64_data.len(),
            (data_type::INT32, 0) => self.int32_data.len(),
            (data_type::INT64, bytes) => bytes / 8,
            (data_type::INT32, bytes) => bytes / 4,
            (other, _) => {
                return Err(format!("`{}` is of type {other}, not of integers", self.name));
            }
        };
        self.check(count, "")?;
        let (longs, ints) = (raw.as_chunks().0, raw.as_chunks().0);
        Ok(match (self.data_type == data_type::INT64, raw.is_empty()) {
            (true, true) => self.int64_data.clone(),
            (true, false) => longs.iter().map(|&it| i64::from_le_bytes(it)).collect(),
            (false, true) => self.int32_data.iter().map(|&it| it.into()).collect(),
            (false, false) => ints.iter().map(|&it| i32::from_le_bytes(it).into()).collect(),
        })
    }

    /// The elements, each `N` bytes if they are raw.
    fn read<E: Element, T, const N: usize>(
        &self,
        values: &[T],
        from_bytes: impl Fn([u8; N]) -> f64,
        from_value: impl Fn(&T) -> f64,
    ) -> Result<Vec<E>, String> {
        let is_raw = !self.raw_data.is_empty();
        if is_raw && !self.raw_data.len().is_multiple_of(N) {
            return Err(format!("`{}` has {} bytes", self.name, self.raw_data.len()));
        }
        let count = if is_raw { self.raw_data.len() / N } else { values.len() };
        self.check(count, if is_raw { "raw " } else { "" })?;
        let mut elements = try_vec("numbers", count).map_err(|error| error.to_string())?;
        if is_raw {
            numbers::read(&self.raw_data, from_bytes, &mut elements);
        } else {
            for (element, value) in elements.iter_mut().zip(values) {
                *element = E::from_f64(from_value(value));
            }
        }
        Ok(elements)
    }

    /// Checks that the shape is one of so many elements.
    fn check(&self, count: usize, kind: &str) -> Result<(), String> {
        let needed = self.count()?;
        if count == needed {
            return Ok(());
        }
        let Self { name, dims, .. } = self;
        Err(format!("`{name}` has {count} {kind}elements, but its shape is {dims:?}"))
    }
}
