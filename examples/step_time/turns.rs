//! A contestant that takes turns with other processes, as `scripts/turns.py` says.

use std::error::Error;
use std::io;
use std::time::Instant;

/// Writes the name, and then for each line of standard input, a number of calls, the seconds that
/// these take.
pub(crate) fn take_turns(
    name: &str,
    mut call: impl FnMut() -> Result<(), Box<dyn Error>>,
) -> Result<(), Box<dyn Error>> {
    println!("{name}");
    for line in io::stdin().lines() {
        let calls: u64 = line?.trim().parse()?;
        let start = Instant::now();
        for _ in 0..calls {
            call()?;
        }
        println!("{}", start.elapsed().as_secs_f64());
    }
    Ok(())
}
