//! Which tensors a network has, and where their numbers are.

use core::fmt::Display;
use core::ops::Range;
use deltarule_kernels::Element;
use deltarule_kernels::activation::Activation;

use super::invalid;
use crate::error::Result;
use crate::layers::{Layer, LayerRef};
use crate::network::Network;

/// Where a tensor's numbers are in a network.
#[derive(Clone, Debug)]
pub(super) enum Place {
    Parameters(Range<usize>),
    Statistics(Range<usize>),
    /// Nowhere: it is the count of batches that a running mean was made of.
    Count,
}

/// The tensors of a network.
pub(super) struct Names {
    /// Name, shape and place of each.
    pub(super) tensors: Vec<(String, Vec<usize>, Place)>,
    /// The γ that are not learned, and so no tensors: they are 1, and the β that follow them 0.
    pub(super) ones: Vec<Range<usize>>,
    parameters: usize,
    statistics: usize,
}

impl Names {
    pub(super) fn of<E: Element>(network: &Network<E>) -> Self {
        let mut names =
            Self { tensors: Vec::new(), ones: Vec::new(), parameters: 0, statistics: 0 };
        names.add(network.specification(), &mut network.layers(), "");
        names
    }

    /// The same tensors, with these names for their modules in the place of their own.
    pub(super) fn renamed(mut self, modules: &[impl AsRef<str>]) -> Result<Self> {
        let mut own: Vec<String> = Vec::new();
        for (name, ..) in &mut self.tensors {
            let (module, tensor) = name.rsplit_once('.').unwrap_or(("", name.as_str()));
            if own.last().is_none_or(|last| last != module) {
                own.push(module.to_owned());
            }
            let new = modules.get(own.len() - 1).map_or("", AsRef::as_ref);
            *name = format!("{new}.{tensor}");
        }
        if own.len() == modules.len() {
            return Ok(self);
        }
        let (needed, given) = (own.len(), modules.len());
        let own = first_few(own.iter().map(String::as_str));
        Err(invalid(format!("`modules` names {given}, but the network has {needed}: {own}")))
    }

    /// The names of the first tensors.
    pub(super) fn first(&self, prefix: &str) -> String {
        first_few(self.tensors.iter().map(|(name, ..)| format!("{prefix}{name}")))
    }

    /// Adds the tensors of these layers, which are the next of the network's.
    fn add<'a, E: Element>(
        &mut self,
        specification: &[Layer],
        layers: &mut dyn Iterator<Item = LayerRef<'a, E>>,
        prefix: &str,
    ) {
        let mut module = 0;
        for layer in specification {
            let name = format!("{prefix}{module}.");
            module += 1;
            if let Layer::Residual(block) = layer {
                self.add(block, layers, &name);
            }
            match layers.next() {
                Some(LayerRef::Dense(dense)) => {
                    self.parameters(&name, "weight", vec![dense.outputs, dense.inputs]);
                    if !dense.biases.is_empty() {
                        self.parameters(&name, "bias", vec![dense.outputs]);
                    }
                    module += usize::from(dense.activation != Activation::Identity);
                }
                Some(LayerRef::LayerNorm(norm)) => {
                    self.affine(&name, norm.affine, norm.gamma.len());
                }
                Some(LayerRef::BatchNorm(norm)) => {
                    self.affine(&name, norm.affine, norm.gamma.len());
                    self.statistics(&name, "running_mean", norm.gamma.len());
                    self.statistics(&name, "running_var", norm.gamma.len());
                    let count = format!("{name}num_batches_tracked");
                    self.tensors.push((count, Vec::new(), Place::Count));
                }
                Some(LayerRef::Embedding(embedding)) => {
                    for (index, (column, _)) in embedding.tables().enumerate() {
                        let shape = vec![column.categories, column.dimensions];
                        self.parameters(&name, &format!("{index}.weight"), shape);
                    }
                }
                Some(
                    LayerRef::Dropout { .. }
                    | LayerRef::Activation { .. }
                    | LayerRef::Residual { .. },
                )
                | None => {}
            }
        }
    }

    fn parameters(&mut self, layer: &str, name: &str, shape: Vec<usize>) {
        let range = self.next_parameters(shape.iter().product());
        self.tensors.push((format!("{layer}{name}"), shape, Place::Parameters(range)));
    }

    fn next_parameters(&mut self, count: usize) -> Range<usize> {
        let start = self.parameters;
        self.parameters += count;
        start..self.parameters
    }

    fn statistics(&mut self, layer: &str, name: &str, features: usize) {
        let range = self.statistics..self.statistics + features;
        self.statistics = range.end;
        self.tensors.push((format!("{layer}{name}"), vec![features], Place::Statistics(range)));
    }

    /// γ and β.
    fn affine(&mut self, layer: &str, is_learned: bool, features: usize) {
        if is_learned {
            self.parameters(layer, "weight", vec![features]);
            self.parameters(layer, "bias", vec![features]);
        } else {
            let ones = self.next_parameters(features);
            self.ones.push(ones);
            self.next_parameters(features);
        }
    }
}

/// The first names of a list, and how many more there are.
fn first_few(names: impl ExactSizeIterator<Item: Display>) -> String {
    const FEW: usize = 4;
    let more = names.len().saturating_sub(FEW);
    let names: Vec<String> = names.take(FEW).map(|name| format!("`{name}`")).collect();
    let names = names.join(", ");
    if more == 0 { names } else { format!("{names} and {more} more") }
}
