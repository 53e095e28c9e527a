//! Registers side by side.

use super::{Lanes, Mask, WideFunction};
use core::ops::{Add, BitAnd, BitOr, Div, Mul, Neg, Not, Sub};

/// Two registers, or two pairs, that go through a function together: while one waits for the
/// result of an operation the other keeps the CPU busy. By itself it does not look ahead far enough
/// to find that work in the next turns of a loop.
///
/// An array would be a loop for every operation of every kernel, which a compiler would have to
/// unroll first.
///
/// What moves elements between lanes is for single registers: columns and transposition.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Pair<V>(pub(super) V, pub(super) V);

/// Yes or no for each lane of a [`Pair`].
#[derive(Clone, Copy)]
pub struct PairMask<M>(M, M);

macro_rules! operators {
    ($Type:ident of $Part:ident: $($Trait:ident::$method:ident),+) => { $(
        impl<T: $Part> $Trait for $Type<T> {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                Self(self.0.$method(other.0), self.1.$method(other.1))
            }
        }
    )+ };
}

operators!(Pair of Lanes: Add::add, Sub::sub, Mul::mul, Div::div);
operators!(PairMask of Mask: BitAnd::bitand, BitOr::bitor);

impl<V: Lanes> Neg for Pair<V> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        Self(-self.0, -self.1)
    }
}

impl<M: Mask> Not for PairMask<M> {
    type Output = Self;
    #[inline(always)]
    fn not(self) -> Self {
        Self(!self.0, !self.1)
    }
}

impl<M: Mask> Mask for PairMask<M> {
    #[inline(always)]
    fn any(self) -> bool {
        (self.0 | self.1).any()
    }
    #[inline(always)]
    fn all(self) -> bool {
        (self.0 & self.1).all()
    }
}

/// Methods that do the same with both.
macro_rules! methods {
    ($(fn $name:ident(self $(, $other:ident)*);)+) => { $(
        #[inline(always)]
        fn $name(self $(, $other: Self)*) -> Self {
            Self(self.0.$name($($other.0),*), self.1.$name($($other.1),*))
        }
    )+ };
    (masks $(fn $name:ident(self, other);)+) => { $(
        #[inline(always)]
        fn $name(self, other: Self) -> Self::Mask {
            PairMask(self.0.$name(other.0), self.1.$name(other.1))
        }
    )+ };
}

impl<V: Lanes> Lanes for Pair<V> {
    type Element = V::Element;
    type Simd = V::Simd;
    type Mask = PairMask<V::Mask>;
    type Transposer = V::Transposer;
    type Group = Self;
    const LEN: usize = 2 * V::LEN;

    methods! {
        fn mul_add(self, factor, addend);
        fn neg_mul_add(self, factor, addend);
        fn sqrt(self);
        fn round(self);
        fn greater_or(self, other);
        fn less_or(self, other);
        fn bit_and(self, other);
        fn bit_or(self, other);
        fn bit_xor(self, other);
        fn int_add(self, other);
        fn int_sub(self, other);
        fn shift_to_exponent(self);
        fn shift_eighths_to_exponent(self);
        fn shift_from_exponent(self);
        fn scale_by_pow2(self, n);
    }
    methods! {
        masks
        fn lt(self, other);
        fn le(self, other);
        fn eq(self, other);
        fn int_lt(self, other);
    }

    #[inline(always)]
    fn splat_in(simd: V::Simd, value: V::Element) -> Self {
        let both = V::splat_in(simd, value);
        Self(both, both)
    }
    #[inline(always)]
    fn simd(self) -> V::Simd {
        self.0.simd()
    }
    #[inline(always)]
    fn transposer(simd: V::Simd) -> <V::Transposer as Lanes>::Simd {
        V::transposer(simd)
    }
    #[inline(always)]
    unsafe fn load_ptr(simd: V::Simd, from: *const V::Element) -> Self {
        // SAFETY: the caller promises twice V::LEN elements.
        unsafe { Self(V::load_ptr(simd, from), V::load_ptr(simd, from.add(V::LEN))) }
    }
    #[inline(always)]
    unsafe fn store_ptr(self, to: *mut V::Element) {
        // SAFETY: the caller promises twice V::LEN elements.
        unsafe {
            self.0.store_ptr(to);
            self.1.store_ptr(to.add(V::LEN));
        }
    }
    #[inline(always)]
    unsafe fn load_ptr_partial(simd: V::Simd, from: *const V::Element, count: usize) -> Self {
        let (first, second) = parts::<V>(count);
        // SAFETY: the caller promises `count` elements, of which these are the ones of each half.
        unsafe {
            Self(
                V::load_ptr_partial(simd, from, first),
                V::load_ptr_partial(simd, from.wrapping_add(V::LEN), second),
            )
        }
    }
    #[inline(always)]
    unsafe fn store_ptr_partial(self, to: *mut V::Element, count: usize) {
        let (first, second) = parts::<V>(count);
        // SAFETY: the caller promises `count` elements, of which these are the ones of each half.
        unsafe {
            self.0.store_ptr_partial(to, first);
            self.1.store_ptr_partial(to.wrapping_add(V::LEN), second);
        }
    }
    #[inline(always)]
    unsafe fn load_bf16_pairs_ptr(simd: V::Simd, from: *const u16) -> [Self; 2] {
        // SAFETY: the caller promises twice V::LEN pairs.
        let ([a, b], [c, d]) = unsafe {
            let next = from.add(2 * V::LEN);
            (V::load_bf16_pairs_ptr(simd, from), V::load_bf16_pairs_ptr(simd, next))
        };
        [Self(a, c), Self(b, d)]
    }
    #[inline(always)]
    unsafe fn load_i8_ptr(simd: V::Simd, from: *const i8) -> Self {
        // SAFETY: the caller promises twice V::LEN elements.
        unsafe { Self(V::load_i8_ptr(simd, from), V::load_i8_ptr(simd, from.add(V::LEN))) }
    }
    #[inline(always)]
    fn load_words(simd: V::Simd, words: &[u64]) -> Self {
        Self(V::load_words(simd, words), V::load_words(simd, &words[V::LEN..]))
    }
    #[inline(always)]
    fn select(self, mask: Self::Mask, other: Self) -> Self {
        Self(self.0.select(mask.0, other.0), self.1.select(mask.1, other.1))
    }
    #[inline(always)]
    fn entry_of(self, table: &[V::Element; 8]) -> Self {
        Self(self.0.entry_of(table), self.1.entry_of(table))
    }
    #[inline(always)]
    fn swap_lanes<const DISTANCE: usize>(self) -> Self {
        if DISTANCE < V::LEN {
            Self(self.0.swap_lanes::<DISTANCE>(), self.1.swap_lanes::<DISTANCE>())
        } else {
            Self(self.1, self.0)
        }
    }
    #[inline(always)]
    fn first(self) -> V::Element {
        self.0.first()
    }
    #[inline(always)]
    fn first_lanes_or(self, count: usize, other: Self) -> Self {
        let (first, second) = parts::<V>(count);
        Self(self.0.first_lanes_or(first, other.0), self.1.first_lanes_or(second, other.1))
    }
    #[inline(always)]
    fn side_by_side(self) -> Self {
        V::pair_side_by_side(self)
    }
    #[inline(always)]
    fn pair_side_by_side(pair: Pair<Self>) -> Pair<Self> {
        V::pairs_side_by_side(pair)
    }
    #[inline(always)]
    fn through_f64(self, function: impl WideFunction) -> Option<Self> {
        Some(Self(self.0.through_f64(function)?, self.1.through_f64(function)?))
    }
}

/// How many of the first `count` elements are in each half.
#[inline(always)]
fn parts<V: Lanes>(count: usize) -> (usize, usize) {
    let first = count.min(V::LEN);
    (first, count - first)
}
