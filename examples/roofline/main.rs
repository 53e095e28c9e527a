//! Where this machine's limits are, and how near the kernels come to them.
//!
//! ```text
//! cargo run --release --example roofline -- --gemm
//! cargo run --release --example roofline -- --gemm --quick --threads 1 --json
//! cargo run --release --example roofline -- --gemm --sweep
//! cargo run --release --example roofline -- --elementwise
//! cargo run --release --example roofline -- --elementwise --kernel optimizers --json
//! ```
//!
//! Every row is a race: the contestants and the limit take turns, and what is printed are medians
//! of ratios within a turn. So a clock that changes, or a neighbour on the machine, meets them all
//! alike. The limit of a matrix product is a burst of multiply-adds in registers, that of
//! any other kernel a plain one with the same reads and writes.

#[path = "../../benches/common/mod.rs"]
mod common;
mod elementwise;
mod gemm;
mod race;
mod summary;
#[path = "../../benches/workloads/mod.rs"]
mod workloads;

use clap::{Parser, ValueEnum};
use deltarule_kernels::Isa;
use std::process::ExitCode;

/// Times the kernels beside the machine's limits, the naive loops and other crates.
#[derive(Parser)]
struct Options {
    /// Matrix products.
    #[arg(long, required_unless_present = "elementwise", conflicts_with = "elementwise")]
    gemm: bool,
    /// Everything else: functions, activations, losses, norms, dropout, optimizers, sums.
    #[arg(long)]
    elementwise: bool,
    /// With --elementwise: only the kernels of this group, or whose names start so.
    #[arg(long, requires = "elementwise")]
    kernel: Option<String>,
    /// With --gemm: ours alone, with 64 rows, 512 steps of k, and from 1 to 512 columns.
    #[arg(long, requires = "gemm")]
    sweep: bool,
    /// Print a list of JSON objects instead of a table.
    #[arg(long)]
    json: bool,
    /// Numbers of threads.
    #[arg(long, value_delimiter = ',', default_value = "1,2", value_parser = at_least_one)]
    threads: Vec<usize>,
    /// avx512, avx2 or portable, for our kernels and the peak; the peers choose for themselves.
    #[arg(long)]
    isa: Option<String>,
    /// Elements.
    #[arg(long, value_delimiter = ',', default_value = "f32")]
    element: Vec<ElementName>,
    /// Fewer rows and fewer turns.
    #[arg(long)]
    quick: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum ElementName {
    F32,
    F64,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("at least 1 is needed".to_owned()),
        Ok(threads) => Ok(threads),
        Err(error) => Err(format!("{error}")),
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    let isa = match &options.isa {
        Some(name) => Isa::named(name),
        None => Isa::active(),
    };
    let run = if options.elementwise { elementwise::run } else { gemm::run };
    let result = isa.map_err(Into::into).and_then(|isa| run(isa, &options));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("roofline: {error}");
            ExitCode::FAILURE
        }
    }
}

/// This machine's CPU, as far as it tells.
fn cpu_name() -> String {
    let name = std::fs::read_to_string("/proc/cpuinfo").ok().and_then(|text| {
        let line = text.lines().find(|line| line.starts_with("model name"))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    });
    name.unwrap_or(std::env::consts::ARCH.to_owned())
}
