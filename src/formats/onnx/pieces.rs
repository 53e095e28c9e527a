//! What a graph is made of, and the layers that become of it.

use core::iter::repeat_n;
use core::mem;
use deltarule_kernels::Element;
use deltarule_kernels::activation::Activation;

use super::graph::Graph;
use super::invalid;
use super::scaling::{Step, batch_norm};
use crate::error::Result;
use crate::layers::{Categorical, Layer};

/// A piece of the chain.
pub(super) enum Piece<E> {
    /// σ(W x + b), W (outputs, inputs).
    Dense {
        inputs: usize,
        weights: Vec<E>,
        biases: Vec<E>,
        activation: Activation,
    },
    /// A normalization of so many features, if that is known, and what is in which arena.
    Norm {
        node: usize,
        layer: Layer,
        features: Option<usize>,
        parameters: Vec<E>,
        statistics: Vec<E>,
    },
    Dropout {
        rate: f64,
    },
    Activation(Activation),
    /// Vectors for categories, and the numbers in their tables.
    Embedding {
        inputs: usize,
        outputs: usize,
        columns: Vec<Categorical>,
        tables: Vec<E>,
    },
    Residual {
        node: usize,
        block: Vec<Piece<E>>,
    },
    /// The value becomes rows, of so many elements if that is known.
    Rows {
        columns: Option<usize>,
    },
    /// Sums, products and the like with constants.
    Scale {
        node: usize,
        steps: Vec<Step>,
    },
    /// Rows of one element become that element.
    Squeeze {
        node: usize,
    },
}

impl<E> Piece<E> {
    /// The width of its input, if it says so.
    pub(super) fn inputs(&self) -> Option<usize> {
        match self {
            Self::Dense { inputs, .. } | Self::Embedding { inputs, .. } => Some(*inputs),
            Self::Norm { features, .. } => *features,
            Self::Rows { columns } => *columns,
            Self::Residual { block, .. } => block.iter().find_map(Self::inputs),
            Self::Scale { steps, .. } => steps.iter().find_map(Step::columns),
            Self::Dropout { .. } | Self::Activation(_) | Self::Squeeze { .. } => None,
        }
    }

    /// Whether it does the same to each element, wherever that stands.
    pub(super) fn is_elementwise(&self) -> bool {
        match self {
            Self::Dropout { .. } | Self::Activation(_) => true,
            Self::Scale { steps, .. } => steps.iter().all(|step| step.columns().is_none()),
            _ => false,
        }
    }
}

/// The layers so far, and their numbers.
pub(super) struct Layers<E> {
    pub(super) layers: Vec<Layer>,
    pub(super) parameters: Vec<E>,
    pub(super) statistics: Vec<E>,
}

impl<E: Element> Layers<E> {
    /// Adds these pieces on rows of so many elements, and returns how many come out.
    pub(super) fn add(
        &mut self,
        graph: &Graph<'_>,
        pieces: Vec<Piece<E>>,
        inputs: usize,
    ) -> Result<usize> {
        let mut width = inputs;
        for piece in pieces {
            if let Some(needed) = piece.inputs().filter(|&needed| needed != width) {
                return Err(invalid(format!("a layer takes rows of {needed}, but gets {width}")));
            }
            match piece {
                Piece::Dense { inputs, weights, biases, activation } => {
                    width = weights.len() / inputs;
                    let bias = !biases.is_empty();
                    self.layers.push(Layer::Dense { outputs: width, activation, bias, init: None });
                    self.parameters.extend(weights);
                    self.parameters.extend(biases);
                }
                Piece::Norm { node, layer, features, parameters, statistics } => {
                    self.layers.push(layer);
                    self.parameters.extend(parameters);
                    self.statistics.extend(statistics);
                    if features.is_none() {
                        // γ and β that are not learned.
                        graph.spend(node, width.saturating_mul(2))?;
                        self.parameters.extend(repeat_n(E::ONE, width));
                        self.parameters.extend(repeat_n(E::ZERO, width));
                    }
                }
                Piece::Embedding { outputs, columns, tables, .. } => {
                    width = outputs;
                    self.layers.push(Layer::Embedding { columns, init: None });
                    self.parameters.extend(tables);
                }
                Piece::Dropout { rate } => self.layers.push(Layer::Dropout { rate }),
                Piece::Activation(activation) => match self.layers.last_mut() {
                    Some(Layer::Dense { activation: of_dense @ Activation::Identity, .. }) => {
                        *of_dense = activation;
                    }
                    _ => self.layers.push(Layer::Activation(activation)),
                },
                Piece::Residual { node, block } => {
                    let before = mem::take(&mut self.layers);
                    let outputs = self.add(graph, block, width)?;
                    let block = mem::replace(&mut self.layers, before);
                    if outputs != width || block.is_empty() {
                        let problem = format!("its block takes {width} to {outputs}");
                        return Err(graph.error(node, problem));
                    }
                    self.layers.push(Layer::Residual(block));
                }
                Piece::Scale { node, steps } => {
                    let (layer, parameters, statistics) =
                        batch_norm::<E>(graph, node, &steps, width)?;
                    self.layers.push(layer);
                    self.parameters.extend(parameters);
                    self.statistics.extend(statistics);
                }
                Piece::Squeeze { node } if width != 1 => {
                    let problem = format!("it squeezes rows of {width}, which have to be of 1");
                    return Err(graph.error(node, problem));
                }
                Piece::Rows { .. } | Piece::Squeeze { .. } => {}
            }
        }
        Ok(width)
    }
}
