//! Timing contestants in turns.

use std::time::{Duration, Instant};

/// What a sample takes at least: enough that neither the clock nor a call's overhead matters, and
/// little enough that a scheduler's time slice seldom ends in it.
const SAMPLE: Duration = Duration::from_millis(1);

/// Seconds a call, of each contestant in each turn.
pub(crate) struct Samples(Vec<Vec<f64>>);

/// Lets `contestants` contestants run in turns; `run(i)` is one call of contestant i.
pub(crate) fn race(contestants: usize, turns: usize, mut run: impl FnMut(usize)) -> Samples {
    let calls: Vec<u32> = (0..contestants).map(|at| calibrate(|| run(at))).collect();
    let mut samples = vec![Vec::with_capacity(turns); contestants];
    for turn in 0..turns {
        for step in 0..contestants {
            // Back and forth, so that none always comes after the same one.
            let at = if turn % 2 == 0 { step } else { contestants - 1 - step };
            if calls[at] > 1 {
                // Brings back to the caches what is its own.
                run(at);
            }
            samples[at].push(time(calls[at], || run(at)).as_secs_f64() / f64::from(calls[at]));
        }
    }
    Samples(samples)
}

fn time(calls: u32, mut run: impl FnMut()) -> Duration {
    let start = Instant::now();
    for _ in 0..calls {
        run();
    }
    start.elapsed()
}

/// How many calls make a sample.
fn calibrate(mut run: impl FnMut()) -> u32 {
    run();
    let mut calls = 1;
    loop {
        let taken = time(calls, &mut run);
        if taken >= SAMPLE {
            return calls;
        }
        // The estimate of a short run is rough, so it is approached in steps.
        let missing = SAMPLE.as_secs_f64() / taken.as_secs_f64().max(1e-9);
        calls = (f64::from(calls) * (1.05 * missing).clamp(1.1, 10.0)).ceil() as u32;
    }
}

impl Samples {
    /// The median seconds a call.
    pub(crate) fn seconds(&self, contestant: usize) -> f64 {
        median(self.0[contestant].clone())
    }

    /// The median over the turns of one contestant's time over another's.
    pub(crate) fn ratio(&self, contestant: usize, over: usize) -> f64 {
        median(self.0[contestant].iter().zip(&self.0[over]).map(|(a, b)| a / b).collect())
    }
}

/// The middle value, or the mean of the two in the middle; NaN of nothing.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let half = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        length if length % 2 == 1 => values[half],
        _ => (values[half - 1] + values[half]) / 2.0,
    }
}
