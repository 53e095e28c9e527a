use super::*;
use crate::testing::{assert_isas_agree, special_values, values};
use crate::{MatRef, ShapeError, reference};

/// Every remainder of pieces' lanes, and the edges of pieces and blocks.
fn lengths() -> impl Iterator<Item = usize> {
    (0..=70).chain([255, 256, 257, 300, 511, 512, 513, 2047, 2048, 2049, 2300, 4096, 4500, 14_336])
}

/// The documented order, written down as slowly as it is documented.
fn ordered_sum<E: Element>(n: usize, add: &dyn Fn(usize, E) -> E) -> E {
    let block = |start: usize, end: usize| {
        let mut pieces = [[E::ZERO; 16]; 8];
        for i in start..end {
            let lane = &mut pieces[(i - start) / 256][i % 16];
            *lane = add(i, *lane);
        }
        let mut l = [E::ZERO; 16];
        for (i, l) in l.iter_mut().enumerate() {
            let p = pieces.map(|p| p[i]);
            *l = ((p[0] + p[1]) + (p[2] + p[3])) + ((p[4] + p[5]) + (p[6] + p[7]));
        }
        for distance in [8, 4, 2, 1] {
            for i in 0..distance {
                l[i] += l[i + distance];
            }
        }
        l[0]
    };
    let mut sums: Vec<E> =
        (0..n).step_by(2048).map(|start| block(start, n.min(start + 2048))).collect();
    while sums.len() > 1 {
        sums =
            sums.chunks(2).map(|pair| pair.iter().copied().reduce(|a, b| a + b).unwrap()).collect();
    }
    sums.first().copied().unwrap_or(E::ZERO)
}

fn sums_are_near_the_exact_ones_and_in_order<E: Element>(unit: f64) {
    for n in lengths() {
        let x: Vec<E> = values(n as u64, n);
        let plain = assert_isas_agree(|isa| vec![sum(isa, &x)]);
        let squares = assert_isas_agree(|isa| vec![sum_of_squares(isa, &x)]);
        let magnitude: f64 = x.iter().map(|x| x.to_f64().abs()).sum();
        for isa in Isa::available() {
            let bound = 27.0 * unit;
            let (s, q) = (sum(isa, &x).to_f64(), sum_of_squares(isa, &x));
            let exact = reference::sum(&x);
            assert!((s - exact).abs() <= bound * magnitude, "{isa}: {n}: {s} is not {exact}");
            let exact = reference::sum_of_squares(&x);
            // Two roundings a term without fused multiply-adds.
            assert!((q - exact).abs() <= (bound + unit) * exact, "{isa}: {n}: {q} is not {exact}");
        }
        assert_eq!(plain[0], ordered_sum(n, &|i, sum| sum + x[i]), "{n}");
        if Isa::detect().has_fma() {
            let ordered = ordered_sum(n, &|i, sum| x[i].mul_add(x[i], sum));
            assert_eq!(squares[0], ordered.to_f64(), "{n}");
        }
    }
}

#[test]
fn sums_in_the_documented_order() {
    sums_are_near_the_exact_ones_and_in_order::<f32>(2f64.powi(-24));
    sums_are_near_the_exact_ones_and_in_order::<f64>(2f64.powi(-53));
}

#[test]
fn small_integers_are_summed_exactly() {
    for isa in Isa::available() {
        for n in lengths() {
            let x: Vec<f32> = (0..n).map(|i| (i % 7) as f32 - 3.0).collect();
            assert_eq!(f64::from(sum(isa, &x)), reference::sum(&x), "{isa}: {n}");
            assert_eq!(sum_of_squares(isa, &x), reference::sum_of_squares(&x));
        }
    }
}

/// Where all squares, or some, are beyond the range of f32, or below it.
#[test]
fn squares_of_every_magnitude_are_summed() {
    for n in [1, 2, 16, 300, 5000] {
        for exponent in (-149..=127).step_by(4) {
            let scale = 2f64.powi(exponent) as f32;
            let mut x: Vec<f32> = (0..n).map(|i| ((i % 7) as f32 - 3.0) / 4.0 * scale).collect();
            x[0] = scale;
            assert_isas_agree(|isa| vec![sum_of_squares(isa, &x)]);
            for isa in Isa::available() {
                let (sum, exact) = (sum_of_squares(isa, &x), reference::sum_of_squares(&x));
                assert!((sum - exact).abs() <= 2e-6 * exact, "{isa}: {n}: {exponent}: {sum}");
            }
        }
    }
    for isa in Isa::available() {
        let most = sum_of_squares(isa, &[f32::MAX; 100_000]);
        let exact = 1e5 * f64::from(f32::MAX) * f64::from(f32::MAX);
        assert!((most / exact - 1.0).abs() < 2e-6, "{isa}: {most}");
        assert_eq!(sum_of_squares(isa, &[0.0_f32; 50]), 0.0);
        assert_eq!(sum_of_squares(isa, &[1e200_f64; 3]), f64::INFINITY);
    }
}

fn special_values_reach_the_sum<E: Element>() {
    for isa in Isa::available() {
        for n in (1..=70).chain([256, 300, 2048, 2100]) {
            let positions = (0..n).step_by(if n > 70 { 37 } else { 1 });
            for (position, special) in positions.flat_map(|p| special_values::<E>().map(|s| (p, s)))
            {
                let mut x: Vec<E> = values(3, n);
                x[position] = special;
                let (s, q) = (sum(isa, &x).to_f64(), sum_of_squares(isa, &x));
                let special = special.to_f64();
                if special.is_nan() {
                    assert!(s.is_nan() && q.is_nan(), "{isa}: {n}: NaN at {position} is lost");
                } else {
                    assert_eq!((s, q), (special, f64::INFINITY), "{isa}: {n} at {position}");
                }
                assert_eq!(first_non_finite(isa, &x), Some(position), "{isa}: {n}");
                x[n - 1] = special_values()[0];
                assert_eq!(first_non_finite(isa, &x), Some(position), "{isa}: {n}");
            }
        }
    }
}

#[test]
fn nan_and_infinity_at_every_position() {
    special_values_reach_the_sum::<f32>();
    special_values_reach_the_sum::<f64>();
}

#[test]
fn finite_extremes_are_finite() {
    for isa in Isa::available() {
        for n in lengths() {
            let x = vec![f32::MAX; n];
            assert_eq!(first_non_finite(isa, &x), None, "{isa}: {n}");
            let x = vec![-f64::MIN_POSITIVE / 4.0; n];
            assert_eq!(first_non_finite(isa, &x), None, "{isa}: {n}");
        }
    }
}

/// The documented order of the column sums.
fn ordered_column_sums<E: Element>(x: MatRef<'_, E>, sums: &mut [E]) {
    for (j, total) in sums.iter_mut().enumerate() {
        for first in (0..x.rows()).step_by(PIECE_ROWS) {
            let mut sum = E::ZERO;
            for i in first..x.rows().min(first + PIECE_ROWS) {
                sum += x.at(i, j);
            }
            *total += sum;
        }
    }
}

fn column_sums<E: Element>() {
    for rows in [0, 1, 2, 31, 32, 33, 70] {
        for columns in (0..=70).chain([127, 128, 129, 200]) {
            for (row_stride, column_stride) in
                [(columns, 1), (columns + 3, 1), (1, rows), (200, 3), (0, 1)]
            {
                let column_stride = column_stride.max(1);
                let data: Vec<E> = values(7, rows * row_stride.max(1) + columns * column_stride);
                let x = MatRef::with_strides(&data, (rows, columns), (row_stride, column_stride));
                let x = x.unwrap();
                let start: Vec<E> = values(8, columns);
                let mut expected = start.clone();
                ordered_column_sums(x, &mut expected);
                for isa in Isa::available() {
                    let mut sums = start.clone();
                    add_column_sums(isa, x, &mut sums).unwrap();
                    assert_eq!(
                        sums, expected,
                        "{isa}: {rows} x {columns}, {row_stride}, {column_stride}"
                    );
                }
            }
        }
    }
}

#[test]
fn column_sums_at_every_width_and_stride() {
    column_sums::<f32>();
    column_sums::<f64>();
}

#[test]
fn column_sums_of_blocks_are_those_of_the_whole() {
    let data: Vec<f32> = values(1, 100 * 21);
    for isa in Isa::available() {
        let mut whole = vec![0.5; 21];
        add_column_sums(isa, MatRef::new(&data, 100, 21).unwrap(), &mut whole).unwrap();
        let mut parts = vec![0.5; 21];
        for block in data.chunks(2 * PIECE_ROWS * 21) {
            let block = MatRef::new(block, block.len() / 21, 21).unwrap();
            add_column_sums(isa, block, &mut parts).unwrap();
        }
        assert_eq!(whole, parts);
    }
}

/// Matrices that are too large for a core's caches are summed in another way.
#[test]
fn column_sums_from_afar_are_in_the_same_order() {
    for (rows, columns) in [(2100, 130), (250, 1100)] {
        let data: Vec<f32> = values(1, rows * columns);
        let x = MatRef::new(&data, rows, columns).unwrap();
        let mut expected: Vec<f32> = values(2, columns);
        ordered_column_sums(x, &mut expected);
        for isa in Isa::available() {
            let mut sums = values(2, columns);
            add_column_sums(isa, x, &mut sums).unwrap();
            assert_eq!(sums, expected, "{isa}: {rows} x {columns}");
        }
    }
}

#[test]
fn a_nan_stays_in_its_column() {
    for isa in Isa::available() {
        for columns in [1, 5, 16, 37, 130] {
            for position in 0..columns {
                let mut data: Vec<f32> = values(2, 40 * columns);
                data[33 * columns + position] = f32::NAN;
                let mut sums = vec![0.0; columns];
                add_column_sums(isa, MatRef::new(&data, 40, columns).unwrap(), &mut sums).unwrap();
                for (j, sum) in sums.iter().enumerate() {
                    assert_eq!(sum.is_nan(), j == position, "{isa}: {columns}: column {j}");
                }
            }
        }
    }
}

#[test]
fn wrong_lengths_change_nothing() {
    let x = MatRef::new(&[1.0_f32; 6], 2, 3).unwrap();
    let mut sums = [7.0; 4];
    let error = add_column_sums(Isa::detect(), x, &mut sums).unwrap_err();
    assert_eq!(error, ShapeError::Length { argument: "sums", expected: 3, actual: 4 });
    assert_eq!(sums, [7.0; 4]);
}

#[test]
fn rows_without_elements_take_no_time() {
    let x = MatRef::<f32>::new(&[], usize::MAX, 0).unwrap();
    for isa in crate::Isa::available() {
        add_column_sums(isa, x, &mut []).unwrap();
    }
}
