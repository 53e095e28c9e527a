//! The generator behind every random choice: ChaCha8, with streams of our own cutting.
//!
//! The words of a ChaCha stream are fixed by the cipher, and all that is made of them is made
//! here: so a seed gives the same numbers in every version, on every machine.

use rand::rngs::ChaCha8Rng;
use rand::{Rng, SeedableRng};

/// What random numbers are for. Each purpose has streams of its own, so that no choice depends on
/// how many numbers another has used.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Purpose {
    Initialization,
    Shuffle,
    Split,
    SplitClasses,
    Folds,
}

/// A stream of random numbers.
#[derive(Debug)]
pub(crate) struct Random(ChaCha8Rng);

impl Random {
    /// Stream `index` of this seed and purpose.
    pub(crate) fn new(seed: u64, purpose: Purpose, index: u64) -> Self {
        let tag: &[u8; 8] = match purpose {
            Purpose::Initialization => b"initial.",
            Purpose::Shuffle => b"shuffle.",
            Purpose::Split => b"split...",
            Purpose::SplitClasses => b"classes.",
            Purpose::Folds => b"folds...",
        };
        let mut key = [0; 32];
        key[..8].copy_from_slice(&seed.to_le_bytes());
        key[8..16].copy_from_slice(tag);
        let mut generator = ChaCha8Rng::from_seed(key);
        generator.set_stream(index);
        Self(generator)
    }

    /// Uniform in [0, 1): a multiple of 2⁻⁵³.
    pub(crate) fn uniform(&mut self) -> f64 {
        const SCALE: f64 = 1.0 / (1u64 << 53) as f64;
        (self.0.next_u64() >> 11) as f64 * SCALE
    }

    /// Standard normal, by the Box–Muller transform: √(−2 ln u) · cos 2πv. The logarithm and the
    /// cosine are `libm`'s, since those of the platform differ in their last bits.
    pub(crate) fn normal(&mut self) -> f64 {
        let u = 1.0 - self.uniform();
        let v = self.uniform();
        (-2.0 * libm::log(u)).sqrt() * libm::cos(core::f64::consts::TAU * v)
    }

    /// Uniform below `bound`, which is not 0, by Lemire's multiplication with rejection.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        let rejected = bound.wrapping_neg() % bound;
        loop {
            let wide = u128::from(self.0.next_u64()) * u128::from(bound);
            if wide as u64 >= rejected {
                return (wide >> 64) as u64;
            }
        }
    }

    /// Puts the items in random order (Fisher–Yates, from the back).
    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers are from `tests/golden/random_streams.py`.
    #[test]
    fn the_streams_are_those_of_version_0_1() {
        let mut random = Random::new(42, Purpose::Initialization, 3);
        let words: Vec<u64> = (0..3).map(|_| random.0.next_u64()).collect();
        assert_eq!(words, [4601463995774830263, 13176215524139628943, 18205411286863539090]);
        let mut order: Vec<u8> = (0..10).collect();
        Random::new(7, Purpose::Shuffle, 0).shuffle(&mut order);
        assert_eq!(order, [6, 8, 1, 3, 7, 2, 5, 0, 4, 9]);
        let mut random = Random::new(42, Purpose::Split, 0);
        assert_eq!(random.uniform(), 0.32929900384997046);
        approx::assert_relative_eq!(random.normal(), 1.0814440632344806, max_relative = 1e-14);
    }

    #[test]
    fn uniform_and_normal_have_their_moments() {
        let mut random = Random::new(1, Purpose::Initialization, 0);
        let n = 100_000;
        let moments = |draw: &mut dyn FnMut() -> f64| {
            let sample: Vec<f64> = (0..n).map(|_| draw()).collect();
            let mean = sample.iter().sum::<f64>() / f64::from(n);
            let variance = sample.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / f64::from(n);
            (mean, variance)
        };
        let (mean, variance) = moments(&mut || random.uniform());
        approx::assert_abs_diff_eq!(mean, 0.5, epsilon = 0.004);
        approx::assert_abs_diff_eq!(variance, 1.0 / 12.0, epsilon = 0.002);
        let (mean, variance) = moments(&mut || random.normal());
        approx::assert_abs_diff_eq!(mean, 0.0, epsilon = 0.013);
        approx::assert_abs_diff_eq!(variance, 1.0, epsilon = 0.02);
    }

    #[test]
    fn below_reaches_every_value_equally() {
        let mut random = Random::new(1, Purpose::Shuffle, 0);
        let mut counts = [0; 6];
        for _ in 0..60_000 {
            counts[random.below(6) as usize] += 1;
        }
        for count in counts {
            assert!((9_500..10_500).contains(&count), "{counts:?}");
        }
    }
}
