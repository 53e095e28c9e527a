//! General matrix multiplication: C ← start + α · A · B.

#[cfg(feature = "blas")]
mod blas;
mod blocking;
mod driver;
mod epilogue;
pub(crate) mod fallback;
pub(crate) mod micro_kernel;
mod packing;
#[cfg(test)]
mod tests;

#[cfg(feature = "blas")]
pub use blas::BLAS_ABOVE;
pub use epilogue::{Activate, Epilogue, TimesDerivative};

use crate::error::check_length;
use crate::{Element, Isa, MatMut, MatRef, ShapeError};

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
    b: MatRef<'a, E>,
    c: MatMut<'a, E>,
    alpha: E,
    start: Start<'a, E>,
    epilogue: Option<&'a mut dyn Epilogue<E>>,
    #[cfg(feature = "blas")]
    blas: bool,
}

impl<'a, E: Element> Gemm<'a, E> {
    /// C ← A · B.
    pub fn new(a: MatRef<'a, E>, b: MatRef<'a, E>, c: MatMut<'a, E>) -> Self {
        Self {
            a,
            b,
            c,
            alpha: E::ONE,
            start: Start::Zero,
            epilogue: None,
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

    /// Computes the product.
    ///
    /// `scratch` is overwritten; it has at least [`scratch_len`] elements.
    ///
    /// # Errors
    /// [`ShapeError::Length`] if A, B, C, the row of [`Start::Row`] or `scratch` do not fit
    /// together; nothing was written then.
    pub fn run(self, isa: Isa, scratch: &mut [E]) -> Result<(), ShapeError> {
        let (m, n, k) = (self.c.rows(), self.c.columns(), self.a.columns());
        let check = |argument, expected, actual| {
            if expected == actual {
                Ok(())
            } else {
                Err(ShapeError::Length { argument, expected, actual })
            }
        };
        check("rows of a", m, self.a.rows())?;
        check("rows of b", k, self.b.rows())?;
        check("columns of b", n, self.b.columns())?;
        if let Start::Row(row) = self.start {
            check_length("start row", row, n)?;
        }
        let needed = scratch_len::<E>(isa, m, n, k)?;
        if scratch.len() < needed {
            return Err(ShapeError::Length {
                argument: "scratch",
                expected: needed,
                actual: scratch.len(),
            });
        }
        driver::run(isa, self, scratch);
        Ok(())
    }
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
    crate::error::checked_area("a", m, k)?;
    crate::error::checked_area("b", k, n)?;
    crate::error::checked_area("c", m, n)?;
    Ok(driver::scratch_len::<E>(isa, m, n, k))
}
