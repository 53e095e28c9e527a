//! What is known of a table's columns.

use core::fmt;
use deltarule_kernels::Element;
use std::io::Read;

use super::{Missing, Unknown, encode::Lookup, rows, rows::CsvRows};
use crate::data::{Batch, Dataset, ReadError};
use crate::error::{Error, Result};
use crate::layers::Categorical;

/// How categories become features.
///
/// ```
/// use deltarule::data::csv::{Csv, Encoding};
/// let file = "size,y\nM,10\nL,20\n";
/// let read = |encoding| {
///     let csv = Csv::regression("y").categories("size", encoding, ["S", "M", "L"]);
///     csv.read::<f32>(file.as_bytes())
/// };
/// assert_eq!(read(Encoding::OneHot)?.features(), [0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
/// assert_eq!(read(Encoding::Index)?.features(), [1.0, 2.0]);
/// # Ok::<(), deltarule::data::ReadError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Encoding {
    /// A feature for each category: 1 for the field's, 0 for the others.
    OneHot,
    /// One feature, the category's index, as an embedding takes it.
    Index,
}

/// A column of a table.
///
/// ```
/// use deltarule::data::csv::{Column, ColumnKind, Csv};
/// let schema = Csv::regression("y").skip("id").learn("id,x,y\n7,1,10\n".as_bytes())?;
/// let skipped = Column { name: "id".to_owned(), kind: ColumnKind::Skipped };
/// assert_eq!(schema.columns()[0], skipped);
/// # Ok::<(), deltarule::data::ReadError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Column {
    /// Its name in the header.
    pub name: String,
    /// What it holds.
    pub kind: ColumnKind,
}

/// What a column holds.
///
/// ```
/// use deltarule::data::csv::{ColumnKind, Csv, Encoding, Missing};
/// let file = "x,colour,y\n1,red,10\n3,,20\n,blue,30\n";
/// let schema = Csv::regression("y").missing(Missing::Mean).learn(file.as_bytes())?;
/// assert_eq!(schema.columns()[0].kind, ColumnKind::Number { missing: Some(2.0) });
/// let categories = vec!["blue".to_owned(), "red".to_owned()];
/// let colour = ColumnKind::Category { encoding: Encoding::OneHot, categories, missing: true };
/// assert_eq!(schema.columns()[1].kind, colour);
/// # Ok::<(), deltarule::data::ReadError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum ColumnKind {
    /// Nothing that is read.
    Skipped,
    /// What is to be predicted.
    Target(Target),
    /// How much each row counts.
    Weight,
    /// Numbers.
    Number {
        /// What stands for a missing one, if there is such a number.
        missing: Option<f64>,
    },
    /// Categories.
    Category {
        /// How they become features.
        encoding: Encoding,
        /// Their names, in order.
        categories: Vec<String>,
        /// Whether there is a category after the others, of what is missing. In a column of indices
        /// it is that of unknown ones, too, and is there if the policy for either needs it.
        missing: bool,
    },
}

/// What a table's target is.
///
/// ```
/// use deltarule::data::csv::{ColumnKind, Csv, Target};
/// let file = "x,kind\n1,dog\n2,cat\n";
/// let schema = Csv::classification("kind").learn(file.as_bytes())?;
/// let classes = Target::Classes(vec!["cat".to_owned(), "dog".to_owned()]);
/// assert_eq!(schema.columns()[1].kind, ColumnKind::Target(classes));
/// let schema = Csv::regression("x").learn(file.as_bytes())?;
/// assert_eq!(schema.columns()[0].kind, ColumnKind::Target(Target::Numbers));
/// # Ok::<(), deltarule::data::ReadError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Target {
    /// Numbers.
    Numbers,
    /// Classes with these names.
    Classes(Vec<String>),
}

impl ColumnKind {
    /// Whether a column makes features.
    pub(super) fn is_feature(&self) -> bool {
        matches!(self, Self::Number { .. } | Self::Category { .. })
    }

    /// The names of categories or classes.
    pub(super) fn names(&self) -> &[String] {
        match self {
            Self::Category { categories: names, .. } | Self::Target(Target::Classes(names)) => {
                names
            }
            _ => &[],
        }
    }

    /// The features that a column makes.
    pub(super) fn width(&self) -> usize {
        match self {
            Self::Skipped | Self::Target(_) | Self::Weight => 0,
            Self::Number { .. } | Self::Category { encoding: Encoding::Index, .. } => 1,
            Self::Category { categories, missing, .. } => categories.len() + usize::from(*missing),
        }
    }
}

/// What was learned of a CSV file: its columns, their categories, and what stands for missing
/// numbers.
///
/// It is plain data. A model that was trained on one file reads others by the schema of the first,
/// so that a feature means the same in both.
///
/// ```
/// use deltarule::data::csv::Csv;
/// let training = "size,colour,price\n1.5,red,10\n2,blue,20\n";
/// let schema = Csv::regression("price").learn(training.as_bytes())?;
/// assert_eq!(schema.columns().len(), 3);
/// let later = schema.read::<f32>("size,colour,price\n7,blue,70\n".as_bytes())?;
/// assert_eq!(later.features(), [7.0, 1.0, 0.0]);
/// let error = schema.read::<f32>("size,colour,price\n7,green,70\n".as_bytes()).unwrap_err();
/// assert_eq!(error.to_string(), "line 2, column `colour`: `green` is no known category");
/// # Ok::<(), deltarule::data::ReadError>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(from = "Learned"))]
pub struct Schema {
    pub(super) columns: Vec<Column>,
    pub(super) missing: Missing,
    pub(super) missing_names: Vec<String>,
    pub(super) unknown: Unknown,
    pub(super) delimiter: u8,
    /// One for each column.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub(super) lookups: Vec<Lookup>,
}

/// A schema as it is written down.
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
pub(super) struct Learned {
    pub(super) columns: Vec<Column>,
    pub(super) missing: Missing,
    pub(super) missing_names: Vec<String>,
    #[cfg_attr(feature = "serde", serde(default))]
    pub(super) unknown: Unknown,
    pub(super) delimiter: u8,
}

impl From<Learned> for Schema {
    fn from(learned: Learned) -> Self {
        let Learned { columns, missing, missing_names, unknown, delimiter } = learned;
        let lookups = columns.iter().map(|column| Lookup::new(column.kind.names())).collect();
        Self { columns, missing, missing_names, unknown, delimiter, lookups }
    }
}

impl Schema {
    /// The columns, in the order of the file.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The features of a row.
    pub fn features(&self) -> usize {
        self.columns.iter().map(|column| column.kind.width()).sum()
    }

    /// The names of the features: the column's, and `column=category` where there is one for each
    /// category.
    ///
    /// ```
    /// use deltarule::data::csv::Csv;
    /// let csv = Csv::regression("y").index("month");
    /// let schema = csv.learn("x,colour,month,y\n1,red,6,10\n2,blue,7,20\n".as_bytes())?;
    /// assert_eq!(schema.feature_names(), ["x", "colour=blue", "colour=red", "month"]);
    /// assert_eq!(schema.features(), 4); // the inputs of a network for it
    /// # Ok::<(), deltarule::data::ReadError>(())
    /// ```
    pub fn feature_names(&self) -> Vec<String> {
        let mut names = Vec::with_capacity(self.features());
        for Column { name, kind } in &self.columns {
            match kind {
                ColumnKind::Category { encoding: Encoding::OneHot, categories, missing } => {
                    names.extend(categories.iter().map(|category| format!("{name}={category}")));
                    names.extend(missing.then(|| format!("{name}=")));
                }
                kind => names.extend((kind.width() == 1).then(|| name.clone())),
            }
        }
        names
    }

    /// The names of the columns that are to be predicted, in the order of the network's outputs: it
    /// is that of the file.
    ///
    /// ```
    /// use deltarule::data::csv::Csv;
    /// let schema = Csv::regressions(["u", "v"]).learn("v,x,u\n1,2,3\n".as_bytes())?;
    /// assert_eq!(schema.target_names().collect::<Vec<_>>(), ["v", "u"]);
    /// # Ok::<(), deltarule::data::ReadError>(())
    /// ```
    pub fn target_names(&self) -> impl Iterator<Item = &str> {
        let targets = self.columns.iter().filter(|it| matches!(it.kind, ColumnKind::Target(_)));
        targets.map(|column| column.name.as_str())
    }

    /// The names of the classes; none if the targets are numbers.
    ///
    /// ```
    /// use deltarule::data::csv::Csv;
    /// let schema = Csv::classification("grade").learn("x,grade\n1,10\n2,9\n".as_bytes())?;
    /// assert_eq!(schema.class_names(), ["9", "10"]); // in the order of the numbers
    /// # Ok::<(), deltarule::data::ReadError>(())
    /// ```
    pub fn class_names(&self) -> &[String] {
        let names = self.columns.iter().find_map(|column| match &column.kind {
            ColumnKind::Target(Target::Classes(names)) => Some(names.as_slice()),
            _ => None,
        });
        names.unwrap_or(&[])
    }

    /// The columns of indices as an embedding takes them, in the order of the features, with vectors
    /// of so many dimensions as `dimensions` says for a number of categories. The number has what is
    /// missing or unknown in it.
    ///
    /// ```
    /// use deltarule::data::{Scaling, csv::{Csv, Missing}};
    /// use deltarule::{Activation, Categorical, Network};
    /// let csv = Csv::regression("y").index("shop").missing(Missing::Mean);
    /// let file = "x,shop,y\n100,north,10\n300,south,20\n";
    /// let schema = csv.learn(file.as_bytes())?;
    /// let categoricals = schema.categoricals(|categories| categories.min(8));
    /// assert_eq!(categoricals, [Categorical { column: 1, categories: 3, dimensions: 3 }]);
    /// // A scaling has to leave the indices as they are.
    /// let mut data = schema.read::<f32>(file.as_bytes())?;
    /// let scaling = Scaling::standard(data.features(), data.columns())?
    ///     .except(categoricals.iter().map(|it| it.column))?;
    /// data.scale(&scaling)?;
    /// let network = Network::builder(schema.features()).embedding(categoricals);
    /// let network = network.dense(1, Activation::Identity).build()?;
    /// assert_eq!(network.predict(data.features())?.len(), 2);
    /// # Ok::<(), deltarule::data::ReadError>(())
    /// ```
    pub fn categoricals(&self, mut dimensions: impl FnMut(usize) -> usize) -> Vec<Categorical> {
        let mut categoricals = Vec::new();
        let mut column = 0;
        for Column { kind, .. } in &self.columns {
            if let ColumnKind::Category { encoding: Encoding::Index, categories, missing } = kind {
                let categories = categories.len() + usize::from(*missing);
                let dimensions = dimensions(categories);
                categoricals.push(Categorical { column, categories, dimensions });
            }
            column += kind.width();
        }
        categoricals
    }

    /// Reads all rows of a file with the same header.
    ///
    /// ```
    /// use deltarule::data::{ReadError, csv::Csv};
    /// let schema = Csv::regression("y").learn("x,y\n1,10\n".as_bytes())?;
    /// assert_eq!(schema.read::<f32>("x,y\n2,20\n3,30\n".as_bytes())?.rows(), 2);
    /// let error = schema.read::<f32>("y,x\n20,2\n".as_bytes()).unwrap_err();
    /// assert_eq!(error.to_string(), "column `x` is needed where the file has `y`");
    /// # Ok::<(), deltarule::data::ReadError>(())
    /// ```
    ///
    /// # Errors
    /// As [`Csv::read`](super::Csv::read); a category or class that the schema has not is an
    /// error, too.
    pub fn read<E: Element>(&self, reader: impl Read) -> Result<Dataset<E>, ReadError> {
        let mut all = Batch::new();
        let mut rows = CsvRows::new(self.clone(), usize::MAX, reader)?;
        rows.fill(&mut all)?;
        let data = all.into_dataset(self.features())?;
        Ok(data.with_names(self.feature_names(), self.class_names().to_vec())?)
    }

    /// Reads the features alone, for a prediction of each row of the file: (rows, features)
    /// row-major. The file needs no targets and weights; its columns may be in any order, and those
    /// that the schema has not are passed over.
    ///
    /// ```
    /// use deltarule::data::csv::Csv;
    /// let training = "id,size,colour,weight,price\n1,1.5,red,1,10\n2,2,blue,3,20\n";
    /// let csv = Csv::regression("price").weight("weight").skip("id");
    /// let schema = csv.learn(training.as_bytes())?;
    /// let features = schema.read_features::<f32>("colour,day,size\nred,3,7\nblue,4,8\n".as_bytes())?;
    /// assert_eq!(features, [7.0, 0.0, 1.0, 8.0, 1.0, 0.0]);
    /// # Ok::<(), deltarule::data::ReadError>(())
    /// ```
    ///
    /// # Errors
    /// As [`Schema::read`], but for targets and weights. A missing field is an error with
    /// [`Missing::DropRow`], too, since every row is to have its prediction.
    pub fn read_features<E: Element>(&self, reader: impl Read) -> Result<Vec<E>, ReadError> {
        rows::features(self, reader)
    }

    /// The rows of a file with the same header, `batch` at a time: a source for
    /// [`Prefetch`](crate::data::Prefetch), for files that don't fit in memory.
    ///
    /// ```
    /// use deltarule::data::{Batch, Source, csv::Csv};
    /// let file = "x,y\n1,10\n2,20\n3,30\n";
    /// let schema = Csv::regression("y").learn(file.as_bytes())?;
    /// let mut rows = schema.stream(2, file.as_bytes())?;
    /// let mut batch: Batch = Batch::new();
    /// rows.read(&mut batch)?;
    /// assert_eq!(batch.x(), [1.0, 2.0]);
    /// # Ok::<(), deltarule::data::ReadError>(())
    /// ```
    ///
    /// # Errors
    /// [`ReadError::Column`] or [`ReadError::Format`] if the header is another,
    /// [`ReadError::Invalid`] for a batch of 0.
    pub fn stream<R: Read>(&self, batch: usize, reader: R) -> Result<CsvRows<R>, ReadError> {
        if batch == 0 {
            return Err(Error::Zero { argument: "batch" }.into());
        }
        CsvRows::new(self.clone(), batch, reader)
    }
}

impl fmt::Display for Schema {
    /// A line for each column: its name, and what it holds.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Column { name, kind }) in self.columns.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            write!(f, "{name}: ")?;
            match kind {
                ColumnKind::Skipped => write!(f, "skipped")?,
                ColumnKind::Target(Target::Numbers) => write!(f, "target, numbers")?,
                ColumnKind::Target(Target::Classes(names)) => {
                    write!(f, "target, {} classes", names.len())?;
                }
                ColumnKind::Weight => write!(f, "weights")?,
                ColumnKind::Number { .. } => write!(f, "numbers")?,
                ColumnKind::Category { encoding, categories, .. } => {
                    write!(f, "{} categories, {encoding:?}", categories.len())?;
                }
            }
        }
        Ok(())
    }
}
