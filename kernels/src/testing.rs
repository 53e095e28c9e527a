//! What the tests of several kernels share.

use crate::{Element, Isa};

/// `n` reproducible values, spread evenly over −4..4.
pub(crate) fn values<E: Element>(seed: u64, n: usize) -> Vec<E> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678_9abc_def1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        E::from_f64((state >> 11) as f64 / (1u64 << 53) as f64 * 8.0 - 4.0)
    };
    (0..n).map(|_| next()).collect()
}

/// What spoils arithmetic: NaN, +∞, −∞... in this order.
pub(crate) fn special_values<E: Element>() -> [E; 2] {
    [f64::NAN, f64::INFINITY].map(E::from_f64)
}

/// The same bits, or both NaN.
pub(crate) fn same_bits<E: Element>(a: E, b: E) -> bool {
    let (a, b) = (a.to_f64(), b.to_f64());
    a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan())
}

/// Runs a kernel on every ISA of this CPU, checks that those with FMA give the same bits, and
/// returns what the best one gave.
pub(crate) fn assert_isas_agree<E: Element>(kernel: impl Fn(Isa) -> Vec<E>) -> Vec<E> {
    let best = kernel(Isa::detect());
    for isa in Isa::available().filter(|isa| isa.has_fma()) {
        let other = kernel(isa);
        assert_eq!(best.len(), other.len());
        for (i, (&a, &b)) in best.iter().zip(&other).enumerate() {
            assert!(same_bits(a, b), "element {i}: {a} on {}, {b} on {isa}", Isa::detect());
        }
    }
    best
}
