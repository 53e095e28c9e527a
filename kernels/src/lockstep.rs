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
    let read = read.map(|slice| &slice[..length]);
    let mut others = others.map(|slice| &mut slice[..length]);
    let whole = length - length % len;
    for at in (0..whole).step_by(len) {
        let lanes = at..at + len;
        let mut inputs = [zero; R];
        for (value, slice) in inputs.iter_mut().zip(&read) {
            *value = E::Lanes::load(simd, &slice[lanes.clone()]);
        }
        let mut state = [zero; N];
        for (value, slice) in state.iter_mut().zip(&others) {
            *value = E::Lanes::load(simd, &slice[lanes.clone()]);
        }
        let old = E::Lanes::load(simd, &target[lanes.clone()]);
        let (new, state) = update.update(at, inputs, old, state);
        new.store(&mut target[lanes.clone()]);
        for (value, slice) in state.into_iter().zip(&mut others) {
            value.store(&mut slice[lanes.clone()]);
        }
    }
    if whole < length {
        let mut inputs = [zero; R];
        for (value, slice) in inputs.iter_mut().zip(&read) {
            *value = E::Lanes::load_partial(simd, &slice[whole..]);
        }
        let mut state = [zero; N];
        for (value, slice) in state.iter_mut().zip(&others) {
            *value = E::Lanes::load_partial(simd, &slice[whole..]);
        }
        let old = E::Lanes::load_partial(simd, &target[whole..]);
        let (new, state) = update.update(whole, inputs, old, state);
        new.store_partial(&mut target[whole..]);
        for (value, slice) in state.into_iter().zip(&mut others) {
            value.store_partial(&mut slice[whole..]);
        }
    }
}

/// Makes an [`Update`] of some numbers, so many slices that are only read, and a target.
macro_rules! updates {
    ($(
        $(#[$attribute:meta])*
        $Name:ident { $($field:ident),+ }: $R:literal ($($read:ident),*; $target:ident) => $value:expr;
    )+) => { $(
        $(#[$attribute])*
        #[derive(Clone, Copy)]
        pub(crate) struct $Name<E> {
            $(pub(crate) $field: E,)+
        }

        impl<E: $crate::Element> $crate::lockstep::Update<E, $R, 0> for $Name<E> {
            #[inline(always)]
            fn update<V: $crate::lanes::Lanes<Element = E>>(
                self,
                _at: usize,
                [$($read),*]: [V; $R],
                $target: V,
                []: [V; 0],
            ) -> (V, [V; 0]) {
                let Self { $($field),+ } = self;
                $(let $field = $target.splat($field);)+
                ($value, [])
            }
        }
    )+ };
}
pub(crate) use updates;

updates! {
    /// x · factor.
    Product { factor }: 0 (; x) => x * factor;
    /// x / divisor.
    Quotient { divisor }: 0 (; x) => x / divisor;
}

/// −1, 0 or 1 with the sign of `x`; ±0 and NaN stay what they are.
#[inline(always)]
pub(crate) fn sign<V: Lanes>(x: V) -> V {
    let nonzero = x.splat(V::Element::ZERO).lt(x.abs());
    x.splat(V::Element::ONE).with_sign_of(x).select(nonzero, x)
}
