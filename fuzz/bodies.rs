//! What is done with any bytes, by the fuzz targets beside this file and by `tests/hostile.rs`: no
//! reader may panic, and what it makes of the bytes can be used.

#[path = "training.rs"]
mod training;

use deltarule::data::csv::Csv;
use deltarule::data::{Array, ReadError, idx, npy};
use deltarule::{Activation, Checkpoint, Element, Head, Network, Result, Trainer};
pub use training::{averaging_trainer, data, fit, trainer};

/// What remains to be done when the reading is over.
pub type Use = Box<dyn FnOnce()>;

/// A reader, and the memory that it may take.
pub struct Reader {
    /// Its folder in the corpus.
    pub name: &'static str,
    /// Reads.
    pub read: fn(&[u8]) -> Use,
    /// For each byte of the file so many bytes, and 1 MiB.
    pub bytes_per_byte: usize,
}

/// All of them.
pub const READERS: [Reader; 7] = [CHECKPOINT, CHECKPOINT_INSIDE, SAFETENSORS, ONNX, IDX, NPY, CSV];

/// The bytes as they are.
pub const CHECKPOINT: Reader =
    Reader { name: "checkpoint", read: read_checkpoint, bytes_per_byte: 128 };
/// With lengths and checksum put right.
pub const CHECKPOINT_INSIDE: Reader =
    Reader { name: "checkpoint", read: read_checkpoint_inside, bytes_per_byte: 128 };
pub const SAFETENSORS: Reader =
    Reader { name: "safetensors", read: read_safetensors, bytes_per_byte: 256 };
pub const ONNX: Reader = Reader { name: "onnx", read: read_onnx, bytes_per_byte: 512 };
pub const IDX: Reader = Reader { name: "idx", read: read_idx, bytes_per_byte: 16 };
pub const NPY: Reader = Reader { name: "npy", read: read_npy, bytes_per_byte: 32 };
pub const CSV: Reader = Reader { name: "csv", read: read_csv, bytes_per_byte: 1024 };

/// The elements that arrays may have.
const MAX_ELEMENTS: usize = 1 << 16;

fn nothing() -> Use {
    Box::new(|| {})
}

/// A prediction, if that is no great work.
fn predict<E: Element>(network: &Network<E>) {
    if network.inputs() < 1 << 12 && network.parameters().len() < 1 << 16 {
        // A category may be out of range.
        let _ = network.predict(&vec![E::ZERO; network.inputs()]);
    }
}

fn read_checkpoint(bytes: &[u8]) -> Use {
    drop(Checkpoint::<f64>::from_bytes(bytes));
    let Ok(checkpoint) = Checkpoint::<f32>::from_bytes(bytes) else { return nothing() };
    Box::new(move || {
        predict(checkpoint.network());
        if let Some(average) = checkpoint.average() {
            predict(&average);
        }
        let again = Checkpoint::<f32>::from_bytes(&checkpoint.to_bytes());
        assert_eq!(again.map(|again| again.steps()), Ok(checkpoint.steps()));
        resume(trainer(), checkpoint.clone());
        resume(averaging_trainer(), checkpoint);
    })
}

fn read_checkpoint_inside(bytes: &[u8]) -> Use {
    const PREFIX: usize = 44;
    if bytes.len() < PREFIX + 4 {
        return nothing();
    }
    let mut bytes = bytes.to_vec();
    bytes[..12].copy_from_slice(b"\x89DELTA\r\n\x01\0\0\0");
    let inside = (bytes.len() - PREFIX - 4) as u64;
    let header = u64::from_le_bytes(bytes[28..36].try_into().unwrap()).min(inside);
    bytes[28..36].copy_from_slice(&header.to_le_bytes());
    bytes[36..44].copy_from_slice(&(inside - header).to_le_bytes());
    let checked = bytes.len() - 4;
    let checksum = crc32fast::hash(&bytes[..checked]);
    bytes[checked..].copy_from_slice(&checksum.to_le_bytes());
    read_checkpoint(&bytes)
}

/// Goes on from a checkpoint, if it is of this trainer's training.
fn resume(mut trainer: Trainer, checkpoint: Checkpoint) {
    let data = data();
    if let Ok(history) = fit(&mut trainer, &data).resume(checkpoint).run() {
        let _ = history.to_string();
        let _ = history.best();
    }
}

fn read_safetensors(bytes: &[u8]) -> Use {
    let layers = Network::builder(3).dense(4, Activation::Gelu).batch_norm().dropout(0.2);
    let layers = layers.dense_without_bias(3, Activation::Identity).layer_norm();
    let mut network = layers.build().unwrap();
    let before = network.parameters().to_vec();
    let taken = ["", "body."].map(|prefix| network.copy_state_dict(bytes, prefix));
    if taken.iter().all(Result::is_err) {
        assert_eq!(network.parameters(), before);
    }
    drop(Network::<f64>::from_safetensors(bytes));
    let Ok((network, notes)) = Network::<f32>::from_safetensors_with(bytes) else {
        return nothing();
    };
    Box::new(move || {
        predict(&network);
        let file = network.to_safetensors_with(&notes).unwrap();
        let (again, notes_again) = Network::<f32>::from_safetensors_with(&file).unwrap();
        assert_eq!(notes_again, notes);
        let bits = |x: &[f32]| x.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
        assert_eq!(bits(again.parameters()), bits(network.parameters()));
    })
}

fn read_onnx(bytes: &[u8]) -> Use {
    drop(Network::<f64>::from_onnx(bytes));
    let Ok((network, head)) = Network::<f32>::from_onnx(bytes) else { return nothing() };
    Box::new(move || {
        predict(&network);
        assert!(matches!(head, Head::None | Head::Softmax | Head::LogSoftmax | Head::Exp));
        // A momentum or the like may be none after it was rounded.
        let _ = Network::<f32>::from_onnx(&network.to_onnx(head));
    })
}

fn use_array(array: Result<Array<f32>, ReadError>) -> Use {
    let Ok(array) = array else { return nothing() };
    Box::new(move || {
        assert!(array.values().len() <= MAX_ELEMENTS);
        let _ = array.to_labels();
        let _ = array.clone().with_targets(array);
    })
}

fn read_idx(bytes: &[u8]) -> Use {
    drop(idx::read::<f64>(bytes, MAX_ELEMENTS));
    use_array(idx::read(bytes, MAX_ELEMENTS))
}

fn read_npy(bytes: &[u8]) -> Use {
    drop(npy::read::<f64>(bytes, MAX_ELEMENTS));
    use_array(npy::read(bytes, MAX_ELEMENTS))
}

fn read_csv(bytes: &[u8]) -> Use {
    let weighted = Csv::regressions(["y", "a"]).weight("b");
    for csv in [Csv::regression("y"), Csv::classification("y"), weighted] {
        // A field of one byte may become so many numbers.
        let csv = csv.max_categories(16);
        if let Ok(schema) = csv.learn(bytes) {
            drop(schema.read::<f32>(bytes));
        }
    }
    nothing()
}
