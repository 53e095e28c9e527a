//! Products against the naive reference: bit for bit where multiply-adds are fused, since there an
//! element of C is one defined chain, and within the bound of a sum of k products elsewhere.

mod epilogues;
mod inner_products;

use super::driver::{Multiplication, Part};
use super::tiny::Tiny;
use super::{
    CompactMatrix, Format, Gemm, PackedMatrix, Right, Start, parallel_scratch_len, scratch_len,
};
use crate::dispatch::Kernel;
use crate::lanes::portable::Portable;
use crate::{Element, Isa, MatMut, MatRef, ShapeError, reference};

/// Every ISA that the CPU has; says which are left out.
fn isas() -> Vec<Isa> {
    let all: Vec<Isa> = Isa::available().collect();
    for name in Isa::NAMES {
        if !all.iter().any(|isa| isa.name() == name) {
            println!("skipped: this CPU has no {name}");
        }
    }
    all
}

/// Values in (−1, 1) with full mantissas, from a 64-bit mix of the index.
fn fill<E: Element>(count: usize, seed: u64) -> Vec<E> {
    let mix = |i: usize| {
        let mut z = (i as u64).wrapping_add(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) as i64 as f64 / i64::MAX as f64
    };
    (0..count).map(|i| E::from_f64(mix(i))).collect()
}

/// How a matrix of the test lies in its slice.
#[derive(Clone, Copy, Debug)]
enum Layout {
    RowMajor,
    ColumnMajor,
    /// Neither stride is 1.
    Spread,
}

impl Layout {
    const ALL: [Self; 3] = [Self::RowMajor, Self::ColumnMajor, Self::Spread];

    /// Strides with gaps of `gap` elements between the lines.
    fn strides(self, rows: usize, columns: usize, gap: usize) -> (usize, usize) {
        match self {
            Self::RowMajor => (columns + gap, 1),
            Self::ColumnMajor => (1, rows + gap),
            Self::Spread => (2 * columns + gap, 2),
        }
    }
}

fn extent((rows, columns): (usize, usize), (row, column): (usize, usize)) -> usize {
    if rows == 0 || columns == 0 { 0 } else { (rows - 1) * row + (columns - 1) * column + 1 }
}

/// The start, without its data.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Begin {
    Zero,
    Accumulate,
    Scaled,
    Row,
}

const BEGINS: [Begin; 4] = [Begin::Zero, Begin::Accumulate, Begin::Scaled, Begin::Row];

/// Whether a product of this shape may go to the system's BLAS, which sums in its own order.
fn goes_to_blas((m, n, k): (usize, usize, usize)) -> bool {
    #[cfg(feature = "blas")]
    let limit = super::BLAS_ABOVE;
    #[cfg(not(feature = "blas"))]
    let limit = usize::MAX;
    m * n * k > limit
}

struct Case {
    shape: (usize, usize, usize),
    layouts: [Layout; 3],
    gap: usize,
    begin: Begin,
    alpha: f64,
}

/// How far two sums of k products may be apart, in any order, and each times a factor.
fn bound<E>(k: usize, factor: f64) -> f64 {
    (k + 4) as f64 * factor * if size_of::<E>() == 4 { 1.2e-7 } else { 2.3e-16 }
}

/// Runs a case of both elements on these ISAs and compares every element of C's slice, gaps
/// included.
fn check(isas: &[Isa], case: &Case) {
    check_element::<f32>(isas, case);
    check_element::<f64>(isas, case);
}

fn check_element<E: Element>(isas: &[Isa], case: &Case) {
    let (m, n, k) = case.shape;
    let [a_strides, b_strides, c_strides] = [(m, k), (k, n), (m, n)]
        .iter()
        .zip(case.layouts)
        .map(|(&(rows, columns), layout)| layout.strides(rows, columns, case.gap))
        .collect::<Vec<_>>()
        .try_into()
        .unwrap();
    let a = fill::<E>(extent((m, k), a_strides), 1);
    let b = fill::<E>(extent((k, n), b_strides), 2);
    let row = fill::<E>(n, 3);
    // Trailing elements too must stay as they are. With β = 0, C is full of NaN.
    let nan = E::from_f64(f64::NAN);
    let mut before = fill::<E>(extent((m, n), c_strides) + 5, 4);
    if matches!(case.begin, Begin::Zero | Begin::Row) {
        before.fill(nan);
    }
    let a = MatRef::with_strides(&a, (m, k), a_strides).unwrap();
    let b = MatRef::with_strides(&b, (k, n), b_strides).unwrap();
    let start = match case.begin {
        Begin::Zero => Start::Zero,
        Begin::Accumulate => Start::Accumulate,
        Begin::Scaled => Start::Scaled(E::from_f64(-0.375)),
        Begin::Row => Start::Row(&row),
    };
    let alpha = E::from_f64(case.alpha);
    // Once for all ISAs, since it takes longer than the products.
    let mut expected = before.clone();
    let c_view = MatMut::with_strides(&mut expected, (m, n), c_strides).unwrap();
    reference::gemm(a, b, alpha, start, c_view);
    let bound = bound::<E>(k, case.alpha.abs().max(1.0));

    for &isa in isas {
        let what = || format!("{isa} {:?} {:?} {:?}", case.shape, case.layouts, case.begin);
        let mut scratch = vec![nan; scratch_len::<E>(isa, m, n, k).unwrap()];
        let mut product = |b: Right<'_, E>| {
            let mut c = before.clone();
            let c_view = MatMut::with_strides(&mut c, (m, n), c_strides).unwrap();
            Gemm::new(a, b, c_view).alpha(alpha).start(start).run(isa, &mut scratch).unwrap();
            c
        };
        let c = product(b.into());
        // Packed beforehand and on threads it is the same product, to the bit.
        let again = product((&PackedMatrix::new(isa, b).unwrap()).into());
        if !goes_to_blas(case.shape) {
            let bits = |c: &[E]| c.iter().map(|c| c.to_f64().to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&again), bits(&c), "packed {}", what());
        }
        let exact = isa.has_fma() && !goes_to_blas(case.shape);
        for (at, (&got, &want)) in c.iter().zip(&expected).enumerate() {
            let (got, want) = (got.to_f64(), want.to_f64());
            let same = got == want || (got.is_nan() && want.is_nan());
            let close = !exact && (got - want).abs() <= bound;
            assert!(same || close, "{} at {at}: {got} instead of {want}", what());
        }
    }
}

/// Sizes around every tile of every ISA, and past the blocks.
#[test]
fn products_equal_the_reference_at_every_remainder() {
    let isas = isas();
    for size in 0..=70 {
        for shape in [(size, 19, 5), (7, size, 5), (17, 33, size), (size, size, 3), (1, size, size)]
        {
            for begin in [Begin::Zero, Begin::Row] {
                let layouts = [Layout::RowMajor; 3];
                let case = Case { shape, layouts, gap: size % 4, begin, alpha: 1.0 };
                check(&isas, &case);
            }
        }
    }
}

#[test]
fn products_equal_the_reference_in_every_layout() {
    let isas = isas();
    for a in Layout::ALL {
        for b in Layout::ALL {
            for c in Layout::ALL {
                for begin in BEGINS {
                    for (shape, alpha) in [((15, 37, 21), 1.0), ((6, 16, 8), -1.75)] {
                        let case = Case { shape, layouts: [a, b, c], gap: 3, begin, alpha };
                        check(&isas, &case);
                    }
                }
            }
        }
    }
}

#[test]
fn products_larger_than_the_blocks_equal_the_reference() {
    let isas = isas();
    for (shape, alpha) in [
        ((33, 530, 70), 1.0),
        ((5, 41, 1100), 1.0),
        ((15, 80, 1100), 1.0),
        ((29, 700, 600), 1.0),
        ((14, 1100, 1000), 1.0),
        ((150, 10, 300), 1.0),
        ((70, 530, 300), 1.0),
        ((115, 75, 40), -1.75),
    ] {
        for (a, b) in [
            (Layout::RowMajor, Layout::RowMajor),
            (Layout::RowMajor, Layout::ColumnMajor),
            (Layout::ColumnMajor, Layout::RowMajor),
        ] {
            for begin in BEGINS {
                let layouts = [a, b, Layout::RowMajor];
                let case = Case { shape, layouts, gap: 1, begin, alpha };
                check(&isas, &case);
            }
        }
    }
}

/// One row or a few, and so few columns that rows take their place: in each layout of A, B and C.
#[test]
fn products_with_few_rows_or_columns_equal_the_reference() {
    let rows = [(1, 1, 700), (1, 37, 19), (1, 32, 64), (1, 83, 40), (2, 37, 19), (4, 83, 40)];
    let turned = [(40, 1, 70), (40, 10, 700), (17, 3, 16), (200, 12, 33), (16, 5, 600), (9, 4, 50)];
    let isas = isas();
    for shape in rows.into_iter().chain(turned) {
        for a in Layout::ALL {
            for b in Layout::ALL {
                for (c, begin) in [Layout::RowMajor, Layout::ColumnMajor]
                    .into_iter()
                    .flat_map(|c| BEGINS.map(|begin| (c, begin)))
                {
                    let case = Case { shape, layouts: [a, b, c], gap: 2, begin, alpha: 1.0 };
                    check(&isas, &case);
                }
            }
        }
    }
}

/// x Wᵀ of one to four rows, where squares of W are transposed: each number of columns that is left
/// over, and rows of W that are 4 KiB apart.
#[test]
fn products_of_squares_equal_the_reference() {
    let isas = isas();
    for m in 1..=4 {
        for (n, k) in (1..=33).flat_map(|n| [23, 70, 1024].map(|k| (n, k))) {
            for begin in BEGINS {
                let layouts = [Layout::RowMajor, Layout::ColumnMajor, Layout::RowMajor];
                check(&isas, &Case { shape: (m, n, k), layouts, gap: 0, begin, alpha: 1.0 });
            }
        }
    }
}

/// So few steps that rows of C are written one after the other, and some more.
#[test]
fn products_with_few_steps_equal_the_reference() {
    let isas = isas();
    for k in 1..=17 {
        for (m, n) in [(1, 37), (2, 64), (5, 50), (19, 32), (12, 263), (9, 272)] {
            for a in [Layout::RowMajor, Layout::ColumnMajor] {
                for (begin, alpha) in BEGINS.into_iter().flat_map(|b| [(b, 1.0), (b, -1.75)]) {
                    let layouts = [a, Layout::RowMajor, Layout::RowMajor];
                    let case = Case { shape: (m, n, k), layouts, gap: k % 3, begin, alpha };
                    check(&isas, &case);
                }
            }
        }
    }
}

/// x Wᵀ of small batches, where x is transposed instead of W; rows of W that are 4 KiB apart too.
#[test]
fn products_with_small_batches_equal_the_reference() {
    let shapes = [
        (5, 37, 70),
        (8, 10, 64),
        (8, 61, 40),
        (12, 64, 130),
        (16, 50, 99),
        (24, 100, 180),
        (33, 250, 200),
        (64, 300, 401),
        (9, 45, 512),
        (32, 90, 1024),
    ];
    let layouts = [Layout::RowMajor, Layout::ColumnMajor, Layout::RowMajor];
    let isas = isas();
    for shape in shapes {
        for begin in BEGINS {
            for gap in [0, 3] {
                let case = Case { shape, layouts, gap, begin, alpha: 1.0 };
                check(&isas, &case);
            }
        }
    }
}

/// Every way of handing A, B and C to the system's BLAS, and the layouts that it does not know.
#[cfg(feature = "blas")]
#[test]
fn products_by_blas_equal_the_reference_in_every_layout() {
    let shape = (129, 130, 131);
    assert!(goes_to_blas(shape));
    for a in Layout::ALL {
        for b in Layout::ALL {
            for c in Layout::ALL {
                for begin in BEGINS {
                    let case = Case { shape, layouts: [a, b, c], gap: 3, begin, alpha: -1.75 };
                    check(&[Isa::detect()], &case);
                }
            }
        }
    }
}

/// Small integers have exact products and sums, so here no ISA may differ at all.
#[test]
fn integer_products_are_exact_on_every_isa() {
    let (m, n, k) = (37, 45, 300);
    let integers = |count: usize, step: usize| -> Vec<f32> {
        (0..count).map(|i| ((i * step) % 15) as f32 - 7.0).collect()
    };
    let (a, b) = (integers(m * k, 7), integers(k * n, 11));
    let mut exact = vec![0.0; m * n];
    for i in 0..m {
        for j in 0..n {
            exact[i * n + j] = (0..k).map(|p| a[i * k + p] * b[p * n + j]).sum();
        }
    }
    for isa in isas() {
        let mut c = vec![f32::NAN; m * n];
        let mut scratch = vec![0.0; scratch_len::<f32>(isa, m, n, k).unwrap()];
        let views = (MatRef::new(&a, m, k), MatRef::new(&b, k, n), MatMut::new(&mut c, m, n));
        Gemm::new(views.0.unwrap(), views.1.unwrap(), views.2.unwrap())
            .run(isa, &mut scratch)
            .unwrap();
        assert_eq!(c, exact, "{isa}");
    }
}

/// The portable micro-kernels serve NEON, so they are tested here too, although x86 without FMA
/// goes to `matrixmultiply`.
#[test]
fn portable_micro_kernels_multiply_integers_exactly() {
    let isa = Isa::named("portable").unwrap();
    for (m, n, k) in [(1, 1, 1), (6, 16, 9), (13, 37, 40), (20, 7, 300), (11, 50, 60)] {
        let a: Vec<f64> = (0..m * k).map(|i| ((i * 5) % 13) as f64 - 6.0).collect();
        let b: Vec<f64> = (0..k * n).map(|i| ((i * 3) % 11) as f64 - 5.0).collect();
        let (mut c, mut expected) = (vec![f64::NAN; m * n], vec![0.0; m * n]);
        let a = MatRef::new(&a, m, k).unwrap();
        let b = match m {
            // A small batch times weights.
            11 => MatRef::new(&b, n, k).unwrap().transposed(),
            _ => MatRef::new(&b, k, n).unwrap(),
        };
        let mut scratch = vec![0.0; 1 << 20];
        let part = Part {
            isa,
            a,
            b: Right::Strided(b),
            c: (c.as_mut_ptr(), (n, 1)),
            alpha: 1.0,
            start: Start::Zero,
            turned: false,
            rows: 0..m,
            columns: 0..n,
        };
        // The shapes fit, and C is our own.
        let product = Multiplication { part, epilogue: None, scratch: &mut scratch };
        assert!(Kernel::run(product, Portable), "there is enough scratch space");
        let c_view = MatMut::new(&mut expected, m, n).unwrap();
        reference::gemm(a, b, 1.0, Start::Zero, c_view);
        assert_eq!(c, expected);
        c.fill(f64::NAN);
        let c_view = &mut MatMut::new(&mut c, m, n).unwrap();
        match (Tiny { a: &a, b: &b, c: c_view, start: &Start::Zero }).by_rows() {
            Ok(rows) => Kernel::run(rows, Portable),
            Err(singles) => Kernel::run(singles, Portable),
        }
        assert_eq!(c, expected);
    }
}

/// A view of a single element that claims to be more than there is memory for.
#[test]
fn a_matrix_too_large_to_pack_is_an_error() {
    let rows = 1 << 44;
    let b = MatRef::with_strides(&[1.0f32], (rows, 16), (0, 0)).unwrap();
    let is_too_large = |error| matches!(error, ShapeError::OutOfMemory { argument: "b", .. });
    for isa in isas() {
        assert!(is_too_large(PackedMatrix::new(isa, b).unwrap_err()), "{isa}");
        for format in [Format::Bf16, Format::Int8] {
            assert!(is_too_large(CompactMatrix::new(isa, b, format).unwrap_err()), "{isa}");
        }
    }
}

/// NaN or an infinity in A or B reaches just the elements of C that it is a factor of.
#[test]
fn a_non_finite_factor_reaches_its_row_or_column_and_no_other() {
    let (m, n, k) = (16, 35, 9);
    for isa in isas() {
        let mut scratch = vec![0.0f32; scratch_len::<f32>(isa, m, n, k).unwrap()];
        for poison in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for position in 0..m * k + k * n {
                let (mut a, mut b) = (vec![1.0f32; m * k], vec![1.0f32; k * n]);
                let mut c = vec![0.0; m * n];
                let in_a = position < m * k;
                if in_a {
                    a[position] = poison;
                } else {
                    b[position - m * k] = poison;
                }
                let views =
                    (MatRef::new(&a, m, k), MatRef::new(&b, k, n), MatMut::new(&mut c, m, n));
                Gemm::new(views.0.unwrap(), views.1.unwrap(), views.2.unwrap())
                    .run(isa, &mut scratch)
                    .unwrap();
                for (at, value) in c.iter().enumerate() {
                    let hit = if in_a {
                        at / n == position / k
                    } else {
                        at % n == (position - m * k) % n
                    };
                    assert_eq!(!value.is_finite(), hit, "{isa}: {poison} at {position}: {at}");
                    assert_eq!(value.is_nan(), hit && poison.is_nan());
                }
            }
        }
    }
}

#[test]
fn threads_and_packing_change_no_bit() {
    for isa in isas() {
        // Among them rows of A that are read where they lie, in one block of k and in two, some
        // that are not, and a last part of so few columns that they are turned to rows.
        let shapes = [(64, 512, 256), (300, 10, 1000), (7, 1000, 300), (130, 97, 180)];
        let shapes = shapes.into_iter().chain([(35, 97, 1100), (35, 97, 1024), (48, 44, 512)]);
        for ((m, n, k), turned) in shapes.flat_map(|shape| [(shape, true), (shape, false)]) {
            let (a, b) = (fill::<f32>(m * k, 1), fill::<f32>(n * k, 2));
            let a = MatRef::new(&a, m, k).unwrap();
            let b = if turned {
                MatRef::new(&b, n, k).map(MatRef::transposed)
            } else {
                MatRef::new(&b, k, n)
            };
            let b = b.unwrap();
            let packed = PackedMatrix::new(isa, b).unwrap().clone();
            let product = |b: Right<'_, f32>, threads: usize| {
                let mut c = vec![f32::NAN; m * n];
                let length = parallel_scratch_len::<f32>(isa, (m, n, k), threads).unwrap();
                let mut scratch = vec![0.0; length];
                let gemm = Gemm::new(a, b, MatMut::new(&mut c, m, n).unwrap()).threads(threads);
                #[cfg(feature = "blas")]
                let gemm = gemm.blas(false);
                gemm.run(isa, &mut scratch).unwrap();
                c
            };
            let expected = product(b.into(), 1);
            for threads in [1, 2, 3, 8] {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                assert!(pool.install(|| product(b.into(), threads)) == expected, "{isa} {threads}");
                assert!(pool.install(|| product((&packed).into(), threads)) == expected);
            }
        }
    }
}

#[test]
fn an_operand_packed_for_another_isa_is_refused() {
    let b = [1.0f32; 4];
    let portable = Isa::named("portable").unwrap();
    let packed = PackedMatrix::new(portable, MatRef::new(&b, 2, 2).unwrap()).unwrap();
    for isa in isas().into_iter().filter(|&isa| isa != portable) {
        let mut c = [7.0; 2];
        let (a, c_view) = (MatRef::new(&b[..2], 1, 2).unwrap(), MatMut::new(&mut c, 1, 2).unwrap());
        let error = Gemm::new(a, &packed, c_view).run(isa, &mut []).unwrap_err();
        assert_eq!(error, ShapeError::Isa { argument: "b", packed: portable, isa });
        assert_eq!(c, [7.0; 2]);
    }
}

#[test]
fn sizes_that_disagree_are_errors_and_write_nothing() {
    let isa = Isa::detect();
    let data = [0.0f32; 12];
    let mut c = [7.0f32; 6];
    let (a, b) = (MatRef::new(&data, 3, 4).unwrap(), MatRef::new(&data, 6, 2).unwrap());
    let error = Gemm::new(a, b, MatMut::new(&mut c, 3, 2).unwrap()).run(isa, &mut []).unwrap_err();
    assert_eq!(error.to_string(), "`rows of b` has 6 elements, but 4 are needed");
    let b = MatRef::new(&data[..8], 4, 2).unwrap();
    let error = Gemm::new(a, b, MatMut::new(&mut c, 2, 3).unwrap()).run(isa, &mut []).unwrap_err();
    assert_eq!(error, ShapeError::Length { argument: "rows of a", expected: 2, actual: 3 });
    let bias = Start::Row(&data[..3]);
    let product = Gemm::new(a, b, MatMut::new(&mut c, 3, 2).unwrap()).start(bias);
    let error = product.run(isa, &mut []).unwrap_err();
    assert_eq!(error, ShapeError::Length { argument: "start row", expected: 2, actual: 3 });
    assert_eq!(c, [7.0; 6]);
    if isa.has_fma() {
        let (data, mut c) = ([0.0f32; 400], [7.0f32; 400]);
        let view = MatRef::new(&data, 20, 20).unwrap();
        let product = Gemm::new(view, view, MatMut::new(&mut c, 20, 20).unwrap());
        let error = product.run(isa, &mut []).unwrap_err();
        assert!(matches!(error, ShapeError::Length { argument: "scratch", actual: 0, .. }));
        assert_eq!(c, [7.0; 400]);
    }
    assert!(matches!(scratch_len::<f32>(isa, usize::MAX, 2, 3), Err(ShapeError::Overflow { .. })));
}

/// β = 0 is not to read C, however it is written.
#[test]
fn a_scale_of_0_overwrites() {
    for isa in Isa::available() {
        for (m, n, k) in [(1, 1, 1), (3, 2, 5), (20, 40, 30), (2, 300, 0)] {
            let (a, b) = (vec![1.0f32; m * k], vec![2.0; k * n]);
            let mut c = vec![f32::NAN; m * n];
            let mut scratch = vec![0.0; scratch_len::<f32>(isa, m, n, k).unwrap()];
            let (a, b) = (MatRef::new(&a, m, k).unwrap(), MatRef::new(&b, k, n).unwrap());
            let product = Gemm::new(a, b, MatMut::new(&mut c, m, n).unwrap());
            product.start(Start::Scaled(0.0)).run(isa, &mut scratch).unwrap();
            assert_eq!(c, vec![2.0 * k as f32; m * n], "{isa}: {m} {n} {k}");
        }
    }
}

/// Of matrices without elements a side may be of any length.
#[test]
fn scratch_space_for_sides_that_no_memory_has() {
    for isa in Isa::available() {
        for shape in [(1, usize::MAX, 0), (usize::MAX, 0, 1), (1, 1, 1 << 60), (0, 0, usize::MAX)] {
            for threads in [1, 8] {
                let error = parallel_scratch_len::<f32>(isa, shape, threads);
                assert!(matches!(error, Err(ShapeError::Overflow { .. })), "{shape:?}: {error:?}");
            }
        }
    }
}

/// A stride that leads nowhere may be anything.
#[test]
fn strides_that_lead_nowhere() {
    const ANY: usize = usize::MAX;
    for isa in Isa::available() {
        let data: Vec<f32> = (0..40).map(|i| i as f32).collect();
        let view = |shape, strides| MatRef::with_strides(&data, shape, strides).unwrap();
        let rows = |rows| view((rows, 1), (1, ANY));
        let row = view((1, 40), (ANY, 1));
        for (a, b) in [(rows(40), row), (row, rows(40)), (rows(1), row), (row, row.transposed())] {
            let (m, n, k) = (a.rows(), b.columns(), a.columns());
            let mut scratch = vec![0.0; scratch_len::<f32>(isa, m, n, k).unwrap()];
            let mut expected = vec![0.0; m * n];
            let c = MatMut::new(&mut expected, m, n).unwrap();
            reference::gemm(a, b, 1.0, Start::Zero, c);
            let packed = PackedMatrix::new(isa, b).unwrap();
            for right in [Right::from(b), Right::from(&packed)] {
                let mut c = vec![0.0; m * n];
                let product = Gemm::new(a, right, MatMut::new(&mut c, m, n).unwrap());
                product.run(isa, &mut scratch).unwrap();
                assert_eq!(c, expected, "{isa}: {m} {n} {k}");
            }
        }
        // No steps: nothing is there to be led to.
        let (a, b) = (MatRef::with_strides(&[], (4, 0), (ANY, 1)), MatRef::new(&[], 0, 1));
        let (mut c, mut scratch) = ([5.0f32; 4], vec![0.0; 4096]);
        let product = Gemm::new(a.unwrap(), b.unwrap(), MatMut::new(&mut c, 4, 1).unwrap());
        product.run(isa, &mut scratch).unwrap();
        assert_eq!(c, [0.0; 4]);
    }
}
