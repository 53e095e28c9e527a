//! Columns brought to one scale.

use deltarule_kernels::Element;

use crate::error::{Error, Result, check_length, try_vec, whole_rows};

/// x ↦ (x − c)·f, with a centre c and a factor f of each column.
///
/// It is fitted to training data, applied to whatever comes later, and plain data: it can travel
/// with a model, or become part of it by [`Scaling::fold_into`]. From JSON its numbers come back
/// bit for bit if `serde_json` has its feature `float_roundtrip`.
///
/// ```
/// use deltarule::data::Scaling;
/// let mut x = [1.0, 10.0, 3.0, 30.0];
/// let scaling = Scaling::standard(&x, 2)?;
/// assert_eq!((scaling.columns(), scaling.centers()), (2, &[2.0, 20.0][..]));
/// assert_eq!(scaling.factors(), [1.0, 0.1]);
/// scaling.apply(&mut x)?;
/// assert_eq!(x, [-1.0, -1.0, 1.0, 1.0]);
/// scaling.invert(&mut x)?;
/// assert_eq!(x, [1.0, 10.0, 3.0, 30.0]);
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "Unchecked"))]
pub struct Scaling {
    centers: Vec<f64>,
    factors: Vec<f64>,
}

/// A scaling as it is read, which may be any numbers.
#[cfg(feature = "serde")]
#[derive(serde::Deserialize)]
struct Unchecked {
    centers: Vec<f64>,
    factors: Vec<f64>,
}

#[cfg(feature = "serde")]
impl TryFrom<Unchecked> for Scaling {
    type Error = Error;

    fn try_from(Unchecked { centers, factors }: Unchecked) -> Result<Self> {
        Self::new(centers, factors)
    }
}

impl Scaling {
    /// This centre and factor of each column.
    ///
    /// ```
    /// use deltarule::data::Scaling;
    /// let celsius = Scaling::new(vec![32.0], vec![5.0 / 9.0])?; // from Fahrenheit
    /// let mut x = [212.0];
    /// celsius.apply(&mut x)?;
    /// assert_eq!(x, [100.0]);
    /// let error = Scaling::new(vec![0.0], vec![0.0]).unwrap_err();
    /// assert_eq!(error.to_string(), "`factors` is 0, but it must be other than 0");
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Empty`] without columns, [`Error::Length`] if the vectors differ in length,
    /// [`Error::NonFinite`] for a number that is infinite or NaN, [`Error::OutOfRange`] for a
    /// factor of 0, which can't be undone.
    pub fn new(centers: Vec<f64>, factors: Vec<f64>) -> Result<Self> {
        if centers.is_empty() {
            return Err(Error::Empty { argument: "centers" });
        }
        check_length("factors", factors.len(), centers.len())?;
        for (argument, numbers) in [("centers", &centers), ("factors", &factors)] {
            check_finite(argument, numbers)?;
        }
        if factors.contains(&0.0) {
            let expected = "other than 0";
            return Err(Error::OutOfRange { argument: "factors", value: 0.0, expected });
        }
        Ok(Self { centers, factors })
    }

    /// Every column of `x`, (rows, `columns`) row-major, to mean 0 and variance 1: c is the mean,
    /// and 1/f the standard deviation √((1/n) Σᵢ (xᵢ − c)²).
    ///
    /// A column whose numbers are all equal is centred, and otherwise left as it is.
    ///
    /// ```
    /// use deltarule::data::Scaling;
    /// let scaling = Scaling::standard(&[1.0, 7.0, 3.0, 7.0, 5.0, 7.0, 7.0, 7.0], 2)?;
    /// assert_eq!(scaling.centers(), [4.0, 7.0]);
    /// assert_eq!(scaling.factors(), [1.0 / 5f64.sqrt(), 1.0]); // nothing differs in column 1
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Zero`] without columns, [`Error::Empty`] or [`Error::PartialRow`] for `x`,
    /// [`Error::NonFinite`] for a number that is infinite or NaN, [`Error::OutOfRange`] if what the
    /// factor is made of overflows f64.
    pub fn standard<E: Element>(x: &[E], columns: usize) -> Result<Self> {
        let rows = check(x, columns)? as f64;
        let mut scaling = Self::unit(columns)?;
        for (column, (center, factor)) in scaling.columns_mut().enumerate() {
            let numbers = || x[column..].iter().step_by(columns).map(|x| x.to_f64());
            // From the first number on, so that the mean of equal ones is theirs to the last digit.
            let first = x[column].to_f64();
            *center = first + numbers().map(|x| x - first).sum::<f64>() / rows;
            let variance = numbers().map(|x| (x - *center) * (x - *center)).sum::<f64>() / rows;
            check_spread("variance of a column", variance)?;
            let smallest = (f64::EPSILON * *center).abs();
            if variance.sqrt() > smallest {
                *factor = variance.sqrt().recip();
            }
        }
        Ok(scaling)
    }

    /// Every column of `x`, (rows, `columns`) row-major, to 0 to 1: c is the smallest number, and
    /// 1/f what lies between it and the largest.
    ///
    /// A column whose numbers are all equal becomes 0.
    ///
    /// ```
    /// use deltarule::data::Scaling;
    /// let mut x = [1.0, -10.0, 2.0, 0.0, 5.0, 10.0];
    /// let scaling = Scaling::min_max(&x, 2)?;
    /// scaling.apply(&mut x)?;
    /// assert_eq!(x, [0.0, 0.0, 0.25, 0.5, 1.0, 1.0]);
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Scaling::standard`].
    pub fn min_max<E: Element>(x: &[E], columns: usize) -> Result<Self> {
        check(x, columns)?;
        let mut scaling = Self::unit(columns)?;
        for (column, (center, factor)) in scaling.columns_mut().enumerate() {
            let numbers = || x[column..].iter().step_by(columns).map(|x| x.to_f64());
            let (smallest, largest) = numbers()
                .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| {
                    (low.min(x), high.max(x))
                });
            check_spread("range of a column", largest - smallest)?;
            *center = smallest;
            let inverse = (largest - smallest).recip();
            if inverse.is_finite() && inverse > 0.0 {
                *factor = inverse;
            }
        }
        Ok(scaling)
    }

    /// Every column of `x`, (rows, `columns`) row-major, by its middle half, so that a few numbers
    /// far out do not squeeze the others: c is the median, and 1/f what lies between the first
    /// quartile and the third. Between two numbers a quantile is interpolated, as NumPy and
    /// scikit-learn's `RobustScaler` do.
    ///
    /// A column whose quartiles are equal is centred, and otherwise left as it is.
    ///
    /// ```
    /// use deltarule::data::Scaling;
    /// let mut incomes = [31.0f32, 28.0, 1_000_000.0, 35.0, 30.0];
    /// let scaling = Scaling::robust(&incomes, 1)?;
    /// assert_eq!((scaling.centers(), scaling.factors()), ([31.0].as_slice(), [0.2].as_slice()));
    /// scaling.apply(&mut incomes)?;
    /// assert_eq!(incomes[..2], [0.0, -0.6]);
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Scaling::standard`]; [`Error::OutOfMemory`] if there is no memory for a copy of a column.
    pub fn robust<E: Element>(x: &[E], columns: usize) -> Result<Self> {
        let rows = check(x, columns)?;
        let mut scaling = Self::unit(columns)?;
        let mut sorted: Vec<f64> = try_vec("column", rows)?;
        for (column, (center, factor)) in scaling.columns_mut().enumerate() {
            let numbers = x[column..].iter().step_by(columns);
            sorted.iter_mut().zip(numbers).for_each(|(to, x)| *to = x.to_f64());
            sorted.sort_unstable_by(f64::total_cmp);
            let spread = quantile(&sorted, 0.75) - quantile(&sorted, 0.25);
            check_spread("middle half of a column", spread)?;
            *center = quantile(&sorted, 0.5);
            if spread > (f64::EPSILON * *center).abs() && spread.recip().is_finite() {
                *factor = spread.recip();
            }
        }
        Ok(scaling)
    }

    /// The same scaling, but of these columns, which it leaves as they are: c = 0, f = 1. An
    /// embedding needs its indices so.
    ///
    /// ```
    /// use deltarule::data::Scaling;
    /// let x = [20.0, 3.0, 1000.0, 30.0, 6.0, 1200.0]; // the middle one is a weekday
    /// let scaling = Scaling::min_max(&x, 3)?.except([1])?;
    /// assert_eq!((scaling.centers()[1], scaling.factors()[1]), (0.0, 1.0));
    /// let error = scaling.except([0, 3]).unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "`columns[1]` is column 3, which is not one of 3, or named before"
    /// );
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Column`] for a column that there is not.
    pub fn except(mut self, columns: impl IntoIterator<Item = usize>) -> Result<Self> {
        for (index, column) in columns.into_iter().enumerate() {
            if column >= self.columns() {
                let (argument, columns) = ("columns", self.columns());
                return Err(Error::Column { argument, index, column, columns });
            }
            (self.centers[column], self.factors[column]) = (0.0, 1.0);
        }
        Ok(self)
    }

    fn unit(columns: usize) -> Result<Self> {
        let mut factors = try_vec("factors", columns)?;
        factors.fill(1.0);
        Ok(Self { centers: try_vec("centers", columns)?, factors })
    }

    fn columns_mut(&mut self) -> impl Iterator<Item = (&mut f64, &mut f64)> {
        self.centers.iter_mut().zip(&mut self.factors)
    }

    /// The columns.
    pub fn columns(&self) -> usize {
        self.centers.len()
    }

    /// c of each column.
    pub fn centers(&self) -> &[f64] {
        &self.centers
    }

    /// f of each column.
    pub fn factors(&self) -> &[f64] {
        &self.factors
    }

    /// −c·f of each column: x ↦ f·x + shift, as an affine map.
    ///
    /// ```
    /// use deltarule::data::Scaling;
    /// let scaling = Scaling::new(vec![2.0, 20.0], vec![1.0, 0.5])?;
    /// assert_eq!((scaling.columns(), scaling.shifts()), (2, vec![-2.0, -10.0]));
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn shifts(&self) -> Vec<f64> {
        self.centers.iter().zip(&self.factors).map(|(c, f)| -c * f).collect()
    }

    /// x ← (x − c)·f of every row of `x`, computed in f64.
    ///
    /// ```
    /// use deltarule::{Error, data::Scaling};
    /// let scaling = Scaling::new(vec![2.0, 20.0], vec![1.0, 0.5])?;
    /// let mut x = [3.0, 22.0, 2.0, 10.0];
    /// scaling.apply(&mut x)?;
    /// assert_eq!(x, [1.0, 1.0, 0.0, -5.0]);
    /// let error = scaling.apply(&mut [1.0; 3]).unwrap_err();
    /// assert_eq!(error, Error::PartialRow { argument: "x", length: 3, columns: 2 });
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::PartialRow`] if `x` is not whole rows. Nothing was changed then.
    pub fn apply<E: Element>(&self, x: &mut [E]) -> Result<()> {
        self.each(x, |x, center, factor| (x - center) * factor)
    }

    /// x ← x/f + c of every row of `x`: undoes [`Scaling::apply`].
    ///
    /// ```
    /// use deltarule::data::Scaling;
    /// // Of targets: what a network predicts in their scale is brought back.
    /// let scaling = Scaling::standard(&[100_000.0, 300_000.0], 1)?;
    /// let mut predicted = [0.5];
    /// scaling.invert(&mut predicted)?;
    /// assert_eq!(predicted, [250_000.0]);
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Scaling::apply`].
    pub fn invert<E: Element>(&self, x: &mut [E]) -> Result<()> {
        self.each(x, |x, center, factor| x / factor + center)
    }

    fn each<E: Element>(&self, x: &mut [E], map: impl Fn(f64, f64, f64) -> f64) -> Result<()> {
        let columns = self.columns();
        if !x.len().is_multiple_of(columns) {
            return Err(Error::PartialRow { argument: "x", length: x.len(), columns });
        }
        for row in x.chunks_exact_mut(columns) {
            for ((x, &center), &factor) in row.iter_mut().zip(&self.centers).zip(&self.factors) {
                *x = E::from_f64(map(x.to_f64(), center, factor));
            }
        }
        Ok(())
    }

    /// Makes the scaling part of a dense layer W x + b that was trained on scaled inputs, so that
    /// it takes inputs as they are: W ← W diag(f), b ← b − W diag(f) c.
    ///
    /// `weights` is W, (outputs, columns) row-major. The sums are in f64.
    ///
    /// ```
    /// use deltarule::data::Scaling;
    /// let scaling = Scaling::new(vec![2.0, 20.0], vec![1.0, 0.1])?;
    /// let (mut weights, mut biases) = ([3.0, 5.0], [7.0]);
    /// scaling.fold_into(&mut weights, &mut biases)?;
    /// // 3 (x₁ − 2) + 5 (x₂ − 20)/10 + 7 = 3 x₁ + ½ x₂ − 9.
    /// assert_eq!((weights, biases), ([3.0, 0.5], [-9.0]));
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Length`] if the weights are not (biases, columns). Nothing was changed then.
    pub fn fold_into<E: Element>(&self, weights: &mut [E], biases: &mut [E]) -> Result<()> {
        let columns = self.columns();
        check_length("weights", weights.len(), biases.len().saturating_mul(columns))?;
        for (row, bias) in weights.chunks_exact_mut(columns).zip(biases) {
            let mut sum = bias.to_f64();
            for ((w, &center), &factor) in row.iter_mut().zip(&self.centers).zip(&self.factors) {
                let folded = w.to_f64() * factor;
                sum -= folded * center;
                *w = E::from_f64(folded);
            }
            *bias = E::from_f64(sum);
        }
        Ok(())
    }
}

fn check<E: Element>(x: &[E], columns: usize) -> Result<usize> {
    if columns == 0 {
        return Err(Error::Zero { argument: "columns" });
    }
    let rows = whole_rows("x", x.len(), columns)?;
    check_finite("x", x)?;
    Ok(rows)
}

/// Checks that what a factor is made of has not overflowed.
fn check_spread(argument: &'static str, value: f64) -> Result<()> {
    let expected = "finite: its numbers are too far apart";
    if value.is_finite() { Ok(()) } else { Err(Error::OutOfRange { argument, value, expected }) }
}

fn check_finite<E: Element>(argument: &'static str, x: &[E]) -> Result<()> {
    match x.iter().position(|x| !x.to_f64().is_finite()) {
        None => Ok(()),
        Some(index) => Err(Error::NonFinite { argument, index, value: x[index].to_f64() }),
    }
}

/// The number below which this share of them is, between two of them if need be.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * (sorted.len() - 1) as f64;
    let (low, high) = (sorted[place as usize], sorted[place.ceil() as usize]);
    low + (high - low) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Activation;

    #[test]
    fn columns_of_equal_numbers_are_not_divided_by_nothing() {
        let x = [0.1f32, 5.0, 0.1, 7.0, 0.1, 9.0];
        for scaling in [Scaling::standard(&x, 2).unwrap(), Scaling::min_max(&x, 2).unwrap()] {
            assert_eq!(scaling.factors()[0], 1.0);
            let mut scaled = x;
            scaling.apply(&mut scaled).unwrap();
            assert!(scaled.iter().step_by(2).all(|x| x.abs() < 1e-7), "{scaled:?}");
        }
        // Nor by what the rounding of a mean leaves.
        for number in [0.1, -0.1, -7.7e-5, 1e9 + 0.1, f64::MAX] {
            for rows in 3..=1000 {
                let scaling = Scaling::standard(&vec![number; rows], 1).unwrap();
                assert_eq!((scaling.centers(), scaling.factors()), (&[number][..], &[1.0][..]));
            }
        }
        let mut scaled = x;
        Scaling::min_max(&x, 2).unwrap().apply(&mut scaled).unwrap();
        assert_eq!(scaled[1..], [0.0, 0.0, 0.5, 0.0, 1.0]);
    }

    /// What NumPy 2.4's `percentile` gives.
    #[test]
    fn quartiles_are_interpolated() {
        for (x, [first, median, third]) in [
            (&[31.0, 28.0, 1e6, 35.0, 30.0][..], [30.0, 31.0, 35.0]),
            (&[1.0, 2.0, 3.0, 4.0], [1.75, 2.5, 3.25]),
            (&[5.0, 1.0, 2.0, 8.0, 3.0, 9.0], [2.25, 4.0, 7.25]),
            (&[2.0, 2.0, 2.0, 7.0], [2.0, 2.0, 3.25]),
        ] {
            // Beside a column that is all equal, and one whose spread has no finite inverse.
            let rows = x.iter().enumerate();
            let x: Vec<f64> = rows.flat_map(|(i, &x)| [x, 0.1, 1e-310 * i as f64]).collect();
            let scaling = Scaling::robust(&x, 3).unwrap();
            assert_eq!(scaling.centers()[..2], [median, 0.1]);
            assert_eq!(scaling.factors(), [(third - first).recip(), 1.0, 1.0]);
        }
        assert_eq!(
            Scaling::robust(&[4.5f32], 1).unwrap(),
            Scaling::new(vec![4.5], vec![1.0]).unwrap()
        );
    }

    #[test]
    fn a_folded_network_predicts_the_same() {
        let x: Vec<f64> = (0..30).map(|i| f64::from(i * i % 17) * 10f64.powi(i % 3)).collect();
        let scaling = Scaling::standard(&x, 3).unwrap();
        let builder = crate::NetworkBuilder::<f64>::new(3).dense(5, Activation::Tanh);
        let mut network = builder.dense(2, Activation::Identity).seed(1).build().unwrap();
        let mut scaled = x.clone();
        scaling.apply(&mut scaled).unwrap();
        let expected = network.predict(&scaled).unwrap();
        let (weights, rest) = network.parameters_mut().split_at_mut(15);
        scaling.fold_into(weights, &mut rest[..5]).unwrap();
        for (got, expected) in network.predict(&x).unwrap().iter().zip(expected) {
            approx::assert_relative_eq!(*got, expected, max_relative = 1e-12);
        }
        assert!(scaling.fold_into(&mut [0.0; 5], &mut [0.0; 2]).is_err());
    }

    #[test]
    fn bad_arguments_are_named() {
        let message = |result: Result<Scaling>| result.unwrap_err().to_string();
        assert_eq!(
            message(Scaling::standard(&[1.0f32, f32::NAN], 1)),
            "`x[1]` is NaN, but only finite values can be learned from"
        );
        assert_eq!(
            message(Scaling::min_max(&[1.0f32, 2.0, 3.0], 2)),
            "`x` has 3 elements, which is no multiple of its 2 columns"
        );
        assert_eq!(
            message(Scaling::new(vec![0.0], vec![0.0])),
            "`factors` is 0, but it must be other than 0"
        );
        assert_eq!(
            message(Scaling::standard(&[1e200, -1e200], 1)),
            "`variance of a column` is inf, but it must be finite: its numbers are too far apart"
        );
        assert!(Scaling::standard(&[f64::MAX, f64::MIN], 1).is_err());
        assert!(Scaling::min_max(&[f64::MAX, f64::MIN], 1).is_err());
        assert!(Scaling::robust(&[f64::MAX, f64::MIN], 1).is_err());
        assert!(Scaling::robust(&[f32::NAN], 1).is_err());
        assert_eq!(
            message(Scaling::new(vec![0.0], vec![f64::INFINITY])),
            "`factors[0]` is inf, but only finite values can be learned from"
        );
        assert!(Scaling::new(vec![0.0], vec![]).is_err());
        assert!(Scaling::new(vec![], vec![]).is_err());
        assert!(Scaling::standard(&[0.0f32], 0).is_err());
        let mut x = [1.0, 2.0, 3.0];
        assert!(Scaling::min_max(&[0.0, 5.0], 2).unwrap().apply(&mut x).is_err());
        assert_eq!(x, [1.0, 2.0, 3.0]);
    }
}
