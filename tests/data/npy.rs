//! NumPy's arrays. The good ones are written by `tests/golden/arrays.py`.

use deltarule::data::{Array, ReadError, npy};

fn file(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/golden/arrays/{name}.npy", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).unwrap()
}

fn error(bytes: &[u8]) -> String {
    npy::read::<f32>(bytes, 1000).unwrap_err().to_string()
}

#[test]
fn numpys_own_files() {
    let expected = [-0.5, -0.25, 0.0, 0.25, 0.5, 0.75];
    for name in ["f4_version1", "f8_version2", "f4_version3", "big_endian"] {
        let array: Array<f64> = npy::read(file(name).as_slice(), 6).unwrap();
        assert_eq!((array.shape(), array.values()), ([2, 3].as_slice(), expected.as_slice()));
        assert_eq!((array.rows(), array.columns()), (2, 3));
    }
    let scalar: Array = npy::read(file("scalar").as_slice(), 1).unwrap();
    assert_eq!((scalar.shape(), scalar.values()), ([].as_slice(), [2.5].as_slice()));
    assert_eq!((scalar.rows(), scalar.columns()), (1, 1));
    let empty: Array = npy::read(file("empty").as_slice(), 0).unwrap();
    assert_eq!((empty.shape(), empty.values()), ([0, 3].as_slice(), [].as_slice()));
    let path = format!("{}/tests/golden/arrays/f4_version1.npy", env!("CARGO_MANIFEST_DIR"));
    assert_eq!(npy::open::<f64>(path).unwrap().values(), expected);
    let missing = npy::open::<f32>("no/such/file.npy").unwrap_err();
    assert!(missing.to_string().starts_with("no/such/file.npy: "), "{missing}");
}

#[test]
fn every_type_in_both_orders_of_bytes() {
    let floats = [0.5, -65504.0, 2f64.powi(-24), -(2f64.powi(-14)), f64::INFINITY, f64::NAN];
    let limits = |least: i64, most: u64| vec![least as f64, 0.0, 1.0, most as f64];
    for (kind, expected) in [
        ("b1", vec![1.0, 0.0, 1.0]),
        ("i1", limits(i8::MIN.into(), i8::MAX as u64)),
        ("i2", limits(i16::MIN.into(), i16::MAX as u64)),
        ("i4", limits(i32::MIN.into(), i32::MAX as u64)),
        ("i8", limits(i64::MIN, i64::MAX as u64)),
        ("u1", limits(0, u8::MAX.into())),
        ("u2", limits(0, u16::MAX.into())),
        ("u4", limits(0, u32::MAX.into())),
        ("u8", limits(0, u64::MAX)),
        ("f2", floats.to_vec()),
        ("f4", floats.to_vec()),
        ("f8", floats.to_vec()),
    ] {
        for order in ["little", "big"] {
            let name = format!("{order}_{kind}");
            let array: Array<f64> = npy::read(file(&name).as_slice(), 6).unwrap();
            let same = |(x, y): (&f64, &f64)| x == y || (x.is_nan() && y.is_nan());
            assert_eq!(array.shape(), [expected.len()], "{name}");
            assert!(array.values().iter().zip(&expected).all(same), "{name}: {array:?}");
            let narrow: Array<f32> = npy::read(file(&name).as_slice(), 6).unwrap();
            let expected = expected.iter().map(|&x| x as f32);
            assert!(
                narrow.values().iter().zip(expected).all(|(x, y)| *x == y || y.is_nan()),
                "{name}: {narrow:?}"
            );
        }
    }
    let classes: Array = npy::read(file("integers").as_slice(), 3).unwrap();
    assert_eq!(classes.to_labels(), Ok(vec![0, 1, 2]));
}

#[test]
fn fortran_order_is_turned_to_rows() {
    let rows: Array<f64> = npy::read(file("f8_version2").as_slice(), 6).unwrap();
    assert_eq!(npy::read::<f64>(file("fortran").as_slice(), 6).unwrap(), rows);
    for (shape, expected) in [("(0, 7)", [0, 7]), ("(7, 0)", [7, 0]), ("(0, 0)", [0, 0])] {
        let header = format!("{{'descr': '<f4', 'fortran_order': True, 'shape': {shape}}}");
        let array: Array = npy::read(with_header(&header, &[]).as_slice(), 6).unwrap();
        assert_eq!((array.shape(), array.values()), (expected.as_slice(), [].as_slice()));
    }
    assert_eq!(
        error(&file("fortran_3")),
        "no valid NPY file: it is in Fortran order, which is read of up to 2 dimensions, and has \
         3: save `np.ascontiguousarray(x)`"
    );
}

#[test]
fn types_that_are_not_read() {
    for (name, kind) in [("complex", "<c8"), ("text", "<U1"), ("object", "|O")] {
        assert_eq!(
            error(&file(name)),
            format!(
                "no valid NPY file: its type is {kind:?}, and only numbers that are real are read: \
                 save `x.astype('f4')`"
            )
        );
    }
    assert_eq!(
        error(&file("structure")),
        "no valid NPY file: its type is a structure, of which no field is read: save \
         `x['name'].astype('f4')`"
    );
}

fn with_header(header: &str, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(header.len()).unwrap().to_le_bytes();
    [b"\x93NUMPY\x01\x00", length.as_slice(), header.as_bytes(), rest].concat()
}

#[test]
fn headers_that_are_wrong() {
    for header in [
        "",
        "{",
        "{}",
        "{'descr': '<f4', 'fortran_order': False}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,)} x",
        "{'descr': '<f4', 'fortran_order': 0, 'shape': (1,)}",
        "{'descr': '<f4, 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': 1}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 1e3)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1,), 'more': 1}",
        "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '\u{e4}', 'fortran_order': False, 'shape': (1,)}",
    ] {
        let message = error(&with_header(header, &[0; 4]));
        assert!(message.starts_with("no valid NPY file: its "), "{header}: {message}");
    }
    assert_eq!(error(b"\x93NUMPY\x04\x00\x00\x00"), "no valid NPY file: its version is 4.0");
    assert_eq!(
        error(b"\x93NUMPY\x02\x00\xff\xff\xff\xff"),
        "no valid NPY file: its header has 4294967295 bytes"
    );
    assert!(error(&with_header("\u{0}\u{1}", &[])).contains("where { is needed"));
}

#[test]
fn headers_at_their_limits() {
    let long = |length: usize| {
        let mut header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1,)}".to_vec();
        header.resize(length, b' ');
        let length = (length as u32).to_le_bytes();
        [b"\x93NUMPY\x02\x00", &length[..], &header, &2.5f32.to_le_bytes()].concat()
    };
    let array: Array = npy::read(long(1 << 16).as_slice(), 1).unwrap();
    assert_eq!(array.values(), [2.5]);
    assert_eq!(error(&long((1 << 16) + 1)), "no valid NPY file: its header has 65537 bytes");
    // One dimension is in both orders.
    let header = "{'descr': '<f4', 'fortran_order': True, 'shape': (1,)}";
    let array: Array = npy::read(with_header(header, &[0; 4]).as_slice(), 1).unwrap();
    assert_eq!(array.shape(), [1]);
}

#[test]
fn files_that_end_early_or_late() {
    let whole = file("f4_version1");
    for length in 0..whole.len() {
        let result = npy::read::<f32>(&whole[..length], 6);
        match result.unwrap_err() {
            ReadError::Format { .. } if length < whole.len() - 24 => {}
            ReadError::Truncated { expected: 6, actual, .. } => {
                assert_eq!(actual, (length - (whole.len() - 24)) / 4);
            }
            other => panic!("{length} bytes: {other}"),
        }
    }
    let more = [whole.as_slice(), &[0]].concat();
    assert_eq!(
        error(&more),
        "no valid NPY file: something follows the 6 elements that it promises"
    );
}

#[test]
fn promises_that_are_too_large() {
    let promising = |shape: &str| {
        let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
        error(&with_header(&header, &[0; 64]))
    };
    assert!(promising("(1001,)").contains("[1001] elements, but no more than 1000"));
    assert!(promising("(4294967296, 4294967296)").contains("no more than 1000"));
    assert!(promising("(18446744073709551615, 2, 3)").contains("no more than 1000"));
    assert!(promising("(1000,)").contains("promises 1000 elements, but ends after 16"));
}
