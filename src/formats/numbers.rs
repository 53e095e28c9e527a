//! Numbers as bytes, the lowest first.

use deltarule_kernels::Element;
use std::io::{self, Write};

/// The name of the element in files.
#[cfg(feature = "checkpoint")]
pub(crate) fn name<E: Element>() -> &'static str {
    if size_of::<E>() == 4 { "f32" } else { "f64" }
}

/// Writes these numbers.
pub(crate) fn write<E: Element>(numbers: &[E], mut to: impl Write) -> io::Result<()> {
    const AT_ONCE: usize = 1024;
    let mut buffer = [0; 8 * AT_ONCE];
    for numbers in numbers.chunks(AT_ONCE) {
        let bytes = &mut buffer[..size_of_val(numbers)];
        let places = bytes.chunks_exact_mut(size_of::<E>());
        for (place, number) in places.zip(numbers) {
            let number = number.to_f64();
            if size_of::<E>() == 4 {
                place.copy_from_slice(&(number as f32).to_le_bytes());
            } else {
                place.copy_from_slice(&number.to_le_bytes());
            }
        }
        to.write_all(bytes)?;
    }
    Ok(())
}

/// Reads numbers of `N` bytes each, as many as there is room for.
pub(crate) fn read<E: Element, const N: usize>(
    bytes: &[u8],
    convert: impl Fn([u8; N]) -> f64,
    to: &mut [E],
) {
    let (chunks, _) = bytes.as_chunks();
    for (number, &chunk) in to.iter_mut().zip(chunks) {
        *number = E::from_f64(convert(chunk));
    }
}

/// Reads numbers of the element itself, as many as there is room for.
#[cfg(feature = "checkpoint")]
pub(crate) fn read_own<E: Element>(bytes: &[u8], to: &mut [E]) {
    if size_of::<E>() == 4 {
        read(bytes, |bytes| f32::from_le_bytes(bytes).into(), to);
    } else {
        read(bytes, f64::from_le_bytes, to);
    }
}
