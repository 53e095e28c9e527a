//! Matrix products: ours beside the peak, the naive loops, and the peers.

use crate::common::contestants::{Contestant, Multiply, PEERS};
use crate::common::products::{
    self, DIGITS, Layout, Operands, Product, inner_layer, squares, training_step,
};
use crate::race::{Samples, race};
use crate::summary::{print_steps, summarize};
use crate::{ElementName, Options, cpu_name};
use deltarule_kernels::{Isa, limits};
use serde_json::{Value, json};
use std::error::Error;
use std::hint::black_box;

/// Steps of a burst of multiply-adds: about a millisecond, so that starting it on two threads is
/// nothing.
const BURST: usize = 300_000;

/// Turns of a race, and of a quick one or one with slow products.
const TURNS: usize = 25;
const FEW_TURNS: usize = 7;

/// Multiply-adds of a product whose races have few turns.
const SLOW: usize = 1 << 30;

/// The most columns of a sweep.
const SWEPT: usize = 512;

/// One product, timed.
pub(crate) struct Row {
    pub(crate) product: Product,
    pub(crate) threads: usize,
    /// Seconds a call.
    pub(crate) seconds: f64,
    /// Of the peak of as many threads.
    pub(crate) peak_share: f64,
    /// The peers' times over ours, in the order of [`PEERS`].
    pub(crate) ratios: [Option<f64>; PEERS.len()],
    /// The naive loops' time over ours.
    naive: Option<f64>,
    /// The system's BLAS's time over ours, and its share of the peak.
    blas: Option<Blas>,
    /// For one row of A, where all is reading B: the time of [`limits::read`] on B over ours.
    pub(crate) read_share: Option<f64>,
}

#[derive(Clone, Copy)]
struct Blas {
    seconds: f64,
    ratio: f64,
    peak_share: f64,
}

impl Row {
    fn gflops(&self, seconds: f64) -> f64 {
        2.0 * self.product.multiply_adds() as f64 / seconds / 1e9
    }

    /// The fastest peer's time over ours.
    pub(crate) fn fastest_peer(&self) -> f64 {
        self.ratios.iter().flatten().copied().fold(f64::INFINITY, f64::min)
    }
}

/// All that is measured.
fn all_products() -> Vec<Product> {
    let sizes = [32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048];
    let mut products: Vec<Product> = squares(&sizes).collect();
    for batch in [1, 8, 32, 64, 256, 1024] {
        products.extend(training_step(batch, &DIGITS));
    }
    for (batch, width) in [(32, 64), (4096, 64), (256, 1024)] {
        products.extend(inner_layer(batch, width));
    }
    products
}

/// Times all rows and prints them.
pub(crate) fn run(isa: Isa, options: &Options) -> Result<(), Box<dyn Error>> {
    let mut objects = Vec::new();
    for element in &options.element {
        match element {
            ElementName::F32 => run_element::<f32>(isa, options, &mut objects)?,
            ElementName::F64 => run_element::<f64>(isa, options, &mut objects)?,
        }
    }
    if options.json {
        println!("{}", serde_json::to_string_pretty(&objects)?);
    }
    Ok(())
}

fn run_element<E: Multiply>(
    isa: Isa,
    options: &Options,
    objects: &mut Vec<Value>,
) -> Result<(), Box<dyn Error>> {
    if options.sweep {
        return sweep::<E>(isa, options, objects);
    }
    let products = if options.quick { products::few() } else { all_products() };
    let mut rows = Vec::new();
    for &threads in &options.threads {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
        if !options.json {
            let seconds = pool.install(|| race(1, FEW_TURNS, |_| burst::<E>(isa))).seconds(0);
            print_head::<E>(isa, threads, pool.install(|| burst_flops::<E>(isa)) / seconds / 1e9);
        }
        for &product in &products {
            let few = options.quick || product.multiply_adds() >= SLOW;
            let turns = if few { FEW_TURNS } else { TURNS };
            let entries = entries::<E>(product, threads);
            let row = pool.install(|| time::<E>(isa, product, threads, &entries, turns));
            if options.json {
                objects.extend(to_json::<E>(&row));
            } else {
                print_row(&row);
            }
            rows.push(row);
        }
    }
    if !options.json {
        summarize(&rows);
    }
    Ok(())
}

/// Ours alone, column by column: whether a size is a cliff.
fn sweep<E: Multiply>(
    isa: Isa,
    options: &Options,
    objects: &mut Vec<Value>,
) -> Result<(), Box<dyn Error>> {
    let entries = [Entry::Burst, Entry::Product(Contestant::Ours)];
    let turns = if options.quick { FEW_TURNS } else { TURNS };
    for &threads in &options.threads {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
        for layout in [Layout::NT, Layout::NN] {
            let rows = (1..=SWEPT).map(|n| {
                let product = Product { m: 64, n, k: 512, layout, of_layer: false };
                pool.install(|| time::<E>(isa, product, threads, &entries, turns))
            });
            let rows: Vec<Row> = rows.collect();
            if options.json {
                objects.extend(rows.iter().flat_map(to_json::<E>));
            } else {
                println!("\n{}, {isa}, {}, threads: {threads}", cpu_name(), E::NAME);
                print_steps(&rows);
            }
        }
    }
    Ok(())
}

/// The peak's work on every thread of the current pool.
fn burst<E: Multiply>(isa: Isa) {
    rayon::broadcast(|_| black_box(limits::multiply_adds::<E>(isa, BURST)));
}

fn burst_flops<E: Multiply>(isa: Isa) -> f64 {
    rayon::current_num_threads() as f64 * limits::multiply_adds::<E>(isa, 1) as f64 * BURST as f64
}

/// What takes turns in a race.
#[derive(Clone, Copy, PartialEq)]
enum Entry {
    Burst,
    ReadB,
    Product(Contestant),
}

fn entries<E: Multiply>(product: Product, threads: usize) -> Vec<Entry> {
    let mut contestants = vec![Contestant::Ours];
    contestants.extend(PEERS);
    contestants.push(Contestant::Naive);
    #[cfg(feature = "blas")]
    contestants.push(Contestant::Cblas);
    contestants.retain(|who| who.takes::<E>(product.multiply_adds(), threads));
    let mut entries = vec![Entry::Burst];
    if product.m == 1 && threads == 1 {
        entries.push(Entry::ReadB);
    }
    entries.extend(contestants.into_iter().map(Entry::Product));
    entries
}

fn time<E: Multiply>(
    isa: Isa,
    product: Product,
    threads: usize,
    entries: &[Entry],
    turns: usize,
) -> Row {
    let mut operands = Operands::<E>::new(isa, product, threads);
    let samples = race(entries.len(), turns, |at| match entries[at] {
        Entry::Burst => burst::<E>(isa),
        Entry::ReadB => {
            black_box(limits::read(isa, operands.slices().b));
        }
        Entry::Product(contestant) => contestant.run(isa, threads, &mut operands),
    });
    let place = |entry| entries.iter().position(|&other| other == entry);
    let ours = place(Entry::Product(Contestant::Ours)).expect("ours always runs");
    let burst = place(Entry::Burst).expect("the burst always runs");
    let ratio = |entry| place(entry).map(|at| samples.ratio(at, ours));
    let work = 2.0 * product.multiply_adds() as f64 / burst_flops::<E>(isa);
    let peak_share = |samples: &Samples, at| work * samples.ratio(burst, at);
    Row {
        product,
        threads,
        seconds: samples.seconds(ours),
        peak_share: peak_share(&samples, ours),
        ratios: PEERS.map(|peer| ratio(Entry::Product(peer))),
        naive: ratio(Entry::Product(Contestant::Naive)),
        #[cfg(feature = "blas")]
        blas: place(Entry::Product(Contestant::Cblas)).map(|at| Blas {
            seconds: samples.seconds(at),
            ratio: samples.ratio(at, ours),
            peak_share: peak_share(&samples, at),
        }),
        #[cfg(not(feature = "blas"))]
        blas: None,
        read_share: ratio(Entry::ReadB),
    }
}

/// Our row, and with the feature `blas` one of the system's BLAS, which has no ratios.
fn to_json<E: Multiply>(row: &Row) -> Vec<Value> {
    let object = |kernel, seconds: f64, peak_share: f64, ratios: [Option<f64>; PEERS.len()]| {
        json!({
            "kernel": kernel,
            "m": row.product.m,
            "n": row.product.n,
            "k": row.product.k,
            "layout": row.product.layout.name(),
            "element": E::NAME,
            "threads": row.threads,
            "us": seconds * 1e6,
            "gflops": row.gflops(seconds),
            "peak_share": peak_share,
            "ratio_matrixmultiply": ratios[0],
            "ratio_gemm": ratios[1],
            "ratio_rten": ratios[2],
        })
    };
    let mut objects = vec![object("gemm", row.seconds, row.peak_share, row.ratios)];
    if let Some(blas) = row.blas {
        objects.push(object("cblas", blas.seconds, blas.peak_share, [None; PEERS.len()]));
    }
    objects
}

fn print_head<E: Multiply>(isa: Isa, threads: usize, peak: f64) {
    println!(
        "\n{}, {isa}, {}, {threads} thread{}: the peak is {peak:.1} GFLOP/s.",
        cpu_name(),
        E::NAME,
        if threads == 1 { "" } else { "s" },
    );
    println!("The columns at the right are times over ours: above 1 we are faster.\n");
    print!(
        "{:>5} {:>5} {:>5} {:>6} {:>11} {:>8} {:>6}",
        "m", "n", "k", "layout", "us", "GFLOP/s", "share"
    );
    for peer in PEERS {
        print!(" {:>14}", peer.name());
    }
    println!(" {:>7}", Contestant::Naive.name());
}

fn print_row(row: &Row) {
    let Product { m, n, k, .. } = row.product;
    print!(
        "{m:>5} {n:>5} {k:>5} {:>6} {:>11.2} {:>8.1} {:>6.3}",
        row.product.layout.name(),
        row.seconds * 1e6,
        row.gflops(row.seconds),
        row.peak_share
    );
    let cell = |ratio: Option<f64>| ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
    for ratio in row.ratios {
        print!(" {:>14}", cell(ratio));
    }
    print!(" {:>7}", cell(row.naive));
    if let Some(share) = row.read_share {
        print!("  {share:.2} of the speed of reading B");
    }
    if let Some(blas) = row.blas {
        print!("  cblas {:.2}, at {:.3} of the peak", blas.ratio, blas.peak_share);
    }
    println!();
}
