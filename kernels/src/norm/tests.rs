use super::*;
use crate::reduce::add_column_sums;
use crate::testing::{assert_isas_agree, values};
use crate::{Element, Isa, MatRef, ShapeError, reference};

const EPSILON: f64 = 1e-5;

/// Everything that a norm computes, forward and backward, and what it is computed from.
struct Outcome<E> {
    mean: Vec<E>,
    mean_low: Vec<E>,
    inverse_std: Vec<E>,
    y: Vec<E>,
    gamma_gradient: Vec<E>,
    beta_gradient: Vec<E>,
    delta: Vec<E>,
}

impl<E: Element> Outcome<E> {
    fn concat(self) -> Vec<E> {
        let Self { mean, mean_low, inverse_std, y, gamma_gradient, beta_gradient, delta } = self;
        [mean, mean_low, inverse_std, y, gamma_gradient, beta_gradient, delta].concat()
    }
}

struct Case<E> {
    shape: (usize, usize),
    x: Vec<E>,
    delta: Vec<E>,
    gamma: Vec<E>,
    beta: Vec<E>,
}

impl<E: Element> Case<E> {
    fn new(rows: usize, columns: usize) -> Self {
        Self {
            shape: (rows, columns),
            x: values(1, rows * columns),
            delta: values(2, rows * columns),
            gamma: values(3, columns),
            beta: values(4, columns),
        }
    }

    fn batch(&self, isa: Isa) -> Outcome<E> {
        let (rows, columns) = self.shape;
        let spoiled = || vec![E::from_f64(f64::NAN); columns];
        let (mut mean, mut mean_low, mut variance, mut inverse_std) =
            (spoiled(), spoiled(), spoiled(), spoiled());
        let x = MatRef::new(&self.x, rows, columns).unwrap();
        let statistics = batch::StatisticsMut {
            mean: &mut mean,
            mean_low: &mut mean_low,
            variance: &mut variance,
            inverse_std: &mut inverse_std,
        };
        batch::statistics(isa, [x], EPSILON, statistics).unwrap();
        let moments = Moments { mean: &mean, mean_low: &mean_low, inverse_std: &inverse_std };
        let mut y = vec![E::from_f64(f64::NAN); rows * columns];
        batch::normalize(isa, moments, &self.gamma, &self.beta, &self.x, &mut y).unwrap();
        let (mut gamma_gradient, mut beta_gradient) =
            (vec![E::ZERO; columns], vec![E::ZERO; columns]);
        let delta = MatRef::new(&self.delta, rows, columns).unwrap();
        batch::add_gradients(isa, x, delta, moments, &mut gamma_gradient, &mut beta_gradient)
            .unwrap();
        let mut delta = self.delta.clone();
        let backward = batch::Backward {
            batch_rows: rows,
            moments,
            gamma: &self.gamma,
            gamma_gradient: &gamma_gradient,
            beta_gradient: &beta_gradient,
            x: &self.x,
            delta: &mut delta,
        };
        batch::backward(isa, backward).unwrap();
        Outcome { mean, mean_low, inverse_std, y, gamma_gradient, beta_gradient, delta }
    }

    fn layer(&self, isa: Isa) -> Outcome<E> {
        let (rows, columns) = self.shape;
        let spoiled = || vec![E::from_f64(f64::NAN); rows];
        let (mut mean, mut mean_low, mut inverse_std) = (spoiled(), spoiled(), spoiled());
        let mut y = vec![E::from_f64(f64::NAN); rows * columns];
        let forward = layer::Forward {
            shape: self.shape,
            epsilon: EPSILON,
            gamma: &self.gamma,
            beta: &self.beta,
            x: &self.x,
            mean: &mut mean,
            mean_low: &mut mean_low,
            inverse_std: &mut inverse_std,
            y: &mut y,
        };
        layer::forward(isa, forward).unwrap();
        let (mut gamma_gradient, mut beta_gradient) =
            (vec![E::ZERO; columns], vec![E::ZERO; columns]);
        let mut delta = self.delta.clone();
        let backward = layer::Backward {
            shape: self.shape,
            moments: Moments { mean: &mean, mean_low: &mean_low, inverse_std: &inverse_std },
            gamma: &self.gamma,
            x: &self.x,
            gamma_gradient: &mut gamma_gradient,
            beta_gradient: &mut beta_gradient,
            delta: &mut delta,
        };
        layer::backward(isa, backward).unwrap();
        Outcome { mean, mean_low, inverse_std, y, gamma_gradient, beta_gradient, delta }
    }

    /// The groups that are normalized, as lists of places: columns, or rows.
    fn groups(&self, by_column: bool) -> Vec<Vec<usize>> {
        let (rows, columns) = self.shape;
        if by_column {
            (0..columns).map(|j| (0..rows).map(|i| i * columns + j).collect()).collect()
        } else {
            (0..rows).map(|i| (i * columns..(i + 1) * columns).collect()).collect()
        }
    }

    /// Compares with the naive norm. Errors grow with 1/√(σ² + ε), which is large in small groups.
    fn check(&self, isa: Isa, outcome: &Outcome<E>, by_column: bool, unit: f64) {
        let columns = self.shape.1;
        let f = |slice: &[E], at: usize| slice[at].to_f64();
        let mut gradients = vec![(0.0, 0.0); columns];
        for (g, group) in self.groups(by_column).into_iter().enumerate() {
            let x: Vec<f64> = group.iter().map(|&at| f(&self.x, at)).collect();
            let scaled: Vec<f64> =
                group.iter().map(|&at| f(&self.delta, at) * f(&self.gamma, at % columns)).collect();
            let (normalized, variance) = reference::normalize(&x, EPSILON);
            let through = reference::normalize_backward(&normalized, variance + EPSILON, &scaled);
            let inverse_std = 1.0 / (variance + EPSILON).sqrt();
            let relative = 100.0 * unit * (1.0 + 1.0 / (variance + EPSILON));
            approx::assert_relative_eq!(
                f(&outcome.inverse_std, g),
                inverse_std,
                max_relative = relative
            );
            for (k, &at) in group.iter().enumerate() {
                let (gamma, beta) = (f(&self.gamma, at % columns), f(&self.beta, at % columns));
                let (y, d) = (f(&outcome.y, at), f(&outcome.delta, at));
                let bound = relative * (gamma.abs() * (1.0 + normalized[k].abs()) + beta.abs());
                let expected = gamma * normalized[k] + beta;
                assert!((y - expected).abs() <= bound, "{isa}: y[{at}] = {y}, not {expected}");
                let bound = 16.0 * relative * inverse_std * (1.0 + normalized[k].abs());
                let expected = through[k];
                assert!((d - expected).abs() <= bound, "{isa}: δ[{at}] = {d}, not {expected}");
                let delta = f(&self.delta, at);
                gradients[at % columns].0 += delta * normalized[k];
                gradients[at % columns].1 += delta;
            }
        }
        let rows = self.shape.0 as f64;
        for (j, (gamma, beta)) in gradients.into_iter().enumerate() {
            let got = (f(&outcome.gamma_gradient, j), f(&outcome.beta_gradient, j));
            let bound = rows * 4.0 * 1e4 * unit;
            assert!((got.0 - gamma).abs() <= bound, "{isa}: γ gradient {}, not {gamma}", got.0);
            assert!((got.1 - beta).abs() <= bound, "{isa}: β gradient {}, not {beta}", got.1);
        }
    }
}

fn norms_follow_their_formulas<E: Element>(unit: f64) {
    for (rows, columns) in [2, 3, 31, 33, 70].into_iter().flat_map(|rows| {
        (0..=70).chain([129, 256, 257, 2048, 2049]).map(move |columns| (rows, columns))
    }) {
        let case = Case::<E>::new(rows, columns);
        assert_isas_agree(|isa| case.batch(isa).concat());
        if columns > 1 {
            assert_isas_agree(|isa| case.layer(isa).concat());
        }
        for isa in Isa::available() {
            case.check(isa, &case.batch(isa), true, unit);
            if columns > 1 {
                let outcome = case.layer(isa);
                case.check(isa, &outcome, false, unit);
                // Sums over rows are in the documented order.
                let mut sums = vec![E::ZERO; columns];
                let delta = MatRef::new(&case.delta, rows, columns).unwrap();
                add_column_sums(isa, delta, &mut sums).unwrap();
                assert_eq!(outcome.beta_gradient, sums, "{isa}: {rows} x {columns}");
            }
        }
    }
}

#[test]
fn forward_and_backward_at_every_width() {
    norms_follow_their_formulas::<f32>(2f64.powi(-24));
    norms_follow_their_formulas::<f64>(2f64.powi(-53));
}

/// ℒ = Σ cᵢⱼ·yᵢⱼ, so that ∂ℒ/∂y = c.
#[test]
fn backward_is_the_derivative_of_forward() {
    let case = Case::<f64>::new(5, 6);
    let step = 1e-5;
    for by_column in [true, false] {
        let run = |case: &Case<f64>| {
            let isa = Isa::detect();
            if by_column { case.batch(isa) } else { case.layer(isa) }
        };
        let loss = |case: &Case<f64>| -> f64 {
            run(case).y.iter().zip(&case.delta).map(|(y, c)| y * c).sum()
        };
        let outcome = run(&case);
        let difference = |change: &dyn Fn(&mut Case<f64>, f64)| {
            let [above, below] = [step, -step].map(|step| {
                let mut changed = Case::new(5, 6);
                change(&mut changed, step);
                loss(&changed)
            });
            (above - below) / (2.0 * step)
        };
        for at in 0..30 {
            let expected = difference(&|case, step| case.x[at] += step);
            approx::assert_abs_diff_eq!(outcome.delta[at], expected, epsilon = 1e-8);
        }
        for j in 0..6 {
            let expected = difference(&|case, step| case.gamma[j] += step);
            approx::assert_abs_diff_eq!(outcome.gamma_gradient[j], expected, epsilon = 1e-8);
            let expected = difference(&|case, step| case.beta[j] += step);
            approx::assert_abs_diff_eq!(outcome.beta_gradient[j], expected, epsilon = 1e-8);
        }
    }
}

/// A mean of 10⁴ with a variance of 10⁻²: the data's own digits come through.
#[test]
fn a_large_mean_costs_no_digits() {
    let (rows, columns) = (200, 40);
    let mut case = Case::<f32>::new(rows, columns);
    for x in &mut case.x {
        *x = 1e4 + *x * 0.0433;
    }
    for isa in Isa::available() {
        for by_column in [true, false] {
            let outcome = if by_column { case.batch(isa) } else { case.layer(isa) };
            for group in case.groups(by_column) {
                let x: Vec<f64> = group.iter().map(|&at| f64::from(case.x[at])).collect();
                let (normalized, variance) = reference::normalize(&x, EPSILON);
                assert!((0.005..0.02).contains(&variance));
                for (k, &at) in group.iter().enumerate() {
                    let j = at % columns;
                    let expected =
                        f64::from(case.gamma[j]) * normalized[k] + f64::from(case.beta[j]);
                    approx::assert_abs_diff_eq!(f64::from(outcome.y[at]), expected, epsilon = 2e-5);
                }
            }
        }
    }
}

#[test]
fn constant_columns_have_no_variance() {
    for isa in Isa::available() {
        let mut case = Case::<f32>::new(37, 21);
        case.x.fill(0.1);
        let outcome = case.batch(isa);
        for (j, inverse_std) in outcome.inverse_std.iter().enumerate() {
            approx::assert_relative_eq!(*inverse_std, 316.227_77, max_relative = 1e-5);
            approx::assert_abs_diff_eq!(outcome.y[j], case.beta[j], epsilon = 1e-4);
        }
    }
}

#[test]
fn columns_may_be_split_and_strided() {
    let case = Case::<f32>::new(50, 40);
    for isa in Isa::available() {
        let whole = case.batch(isa);
        let (first, count) = (7, 21);
        let row_major: Vec<f32> = case.x[first..].to_vec();
        let mut column_major = vec![0.0; 50 * count];
        for i in 0..50 {
            for j in 0..count {
                column_major[j * 50 + i] = case.x[i * 40 + first + j];
            }
        }
        for x in [
            MatRef::with_strides(&row_major, (50, count), (40, 1)).unwrap(),
            MatRef::with_strides(&column_major, (50, count), (1, 50)).unwrap(),
        ] {
            let mut out = [vec![0.0; count], vec![0.0; count], vec![0.0; count], vec![0.0; count]];
            let [mean, mean_low, variance, inverse_std] = &mut out;
            let statistics = batch::StatisticsMut { mean, mean_low, variance, inverse_std };
            batch::statistics(isa, [x], EPSILON, statistics).unwrap();
            let part = first..first + count;
            assert_eq!(out[0], whole.mean[part.clone()]);
            assert_eq!(out[1], whole.mean_low[part.clone()]);
            assert_eq!(out[3], whole.inverse_std[part]);
        }
    }
}

/// Blocks of whole pieces of rows are as good as all rows at once.
#[test]
fn statistics_of_blocks_are_those_of_the_batch() {
    for isa in Isa::available() {
        for (rows, block) in [(1, 32), (33, 32), (150, 64), (129, 128), (64, 64)] {
            let columns = 21;
            let x: Vec<f32> = values(1, rows * columns);
            let of = |step: usize| {
                let mut out = [(); 4].map(|()| vec![f32::NAN; columns]);
                let [mean, mean_low, variance, inverse_std] = &mut out;
                let statistics = batch::StatisticsMut { mean, mean_low, variance, inverse_std };
                let blocks = x
                    .chunks(step * columns)
                    .map(|x| MatRef::new(x, x.len() / columns, columns).unwrap());
                batch::statistics(isa, blocks, EPSILON, statistics).unwrap();
                out
            };
            assert_eq!(of(block), of(rows), "{isa}: {rows} rows in blocks of {block}");
        }
    }
}

/// One row at a time, several side by side, and a batch that is too large for a core's caches.
#[test]
fn rows_of_a_batch_are_what_they_are_alone() {
    for (rows, columns) in [(7, 21), (2100, 130)] {
        let case = Case::<f32>::new(rows, columns);
        for isa in Isa::available() {
            let whole = case.batch(isa);
            let moments = Moments {
                mean: &whole.mean,
                mean_low: &whole.mean_low,
                inverse_std: &whole.inverse_std,
            };
            let (mut y, mut delta) = (vec![0.0; rows * columns], case.delta.clone());
            for ((x, y), delta) in
                case.x.chunks(columns).zip(y.chunks_mut(columns)).zip(delta.chunks_mut(columns))
            {
                batch::normalize(isa, moments, &case.gamma, &case.beta, x, y).unwrap();
                let arguments = batch::Backward {
                    batch_rows: rows,
                    moments,
                    gamma: &case.gamma,
                    gamma_gradient: &whole.gamma_gradient,
                    beta_gradient: &whole.beta_gradient,
                    x,
                    delta,
                };
                batch::backward(isa, arguments).unwrap();
            }
            assert_eq!(y, whole.y, "{isa}: {rows} x {columns}");
            assert_eq!(delta, whole.delta, "{isa}: {rows} x {columns}");
        }
    }
}

/// Rows of a layer go in pairs and pieces, and wide ones leave no room for the next.
#[test]
fn rows_of_a_layer_are_what_they_are_alone() {
    for (rows, columns) in [(1, 5), (3, 40), (35, 300), (67, 600)] {
        let case = Case::<f32>::new(rows, columns);
        for isa in Isa::available() {
            let whole = case.layer(isa);
            for i in 0..rows {
                let elements = i * columns..(i + 1) * columns;
                let mut one = Case::<f32>::new(1, columns);
                one.x.copy_from_slice(&case.x[elements.clone()]);
                one.delta.copy_from_slice(&case.delta[elements.clone()]);
                one.gamma.copy_from_slice(&case.gamma);
                one.beta.copy_from_slice(&case.beta);
                let one = one.layer(isa);
                assert_eq!(one.y, whole.y[elements.clone()], "{isa}: row {i} of {rows}");
                assert_eq!(one.delta, whole.delta[elements], "{isa}: row {i} of {rows}");
                assert_eq!(one.inverse_std[0], whole.inverse_std[i]);
            }
        }
    }
}

#[test]
fn running_statistics() {
    for n in 0..=40 {
        let (mean, variance): (Vec<f32>, Vec<f32>) = (values(1, n), values(2, n));
        let (start_mean, start_variance): (Vec<f32>, Vec<f32>) = (values(3, n), values(4, n));
        for (rows, unbiased) in [(1, 1.0), (5, 1.25)] {
            let both = assert_isas_agree(|isa| {
                let (mut m, mut v) = (start_mean.clone(), start_variance.clone());
                batch::update_running(isa, 0.1, rows, (&mean, &variance), &mut m, &mut v).unwrap();
                [m, v].concat()
            });
            for j in 0..n {
                let expected = 0.9 * start_mean[j] + 0.1 * mean[j];
                approx::assert_abs_diff_eq!(both[j], expected, epsilon = 1e-6);
                let expected = 0.9 * start_variance[j] + 0.1 * unbiased * variance[j];
                approx::assert_abs_diff_eq!(both[n + j], expected, epsilon = 1e-6);
            }
        }
        let squares: Vec<f64> = variance.iter().map(|&v| f64::from(v * v)).collect();
        let mut out = vec![0.0; n];
        batch::inverse_std(Isa::detect(), &squares, EPSILON, &mut out).unwrap();
        for (o, v) in out.iter().zip(squares) {
            approx::assert_relative_eq!(*o, 1.0 / (v + EPSILON).sqrt(), max_relative = 1e-15);
        }
    }
}

#[test]
fn a_nan_spoils_its_group_and_no_other() {
    let (rows, columns) = (35, 21);
    for isa in Isa::available() {
        for at in (0..rows * columns).step_by(13) {
            for spoil_delta in [false, true] {
                let mut case = Case::<f32>::new(rows, columns);
                let spoiled = if spoil_delta { &mut case.delta } else { &mut case.x };
                spoiled[at] = f32::NAN;
                for by_column in [true, false] {
                    let outcome = if by_column { case.batch(isa) } else { case.layer(isa) };
                    for (g, group) in case.groups(by_column).iter().enumerate() {
                        let hit = group.contains(&at);
                        assert_eq!(outcome.mean[g].is_nan(), hit && !spoil_delta);
                        for &place in group {
                            assert_eq!(outcome.y[place].is_nan(), hit && !spoil_delta);
                            assert_eq!(outcome.delta[place].is_nan(), hit, "{isa}: {at}, {place}");
                        }
                    }
                    assert!(outcome.gamma_gradient[at % columns].is_nan());
                }
            }
        }
    }
}

#[test]
fn bad_arguments_change_nothing() {
    let isa = Isa::detect();
    let mut out = [[7.0_f32; 3]; 4];
    let x = [1.0_f32; 6];
    let matrix = MatRef::new(&x, 2, 3).unwrap();
    let empty = MatRef::new(&x[..0], 0, 3).unwrap();
    let [mean, mean_low, variance, inverse_std] = &mut out;
    let statistics = batch::StatisticsMut { mean, mean_low, variance, inverse_std };
    let error = batch::statistics(isa, [empty], EPSILON, statistics);
    assert_eq!(error, Err(ShapeError::Zero { argument: "rows" }));
    let [mean, mean_low, variance, inverse_std] = &mut out;
    let variance = &mut variance[..2];
    let statistics = batch::StatisticsMut { mean, mean_low, variance, inverse_std };
    let error = batch::statistics(isa, [matrix], EPSILON, statistics);
    let length = |argument, expected, actual| ShapeError::Length { argument, expected, actual };
    assert_eq!(error, Err(length("variance", 3, 2)));
    assert_eq!(out, [[7.0; 3]; 4]);

    let three = [1.0; 3];
    let moments = Moments { mean: &three, mean_low: &three, inverse_std: &three };
    let mut y = [7.0; 6];
    let error = batch::normalize(isa, moments, &three, &three[..2], &x, &mut y);
    assert_eq!(error, Err(length("beta", 3, 2)));
    let error = batch::normalize(isa, moments, &three, &three, &x[..5], &mut y);
    assert_eq!(error, Err(length("x", 3, 5)));
    let error = batch::normalize(isa, moments, &three, &three, &x[..3], &mut y);
    assert_eq!(error, Err(length("y", 3, 6)));
    let (mut g, mut b) = ([7.0; 3], [7.0; 3]);
    let error = batch::add_gradients(isa, matrix, empty, moments, &mut g, &mut b);
    assert_eq!(error, Err(length("delta.rows", 2, 0)));
    let backward = batch::Backward {
        batch_rows: 0,
        moments,
        gamma: &three,
        gamma_gradient: &three,
        beta_gradient: &three,
        x: &x,
        delta: &mut y,
    };
    let error = batch::backward(isa, backward);
    assert_eq!(error, Err(ShapeError::Zero { argument: "batch_rows" }));

    let backward = layer::Backward {
        shape: (2, 3),
        moments,
        gamma: &three,
        x: &x,
        gamma_gradient: &mut g,
        beta_gradient: &mut b,
        delta: &mut y,
    };
    assert_eq!(layer::backward(isa, backward), Err(length("mean", 2, 3)));
    let (mut mean, mut mean_low, mut inverse_std) = ([7.0; 2], [7.0; 2], [7.0; 2]);
    let forward = layer::Forward {
        shape: (2, 0),
        epsilon: EPSILON,
        gamma: &[],
        beta: &[],
        x: &[],
        mean: &mut mean,
        mean_low: &mut mean_low,
        inverse_std: &mut inverse_std,
        y: &mut [],
    };
    assert_eq!(layer::forward(isa, forward), Err(ShapeError::Zero { argument: "features" }));
    assert_eq!((g, b, y, mean), ([7.0; 3], [7.0; 3], [7.0; 6], [7.0; 2]));
}

#[test]
fn statistics_that_replace_the_running_ones() {
    let (mut mean, mut variance) = ([1e5f32, -1e8], [1e5f32, 1e8]);
    batch::update_running(
        Isa::detect(),
        1.0,
        2,
        (&[0.5, 3.0], &[1e-4, 2.0]),
        &mut mean,
        &mut variance,
    )
    .unwrap();
    assert_eq!((mean, variance), ([0.5, 3.0], [2e-4, 4.0]));
}

#[test]
fn rows_without_columns_take_no_time() {
    let x = MatRef::<f32>::new(&[], usize::MAX, 0).unwrap();
    let statistics = || batch::StatisticsMut {
        mean: &mut [],
        mean_low: &mut [],
        variance: &mut [],
        inverse_std: &mut [],
    };
    batch::statistics(Isa::detect(), [x], 0.0, statistics()).unwrap();
    let moments = Moments { mean: &[], mean_low: &[], inverse_std: &[] };
    batch::add_gradients(Isa::detect(), x, x, moments, &mut [], &mut []).unwrap();
    let error = batch::statistics(Isa::detect(), [x, x], 0.0, statistics());
    assert!(matches!(error, Err(ShapeError::Overflow { argument: "rows", .. })), "{error:?}");
}
