//! Registers side by side.

use super::{Lanes, Mask, WideFunction};
use core::ops::{Add, BitAnd, BitOr, Div, Mul, Neg, Not, Sub};

/// `N` registers that go through a function together: while one waits for the result of an
/// operation the others keep the CPU busy. By itself it does not look ahead far enough to find that
/// work in the next turns of a loop.
///
/// What moves elements between lanes is for single registers: columns and transposition.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Group<V, const N: usize>(pub(crate) [V; N]);

/// Yes or no for each lane of a [`Group`].
#[derive(Clone, Copy)]
pub(crate) struct GroupMask<M, const N: usize>([M; N]);

/// A value of the registers or masks at the same place of each of the arrays, for every place.
macro_rules! each {
    ($($array:ident),+ => $value:expr) => {{
        let mut values = each!(@first [$($array),+] $value);
        let mut i = 1;
        while i < N {
            values[i] = each!(@at i, [$($array),+] $value);
            i += 1;
        }
        values
    }};
    (@first $arrays:tt $value:expr) => {
        [each!(@at 0, $arrays $value); N]
    };
    (@at $i:expr, [$($array:ident),+] $value:expr) => {{
        $(let $array = $array[$i];)+
        $value
    }};
}

macro_rules! operators {
    ($Type:ident of $Part:ident: $($Trait:ident::$method:ident $operator:tt),+) => { $(
        impl<T: $Part, const N: usize> $Trait for $Type<T, N> {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                let (a, b) = (self.0, other.0);
                Self(each!(a, b => a $operator b))
            }
        }
    )+ };
}

operators!(Group of Lanes: Add::add +, Sub::sub -, Mul::mul *, Div::div /);
operators!(GroupMask of Mask: BitAnd::bitand &, BitOr::bitor |);

impl<V: Lanes, const N: usize> Neg for Group<V, N> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        let a = self.0;
        Self(each!(a => -a))
    }
}

impl<M: Mask, const N: usize> Not for GroupMask<M, N> {
    type Output = Self;
    #[inline(always)]
    fn not(self) -> Self {
        let a = self.0;
        Self(each!(a => !a))
    }
}

impl<M: Mask, const N: usize> Mask for GroupMask<M, N> {
    #[inline(always)]
    fn any(self) -> bool {
        let mut any = self.0[0];
        let mut i = 1;
        while i < N {
            any = any | self.0[i];
            i += 1;
        }
        any.any()
    }
    #[inline(always)]
    fn all(self) -> bool {
        let mut all = self.0[0];
        let mut i = 1;
        while i < N {
            all = all & self.0[i];
            i += 1;
        }
        all.all()
    }
}

/// Methods that do the same with each register.
macro_rules! methods {
    ($(fn $name:ident(self $(, $other:ident)*);)+) => { $(
        #[inline(always)]
        fn $name(self $(, $other: Self)*) -> Self {
            let register = self.0;
            $(let $other = $other.0;)*
            Self(each!(register $(, $other)* => register.$name($($other),*)))
        }
    )+ };
    (masks $(fn $name:ident(self, other);)+) => { $(
        #[inline(always)]
        fn $name(self, other: Self) -> Self::Mask {
            let (register, other) = (self.0, other.0);
            GroupMask(each!(register, other => register.$name(other)))
        }
    )+ };
}

impl<V: Lanes, const N: usize> Lanes for Group<V, N> {
    type Element = V::Element;
    type Simd = V::Simd;
    type Mask = GroupMask<V::Mask, N>;
    type Transposer = V::Transposer;
    type Group = Self;
    const LEN: usize = N * V::LEN;

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
    }

    #[inline(always)]
    fn splat_in(simd: V::Simd, value: V::Element) -> Self {
        Self([V::splat_in(simd, value); N])
    }
    #[inline(always)]
    fn simd(self) -> V::Simd {
        self.0[0].simd()
    }
    #[inline(always)]
    fn transposer(simd: V::Simd) -> <V::Transposer as Lanes>::Simd {
        V::transposer(simd)
    }
    #[inline(always)]
    unsafe fn load_ptr(simd: V::Simd, from: *const V::Element) -> Self {
        let mut registers = [V::splat_in(simd, V::Element::default()); N];
        for (i, register) in registers.iter_mut().enumerate() {
            // SAFETY: the caller promises N times V::LEN elements.
            *register = unsafe { V::load_ptr(simd, from.add(i * V::LEN)) };
        }
        Self(registers)
    }
    #[inline(always)]
    unsafe fn store_ptr(self, to: *mut V::Element) {
        for (i, register) in self.0.into_iter().enumerate() {
            // SAFETY: the caller promises N times V::LEN elements.
            unsafe { register.store_ptr(to.add(i * V::LEN)) }
        }
    }
    #[inline(always)]
    unsafe fn load_ptr_partial(simd: V::Simd, from: *const V::Element, count: usize) -> Self {
        let mut registers = [V::splat_in(simd, V::Element::default()); N];
        for (i, register) in registers.iter_mut().enumerate() {
            let (from, count) = (from.wrapping_add(i * V::LEN), part::<V>(count, i));
            // SAFETY: the caller promises `count` elements, of which these are the ones of
            // register i.
            *register = unsafe { V::load_ptr_partial(simd, from, count) };
        }
        Self(registers)
    }
    #[inline(always)]
    unsafe fn store_ptr_partial(self, to: *mut V::Element, count: usize) {
        for (i, register) in self.0.into_iter().enumerate() {
            let (to, count) = (to.wrapping_add(i * V::LEN), part::<V>(count, i));
            // SAFETY: the caller promises `count` elements, of which these are the ones of
            // register i.
            unsafe { register.store_ptr_partial(to, count) }
        }
    }
    #[inline(always)]
    unsafe fn load_bf16_pairs_ptr(simd: V::Simd, from: *const u16) -> [Self; 2] {
        let [mut firsts, mut seconds] = [[V::splat_in(simd, V::Element::default()); N]; 2];
        for (i, (first, second)) in firsts.iter_mut().zip(&mut seconds).enumerate() {
            // SAFETY: the caller promises N times V::LEN pairs.
            [*first, *second] = unsafe { V::load_bf16_pairs_ptr(simd, from.add(2 * i * V::LEN)) };
        }
        [Self(firsts), Self(seconds)]
    }
    #[inline(always)]
    unsafe fn load_i8_ptr(simd: V::Simd, from: *const i8) -> Self {
        let mut registers = [V::splat_in(simd, V::Element::default()); N];
        for (i, register) in registers.iter_mut().enumerate() {
            // SAFETY: the caller promises N times V::LEN elements.
            *register = unsafe { V::load_i8_ptr(simd, from.add(i * V::LEN)) };
        }
        Self(registers)
    }
    #[inline(always)]
    fn select(self, mask: Self::Mask, other: Self) -> Self {
        let (register, mask, other) = (self.0, mask.0, other.0);
        Self(each!(register, mask, other => register.select(mask, other)))
    }
    #[inline(always)]
    fn entry_of(self, table: &[V::Element; 8]) -> Self {
        let register = self.0;
        Self(each!(register => register.entry_of(table)))
    }
    #[inline(always)]
    fn swap_lanes<const DISTANCE: usize>(self) -> Self {
        let mut registers = self.0;
        for (i, register) in registers.iter_mut().enumerate() {
            *register = if DISTANCE < V::LEN {
                self.0[i].swap_lanes::<DISTANCE>()
            } else {
                self.0[i ^ (DISTANCE / V::LEN)]
            };
        }
        Self(registers)
    }
    #[inline(always)]
    fn first(self) -> V::Element {
        self.0[0].first()
    }
    #[inline(always)]
    fn first_lanes_or(self, count: usize, other: Self) -> Self {
        let mut registers = self.0;
        for (i, register) in registers.iter_mut().enumerate() {
            *register = register.first_lanes_or(part::<V>(count, i), other.0[i]);
        }
        Self(registers)
    }
    #[inline(always)]
    fn side_by_side(self) -> Self {
        Self(V::group_side_by_side(self.0))
    }
    #[inline(always)]
    fn through_f64(self, function: impl WideFunction) -> Option<Self> {
        let mut registers = self.0;
        for register in &mut registers {
            *register = register.through_f64(function)?;
        }
        Some(Self(registers))
    }
}

/// How many of the first `count` elements are in register `i`.
#[inline(always)]
fn part<V: Lanes>(count: usize, i: usize) -> usize {
    count.saturating_sub(i * V::LEN).min(V::LEN)
}
