//! Whether threads together take less time for a step than one alone.

use super::parallel::PARALLEL_WORK;
use std::time::Duration;

/// Kinds of work, each up to twice the size of the one before, that are timed both ways. What is
/// less had better stay where it is, and what is more always gains from threads.
const KINDS: usize = 7;

/// Steps of a turn, of which the first are not counted: threads wake, and what the step works on
/// moves to other caches.
const TURN: usize = 16;
const UNCOUNTED: usize = 6;

/// Steps that go the shorter way before both are timed again.
const REST: usize = 2000;

/// How long steps take on threads together and on one alone. That differs by more than a factor
/// of two between machines, and from minute to minute on a shared one: by how long threads take to
/// wake, and by how far apart their cores are, which both update the weights that both read.
/// Measured instead of guessed, it costs a turn of the longer way, one in 125 steps.
#[derive(Debug, Default)]
pub(super) struct Pace {
    kinds: [Kind; KINDS],
}

#[derive(Clone, Copy, Debug, Default)]
struct Kind {
    /// Steps since the turns began: one together, one alone, and then the rest.
    steps: usize,
    /// The times of each turn's steps, by their work.
    times: [[f64; TURN]; 2],
    /// What the turns have shown.
    is_alone: bool,
}

impl Pace {
    /// Whether so many multiply-adds of a forward pass are timed both ways.
    pub(super) fn is_timed(&self, work: usize) -> bool {
        kind_of(work).is_some()
    }

    /// Whether the next step of this work is one thread's.
    pub(super) fn is_alone(&self, work: usize) -> bool {
        kind_of(work).is_some_and(|kind| self.kinds[kind].is_alone())
    }

    /// Takes note of a step's time.
    pub(super) fn record(&mut self, work: usize, time: Duration) {
        if let Some(kind) = kind_of(work) {
            self.kinds[kind].record(time.as_secs_f64() / work as f64);
        }
    }
}

impl Kind {
    fn is_alone(&self) -> bool {
        match self.steps / TURN {
            0 => false,
            1 => true,
            _ => self.is_alone,
        }
    }

    fn record(&mut self, time: f64) {
        if let Some(times) = self.times.get_mut(self.steps / TURN) {
            times[self.steps % TURN] = time;
        }
        self.steps += 1;
        if self.steps == 2 * TURN {
            let [together, alone] = self.times.map(typical);
            self.is_alone = alone < together;
        }
        if self.steps == 2 * TURN + REST {
            self.steps = 0;
        }
    }
}

/// The median of a turn's times that count.
fn typical(mut times: [f64; TURN]) -> f64 {
    let counted = &mut times[UNCOUNTED..];
    counted.sort_unstable_by(f64::total_cmp);
    counted[counted.len() / 2]
}

fn kind_of(work: usize) -> Option<usize> {
    let kind = (work / PARALLEL_WORK).checked_ilog2()? as usize;
    (kind < KINDS).then_some(kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Activation, Diagnostics, Loss, Network, Optimizer, Targets, Trainer};

    /// Makes so many steps, and says how many of them were one thread's.
    fn steps(pace: &mut Pace, work: usize, number: usize, times: [u64; 2]) -> usize {
        let mut alone = 0;
        for _ in 0..number {
            let is_alone = pace.is_alone(work);
            alone += usize::from(is_alone);
            pace.record(work, Duration::from_micros(times[usize::from(is_alone)]));
        }
        alone
    }

    #[test]
    fn steps_go_the_shorter_way_and_both_ways_from_time_to_time() {
        let work = 3 * PARALLEL_WORK;
        for (times, expected) in [([50, 70], TURN), ([70, 50], TURN + REST), ([50, 50], TURN)] {
            let mut pace = Pace::default();
            for _ in 0..3 {
                assert_eq!(steps(&mut pace, work, 2 * TURN + REST, times), expected, "{times:?}");
            }
            // Another machine's minute: the next turns see it.
            let [together, alone] = times;
            steps(&mut pace, work, 2 * TURN + REST, [alone, together]);
            assert!(!pace.is_alone(work));
        }
    }

    #[test]
    fn the_first_steps_of_a_turn_and_single_slow_ones_do_not_count() {
        let (mut pace, work) = (Pace::default(), PARALLEL_WORK);
        for step in 0..2 * TURN {
            let time = match (pace.is_alone(work), step % TURN) {
                (_, 0..UNCOUNTED) => 10,
                (_, UNCOUNTED) => 900,
                (false, _) => 60,
                (true, _) => 50,
            };
            pace.record(work, Duration::from_micros(time));
        }
        assert!(pace.is_alone(work));
        let times = pace.kinds[0].times.map(|times| typical(times) * work as f64 * 1e6);
        assert!((times[0] - 60.0).abs() < 0.01 && (times[1] - 50.0).abs() < 0.01, "{times:?}");
    }

    #[test]
    fn each_size_has_its_own_times_and_all_others_have_none() {
        let mut pace = Pace::default();
        let (small, large) = (PARALLEL_WORK, PARALLEL_WORK << (KINDS - 1));
        steps(&mut pace, small, 2 * TURN, [70, 50]);
        steps(&mut pace, large, 2 * TURN, [50, 70]);
        assert!(pace.is_alone(small) && pace.is_alone(2 * small - 1));
        assert!(!pace.is_alone(large) && !pace.is_alone(2 * large - 1));
        for work in [0, 1, small - 1, 2 * large, usize::MAX] {
            assert_eq!(steps(&mut pace, work, 100, [70, 50]), 0);
            assert!(!pace.is_timed(work));
        }
    }

    /// As work that nobody timed would be done on all threads, whatever it takes.
    #[test]
    fn all_that_learns_is_timed() {
        let rows = 40;
        let (x, mut gradients) = (vec![0.5f32; rows * 128], vec![0.0; 128 * 128 + 128]);
        let y = vec![0.5; x.len()];
        let values = || Targets::Values(&y);
        let network = Network::builder(128).dense(128, Activation::Tanh).build().unwrap();
        let mut diagnostics = Diagnostics::new(&network).unwrap();
        let loss = Loss::MeanSquaredError;
        let new = || Trainer::builder(network.clone(), loss, Optimizer::sgd(0.1)).build().unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        pool.install(|| {
            let mut steps = [(); 5].map(|()| new());
            steps[0].step(&x, values()).unwrap();
            steps[1].step_diagnosed(&x, values(), &mut diagnostics).unwrap();
            steps[2].gradients(&x, values(), &mut gradients).unwrap();
            steps[3].accumulate(&x, values(), rows).unwrap();
            steps[4].step_with(&x, |_, _| 0.0).unwrap();
            for (which, trainer) in steps.iter().enumerate() {
                let kind = kind_of(trainer.work_of(rows)).unwrap();
                assert!(trainer.pace.as_ref().unwrap().kinds[kind].steps > 0, "{which}");
            }
        });
    }
}
