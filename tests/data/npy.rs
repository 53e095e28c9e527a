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
    for name in ["f4_version1", "f8_version2", "f4_version3"] {
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
fn kinds_that_are_not_read() {
    let invalid = |problem: &str| format!("no valid NPY file: {problem}");
    assert_eq!(
        error(&file("fortran")),
        invalid("it is in Fortran order, and only C order is read")
    );
    assert_eq!(
        error(&file("big_endian")),
        invalid("its type is \">f4\", and only <f4 and <f8 are read")
    );
    assert_eq!(
        error(&file("integers")),
        invalid("its type is \"<i8\", and only <f4 and <f8 are read")
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
