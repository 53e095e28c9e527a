//! Random masks from a counter: the mask of an element depends on nothing but its place.
//!
//! ```
//! use deltarule_kernels::{Isa, random::{Dropout, MaskStream}};
//! let stream = MaskStream { seed: 42, step: 1, layer: 0 };
//! let dropout = Dropout { rate: 0.25, stream };
//! let mut x = [3.0f32; 10_000];
//! dropout.apply(Isa::detect(), 0, 100, &mut x)?;
//! let dropped = x.iter().filter(|&&x| x == 0.0).count();
//! assert!((2300..2700).contains(&dropped));
//! assert_eq!(x.iter().filter(|&&x| x == 4.0).count(), 10_000 - dropped); // 3/(1 − ¼)
//! # Ok::<(), deltarule_kernels::ShapeError>(())
//! ```

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
