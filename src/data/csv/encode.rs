//! How a table's fields become numbers.

use core::fmt;
use deltarule_kernels::Element;

use super::schema::{Column, ColumnKind, Encoding, Schema, Target};
use super::{Missing, Unknown, number};
use crate::data::ReadError;
use crate::error::check_length;

/// The places of a column's names in the order of the alphabet: one among thousands is found in a
/// dozen comparisons.
#[derive(Clone, PartialEq)]
pub(super) struct Lookup(Vec<usize>);

impl Lookup {
    pub(super) fn new(names: &[String]) -> Self {
        let mut places: Vec<usize> = (0..names.len()).collect();
        places.sort_by_key(|&place| &names[place]);
        Self(places)
    }

    /// Where these names, which the lookup was made of, have this one first.
    fn find(&self, names: &[String], name: &str) -> Option<usize> {
        let from = self.0.partition_point(|&place| names[place].as_str() < name);
        self.0.get(from).copied().filter(|&place| names[place] == name)
    }
}

impl fmt::Debug for Lookup {
    /// Nothing that the names don't tell.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lookup({})", self.0.len())
    }
}

/// What is wrong with a field that is missing where nothing stands for it.
const MISSING: &str = "is missing: `Csv::missing` can drop its row or put something in its place";

/// Whether a field is missing in a column of these names: it is written so, and not one of them, as
/// a category or class that was stated may be.
pub(super) fn is_missing(
    field: &str,
    missing_names: &[String],
    names: &[String],
    lookup: &Lookup,
) -> bool {
    missing_names.iter().any(|name| name == field) && lookup.find(names, field).is_none()
}

/// The numbers that a record's fields make.
#[derive(Default)]
pub(super) struct EncodedRow<E> {
    pub(super) features: Vec<E>,
    pub(super) class: Option<usize>,
    pub(super) values: Vec<E>,
    pub(super) weight: Option<E>,
}

/// What is wrong with a field.
pub(super) struct Wrong<'s, 'a> {
    pub(super) column: &'s str,
    pub(super) value: Option<&'a str>,
    pub(super) problem: &'static str,
}

impl Schema {
    fn is_missing(&self, column: usize, field: &str) -> bool {
        let names = self.columns[column].kind.names();
        is_missing(field, &self.missing_names, names, &self.lookups[column])
    }

    /// Makes numbers of a record's fields, as many as there are columns; or says that the row is to
    /// be dropped.
    pub(super) fn encode<'a, E: Element>(
        &self,
        line: u64,
        fields: impl Iterator<Item = &'a str>,
        row: &mut EncodedRow<E>,
    ) -> Result<bool, ReadError> {
        row.features.resize(self.features(), E::ZERO);
        row.values.clear();
        let mut features = row.features.as_mut_slice();
        for (index, (Column { name, kind }, field)) in self.columns.iter().zip(fields).enumerate() {
            let error = |problem: &str| ReadError::Field {
                line,
                column: name.clone(),
                value: field.to_owned(),
                problem: problem.to_owned(),
            };
            let is_missing = || self.is_missing(index, field);
            if self.missing == Missing::DropRow && *kind != ColumnKind::Skipped && is_missing() {
                return Ok(false);
            }
            match kind {
                ColumnKind::Target(_) if is_missing() => return Err(error("is a missing target")),
                ColumnKind::Target(Target::Numbers) => {
                    row.values.push(parsed(field).map_err(error)?);
                }
                ColumnKind::Target(Target::Classes(names)) => {
                    let class = self.lookups[index].find(names, field);
                    row.class = Some(class.ok_or_else(|| error("is no known class"))?);
                }
                ColumnKind::Weight if is_missing() => return Err(error("is a missing weight")),
                ColumnKind::Weight => row.weight = Some(parsed(field).map_err(error)?),
                kind => {
                    let (to, after) = features.split_at_mut(kind.width());
                    self.write_features(index, Some(field), to).map_err(error)?;
                    features = after;
                }
            }
        }
        Ok(true)
    }

    /// The features of a single row, to predict from: `field` gives what stands in the column of
    /// this name, `None` if it is missing. It is not asked for targets and weights.
    ///
    /// ```
    /// use deltarule::data::csv::{Csv, Missing};
    /// use std::collections::HashMap;
    /// let training = "size,colour,price\n1.5,red,10\n2,blue,20\n";
    /// let schema = Csv::regression("price").missing(Missing::Mean).learn(training.as_bytes())?;
    /// let request = HashMap::from([("colour", "blue"), ("size", "7")]);
    /// let features = schema.features_of::<f32>(|column| request.get(column).copied())?;
    /// assert_eq!(features, [7.0, 1.0, 0.0]);
    /// let without_size =
    ///     schema.features_of::<f32>(|column| (column == "colour").then_some("red"))?;
    /// assert_eq!(without_size, [1.75, 0.0, 1.0]); // the mean of the training file
    /// let error = schema.features_of::<f32>(|_| Some("green")).unwrap_err();
    /// assert_eq!(error.to_string(), "column `size`: `green` is no finite number");
    /// # Ok::<(), deltarule::data::ReadError>(())
    /// ```
    ///
    /// # Errors
    /// [`ReadError::Value`] for a field that is not what its column needs, or is missing where the
    /// schema has nothing to stand for it, as [`Missing::DropRow`] has not.
    pub fn features_of<'a, E: Element>(
        &self,
        field: impl FnMut(&str) -> Option<&'a str>,
    ) -> Result<Vec<E>, ReadError> {
        let mut features = vec![E::ZERO; self.features()];
        self.features_into(field, &mut features)?;
        Ok(features)
    }

    /// As [`Schema::features_of`], into a row of the caller's, without allocating.
    ///
    /// ```
    /// use deltarule::data::csv::Csv;
    /// let schema = Csv::regression("y").learn("x,colour,y\n1,red,10\n2,blue,20\n".as_bytes())?;
    /// let mut batch = [0.0f32; 2 * 3];
    /// for (row, request) in batch.chunks_mut(schema.features()).zip([["7", "red"], ["8", "blue"]]) {
    ///     schema.features_into(|column| Some(request[usize::from(column == "colour")]), row)?;
    /// }
    /// assert_eq!(batch, [7.0, 0.0, 1.0, 8.0, 1.0, 0.0]);
    /// # Ok::<(), deltarule::data::ReadError>(())
    /// ```
    ///
    /// # Errors
    /// As [`Schema::features_of`]: then a part of `out` may be written; [`ReadError::Invalid`] if
    /// `out` is not as long as the features are many.
    pub fn features_into<'a, E: Element>(
        &self,
        mut field: impl FnMut(&str) -> Option<&'a str>,
        out: &mut [E],
    ) -> Result<(), ReadError> {
        check_length("out", out.len(), self.features())?;
        let filled = self.fill(|_, name| field(name).map(str::trim), out);
        filled.map_err(|Wrong { column, value, problem }| ReadError::Value {
            column: column.to_owned(),
            value: value.unwrap_or_default().to_owned(),
            problem: problem.to_owned(),
        })
    }

    /// Writes the features of a row, whose fields are asked for by place and name of their columns.
    pub(super) fn fill<'a, E: Element>(
        &self,
        mut field: impl FnMut(usize, &str) -> Option<&'a str>,
        out: &mut [E],
    ) -> Result<(), Wrong<'_, 'a>> {
        let mut rest = out;
        for (index, Column { name, kind }) in self.columns.iter().enumerate() {
            if !kind.is_feature() {
                continue;
            }
            let value = field(index, name);
            let (to, after) = rest.split_at_mut(kind.width());
            self.write_features(index, value, to).map_err(|problem| Wrong {
                column: name,
                value,
                problem,
            })?;
            rest = after;
        }
        Ok(())
    }

    /// Writes the features that a column makes of a field, or says what is wrong with it.
    fn write_features<E: Element>(
        &self,
        column: usize,
        field: Option<&str>,
        to: &mut [E],
    ) -> Result<(), &'static str> {
        let present = field.filter(|field| !self.is_missing(column, field));
        match &self.columns[column].kind {
            ColumnKind::Skipped | ColumnKind::Target(_) | ColumnKind::Weight => {}
            ColumnKind::Number { missing } => {
                to[0] = match (present, missing) {
                    (Some(field), _) => parsed(field)?,
                    (None, Some(instead)) => element(*instead)?,
                    (None, None) => return Err(MISSING),
                }
            }
            ColumnKind::Category { encoding, categories, missing: own } => {
                let lookup = &self.lookups[column];
                let named = present.and_then(|field| lookup.find(categories, field));
                let last = own.then_some(categories.len());
                let found = match (named, present) {
                    (Some(_), _) => named,
                    (None, None) if !self.missing.fills() => return Err(MISSING),
                    (None, Some(_)) if self.unknown == Unknown::Error => {
                        return Err("is no known category");
                    }
                    (None, None) => last,
                    (None, Some(_)) => last.filter(|_| *encoding == Encoding::Index),
                };
                match encoding {
                    Encoding::Index => {
                        let index = found.ok_or("has no category to stand for it")?;
                        to[0] = E::from_f64(index as f64);
                    }
                    Encoding::OneHot => {
                        to.fill(E::ZERO);
                        found.into_iter().for_each(|found| to[found] = E::ONE);
                    }
                }
            }
        }
        Ok(())
    }
}

/// The number in a field.
fn parsed<E: Element>(field: &str) -> Result<E, &'static str> {
    element(number(field).ok_or("is no finite number")?)
}

/// A number as an element.
fn element<E: Element>(number: f64) -> Result<E, &'static str> {
    let element = E::from_f64(number);
    if element.to_f64().is_finite() { Ok(element) } else { Err("is beyond the largest f32") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lookup_finds_what_a_search_does() {
        let names = ["b", "", "a10", "a2", "é", "a2", "B"].map(str::to_owned);
        for count in 0..=names.len() {
            let names = &names[..count];
            let lookup = Lookup::new(names);
            for name in ["", "A", "B", "a", "a10", "a11", "a2", "b", "c", "é", "ê"] {
                let first = names.iter().position(|it| it == name);
                assert_eq!(lookup.find(names, name), first, "{name} in {names:?}");
            }
        }
    }
}
