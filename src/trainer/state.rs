//! What a checkpoint keeps of a trainer.

use deltarule_kernels::Element;

use super::Trainer;
use crate::error::{Result, check_length};
use crate::loss::{Loss, Reduction};
use crate::optimizer::{Optimizer, ParameterGroup};

/// How a network is trained.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Settings {
    pub(crate) loss: Loss,
    pub(crate) reduction: Reduction,
    pub(crate) optimizer: Optimizer,
    pub(crate) groups: Vec<ParameterGroup>,
    pub(crate) seed: u64,
}

impl Settings {
    /// All but the learning rate, which changes in the course of a training, in words.
    pub(crate) fn describe(&self) -> [(&'static str, String); 5] {
        let Self { loss, reduction, optimizer, groups, seed } = self;
        [
            ("loss", format!("{loss:?}")),
            ("reduction", format!("{reduction:?}")),
            ("optimizer", format!("{:?}", optimizer.with_learning_rate(0.0))),
            ("parameter groups", format!("{groups:?}")),
            ("seed of the masks", seed.to_string()),
        ]
    }
}

impl<E: Element> Trainer<E> {
    /// How the network is trained now.
    pub(crate) fn settings(&self) -> Settings {
        let Self { loss, reduction, optimizer, groups, seed, .. } = self;
        Settings {
            loss: *loss,
            reduction: *reduction,
            optimizer: *optimizer,
            groups: groups.clone(),
            seed: *seed,
        }
    }

    /// Checks that there are as many states as the optimizer keeps, of a network of the same layers.
    pub(crate) fn check_states(&self, states: &[Vec<E>]) -> Result<()> {
        check_length("states", states.len(), self.states().len())
    }
}
