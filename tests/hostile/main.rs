//! Files that are cut off, damaged or made to do harm: an error, no panic, and no more memory than
//! is stated.
//!
//! The bodies are those of the fuzz targets, and `tests/corpus/` holds what fuzzing has found to be
//! worth keeping.
#![cfg(all(feature = "checkpoint", feature = "data", feature = "onnx", feature = "safetensors"))]

mod beside;
#[allow(unreachable_pub, reason = "it is a library of its own")]
#[path = "../../fuzz/bodies.rs"]
mod bodies;
mod made;

use beside::BESIDE;
use bodies::{CHECKPOINT, CHECKPOINT_INSIDE, CSV, IDX, NPY, ONNX, READERS, Reader, SAFETENSORS};
use peak_alloc::PeakAlloc;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Counts what was read.
#[derive(Default)]
struct Hostile {
    files: usize,
    /// The largest share of its bound that a reader took, and which.
    largest: (f64, &'static str),
}

impl Hostile {
    /// Reads these bytes.
    fn read(&mut self, reader: &Reader, bytes: &[u8]) {
        self.files += 1;
        let bound = (1 << 20) + reader.bytes_per_byte * bytes.len();
        let done = catch_unwind(AssertUnwindSafe(|| {
            MEMORY.reset_peak_usage();
            let before = MEMORY.current_usage();
            let usage = (reader.read)(bytes);
            let taken = MEMORY.peak_usage() - before;
            usage();
            taken
        }));
        let name = reader.name;
        let taken = match done {
            Ok(taken) => taken,
            Err(_) => panic!("{name} panics on {:?}", &bytes[..bytes.len().min(4096)]),
        };
        let count = bytes.len();
        let start = &bytes[..count.min(200)];
        assert!(taken <= bound, "{name} takes {taken} bytes for {count}, {start:?}");
        let share = taken as f64 / bound as f64;
        if share > self.largest.0 {
            self.largest = (share, name);
        }
    }

    /// Reads a good file cut off everywhere, and with each bit turned, or one of each byte of a
    /// long file.
    fn damage(&mut self, reader: &Reader, good: &[u8]) {
        self.read(reader, good);
        for end in 0..good.len() {
            self.read(reader, &good[..end]);
        }
        let mut bytes = good.to_vec();
        for place in 0..good.len() {
            for bit in 0..8 {
                if good.len() < 1000 || bit == place % 8 {
                    bytes[place] ^= 1 << bit;
                    self.read(reader, &bytes);
                    bytes[place] ^= 1 << bit;
                }
            }
            bytes[place] = if bytes[place] == 0xff { 0 } else { 0xff };
            self.read(reader, &bytes);
            bytes[place] = good[place];
        }
    }
}

/// The files in a folder under `tests/`, in order.
fn files(folder: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let mut paths: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

fn golden(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)).unwrap()
}

/// One test, so that no other takes memory meanwhile.
#[test]
fn every_reader_survives() {
    // Whatever is set up at the first use of a network is no reader's.
    (CHECKPOINT.read)(&golden("version_1.checkpoint"))();
    let mut hostile = Hostile::default();
    for reader in READERS {
        for bytes in files(&format!("corpus/{}", reader.name)) {
            hostile.read(&reader, &bytes);
        }
    }
    for (reader, name) in [
        (CHECKPOINT, "version_1.checkpoint"),
        (CHECKPOINT, "version_3.checkpoint"),
        (CHECKPOINT_INSIDE, "version_1.checkpoint"),
        (CHECKPOINT_INSIDE, "version_3.checkpoint"),
        (SAFETENSORS, "state_dicts/plain_f16.safetensors"),
        (ONNX, "models/classifier_two_maps.onnx"),
        (ONNX, "models/pytorch_training.onnx"),
        (ONNX, "exports/everything.onnx"),
        (NPY, "arrays/f8_version2.npy"),
    ] {
        hostile.damage(&reader, &golden(name));
    }
    hostile.damage(&SAFETENSORS, &bodies::trainer().network().to_safetensors().unwrap());
    hostile.damage(&IDX, &made::idx());
    hostile.damage(&CSV, b"a,b,y\n1,x,2\n,\"z\",3\n-1e5,x,4\n");
    hostile.damage(&CSV, b"a,b,y\n1,0.5,2\n3,0,-4e1\n"); // with numbers in b, which weighs rows
    for bytes in made::checkpoints() {
        hostile.read(&CHECKPOINT, &bytes);
        hostile.read(&CHECKPOINT_INSIDE, &bytes);
    }
    for bytes in made::safetensors() {
        hostile.read(&SAFETENSORS, &bytes);
    }
    for bytes in made::models() {
        hostile.read(&ONNX, &bytes);
    }
    let folder = beside::set_up(&golden("models/pytorch_external.onnx.data"));
    hostile.damage(&BESIDE, &golden("models/pytorch_external.onnx"));
    for bytes in made::models_beside() {
        hostile.read(&BESIDE, &bytes);
    }
    fs::remove_dir_all(folder).unwrap();
    let Hostile { files, largest: (share, name) } = hostile;
    println!("{files} files; at most {share:.2} of the memory that may be taken, by {name}");
}
