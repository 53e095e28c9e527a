//! What the network API says when it can't do what was asked.

use deltarule_kernels::{Aligned, Element, Isa, IsaError, ShapeError, reduce};
use std::io;
#[cfg(any(feature = "checkpoint", feature = "onnx", feature = "safetensors"))]
use std::path::Path;
use std::path::PathBuf;

use crate::fit::Metric;
use crate::loss::Loss;

/// Why a call did nothing. No parameter was changed.
///
/// ```
/// use deltarule::{Activation, Error, Network};
/// let network = Network::builder(3).dense(1, Activation::Identity).build()?;
/// match network.predict(&[0.5, 1.0]) {
///     Err(Error::PartialRow { length, columns, .. }) => assert_eq!((length, columns), (2, 3)),
///     other => panic!("{other:?}"),
/// }
/// let error = network.predict(&[]).unwrap_err();
/// assert_eq!(error.to_string(), "`x` has 0 elements, but at least 1 is needed");
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A slice has another length than the other arguments require.
    #[error("`{argument}` has {actual} elements, but {expected} are needed")]
    Length {
        /// The argument's name.
        argument: &'static str,
        /// The length that the other arguments require.
        expected: usize,
        /// The length it has.
        actual: usize,
    },
    /// A batch is not a whole number of rows.
    #[error("`{argument}` has {length} elements, which is no multiple of its {columns} columns")]
    PartialRow {
        /// The argument's name.
        argument: &'static str,
        /// The length it has.
        length: usize,
        /// The elements of a row.
        columns: usize,
    },
    /// The elements are not as many for each row.
    #[error("`{argument}` has {length} elements, which are not as many for each of {rows} rows")]
    Uneven {
        /// The argument's name.
        argument: &'static str,
        /// The length it has.
        length: usize,
        /// The rows.
        rows: usize,
    },
    /// A batch without rows, a network without layers, or the like.
    #[error("`{argument}` has 0 elements, but at least 1 is needed")]
    Empty {
        /// The argument's name.
        argument: &'static str,
    },
    /// A batch has more rows than the trainer was built for.
    #[error(
        "`{argument}` has {rows} rows, but the trainer was built for {max_batch}: see \
         `TrainerBuilder::max_batch`"
    )]
    BatchTooLarge {
        /// The argument's name.
        argument: &'static str,
        /// The rows it has.
        rows: usize,
        /// The most that the trainer was built for.
        max_batch: usize,
    },
    /// The parts of an accumulated batch are not the rows that were announced.
    #[error(
        "{rows} rows of a batch of {batch_rows} were accumulated, of which {announced} were announced"
    )]
    BatchRows {
        /// The rows of the parts, the last one included.
        rows: usize,
        /// The rows that the last part announced.
        batch_rows: usize,
        /// The rows that the first part announced.
        announced: usize,
    },
    /// A class index is not below the number of classes.
    #[error("`{argument}[{row}]` is class {class}, but there are only {classes} classes")]
    Class {
        /// The argument's name.
        argument: &'static str,
        /// The position in it.
        row: usize,
        /// The class found there.
        class: usize,
        /// The number of classes.
        classes: usize,
    },
    /// A row index is not below the number of rows.
    #[error("`{argument}[{index}]` is row {row}, but there are only {rows} rows")]
    Row {
        /// The argument's name.
        argument: &'static str,
        /// The position in it.
        index: usize,
        /// The row found there.
        row: usize,
        /// The number of rows.
        rows: usize,
    },
    /// What stands in a categorical column is not the index of a category.
    #[error(
        "row {row} of `{argument}` has {value} in column {column}, but its {categories} categories \
         are the whole numbers from 0{}",
        hint_of_scaling(*value)
    )]
    Category {
        /// The argument's name.
        argument: &'static str,
        /// The row.
        row: usize,
        /// The column.
        column: usize,
        /// The value found there.
        value: f64,
        /// The number of categories.
        categories: usize,
    },
    /// A column index is not below the number of columns, or named twice.
    #[error(
        "`{argument}[{index}]` is column {column}, which is not one of {columns}, or named before"
    )]
    Column {
        /// The argument's name.
        argument: &'static str,
        /// The position in it.
        index: usize,
        /// The column found there.
        column: usize,
        /// The number of columns.
        columns: usize,
    },
    /// A layer stands where only the first can.
    #[error("the {layer} layer is at index {index}, but it can only be the first layer")]
    NotFirst {
        /// The kind of layer.
        layer: &'static str,
        /// Its index.
        index: usize,
    },
    /// The layers of a residual block do not end as wide as they begin.
    #[error(
        "the residual block that begins at layer {first} takes {inputs} elements to {outputs}, but \
         the two must be equal to be added"
    )]
    ResidualWidth {
        /// The index of the block's first layer.
        first: usize,
        /// The width of its inputs.
        inputs: usize,
        /// The width of its outputs.
        outputs: usize,
    },
    /// A trainer's network was replaced by one of another shape or instruction set.
    #[error(
        "the trainer's network was replaced by one of other layers, for which its buffers are not"
    )]
    OtherNetwork,
    /// An average was given the weights of another network than the one that it is of.
    #[error("the network has other layers than the one whose weights are averaged")]
    OtherLayers,
    /// A layer's index is not below the number of layers.
    #[error("`{argument}` names layer {index}, but there are only {layers} layers")]
    Layer {
        /// The argument's name.
        argument: &'static str,
        /// The index.
        index: usize,
        /// The number of layers.
        layers: usize,
    },
    /// The loss needs the other kind of targets.
    #[error(
        "the loss {loss:?} needs targets that are {expected}, but they are {actual}: a cross-entropy \
         over classes takes those, and one of two classes by a single output values of 0 and 1"
    )]
    TargetKind {
        /// The loss.
        loss: Loss,
        /// What it needs.
        expected: &'static str,
        /// What it was given.
        actual: &'static str,
    },
    /// What the network ends in is not what the loss is of.
    #[error("the loss {loss:?} {problem}")]
    LossOfOutputs {
        /// The loss.
        loss: Loss,
        /// What does not fit, and what would.
        problem: &'static str,
    },
    /// Classes have weights, but the loss has no classes.
    #[error(
        "`class_weights` are for a cross-entropy over classes, and the loss {loss:?} is none: of \
         two classes the positive one is weighed by `positive_weight`"
    )]
    ClassWeights {
        /// The loss.
        loss: Loss,
    },
    /// An array is not in row-major order, which a view needs.
    #[error("`{argument}` is not in row-major order")]
    NotRowMajor {
        /// The argument's name.
        argument: &'static str,
    },
    /// A metric is for the other kind of targets.
    #[error("the metric {metric} needs targets that are {expected}")]
    MetricTargets {
        /// The metric.
        metric: Metric,
        /// What it needs.
        expected: &'static str,
    },
    /// A metric is to be monitored, but is not among those that are evaluated.
    #[error("the metric {metric} is monitored, but it is not evaluated")]
    MetricNotEvaluated {
        /// The metric.
        metric: Metric,
    },
    /// An element is infinite or NaN.
    #[error("`{argument}[{index}]` is {value}, but only finite values can be learned from")]
    NonFinite {
        /// The argument's name.
        argument: &'static str,
        /// The position of the first such element.
        index: usize,
        /// The value found there.
        value: f64,
    },
    /// The loss is infinite or NaN, though inputs and targets are finite: a step would spoil the
    /// parameters, or they are spoilt already.
    #[error(
        "the loss of {rows} rows is {loss}: unless a loss of your own has it so, the parameters or \
         the outputs have overflowed; try a smaller learning rate, clipping, or inputs and targets \
         that are scaled"
    )]
    NonFiniteLoss {
        /// The rows of the batch.
        rows: usize,
        /// The loss.
        loss: f64,
    },
    /// The variance of a batch is infinite or NaN in a batch normalization, though its inputs are
    /// finite: a step would spoil the running statistics, with which nothing can be predicted.
    #[error(
        "a variance of the batch in layer {layer} is {variance}: the layer's inputs have overflowed; \
         try inputs that are scaled, or a smaller learning rate"
    )]
    NonFiniteVariance {
        /// The index of the batch normalization among the network's layers.
        layer: usize,
        /// The variance.
        variance: f64,
    },
    /// The gradient's norm is infinite or NaN, though the loss is finite: a step would spoil the
    /// parameters.
    #[error(
        "the norm of the gradient of {rows} rows is {norm}: it has overflowed; try inputs and \
         targets that are scaled, or smaller initial weights"
    )]
    NonFiniteGradient {
        /// The rows of the batch.
        rows: usize,
        /// The norm.
        norm: f64,
    },
    /// An element is NaN where only an order counts.
    #[error("`{argument}[{index}]` is NaN, which has no rank")]
    NotANumber {
        /// The argument's name.
        argument: &'static str,
        /// The position of the first such element.
        index: usize,
    },
    /// All labels are of one class, where classes are to be told apart.
    #[error("`{argument}` are all class {class}, but at least two classes are needed")]
    SingleClass {
        /// The argument's name.
        argument: &'static str,
        /// The class.
        class: usize,
    },
    /// A class does not occur, where each has to.
    #[error("`{argument}` have no row of class {class}")]
    MissingClass {
        /// The argument's name.
        argument: &'static str,
        /// The class.
        class: usize,
    },
    /// A size is zero where none is meaningful.
    #[error("`{argument}` is 0, but at least 1 is needed")]
    Zero {
        /// The argument's name.
        argument: &'static str,
    },
    /// A number is outside the range in which it has a meaning.
    #[error("`{argument}` is {value}, but it must be {expected}")]
    OutOfRange {
        /// The argument's name.
        argument: &'static str,
        /// Its value.
        value: f64,
        /// The range, in words.
        expected: &'static str,
    },
    /// A number of elements does not fit in `usize`.
    #[error("`{argument}` needs {rows} x {columns} elements, which overflows usize")]
    Overflow {
        /// The argument's name.
        argument: &'static str,
        /// One factor.
        rows: usize,
        /// The other.
        columns: usize,
    },
    /// The memory for this many elements is not to be had.
    #[error("`{argument}` needs {elements} elements, for which there is no memory")]
    OutOfMemory {
        /// What they are for.
        argument: &'static str,
        /// How many.
        elements: usize,
    },
    /// A file can't be read or written.
    #[error("{}: {message}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What kind of error the system gave.
        kind: io::ErrorKind,
        /// What the system says.
        message: String,
    },
    /// A file was read, but what is in it is no good.
    #[error("{}: {error}", path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: Box<Error>,
    },
    /// A file is not what it should be.
    #[error("no valid {format} file: {problem}")]
    Format {
        /// The format that was expected.
        format: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// A file is of a version that can't be read.
    #[error(
        "the {format} file has version {version} of its format, written by deltarule {written_by}; \
         this is deltarule {}, which reads versions 1 to {newest}",
        env!("CARGO_PKG_VERSION")
    )]
    Version {
        /// The format.
        format: &'static str,
        /// The version of the format.
        version: u32,
        /// The version of this crate that wrote the file.
        written_by: String,
        /// The newest version of the format that can be read.
        newest: u32,
    },
    /// A note beside a network is no good.
    #[error("the note `{name}` {problem}")]
    Note {
        /// Its name.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A node of an ONNX model is none that can be read.
    #[error("node {index} `{name}` ({operator}): {problem}")]
    Node {
        /// Its index in the graph.
        index: usize,
        /// Its name, which may be empty.
        name: String,
        /// Its operator.
        operator: String,
        /// What is wrong.
        problem: String,
    },
    /// A checkpoint is of another training.
    #[error("the checkpoint's {what} is {checkpoint}, but this training's is {own}")]
    OtherTraining {
        /// What differs.
        what: String,
        /// What it is in the checkpoint.
        checkpoint: String,
        /// What it is here.
        own: String,
    },
    /// The instruction set that was asked for is not to be had.
    #[error(transparent)]
    Isa(#[from] IsaError),
    /// A kernel found that its arguments do not fit together.
    #[error(transparent)]
    Shape(#[from] ShapeError),
}

impl Error {
    /// What the system said about a file.
    #[cfg(any(feature = "checkpoint", feature = "onnx", feature = "safetensors"))]
    pub(crate) fn file(path: &Path, error: &io::Error) -> Self {
        Self::File { path: path.to_owned(), kind: error.kind(), message: error.to_string() }
    }

    /// The same error, with the file in which it is.
    #[cfg(any(feature = "checkpoint", feature = "onnx", feature = "safetensors"))]
    pub(crate) fn in_file(self, path: &Path) -> Self {
        Self::InFile { path: path.to_owned(), error: Box::new(self) }
    }
}

/// What is said of an index that is none since a scaling, which gives fractions, was not kept from
/// it.
fn hint_of_scaling(value: f64) -> &'static str {
    if value.is_finite() && value.fract() != 0.0 {
        "; if it was scaled, `Scaling::except` leaves it as it is"
    } else {
        ""
    }
}

/// What most calls return.
///
/// ```
/// use deltarule::{Activation, Network};
/// fn regressor(inputs: usize) -> deltarule::Result<Network> {
///     Network::builder(inputs).dense(8, Activation::Relu).dense(1, Activation::Identity).build()
/// }
/// assert!(regressor(4).is_ok() && regressor(0).is_err());
/// ```
pub type Result<T, E = Error> = core::result::Result<T, E>;

/// `rows · columns`, or an error that names both.
pub(crate) fn checked_area(argument: &'static str, rows: usize, columns: usize) -> Result<usize> {
    rows.checked_mul(columns).ok_or(Error::Overflow { argument, rows, columns })
}

/// Checks that `actual` elements are `expected`.
pub(crate) fn check_length(argument: &'static str, actual: usize, expected: usize) -> Result<()> {
    if actual == expected { Ok(()) } else { Err(Error::Length { argument, expected, actual }) }
}

/// Checks that there is neither infinity nor NaN.
pub(crate) fn check_finite<E: Element>(isa: Isa, argument: &'static str, x: &[E]) -> Result<()> {
    match reduce::first_non_finite(isa, x) {
        None => Ok(()),
        Some(index) => Err(Error::NonFinite { argument, index, value: x[index].to_f64() }),
    }
}

/// How many rows of `columns` elements there are: at least one, and each whole.
pub(crate) fn whole_rows(argument: &'static str, length: usize, columns: usize) -> Result<usize> {
    if length == 0 {
        return Err(Error::Empty { argument });
    }
    if !length.is_multiple_of(columns) {
        return Err(Error::PartialRow { argument, length, columns });
    }
    Ok(length / columns)
}

/// `elements` copies of the default value, or an error where `vec!` would abort.
pub(crate) fn try_vec<T: Clone + Default>(
    argument: &'static str,
    elements: usize,
) -> Result<Vec<T>> {
    let mut vec = Vec::new();
    vec.try_reserve_exact(elements).map_err(|_| Error::OutOfMemory { argument, elements })?;
    vec.resize(elements, T::default());
    Ok(vec)
}

/// Room for more elements of a vector, or an error if there is no memory for them.
pub(crate) fn try_reserve<T>(argument: &'static str, vec: &mut Vec<T>, more: usize) -> Result<()> {
    let elements = vec.len().saturating_add(more);
    vec.try_reserve(more).map_err(|_| Error::OutOfMemory { argument, elements })
}

/// [`try_vec`] whose elements begin on a cache line.
pub(crate) fn try_aligned<T: Copy + Default>(
    argument: &'static str,
    elements: usize,
) -> Result<Aligned<T>> {
    Aligned::new(argument, elements).map_err(|_| Error::OutOfMemory { argument, elements })
}
