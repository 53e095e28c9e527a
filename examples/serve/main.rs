//! Serves predictions by HTTP while it learns.
//!
//! ```text
//! cargo run --release --features publish --example serve -- --inputs 2 --classes 2
//! curl localhost:3000/learn -H 'content-type: application/json' \
//!     -d '{"rows": [[0, 1]], "labels": [1]}'
//! curl localhost:3000/predict -H 'content-type: application/json' -d '{"rows": [[0, 1]]}'
//! curl localhost:3000/metrics
//! ```

mod app;
mod server;

use app::{Limits, service};
use clap::Parser;
use deltarule::{Activation, Loss, Network, Optimizer, Trainer};
use std::error::Error;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;

/// Serves predictions by HTTP while it learns.
///
/// `/predict` and `/learn` take JSON by POST: {"rows": [[…], …]}, and for `/learn` {"labels":
/// [class, …]} with them. `/healthz` tells whether both work, `/metrics` how. An interrupt lets
/// open requests and waiting lessons finish.
#[derive(Debug, Parser)]
struct Options {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:3000")]
    listen: SocketAddr,
    /// Numbers of a row
    #[arg(long, default_value_t = 64)]
    inputs: usize,
    /// Widths of the hidden layers
    #[arg(long, value_delimiter = ',', default_value = "128")]
    hidden: Vec<usize>,
    /// Classes
    #[arg(long, default_value_t = 10)]
    classes: usize,
    /// Learning rate of Adam
    #[arg(long, default_value_t = 1e-3)]
    learning_rate: f64,
    /// Seed of the weights
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The most connections at a time
    #[arg(long, default_value_t = 256)]
    max_connections: u32,
    /// The most seconds that a request may take
    #[arg(long, default_value_t = 10)]
    request_seconds: u32,
    /// The seconds after which a connection is closed
    #[arg(long, default_value_t = 600)]
    connection_seconds: u32,
    /// The most bytes of a request's body
    #[arg(long, default_value_t = 1 << 20)]
    max_body: usize,
    /// The most rows of a request
    #[arg(long, default_value_t = 256)]
    max_rows: usize,
    /// The most predictions at a time
    #[arg(long, default_value_t = 64)]
    max_predictions: usize,
    /// The most batches that wait to be learned
    #[arg(long, default_value_t = 16)]
    max_batches: usize,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let mut builder = Network::builder(options.inputs).seed(options.seed);
    for &width in &options.hidden {
        builder = builder.dense(width, Activation::Relu);
    }
    let network = builder.dense(options.classes, Activation::Identity).build()?;
    let optimizer = Optimizer::adam(options.learning_rate);
    let trainer = Trainer::builder(network, Loss::SoftmaxCrossEntropy, optimizer)
        .max_batch(options.max_rows)
        .build()?;
    let limits = Limits {
        connections: options.max_connections,
        request: Duration::from_secs(options.request_seconds.into()),
        connection: Duration::from_secs(options.connection_seconds.into()),
        body: options.max_body,
        rows: options.max_rows,
        predictions: options.max_predictions,
        batches: options.max_batches,
    };
    let (router, learner) = service(trainer, limits)?;
    let learning = std::thread::spawn(|| learner.run());
    let listener = TcpListener::bind(options.listen).await?;
    println!("listening on {}", listener.local_addr()?);
    server::serve(listener, router, limits, told_to_stop()).await;
    // The service is gone; what waits is learned, and then the thread ends.
    let last = learning.join().map_err(|_| "the thread that learns has panicked")?;
    println!("stopped at version {last}");
    Ok(())
}

/// Waits for an interrupt, or for what a supervisor sends to end a process.
async fn told_to_stop() {
    let interrupted = async {
        if let Err(error) = tokio::signal::ctrl_c().await {
            eprintln!("can't wait for an interrupt: {error}");
        }
    };
    #[cfg(unix)]
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(mut terminated) => tokio::select! {
            () = interrupted => {}
            _ = terminated.recv() => {}
        },
        Err(error) => {
            eprintln!("can't wait for SIGTERM: {error}");
            interrupted.await;
        }
    }
    #[cfg(not(unix))]
    interrupted.await;
}
