//! What the lanes of AVX2 and AVX-512 have in common: everything but masks.

/// Evaluates an expression of an ISA's intrinsics that touches no memory.
macro_rules! isa {
    ($intrinsics:expr) => {
        // SAFETY: used only in methods of lane and mask types and where a token is at hand; each
        // of these exists only where the CPU has its ISA.
        unsafe { $intrinsics }
    };
}
pub(super) use isa;

/// Implements arithmetic operators of a lane or mask type by one intrinsic each.
macro_rules! operators {
    ($Lanes:ident: $($Trait:ident::$method:ident = $intrinsic:path),*) => { $(
        impl core::ops::$Trait for $Lanes {
            type Output = Self;
            #[inline(always)]
            fn $method(self, other: Self) -> Self {
                Self(isa!($intrinsic(self.0, other.0)))
            }
        }
    )* };
}
pub(super) use operators;

/// The methods of [`Lanes`](super::Lanes) that differ in the names of intrinsics alone.
macro_rules! common_methods {
    (
        $Token:ident, $Mask:ident: $element:ident x $len:literal, mantissa bits $mantissa:literal,
        $set1:ident, $load:ident, $store:ident, $fmadd:ident, $fnmadd:ident,
        $sqrt:ident, $round:ident, $max:ident, $min:ident, $cmp:ident,
        $and:ident, $or:ident, $xor:ident,
        $to_int:ident, $from_int:ident, $int_add:ident, $int_sub:ident, $shl:ident, $shr:ident,
        first $first:ident, swaps $($distance:literal => $swap:ident $control:literal),*
    ) => {
        type Element = $element;
        type Simd = $Token;
        type Mask = $Mask;
        const LEN: usize = $len;

        #[inline(always)]
        fn splat_in(_: $Token, value: $element) -> Self {
            Self(isa!($set1(value)))
        }
        #[inline(always)]
        fn simd(self) -> $Token {
            $Token::of_lanes()
        }
        #[inline(always)]
        unsafe fn load_ptr(_: $Token, from: *const $element) -> Self {
            // SAFETY: the caller promises LEN readable elements.
            Self(unsafe { $load(from) })
        }
        #[inline(always)]
        unsafe fn store_ptr(self, to: *mut $element) {
            // SAFETY: the caller promises LEN writable elements.
            unsafe { $store(to, self.0) }
        }
        #[inline(always)]
        fn mul_add(self, factor: Self, addend: Self) -> Self {
            Self(isa!($fmadd(self.0, factor.0, addend.0)))
        }
        #[inline(always)]
        fn neg_mul_add(self, factor: Self, addend: Self) -> Self {
            Self(isa!($fnmadd(self.0, factor.0, addend.0)))
        }
        #[inline(always)]
        fn sqrt(self) -> Self {
            Self(isa!($sqrt(self.0)))
        }
        #[inline(always)]
        fn round(self) -> Self {
            const MODE: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
            Self(isa!($round::<MODE>(self.0)))
        }
        #[inline(always)]
        fn greater_or(self, other: Self) -> Self {
            Self(isa!($max(self.0, other.0)))
        }
        #[inline(always)]
        fn less_or(self, other: Self) -> Self {
            Self(isa!($min(self.0, other.0)))
        }
        #[inline(always)]
        fn lt(self, other: Self) -> $Mask {
            $Mask(isa!($cmp::<_CMP_LT_OQ>(self.0, other.0)))
        }
        #[inline(always)]
        fn le(self, other: Self) -> $Mask {
            $Mask(isa!($cmp::<_CMP_LE_OQ>(self.0, other.0)))
        }
        #[inline(always)]
        fn eq(self, other: Self) -> $Mask {
            $Mask(isa!($cmp::<_CMP_EQ_OQ>(self.0, other.0)))
        }
        #[inline(always)]
        fn bit_and(self, other: Self) -> Self {
            Self(isa!($and(self.0, other.0)))
        }
        #[inline(always)]
        fn bit_or(self, other: Self) -> Self {
            Self(isa!($or(self.0, other.0)))
        }
        #[inline(always)]
        fn bit_xor(self, other: Self) -> Self {
            Self(isa!($xor(self.0, other.0)))
        }
        #[inline(always)]
        fn int_add(self, other: Self) -> Self {
            Self(isa!($from_int($int_add($to_int(self.0), $to_int(other.0)))))
        }
        #[inline(always)]
        fn int_sub(self, other: Self) -> Self {
            Self(isa!($from_int($int_sub($to_int(self.0), $to_int(other.0)))))
        }
        #[inline(always)]
        fn shift_to_exponent(self) -> Self {
            Self(isa!($from_int($shl::<$mantissa>($to_int(self.0)))))
        }
        #[inline(always)]
        fn shift_eighths_to_exponent(self) -> Self {
            Self(isa!($from_int($shl::<{ $mantissa - 3 }>($to_int(self.0)))))
        }
        #[inline(always)]
        fn shift_from_exponent(self) -> Self {
            Self(isa!($from_int($shr::<$mantissa>($to_int(self.0)))))
        }
        #[inline(always)]
        fn swap_lanes<const DISTANCE: usize>(self) -> Self {
            match DISTANCE {
                $($distance => Self(isa!($swap::<$control>(self.0, self.0))),)*
                _ => unreachable!("no lane at this distance"),
            }
        }
        #[inline(always)]
        fn first(self) -> $element {
            isa!($first(self.0))
        }
    };
}
pub(super) use common_methods;
