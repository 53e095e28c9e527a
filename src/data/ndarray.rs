//! Arrays of the crate ndarray.

use deltarule_kernels::Element;
use ndarray::{Array2, ArrayView1, ArrayView2};
use std::borrow::Cow;

use super::{Dataset, Rows};
use crate::error::{Error, Result, check_length};
use crate::network::Network;
use crate::targets::Targets;

/// The array's elements row-major: its own memory if it is that already, and else a copy.
fn row_major<'a, E: Element>(view: &'a ArrayView2<'_, E>) -> Cow<'a, [E]> {
    match view.as_slice() {
        Some(slice) => Cow::Borrowed(slice),
        None => Cow::Owned(view.iter().copied().collect()),
    }
}

impl<'a, E: Element> Rows<'a, E> {
    /// A view of arrays of the crate ndarray, without a copy.
    ///
    /// ```
    /// use deltarule::data::Rows;
    /// use ndarray::array;
    /// let features = array![[1.0f32, 2.0], [3.0, 4.0]];
    /// let labels = array![0, 1];
    /// let rows = Rows::from_class_arrays(features.view(), labels.view())?;
    /// assert_eq!((rows.rows(), rows.columns()), (2, 2));
    /// assert!(Rows::from_class_arrays(features.t(), labels.view()).is_err());
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::NotRowMajor`] for an array in another memory layout, which
    /// [`Dataset::from_class_arrays`] copies; and as [`Rows::new`].
    pub fn from_class_arrays(
        features: ArrayView2<'a, E>,
        labels: ArrayView1<'a, usize>,
    ) -> Result<Self> {
        let not_row_major = |argument| Error::NotRowMajor { argument };
        let columns = features.ncols();
        let x = features.to_slice().ok_or(not_row_major("features"))?;
        let labels = labels.to_slice().ok_or(not_row_major("labels"))?;
        Self::new(x, columns, Targets::Classes(labels))
    }

    /// A view of arrays of the crate ndarray, without a copy.
    ///
    /// ```
    /// use deltarule::data::Rows;
    /// use ndarray::array;
    /// let (features, values) = (array![[1.0f32, 2.0], [3.0, 4.0]], array![[0.5f32], [1.5]]);
    /// let rows = Rows::from_value_arrays(features.view(), values.view())?;
    /// assert_eq!((rows.rows(), rows.columns()), (2, 2));
    /// assert_eq!(rows.x().as_ptr(), features.as_ptr());
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Rows::from_class_arrays`]; [`Error::Length`] if the arrays have not as many rows.
    pub fn from_value_arrays(
        features: ArrayView2<'a, E>,
        values: ArrayView2<'a, E>,
    ) -> Result<Self> {
        let not_row_major = |argument| Error::NotRowMajor { argument };
        check_length("rows of the values", values.nrows(), features.nrows())?;
        let columns = features.ncols();
        let x = features.to_slice().ok_or(not_row_major("features"))?;
        let values = values.to_slice().ok_or(not_row_major("values"))?;
        Self::new(x, columns, Targets::Values(values))
    }
}

impl<E: Element> Dataset<E> {
    /// Rows with classes, from arrays of the crate ndarray in any memory layout.
    ///
    /// ```
    /// use ndarray::array;
    /// let features = array![[1.0f32, 2.0], [3.0, 4.0]];
    /// let labels = array![0, 1];
    /// let data = deltarule::data::Dataset::from_class_arrays(features.view(), labels.view())?;
    /// assert_eq!(data.features(), [1.0, 2.0, 3.0, 4.0]);
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Dataset::from_classes`].
    pub fn from_class_arrays(
        features: ArrayView2<'_, E>,
        labels: ArrayView1<'_, usize>,
    ) -> Result<Self> {
        let columns = features.ncols();
        Self::from_classes(row_major(&features).into_owned(), columns, labels.to_vec())
    }

    /// Rows with values, from arrays of the crate ndarray in any memory layout.
    ///
    /// ```
    /// use deltarule::data::Dataset;
    /// use ndarray::array;
    /// let (features, values) = (array![[1.0f32, 2.0], [3.0, 4.0]], array![[0.5f32], [1.5]]);
    /// let data = Dataset::from_value_arrays(features.t(), values.view())?; // columns as rows
    /// assert_eq!((data.features(), data.values()), (&[1.0, 3.0, 2.0, 4.0][..], &[0.5, 1.5][..]));
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Dataset::from_values`].
    pub fn from_value_arrays(
        features: ArrayView2<'_, E>,
        values: ArrayView2<'_, E>,
    ) -> Result<Self> {
        let (columns, outputs) = (features.ncols(), values.ncols());
        let (features, values) = (row_major(&features), row_major(&values));
        Self::from_values(features.into_owned(), columns, values.into_owned(), outputs)
    }

    /// The features as an array of the crate ndarray, without a copy.
    ///
    /// ```
    /// use deltarule::data::Dataset;
    /// use ndarray::{Axis, array};
    /// let data: Dataset = Dataset::from_classes(vec![1.0, 2.0, 3.0, 4.0], 2, vec![0, 1])?;
    /// let features = data.features_array();
    /// assert_eq!(features.mean_axis(Axis(0)), Some(array![2.0, 3.0]));
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn features_array(&self) -> ArrayView2<'_, E> {
        let shape = (self.rows(), self.columns());
        // The constructors have checked that the features are whole rows.
        ArrayView2::from_shape(shape, self.features()).unwrap_or_else(|_| ArrayView2::from(&[[]]))
    }
}

impl<E: Element> Network<E> {
    /// [`Network::predict`] from and to an array of the crate ndarray. It is not copied if it is
    /// row-major.
    ///
    /// ```
    /// use deltarule::{Activation, Network};
    /// use ndarray::array;
    /// let mut network = Network::builder(2).dense(1, Activation::Identity).build()?;
    /// network.parameters_mut().copy_from_slice(&[1.0, 10.0, 0.5]);
    /// let x = array![[1.0, 2.0], [3.0, 4.0]];
    /// assert_eq!(network.predict_array(x.view())?, array![[21.5], [43.5]]);
    /// assert!(network.predict_array(x.slice(ndarray::s![.., ..1])).is_err());
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Length`] unless `x` has [`Network::inputs`] columns, and as [`Network::predict`].
    pub fn predict_array(&self, x: ArrayView2<'_, E>) -> Result<Array2<E>> {
        check_length("columns of x", x.ncols(), self.inputs())?;
        let out = self.predict(&row_major(&x))?;
        Array2::from_shape_vec((x.nrows(), self.outputs()), out)
            .map_err(|_| Error::Empty { argument: "x" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Activation;
    use ndarray::{Axis, array};

    #[test]
    fn any_layout_has_the_same_rows() {
        let x = array![[1.0f64, 2.0, 3.0], [4.0, 5.0, 6.0]];
        let labels = array![0, 1];
        let plain = Dataset::from_class_arrays(x.view(), labels.view()).unwrap();
        let columns_first = x.t().as_standard_layout().into_owned();
        let transposed = Dataset::from_class_arrays(columns_first.t(), labels.view()).unwrap();
        assert_eq!(plain, transposed);
        assert_eq!(plain.features_array(), x);
        let part = Dataset::from_value_arrays(
            x.slice_axis(Axis(1), (1..).into()),
            x.slice_axis(Axis(1), (..1).into()),
        )
        .unwrap();
        assert_eq!(
            (part.features(), part.values()),
            ([2.0, 3.0, 5.0, 6.0].as_slice(), [1.0, 4.0].as_slice())
        );
        assert!(Dataset::from_class_arrays(x.view(), array![0].view()).is_err());
        let view = Rows::from_value_arrays(x.view(), x.view()).unwrap();
        assert_eq!((view.x().as_ptr(), view.rows()), (x.as_ptr(), 2));
        assert_eq!(
            Rows::from_value_arrays(x.t(), x.t()),
            Err(Error::NotRowMajor { argument: "features" })
        );
        let one = x.slice_axis(Axis(0), (..1).into());
        assert!(Rows::from_value_arrays(x.view(), one).is_err());
        // As many values as two rows of two would have.
        assert_eq!(
            Rows::from_value_arrays(x.view(), array![[1.0], [2.0], [3.0], [4.0]].view()),
            Err(Error::Length { argument: "rows of the values", expected: 2, actual: 4 })
        );
    }

    #[test]
    fn predictions_are_those_of_slices() {
        let builder = crate::NetworkBuilder::<f64>::new(3).dense(2, Activation::Tanh);
        let network = builder.seed(1).build().unwrap();
        let x = array![[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
        let out = network.predict_array(x.view()).unwrap();
        assert_eq!(out.as_slice().unwrap(), network.predict(x.as_slice().unwrap()).unwrap());
        assert_eq!(
            network.predict_array(x.t()),
            Err(Error::Length { argument: "columns of x", expected: 3, actual: 2 })
        );
        assert!(network.predict_array(x.slice_axis(Axis(0), (..0).into())).is_err());
    }
}
