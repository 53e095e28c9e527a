//! CSV files with a header, plain or compressed by gzip.
//!
//! [`Csv`] says what is wanted of a file. What it learns of one, the numbers that stand for missing
//! ones and the categories of its columns, is a [`Schema`], which reads other files in the same
//! way.
//!
//! Lines end with `\n`, `\r\n` or `\r`, in a quoted field, too, where each becomes `\n`. A quote
//! counts at the beginning of a field; two of them within a quoted field are one.
//!
//! ```
//! use deltarule::data::csv::{Csv, Missing};
//! let wishes = Csv::classification("kind").skip("id").missing(Missing::Mean);
//! let training = "id,length,colour,kind\n1,4.5,red,a\n2,,blue,b\n3,5.5,red,a\n";
//! let schema = wishes.learn(training.as_bytes())?;
//! println!("{schema}");
//! let data = schema.read::<f32>(training.as_bytes())?;
//! assert_eq!((data.rows(), data.labels()), (3, [0, 1, 0].as_slice()));
//! // 5 is the mean of the training file's lengths, here as there.
//! let later = schema.read::<f32>("id,length,colour,kind\n9,,red,b\n".as_bytes())?;
//! assert_eq!(later.features(), [5.0, 0.0, 1.0]);
//! # Ok::<(), deltarule::data::ReadError>(())
//! ```

mod encode;
mod learn;
mod rows;
mod schema;
mod text;

pub use rows::CsvRows;
pub use schema::{Column, ColumnKind, Encoding, Schema, Target};

use deltarule_kernels::Element;
use std::collections::BTreeMap;
use std::io::{Read, Seek};
use std::path::Path;

use super::array::open;
use super::{Dataset, ReadError};

/// The most bytes that are inflated of a file: 4 GiB. A reader may inflate more by itself, such as
/// one of the crate flate2; whatever is read may be compressed by gzip, which is seen from its first
/// bytes.
///
/// ```
/// use deltarule::data::csv::{Csv, MAX_INFLATED};
/// use flate2::{Compression, read::GzEncoder};
/// let gzip = GzEncoder::new("x,y\n1,10\n2,20\n".as_bytes(), Compression::fast());
/// assert_eq!(Csv::regression("y").read::<f32>(gzip)?.values(), [10.0, 20.0]);
/// assert_eq!(MAX_INFLATED, 4 << 30);
/// # Ok::<(), deltarule::data::ReadError>(())
/// ```
pub const MAX_INFLATED: u64 = 1 << 32;

/// The most bytes of a record: 64 MiB. A longer one is an error that names its line; usually a quote
/// opens in it that is not closed.
///
/// ```
/// use deltarule::data::csv::{Csv, MAX_RECORD};
/// let endless = std::io::repeat(b'x');
/// let error = Csv::regression("y").learn(endless).unwrap_err().to_string();
/// assert!(error.ends_with("the record in line 1 has more than 67108864 bytes"));
/// assert_eq!(MAX_RECORD, 64 << 20);
/// ```
pub const MAX_RECORD: usize = 1 << 26;

/// What to do where a field is missing.
///
/// A target that is missing is an error, unless its row is dropped.
///
/// ```
/// use deltarule::data::csv::{Csv, Missing};
/// let file = "x,y\n1,10\n,20\n3,30\n";
/// let read = |missing| Csv::regression("y").missing(missing).read::<f32>(file.as_bytes());
/// assert_eq!(read(Missing::DropRow)?.features(), [1.0, 3.0]);
/// assert_eq!(read(Missing::Mean)?.features(), [1.0, 2.0, 3.0]);
/// assert_eq!(read(Missing::Constant(-1.0))?.features(), [1.0, -1.0, 3.0]);
/// let error = read(Missing::Error).unwrap_err().to_string();
/// assert!(error.starts_with("line 3, column `x`: `` is missing"));
/// # Ok::<(), deltarule::data::ReadError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Missing {
    /// It is an error, which names line and column.
    #[default]
    Error,
    /// The row is left out.
    DropRow,
    /// It is the mean of the column's other numbers. In a column of categories, missing is a
    /// category of its own, the last; a one-hot column without a missing field when its schema was
    /// learned has none, and gives zeros.
    Mean,
    /// It is this number. In a column of categories it is as with [`Missing::Mean`].
    Constant(f64),
}

impl Missing {
    /// Whether something stands for a missing field.
    fn fills(self) -> bool {
        matches!(self, Self::Mean | Self::Constant(_))
    }
}

/// What to do with a category that was not there when the schema was learned.
///
/// A program that has to answer whatever is asked ignores such categories, and lets something stand
/// for what is missing, whether the training file had any or not:
///
/// ```
/// use deltarule::data::csv::{Csv, Missing, Unknown};
/// let csv = Csv::regression("y").index("site").missing(Missing::Mean).unknown(Unknown::Ignore);
/// let schema = csv.learn("site,colour,y\nb,red,10\na,blue,20\n".as_bytes())?;
/// let features = |site, colour| {
///     schema.features_of::<f32>(|column| if column == "site" { site } else { colour })
/// };
/// assert_eq!(features(Some("b"), Some("red"))?, [1.0, 0.0, 1.0]);
/// assert_eq!(features(Some("new"), Some("green"))?, [2.0, 0.0, 0.0]); // the last of 3 categories
/// assert_eq!(features(None, None)?, [2.0, 0.0, 0.0]);
/// # Ok::<(), deltarule::data::ReadError>(())
/// ```
///
/// In a file, and for a one-hot column:
///
/// ```
/// use deltarule::data::csv::{Csv, Unknown};
/// let training = "size,colour,y\n1,red,10\n2,blue,20\n";
/// let later = "size,colour,y\n3,green,30\n";
/// let read = |unknown| {
///     let schema = Csv::regression("y").unknown(unknown).learn(training.as_bytes())?;
///     schema.read::<f32>(later.as_bytes())
/// };
/// assert_eq!(read(Unknown::Ignore)?.features(), [3.0, 0.0, 0.0]);
/// let error = read(Unknown::Error).unwrap_err();
/// assert_eq!(error.to_string(), "line 2, column `colour`: `green` is no known category");
/// # Ok::<(), deltarule::data::ReadError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Unknown {
    /// It is an error, which names line and column.
    #[default]
    Error,
    /// None of a one-hot column's features is 1. In a column of indices it is the last category,
    /// which is that of what is missing, too. An embedding learns a vector for it only if rows have
    /// it; until then it is random, as all are at first.
    Ignore,
}

/// What pandas takes for missing, NAN, and the question mark of many public data sets.
const MISSING_NAMES: [&str; 21] = [
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
    "<NA>", "?", "N/A", "NA", "NAN", "NULL", "NaN", "None", "n/a", "nan", "null",
];

/// What is said of a column before the file is seen.
#[derive(Clone, Debug, PartialEq)]
enum Wish {
    Skip,
    Number,
    Weight,
    Category { encoding: Encoding, categories: Option<Vec<String>> },
}

/// How to read a CSV file with a header: which columns are to be predicted, and what the others are.
///
/// A column in which every field is a number is a feature. Any other is a column of categories,
/// and makes as many features as there are categories, of which one is 1 (one-hot). Their order is
/// that of the numbers if all are numbers, and else alphabetical. But where nine of ten fields are
/// numbers, and more than ten differ, a field that is none is an error, unless it is said what the
/// column is for.
///
/// ```
/// use deltarule::data::csv::Csv;
/// let file = "size,colour,price\n1.5,red,10\n2,blue,20\n3,red,31\n";
/// let data = Csv::regression("price").read::<f32>(file.as_bytes())?;
/// assert_eq!(data.feature_names(), ["size", "colour=blue", "colour=red"]);
/// assert_eq!(data.features()[..6], [1.5, 0.0, 1.0, 2.0, 1.0, 0.0]);
/// assert_eq!(data.values(), [10.0, 20.0, 31.0]);
/// # Ok::<(), deltarule::data::ReadError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[must_use = "nothing is read before `read` or `open` is called"]
pub struct Csv {
    targets: Vec<String>,
    classes: bool,
    wishes: BTreeMap<String, Wish>,
    missing: Missing,
    missing_names: Vec<String>,
    unknown: Unknown,
    delimiter: u8,
    max_categories: usize,
}

impl Csv {
    /// Predicts the numbers in this column.
    ///
    /// ```
    /// use deltarule::data::csv::Csv;
    /// let data = Csv::regression("y").read::<f32>("x,y\n1,10\n2,20.5\n".as_bytes())?;
    /// assert_eq!(data.values(), [10.0, 20.5]);
    /// # Ok::<(), deltarule::data::ReadError>(())
    /// ```
    pub fn regression(target: impl Into<String>) -> Self {
        Self::new(vec![target.into()], false)
    }

    /// Predicts the numbers in several columns, an output of the network for each, in the order in
    /// which the file has them: see [`Schema::target_names`].
    ///
    /// ```
    /// use deltarule::data::csv::Csv;
    /// let file = "hour,load,price\n1,10,0.5\n2,20.5,0.25\n";
    /// let data = Csv::regressions(["load", "price"]).read::<f32>(file.as_bytes())?;
    /// assert_eq!((data.outputs(), data.values()), (2, [10.0, 0.5, 20.5, 0.25].as_slice()));
    /// # Ok::<(), deltarule::data::ReadError>(())
    /// ```
    pub fn regressions<S: Into<String>>(targets: impl IntoIterator<Item = S>) -> Self {
        Self::new(targets.into_iter().map(Into::into).collect(), false)
    }

    /// Predicts which of its values this column has. The classes are numbered in the order of
    /// categories.
    ///
    /// ```
    /// use deltarule::data::csv::Csv;
    /// let file = "x,kind\n1,dog\n2,cat\n3,dog\n";
    /// let data = Csv::classification("kind").read::<f32>(file.as_bytes())?;
    /// assert_eq!(data.class_names(), ["cat", "dog"]);
    /// assert_eq!(data.labels(), [1, 0, 1]);
    /// # Ok::<(), deltarule::data::ReadError>(())
    /// ```
    pub fn classification(target: impl Into<String>) -> Self {
        Self::new(vec![target.into()], true)
    }

    fn new(targets: Vec<String>, classes: bool) -> Self {
        Self {
            targets,
            classes,
            wishes: BTreeMap::new(),
            missing: Missing::default(),
            missing_names: MISSING_NAMES.map(str::to_owned).to_vec(),
            unknown: Unknown::default(),
            delimiter: b',',
            max_categories: 1000,
        }
    }

    fn wish(mut self, column: impl Into<String>, wish: Wish) -> Self {
        self.wishes.insert(column.into(), wish);
        self
    }

    /// Leaves this column out.
    ///
    /// ```
    /// use deltarule::data::csv::Csv;
    /// let file = "name,x,y\nAda,1,10\nGrace,2,20\n";
    /// let data = Csv::regression("y").skip("name").read::<f32>(file.as_bytes())?;
    /// assert_eq!(data.feature_names(), ["x"]);
    /// # Ok::<(), deltarule::data::ReadError>(())
    /// ```
    pub fn skip(self, column: impl Into<String>) -> Self {
        self.wish(column, Wish::Skip)
    }

    /// Takes this column for how much each row counts: see
    /// [`Dataset::with_weights`]. A field that is missing or no number is an error.
    ///
    /// ```
    /// use deltarule::data::csv::Csv;
    /// let file = "x,households,y\n1,2000,10\n2,500,20\n"; // that each row of a survey stands for
    /// let data = Csv::regression("y").weight("households").read::<f32>(file.as_bytes())?;
    /// assert_eq!(data.weights(), Some([2000.0, 500.0].as_slice()));
    /// assert_eq!(data.feature_names(), ["x"]);
    /// # Ok::<(), deltarule::data::ReadError>(())
    /// ```
    pub fn weight(self, column: impl Into<String>) -> Self {
        self.wish(column, Wish::Weight)
    }

    /// Takes this column for numbers: a field that is none is an error.
    ///
    /// ```
    /// use deltarule::data::csv::Csv;
    /// let file = "x,y\n1,10\n2 cm,20\n"; // otherwise it would be two categories
    /// let error = Csv::regression("y").number("x").read::<f32>(file.as_bytes()).unwrap_err();
    /// assert_eq!(error.to_string(), "line 3, column `x`: `2 cm` is no finite number");
    /// ```
    pub fn number(self, column: impl Into<String>) -> Self {
        self.wish(column, Wish::Number)
    }

    /// Takes this column for categories, a feature each.
    ///
    /// ```
    /// use deltarule::data::csv::Csv;
    /// let file = "month,y\n1,10\n12,20\n2,30\n"; // numbers, but not a quantity
    /// let data = Csv::regression("y").one_hot("month").read::<f32>(file.as_bytes())?;
    /// assert_eq!(data.feature_names(), ["month=1", "month=2", "month=12"]);
    /// assert_eq!(data.features()[..3], [1.0, 0.0, 0.0]);
    /// # Ok::<(), deltarule::data::ReadError>(())
    /// ```
    pub fn one_hot(self, column: impl Into<String>) -> Self {
        self.wish(column, Wish::Category { encoding: Encoding::OneHot, categories: None })
    }

    /// Takes this column for categories, and their indices for one feature, for an embedding:
    /// [`Schema::categoricals`].
    ///
    /// ```
    /// use deltarule::data::csv::Csv;
    /// let file = "colour,y\nred,10\nblue,20\nred,30\n";
    /// let data = Csv::regression("y").index("colour").read::<f32>(file.as_bytes())?;
    /// assert_eq!(data.features(), [1.0, 0.0, 1.0]);
    /// # Ok::<(), deltarule::data::ReadError>(())
    /// ```
    pub fn index(self, column: impl Into<String>) -> Self {
        self.wish(column, Wish::Category { encoding: Encoding::Index, categories: None })
    }

    /// Takes this column for these categories, in this order; any other is an error. A field that
    /// is one of them is not missing, even if it is written as missing fields are: NA may be a
    /// continent.
    ///
    /// ```
    /// use deltarule::data::csv::{Csv, Encoding};
    /// // An order that is not the alphabet's.
    /// let csv = Csv::regression("y").categories("size", Encoding::Index, ["S", "M", "L"]);
    /// let data = csv.read::<f32>("size,y\nL,10\nS,20\nM,30\n".as_bytes())?;
    /// assert_eq!(data.features(), [2.0, 0.0, 1.0]);
    /// assert!(csv.read::<f32>("size,y\nXL,10\n".as_bytes()).is_err());
    /// # Ok::<(), deltarule::data::ReadError>(())
    /// ```
    pub fn categories<S: Into<String>>(
        self,
        column: impl Into<String>,
        encoding: Encoding,
        categories: impl IntoIterator<Item = S>,
    ) -> Self {
        let categories = Some(categories.into_iter().map(Into::into).collect());
        self.wish(column, Wish::Category { encoding, categories })
    }

    /// Sets what to do where a field is missing, which is an error otherwise.
    ///
    /// ```
    /// use deltarule::data::csv::{Csv, Missing};
    /// let csv = Csv::regression("y").missing(Missing::Mean);
    /// let data = csv.read::<f32>("x,colour,y\n1,red,10\nNA,?,20\n".as_bytes())?;
    /// assert_eq!(data.feature_names(), ["x", "colour=red", "colour="]);
    /// assert_eq!(data.features()[3..], [1.0, 0.0, 1.0]);
    /// # Ok::<(), deltarule::data::ReadError>(())
    /// ```
    pub fn missing(mut self, missing: Missing) -> Self {
        self.missing = missing;
        self
    }

    /// Sets which fields count as missing. Otherwise they are the empty one, ?, and what pandas takes
    /// for missing: NA, N/A, n/a, `<NA>`, #NA, #N/A, `#N/A N/A`, NaN, NAN, nan, -NaN, -nan, NULL,
    /// null, None, 1.#IND, -1.#IND, 1.#QNAN and -1.#QNAN.
    ///
    /// ```
    /// use deltarule::data::csv::{Csv, Missing};
    /// let csv = Csv::regression("y").missing(Missing::DropRow).missing_names(["-999"]);
    /// let data = csv.read::<f32>("x,y\n1,10\n-999,20\n".as_bytes())?;
    /// assert_eq!(data.rows(), 1);
    /// # Ok::<(), deltarule::data::ReadError>(())
    /// ```
    pub fn missing_names<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.missing_names = names.into_iter().map(Into::into).collect();
        self
    }

    /// Sets what to do with a category that a later file or row has, but not the one that the schema
    /// was learned from, or that was not stated; it is an error otherwise. A target's classes are
    /// not meant.
    ///
    /// ```
    /// use deltarule::data::csv::{Csv, Encoding, Unknown};
    /// let csv = Csv::regression("y").categories("size", Encoding::OneHot, ["S", "M", "L"]);
    /// let data = csv.unknown(Unknown::Ignore).read::<f32>("size,y\nM,10\nXL,20\n".as_bytes())?;
    /// assert_eq!(data.features(), [0.0, 1.0, 0.0, 0.0, 0.0, 0.0]);
    /// # Ok::<(), deltarule::data::ReadError>(())
    /// ```
    pub fn unknown(mut self, unknown: Unknown) -> Self {
        self.unknown = unknown;
        self
    }

    /// Sets what separates fields, which is a comma otherwise. The ends of lines and the quote `"` are
    /// refused when a file is read.
    ///
    /// ```
    /// use deltarule::data::csv::Csv;
    /// let csv = Csv::regression("y").delimiter(b';');
    /// assert_eq!(csv.read::<f32>("x;y\n1;10\n".as_bytes())?.values(), [10.0]);
    /// # Ok::<(), deltarule::data::ReadError>(())
    /// ```
    pub fn delimiter(mut self, delimiter: u8) -> Self {
        self.delimiter = delimiter;
        self
    }

    /// Sets how many categories a column may have, 1000 otherwise: one with more is an error,
    /// since it is a name or a key rather than a feature. A field of a one-hot column takes as many
    /// numbers as there are categories.
    ///
    /// ```
    /// use deltarule::data::csv::Csv;
    /// let file = "name,y\nAda,10\nGrace,20\nAlan,30\n";
    /// let csv = Csv::regression("y").max_categories(2);
    /// assert!(csv.read::<f32>(file.as_bytes()).is_err());
    /// assert_eq!(csv.max_categories(3).read::<f32>(file.as_bytes())?.columns(), 3);
    /// # Ok::<(), deltarule::data::ReadError>(())
    /// ```
    pub fn max_categories(mut self, categories: usize) -> Self {
        self.max_categories = categories;
        self
    }

    /// Reads a file, plain or compressed by gzip: once to learn its schema, and once more for its
    /// rows.
    ///
    /// ```
    /// use deltarule::data::csv::Csv;
    /// # let path = std::env::temp_dir().join("deltarule_open_doc.csv");
    /// # std::fs::write(&path, "x,y\n1,10\n2,20\n")?;
    /// let data = Csv::regression("y").open::<f32>(&path)?;
    /// assert_eq!((data.rows(), data.columns()), (2, 1));
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), deltarule::data::ReadError>(())
    /// ```
    ///
    /// # Errors
    /// [`ReadError::Open`], and [`ReadError::InFile`] for those of [`Csv::read`].
    pub fn open<E: Element>(&self, path: impl AsRef<Path>) -> Result<Dataset<E>, ReadError> {
        let path = path.as_ref();
        let mut file = open(path)?;
        let mut read = || {
            let schema = self.learn(&mut file)?;
            file.rewind()?;
            schema.read(&mut file)
        };
        read().map_err(|error| error.in_file(path))
    }

    /// Reads all rows, whose file is held in memory meanwhile.
    ///
    /// ```
    /// use deltarule::data::{ReadError, csv::Csv};
    /// let csv = Csv::regression("y");
    /// assert_eq!(csv.read::<f64>("x,y\n1.5,10\n".as_bytes())?.features(), [1.5]);
    /// let error = csv.read::<f32>("x,y\n1.5,ten\n".as_bytes()).unwrap_err();
    /// assert!(matches!(error, ReadError::Field { line: 2, .. }));
    /// let error = csv.read::<f32>("x,price\n1.5,10\n".as_bytes()).unwrap_err();
    /// assert!(matches!(error, ReadError::Column { column, .. } if column == "y"));
    /// # Ok::<(), deltarule::data::ReadError>(())
    /// ```
    ///
    /// # Errors
    /// [`ReadError::Field`] for a field that is not what its column needs, with its line;
    /// [`ReadError::Column`] for a column that is not there or that has too many categories;
    /// [`ReadError::Format`] if this is no such file: rows of different lengths, a quote that is
    /// never closed, a record of more than [`MAX_RECORD`] bytes, or no UTF-8;
    /// [`ReadError::Invalid`] without rows; [`ReadError::Io`] if reading fails.
    pub fn read<E: Element>(&self, mut reader: impl Read) -> Result<Dataset<E>, ReadError> {
        let mut text = Vec::new();
        reader.read_to_end(&mut text)?;
        self.learn(text.as_slice())?.read(text.as_slice())
    }

    /// Reads all rows to learn what they have in common, in memory that does not grow with their
    /// number.
    ///
    /// ```
    /// use deltarule::data::csv::Csv;
    /// let schema = Csv::classification("kind").learn("x,kind\n1,dog\n2,cat\n".as_bytes())?;
    /// assert_eq!(schema.class_names(), ["cat", "dog"]);
    /// assert_eq!(schema.to_string(), "x: numbers\nkind: target, 2 classes");
    /// # Ok::<(), deltarule::data::ReadError>(())
    /// ```
    ///
    /// # Errors
    /// As [`Csv::read`].
    pub fn learn(&self, reader: impl Read) -> Result<Schema, ReadError> {
        learn::learn(self, reader)
    }
}

/// The number that stands in a field, if it is one, and finite.
fn number(field: &str) -> Option<f64> {
    field.parse().ok().filter(|number: &f64| number.is_finite())
}
