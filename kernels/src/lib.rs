//! SIMD kernels for multi-layer perceptrons: slices in, slices out.
//!
//! Nothing here knows what a layer is, and nothing allocates. Every kernel is one generic body,
//! run on the instruction set that its [`Isa`] argument stands for, and is compared in the tests
//! with its naive counterpart in [`mod@reference`].
//!
//! # Feature `blas`
//! Off by default. With it, a [`gemm::Gemm`] of more than 128³ multiply-adds goes to a system
//! CBLAS with 32-bit integers (OpenBLAS, BLIS, MKL, Accelerate), if that knows its strides: for
//! those who have one that is tuned to their machine. This crate declares the functions; linking
//! the library is the user's. With Debian's `libopenblas-dev`, a program's build script says
//!
//! ```
//! println!("cargo::rustc-link-lib=openblas");
//! ```
//!
//! or a whole build is run with `RUSTFLAGS="-lopenblas"`. For the products that go there, these
//! promises no longer hold:
//! - the same bits on every ISA and for any number of threads (the library picks its own order of
//!   sums, and ignores the [`Isa`] argument; α multiplies the sum, not A);
//! - a row of a batch has the bits of that row alone;
//! - no allocation and no threads but the caller's (OpenBLAS has a pool of its own:
//!   `OPENBLAS_NUM_THREADS=1` turns it off).
//!
//! `Gemm::blas(false)` keeps a product on this crate's kernels.

pub mod activation;
mod aligned;
mod dispatch;
mod element;
mod elementwise;
mod error;
pub mod gemm;
mod lanes;
pub mod limits;
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

pub use aligned::{Aligned, PAGE};
pub use dispatch::{ISA_VARIABLE, Isa, IsaError};
pub use element::Element;
pub use error::ShapeError;
pub use view::{MatMut, MatRef};
