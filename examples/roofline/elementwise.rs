//! Everything but matrix products: each kernel beside a plain one with the same traffic, its naive
//! loop, and the functions of other crates.

use crate::race::{Samples, race};
use crate::workloads::{Arrays, Call, Peers, Who, Workload};
use crate::{ElementName, Options, cpu_name};
use deltarule_kernels::Isa;
use rayon::prelude::*;
use serde_json::{Value, json};
use std::error::Error;

/// Bytes of all of a kernel's arrays together, in L1 and in L2.
const IN_L1: usize = 24 << 10;
const IN_L2: usize = 256 << 10;

/// Bytes of an array, and at least of all together, beyond the caches.
const ARRAY_BEYOND: usize = 64 << 20;
const ALL_BEYOND: usize = 128 << 20;

/// Elements that the naive loop goes over: its speed does not depend on where they are.
const NAIVE_ELEMENTS: usize = 1 << 14;

/// Turns of a race, and of a quick one.
const TURNS: usize = 15;
const FEW_TURNS: usize = 5;

/// Where the arrays are.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    L1,
    L2,
    Memory,
}

impl Place {
    const ALL: [Self; 3] = [Self::L1, Self::L2, Self::Memory];

    fn name(self) -> &'static str {
        match self {
            Self::L1 => "L1",
            Self::L2 => "L2",
            Self::Memory => "memory",
        }
    }

    /// Rows of each of a workload's arrays.
    fn rows<E>(self, workload: &Workload) -> usize {
        let arrays = workload.traffic.arrays();
        let bytes = match self {
            Self::L1 => IN_L1 / arrays,
            Self::L2 => IN_L2 / arrays,
            Self::Memory => ARRAY_BEYOND.max(ALL_BEYOND / arrays),
        };
        // A multiple of 128 where rows have one element.
        let elements = bytes / size_of::<E>() / 128 * 128;
        (elements / workload.columns).max(1)
    }
}

/// One workload, timed.
struct Row<'a> {
    workload: &'a Workload,
    place: Place,
    n: usize,
    threads: usize,
    element: &'static str,
    ns_per_element: f64,
    gbytes_per_s: f64,
    /// The plain kernel's time over ours.
    bandwidth_share: f64,
    /// The plain kernel's nanoseconds an element.
    plain: f64,
    /// The others' times over ours: the naive loop's, `wide`'s, rten-vecmath's.
    ratios: [Option<f64>; 3],
}

const OTHERS: [Who; 3] = [Who::Naive, Who::Wide, Who::Rten];

/// Times all rows and prints them.
pub(crate) fn run(isa: Isa, options: &Options) -> Result<(), Box<dyn Error>> {
    let mut workloads = Workload::all();
    if let Some(only) = &options.kernel {
        workloads.retain(|workload| workload.group == only || workload.name.starts_with(only));
        if workloads.is_empty() {
            return Err(format!("no kernel's group is `{only}`, and no name starts so").into());
        }
    }
    let mut rows = Vec::new();
    if !options.json {
        print_head(isa);
    }
    for element in &options.element {
        match element {
            ElementName::F32 => run_element::<f32>(isa, options, &workloads, &mut rows)?,
            ElementName::F64 => run_element::<f64>(isa, options, &workloads, &mut rows)?,
        }
    }
    if options.json {
        let objects: Vec<Value> = rows.iter().map(to_json).collect();
        println!("{}", serde_json::to_string_pretty(&objects)?);
    } else {
        summarize(&rows);
    }
    Ok(())
}

fn run_element<'a, E: Peers>(
    isa: Isa,
    options: &Options,
    workloads: &'a [Workload],
    rows: &mut Vec<Row<'a>>,
) -> Result<(), Box<dyn Error>> {
    for place in Place::ALL {
        // In a cache of its own a core does not know of the others.
        let counts: &[usize] = if place == Place::Memory { &options.threads } else { &[1] };
        for &threads in counts {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
            for workload in workloads {
                let row = pool.install(|| time::<E>(isa, workload, place, threads, options.quick));
                if !options.json {
                    print_row(&row);
                }
                rows.push(row);
            }
        }
    }
    Ok(())
}

/// What a thread works on.
struct Part<E> {
    arrays: Arrays<E>,
    /// Each contestant's call, and over how many elements.
    calls: Vec<(Call<E>, usize)>,
}

impl<E: Peers> Part<E> {
    fn run(&mut self, at: usize) {
        let (call, n) = &mut self.calls[at];
        self.arrays.run(*n, call);
    }
}

fn time<'a, E: Peers>(
    isa: Isa,
    workload: &'a Workload,
    place: Place,
    threads: usize,
    quick: bool,
) -> Row<'a> {
    let rows = place.rows::<E>(workload).div_ceil(threads);
    let part = rows * workload.columns;
    let n = part * threads;
    let rows_of = |who| {
        let few = NAIVE_ELEMENTS.div_ceil(workload.columns);
        if who == Who::Naive { rows.min(few) } else { rows }
    };
    let others = OTHERS.iter().filter(|&&who| place != Place::Memory || who == Who::Naive);
    let contestants: Vec<Who> = [Who::Ours, Who::Plain]
        .into_iter()
        .chain(others.copied())
        .filter(|&who| workload.call::<E>(who, isa, 1).is_some())
        .collect();
    // Each thread makes its arrays, so that they are near it.
    let mut parts: Vec<Part<E>> = (0..threads)
        .into_par_iter()
        .map(|_| {
            let calls = contestants.iter().filter_map(|&who| {
                let call = workload.call::<E>(who, isa, rows_of(who))?;
                Some((call, rows_of(who) * workload.columns))
            });
            Part { calls: calls.collect(), arrays: workload.arrays::<E>(rows) }
        })
        .collect();
    let turns = if quick { FEW_TURNS } else { TURNS };
    let samples: Samples = race(contestants.len(), turns, |at| match &mut parts[..] {
        [part] => part.run(at),
        parts => parts.par_iter_mut().for_each(|part| part.run(at)),
    });
    let ratio = |who: Who| {
        let at = contestants.iter().position(|&other| other == who)?;
        Some(samples.ratio(at, 0) * rows as f64 / rows_of(who) as f64)
    };
    let traffic = workload.traffic.elements() * size_of::<E>();
    let ns_per_element = samples.seconds(0) * 1e9 / n as f64;
    Row {
        workload,
        place,
        n,
        threads,
        element: if size_of::<E>() == 4 { "f32" } else { "f64" },
        ns_per_element,
        gbytes_per_s: traffic as f64 / ns_per_element,
        bandwidth_share: samples.ratio(1, 0),
        plain: samples.seconds(1) * 1e9 / n as f64,
        ratios: OTHERS.map(ratio),
    }
}

fn to_json(row: &Row<'_>) -> Value {
    json!({
        "kernel": row.workload.name,
        "group": row.workload.group,
        "element": row.element,
        "n": row.n,
        "place": row.place.name(),
        "threads": row.threads,
        "ns_per_element": row.ns_per_element,
        "gbytes_per_s": row.gbytes_per_s,
        "bandwidth_share": row.bandwidth_share,
        "ratio_naive": row.ratios[0],
        "ratio_wide": row.ratios[1],
        "ratio_rten": row.ratios[2],
    })
}

fn print_head(isa: Isa) {
    println!("\n{}, {isa}.", cpu_name());
    println!("share: of the speed of a plain kernel with the same reads and writes.");
    println!("The columns at the right are times over ours: above 1 we are faster.\n");
    println!(
        "{:<34} {:>7} {:>6} {:>9} {:>7} {:>8} {:>8} {:>6} {:>7} {:>6} {:>6}",
        "kernel",
        "element",
        "place",
        "n",
        "threads",
        "ns",
        "GB/s",
        "share",
        "naive",
        "wide",
        "rten"
    );
}

fn print_row(row: &Row<'_>) {
    let cell = |ratio: Option<f64>| ratio.map_or("-".to_owned(), |ratio| format!("{ratio:.2}"));
    println!(
        "{:<34} {:>7} {:>6} {:>9} {:>7} {:>8.4} {:>8.2} {:>6.3} {:>7} {:>6} {:>6}",
        row.workload.name,
        row.element,
        row.place.name(),
        row.n,
        row.threads,
        row.ns_per_element,
        row.gbytes_per_s,
        row.bandwidth_share,
        cell(row.ratios[0]),
        cell(row.ratios[1]),
        cell(row.ratios[2]),
    );
}

/// Prints who falls short of what the kernels are to reach.
fn summarize(rows: &[Row<'_>]) {
    let list = |what: &str, short: Vec<String>| {
        println!(
            "\n{what}: {}",
            if short.is_empty() { "none".to_owned() } else { short.join(", ") }
        );
    };
    let in_cache = |row: &&Row<'_>| row.place != Place::Memory;
    let described = |row: &Row<'_>, value: f64| {
        let place = row.place.name();
        format!("{} {} {place} {} ({value:.2})", row.workload.name, row.element, row.threads)
    };
    let short = rows.iter().filter(in_cache).filter(|row| row.workload.is_transcendental);
    let short = short.filter_map(|row| Some((row, row.ratios[0].filter(|&ratio| ratio < 5.0)?)));
    let short = short.map(|(row, ratio)| described(row, ratio)).collect();
    list("Transcendental, in cache, less than 5 times as fast as the naive loop", short);
    let short = rows.iter().filter(|row| row.ratios[1..].iter().flatten().any(|&r| r < 1.0));
    let slowest = |row: &Row<'_>| row.ratios[1..].iter().flatten().copied().fold(9.9, f64::min);
    let short = short.map(|row| described(row, slowest(row))).collect();
    list("Slower than another crate", short);
    let short = rows.iter().filter(|row| !in_cache(row) && row.bandwidth_share < 0.95);
    let short = short.map(|row| described(row, row.bandwidth_share)).collect();
    list("Beyond the caches below 0.95 of the plain kernel", short);
    let gains = rows.iter().filter(|row| row.threads > 1).filter_map(|row| {
        let one = rows.iter().find(|one| {
            one.threads == 1
                && one.place == row.place
                && one.element == row.element
                && one.workload.name == row.workload.name
        })?;
        Some((row, one.ns_per_element / row.ns_per_element, one.plain / row.plain))
    });
    let short = gains.filter(|(row, gain, _)| *gain < 0.9 * row.threads as f64);
    let short = short.map(|(row, gain, plain)| {
        format!("{} (the plain kernel {plain:.2})", described(row, gain))
    });
    list("Threads that gain less than 0.9 of their number", short.collect());
}
