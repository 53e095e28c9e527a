//! The networks of the benches, and what goes into them.

use deltarule::{Activation, Network};

/// ReLU layers of these widths, the first that of the inputs, and a last one without activation.
pub(crate) fn perceptron(widths: &[usize]) -> Network {
    let mut builder = Network::builder(widths[0]);
    for &width in &widths[1..widths.len() - 1] {
        builder = builder.dense(width, Activation::Relu);
    }
    let classes = widths[widths.len() - 1];
    builder.dense(classes, Activation::Identity).build().expect("a network")
}

/// Numbers in 0..1, in rows of this width.
pub(crate) fn rows(count: usize, width: usize) -> Vec<f32> {
    (0..count * width).map(|i| (i * 37 % 101) as f32 / 101.0).collect()
}
