//! Embedding: columns that hold the index of a category become learned vectors.

use core::ops::Range;
use deltarule_kernels::{Element, Isa, ShapeError};

use super::{Compiler, Forward, LayerRef, Operation, Part, Pass, Shape, add, parts_of};
use crate::error::{Error, Result, try_vec};
use crate::init::Init;
use crate::random::Random;

/// A column of x that holds the index of a category: 0, 1, … below `categories`, as a number.
///
/// ```
/// use deltarule::{Activation, Categorical, Network};
/// // Column 1 of 3 holds one of 12 months, as 0 to 11.
/// let month = Categorical { column: 1, categories: 12, dimensions: 4 };
/// let network = Network::builder(3).embedding([month]).dense(1, Activation::Identity).build()?;
/// // The month's vector, and the two other columns.
/// assert_eq!(network.layers().next().map(|layer| layer.outputs()), Some(4 + 2));
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Categorical {
    /// The column.
    pub column: usize,
    /// How many categories there are: at most 2²⁴ in f32, which has no index above.
    pub categories: usize,
    /// The length of the vector that stands for a category.
    pub dimensions: usize,
}

/// An embedding, and where its tables lie in the network's arena: each (categories, dimensions)
/// row-major, in the order of the columns.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Embedding {
    inputs: usize,
    outputs: usize,
    columns: Vec<Table>,
    /// The columns that stay as they are, ascending.
    numeric: Vec<usize>,
    init: Option<Init>,
}

/// A column, and where its vectors are: in the outputs, and in the network's arena.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Table {
    column: Categorical,
    output: usize,
    start: usize,
}

/// An embedding of a network, to look at.
///
/// ```
/// use deltarule::{Categorical, LayerRef, Network};
/// let weekday = Categorical { column: 0, categories: 7, dimensions: 2 };
/// let network = Network::builder(2).embedding([weekday]).build()?;
/// let Some(LayerRef::Embedding(embedding)) = network.layer(0) else { unreachable!() };
/// assert_eq!((embedding.inputs, embedding.outputs), (2, 2 + 1));
/// let (column, table) = embedding.tables().next().expect("there is one");
/// assert_eq!((column, table.len()), (weekday, 7 * 2));
/// // The vector of a category is a row of its table.
/// let y = network.predict(&[3.0, 21.5])?;
/// assert_eq!(y, [table[6], table[7], 21.5]);
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct EmbeddingRef<'a, E> {
    /// The width of x.
    pub inputs: usize,
    /// The width of y: all vectors, and then the columns that are not categorical.
    pub outputs: usize,
    tables: &'a [Table],
    /// The tables, which are the first of the network's parameters.
    parameters: &'a [E],
}

impl<'a, E> EmbeddingRef<'a, E> {
    /// The categorical columns, each with its table, (categories, dimensions) row-major.
    pub fn tables(&self) -> impl ExactSizeIterator<Item = (Categorical, &'a [E])> {
        let Self { tables, parameters, .. } = *self;
        tables.iter().map(|table| (table.column, &parameters[table.parameters()]))
    }
}

impl Table {
    fn len(&self) -> usize {
        self.column.categories * self.column.dimensions
    }

    fn parameters(&self) -> Range<usize> {
        self.start..self.start + self.len()
    }

    /// The category of a row of x.
    fn category<E: Element>(&self, row: &[E]) -> usize {
        row[self.column.column].to_f64() as usize
    }
}

impl Embedding {
    pub(super) fn new(
        to: &mut Compiler,
        columns: Vec<Categorical>,
        init: Option<Init>,
    ) -> Result<Self> {
        if !to.ops.is_empty() {
            return Err(Error::NotFirst { layer: "embedding", index: to.ops.len() });
        }
        if columns.is_empty() {
            return Err(Error::Empty { argument: "columns" });
        }
        init.map_or(Ok(()), Init::check)?;
        let inputs = to.width;
        let mut is_numeric = try_vec("columns", inputs)?;
        is_numeric.fill(true);
        let mut tables = Vec::with_capacity(columns.len());
        let mut output = 0usize;
        for (index, column) in columns.into_iter().enumerate() {
            let Categorical { column: place, categories, dimensions } = column;
            for (argument, value) in [("categories", categories), ("dimensions", dimensions)] {
                if value == 0 {
                    return Err(Error::Zero { argument });
                }
            }
            match is_numeric.get_mut(place) {
                Some(free @ true) => *free = false,
                _ => {
                    let argument = "columns";
                    return Err(Error::Column { argument, index, column: place, columns: inputs });
                }
            }
            let start = to.parameters(categories, dimensions)?;
            tables.push(Table { column, output, start });
            let overflow = Error::Overflow { argument: "outputs", rows: 1, columns: dimensions };
            output = output.checked_add(dimensions).ok_or(overflow)?;
        }
        let numeric: Vec<usize> = (0..inputs).filter(|&column| is_numeric[column]).collect();
        let overflow = Error::Overflow { argument: "outputs", rows: 1, columns: output };
        let outputs = output.checked_add(numeric.len()).ok_or(overflow)?;
        Ok(Self { inputs, outputs, columns: tables, numeric, init })
    }

    /// The elements of a vector of this table.
    pub(crate) fn dimensions(&self, table: usize) -> usize {
        self.columns[table].column.dimensions
    }

    /// Checks that every index is one of a category. `first_row` is the place of the first row.
    pub(crate) fn check<E: Element>(
        &self,
        argument: &'static str,
        x: &[E],
        first_row: usize,
    ) -> Result<()> {
        for (row, x) in x.chunks_exact(self.inputs).enumerate() {
            for Table { column, .. } in &self.columns {
                let Categorical { column, categories, .. } = *column;
                let value = x[column].to_f64();
                let is_index = value >= 0.0 && value < categories as f64 && value.fract() == 0.0;
                if !is_index {
                    let row = first_row + row;
                    return Err(Error::Category { argument, row, column, value, categories });
                }
            }
        }
        Ok(())
    }

    /// Finds which rows of x hold which category.
    pub(crate) fn find_occurrences<E: Element>(&self, x: &[E], to: &mut Occurrences) {
        to.rows = x.len() / self.inputs;
        for (table, order) in self.columns.iter().zip(&mut to.order) {
            let order = &mut order[..to.rows];
            for (row, (place, x)) in order.iter_mut().zip(x.chunks_exact(self.inputs)).enumerate() {
                *place = (table.category(x), row);
            }
            order.sort_unstable();
        }
    }

    /// ∂ℒ/∂ of the vector of a category: the δ of the rows that hold it, added in their order.
    pub(crate) fn add_gradient<'a, E: Element>(
        &self,
        isa: Isa,
        table: usize,
        rows: &[(usize, usize)],
        delta_of: impl Fn(usize) -> &'a [E],
        gradient: &mut [E],
    ) -> Result<(), ShapeError> {
        let output = self.columns[table].output;
        for &(_, row) in rows {
            let delta = delta_of(row);
            add(isa, &delta[output..output + gradient.len()], gradient)?;
        }
        Ok(())
    }
}

impl Shape for Embedding {
    fn inputs(&self) -> usize {
        self.inputs
    }

    fn outputs(&self) -> usize {
        self.outputs
    }

    fn works_in_place(&self) -> bool {
        false
    }

    fn learns(&self) -> bool {
        true
    }

    fn parts(&self, elements: usize) -> Vec<(Part, usize)> {
        let tables = self.columns.iter().enumerate();
        tables
            .flat_map(|(index, Table { column, .. })| {
                parts_of(column.categories, column.dimensions, 1, elements)
                    .map(move |(rows, len)| (Part::Table(index, rows), len))
            })
            .collect()
    }
}

impl<E: Element> Operation<E> for Embedding {
    fn view<'a>(&'a self, parameters: &'a [E], _: &'a [E]) -> LayerRef<'a, E> {
        LayerRef::Embedding(EmbeddingRef {
            inputs: self.inputs,
            outputs: self.outputs,
            tables: &self.columns,
            parameters: &parameters[..self.columns.iter().map(Table::len).sum()],
        })
    }

    fn begin(&self, _: Option<Init>, random: &mut Random, parameters: &mut [E], _: &mut [E]) {
        for table in &self.columns {
            let Categorical { categories, dimensions, .. } = table.column;
            let usual = Init::Uniform { bound: 1.0 / (dimensions as f64).sqrt() };
            let weights = &mut parameters[table.parameters()];
            self.init.unwrap_or(usual).fill(dimensions, categories, random, weights);
        }
    }

    fn forward(&self, pass: &Pass<'_, E>, io: Forward<'_, E>) -> Result<(), ShapeError> {
        let rows = io.x.chunks_exact(self.inputs).zip(io.y.chunks_exact_mut(self.outputs));
        for (x, y) in rows {
            let mut rest = y;
            for table in &self.columns {
                let dimensions = table.column.dimensions;
                let (vector, after) = rest.split_at_mut(dimensions);
                let start = table.start + table.category(x) * dimensions;
                vector.copy_from_slice(&pass.parameters[start..start + dimensions]);
                rest = after;
            }
            for (y, &column) in rest.iter_mut().zip(&self.numeric) {
                *y = x[column];
            }
        }
        Ok(())
    }
}

/// Which rows of a batch hold which category.
#[derive(Clone, Debug, Default)]
pub(crate) struct Occurrences {
    rows: usize,
    /// Of each table the categories and rows of the batch, ascending.
    order: Vec<Vec<(usize, usize)>>,
    /// Of each table which categories have occurred in the batches of an accumulated gradient.
    marks: Vec<Vec<bool>>,
}

/// Whose categories are meant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Span {
    /// The last batch's.
    Batch,
    /// Those of all batches since the marks were cleared.
    Marked,
}

impl Occurrences {
    /// Room for batches of up to so many rows.
    pub(crate) fn new(embedding: &Embedding, max_batch: usize) -> Result<Self> {
        let order = embedding.columns.iter().map(|_| try_vec("occurrences", max_batch));
        let tables = embedding.columns.iter();
        let marks = tables.map(|table| try_vec("occurrences", table.column.categories));
        Ok(Self {
            rows: 0,
            order: order.collect::<Result<_>>()?,
            marks: marks.collect::<Result<_>>()?,
        })
    }

    /// Marks the categories of the batch.
    pub(crate) fn mark(&mut self) {
        for (order, marks) in self.order.iter().zip(&mut self.marks) {
            for &(category, _) in &order[..self.rows] {
                marks[category] = true;
            }
        }
    }

    /// Takes all marks away.
    pub(crate) fn clear_marks(&mut self) {
        for marks in &mut self.marks {
            marks.fill(false);
        }
    }

    /// Calls `each` with every category among these that occurred, ascending, and with the rows
    /// of the batch that hold it.
    pub(crate) fn for_each(
        &self,
        span: Span,
        table: usize,
        categories: &Range<usize>,
        mut each: impl FnMut(usize, &[(usize, usize)]) -> Result<(), ShapeError>,
    ) -> Result<(), ShapeError> {
        if span == Span::Marked {
            let marks = &self.marks[table];
            return categories.clone().filter(|&it| marks[it]).try_for_each(|it| each(it, &[]));
        }
        let order = &self.order[table][..self.rows];
        let from = order.partition_point(|&(category, _)| category < categories.start);
        let to = order.partition_point(|&(category, _)| category < categories.end);
        let mut groups = order[from..to].chunk_by(|one, other| one.0 == other.0);
        groups.try_for_each(|rows| each(rows[0].0, rows))
    }
}
