//! Files that are made to do harm.

use super::beside::{self, LARGE};
use deltarule::{Activation, Categorical, Checkpoint, Head, Loss, Network, Optimizer, Trainer};

/// A good one, small.
pub(crate) fn idx() -> Vec<u8> {
    [&[0, 0, 0x0d, 2, 0, 0, 0, 2, 0, 0, 0, 1][..], &1.5f32.to_be_bytes(), &2.5f32.to_be_bytes()]
        .concat()
}

const HUGE: [u64; 6] = [1 << 20, 1 << 32, 1 << 40, 1 << 62, 1 << 63, u64::MAX];

/// Just so many that a vector that grows by doubling has room for twice as many.
const GROWN: usize = (1 << 17) + 1;

/// A checkpoint of this header, and of no numbers.
fn checkpoint(header: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x89DELTA\r\n\x01\0\0\x000.1.0\0\0\0\0\0\0\0\0\0\0\0".to_vec();
    bytes.extend((header.len() as u64).to_le_bytes());
    bytes.extend(0u64.to_le_bytes());
    bytes.extend(header);
    bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
    bytes
}

/// The header of a good one with other bytes in the place of some.
fn changed_header(old: &[u8], new: &[u8]) -> Vec<u8> {
    changed_header_of(&super::bodies::trainer(), old, new)
}

fn changed_header_of(trainer: &Trainer, old: &[u8], new: &[u8]) -> Vec<u8> {
    let good = trainer.checkpoint().to_bytes();
    let length = u64::from_le_bytes(good[28..36].try_into().unwrap()) as usize;
    let header = &good[44..44 + length];
    let at = header.windows(old.len()).position(|part| part == old).expect("it is there");
    [&header[..at], new, &header[at + old.len()..]].concat()
}

/// A CBOR integer.
fn cbor(major: u8, value: u64) -> Vec<u8> {
    [&[major << 5 | 27][..], &value.to_be_bytes()].concat()
}

pub(crate) fn checkpoints() -> Vec<Vec<u8>> {
    let mut files = Vec::new();
    // Its list of inputs has no numbers in the file.
    let column = Categorical { column: 0, categories: 1, dimensions: 1 };
    let embedding = Network::builder(2).embedding([column]).build().unwrap();
    let embedding = Trainer::builder(embedding, Loss::MeanSquaredError, Optimizer::sgd(0.1));
    let embedding = embedding.build().unwrap();
    for huge in HUGE {
        // Lengths of the header and of the numbers.
        for at in [28, 36] {
            let mut bytes = checkpoint(b"\xa0");
            bytes[at..at + 8].copy_from_slice(&huge.to_le_bytes());
            files.push(bytes);
        }
        // Strings of bytes, of text, arrays and maps.
        files.extend((2..6).map(|major| checkpoint(&cbor(major, huge))));
        // The text "layers" and the promise of an array; the inputs, the steps and the states.
        let layers = [b"flayers".as_slice(), &cbor(4, huge)].concat();
        files.push(checkpoint(&changed_header(b"flayers\x84", &layers)));
        for (name, old) in [("finputs", 1), ("esteps", 0), ("fstates", 2)] {
            let old = [name.as_bytes(), &[old]].concat();
            let new = [name.as_bytes(), &cbor(0, huge)].concat();
            files.push(checkpoint(&changed_header(&old, &new)));
        }
        let inputs = [b"finputs".as_slice(), &cbor(0, huge)].concat();
        files.push(checkpoint(&changed_header_of(&embedding, b"finputs\x02", &inputs)));
    }
    for depth in [100, 10_000, 100_000] {
        files.push(checkpoint(&vec![0x81; depth]));
        files.push(checkpoint(&vec![0xa1; depth]));
        files.push(checkpoint(&vec![0xc1; depth]));
        let blocks = b"\x81\xa1hResidual".repeat(depth / 10);
        let layers = [b"flayers".as_slice(), &blocks, b"\x80"].concat();
        files.push(checkpoint(&changed_header(b"flayers", &layers)));
    }
    // As much memory as a value of CBOR can take.
    files.push(checkpoint(&[cbor(4, GROWN as u64), vec![0; GROWN]].concat()));
    for bytes in &files {
        assert!(Checkpoint::<f32>::from_bytes(bytes).is_err());
    }
    files
}

/// A safetensors file with this header.
fn with_header(header: &str, numbers: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.resize(bytes.len() + numbers, 0);
    bytes
}

/// One without tensors, whose network has these layers.
fn with_layers(inputs: u64, layers: &str) -> Vec<u8> {
    let config =
        format!(r#"{{"version":1,"written_by":"0.1.0","inputs":{inputs},"layers":[{layers}]}}"#);
    let config = config.replace('"', "\\\"");
    with_header(&format!(r#"{{"__metadata__":{{"deltarule":"{config}"}}}}"#), 0)
}

pub(crate) fn safetensors() -> Vec<Vec<u8>> {
    let tensor = |name: &str, dtype: &str, shape: &str, offsets: &str| {
        format!(r#""{name}":{{"dtype":"{dtype}","shape":{shape},"data_offsets":{offsets}}}"#)
    };
    let good = tensor("0.weight", "F32", "[1]", "[0,4]");
    let mut files = vec![
        with_header(&format!("{{{good},{good}}}"), 4),
        with_header(&format!("{{{good},{}}}", tensor("0.bias", "F32", "[1]", "[0,4]")), 4),
        with_header(&format!("{{{}}}", tensor("0.weight", "F32", "[1]", "[4,0]")), 4),
        with_header(&format!("{{{}}}", tensor("0.weight", "F99", "[1]", "[0,4]")), 4),
        with_header(&format!("{{{}}}", tensor("0.weight", "F32", "[-1]", "[0,4]")), 4),
        with_header(&format!("{{{}}}", tensor("0.weight", "F32", "[1.5]", "[0,4]")), 4),
        with_header("[]", 0),
        with_header("{\"\u{0}\":{}}", 0),
    ];
    for huge in HUGE {
        let mut bytes = with_header("{}", 0);
        bytes[..8].copy_from_slice(&huge.to_le_bytes());
        files.push(bytes);
        for shape in [format!("[{huge}]"), format!("[{huge},{huge}]"), format!("[0,{huge}]")] {
            files.push(with_header(&format!("{{{}}}", tensor("a", "F32", &shape, "[0,4]")), 4));
            files.push(with_header(&format!("{{{}}}", tensor("a", "F32", &shape, "[0,0]")), 0));
        }
        let offsets = format!("[0,{huge}]");
        files.push(with_header(&format!("{{{}}}", tensor("a", "F32", "[1]", &offsets)), 4));
        // A layer without tensors may be a good network of any width; it must not take memory.
        for layers in [
            r#"{"Dense":{"outputs":1,"activation":"Relu","bias":true,"init":null}}"#,
            r#"{"LayerNorm":{"epsilon":1e-5,"affine":false}}"#,
            r#"{"BatchNorm":{"momentum":0.1,"epsilon":1e-5,"affine":false}}"#,
            r#"{"Activation":"Relu"}"#,
            r#"{"Embedding":{"columns":[{"column":0,"categories":1,"dimensions":1}],"init":null}}"#,
        ] {
            files.push(with_layers(huge, layers));
        }
        let dense = format!(
            r#"{{"Dense":{{"outputs":{huge},"activation":"Relu","bias":true,"init":null}}}}"#
        );
        files.push(with_layers(1, &dense));
    }
    let plain = r#"{"LayerNorm":{"epsilon":1e-5,"affine":false}}"#;
    files.push(with_layers(16_000, &vec![plain; 100].join(",")));
    for depth in [100, 10_000, 100_000] {
        files.push(with_header(&"[".repeat(depth), 0));
        files.push(with_header(&"{\"a\":".repeat(depth), 0));
        files.push(with_layers(1, &r#"{"Residual":["#.repeat(depth)));
        let closed = format!(
            "{}{}{}",
            r#"{"Residual":["#.repeat(depth),
            r#"{"Activation":"Relu"}"#,
            "]}".repeat(depth)
        );
        files.push(with_layers(1, &closed));
    }
    files
}

/// A field of bytes, or of a message.
fn field(tag: u8, bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    [&[tag << 3 | 2][..], &varint(bytes.len() as u64), bytes].concat()
}

fn number(tag: u64, value: u64) -> Vec<u8> {
    [varint(tag << 3), varint(value)].concat()
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push(value as u8 | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

fn node(operator: &str, inputs: &[&str], output: &str) -> Vec<u8> {
    let inputs = inputs.iter().flat_map(|input| field(1, input)).collect::<Vec<_>>();
    field(1, [inputs, field(2, output), field(4, operator)].concat())
}

/// A tensor of f32 with this shape.
fn tensor(name: &str, dims: &[u64], numbers: usize) -> Vec<u8> {
    let dims = dims.iter().flat_map(|&dim| number(1, dim)).collect::<Vec<_>>();
    field(5, [dims, number(2, 1), field(8, name), field(9, vec![0x3f; 4 * numbers])].concat())
}

fn scalar(name: &str) -> Vec<u8> {
    tensor(name, &[], 1)
}

/// A layer normalization without γ and β, of the one before or of `x`.
fn plain_norm(index: usize, x: &str) -> Vec<u8> {
    let before = format!("y{}", index.wrapping_sub(1));
    let x = if x.is_empty() { before.as_str() } else { x };
    let name = |suffix: &str| format!("{suffix}{index}");
    let mean = |input: &str, output: &str| {
        let axes = [field(1, "axes"), number(20, 7), number(8, -1i64 as u64)].concat();
        let inner = [field(1, input), field(2, output), field(4, "ReduceMean"), field(5, axes)];
        field(1, inner.concat())
    };
    [
        mean(x, &name("m")),
        node("Sub", &[x, &name("m")], &name("d")),
        node("Mul", &[&name("d"), &name("d")], &name("q")),
        mean(&name("q"), &name("v")),
        node("Add", &[&name("v"), "e"], &name("s")),
        node("Sqrt", &[&name("s")], &name("r")),
        node("Div", &[&name("d"), &name("r")], &name("y")),
    ]
    .concat()
}

/// A value that is rows of so many f32.
fn value(tag: u8, name: &str, columns: u64) -> Vec<u8> {
    let shape = [field(1, number(1, 1)), field(1, number(1, columns))].concat();
    let of_tensor = [number(1, 1), field(2, shape)].concat();
    field(tag, [field(1, name), field(2, field(1, of_tensor))].concat())
}

fn model(graph: Vec<u8>, columns: u64, output: &str) -> Vec<u8> {
    let graph = [graph, value(11, "x", columns), value(12, output, columns)].concat();
    [number(1, 9), field(8, number(2, 20)), field(7, graph)].concat()
}

pub(crate) fn models() -> Vec<Vec<u8>> {
    let mut files = Vec::new();
    let network = Network::builder(2).dense(2, Activation::Relu).build().unwrap();
    let good = network.to_onnx(Head::None);
    for huge in HUGE {
        for tag in [7, 8] {
            files.push([&[tag << 3 | 2][..], &varint(huge), &good].concat());
        }
        for dims in [vec![huge], vec![huge, huge], vec![0, huge], vec![1, huge]] {
            let graph = [tensor("w", &dims, 4), node("MatMul", &["x", "w"], "y")].concat();
            files.push(model(graph, 2, "y"));
            let graph = [tensor("w", &dims, 0), node("MatMul", &["x", "w"], "y")].concat();
            files.push(model(graph, 2, "y"));
        }
        files.push(model(node("Relu", &["x"], "y"), huge, "y"));
        files.push(model(node("LayerNormalization", &["x"], "y"), huge, "y"));
    }
    let w = || tensor("w", &[2, 2], 4);
    // The same numbers again and again, and what is in no order, or in a circle.
    let large = 4096u64;
    let plain_norms: Vec<u8> =
        (0..200).flat_map(|i| plain_norm(i, if i == 0 { "z" } else { "" })).collect();
    let wide_row = [tensor("w", &[2, 20_000], 40_000), node("MatMul", &["x", "w"], "z")].concat();
    let much = model([scalar("e"), wide_row, plain_norms].concat(), 2, "y199");
    let error = Network::<f32>::from_onnx(&much).unwrap_err().to_string();
    assert!(error.ends_with("its 40000 numbers are more than the file has"), "{error}");
    files.push(much);
    let square: Vec<u8> = (0..1000)
        .flat_map(|i| node("Add", &[&format!("v{i}"), "b"], &format!("v{}", i + 1)))
        .collect();
    let square = [node("MatMul", &["x", "w"], "v0"), square].concat();
    files.push(model([tensor("b", &[large], 4096), w(), square].concat(), 2, "v1000"));
    let shared: Vec<u8> = (0..10_000)
        .flat_map(|i| {
            let name = if i == 0 { "x".to_owned() } else { format!("v{i}") };
            node("MatMul", &[&name, "w"], &format!("v{}", i + 1))
        })
        .collect();
    let wide = || tensor("w", &[64, 64], 4096);
    files.push(model([wide(), shared].concat(), 64, "v10000"));
    files.push(model([w(), w(), node("MatMul", &["x", "w"], "y")].concat(), 2, "y"));
    files.push(model([node("Relu", &["y"], "z"), node("Relu", &["z"], "y")].concat(), 2, "y"));
    files.push(model([node("Relu", &["x"], "y"), node("Tanh", &["x"], "y")].concat(), 2, "y"));
    files.push(model([node("Relu", &["y"], "y")].concat(), 2, "y"));
    files.push(model(node("MatMul", &["w", "x"], "y"), 2, "y"));
    files.push(model([w(), node("MatMul", &["w", "w"], "y")].concat(), 2, "y"));
    files.push(model(w(), 2, "w"));
    files.push(model(Vec::new(), 2, "x"));
    // Blocks in blocks, and chains of names.
    for depth in [10, 60, 70, 20_000] {
        let inner: Vec<u8> = (0..depth)
            .flat_map(|i| {
                let before = if i == 0 { "x".to_owned() } else { format!("r{}", i - 1) };
                node("Relu", &[&before], &format!("r{i}"))
            })
            .collect();
        let adds: Vec<u8> = (0..depth)
            .flat_map(|i| {
                let before = if i == 0 { format!("r{}", depth - 1) } else { format!("a{}", i - 1) };
                let skip =
                    if i + 1 == depth { "x".to_owned() } else { format!("r{}", depth - 2 - i) };
                node("Add", &[&before, &skip], &format!("a{i}"))
            })
            .collect();
        files.push(model([inner, adds].concat(), 2, &format!("a{}", depth - 1)));
        let identities: Vec<u8> = (0..depth)
            .flat_map(|i| {
                let before = if i == 0 { "x".to_owned() } else { format!("i{}", i - 1) };
                node("Identity", &[&before], &format!("i{i}"))
            })
            .collect();
        files.push(model(identities, 2, &format!("i{}", depth - 1)));
    }
    // Messages in messages, known and unknown ones and groups.
    for depth in [50, 10_000] {
        for tag in [6u8, 5, 1] {
            let mut nested = Vec::new();
            for _ in 0..depth {
                nested = field(tag, &nested);
            }
            files.push(field(7, field(1, field(5, nested))));
        }
        files.push([vec![0x1b; depth], vec![0x1c; depth]].concat());
    }
    // Many empty messages.
    for tag in [1, 5, 11, 12] {
        files.push(field(7, field(tag, []).repeat(GROWN)));
    }
    files.push(field(7, field(1, field(5, []).repeat(GROWN))));
    files.push(field(7, field(1, field(1, []).repeat(GROWN))));
    files
}

/// A tensor of f32 with this shape, whose numbers are in another file.
fn tensor_beside(name: &str, dims: &[u64], entries: &[(&str, &str)]) -> Vec<u8> {
    let dims = dims.iter().flat_map(|&dim| number(1, dim)).collect::<Vec<_>>();
    let entries = entries.iter().flat_map(|(key, value)| {
        let entry = [field(1, key), field(2, value)].concat();
        field(13, entry)
    });
    let entries = entries.collect::<Vec<_>>();
    field(5, [dims, number(2, 1), field(8, name), entries, number(14, 1)].concat())
}

/// Models whose numbers are said to be in files beside them, each of which is refused.
pub(crate) fn models_beside() -> Vec<Vec<u8>> {
    let product = || node("MatMul", &["x", "w"], "y");
    let of = |dims: &[u64], entries: &[(&str, &str)]| {
        model([tensor_beside("w", dims, entries), product()].concat(), 2, "y")
    };
    let mut files = Vec::new();
    for location in [
        "",
        ".",
        "..",
        "../large.data",
        "./large.data",
        "folder.data/../large.data",
        "/etc/hostname",
        "..\\large.data",
        "C:large.data",
        "large.data\0",
        "folder.data",
        "missing.data",
    ] {
        files.push(of(&[2, 2], &[("location", location)]));
    }
    let large = ("location", "large.data");
    files.push(of(&[2, 2], &[]));
    files.push(of(&[2, 2], &[large, large]));
    for huge in HUGE {
        let text = huge.to_string();
        files.push(of(&[2, 2], &[large, ("offset", &text)]));
        files.push(of(&[2, 2], &[large, ("length", &text)]));
        files.push(of(&[2, huge / 2], &[large, ("offset", &text), ("length", &text)]));
        files.push(of(&[huge, huge], &[large]));
        files.push(of(&[huge, 1], &[large, ("length", &huge.wrapping_mul(4).to_string())]));
    }
    for wrong in ["-16", "0x10", "16.0", "", "99999999999999999999999"] {
        files.push(of(&[2, 2], &[large, ("offset", wrong)]));
        files.push(of(&[2, 2], &[large, ("length", wrong)]));
    }
    // The same bytes again and again.
    let names: Vec<String> = (0..1000).map(|i| format!("w{i}")).collect();
    let all = [LARGE as u64 / 8, 2];
    let again = names.iter().flat_map(|name| tensor_beside(name, &all, &[large]));
    files.push(model([again.collect(), tensor("w", &[2, 2], 4), product()].concat(), 2, "y"));
    for bytes in &files {
        std::fs::write(beside::model_path(), bytes).unwrap();
        let read = Network::<f32>::load_onnx(beside::model_path());
        assert!(read.is_err(), "{:?}", String::from_utf8_lossy(bytes));
    }
    files
}
