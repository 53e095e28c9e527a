//! A library that is timed in a process of its own, so that nobody else has to build it.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

/// The process, which takes numbers of calls and gives the seconds that these took.
pub(crate) struct Peer {
    process: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Peer {
    /// Builds `binary` of `benches/peers` and starts it on one thread; or says why there is none.
    pub(crate) fn start(binary: &str, arguments: &[&str]) -> Option<Self> {
        let mut command = Command::new(env!("CARGO"));
        let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers/Cargo.toml");
        command.args(["run", "--release", "--quiet", "--manifest-path", manifest]);
        command.args(["--bin", binary, "--", "--turns"]).args(arguments);
        command.env("RAYON_NUM_THREADS", "1").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = match command.spawn() {
            Ok(process) => process,
            Err(error) => {
                eprintln!("without {binary} of benches/peers: {error}");
                return None;
            }
        };
        let (to, from) = (process.stdin.take()?, BufReader::new(process.stdout.take()?));
        let mut peer = Self { process, to, from };
        let name = peer.line();
        if name.is_none() {
            eprintln!("without {binary} of benches/peers: it could not be built, or failed");
        }
        name.map(|_| peer)
    }

    /// The time of so many calls.
    pub(crate) fn time(&mut self, calls: u64) -> Duration {
        writeln!(self.to, "{calls}").expect("the peer reads");
        let seconds = self.line().and_then(|line| line.parse().ok());
        Duration::from_secs_f64(seconds.expect("the peer writes seconds"))
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        let length = self.from.read_line(&mut line).ok()?;
        (length > 0).then(|| line.trim().to_owned())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Whether this is `cargo bench`, and no test of the benches.
pub(crate) fn is_measuring() -> bool {
    env::args().any(|argument| argument == "--bench")
}
