//! What this machine can do at most: its peak of multiply-adds, and the bandwidth of its caches
//! and memory.
//!
//! A kernel's speed says little beside no limit, and a data sheet's limit is not that of the
//! machine at hand, its clock and its neighbours. So measure it in the same run: these functions
//! do the work, the caller holds the clock.
//!
//! ```
//! use deltarule_kernels::{Isa, limits};
//! use std::time::Instant;
//! let start = Instant::now();
//! let flops = limits::multiply_adds::<f32>(Isa::detect(), 100_000);
//! println!("{:.1} GFLOP/s", flops as f64 / start.elapsed().as_secs_f64() / 1e9);
//! ```
//!
#![doc = include_str!("../SPEED.md")]

use crate::dispatch::Kernel;
use crate::lanes::{Lanes, Simd};
use crate::precompiled::precompiled;
use crate::{Element, Isa, ShapeError};
use core::hint::black_box;
use core::marker::PhantomData;

/// Independent chains of fused multiply-adds: more than latency times throughput on today's cores
/// (5 · 2 at most), and with the two factors within the 16 registers of AVX2.
const FUSED_CHAINS: usize = 12;

/// The chains where a multiply-add is two operations, on vectors of two 128-bit registers each.
const SPLIT_CHAINS: usize = 7;

/// Accumulators of [`read`]: latency times throughput of an addition on vectors of one register.
const READ_VECTORS: usize = 8;

/// The accumulators of [`read`] on vectors of two 128-bit registers each.
const READ_VECTORS_SPLIT: usize = 4;

precompiled! {
    /// The kernels of this module.
    LimitKernels:
    fn multiply_adds(isa: Isa, kernel: MultiplyAdds<Self>) -> u64 = Isa::run;
    fn read(isa: Isa, kernel: Read<'_, Self>) -> Self = Isa::run;
}

/// Runs `steps` steps of independent chains of multiply-adds on whole vectors in registers, and
/// returns how many floating-point operations these were (a multiply-add is two).
///
/// The loop touches no memory, so operations over time is the peak of one core. A call of some
/// 100,000 steps takes long enough to be timed.
///
/// ```
/// use deltarule_kernels::{Isa, limits};
/// // Whole chains on whole vectors, twice as many in f32 as in f64.
/// let operations = limits::multiply_adds::<f32>(Isa::detect(), 100);
/// assert!(operations >= 100 * 2 * 4);
/// assert_eq!(operations, 2 * limits::multiply_adds::<f64>(Isa::detect(), 100));
/// ```
pub fn multiply_adds<E: Element>(isa: Isa, steps: usize) -> u64 {
    E::multiply_adds(isa, MultiplyAdds::<E> { steps, element: PhantomData })
}

/// Reads every element once and returns their sum, in no certain order.
///
/// The traffic is the size of `x`.
///
/// ```
/// use deltarule_kernels::{Isa, limits};
/// let x = vec![0.5f32; 10_000];
/// let start = std::time::Instant::now();
/// assert_eq!(limits::read(Isa::detect(), &x), 5000.0);
/// println!("{:.1} GB/s", 4e-9 * x.len() as f64 / start.elapsed().as_secs_f64());
/// ```
pub fn read<E: Element>(isa: Isa, x: &[E]) -> E {
    E::read(isa, Read { x })
}

/// One pass over `R` slices that are only read, `U` that are read and written, and `W` that are
/// only written, with as little arithmetic as can be: to each element of `update` the sum of the
/// elements of `read` at its place is added, `factor` times, and each of `write` becomes that sum.
/// With a factor of 0 finite slices stay what they are.
///
/// It has the traffic of a kernel with as many slices: R + 2U + W times their size, not counting
/// that a cache may read a line before it is written. A copy is (1, 0, 1); an Adam step, with the
/// gradient, the parameter and its two moments, is (1, 3, 0).
///
/// ```
/// use deltarule_kernels::{Isa, limits};
/// let (mut state, mut copy) = ([1.0_f32; 5], [0.0; 5]);
/// limits::pass(Isa::detect(), 3.0, [&[2.0; 5]], [&mut state], [&mut copy])?;
/// assert_eq!((state, copy), ([7.0; 5], [2.0; 5]));
/// # Ok::<(), deltarule_kernels::ShapeError>(())
/// ```
///
/// # Errors
/// [`ShapeError::Length`] if the slices differ in length; nothing was written then.
pub fn pass<E: Element, const R: usize, const U: usize, const W: usize>(
    isa: Isa,
    factor: E,
    read: [&[E]; R],
    update: [&mut [E]; U],
    write: [&mut [E]; W],
) -> Result<(), ShapeError> {
    let lengths = read.iter().map(|slice| ("read", slice.len()));
    let lengths = lengths.chain(update.iter().map(|slice| ("update", slice.len())));
    let lengths = lengths.chain(write.iter().map(|slice| ("write", slice.len())));
    let mut expected = None;
    for (argument, actual) in lengths {
        let expected = *expected.get_or_insert(actual);
        if actual != expected {
            return Err(ShapeError::Length { argument, expected, actual });
        }
    }
    if let Some(length) = expected {
        isa.run(Pass { length, factor, read, update, write });
    }
    Ok(())
}

pub(crate) struct MultiplyAdds<E> {
    steps: usize,
    element: PhantomData<E>,
}

impl<E: Element> Kernel for MultiplyAdds<E> {
    type Output = u64;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> u64 {
        if S::HAS_FMA {
            multiply_add_chains::<E::Lanes<S>, FUSED_CHAINS>(simd, self.steps)
        } else {
            multiply_add_chains::<E::Lanes<S>, SPLIT_CHAINS>(simd, self.steps)
        }
    }
}

/// x ← ½ x + 1, over and over: it tends to 2, so no operand is ever subnormal or infinite.
#[inline(always)]
fn multiply_add_chains<V: Lanes, const CHAINS: usize>(simd: V::Simd, steps: usize) -> u64 {
    // What the compiler can't see it can't compute ahead, and chains that might differ it can't
    // merge.
    let factor = V::splat_in(simd, black_box(V::Element::HALF));
    let addend = V::splat_in(simd, black_box(V::Element::ONE));
    let mut chains = [factor; CHAINS];
    for chain in &mut chains {
        *chain = V::splat_in(simd, black_box(V::Element::ONE));
    }
    for _ in 0..steps {
        for chain in &mut chains {
            *chain = chain.mul_add(factor, addend);
        }
    }
    black_box(chains);
    (steps * CHAINS * V::LEN * 2) as u64
}

pub(crate) struct Read<'a, E> {
    x: &'a [E],
}

impl<E: Element> Kernel for Read<'_, E> {
    type Output = E;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> E {
        if S::HAS_FMA {
            read_sum::<E::Lanes<S>, READ_VECTORS>(simd, self.x)
        } else {
            read_sum::<E::Lanes<S>, READ_VECTORS_SPLIT>(simd, self.x)
        }
    }
}

#[inline(always)]
fn read_sum<V: Lanes, const VECTORS: usize>(simd: V::Simd, x: &[V::Element]) -> V::Element {
    let mut sums = [V::splat_in(simd, V::Element::ZERO); VECTORS];
    let mut chunks = x.chunks_exact(VECTORS * V::LEN);
    for chunk in &mut chunks {
        for (v, sum) in sums.iter_mut().enumerate() {
            *sum = *sum + V::load(simd, &chunk[v * V::LEN..]);
        }
    }
    for tail in chunks.remainder().chunks(V::LEN) {
        sums[0] = sums[0] + V::load_partial(simd, tail);
    }
    let mut total = sums[0];
    for sum in &sums[1..] {
        total = total + *sum;
    }
    let mut lanes = [V::Element::ZERO; 16];
    total.store(&mut lanes);
    lanes.into_iter().sum()
}

struct Pass<'a, E, const R: usize, const U: usize, const W: usize> {
    length: usize,
    factor: E,
    read: [&'a [E]; R],
    update: [&'a mut [E]; U],
    write: [&'a mut [E]; W],
}

impl<E: Element, const R: usize, const U: usize, const W: usize> Kernel for Pass<'_, E, R, U, W> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { length, factor, read, update, write } = self;
        let factor = E::Lanes::splat_in(simd, factor);
        let len = E::Lanes::<S>::LEN;
        // The compiler sees that no index is out of range.
        let read = read.map(|slice| &slice[..length]);
        let mut update = update.map(|slice| &mut slice[..length]);
        let mut write = write.map(|slice| &mut slice[..length]);
        let whole = length - length % len;
        for at in (0..whole).step_by(len) {
            let lanes = at..at + len;
            let mut sum = E::Lanes::splat_in(simd, E::ZERO);
            for slice in &read {
                sum = sum + E::Lanes::load(simd, &slice[lanes.clone()]);
            }
            for slice in &mut update {
                let slice = &mut slice[lanes.clone()];
                sum.mul_add(factor, E::Lanes::load(simd, slice)).store(slice);
            }
            for slice in &mut write {
                sum.store(&mut slice[lanes.clone()]);
            }
        }
        if whole < length {
            let mut sum = E::Lanes::splat_in(simd, E::ZERO);
            for slice in &read {
                sum = sum + E::Lanes::load_partial(simd, &slice[whole..]);
            }
            for slice in &mut update {
                let slice = &mut slice[whole..];
                sum.mul_add(factor, E::Lanes::load_partial(simd, slice)).store_partial(slice);
            }
            for slice in &mut write {
                sum.store_partial(&mut slice[whole..]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn integers<E: Element>(count: usize) -> Vec<E> {
        (0..count).map(|i| E::from_f64((i % 11) as f64 - 3.0)).collect()
    }

    fn check_passes<E: Element>(isa: Isa, count: usize) {
        let x = integers::<E>(count);
        let sum: f64 = x.iter().map(|x| x.to_f64()).sum();
        assert_eq!(read(isa, &x).to_f64(), sum, "{isa} {count}");

        // An element more than is given away, which must stay.
        let mut state = [1.0, 2.0, 3.0].map(|s| vec![E::from_f64(s); count + 1]);
        let mut sums = vec![E::INFINITY; count + 1];
        let update = state.each_mut().map(|slice| &mut slice[..count]);
        pass(isa, E::TWO, [&x, &x], update, [&mut sums[..count]]).unwrap();
        for (slice, begin) in state.iter().zip([1.0, 2.0, 3.0]) {
            let begin = E::from_f64(begin);
            let sums = x.iter().map(|&x| begin + E::TWO * (x + x));
            assert!(slice[..count].iter().copied().eq(sums), "{isa} {count}");
            assert_eq!(slice[count], begin, "{isa} {count}");
        }
        assert!(sums[..count].iter().zip(&x).all(|(&s, &x)| s == x + x), "{isa} {count}");
        assert_eq!(sums[count], E::INFINITY, "{isa} {count}");
    }

    #[test]
    fn passes_meet_every_element_at_every_length() {
        for isa in Isa::available() {
            for count in 0..300 {
                check_passes::<f32>(isa, count);
                check_passes::<f64>(isa, count);
            }
        }
    }

    #[test]
    fn a_burst_counts_two_operations_a_lane_step_and_chain() {
        for isa in Isa::available() {
            let one = multiply_adds::<f32>(isa, 1);
            assert!(one > 0);
            assert_eq!(multiply_adds::<f32>(isa, 0), 0);
            assert_eq!(multiply_adds::<f32>(isa, 1000), 1000 * one, "{isa}");
            assert_eq!(2 * multiply_adds::<f64>(isa, 1), one, "{isa}");
        }
    }

    #[test]
    fn lengths_that_differ_are_errors_and_write_nothing() {
        let isa = Isa::detect();
        let (x, mut to, mut state) = ([1.0f32; 4], [5.0f32; 5], [0.0f32; 4]);
        let error = pass(isa, 1.0, [&x], [&mut state], [&mut to]).unwrap_err();
        assert_eq!(error, ShapeError::Length { argument: "write", expected: 4, actual: 5 });
        let error = pass(isa, 1.0, [&x], [&mut state[..3]], []).unwrap_err();
        assert_eq!(error, ShapeError::Length { argument: "update", expected: 4, actual: 3 });
        assert_eq!((to, state), ([5.0; 5], [0.0; 4]));
    }
}
