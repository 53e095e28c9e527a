//! Inner products of rows against the naive reference, bit for bit where multiply-adds are fused.

use super::{bound, fill, isas};
use crate::gemm::{Epilogue, InnerProducts, Start};
use crate::{Element, Isa, MatMut, MatRef, reference};

/// C, whose rows are `gap` further apart than they are long.
fn view<E: Element>(c: &mut [E], (m, n): (usize, usize), gap: usize) -> MatMut<'_, E> {
    MatMut::with_strides(c, (m, n), (n + gap, 1)).unwrap()
}

/// Rows of `x` times rows of `w`, which are `gap` further apart than they are long, as those of C
/// are. Compares all of C's slice, in which what is not written is NaN.
fn check<E: Element>(
    isas: &[Isa],
    (m, n, k): (usize, usize, usize),
    gap: usize,
    biases: Option<&[E]>,
    value: impl Fn(usize, u64) -> Vec<E>,
) {
    let extent = |rows: usize, columns: usize| rows * (columns + gap) + 3;
    let (x, w) = (value(extent(m, k), 1), value(extent(n, k), 2));
    let x = MatRef::with_strides(&x, (m, k), (k + gap, 1)).unwrap();
    let w = MatRef::with_strides(&w, (n, k), (k + gap, 1)).unwrap();
    let before = vec![E::from_f64(f64::NAN); extent(m, n)];
    let (mut expected, mut chains) = (before.clone(), before.clone());
    reference::inner_products(x, w, biases, view(&mut expected, (m, n), gap));
    let start = biases.map_or(Start::Zero, Start::Row);
    reference::gemm(x, w.transposed(), E::ONE, start, view(&mut chains, (m, n), gap));
    let bound = bound::<E>(k, 1.0);
    for &isa in isas {
        let mut c = before.clone();
        InnerProducts { x, w, biases, c: view(&mut c, (m, n), gap), epilogue: None }
            .run(isa)
            .unwrap();
        for (at, got) in c.iter().enumerate() {
            let [got, want, chain] = [got, &expected[at], &chains[at]].map(|x| x.to_f64());
            let same = got.to_bits() == want.to_bits() || got.is_nan() && want.is_nan();
            let close = (got - chain).abs() <= bound || same && got.is_nan();
            let what = format!("{isa} {m} {n} {k} at {at}");
            assert!(same || !isa.has_fma(), "{what}: {got} instead of {want}");
            assert!(close, "{what}: {got}, and one chain is {chain}");
        }
    }
}

/// Every number of rows, columns and steps that may be left over.
#[test]
fn inner_products_equal_the_reference_at_every_remainder() {
    let isas = isas();
    let sizes = (0..=17).chain([33, 130]);
    for m in sizes {
        for n in 0..=17 {
            let (b32, b64) = (fill::<f32>(n, 3), fill::<f64>(n, 3));
            for k in (0..=17).chain([64, 101]) {
                let gap = (m + n + k) % 3;
                let biased = (m + k) % 2 == 0;
                check(&isas, (m, n, k), gap, biased.then_some(&b32), fill);
                check(&isas, (m, n, k), gap, biased.then_some(&b64), fill);
            }
        }
    }
}

/// Products that underflow are zeros with a sign, which a sum has or not.
#[test]
fn zeros_have_the_same_sign_on_every_isa() {
    let isas = isas();
    let tiny = |count, seed| fill::<f32>(count, seed).iter().map(|x| x * 1e-30).collect();
    let negative = |count, seed| vec![if seed == 1 { -1e-200 } else { 1e-200 }; count];
    for k in 0..=40 {
        check(&isas, (9, 3, k), 0, None, tiny);
        check(&isas, (9, 3, k), 0, Some(&[-0.0; 3]), tiny);
        check(&isas, (9, 3, k), 0, Some(&[-0.0; 3]), negative);
    }
}

/// Small integers have exact products and sums, so here no ISA may differ at all.
#[test]
fn inner_products_of_integers_are_exact_on_every_isa() {
    let integers = |count, seed| {
        fill::<f64>(count, seed).iter().map(|x| (x * 8.0).round()).collect::<Vec<_>>()
    };
    for isa in isas() {
        for (m, n, k) in [(1, 1, 1), (1, 15, 300), (7, 10, 50), (37, 3, 99)] {
            let (x, w) = (integers(m * k, 1), integers(n * k, 2));
            let (x, w) = (MatRef::new(&x, m, k).unwrap(), MatRef::new(&w, n, k).unwrap());
            let (mut c, mut exact) = (vec![f64::NAN; m * n], vec![0.0; m * n]);
            let c_view = MatMut::new(&mut c, m, n).unwrap();
            InnerProducts { x, w, biases: None, c: c_view, epilogue: None }.run(isa).unwrap();
            let exact_view = MatMut::new(&mut exact, m, n).unwrap();
            reference::gemm(x, w.transposed(), 1.0, Start::Zero, exact_view);
            assert_eq!(c, exact, "{isa}");
        }
    }
}

/// NaN in X reaches its row of C, NaN in W its column, and no other element, although rows and
/// columns are computed again in place of those that a tile does not have.
#[test]
fn nan_reaches_its_row_or_column_and_no_other() {
    let k = 11;
    for isa in isas() {
        for (m, n) in [(1, 1), (3, 1), (9, 3), (4, 10), (2, 2)] {
            for position in 0..(m + n) * k {
                let (mut x, mut w) = (vec![1.0f32; m * k], vec![1.0f32; n * k]);
                match position.checked_sub(m * k) {
                    None => x[position] = f32::NAN,
                    Some(position) => w[position] = f32::NAN,
                }
                let mut c = vec![0.0; m * n];
                InnerProducts {
                    x: MatRef::new(&x, m, k).unwrap(),
                    w: MatRef::new(&w, n, k).unwrap(),
                    biases: None,
                    c: MatMut::new(&mut c, m, n).unwrap(),
                    epilogue: None,
                }
                .run(isa)
                .unwrap();
                for (at, value) in c.iter().enumerate() {
                    let hit = position / k == at / n || position / k == m + at % n;
                    assert!(if hit { value.is_nan() } else { *value == k as f32 }, "{isa} {at}");
                }
            }
        }
    }
}

/// Adds 1 to what it is handed.
struct AddOne;

impl Epilogue<f32> for AddOne {
    fn finish(&mut self, _: Isa, row: usize, column: usize, mut strip: MatMut<'_, f32>) {
        assert_eq!((row % 128, column), (0, 0));
        for i in 0..strip.rows() {
            for j in 0..strip.columns() {
                *strip.at(i, j) += 1.0;
            }
        }
    }
}

#[test]
fn the_epilogue_meets_each_inner_product_once() {
    for isa in isas() {
        for (m, n, k) in [(1, 1, 0), (128, 3, 9), (129, 10, 20), (300, 1, 5)] {
            let (x, w) = (vec![1.0f32; m * k], vec![1.0f32; n * k]);
            let mut c = vec![f32::NAN; m * n];
            InnerProducts {
                x: MatRef::new(&x, m, k).unwrap(),
                w: MatRef::new(&w, n, k).unwrap(),
                biases: None,
                c: MatMut::new(&mut c, m, n).unwrap(),
                epilogue: Some(&mut AddOne),
            }
            .run(isa)
            .unwrap();
            assert!(c.iter().all(|&value| value == k as f32 + 1.0), "{isa}");
        }
    }
}
