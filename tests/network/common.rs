//! What several tests share.
#![allow(dead_code, reason = "each test uses a part")]

use deltarule::{Activation, Element, Isa, NetworkBuilder};

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
