//! Files that may be compressed by gzip.

use flate2::bufread::MultiGzDecoder;
use std::io::{self, BufRead, BufReader, Read};

/// What a reader gives, inflated if its first bytes are gzip's.
pub(super) enum Inflate<R> {
    Plain(BufReader<R>),
    Gzip { inflated: MultiGzDecoder<BufReader<R>>, left: u64, limit: u64 },
}

impl<R: Read> Inflate<R> {
    /// No more than `limit` bytes are inflated, since a small file may hold any number of them.
    pub(super) fn new(reader: R, limit: u64) -> io::Result<Self> {
        let mut reader = BufReader::new(reader);
        Ok(if reader.fill_buf()?.starts_with(&[0x1f, 0x8b]) {
            Self::Gzip { inflated: MultiGzDecoder::new(reader), left: limit, limit }
        } else {
            Self::Plain(reader)
        })
    }
}

impl<R: Read> Read for Inflate<R> {
    fn read(&mut self, to: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(reader) => reader.read(to),
            Self::Gzip { inflated, left, limit } => {
                let count = inflated.read(to)?;
                *left = left.checked_sub(count as u64).ok_or_else(|| {
                    io::Error::other(format!("more than {limit} bytes are compressed in it"))
                })?;
                Ok(count)
            }
        }
    }
}

#[cfg(test)]
mod tests {
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
}
