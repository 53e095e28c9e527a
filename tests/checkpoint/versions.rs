//! Checkpoints of every version so far are read, and those of a later one say who wrote them.

use core::ops::ControlFlow::{Break, Continue};
use deltarule::{Checkpoint, Error, Every, Trainer};

use super::Temporary;
use super::common::bits;
use super::training::{averaging_trainer, data, fit, trainer};

const VERSION_1: &[u8] = include_bytes!("../golden/version_1.checkpoint");
const VERSION_2: &[u8] = include_bytes!("../golden/version_2.checkpoint");
const VERSION_3: &[u8] = include_bytes!("../golden/version_3.checkpoint");

/// Made the golden files: 2 epochs and 2 of 3 steps of the next.
#[test]
#[ignore = "writes a file beside the golden ones"]
fn write_the_golden_file() {
    let (mut trainer, data) = (averaging_trainer(), data());
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/new.checkpoint");
    let broken = fit(&mut trainer, &data)
        .checkpoint(path, Every::Epochs(9))
        .on_step(|step| if step.time.step < 7 { Continue(()) } else { Break(()) });
    broken.run().unwrap();
}

#[test]
fn every_version_is_read() {
    type File = (u8, &'static [u8], fn() -> Trainer);
    let versions: [File; 3] =
        [(1, VERSION_1, trainer), (2, VERSION_2, trainer), (3, VERSION_3, averaging_trainer)];
    for (version, file, trainer) in versions {
        assert_eq!(file[8], version);
        let data = data();
        let checkpoint = Checkpoint::from_bytes(file).unwrap();
        assert_eq!(checkpoint.steps(), 8);
        let mut resumed = trainer();
        let history = fit(&mut resumed, &data).resume(checkpoint.clone()).run().unwrap();
        assert_eq!(history.epochs().len(), 4);
        // Written and read again it goes on in the same way.
        let again = Checkpoint::from_bytes(&checkpoint.to_bytes()).unwrap();
        let mut other = trainer();
        fit(&mut other, &data).resume(again).run().unwrap();
        assert_eq!(bits(other.network().parameters()), bits(resumed.network().parameters()));
        // No other file has an average.
        assert_eq!(checkpoint.average().is_some(), version == 3);
    }
}

#[test]
fn an_average_goes_on_from_a_file() {
    let checkpoint = Checkpoint::from_bytes(VERSION_3).unwrap();
    let mut trainer = averaging_trainer();
    trainer.restore(&checkpoint).unwrap();
    let average = trainer.average().unwrap();
    assert_eq!((average.updates(), trainer.steps()), (6, 8));
    let (of_file, own) = (checkpoint.average().unwrap(), average.network());
    assert_eq!(bits(own.parameters()), bits(of_file.parameters()));
    assert_eq!(bits(own.statistics()), bits(of_file.statistics()));
    assert_ne!(bits(own.parameters()), bits(trainer.network().parameters()));
}

#[test]
fn a_later_version_says_who_wrote_it() {
    let mut bytes = VERSION_1.to_vec();
    bytes[8] = 4;
    bytes[12..28].copy_from_slice(b"7.8.9\0\0\0\0\0\0\0\0\0\0\0");
    let error = Checkpoint::<f32>::from_bytes(&bytes).unwrap_err();
    let (format, written_by) = ("checkpoint", "7.8.9".to_owned());
    assert_eq!(error, Error::Version { format, version: 4, written_by, newest: 3 });
    assert!(error.to_string().contains("written by deltarule 7.8.9"), "{error}");
    bytes[8] = 0;
    bytes[12..17].copy_from_slice(b"\x1b[31m");
    let error = Checkpoint::<f32>::from_bytes(&bytes).unwrap_err();
    let written_by = "?[31m".to_owned();
    assert_eq!(error, Error::Version { format, version: 0, written_by, newest: 3 });
}

/// The golden file with other bytes in its header, and more or fewer of its numbers.
fn forged(old: &[u8], new: &[u8], numbers: isize) -> Vec<u8> {
    let length = |at: usize| u64::from_le_bytes(VERSION_1[at..at + 8].try_into().unwrap()) as usize;
    let (header, body) = VERSION_1[44..VERSION_1.len() - 4].split_at(length(28));
    let at = header.windows(old.len()).position(|part| part == old).expect("it is there");
    let header = [&header[..at], new, &header[at + old.len()..]].concat();
    let mut body = body.to_vec();
    body.resize((body.len() as isize + 4 * numbers) as usize, 0);
    let mut bytes = VERSION_1[..28].to_vec();
    bytes.extend((header.len() as u64).to_le_bytes());
    bytes.extend((body.len() as u64).to_le_bytes());
    bytes.extend([header, body].concat());
    bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
    bytes
}

#[test]
fn what_does_not_fit_together_is_named() {
    let refused = |old: &[u8], new: &[u8], numbers, message: &str| {
        let error = Checkpoint::<f32>::from_bytes(&forged(old, new, numbers)).unwrap_err();
        assert!(error.to_string().ends_with(message), "{error}");
    };
    refused(b"fstates", b"fstates", 1, "it has more numbers than its layers");
    refused(b"fstates", b"fstates", -1, "numbers left");
    refused(b"fstates\x02", b"fstates\x04", 0, "no optimizer has 4 states");
    refused(b"ebatch\x06", b"ebatch\x08", 0, "its epochs, batches and steps do not fit together");
    let header = &VERSION_1[44..];
    let last = &header[..u64::from_le_bytes(VERSION_1[28..36].try_into().unwrap()) as usize];
    refused(last, &[last, b"\xf6"].concat(), 0, "something follows its header");
}

#[test]
fn states_that_the_optimizer_has_not_change_nothing() {
    let mut trainer = trainer();
    let count = trainer.network().parameters().len() as isize;
    let one = forged(b"fstates\x02", b"fstates\x01", -count);
    let before = bits(trainer.network().parameters());
    let error = trainer.restore(&Checkpoint::from_bytes(&one).unwrap()).unwrap_err();
    assert_eq!(error, Error::Length { argument: "states", expected: 2, actual: 1 });
    assert_eq!(bits(trainer.network().parameters()), before);
}

#[test]
fn a_file_that_is_no_good_is_named() {
    let file = Temporary::new("no good");
    let problem = |bytes: &[u8]| {
        std::fs::write(&file.0, bytes).unwrap();
        let error = Checkpoint::<f32>::read(&file.0).unwrap_err();
        let Error::InFile { path, error } = error else { panic!("{error}") };
        assert_eq!(path, file.0);
        error.to_string()
    };
    assert!(problem(b"PK").contains("does not begin as one"));
    assert!(problem(&VERSION_1[..20]).contains("it ends after 20 bytes"));
    assert!(problem(&VERSION_1[..VERSION_1.len() - 1]).contains("before its end"));
    assert!(problem(&[VERSION_1, b"x"].concat()).contains("1 bytes follow its end"));
    let mut flipped = VERSION_1.to_vec();
    flipped[200] ^= 4;
    assert!(problem(&flipped).contains("checksum"));
    let error = Checkpoint::<f64>::from_bytes(VERSION_1).unwrap_err().to_string();
    assert!(error.contains("its numbers are f32, not f64"), "{error}");
    let error = Checkpoint::<f32>::read("no such file").unwrap_err();
    assert!(matches!(&error, Error::File { .. }), "{error}");
    assert!(error.to_string().starts_with("no such file: "), "{error}");
}
