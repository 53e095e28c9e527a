//! Optimizer updates.

use super::{Call, Kind, Traffic, Who, Workload};
use deltarule_kernels::optimizer::{
    Adagrad, Adam, Decay, Lion, Momentum, NAdam, Optimizer, RmsProp, Sgd, Step,
};
use deltarule_kernels::{Element, Isa, reference};

#[derive(Clone, Copy)]
pub(super) struct Kernel {
    optimizer: Optimizer,
    step: Step,
}

pub(super) fn all() -> Vec<Workload> {
    let plain = Step::new(10);
    let decoupled = Decay { decoupled: 0.01, ..Decay::default() };
    let all_that_a_step_can_ask = Step {
        gradient_factor: 0.5,
        clip_value: 1.0,
        decay: Decay { l2: 0.01, l1: 0.001, decoupled: 0.01 },
        ..plain
    };
    let rms = RmsProp::default();
    let rules: [(&str, Optimizer, Step); 14] = [
        ("sgd", Sgd::default().into(), plain),
        ("momentum", Momentum::default().into(), plain),
        ("nesterov", Momentum { nesterov: true, ..Momentum::default() }.into(), plain),
        ("rms_prop", rms.into(), plain),
        ("rms_prop_centered", RmsProp { centered: true, ..rms }.into(), plain),
        ("rms_prop_momentum", RmsProp { momentum: 0.9, ..rms }.into(), plain),
        (
            "rms_prop_centered_momentum",
            RmsProp { centered: true, momentum: 0.9, ..rms }.into(),
            plain,
        ),
        ("adam", Adam::default().into(), plain),
        ("adam_w", Adam::default().into(), Step { decay: decoupled, ..plain }),
        ("adam_clipped_decayed", Adam::default().into(), all_that_a_step_can_ask),
        ("amsgrad", Adam { amsgrad: true, ..Adam::default() }.into(), plain),
        ("nadam", NAdam::default().into(), plain),
        ("adagrad", Adagrad::default().into(), plain),
        ("lion", Lion::default().into(), Step { decay: decoupled, ..plain }),
    ];
    rules
        .into_iter()
        .map(|(name, optimizer, step)| Workload {
            group: "optimizers",
            name: name.to_owned(),
            traffic: Traffic { reads: 1, updates: 1 + optimizer.states(), writes: 0 },
            is_transcendental: false,
            columns: 1,
            kind: Kind::Optimizer(Box::new(Kernel { optimizer, step })),
        })
        .collect()
}

impl Kernel {
    pub(super) fn call<E: Element>(&self, who: Who, isa: Isa, n: usize) -> Call<E> {
        let Self { optimizer, step } = *self;
        if who == Who::Naive {
            let (mut parameters, mut states) = (vec![0.0; n], vec![[0.0; 3]; n]);
            return Box::new(move |arrays| {
                let elements = parameters.iter_mut().zip(&mut states);
                for ((parameter, state), gradient) in elements.zip(&*arrays[0]) {
                    let g = gradient.to_f64();
                    *parameter = reference::optimizer_step(&optimizer, &step, g, *parameter, state);
                }
            });
        }
        let update = optimizer.at_step::<E>(&step);
        Box::new(move |arrays| {
            let (read, written) = arrays.split_at_mut(1);
            let (parameters, states) = written.split_at_mut(1);
            let mut states = states.iter_mut().map(|slice| &mut **slice);
            let state = [(); 3].map(|()| states.next().unwrap_or_default());
            update.apply(isa, read[0], parameters[0], state).expect("slices of one length");
        })
    }
}
