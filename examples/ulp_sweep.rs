//! Measures the largest error of the elementary functions, the activations and their derivatives.
//!
//! `cargo run --release --example ulp_sweep -- --help`

use clap::{Parser, ValueEnum};
use deltarule::kernels::activation::{Activation, DerivativeFrom};
use deltarule::kernels::math::Function;
use deltarule::kernels::reference::{self, DoubleDouble, Real};
use deltarule::kernels::{Element, Isa, ShapeError};
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use std::error::Error;
use std::fmt::LowerExp;

/// Measures the largest error of the elementary functions and activations in ulp: in f32 against
/// f64 at every input there is, in f64 against a double-double at a sample.
///
/// Prints a line a function, `NAME element isa max_ulp: X at: INPUT`. A derivative is judged as a
/// function of what its kernel is given, the input x or the output y. Where one passes through 0,
/// an ulp is no measure; for the interval around it there is a line of its own, with the absolute
/// error as max_abs.
#[derive(Parser)]
struct Options {
    /// Only this function or activation, for example exp or gelu_tanh
    #[arg(long)]
    function: Option<String>,
    /// The derivatives of the activations, not their values
    #[arg(long)]
    derivative: bool,
    /// With --derivative, for those that take the output y: the absolute error against the true
    /// derivative at x, y being computed from x
    #[arg(long, requires = "derivative")]
    through_output: bool,
    /// Every so many inputs only
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    stride: u64,
    /// f32: all inputs; f64: 2^26 inputs
    #[arg(long, value_enum, default_value_t = ElementName::F32)]
    element: ElementName,
    /// avx512, avx2 or portable [default: DELTARULE_ISA, or the best that the CPU has]
    #[arg(long)]
    isa: Option<String>,
}

#[derive(Clone, Copy, ValueEnum)]
enum ElementName {
    F32,
    F64,
}

/// What is measured.
#[derive(Clone, Copy)]
enum Subject {
    Function(Function),
    Value(Activation),
    Derivative(Activation),
    /// The derivative at x, from the output that was computed from x.
    ThroughOutput(Activation),
}

impl Subject {
    /// All that the options ask for.
    fn chosen(options: &Options) -> Vec<Self> {
        let activations = Activation::ALL.iter().copied();
        let all: Vec<Self> = if options.through_output {
            activations
                .filter(|activation| activation.derivative_from() == DerivativeFrom::Output)
                .map(Self::ThroughOutput)
                .collect()
        } else if options.derivative {
            activations.map(Self::Derivative).collect()
        } else {
            let functions = Function::ALL.iter().copied();
            // The functions that are activations too are measured once.
            let named = |a: &Activation| Function::ALL.iter().all(|f| f.name() != a.name());
            functions
                .map(Self::Function)
                .chain(activations.filter(named).map(Self::Value))
                .collect()
        };
        all.into_iter()
            .filter(|subject| options.function.as_deref().is_none_or(|f| f == subject.of()))
            .collect()
    }

    /// The function or activation.
    fn of(self) -> &'static str {
        match self {
            Self::Function(function) => function.name(),
            Self::Value(activation)
            | Self::Derivative(activation)
            | Self::ThroughOutput(activation) => activation.name(),
        }
    }

    /// What the line begins with.
    fn name(self) -> String {
        match self {
            Self::Function(_) | Self::Value(_) => self.of().to_owned(),
            Self::Derivative(_) => format!("{}_derivative", self.of()),
            Self::ThroughOutput(_) => format!("{}_derivative_through_output", self.of()),
        }
    }

    fn evaluate<E: Element>(self, isa: Isa, x: &[E], y: &mut [E]) -> Result<(), ShapeError> {
        match self {
            Self::Function(function) => function.evaluate(isa, x, y),
            Self::Value(activation) => activation.forward(isa, x, y),
            Self::Derivative(activation) => {
                y.fill(E::ONE);
                activation.backward(isa, x, y)
            }
            Self::ThroughOutput(activation) => {
                let mut stored = x.to_vec();
                activation.forward_in_place(isa, &mut stored);
                y.fill(E::ONE);
                activation.backward(isa, &stored, y)
            }
        }
    }

    fn exact<R: Real>(self, x: R) -> R {
        match self {
            Self::Function(function) => reference::function(function, x),
            Self::Value(activation) => reference::activation(activation, x),
            Self::Derivative(activation) => reference::activation_derivative(activation, x),
            Self::ThroughOutput(activation) => {
                let y = reference::activation(activation, x);
                reference::activation_derivative(activation, y)
            }
        }
    }

    /// Where the absolute error counts.
    fn is_absolute_at(self, x: f64) -> bool {
        match self {
            Self::Function(_) | Self::Value(_) => false,
            Self::ThroughOutput(_) => true,
            Self::Derivative(activation) => {
                activation.derivative_crossing().is_some_and(|(from, to)| (from..=to).contains(&x))
            }
        }
    }
}

/// An element type's inputs, and numbers exact enough to judge it.
trait Inputs: Element + LowerExp {
    type Exact: Real;
    const NAME: &'static str;
    const COUNT: u64;

    fn input(index: u64) -> Self;

    /// Whether the exact numbers have digits enough for a result of this size.
    fn can_judge(result: Self, exact: Self::Exact) -> bool;
}

impl Inputs for f32 {
    type Exact = f64;
    const NAME: &'static str = "f32";
    const COUNT: u64 = 1 << 32;

    /// Every f32 there is.
    fn input(index: u64) -> Self {
        Self::from_bits(index as u32)
    }

    fn can_judge(_: Self, _: f64) -> bool {
        true
    }
}

impl Inputs for f64 {
    type Exact = DoubleDouble;
    const NAME: &'static str = "f64";
    const COUNT: u64 = 1 << 26;

    /// Numbers in ±1, ±10, ±40 and ±750, and of all magnitudes, by turns; mixed by SplitMix64.
    fn input(index: u64) -> Self {
        let mut z = index.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^= z >> 31;
        let unit = (z >> 11) as f64 / (1u64 << 52) as f64 - 1.0;
        match [1.0, 10.0, 40.0, 750.0].get(index as usize % 5) {
            Some(range) => unit * range,
            None => Self::from_bits(z),
        }
    }

    /// A double-double has no low part below the normal range of f64.
    fn can_judge(result: Self, exact: DoubleDouble) -> bool {
        exact.high.abs().max(result.abs()) > 1e-270
    }
}

/// The largest error so far, and where it is.
#[derive(Clone, Copy, Default)]
struct Worst {
    error: f64,
    input: f64,
}

impl Worst {
    fn larger(self, other: Self) -> Self {
        if other.error > self.error { other } else { self }
    }
}

/// Inputs that a task takes at a time.
const BLOCK: u64 = 1 << 14;

/// The largest error in ulp, and the largest absolute one where that counts.
fn sweep<E: Inputs>(subject: Subject, isa: Isa, stride: u64) -> Result<[Worst; 2], ShapeError> {
    let count = E::COUNT.div_ceil(stride);
    let style = ProgressStyle::with_template("{msg} {wide_bar} {percent}% {eta}")
        .unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(count).with_style(style).with_message(subject.name());
    let worst = (0..count.div_ceil(BLOCK))
        .into_par_iter()
        .map(|block| {
            let indices = block * BLOCK..count.min((block + 1) * BLOCK);
            let x: Vec<E> = indices.map(|index| E::input(index * stride)).collect();
            let mut y = vec![E::ZERO; x.len()];
            subject.evaluate(isa, &x, &mut y)?;
            let mut worst = [Worst::default(); 2];
            for (&x, &y) in x.iter().zip(&y) {
                let input = x.to_f64();
                let exact = subject.exact(E::Exact::from(input));
                if !E::can_judge(y, exact) {
                    continue;
                }
                let absolute = subject.is_absolute_at(input);
                let error = if absolute {
                    (E::Exact::from(y.to_f64()) - exact).to_f64().abs()
                } else {
                    reference::ulps(y, exact)
                };
                let worst = &mut worst[usize::from(absolute)];
                *worst = worst.larger(Worst { error, input });
            }
            bar.inc(x.len() as u64);
            Ok(worst)
        })
        .try_reduce(Default::default, |a, b| Ok([a[0].larger(b[0]), a[1].larger(b[1])]))?;
    bar.finish_and_clear();
    Ok(worst)
}

fn report<E: Inputs>(subjects: &[Subject], isa: Isa, stride: u64) -> Result<(), ShapeError> {
    for &subject in subjects {
        let [ulp, absolute] = sweep::<E>(subject, isa, stride)?;
        let name = subject.name();
        // The shortest digits that tell an input from its neighbours.
        let input = |worst: Worst| format!("{:e}", E::from_f64(worst.input));
        if !matches!(subject, Subject::ThroughOutput(_)) {
            println!("{name} {} {isa} max_ulp: {:.4} at: {}", E::NAME, ulp.error, input(ulp));
        }
        if absolute.error > 0.0 {
            let at = input(absolute);
            println!("{name} {} {isa} max_abs: {:.3e} at: {at}", E::NAME, absolute.error);
        }
    }
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    let options = Options::parse();
    let isa = match &options.isa {
        Some(name) => Isa::named(name)?,
        None => Isa::active()?,
    };
    let subjects = Subject::chosen(&options);
    if subjects.is_empty() {
        let mut names: Vec<_> = Function::ALL.iter().map(|function| function.name()).collect();
        names.extend(Activation::ALL.iter().map(|activation| activation.name()));
        names.sort_unstable();
        names.dedup();
        return Err(format!("nothing to measure; functions are {}", names.join(", ")).into());
    }
    match options.element {
        ElementName::F32 => report::<f32>(&subjects, isa, options.stride)?,
        ElementName::F64 => report::<f64>(&subjects, isa, options.stride)?,
    }
    Ok(())
}
