//! Every function against the standard library's f64, on every ISA that the CPU has.

use super::Function;
use crate::sweep::{F64_BOUNDS, assert_within, sample_f64, sweep_f32};
use crate::{Element, Isa};

/// The largest error allowed, in ulp of f32: with FMA, and without.
fn bounds_f32(function: Function) -> (f64, f64) {
    match function {
        Function::Exp => (1.0, 1.25),
        Function::Expm1 => (1.0, 1.0),
        Function::Log => (1.0, 1.0),
        Function::Log1p => (1.0, 1.0),
        Function::Tanh => (1.0, 1.25),
        Function::Sigmoid => (1.0, 1.25),
        Function::Erf => (1.0, 1.25),
        Function::Erfc => (2.0, 2.0),
    }
}

/// Inputs whose results are listed in the functions' docs.
const SPECIAL: [(Function, f64, f64); 45] = {
    use Function::*;
    const INF: f64 = f64::INFINITY;
    const NAN: f64 = f64::NAN;
    [
        (Exp, 0.0, 1.0),
        (Exp, -0.0, 1.0),
        (Exp, INF, INF),
        (Exp, -INF, 0.0),
        (Exp, NAN, NAN),
        (Exp, 1e30, INF),
        (Exp, -1e30, 0.0),
        (Log, 0.0, -INF),
        (Log, -0.0, -INF),
        (Log, 1.0, 0.0),
        (Log, INF, INF),
        (Log, -1.0, NAN),
        (Log, -INF, NAN),
        (Log, NAN, NAN),
        (Tanh, 0.0, 0.0),
        (Tanh, -0.0, -0.0),
        (Tanh, INF, 1.0),
        (Tanh, -INF, -1.0),
        (Tanh, NAN, NAN),
        (Sigmoid, 0.0, 0.5),
        (Sigmoid, -0.0, 0.5),
        (Sigmoid, INF, 1.0),
        (Sigmoid, -INF, 0.0),
        (Sigmoid, NAN, NAN),
        (Expm1, 0.0, 0.0),
        (Expm1, -0.0, -0.0),
        (Expm1, INF, INF),
        (Expm1, -INF, -1.0),
        (Expm1, NAN, NAN),
        (Log1p, 0.0, 0.0),
        (Log1p, -0.0, -0.0),
        (Log1p, -1.0, -INF),
        (Log1p, INF, INF),
        (Log1p, -2.0, NAN),
        (Log1p, NAN, NAN),
        (Erf, 0.0, 0.0),
        (Erf, -0.0, -0.0),
        (Erf, INF, 1.0),
        (Erf, -INF, -1.0),
        (Erf, NAN, NAN),
        (Erfc, 0.0, 1.0),
        (Erfc, -0.0, 1.0),
        (Erfc, INF, 0.0),
        (Erfc, -INF, 2.0),
        (Erfc, NAN, NAN),
    ]
};

fn check_special<E: Element>() {
    for isa in Isa::available() {
        for (function, x, expected) in SPECIAL {
            let mut y = [E::HALF];
            function.evaluate(isa, &[E::from_f64(x)], &mut y).unwrap();
            let y = y[0].to_f64();
            assert!(
                y.to_bits() == expected.to_bits() || (y.is_nan() && expected.is_nan()),
                "{isa}: {function:?}({x}) = {y}, expected {expected}"
            );
        }
    }
}

#[test]
fn special_values() {
    check_special::<f32>();
    check_special::<f64>();
}

#[test]
fn f32_sweep_stays_within_bounds() {
    for &function in Function::ALL {
        let name = function.name();
        let worst = sweep_f32(
            name,
            |isa, x, y| function.evaluate(isa, x, y).unwrap(),
            |x: f64| function.reference(x),
            None,
        );
        assert_within(name, &worst, bounds_f32(function));
    }
}

#[test]
fn f64_sample_stays_within_bounds() {
    for &function in Function::ALL {
        let worst = sample_f64(
            function.name(),
            |isa, x, y| function.evaluate(isa, x, y).unwrap(),
            |x| function.reference(x),
            None,
        );
        assert_within(function.name(), &worst, F64_BOUNDS);
    }
}
