//! A process that writes checkpoints is killed again and again, at moments that nobody chose.

use deltarule::{Activation, Checkpoint, Loss, Network, Optimizer, Trainer};
use std::env;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::Temporary;

/// Names the file to the process that writes.
const VARIABLE: &str = "DELTARULE_TEST_WRITES_CHECKPOINTS_TO";

fn trainer() -> Trainer {
    // A checkpoint of 400 KB, and one that is more than a write of a buffer.
    let network = Network::builder(64).dense(512, Activation::Identity).build().unwrap();
    Trainer::builder(network, Loss::MeanSquaredError, Optimizer::adam(0.1)).build().unwrap()
}

/// All numbers of checkpoint `number` are this number.
fn set(trainer: &mut Trainer, number: u64) {
    let count = trainer.network().parameters().len();
    let numbers = vec![number as f32; count];
    trainer.network_mut().parameters_mut().copy_from_slice(&numbers);
    trainer.resume(number, &[&numbers, &numbers]).unwrap();
}

/// Does nothing, unless it is the process that is to be killed.
#[test]
fn writes_until_it_is_killed() {
    let Ok(path) = env::var(VARIABLE) else { return };
    let mut trainer = trainer();
    let start = Checkpoint::<f32>::read(&path).unwrap().steps();
    // Whoever was to kill it may be gone.
    let end = Instant::now() + Duration::from_secs(60);
    for number in start + 1.. {
        set(&mut trainer, number);
        trainer.checkpoint().write(&path).unwrap();
        if Instant::now() > end {
            return;
        }
    }
}

/// The number of the checkpoint, which is whole.
fn number_of(path: &Path) -> u64 {
    let checkpoint = Checkpoint::<f32>::read(path).unwrap();
    let mut trainer = trainer();
    trainer.restore(&checkpoint).unwrap();
    let number = checkpoint.steps();
    let is_number = |numbers: &[f32]| numbers.iter().all(|&other| other == number as f32);
    assert!(is_number(trainer.network().parameters()));
    assert!(trainer.states().all(is_number));
    number
}

fn kill(times: u32) {
    let file = Temporary::new("killed");
    let mut first = trainer();
    set(&mut first, 0);
    first.checkpoint().write(&file.0).unwrap();
    let (mut number, mut torn) = (0, 0);
    for time in 0..times {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "kill::writes_until_it_is_killed"])
            .env(VARIABLE, &file.0)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        // It takes some milliseconds to begin, and then less than one or a few for a checkpoint.
        // On a busy machine that is not enough: as long as nothing was written, wait longer.
        let patience = if number == 0 { time.min(100) / 10 } else { 0 };
        let wait = 3_000 + u64::from(time.wrapping_mul(7919) % 20_000);
        sleep(Duration::from_micros(wait << patience));
        child.kill().unwrap();
        child.wait().unwrap();
        let after = number_of(&file.0);
        assert!(after >= number, "checkpoint {number} was there before {after}");
        number = after;
        torn += remove_torn(&file.0);
    }
    println!("killed {times} times, {torn} of them within a write, at checkpoint {number}");
    assert!(number > 0, "nothing was written");
}

/// Removes what killed writers have left, and says how much that was.
fn remove_torn(path: &Path) -> usize {
    let name = format!(".{}.", path.file_name().unwrap().to_str().unwrap());
    let entries = std::fs::read_dir(path.parent().unwrap()).unwrap();
    let torn = entries.filter_map(|entry| {
        let entry = entry.unwrap();
        entry.file_name().to_str().is_some_and(|it| it.starts_with(&name)).then(|| entry.path())
    });
    torn.map(|path| std::fs::remove_file(path).unwrap()).count()
}

#[test]
fn a_killed_writer_leaves_the_old_or_the_new_checkpoint() {
    kill(40);
}

#[test]
#[ignore = "takes minutes"]
fn a_writer_is_killed_many_times() {
    kill(5_000);
}
