//! What several tests share.
#![allow(dead_code, reason = "each test uses a part")]

use deltarule::{Activation, Categorical, Element, Isa, Layer, NetworkBuilder};

/// Numbers in −1..1 that look random, the same ever after.
pub(crate) fn sample<E: Element>(count: usize, seed: u64) -> Vec<E> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f64 / (1u64 << 23) as f64 - 1.0
    };
    (0..count).map(|_| E::from_f64(next())).collect()
}

/// Class labels below `classes` that look random.
pub(crate) fn labels(count: usize, classes: usize, seed: u64) -> Vec<usize> {
    sample::<f64>(count, seed)
        .iter()
        .map(|x| ((x + 1.0) / 2.0 * classes as f64) as usize % classes)
        .collect()
}

/// A network of these widths, the first that of the inputs; every layer but the last has this
/// activation.
pub(crate) fn network<E: Element>(widths: &[usize], activation: Activation) -> NetworkBuilder<E> {
    let mut builder = NetworkBuilder::new(widths[0]).seed(42);
    for &width in &widths[1..widths.len() - 1] {
        builder = builder.dense(width, activation);
    }
    builder.dense(widths[widths.len() - 1], Activation::Identity)
}

/// The instruction sets with fused multiply-adds; says which are skipped.
pub(crate) fn fused_isas() -> Vec<Isa> {
    for name in Isa::NAMES {
        match Isa::named(name) {
            Ok(isa) if isa.has_fma() => {}
            Ok(_) => println!("skipped {name}: it does not fuse multiply-adds"),
            Err(error) => println!("skipped {name}: {error}"),
        }
    }
    Isa::available().filter(|isa| isa.has_fma()).collect()
}

/// The bits, to compare where NaN may be among them and −0 is not 0.
pub(crate) fn bits<E: Element>(x: &[E]) -> Vec<u64> {
    x.iter().map(|x| x.to_f64().to_bits()).collect()
}

/// What goes into the networks of [`zoo`]: two columns of three and five categories, and numbers.
pub(crate) const ZOO_INPUTS: usize = 6;
/// What comes out of them.
pub(crate) const ZOO_OUTPUTS: usize = 4;

/// Rows for the networks of [`zoo`].
pub(crate) fn zoo_rows<E: Element>(rows: usize, seed: u64) -> Vec<E> {
    let mut x = sample(rows * ZOO_INPUTS, seed);
    let categories = [labels(rows, 3, seed + 1), labels(rows, 5, seed + 2)];
    for (row, x) in x.chunks_mut(ZOO_INPUTS).enumerate() {
        for (x, categories) in x.iter_mut().zip(&categories) {
            *x = E::from_f64(categories[row] as f64);
        }
    }
    x
}

/// Networks in which every kind of layer stands in every kind of place. A new kind is a new row.
pub(crate) fn zoo<E: Element>() -> Vec<(&'static str, NetworkBuilder<E>)> {
    use Activation::{Gelu, Identity, Relu, Silu, Tanh};
    let new = || NetworkBuilder::<E>::new(ZOO_INPUTS).seed(42);
    let plain_batch_norm = Layer::BatchNorm { momentum: 0.3, epsilon: 1e-3, affine: false };
    let plain_layer_norm = Layer::LayerNorm { epsilon: 1e-3, affine: false };
    let first = Categorical { column: 0, categories: 3, dimensions: 2 };
    let second = Categorical { column: 1, categories: 5, dimensions: 3 };
    vec![
        ("dense", new().dense(7, Tanh).dense(8, Gelu).dense(4, Identity)),
        (
            "without biases",
            new().dense_without_bias(7, Silu).dense(5, Tanh).dense_without_bias(4, Tanh),
        ),
        ("batch norm", new().dense(7, Identity).batch_norm().activation(Tanh).dense(4, Identity)),
        (
            "batch norm first and last",
            new().batch_norm().dense(7, Tanh).dense(4, Gelu).batch_norm(),
        ),
        (
            "batch norm twice",
            new()
                .dense(70, Silu)
                .batch_norm()
                .batch_norm()
                .dense(5, Tanh)
                .batch_norm()
                .dense(4, Tanh),
        ),
        (
            "layer norm",
            new().dense(7, Tanh).layer_norm().dense(5, Gelu).layer_norm().dense(4, Tanh),
        ),
        ("layer norm first and last", new().layer_norm().dense(4, Tanh).layer_norm()),
        (
            "norms without parameters",
            new().layer(plain_batch_norm).dense(7, Tanh).layer(plain_layer_norm).dense(4, Identity),
        ),
        (
            "dropout",
            new().dense(70, Tanh).dropout(0.4).dense(8, Gelu).dropout(0.2).dense(4, Identity),
        ),
        ("dropout first and last", new().dropout(0.3).dense(7, Tanh).dense(4, Silu).dropout(0.3)),
        (
            "activations",
            new()
                .activation(Gelu)
                .dense(7, Identity)
                .activation(Tanh)
                .activation(Silu)
                .dense(4, Tanh)
                .activation(Gelu),
        ),
        (
            "residual",
            new()
                .dense(8, Tanh)
                .residual(|block| block.dense(5, Gelu).dense(8, Tanh))
                .residual(|block| block.dense(8, Silu))
                .dense(4, Identity),
        ),
        (
            "residual in residual",
            new()
                .dense(8, Silu)
                .residual(|block| {
                    block
                        .residual(|block| {
                            block.residual(|block| block.layer_norm().dense(8, Silu)).dense(8, Tanh)
                        })
                        .batch_norm()
                        .dense(8, Identity)
                        .dropout(0.2)
                })
                .dense(4, Tanh),
        ),
        (
            "residual without products",
            new()
                .dense(7, Gelu)
                .residual(|block| block.batch_norm().activation(Tanh))
                .residual(|block| block.dropout(0.5))
                .residual(|block| block.layer_norm())
                .dense(4, Identity),
        ),
        (
            "residual first and last",
            new()
                .residual(|block| block.dense(9, Tanh).dense(6, Identity))
                .dense(4, Tanh)
                .residual(|block| block.batch_norm().dense(4, Silu)),
        ),
        ("embedding", new().embedding([second, first]).dense(7, Tanh).dense(4, Identity)),
        ("one embedding", new().embedding([first]).dense(4, Tanh)),
        ("embedding, then a norm", new().embedding([first, second]).batch_norm().dense(4, Relu)),
        (
            "everything",
            new()
                .embedding([first, second])
                .dense_without_bias(12, Identity)
                .batch_norm()
                .activation(Silu)
                .dropout(0.1)
                .residual(|block| {
                    block.layer_norm().dense(20, Gelu).dropout(0.2).dense(12, Identity)
                })
                .dense(4, Identity),
        ),
    ]
}

/// The FNV-1a hash of the bits.
pub(crate) fn fnv1a(x: &[f32]) -> u64 {
    x.iter().flat_map(|x| x.to_bits().to_le_bytes()).fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}
