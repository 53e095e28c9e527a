//! Train and serve multi-layer perceptrons on CPUs.
#![forbid(unsafe_code)]

pub use deltarule_kernels as kernels;
