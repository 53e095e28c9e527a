//! How a gradient changes the parameters.

mod group;
mod update_rule;

pub(crate) use group::Rates;
pub use group::{Decays, ParameterGroup};
pub use update_rule::{Stretch, UpdateRule};

use deltarule_kernels::Element;
use deltarule_kernels::optimizer::{
    Adagrad, Adam, Decay, Epsilon, Lion, Momentum, NAdam, Optimizer as Rule, RmsProp, Sgd, Step,
    Update,
};

use crate::error::{Error, Result};

/// A rule by which the gradient g changes the parameters θ, and what is done to g before.
///
/// The constructors are the usual rules at their usual numbers; [`Optimizer::new`] takes a rule of
/// [`kernels::optimizer`](deltarule_kernels::optimizer) with any. In order, g is clipped by its
/// global norm, clipped by value, and added to by L2 and L1 decay; decoupled decay shrinks θ.
///
/// ```
/// use deltarule::Optimizer;
/// use deltarule::kernels::optimizer::{Adam, Decay, Epsilon};
/// let optimizer = Optimizer::adam(1e-3).clip_norm(1.0);
/// assert_eq!(optimizer.learning_rate(), 1e-3);
/// // PyTorch's AdamW.
/// let epsilon = Epsilon::OutsideRoot(1e-8);
/// let optimizer = Optimizer::new(Adam { epsilon, ..Adam::default() })
///     .decay(Decay { decoupled: 1e-2, ..Decay::default() });
/// assert_eq!(optimizer.learning_rate(), 1e-3);
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Optimizer {
    rule: Rule,
    decay: Decay,
    clip_value: Option<f64>,
    clip_norm: Option<f64>,
}

impl Optimizer {
    /// This rule, without clipping or decay.
    ///
    /// ```
    /// use deltarule::{Optimizer, kernels::optimizer::Momentum};
    /// let rule = Momentum { learning_rate: 0.1, dampening: 0.5, ..Momentum::default() };
    /// assert_eq!(*Optimizer::new(rule).rule(), rule.into());
    /// ```
    pub fn new(rule: impl Into<Rule>) -> Self {
        Self { rule: rule.into(), decay: Decay::default(), clip_value: None, clip_norm: None }
    }

    /// Stochastic gradient descent: θ ← θ − η g.
    ///
    /// ```
    /// # use deltarule::{Activation, Init, Loss, Network, Optimizer, Targets, Trainer};
    /// # let builder = Network::builder(1).dense_without_bias(1, Activation::Identity);
    /// # let network = builder.init(Init::Zeros).build()?;
    /// let optimizer = Optimizer::sgd(0.5);
    /// let mut trainer = Trainer::builder(network, Loss::MeanAbsoluteError, optimizer).build()?;
    /// for w in [-0.5, -1.0] {
    ///     trainer.step(&[1.0], Targets::Values(&[-9.0]))?; // |w + 9|, whose slope is 1
    ///     assert_eq!(trainer.network().parameters(), [w]);
    /// }
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn sgd(learning_rate: f64) -> Self {
        Self::new(Sgd { learning_rate })
    }

    /// SGD with heavy-ball momentum: v ← μ v + g, θ ← θ − η v.
    ///
    /// ```
    /// # use deltarule::{Activation, Init, Loss, Network, Optimizer, Targets, Trainer};
    /// # let builder = Network::builder(1).dense_without_bias(1, Activation::Identity);
    /// # let network = builder.init(Init::Zeros).build()?;
    /// let optimizer = Optimizer::momentum(0.5, 0.5);
    /// let mut trainer = Trainer::builder(network, Loss::MeanAbsoluteError, optimizer).build()?;
    /// for w in [-0.5, -1.25] {
    ///     trainer.step(&[1.0], Targets::Values(&[-9.0]))?; // |w + 9|, whose slope is 1
    ///     assert_eq!(trainer.network().parameters(), [w]);
    /// }
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn momentum(learning_rate: f64, momentum: f64) -> Self {
        Self::new(Momentum { learning_rate, momentum, ..Momentum::default() })
    }

    /// SGD with Nesterov's momentum: v ← μ v + g, θ ← θ − η (g + μ v).
    ///
    /// ```
    /// # use deltarule::{Activation, Init, Loss, Network, Optimizer, Targets, Trainer};
    /// # let builder = Network::builder(1).dense_without_bias(1, Activation::Identity);
    /// # let network = builder.init(Init::Zeros).build()?;
    /// let optimizer = Optimizer::nesterov(0.5, 0.5);
    /// let mut trainer = Trainer::builder(network, Loss::MeanAbsoluteError, optimizer).build()?;
    /// for w in [-0.75, -1.625] {
    ///     trainer.step(&[1.0], Targets::Values(&[-9.0]))?; // |w + 9|, whose slope is 1
    ///     assert_eq!(trainer.network().parameters(), [w]);
    /// }
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn nesterov(learning_rate: f64, momentum: f64) -> Self {
        Self::new(Momentum { learning_rate, momentum, nesterov: true, ..Momentum::default() })
    }

    /// [`RmsProp`] with ρ = 0.99 and ε = 10⁻⁸ inside the root, which is more than as much outside of
    /// it: see [`Optimizer::adam`].
    ///
    /// ```
    /// use deltarule::{Optimizer, kernels::optimizer::RmsProp};
    /// let rule = RmsProp { learning_rate: 0.01, ..RmsProp::default() };
    /// assert_eq!(Optimizer::rms_prop(0.01), Optimizer::new(rule));
    /// // With other numbers: centred, with momentum.
    /// let optimizer = Optimizer::new(RmsProp { centered: true, momentum: 0.9, ..rule });
    /// assert_eq!(optimizer.rule().states(), 3);
    /// ```
    pub fn rms_prop(learning_rate: f64) -> Self {
        Self::new(RmsProp { learning_rate, ..RmsProp::default() })
    }

    /// [`Adam`] with β₁ = 0.9, β₂ = 0.999 and ε = 10⁻⁸ inside the root.
    ///
    /// There it is what 10⁻⁴ is outside of it, as in PyTorch and TensorFlow: parameters whose
    /// gradients are below that, as those of rare categories may be, move by less than η in a step.
    /// `Epsilon::OutsideRoot(1e-8)` is those libraries' default.
    ///
    /// ```
    /// use deltarule::{Optimizer, kernels::optimizer::{Adam, Epsilon}};
    /// let rule = Adam { learning_rate: 1e-3, ..Adam::default() };
    /// assert_eq!(Optimizer::adam(1e-3), Optimizer::new(rule));
    /// // With other numbers: AMSGrad, and ε as in PyTorch.
    /// let epsilon = Epsilon::OutsideRoot(1e-8);
    /// let optimizer = Optimizer::new(Adam { amsgrad: true, epsilon, ..rule });
    /// assert_eq!(optimizer.rule().states(), 3);
    /// ```
    pub fn adam(learning_rate: f64) -> Self {
        Self::new(Adam { learning_rate, ..Adam::default() })
    }

    /// [`Optimizer::adam`] with decoupled weight decay: θ ← (1 − η λ) θ as well.
    ///
    /// ```
    /// use deltarule::{Optimizer, kernels::optimizer::Decay};
    /// let decay = Decay { decoupled: 0.01, ..Decay::default() };
    /// assert_eq!(Optimizer::adam_w(1e-3, 0.01), Optimizer::adam(1e-3).decay(decay));
    /// ```
    pub fn adam_w(learning_rate: f64, decay: f64) -> Self {
        Self::adam(learning_rate).decay(Decay { decoupled: decay, ..Decay::default() })
    }

    /// [`NAdam`] with β₁ = 0.9, β₂ = 0.999, ε = 10⁻⁸ inside the root, for which see
    /// [`Optimizer::adam`], and ψ = 0.004.
    ///
    /// ```
    /// use deltarule::{Optimizer, kernels::optimizer::NAdam};
    /// let rule = NAdam { learning_rate: 2e-3, ..NAdam::default() };
    /// assert_eq!(Optimizer::nadam(2e-3), Optimizer::new(rule));
    /// assert_eq!((rule.beta1, rule.beta2, rule.momentum_decay), (0.9, 0.999, 0.004));
    /// ```
    pub fn nadam(learning_rate: f64) -> Self {
        Self::new(NAdam { learning_rate, ..NAdam::default() })
    }

    /// [`Adagrad`] with ε = 10⁻¹⁰ inside the root.
    ///
    /// ```
    /// use deltarule::{Optimizer, kernels::optimizer::Adagrad};
    /// let rule = Adagrad { learning_rate: 0.01, ..Adagrad::default() };
    /// assert_eq!(Optimizer::adagrad(0.01), Optimizer::new(rule));
    /// assert_eq!(rule.rate_decay, 0.0); // but for what the sum of squares does
    /// ```
    pub fn adagrad(learning_rate: f64) -> Self {
        Self::new(Adagrad { learning_rate, ..Adagrad::default() })
    }

    /// [`Lion`] with β₁ = 0.9 and β₂ = 0.99.
    ///
    /// ```
    /// use deltarule::{Optimizer, kernels::optimizer::{Decay, Lion}};
    /// let rule = Lion { learning_rate: 1e-4, ..Lion::default() };
    /// assert_eq!(Optimizer::lion(1e-4), Optimizer::new(rule));
    /// // It is meant to have a decay, larger than Adam's as its rate is smaller.
    /// let optimizer = Optimizer::lion(1e-4).decay(Decay { decoupled: 0.1, ..Decay::default() });
    /// assert_eq!(optimizer.rule().states(), 1);
    /// ```
    pub fn lion(learning_rate: f64) -> Self {
        Self::new(Lion { learning_rate, ..Lion::default() })
    }

    /// Sets the decay of the weights. Biases have none.
    ///
    /// ```
    /// # use deltarule::{Activation, Loss, Network, Optimizer, Targets, Trainer};
    /// use deltarule::kernels::optimizer::Decay;
    /// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
    /// let decay = Decay { decoupled: 0.5, ..Decay::default() };
    /// let optimizer = Optimizer::sgd(0.5).decay(decay);
    /// let mut trainer = Trainer::builder(network, Loss::MeanSquaredError, optimizer).build()?;
    /// trainer.network_mut().parameters_mut().copy_from_slice(&[4.0, 1.0]);
    /// trainer.step(&[1.0], Targets::Values(&[5.0]))?; // no error, and so no gradient
    /// assert_eq!(trainer.network().parameters(), [3.0, 1.0]); // (1 − ½ · ½) w, and b
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    #[must_use]
    pub fn decay(mut self, decay: Decay) -> Self {
        self.decay = decay;
        self
    }

    /// Clips each element of the gradient to ±`limit`.
    ///
    /// ```
    /// # use deltarule::{Activation, Loss, Network, Optimizer, Targets, Trainer};
    /// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
    /// let optimizer = Optimizer::sgd(1.0).clip_value(5.0);
    /// let mut trainer = Trainer::builder(network, Loss::MeanSquaredError, optimizer).build()?;
    /// trainer.network_mut().parameters_mut().copy_from_slice(&[3.0, 1.0]);
    /// trainer.step(&[2.0], Targets::Values(&[5.0]))?; // the gradient is (8, 4)
    /// assert_eq!(trainer.network().parameters(), [3.0 - 5.0, 1.0 - 4.0]);
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    #[must_use]
    pub fn clip_value(mut self, limit: f64) -> Self {
        self.clip_value = Some(limit);
        self
    }

    /// Scales the gradient of all parameters together down to this Euclidean norm, where it is
    /// longer. Pascanu et al., *On the difficulty of training recurrent neural networks* (2013).
    ///
    /// A step then writes the whole gradient before it changes any parameter, which takes memory
    /// for a gradient and some time.
    ///
    /// ```
    /// # use deltarule::{Activation, Loss, Network, Optimizer, Targets, Trainer};
    /// # let network = Network::builder(1).dense(1, Activation::Identity).build()?;
    /// let optimizer = Optimizer::sgd(1.0).clip_norm(1.0);
    /// let mut trainer = Trainer::builder(network, Loss::MeanSquaredError, optimizer).build()?;
    /// trainer.network_mut().parameters_mut().copy_from_slice(&[3.0, 1.0]);
    /// trainer.step(&[0.75], Targets::Values(&[2.25]))?; // the gradient is (1.5, 2)
    /// let after = trainer.network().parameters();
    /// assert!((after[0] - 2.4).abs() < 1e-6 && (after[1] - 0.2).abs() < 1e-6);
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    #[must_use]
    pub fn clip_norm(mut self, limit: f64) -> Self {
        self.clip_norm = Some(limit);
        self
    }

    /// The same with another η.
    ///
    /// ```
    /// use deltarule::Optimizer;
    /// let optimizer = Optimizer::adam(1e-3).clip_norm(1.0);
    /// let slower = optimizer.with_learning_rate(1e-4);
    /// assert_eq!(slower, Optimizer::adam(1e-4).clip_norm(1.0));
    /// ```
    #[must_use]
    pub fn with_learning_rate(mut self, learning_rate: f64) -> Self {
        self.rule = self.rule.with_learning_rate(learning_rate);
        self
    }

    /// η.
    pub fn learning_rate(&self) -> f64 {
        self.rule.learning_rate()
    }

    /// The rule.
    pub fn rule(&self) -> &Rule {
        &self.rule
    }

    /// The norm that gradients are clipped to.
    pub(crate) fn norm_limit(&self) -> Option<f64> {
        self.clip_norm
    }

    /// Checks that every number has a meaning.
    pub(crate) fn check(&self) -> Result<()> {
        not_negative("learning_rate", self.learning_rate())?;
        not_negative("decay.l2", self.decay.l2)?;
        not_negative("decay.l1", self.decay.l1)?;
        not_negative("decay.decoupled", self.decay.decoupled)?;
        positive("clip_value", self.clip_value)?;
        positive("clip_norm", self.clip_norm)?;
        match self.rule {
            Rule::Momentum(rule) => {
                below_one("momentum", rule.momentum)?;
                let (dampening, good) = (rule.dampening, (0.0..=1.0).contains(&rule.dampening));
                check("dampening", dampening, good, "between 0 and 1")
            }
            Rule::RmsProp(rule) => {
                below_one("rho", rule.rho)?;
                below_one("momentum", rule.momentum)?;
                check_epsilon(rule.epsilon)
            }
            Rule::Adam(rule) => {
                below_one("beta1", rule.beta1)?;
                below_one("beta2", rule.beta2)?;
                check_epsilon(rule.epsilon)
            }
            Rule::NAdam(rule) => {
                below_one("beta1", rule.beta1)?;
                below_one("beta2", rule.beta2)?;
                not_negative("momentum_decay", rule.momentum_decay)?;
                check_epsilon(rule.epsilon)
            }
            Rule::Adagrad(rule) => {
                not_negative("rate_decay", rule.rate_decay)?;
                check_epsilon(rule.epsilon)
            }
            Rule::Lion(rule) => {
                below_one("beta1", rule.beta1)?;
                below_one("beta2", rule.beta2)
            }
            _ => Ok(()),
        }
    }

    /// Whether steps do the same to parameters with these rates.
    pub(crate) fn treats_alike(&self, one: Rates, other: Rates) -> bool {
        one.factor == other.factor && (one.decays == other.decays || self.decay == Decay::default())
    }

    /// What step `number`, counted from 1, does to parameters with these rates.
    pub(crate) fn at_step<E: Element>(
        &self,
        number: u64,
        gradient_factor: f64,
        rates: Rates,
    ) -> Update<E> {
        self.rule.at_step(&Step {
            number,
            learning_rate_factor: rates.factor,
            gradient_factor,
            clip_value: self.clip_value.unwrap_or(f64::INFINITY),
            decay: if rates.decays { self.decay } else { Decay::default() },
        })
    }
}

/// An error that names the number unless it is good.
pub(crate) fn check(
    argument: &'static str,
    value: f64,
    good: bool,
    expected: &'static str,
) -> Result<()> {
    if good { Ok(()) } else { Err(Error::OutOfRange { argument, value, expected }) }
}

pub(crate) fn not_negative(argument: &'static str, value: f64) -> Result<()> {
    check(argument, value, value.is_finite() && value >= 0.0, "finite and not negative")
}

pub(crate) fn below_one(argument: &'static str, value: f64) -> Result<()> {
    check(argument, value, (0.0..1.0).contains(&value), "at least 0 and below 1")
}

/// [`Option::None`] is for a number that is not there.
pub(crate) fn positive(argument: &'static str, value: Option<f64>) -> Result<()> {
    let Some(value) = value else { return Ok(()) };
    check(argument, value, value.is_finite() && value > 0.0, "finite and above 0")
}

fn check_epsilon(epsilon: Epsilon) -> Result<()> {
    match epsilon {
        // With 0, a gradient of 0 would be divided by 0.
        Epsilon::InsideRoot(value) | Epsilon::OutsideRoot(value) => {
            positive("epsilon", Some(value))
        }
    }
}
