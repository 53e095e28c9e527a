//! Files that may be compressed by gzip.

use flate2::bufread::GzDecoder;
use std::io::{self, BufRead, BufReader, Cursor, Read};

use super::ReadError;
use super::array::fill;

/// A reader whose first bytes were looked at, and that goes on after an interruption.
pub(super) struct Peeked<R> {
    start: Cursor<Vec<u8>>,
    reader: R,
}

impl<R: Read> Peeked<R> {
    /// Looks at so many bytes, or as many as there are.
    pub(super) fn new(mut reader: R, bytes: usize) -> Result<Self, ReadError> {
        let mut start = vec![0; bytes];
        let count = fill(&mut reader, &mut start)?;
        start.truncate(count);
        Ok(Self { start: Cursor::new(start), reader })
    }

    /// The first bytes.
    pub(super) fn start(&self) -> &[u8] {
        self.start.get_ref()
    }

    /// Goes on after the first bytes.
    pub(super) fn skip_start(&mut self) {
        self.start.set_position(self.start.get_ref().len() as u64);
    }
}

impl<R: Read> Read for Peeked<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let count = self.start.read(to)?;
        if count > 0 {
            return Ok(count);
        }
        loop {
            match self.reader.read(to) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => return result,
            }
        }
    }
}

/// What a reader gives, inflated if its first bytes are gzip's.
pub(super) enum Inflate<R> {
    Plain(BufReader<Peeked<R>>),
    Gzip {
        /// One of the files that were put one after the other; `None` after the last.
        member: Option<GzDecoder<BufReader<Peeked<R>>>>,
        left: u64,
        limit: u64,
    },
}

impl<R: Read> Inflate<R> {
    /// No more than `limit` bytes are inflated, since a small file may hold any number of them.
    pub(super) fn new(reader: R, limit: u64) -> Result<Self, ReadError> {
        let peeked = Peeked::new(reader, 2)?;
        let is_gzip = peeked.start() == [0x1f, 0x8b];
        let reader = BufReader::new(peeked);
        Ok(if is_gzip {
            Self::Gzip { member: Some(GzDecoder::new(reader)), left: limit, limit }
        } else {
            Self::Plain(reader)
        })
    }
}

/// What follows a member: another one, or the end after any zeros, with which tapes and `tar` fill
/// their blocks.
fn next_member<R: BufRead>(mut reader: R) -> io::Result<Option<GzDecoder<R>>> {
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(None);
        }
        let zeros = buffer.iter().take_while(|&&byte| byte == 0).count();
        if zeros == 0 {
            return Ok(Some(GzDecoder::new(reader)));
        }
        reader.consume(zeros);
    }
}

impl<R: Read> Read for Inflate<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        let (member, left, limit) = match self {
            Self::Plain(reader) => return reader.read(to),
            Self::Gzip { member, left, limit } => (member, left, limit),
        };
        while let Some(decoder) = member {
            let count = decoder.read(to)?;
            if count > 0 || to.is_empty() {
                *left = left.checked_sub(count as u64).ok_or_else(|| {
                    io::Error::other(format!("more than {limit} bytes are compressed in it"))
                })?;
                return Ok(count);
            }
            *member = match member.take() {
                Some(ended) => next_member(ended.into_inner())?,
                None => None,
            };
        }
        Ok(0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::array::tests::Slow;
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    #[test]
    fn no_more_than_the_limit_is_inflated() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(&[b'x'; 100_000]).unwrap();
        let gzip = encoder.finish().unwrap();
        let inflate = |limit| {
            let mut text = Vec::new();
            let result = Inflate::new(gzip.as_slice(), limit).unwrap().read_to_end(&mut text);
            result.map_err(|error| error.to_string())
        };
        assert_eq!(inflate(100_000), Ok(100_000));
        let error = "more than 99999 bytes are compressed in it";
        assert_eq!(inflate(99_999), Err(error.to_owned()));
        // What is not compressed is as long as it is.
        let mut text = Vec::new();
        assert_eq!(Inflate::new(&b"x,y"[..], 1).unwrap().read_to_end(&mut text).unwrap(), 3);
    }

    #[test]
    fn a_slow_reader_and_zeros_after_a_member() {
        let gzip = |text: &[u8]| {
            let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
            encoder.write_all(text).unwrap();
            encoder.finish().unwrap()
        };
        let inflate = |file: &[u8]| {
            let mut text = Vec::new();
            let mut inflate = Inflate::new(Slow(file, false), 100).unwrap();
            // `read_to_end` would go on after an interruption by itself.
            loop {
                let mut buffer = [0; 7];
                match inflate.read(&mut buffer)? {
                    0 => return Ok(text),
                    count => text.extend_from_slice(&buffer[..count]),
                }
            }
        };
        let result = |file: &[u8]| inflate(file).map_err(|error: io::Error| error.to_string());
        for plain in [&b""[..], b"\x1f", b"x,y", b"\x1f\x8c"] {
            assert_eq!(result(plain).as_deref(), Ok(plain));
        }
        let (head, tail) = (gzip(b"x,y\n1"), gzip(b",2\n3,4\n"));
        let whole = Ok(&b"x,y\n1,2\n3,4\n"[..]);
        assert_eq!(result(&[&head[..], &tail].concat()).as_deref(), whole);
        let zeros = [0; 9000];
        let padded = [&head[..], &zeros[..1], &tail, &zeros].concat();
        assert_eq!(result(&padded).as_deref(), whole);
        assert!(result(&[&padded[..], b"x"].concat()).is_err());
        assert!(result(&padded[..head.len() - 1]).is_err());
    }
}
