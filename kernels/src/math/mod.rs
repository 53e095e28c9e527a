//! Elementary functions: pure lane arithmetic, each with its error bound.

/// What the functions of this module need to know of a scalar: reduction constants and
/// polynomials, one trait a function.
pub trait Math {}

impl Math for f32 {}
impl Math for f64 {}
