//! Random masks from a counter: the mask of an element depends on nothing but its place.

mod dropout;
mod philox;

pub use dropout::{Dropout, MaskStream};

use crate::Isa;
use crate::precompiled::precompiled;

precompiled! {
    /// The kernels of this module.
    RandomKernels:
    fn dropout(isa: Isa, kernel: dropout::Apply<'_, Self>) = Isa::run;
}
