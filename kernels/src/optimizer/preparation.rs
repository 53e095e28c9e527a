//! What happens to gradients and parameters before any rule.

use super::within;
use crate::Element;
use crate::lanes::Lanes;

/// Weight decay; none by default.
///
/// ```
/// use deltarule_kernels::{Isa, optimizer::{Decay, Optimizer, Sgd, Step}};
/// let optimizer = Optimizer::from(Sgd { learning_rate: 0.5 });
/// for (decay, expected) in [
///     (Decay { l2: 0.5, ..Decay::default() }, 4.0 - 0.5 * (0.5 * 4.0)),
///     (Decay { l1: 0.5, ..Decay::default() }, 4.0 - 0.5 * 0.5),
///     (Decay { decoupled: 0.5, ..Decay::default() }, (1.0 - 0.5 * 0.5) * 4.0),
/// ] {
///     let update = optimizer.at_step(&Step { decay, ..Step::new(1) });
///     let (mut parameter, state) = ([4.0f32], [&mut [][..], &mut [], &mut []]);
///     update.apply(Isa::detect(), &[0.0], &mut parameter, state)?;
///     assert_eq!(parameter, [expected]);
/// }
/// # Ok::<(), deltarule_kernels::ShapeError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Decay {
    /// λ of L2 decay, added to the gradient: g ← g + λθ. What PyTorch calls `weight_decay` in all
    /// but AdamW.
    pub l2: f64,
    /// λ of L1 decay, added to the gradient: g ← g + λ sign θ, and nothing where θ = 0.
    pub l1: f64,
    /// λ of decoupled decay, past the rule: θ ← (1 − ηλ)θ. With Adam this is AdamW; Lion is
    /// meant to have it.
    pub decoupled: f64,
}

/// What a step brings to a rule.
///
/// A network makes one a step; tensors that differ in [`Step::decay`] (biases usually have none)
/// or in learning rate get their own.
///
/// ```
/// use deltarule_kernels::{Isa, optimizer::{Optimizer, Sgd, Step}};
/// let step = Step {
///     learning_rate_factor: 0.5,
///     gradient_factor: 0.5,
///     clip_value: 1.0,
///     ..Step::new(1)
/// };
/// let update = Optimizer::from(Sgd { learning_rate: 1.0 }).at_step::<f32>(&step);
/// let (mut parameters, state) = ([0.0, 0.0], [&mut [][..], &mut [], &mut []]);
/// update.apply(Isa::detect(), &[8.0, 1.0], &mut parameters, state)?;
/// assert_eq!(parameters, [-0.5 * 1.0, -0.5 * 0.5]); // ½ · 8 is clipped
/// # Ok::<(), deltarule_kernels::ShapeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// t, counted from 1 (0 counts as 1): bias corrections depend on it.
    pub number: u64,
    /// Multiplies the rule's learning rate: a schedule's value, a tensor's factor, or both.
    pub learning_rate_factor: f64,
    /// Multiplies the gradients before all else: [`norm_clip_factor`], or 1/loss scale.
    pub gradient_factor: f64,
    /// Then each gradient is clipped to ± this; ∞ for no clipping. NaN stays NaN.
    pub clip_value: f64,
    /// Weight decay.
    pub decay: Decay,
}

impl Step {
    /// Step `number` with factors of 1, no clipping and no decay.
    pub fn new(number: u64) -> Self {
        Self {
            number,
            learning_rate_factor: 1.0,
            gradient_factor: 1.0,
            clip_value: f64::INFINITY,
            decay: Decay::default(),
        }
    }
}

/// The [`Step::gradient_factor`] that clips a norm, of one tensor or of all together, to
/// `max_norm`: min(1, `max_norm`/√`sum_of_squares`).
///
/// The sum of squares is [`crate::reduce::sum_of_squares`], added over the tensors in their order.
/// It is NaN where a gradient is, and then so is the factor.
///
/// ```
/// use deltarule_kernels::optimizer::norm_clip_factor;
/// assert_eq!(norm_clip_factor(25.0, 1.0), 0.2);
/// assert_eq!(norm_clip_factor(0.25, 1.0), 1.0);
/// ```
pub fn norm_clip_factor(sum_of_squares: f64, max_norm: f64) -> f64 {
    let norm = sum_of_squares.sqrt();
    if norm <= max_norm { 1.0 } else { max_norm / norm }
}

/// What is done to a gradient and its parameter before the rule.
pub(super) trait Prepare<E: Element>: Copy {
    /// The gradient and the parameter that the rule sees.
    fn prepare<V: Lanes<Element = E>>(self, gradient: V, parameter: V) -> (V, V);
}

/// Nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Raw;

impl<E: Element> Prepare<E> for Raw {
    #[inline(always)]
    fn prepare<V: Lanes<Element = E>>(self, gradient: V, parameter: V) -> (V, V) {
        (gradient, parameter)
    }
}

/// What a [`Step`] asks for: a kernel has no more operations than that takes.
#[derive(Clone, Copy, Debug)]
pub(super) enum Prepared<E> {
    /// Nothing.
    Raw(Raw),
    /// Neither clipping by value nor L1 decay: AdamW, L2 decay, clipping by norm.
    Linear(Linear<E>),
    /// Anything.
    Full(Full<E>),
}

impl<E: Element> Prepared<E> {
    pub(super) fn new(step: &Step, learning_rate: f64) -> Self {
        let Step { gradient_factor, clip_value, decay, .. } = *step;
        let linear = Linear {
            gradient_factor: E::from_f64(gradient_factor),
            l2: E::from_f64(decay.l2),
            shrink: E::from_f64(1.0 - learning_rate * decay.decoupled),
        };
        if clip_value != f64::INFINITY || decay.l1 != 0.0 {
            let (clip_value, l1) = (E::from_f64(clip_value), E::from_f64(decay.l1));
            Self::Full(Full { clip_value, l1, linear })
        } else if gradient_factor == 1.0 && decay == Decay::default() {
            Self::Raw(Raw)
        } else {
            Self::Linear(linear)
        }
    }
}

/// Multiples.
#[derive(Clone, Copy, Debug)]
pub(super) struct Linear<E> {
    gradient_factor: E,
    l2: E,
    shrink: E,
}

impl<E: Element> Prepare<E> for Linear<E> {
    #[inline(always)]
    fn prepare<V: Lanes<Element = E>>(self, gradient: V, parameter: V) -> (V, V) {
        let g = gradient * gradient.splat(self.gradient_factor);
        self.decay(g, parameter)
    }
}

impl<E: Element> Linear<E> {
    #[inline(always)]
    fn decay<V: Lanes<Element = E>>(self, g: V, parameter: V) -> (V, V) {
        let g = parameter.mul_add(g.splat(self.l2), g);
        (g, parameter * g.splat(self.shrink))
    }
}

/// All that a [`Step`] can ask for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Full<E> {
    clip_value: E,
    l1: E,
    linear: Linear<E>,
}

impl<E: Element> Prepare<E> for Full<E> {
    #[inline(always)]
    fn prepare<V: Lanes<Element = E>>(self, gradient: V, parameter: V) -> (V, V) {
        let g = gradient * gradient.splat(self.linear.gradient_factor);
        let g = within(g, self.clip_value);
        let (g, shrunk) = self.linear.decay(g, parameter);
        // λ with the sign of θ, and ±0 for ±0; where θ is NaN, so is g already.
        let zero = g.splat(E::ZERO);
        let pull = zero.select(parameter.eq(zero), g.splat(self.l1));
        (g + pull.bit_xor(parameter.bit_and(g.splat(E::SIGN_BIT))), shrunk)
    }
}
