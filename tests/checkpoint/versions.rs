//! Checkpoints of every version so far are read, and those of a later one say who wrote them.

use core::ops::ControlFlow::{Break, Continue};
use deltarule::{Checkpoint, Error, Every};

use super::Temporary;
use super::common::bits;
use super::training::{data, fit, trainer};

const VERSION_1: &[u8] = include_bytes!("../golden/version_1.checkpoint");
const VERSION_2: &[u8] = include_bytes!("../golden/version_2.checkpoint");

/// Made the golden files: 2 epochs and 2 of 3 steps of the next.
#[test]
#[ignore = "writes a file beside the golden ones"]
fn write_the_golden_file() {
    let (mut trainer, data) = (trainer(), data());
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/new.checkpoint");
    let broken = fit(&mut trainer, &data)
        .checkpoint(path, Every::Epochs(9))
        .on_step(|step| if step.time.step < 7 { Continue(()) } else { Break(()) });
    broken.run().unwrap();
}

#[test]
fn every_version_is_read() {
    for (version, file) in [(1, VERSION_1), (2, VERSION_2)] {
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
    }
}

#[test]
fn a_later_version_says_who_wrote_it() {
    let mut bytes = VERSION_1.to_vec();
    bytes[8] = 3;
    bytes[12..28].copy_from_slice(b"7.8.9\0\0\0\0\0\0\0\0\0\0\0");
    let error = Checkpoint::<f32>::from_bytes(&bytes).unwrap_err();
    let (format, written_by) = ("checkpoint", "7.8.9".to_owned());
    assert_eq!(error, Error::Version { format, version: 3, written_by, newest: 2 });
    assert!(error.to_string().contains("written by deltarule 7.8.9"), "{error}");
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
