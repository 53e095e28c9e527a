//! Why data could not be read.

use std::io;
use std::path::{Path, PathBuf};

/// Why a file or a stream gave no data.
///
/// ```
/// use deltarule::data::{ReadError, npy};
/// match npy::open::<f32>("no such file.npy") {
///     Err(ReadError::Open { path, source }) => {
///         assert_eq!(path.to_str(), Some("no such file.npy"));
///         assert_eq!(source.kind(), std::io::ErrorKind::NotFound);
///     }
///     other => panic!("{other:?}"),
/// }
/// let error = npy::read::<f32>(&b"GIF89a"[..], 100).unwrap_err();
/// assert_eq!(error.to_string(), "no valid NPY file: its first six bytes are not \\x93NUMPY");
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The file can't be opened.
    #[error("{}: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Reading failed, or what gzip had compressed is damaged.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The file is not what it should be.
    #[error("no valid {format} file: {problem}")]
    Format {
        /// The format that was expected.
        format: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// The file ends before all that it promises.
    #[error("the {format} file promises {expected} elements, but ends after {actual}")]
    Truncated {
        /// The format.
        format: &'static str,
        /// The elements that its header promises.
        expected: usize,
        /// The whole elements that there are.
        actual: usize,
    },
    /// The file promises more than the caller would have.
    #[error("the {format} file promises {shape:?} elements, but no more than {limit} may be read")]
    TooLarge {
        /// The format.
        format: &'static str,
        /// The shape that its header promises.
        shape: Vec<u64>,
        /// The limit.
        limit: usize,
    },
    /// A table's field is not what its column needs.
    #[error("line {line}, column `{column}`: `{value}` {problem}")]
    Field {
        /// The line in the file, the first being 1, where its record begins. Empty lines before it
        /// belong to it.
        line: u64,
        /// The column's name.
        column: String,
        /// What stands there.
        value: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The value of a row that is in no file is not what its column needs.
    #[error("column `{column}`: `{value}` {problem}")]
    Value {
        /// The column's name.
        column: String,
        /// The value.
        value: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A table's column is not there, or is of no use.
    #[error("column `{column}` {problem}")]
    Column {
        /// The column's name.
        column: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A file was opened, but can't be read, or what is in it is no good.
    #[error("{}: {error}", path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: Box<ReadError>,
    },
    /// A stream's source panicked on its thread.
    #[error("the source of the stream has panicked")]
    SourcePanicked,
    /// What was read does not fit together.
    #[error(transparent)]
    Invalid(#[from] crate::Error),
}

impl ReadError {
    /// The same error, with the file in which it is.
    pub(super) fn in_file(self, path: &Path) -> Self {
        Self::InFile { path: path.to_owned(), error: Box::new(self) }
    }
}
