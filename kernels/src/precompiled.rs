//! Kernels that this crate compiles for f32 and f64.
//!
//! A generic function is compiled by every crate that calls it, for each of its element types and
//! here for each ISA besides. So what is generic and public only checks its arguments, and the
//! loops behind it are methods of the two element types, which are compiled once, here.

/// Arguments that were checked. The methods can be called from anywhere, but this can be made only
/// here: so no safe code reaches a kernel that relies on them without the checks.
pub struct Checked<T>(pub(crate) T);

/// Declares a trait of kernels, and implements it for f32 and f64 by generic functions.
macro_rules! precompiled {
    (
        $(#[$attribute:meta])*
        $Trait:ident: $(
            fn $name:ident($($argument:ident: $Type:ty),* $(,)?) $(-> $Return:ty)? = $body:expr;
        )+
    ) => {
        $(#[$attribute])*
        #[doc(hidden)]
        pub trait $Trait: Sized {
            $(
                #[doc(hidden)]
                #[allow(clippy::too_many_arguments, private_interfaces)]
                fn $name($($argument: $Type),*) $(-> $Return)?
                where
                    Self: crate::Element;
            )+
        }

        $crate::precompiled::precompiled! {
            @implement $Trait for f32: $(fn $name($($argument: $Type),*) $(-> $Return)? = $body;)+
        }
        $crate::precompiled::precompiled! {
            @implement $Trait for f64: $(fn $name($($argument: $Type),*) $(-> $Return)? = $body;)+
        }
    };
    (
        @implement $Trait:ident for $element:ident: $(
            fn $name:ident($($argument:ident: $Type:ty),*) $(-> $Return:ty)? = $body:expr;
        )+
    ) => {
        impl $Trait for $element {
            $(
                #[allow(private_interfaces)]
                fn $name($($argument: $Type),*) $(-> $Return)? {
                    $body($($argument),*)
                }
            )+
        }
    };
}
pub(crate) use precompiled;
