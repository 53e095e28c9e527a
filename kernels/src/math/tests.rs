//! Every function against the standard library's f64, on every ISA that the CPU has.

use super::Function;
use crate::sweep::{assert_within, sample_f64, sweep_f32};
use crate::{Element, Isa, reference};

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
        Function::Erfc => (1.75, 1.75),
    }
}

/// The same in ulp of f64. `ulp_sweep` finds 0.1 less at millions of numbers.
fn bounds_f64(function: Function) -> (f64, f64) {
    match function {
        Function::Exp | Function::Expm1 | Function::Log | Function::Log1p => (1.0, 1.0),
        Function::Erf => (1.25, 1.25),
        Function::Tanh | Function::Sigmoid => (1.25, 1.5),
        Function::Erfc => (1.75, 1.75),
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
fn in_place_gives_the_same_bits() {
    for isa in Isa::available() {
        for &function in Function::ALL {
            for length in [1, 7, 16, 33] {
                let x: Vec<f32> = (0..length).map(|i| 0.25 + i as f32 / 8.0).collect();
                let (mut y, mut in_place) = (vec![0.0; length], x.clone());
                function.evaluate(isa, &x, &mut y).unwrap();
                function.evaluate_in_place(isa, &mut in_place);
                assert_eq!(in_place, y, "{isa}: {}", function.name());
            }
        }
    }
}

#[test]
fn special_values() {
    check_special::<f32>();
    check_special::<f64>();
}

/// Where results overflow, become subnormal, round to 0 or to a constant, or branches meet.
const EDGES: [f32; 14] = [
    88.722_84,
    87.336_54,
    103.972_08,
    16.635_532,
    17.328_68,
    9.010_913,
    3.95,
    3.919_206,
    10.054_7,
    9.194_55,
    1.0,
    0.25,
    5.960_464_5e-8,
    f32::MIN_POSITIVE,
];

#[test]
fn bounds_hold_beside_every_edge() {
    for &function in Function::ALL {
        for isa in Isa::available() {
            let x: Vec<f32> = EDGES
                .iter()
                .flat_map(|edge| (0..4096).map(|n| f32::from_bits(edge.to_bits() - 2048 + n)))
                .flat_map(|x| [x, -x])
                .collect();
            let mut y = vec![0.0; x.len()];
            function.evaluate(isa, &x, &mut y).unwrap();
            let (fused, unfused) = bounds_f32(function);
            let bound = if isa.has_fma() { fused } else { unfused };
            for (&x, &y) in x.iter().zip(&y) {
                let ulps = reference::ulps(y, function.reference(f64::from(x)));
                assert!(ulps <= bound, "{isa}: {}({x:e}) = {y:e}: {ulps} ulp", function.name());
            }
        }
    }
}

/// The last result that is finite, and the last that is not 0.
#[test]
fn f64_exponentials_end_where_they_should() {
    for isa in Isa::available() {
        let x = [
            709.782_712_893_383_9,
            709.782_712_893_384_1,
            -745.133_219_101_941,
            -745.133_219_101_941_2,
        ];
        let mut y = [0.0; 4];
        Function::Exp.evaluate(isa, &x, &mut y).unwrap();
        assert!(y[0] > 1.797e308 && y[0].is_finite(), "{isa}: {y:?}");
        assert_eq!(y[1..], [f64::INFINITY, f64::from_bits(1), 0.0], "{isa}");
    }
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
        assert_within(function.name(), &worst, bounds_f64(function));
    }
}
