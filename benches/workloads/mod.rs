//! What the criterion benches and the roofline example share: the kernels that go over arrays, and
//! who else computes the same.

mod functions;
mod losses;
mod norms;
mod optimizers;
mod peers;

use deltarule_kernels::{Element, Isa, limits};
pub(crate) use peers::Peers;
use std::hint::black_box;

/// One call of a contestant: on the arrays of [`Arrays`], as slices.
pub(crate) type Call<E> = Box<dyn FnMut(&mut [&mut [E]]) + Send>;

/// Who computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Ours,
    /// Nothing but the same reads and writes.
    Plain,
    /// The loop of `kernels::reference`: f64 arithmetic and the standard library's functions, an
    /// element at a time.
    Naive,
    /// The functions of the crate `wide`, compiled for the ISA that the whole program is.
    Wide,
    /// The crate rten-vecmath.
    Rten,
}

/// How many arrays of n elements a kernel only reads, reads and writes, and only writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Traffic {
    reads: usize,
    updates: usize,
    writes: usize,
}

impl Traffic {
    /// A sum.
    const READ: Self = Self { reads: 1, updates: 0, writes: 0 };
    /// From x to y.
    const MAP: Self = Self { reads: 1, updates: 0, writes: 1 };
    /// In place.
    const IN_PLACE: Self = Self { reads: 0, updates: 1, writes: 0 };
    /// What is stored, and δ.
    const BACKWARD: Self = Self { reads: 1, updates: 1, writes: 0 };

    /// Arrays.
    pub(crate) fn arrays(self) -> usize {
        self.reads + self.updates + self.writes
    }

    /// Elements that come and go for each of n.
    pub(crate) fn elements(self) -> usize {
        self.reads + 2 * self.updates + self.writes
    }
}

/// A kernel: what is measured.
pub(crate) struct Workload {
    /// The criterion group.
    pub(crate) group: &'static str,
    pub(crate) name: String,
    pub(crate) traffic: Traffic,
    /// Whether an element takes an exponential, a logarithm or the like.
    pub(crate) is_transcendental: bool,
    /// Elements come in rows of this many.
    pub(crate) columns: usize,
    kind: Kind,
}

enum Kind {
    Functions(functions::Kernel),
    Loss(losses::Kernel),
    Norm(norms::Kernel),
    Optimizer(Box<optimizers::Kernel>),
}

impl Workload {
    /// All of them.
    pub(crate) fn all() -> Vec<Self> {
        let mut all = functions::all();
        all.extend(losses::all());
        all.extend(norms::all());
        all.extend(optimizers::all());
        all
    }

    /// The arrays of `rows` rows, in the order of [`Traffic`].
    pub(crate) fn arrays<E: Element>(&self, rows: usize) -> Arrays<E> {
        let Traffic { reads, updates, writes } = self.traffic;
        let n = rows * self.columns;
        let filled = (0..reads).map(|i| match &self.kind {
            Kind::Functions(kernel) => values(n, kernel.needs_positive()),
            Kind::Loss(kernel) if i > 0 => kernel.targets(n, self.columns),
            _ => values(n, false),
        });
        // What multiplies an array finds zeros there, so that no product becomes subnormal.
        let zeros = (0..updates + writes).map(|_| vec![E::ZERO; n]);
        Arrays(filled.chain(zeros).enumerate().map(|(i, data)| Aligned::new(i, data)).collect())
    }

    /// A call over `rows` rows, if `who` has this kernel.
    pub(crate) fn call<E: Peers>(&self, who: Who, isa: Isa, rows: usize) -> Option<Call<E>> {
        let shape = (rows, self.columns);
        match (who, &self.kind) {
            (Who::Plain, _) => Some(self.plain::<E>(isa)),
            (Who::Wide | Who::Rten, Kind::Functions(kernel)) => {
                E::peer_function(*kernel, who, shape)
            }
            (Who::Rten, Kind::Norm(norms::Kernel::LayerForward)) => E::rten_layer_norm(shape),
            (Who::Wide | Who::Rten, _) => None,
            (_, Kind::Functions(kernel)) => Some(kernel.call(who, isa, shape)),
            (_, Kind::Loss(kernel)) => Some(kernel.call(who, isa, shape)),
            (_, Kind::Norm(kernel)) => Some(kernel.call(who, isa, shape)),
            (_, Kind::Optimizer(kernel)) => Some(kernel.call(who, isa, rows * self.columns)),
        }
    }

    fn plain<E: Element>(&self, isa: Isa) -> Call<E> {
        let Traffic { reads, updates, writes } = self.traffic;
        match (reads, updates, writes) {
            (reads, 0, 0) => Box::new(move |arrays| {
                for _ in 0..reads / arrays.len() {
                    for x in &*arrays {
                        black_box(limits::read(isa, x));
                    }
                }
            }),
            (0, 1, 0) => plain::<E, 0, 1, 0>(isa),
            (1, 0, 1) => plain::<E, 1, 0, 1>(isa),
            (1, 1, 0) => plain::<E, 1, 1, 0>(isa),
            (1, 2, 0) => plain::<E, 1, 2, 0>(isa),
            (1, 3, 0) => plain::<E, 1, 3, 0>(isa),
            (1, 4, 0) => plain::<E, 1, 4, 0>(isa),
            (2, 0, 1) => plain::<E, 2, 0, 1>(isa),
            (2, 0, 2) => plain::<E, 2, 0, 2>(isa),
            other => unreachable!("no workload has the traffic {other:?}"),
        }
    }
}

fn plain<E: Element, const R: usize, const U: usize, const W: usize>(isa: Isa) -> Call<E> {
    Box::new(move |arrays| {
        let (read, rest) = arrays.split_at_mut(R);
        let (update, write) = rest.split_at_mut(U);
        let read = slices::<E, R>(read).map(|slice| &*slice);
        let (update, write) = (slices::<E, U>(update), slices::<E, W>(write));
        limits::pass(isa, E::ZERO, read, update, write).expect("slices of one length");
    })
}

/// The arrays that all contestants take turns on, so that none has a better place in memory.
pub(crate) struct Arrays<E>(Vec<Aligned<E>>);

impl<E> Arrays<E> {
    /// Runs a call on the first `n` elements of each array.
    pub(crate) fn run(&mut self, n: usize, call: &mut Call<E>) {
        let mut slices: Vec<&mut [E]> =
            self.0.iter_mut().map(|array| &mut array.data[array.start..][..n]).collect();
        call(black_box(&mut slices));
    }
}

/// Elements from a cache line's begin on.
struct Aligned<E> {
    data: Vec<E>,
    start: usize,
}

impl<E: Element> Aligned<E> {
    /// Each array begins at another line of a page, as arrays of a program would.
    fn new(array: usize, elements: Vec<E>) -> Self {
        const LINE: usize = 64;
        let mut data: Vec<E> = Vec::with_capacity(elements.len() + (9 * array + 2) * LINE);
        let start = data.as_ptr().align_offset(LINE) + 9 * array * (LINE / size_of::<E>());
        data.resize(start, E::ZERO);
        data.extend(elements);
        Self { data, start }
    }
}

/// Values in (−4, 4), or in (0.01, 4.01) if they are to be positive.
fn values<E: Element>(n: usize, positive: bool) -> Vec<E> {
    const PERIOD: usize = 2048;
    let value = |i: usize| {
        let x = (i * 997 % PERIOD) as f64 / PERIOD as f64 * 8.0 - 4.0;
        E::from_f64(if positive { x.abs() + 0.01 } else { x })
    };
    (0..n).map(value).collect()
}

/// As many slices as there are, as an array.
fn slices<'a, E, const N: usize>(arrays: &'a mut [&mut [E]]) -> [&'a mut [E]; N] {
    let mut arrays = arrays.iter_mut().map(|slice| &mut **slice);
    std::array::from_fn(|_| arrays.next().expect("as many arrays as the traffic says"))
}
