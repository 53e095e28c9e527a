//! One pass over several slices of one length, where the results at i depend on what is at i.

use crate::Element;
use crate::lanes::{Lanes, Simd};

/// What happens to a register of each slice: `R` that are only read, one that is the target, and
/// `N` beside it that are also read and written.
pub(crate) trait Update<E: Element, const R: usize, const N: usize>: Copy {
    /// The new target and the new others, for the elements from index `at` on.
    fn update<V: Lanes<Element = E>>(
        self,
        at: usize,
        read: [V; R],
        target: V,
        others: [V; N],
    ) -> (V, [V; N]);
}

/// Elements in a whole group, a multiple of every register's.
const GROUP: usize = 16;

/// Runs `update` over all elements of `target`; the other slices are at least as long.
#[inline(always)]
pub(crate) fn update_all<S, E, U, const R: usize, const N: usize>(
    simd: S,
    update: U,
    read: [&[E]; R],
    target: &mut [E],
    others: [&mut [E]; N],
) where
    S: Simd,
    E: Element,
    U: Update<E, R, N>,
{
    let length = target.len();
    let zero = E::Lanes::<S>::splat_in(simd, E::ZERO);
    let len = E::Lanes::<S>::LEN;
    let read = read.map(|slice| slice[..length].as_chunks::<GROUP>());
    let (targets, target_rest) = target.as_chunks_mut::<GROUP>();
    let mut others = others.map(|slice| slice[..length].as_chunks_mut::<GROUP>());
    for (group, target) in targets.iter_mut().enumerate() {
        for start in (0..GROUP).step_by(len) {
            let lanes = start..start + len;
            let mut inputs = [zero; R];
            for (value, slice) in inputs.iter_mut().zip(&read) {
                *value = E::Lanes::load(simd, &slice.0[group][lanes.clone()]);
            }
            let mut state = [zero; N];
            for (value, slice) in state.iter_mut().zip(&others) {
                *value = E::Lanes::load(simd, &slice.0[group][lanes.clone()]);
            }
            let old = E::Lanes::load(simd, &target[lanes.clone()]);
            let at = group * GROUP + start;
            let (new, state) = update.update(at, inputs, old, state);
            new.store(&mut target[lanes.clone()]);
            for (value, slice) in state.into_iter().zip(&mut others) {
                value.store(&mut slice.0[group][lanes.clone()]);
            }
        }
    }
    for start in (0..target_rest.len()).step_by(len) {
        let lanes = start..target_rest.len().min(start + len);
        let mut inputs = [zero; R];
        for (value, slice) in inputs.iter_mut().zip(&read) {
            *value = E::Lanes::load_partial(simd, &slice.1[lanes.clone()]);
        }
        let mut state = [zero; N];
        for (value, slice) in state.iter_mut().zip(&others) {
            *value = E::Lanes::load_partial(simd, &slice.1[lanes.clone()]);
        }
        let old = E::Lanes::load_partial(simd, &target_rest[lanes.clone()]);
        let at = length - length % GROUP + start;
        let (new, state) = update.update(at, inputs, old, state);
        new.store_partial(&mut target_rest[lanes.clone()]);
        for (value, slice) in state.into_iter().zip(&mut others) {
            value.store_partial(&mut slice.1[lanes.clone()]);
        }
    }
}

/// −1, 0 or 1 with the sign of `x`; ±0 and NaN stay what they are.
#[inline(always)]
pub(crate) fn sign<V: Lanes>(x: V) -> V {
    let nonzero = x.splat(V::Element::ZERO).lt(x.abs());
    x.splat(V::Element::ONE).with_sign_of(x).select(nonzero, x)
}
