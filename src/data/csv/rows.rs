//! The rows of a file, one batch after the other.

use core::fmt;
use deltarule_kernels::Element;
use std::collections::HashMap;
use std::io::Read;

use super::encode::{EncodedRow, Wrong};
use super::schema::{Column, Schema};
use super::text::{Fields, csv_error, fields, header};
use crate::data::{Batch, ReadError, Source};
use crate::error::{Error, try_reserve};

/// The rows of a CSV file, in batches; [`Schema::stream`] makes it.
///
/// ```
/// use deltarule::data::{Prefetch, csv::Csv};
/// let file = "x,y\n1,2\n2,4\n3,6\n";
/// let schema = Csv::regression("y").learn(file.as_bytes())?;
/// let mut batches = Prefetch::<f32>::new(2, schema.stream(2, file.as_bytes())?)?;
/// let mut rows = 0;
/// while let Some(batch) = batches.next_batch()? {
///     rows += batch.rows();
/// }
/// assert_eq!(rows, 3);
/// # Ok::<(), deltarule::data::ReadError>(())
/// ```
pub struct CsvRows<R> {
    schema: Schema,
    batch: usize,
    reader: Fields<R>,
    record: ::csv::StringRecord,
}

impl<R: Read> CsvRows<R> {
    pub(super) fn new(schema: Schema, batch: usize, reader: R) -> Result<Self, ReadError> {
        let mut reader = fields(reader, schema.delimiter)?;
        let names = header(&mut reader)?;
        for (index, Column { name, .. }) in schema.columns.iter().enumerate() {
            if names.get(index) != Some(name) {
                let problem = match names.get(index) {
                    Some(other) => format!("is needed where the file has `{other}`"),
                    None => "is not in the file".to_owned(),
                };
                return Err(ReadError::Column { column: name.clone(), problem });
            }
        }
        if let Some(column) = names.get(schema.columns.len()) {
            let problem = "is not in the schema".to_owned();
            return Err(ReadError::Column { column: column.clone(), problem });
        }
        Ok(Self { schema, batch, reader, record: ::csv::StringRecord::new() })
    }

    /// Adds rows until the batch has as many as it should, or the file ends.
    pub(super) fn fill<E: Element>(&mut self, batch: &mut Batch<E>) -> Result<(), ReadError> {
        let mut row = EncodedRow::default();
        while batch.rows() < self.batch {
            if !self.reader.read_record(&mut self.record).map_err(csv_error)? {
                break;
            }
            let line = self.record.position().map_or(0, ::csv::Position::line);
            if !self.schema.encode(line, self.record.iter(), &mut row)? {
                continue;
            }
            match row.class {
                Some(class) => batch.push_class(&row.features, class)?,
                None => batch.push_values(&row.features, &row.values)?,
            }
            if let Some(weight) = row.weight {
                batch.weigh(weight)?;
            }
        }
        Ok(())
    }
}

/// The features of all rows of a file that has their columns, in any order.
pub(super) fn features<E: Element>(
    schema: &Schema,
    reader: impl Read,
) -> Result<Vec<E>, ReadError> {
    let mut reader = fields(reader, schema.delimiter)?;
    let names = header(&mut reader)?;
    let by_name: HashMap<&str, usize> =
        names.iter().enumerate().map(|(place, name)| (name.as_str(), place)).collect();
    let mut places = Vec::with_capacity(schema.columns.len());
    for Column { name, kind } in &schema.columns {
        let place = by_name.get(name.as_str()).copied();
        if place.is_none() && kind.is_feature() {
            let problem = "is not in the file".to_owned();
            return Err(ReadError::Column { column: name.clone(), problem });
        }
        places.push(place);
    }
    let width = schema.features();
    let mut features = Vec::new();
    let mut record = ::csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(csv_error)? {
        let start = features.len();
        try_reserve("features", &mut features, width)?;
        features.resize(start + width, E::ZERO);
        let field = |index: usize, _: &str| places[index].and_then(|place| record.get(place));
        let filled = schema.fill(field, &mut features[start..]);
        filled.map_err(|Wrong { column, value, problem }| ReadError::Field {
            line: record.position().map_or(0, ::csv::Position::line),
            column: column.to_owned(),
            value: value.unwrap_or_default().to_owned(),
            problem: problem.to_owned(),
        })?;
    }
    if features.is_empty() {
        return Err(Error::Empty { argument: "rows" }.into());
    }
    Ok(features)
}

impl<E: Element, R: Read + Send> Source<E> for CsvRows<R> {
    fn read(&mut self, batch: &mut Batch<E>) -> Result<(), ReadError> {
        self.fill(batch)
    }
}

impl<R> fmt::Debug for CsvRows<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CsvRows")
            .field("schema", &self.schema)
            .field("batch", &self.batch)
            .finish_non_exhaustive()
    }
}
