//! Models come from PyTorch and scikit-learn, and go to ONNX Runtime.
#![cfg(feature = "onnx")]

#[path = "network/common.rs"]
mod common;
#[path = "golden/mod.rs"]
mod golden;

use common::{ZOO_INPUTS, bits, sample, zoo, zoo_rows};
use core::fmt::Write as _;
use deltarule::kernels::activation::RowActivation;
use deltarule::kernels::math::Function;
use deltarule::{Activation, Categorical, Element, Error, Head, Layer, Network, NetworkBuilder};
use golden::Golden;
use std::fs;
use std::io::ErrorKind::NotFound;
use std::path::PathBuf;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");

fn read(path: &str) -> Vec<u8> {
    fs::read(format!("{FOLDER}/{path}.onnx")).unwrap()
}

/// What the model with this network and head gives.
fn run<E: Element>((network, head): &(Network<E>, Head), x: &[E]) -> Vec<E> {
    let mut y = network.predict(x).unwrap();
    let shape = (y.len() / network.outputs(), network.outputs());
    let function = match head {
        Head::None => return y,
        Head::Sigmoid => {
            Activation::Sigmoid.forward_in_place(network.isa(), &mut y);
            return y;
        }
        Head::Exp => {
            Function::Exp.evaluate_in_place(network.isa(), &mut y);
            return y;
        }
        Head::Softmax => RowActivation::Softmax,
        Head::LogSoftmax => RowActivation::LogSoftmax,
    };
    function.forward_in_place(network.isa(), shape, &mut y).unwrap();
    y
}

fn check<E: Element>(golden: &Golden, case: &str, file: &str, tolerance: f64) {
    let model = Network::<E>::load_onnx(format!("{FOLDER}/{file}.onnx"));
    let model = model.unwrap_or_else(|error| panic!("{case}: {error}"));
    let y = run(&model, &golden.get::<E>(case, "x"));
    golden.check(file, case, "y", &y, tolerance);
}

#[test]
fn what_pytorch_and_scikit_learn_write() {
    let golden = Golden::parse(include_str!("golden/models.txt"));
    assert!(golden.0.len() >= 20);
    for case in golden.0.keys() {
        let file = format!("models/{case}");
        // The golden values are of f32, and scikit-learn's weights are rounded to it.
        check::<f32>(&golden, case, &file, 1e-5);
        check::<f64>(&golden, case, &file, 1e-5);
    }
}

#[test]
fn the_nodes_of_onnx_backend_tests() {
    let golden = Golden::parse(include_str!("golden/nodes.txt"));
    assert!(golden.0.len() >= 45);
    for case in golden.0.keys() {
        check::<f32>(&golden, case, &format!("nodes/{case}"), 2e-6);
    }
}

#[test]
fn layers_are_recognized() {
    let dense = |outputs, activation| Layer::dense(outputs, activation);
    use Activation::{
        Clip, Elu, Gelu, GeluTanh, HardSigmoid, HardSwish, Identity, LeakyRelu, Mish, Relu, Selu,
        Sigmoid, Silu, Softplus, Tanh,
    };
    let activations = [
        Relu,
        Gelu,
        GeluTanh,
        Silu,
        Mish,
        Softplus,
        HardSwish,
        HardSigmoid,
        Elu { alpha: 0.5 },
        Selu,
        LeakyRelu { slope: 0.1 },
        Sigmoid,
        Tanh,
    ];
    for (file, affine) in [("pytorch_11", false), ("pytorch_17", true), ("pytorch_dynamo", true)] {
        let (network, head) = Network::<f32>::from_onnx(&read(&format!("models/{file}"))).unwrap();
        let mut layers: Vec<Layer> = activations.iter().map(|&it| dense(4, it)).collect();
        let block = vec![
            // Since opset 17 there are constants of 1 and 0.
            Layer::LayerNorm { epsilon: 1e-5, affine },
            Layer::dense_without_bias(4, Relu),
        ];
        layers.extend([Layer::batch_norm(), Layer::layer_norm(), Layer::Residual(block)]);
        layers.push(dense(3, Identity));
        assert_eq!(network.specification(), layers, "{file}");
        assert_eq!((network.inputs(), head), (4, Head::Softmax));
    }
    for file in ["pytorch_clip_9", "pytorch_clip_11", "pytorch_clip_dynamo"] {
        let network = Network::<f32>::from_onnx(&read(&format!("models/{file}"))).unwrap().0;
        let clip = |low, high| dense(3, Clip { low, high });
        let layers = [clip(0.0, 6.0), clip(-1.0, 1.0), clip(-0.3, 2.0)];
        assert_eq!(network.specification(), layers, "{file}");
    }
    let (network, head) = Network::<f32>::from_onnx(&read("models/pytorch_training")).unwrap();
    let layers =
        [Layer::dense_without_bias(4, Relu), Layer::Dropout { rate: 0.25 }, dense(2, Identity)];
    assert_eq!((network.specification(), head), (&layers[..], Head::None));
    let two = Network::<f32>::from_onnx(&read("models/classifier_two_maps")).unwrap().0;
    assert_eq!(two.specification(), [dense(5, Tanh), dense(2, Sigmoid)]);
}

/// Networks that are written, all in f32: the zoo, each activation, and the heads.
fn networks() -> Vec<(String, Network, Head)> {
    let zoo =
        zoo::<f32>().into_iter().map(|(name, builder)| (name.replace([' ', ','], "_"), builder));
    let mut networks: Vec<_> =
        zoo.map(|(name, builder)| (name, builder.build().unwrap(), Head::None)).collect();
    for (_, network, _) in &mut networks {
        for (statistic, more) in network.statistics_mut().iter_mut().zip(sample::<f32>(100, 9)) {
            *statistic += more * 0.5;
        }
    }
    let of_activation = |activation: Activation| {
        let builder = Network::builder(ZOO_INPUTS).seed(1).dense(8, activation);
        builder.activation(activation).dense(4, Activation::Identity).build().unwrap()
    };
    for &activation in Activation::ALL {
        let name = format!("of_{}", activation.name());
        networks.push((name, of_activation(activation), Head::None));
    }
    networks.push(("softmax".to_owned(), of_activation(Activation::Relu), Head::Softmax));
    networks.push(("log_softmax".to_owned(), of_activation(Activation::Tanh), Head::LogSoftmax));
    networks.push(("sigmoid".to_owned(), of_activation(Activation::Silu), Head::Sigmoid));
    networks.push(("exp".to_owned(), of_activation(Activation::Gelu), Head::Exp));
    networks
}

/// For `models.py FOLDER`.
#[test]
#[ignore = "writes files"]
fn write_for_onnx_runtime() {
    let folder: PathBuf = std::env::temp_dir().join("deltarule-exports");
    fs::create_dir_all(&folder).unwrap();
    let mut rows = String::new();
    for (name, network, head) in networks() {
        network.save_onnx(folder.join(format!("{name}.onnx")), head).unwrap();
        let x: Vec<String> = zoo_rows::<f32>(5, 1).iter().map(f32::to_string).collect();
        writeln!(rows, "case {name}\nx {}", x.join(" ")).unwrap();
    }
    fs::write(folder.join("rows.txt"), rows).unwrap();
}

/// The distance in units in the last place of the largest element of a row.
fn ulp(got: &[f32], wanted: &[f32], columns: usize) -> f64 {
    let rows = got.chunks(columns).zip(wanted.chunks(columns));
    let of_row = rows.map(|(got, wanted)| {
        let largest = wanted.iter().fold(f32::MIN_POSITIVE, |largest, x| largest.max(x.abs()));
        let unit = f64::from(largest.next_up() - largest);
        let errors = got.iter().zip(wanted).map(|(a, b)| (f64::from(*a) - f64::from(*b)).abs());
        errors.fold(0.0, f64::max) / unit
    });
    of_row.fold(0.0, f64::max)
}

#[test]
fn onnx_runtime_gives_the_same() {
    let golden = Golden::parse(include_str!("golden/exports.txt"));
    let networks = networks();
    assert_eq!(networks.len(), golden.0.len());
    for (name, network, head) in networks {
        // What was checked and run is what is written.
        assert_eq!(network.to_onnx(head), read(&format!("exports/{name}")), "{name}");
        let (x, y) = (golden.get::<f32>(&name, "x"), golden.get::<f32>(&name, "y"));
        let columns = network.outputs();
        let error = ulp(&run(&(network, head), &x), &y, columns);
        println!("{name}: {error:.1} ulp");
        assert!(error <= 32.0, "{name}: {error} ulp");
    }
}

#[test]
fn what_is_written_is_read() {
    for (name, network, head) in networks() {
        let again = Network::<f32>::from_onnx(&network.to_onnx(head)).unwrap();
        let x = zoo_rows::<f32>(5, 1);
        assert_eq!(bits(&run(&again, &x)), bits(&run(&(network, head), &x)), "{name}");
    }
    let columns = [Categorical { column: 1, categories: 3, dimensions: 2 }];
    let embedding = Network::builder(2).embedding(columns).build().unwrap();
    let (again, _) = Network::<f32>::from_onnx(&embedding.to_onnx(Head::None)).unwrap();
    assert_eq!(again.specification(), embedding.specification());
    // A bound of f64 is not rounded to f32.
    let clip = Activation::Clip { low: -0.1, high: f64::MAX };
    let network = NetworkBuilder::<f64>::new(2).activation(clip).build().unwrap();
    let (again, _) = Network::<f64>::from_onnx(&network.to_onnx(Head::None)).unwrap();
    assert_eq!(again.specification(), network.specification());
    let network = NetworkBuilder::<f64>::new(2).dense(3, Activation::Mish).build().unwrap();
    let (again, _) = Network::<f64>::from_onnx(&network.to_onnx(Head::None)).unwrap();
    assert_eq!(bits(again.parameters()), bits(network.parameters()));
}

#[test]
fn a_file_is_named() {
    let path = std::env::temp_dir().join(format!("deltarule-{}.onnx", std::process::id()));
    let network = Network::builder(2).dense(3, Activation::Relu).build().unwrap();
    network.save_onnx(&path, Head::None).unwrap();
    let (again, _) = Network::<f32>::load_onnx(&path).unwrap();
    assert_eq!(bits(again.parameters()), bits(network.parameters()));
    fs::write(&path, [1, 2, 3]).unwrap();
    let error = Network::<f32>::load_onnx(&path).unwrap_err();
    assert!(matches!(&error, Error::InFile { path: named, .. } if *named == path), "{error}");
    fs::remove_file(&path).unwrap();
    let error = Network::<f32>::load_onnx(&path).unwrap_err();
    assert!(matches!(&error, Error::File { path: named, .. } if *named == path), "{error}");
}

#[test]
fn weights_are_read_from_a_file_beside_the_model() {
    let file = "models/pytorch_external";
    let folder = std::env::temp_dir().join(format!("deltarule-beside-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let model = folder.join("renamed.onnx");
    let data = folder.join("pytorch_external.onnx.data");
    let numbers = fs::read(format!("{FOLDER}/{file}.onnx.data")).unwrap();
    fs::write(&model, read(file)).unwrap();
    let load = || Network::<f32>::load_onnx(&model).map(|(network, _)| network);
    let in_model = |result: Result<Network, Error>| match result {
        Err(Error::InFile { path, error }) if path == model => *error,
        other => panic!("{other:?}"),
    };
    let in_data = |result: Result<Network, Error>| match in_model(result) {
        Error::InFile { path, error } if path == data => error.to_string(),
        other => panic!("{other}"),
    };
    let missing = in_model(load());
    assert!(
        matches!(&missing, Error::File { path, kind: NotFound, .. } if *path == data),
        "{missing}"
    );
    fs::create_dir(&data).unwrap();
    assert!(in_model(load()).to_string().ends_with("this is not a regular file"));
    fs::remove_dir(&data).unwrap();
    fs::write(&data, &numbers).unwrap();
    let parameters = load().unwrap().parameters().to_vec();
    let first = numbers.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes));
    assert_eq!(bits(&parameters[..5 * 64]), bits(&first.take(5 * 64).collect::<Vec<_>>()));
    fs::write(&data, &numbers[..numbers.len() - 1]).unwrap();
    let cut = "`2.weight` has 1280 bytes from byte 1280 on, but the file has 2559";
    assert!(in_data(load()).ends_with(cut));
    fs::write(&data, &numbers).unwrap();
    fs::write(&model, replaced(file, b"length\x12\x041280", b"length\x12\x041276")).unwrap();
    let wrong = "`0.weight` has 1276 bytes, but its shape [64, 5] needs 1280";
    assert!(in_data(load()).ends_with(wrong));
    // The second weights begin within the first.
    fs::write(&model, replaced(file, b"offset\x12\x041280", b"offset\x12\x041279")).unwrap();
    let unaligned = load().unwrap();
    assert_ne!(bits(unaligned.parameters()), bits(&parameters));
    fs::write(&model, replaced(file, b"pytorch_external.onnx.data", b"../orch_external.onnx.data"))
        .unwrap();
    let escape = in_model(load()).to_string();
    assert!(
        escape.contains("which is not the plain name of a file in the same folder"),
        "{escape}"
    );
    fs::remove_dir_all(&folder).unwrap();
    // Bytes have no folder.
    let error = Network::<f32>::from_onnx(&read(file)).unwrap_err().to_string();
    assert!(
        error.contains("`0.weight` are in another file, `pytorch_external.onnx.data`: read")
            && error.contains("`Network::load_onnx`")
            && error.contains("`external_data=False`"),
        "{error}"
    );
}

/// A model with other bytes in the place of some, of the same length.
fn replaced(file: &str, old: &[u8], new: &[u8]) -> Vec<u8> {
    assert_eq!(old.len(), new.len());
    let mut bytes = read(file);
    let places: Vec<usize> =
        (0..=bytes.len() - old.len()).filter(|&at| bytes[at..].starts_with(old)).collect();
    assert!(!places.is_empty(), "{file} has nothing to replace");
    for at in places {
        bytes[at..at + new.len()].copy_from_slice(new);
    }
    bytes
}

#[test]
fn what_is_not_read_is_named() {
    let refused = |bytes: &[u8]| Network::<f32>::from_onnx(bytes).unwrap_err().to_string();
    let error = refused(&replaced("exports/of_relu", b"Relu", b"Sqrt"));
    assert!(error.contains("`1.relu` (Sqrt): this operator is not read here"), "{error}");
    let error = refused(&replaced("exports/of_relu", b"transB", b"transA"));
    assert!(error.contains("(Gemm): its transA is not 0"), "{error}");
    let error = refused(&replaced("exports/of_relu", b"0.bias", b"2.bias"));
    assert!(error.contains("its tensor `2.bias` is there twice"), "{error}");
    let error = refused(&read("exports/of_gelu")[..40]);
    assert!(error.starts_with("no valid ONNX file"), "{error}");
    let error = refused(&replaced("models/pytorch_17", b"alpha", b"gamma"));
    assert!(error.contains("(HardSigmoid): this operator is not read here"), "{error}");
}
