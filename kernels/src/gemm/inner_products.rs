//! Inner products of rows: a layer of few units.
//!
//! Where lanes run across the columns of C, as in [`Gemm`](super::Gemm), those that C does not have
//! are idle, one row of it is a single chain, and rows of W have to be transposed. Here lanes run
//! along the rows of x and W, which are read where they lie, and each element of C is 8 chains.

use super::access::{Access, All, Fewer};
use super::{Epilogue, check_size};
use crate::dispatch::Kernel;
use crate::error::check_length;
use crate::lanes::{Lanes, Simd, Transposer};
use crate::precompiled::Checked;
use crate::{Element, Isa, MatMut, MatRef, ShapeError};
use core::array::from_fn;
use core::ops::Range;

/// Chains of an element of C: [`Transposer`]s have no more lanes. Registers of 16 would have to sum
/// twice as many lanes in the end, which takes as long as some 60 steps of k.
const CHAINS: usize = 8;

/// The most registers that they take.
const MOST_REGISTERS: usize = 2;

/// The most columns of C with which [`InnerProducts`] take less time than a [`Gemm`](super::Gemm) for
/// any number of rows and from 8 steps of k on: 0.07 to 1 of it. With 16, batches take 1.0 to 1.4
/// times as long and single rows 0.3 to 0.5 (f32, AMD EPYC, Zen 4, AVX2 and AVX-512). Tiles of three
/// columns gain 5 % with 10 of them and lose 6 % with 4, single rows of 12 gain nothing for sure.
pub const FEW_COLUMNS: usize = 15;

/// Rows that the epilogue gets at once.
const FINISHED_AT_ONCE: usize = 128;

/// C ← b + X Wᵀ, each element an inner product of a row of X and one of W: X is (m, k), W is
/// (n, k), C is (m, n), and the elements of a row lie side by side.
///
/// Of an element of C, 8 chains of multiply-adds begin with 0, chain l over the steps l, l + 8, … of
/// k in ascending order, fused wherever the ISA fuses ([`Isa::has_fma`]). It is b +
/// (((s₀ + s₄) + (s₂ + s₆)) + ((s₁ + s₅) + (s₃ + s₇))). Its bits depend on neither the shape of the
/// product, nor the strides, nor the ISA; those of a [`Gemm`](super::Gemm) are others.
///
/// It pays with up to [`FEW_COLUMNS`] columns.
///
/// ```
/// use deltarule_kernels::{Isa, MatMut, MatRef, activation::Activation};
/// use deltarule_kernels::gemm::{Activate, InnerProducts};
/// // A dense layer a = σ(x Wᵀ + b) of two inputs and one output, for three rows.
/// let mut a = [0.0; 3];
/// let products = InnerProducts {
///     x: MatRef::new(&[1.0f32, 2.0, 0.0, 1.0, -5.0, 1.0], 3, 2)?,
///     w: MatRef::new(&[1.0, 10.0], 1, 2)?,
///     biases: Some(&[-7.0]),
///     c: MatMut::new(&mut a, 3, 1)?,
///     epilogue: Some(&mut Activate { activation: Activation::Relu }),
/// };
/// products.run(Isa::detect())?;
/// assert_eq!(a, [14.0, 3.0, 0.0]);
/// # Ok::<(), deltarule_kernels::ShapeError>(())
/// ```
pub struct InnerProducts<'a, E: Element> {
    /// X, (m, k).
    pub x: MatRef<'a, E>,
    /// W, (n, k).
    pub w: MatRef<'a, E>,
    /// b, an element for each column of C; 0 otherwise.
    pub biases: Option<&'a [E]>,
    /// C, (m, n).
    pub c: MatMut<'a, E>,
    /// What is done to finished rows of C, while they are in cache.
    pub epilogue: Option<&'a mut dyn Epilogue<E>>,
}

impl<E: Element> InnerProducts<'_, E> {
    /// Computes the products.
    ///
    /// ```
    /// use deltarule_kernels::{Isa, MatMut, MatRef, ShapeError, gemm::InnerProducts};
    /// let (x, w, mut c) = ([1.0f32; 6], [1.0; 6], [7.0; 4]);
    /// let (x, w) = (MatRef::new(&x, 2, 3)?, MatRef::new(&w, 3, 2)?); // w should be (2, 3)
    /// let run = |w, c: &mut [f32]| {
    ///     let c = MatMut::new(c, 2, 2)?;
    ///     InnerProducts { x, w, biases: None, c, epilogue: None }.run(Isa::detect())
    /// };
    /// let argument = "rows of w";
    /// let error = ShapeError::Length { argument, expected: 2, actual: 3 };
    /// assert_eq!(run(w, &mut c), Err(error));
    /// // Its transpose is, but the elements of its rows are apart.
    /// let error = ShapeError::Apart { argument: "w", column_stride: 2 };
    /// assert_eq!(run(w.transposed(), &mut c), Err(error));
    /// assert_eq!(c, [7.0; 4]);
    /// # Ok::<(), deltarule_kernels::ShapeError>(())
    /// ```
    ///
    /// # Errors
    /// [`ShapeError::Length`] if X, W, C, b or what the epilogue has do not fit together,
    /// [`ShapeError::Apart`] if the elements of a row do not lie side by side; nothing was written
    /// then.
    pub fn run(mut self, isa: Isa) -> Result<(), ShapeError> {
        let (m, n, k) = (self.c.rows(), self.c.columns(), self.x.columns());
        check_size("rows of x", m, self.x.rows())?;
        check_size("rows of w", n, self.w.rows())?;
        check_size("columns of w", k, self.w.columns())?;
        for (argument, shape) in
            [("x", self.x.shape()), ("w", self.w.shape()), ("c", self.c.shape())]
        {
            if !shape.has_whole_rows() {
                let column_stride = shape.column_stride;
                return Err(ShapeError::Apart { argument, column_stride });
            }
        }
        if let Some(biases) = self.biases {
            check_length("biases", biases, n)?;
        }
        if let Some(epilogue) = &self.epilogue {
            epilogue.check(m, n)?;
        }
        if m > 0 && n > 0 {
            E::inner_products(isa, Checked(&mut self));
        }
        Ok(())
    }
}

/// Lanes of E in a [`Transposer`]'s register, on every ISA.
const fn lanes<E>() -> usize {
    32 / size_of::<E>()
}

/// Computes products whose shapes have been checked, and that are not empty.
pub(super) fn run<E: Element>(isa: Isa, Checked(products): Checked<&mut InnerProducts<'_, E>>) {
    let (m, n) = (products.c.rows(), products.c.columns());
    let len = lanes::<E>();
    // Loops that count by hand: of a few short rows, iterators take a tenth of the time.
    let mut first = 0;
    while first < m {
        let last = m.min(first + FINISHED_AT_ONCE);
        // The last rows one by one, if that takes fewer tiles.
        let left = (last - first) % (len / 2);
        let singles = if left * n.div_ceil(len) < n.div_ceil(2) { left } else { 0 };
        if first < last - singles {
            isa.run(Rows { products, rows: first..last - singles });
        }
        if singles > 0 {
            isa.run(SingleRows(Rows { products, rows: last - singles..last }));
        }
        if let Some(epilogue) = &mut products.epilogue {
            let strip = products.c.block((first, 0), (last - first, n));
            epilogue.finish(isa, first, 0, strip);
        }
        first = last;
    }
}

/// Some rows of C by tiles of as many elements as a register has lanes, the most that are summed at
/// once: of two columns, which load the least for what they multiply, and of the last one.
struct Rows<'p, 'a, E: Element> {
    products: &'p mut InnerProducts<'a, E>,
    rows: Range<usize>,
}

/// Some rows of C, each by tiles of a row: a kernel of its own, since a row alone is over before the
/// other one would have been set up.
struct SingleRows<'p, 'a, E: Element>(Rows<'p, 'a, E>);

impl<E: Element> Kernel for Rows<'_, '_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { products, rows: Range { start: first, end: last } } = self;
        let n = products.c.columns();
        let all = Tile::all(products);
        let simd = E::Lanes::<S>::transposer(simd);
        let sums = SumsOfLanes::<Transposer<E, S>>::new(simd);
        let (len, half, pairs) = (lanes::<E>(), lanes::<E>() / 2, n & !1);
        let (halves, whole) = (last - (last - first) % half, last - (last - first) % len);
        // SAFETY: the views were checked on construction and the shapes by `InnerProducts::run`: X
        // has these rows, each column of C is a row of W, and C has both.
        unsafe {
            for i in (first..halves).step_by(half) {
                for j in (0..pairs).step_by(2) {
                    all.at(i, j).multiply(simd, &sums, (half, 2), (half, 2));
                }
            }
            if pairs < n {
                for i in (first..whole).step_by(len) {
                    all.at(i, pairs).multiply(simd, &sums, (len, 1), (len, 1));
                }
            }
            // What is left: of the last column fewer rows than a tile has, and the last rows.
            for (i, rows, from) in [(whole, halves - whole, pairs), (halves, last - halves, 0)] {
                if rows > 0 {
                    for j in (from..n).step_by(2) {
                        all.at(i, j).multiply(simd, &sums, (half, 2), (rows, n - j));
                    }
                }
            }
        }
    }
}

impl<E: Element> Kernel for SingleRows<'_, '_, E> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self(Rows { products, rows }) = self;
        let n = products.c.columns();
        let all = Tile::all(products);
        let simd = E::Lanes::<S>::transposer(simd);
        let sums = SumsOfLanes::<Transposer<E, S>>::new(simd);
        for i in rows {
            let mut j = 0;
            while j < n {
                // SAFETY: as above.
                unsafe { all.at(i, j).multiply(simd, &sums, (1, lanes::<E>()), (1, n - j)) }
                j += lanes::<E>();
            }
        }
    }
}

/// A tile of C.
#[derive(Clone, Copy)]
struct Tile<E> {
    k: usize,
    /// The first row's first element, and the distance to the next row.
    x: (*const E, usize),
    w: (*const E, usize),
    biases: Option<*const E>,
    c: (*mut E, usize),
}

impl<E: Element> Tile<E> {
    /// All of C.
    #[inline(always)]
    fn all(products: &mut InnerProducts<'_, E>) -> Self {
        let InnerProducts { x, w, biases, c, .. } = products;
        let c_stride = c.shape().row_stride;
        Self {
            k: x.columns(),
            x: (x.data().as_ptr(), x.shape().row_stride),
            w: (w.data().as_ptr(), w.shape().row_stride),
            biases: biases.map(<[E]>::as_ptr),
            c: (c.data().as_mut_ptr(), c_stride),
        }
    }

    /// The tile whose first element is this one's (i, j).
    #[inline(always)]
    fn at(self, i: usize, j: usize) -> Self {
        let Self { k, x, w, biases, c } = self;
        Self {
            k,
            x: (x.0.wrapping_add(i * x.1), x.1),
            w: (w.0.wrapping_add(j * w.1), w.1),
            biases: biases.map(|biases| biases.wrapping_add(j)),
            c: (c.0.wrapping_add(i * c.1 + j), c.1),
        }
    }

    /// Computes a tile of a shape that is known when this is compiled: as many rows and columns as
    /// are there. In place of the others the last one is computed again.
    ///
    /// # Safety
    /// X has so many rows, W as many as there are columns, `k` elements each; C is valid for writes
    /// of both. None is 0.
    #[inline(always)]
    unsafe fn multiply<V: Lanes<Element = E>>(
        self,
        simd: V::Simd,
        sums: &SumsOfLanes<V>,
        shape: (usize, usize),
        there: (usize, usize),
    ) {
        let Self { k, x, w, biases, c } = self;
        let (x, w) = (rows_from(x, there.0), rows_from(w, there.1));
        let mut chains = [[sums.zero; CHAINS]; MOST_REGISTERS];
        let mut p = 0;
        // SAFETY: as the caller promises; all that is loaded is of steps below k.
        unsafe {
            while k - p >= CHAINS {
                let from = [p, p + V::LEN];
                add(simd, shape, &mut chains, (&x, &w), from, [All; MOST_REGISTERS]);
                p += CHAINS;
            }
            if p < k {
                // All lanes, even without a step, since adding 0 · 0 makes +0 of −0.
                let next = k.min(p + V::LEN);
                let steps = [Fewer(next - p), Fewer(k - next)];
                add(simd, shape, &mut chains, (&x, &w), [p, next], steps);
            }
        }
        let results = sums.of(chains);
        let (rows, columns) = shape;
        if rows == 1 {
            // SAFETY: C has this row, and C and the biases these columns.
            unsafe {
                let there = there.1.min(columns);
                let biases = match biases {
                    Some(biases) => V::load_ptr_partial(simd, biases, there),
                    None => sums.zero,
                };
                (biases + results).store_ptr_partial(c.0, there);
            }
            return;
        }
        let mut elements = [E::ZERO; CHAINS];
        results.store(&mut elements);
        for r in 0..rows {
            for g in 0..columns {
                if r < there.0 && g < there.1 {
                    // SAFETY: C has this row and column, and the biases the column.
                    unsafe {
                        let bias = biases.map_or(E::ZERO, |biases| *biases.add(g));
                        *c.0.add(r * c.1 + g) = bias + elements[r * columns + g];
                    }
                }
            }
        }
    }
}

/// Where 8 rows begin, of which no more are there: the last one stands for the others.
#[inline(always)]
fn rows_from<E>((mut row, stride): (*const E, usize), there: usize) -> [*const E; CHAINS] {
    from_fn(|at| {
        let this = row;
        if at + 1 < there {
            row = row.wrapping_add(stride);
        }
        this
    })
}

/// Adds steps of k, from these on, to the chains of a tile: those of element (r, g) are in register
/// r · columns + g, of as many lists as they take.
///
/// # Safety
/// What is accessed is there in the rows.
#[inline(always)]
unsafe fn add<V: Lanes, A: Access>(
    simd: V::Simd,
    (rows, columns): (usize, usize),
    chains: &mut [[V; CHAINS]; MOST_REGISTERS],
    (x, w): (&[*const V::Element; CHAINS], &[*const V::Element; CHAINS]),
    from: [usize; MOST_REGISTERS],
    access: [A; MOST_REGISTERS],
) {
    let mut list = 0;
    while list < CHAINS / V::LEN {
        let (at, access) = (from[list], access[list]);
        // SAFETY: as the caller promises.
        unsafe {
            let mut lanes = [V::splat_in(simd, V::Element::ZERO); CHAINS];
            let mut g = 0;
            while g < columns {
                lanes[g] = access.load(simd, w[g].wrapping_add(at));
                g += 1;
            }
            let mut r = 0;
            while r < rows {
                let x: V = access.load(simd, x[r].wrapping_add(at));
                let mut g = 0;
                while g < columns {
                    let chain = &mut chains[list][r * columns + g];
                    *chain = x.mul_add(lanes[g], *chain);
                    g += 1;
                }
                r += 1;
            }
        }
        list += 1;
    }
}

/// How the lanes of registers are summed: the lanes whose index has a bit, for each bit.
struct SumsOfLanes<V: Lanes> {
    zero: V,
    masks: [V::Mask; 3],
}

impl<V: Lanes> SumsOfLanes<V> {
    #[inline(always)]
    fn new(simd: V::Simd) -> Self {
        const { assert!(V::LEN == lanes::<V::Element>() && CHAINS <= V::LEN * MOST_REGISTERS) }
        let (zero, one) = (V::Element::ZERO, V::Element::ONE);
        let mask = |bit: usize| {
            let with: [_; CHAINS] = from_fn(|lane| if lane >> bit & 1 == 1 { one } else { zero });
            V::load(simd, &with).eq(V::splat_in(simd, one))
        };
        Self { zero: V::splat_in(simd, zero), masks: [mask(0), mask(1), mask(2)] }
    }

    /// The sum of the chains of element i in lane i.
    #[inline(always)]
    fn of(&self, lists: [[V; CHAINS]; MOST_REGISTERS]) -> V {
        let [mut sums, high] = lists;
        let mut i = 0;
        while i < 4 {
            // What is 4 apart is in one register or in two.
            sums[i] =
                if V::LEN > 4 { self.pair(2, sums[i], sums[i + 4]) } else { sums[i] + high[i] };
            i += 1;
        }
        let even = self.pair(1, sums[0], sums[2]);
        let odd = self.pair(1, sums[1], sums[3]);
        self.pair(0, even, odd)
    }

    /// The sums of lanes whose indices differ in this bit: of `a` where it is 0, of `b` where it is
    /// 1.
    #[inline(always)]
    fn pair(&self, bit: usize, a: V, b: V) -> V {
        let mask = self.masks[bit];
        let others = a.select(mask, b);
        let swapped = match bit {
            2 if V::LEN > 4 => others.swap_lanes::<4>(),
            1 => others.swap_lanes::<2>(),
            _ => others.swap_lanes::<1>(),
        };
        b.select(mask, a) + swapped
    }
}
