//! Models that keep their numbers in files beside them.

use super::bodies::{ONNX, Reader, Use};
use deltarule::Network;
use std::fs;
use std::path::PathBuf;

/// The bytes as a model in a folder of their own, in which there is what [`set_up`] has put there.
pub(crate) const BESIDE: Reader = Reader { name: "onnx beside", read, ..ONNX };

/// The bytes of `large.data`.
pub(crate) const LARGE: usize = 1 << 18;

fn folder() -> PathBuf {
    std::env::temp_dir().join(format!("deltarule-hostile-{}", std::process::id()))
}

/// Where the model is.
pub(crate) fn model_path() -> PathBuf {
    folder().join("model.onnx")
}

/// Makes the folder, with the golden model's numbers and more.
pub(crate) fn set_up(numbers: &[u8]) -> PathBuf {
    let folder = folder();
    fs::create_dir_all(folder.join("folder.data")).unwrap();
    fs::write(folder.join("pytorch_external.onnx.data"), numbers).unwrap();
    fs::write(folder.join("large.data"), vec![0; LARGE]).unwrap();
    folder
}

fn read(bytes: &[u8]) -> Use {
    let path = model_path();
    fs::write(&path, bytes).unwrap();
    drop(Network::<f64>::load_onnx(&path));
    let network = Network::<f32>::load_onnx(&path);
    Box::new(move || {
        if let Ok((network, _)) = network
            && network.inputs() < 1 << 12
        {
            let _ = network.predict(&vec![0.0; network.inputs()]);
        }
    })
}
