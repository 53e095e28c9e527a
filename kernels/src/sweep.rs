//! Errors of functions of one f32 over a regular sample of all f32, for the tests.

use crate::reference::DoubleDouble;
use crate::{Isa, reference};

/// The largest error found on an ISA.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Worst {
    pub(crate) isa: Isa,
    /// In ulp of f32 at the exact result.
    pub(crate) ulps: f64,
    pub(crate) input: f64,
}

/// Every 255th f32, 16.8 million of them, NaNs and infinities included.
const STRIDE: u32 = 255;
const INPUTS: u32 = u32::MAX / STRIDE + 1;
const BLOCK: u32 = 1 << 14;

/// Inputs that the stride could miss, in place of the first ones, which are subnormal.
const EDGES: [f32; 10] = [
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::NAN,
    f32::MAX,
    f32::MIN,
    f32::MIN_POSITIVE,
    -f32::MIN_POSITIVE,
    0.0,
    -0.0,
    1.0,
];

/// Inputs in each of the ranges of [`sample_f64`].
const F64_SAMPLES: usize = 20_000;

/// What is allowed of any function in f64, in ulp, with FMA and without.
pub(crate) const F64_BOUNDS: (f64, f64) = (2.0, 3.0);
/// What is allowed of any derivative in f64.
pub(crate) const F64_DERIVATIVE_BOUNDS: (f64, f64) = (3.0, 3.0);

/// In place of an ulp around a crossing of 0: the ulp of ¼.
pub(crate) const CROSSING_UNIT: f64 = 1.0 / (1 << 25) as f64;

/// Compares `evaluate` with `exact` on every ISA that the CPU has, on two threads.
///
/// # Panics
/// If ISAs with FMA give different bits, or a NaN is lost.
pub(crate) fn sweep_f32(
    name: &str,
    evaluate: impl Fn(Isa, &[f32], &mut [f32]) + Sync,
    exact: impl Fn(f64) -> f64 + Sync,
    crossing: Option<(f64, f64)>,
) -> Vec<Worst> {
    // There the result crosses 0, and what counts is the absolute error.
    let error = |y: f32, exact: f64, input: f32| match crossing {
        Some((from, to)) if (from..=to).contains(&f64::from(input)) => {
            (f64::from(y) - exact).abs() / CROSSING_UNIT
        }
        _ => reference::ulps(y, exact),
    };
    let start = || Isa::available().map(|isa| Worst { isa, ulps: 0.0, input: 0.0 }).collect();
    let worker = |first: u32| {
        let mut worst: Vec<Worst> = start();
        let mut outputs = vec![vec![0f32; BLOCK as usize]; worst.len()];
        for block in (first..INPUTS.div_ceil(BLOCK)).step_by(2) {
            let mut inputs: Vec<f32> = (block * BLOCK..INPUTS.min((block + 1) * BLOCK))
                .map(|n| f32::from_bits(n * STRIDE))
                .collect();
            if block == 0 {
                inputs[..EDGES.len()].copy_from_slice(&EDGES);
            }
            let expected: Vec<f64> = inputs.iter().map(|&x| exact(f64::from(x))).collect();
            for k in 0..worst.len() {
                let isa = worst[k].isa;
                let (done, rest) = outputs.split_at_mut(k);
                let output = &mut rest[0];
                output.truncate(inputs.len());
                evaluate(isa, &inputs, output);
                if let Some(first) = done.first().filter(|_| isa.has_fma()) {
                    let same = |(a, b): (&f32, &f32)| {
                        a.to_bits() == b.to_bits() || a.is_nan() && b.is_nan()
                    };
                    assert!(first.iter().zip(&*output).all(same), "{name}: other bits on {isa}");
                    worst[k] = Worst { isa, ..worst[0] };
                    continue;
                }
                for ((&y, &exact), &input) in output.iter().zip(&expected).zip(&inputs) {
                    let ulps = error(y, exact, input);
                    if ulps > worst[k].ulps {
                        worst[k] = Worst { isa, ulps, input: f64::from(input) };
                    }
                }
            }
        }
        worst
    };
    let mut worst = worker_pair(worker);
    for worst in &mut worst {
        println!("{name} f32 {} max_ulp: {:.4} at: {:e}", worst.isa, worst.ulps, worst.input);
    }
    worst
}

/// Compares `evaluate` with `exact` at random f64: of all magnitudes, and where most functions are
/// at home. The worst in ulp of f64 at the exact result.
pub(crate) fn sample_f64(
    name: &str,
    evaluate: impl Fn(Isa, &[f64], &mut [f64]),
    exact: impl Fn(DoubleDouble) -> DoubleDouble,
    crossing: Option<(f64, f64)>,
) -> Vec<Worst> {
    // Numerical Recipes' 64-bit generator, by its high bits.
    let mut state = 0u64;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    let mut inputs = Vec::new();
    for range in [1.0, 3.0, 10.0, 40.0, 750.0] {
        inputs.extend((0..F64_SAMPLES).map(|_| (2.0 * next() - 1.0) * range));
    }
    inputs.extend((0..F64_SAMPLES).map(|_| {
        let magnitude = 2f64.powf((2.0 * next() - 1.0) * 1020.0);
        if next() < 0.5 { -magnitude } else { magnitude }
    }));
    let error = |y: f64, exact: DoubleDouble, input: f64| match crossing {
        Some((from, to)) if (from..=to).contains(&input) => {
            (DoubleDouble::from(y) - exact).high.abs() / (f64::EPSILON / 4.0)
        }
        // So far down a double-double has no digits left.
        _ if exact.high.abs() < 2f64.powi(-900) && y.abs() < 2f64.powi(-899) => 0.0,
        _ => reference::ulps(y, exact),
    };
    let expected: Vec<DoubleDouble> = inputs.iter().map(|&x| exact(x.into())).collect();
    let mut output = vec![0.0; inputs.len()];
    let mut worst = Vec::new();
    for isa in Isa::available() {
        evaluate(isa, &inputs, &mut output);
        let (mut ulps, mut input) = (0.0, 0.0);
        for ((&y, &exact), &x) in output.iter().zip(&expected).zip(&inputs) {
            let error = error(y, exact, x);
            if error > ulps {
                (ulps, input) = (error, x);
            }
        }
        println!("{name} f64 {isa} max_ulp: {ulps:.4} at: {input:e}");
        worst.push(Worst { isa, ulps, input });
    }
    worst
}

/// The larger of what two threads find.
fn worker_pair(worker: impl Fn(u32) -> Vec<Worst> + Sync) -> Vec<Worst> {
    let [a, b] = std::thread::scope(|scope| {
        let other = scope.spawn(|| worker(1));
        [worker(0), other.join().unwrap()]
    });
    a.into_iter().zip(b).map(|(a, b)| if a.ulps < b.ulps { b } else { a }).collect()
}

/// Checks that the error is within the bound for ISAs with FMA, and that for those without.
pub(crate) fn assert_within(name: &str, worst: &[Worst], (fused, unfused): (f64, f64)) {
    for Worst { isa, ulps, input } in worst {
        let bound = if isa.has_fma() { fused } else { unfused };
        assert!(*ulps <= bound, "{name} on {isa}: {ulps} ulp at {input:e}, allowed are {bound}");
    }
}
