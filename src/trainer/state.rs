//! What a checkpoint keeps of a trainer.

use deltarule_kernels::Element;

use super::Trainer;
use super::average::{Averaging, Kept};
use super::goal::Objective;
use crate::error::{Result, check_length};
use crate::loss::{Loss, Reduction};
use crate::network::Network;
use crate::optimizer::{Optimizer, ParameterGroup};

/// How a network is trained.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Settings {
    pub(crate) loss: Loss,
    pub(crate) reduction: Reduction,
    /// Version 1 of the format had none.
    #[serde(default)]
    pub(crate) class_weights: Vec<f64>,
    pub(crate) optimizer: Optimizer,
    pub(crate) groups: Vec<ParameterGroup>,
    pub(crate) seed: u64,
    /// The average that is kept, and after how many steps it begins. Versions 1 and 2 of the format
    /// had none.
    #[serde(default)]
    pub(crate) average: Option<(Averaging, u64)>,
    /// Whether the program's own loss, or optimizer, has taken the place of the one that is named,
    /// which older versions did not tell.
    #[serde(default)]
    pub(crate) own_loss: bool,
    #[serde(default)]
    pub(crate) own_rule: bool,
}

impl Settings {
    /// All but the learning rate, which changes in the course of a training, in words.
    pub(crate) fn describe(&self) -> [(&'static str, String); 7] {
        let Self { loss, reduction, class_weights, optimizer, groups, seed, .. } = self;
        let own =
            |is_own, named| if is_own { "one of the program's own".to_owned() } else { named };
        let optimizer = format!("{:?}", optimizer.with_learning_rate(0.0));
        [
            ("loss", own(self.own_loss, format!("{loss:?}"))),
            ("reduction", format!("{reduction:?}")),
            ("list of class weights", format!("{class_weights:?}")),
            ("optimizer", own(self.own_rule, optimizer)),
            ("parameter groups", format!("{groups:?}")),
            ("seed of the masks", seed.to_string()),
            ("average of weights (after steps)", format!("{:?}", self.average)),
        ]
    }
}

impl<E: Element> Trainer<E> {
    /// How the network is trained now.
    pub(crate) fn settings(&self) -> Settings {
        let Self { objective, optimizer, groups, seed, average, .. } = self;
        let Objective { loss, reduction, class_weights } = objective;
        Settings {
            loss: *loss,
            reduction: *reduction,
            class_weights: class_weights.iter().map(|weight| weight.to_f64()).collect(),
            optimizer: *optimizer,
            groups: groups.clone(),
            seed: *seed,
            average: average.as_ref().map(|Kept { average, after }| (average.averaging(), *after)),
            own_loss: self.own_loss.has_rule(),
            own_rule: self.rule.is_some(),
        }
    }

    /// Goes on from an average's network and its number of updates, if one is kept.
    pub(crate) fn resume_average(&mut self, network: &Network<E>, updates: u64) -> Result<()> {
        match &mut self.average {
            Some(kept) => kept.average.resume(network, updates),
            None => Ok(()),
        }
    }

    /// Checks that there are as many states as the optimizer keeps, of a network of the same layers.
    pub(crate) fn check_states(&self, states: &[Vec<E>]) -> Result<()> {
        check_length("states", states.len(), self.states().len())
    }
}
