//! A page of HTML about a training, in one file: its curves, gradients, weights, activations and
//! confusion matrix.

mod chart;
mod page;

use deltarule_kernels::Element;
use std::io;
use std::path::Path;

use crate::error::{Error, Result, check_length};
use crate::fit::History;
use crate::metrics::ConfusionMatrix;
use crate::network::Network;
use chart::Histogram;

/// Why there is no page.
///
/// ```
/// # use deltarule::{*, Loss::MeanSquaredError, data::Dataset};
/// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
/// # let data = Dataset::from_values(vec![1., 2., 3., 4.], 1, vec![2., 4., 6., 8.], 1)?;
/// # let mut trainer = Trainer::builder(network, MeanSquaredError, Optimizer::sgd(0.01)).build()?;
/// use deltarule::ReportError;
/// let history = trainer.fit(&data).epochs(2).run()?;
/// match history.report("no such folder/run.html") {
///     Err(ReportError::Io(error)) => {
///         assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
///         assert!(error.to_string().starts_with("no such folder/run.html: "));
///     }
///     other => panic!("{other:?}"),
/// }
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// The file can't be written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// A chart can't be drawn.
    #[error("a chart can't be drawn: {0}")]
    Draw(String),
}

/// A page about a training. [`History::report`] is the shortest way to one.
///
/// It is a single file without scripts, and loads nothing: charts are SVG within it. It is light or
/// dark as the reader's browser is.
///
/// ```
/// use deltarule::{Activation, Loss, Network, Optimizer, Report, Targets, Trainer};
/// use deltarule::{data::Rows, metrics::ConfusionMatrix};
/// let x = [0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0];
/// let labels = [0, 1, 1, 0];
/// let network =
///     Network::builder(2).dense(8, Activation::Tanh).dense(2, Activation::Identity).build()?;
/// let mut trainer =
///     Trainer::builder(network, Loss::SoftmaxCrossEntropy, Optimizer::sgd(0.5)).build()?;
/// let rows = Rows::new(&x, 2, Targets::Classes(&labels))?;
/// let history = trainer.fit(rows).epochs(20).gradient_norms().run()?;
/// let mut confusion = ConfusionMatrix::new(2)?;
/// confusion.add(&trainer.network().classify(&x)?, &labels)?;
/// let page = Report::new(&history)
///     .title("Exclusive or")
///     .weights(trainer.network())
///     .activations(trainer.network(), &x)?
///     .confusion(&confusion, &["equal", "different"])?
///     .to_html()?;
/// assert!(page.contains("<svg"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "nothing is drawn before `to_html` or `write`"]
pub struct Report<'a> {
    history: &'a History,
    title: String,
    weights: Vec<Histogram>,
    activations: Vec<Histogram>,
    confusion: Option<(&'a ConfusionMatrix, Vec<String>)>,
}

impl<'a> Report<'a> {
    /// A page with what the history knows: losses, metrics, learning rate, and the gradients'
    /// norms if [`Fit::gradient_norms`](crate::Fit::gradient_norms) kept them.
    pub fn new(history: &'a History) -> Self {
        let title = "Training".to_owned();
        Self { history, title, weights: Vec::new(), activations: Vec::new(), confusion: None }
    }

    /// Sets the title.
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// Adds a histogram of each dense layer's weights.
    ///
    /// ```
    /// # use deltarule::{*, Loss::MeanSquaredError, data::Dataset};
    /// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
    /// # let data = Dataset::from_values(vec![1., 2., 3., 4.], 1, vec![2., 4., 6., 8.], 1)?;
    /// # let mut trainer =
    /// #     Trainer::builder(network, MeanSquaredError, Optimizer::sgd(0.01)).build()?;
    /// let history = trainer.fit(&data).epochs(2).run()?;
    /// let without = Report::new(&history).to_html()?;
    /// let with = Report::new(&history).weights(trainer.network()).to_html()?;
    /// assert_eq!(with.matches("<svg").count(), without.matches("<svg").count() + 1);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn weights<E: Element>(mut self, network: &Network<E>) -> Self {
        let histogram = |(index, layer): (usize, crate::LayerRef<'_, E>)| {
            Some(Histogram::new(format!("Layer {}", index + 1), layer.as_dense()?.weights))
        };
        self.weights = network.layers().enumerate().filter_map(histogram).collect();
        self
    }

    /// Adds a histogram of each layer's outputs on these rows, (rows, inputs) row-major.
    ///
    /// ```
    /// # use deltarule::{*, Loss::MeanSquaredError, data::Dataset};
    /// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
    /// # let data = Dataset::from_values(vec![1., 2., 3., 4.], 1, vec![2., 4., 6., 8.], 1)?;
    /// # let mut trainer =
    /// #     Trainer::builder(network, MeanSquaredError, Optimizer::sgd(0.01)).build()?;
    /// let history = trainer.fit(&data).epochs(2).run()?;
    /// let report = Report::new(&history).activations(trainer.network(), data.features())?;
    /// assert!(report.to_html()?.contains("<svg"));
    /// // Half a row has no outputs.
    /// let network = Network::builder(2).dense(1, Activation::Tanh).build()?;
    /// assert!(Report::new(&history).activations(&network, &[0.5]).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Network::predict`].
    pub fn activations<E: Element>(mut self, network: &Network<E>, x: &[E]) -> Result<Self> {
        self.activations.clear();
        network.trace(x, |index, _, outputs| {
            self.activations.push(Histogram::new(format!("Layer {}", index + 1), outputs));
        })?;
        Ok(self)
    }

    /// Adds a confusion matrix. Without names, classes have their numbers.
    ///
    /// ```
    /// # use deltarule::{*, data::Dataset, metrics::ConfusionMatrix};
    /// # let network = Network::builder(1).dense(2, Activation::Identity).build()?;
    /// # let data = Dataset::from_classes(vec![1., 2., 3., 4.], 1, vec![0, 0, 1, 1])?;
    /// # let builder = Trainer::builder(network, Loss::SoftmaxCrossEntropy, Optimizer::sgd(0.01));
    /// # let mut trainer = builder.build()?;
    /// let history = trainer.fit(&data).epochs(2).run()?;
    /// let mut confusion = ConfusionMatrix::new(2)?;
    /// confusion.add(&trainer.network().classify(data.features())?, data.labels())?;
    /// let page = Report::new(&history).confusion(&confusion, &["ham", "spam"])?.to_html()?;
    /// assert!(page.contains("spam"));
    /// assert!(Report::new(&history).confusion(&confusion, &["ham"]).is_err());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Length`] unless there are as many names as classes, or none.
    pub fn confusion<S: AsRef<str>>(
        mut self,
        confusion: &'a ConfusionMatrix,
        class_names: &[S],
    ) -> Result<Self, Error> {
        let names = if class_names.is_empty() {
            (0..confusion.classes()).map(|class| class.to_string()).collect()
        } else {
            check_length("class_names", class_names.len(), confusion.classes())?;
            class_names.iter().map(|name| name.as_ref().to_owned()).collect()
        };
        self.confusion = Some((confusion, names));
        Ok(self)
    }

    /// The page.
    ///
    /// # Errors
    /// [`ReportError::Draw`] if a chart can't be drawn.
    pub fn to_html(&self) -> Result<String, ReportError> {
        page::html(self)
    }

    /// Writes the page to a file.
    ///
    /// ```
    /// # use deltarule::{*, Loss::MeanSquaredError, data::Dataset};
    /// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
    /// # let data = Dataset::from_values(vec![1., 2., 3., 4.], 1, vec![2., 4., 6., 8.], 1)?;
    /// # let mut trainer =
    /// #     Trainer::builder(network, MeanSquaredError, Optimizer::sgd(0.01)).build()?;
    /// # let path = std::env::temp_dir().join("deltarule_report_doc.html");
    /// let history = trainer.fit(&data).epochs(2).run()?;
    /// let report = Report::new(&history).title("A line");
    /// report.write(&path)?;
    /// assert_eq!(std::fs::read_to_string(&path)?, report.to_html()?);
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Report::to_html`]; [`ReportError::Io`] if the file can't be written.
    pub fn write(&self, path: impl AsRef<Path>) -> Result<(), ReportError> {
        let (path, page) = (path.as_ref(), self.to_html()?);
        std::fs::write(path, page).map_err(|error| {
            let named = format!("{}: {error}", path.display());
            ReportError::Io(io::Error::new(error.kind(), named))
        })
    }
}

impl History {
    /// Writes a page of HTML about the training to a file. [`Report`] shows more than the history
    /// knows.
    ///
    /// ```
    /// # use deltarule::{*, Loss::MeanSquaredError, data::Dataset};
    /// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
    /// # let data = Dataset::from_values(vec![1., 2., 3., 4.], 1, vec![2., 4., 6., 8.], 1)?;
    /// # let mut trainer =
    /// #     Trainer::builder(network, MeanSquaredError, Optimizer::sgd(0.01)).build()?;
    /// # let path = std::env::temp_dir().join("deltarule_history_doc.html");
    /// trainer.fit(&data).epochs(2).run()?.report(&path)?;
    /// assert!(std::fs::read_to_string(&path)?.contains("<svg"));
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// As [`Report::write`].
    pub fn report(&self, path: impl AsRef<Path>) -> Result<(), ReportError> {
        Report::new(self).write(path)
    }
}
