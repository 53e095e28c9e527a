//! Where this machine's limits are, and how near the kernels come to them.
//!
//! ```text
//! cargo run --release --example roofline -- --gemm
//! cargo run --release --example roofline -- --gemm --quick --threads 1 --json
//! ```
//!
//! Every row is a race: the contestants and a burst of multiply-adds in registers, which is the
//! peak, take turns, and what is printed are medians of ratios within a turn. So a clock that
//! changes, or a neighbour on the machine, meets them all alike.

#[path = "../../benches/common/mod.rs"]
mod common;
mod gemm;
mod race;
mod summary;

use clap::{Parser, ValueEnum};
use deltarule_kernels::Isa;
use std::process::ExitCode;

/// Times the kernels beside the machine's limits, the naive loops and other crates.
#[derive(Parser)]
struct Options {
    /// Matrix products.
    #[arg(long, required = true)]
    gemm: bool,
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
    let result = isa.map_err(Into::into).and_then(|isa| gemm::run(isa, &options));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("roofline: {error}");
            ExitCode::FAILURE
        }
    }
}
