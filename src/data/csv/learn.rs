//! What a file's columns have in common.

use std::collections::{BTreeSet, HashSet};
use std::io::Read;

use super::encode::{Lookup, is_missing};
use super::schema::{Column, ColumnKind, Encoding, Learned, Schema, Target};
use super::text::{csv_error, fields, header};
use super::{Csv, Missing, Unknown, Wish, number};
use crate::data::ReadError;
use crate::error::Error;

/// What was seen of a column so far.
#[derive(Default)]
struct Seen {
    numbers: u64,
    /// The fields that are no numbers.
    others: u64,
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
            None => {
                self.others += 1;
                self.other.get_or_insert_with(|| (line, field.to_owned()));
            }
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

    /// Checks that this is no column of numbers, of different ones and for the most part, in which
    /// some are misspelt: to take each for a category would be of no use.
    fn check_words(&self, column: &str) -> Result<(), ReadError> {
        let numbers = self.numbers;
        let differ = self.too_many || self.fields.len() > 10;
        match &self.other {
            Some((line, field)) if differ && numbers >= self.others.saturating_mul(9) => {
                let problem = format!(
                    "has {numbers} numbers, but `{field}` in line {line} is none: `Csv::number` \
                     refuses such fields, `Csv::one_hot` or `Csv::index` takes all of them for \
                     categories, and `Csv::missing_names` can have them be missing"
                );
                Err(ReadError::Column { column: column.to_owned(), problem })
            }
            _ => Ok(()),
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

/// What is said of a column of the file.
struct Role<'c> {
    is_target: bool,
    wish: Option<&'c Wish>,
    /// The categories or classes that were stated.
    stated: Option<&'c [String]>,
    lookup: Lookup,
}

impl<'c> Role<'c> {
    fn new(csv: &'c Csv, name: &str, is_target: bool) -> Self {
        let wish = csv.wishes.get(name);
        let stated = match wish {
            Some(Wish::Category { categories, .. }) if csv.classes || !is_target => {
                categories.as_deref()
            }
            _ => None,
        };
        Self { is_target, wish, stated, lookup: Lookup::new(stated.unwrap_or(&[])) }
    }

    fn is_skipped(&self) -> bool {
        !self.is_target && self.wish == Some(&Wish::Skip)
    }

    fn is_missing(&self, csv: &Csv, field: &str) -> bool {
        is_missing(field, &csv.missing_names, self.stated.unwrap_or(&[]), &self.lookup)
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
    let known: HashSet<&String> = names.iter().collect();
    if let Some(column) = csv.wishes.keys().chain(&csv.targets).find(|name| !known.contains(name)) {
        let problem = format!("is not among the file's: {}", names.join(", "));
        return Err(ReadError::Column { column: column.clone(), problem });
    }
    let targets: HashSet<&String> = csv.targets.iter().collect();
    let roles: Vec<Role<'_>> =
        names.iter().map(|name| Role::new(csv, name, targets.contains(name))).collect();
    let mut seen: Vec<Seen> = names.iter().map(|_| Seen::default()).collect();
    let mut record = ::csv::StringRecord::new();
    let (mut records, mut rows) = (0u64, 0u64);
    // What delimiters at the ends of all lines make.
    let nameless = |(role, name): (&Role<'_>, &String)| {
        name.is_empty() && role.wish.is_none() && !role.is_target
    };
    let mut empty = roles.iter().zip(&names).position(nameless);
    while reader.read_record(&mut record).map_err(csv_error)? {
        let line = record.position().map_or(0, ::csv::Position::line);
        records += 1;
        empty = empty.filter(|&at| roles[at].is_missing(csv, record.get(at).unwrap_or("")));
        // A row that is dropped teaches nothing.
        let drops =
            |(role, field): (&Role<'_>, &str)| !role.is_skipped() && role.is_missing(csv, field);
        if csv.missing == Missing::DropRow && roles.iter().zip(&record).any(drops) {
            continue;
        }
        rows += 1;
        for ((seen, field), role) in seen.iter_mut().zip(&record).zip(&roles) {
            if role.is_skipped() {
                continue;
            }
            if role.is_missing(csv, field) {
                seen.missing = true;
            } else {
                seen.add(line, field, csv.max_categories);
            }
        }
    }
    if empty.is_some() && records > 0 {
        let problem = "has no name, and all its fields are missing, as where each line ends with a \
                       delimiter: `Csv::skip(\"\")` leaves it out";
        return Err(ReadError::Column { column: String::new(), problem: problem.to_owned() });
    }
    if rows == 0 {
        return Err(Error::Empty { argument: "rows" }.into());
    }
    let kinds = roles.iter().zip(&names).zip(seen);
    let kinds: Vec<ColumnKind> = kinds
        .map(|((role, name), seen)| kind(csv, role, name, seen))
        .collect::<Result<_, ReadError>>()?;
    let columns = names.into_iter().zip(kinds).map(|(name, kind)| Column { name, kind });
    let schema = Schema::from(Learned {
        columns: columns.collect(),
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
        let mut known = HashSet::with_capacity(stated.len());
        let problem = match stated.iter().find(|name| !known.insert(*name)) {
            Some(twice) => format!("has the category `{twice}` twice"),
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
fn kind(csv: &Csv, role: &Role<'_>, name: &str, seen: Seen) -> Result<ColumnKind, ReadError> {
    if role.is_target {
        return Ok(ColumnKind::Target(if csv.classes {
            Target::Classes(match role.stated {
                Some(stated) => stated.to_vec(),
                None => seen.categories(name, csv.max_categories)?,
            })
        } else {
            Target::Numbers
        }));
    }
    let all_numbers = seen.other.is_none() && seen.numbers > 0;
    let encoding = match role.wish {
        Some(Wish::Skip) => return Ok(ColumnKind::Skipped),
        Some(Wish::Weight) => return Ok(ColumnKind::Weight),
        Some(Wish::Number) => return numbers(csv.missing, &seen, name),
        None if all_numbers => return numbers(csv.missing, &seen, name),
        None => {
            seen.check_words(name)?;
            Encoding::OneHot
        }
        Some(Wish::Category { encoding, .. }) => *encoding,
    };
    let of_missing = seen.missing && csv.missing.fills();
    // An index has no way but one of its own to say none of the others, whether seen yet or not.
    let missing = match encoding {
        Encoding::OneHot => of_missing,
        Encoding::Index => csv.missing.fills() || csv.unknown == Unknown::Ignore,
    };
    let categories = match role.stated {
        Some(stated) => stated.to_vec(),
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
