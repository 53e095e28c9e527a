//! Weights come from PyTorch and go to it, and networks come back as they were.
#![cfg(feature = "safetensors")]

#[path = "network/common.rs"]
mod common;
#[path = "golden/mod.rs"]
mod golden;

use common::{bits, zoo, zoo_rows};
use deltarule::{
    Activation, Categorical, Element, Error, Layer, Loss, Network, NetworkBuilder, Notes,
};
use golden::Golden;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView, serialize};
use std::collections::HashMap;

const GOLDEN: &str = include_str!("golden/state_dicts.txt");

fn golden_file(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/state_dicts");
    std::fs::read(format!("{folder}/{name}.safetensors")).unwrap()
}

/// The first network of `state_dicts.py`.
fn plain<E: Element>() -> Network<E> {
    NetworkBuilder::<E>::new(3)
        .dense(4, Activation::Gelu)
        .batch_norm()
        .dropout(0.2)
        .dense_without_bias(3, Activation::Identity)
        .layer_norm()
        .build()
        .unwrap()
}

/// The second.
fn nested<E: Element>() -> Network<E> {
    let by = |column, categories, dimensions| Categorical { column, categories, dimensions };
    NetworkBuilder::<E>::new(3)
        .embedding([by(1, 3, 2), by(0, 2, 1)])
        .dense(3, Activation::Identity)
        .residual(|block| {
            block
                .layer(Layer::LayerNorm { epsilon: 1e-5, affine: false })
                .dense(3, Activation::Relu)
                .residual(|block| block.dense(3, Activation::Identity))
        })
        .layer(Layer::BatchNorm { momentum: 0.1, epsilon: 1e-5, affine: false })
        .dense(1, Activation::Identity)
        .build()
        .unwrap()
}

fn check<E: Element>(mut network: Network<E>, file: &str, prefix: &str, tolerance: f64) {
    network.copy_state_dict(&golden_file(file), prefix).unwrap();
    let golden = Golden::parse(GOLDEN);
    let y = network.predict(&golden.get::<E>(file, "x")).unwrap();
    golden.check(file, file, "y", &y, tolerance);
}

#[test]
fn what_pytorch_has_saved() {
    for (file, prefix) in
        [("plain_f64", ""), ("plain_f32", ""), ("plain_bf16", ""), ("plain_f16", "body.")]
    {
        check::<f64>(plain(), file, prefix, 1e-13);
        check::<f32>(plain(), file, prefix, 1e-5);
    }
    check::<f64>(nested(), "nested", "", 1e-13);
    check::<f32>(nested(), "nested", "", 1e-5);
}

/// Name, shape and, but for the count of batches, numbers.
type Tensors = HashMap<String, (Vec<usize>, Option<Vec<u8>>)>;

fn tensors(bytes: &[u8]) -> Tensors {
    let tensors = SafeTensors::deserialize(bytes).unwrap();
    let numbers =
        |tensor: &TensorView<'_>| (tensor.dtype() != Dtype::I64).then(|| tensor.data().to_vec());
    let of = |(name, tensor): (&str, TensorView<'_>)| {
        (name.to_owned(), (tensor.shape().to_vec(), numbers(&tensor)))
    };
    tensors.iter().map(of).collect()
}

#[test]
fn what_pytorch_loads_has_the_tensors_that_it_saves() {
    for (mut network, file) in [(plain::<f64>(), "plain_f64"), (nested(), "nested")] {
        let saved = golden_file(file);
        network.copy_state_dict(&saved, "").unwrap();
        let written = network.to_safetensors().unwrap();
        assert_eq!(tensors(&written), tensors(&saved));
        let (_, metadata) = SafeTensors::read_metadata(&written).unwrap();
        assert_eq!(metadata.metadata().as_ref().unwrap()["format"], "pt");
    }
}

/// The file without the tensors of this name.
fn without(bytes: &[u8], name: &str) -> Vec<u8> {
    let (_, metadata) = SafeTensors::read_metadata(bytes).unwrap();
    let tensors = SafeTensors::deserialize(bytes).unwrap();
    let left = tensors.iter().filter(|(other, _)| !other.ends_with(name));
    serialize(left, metadata.metadata().clone()).unwrap()
}

#[test]
fn a_file_without_a_tensor() {
    // Older versions of PyTorch count no batches.
    let mut network = plain::<f64>();
    network
        .copy_state_dict(&without(&golden_file("plain_f64"), "num_batches_tracked"), "")
        .unwrap();
    let bytes = network.to_safetensors().unwrap();
    let error = Network::<f64>::from_safetensors(&without(&bytes, "running_var")).unwrap_err();
    assert!(error.to_string().contains("it has no tensor `2.running_var`"), "{error}");
}

/// The file with other names in the place of those of the modules.
fn renamed(bytes: &[u8], modules: &[(&str, &str)]) -> Vec<u8> {
    let tensors = SafeTensors::deserialize(bytes).unwrap();
    let renamed = tensors.iter().map(|(name, tensor)| {
        let (module, of_module) = name.rsplit_once('.').unwrap();
        let new = modules.iter().find(|(old, _)| *old == module).unwrap().1;
        (format!("{new}.{of_module}"), tensor)
    });
    serialize(renamed.collect::<Vec<_>>(), None).unwrap()
}

#[test]
fn modules_of_any_names() {
    let saved = golden_file("plain_f64");
    let names = [("0", "net.fc1"), ("2", "net.bn"), ("4", "net.out.fc"), ("5", "net.out.norm")];
    let file = renamed(&saved, &names);
    let mut wanted = plain::<f64>();
    wanted.copy_state_dict(&saved, "").unwrap();
    for (prefix, modules) in [
        ("", ["net.fc1", "net.bn", "net.out.fc", "net.out.norm"]),
        ("net.", ["fc1", "bn", "out.fc", "out.norm"]),
    ] {
        let mut network = plain::<f64>();
        network.copy_named_state_dict(&file, prefix, &modules).unwrap();
        assert_eq!(bits(network.parameters()), bits(wanted.parameters()));
        assert_eq!(bits(network.statistics()), bits(wanted.statistics()));
    }
    let saved = golden_file("nested");
    let names = ["0.0", "0.1", "1", "2.1", "2.3.0", "3", "4"].map(|old| (old, format!("m{old}")));
    let file = renamed(&saved, &names.each_ref().map(|(old, new)| (*old, new.as_str())));
    let (mut network, mut wanted) = (nested::<f64>(), nested::<f64>());
    network.copy_named_state_dict(&file, "", &names.map(|(_, new)| new)).unwrap();
    wanted.copy_state_dict(&saved, "").unwrap();
    assert_eq!(bits(network.parameters()), bits(wanted.parameters()));
    let path = std::env::temp_dir().join(format!("deltarule-{}.named", std::process::id()));
    std::fs::write(&path, file).unwrap();
    let error = network.load_named_state_dict(&path, "", &["fc1", "fc2"]).unwrap_err();
    assert!(matches!(&error, Error::InFile { path: named, .. } if *named == path), "{error}");
    let expected = "`modules` names 2, but the network has 7: `0.0`, `0.1`, `1`, `2.1` and 3 more";
    assert!(error.to_string().ends_with(expected), "{error}");
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn wrong_names_are_told_the_right_ones() {
    let names = [("0", "net.fc1"), ("2", "net.bn"), ("4", "net.fc2"), ("5", "net.norm")];
    let file = renamed(&golden_file("plain_f64"), &names);
    let error = |prefix| plain::<f64>().copy_state_dict(&file, prefix).unwrap_err().to_string();
    let expected = "the network's tensors are `0.weight`, `0.bias`, `2.weight`, `2.bias` and 6 \
                    more; `load_named_state_dict` is for modules of other names";
    assert!(error("").ends_with(expected), "{}", error(""));
    assert!(error("").contains("no place for its tensor `net.bn.bias`"), "{}", error(""));
    assert!(error("body.").contains("are `body.0.weight`, `body.0.bias`"), "{}", error("body."));
    assert!(error("net").ends_with("; the prefix is perhaps `net.`"), "{}", error("net"));
}

/// For `state_dicts.py FOLDER`.
#[test]
#[ignore = "writes files"]
fn write_for_pytorch() {
    for (mut network, file, name) in
        [(plain::<f64>(), "plain_f64", "plain"), (nested(), "nested", "nested")]
    {
        network.copy_state_dict(&golden_file(file), "").unwrap();
        let path = std::env::temp_dir().join(format!("{name}.safetensors"));
        network.save_safetensors(path).unwrap();
    }
}

fn comes_back<E: Element>() {
    for (name, builder) in zoo::<E>() {
        let mut network = builder.build().unwrap();
        for statistic in network.statistics_mut() {
            *statistic += E::HALF;
        }
        let again = Network::<E>::from_safetensors(&network.to_safetensors().unwrap()).unwrap();
        assert_eq!(again.specification(), network.specification());
        assert_eq!(bits(again.parameters()), bits(network.parameters()), "{name}");
        assert_eq!(bits(again.statistics()), bits(network.statistics()), "{name}");
        let x = zoo_rows(3, 1);
        assert_eq!(bits(&again.predict(&x).unwrap()), bits(&network.predict(&x).unwrap()));
    }
}

#[test]
fn every_network_comes_back() {
    comes_back::<f32>();
    comes_back::<f64>();
    let narrow =
        Network::<f32>::from_safetensors(&plain::<f64>().to_safetensors().unwrap()).unwrap();
    let rounded: Vec<f32> = plain::<f64>().parameters().iter().map(|&x| x as f32).collect();
    assert_eq!(narrow.parameters(), rounded);
}

#[test]
fn what_no_tensor_holds_is_refused() {
    let affine = |affine| Layer::LayerNorm { epsilon: 1e-5, affine };
    for (index, value, is_kept) in
        [(1, 2.0, true), (3, -1.0, true), (1, 2.0, false), (3, -1.0, false)]
    {
        let builder = Network::<f32>::builder(2).layer(affine(is_kept));
        let mut network = builder.build().unwrap();
        network.parameters_mut()[index] = value;
        match (network.to_safetensors(), is_kept) {
            (Ok(_), true) => {}
            (Err(Error::OutOfRange { value: named, .. }), false) => {
                assert_eq!(named, f64::from(value));
            }
            (other, _) => panic!("{other:?}"),
        }
    }
}

/// As deep as blocks may lie in each other.
#[test]
fn nested_blocks_come_back() {
    let nested = |depth| {
        (0..depth).fold(Layer::dense(2, Activation::Tanh), |inner, _| Layer::Residual(vec![inner]))
    };
    let network = Network::<f32>::builder(2).layer(nested(32)).build().unwrap();
    let again = Network::<f32>::from_safetensors(&network.to_safetensors().unwrap()).unwrap();
    assert_eq!(again.specification(), network.specification());
    let error = Network::<f32>::builder(2).layer(nested(33)).build().unwrap_err();
    let text = "`depth of residual blocks` is 33, but it must be at most 32";
    assert_eq!(error.to_string(), text);
}

#[test]
fn a_file_is_mapped_and_named() {
    let path = std::env::temp_dir().join(format!("deltarule-{}.safetensors", std::process::id()));
    let network = plain::<f32>();
    network.save_safetensors(&path).unwrap();
    let mut again = Network::<f32>::load_safetensors(&path).unwrap();
    assert_eq!(bits(again.parameters()), bits(network.parameters()));
    again.parameters_mut().fill(0.0);
    again.load_state_dict(&path, "").unwrap();
    assert_eq!(bits(again.parameters()), bits(network.parameters()));
    let error = nested::<f32>().load_state_dict(&path, "").unwrap_err();
    assert!(matches!(&error, Error::InFile { path: named, .. } if *named == path), "{error}");
    std::fs::remove_file(&path).unwrap();
    let error = Network::<f32>::load_safetensors(&path).unwrap_err();
    assert!(matches!(&error, Error::File { path: named, .. } if *named == path), "{error}");
    let error = network.save_safetensors(path.join("under a file")).unwrap_err();
    assert!(matches!(&error, Error::File { .. }), "{error}");
}

#[test]
fn what_does_not_fit_is_named() {
    let bytes = [0; 12 * 8];
    let view = |dtype, shape: &[usize]| {
        let length = shape.iter().product::<usize>() * dtype_bytes(dtype);
        TensorView::new(dtype, shape.to_vec(), &bytes[..length]).unwrap()
    };
    let mut network = Network::builder(3).dense(4, Activation::Identity).build().unwrap();
    let before = bits(network.parameters());
    let mut problem = |tensors: &[(&str, TensorView<'_>)], prefix: &str| {
        let file = serialize(tensors.iter().map(|(name, view)| (*name, view)), None).unwrap();
        let error = network.copy_state_dict(&file, prefix).unwrap_err();
        assert_eq!(bits(network.parameters()), before);
        error.to_string()
    };
    let (weight, bias) = (view(Dtype::F32, &[4, 3]), view(Dtype::F32, &[4]));
    let (weight, bias) = (("0.weight", weight), ("0.bias", bias));
    let error = problem(std::slice::from_ref(&weight), "");
    assert!(error.ends_with("it has no tensor `0.bias`"), "{error}");
    let error = problem(&[weight.clone(), bias.clone(), ("1.weight", weight.1.clone())], "");
    let modules = |count| format!("; it has tensors of {count} modules, and the network of 1");
    let expected = format!("has no place for its tensor `1.weight`{}", modules(2));
    assert!(error.ends_with(&expected), "{error}");
    let error = problem(&[weight.clone(), bias.clone()], "body.");
    assert!(error.contains(&format!("it has no tensor `body.0.weight`{}", modules(0))), "{error}");
    let elsewhere = ["10.weight", "2.weight"].map(|name| (name, weight.1.clone()));
    let error = problem(&[&elsewhere[..], std::slice::from_ref(&bias)].concat(), "");
    let expected =
        "it has no tensor `0.weight`, and the network has no place for its tensor `2.weight`";
    assert!(error.contains(&format!("{expected}{}", modules(3))), "{error}");
    // The shape is what differs first, whatever comes after it.
    let deeper = [("0.bias", view(Dtype::F32, &[2])), ("2.weight", weight.1.clone())];
    let error = problem(&deeper, "");
    assert!(
        error.ends_with(&format!("`0.bias` is [2], but [4] is needed{}", modules(2))),
        "{error}"
    );
    let error = problem(&[("0.weight", view(Dtype::F32, &[3, 4])), bias.clone()], "");
    assert!(error.ends_with("`0.weight` is [3, 4], but [4, 3] is needed"), "{error}");
    let error = problem(&[weight, ("0.bias", view(Dtype::I64, &[4]))], "");
    assert!(error.ends_with("`0.bias` is of I64, not of floats"), "{error}");
    // The library takes the last of two.
    let tensor = r#""0.weight":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#;
    let header = format!("{{{tensor},{tensor}}}");
    let twice = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0; 4]].concat();
    let mut one = Network::builder(1).dense_without_bias(1, Activation::Identity).build().unwrap();
    let error = one.copy_state_dict(&twice, "").unwrap_err().to_string();
    assert!(error.contains("`0.weight` is there twice"), "{error}");
    let error = Network::<f32>::from_safetensors(&golden_file("plain_f32")).unwrap_err();
    assert!(error.to_string().contains("it has no layers"), "{error}");
}

#[test]
fn what_is_no_file_is_named() {
    let directory = std::env::temp_dir();
    let empty = directory.join(format!("deltarule-empty-{}.safetensors", std::process::id()));
    std::fs::write(&empty, []).unwrap();
    for (path, problem) in [(&directory, "is a directory"), (&empty, "the file is empty")] {
        let error = Network::<f32>::load_safetensors(path).unwrap_err();
        assert!(matches!(error, Error::File { .. }), "{error}");
        assert_eq!(error.to_string(), format!("{}: {problem}", path.display()));
    }
    std::fs::remove_file(&empty).unwrap();
    let error = Network::<f32>::from_safetensors(b"PK\x03\x04 and so on").unwrap_err();
    assert!(error.to_string().contains("`safetensors.torch.save_file`"), "{error}");
}

fn dtype_bytes(dtype: Dtype) -> usize {
    if dtype == Dtype::F32 { 4 } else { 8 }
}

#[test]
fn a_later_version_says_who_wrote_it() {
    let error = |config: &str| {
        let metadata = HashMap::from([("deltarule".to_owned(), config.to_owned())]);
        let file = serialize(Vec::<(&str, TensorView<'_>)>::new(), Some(metadata)).unwrap();
        Network::<f32>::from_safetensors(&file).unwrap_err()
    };
    for (by, written_by) in [("7.8.9", "7.8.9"), ("7.8.9-with-a-long-name", "7.8.9-with-a-lon")] {
        let (format, written_by) = ("safetensors", written_by.to_owned());
        assert_eq!(
            error(&format!(r#"{{"version": 2, "written_by": "{by}", "graph": []}}"#)),
            Error::Version { format, version: 2, written_by, newest: 1 }
        );
    }
    let unknown = error(r#"{"written_by": "7.8.9"}"#).to_string();
    assert!(unknown.ends_with("\"deltarule\" in its metadata has no version"), "{unknown}");
}

#[test]
fn notes_travel_with_a_network() {
    let network = plain::<f32>();
    let path = std::env::temp_dir().join(format!("deltarule_notes_{}", std::process::id()));
    let loss = Loss::Huber { threshold: 0.1 };
    let notes = Notes::new().with("loss", &loss).unwrap().with("a \"name\"\n", "ÿ\0").unwrap();
    let notes = notes.with("numbers", &[0.1, f64::MIN_POSITIVE]).unwrap();
    network.save_safetensors_with(&path, &notes).unwrap();
    let (again, found) = Network::<f32>::load_safetensors_with(&path).unwrap();
    assert_eq!(bits(again.parameters()), bits(network.parameters()));
    assert_eq!(found, notes);
    assert_eq!(found.get::<Loss>("loss").unwrap(), loss);
    assert_eq!(found.get::<String>("a \"name\"\n").unwrap(), "ÿ\0");
    assert_eq!(found.get::<Vec<f64>>("numbers").unwrap(), [0.1, f64::MIN_POSITIVE]);

    // Who does not ask for them need not know of them, and other programs find them.
    let again = Network::<f32>::load_safetensors(&path).unwrap();
    assert_eq!(again.specification(), network.specification());
    let bytes = std::fs::read(&path).unwrap();
    let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
    let metadata = metadata.metadata().as_ref().unwrap();
    assert_eq!(metadata["numbers"], "[0.1,2.2250738585072014e-308]");
    assert_eq!(metadata["format"], "pt");

    // Another network in the file's place has only its own.
    network.save_safetensors(&path).unwrap();
    assert_eq!(Network::<f32>::load_safetensors_with(&path).unwrap().1, Notes::new());
    std::fs::remove_file(&path).unwrap();
    let gone = Network::<f32>::load_safetensors_with(&path).unwrap_err();
    assert!(matches!(gone, Error::File { path: which, .. } if which == path));
}

#[test]
fn a_note_that_is_no_good_says_why() {
    let said = |error: Error| {
        assert!(matches!(error, Error::Note { .. }));
        error.to_string()
    };
    for name in ["deltarule", "format"] {
        let error = Notes::new().with(name, &0).unwrap_err();
        let wanted = "can't have this name, which means something else in the file";
        assert_eq!(said(error), format!("the note `{name}` {wanted}"));
    }
    let pairs = HashMap::from([((1, 2), 3)]);
    let error = said(Notes::new().with("pairs", &pairs).unwrap_err());
    assert_eq!(error, "the note `pairs` can't be JSON: key must be a string");
    let error = said(Notes::new().get::<u8>("seed").unwrap_err());
    assert_eq!(error, "the note `seed` is missing: there are no notes");
    let notes = Notes::new().with("seed", &300).unwrap().with("seed", &-1).unwrap();
    let error = said(notes.get::<u8>("seed").unwrap_err());
    assert!(error.starts_with("the note `seed` is not of the type asked for: "), "{error}");
    // What another program wrote need not be JSON.
    let metadata = HashMap::from([("by".to_owned(), "hand".to_owned())]);
    let bytes = plain::<f32>().to_safetensors().unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let (_, own) = SafeTensors::read_metadata(&bytes).unwrap();
    let metadata = own.metadata().clone().unwrap().into_iter().chain(metadata).collect();
    let bytes = serialize(file.tensors(), Some(metadata)).unwrap();
    let (_, notes) = Network::<f32>::from_safetensors_with(&bytes).unwrap();
    assert!(said(notes.get::<String>("by").unwrap_err()).contains("not of the type asked for"));
}

#[cfg(feature = "data")]
#[test]
fn a_service_needs_one_file() {
    use deltarule::data::{Scaling, csv::Csv, csv::Schema};
    use deltarule::{Optimizer, Predictor, Trainer};

    // Where it is trained.
    let table = "kind,size,price\na,1,10\nb,2,20\na,3,30\nb,500,5000\n";
    let schema = Csv::regression("price").learn(table.as_bytes()).unwrap();
    let mut rows = schema.read::<f32>(table.as_bytes()).unwrap();
    let scaling = Scaling::standard(rows.features(), rows.columns()).unwrap();
    rows.scale(&scaling).unwrap();
    let network = Network::builder(rows.columns()).dense(1, Activation::Identity).build().unwrap();
    let loss = Loss::MeanSquaredError;
    let mut trainer = Trainer::builder(network, loss, Optimizer::adam(0.1)).build().unwrap();
    trainer.fit(&rows).epochs(3).run().unwrap();
    let notes = Notes::new().with("schema", &schema).unwrap().with("scaling", &scaling).unwrap();
    let file = trainer.network().to_safetensors_with(&notes).unwrap();

    // Where it serves.
    let (network, notes) = Network::<f32>::from_safetensors_with(&file).unwrap();
    let (schema, scaling): (Schema, Scaling) =
        (notes.get("schema").unwrap(), notes.get("scaling").unwrap());
    let predictor = Predictor::builder(&network).scaling(&scaling).build().unwrap();
    let row =
        schema.features_of::<f32>(|column| Some(if column == "size" { "3" } else { "a" })).unwrap();
    let price = predictor.predict(&row).unwrap();
    let own = Predictor::builder(trainer.network()).scaling(&scaling).build().unwrap();
    assert_eq!(bits(&price), bits(&own.predict(&row).unwrap()));
}
