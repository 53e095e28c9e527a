//! What is done to C where a product ends.

use super::{fill, isas};
use crate::activation::Activation;
use crate::gemm::{ActivateInto, Epilogue, Gemm, Rescale, scratch_len};
use crate::testing::values;
use crate::{Isa, MatMut, MatRef, ShapeError};

/// Counts how often each element of C is handed over.
struct Visits {
    columns: usize,
    counts: Vec<u32>,
}

impl Epilogue<f32> for Visits {
    fn finish(&mut self, _: Isa, row: usize, column: usize, mut strip: MatMut<'_, f32>) {
        for i in 0..strip.rows() {
            for j in 0..strip.columns() {
                self.counts[(row + i) * self.columns + column + j] += 1;
                *strip.at(i, j) += 1.0;
            }
        }
    }
}

#[test]
fn the_epilogue_meets_each_finished_element_once() {
    let shapes = [(1, 1, 0), (1, 40, 9), (40, 10, 64), (40, 70, 13), (31, 1100, 700)];
    for isa in isas() {
        for ((m, n, k), transposed) in shapes.iter().flat_map(|&s| [(s, false), (s, true)]) {
            let (a, b) = (vec![1.0f32; m * k], vec![1.0f32; k * n]);
            let mut c = vec![f32::NAN; m * n];
            let mut scratch = vec![0.0; scratch_len::<f32>(isa, m, n, k).unwrap()];
            let mut visits = Visits { columns: n, counts: vec![0; m * n] };
            let b = match transposed {
                true => MatRef::new(&b, n, k).unwrap().transposed(),
                false => MatRef::new(&b, k, n).unwrap(),
            };
            let (a, c_view) = (MatRef::new(&a, m, k).unwrap(), MatMut::new(&mut c, m, n).unwrap());
            Gemm::new(a, b, c_view).epilogue(&mut visits).run(isa, &mut scratch).unwrap();
            assert!(visits.counts.iter().all(|&count| count == 1), "{isa}");
            assert!(c.iter().all(|&value| value == k as f32 + 1.0), "{isa}");
        }
    }
}

/// z in C and a beside it are those of a product and an activation one after the other, whichever
/// way the product takes.
#[test]
fn an_activation_goes_elsewhere_while_its_input_stays() {
    let activation = Activation::Gelu;
    for isa in isas() {
        for (m, n, k) in [(1, 5, 3), (40, 10, 64), (31, 90, 70), (20, 64, 128)] {
            let (a, b) = (fill::<f32>(m * k, 1), fill::<f32>(n * k, 2));
            let a = MatRef::new(&a, m, k).unwrap();
            let b = MatRef::new(&b, n, k).unwrap().transposed();
            let mut scratch = vec![0.0; scratch_len::<f32>(isa, m, n, k).unwrap()];
            let mut z = [vec![f32::NAN; m * n], vec![f32::NAN; m * n]];
            let mut y = [vec![f32::NAN; m * n], vec![f32::NAN; m * n]];
            let view = MatMut::new(&mut z[0], m, n).unwrap();
            Gemm::new(a, b, view).run(isa, &mut scratch).unwrap();
            activation.forward(isa, &z[0], &mut y[0]).unwrap();
            let mut into = ActivateInto { activation, a: MatMut::new(&mut y[1], m, n).unwrap() };
            let view = MatMut::new(&mut z[1], m, n).unwrap();
            Gemm::new(a, b, view).epilogue(&mut into).run(isa, &mut scratch).unwrap();
            assert!(z[0] == z[1] && y[0] == y[1], "{isa} {m} {n} {k}");
            let mut into = ActivateInto { activation, a: MatMut::new(&mut y[1], n, m).unwrap() };
            let view = MatMut::new(&mut z[1], m, n).unwrap();
            let error = Gemm::new(a, b, view).epilogue(&mut into).run(isa, &mut scratch);
            let argument = "rows of the activated";
            assert_eq!(error, Err(ShapeError::Length { argument, expected: m, actual: n }));
        }
    }
}

#[test]
fn rescaling_is_one_multiply_add_a_column() {
    for isa in Isa::available() {
        for (rows, columns) in [(1, 1), (1, 17), (3, 40), (20, 3)] {
            let (scales, biases) = (values::<f32>(1, columns), values::<f32>(2, columns));
            let before = values::<f32>(3, rows * (columns + 2));
            for activation in [Activation::Identity, Activation::Relu] {
                let mut c = before.clone();
                let shape = (rows, columns);
                let strip = MatMut::with_strides(&mut c, shape, (columns + 2, 1)).unwrap();
                let mut rescale = Rescale { scales: &scales, biases: &biases, activation };
                rescale.finish(isa, 0, 0, strip);
                for (at, (&c, &before)) in c.iter().zip(&before).enumerate() {
                    let j = at % (columns + 2);
                    let mut expected = before;
                    if j < columns {
                        expected = if isa.has_fma() {
                            before.mul_add(scales[j], biases[j])
                        } else {
                            before * scales[j] + biases[j]
                        };
                        if activation == Activation::Relu {
                            expected = expected.max(0.0);
                        }
                    }
                    assert_eq!(c, expected, "{isa} {rows}x{columns}: {at}");
                }
            }
        }
    }
}

#[test]
fn rescaling_needs_a_number_for_each_column() {
    let (isa, numbers) = (Isa::detect(), [2.0f32; 4]);
    let view = MatRef::new(&numbers, 2, 2).unwrap();
    let activation = Activation::Relu;
    for (scales, biases, argument, actual) in
        [(1, 2, "scales", 1), (3, 2, "scales", 3), (2, 1, "biases", 1), (2, 0, "biases", 0)]
    {
        let mut rescale =
            Rescale { scales: &numbers[..scales], biases: &numbers[..biases], activation };
        let mut c = [7.0; 4];
        let product =
            Gemm::new(view, view, MatMut::new(&mut c, 2, 2).unwrap()).epilogue(&mut rescale);
        let mut scratch = vec![0.0; scratch_len::<f32>(isa, 2, 2, 2).unwrap()];
        let error = product.run(isa, &mut scratch);
        assert_eq!(error, Err(ShapeError::Length { argument, expected: 2, actual }));
        assert_eq!(c, [7.0; 4]);
    }
}
