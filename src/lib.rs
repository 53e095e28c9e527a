#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod data;
mod diagnostics;
mod error;
mod fit;
mod formats;
mod init;
mod layers;
mod loss;
mod loss_rule;
pub mod metrics;
mod network;
mod optimizer;
mod predictor;
#[cfg(feature = "publish")]
mod published;
mod random;
#[cfg(feature = "report")]
mod report;
mod schedule;
mod targets;
mod trainer;

pub use deltarule_kernels as kernels;
pub use deltarule_kernels::activation::Activation;
pub use deltarule_kernels::gemm::Format as WeightFormat;
pub use deltarule_kernels::{Element, Isa};
pub use diagnostics::{Diagnostics, LayerHealth, ParameterNorms, Verdict};
pub use error::{Error, Result};
pub use fit::{
    EarlyStopping, End, Epoch, EpochEnd, Fit, History, Metric, Monitor, RangeCurve, RangePoint,
    RangeTest, Step, Time,
};
#[cfg(feature = "onnx")]
pub use formats::Head;
#[cfg(feature = "safetensors")]
pub use formats::Notes;
#[cfg(feature = "checkpoint")]
pub use formats::{Checkpoint, Every};
pub use init::{Distribution, Fan, Init};
pub use layers::{
    BatchNormRef, Categorical, DenseRef, EmbeddingRef, Layer, LayerNormRef, LayerRef,
};
pub use loss::{Loss, Reduction};
pub use loss_rule::{LossRule, Outcome};
pub use network::{Block, LayerSummary, Network, NetworkBuilder, Summary, Workspace};
pub use optimizer::{Decays, Optimizer, ParameterGroup, Stretch, UpdateRule};
pub use predictor::{Predictor, PredictorBuilder, Ranked};
#[cfg(feature = "publish")]
pub use published::{Published, Version};
#[cfg(feature = "report")]
pub use report::{Report, ReportError};
pub use schedule::{Plateau, ReduceOnPlateau, Schedule};
pub use targets::{Targets, WeightedTargets};
pub use trainer::{Averaging, Score, Trainer, TrainerBuilder, WeightAverage};
