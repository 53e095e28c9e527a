//! Rows of features with their targets.

use deltarule_kernels::Element;

use super::split::rows_of_classes;
use super::{Scaling, Split, gather, random_split, stratified_split};
use crate::error::{Error, Result, check_length, checked_area, try_vec, whole_rows};
use crate::targets::{Targets, WeightedTargets};

/// A view of rows and their targets: what [`Trainer::fit`](crate::Trainer::fit) learns from.
///
/// A [`Dataset`] is one that owns its rows.
///
/// ```
/// use deltarule::{Activation, Loss, Network, Optimizer, Targets, Trainer, data::Rows};
/// // Slices that belong to somebody else.
/// let (x, y) = ([1.0, 2.0, 3.0], [2.0, 4.0, 6.0]);
/// let rows = Rows::new(&x, 1, Targets::Values(&y))?;
/// assert_eq!((rows.rows(), rows.columns(), rows.x()), (3, 1, &x[..]));
/// assert_eq!(rows.targets(), Targets::Values(&y));
/// let network = Network::builder(1).dense(1, Activation::Identity).build()?;
/// let mut trainer =
///     Trainer::builder(network, Loss::MeanSquaredError, Optimizer::sgd(0.1)).build()?;
/// trainer.fit(rows).epochs(100).run()?;
/// assert!((trainer.network().predict(&[4.0])?[0] - 8.0).abs() < 0.1);
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rows<'a, E: Element = f32> {
    x: &'a [E],
    columns: usize,
    targets: Targets<'a, E>,
    weights: Option<&'a [E]>,
    rows: usize,
}

impl<'a, E: Element> Rows<'a, E> {
    /// The rows of `x`, (rows, `columns`) row-major.
    ///
    /// ```
    /// use deltarule::{Error, Targets, data::Rows};
    /// let x = [0.5, 1.0, -2.0, 0.0];
    /// assert_eq!(Rows::new(&x, 2, Targets::Classes(&[1, 0]))?.rows(), 2);
    /// let error = Rows::new(&x, 2, Targets::Classes(&[1, 0, 1])).unwrap_err();
    /// assert_eq!(error, Error::Length { argument: "targets", expected: 2, actual: 3 });
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Zero`] without columns, [`Error::Empty`] or [`Error::PartialRow`] if `x` is not
    /// whole rows, [`Error::Length`] if there is not a class for each, [`Error::Empty`] or
    /// [`Error::Uneven`] if there are not as many values for each.
    pub fn new(x: &'a [E], columns: usize, targets: Targets<'a, E>) -> Result<Self> {
        if columns == 0 {
            return Err(Error::Zero { argument: "columns" });
        }
        let rows = whole_rows("x", x.len(), columns)?;
        WeightedTargets::from(targets).check_rows("targets", rows)?;
        Ok(Self { x, columns, targets, weights: None, rows })
    }

    /// The same rows, of which each counts as much as its weight in a training, and in the loss of
    /// a validation: see [`WeightedTargets`]. So it does in metrics, for which no weight may be
    /// negative: see [`Truth`](crate::metrics::Truth).
    ///
    /// ```
    /// use deltarule::{Activation, Loss, Network, Optimizer, Targets, Trainer, data::Rows};
    /// // Two measurements that contradict each other, of which one is trusted more.
    /// let rows = Rows::new(&[1.0, 1.0], 1, Targets::Values(&[0.0, 4.0]))?;
    /// let rows = rows.with_weights(&[0.5, 1.5])?;
    /// let network = Network::builder(1).dense(1, Activation::Identity).build()?;
    /// let mut trainer =
    ///     Trainer::builder(network, Loss::MeanSquaredError, Optimizer::sgd(0.1)).build()?;
    /// trainer.fit(rows).epochs(100).run()?;
    /// assert!((trainer.network().predict(&[1.0])?[0] - 3.0).abs() < 1e-4);
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Length`] if there is not a weight for each row.
    pub fn with_weights(self, weights: &'a [E]) -> Result<Self> {
        check_length("weights", weights.len(), self.rows)?;
        Ok(Self { weights: Some(weights), ..self })
    }

    /// The features, (rows, columns) row-major.
    pub fn x(&self) -> &'a [E] {
        self.x
    }

    /// The features of a row.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// What the outputs should be.
    pub fn targets(&self) -> Targets<'a, E> {
        self.targets
    }

    /// A weight for each row, unless each counts as 1.
    pub fn weights(&self) -> Option<&'a [E]> {
        self.weights
    }

    /// What the outputs should be, and how much each row counts.
    ///
    /// ```
    /// use deltarule::{Targets, data::Rows};
    /// let (targets, weights) = (Targets::Values(&[2.0, 4.0]), [0.5, 2.0]);
    /// let rows = Rows::new(&[1.0, 2.0], 1, targets)?.with_weights(&weights)?;
    /// assert_eq!(rows.weighted_targets(), targets.weighted(&weights));
    /// assert_eq!((rows.targets(), rows.weights()), (targets, Some(weights.as_slice())));
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn weighted_targets(&self) -> WeightedTargets<'a, E> {
        WeightedTargets { targets: self.targets, weights: self.weights }
    }

    /// The target values of a row, 0 if the targets are classes.
    pub(crate) fn target_columns(&self) -> usize {
        match self.targets {
            Targets::Classes(_) => 0,
            Targets::Values(values) => values.len() / self.rows,
        }
    }

    /// Test rows, and the others: of every class the same share if the targets are classes.
    pub(crate) fn split(&self, test_share: f64, seed: u64) -> Result<Split> {
        match self.targets {
            Targets::Classes(labels) => stratified_split(labels, test_share, seed),
            Targets::Values(_) => random_split(self.rows, test_share, seed),
        }
    }

    /// A copy of these rows.
    pub(crate) fn select(&self, rows: &[usize]) -> Result<Dataset<E>> {
        let copy = |x: &[E], columns: usize| {
            let mut out = try_vec("rows", checked_area("rows", rows.len(), columns)?)?;
            gather(x, columns, rows, &mut out).map(|()| out)
        };
        let features = copy(self.x, self.columns)?;
        let selected = match self.targets {
            Targets::Classes(labels) => {
                let labels = rows.iter().map(|&row| labels[row]).collect();
                Dataset::from_classes(features, self.columns, labels)
            }
            Targets::Values(values) => {
                let outputs = self.target_columns();
                let values = copy(values, outputs)?;
                Dataset::from_values(features, self.columns, values, outputs)
            }
        }?;
        match self.weights {
            Some(weights) => selected.with_weights(copy(weights, 1)?),
            None => Ok(selected),
        }
    }
}

impl<'a, E: Element> From<&'a Dataset<E>> for Rows<'a, E> {
    fn from(data: &'a Dataset<E>) -> Self {
        data.view()
    }
}

/// Rows of features, and for each row its class or the values to be predicted from it.
///
/// ```
/// use deltarule::data::Dataset;
/// let features = vec![5.1, 3.5, 4.9, 3.0, 6.2, 2.9, 6.7, 3.1];
/// let data: Dataset = Dataset::from_classes(features, 2, vec![0, 0, 1, 1])?;
/// assert_eq!((data.rows(), data.columns(), data.outputs()), (4, 2, 2));
/// assert_eq!((&data.features()[..2], data.labels()), (&[5.1, 3.5][..], &[0, 0, 1, 1][..]));
/// let (train, test) = data.split(0.5, 42)?;
/// assert_eq!((train.rows(), test.rows()), (2, 2));
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset<E: Element = f32> {
    features: Vec<E>,
    columns: usize,
    targets: OwnedTargets<E>,
    weights: Option<Vec<E>>,
    feature_names: Vec<String>,
    class_names: Vec<String>,
}

#[derive(Clone, Debug, PartialEq)]
enum OwnedTargets<E> {
    Classes { labels: Vec<usize>, classes: usize },
    Values { values: Vec<E>, outputs: usize },
}

impl<E: Element> Dataset<E> {
    /// Rows with classes. `features` is (rows, `columns`) row-major; there are as many classes as
    /// the largest label requires.
    ///
    /// ```
    /// use deltarule::data::Dataset;
    /// let data: Dataset = Dataset::from_classes(vec![0.5, 1.0, -2.0, 0.0], 2, vec![3, 0])?;
    /// assert_eq!((data.rows(), data.outputs(), data.labels()), (2, 4, [3, 0].as_slice()));
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Rows::new`].
    pub fn from_classes(features: Vec<E>, columns: usize, labels: Vec<usize>) -> Result<Self> {
        Rows::new(&features, columns, Targets::Classes(&labels))?;
        let classes = labels.iter().max().map_or(0, |largest| largest.saturating_add(1));
        Ok(Self::new(features, columns, OwnedTargets::Classes { labels, classes }))
    }

    /// Rows with `outputs` values each. `features` is (rows, `columns`) row-major, and `values`
    /// (rows, `outputs`).
    ///
    /// ```
    /// use deltarule::data::Dataset;
    /// let mut data: Dataset = Dataset::from_values(vec![1.0, 2.0], 1, vec![10.0, 20.0], 1)?;
    /// for y in data.values_mut() {
    ///     *y = y.ln(); // prices are learned better so
    /// }
    /// data.features_mut()[0] = 1.5;
    /// assert_eq!((data.features(), data.values()[0]), ([1.5, 2.0].as_slice(), 10f32.ln()));
    /// assert!(data.labels().is_empty());
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Rows::new`]; [`Error::Length`] if `values` is not (rows, `outputs`).
    pub fn from_values(
        features: Vec<E>,
        columns: usize,
        values: Vec<E>,
        outputs: usize,
    ) -> Result<Self> {
        let rows = Rows::new(&features, columns, Targets::Values(&values))?.rows();
        check_length("values", values.len(), checked_area("values", rows, outputs)?)?;
        Ok(Self::new(features, columns, OwnedTargets::Values { values, outputs }))
    }

    fn new(features: Vec<E>, columns: usize, targets: OwnedTargets<E>) -> Self {
        let (feature_names, class_names) = (Vec::new(), Vec::new());
        Self { features, columns, targets, weights: None, feature_names, class_names }
    }

    /// Gives each row a weight: see [`Rows::with_weights`].
    ///
    /// ```
    /// use deltarule::data::Dataset;
    /// let data: Dataset = Dataset::from_classes(vec![0.5, 1.0, -2.0], 1, vec![1, 0, 1])?
    ///     .with_weights(vec![1.0, 0.5, 2.0])?;
    /// assert_eq!(data.select(&[2, 0])?.weights(), Some([2.0, 1.0].as_slice()));
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Length`] if there is not a weight for each row.
    pub fn with_weights(mut self, weights: Vec<E>) -> Result<Self> {
        self.view().with_weights(&weights)?;
        self.weights = Some(weights);
        Ok(self)
    }

    /// Names the features, and the classes, of which there may be more than occur. No names are
    /// none.
    ///
    /// ```
    /// use deltarule::data::Dataset;
    /// let names = |names: &[&str]| names.iter().map(|name| name.to_string()).collect::<Vec<_>>();
    /// let data: Dataset = Dataset::from_classes(vec![0.5, 1.0, -2.0, 0.0], 2, vec![1, 0])?
    ///     .with_names(names(&["width", "height"]), names(&["cat", "dog", "bird"]))?;
    /// assert_eq!(data.feature_names(), ["width", "height"]);
    /// assert_eq!(data.class_names()[data.labels()[0]], "dog");
    /// assert_eq!(data.outputs(), 3); // though there is no bird
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Length`] for names that are not as many as the features, or fewer than the
    /// classes.
    pub fn with_names(mut self, features: Vec<String>, classes: Vec<String>) -> Result<Self> {
        if !features.is_empty() {
            check_length("feature names", features.len(), self.columns)?;
        }
        if let (OwnedTargets::Classes { classes: count, .. }, false) =
            (&mut self.targets, classes.is_empty())
        {
            if classes.len() < *count {
                check_length("class names", classes.len(), *count)?;
            }
            *count = classes.len();
        }
        self.feature_names = features;
        self.class_names = classes;
        Ok(self)
    }

    /// All rows.
    ///
    /// ```
    /// use deltarule::{Targets, data::Dataset};
    /// let data: Dataset = Dataset::from_classes(vec![0.5, 1.0, -2.0, 0.0], 2, vec![1, 0])?;
    /// let rows = data.view(); // without a copy
    /// assert_eq!((rows.x().as_ptr(), rows.rows()), (data.features().as_ptr(), data.rows()));
    /// assert_eq!(data.targets(), Targets::Classes(&[1, 0]));
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn view(&self) -> Rows<'_, E> {
        let Self { features: x, columns, .. } = self;
        let rows = x.len() / columns;
        let weights = self.weights.as_deref();
        Rows { x, columns: *columns, targets: self.targets(), weights, rows }
    }

    /// The rows.
    pub fn rows(&self) -> usize {
        self.features.len() / self.columns
    }

    /// The features of a row: the inputs of a network.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The classes, or the values of a row: the outputs of a network.
    pub fn outputs(&self) -> usize {
        match self.targets {
            OwnedTargets::Classes { classes, .. } => classes,
            OwnedTargets::Values { outputs, .. } => outputs,
        }
    }

    /// The features, (rows, columns) row-major.
    pub fn features(&self) -> &[E] {
        &self.features
    }

    /// The features, to change.
    pub fn features_mut(&mut self) -> &mut [E] {
        &mut self.features
    }

    /// What the outputs should be.
    pub fn targets(&self) -> Targets<'_, E> {
        match &self.targets {
            OwnedTargets::Classes { labels, .. } => Targets::Classes(labels),
            OwnedTargets::Values { values, .. } => Targets::Values(values),
        }
    }

    /// A weight for each row, unless each counts as 1.
    pub fn weights(&self) -> Option<&[E]> {
        self.weights.as_deref()
    }

    /// The rows' classes; empty if the targets are values.
    pub fn labels(&self) -> &[usize] {
        match &self.targets {
            OwnedTargets::Classes { labels, .. } => labels,
            OwnedTargets::Values { .. } => &[],
        }
    }

    /// Weights by which every class counts alike, for
    /// [`TrainerBuilder::class_weights`](crate::TrainerBuilder::class_weights): n/(C·nⱼ) of each of C
    /// classes, nⱼ of whose rows are among all n. They are scikit-learn's `balanced`.
    ///
    /// ```
    /// use deltarule::data::Dataset;
    /// let data: Dataset = Dataset::from_classes(vec![0.5; 8], 1, vec![0, 0, 0, 0, 1, 0, 0, 1])?;
    /// assert_eq!(data.balanced_weights()?, [8.0 / (2.0 * 6.0), 8.0 / (2.0 * 2.0)]);
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Empty`] if the targets are values, [`Error::MissingClass`] for a class without
    /// rows.
    pub fn balanced_weights(&self) -> Result<Vec<f64>> {
        let labels = self.labels();
        if labels.is_empty() {
            return Err(Error::Empty { argument: "labels" });
        }
        let rows = rows_of_classes(labels);
        if let Some(class) = (0..self.outputs()).find(|class| !rows.contains_key(class)) {
            return Err(Error::MissingClass { argument: "labels", class });
        }
        let share = labels.len() as f64 / rows.len() as f64;
        Ok(rows.values().map(|rows| share / rows.len() as f64).collect())
    }

    /// The rows' values, (rows, outputs); empty if the targets are classes.
    pub fn values(&self) -> &[E] {
        match &self.targets {
            OwnedTargets::Classes { .. } => &[],
            OwnedTargets::Values { values, .. } => values,
        }
    }

    /// The rows' values, to change; empty if the targets are classes.
    pub fn values_mut(&mut self) -> &mut [E] {
        match &mut self.targets {
            OwnedTargets::Classes { .. } => &mut [],
            OwnedTargets::Values { values, .. } => values,
        }
    }

    /// The names of the features, if there are any.
    pub fn feature_names(&self) -> &[String] {
        &self.feature_names
    }

    /// The names of the classes, if there are any.
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// Scales the features.
    ///
    /// ```
    /// use deltarule::data::{Dataset, Scaling};
    /// let mut data: Dataset = Dataset::from_classes(vec![1.0, 10.0, 3.0, 30.0], 2, vec![1, 0])?;
    /// data.scale(&Scaling::standard(data.features(), 2)?)?;
    /// assert_eq!(data.features(), [-1.0, -1.0, 1.0, 1.0]);
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Length`] if the scaling is for another number of columns.
    pub fn scale(&mut self, scaling: &Scaling) -> Result<()> {
        check_length("scaling", scaling.columns(), self.columns)?;
        scaling.apply(&mut self.features)
    }

    /// A copy of these rows, in this order.
    ///
    /// ```
    /// use deltarule::data::Dataset;
    /// let data: Dataset = Dataset::from_classes(vec![0.5, 1.5, 2.5], 1, vec![0, 1, 2])?;
    /// let selected = data.select(&[1, 0, 1])?;
    /// assert_eq!(selected.features(), [1.5, 0.5, 1.5]);
    /// assert_eq!(selected.labels(), [1, 0, 1]);
    /// assert_eq!(selected.outputs(), 3); // as in the whole
    /// assert!(data.select(&[3]).is_err());
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Empty`] for no rows, [`Error::Row`] for one that is not there.
    pub fn select(&self, rows: &[usize]) -> Result<Self> {
        if rows.is_empty() {
            return Err(Error::Empty { argument: "rows" });
        }
        let count = self.rows();
        if let Some(index) = rows.iter().position(|&row| row >= count) {
            return Err(Error::Row { argument: "rows", index, row: rows[index], rows: count });
        }
        let mut selected = self.view().select(rows)?;
        if let OwnedTargets::Classes { classes, .. } = &mut selected.targets {
            *classes = self.outputs();
        }
        selected.with_names(self.feature_names.clone(), self.class_names.clone())
    }

    /// Training rows and test rows, chosen at random: `test_share` of every class if the targets
    /// are classes, and of all rows otherwise.
    ///
    /// ```
    /// use deltarule::data::Dataset;
    /// let labels: Vec<usize> = (0..100).map(|row| usize::from(row < 10)).collect();
    /// let data: Dataset = Dataset::from_classes(vec![0.0; 100], 1, labels)?;
    /// let (train, test) = data.split(0.2, 42)?;
    /// assert_eq!((train.rows(), test.rows()), (80, 20));
    /// assert_eq!(test.labels().iter().sum::<usize>(), 2); // a fifth of the rare class, too
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::OutOfRange`] for a share outside 0 to 1, [`Error::Empty`] if one side has no row.
    pub fn split(&self, test_share: f64, seed: u64) -> Result<(Self, Self)> {
        let split = self.view().split(test_share, seed)?;
        split.check_sides("test rows")?;
        Ok((self.select(&split.train)?, self.select(&split.test)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named() -> Dataset<f64> {
        let features = (0..20).map(f64::from).collect();
        let data = Dataset::from_classes(features, 2, vec![0, 1, 0, 1, 0, 1, 0, 1, 0, 1]).unwrap();
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        data.with_names(names(&["a", "b"]), names(&["x", "y", "z"])).unwrap()
    }

    #[test]
    fn selected_rows_keep_names_and_classes() {
        let selected = named().select(&[3, 0]).unwrap();
        assert_eq!(selected.features(), [6.0, 7.0, 0.0, 1.0]);
        assert_eq!(selected.labels(), [1, 0]);
        assert_eq!((selected.outputs(), selected.feature_names().len()), (3, 2));
        let zeros = named().select(&[0, 2]).unwrap();
        assert_eq!((zeros.outputs(), zeros.class_names()[2].as_str()), (3, "z"));
        let values =
            Dataset::from_values(vec![0.0f32, 1.0], 1, vec![1.0, 2.0, 3.0, 4.0], 2).unwrap();
        assert_eq!(values.select(&[1]).unwrap().values(), [3.0, 4.0]);
    }

    #[test]
    fn a_split_has_every_row_once() {
        let data = named();
        let (train, test) = data.split(0.4, 1).unwrap();
        assert_eq!(test.labels().iter().filter(|&&label| label == 1).count(), 2);
        let mut all = [train.features(), test.features()].concat();
        all.sort_unstable_by(f64::total_cmp);
        assert_eq!(all, data.features());
        assert!(data.split(0.0, 1).is_err());
        assert!(data.split(f64::NAN, 1).is_err());
    }

    #[test]
    fn shapes_that_do_not_fit() {
        let message = |result: Result<Dataset<f32>>| result.unwrap_err().to_string();
        let x = || vec![0.0; 6];
        assert_eq!(
            message(Dataset::from_classes(x(), 4, vec![0])),
            "`x` has 6 elements, which is no multiple of its 4 columns"
        );
        assert_eq!(
            message(Dataset::from_classes(x(), 2, vec![0])),
            "`targets` has 1 elements, but 3 are needed"
        );
        assert_eq!(
            message(Dataset::from_values(x(), 2, x(), 1)),
            "`values` has 6 elements, but 3 are needed"
        );
        assert!(Dataset::from_classes(x(), 0, vec![0]).is_err());
        assert!(Dataset::from_values(x(), 2, vec![], 0).is_err());
        let values = Dataset::from_values(vec![0.0; 20], 1, vec![0.0; 20], 1).unwrap();
        let split = |seed| values.view().split(0.5, seed).unwrap();
        assert_eq!((split(1), split(1) == split(2)), (random_split(20, 0.5, 1).unwrap(), false));
        let data = Dataset::from_classes(x(), 2, vec![0, 1, 2]).unwrap();
        assert_eq!(message(data.select(&[0, 3])), "`rows[1]` is row 3, but there are only 3 rows");
        assert_eq!(message(data.select(&[])), "`rows` has 0 elements, but at least 1 is needed");
        assert_eq!(
            message(Dataset::from_values(x(), 2, vec![0.0; 4], 1)),
            "`targets` has 4 elements, which are not as many for each of 3 rows"
        );
        let values = Dataset::from_values(x(), 2, x(), 2).unwrap();
        assert_eq!(values.balanced_weights(), Err(Error::Empty { argument: "labels" }));
        let far = Dataset::from_classes(x(), 2, vec![0, usize::MAX, 0]).unwrap();
        let missing = Error::MissingClass { argument: "labels", class: 1 };
        assert_eq!(far.balanced_weights(), Err(missing));
        let scaling = Scaling::new(vec![0.0], vec![2.0]).unwrap();
        assert_eq!(
            data.clone().scale(&scaling),
            Err(Error::Length { argument: "scaling", expected: 2, actual: 1 })
        );
        assert!(data.clone().with_names(vec![String::new()], vec![]).is_err());
        assert!(data.with_names(vec![], vec![String::new(); 2]).is_err());
    }
}
