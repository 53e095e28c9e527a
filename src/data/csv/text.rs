//! The text of a file, on its way to the crate csv, and what that makes of it.

use core::{fmt, mem};
use std::collections::HashSet;
use std::io::{self, Read};

use super::{MAX_INFLATED, MAX_RECORD};
use crate::data::ReadError;
use crate::data::inflate::{Inflate, Peeked};
use crate::error::Error;

/// The fields of a file that may be compressed.
pub(super) type Fields<R> = ::csv::Reader<Text<Inflate<R>>>;

/// A reader of the fields.
pub(super) fn fields<R: Read>(reader: R, delimiter: u8) -> Result<Fields<R>, ReadError> {
    if matches!(delimiter, b'\n' | b'\r' | b'"') {
        let (argument, value) = ("delimiter", delimiter.into());
        let expected = "another byte than 10 and 13, which end lines, and 34, which quotes";
        return Err(Error::OutOfRange { argument, value, expected }.into());
    }
    let mut builder = ::csv::ReaderBuilder::new();
    builder.delimiter(delimiter).trim(::csv::Trim::All);
    let inflated = Inflate::new(reader, MAX_INFLATED)?;
    Ok(builder.from_reader(Text::new(inflated, delimiter, MAX_RECORD)?))
}

/// The names in the header.
pub(super) fn header<R: Read>(reader: &mut Fields<R>) -> Result<Vec<String>, ReadError> {
    let names = reader.headers().map_err(csv_error)?;
    let mut known = HashSet::with_capacity(names.len());
    if let Some(name) = names.iter().find(|name| !known.insert(*name)) {
        let problem = "is in the header twice".to_owned();
        return Err(ReadError::Column { column: name.to_owned(), problem });
    }
    Ok(names.iter().map(str::to_owned).collect())
}

/// What the crate csv says, in our words: it counts bytes in what [`Text`] hands on.
pub(super) fn csv_error(error: ::csv::Error) -> ReadError {
    let line = error.position().map_or(1, ::csv::Position::line);
    let problem = match error.into_kind() {
        ::csv::ErrorKind::Io(error) => match error.downcast() {
            Ok(Bad(problem)) => problem,
            Err(error) => return error.into(),
        },
        ::csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("the record in line {line} has {len} fields, but the header has {expected_len}")
        }
        ::csv::ErrorKind::Utf8 { err, .. } => {
            format!("field {} of the record in line {line} is no UTF-8", err.field() + 1)
        }
        other => format!("{other:?}"),
    };
    ReadError::Format { format: "CSV", problem }
}

/// What is wrong with a text, on its way through [`io::Error`] and [`::csv::Error`].
#[derive(Debug)]
struct Bad(String);

impl fmt::Display for Bad {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for Bad {}

/// Where in its field a byte is, as the crate csv sees it, which trims fields afterwards.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// Before it.
    Start,
    /// In it, where a quote is a character like any other.
    Inside,
    /// In a field that a quote has opened.
    Quoted,
    /// After a quote in such a field, which has closed it unless another one follows.
    AfterQuote,
}

/// A text with lines that end with `\n`, whether they did so with `\r\n` or `\r`, and without a byte
/// order mark.
///
/// The crate csv counts lines by `\n`, takes whatever follows a quote that is never closed for one
/// field, and reads a field of any length into memory; this says so where it happens.
pub(super) struct Text<R> {
    reader: Peeked<R>,
    delimiter: u8,
    limit: usize,
    place: Place,
    /// Whether the last byte was a `\r`, for which a `\n` was handed on.
    after_return: bool,
    line: u64,
    /// The bytes of the record so far.
    record: usize,
    record_line: u64,
    /// The line of the last quote that opened a field.
    quote_line: u64,
}

impl<R: Read> Text<R> {
    fn new(reader: R, delimiter: u8, limit: usize) -> Result<Self, ReadError> {
        let mut reader = Peeked::new(reader, 3)?;
        if reader.start() == b"\xef\xbb\xbf" {
            reader.skip_start();
        }
        Ok(Self {
            reader,
            delimiter,
            limit,
            place: Place::Start,
            after_return: false,
            line: 1,
            record: 0,
            record_line: 1,
            quote_line: 1,
        })
    }

    /// Follows these bytes, and moves those that are handed on to the front; says how many they are.
    fn follow(&mut self, bytes: &mut [u8]) -> Result<usize, Bad> {
        let delimiter = self.delimiter;
        let special = |byte: &u8| matches!(byte, b'\n' | b'\r' | b'"') || *byte == delimiter;
        let (mut at, mut kept) = (0, 0);
        while let Some(&byte) = bytes.get(at) {
            let returned = mem::replace(&mut self.after_return, byte == b'\r');
            if byte == b'\n' && returned {
                at += 1;
                continue;
            }
            // What is not special is most of a file, and changes the place only once.
            let run = bytes[at..].iter().position(special).unwrap_or(bytes.len() - at);
            let count = run.max(1);
            if kept < at {
                bytes.copy_within(at..at + count, kept);
            }
            self.record += count;
            if self.record > self.limit {
                return Err(self.too_long());
            }
            if run > 0 {
                if self.place != Place::Quoted {
                    self.place = Place::Inside;
                }
            } else if matches!(byte, b'\n' | b'\r') {
                bytes[kept] = b'\n';
                self.line += 1;
                if self.place != Place::Quoted {
                    self.place = Place::Start;
                    (self.record, self.record_line) = (0, self.line);
                }
            } else {
                self.place = match (self.place, byte) {
                    (Place::Start, b'"') => {
                        self.quote_line = self.line;
                        Place::Quoted
                    }
                    (Place::Quoted, b'"') => Place::AfterQuote,
                    (Place::AfterQuote, b'"') | (Place::Quoted, _) => Place::Quoted,
                    (Place::Inside, b'"') => Place::Inside,
                    _ => Place::Start,
                };
            }
            (at, kept) = (at + count, kept + count);
        }
        Ok(kept)
    }

    fn too_long(&self) -> Bad {
        let Self { limit, record_line, quote_line, .. } = self;
        let problem = format!("the record in line {record_line} has more than {limit} bytes");
        Bad(if self.place == Place::Quoted {
            format!("{problem}; the quote that opens in line {quote_line} is not closed in them")
        } else {
            problem
        })
    }
}

impl<R: Read> Read for Text<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let bad = |bad| io::Error::new(io::ErrorKind::InvalidData, bad);
        loop {
            let count = self.reader.read(to)?;
            if count == 0 && !to.is_empty() && self.place == Place::Quoted {
                let line = self.quote_line;
                return Err(bad(Bad(format!("a quote that opens in line {line} is never closed"))));
            }
            let kept = self.follow(&mut to[..count]).map_err(bad)?;
            // A `\n` after a `\r` leaves nothing, but is not the end.
            if kept > 0 || count == 0 {
                return Ok(kept);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many bytes at a time.
    struct Pieces<'a>(&'a [u8], usize);

    impl Read for Pieces<'_> {
        fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
            let most = to.len().min(self.1);
            self.0.read(&mut to[..most])
        }
    }

    /// What becomes of a text, in pieces of any size.
    fn text(text: &str, limit: usize) -> Result<String, String> {
        let read = |piece| {
            let pieces = Pieces(text.as_bytes(), piece);
            let mut read = String::new();
            let result = Text::new(pieces, b',', limit).unwrap().read_to_string(&mut read);
            result.map(|_| read).map_err(|error| error.to_string())
        };
        let result = read(1);
        for piece in 2..text.len() + 2 {
            assert_eq!(read(piece), result, "{text:?} by {piece}");
        }
        result
    }

    #[test]
    fn lines_end_alike() {
        for (from, to) in [
            ("", ""),
            ("\r", "\n"),
            ("\r\n", "\n"),
            ("\n\r", "\n\n"),
            ("\r\r\n\n\r\n", "\n\n\n\n"),
            ("a\rb\r\n\"c\r\nd\re\"\n", "a\nb\n\"c\nd\ne\"\n"),
            ("\u{feff}\"a\"\r\n", "\"a\"\n"),
            ("a\u{feff}", "a\u{feff}"),
        ] {
            assert_eq!(text(from, 100).as_deref(), Ok(to), "{from:?}");
        }
    }

    #[test]
    fn quotes_that_are_never_closed() {
        for (from, line) in [
            ("\"", 1),
            ("\u{feff}\"a\n", 1),
            ("\"a\"\"\n", 1),
            ("a,b\r\n\"c\r\nd\",\"\r\n", 3),
            ("a\r\r\"b\r", 3),
            ("a\n\"\"\"\n,\"\"\"\n,\"", 4),
        ] {
            let error = format!("a quote that opens in line {line} is never closed");
            assert_eq!(text(from, 100), Err(error), "{from:?}");
        }
        // Such a quote is a character like any other.
        for closed in ["5\",a", " \"a", "\"a\"b\"", "\"a\" \",\"\"", "\"\"", "\"a\"\"b\",\"\n\"\n"]
        {
            assert_eq!(text(closed, 100).as_deref(), Ok(closed));
        }
    }

    #[test]
    fn records_that_are_too_long() {
        let six = "abc,d\r\n\n\"\"\"\n\"\n";
        assert_eq!(text(six, 6).as_deref(), Ok("abc,d\n\n\"\"\"\n\"\n"));
        let error = |line, limit| format!("the record in line {line} has more than {limit} bytes");
        assert_eq!(text(six, 5), Err(error(1, 5)));
        assert_eq!(text("a\r\n\r\nabcd", 3), Err(error(3, 3)));
        let quote = "; the quote that opens in line 2 is not closed in them";
        assert_eq!(text("a\nb,\"\n\ncd", 4), Err(error(2, 4) + quote));
    }
}
