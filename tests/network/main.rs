//! The network API as a user sees it. One binary, because each would compile every kernel again.

mod averages;
mod bad_builders;
mod bad_input;
mod class_weights;
mod common;
mod diagnostics;
#[path = "../golden/mod.rs"]
mod golden;
mod golden_hashes;
mod gradients;
mod groups;
mod init;
mod layers;
mod optimizers;
mod own_loss;
mod predictor;
mod pytorch;
mod row_weights;
mod same_bits;
mod spans;
