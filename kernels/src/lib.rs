//! SIMD kernels for multi-layer perceptrons: slices in, slices out.
//!
//! Nothing here knows what a layer is, and nothing allocates. Every kernel is one generic body,
//! run on the instruction set that its [`Isa`] argument stands for, and is compared in the tests
//! with its naive counterpart in [`mod@reference`].

pub mod activation;
mod dispatch;
mod element;
mod elementwise;
mod error;
pub mod gemm;
mod lanes;
mod lockstep;
pub mod loss;
pub mod math;
pub mod norm;
pub mod optimizer;
mod precompiled;
pub mod random;
pub mod reduce;
pub mod reference;
#[cfg(test)]
mod sweep;
#[cfg(test)]
mod testing;
mod view;

pub use dispatch::{ISA_VARIABLE, Isa, IsaError};
pub use element::Element;
pub use error::ShapeError;
pub use view::{MatMut, MatRef};
