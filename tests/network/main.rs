//! The network API as a user sees it. One binary, because each would compile every kernel again.

mod bad_input;
#[path = "../golden/mod.rs"]
mod cases;
mod common;
mod diagnostics;
mod golden;
mod gradients;
mod groups;
mod init;
mod layers;
mod optimizers;
mod pytorch;
mod same_bits;
