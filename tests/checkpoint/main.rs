//! Trainings that are taken up again go on bit for bit, and a checkpoint is whole or not there.
#![cfg(feature = "checkpoint")]

#[path = "../network/common.rs"]
mod common;
mod kill;
mod resume;
#[allow(unreachable_pub, reason = "the fuzz targets use it too")]
#[path = "../../fuzz/training.rs"]
mod training;
mod versions;

use std::path::PathBuf;

/// A path in the system's directory for temporary files; what is there is deleted with it.
struct Temporary(PathBuf);

impl Temporary {
    fn new(name: &str) -> Self {
        let name = format!("deltarule-test-{}-{name}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // It may not be there.
        let _ = std::fs::remove_file(&self.0);
    }
}
