//! The text of CSV files: the ends of lines, quotes, and what they are counted by.

use deltarule::data::ReadError;
use deltarule::data::csv::{Csv, MAX_RECORD};
use flate2::{Compression, write::GzEncoder};
use std::io::{Read, Write};

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// The error that a file gives, with every end of lines, and compressed.
fn error(csv: &Csv, text: &str) -> String {
    let error = |bytes: &[u8]| csv.read::<f64>(bytes).unwrap_err().to_string();
    let expected = error(text.as_bytes());
    for end in ["\r\n", "\r"] {
        let text = text.replace('\n', end);
        assert_eq!(error(text.as_bytes()), expected, "{text:?}");
        assert_eq!(error(&gzip(&text)), expected, "{text:?} by gzip");
    }
    expected
}

#[test]
fn lines_are_counted_however_they_end() {
    let csv = Csv::regression("y");
    assert_eq!(error(&csv, "x,y\n1,b\n"), "line 2, column `y`: `b` is no finite number");
    assert_eq!(error(&csv, "x,y\n1,2\n3,many"), "line 3, column `y`: `many` is no finite number");
    // A field of two lines, and one of an end of lines alone.
    let two = "x,k,y\n1,\"a\nb\",2\n\n1,\"\n\",3\n2,c,d\n";
    assert_eq!(error(&csv.clone().skip("k"), two), "line 7, column `y`: `d` is no finite number");
    let number = csv.clone().number("x");
    assert_eq!(
        error(&number, "x,y\n1,2\n\"l\nong\",2\n"),
        "line 3, column `x`: `l\nong` is no finite number"
    );
    assert_eq!(
        error(&csv, "x,y\n1,2\n1,3\n1\n"),
        "no valid CSV file: the record in line 4 has 1 fields, but the header has 2"
    );
    assert_eq!(
        csv.read::<f32>(b"x,y\r\n1,2\r\n1,\xff\r\n".as_slice()).unwrap_err().to_string(),
        "no valid CSV file: field 2 of the record in line 3 is no UTF-8"
    );
    let schema = csv.learn("x,y\r1,2\r".as_bytes()).unwrap();
    let scored = schema.read_features::<f64>("x\r\n1\r\nz\r\n".as_bytes()).unwrap_err();
    assert_eq!(scored.to_string(), "line 3, column `x`: `z` is no finite number");
    // Categories are the same in a file that was written elsewhere.
    let schema = csv.learn("k,y\n\"a\nb\",2\nc,3\n".as_bytes()).unwrap();
    let data = schema.read::<f64>("k,y\r\n\"a\r\nb\",2\r\n".as_bytes()).unwrap();
    assert_eq!(data.features(), [1.0, 0.0]);
}

#[test]
fn a_quote_that_is_never_closed_takes_no_rows() {
    let csv = Csv::regression("y");
    for text in [
        "x,y,k\n1,2,a\n2,3,\"b\n3,4,c\n4,5,d\n",
        "k,x,y\na,1,2\n\"b,2,3\nc,3,4\nd,4,5\n",
        "x,y\n1,2\n2,\"3\n",
    ] {
        let expected = "no valid CSV file: a quote that opens in line 3 is never closed";
        assert_eq!(error(&csv, text), expected);
        assert!(matches!(csv.learn(text.as_bytes()), Err(ReadError::Format { format: "CSV", .. })));
    }
    let header = "no valid CSV file: a quote that opens in line 1 is never closed";
    assert_eq!(error(&csv, "x,\"y\n1,2\n"), header);
    let data = csv.read::<f64>("k,x,y\n5\" pipe,1,2\n\"a \"\"b\"\"\",3,4\n".as_bytes()).unwrap();
    assert_eq!(data.feature_names(), ["k=5\" pipe", "k=a \"b\"", "x"]);
}

#[test]
fn a_byte_order_mark_may_come_in_pieces() {
    let file = "\u{feff}\"x\",y\n1,2\n".as_bytes();
    for split in 0..file.len() {
        let (head, tail) = file.split_at(split);
        let schema = Csv::regression("y").learn(head.chain(tail)).unwrap();
        assert_eq!(schema.feature_names(), ["x"], "{split}");
    }
}

#[test]
fn a_record_has_an_end() {
    let quoted = "x,y\n1,2\n3,\"".as_bytes().chain(std::io::repeat(b'\n'));
    let error = Csv::regression("y").learn(quoted).unwrap_err().to_string();
    let problem = format!("the record in line 3 has more than {MAX_RECORD} bytes");
    let quote = "the quote that opens in line 3 is not closed in them";
    assert_eq!(error, format!("no valid CSV file: {problem}; {quote}"));
}

#[test]
fn a_delimiter_is_no_end_of_lines_and_no_quote() {
    for delimiter in [b'\n', b'\r', b'"'] {
        let csv = Csv::regression("y").delimiter(delimiter);
        let expected = "but it must be another byte than 10 and 13, which end lines, and 34, \
                        which quotes";
        assert_eq!(
            csv.learn("x,y\n1,2\n".as_bytes()).unwrap_err().to_string(),
            format!("`delimiter` is {delimiter}, {expected}")
        );
    }
}
