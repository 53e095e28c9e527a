//! What outlives the process: files of weights, of models, and of trainings.

#[cfg(feature = "checkpoint")]
mod checkpoint;
#[cfg(any(feature = "checkpoint", feature = "onnx", feature = "safetensors"))]
mod numbers;
#[cfg(feature = "onnx")]
mod onnx;
#[cfg(any(feature = "checkpoint", feature = "onnx", feature = "safetensors"))]
mod replace;
#[cfg(feature = "safetensors")]
mod safetensors;

#[cfg(feature = "checkpoint")]
pub use checkpoint::{Checkpoint, Every};
#[cfg(feature = "checkpoint")]
pub(crate) use checkpoint::{Saving, Stand, Weights, check_described};
#[cfg(feature = "onnx")]
pub use onnx::Head;
#[cfg(feature = "checkpoint")]
pub(crate) use replace::check_directory;
#[cfg(feature = "safetensors")]
pub use safetensors::Notes;
