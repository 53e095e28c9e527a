//! Optimizer updates: each reads and writes every element once.
//!
//! An [`Optimizer`] holds the hyper-parameters of a rule. Once a step (or once a step and tensor,
//! where tensors differ in decay or learning rate) [`Optimizer::at_step`] turns it into an
//! [`Update`]: every scalar that the step needs, bias corrections included, computed in f64 and
//! rounded once. [`Update::apply`] then runs over any slice of parameters, a whole tensor or a tile
//! of one, with the matching slices of the gradients and of the state.
//!
//! ```
//! use deltarule_kernels::Isa;
//! use deltarule_kernels::optimizer::{Adam, Optimizer, Step};
//! let optimizer = Optimizer::from(Adam::default());
//! assert_eq!(optimizer.states(), 2);
//! let mut parameters = [1.0_f32, -1.0, 0.5];
//! let (mut m, mut v) = ([0.0; 3], [0.0; 3]); // state starts as zeros
//! for number in 1..=10 {
//!     let gradients = parameters; // of ½‖θ‖²
//!     let update = optimizer.at_step::<f32>(&Step::new(number));
//!     update.apply(Isa::detect(), &gradients, &mut parameters, [&mut m, &mut v, &mut []])?;
//! }
//! assert!(parameters[0] < 0.995);
//! # Ok::<(), deltarule_kernels::ShapeError>(())
//! ```
//!
//! Before the rule, each gradient passes what [`Step`] asks for, in this order: the gradient
//! factor (clipping by norm), clipping by value, L2 and L1 decay; the parameter is shrunk by
//! decoupled decay. ε stands inside the root by default, see [`Epsilon`]. Rules that square gradients
//! take one whose square is beyond the largest number, an infinite one included, for the largest whose
//! square is not, and Lion one beyond half of the largest number for that half: a mean would never
//! come back from infinity.
//!
//! Where gradients stay 0, as those of a dead unit and of an input that is always 0 do, running means
//! decay until they are subnormal, and would remain so, since a tenth of the last few bits is rounded
//! to none of them. Arithmetic takes three times as long on such numbers (AMD EPYC, Zen 4), or many
//! times. So they become 0 in every 64th step; means of squares only where they divide nothing but 0.

mod adagrad;
mod adam;
mod lion;
mod momentum;
mod nadam;
mod preparation;
mod rms_prop;
mod sgd;
#[cfg(test)]
mod tests;

pub use adagrad::Adagrad;
pub use adam::Adam;
pub use lion::Lion;
pub use momentum::Momentum;
pub use nadam::NAdam;
pub use preparation::{Decay, Step, norm_clip_factor};
pub use rms_prop::RmsProp;
pub use sgd::{Sgd, sgd};

use crate::dispatch::Kernel;
use crate::error::check_length;
use crate::lanes::{Lanes, Simd};
use crate::precompiled::precompiled;
use crate::{Element, Isa, MatMut, MatRef, ShapeError};
use crate::{elementwise, lockstep};
use preparation::{Prepare, Prepared};

/// The most slices of state that a rule keeps.
///
/// ```
/// use deltarule_kernels::{Isa, optimizer::{Adam, MAX_STATES, Optimizer, Step}};
/// let optimizer = Optimizer::from(Adam::default());
/// let mut state = [const { Vec::new() }; MAX_STATES];
/// state[..optimizer.states()].fill(vec![0.0; 2]);
/// let (gradients, mut parameters) = ([1.0, -1.0], [0.0f32; 2]);
/// let slices = state.each_mut().map(Vec::as_mut_slice);
/// optimizer.at_step(&Step::new(1)).apply(Isa::detect(), &gradients, &mut parameters, slices)?;
/// assert!(parameters[0] < 0.0 && state[2].is_empty());
/// # Ok::<(), deltarule_kernels::ShapeError>(())
/// ```
pub const MAX_STATES: usize = 3;

/// Where ε stands in the division by the root of a second moment.
///
/// ```
/// use deltarule_kernels::{Isa, optimizer::{Adagrad, Epsilon, Optimizer, Step}};
/// for epsilon in [Epsilon::InsideRoot(7.0), Epsilon::OutsideRoot(1.0)] {
///     let rule = Adagrad { learning_rate: 1.0, epsilon, ..Adagrad::default() };
///     let (mut parameter, mut sum) = ([0.0f32], [0.0]);
///     let state = [&mut sum[..], &mut [], &mut []];
///     let update = Optimizer::from(rule).at_step(&Step::new(1));
///     update.apply(Isa::detect(), &[3.0], &mut parameter, state)?;
///     assert_eq!(parameter, [-0.75]); // 3/√(9 + 7), 3/(√9 + 1)
/// }
/// # Ok::<(), deltarule_kernels::ShapeError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Epsilon {
    /// 1/√(v + ε); the default.
    InsideRoot(f64),
    /// 1/(√v + ε), as PyTorch and TensorFlow do.
    OutsideRoot(f64),
}

/// [`Epsilon`] as the two addends, one of which is 0.
#[derive(Clone, Copy, Debug)]
struct RootScalars<E> {
    inside: E,
    outside: E,
}

impl<E: Element> RootScalars<E> {
    fn new(epsilon: Epsilon) -> Self {
        let (inside, outside) = match epsilon {
            Epsilon::InsideRoot(epsilon) => (epsilon, 0.0),
            Epsilon::OutsideRoot(epsilon) => (0.0, epsilon),
        };
        // Rounded to 0, it would let 0 be divided by 0.
        let rounded = |epsilon: f64| match E::from_f64(epsilon) {
            zero if zero == E::ZERO && epsilon > 0.0 => E::MIN_NORMAL,
            rounded => rounded,
        };
        Self { inside: rounded(inside), outside: rounded(outside) }
    }

    /// √(x · factor + inside) + outside.
    #[inline(always)]
    fn of<V: Lanes<Element = E>>(self, x: V, factor: E) -> V {
        let square = x.mul_add(x.splat(factor), x.splat(self.inside));
        square.sqrt() + x.splat(self.outside)
    }
}

/// `from + weight · (to − from)`: with `to` = g a running mean that keeps 1 − `weight` of its past.
///
/// A constant g is its fixed point whatever the rounding of `weight`, which does not hold for
/// β·m + (1 − β)·g, where the rounded β and 1 − β do not add up to 1. With a weight of 1 the
/// rounding of `to − from` is all that is left of a `to` that is much smaller: nothing must be left
/// of `from` then, see [`is_all`].
#[inline(always)]
fn lerp<V: Lanes>(from: V, to: V, weight: V::Element) -> V {
    (to - from).mul_add(from.splat(weight), from)
}

/// [`lerp`] from `from` to g²; the square is not rounded on its own where there is an FMA.
#[inline(always)]
fn lerp_square<V: Lanes>(from: V, g: V, weight: V::Element) -> V {
    g.mul_add(g, -from).mul_add(from.splat(weight), from)
}

/// Whether a mean with this weight of what is new is nothing but that.
fn is_all<E: Element>(weight: f64) -> bool {
    E::from_f64(weight) == E::ONE
}

/// g within ±`limit`; NaN stays NaN.
#[inline(always)]
fn within<V: Lanes>(g: V, limit: V::Element) -> V {
    let limit = g.splat(limit);
    limit.less_or((-limit).greater_or(g))
}

/// g, but no larger than what has a finite square, as an infinite one is taken, too: v would not
/// come back from ∞, since ∞ − ∞ is NaN.
#[inline(always)]
fn squarable<V: Lanes>(g: V) -> V {
    within(g, V::Element::LARGEST_ROOT)
}

/// 1 − βᵗ.
///
/// From t (1 − β) = 40 on, βᵗ ≤ e⁻⁴⁰ is less than half of what 1 − βᵗ is rounded to, and not worth
/// a power in each step.
fn bias_correction(beta: f64, t: f64) -> f64 {
    if (0.0..1.0).contains(&beta) && t * (1.0 - beta) >= 40.0 { 1.0 } else { 1.0 - beta.powf(t) }
}

/// A rule with its scalars, which keeps `N` slices of state.
trait Rule<E: Element, const N: usize>: Copy {
    /// The new parameter and state.
    fn step<V: Lanes<Element = E>>(self, gradient: V, parameter: V, state: [V; N]) -> (V, [V; N]);
}

/// A rule behind a preparation of its gradients.
#[derive(Clone, Copy)]
struct Chain<P, U> {
    prepare: P,
    rule: U,
}

impl<E, P, U, const N: usize> lockstep::Update<E, 1, N> for Chain<P, U>
where
    E: Element,
    P: Prepare<E>,
    U: Rule<E, N>,
{
    /// Without state there is one multiply-add, to which asking would add a third.
    const ASKS_AHEAD: bool = N > 0;

    #[inline(always)]
    fn update<V: Lanes<Element = E>>(
        self,
        _at: usize,
        [gradient]: [V; 1],
        parameter: V,
        state: [V; N],
    ) -> (V, [V; N]) {
        let (gradient, parameter) = self.prepare.prepare(gradient, parameter);
        self.rule.step(gradient, parameter, state)
    }
}

/// A rule and its hyper-parameters.
///
/// ```
/// use deltarule_kernels::optimizer::{Momentum, Optimizer, Sgd};
/// // Whichever a file or a user names.
/// let optimizer = |name: &str| match name {
///     "sgd" => Some(Optimizer::from(Sgd { learning_rate: 0.1 })),
///     "momentum" => Some(Optimizer::from(Momentum { learning_rate: 0.1, ..Momentum::default() })),
///     _ => None,
/// };
/// assert_eq!(optimizer("momentum").map(|optimizer| optimizer.states()), Some(1));
/// assert_eq!(optimizer("sgd").map(|optimizer| optimizer.learning_rate()), Some(0.1));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub enum Optimizer {
    /// Stochastic gradient descent.
    Sgd(Sgd),
    /// SGD with momentum, Polyak's or Nesterov's.
    Momentum(Momentum),
    /// RMSProp.
    RmsProp(RmsProp),
    /// Adam and AMSGrad; AdamW with [`Decay::decoupled`].
    Adam(Adam),
    /// Adam with Nesterov momentum.
    NAdam(NAdam),
    /// Adagrad.
    Adagrad(Adagrad),
    /// Lion.
    Lion(Lion),
}

macro_rules! from_rules {
    ($($Rule:ident),*) => { $(
        impl From<$Rule> for Optimizer {
            fn from(rule: $Rule) -> Self {
                Self::$Rule(rule)
            }
        }
    )* };
}

from_rules!(Sgd, Momentum, RmsProp, Adam, NAdam, Adagrad, Lion);

impl Optimizer {
    /// How many slices of state the rule keeps, each as long as the parameters and zero at first:
    /// at most [`MAX_STATES`].
    ///
    /// ```
    /// use deltarule_kernels::optimizer::{Adam, Optimizer, RmsProp, Sgd};
    /// assert_eq!(Optimizer::from(Sgd::default()).states(), 0);
    /// assert_eq!(Optimizer::from(RmsProp { centered: true, ..RmsProp::default() }).states(), 2);
    /// assert_eq!(Optimizer::from(Adam { amsgrad: true, ..Adam::default() }).states(), 3);
    /// ```
    pub fn states(&self) -> usize {
        match self {
            Self::Sgd(_) => 0,
            Self::Momentum(_) | Self::Adagrad(_) | Self::Lion(_) => 1,
            Self::RmsProp(rule) => {
                1 + usize::from(rule.centered) + usize::from(rule.has_momentum())
            }
            Self::Adam(rule) => 2 + usize::from(rule.amsgrad),
            Self::NAdam(_) => 2,
        }
    }

    /// The learning rate η before a [`Step`]'s factor.
    pub fn learning_rate(&self) -> f64 {
        *{ *self }.rate()
    }

    /// The same rule with another η.
    ///
    /// ```
    /// use deltarule_kernels::optimizer::{Adam, Optimizer};
    /// let optimizer = Optimizer::from(Adam::default()).with_learning_rate(0.01);
    /// assert_eq!(optimizer, Adam { learning_rate: 0.01, ..Adam::default() }.into());
    /// assert_eq!(optimizer.learning_rate(), 0.01);
    /// ```
    #[must_use]
    pub fn with_learning_rate(mut self, learning_rate: f64) -> Self {
        *self.rate() = learning_rate;
        self
    }

    fn rate(&mut self) -> &mut f64 {
        match self {
            Self::Sgd(rule) => &mut rule.learning_rate,
            Self::Momentum(rule) => &mut rule.learning_rate,
            Self::RmsProp(rule) => &mut rule.learning_rate,
            Self::Adam(rule) => &mut rule.learning_rate,
            Self::NAdam(rule) => &mut rule.learning_rate,
            Self::Adagrad(rule) => &mut rule.learning_rate,
            Self::Lion(rule) => &mut rule.learning_rate,
        }
    }

    /// The scalars of one step, each computed in f64 and rounded once.
    ///
    /// ```
    /// use deltarule_kernels::{Isa, optimizer::{Optimizer, Sgd, Step}};
    /// let optimizer = Optimizer::from(Sgd { learning_rate: 0.5 });
    /// let mut parameters = [1.0f32, 1.0];
    /// for number in 1..=2 {
    ///     // What a schedule says.
    ///     let step = Step { learning_rate_factor: 1.0 / number as f64, ..Step::new(number) };
    ///     let (update, state) = (optimizer.at_step(&step), [&mut [][..], &mut [], &mut []]);
    ///     update.apply(Isa::detect(), &[1.0, -1.0], &mut parameters, state)?;
    /// }
    /// assert_eq!(parameters, [1.0 - 0.5 - 0.25, 1.0 + 0.5 + 0.25]);
    /// # Ok::<(), deltarule_kernels::ShapeError>(())
    /// ```
    pub fn at_step<E: Element>(&self, step: &Step) -> Update<E> {
        let rate = self.learning_rate() * step.learning_rate_factor;
        let number = step.number.max(1);
        let rule = match self {
            Self::Sgd(_) => AnyRule::Sgd(sgd::Rule::new(rate)),
            Self::Momentum(rule) if rule.nesterov => AnyRule::Nesterov(rule.rule(rate, number)),
            Self::Momentum(rule) => AnyRule::Momentum(rule.rule(rate, number)),
            Self::RmsProp(rule) => match (rule.centered, rule.has_momentum()) {
                (false, false) => AnyRule::RmsProp(rule.rule(rate)),
                (true, false) => AnyRule::CenteredRmsProp(rule.rule(rate)),
                (false, true) => AnyRule::MomentumRmsProp(rule.rule(rate)),
                (true, true) => AnyRule::CenteredMomentumRmsProp(rule.rule(rate)),
            },
            Self::Adam(rule) if rule.amsgrad => AnyRule::AmsGrad(rule.rule(rate, number)),
            Self::Adam(rule) => AnyRule::Adam(rule.rule(rate, number)),
            Self::NAdam(rule) => AnyRule::NAdam(rule.rule(rate, number)),
            Self::Adagrad(rule) => AnyRule::Adagrad(rule.rule(rate, number)),
            Self::Lion(rule) => AnyRule::Lion(rule.rule(rate)),
        };
        let has_epsilon = self.epsilon().is_none_or(|epsilon| match epsilon {
            Epsilon::InsideRoot(epsilon) | Epsilon::OutsideRoot(epsilon) => epsilon > 0.0,
        });
        Update {
            rule,
            prepared: Prepared::new(step, rate),
            states: self.states(),
            settles: number.is_multiple_of(SETTLING) && has_epsilon,
            forgets: self.forgets::<E>(),
        }
    }

    fn epsilon(&self) -> Option<Epsilon> {
        match self {
            Self::Sgd(_) | Self::Momentum(_) | Self::Lion(_) => None,
            Self::RmsProp(rule) => Some(rule.epsilon),
            Self::Adam(rule) => Some(rule.epsilon),
            Self::NAdam(rule) => Some(rule.epsilon),
            Self::Adagrad(rule) => Some(rule.epsilon),
        }
    }

    /// Which states are means that keep nothing of their past.
    fn forgets<E: Element>(&self) -> [bool; MAX_STATES] {
        let forgets = |beta: f64| is_all::<E>(1.0 - beta);
        match self {
            // Lion's m is looked at before it is replaced.
            Self::Sgd(_) | Self::Momentum(_) | Self::Adagrad(_) | Self::Lion(_) => [false; 3],
            Self::RmsProp(rule) => {
                let forgets = forgets(rule.rho);
                [forgets, forgets && rule.centered, false]
            }
            Self::Adam(rule) => [forgets(rule.beta1), forgets(rule.beta2), false],
            Self::NAdam(rule) => [forgets(rule.beta1), forgets(rule.beta2), false],
        }
    }
}

/// Each rule in each of its forms, so that no form is decided on in a loop.
#[derive(Clone, Copy, Debug)]
enum AnyRule<E> {
    Sgd(sgd::Rule<E>),
    Momentum(momentum::Rule<E, false>),
    Nesterov(momentum::Rule<E, true>),
    RmsProp(rms_prop::Rule<E, false, false>),
    CenteredRmsProp(rms_prop::Rule<E, true, false>),
    MomentumRmsProp(rms_prop::Rule<E, false, true>),
    CenteredMomentumRmsProp(rms_prop::Rule<E, true, true>),
    Adam(adam::Rule<E>),
    AmsGrad(adam::Rule<E>),
    NAdam(nadam::Rule<E>),
    Adagrad(adagrad::Rule<E>),
    Lion(lion::Rule<E>),
}

/// One step of an optimizer: a few scalars, to be applied to every slice of the parameters.
///
/// ```
/// use deltarule_kernels::{Isa, optimizer::{Momentum, Optimizer, Step}};
/// let update = Optimizer::from(Momentum::default()).at_step::<f32>(&Step::new(1));
/// let (gradients, mut whole, mut v) = ([1.0, 2.0, 3.0, 4.0], [0.5; 4], [0.0; 4]);
/// let (mut tiled, mut tiled_v) = (whole, v);
/// update.apply(Isa::detect(), &gradients, &mut whole, [&mut v, &mut [], &mut []])?;
/// // The same in tiles, as their gradients come.
/// for tile in [2..4, 0..2] {
///     let state = [&mut tiled_v[tile.clone()], &mut [], &mut []];
///     update.apply(Isa::detect(), &gradients[tile.clone()], &mut tiled[tile], state)?;
/// }
/// assert_eq!((tiled, tiled_v), (whole, v));
/// # Ok::<(), deltarule_kernels::ShapeError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Update<E> {
    rule: AnyRule<E>,
    prepared: Prepared<E>,
    states: usize,
    /// Whether means that have decayed become 0 after it.
    settles: bool,
    /// The states that begin at 0 in each step.
    forgets: [bool; MAX_STATES],
}

/// Steps from one in which means that have decayed become 0 to the next: to look at all of them
/// takes a good part of a step's time.
const SETTLING: u64 = 64;

/// y, but 0 where neither y nor x is more than subnormal.
#[derive(Clone, Copy)]
struct Settled;

impl elementwise::Update for Settled {
    const READS_TARGET: bool = true;

    #[inline(always)]
    fn update<V: Lanes>(self, x: V, y: V) -> V {
        let smallest = x.splat(V::Element::MIN_NORMAL);
        let is_small = |x: V| x.abs().lt(smallest);
        x.splat(V::Element::ZERO).select(is_small(x) & is_small(y), y)
    }
}

precompiled! {
    /// The kernels of this module.
    OptimizerKernels:
    fn update(
        update: &Update<Self>,
        isa: Isa,
        gradients: &[Self],
        parameters: &mut [Self],
        state: [&mut [Self]; MAX_STATES],
    ) = Update::dispatch;
}

impl<E: Element> Update<E> {
    /// Updates `parameters` and the first [`Optimizer::states`] slices of `state` in one pass.
    ///
    /// Element i of all slices belongs together. The other slices of `state` are not looked at.
    ///
    /// ```
    /// use deltarule_kernels::{Isa, ShapeError, optimizer::{Momentum, Optimizer, Step}};
    /// let update = Optimizer::from(Momentum::default()).at_step::<f32>(&Step::new(1));
    /// let (mut parameters, mut v) = ([1.0; 2], [0.0; 1]);
    /// let state = [&mut v[..], &mut [], &mut []];
    /// let error = update.apply(Isa::detect(), &[1.0; 2], &mut parameters, state).unwrap_err();
    /// assert_eq!(error, ShapeError::Length { argument: "state[0]", expected: 2, actual: 1 });
    /// assert_eq!(parameters, [1.0; 2]);
    /// ```
    ///
    /// # Errors
    /// [`ShapeError::Length`] if the slices differ in length; nothing was written.
    pub fn apply(
        &self,
        isa: Isa,
        gradients: &[E],
        parameters: &mut [E],
        state: [&mut [E]; MAX_STATES],
    ) -> Result<(), ShapeError> {
        check_length("gradients", gradients, parameters.len())?;
        let names = ["state[0]", "state[1]", "state[2]"];
        for (name, slice) in names.iter().zip(&state).take(self.states) {
            check_length(name, slice, parameters.len())?;
        }
        E::update(self, isa, gradients, parameters, state);
        Ok(())
    }

    fn dispatch(&self, isa: Isa, g: &[E], p: &mut [E], mut state: [&mut [E]; MAX_STATES]) {
        for (state, forgets) in state.iter_mut().zip(self.forgets) {
            if forgets {
                state.fill(E::ZERO);
            }
        }
        let [a, b, c] = state.each_mut().map(|state| &mut **state);
        match self.rule {
            AnyRule::Sgd(rule) => self.run(isa, rule, g, p, []),
            AnyRule::Momentum(rule) => self.run(isa, rule, g, p, [a]),
            AnyRule::Nesterov(rule) => self.run(isa, rule, g, p, [a]),
            AnyRule::RmsProp(rule) => self.run(isa, rule, g, p, [a]),
            AnyRule::CenteredRmsProp(rule) => self.run(isa, rule, g, p, [a, b]),
            AnyRule::MomentumRmsProp(rule) => self.run(isa, rule, g, p, [a, b]),
            AnyRule::CenteredMomentumRmsProp(rule) => self.run(isa, rule, g, p, [a, b, c]),
            AnyRule::Adam(rule) => self.run(isa, rule, g, p, [a, b]),
            AnyRule::AmsGrad(rule) => self.run(isa, rule, g, p, [a, b, c]),
            AnyRule::NAdam(rule) => self.run(isa, rule, g, p, [a, b]),
            AnyRule::Adagrad(rule) => self.run(isa, rule, g, p, [a]),
            AnyRule::Lion(rule) => self.run(isa, rule, g, p, [a]),
        }
        if self.settles {
            self.settle(isa, g, state);
        }
    }

    /// Lets means that have decayed become 0.
    fn settle(&self, isa: Isa, g: &[E], [a, b, c]: [&mut [E]; MAX_STATES]) {
        let mean = |y: &mut [E]| elementwise::update(isa, Settled, None, MatMut::row(y));
        let square = |y: &mut [E], of: &[E]| {
            elementwise::update(isa, Settled, Some(MatRef::row(of)), MatMut::row(y));
        };
        match self.rule {
            AnyRule::Sgd(_) | AnyRule::Adagrad(_) => {}
            AnyRule::Momentum(_) | AnyRule::Nesterov(_) | AnyRule::Lion(_) => mean(a),
            AnyRule::RmsProp(_) => square(a, g),
            AnyRule::CenteredRmsProp(_) | AnyRule::MomentumRmsProp(_) => {
                square(a, g);
                mean(b);
            }
            AnyRule::CenteredMomentumRmsProp(_) => {
                square(a, g);
                mean(b);
                mean(c);
            }
            AnyRule::Adam(_) | AnyRule::AmsGrad(_) | AnyRule::NAdam(_) => {
                mean(a);
                square(b, a);
            }
        }
    }

    fn run<U: Rule<E, N>, const N: usize>(
        &self,
        isa: Isa,
        rule: U,
        gradients: &[E],
        parameters: &mut [E],
        state: [&mut [E]; N],
    ) {
        match self.prepared {
            Prepared::Raw(prepare) => {
                isa.run(Apply { prepare, rule, gradients, parameters, state });
            }
            Prepared::Linear(prepare) => {
                isa.run(Apply { prepare, rule, gradients, parameters, state });
            }
            Prepared::Full(prepare) => {
                isa.run(Apply { prepare, rule, gradients, parameters, state });
            }
        }
    }
}

struct Apply<'a, E, P, U, const N: usize> {
    prepare: P,
    rule: U,
    gradients: &'a [E],
    parameters: &'a mut [E],
    state: [&'a mut [E]; N],
}

impl<E, P, U, const N: usize> Kernel for Apply<'_, E, P, U, N>
where
    E: Element,
    P: Prepare<E>,
    U: Rule<E, N>,
{
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let chain = Chain { prepare: self.prepare, rule: self.rule };
        lockstep::update_all(simd, chain, [self.gradients], self.parameters, self.state);
    }
}
