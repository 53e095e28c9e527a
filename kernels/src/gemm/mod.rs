//! General matrix multiplication: C ← start + α · A · B.

mod aligned;
#[cfg(feature = "blas")]
mod blas;
mod blocking;
mod compact;
mod driver;
mod epilogue;
pub(crate) mod fallback;
mod few_rows;
mod gemv;
pub(crate) mod micro_kernel;
mod one_row;
mod packed;
mod packing;
mod parallel;
#[cfg(test)]
mod tests;
mod tiny;

#[cfg(feature = "blas")]
pub use blas::BLAS_ABOVE;
pub use compact::{CompactMatrix, Format, Rescale};
pub use epilogue::{Activate, ActivateInto, Epilogue, TimesDerivative};
pub use packed::PackedMatrix;

use crate::error::{check_length, checked_area};
use crate::precompiled::precompiled;
use crate::{Element, Isa, MatMut, MatRef, ShapeError};

precompiled! {
    /// The kernels of this module.
    GemmKernels:
    fn multiply(
        isa: Isa,
        gemm: &mut Gemm<'_, Self>,
        scratch: &mut [Self],
    ) -> Result<(), ShapeError> = parallel::run;
    fn scratch_len(isa: Isa, shape: (usize, usize, usize), threads: usize) -> usize =
        parallel::parallel_scratch_len::<Self>;
    fn panel_columns(isa: Isa) -> usize = packed::panel_columns::<Self>;
    fn rescale(isa: Isa, scales: &[Self], biases: &[Self], c: MatMut<'_, Self>) =
        compact::rescale;
    fn pack(isa: Isa, b: MatRef<'_, Self>, panel: usize, to: &mut [Self]) = packed::pack;
}

/// What the chain of multiply-adds of an element of C begins with.
#[derive(Clone, Copy, Debug)]
pub enum Start<'a, E> {
    /// 0: C is overwritten, and never read (β = 0).
    Zero,
    /// What C holds (β = 1).
    Accumulate,
    /// What C holds, times this (β).
    Scaled(E),
    /// Element j for column j: a bias added to every row. C is overwritten, and never read.
    Row(&'a [E]),
}

/// The right-hand operand B of a product: a view, or packed.
#[derive(Clone, Copy, Debug)]
pub enum Right<'a, E> {
    /// A view, which is packed as the product goes along, or read where it lies.
    Strided(MatRef<'a, E>),
    /// Packed once for many products.
    Packed(&'a PackedMatrix<E>),
    /// Packed once in fewer bytes.
    Compact(&'a CompactMatrix<E>),
}

impl<'a, E> From<MatRef<'a, E>> for Right<'a, E> {
    fn from(b: MatRef<'a, E>) -> Self {
        Self::Strided(b)
    }
}

impl<'a, E> From<&'a PackedMatrix<E>> for Right<'a, E> {
    fn from(b: &'a PackedMatrix<E>) -> Self {
        Self::Packed(b)
    }
}

impl<'a, E> From<&'a CompactMatrix<E>> for Right<'a, E> {
    fn from(b: &'a CompactMatrix<E>) -> Self {
        Self::Compact(b)
    }
}

impl<E: Element> Right<'_, E> {
    /// The ISA that it was packed for.
    fn isa(&self) -> Option<Isa> {
        match self {
            Self::Strided(_) => None,
            Self::Packed(b) => Some(b.isa()),
            Self::Compact(b) => Some(b.isa()),
        }
    }

    fn shape(&self) -> (usize, usize) {
        match self {
            Self::Strided(b) => (b.rows(), b.columns()),
            Self::Packed(b) => (b.rows(), b.columns()),
            Self::Compact(b) => (b.rows(), b.columns()),
        }
    }
}

/// One matrix product: C ← start + α · A · B, A is (m, k), B is (k, n), C is (m, n).
///
/// Every element of C is one chain of multiply-adds over k in ascending order, begun with
/// [`Start`] and fused wherever the ISA fuses ([`Isa::has_fma`]): its bits depend on neither the
/// shape of the product, nor the strides, nor the ISA. With α ≠ 1 the elements of A are first
/// multiplied by α.
///
/// ```
/// use deltarule_kernels::{Isa, MatMut, MatRef, gemm::{Gemm, Start, scratch_len}};
/// let isa = Isa::detect();
/// let a = [1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0];
/// let b = [1.0f32, 0.0, -1.0, 2.0, 1.0, 0.0];
/// let mut c = [0.0f32; 4];
/// let mut scratch = vec![0.0; scratch_len::<f32>(isa, 2, 2, 3)?];
/// let product = Gemm::new(MatRef::new(&a, 2, 3)?, MatRef::new(&b, 3, 2)?, MatMut::new(&mut c, 2, 2)?);
/// product.start(Start::Row(&[10.0, 20.0])).run(isa, &mut scratch)?;
/// assert_eq!(c, [12.0, 24.0, 15.0, 30.0]);
/// # Ok::<(), deltarule_kernels::ShapeError>(())
/// ```
pub struct Gemm<'a, E: Element> {
    a: MatRef<'a, E>,
    b: Right<'a, E>,
    c: MatMut<'a, E>,
    alpha: E,
    start: Start<'a, E>,
    epilogue: Option<&'a mut dyn Epilogue<E>>,
    threads: usize,
    #[cfg(feature = "blas")]
    blas: bool,
}

impl<'a, E: Element> Gemm<'a, E> {
    /// C ← A · B.
    pub fn new(a: MatRef<'a, E>, b: impl Into<Right<'a, E>>, c: MatMut<'a, E>) -> Self {
        Self {
            a,
            b: b.into(),
            c,
            alpha: E::ONE,
            start: Start::Zero,
            epilogue: None,
            threads: 1,
            #[cfg(feature = "blas")]
            blas: true,
        }
    }

    /// Sets whether a product of more than [`BLAS_ABOVE`] multiply-adds may go to the system's
    /// BLAS, which it may otherwise: `false` is for a product whose bits matter.
    #[cfg(feature = "blas")]
    pub fn blas(mut self, allowed: bool) -> Self {
        self.blas = allowed;
        self
    }

    /// Sets α, which is 1 otherwise.
    pub fn alpha(mut self, alpha: E) -> Self {
        self.alpha = alpha;
        self
    }

    /// Sets what the sum begins with, which is 0 otherwise.
    pub fn start(mut self, start: Start<'a, E>) -> Self {
        self.start = start;
        self
    }

    /// Sets what is done to each finished strip of C, while it is in cache.
    pub fn epilogue(mut self, epilogue: &'a mut dyn Epilogue<E>) -> Self {
        self.epilogue = Some(epilogue);
        self
    }

    /// Lets up to this many threads of the current rayon pool work on the product, as far as the
    /// work is worth it; 1, which it is otherwise, never touches rayon. The bits stay the same. An
    /// epilogue then runs on the calling thread, once C is finished.
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Computes the product.
    ///
    /// `scratch` is overwritten. [`scratch_len`] elements are enough, or [`parallel_scratch_len`] if
    /// [`Gemm::threads`] was called, whatever the layouts; some products do with fewer.
    ///
    /// # Errors
    /// [`ShapeError::Length`] if A, B, C, the row of [`Start::Row`], the epilogue's matrix or
    /// `scratch` do not fit together, [`ShapeError::Isa`] if B was packed for another ISA; nothing was written then.
    pub fn run(mut self, isa: Isa, scratch: &mut [E]) -> Result<(), ShapeError> {
        let (m, n, k) = (self.c.rows(), self.c.columns(), self.a.columns());
        check_size("rows of a", m, self.a.rows())?;
        check_size("rows of b", k, self.b.shape().0)?;
        check_size("columns of b", n, self.b.shape().1)?;
        if let Some(packed) = self.b.isa().filter(|&packed| packed != isa) {
            return Err(ShapeError::Isa { argument: "b", packed, isa });
        }
        if let Start::Row(row) = self.start {
            check_length("start row", row, n)?;
        }
        if let Some(epilogue) = &self.epilogue {
            epilogue.check(m, n)?;
        }
        E::multiply(isa, &mut self, scratch)
    }
}

fn check_size(argument: &'static str, expected: usize, actual: usize) -> Result<(), ShapeError> {
    if expected == actual { Ok(()) } else { Err(ShapeError::Length { argument, expected, actual }) }
}

/// Elements of scratch space that an (m, k) by (k, n) product needs on this ISA.
///
/// # Errors
/// [`ShapeError::Overflow`] if a matrix of these sizes can't be.
pub fn scratch_len<E: Element>(
    isa: Isa,
    m: usize,
    n: usize,
    k: usize,
) -> Result<usize, ShapeError> {
    parallel_scratch_len::<E>(isa, (m, n, k), 1)
}

/// Elements of scratch space that the product needs with [`Gemm::threads`].
///
/// # Errors
/// As [`scratch_len`].
pub fn parallel_scratch_len<E: Element>(
    isa: Isa,
    (m, n, k): (usize, usize, usize),
    threads: usize,
) -> Result<usize, ShapeError> {
    checked_area("a", m, k)?;
    checked_area("b", k, n)?;
    checked_area("c", m, n)?;
    Ok(E::scratch_len(isa, (m, n, k), threads))
}
