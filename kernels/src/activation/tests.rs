//! Every activation against its naive formula, on every ISA that the CPU has.

use super::{Activation, DerivativeFrom};
use crate::sweep::{F64_BOUNDS, F64_DERIVATIVE_BOUNDS, assert_within, sample_f64, sweep_f32};
use crate::{Element, Isa, MatMut, MatRef, reference};

/// An activation and what is allowed of it.
struct Row {
    activation: Activation,
    /// Largest error of the value in ulp of f32, with FMA and without.
    value: (f64, f64),
    /// Largest error of the derivative, as a function of what it is given.
    derivative: (f64, f64),
}

const fn row(activation: Activation, value: (f64, f64), derivative: (f64, f64)) -> Row {
    Row { activation, value, derivative }
}

const ROWS: &[Row] = &[
    row(Activation::Clip { low: -1.0, high: 1.0 }, (0.0, 0.0), (0.0, 0.0)),
    row(Activation::Clip { low: 0.0, high: 6.0 }, (0.0, 0.0), (0.0, 0.0)),
    row(Activation::Elu { alpha: 1.0 }, (1.25, 1.25), (0.5, 0.5)),
    row(Activation::Elu { alpha: -0.75 }, (2.0, 2.0), (1.75, 1.75)),
    row(Activation::Gelu, (2.0, 2.5), (3.0, 3.0)),
    row(Activation::GeluTanh, (2.0, 2.0), (1.0, 1.0)),
    row(Activation::HardSigmoid, (1.0, 1.0), (0.5, 0.5)),
    row(Activation::HardSwish, (2.0, 2.0), (1.0, 1.0)),
    row(Activation::Identity, (0.0, 0.0), (0.0, 0.0)),
    row(Activation::LeakyRelu { slope: 0.25 }, (0.5, 0.5), (0.0, 0.0)),
    row(Activation::LeakyRelu { slope: -0.25 }, (0.5, 0.5), (0.0, 0.0)),
    row(Activation::Mish, (0.75, 0.75), (1.0, 1.0)),
    row(Activation::Relu, (0.0, 0.0), (0.0, 0.0)),
    row(Activation::Selu, (2.0, 2.0), (1.0, 1.0)),
    row(Activation::Sigmoid, (1.0, 1.25), (1.5, 1.5)),
    row(Activation::Silu, (2.0, 2.0), (1.0, 1.0)),
    row(Activation::Softplus, (2.0, 2.0), (1.0, 1.25)),
    row(Activation::Tanh, (1.0, 1.25), (1.5, 1.5)),
];

#[test]
fn every_activation_has_a_row() {
    for activation in Activation::ALL {
        assert!(
            ROWS.iter().any(|row| row.activation.name() == activation.name()),
            "{activation:?}"
        );
    }
}

/// Equal bit for bit, or both NaN.
fn same<E: Element>(a: E, b: E) -> bool {
    let (a, b) = (a.to_f64(), b.to_f64());
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

/// Values in (−8, 8), NaN and infinities at the positions that ask for them.
fn inputs<E: Element>(length: usize, special: Option<(usize, f64)>) -> Vec<E> {
    let mut values: Vec<E> =
        (0..length).map(|i| E::from_f64((i as f64 * 0.754_877_666).fract() * 16.0 - 8.0)).collect();
    if let Some((at, value)) = special {
        values[at] = E::from_f64(value);
    }
    values
}

/// σ and δ ⊙ σ′ of single elements: what every longer call must give, bit for bit.
fn one_by_one<E: Element>(activation: Activation, isa: Isa, x: &[E]) -> (Vec<E>, Vec<E>) {
    let mut values = x.to_vec();
    let mut deltas = vec![E::TWO; x.len()];
    for (i, value) in values.iter_mut().enumerate() {
        activation.forward_in_place(isa, core::slice::from_mut(value));
        let stored = match activation.derivative_from() {
            DerivativeFrom::Input => x[i],
            DerivativeFrom::Output => *value,
        };
        activation.backward(isa, &[stored], &mut deltas[i..=i]).unwrap();
    }
    (values, deltas)
}

/// What [`Activation::backward`] asks for.
fn stored<E: Element>(activation: Activation, x: &[E], y: &[E]) -> Vec<E> {
    match activation.derivative_from() {
        DerivativeFrom::Input => x.to_vec(),
        DerivativeFrom::Output => y.to_vec(),
    }
}

fn check_shapes<E: Element>() {
    let guard = E::from_f64(-77.25);
    for isa in Isa::available() {
        for &Row { activation, .. } in ROWS {
            for length in (0..=70).chain([127, 1000]) {
                let x = inputs::<E>(length + 1, None);
                for offset in [0, 1] {
                    let x = &x[offset..offset + length];
                    let (values, deltas) = one_by_one(activation, isa, x);

                    let mut y = vec![guard; length + 2];
                    activation.forward(isa, x, &mut y[1..=length]).unwrap();
                    assert_eq!(y[1..=length], values, "{activation:?} {isa} {length}");
                    assert!(y[0] == guard && y[length + 1] == guard);

                    let mut y = vec![guard; length + 2];
                    y[1..=length].copy_from_slice(x);
                    activation.forward_in_place(isa, &mut y[1..=length]);
                    assert_eq!(y[1..=length], values, "{activation:?} {isa} {length}");
                    assert!(y[0] == guard && y[length + 1] == guard);

                    let stored = stored(activation, x, &values);
                    let mut delta = vec![guard; length + 2];
                    delta[1..=length].fill(E::TWO);
                    activation.backward(isa, &stored, &mut delta[1..=length]).unwrap();
                    assert_eq!(delta[1..=length], deltas, "{activation:?} {isa} {length}");
                    assert!(delta[0] == guard && delta[length + 1] == guard);
                }
            }
        }
    }
}

#[test]
fn every_length_and_offset_gives_the_bits_of_single_elements() {
    check_shapes::<f32>();
    check_shapes::<f64>();
}

/// In both elements alike: the naive formula within a few ulp, and within 1e-7 of 1 around a
/// crossing of 0.
fn check_reference<E: Element>(tolerance: f64) {
    for isa in Isa::available() {
        for &Row { activation, .. } in ROWS {
            let x = inputs::<E>(1000, None);
            let (values, deltas) = one_by_one(activation, isa, &x);
            let stored = stored(activation, &x, &values);
            for (i, &stored) in stored.iter().enumerate() {
                let exact = reference::activation(activation, x[i].to_f64());
                let error = (values[i].to_f64() - exact).abs();
                assert!(error <= tolerance * exact.abs(), "{activation:?} {isa} at {}", x[i]);
                let exact = 2.0 * reference::activation_derivative(activation, stored.to_f64());
                let error = (deltas[i].to_f64() - exact).abs();
                let allowed = tolerance * exact.abs().max(0.25);
                assert!(error <= allowed, "{activation:?}′ {isa} at {stored}");
            }
        }
    }
}

#[test]
fn values_and_derivatives_agree_with_the_reference() {
    check_reference::<f32>(4e-7);
    check_reference::<f64>(1e-12);
}

#[test]
fn f32_sweep_of_values_and_derivatives_stays_within_bounds() {
    for &Row { activation, value, derivative } in ROWS {
        let name = format!("{activation:?}");
        let worst = sweep_f32(
            &name,
            |isa, x, y| activation.forward(isa, x, y).unwrap(),
            |x: f64| reference::activation(activation, x),
            None,
        );
        assert_within(&name, &worst, value);
        let name = format!("{activation:?}′");
        let worst = sweep_f32(
            &name,
            |isa, stored, delta| {
                delta.fill(1.0);
                activation.backward(isa, stored, delta).unwrap();
            },
            |stored: f64| reference::activation_derivative(activation, stored),
            activation.derivative_crossing(),
        );
        assert_within(&name, &worst, derivative);
    }
}

#[test]
fn f64_sample_of_values_and_derivatives_stays_within_bounds() {
    for &Row { activation, .. } in ROWS {
        let name = format!("{activation:?}");
        let worst = sample_f64(
            &name,
            |isa, x, y| activation.forward(isa, x, y).unwrap(),
            |x| reference::activation(activation, x),
            None,
        );
        assert_within(&name, &worst, F64_BOUNDS);
        let name = format!("{activation:?}′");
        let worst = sample_f64(
            &name,
            |isa, stored, delta| {
                delta.fill(1.0);
                activation.backward(isa, stored, delta).unwrap();
            },
            |stored| reference::activation_derivative(activation, stored),
            activation.derivative_crossing(),
        );
        assert_within(&name, &worst, F64_DERIVATIVE_BOUNDS);
    }
}

fn check_specials<E: Element>() {
    for isa in Isa::available() {
        for &Row { activation, .. } in ROWS {
            for length in [1, 2, 3, 5, 8, 15, 16, 17, 33, 40] {
                for at in 0..length {
                    for special in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
                        let x = inputs::<E>(length, Some((at, special)));
                        let (values, deltas) = one_by_one(activation, isa, &x);
                        let mut y = x.clone();
                        activation.forward_in_place(isa, &mut y);
                        let stored = stored(activation, &x, &y);
                        let mut delta = vec![E::TWO; length];
                        activation.backward(isa, &stored, &mut delta).unwrap();
                        for i in 0..length {
                            assert!(same(y[i], values[i]), "{activation:?} {isa} {x:?} at {i}");
                            assert!(same(delta[i], deltas[i]), "{activation:?}′ {isa} {x:?}");
                        }
                        let exact = E::from_f64(reference::activation(activation, special));
                        assert!(same(y[at], exact), "{activation:?}({special}) = {}", y[at]);
                        let nan = special.is_nan() && activation != Activation::Identity;
                        assert_eq!(delta[at].to_f64().is_nan(), nan, "{activation:?}′({special})");
                        let other = y.iter().filter(|y| y.to_f64().is_nan()).count();
                        assert_eq!(other, usize::from(special.is_nan()));
                    }
                }
            }
        }
    }
}

#[test]
fn nan_and_infinities_at_every_position() {
    check_specials::<f32>();
    check_specials::<f64>();
}

/// σ, then σ′, at −∞, −0, +0 and +∞, as `ACCURACY.md` lists them.
const SPECIAL: [(Activation, [f64; 4], [f64; 4]); 15] = {
    use Activation::*;
    use core::f64::consts::LN_2;
    const INF: f64 = f64::INFINITY;
    const SCALE: f64 = 1.050_700_987_355_480_5;
    const FLOOR: f64 = 1.758_099_340_847_376_6;
    [
        (Clip { low: -1.0, high: 1.0 }, [-1.0, -0.0, 0.0, 1.0], [0.0, 1.0, 1.0, 0.0]),
        (Elu { alpha: 1.0 }, [-1.0, -0.0, 0.0, INF], [0.0, 1.0, 1.0, 1.0]),
        (Gelu, [-0.0, -0.0, 0.0, INF], [0.0, 0.5, 0.5, 1.0]),
        (GeluTanh, [-0.0, -0.0, 0.0, INF], [0.0, 0.5, 0.5, 1.0]),
        (HardSigmoid, [0.0, 0.5, 0.5, 1.0], [0.0, 1.0 / 6.0, 1.0 / 6.0, 0.0]),
        (HardSwish, [-0.0, -0.0, 0.0, INF], [0.0, 0.5, 0.5, 1.0]),
        (Identity, [-INF, -0.0, 0.0, INF], [1.0; 4]),
        (LeakyRelu { slope: 0.01 }, [-INF, -0.0, 0.0, INF], [0.01, 0.01, 0.01, 1.0]),
        (Mish, [-0.0, -0.0, 0.0, INF], [0.0, 0.6, 0.6, 1.0]),
        (Relu, [0.0, -0.0, 0.0, INF], [0.0, 0.0, 0.0, 1.0]),
        (Selu, [-FLOOR, -0.0, 0.0, INF], [0.0, FLOOR, FLOOR, SCALE]),
        (Sigmoid, [0.0, 0.5, 0.5, 1.0], [0.0, 0.25, 0.25, 0.0]),
        (Silu, [-0.0, -0.0, 0.0, INF], [0.0, 0.5, 0.5, 1.0]),
        (Softplus, [0.0, LN_2, LN_2, INF], [0.0, 0.5, 0.5, 1.0]),
        (Tanh, [-1.0, -0.0, 0.0, 1.0], [0.0, 1.0, 1.0, 0.0]),
    ]
};

fn check_listed<E: Element>() {
    let x = [f64::NEG_INFINITY, -0.0, 0.0, f64::INFINITY].map(E::from_f64);
    // What is no number with few bits may be an ulp off.
    let near = |y: E, listed: f64| y.to_f64() == listed || reference::ulps(y, listed) <= 1.0;
    // A slope from y is as far off as the rounding of y.
    let unit = if size_of::<E>() == 4 { 2f64.powi(-24) } else { 2f64.powi(-53) };
    let is_slope = |slope: E, listed: f64| (slope.to_f64() - listed).abs() <= 2.0 * unit;
    let same_sign = |y: E, listed: f64| y.to_f64().is_sign_negative() == listed.is_sign_negative();
    for isa in Isa::available() {
        for (activation, values, slopes) in SPECIAL {
            let mut y = x;
            activation.forward_in_place(isa, &mut y);
            let stored = stored(activation, &x, &y);
            let mut delta = [E::ONE; 4];
            activation.backward(isa, &stored, &mut delta).unwrap();
            for i in 0..4 {
                let (x, y, slope) = (x[i], y[i], delta[i]);
                let is_right = near(y, values[i]) && same_sign(y, values[i]);
                assert!(is_right, "{isa}: {activation:?}({x}) = {y}");
                assert!(is_slope(slope, slopes[i]), "{isa}: {activation:?}′({x}) = {slope}");
            }
        }
    }
    assert!(
        Activation::ALL.iter().all(|activation| SPECIAL.iter().any(|row| row.0 == *activation))
    );
}

#[test]
fn special_values() {
    check_listed::<f32>();
    check_listed::<f64>();
}

/// Strips at any strides give the bits of single elements, and gaps stay as they were.
#[test]
fn strips_of_any_strides() {
    let (rows, columns) = (3, 37);
    let layouts = [(columns, 1), (columns + 5, 1), (1, rows), (1, rows + 2), (200, 3), (2, 7)];
    for isa in Isa::available() {
        for &Row { activation, .. } in ROWS {
            let x = inputs::<f32>(rows * columns, None);
            let (values, deltas) = one_by_one(activation, isa, &x);
            let stored = stored(activation, &x, &values);
            for strides in layouts {
                let place = |i: usize, j: usize| i * strides.0 + j * strides.1;
                let length = place(rows - 1, columns - 1) + 1;
                let spread = |from: &[f32]| {
                    let mut data = vec![-77.25; length];
                    for i in 0..rows {
                        for j in 0..columns {
                            data[place(i, j)] = from[i * columns + j];
                        }
                    }
                    data
                };
                let mut y = spread(&x);
                let mut strip = MatMut::with_strides(&mut y, (rows, columns), strides).unwrap();
                activation.forward_strip(isa, &mut strip);
                assert_eq!(y, spread(&values), "{activation:?} {isa} {strides:?}");

                // What is stored has a border around the strip's place, and other strides.
                let mut wide = vec![f32::NAN; (rows + 2) * (columns + 3)];
                for i in 0..rows {
                    for j in 0..columns {
                        wide[(i + 2) * (columns + 3) + j + 1] = stored[i * columns + j];
                    }
                }
                let wide = MatRef::new(&wide, rows + 2, columns + 3).unwrap();
                let same_strides = spread(&stored);
                let narrow = MatRef::with_strides(&same_strides, (rows, columns), strides).unwrap();
                for (stored, origin) in [(wide, (2, 1)), (narrow, (0, 0))] {
                    let mut delta = spread(&vec![2.0; rows * columns]);
                    let mut strip =
                        MatMut::with_strides(&mut delta, (rows, columns), strides).unwrap();
                    activation.backward_strip(isa, stored, origin, &mut strip);
                    assert_eq!(delta, spread(&deltas), "{activation:?} {isa} {strides:?}");
                }
            }
        }
    }
}

#[test]
fn lengths_that_differ_are_an_error_and_nothing_is_written() {
    let isa = Isa::detect();
    let mut y = [7.0f32; 3];
    let error = Activation::Relu.forward(isa, &[1.0; 4], &mut y).unwrap_err();
    assert_eq!(error.to_string(), "`y` has 3 elements, but 4 are needed");
    let error = Activation::Relu.backward(isa, &[1.0; 2], &mut y).unwrap_err();
    assert_eq!(error.to_string(), "`delta` has 3 elements, but 2 are needed");
    assert_eq!(y, [7.0; 3]);
}
