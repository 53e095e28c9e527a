//! What is done to a finished strip of C while it is in cache.

use super::check_size;
use crate::activation::Activation;
use crate::dispatch::Kernel;
use crate::lanes::{Lanes, Simd};
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

/// C ← σ(C diag(s) + b), the end of a product with a matrix in
/// [`Format::Int8`](super::Format::Int8), rounded once before σ where multiply-adds are fused.
///
/// ```
/// use deltarule_kernels::{Isa, MatMut, MatRef, activation::Activation::Relu};
/// use deltarule_kernels::gemm::{Gemm, Rescale, scratch_len};
/// let (isa, mut c) = (Isa::detect(), [0.0f32; 2]);
/// let (a, b) = (MatRef::new(&[2.0], 1, 1)?, MatRef::new(&[3.0, -4.0], 1, 2)?);
/// let mut rescale = Rescale { scales: &[0.5, 0.25], biases: &[1.0, 1.0], activation: Relu };
/// let product = Gemm::new(a, b, MatMut::new(&mut c, 1, 2)?).epilogue(&mut rescale);
/// product.run(isa, &mut vec![0.0; scratch_len::<f32>(isa, 1, 2, 1)?])?;
/// assert_eq!(c, [0.5 * 6.0 + 1.0, 0.0]);
/// # Ok::<(), deltarule_kernels::ShapeError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Rescale<'a, E> {
    /// s: an element for each column of C.
    pub scales: &'a [E],
    /// b: an element for each column of C.
    pub biases: &'a [E],
    /// σ.
    pub activation: Activation,
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

impl<E: Element> Epilogue<E> for Rescale<'_, E> {
    fn check(&self, _: usize, columns: usize) -> Result<(), ShapeError> {
        check_size("scales", columns, self.scales.len())?;
        check_size("biases", columns, self.biases.len())
    }

    /// Without [`Epilogue::check`] before it, columns beyond the shorter slice stay as they are.
    fn finish(&mut self, isa: Isa, _: usize, column: usize, mut strip: MatMut<'_, E>) {
        let (scales, biases) = (self.scales, self.biases);
        let end = scales.len().min(biases.len()).min(column + strip.columns());
        let columns = column.min(end)..end;
        E::rescale(isa, &scales[columns.clone()], &biases[columns], strip.reborrow());
        if self.activation != Activation::Identity {
            self.activation.forward_strip(isa, &mut strip);
        }
    }
}

/// C ← C diag(s) + b.
pub(super) fn rescale<E: Element>(isa: Isa, scales: &[E], biases: &[E], c: MatMut<'_, E>) {
    isa.run(ScaleColumns { scales, biases, c });
}

struct ScaleColumns<'a, E> {
    scales: &'a [E],
    biases: &'a [E],
    c: MatMut<'a, E>,
}

impl<E: Element> Kernel for ScaleColumns<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { scales, biases, mut c } = self;
        let (rows, stride) = (c.rows(), c.shape());
        let columns = scales.len().min(c.columns());
        for i in 0..rows {
            if stride.column_stride != 1 {
                for j in 0..columns {
                    let x = *c.at(i, j);
                    let lanes = E::Lanes::<S>::splat_in(simd, x);
                    *c.at(i, j) =
                        lanes.mul_add(lanes.splat(scales[j]), lanes.splat(biases[j])).first();
                }
                continue;
            }
            let row = &mut c.data()[i * stride.row_stride..][..columns];
            let len = E::Lanes::<S>::LEN;
            let each = row.chunks_mut(len).zip(scales.chunks(len)).zip(biases.chunks(len));
            for ((row, scales), biases) in each {
                let lanes = E::Lanes::<S>::load_partial(simd, row);
                let scales = E::Lanes::<S>::load_partial(simd, scales);
                let biases = E::Lanes::<S>::load_partial(simd, biases);
                lanes.mul_add(scales, biases).store_partial(row);
            }
        }
    }
}
