//! Large products by the system's CBLAS.

use super::{Gemm, Right, fallback};
use crate::view::Shape;
use crate::{Element, Isa};
use cblas_sys::{CBLAS_TRANSPOSE, CblasNoTrans, CblasTrans};
use core::ffi::c_int;

/// Products of more multiply-adds than this, m · n · k, go to the system's BLAS: those of matrices
/// larger than 128 × 128, which a BLAS is tuned for. What is smaller it would spend on the way in,
/// and it knows no epilogue.
pub const BLAS_ABOVE: usize = 128 * 128 * 128;

/// A product in CBLAS's terms.
struct Call {
    shape: (c_int, c_int, c_int),
    a: (CBLAS_TRANSPOSE, c_int),
    b: (CBLAS_TRANSPOSE, c_int),
    ldc: c_int,
}

impl Call {
    /// None for shapes and strides that CBLAS does not know.
    fn new(a: Shape, b: Shape, c: Shape) -> Option<Self> {
        let (m, n, k) = (c.rows, c.columns, a.columns);
        let (CblasNoTrans, ldc) = operand(c)? else { return None };
        let shape = (m.try_into().ok()?, n.try_into().ok()?, k.try_into().ok()?);
        Some(Self { shape, a: operand(a)?, b: operand(b)?, ldc })
    }
}

/// A matrix as a row-major one or the transposed of one, and its leading dimension.
fn operand(shape: Shape) -> Option<(CBLAS_TRANSPOSE, c_int)> {
    let leading = |Shape { rows, columns, row_stride, column_stride }: Shape| {
        let row_stride = if rows <= 1 { columns.max(1) } else { row_stride };
        let contiguous = column_stride == 1 || columns <= 1;
        if contiguous && row_stride >= columns.max(1) { row_stride.try_into().ok() } else { None }
    };
    let plain = leading(shape).map(|ld| (CblasNoTrans, ld));
    plain.or_else(|| leading(shape.transposed()).map(|ld| (CblasTrans, ld)))
}

/// Computes the product, unless it is too small for BLAS, or of strides that BLAS does not know,
/// or B is packed already; returns whether it did. The shapes have been checked.
pub(super) fn run<E: Element>(isa: Isa, gemm: &mut Gemm<'_, E>) -> bool {
    let Right::Strided(b_view) = gemm.b else { return false };
    let (a, b, c) = (gemm.a.shape(), b_view.shape(), gemm.c.shape());
    let multiply_adds = c.rows.saturating_mul(c.columns).saturating_mul(a.columns);
    if !gemm.blas || multiply_adds <= BLAS_ABOVE {
        return false;
    }
    // A column-major C is the row-major Cᵀ = Bᵀ Aᵀ.
    let plain = Call::new(a, b, c).map(|call| (call, false));
    let call = plain.or_else(|| {
        let call = Call::new(b.transposed(), a.transposed(), c.transposed())?;
        Some((call, true))
    });
    let Some((call, swapped)) = call else { return false };
    let Gemm { a, c, alpha, start, epilogue, .. } = gemm;
    let beta = fallback::begin(*start, c);
    let (first, second) = if swapped { (b_view, *a) } else { (*a, b_view) };
    // SAFETY: the views were checked on construction: their elements lie within their slices,
    // those of C at places of their own; `Call` found the leading dimensions from their strides.
    unsafe {
        E::cblas(
            call.shape,
            *alpha,
            (first.data().as_ptr(), call.a.0, call.a.1),
            (second.data().as_ptr(), call.b.0, call.b.1),
            beta,
            (c.data().as_mut_ptr(), call.ldc),
        );
    }
    if let Some(epilogue) = epilogue {
        epilogue.finish(isa, 0, 0, c.reborrow());
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gemm::{Start, scratch_len};
    use crate::{MatMut, MatRef, reference};

    fn shape(rows: usize, columns: usize, row_stride: usize, column_stride: usize) -> Shape {
        Shape { rows, columns, row_stride, column_stride }
    }

    #[test]
    fn operands_are_what_cblas_reads_at_these_strides() {
        let plain = |shape| matches!(operand(shape), Some((CblasNoTrans, _)));
        let leading = |shape| operand(shape).map(|(_, leading)| leading);
        for (matrix, transposed, expected) in [
            (shape(3, 4, 4, 1), false, Some(4)),
            (shape(3, 4, 9, 1), false, Some(9)),
            (shape(3, 4, 1, 3), true, Some(3)),
            (shape(3, 4, 1, 8), true, Some(8)),
            (shape(3, 1, 5, 7), false, Some(5)),
            (shape(1, 4, 99, 1), false, Some(4)),
            (shape(1, 4, 99, 2), true, Some(2)),
            // Neither stride is 1, a row is repeated, rows overlap.
            (shape(3, 4, 8, 2), true, None),
            (shape(3, 4, 0, 1), true, None),
            (shape(3, 4, 2, 1), true, None),
            (shape(3, 4, usize::MAX, 1), true, None),
        ] {
            assert_eq!(leading(matrix), expected, "{matrix:?}");
            assert_eq!(plain(matrix), !transposed, "{matrix:?}");
        }
    }

    #[test]
    fn only_large_products_at_known_strides_go_to_blas() {
        let (m, n, k) = (64, 64, 513);
        let (a, b, mut c) = (vec![0.5f32; 2 * m * k], vec![2.0; k * n], vec![0.0; m * n]);
        let isa = Isa::detect();
        let mut given_back = |k: usize, a_strides, allowed| {
            let a = MatRef::with_strides(&a, (m, k), a_strides).unwrap();
            let b = MatRef::new(&b[..k * n], k, n).unwrap();
            let c = MatMut::new(&mut c, m, n).unwrap();
            !run(isa, &mut Gemm::new(a, b, c).blas(allowed))
        };
        assert!(!given_back(k, (k, 1), true));
        assert!(!given_back(k, (1, m), true));
        assert!(given_back(k, (2 * k, 2), true), "unknown strides");
        assert!(given_back(k, (k, 1), false), "not allowed");
        assert!(given_back(k - 1, (k - 1, 1), true), "small");
        assert!(c.iter().all(|&c| c == k as f32));
    }

    #[test]
    fn a_product_that_may_not_go_to_blas_has_the_bits_of_the_chain() {
        let (m, n, k) = (129, 130, 131);
        let fill = |count: usize| (0..count).map(|i| 1.0 / (i % 97 + 3) as f32).collect::<Vec<_>>();
        let (a, b) = (fill(m * k), fill(k * n));
        let (a, b) = (MatRef::new(&a, m, k).unwrap(), MatRef::new(&b, k, n).unwrap());
        let mut expected = vec![0.0; m * n];
        reference::gemm(a, b, 1.0, Start::Zero, MatMut::new(&mut expected, m, n).unwrap());
        for isa in Isa::available().filter(|isa| isa.has_fma()) {
            let mut c = vec![f32::NAN; m * n];
            let mut scratch = vec![0.0; scratch_len::<f32>(isa, m, n, k).unwrap()];
            let product = Gemm::new(a, b, MatMut::new(&mut c, m, n).unwrap()).blas(false);
            product.run(isa, &mut scratch).unwrap();
            assert_eq!(c, expected, "{isa}");
        }
    }
}
