//! SIMD kernels for multi-layer perceptrons: slices in, slices out.
//!
//! Nothing here knows what a layer is, and nothing allocates. Every kernel is one generic body,
//! run on the instruction set that its [`Isa`] argument stands for, and is compared in the tests
//! with its naive counterpart in [`mod@reference`].

pub mod activation;
mod dispatch;
mod element;
mod error;
pub mod gemm;
mod lanes;
pub mod limits;
pub mod loss;
mod math;
pub mod optimizer;
pub mod reduce;
pub mod reference;
mod view;

pub use dispatch::{ISA_VARIABLE, Isa, IsaError};
pub use element::Element;
pub use error::ShapeError;
pub use view::{MatMut, MatRef};
