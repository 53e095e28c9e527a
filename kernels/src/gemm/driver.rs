//! The loops around the micro-kernel.

use super::{Gemm, Start};
use crate::{Element, Isa, reference};

pub(super) fn scratch_len<E: Element>(_: Isa, _m: usize, _n: usize, _k: usize) -> usize {
    0
}

pub(super) fn run<E: Element>(isa: Isa, mut gemm: Gemm<'_, E>, _scratch: &mut [E]) {
    let Gemm { a, b, c, alpha, start, epilogue } = &mut gemm;
    for i in 0..c.rows() {
        for j in 0..c.columns() {
            let mut sum = match start {
                Start::Zero => E::ZERO,
                Start::Accumulate => *c.at(i, j),
                Start::Scaled(beta) => *beta * *c.at(i, j),
                Start::Row(row) => row[j],
            };
            for p in 0..a.columns() {
                sum = (*alpha * a.at(i, p)).mul_add(b.at(p, j), sum);
            }
            *c.at(i, j) = sum;
        }
    }
    if let Some(epilogue) = epilogue {
        epilogue.finish(isa, 0, 0, c.reborrow());
    }
    let _ = reference::sum::<E>;
}
