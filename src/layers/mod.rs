//! The layers: their shapes, where their parameters lie, and which kernels they call.

mod dense;

pub use dense::LayerRef;
pub(crate) use dense::{Block, Dense};
