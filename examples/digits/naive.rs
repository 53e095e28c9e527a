//! The same training in plain loops, with the kernels' naive references: what the speed-up is
//! measured against.

use deltarule::kernels::reference;
use deltarule::{Activation, LayerRef, Network};

struct Layer {
    inputs: usize,
    activation: Activation,
    weights: Vec<f32>,
    biases: Vec<f32>,
}

/// A multi-layer perceptron that learns by gradient descent on softmax cross-entropy.
pub(crate) struct Naive {
    layers: Vec<Layer>,
}

impl Naive {
    /// A copy of this network.
    pub(crate) fn of(network: &Network) -> Self {
        let copy = |layer: deltarule::DenseRef<'_, f32>| Layer {
            inputs: layer.inputs,
            activation: layer.activation,
            weights: layer.weights.to_vec(),
            biases: layer.biases.to_vec(),
        };
        Self { layers: network.layers().filter_map(LayerRef::as_dense).map(copy).collect() }
    }

    /// One step on a batch.
    pub(crate) fn step(&mut self, x: &[f32], labels: &[usize], learning_rate: f32) {
        let rows = labels.len();
        let outputs = self.forward(x, rows);
        let classes = self.layers[self.layers.len() - 1].biases.len();
        let mut losses = vec![0.0; rows];
        let mut delta = vec![0.0; rows * classes];
        let scale = 1.0 / rows as f32;
        let logits = &outputs[outputs.len() - 1];
        reference::softmax_cross_entropy(classes, logits, labels, scale, &mut losses, &mut delta);
        for index in (0..self.layers.len()).rev() {
            let layer = &mut self.layers[index];
            times_derivative(layer.activation, &outputs[index], &mut delta);
            let input = if index == 0 { x } else { &outputs[index - 1] };
            let below = layer.backward(&delta);
            layer.update(input, &delta, learning_rate);
            delta = below;
        }
    }

    /// The class of every row.
    pub(crate) fn classify(&self, x: &[f32]) -> Vec<usize> {
        let classes = self.layers[self.layers.len() - 1].biases.len();
        let outputs = self.forward(x, x.len() / self.layers[0].inputs);
        let largest = |row: &[f32]| {
            (1..classes).fold(0, |best, class| if row[class] > row[best] { class } else { best })
        };
        outputs[outputs.len() - 1].chunks(classes).map(largest).collect()
    }

    /// Every layer's outputs.
    fn forward(&self, x: &[f32], rows: usize) -> Vec<Vec<f32>> {
        let mut outputs: Vec<Vec<f32>> = Vec::new();
        for layer in &self.layers {
            let a = layer.forward(outputs.last().map_or(x, |a| a), rows);
            outputs.push(a);
        }
        outputs
    }
}

impl Layer {
    fn forward(&self, x: &[f32], rows: usize) -> Vec<f32> {
        let mut a = Vec::with_capacity(rows * self.biases.len());
        for i in 0..rows {
            for j in 0..self.biases.len() {
                let mut z = self.biases[j];
                for k in 0..self.inputs {
                    z += x[i * self.inputs + k] * self.weights[j * self.inputs + k];
                }
                a.push(reference::activation(self.activation, f64::from(z)) as f32);
            }
        }
        a
    }

    /// δ W.
    fn backward(&self, delta: &[f32]) -> Vec<f32> {
        let outputs = self.biases.len();
        let rows = delta.len() / outputs;
        let mut below = vec![0.0; rows * self.inputs];
        for i in 0..rows {
            for j in 0..outputs {
                for k in 0..self.inputs {
                    below[i * self.inputs + k] +=
                        delta[i * outputs + j] * self.weights[j * self.inputs + k];
                }
            }
        }
        below
    }

    fn update(&mut self, x: &[f32], delta: &[f32], learning_rate: f32) {
        let outputs = self.biases.len();
        let mut weights = vec![0.0; self.weights.len()];
        let mut biases = vec![0.0; outputs];
        for i in 0..delta.len() / outputs {
            for j in 0..outputs {
                biases[j] += delta[i * outputs + j];
                for k in 0..self.inputs {
                    weights[j * self.inputs + k] += delta[i * outputs + j] * x[i * self.inputs + k];
                }
            }
        }
        for (w, g) in self.weights.iter_mut().zip(weights) {
            *w -= learning_rate * g;
        }
        for (b, g) in self.biases.iter_mut().zip(biases) {
            *b -= learning_rate * g;
        }
    }
}

fn times_derivative(activation: Activation, outputs: &[f32], delta: &mut [f32]) {
    for (delta, &a) in delta.iter_mut().zip(outputs) {
        *delta *= reference::activation_derivative(activation, f64::from(a)) as f32;
    }
}
