//! What a file's columns have in common.

use std::collections::BTreeSet;
use std::io::Read;

use super::schema::{Column, ColumnKind, Encoding, Learned, Schema, Target};
use super::text::{csv_error, fields, header};
use super::{Csv, Missing, Unknown, Wish, number};
use crate::data::ReadError;
use crate::error::Error;

/// What was seen of a column so far.
#[derive(Default)]
struct Seen {
    numbers: u64,
    sum: f64,
    missing: bool,
    /// The first field that is no number, and its line.
    other: Option<(u64, String)>,
    /// The fields, as long as they are not too many.
    fields: BTreeSet<String>,
    too_many: bool,
}

impl Seen {
    fn add(&mut self, line: u64, field: &str, max_categories: usize) {
        match number(field) {
            Some(number) => {
                self.numbers += 1;
                self.sum += number;
            }
            None if self.other.is_none() => self.other = Some((line, field.to_owned())),
            None => {}
        }
        if !self.too_many && !self.fields.contains(field) {
            self.too_many = self.fields.len() >= max_categories;
            if self.too_many {
                self.fields.clear();
            } else {
                self.fields.insert(field.to_owned());
            }
        }
    }

    /// The categories in their order: by number if all are numbers, and else by the alphabet.
    fn categories(self, column: &str, max_categories: usize) -> Result<Vec<String>, ReadError> {
        if self.too_many {
            let also = match &self.other {
                Some((line, field)) if self.numbers > 0 => {
                    format!("; it is no column of numbers because of `{field}` in line {line}")
                }
                _ => String::new(),
            };
            let problem = format!("has more than {max_categories} categories{also}");
            return Err(ReadError::Column { column: column.to_owned(), problem });
        }
        let mut categories: Vec<String> = self.fields.into_iter().collect();
        if self.other.is_none() {
            categories.sort_by(|a, b| {
                let value = |field: &str| number(field).unwrap_or(f64::NAN);
                value(a).total_cmp(&value(b))
            });
        }
        Ok(categories)
    }
}

/// Reads all rows once.
pub(super) fn learn(csv: &Csv, reader: impl Read) -> Result<Schema, ReadError> {
    if let Missing::Constant(value) = csv.missing
        && !value.is_finite()
    {
        let (argument, expected) = ("missing", "finite");
        return Err(Error::OutOfRange { argument, value, expected }.into());
    }
    check_stated(csv)?;
    check_roles(csv)?;
    let mut reader = fields(reader, csv.delimiter)?;
    let names = header(&mut reader)?;
    let unknown = csv.wishes.keys().chain(&csv.targets).find(|name| !names.contains(name));
    if let Some(column) = unknown {
        let problem = format!("is not among the file's: {}", names.join(", "));
        return Err(ReadError::Column { column: column.clone(), problem });
    }
    let is_missing = |field: &str| csv.missing_names.iter().any(|name| name == field);
    let is_skipped =
        |name: &String| !csv.targets.contains(name) && csv.wishes.get(name) == Some(&Wish::Skip);
    let skipped: Vec<bool> = names.iter().map(is_skipped).collect();
    let mut seen: Vec<Seen> = names.iter().map(|_| Seen::default()).collect();
    let mut record = ::csv::StringRecord::new();
    let mut rows = 0u64;
    while reader.read_record(&mut record).map_err(csv_error)? {
        let line = record.position().map_or(0, ::csv::Position::line);
        // A row that is dropped teaches nothing.
        let drops = csv.missing == Missing::DropRow
            && skipped.iter().zip(&record).any(|(skipped, f)| !skipped && is_missing(f));
        if drops {
            continue;
        }
        rows += 1;
        for ((seen, field), skipped) in seen.iter_mut().zip(&record).zip(&skipped) {
            if *skipped {
                continue;
            }
            if is_missing(field) {
                seen.missing = true;
            } else {
                seen.add(line, field, csv.max_categories);
            }
        }
    }
    if rows == 0 {
        return Err(Error::Empty { argument: "rows" }.into());
    }
    let columns = names.into_iter().zip(seen).map(|(name, seen)| {
        let kind = kind(csv, &name, seen)?;
        Ok(Column { name, kind })
    });
    let schema = Schema::from(Learned {
        columns: columns.collect::<Result<_, ReadError>>()?,
        missing: csv.missing,
        missing_names: csv.missing_names.clone(),
        unknown: csv.unknown,
        delimiter: csv.delimiter,
    });
    if schema.features() == 0 {
        return Err(Error::Empty { argument: "features" }.into());
    }
    Ok(schema)
}

/// Checks that categories that were stated can be told from each other.
fn check_stated(csv: &Csv) -> Result<(), ReadError> {
    for (column, wish) in &csv.wishes {
        let Wish::Category { categories: Some(stated), .. } = wish else { continue };
        let twice = (1..stated.len()).find(|&at| stated[..at].contains(&stated[at]));
        let problem = match twice {
            Some(at) => format!("has the category `{}` twice", stated[at]),
            None if stated.is_empty() => "has no category".to_owned(),
            None => continue,
        };
        return Err(ReadError::Column { column: column.clone(), problem });
    }
    Ok(())
}

/// Checks that there are targets, and that at most one column, and none of these, weighs the rows.
fn check_roles(csv: &Csv) -> Result<(), ReadError> {
    if csv.targets.is_empty() {
        return Err(Error::Empty { argument: "targets" }.into());
    }
    let mut weights = csv.wishes.iter().filter(|(_, wish)| **wish == Wish::Weight);
    let Some((column, _)) = weights.next() else { return Ok(()) };
    let problem = match weights.next() {
        Some((other, _)) => format!("is to weigh the rows, and so is `{other}`"),
        None if csv.targets.contains(column) => "is to be predicted, and to weigh the rows".into(),
        None => return Ok(()),
    };
    Err(ReadError::Column { column: column.clone(), problem })
}

/// What a column is, by what is wished and what was seen.
fn kind(csv: &Csv, name: &str, seen: Seen) -> Result<ColumnKind, ReadError> {
    if csv.targets.iter().any(|target| target == name) {
        return Ok(ColumnKind::Target(if csv.classes {
            Target::Classes(match csv.wishes.get(name) {
                Some(Wish::Category { categories: Some(stated), .. }) => stated.clone(),
                _ => seen.categories(name, csv.max_categories)?,
            })
        } else {
            Target::Numbers
        }));
    }
    let all_numbers = seen.other.is_none() && seen.numbers > 0;
    let (encoding, stated) = match csv.wishes.get(name) {
        Some(Wish::Skip) => return Ok(ColumnKind::Skipped),
        Some(Wish::Weight) => return Ok(ColumnKind::Weight),
        Some(Wish::Number) => return numbers(csv.missing, &seen, name),
        None if all_numbers => return numbers(csv.missing, &seen, name),
        None => (Encoding::OneHot, None),
        Some(Wish::Category { encoding, categories }) => (*encoding, categories.clone()),
    };
    let of_missing = seen.missing && csv.missing.fills();
    // An index has no way but one of its own to say none of the others, whether seen yet or not.
    let missing = match encoding {
        Encoding::OneHot => of_missing,
        Encoding::Index => csv.missing.fills() || csv.unknown == Unknown::Ignore,
    };
    let categories = match stated {
        Some(stated) => stated,
        None => seen.categories(name, csv.max_categories)?,
    };
    if categories.is_empty() && !of_missing {
        let problem = "has no category".to_owned();
        return Err(ReadError::Column { column: name.to_owned(), problem });
    }
    Ok(ColumnKind::Category { encoding, categories, missing })
}

fn numbers(missing: Missing, seen: &Seen, name: &str) -> Result<ColumnKind, ReadError> {
    let missing = match missing {
        Missing::Error | Missing::DropRow => None,
        Missing::Constant(number) => Some(number),
        Missing::Mean if seen.numbers == 0 => {
            let problem = "has no number to take a mean of".to_owned();
            return Err(ReadError::Column { column: name.to_owned(), problem });
        }
        Missing::Mean if !seen.sum.is_finite() => {
            let problem = "has numbers whose sum, for a mean, overflows".to_owned();
            return Err(ReadError::Column { column: name.to_owned(), problem });
        }
        Missing::Mean => Some(seen.sum / seen.numbers as f64),
    };
    Ok(ColumnKind::Number { missing })
}
