//! Losses: the value and δ in one pass.

use super::{Call, Kind, Traffic, Who, Workload, values};
use deltarule_kernels::loss::{
    ClassTargets, ElementLoss, ElementRows, SoftmaxRows, softmax_cross_entropy,
};
use deltarule_kernels::{Element, Isa, reference};

#[derive(Clone, Copy)]
pub(super) enum Kernel {
    Element(ElementLoss),
    Labels,
    SmoothedLabels,
    Probabilities,
    Divergence,
}

/// ε of the smoothed labels.
const SMOOTHING: f64 = 0.1;

pub(super) fn all() -> Vec<Workload> {
    let mut all = Vec::new();
    let bce = ElementLoss::BinaryCrossEntropy { positive_weight: 1.0 };
    let quantile = ElementLoss::Quantile { quantile: 0.9 };
    let huber = ElementLoss::Huber { threshold: 1.5 };
    for (name, kernel, is_transcendental, widths) in [
        ("squared_error", Kernel::Element(ElementLoss::SquaredError), false, &[1, 10, 256][..]),
        ("absolute_error", Kernel::Element(ElementLoss::AbsoluteError), false, &[256]),
        ("quantile", Kernel::Element(quantile), false, &[256]),
        ("huber", Kernel::Element(huber), false, &[256]),
        ("binary_cross_entropy", Kernel::Element(bce), true, &[1, 256]),
        ("poisson", Kernel::Element(ElementLoss::Poisson), true, &[1, 256]),
        ("kl_divergence", Kernel::Element(ElementLoss::KlDivergence), true, &[10, 256]),
        ("cross_entropy", Kernel::Labels, true, &[10, 256]),
        ("cross_entropy_smoothed", Kernel::SmoothedLabels, true, &[10, 256]),
        ("cross_entropy_probabilities", Kernel::Probabilities, true, &[10, 256]),
        ("softmax_kl_divergence", Kernel::Divergence, true, &[10, 256]),
    ] {
        let labelled = matches!(kernel, Kernel::Labels | Kernel::SmoothedLabels);
        for &columns in widths {
            let traffic = Traffic {
                reads: if labelled { 1 } else { 2 },
                updates: 0,
                // A loss a row counts where rows have one element.
                writes: if columns == 1 { 2 } else { 1 },
            };
            let name = format!("{name}_{columns}");
            let kind = Kind::Loss(kernel);
            all.push(Workload { group: "losses", name, traffic, is_transcendental, columns, kind });
        }
    }
    all
}

impl Kernel {
    pub(super) fn call<E: Element>(
        self,
        who: Who,
        isa: Isa,
        (rows, columns): (usize, usize),
    ) -> Call<E> {
        let is_labelled = matches!(self, Self::Labels | Self::SmoothedLabels);
        let labels = if is_labelled { rows } else { 0 };
        let labels: Vec<usize> = (0..labels).map(|row| row * 7 % columns).collect();
        let mut own_losses = vec![E::ZERO; if columns == 1 { 0 } else { rows }];
        Box::new(move |arrays| {
            let (read, write) = arrays.split_at_mut(if is_labelled { 1 } else { 2 });
            let (x, targets) = match read {
                [x] => (&**x, &[][..]),
                [x, targets] => (&**x, &**targets),
                _ => unreachable!("one or two arrays are read"),
            };
            let arrays = Arrays { x, targets, labels: &labels, columns };
            let out = match write {
                [delta] => (&mut own_losses[..], &mut **delta),
                [delta, losses] => (&mut **losses, &mut **delta),
                _ => unreachable!("one or two arrays are written"),
            };
            if who == Who::Ours { self.ours(isa, arrays, out) } else { self.naive(arrays, out) }
        })
    }

    /// In 0..1; of a row of a distribution they add up to 1.
    pub(super) fn targets<E: Element>(self, n: usize, columns: usize) -> Vec<E> {
        let parts = match self {
            Self::Labels | Self::SmoothedLabels => return Vec::new(),
            Self::Element(_) => 4.01,
            Self::Probabilities | Self::Divergence => 2.01 * columns as f64,
        };
        values::<f64>(n, true).into_iter().map(|x| E::from_f64(x / parts)).collect()
    }

    fn ours<E: Element>(self, isa: Isa, arrays: Arrays<'_, E>, out: (&mut [E], &mut [E])) {
        let Arrays { x, targets, labels, columns } = arrays;
        let (shape, scale, (losses, delta)) = ((out.0.len(), columns), E::HALF, out);
        let result = match self {
            Self::Element(loss) => {
                let (predictions, scale) = (x, scale.into());
                let rows = ElementRows { shape, predictions, targets, scale, losses, delta };
                loss.evaluate(isa, rows)
            }
            Self::Labels => softmax_cross_entropy(isa, shape, x, labels, scale, losses, delta),
            _ => {
                let scale = scale.into();
                let rows = SoftmaxRows { shape, logits: x, scale, losses, delta };
                match self {
                    Self::SmoothedLabels => {
                        ClassTargets::labels(labels).smoothed(SMOOTHING).cross_entropy(isa, rows)
                    }
                    Self::Divergence => {
                        ClassTargets::probabilities(targets).kl_divergence(isa, rows)
                    }
                    _ => ClassTargets::probabilities(targets).cross_entropy(isa, rows),
                }
            }
        };
        result.expect("shapes that fit");
    }

    fn naive<E: Element>(self, arrays: Arrays<'_, E>, (losses, delta): (&mut [E], &mut [E])) {
        let Arrays { x, targets, labels, columns } = arrays;
        let scale = 0.5;
        match self {
            Self::Element(loss) => {
                for (i, row_loss) in losses.iter_mut().enumerate() {
                    let mut sum = 0.0;
                    for j in i * columns..(i + 1) * columns {
                        let (x, target) = (x[j].to_f64(), targets[j].to_f64());
                        let (value, slope) = reference::element_loss(loss, x, target);
                        sum += value;
                        delta[j] = E::from_f64(scale * slope);
                    }
                    *row_loss = E::from_f64(scale * sum);
                }
            }
            Self::Labels => {
                reference::softmax_cross_entropy(columns, x, labels, E::HALF, losses, delta);
            }
            _ => {
                let wide = |slice: &[E]| slice.iter().map(|x| x.to_f64()).collect::<Vec<f64>>();
                for (i, row_loss) in losses.iter_mut().enumerate() {
                    let elements = i * columns..(i + 1) * columns;
                    let q = match labels.get(i) {
                        Some(&label) => {
                            let mut q = vec![SMOOTHING / columns as f64; columns];
                            q[label] += 1.0 - SMOOTHING;
                            q
                        }
                        None => wide(&targets[elements.clone()]),
                    };
                    let z = wide(&x[elements.clone()]);
                    let is_divergence = matches!(self, Self::Divergence);
                    let (value, slopes) = reference::class_loss(&q, &z, is_divergence);
                    *row_loss = E::from_f64(scale * value);
                    for (delta, slope) in delta[elements].iter_mut().zip(slopes) {
                        *delta = E::from_f64(scale * slope);
                    }
                }
            }
        }
    }
}

struct Arrays<'a, E> {
    x: &'a [E],
    targets: &'a [E],
    labels: &'a [usize],
    columns: usize,
}
