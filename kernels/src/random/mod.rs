//! Random masks from a counter: the mask of an element depends on nothing but its place.

mod dropout;
mod philox;

pub use dropout::{Dropout, MaskStream};
