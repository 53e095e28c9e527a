//! The table in a few lines.

use crate::common::products::Product;
use crate::gemm::Row;
use crate::race::median;

/// Multiply-adds from which a second thread should pay.
const PARALLEL_WORK: usize = 2_000_000;

/// Prints the extremes and medians of each group of rows that a limit is stated for.
pub(crate) fn summarize(rows: &[Row]) {
    let mut threads: Vec<usize> = rows.iter().map(|row| row.threads).collect();
    threads.dedup();
    for count in threads {
        println!("\nOn {count} thread{}:", if count == 1 { "" } else { "s" });
        let of = |keep: fn(&Product) -> bool| {
            rows.iter().filter(move |row| row.threads == count && keep(&row.product))
        };
        let share = |row: &Row| Some(row.peak_share);
        let fastest = |row: &Row| Some(row.fastest_peer()).filter(|ratio| ratio.is_finite());
        line("share of the peak, squares from 256", of(|p| !p.of_layer && p.m >= 256), share);
        line("share of the peak, m, n, k from 64", of(|p| p.m.min(p.n).min(p.k) >= 64), share);
        line("fastest peer over ours, all", of(|_| true), fastest);
        line("fastest peer over ours, layers", of(|p| p.of_layer), fastest);
        line("fastest peer over ours, n up to 16", of(|p| p.n <= 16), fastest);
        line("fastest peer over ours, m up to 64", of(|p| p.m <= 64), fastest);
        line("share of the speed of reading B, one row", of(|p| p.m == 1), |row| row.read_share);
        if count > 1 {
            line("one thread over these", of(|p| p.multiply_adds() >= PARALLEL_WORK), |row| {
                let one = rows.iter().find(|r| r.threads == 1 && r.product == row.product)?;
                Some(one.seconds / row.seconds)
            });
        }
    }
}

/// Columns up to which a step in the time is no cliff: no ISA has more lanes.
const FEW_COLUMNS: usize = 16;

/// Steps that are printed.
const STEPS: usize = 5;

/// Prints how near products with one column after the other come to the peak, and where the time
/// of a multiply-add grows most from one to the next.
pub(crate) fn print_steps(rows: &[Row]) {
    let name = |row: &Row| format!("{} columns {}", row.product.n, row.product.layout.name());
    for row in rows.iter().filter(|row| row.product.n.is_power_of_two()) {
        println!("  {:<16} {:.3} of the peak", name(row), row.peak_share);
    }
    let step = |(before, after): &(&Row, &Row)| before.peak_share / after.peak_share;
    let mut steps: Vec<(&Row, &Row)> = rows.iter().zip(&rows[1..]).collect();
    steps.retain(|(before, _)| before.product.n >= FEW_COLUMNS);
    steps.sort_by(|a, b| step(b).total_cmp(&step(a)));
    println!("  The largest steps in time a multiply-add after {FEW_COLUMNS} columns:");
    for pair in steps.iter().take(STEPS) {
        println!("  {:<16} {:.2} times that with one column less", name(pair.1), step(pair));
    }
}

/// Prints the least value, where it is, and the median, if there are any values.
fn line<'a>(what: &str, rows: impl Iterator<Item = &'a Row>, value: impl Fn(&Row) -> Option<f64>) {
    let values: Vec<(f64, Product)> =
        rows.filter_map(|row| Some((value(row)?, row.product))).collect();
    let Some((least, Product { m, n, k, layout, .. })) =
        values.iter().min_by(|a, b| a.0.total_cmp(&b.0)).copied()
    else {
        return;
    };
    let middle = median(values.iter().map(|(value, _)| *value).collect());
    println!(
        "  {what:<42} median {middle:.3}, least {least:.3} at ({m}, {n}, {k}) {}",
        layout.name()
    );
}
