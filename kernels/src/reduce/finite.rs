//! Is everything finite?

use crate::dispatch::Kernel;
use crate::lanes::{Lanes, Mask, Simd};
use crate::{Element, Isa};

/// The index of the first element that is infinite or NaN.
///
/// ```
/// use deltarule_kernels::{Isa, reduce::first_non_finite};
/// let mut x = [1.0f32; 1000];
/// assert_eq!(first_non_finite(Isa::detect(), &x), None);
/// (x[500], x[900]) = (f32::NEG_INFINITY, f32::NAN);
/// assert_eq!(first_non_finite(Isa::detect(), &x), Some(500));
/// ```
pub fn first_non_finite<E: Element>(isa: Isa, x: &[E]) -> Option<usize> {
    E::first_non_finite(isa, x)
}

pub(super) fn find<E: Element>(isa: Isa, x: &[E]) -> Option<usize> {
    isa.run(FirstNonFinite { x })
}

/// Elements between two questions whether anything was found.
const CHUNK: usize = 256;

struct FirstNonFinite<'a, E> {
    x: &'a [E],
}

impl<E: Element> Kernel for FirstNonFinite<'_, E> {
    type Output = Option<usize>;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Option<usize> {
        let (chunks, rest) = self.x.as_chunks::<CHUNK>();
        let mut start = 0;
        for chunk in chunks {
            if !all_finite(simd, chunk) {
                break;
            }
            start += CHUNK;
        }
        if start == chunks.len() * CHUNK && all_finite(simd, rest) {
            return None;
        }
        self.x[start..].iter().position(|x| !x.is_finite()).map(|index| start + index)
    }
}

/// x · 0 is a zero unless x is infinite or NaN, and a sum keeps its NaN. Four sums, because one
/// would wait for itself.
#[inline(always)]
fn all_finite<S: Simd, E: Element>(simd: S, x: &[E]) -> bool {
    let len = E::Lanes::<S>::LEN;
    let zero = E::Lanes::splat_in(simd, E::ZERO);
    let mut sums = [zero; 4];
    let mut fours = x.chunks_exact(4 * len);
    for four in &mut fours {
        for (i, sum) in sums.iter_mut().enumerate() {
            *sum = E::Lanes::load(simd, &four[i * len..]).mul_add(zero, *sum);
        }
    }
    for some in fours.remainder().chunks(len) {
        sums[0] = E::Lanes::load_partial(simd, some).mul_add(zero, sums[0]);
    }
    !((sums[0] + sums[1]) + (sums[2] + sums[3])).is_nan().any()
}
