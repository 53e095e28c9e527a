//! General matrix multiplication: C ← start + α · A · B.
//!
//! ```
//! use deltarule_kernels::{Isa, MatMut, MatRef, activation::Activation};
//! use deltarule_kernels::gemm::{Activate, Gemm, Start, scratch_len};
//! // A dense layer a = σ(x Wᵀ + b) of two inputs and one output, for three rows.
//! let isa = Isa::detect();
//! let x = MatRef::new(&[1.0f32, 2.0, 0.0, 1.0, -5.0, 1.0], 3, 2)?;
//! let weights = MatRef::new(&[1.0, 10.0], 1, 2)?;
//! let mut a = [0.0; 3];
//! let mut scratch = vec![0.0; scratch_len::<f32>(isa, 3, 1, 2)?];
//! let mut activate = Activate { activation: Activation::Relu };
//! Gemm::new(x, weights.transposed(), MatMut::new(&mut a, 3, 1)?)
//!     .start(Start::Row(&[-7.0]))
//!     .epilogue(&mut activate)
//!     .run(isa, &mut scratch)?;
//! assert_eq!(a, [14.0, 3.0, 0.0]);
//! # Ok::<(), deltarule_kernels::ShapeError>(())
//! ```

mod access;
#[cfg(feature = "blas")]
mod blas;
mod block;
mod blocking;
mod compact;
mod driver;
mod epilogue;
pub(crate) mod fallback;
mod few_rows;
mod few_steps;
mod gemv;
mod inner_products;
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
pub use compact::{CompactMatrix, Format};
pub use epilogue::{Activate, ActivateInto, Epilogue, Rescale, TimesDerivative};
pub use inner_products::{FEW_COLUMNS, InnerProducts};
pub use packed::PackedMatrix;

use crate::error::{check_length, checked_area};
use crate::precompiled::{Checked, precompiled};
use crate::{Element, Isa, MatMut, MatRef, ShapeError};

precompiled! {
    /// The kernels of this module.
    GemmKernels:
    fn multiply(
        isa: Isa,
        gemm: Checked<&mut Gemm<'_, Self>>,
        scratch: &mut [Self],
    ) -> Result<(), ShapeError> = parallel::run;
    fn scratch_len(isa: Isa, shape: (usize, usize, usize), threads: usize) -> usize =
        parallel::parallel_scratch_len::<Self>;
    fn panel_columns(isa: Isa) -> usize = packed::panel_columns::<Self>;
    fn inner_products(isa: Isa, products: Checked<&mut InnerProducts<'_, Self>>) =
        inner_products::run;
    fn rescale(isa: Isa, scales: &[Self], biases: &[Self], c: MatMut<'_, Self>) =
        epilogue::rescale;
    fn pack(isa: Isa, b: MatRef<'_, Self>, panel: usize, to: Checked<&mut [Self]>) = packed::pack;
}

/// What the chain of multiply-adds of an element of C begins with.
///
/// ```
/// use deltarule_kernels::{Isa, MatMut, MatRef, gemm::{Gemm, Start, scratch_len}};
/// let isa = Isa::detect();
/// let mut scratch = vec![0.0; scratch_len::<f32>(isa, 1, 1, 1)?];
/// let starts = [Start::Zero, Start::Accumulate, Start::Scaled(0.5), Start::Row(&[9.0])];
/// for (start, expected) in starts.into_iter().zip([6.0, 106.0, 56.0, 15.0]) {
///     let (a, b) = (MatRef::new(&[2.0], 1, 1)?, MatRef::new(&[3.0], 1, 1)?);
///     let mut c = [100.0];
///     Gemm::new(a, b, MatMut::new(&mut c, 1, 1)?).start(start).run(isa, &mut scratch)?;
///     assert_eq!(c, [expected]);
/// }
/// # Ok::<(), deltarule_kernels::ShapeError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub enum Start<'a, E> {
    /// 0: C is overwritten, and never read (β = 0).
    Zero,
    /// What C holds (β = 1).
    Accumulate,
    /// What C holds, times this (β); with 0 it is [`Start::Zero`].
    Scaled(E),
    /// Element j for column j: a bias added to every row. C is overwritten, and never read.
    Row(&'a [E]),
}

/// The right-hand operand B of a product: a view, or packed.
///
/// ```
/// use deltarule_kernels::{Isa, MatMut, MatRef};
/// use deltarule_kernels::gemm::{Gemm, PackedMatrix, Right, scratch_len};
/// let isa = Isa::detect();
/// let b = MatRef::new(&[1.0f32, 2.0, 3.0, 4.0], 2, 2)?;
/// let packed = PackedMatrix::new(isa, b)?;
/// let mut scratch = vec![0.0; scratch_len::<f32>(isa, 1, 2, 2)?];
/// for right in [Right::from(b), Right::from(&packed)] {
///     let mut c = [0.0; 2];
///     let x = MatRef::new(&[10.0, 1.0], 1, 2)?;
///     Gemm::new(x, right, MatMut::new(&mut c, 1, 2)?).run(isa, &mut scratch)?;
///     assert_eq!(c, [13.0, 24.0]);
/// }
/// # Ok::<(), deltarule_kernels::ShapeError>(())
/// ```
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
/// multiplied by α. For a few columns [`InnerProducts`] are faster.
///
/// ```
/// use deltarule_kernels::{Isa, MatMut, MatRef, gemm::{Gemm, Start, scratch_len}};
/// let isa = Isa::detect();
/// let a = [1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0];
/// let b = [1.0f32, 0.0, -1.0, 2.0, 1.0, 0.0];
/// let mut c = [0.0f32; 4];
/// let mut scratch = vec![0.0; scratch_len::<f32>(isa, 2, 2, 3)?];
/// let (a, b) = (MatRef::new(&a, 2, 3)?, MatRef::new(&b, 3, 2)?);
/// let product = Gemm::new(a, b, MatMut::new(&mut c, 2, 2)?);
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
    ///
    /// ```
    /// use deltarule_kernels::{Isa, MatMut, MatRef, gemm::{BLAS_ABOVE, Gemm, scratch_len}};
    /// let (isa, m, k) = (Isa::detect(), 48, 1024);
    /// assert!(m * k * m > BLAS_ABOVE);
    /// let x: Vec<f32> = (0..m * k).map(|i| (i % 13) as f32 / 13.0).collect();
    /// let (a, first, b) =
    ///     (MatRef::new(&x, m, k)?, MatRef::new(&x[..k], 1, k)?, MatRef::new(&x, k, m)?);
    /// let mut scratch = vec![0.0; scratch_len::<f32>(isa, m, m, k)?];
    /// let (mut all, mut row) = (vec![0.0; m * m], vec![0.0; m]);
    /// Gemm::new(a, b, MatMut::new(&mut all, m, m)?).blas(false).run(isa, &mut scratch)?;
    /// Gemm::new(first, b, MatMut::new(&mut row, 1, m)?).run(isa, &mut scratch)?;
    /// // A row alone has the bits that it has in the whole.
    /// assert!(!isa.has_fma() || all[..m] == row);
    /// # Ok::<(), deltarule_kernels::ShapeError>(())
    /// ```
    #[cfg(feature = "blas")]
    pub fn blas(mut self, allowed: bool) -> Self {
        self.blas = allowed;
        self
    }

    /// Sets α, which is 1 otherwise.
    ///
    /// ```
    /// use deltarule_kernels::{Isa, MatMut, MatRef, gemm::{Gemm, Start, scratch_len}};
    /// let isa = Isa::detect();
    /// let (a, b, mut c) = ([1.0f32, 2.0], [3.0, 4.0], [100.0]);
    /// let mut scratch = vec![0.0; scratch_len::<f32>(isa, 1, 1, 2)?];
    /// Gemm::new(MatRef::new(&a, 1, 2)?, MatRef::new(&b, 2, 1)?, MatMut::new(&mut c, 1, 1)?)
    ///     .alpha(-2.0)
    ///     .start(Start::Accumulate)
    ///     .run(isa, &mut scratch)?;
    /// assert_eq!(c, [100.0 - 2.0 * (3.0 + 8.0)]);
    /// # Ok::<(), deltarule_kernels::ShapeError>(())
    /// ```
    pub fn alpha(mut self, alpha: E) -> Self {
        self.alpha = alpha;
        self
    }

    /// Sets what the sum begins with, which is 0 otherwise.
    ///
    /// ```
    /// use deltarule_kernels::{Isa, MatMut, MatRef, gemm::{Gemm, Start, scratch_len}};
    /// let isa = Isa::detect();
    /// let mut scratch = vec![0.0; scratch_len::<f32>(isa, 1, 2, 1)?];
    /// // δᵀ x of one row after the other: a gradient.
    /// let mut gradient = [0.0; 2];
    /// for (delta, x) in [([2.0], [1.0, 3.0]), ([-1.0], [5.0, 0.0])] {
    ///     let (delta, x) = (MatRef::new(&delta, 1, 1)?, MatRef::new(&x, 1, 2)?);
    ///     let product = Gemm::new(delta.transposed(), x, MatMut::new(&mut gradient, 1, 2)?);
    ///     product.start(Start::Accumulate).run(isa, &mut scratch)?;
    /// }
    /// assert_eq!(gradient, [2.0 - 5.0, 6.0]);
    /// # Ok::<(), deltarule_kernels::ShapeError>(())
    /// ```
    pub fn start(mut self, start: Start<'a, E>) -> Self {
        self.start = start;
        self
    }

    /// Sets what is done to each finished strip of C, while it is in cache.
    ///
    /// ```
    /// use deltarule_kernels::{Isa, MatMut, MatRef, activation::Activation};
    /// use deltarule_kernels::gemm::{Activate, Gemm, scratch_len};
    /// let (isa, mut c) = (Isa::detect(), [0.0f64; 2]);
    /// let (a, b) = (MatRef::new(&[1.0], 1, 1)?, MatRef::new(&[0.0, 1e3], 1, 2)?);
    /// let mut activate = Activate { activation: Activation::Sigmoid };
    /// let product = Gemm::new(a, b, MatMut::new(&mut c, 1, 2)?).epilogue(&mut activate);
    /// product.run(isa, &mut vec![0.0; scratch_len::<f64>(isa, 1, 2, 1)?])?;
    /// assert_eq!(c, [0.5, 1.0]);
    /// # Ok::<(), deltarule_kernels::ShapeError>(())
    /// ```
    pub fn epilogue(mut self, epilogue: &'a mut dyn Epilogue<E>) -> Self {
        self.epilogue = Some(epilogue);
        self
    }

    /// Lets up to this many threads of the current rayon pool work on the product, as far as the
    /// work is worth it; 1, which it is otherwise, never touches rayon. The bits stay the same. An
    /// epilogue then runs on the calling thread, once C is finished.
    ///
    /// ```
    /// use deltarule_kernels::{Isa, MatMut, MatRef, gemm::{Gemm, parallel_scratch_len}};
    /// let (isa, n) = (Isa::detect(), 96);
    /// let x: Vec<f32> = (0..n * n).map(|i| (i % 7) as f32 - 3.0).collect();
    /// let x = MatRef::new(&x, n, n)?;
    /// let mut scratch = vec![0.0; parallel_scratch_len::<f32>(isa, (n, n, n), 2)?];
    /// let (mut one, mut two) = (vec![0.0; n * n], vec![0.0; n * n]);
    /// Gemm::new(x, x, MatMut::new(&mut one, n, n)?).run(isa, &mut scratch)?;
    /// Gemm::new(x, x, MatMut::new(&mut two, n, n)?).threads(2).run(isa, &mut scratch)?;
    /// assert_eq!(one, two);
    /// # Ok::<(), deltarule_kernels::ShapeError>(())
    /// ```
    pub fn threads(mut self, threads: usize) -> Self {
        self.threads = threads;
        self
    }

    /// Computes the product.
    ///
    /// `scratch` is overwritten. [`scratch_len`] elements are enough, or [`parallel_scratch_len`]
    /// if [`Gemm::threads`] was called, whatever the layouts; some products do with fewer.
    ///
    /// ```
    /// use deltarule_kernels::{Isa, MatMut, MatRef, ShapeError, gemm::Gemm};
    /// let (a, b, mut c) = ([1.0f32; 6], [1.0; 6], [7.0; 4]);
    /// let (a, b) = (MatRef::new(&a, 2, 3)?, MatRef::new(&b, 2, 3)?); // b should be (3, 2)
    /// let error = Gemm::new(a, b, MatMut::new(&mut c, 2, 2)?).run(Isa::detect(), &mut []);
    /// let argument = "rows of b";
    /// assert_eq!(error, Err(ShapeError::Length { argument, expected: 3, actual: 2 }));
    /// assert_eq!(c, [7.0; 4]);
    /// # Ok::<(), deltarule_kernels::ShapeError>(())
    /// ```
    ///
    /// # Errors
    /// [`ShapeError::Length`] if A, B, C, the row of [`Start::Row`], what the epilogue has or
    /// `scratch` do not fit together, [`ShapeError::Isa`] if B was packed for another ISA; nothing
    /// was written then.
    #[inline]
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
        if let Start::Scaled(beta) = self.start
            && beta == E::ZERO
        {
            self.start = Start::Zero;
        }
        E::multiply(isa, Checked(&mut self), scratch)
    }
}

fn check_size(argument: &'static str, expected: usize, actual: usize) -> Result<(), ShapeError> {
    if expected == actual { Ok(()) } else { Err(ShapeError::Length { argument, expected, actual }) }
}

/// Elements of scratch space that an (m, k) by (k, n) product needs on this ISA. They are enough
/// for one with fewer rows, columns or steps of k too.
///
/// ```
/// use deltarule_kernels::{Isa, gemm::scratch_len};
/// // One buffer for the products of several layers, (m, k) by (k, n) each.
/// let (isa, layers) = (Isa::detect(), [(32, 512, 784), (32, 10, 512)]);
/// let lengths = layers.map(|(m, n, k)| scratch_len::<f32>(isa, m, n, k));
/// let longest = lengths.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().max();
/// let mut scratch = vec![0.0f32; longest.unwrap_or(0)];
/// # assert!(scratch_len::<f32>(isa, usize::MAX, 2, 2).is_err());
/// # scratch.clear();
/// # Ok::<(), deltarule_kernels::ShapeError>(())
/// ```
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
/// ```
/// use deltarule_kernels::{Isa, gemm::{parallel_scratch_len, scratch_len}};
/// let isa = Isa::detect();
/// let one = scratch_len::<f32>(isa, 256, 256, 256)?;
/// assert_eq!(parallel_scratch_len::<f32>(isa, (256, 256, 256), 1)?, one);
/// assert!(parallel_scratch_len::<f32>(isa, (256, 256, 256), 4)? >= one);
/// # Ok::<(), deltarule_kernels::ShapeError>(())
/// ```
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
    // Of matrices without elements a side may be of any length; what is added to it must fit.
    for (argument, rows, columns) in [("a", m, k), ("b", k, n)] {
        if rows.max(columns) > usize::MAX >> 16 {
            return Err(ShapeError::Overflow { argument, rows, columns });
        }
    }
    Ok(E::scratch_len(isa, (m, n, k), threads))
}
