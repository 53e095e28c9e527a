//! Elementary functions, activations and their derivatives, sums, dropout.

use super::{Call, Kind, Traffic, Who, Workload, slices};
use deltarule_kernels::activation::{Activation, RowActivation};
use deltarule_kernels::math::Function;
use deltarule_kernels::random::{Dropout, MaskStream};
use deltarule_kernels::{Element, Isa, reduce, reference};
use rand::rngs::ChaCha8Rng;
use rand::{Rng, SeedableRng};
use std::hint::black_box;

/// Classes of a softmax, and columns of what has rows for no other reason.
const COLUMNS: [usize; 2] = [10, 256];

#[derive(Clone, Copy)]
pub(crate) enum Kernel {
    Function(Function),
    Forward(Activation),
    Backward(Activation),
    Rows(RowActivation),
    RowsBackward(RowActivation),
    Sum,
    SumOfSquares,
    Dropout(Dropout),
}

pub(super) fn all() -> Vec<Workload> {
    let workload = |group, name: String, traffic, columns, is_transcendental, kernel| Workload {
        group,
        name,
        traffic,
        is_transcendental,
        columns,
        kind: Kind::Functions(kernel),
    };
    let mut all = Vec::new();
    for &function in Function::ALL {
        let kernel = Kernel::Function(function);
        all.push(workload("math", function.name().into(), Traffic::MAP, 1, true, kernel));
    }
    for &activation in Activation::ALL {
        let (name, costly) = (activation.name(), is_transcendental(activation));
        let kernel = Kernel::Forward(activation);
        all.push(workload("activations", name.into(), Traffic::MAP, 1, costly, kernel));
        // These have the derivative of a product or a difference, from their output.
        use Activation::{Elu, Selu, Sigmoid, Tanh};
        let costly = costly && !matches!(activation, Elu { .. } | Selu | Sigmoid | Tanh);
        let name = format!("{name}_derivative");
        let kernel = Kernel::Backward(activation);
        all.push(workload("activations", name, Traffic::BACKWARD, 1, costly, kernel));
    }
    for (name, rows) in
        [("softmax", RowActivation::Softmax), ("log_softmax", RowActivation::LogSoftmax)]
    {
        for columns in COLUMNS {
            let title = format!("{name}_{columns}");
            let kernel = Kernel::Rows(rows);
            all.push(workload("activations", title, Traffic::MAP, columns, true, kernel));
            let title = format!("{name}_{columns}_derivative");
            let kernel = Kernel::RowsBackward(rows);
            let costly = rows == RowActivation::LogSoftmax;
            all.push(workload("activations", title, Traffic::BACKWARD, columns, costly, kernel));
        }
    }
    for (name, kernel) in [("sum", Kernel::Sum), ("sum_of_squares", Kernel::SumOfSquares)] {
        all.push(workload("reductions", name.into(), Traffic::READ, 1, false, kernel));
    }
    let stream = MaskStream { seed: 7, step: 1, layer: 0 };
    let kernel = Kernel::Dropout(Dropout { rate: 0.5, stream });
    all.push(workload("norms", "dropout".into(), Traffic::IN_PLACE, 256, false, kernel));
    all
}

fn is_transcendental(activation: Activation) -> bool {
    use Activation::{Clip, HardSigmoid, HardSwish, Identity, LeakyRelu, Relu};
    !matches!(
        activation,
        Clip { .. } | HardSigmoid | HardSwish | Identity | LeakyRelu { .. } | Relu
    )
}

impl Kernel {
    /// The function's name, if it is one of one variable.
    pub(super) fn name_of_map(self) -> Option<&'static str> {
        match self {
            Self::Function(function) => Some(function.name()),
            Self::Forward(activation) => Some(activation.name()),
            _ => None,
        }
    }

    /// Whether it is for positive numbers.
    pub(super) fn needs_positive(self) -> bool {
        self.name_of_map().is_some_and(|name| name.starts_with("log"))
    }

    pub(super) fn call<E: Element>(
        self,
        who: Who,
        isa: Isa,
        (rows, columns): (usize, usize),
    ) -> Call<E> {
        if who == Who::Naive {
            return self.naive(columns);
        }
        match self {
            Self::Function(function) => map(move |x, y| {
                function.evaluate(isa, x, y).expect("one length");
            }),
            Self::Forward(activation) => map(move |x, y| {
                activation.forward(isa, x, y).expect("one length");
            }),
            Self::Backward(activation) => map(move |x, y| {
                activation.backward(isa, x, y).expect("one length");
            }),
            Self::Rows(function) => map(move |x, y| {
                function.forward(isa, (rows, columns), x, y).expect("whole rows");
            }),
            Self::RowsBackward(function) => map(move |x, y| {
                function.backward(isa, (rows, columns), x, y).expect("whole rows");
            }),
            Self::Sum => one(move |x| {
                black_box(reduce::sum(isa, x));
            }),
            Self::SumOfSquares => one(move |x| {
                black_box(reduce::sum_of_squares(isa, x));
            }),
            Self::Dropout(dropout) => one(move |x| {
                dropout.apply(isa, 0, columns, x).expect("whole rows");
            }),
        }
    }

    fn naive<E: Element>(self, columns: usize) -> Call<E> {
        match self {
            Self::Function(function) => map(move |x: &[E], y| {
                for (y, x) in y.iter_mut().zip(x) {
                    *y = E::from_f64(reference::function(function, x.to_f64()));
                }
            }),
            Self::Forward(activation) => map(move |x: &[E], y| {
                for (y, x) in y.iter_mut().zip(x) {
                    *y = E::from_f64(reference::activation(activation, x.to_f64()));
                }
            }),
            Self::Backward(activation) => map(move |x: &[E], delta| {
                for (delta, x) in delta.iter_mut().zip(x) {
                    let slope = reference::activation_derivative(activation, x.to_f64());
                    *delta = E::from_f64(delta.to_f64() * slope);
                }
            }),
            Self::Rows(function) => map(move |x, y| {
                for (x, y) in x.chunks(columns).zip(y.chunks_mut(columns)) {
                    for (y, value) in y.iter_mut().zip(reference::row_activation(function, x)) {
                        *y = E::from_f64(value);
                    }
                }
            }),
            Self::RowsBackward(function) => map(move |x, delta| {
                for (x, delta) in x.chunks(columns).zip(delta.chunks_mut(columns)) {
                    let row = reference::row_activation_backward(function, x, delta);
                    for (delta, value) in delta.iter_mut().zip(row) {
                        *delta = E::from_f64(value);
                    }
                }
            }),
            Self::Sum => one(|x| {
                black_box(reference::sum(x));
            }),
            Self::SumOfSquares => one(|x| {
                black_box(reference::sum_of_squares(x));
            }),
            Self::Dropout(dropout) => {
                let mut generator = ChaCha8Rng::seed_from_u64(7);
                one(move |x: &mut [E]| {
                    for x in x {
                        let uniform = f64::from(generator.next_u32()) / 2f64.powi(32);
                        let factor =
                            if uniform < dropout.rate { 0.0 } else { 1.0 / (1.0 - dropout.rate) };
                        *x = E::from_f64(x.to_f64() * factor);
                    }
                })
            }
        }
    }
}

/// From x to y.
fn map<E: Element>(mut evaluate: impl FnMut(&[E], &mut [E]) + Send + 'static) -> Call<E> {
    Box::new(move |arrays| {
        let [x, y] = slices(arrays);
        evaluate(x, y);
    })
}

/// Of one array.
fn one<E: Element>(mut evaluate: impl FnMut(&mut [E]) + Send + 'static) -> Call<E> {
    Box::new(move |arrays| {
        let [x] = slices(arrays);
        evaluate(x);
    })
}
