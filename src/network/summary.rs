//! A table of a network's layers.

use core::fmt;
use deltarule_kernels::Element;

use super::Network;
use crate::layers::LayerRef;

/// What [`Network::summary`] returns. It displays as a table.
///
/// ```
/// use deltarule::{Activation, Network};
/// let network =
///     Network::builder(4).dense(8, Activation::Relu).dense(1, Activation::Identity).build()?;
/// let summary = network.summary();
/// assert_eq!((summary.inputs, summary.layers.len()), (4, 2));
/// assert_eq!(summary.parameters(), network.parameters().len());
/// assert_eq!(summary.flops(), 2 * (4 * 8 + 8) + 2 * (8 + 1)); // multiply-adds; b and σ
/// println!("{summary}");
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Summary {
    /// The elements of an input row.
    pub inputs: usize,
    /// The layers, in the order of [`Network::layers`].
    pub layers: Vec<LayerSummary>,
}

/// A layer's line in a [`Summary`].
///
/// ```
/// use deltarule::{Activation, Network};
/// let network = Network::builder(4).dense_without_bias(8, Activation::Relu).build()?;
/// let layer = &network.summary().layers[0];
/// assert_eq!(layer.name, "dense relu, no bias");
/// assert_eq!((layer.outputs, layer.parameters, layer.flops), (8, 32, 64 + 8));
/// # Ok::<(), deltarule::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LayerSummary {
    /// The kind of layer, and what tells it from others of its kind.
    pub name: String,
    /// The elements of an output row.
    pub outputs: usize,
    /// The parameters.
    pub parameters: usize,
    /// Floating-point operations on a row in a prediction: a multiply-add counts two, an
    /// activation's function one an element.
    pub flops: usize,
}

impl Summary {
    /// The parameters of all layers.
    pub fn parameters(&self) -> usize {
        self.layers.iter().map(|layer| layer.parameters).sum()
    }

    /// The operations on a row in all layers.
    pub fn flops(&self) -> usize {
        self.layers.iter().fold(0, |sum, layer| sum.saturating_add(layer.flops))
    }
}

impl LayerSummary {
    fn of<E: Element>(layer: &LayerRef<'_, E>) -> Self {
        let outputs = layer.outputs();
        let (name, flops) = match layer {
            LayerRef::Dense(layer) => {
                let bias = if layer.biases.is_empty() { ", no bias" } else { "" };
                let flops = 2 * layer.weights.len() + layer.biases.len() + outputs;
                (format!("dense {}{bias}", layer.activation.name()), flops)
            }
            // (x − μ) − 0, times 1/σ, times γ, plus β.
            LayerRef::BatchNorm(_) => ("batch norm".to_string(), 5 * outputs),
            // The same, after three sums, two of which are of x − μ and one of its square.
            LayerRef::LayerNorm(_) => ("layer norm".to_string(), 11 * outputs),
            LayerRef::Dropout { rate, .. } => (format!("dropout {rate}"), 0),
            LayerRef::Activation { activation, .. } => (activation.name().to_string(), outputs),
            LayerRef::Residual { first, .. } => (format!("+ input of {first}"), outputs),
            LayerRef::Embedding(layer) => {
                (format!("embedding of {} columns", layer.tables().len()), 0)
            }
        };
        Self { name, outputs, parameters: layer.parameters(), flops }
    }
}

impl<E: Element> Network<E> {
    /// The layers with their shapes, parameters and operations, to display as a table.
    ///
    /// ```
    /// use deltarule::{Activation, Network};
    /// let network = Network::builder(64)
    ///     .dense_without_bias(32, Activation::Identity)
    ///     .batch_norm()
    ///     .activation(Activation::Relu)
    ///     .dense(10, Activation::Identity)
    ///     .build()?;
    /// assert_eq!(
    ///     network.summary().to_string(),
    ///     "\
    /// layer                      outputs  parameters  flops a row
    /// input                           64
    /// 0 dense identity, no bias       32        2048         4128
    /// 1 batch norm                    32          64          160
    /// 2 relu                          32           0           32
    /// 3 dense identity                10         330          660
    /// total                                     2442         4980"
    /// );
    /// # Ok::<(), deltarule::Error>(())
    /// ```
    pub fn summary(&self) -> Summary {
        let layers = self.layers().map(|layer| LayerSummary::of(&layer)).collect();
        Summary { inputs: self.inputs, layers }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self
            .layers
            .iter()
            .enumerate()
            .map(|(index, layer)| format!("{index} {}", layer.name))
            .collect();
        let width = names.iter().map(String::len).max().unwrap_or(0).max("layer".len());
        writeln!(f, "{:width$}  outputs  parameters  flops a row", "layer")?;
        writeln!(f, "{:width$}  {:>7}", "input", self.inputs)?;
        for (name, layer) in names.iter().zip(&self.layers) {
            let LayerSummary { outputs, parameters, flops, .. } = layer;
            writeln!(f, "{name:width$}  {outputs:>7}  {parameters:>10}  {flops:>11}")?;
        }
        let (parameters, flops) = (self.parameters(), self.flops());
        write!(f, "{:width$}  {:7}  {parameters:>10}  {flops:>11}", "total", "")
    }
}
