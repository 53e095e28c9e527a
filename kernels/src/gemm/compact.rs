//! A right-hand operand in fewer bytes: bf16, or int8 with a scale for each column.

use super::micro_kernel::MicroKernels;
use super::one_row::{OneRow, VECTORS};
use super::packed::shape_methods;
use crate::error::checked_area;
use crate::lanes::Lanes;
use crate::{Aligned, Element, Isa, MatRef, ShapeError};

/// How the elements of a [`CompactMatrix`] are stored.
///
/// ```
/// use deltarule_kernels::{Isa, MatRef, gemm::{CompactMatrix, Format}};
/// let b = MatRef::new(&[1.0f32, -254.0, 0.5, 3.0], 2, 2)?;
/// // A scale for each column: max |b|/127.
/// assert_eq!(CompactMatrix::new(Isa::detect(), b, Format::Int8)?.scales(), [1.0 / 127.0, 2.0]);
/// assert!(CompactMatrix::new(Isa::detect(), b, Format::Bf16)?.scales().is_empty());
/// # Ok::<(), deltarule_kernels::ShapeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Format {
    /// The upper half of an f32: 8 bits of mantissa, the leading one included, and all of f32's
    /// range. Rounded to nearest, ties to even: within 2⁻⁸ of the element, relatively.
    Bf16,
    /// q = round(b/s), −127 to 127, with s = max |b|/127 of the column: within s/2 of the element.
    /// Products are of q: [`Rescale`](super::Rescale) multiplies by s. A column in which an element
    /// is infinite or NaN becomes NaN.
    Int8,
}

/// The right-hand operand B of a product, (k, n), packed as a
/// [`PackedMatrix`](super::PackedMatrix) is, in 2 bytes an element or 1. Multiply-adds are those of
/// the scalar type: an element is made one when it is read.
///
/// ```
/// use deltarule_kernels::{Isa, MatMut, MatRef, activation::Activation::Identity};
/// use deltarule_kernels::gemm::{CompactMatrix, Format, Gemm, Rescale, scratch_len};
/// let isa = Isa::detect();
/// let b = MatRef::new(&[127.0f32, 0.5, -3.0, 1.0], 2, 2)?;
/// let b = CompactMatrix::new(isa, b, Format::Int8)?;
/// let mut scratch = vec![0.0; scratch_len::<f32>(isa, 1, 2, 2)?];
/// let (x, mut y) = ([10.0, 1.0], [0.0; 2]);
/// let scales = b.scales();
/// let mut rescale = Rescale { scales, biases: &[1.0, 2.0], activation: Identity };
/// let product = Gemm::new(MatRef::new(&x, 1, 2)?, &b, MatMut::new(&mut y, 1, 2)?);
/// product.epilogue(&mut rescale).run(isa, &mut scratch)?;
/// // ½ was stored as 64/127.
/// assert_eq!(y[0], 1268.0);
/// assert!((y[1] - (2.0 + 640.0 / 127.0 + 1.0)).abs() < 1e-5);
/// # Ok::<(), deltarule_kernels::ShapeError>(())
/// ```
#[derive(Clone, Debug)]
pub struct CompactMatrix<E> {
    isa: Isa,
    rows: usize,
    columns: usize,
    /// NR: the columns of a panel.
    panel: usize,
    elements: Elements,
    scales: Vec<E>,
}

#[derive(Clone, Debug)]
enum Elements {
    Bf16(Aligned<Bf16>),
    Int8(Aligned<i8>),
}

/// The upper half of an f32.
#[derive(Clone, Copy, Debug, Default)]
#[repr(transparent)]
pub(crate) struct Bf16(u16);

impl Bf16 {
    /// The nearest, ties to even; NaN stays NaN.
    fn new(x: f32) -> Self {
        let bits = x.to_bits();
        if x.is_nan() {
            return Self((bits >> 16) as u16 | 0x40);
        }
        let tie_to_even = (bits >> 16) & 1;
        Self(((bits + 0x7fff + tie_to_even) >> 16) as u16)
    }
}

/// What the elements of a panel may be stored as, a row after the other.
pub(super) trait Stored<E: Element>: Copy {
    /// The place of a column in a row of `panel` columns.
    fn place(column: usize, _panel: usize) -> usize {
        column
    }

    /// A row of a panel, which is two vectors wide.
    ///
    /// # Safety
    /// `from` is valid for reads of twice `LEN` elements.
    unsafe fn load_row<V: Lanes<Element = E>>(simd: V::Simd, from: *const Self) -> [V; 2];
}

impl<E: Element> Stored<E> for E {
    #[inline(always)]
    unsafe fn load_row<V: Lanes<Element = E>>(simd: V::Simd, from: *const Self) -> [V; 2] {
        // SAFETY: as the caller promises.
        unsafe { [V::load_ptr(simd, from), V::load_ptr(simd, from.add(V::LEN))] }
    }
}

impl<E: Element> Stored<E> for Bf16 {
    /// An element of the first vector, then one of the second: a single load brings both, and a
    /// shift and a mask part them.
    fn place(column: usize, panel: usize) -> usize {
        let half = panel / 2;
        2 * (column % half) + column / half
    }

    #[inline(always)]
    unsafe fn load_row<V: Lanes<Element = E>>(simd: V::Simd, from: *const Self) -> [V; 2] {
        // SAFETY: as the caller promises; a Bf16 is a u16.
        unsafe { V::load_bf16_pairs_ptr(simd, from.cast()) }
    }
}

impl<E: Element> Stored<E> for i8 {
    #[inline(always)]
    unsafe fn load_row<V: Lanes<Element = E>>(simd: V::Simd, from: *const Self) -> [V; 2] {
        // SAFETY: as the caller promises.
        unsafe { [V::load_i8_ptr(simd, from), V::load_i8_ptr(simd, from.add(V::LEN))] }
    }
}

impl<E: Element> CompactMatrix<E> {
    /// Packs B for products on `isa`.
    ///
    /// ```
    /// use deltarule_kernels::{Isa, MatMut, MatRef};
    /// use deltarule_kernels::gemm::{CompactMatrix, Format, Gemm, scratch_len};
    /// let isa = Isa::detect();
    /// let b = CompactMatrix::new(isa, MatRef::new(&[1.5f32, 257.0], 1, 2)?, Format::Bf16)?;
    /// assert_eq!((b.rows(), b.columns(), b.isa()), (1, 2, isa));
    /// let mut scratch = vec![0.0; scratch_len::<f32>(isa, 1, 2, 1)?];
    /// let mut y = [0.0; 2];
    /// let product = Gemm::new(MatRef::new(&[2.0], 1, 1)?, &b, MatMut::new(&mut y, 1, 2)?);
    /// product.run(isa, &mut scratch)?;
    /// assert_eq!(y, [3.0, 512.0]); // 257 is a tie, and becomes 256
    /// # Ok::<(), deltarule_kernels::ShapeError>(())
    /// ```
    ///
    /// # Errors
    /// [`ShapeError::Overflow`] if the packed size does not fit in `usize`,
    /// [`ShapeError::OutOfMemory`] if there is no memory for it.
    pub fn new(isa: Isa, b: MatRef<'_, E>, format: Format) -> Result<Self, ShapeError> {
        let (rows, columns) = (b.rows(), b.columns());
        let panel = E::panel_columns(isa);
        let overflow = ShapeError::Overflow { argument: "b", rows, columns };
        let padded = columns.checked_next_multiple_of(panel).ok_or(overflow)?;
        let length = checked_area("b", rows, padded)?;
        let mut scales = Vec::new();
        let elements = match format {
            Format::Bf16 => {
                let mut to = Aligned::new("b", length)?;
                pack(b, panel, &mut to, |x, _| Bf16::new(x as f32));
                Elements::Bf16(to)
            }
            Format::Int8 => {
                let mut to = Aligned::new("b", length)?;
                let lengths = ShapeError::OutOfMemory { argument: "scales", elements: columns };
                scales.try_reserve_exact(columns).map_err(|_| lengths)?;
                scales.extend((0..columns).map(|j| scale(b, j)));
                pack(b, panel, &mut to, |x, j| {
                    let quotient = x / scales[j].to_f64();
                    // 0/0, of a column of zeros, is 0.
                    quotient.round_ties_even().clamp(-127.0, 127.0) as i8
                });
                Elements::Int8(to)
            }
        };
        Ok(Self { isa, rows, columns, panel, elements, scales })
    }

    shape_methods! {}

    /// s of each column, for [`Rescale`](super::Rescale); empty for [`Format::Bf16`].
    pub fn scales(&self) -> &[E] {
        &self.scales
    }

    /// c ← start + a · B for one row, on an ISA with fused multiply-adds.
    #[inline(always)]
    pub(super) fn multiply_row(
        &self,
        isa: Isa,
        a: &[E],
        start: Option<&[E]>,
        c: &mut [E],
    ) -> Option<()> {
        match &self.elements {
            Elements::Bf16(panels) => isa.run_fused(OneRow { a, panels, start, c }),
            Elements::Int8(panels) => isa.run_fused(OneRow { a, panels, start, c }),
        }
    }

    /// Writes some rows of some columns, which begin a panel, as panels of the scalar type.
    ///
    /// # Safety
    /// The rows and columns are B's; `to` is valid for writes of as many rows of the columns up to
    /// whole panels.
    #[inline(always)]
    pub(super) unsafe fn widen<V: MicroKernels<Element = E>>(
        &self,
        simd: V::Simd,
        rows: (usize, usize),
        columns: (usize, usize),
        to: *mut E,
    ) {
        let from = (rows, columns, self.rows);
        // SAFETY: as the caller promises; the panels are all of B's, of this ISA's NR columns.
        unsafe {
            match &self.elements {
                Elements::Bf16(panels) => widen::<V, Bf16>(simd, panels, from, to),
                Elements::Int8(panels) => widen::<V, i8>(simd, panels, from, to),
            }
        }
    }

    /// B, row-major.
    pub(super) fn row_major(&self) -> Vec<E> {
        let mut rows = Vec::with_capacity(self.rows * self.columns);
        for i in 0..self.rows {
            for j in 0..self.columns {
                let row = (j / self.panel * self.rows + i) * self.panel;
                let column = j % self.panel;
                rows.push(E::from_f64(match &self.elements {
                    Elements::Bf16(panels) => {
                        let at = row + <Bf16 as Stored<E>>::place(column, self.panel);
                        f64::from(f32::from_bits(u32::from(panels[at].0) << 16))
                    }
                    Elements::Int8(panels) => f64::from(panels[row + column]),
                }));
            }
        }
        rows
    }
}

/// s of column j; NaN if not all of it is finite.
fn scale<E: Element>(b: MatRef<'_, E>, j: usize) -> E {
    let mut largest = 0.0f64;
    for i in 0..b.rows() {
        let x = b.at(i, j).to_f64().abs();
        if !x.is_finite() {
            return E::from_f64(f64::NAN);
        }
        largest = largest.max(x);
    }
    E::from_f64(largest / 127.0)
}

/// Fills panels of so many columns with what `store` makes of an element and its column.
fn pack<E: Element, T: Stored<E>>(
    b: MatRef<'_, E>,
    panel: usize,
    to: &mut [T],
    store: impl Fn(f64, usize) -> T,
) {
    for j in 0..b.columns() {
        let first = j / panel * b.rows() * panel + T::place(j % panel, panel);
        for i in 0..b.rows() {
            to[first + i * panel] = store(b.at(i, j).to_f64(), j);
        }
    }
}

/// # Safety
/// As [`CompactMatrix::widen`]; the panels have `all_rows` rows.
#[inline(always)]
unsafe fn widen<V: MicroKernels, T: Stored<V::Element>>(
    simd: V::Simd,
    panels: &[T],
    ((first_row, rows), (first_column, columns), all_rows): ((usize, usize), (usize, usize), usize),
    to: *mut V::Element,
) {
    let nr = VECTORS * V::LEN;
    for panel in 0..columns.div_ceil(nr) {
        let place = ((first_column / nr + panel) * all_rows + first_row) * nr;
        let from = panels[place..place + rows * nr].as_ptr();
        for at in (0..rows * nr).step_by(nr) {
            // SAFETY: both sides have `rows` rows of NR elements in this panel.
            unsafe {
                let to = to.add(panel * rows * nr + at);
                let [first, second] = T::load_row::<V>(simd, from.add(at));
                first.store_ptr(to);
                second.store_ptr(to.add(V::LEN));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MatMut;
    use crate::gemm::{Gemm, Start, scratch_len};
    use crate::testing::values;

    const FORMATS: [Format; 2] = [Format::Bf16, Format::Int8];

    fn product<E: Element>(isa: Isa, gemm: Gemm<'_, E>, shape: (usize, usize, usize)) {
        let (m, n, k) = shape;
        let mut scratch = vec![E::from_f64(f64::NAN); scratch_len::<E>(isa, m, n, k).unwrap()];
        gemm.run(isa, &mut scratch).unwrap();
    }

    /// It is the product with what was stored, to the bit.
    fn check_product<E: Element>(isa: Isa, shape: (usize, usize, usize), format: Format) {
        let (m, n, k) = shape;
        let (a, b, row) = (values::<E>(1, m * k), values::<E>(2, k * n), values::<E>(3, n));
        let a = MatRef::new(&a, m, k).unwrap();
        let compact = CompactMatrix::new(isa, MatRef::new(&b, k, n).unwrap(), format).unwrap();
        let stored = compact.clone().row_major();
        let stored = MatRef::new(&stored, k, n).unwrap();
        for start in [Start::Zero, Start::Row(&row), Start::Accumulate] {
            let mut c = values::<E>(4, m * n + 3);
            let mut expected = c.clone();
            let view = MatMut::new(&mut c[..m * n], m, n).unwrap();
            product(isa, Gemm::new(a, &compact, view).start(start), shape);
            let view = MatMut::new(&mut expected[..m * n], m, n).unwrap();
            product(isa, Gemm::new(a, stored, view).start(start), shape);
            assert!(c == expected, "{isa} {format:?} {shape:?} {start:?}");
        }
    }

    #[test]
    fn a_product_is_that_of_what_is_stored() {
        for isa in Isa::available() {
            for format in FORMATS {
                for m in [1, 2, 5, 15, 70] {
                    for (n, k) in [(1, 1), (10, 64), (16, 3), (17, 130), (33, 1), (64, 260)] {
                        check_product::<f32>(isa, (m, n, k), format);
                        check_product::<f64>(isa, (m, n, k), format);
                    }
                }
                for n in [96, 100, 128, 131, 160, 161, 290] {
                    check_product::<f32>(isa, (1, n, 37), format);
                    check_product::<f64>(isa, (1, n, 37), format);
                    check_product::<f32>(isa, (9, n, 0), format);
                }
            }
        }
    }

    #[test]
    fn elements_are_stored_as_exactly_as_stated() {
        let isa = Isa::detect();
        let (rows, columns) = (61, 37);
        let mut b = values::<f32>(5, rows * columns);
        for (i, b) in b.iter_mut().enumerate() {
            *b *= [1.0, 1e-20, 1e20, 0.0][i % columns % 4];
        }
        let b = MatRef::new(&b, rows, columns).unwrap();
        let halves = CompactMatrix::new(isa, b, Format::Bf16).unwrap();
        let bytes = CompactMatrix::new(isa, b, Format::Int8).unwrap();
        assert_eq!((halves.rows(), halves.columns(), halves.isa()), (rows, columns, isa));
        assert_eq!((halves.scales().len(), bytes.scales().len()), (0, columns));
        let (halves, integers) = (halves.row_major(), bytes.row_major());
        for i in 0..rows {
            for j in 0..columns {
                let x = f64::from(b.at(i, j));
                let half = f64::from(halves[i * columns + j]);
                assert!((half - x).abs() <= x.abs() / 256.0, "{x} as {half}");
                let scale = f64::from(bytes.scales()[j]);
                let integer = f64::from(integers[i * columns + j]);
                assert!((integer * scale - x).abs() <= 0.5001 * scale, "{x} as {integer}");
            }
        }
    }

    #[test]
    fn rounding_is_to_nearest_even_and_nan_stays() {
        for (x, expected) in [
            (1.0f32, 0x3f80),
            (-0.0, 0x8000),
            (f32::from_bits(0x3f80_8000), 0x3f80),
            (f32::from_bits(0x3f81_8000), 0x3f82),
            (f32::from_bits(0x3f80_8001), 0x3f81),
            (f32::MAX, 0x7f80),
            (f32::INFINITY, 0x7f80),
            (f32::NEG_INFINITY, 0xff80),
            (f32::from_bits(1), 0),
        ] {
            assert_eq!(Bf16::new(x).0, expected, "{x:e}");
        }
        for bits in [0x7f80_0001, 0xffff_ffff, 0x7fc0_0000] {
            let half = Bf16::new(f32::from_bits(bits));
            assert!(f32::from_bits(u32::from(half.0) << 16).is_nan(), "{bits:#x}");
        }
        let isa = Isa::detect();
        for bad in [f32::NAN, f32::INFINITY] {
            let b = [1.0, bad, 2.0, 0.5, 3.0, 0.0];
            let b = MatRef::new(&b, 2, 3).unwrap();
            let scales = CompactMatrix::new(isa, b, Format::Int8).unwrap().scales().to_vec();
            assert!(scales[0] == 1.0 / 127.0 && scales[1].is_nan() && scales[2] == 2.0 / 127.0);
        }
    }
}
