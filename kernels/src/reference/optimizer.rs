//! Optimizers.

use crate::optimizer::{Epsilon, Optimizer, Step};

/// One parameter's update by a rule as its documentation writes it; gives the new parameter.
///
/// ```
/// use deltarule_kernels::{optimizer::{Momentum, Optimizer, Step}, reference};
/// let rule = Momentum { learning_rate: 0.5, momentum: 0.5, ..Momentum::default() };
/// let (optimizer, mut state) = (Optimizer::from(rule), [0.0; 3]);
/// let first = reference::optimizer_step(&optimizer, &Step::new(1), 1.0, 0.0, &mut state);
/// let second = reference::optimizer_step(&optimizer, &Step::new(2), 1.0, first, &mut state);
/// assert_eq!((first, second), (-0.5, -1.25));
/// ```
pub fn optimizer_step(
    optimizer: &Optimizer,
    step: &Step,
    gradient: f64,
    parameter: f64,
    state: &mut [f64; 3],
) -> f64 {
    let t = step.number as f64;
    let rate = optimizer.learning_rate() * step.learning_rate_factor;
    let sign = |x: f64| if x == 0.0 { 0.0 } else { x.signum() };
    let root = |x: f64, epsilon| match epsilon {
        Epsilon::InsideRoot(epsilon) => (x + epsilon).sqrt(),
        Epsilon::OutsideRoot(epsilon) => x.sqrt() + epsilon,
    };
    let g = (gradient * step.gradient_factor).clamp(-step.clip_value, step.clip_value)
        + step.decay.l2 * parameter
        + step.decay.l1 * sign(parameter);
    let parameter = parameter * (1.0 - rate * step.decay.decoupled);
    let change = match *optimizer {
        Optimizer::Sgd(_) => g,
        Optimizer::Momentum(rule) => {
            let dampening = if step.number == 1 { 0.0 } else { rule.dampening };
            state[0] = rule.momentum * state[0] + (1.0 - dampening) * g;
            if rule.nesterov { g + rule.momentum * state[0] } else { state[0] }
        }
        Optimizer::RmsProp(rule) => {
            state[0] = rule.rho * state[0] + (1.0 - rule.rho) * g * g;
            let mut variance = state[0];
            let mut next = 1;
            if rule.centered {
                state[1] = rule.rho * state[1] + (1.0 - rule.rho) * g;
                variance -= state[1] * state[1];
                next = 2;
            }
            let scaled = g / root(variance, rule.epsilon);
            if rule.momentum == 0.0 {
                scaled
            } else {
                state[next] = rule.momentum * state[next] + scaled;
                state[next]
            }
        }
        Optimizer::Adam(rule) => {
            state[0] = rule.beta1 * state[0] + (1.0 - rule.beta1) * g;
            state[1] = rule.beta2 * state[1] + (1.0 - rule.beta2) * g * g;
            state[2] = state[2].max(state[1]);
            let v = if rule.amsgrad { state[2] } else { state[1] };
            let mean = state[0] / (1.0 - rule.beta1.powf(t));
            mean / root(v / (1.0 - rule.beta2.powf(t)), rule.epsilon)
        }
        Optimizer::NAdam(rule) => {
            let mu = |t: f64| rule.beta1 * (1.0 - 0.5 * 0.96_f64.powf(t * rule.momentum_decay));
            let product: f64 = (1..=step.number).map(|i| mu(i as f64)).product();
            state[0] = rule.beta1 * state[0] + (1.0 - rule.beta1) * g;
            state[1] = rule.beta2 * state[1] + (1.0 - rule.beta2) * g * g;
            let ahead = mu(t + 1.0) * state[0] / (1.0 - product * mu(t + 1.0))
                + (1.0 - mu(t)) * g / (1.0 - product);
            ahead / root(state[1] / (1.0 - rule.beta2.powf(t)), rule.epsilon)
        }
        Optimizer::Adagrad(rule) => {
            state[0] += g * g;
            g / root(state[0], rule.epsilon) / (1.0 + (t - 1.0) * rule.rate_decay)
        }
        Optimizer::Lion(rule) => {
            let direction = sign(rule.beta1 * state[0] + (1.0 - rule.beta1) * g);
            state[0] = rule.beta2 * state[0] + (1.0 - rule.beta2) * g;
            direction
        }
    };
    parameter - rate * change
}
