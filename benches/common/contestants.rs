//! This library and its peers behind one call.

use super::products::{Operands, Parts, Product, Slices};
use deltarule_kernels::gemm::{Gemm, InnerProducts, Start};
use deltarule_kernels::{Element, Isa, MatMut, MatRef, reference};
use rayon::prelude::*;
use rten_gemm::{GemmExecutor, GemmInputA, GemmInputB, GemmOptions};
use rten_tensor::{Matrix, NdTensorView};

/// Who computes a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Contestant {
    Ours,
    MatrixMultiply,
    Gemm,
    Rten,
    Naive,
    /// The system's CBLAS, for the products that the feature sends there.
    #[cfg(feature = "blas")]
    Cblas,
}

/// The peers that every product is compared with.
pub(crate) const PEERS: [Contestant; 3] =
    [Contestant::MatrixMultiply, Contestant::Gemm, Contestant::Rten];

/// Multiply-adds of the largest product that the naive loops are asked for.
const NAIVE_LIMIT: usize = 64 * 64 * 64;

/// Multiply-adds that are worth a thread, as `Gemm::threads` has it.
const WORK_OF_SHARD: usize = 3 << 17;

impl Contestant {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ours => "deltarule",
            Self::MatrixMultiply => "matrixmultiply",
            Self::Gemm => "gemm",
            Self::Rten => "rten-gemm",
            Self::Naive => "naive",
            #[cfg(feature = "blas")]
            Self::Cblas => "cblas",
        }
    }

    /// Whether this one computes products of this size and element on `threads` threads.
    pub(crate) fn takes<E: Multiply>(self, multiply_adds: usize, threads: usize) -> bool {
        match self {
            Self::Ours | Self::Gemm => true,
            // Its threads are a pool of its own, whose size is fixed for the whole process.
            Self::MatrixMultiply => threads == 1,
            Self::Rten => E::IN_RTEN,
            Self::Naive => threads == 1 && multiply_adds <= NAIVE_LIMIT,
            #[cfg(feature = "blas")]
            Self::Cblas => {
                multiply_adds > deltarule_kernels::gemm::BLAS_ABOVE && threads == blas_threads()
            }
        }
    }

    /// C = A B. On more than one thread it is called within a rayon pool of that many.
    pub(crate) fn run<E: Multiply>(self, isa: Isa, threads: usize, operands: &mut Operands<E>) {
        match self {
            Self::Ours if operands.product.is_of_rows() => inner_products(isa, threads, operands),
            Self::Ours => ours(isa, threads, operands.parts(), false),
            Self::MatrixMultiply => matrixmultiply(operands),
            Self::Gemm => faer_gemm(threads, operands),
            Self::Rten => E::rten(operands),
            Self::Naive => {
                let Parts { a, b, c, .. } = operands.parts();
                reference::gemm(a, b, E::ONE, Start::Zero, c);
            }
            #[cfg(feature = "blas")]
            Self::Cblas => ours(isa, threads, operands.parts(), true),
        }
    }
}

/// How many threads the system's BLAS was told to use: libraries read it once, when they are
/// loaded, so it can't be set from here. Without the variable it is no contestant.
#[cfg(feature = "blas")]
fn blas_threads() -> usize {
    let variables = ["OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS"];
    let set = variables.iter().find_map(|variable| std::env::var(variable).ok());
    set.and_then(|value| value.parse().ok()).unwrap_or(0)
}

/// As a layer of few units has it; on several threads in shards of rows, as a step has them.
fn inner_products<E: Element>(isa: Isa, threads: usize, operands: &mut Operands<E>) {
    let Product { m, n, k, .. } = operands.product;
    let Slices { a, b, c, .. } = operands.slices();
    let run = |(a, c): (&[E], &mut [E])| {
        let rows = c.len() / n;
        InnerProducts {
            x: MatRef::new(a, rows, k).expect("the buffer has its size"),
            w: MatRef::new(b, n, k).expect("the buffer has its size"),
            biases: None,
            c: MatMut::new(c, rows, n).expect("the buffer has its size"),
            epilogue: None,
        }
        .run(isa)
        .expect("the operands fit together");
    };
    let shards = (m * n * k / WORK_OF_SHARD).clamp(1, threads);
    if shards == 1 {
        return run((a, c));
    }
    let rows = m.div_ceil(shards);
    a.par_chunks(rows * k).zip(c.par_chunks_mut(rows * n)).for_each(run);
}

fn ours<E: Element>(isa: Isa, threads: usize, parts: Parts<'_, E>, by_blas: bool) {
    let Parts { a, b, c, scratch } = parts;
    let product = Gemm::new(a, b, c).threads(threads);
    #[cfg(feature = "blas")]
    let product = product.blas(by_blas);
    #[cfg(not(feature = "blas"))]
    debug_assert!(!by_blas);
    product.run(isa, scratch).expect("the operands fit together");
}

fn matrixmultiply<E: Multiply>(operands: &mut Operands<E>) {
    let (m, n, k) = (operands.product.m, operands.product.n, operands.product.k);
    let Slices { a, a_strides, b, b_strides, c } = operands.slices();
    // SAFETY: the slices hold m × k, k × n and m × n elements at these strides, and those of the
    // row-major C are distinct.
    unsafe {
        E::MATRIXMULTIPLY(
            m,
            k,
            n,
            E::ONE,
            a.as_ptr(),
            a_strides.0 as isize,
            a_strides.1 as isize,
            b.as_ptr(),
            b_strides.0 as isize,
            b_strides.1 as isize,
            E::ZERO,
            c.as_mut_ptr(),
            n as isize,
            1,
        );
    }
}

fn faer_gemm<E: Multiply>(threads: usize, operands: &mut Operands<E>) {
    let (m, n, k) = (operands.product.m, operands.product.n, operands.product.k);
    let Slices { a, a_strides, b, b_strides, c } = operands.slices();
    let parallelism =
        if threads == 1 { gemm::Parallelism::None } else { gemm::Parallelism::Rayon(threads) };
    // SAFETY: the slices hold m × k, k × n and m × n elements at these strides (column stride
    // first), and those of the row-major C are distinct.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            c.as_mut_ptr(),
            1,
            n as isize,
            false,
            a.as_ptr(),
            a_strides.1 as isize,
            a_strides.0 as isize,
            b.as_ptr(),
            b_strides.1 as isize,
            b_strides.0 as isize,
            E::ZERO,
            E::ONE,
            false,
            false,
            false,
            parallelism,
        );
    }
}

/// `matrixmultiply`'s signature: m, k, n, α, A and its strides, B and its strides, β, C and its
/// strides.
type MatrixMultiply<E> = unsafe fn(
    usize,
    usize,
    usize,
    E,
    *const E,
    isize,
    isize,
    *const E,
    isize,
    isize,
    E,
    *mut E,
    isize,
    isize,
);

/// The elements that products are measured of, and what the peers have for them.
pub(crate) trait Multiply: Element {
    const NAME: &'static str;
    const MATRIXMULTIPLY: MatrixMultiply<Self>;
    const IN_RTEN: bool;

    /// Does nothing unless [`Multiply::IN_RTEN`].
    fn rten(operands: &mut Operands<Self>);
}

impl Multiply for f32 {
    const NAME: &'static str = "f32";
    const MATRIXMULTIPLY: MatrixMultiply<Self> = matrixmultiply::sgemm;
    const IN_RTEN: bool = true;

    fn rten(operands: &mut Operands<Self>) {
        // It can't be sent to other threads, nor should making it be timed.
        thread_local!(static EXECUTOR: GemmExecutor = GemmExecutor::default());
        let (m, n, k) = (operands.product.m, operands.product.n, operands.product.k);
        let Slices { a, a_strides, b, b_strides, c } = operands.slices();
        let options = GemmOptions { alpha: 1.0, ..GemmOptions::default() };
        let a = GemmInputA::Unpacked(rten_matrix(a, (m, k), a_strides));
        let b = GemmInputB::Unpacked(rten_matrix(b, (k, n), b_strides));
        EXECUTOR
            .with(|executor| executor.gemm(c, a, b, options))
            .expect("the operands fit together");
    }
}

impl Multiply for f64 {
    const NAME: &'static str = "f64";
    const MATRIXMULTIPLY: MatrixMultiply<Self> = matrixmultiply::dgemm;
    const IN_RTEN: bool = false;

    fn rten(_: &mut Operands<Self>) {}
}

fn rten_matrix(
    data: &[f32],
    (rows, columns): (usize, usize),
    (row_stride, column_stride): (usize, usize),
) -> Matrix<'_, f32> {
    NdTensorView::from_slice_with_strides([rows, columns], data, [row_stride, column_stride])
        .expect("the slice holds the matrix")
}
