//! The products that are measured, and their operands.

use deltarule_kernels::gemm::{FEW_COLUMNS, parallel_scratch_len};
use deltarule_kernels::{Element, Isa, MatMut, MatRef};

/// How A and B lie in memory: N as they are used, row-major; T transposed, so that the columns of
/// the operand are contiguous. C is row-major.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Layout {
    /// δ(l) = δ(l+1) W(l+1), and squares.
    NN,
    /// ∂L/∂W = δᵀ a.
    TN,
    /// Forward: z = a Wᵀ.
    NT,
}

impl Layout {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::NN => "NN",
            Self::TN => "TN",
            Self::NT => "NT",
        }
    }
}

/// C = A B with A (m, k), B (k, n) and C (m, n).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Product {
    pub(crate) m: usize,
    pub(crate) n: usize,
    pub(crate) k: usize,
    pub(crate) layout: Layout,
    /// Whether a layer of a network has this product, or else it is a square for its own sake.
    pub(crate) of_layer: bool,
}

/// The widths of a network for 28 × 28 images of ten kinds, input first.
pub(crate) const DIGITS: [usize; 4] = [784, 512, 512, 10];

impl Product {
    pub(crate) fn multiply_adds(&self) -> usize {
        self.m * self.n * self.k
    }

    /// Whether this is inner products of rows, as the forward pass of a layer of few units is.
    pub(crate) fn is_of_rows(&self) -> bool {
        self.layout == Layout::NT && self.n <= FEW_COLUMNS
    }
}

/// Squares of these sizes.
pub(crate) fn squares(sizes: &[usize]) -> impl Iterator<Item = Product> {
    sizes.iter().map(|&size| Product {
        m: size,
        n: size,
        k: size,
        layout: Layout::NN,
        of_layer: false,
    })
}

/// The three products of a training step of each layer. The first layer of a network has no layer
/// below that would want its δ.
pub(crate) fn training_step(batch: usize, widths: &[usize]) -> Vec<Product> {
    let mut products = Vec::new();
    for (layer, width) in widths.windows(2).enumerate() {
        let (inputs, outputs) = (width[0], width[1]);
        let product = |m, n, k, layout| Product { m, n, k, layout, of_layer: true };
        products.push(product(batch, outputs, inputs, Layout::NT));
        if layer > 0 {
            products.push(product(batch, inputs, outputs, Layout::NN));
        }
        products.push(product(outputs, inputs, batch, Layout::TN));
    }
    products
}

/// The three products of a layer of the same width as the one below it.
pub(crate) fn inner_layer(batch: usize, width: usize) -> impl Iterator<Item = Product> {
    training_step(batch, &[width; 3]).into_iter().skip(2)
}

/// A few of each kind, for a quick look.
pub(crate) fn few() -> Vec<Product> {
    let mut products = Vec::new();
    products.extend(squares(&[64, 256, 512]));
    for batch in [1, 32, 256] {
        products.extend(training_step(batch, &DIGITS));
    }
    products.extend(inner_layer(32, 64));
    products
}

/// Elements that begin at a cache line, as a network's arena has them.
struct Buffer<E> {
    data: Vec<E>,
    from: usize,
    length: usize,
}

impl<E: Element> Buffer<E> {
    /// Values in (−1, 1), no two near each other alike.
    fn filled(length: usize, seed: u64) -> Self {
        const LINE: usize = 64;
        let mut data = vec![E::ZERO; length + LINE / size_of::<E>()];
        let from = data.as_ptr().align_offset(LINE);
        let mut state = seed;
        for value in &mut data {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
            *value = E::from_f64((state >> 33) as f64 / (1u64 << 30) as f64 - 1.0);
        }
        Self { data, from, length }
    }

    fn slice(&self) -> &[E] {
        &self.data[self.from..][..self.length]
    }

    fn slice_mut(&mut self) -> &mut [E] {
        &mut self.data[self.from..][..self.length]
    }
}

/// A product's matrices.
pub(crate) struct Operands<E> {
    pub(crate) product: Product,
    a: Buffer<E>,
    b: Buffer<E>,
    c: Buffer<E>,
    scratch: Buffer<E>,
}

/// A product's matrices, borrowed all at once.
pub(crate) struct Parts<'a, E> {
    pub(crate) a: MatRef<'a, E>,
    pub(crate) b: MatRef<'a, E>,
    pub(crate) c: MatMut<'a, E>,
    pub(crate) scratch: &'a mut [E],
}

/// A product's slices, and the distances to the next row and the next column of A and B.
pub(crate) struct Slices<'a, E> {
    pub(crate) a: &'a [E],
    pub(crate) a_strides: (usize, usize),
    pub(crate) b: &'a [E],
    pub(crate) b_strides: (usize, usize),
    pub(crate) c: &'a mut [E],
}

impl<E: Element> Operands<E> {
    pub(crate) fn new(isa: Isa, product: Product, threads: usize) -> Self {
        let Product { m, n, k, .. } = product;
        let scratch =
            parallel_scratch_len::<E>(isa, (m, n, k), threads).expect("the products are small");
        Self {
            product,
            a: Buffer::filled(m * k, 1),
            b: Buffer::filled(k * n, 2),
            c: Buffer::filled(m * n, 3),
            scratch: Buffer::filled(scratch, 4),
        }
    }

    pub(crate) fn parts(&mut self) -> Parts<'_, E> {
        let Product { m, n, k, layout, .. } = self.product;
        let matrix = |slice, rows, columns, transposed| {
            let (rows, columns) = if transposed { (columns, rows) } else { (rows, columns) };
            let matrix = MatRef::new(slice, rows, columns).expect("the buffer has its size");
            if transposed { matrix.transposed() } else { matrix }
        };
        Parts {
            a: matrix(self.a.slice(), m, k, layout == Layout::TN),
            b: matrix(self.b.slice(), k, n, layout == Layout::NT),
            c: MatMut::new(self.c.slice_mut(), m, n).expect("the buffer has its size"),
            scratch: self.scratch.slice_mut(),
        }
    }

    pub(crate) fn slices(&mut self) -> Slices<'_, E> {
        let Product { m, n, k, layout, .. } = self.product;
        Slices {
            a: self.a.slice(),
            a_strides: if layout == Layout::TN { (1, m) } else { (k, 1) },
            b: self.b.slice(),
            b_strides: if layout == Layout::NT { (1, k) } else { (n, 1) },
            c: self.c.slice_mut(),
        }
    }
}
