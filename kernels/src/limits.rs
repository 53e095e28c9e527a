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

use crate::dispatch::Kernel;
use crate::error::check_length;
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

/// Vectors that [`copy`] moves in a step of its loop.
const COPY_VECTORS: usize = 4;

precompiled! {
    /// The kernels of this module.
    LimitKernels:
    fn multiply_adds(isa: Isa, kernel: MultiplyAdds<Self>) -> u64 = Isa::run;
    fn read(isa: Isa, kernel: Read<'_, Self>) -> Self = Isa::run;
    fn copy(isa: Isa, kernel: Copy<'_, Self>) = Isa::run;
    fn update_all(isa: Isa, kernel: Update<'_, Self>) = Isa::run;
}

/// Runs `steps` steps of independent chains of multiply-adds on whole vectors in registers, and
/// returns how many floating-point operations these were (a multiply-add is two).
///
/// The loop touches no memory, so operations over time is the peak of one core. A call of some
/// 100,000 steps takes long enough to be timed.
pub fn multiply_adds<E: Element>(isa: Isa, steps: usize) -> u64 {
    E::multiply_adds(isa, MultiplyAdds::<E> { steps, element: PhantomData })
}

/// Reads every element once and returns their sum, in no certain order.
///
/// The traffic is the size of `x`.
pub fn read<E: Element>(isa: Isa, x: &[E]) -> E {
    E::read(isa, Read { x })
}

/// Copies `from` to `to`, through the cache.
///
/// The traffic is twice the size of `from`, not counting that a cache may read a line before it
/// is written.
///
/// # Errors
/// [`ShapeError::Length`] if `to` has not the length of `from`; nothing was written then.
pub fn copy<E: Element>(isa: Isa, from: &[E], to: &mut [E]) -> Result<(), ShapeError> {
    check_length("to", to, from.len())?;
    E::copy(isa, Copy { from, to });
    Ok(())
}

/// Adds `gradient` to each of the three slices in one pass: four reads and three writes an
/// element, as an Adam step has (the gradient; the parameter and its two moments), with as little
/// arithmetic as can be.
///
/// The traffic is seven times the size of `gradient`.
///
/// # Errors
/// [`ShapeError::Length`] if a slice of `state` has not the length of `gradient`; nothing was
/// written then.
pub fn update<E: Element>(
    isa: Isa,
    gradient: &[E],
    state: [&mut [E]; 3],
) -> Result<(), ShapeError> {
    for (argument, slice) in ["state[0]", "state[1]", "state[2]"].into_iter().zip(&state) {
        check_length(argument, slice, gradient.len())?;
    }
    E::update_all(isa, Update { gradient, state });
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

pub(crate) struct Copy<'a, E> {
    from: &'a [E],
    to: &'a mut [E],
}

impl<E: Element> Kernel for Copy<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        copy_vectors::<E::Lanes<S>>(simd, self.from, self.to);
    }
}

#[inline(always)]
fn copy_vectors<V: Lanes>(simd: V::Simd, from: &[V::Element], to: &mut [V::Element]) {
    let mut from = from.chunks_exact(COPY_VECTORS * V::LEN);
    let mut to = to.chunks_exact_mut(COPY_VECTORS * V::LEN);
    for (from, to) in (&mut from).zip(&mut to) {
        for v in 0..COPY_VECTORS {
            V::load(simd, &from[v * V::LEN..]).store(&mut to[v * V::LEN..]);
        }
    }
    let tails = from.remainder().chunks(V::LEN).zip(to.into_remainder().chunks_mut(V::LEN));
    for (from, to) in tails {
        V::load_partial(simd, from).store_partial(to);
    }
}

pub(crate) struct Update<'a, E> {
    gradient: &'a [E],
    state: [&'a mut [E]; 3],
}

impl<E: Element> Kernel for Update<'_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        update_vectors::<E::Lanes<S>>(simd, self.gradient, self.state);
    }
}

#[inline(always)]
fn update_vectors<V: Lanes>(simd: V::Simd, gradient: &[V::Element], state: [&mut [V::Element]; 3]) {
    let mut gradient = gradient.chunks_exact(V::LEN);
    let mut state = state.map(|slice| slice.chunks_exact_mut(V::LEN));
    for gradient in &mut gradient {
        let gradient = V::load(simd, gradient);
        for slice in &mut state {
            if let Some(vector) = slice.next() {
                (V::load(simd, vector) + gradient).store(vector);
            }
        }
    }
    let gradient = V::load_partial(simd, gradient.remainder());
    for slice in state {
        let tail = slice.into_remainder();
        (V::load_partial(simd, tail) + gradient).store_partial(tail);
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
        let mut to = vec![E::INFINITY; count + 1];
        copy(isa, &x, &mut to[..count]).unwrap();
        assert_eq!((&to[..count], to[count]), (&x[..], E::INFINITY), "{isa} {count}");

        let mut state = [1.0, 2.0, 3.0].map(|s| vec![E::from_f64(s); count + 1]);
        update(isa, &x, state.each_mut().map(|slice| &mut slice[..count])).unwrap();
        for (slice, begin) in state.iter().zip([1.0, 2.0, 3.0]) {
            let begin = E::from_f64(begin);
            assert!(slice[..count].iter().zip(&x).all(|(&s, &x)| s == x + begin), "{isa} {count}");
            assert_eq!(slice[count], begin, "{isa} {count}");
        }
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
        let (x, mut to) = ([1.0f32; 4], [5.0f32; 5]);
        let error = copy(isa, &x, &mut to).unwrap_err();
        assert_eq!(error, ShapeError::Length { argument: "to", expected: 4, actual: 5 });
        assert_eq!(to, [5.0; 5]);
        let (mut a, mut b, mut c) = ([0.0f32; 4], [0.0f32; 4], [0.0f32; 3]);
        let error = update(isa, &x, [&mut a, &mut b, &mut c]).unwrap_err();
        assert_eq!(error, ShapeError::Length { argument: "state[2]", expected: 4, actual: 3 });
        assert_eq!((a, b, c), ([0.0; 4], [0.0; 4], [0.0; 3]));
    }
}
