//! The functions of other crates, which are for f32 only.

use super::functions::Kernel;
use super::norms::EPSILON;
use super::{Call, Who, slices};
use deltarule_kernels::Element;
use deltarule_kernels::activation::RowActivation;
use rten_simd::{SimdOp, SimdUnaryOp};
use rten_vecmath as rten;
use std::hint::black_box;
use std::mem::MaybeUninit;
use wide::f32x8;

/// An element type, and what other crates have for it.
pub(crate) trait Peers: Element {
    /// A peer's call, if it has the function.
    fn peer_function(kernel: Kernel, who: Who, shape: (usize, usize)) -> Option<Call<Self>>;

    /// rten-vecmath's layer normalization, if it has it for this element.
    fn rten_layer_norm(_shape: (usize, usize)) -> Option<Call<Self>> {
        None
    }
}

impl Peers for f64 {
    fn peer_function(_: Kernel, _: Who, _: (usize, usize)) -> Option<Call<Self>> {
        None
    }
}

impl Peers for f32 {
    fn peer_function(kernel: Kernel, who: Who, shape: (usize, usize)) -> Option<Call<Self>> {
        if who == Who::Wide { wide_function(kernel) } else { rten_function(kernel, shape) }
    }

    /// A mean, a variance and a map, row by row: what rten makes its operator of.
    fn rten_layer_norm((rows, columns): (usize, usize)) -> Option<Call<f32>> {
        let (gamma, beta) = (vec![1.0; columns], vec![0.5; columns]);
        let mut y = vec![MaybeUninit::new(0.0); rows * columns];
        Some(Box::new(move |arrays| {
            for (x, y) in arrays[0].chunks(columns).zip(black_box(&mut y).chunks_mut(columns)) {
                let mean = rten::Sum::new(x).dispatch() / columns as f32;
                let variance = rten::SumSquareSub::new(x, mean).dispatch() / columns as f32;
                let options = rten::NormalizeOptions {
                    pre_scale_bias: mean,
                    scale: 1.0 / (variance + EPSILON as f32).sqrt(),
                    element_scale: Some(&gamma),
                    element_bias: Some(&beta),
                    ..Default::default()
                };
                rten::Normalize::new(x, y, options).dispatch();
            }
        }))
    }
}

fn wide_function(kernel: Kernel) -> Option<Call<f32>> {
    let function: fn(f32x8) -> f32x8 = match kernel.name_of_map()? {
        "exp" => f32x8::exp,
        "expm1" => f32x8::exp_m1,
        "log" => f32x8::ln,
        "log1p" => f32x8::ln_1p,
        "tanh" => f32x8::tanh,
        _ => return None,
    };
    Some(Box::new(move |arrays| {
        let [x, y] = slices(arrays);
        let (x, x_rest) = x.as_chunks::<8>();
        let (y, y_rest) = y.as_chunks_mut::<8>();
        for (x, y) in x.iter().zip(y) {
            *y = function(f32x8::from(*x)).to_array();
        }
        let mut rest = [1.0; 8];
        rest[..x_rest.len()].copy_from_slice(x_rest);
        y_rest.copy_from_slice(&function(f32x8::from(rest)).to_array()[..x_rest.len()]);
    }))
}

fn rten_function(kernel: Kernel, (rows, columns): (usize, usize)) -> Option<Call<f32>> {
    let n = rows * columns;
    match kernel {
        Kernel::Sum => {
            return Some(Box::new(|arrays| {
                black_box(rten::Sum::new(arrays[0]).dispatch());
            }));
        }
        Kernel::SumOfSquares => {
            return Some(Box::new(|arrays| {
                black_box(rten::SumSquare::new(arrays[0]).dispatch());
            }));
        }
        Kernel::Rows(function) => return Some(rten_rows(function, n, columns)),
        _ => {}
    }
    let call: Call<f32> = match kernel.name_of_map()? {
        "exp" => rten_map(rten::Exp {}, n),
        "tanh" => rten_map(rten::Tanh {}, n),
        "sigmoid" => rten_map(rten::Sigmoid {}, n),
        "erf" => rten_map(rten::Erf {}, n),
        "gelu" => rten_map(rten::Gelu {}, n),
        "gelu_tanh" => rten_map(rten::ApproxGelu {}, n),
        "silu" => rten_map(rten::Silu {}, n),
        "elu" => rten_map(rten::Elu { alpha: 1.0 }, n),
        "leaky_relu" => rten_map(rten::LeakyRelu { alpha: 0.01 }, n),
        _ => return None,
    };
    Some(call)
}

/// It wants a y that is not initialized, so that has to be another than the common one.
fn rten_map(function: impl SimdUnaryOp<f32> + Send + 'static, n: usize) -> Call<f32> {
    let mut y = vec![MaybeUninit::new(0.0); n];
    Box::new(move |arrays| {
        function.map(arrays[0], black_box(&mut y));
    })
}

fn rten_rows(function: RowActivation, n: usize, columns: usize) -> Call<f32> {
    let mut y = vec![MaybeUninit::new(0.0); n];
    Box::new(move |arrays| {
        for (x, y) in arrays[0].chunks(columns).zip(black_box(&mut y).chunks_mut(columns)) {
            match function {
                RowActivation::Softmax => {
                    rten::Softmax::new(x, y).dispatch();
                }
                _ => {
                    rten::LogSoftmax::new(x, y).dispatch();
                }
            }
        }
    })
}
