//! A right-hand operand packed once and used many times.

use super::micro_kernel::MicroKernels;
use super::packing::pack_block;
use crate::dispatch::Kernel;
use crate::error::checked_area;
use crate::lanes::{Lanes, Simd};
use crate::precompiled::Checked;
use crate::{Aligned, Element, Isa, MatRef, ShapeError};

/// The right-hand operand B of a product, (k, n), in the order in which an ISA's micro-kernel reads
/// it: panels of NR columns, each k rows of NR elements, the last one filled up.
///
/// It allocates, once; what is packed for one ISA is refused by the others. Block sizes do not
/// matter to it, since any block of k is a contiguous part of a panel.
///
/// ```
/// use deltarule_kernels::{Isa, MatMut, MatRef, gemm::{Gemm, PackedMatrix, scratch_len}};
/// let isa = Isa::detect();
/// let weights = PackedMatrix::new(isa, MatRef::new(&[1.0f32, 2.0, 3.0, 4.0], 2, 2)?)?;
/// let mut scratch = vec![0.0; scratch_len::<f32>(isa, 1, 2, 2)?];
/// let (x, mut y) = ([10.0, 1.0], [0.0; 2]);
/// Gemm::new(MatRef::new(&x, 1, 2)?, &weights, MatMut::new(&mut y, 1, 2)?).run(isa, &mut scratch)?;
/// assert_eq!(y, [13.0, 24.0]);
/// # Ok::<(), deltarule_kernels::ShapeError>(())
/// ```
#[derive(Debug)]
pub struct PackedMatrix<E> {
    isa: Isa,
    rows: usize,
    columns: usize,
    /// NR: the columns of a panel.
    panel: usize,
    data: Aligned<E>,
}

/// What every packed operand tells.
macro_rules! shape_methods {
    () => {
        /// k.
        pub fn rows(&self) -> usize {
            self.rows
        }

        /// n.
        pub fn columns(&self) -> usize {
            self.columns
        }

        /// The ISA whose products take this operand.
        pub fn isa(&self) -> Isa {
            self.isa
        }
    };
}
pub(super) use shape_methods;

impl<E: Element> PackedMatrix<E> {
    /// Packs B for products on `isa`.
    ///
    /// ```
    /// use deltarule_kernels::{Isa, MatMut, MatRef, ShapeError, gemm::{Gemm, PackedMatrix}};
    /// let (x, mut y) = ([10.0f32, 1.0], [0.0; 1]);
    /// let portable = Isa::named("portable").expect("every CPU has it");
    /// let b = PackedMatrix::new(portable, MatRef::new(&[1.0, 2.0], 2, 1)?)?;
    /// for other in Isa::available().filter(|&isa| isa != b.isa()) {
    ///     let product = Gemm::new(MatRef::new(&x, 1, 2)?, &b, MatMut::new(&mut y, 1, 1)?);
    ///     let error = product.run(other, &mut []).unwrap_err();
    ///     assert!(matches!(error, ShapeError::Isa { argument: "b", isa, .. } if isa == other));
    /// }
    /// # Ok::<(), deltarule_kernels::ShapeError>(())
    /// ```
    ///
    /// # Errors
    /// [`ShapeError::Overflow`] if the packed size does not fit in `usize`,
    /// [`ShapeError::OutOfMemory`] if there is no memory for it.
    pub fn new(isa: Isa, b: MatRef<'_, E>) -> Result<Self, ShapeError> {
        let (rows, columns) = (b.rows(), b.columns());
        // Without micro-kernels of our own the whole matrix is one panel, which makes it row-major.
        let panel = if isa.has_fma() { E::panel_columns(isa) } else { columns.max(1) };
        let overflow = ShapeError::Overflow { argument: "b", rows, columns };
        let padded = columns.checked_next_multiple_of(panel).ok_or(overflow)?;
        let data = Aligned::new("b", checked_area("b", rows, padded)?)?;
        let mut packed = Self { isa, rows, columns, panel, data };
        packed.pack(b)?;
        Ok(packed)
    }

    /// Packs another B of the same shape in this one's place, without allocating.
    ///
    /// ```
    /// use deltarule_kernels::{Isa, MatMut, MatRef, gemm::{Gemm, PackedMatrix, scratch_len}};
    /// let isa = Isa::detect();
    /// let mut weights = PackedMatrix::new(isa, MatRef::new(&[1.0f32, 2.0, 3.0, 4.0], 2, 2)?)?;
    /// assert_eq!((weights.rows(), weights.columns(), weights.isa()), (2, 2, isa));
    /// // After a step of the training.
    /// weights.pack(MatRef::new(&[1.5, 2.0, 3.0, 4.0], 2, 2)?)?;
    /// let mut scratch = vec![0.0; scratch_len::<f32>(isa, 1, 2, 2)?];
    /// let (x, mut y) = ([10.0, 1.0], [0.0; 2]);
    /// let product = Gemm::new(MatRef::new(&x, 1, 2)?, &weights, MatMut::new(&mut y, 1, 2)?);
    /// product.run(isa, &mut scratch)?;
    /// assert_eq!(y, [18.0, 24.0]);
    /// # Ok::<(), deltarule_kernels::ShapeError>(())
    /// ```
    ///
    /// # Errors
    /// [`ShapeError::Length`] if the shapes differ; nothing was changed.
    pub fn pack(&mut self, b: MatRef<'_, E>) -> Result<(), ShapeError> {
        for (argument, expected, actual) in
            [("rows of b", self.rows, b.rows()), ("columns of b", self.columns, b.columns())]
        {
            if expected != actual {
                return Err(ShapeError::Length { argument, expected, actual });
            }
        }
        E::pack(self.isa, b, self.panel, Checked(&mut self.data));
        Ok(())
    }

    shape_methods! {}

    /// B where it lies, if it is no more than one panel.
    pub(super) fn panel(&self) -> Option<MatRef<'_, E>> {
        let shape = (self.rows, self.columns);
        if self.columns > self.panel {
            return None;
        }
        MatRef::with_strides(self.panels(), shape, (self.panel, 1)).ok()
    }

    pub(super) fn panels(&self) -> &[E] {
        &self.data
    }
}

impl<E: Element> Clone for PackedMatrix<E> {
    fn clone(&self) -> Self {
        Self { data: self.data.clone(), ..*self }
    }
}

/// NR.
pub(super) fn panel_columns<E: Element>(isa: Isa) -> usize {
    isa.run(PanelColumns(core::marker::PhantomData::<E>))
}

/// Packs all of B into panels of so many columns.
pub(super) fn pack<E: Element>(
    isa: Isa,
    b: MatRef<'_, E>,
    panel: usize,
    Checked(to): Checked<&mut [E]>,
) {
    isa.run(Pack { b, panel, to });
}

/// NR of the ISA that it runs on.
struct PanelColumns<E>(core::marker::PhantomData<E>);

impl<E: Element> Kernel for PanelColumns<E> {
    type Output = usize;

    #[inline(always)]
    fn run<S: Simd>(self, _: S) -> usize {
        E::Lanes::<S>::VECTORS * E::Lanes::<S>::LEN
    }
}

struct Pack<'a, E> {
    b: MatRef<'a, E>,
    panel: usize,
    to: &'a mut [E],
}

impl<E: Element> Kernel for Pack<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { b, panel, to } = self;
        let (rows, columns) = (b.rows(), b.columns());
        if !panel.is_multiple_of(E::Lanes::<S>::LEN) {
            // One row-major panel, for ISAs without micro-kernels.
            for i in 0..rows {
                for j in 0..columns {
                    to[i * panel + j] = b.at(i, j);
                }
            }
            return;
        }
        assert!(to.len() >= rows * columns.next_multiple_of(panel));
        let source = (b.data().as_ptr(), b.shape());
        // SAFETY: the block is all of B, whose view was checked on construction, and the panels
        // have room for it.
        unsafe {
            pack_block::<E::Lanes<S>>(
                simd,
                source,
                (0, rows),
                (0, columns),
                to.as_mut_ptr(),
                panel,
            );
        }
    }
}
