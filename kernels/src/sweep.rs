//! Errors of functions of one f32 over a regular sample of all f32, for the tests.

use crate::{Isa, reference};

/// The largest error found on an ISA.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Worst {
    pub(crate) isa: Isa,
    /// In ulp of f32 at the exact result.
    pub(crate) ulps: f64,
    pub(crate) input: f32,
}

/// Every 255th f32, 16.8 million of them, NaNs and infinities included.
const STRIDE: u32 = 255;
const INPUTS: u32 = u32::MAX / STRIDE + 1;
const BLOCK: u32 = 1 << 14;

/// Compares `evaluate` with `exact` on every ISA that the CPU has, on two threads.
///
/// # Panics
/// If ISAs with FMA give different bits, or a NaN is lost.
pub(crate) fn sweep_f32(
    name: &str,
    evaluate: impl Fn(Isa, &[f32], &mut [f32]) + Sync,
    exact: impl Fn(f64) -> f64 + Sync,
) -> Vec<Worst> {
    let start = || Isa::available().map(|isa| Worst { isa, ulps: 0.0, input: 0.0 }).collect();
    let worker = |first: u32| {
        let mut worst: Vec<Worst> = start();
        let mut outputs = vec![vec![0f32; BLOCK as usize]; worst.len()];
        for block in (first..INPUTS.div_ceil(BLOCK)).step_by(2) {
            let inputs: Vec<f32> = (block * BLOCK..INPUTS.min((block + 1) * BLOCK))
                .map(|n| f32::from_bits(n * STRIDE))
                .collect();
            let expected: Vec<f64> = inputs.iter().map(|&x| exact(f64::from(x))).collect();
            for (output, worst) in outputs.iter_mut().zip(&mut worst) {
                output.truncate(inputs.len());
                evaluate(worst.isa, &inputs, output);
                for ((&y, &exact), &input) in output.iter().zip(&expected).zip(&inputs) {
                    let ulps = reference::ulps_f32(y, exact);
                    if ulps > worst.ulps {
                        *worst = Worst { ulps, input, ..*worst };
                    }
                }
            }
            for (output, worst) in outputs.iter().zip(&worst) {
                let same = output
                    .iter()
                    .zip(&outputs[0])
                    .all(|(a, b)| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()));
                assert!(same || !worst.isa.has_fma(), "{name}: the bits differ on {}", worst.isa);
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
