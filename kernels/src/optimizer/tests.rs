use super::*;
use crate::reference::optimizer_step;
use crate::testing::{assert_isas_agree, same_bits, values};

/// Every rule in every form.
fn optimizers() -> Vec<Optimizer> {
    let outside = Epsilon::OutsideRoot(1e-8);
    let rms = |centered, momentum, epsilon| {
        Optimizer::from(RmsProp { centered, momentum, epsilon, ..RmsProp::default() })
    };
    vec![
        Sgd::default().into(),
        Momentum::default().into(),
        Momentum { nesterov: true, ..Momentum::default() }.into(),
        Momentum { dampening: 0.25, ..Momentum::default() }.into(),
        rms(false, 0.0, Epsilon::InsideRoot(1e-8)),
        rms(true, 0.0, Epsilon::InsideRoot(1e-4)),
        rms(false, 0.9, outside),
        rms(true, 0.9, outside),
        Adam::default().into(),
        Adam { epsilon: outside, ..Adam::default() }.into(),
        Adam { amsgrad: true, ..Adam::default() }.into(),
        NAdam::default().into(),
        NAdam { epsilon: outside, ..NAdam::default() }.into(),
        Adagrad::default().into(),
        Adagrad { rate_decay: 0.1, epsilon: outside, ..Adagrad::default() }.into(),
        Lion::default().into(),
    ]
}

/// A step that asks for nothing, one for multiples only, and one for everything.
fn steps(number: u64) -> [Step; 3] {
    let decay = Decay { l2: 0.01, l1: 0.001, decoupled: 0.1 };
    let all = Step {
        learning_rate_factor: 0.5,
        gradient_factor: 0.75,
        clip_value: 2.0,
        decay,
        ..Step::new(number)
    };
    let linear = Step { clip_value: f64::INFINITY, decay: Decay { l1: 0.0, ..decay }, ..all };
    [Step::new(number), linear, all]
}

/// Parameters and the three slices of state.
type Slices<E> = [Vec<E>; 4];

fn start<E: Element>(n: usize) -> Slices<E> {
    [values(1, n), vec![E::ZERO; n], vec![E::ZERO; n], vec![E::ZERO; n]]
}

fn apply<E: Element>(
    isa: Isa,
    update: &Update<E>,
    gradients: &[E],
    [p, a, b, c]: &mut Slices<E>,
) -> Result<(), ShapeError> {
    update.apply(isa, gradients, p, [a, b, c])
}

fn lengths() -> impl Iterator<Item = usize> {
    (0..=70).chain([100, 256, 1000])
}

/// Each step from the state that the kernel itself has reached, so that what is compared is one
/// step's rounding.
fn every_rule_follows_its_formula<E: Element>(unit: f64) {
    for isa in Isa::available() {
        for optimizer in optimizers() {
            for n in [1, 7, 70] {
                for which in 0..3 {
                    let mut slices = start::<E>(n);
                    for number in 1..=5 {
                        let step = steps(number)[which];
                        let gradients: Vec<E> = values(10 + number, n);
                        let before = slices.clone();
                        let update = optimizer.at_step(&step);
                        apply(isa, &update, &gradients, &mut slices).unwrap();
                        for i in 0..n {
                            let [p, a, b, c] = [0, 1, 2, 3].map(|s| before[s][i].to_f64());
                            let mut state = [a, b, c];
                            let g = gradients[i].to_f64();
                            let expected = optimizer_step(&optimizer, &step, g, p, &mut state);
                            let got = slices[0][i].to_f64();
                            let change = (expected - p).abs();
                            let bound = unit * (3.5 * p.abs() + 60.0 * change);
                            assert!(
                                (got - expected).abs() <= bound,
                                "{isa}: {optimizer:?} {step:?}: element {i}: {got}, not {expected}"
                            );
                            for (s, expected) in state.iter().enumerate().take(optimizer.states()) {
                                let got = slices[s + 1][i].to_f64();
                                let bound = 20.0 * unit * (expected.abs() + g * g + g.abs());
                                assert!(
                                    (got - expected).abs() <= bound,
                                    "{isa}: {optimizer:?}: state {s}: {got}, not {expected}"
                                );
                            }
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn rules_follow_their_formulas() {
    every_rule_follows_its_formula::<f32>(2f64.powi(-24));
    every_rule_follows_its_formula::<f64>(2f64.powi(-53));
}

fn all_isas_and_tiles_agree<E: Element>() {
    for optimizer in optimizers() {
        for n in lengths() {
            for step in steps(3) {
                let gradients: Vec<E> = values(5, n);
                let update = optimizer.at_step(&step);
                let positive = |seed| values::<E>(seed, n).iter().map(|x| *x * *x).collect();
                let before = [values(1, n), positive(2), positive(3), positive(4)];
                let whole = assert_isas_agree(|isa| {
                    let mut slices = before.clone();
                    apply(isa, &update, &gradients, &mut slices).unwrap();
                    slices.concat()
                });
                let mut tiled = before.clone();
                for first in (0..n).step_by(33) {
                    let tile = first..n.min(first + 33);
                    let mut part = before.clone().map(|slice| slice[tile.clone()].to_vec());
                    apply(Isa::detect(), &update, &gradients[tile.clone()], &mut part).unwrap();
                    for (slice, part) in tiled.iter_mut().zip(part) {
                        slice[tile.clone()].copy_from_slice(&part);
                    }
                }
                for (a, b) in whole.iter().zip(tiled.concat()) {
                    assert!(same_bits(*a, b), "{optimizer:?}: {a} in one, {b} in tiles of {n}");
                }
            }
        }
    }
}

#[test]
fn isas_with_fma_and_tiles_give_the_same_bits() {
    all_isas_and_tiles_agree::<f32>();
    all_isas_and_tiles_agree::<f64>();
}

#[test]
fn a_nan_reaches_its_parameter_and_no_other() {
    for isa in Isa::available() {
        for optimizer in optimizers() {
            for step in steps(2) {
                let update = optimizer.at_step::<f32>(&step);
                for n in [1, 5, 16, 37] {
                    for position in 0..n {
                        for spoiled in 0..2 + optimizer.states() {
                            let mut slices = start::<f32>(n);
                            let mut gradients = values(4, n);
                            match spoiled {
                                0 => gradients[position] = f32::NAN,
                                s => slices[s - 1][position] = f32::NAN,
                            }
                            apply(isa, &update, &gradients, &mut slices).unwrap();
                            for (i, p) in slices[0].iter().enumerate() {
                                assert_eq!(
                                    p.is_nan(),
                                    i == position,
                                    "{isa}: {optimizer:?} {step:?}: NaN in {spoiled} at \
                                     {position} of {n}: {i} is {p}"
                                );
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A gradient whose square overflows, and the ones after it.
fn second_moments_stay_finite<E: Element>(largest: E) {
    assert!((E::LARGEST_ROOT * E::LARGEST_ROOT).is_finite());
    let more = E::LARGEST_ROOT * E::from_f64(1.0 + 1e-6);
    assert!(!(more * more).is_finite());
    for isa in Isa::available() {
        for optimizer in optimizers() {
            let normalizes = matches!(
                optimizer,
                Optimizer::Adam(_) | Optimizer::NAdam(_) | Optimizer::RmsProp(_)
            );
            for g in [more, -more, largest, -largest].into_iter().filter(|_| normalizes) {
                let mut slices = start::<E>(9);
                for (number, g) in [(1, g), (2, E::ONE), (3, -g), (4, g), (5, -E::ONE)] {
                    let update = optimizer.at_step(&Step::new(number));
                    apply(isa, &update, &[g; 9], &mut slices).unwrap();
                    let numbers = slices.iter().flatten();
                    let all_finite = numbers.copied().all(E::is_finite);
                    assert!(all_finite, "{isa}: {optimizer:?} step {number}, {g}: {slices:?}");
                }
            }
        }
    }
}

#[test]
fn a_gradient_with_an_infinite_square_leaves_all_finite() {
    second_moments_stay_finite(f32::MAX);
    second_moments_stay_finite(f64::MAX);
}

/// Where gradients stay 0, running means decay to 0, and never stay subnormal.
fn means_settle<E: Element>() {
    let (normal, tiny) = (E::MIN_NORMAL.to_f64(), E::MIN_NORMAL.to_f64() / 1e4);
    let bounds = [normal, tiny, -normal, -tiny, 0.0, f64::NAN].map(E::from_f64);
    for isa in Isa::available() {
        // A sum of squares does not decay.
        let decays = |optimizer: &Optimizer| !matches!(optimizer, Optimizer::Adagrad(_));
        for optimizer in optimizers().into_iter().filter(decays) {
            let n = bounds.len() * 7;
            let mut slices = start::<E>(n);
            let kept: Vec<E> = bounds.iter().copied().cycle().take(n).collect();
            for state in &mut slices[1..] {
                state.copy_from_slice(&kept);
            }
            let squares = match optimizer {
                Optimizer::Adam(_) | Optimizer::NAdam(_) => 2,
                Optimizer::RmsProp(_) => 1,
                _ => 0,
            };
            if squares > 0 {
                slices[squares].iter_mut().for_each(|v| *v = E::from_f64(v.to_f64().abs()));
            }
            if squares == 2 {
                // The greatest of them, which does not decay.
                slices[3].fill(E::ONE);
            }
            for number in SETTLING - 2..=SETTLING {
                let update = optimizer.at_step::<E>(&Step::new(number));
                apply(isa, &update, &vec![E::ZERO; n], &mut slices).unwrap();
            }
            for (s, state) in slices[1..][..optimizer.states()].iter().enumerate() {
                for (x, was) in state.iter().map(|x| x.to_f64()).zip(&kept) {
                    let is_well =
                        x == 0.0 || x.abs() >= normal || x.is_nan() && was.to_f64().is_nan();
                    assert!(is_well, "{isa}: {optimizer:?}: state {s} is {x:e}, it was {was}");
                }
            }
            for (p, was) in slices[0].iter().zip(&kept) {
                assert!(p.is_finite() || was.to_f64().is_nan(), "{isa}: {optimizer:?}: {was}");
            }
        }
    }
}

#[test]
fn means_of_no_gradients_settle_at_zero() {
    means_settle::<f32>();
    means_settle::<f64>();
}

/// v is what a tiny gradient is divided by: it stays, however small.
#[test]
fn squares_of_tiny_gradients_stay() {
    let epsilon = Epsilon::OutsideRoot(1e-30);
    for isa in Isa::available() {
        for optimizer in [
            Optimizer::from(Adam { epsilon, ..Adam::default() }),
            NAdam { epsilon, ..NAdam::default() }.into(),
            RmsProp { epsilon, ..RmsProp::default() }.into(),
        ] {
            let mut slices = start::<f32>(20);
            slices[0].fill(0.0);
            let update = optimizer.at_step(&Step::new(SETTLING));
            apply(isa, &update, &[1e-19; 20], &mut slices).unwrap();
            let [p, v] = [slices[0][7], slices[optimizer.states().min(2)][7]];
            assert!(v > 0.0 && v < f32::MIN_POSITIVE, "{isa}: {optimizer:?}: {v:e}");
            assert!((1e-4..0.2).contains(&-p), "{isa}: {optimizer:?}: {p}");
        }
    }
}

#[test]
fn the_free_function_is_the_rule() {
    for n in lengths() {
        let gradients: Vec<f32> = values(2, n);
        let by_function = assert_isas_agree(|isa| {
            let mut parameters = values(1, n);
            sgd(isa, 0.05, &gradients, &mut parameters).unwrap();
            parameters
        });
        let mut slices = start(n);
        let update = Optimizer::from(Sgd { learning_rate: 0.05 }).at_step(&Step::new(1));
        apply(Isa::detect(), &update, &gradients, &mut slices).unwrap();
        assert_eq!(by_function, slices[0]);
    }
}

#[test]
fn clipping_by_value_and_by_norm() {
    let gradients = [3.0_f64, -4.0, 0.5];
    let clipped = |step: Step| {
        let mut slices = [vec![0.0; 3], vec![], vec![], vec![]];
        let update = Optimizer::from(Sgd { learning_rate: 1.0 }).at_step(&step);
        apply(Isa::detect(), &update, &gradients, &mut slices).unwrap();
        slices[0].iter().map(|p| -p).collect::<Vec<f64>>()
    };
    let step = Step { clip_value: 1.0, ..Step::new(1) };
    assert_eq!(clipped(step), [1.0, -1.0, 0.5]);
    let squares = crate::reduce::sum_of_squares(Isa::detect(), &gradients);
    let factor = norm_clip_factor(squares, 1.0);
    let by_norm = clipped(Step { gradient_factor: factor, ..Step::new(1) });
    let norm: f64 = by_norm.iter().map(|g| g * g).sum();
    approx::assert_relative_eq!(norm, 1.0, max_relative = 1e-15);
    assert_eq!(norm_clip_factor(squares, 10.0), 1.0);
    assert!(norm_clip_factor(f64::NAN, 10.0).is_nan());
    assert_eq!(norm_clip_factor(0.0, 0.0), 1.0);
}

/// With gradients that do not change, v − ḡ² is 0 but for rounding, and must not fall below.
#[test]
fn a_centered_variance_is_never_negative() {
    let rule = RmsProp { centered: true, rho: 0.5, ..RmsProp::default() };
    let update = Optimizer::from(rule).at_step(&Step::new(1));
    for isa in Isa::available() {
        let gradients: Vec<f32> = values(3, 64).iter().map(|g: &f32| 1e4 * g).collect();
        let mut slices = start(64);
        for _ in 0..100 {
            apply(isa, &update, &gradients, &mut slices).unwrap();
        }
        assert!(slices[0].iter().all(|p| p.is_finite()), "{isa}: {:?}", slices[0]);
    }
}

#[test]
fn step_zero_counts_as_the_first() {
    for optimizer in optimizers() {
        let after = [0, 1].map(|number| {
            let mut slices = start::<f64>(4);
            let update = optimizer.at_step(&Step::new(number));
            apply(Isa::detect(), &update, &[0.5; 4], &mut slices).unwrap();
            slices
        });
        assert_eq!(after[0], after[1], "{optimizer:?}");
        assert!(after[0][0].iter().all(|p| p.is_finite()));
    }
}

#[test]
fn wrong_lengths_change_nothing() {
    for optimizer in optimizers() {
        let update = optimizer.at_step::<f32>(&Step::new(1));
        for wrong in 0..1 + optimizer.states() {
            let mut slices = start(5);
            let gradients = vec![1.0; if wrong == 0 { 6 } else { 5 }];
            if wrong > 0 {
                slices[wrong].pop();
            }
            let before = slices.clone();
            let error = apply(Isa::detect(), &update, &gradients, &mut slices).unwrap_err();
            let argument = ["gradients", "state[0]", "state[1]", "state[2]"][wrong];
            let actual = if wrong == 0 { 6 } else { 4 };
            assert_eq!(error, ShapeError::Length { argument, expected: 5, actual });
            assert_eq!(slices, before);
        }
        // What a rule does not keep is not looked at.
        let mut slices = start(5);
        slices[optimizer.states() + 1..].fill(vec![]);
        apply(Isa::detect(), &update, &[1.0; 5], &mut slices).unwrap();
    }
}

/// Without the power, too, where that does not count.
#[test]
fn bias_corrections_are_one_minus_the_power() {
    for beta in [0.0, 1e-3, 0.5, 0.9, 0.99, 0.999, 0.9999, 1.0 - 1e-9, 1.0 - f64::EPSILON] {
        for step in 0..4000 {
            // Around t (1 − β) = 37, from which on 1 − βᵗ is 1.
            let t = (f64::from(step) / 50.0 / (1.0 - beta)).ceil().max(1.0);
            assert_eq!(super::bias_correction(beta, t), 1.0 - beta.powf(t), "{beta} {t}");
        }
    }
}

/// The parameter and states after these gradients, from 0 on.
fn after<E: Element>(isa: Isa, optimizer: &Optimizer, gradients: &[f64]) -> [f64; 4] {
    let (mut p, mut states) = ([E::ZERO], [[E::ZERO]; MAX_STATES]);
    for (number, &g) in (1..).zip(gradients) {
        let state = states.each_mut().map(|state| &mut state[..]);
        let update = optimizer.at_step::<E>(&Step::new(number));
        update.apply(isa, &[E::from_f64(g)], &mut p, state).unwrap();
    }
    [p[0], states[0][0], states[1][0], states[2][0]].map(E::to_f64)
}

/// Of a small gradient after a large one nothing may be lost, nor may anything of the large be left.
#[test]
fn means_without_a_past() {
    for isa in Isa::available() {
        let adam = |beta1, beta2| Adam { learning_rate: 1.0, beta1, beta2, ..Adam::default() };
        let [_, m, v, _] = after::<f32>(isa, &adam(0.9, 0.0).into(), &[1e4, 1.0]);
        assert_eq!((v, m > 900.0), (1.0, true));
        let [p, m, v, _] = after::<f64>(isa, &adam(0.0, 0.0).into(), &[1e9, 1.0]);
        assert_eq!((m, v), (1.0, 1.0));
        assert!((p + 2.0).abs() < 1e-6, "{p}");
        let nadam = NAdam { beta1: 0.0, beta2: 0.0, ..NAdam::default() };
        assert_eq!(after::<f32>(isa, &nadam.into(), &[1e4, 1.0])[1..3], [1.0, 1.0]);
        for (centered, momentum) in [(false, 0.0), (true, 0.0), (false, 0.5), (true, 0.5)] {
            let epsilon = Epsilon::OutsideRoot(1e-8);
            let rule = RmsProp { learning_rate: 1.0, rho: 0.0, momentum, centered, epsilon };
            let [_, v, mean, _] = after::<f32>(isa, &rule.into(), &[1.0, 0.25]);
            assert_eq!(v, 0.0625);
            assert!(!centered || mean == 0.25, "{mean}");
        }
        let lion = |beta1, beta2| Lion { learning_rate: 1.0, beta1, beta2 };
        assert_eq!(
            after::<f32>(isa, &lion(0.0, 0.0).into(), &[1.0, 1e-9])[..2],
            [-2.0, 1e-9f32.into()]
        );
        assert_eq!(after::<f32>(isa, &lion(0.0, 0.5).into(), &[1.0, 1e-9])[0], -2.0);
        // What is kept of m still counts.
        assert_eq!(after::<f32>(isa, &lion(0.5, 0.0).into(), &[1.0, -1e-9])[0], -2.0);
    }
}

#[test]
fn an_epsilon_too_small_for_f32_is_one() {
    for epsilon in [Epsilon::InsideRoot(1e-50), Epsilon::OutsideRoot(1e-50)] {
        let adam = Adam { epsilon, ..Adam::default() };
        assert_eq!(after::<f32>(Isa::detect(), &adam.into(), &[0.0; 65])[0], 0.0);
    }
    // Without one, v is not made 0 after 64 steps either.
    let epsilon = Epsilon::OutsideRoot(0.0);
    let rule = RmsProp { epsilon, rho: 0.9, ..RmsProp::default() };
    let gradients: Vec<f64> = (0..900).map(|at| if at == 0 { 1.0 } else { 0.0 }).collect();
    assert!(after::<f32>(Isa::detect(), &rule.into(), &gradients)[0].is_finite());
}

#[test]
fn states_come_back_from_huge_gradients() {
    for isa in Isa::available() {
        let adagrad = Adagrad { learning_rate: 1.0, ..Adagrad::default() };
        let [p, s, ..] = after::<f32>(isa, &adagrad.into(), &[1e20, f64::INFINITY, 1.0]);
        assert!(p < -1.0 && s == f32::MAX.into(), "{p} {s}");
        let lion = Lion { learning_rate: 1.0, ..Lion::default() };
        let gradients = [3e38, -3e38, f64::INFINITY, -1.0, -1.0];
        let [p, m, ..] = after::<f32>(isa, &lion.into(), &gradients);
        assert!(p.is_finite() && m.is_finite(), "{p} {m}");
        for rule in [Optimizer::from(adagrad), lion.into()] {
            assert!(after::<f32>(isa, &rule, &[f64::NAN])[0].is_nan());
        }
    }
}
