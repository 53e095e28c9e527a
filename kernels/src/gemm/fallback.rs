//! GEMM through `matrixmultiply`, for CPUs on which the portable lanes have no fused multiply-add
//! (x86 without AVX2, for one: `matrixmultiply` still finds AVX there).

use super::{Gemm, Right, Start};
use crate::{Element, Isa, MatMut};
#[cfg(feature = "blas")]
use {cblas_sys::CBLAS_TRANSPOSE, core::ffi::c_int};

/// The scalars that other libraries multiply matrices of: `matrixmultiply`, and CBLAS.
pub trait Fallback: Sized {
    /// C ← α A B + β C, `(pointer, row stride, column stride)` each.
    ///
    /// # Safety
    /// A, B and C are valid for m × k, k × n and m × n elements at their strides, and no two
    /// elements of C share a place.
    unsafe fn multiply_strided(
        shape: (usize, usize, usize),
        alpha: Self,
        a: (*const Self, isize, isize),
        b: (*const Self, isize, isize),
        beta: Self,
        c: (*mut Self, isize, isize),
    );

    /// C ← α A B + β C by CBLAS, row-major: A and B each `(pointer, transposition, leading
    /// dimension)`, C `(pointer, leading dimension)`.
    ///
    /// # Safety
    /// As [`Fallback::multiply`], and the leading dimensions are those that CBLAS allows.
    #[cfg(feature = "blas")]
    #[doc(hidden)]
    unsafe fn cblas(
        shape: (c_int, c_int, c_int),
        alpha: Self,
        a: (*const Self, CBLAS_TRANSPOSE, c_int),
        b: (*const Self, CBLAS_TRANSPOSE, c_int),
        beta: Self,
        c: (*mut Self, c_int),
    );
}

macro_rules! fallback {
    ($element:ident, $multiply:path, $cblas:ident) => {
        impl Fallback for $element {
            unsafe fn multiply_strided(
                (m, n, k): (usize, usize, usize),
                alpha: Self,
                a: (*const Self, isize, isize),
                b: (*const Self, isize, isize),
                beta: Self,
                c: (*mut Self, isize, isize),
            ) {
                // SAFETY: as the caller promises.
                unsafe {
                    $multiply(m, k, n, alpha, a.0, a.1, a.2, b.0, b.1, b.2, beta, c.0, c.1, c.2)
                }
            }

            #[cfg(feature = "blas")]
            unsafe fn cblas(
                (m, n, k): (c_int, c_int, c_int),
                alpha: Self,
                (a, transpose_a, lda): (*const Self, CBLAS_TRANSPOSE, c_int),
                (b, transpose_b, ldb): (*const Self, CBLAS_TRANSPOSE, c_int),
                beta: Self,
                (c, ldc): (*mut Self, c_int),
            ) {
                let order = cblas_sys::CblasRowMajor;
                let (ta, tb) = (transpose_a, transpose_b);
                // SAFETY: as the caller promises.
                unsafe {
                    cblas_sys::$cblas(order, ta, tb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)
                }
            }
        }
    };
}

fallback!(f32, matrixmultiply::sgemm, cblas_sgemm);
fallback!(f64, matrixmultiply::dgemm, cblas_dgemm);

/// Writes to C what its chains begin with, unless that is a multiple of C; returns β.
pub(super) fn begin<E: Element>(start: Start<'_, E>, c: &mut MatMut<'_, E>) -> E {
    match start {
        Start::Zero => E::ZERO,
        Start::Accumulate => E::ONE,
        Start::Scaled(beta) => beta,
        Start::Row(row) => {
            for i in 0..c.rows() {
                for (j, &value) in row.iter().enumerate() {
                    *c.at(i, j) = value;
                }
            }
            E::ONE
        }
    }
}

/// Runs a product whose shapes have been checked.
pub(super) fn run<E: Element>(isa: Isa, gemm: &mut Gemm<'_, E>) {
    let Gemm { a, b, c, alpha, start, epilogue, .. } = gemm;
    let widened;
    let (b, b_strides) = match b {
        Right::Strided(b) => (b.data(), (b.shape().row_stride, b.shape().column_stride)),
        // Packed for an ISA without micro-kernels it is one row-major panel.
        Right::Packed(b) => (b.panels(), (b.columns(), 1)),
        Right::Compact(b) => {
            widened = b.row_major();
            (&widened[..], (b.columns(), 1))
        }
    };
    let (m, n, k) = (c.rows(), c.columns(), a.columns());
    let beta = begin(*start, c);
    // A view's last element lies within its slice, so no stride that is used exceeds isize.
    let signed = |strides: (usize, usize)| (strides.0 as isize, strides.1 as isize);
    let a_strides = signed((a.shape().row_stride, a.shape().column_stride));
    let b_strides = signed(b_strides);
    let c_strides = signed((c.shape().row_stride, c.shape().column_stride));
    // SAFETY: the views were checked on construction: their elements lie within their slices,
    // those of C at places of their own.
    unsafe {
        E::multiply_strided(
            (m, n, k),
            *alpha,
            (a.data().as_ptr(), a_strides.0, a_strides.1),
            (b.as_ptr(), b_strides.0, b_strides.1),
            beta,
            (c.data().as_mut_ptr(), c_strides.0, c_strides.1),
        );
    }
    if let Some(epilogue) = epilogue {
        epilogue.finish(isa, 0, 0, c.reborrow());
    }
}
