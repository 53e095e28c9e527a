//! Batch and layer normalization.

use super::{Call, Kind, Traffic, Who, Workload};
use deltarule_kernels::norm::{Moments, batch, layer};
use deltarule_kernels::{Element, Isa, MatRef, reference};
use std::hint::black_box;

/// ε.
pub(super) const EPSILON: f64 = 1e-5;
/// Features.
const COLUMNS: usize = 256;

#[derive(Clone, Copy, PartialEq)]
pub(super) enum Kernel {
    BatchStatistics,
    BatchNormalize,
    BatchGradients,
    BatchBackward,
    LayerForward,
    LayerBackward,
}

pub(super) fn all() -> Vec<Workload> {
    let twice = Traffic { reads: 2, updates: 0, writes: 0 };
    [
        // The batch is read for the mean and again for the variance.
        ("batch_norm_statistics", Kernel::BatchStatistics, twice),
        ("batch_norm_normalize", Kernel::BatchNormalize, Traffic::MAP),
        ("batch_norm_gradients", Kernel::BatchGradients, twice),
        ("batch_norm_backward", Kernel::BatchBackward, Traffic::BACKWARD),
        ("layer_norm", Kernel::LayerForward, Traffic::MAP),
        ("layer_norm_backward", Kernel::LayerBackward, Traffic::BACKWARD),
    ]
    .into_iter()
    .map(|(name, kernel, traffic)| Workload {
        group: "norms",
        name: name.to_owned(),
        traffic,
        is_transcendental: false,
        columns: COLUMNS,
        kind: Kind::Norm(kernel),
    })
    .collect()
}

impl Kernel {
    pub(super) fn call<E: Element>(
        self,
        who: Who,
        isa: Isa,
        (rows, columns): (usize, usize),
    ) -> Call<E> {
        if who == Who::Naive {
            return self.naive((rows, columns));
        }
        let of_row = matches!(self, Self::LayerForward | Self::LayerBackward);
        let moments = if of_row { rows } else { columns };
        let [mut mean, mut mean_low, mut variance] = [(); 3].map(|()| vec![E::ZERO; moments]);
        let mut inverse_std = vec![E::ONE; moments];
        let (gamma, beta) = (vec![E::ONE; columns], vec![E::HALF; columns]);
        let [mut gamma_gradient, mut beta_gradient] = [(); 2].map(|()| vec![E::ZERO; columns]);
        Box::new(move |arrays| {
            let (x, y) = Self::x_and_y(arrays);
            let matrix = |x| MatRef::new(x, rows, columns).expect("whole rows");
            let done = match self {
                Self::BatchStatistics => {
                    let (mean, mean_low) = (&mut mean[..], &mut mean_low[..]);
                    let (variance, inverse_std) = (&mut variance[..], &mut inverse_std[..]);
                    let out = batch::StatisticsMut { mean, mean_low, variance, inverse_std };
                    batch::statistics(isa, [matrix(x)], EPSILON, out)
                }
                Self::LayerForward => {
                    let (mean, mean_low) = (&mut mean[..], &mut mean_low[..]);
                    let forward = layer::Forward {
                        shape: (rows, columns),
                        epsilon: EPSILON,
                        gamma: &gamma,
                        beta: &beta,
                        x,
                        mean,
                        mean_low,
                        inverse_std: &mut inverse_std,
                        y,
                    };
                    layer::forward(isa, forward)
                }
                _ => {
                    let moments =
                        Moments { mean: &mean, mean_low: &mean_low, inverse_std: &inverse_std };
                    let (first, second) = (&mut gamma_gradient[..], &mut beta_gradient[..]);
                    match self {
                        Self::BatchNormalize => batch::normalize(isa, moments, &gamma, &beta, x, y),
                        Self::BatchGradients => {
                            let (x, delta) = (matrix(x), matrix(y));
                            batch::add_gradients(isa, x, delta, moments, first, second)
                        }
                        Self::BatchBackward => {
                            let backward = batch::Backward {
                                batch_rows: rows,
                                moments,
                                gamma: &gamma,
                                gamma_gradient: first,
                                beta_gradient: second,
                                x,
                                delta: y,
                            };
                            batch::backward(isa, backward)
                        }
                        _ => {
                            let backward = layer::Backward {
                                shape: (rows, columns),
                                moments,
                                gamma: &gamma,
                                x,
                                gamma_gradient: first,
                                beta_gradient: second,
                                delta: y,
                            };
                            layer::backward(isa, backward)
                        }
                    }
                }
            };
            done.expect("shapes that fit");
        })
    }

    /// There is no y where only statistics are made.
    fn x_and_y<'a, E>(arrays: &'a mut [&mut [E]]) -> (&'a [E], &'a mut [E]) {
        match arrays {
            [x] => (x, &mut []),
            [x, y] => (x, y),
            _ => unreachable!("one or two arrays"),
        }
    }

    fn naive<E: Element>(self, (rows, columns): (usize, usize)) -> Call<E> {
        let of_row = matches!(self, Self::LayerForward | Self::LayerBackward);
        let (groups, stride, step, count) =
            if of_row { (rows, columns, 1, columns) } else { (columns, 1, columns, rows) };
        Box::new(move |arrays| {
            let (x, y) = Self::x_and_y(arrays);
            for group in 0..groups {
                let indices = (0..count).map(|i| group * stride + i * step);
                let values: Vec<f64> = indices.clone().map(|i| x[i].to_f64()).collect();
                match self {
                    Self::BatchStatistics => {
                        let mean = values.iter().sum::<f64>() / count as f64;
                        let squares = values.iter().map(|x| (x - mean) * (x - mean));
                        black_box(squares.sum::<f64>() / count as f64);
                    }
                    Self::BatchGradients => {
                        let delta = indices.map(|i| y[i].to_f64());
                        let sums = delta.zip(&values).fold((0.0, 0.0), |(gamma, beta), (d, x)| {
                            (gamma + d * (x - 0.5) * 2.0, beta + d)
                        });
                        black_box(sums);
                    }
                    Self::BatchNormalize | Self::LayerForward => {
                        let (normalized, _) = reference::normalize(&values, EPSILON);
                        for (i, x) in indices.zip(normalized) {
                            y[i] = E::from_f64(x + 0.5);
                        }
                    }
                    Self::BatchBackward | Self::LayerBackward => {
                        let delta: Vec<f64> = indices.clone().map(|i| y[i].to_f64()).collect();
                        let back = reference::normalize_backward(&values, 1.0, &delta);
                        for (i, d) in indices.zip(back) {
                            y[i] = E::from_f64(d);
                        }
                    }
                }
            }
        })
    }
}
