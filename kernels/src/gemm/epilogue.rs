//! What is done to a finished strip of C while it is in cache.

use super::check_size;
use crate::activation::Activation;
use crate::{Element, Isa, MatMut, MatRef, ShapeError};

/// An action on finished elements of C.
///
/// The strips that a product hands over are disjoint and cover C; their sizes and order are the
/// product's own affair.
///
/// ```
/// use deltarule_kernels::{Isa, MatMut, MatRef};
/// use deltarule_kernels::gemm::{Epilogue, Gemm, scratch_len};
///
/// /// C ← min(C, cap).
/// struct Cap(f32);
///
/// impl Epilogue<f32> for Cap {
///     fn finish(&mut self, _: Isa, _row: usize, _column: usize, mut strip: MatMut<'_, f32>) {
///         for i in 0..strip.rows() {
///             for j in 0..strip.columns() {
///                 // A row of a row-major C is also to be had as a slice, by `row_mut`.
///                 if let Some(c) = strip.get_mut(i, j) {
///                     *c = c.min(self.0);
///                 }
///             }
///         }
///     }
/// }
///
/// let isa = Isa::detect();
/// let (a, b, mut c) = ([1.0, 2.0, 3.0], [1.0, 1.0], [0.0; 6]);
/// let mut scratch = vec![0.0; scratch_len::<f32>(isa, 3, 2, 1)?];
/// let (a, b) = (MatRef::new(&a, 3, 1)?, MatRef::new(&b, 1, 2)?);
/// let mut cap = Cap(2.5);
/// Gemm::new(a, b, MatMut::new(&mut c, 3, 2)?).epilogue(&mut cap).run(isa, &mut scratch)?;
/// assert_eq!(c, [1.0, 1.0, 2.0, 2.0, 2.5, 2.5]);
/// # Ok::<(), deltarule_kernels::ShapeError>(())
/// ```
pub trait Epilogue<E: Element> {
    /// Whether it can act on a C of so many rows and columns: a product fails before it begins if
    /// not.
    ///
    /// # Errors
    /// What is too small or too large.
    fn check(&self, rows: usize, columns: usize) -> Result<(), ShapeError> {
        let _ = (rows, columns);
        Ok(())
    }

    /// Acts on the strip whose first element is C's (row, column).
    fn finish(&mut self, isa: Isa, row: usize, column: usize, strip: MatMut<'_, E>);
}

/// C ← σ(C): the forward pass of a dense layer.
///
/// ```
/// use deltarule_kernels::{Isa, MatMut, MatRef, activation::Activation};
/// use deltarule_kernels::gemm::{Activate, Gemm, scratch_len};
/// let isa = Isa::detect();
/// let (a, b, mut c) = ([2.0f32], [3.0, -4.0], [0.0; 2]);
/// let mut scratch = vec![0.0; scratch_len::<f32>(isa, 1, 2, 1)?];
/// Gemm::new(MatRef::new(&a, 1, 1)?, MatRef::new(&b, 1, 2)?, MatMut::new(&mut c, 1, 2)?)
///     .epilogue(&mut Activate { activation: Activation::Relu })
///     .run(isa, &mut scratch)?;
/// assert_eq!(c, [6.0, 0.0]);
/// # Ok::<(), deltarule_kernels::ShapeError>(())
/// ```
pub struct Activate {
    /// σ.
    pub activation: Activation,
}

/// a ← σ(C): the forward pass of a dense layer whose derivative will ask for z, which stays in C.
///
/// ```
/// use deltarule_kernels::{Isa, MatMut, MatRef, activation::Activation};
/// use deltarule_kernels::gemm::{ActivateInto, Gemm, scratch_len};
/// let isa = Isa::detect();
/// let (x, w, mut z, mut a) = ([2.0f32], [3.0, -4.0], [0.0; 2], [0.0; 2]);
/// let mut scratch = vec![0.0; scratch_len::<f32>(isa, 1, 2, 1)?];
/// let activation = Activation::HardSwish;
/// let mut activate = ActivateInto { activation, a: MatMut::new(&mut a, 1, 2)? };
/// Gemm::new(MatRef::new(&x, 1, 1)?, MatRef::new(&w, 1, 2)?, MatMut::new(&mut z, 1, 2)?)
///     .epilogue(&mut activate)
///     .run(isa, &mut scratch)?;
/// assert_eq!((z, a), ([6.0, -8.0], [6.0, 0.0]));
/// # Ok::<(), deltarule_kernels::ShapeError>(())
/// ```
pub struct ActivateInto<'a, E> {
    /// σ.
    pub activation: Activation,
    /// a, of C's shape.
    pub a: MatMut<'a, E>,
}

/// C ← C ⊙ σ′: the backward pass of a dense layer, δ(l) = W(l+1)ᵀ δ(l+1) ⊙ σ′(z).
///
/// ```
/// use deltarule_kernels::{Isa, MatMut, MatRef, activation::Activation};
/// use deltarule_kernels::gemm::{Gemm, TimesDerivative, scratch_len};
/// let isa = Isa::detect();
/// let (above, w, mut delta) = ([2.0f32], [3.0, 4.0], [0.0; 2]);
/// let mut scratch = vec![0.0; scratch_len::<f32>(isa, 1, 2, 1)?];
/// let stored = MatRef::new(&[0.5, 0.0], 1, 2)?; // a = relu(z)
/// let mut times = TimesDerivative { activation: Activation::Relu, stored };
/// Gemm::new(MatRef::new(&above, 1, 1)?, MatRef::new(&w, 1, 2)?, MatMut::new(&mut delta, 1, 2)?)
///     .epilogue(&mut times)
///     .run(isa, &mut scratch)?;
/// assert_eq!(delta, [6.0, 0.0]);
/// # Ok::<(), deltarule_kernels::ShapeError>(())
/// ```
pub struct TimesDerivative<'a, E> {
    /// σ.
    pub activation: Activation,
    /// z or a = σ(z), as [`Activation::derivative_from`] says; of C's shape.
    pub stored: MatRef<'a, E>,
}

impl<E: Element> Epilogue<E> for Activate {
    fn finish(&mut self, isa: Isa, _: usize, _: usize, mut strip: MatMut<'_, E>) {
        self.activation.forward_strip(isa, &mut strip);
    }
}

impl<E: Element> Epilogue<E> for ActivateInto<'_, E> {
    fn check(&self, rows: usize, columns: usize) -> Result<(), ShapeError> {
        check_size("rows of the activated", rows, self.a.rows())?;
        check_size("columns of the activated", columns, self.a.columns())
    }

    fn finish(&mut self, isa: Isa, row: usize, column: usize, strip: MatMut<'_, E>) {
        let a = self.a.block((row, column), (strip.rows(), strip.columns()));
        E::activate(self.activation, isa, Some(strip.as_ref()), a);
    }
}

impl<E: Element> Epilogue<E> for TimesDerivative<'_, E> {
    fn check(&self, rows: usize, columns: usize) -> Result<(), ShapeError> {
        check_size("rows of stored", rows, self.stored.rows())?;
        check_size("columns of stored", columns, self.stored.columns())
    }

    fn finish(&mut self, isa: Isa, row: usize, column: usize, mut strip: MatMut<'_, E>) {
        self.activation.backward_strip(isa, self.stored, (row, column), &mut strip);
    }
}
