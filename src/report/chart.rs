//! Charts as SVG.
//!
//! They have the colours of roles, which the page's style sheet replaces by those of its theme: a
//! role is a colour that nothing else has.

use core::fmt::Display;
use core::ops::Range;
use deltarule_kernels::Element;
use plotters::coord::Shift;
use plotters::coord::ranged1d::{AsRangedCoord, ValueFormatter};
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use super::ReportError;

/// Twice the size at which they are usually seen, for plotters has no half pixels.
const SIZE: (u32, u32) = (900, 580);
const WIDE: u32 = 1800;
const FONT: (&str, u32) = ("sans-serif", 32);

/// Text and axes.
const TEXT: RGBColor = RGBColor(1, 1, 1);
/// Lines behind the data.
const GRID: RGBColor = RGBColor(2, 2, 2);
/// The first line's; the others follow.
const SERIES: RGBColor = RGBColor(3, 0, 0);
/// Series with colours of their own.
pub(super) const COLOURS: usize = 4;

/// A surface to draw on.
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn draw_error(error: impl Display) -> ReportError {
    ReportError::Draw(error.to_string())
}

/// The SVG that `body` draws.
fn svg(
    size: (u32, u32),
    body: impl FnOnce(&Area<'_>) -> Result<(), ReportError>,
) -> Result<String, ReportError> {
    let mut text = String::new();
    let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
    body(&area)?;
    area.present().map_err(draw_error)?;
    drop(area);
    Ok(text)
}

/// A chart with its margins, and room for numbers at the left.
fn framed<'a, 'b>(area: &'a Area<'b>) -> ChartBuilder<'a, 'b, SVGBackend<'b>> {
    let mut chart = ChartBuilder::on(area);
    chart.margin(12).margin_right(32).y_label_area_size(120);
    chart
}

/// A curve over the epochs, the first being 1.
pub(super) struct Series {
    pub(super) name: String,
    pub(super) values: Vec<f64>,
}

/// The largest number that is drawn, beyond which plotters finds no end of labels. On a logarithmic
/// scale it is the largest ratio, too, and its inverse the smallest number.
const LARGEST: f64 = 1e300;

/// A number as it is drawn; none stays none.
fn within(value: f64, low: f64, high: f64) -> f64 {
    if value.is_finite() { value.clamp(low, high) } else { value }
}

/// Curves over the epochs. `marked` is an epoch with a line of its own; with `logarithms` the scale
/// is logarithmic if the values are of several magnitudes.
pub(super) fn lines(
    series: &[Series],
    marked: Option<f64>,
    logarithms: bool,
) -> Result<String, ReportError> {
    let finite = || series.iter().flat_map(|s| &s.values).copied().filter(|v| v.is_finite());
    let smallest = within(finite().fold(f64::INFINITY, f64::min), -LARGEST, LARGEST);
    let largest = within(finite().fold(f64::NEG_INFINITY, f64::max), -LARGEST, LARGEST);
    let epochs = series.iter().map(|s| s.values.len()).max().unwrap_or(0) as f64;
    let x = 1.0..epochs.max(2.0);
    let least = smallest.max(LARGEST.recip()).max(largest / LARGEST);
    svg(SIZE, |area| {
        if logarithms && smallest > 0.0 && largest / least > 30.0 {
            // Bounds that are powers of ten have the clearest labels.
            let low = 10f64.powf((least.log10() * 2.0).floor() / 2.0);
            let high = 10f64.powf((largest.log10() * 2.0).ceil() / 2.0);
            curves(area, x, (low..high).log_scale(), low..high, (series, marked))
        } else {
            let (low, high) = padded(smallest, largest);
            curves(area, x, low..high, low..high, (series, marked))
        }
    })
}

/// A range with some room around the values, and never an empty one.
fn padded(smallest: f64, largest: f64) -> (f64, f64) {
    if !(smallest.is_finite() && largest.is_finite()) {
        return (0.0, 1.0);
    }
    let room = (largest - smallest) * 0.06;
    let room = if room > 0.0 { room } else { (smallest.abs() * 0.1).max(1e-12) };
    (smallest - room, largest + room)
}

fn curves<Y>(
    area: &Area<'_>,
    x: Range<f64>,
    y: Y,
    bounds: Range<f64>,
    (series, marked): (&[Series], Option<f64>),
) -> Result<(), ReportError>
where
    Y: AsRangedCoord<Value = f64>,
    Y::CoordDescType: ValueFormatter<f64>,
{
    let mut chart =
        framed(area).x_label_area_size(80).build_cartesian_2d(x, y).map_err(draw_error)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID.stroke_width(2))
        .axis_style(GRID.stroke_width(2))
        .label_style(FONT.into_font().color(&TEXT))
        .x_desc("epoch")
        .x_labels(6)
        .y_labels(5)
        .x_label_formatter(&|x| if x.fract() == 0.0 { format!("{x}") } else { String::new() })
        .y_label_formatter(&|y| on_axis(*y, bounds.end - bounds.start))
        .draw()
        .map_err(draw_error)?;
    if let Some(epoch) = marked {
        let line = [(epoch, bounds.start), (epoch, bounds.end)];
        let dashes = DashedLineSeries::new(line, 10, 8, TEXT.stroke_width(2));
        chart.draw_series(dashes).map_err(draw_error)?;
    }
    for (index, one) in series.iter().enumerate() {
        let colour = RGBColor(SERIES.0 + (index % COLOURS) as u8, 0, 0);
        let values = one.values.iter().map(|&y| within(y, bounds.start, bounds.end));
        let points: Vec<(f64, f64)> = (1..).map(f64::from).zip(values).collect();
        // Where there is no number, the line is interrupted.
        for part in points.split(|(_, y)| !y.is_finite()).filter(|part| !part.is_empty()) {
            let line = LineSeries::new(part.iter().copied(), colour.stroke_width(4));
            chart.draw_series(line).map_err(draw_error)?;
            if part.len() == 1 {
                let dot = [Circle::new(part[0], 6, colour.filled())];
                chart.draw_series(dot).map_err(draw_error)?;
            }
        }
    }
    Ok(())
}

/// A number for an axis of this span, on which what is next to nothing is a rounding error of 0.
fn on_axis(value: f64, span: f64) -> String {
    number(if value.abs() < span * 1e-9 { 0.0 } else { value })
}

/// A number that is short, and without needless zeros.
pub(super) fn number(value: f64) -> String {
    let size = value.abs();
    if size != 0.0 && !(1e-4..1e6).contains(&size) {
        let text = format!("{value:.2e}");
        return text.replace(".00e", "e").replace("0e", "e");
    }
    let text = if size < 0.01 { format!("{value:.6}") } else { format!("{value:.4}") };
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The values of each layer over the epochs, as colours of their logarithms. `values` has a row
/// for each epoch.
pub(super) fn heat_map(values: &[&[f64]]) -> Result<HeatMap, ReportError> {
    let layers = values.iter().map(|row| row.len()).max().unwrap_or(0);
    let logarithms =
        || values.iter().flat_map(|row| row.iter()).map(|v| v.log10()).filter(|v| v.is_finite());
    let low = logarithms().fold(f64::INFINITY, f64::min);
    let high = logarithms().fold(f64::NEG_INFINITY, f64::max);
    let span = if high > low { high - low } else { 1.0 };
    let height = (layers.min(100) as u32 * 72).clamp(144, 1200) + 104;
    let body = |area: &Area<'_>| {
        let (x, y) = (0.5..values.len() as f64 + 0.5, layers as f64 + 0.5..0.5);
        let mut chart = grid(area, x, y, layers)?;
        let cells = values.iter().enumerate().flat_map(|(epoch, row)| {
            row.iter().enumerate().map(move |(layer, value)| {
                let (x, y) = (epoch as f64 + 1.0, layer as f64 + 1.0);
                let share = (value.log10() - low) / span;
                Rectangle::new([(x - 0.5, y - 0.5), (x + 0.5, y + 0.5)], heat(share).filled())
            })
        });
        chart.draw_series(cells).map_err(draw_error)?;
        Ok(())
    };
    let svg = svg((WIDE, height), body)?;
    // Where all are 0 there is no logarithm, and no colour.
    let bound = |logarithm: f64| if low > high { 0.0 } else { 10f64.powf(logarithm) };
    Ok(HeatMap { svg, low: bound(low), high: bound(high) })
}

/// A heat map, and the values of its coldest and hottest colour.
pub(super) struct HeatMap {
    pub(super) svg: String,
    pub(super) low: f64,
    pub(super) high: f64,
}

type Grid<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// Axes without lines: epochs to the right, layers down.
fn grid<'a, 'b>(
    area: &'a Area<'b>,
    x: Range<f64>,
    y: Range<f64>,
    layers: usize,
) -> Result<Grid<'a, 'b>, ReportError> {
    let mut chart =
        framed(area).x_label_area_size(80).build_cartesian_2d(x, y).map_err(draw_error)?;
    let whole = |value: &f64| {
        if value.fract() == 0.0 { format!("{value}") } else { String::new() }
    };
    chart
        .configure_mesh()
        .disable_mesh()
        .axis_style(TRANSPARENT)
        .label_style(FONT.into_font().color(&TEXT))
        .x_desc("epoch")
        .y_desc("layer")
        .x_labels(12)
        .y_labels(layers.min(12) + 1)
        .x_label_formatter(&whole)
        .y_label_formatter(&whole)
        .draw()
        .map_err(draw_error)?;
    Ok(chart)
}

/// Stops of the colour map viridis (by van der Walt and Smith, in the public domain), from cold to
/// hot.
pub(super) const HEAT: [(u8, u8, u8); 9] = [
    (68, 1, 84),
    (71, 45, 123),
    (59, 82, 139),
    (44, 114, 142),
    (33, 145, 140),
    (40, 174, 128),
    (94, 201, 98),
    (173, 220, 48),
    (253, 231, 37),
];

/// The colour of a share, 0 being cold; grey for none.
fn heat(share: f64) -> RGBColor {
    if !share.is_finite() {
        return RGBColor(128, 128, 128);
    }
    let place = share.clamp(0.0, 1.0) * (HEAT.len() - 1) as f64;
    let stop = (place as usize).min(HEAT.len() - 2);
    let (from, to) = (HEAT[stop], HEAT[stop + 1]);
    let mix = |a: u8, b: u8| {
        let (a, b) = (f64::from(a), f64::from(b));
        (a + (b - a) * (place - stop as f64)).round() as u8
    };
    RGBColor(mix(from.0, to.0), mix(from.1, to.1), mix(from.2, to.2))
}

/// How often values lie in each of some intervals.
#[derive(Clone, Debug)]
pub(super) struct Histogram {
    pub(super) name: String,
    pub(super) mean: f64,
    pub(super) deviation: f64,
    /// Values that are infinite or NaN.
    pub(super) not_finite: usize,
    /// The share of values that are exactly 0. They are in no interval: after ReLU there may be so
    /// many that nothing else could be seen.
    pub(super) zeros: f64,
    from: f64,
    width: f64,
    counts: Vec<u64>,
}

impl Histogram {
    const BINS: usize = 48;

    pub(super) fn new<E: Element>(name: String, values: &[E]) -> Self {
        let drawn = |v: &E| within(v.to_f64(), -LARGEST, LARGEST);
        let finite = || values.iter().map(drawn).filter(|v| v.is_finite());
        let count = finite().count();
        let mean = finite().sum::<f64>() / count as f64;
        let variance = finite().map(|v| (v - mean) * (v - mean)).sum::<f64>() / count as f64;
        let smallest = finite().fold(f64::INFINITY, f64::min);
        let largest = finite().fold(f64::NEG_INFINITY, f64::max);
        let (from, to) =
            if largest > smallest { (smallest, largest) } else { padded(smallest, largest) };
        let width = (to - from) / Self::BINS as f64;
        let mut counts = vec![0; Self::BINS];
        let zeros = finite().filter(|&value| value == 0.0).count() as f64 / count.max(1) as f64;
        for value in finite().filter(|&value| value != 0.0) {
            counts[(((value - from) / width) as usize).min(Self::BINS - 1)] += 1;
        }
        let not_finite = values.len() - count;
        Self { name, mean, deviation: variance.sqrt(), not_finite, zeros, from, width, counts }
    }

    pub(super) fn svg(&self) -> Result<String, ReportError> {
        let highest = self.counts.iter().copied().max().unwrap_or(0).max(1) as f64;
        let to = self.from + self.width * Self::BINS as f64;
        svg(SIZE, |area| {
            let mut chart = framed(area)
                .x_label_area_size(52)
                .build_cartesian_2d(self.from..to, 0.0..highest * 1.05)
                .map_err(draw_error)?;
            chart
                .configure_mesh()
                .disable_x_mesh()
                .light_line_style(TRANSPARENT)
                .bold_line_style(GRID.stroke_width(2))
                .axis_style(GRID.stroke_width(2))
                .label_style(FONT.into_font().color(&TEXT))
                .x_labels(5)
                .y_labels(4)
                .x_label_formatter(&|x| on_axis(*x, to - self.from))
                .y_label_formatter(&|y| number(*y))
                .draw()
                .map_err(draw_error)?;
            let bars = self.counts.iter().enumerate().filter(|(_, count)| **count > 0);
            let bars = bars.map(|(bin, &count)| {
                let left = self.from + self.width * bin as f64;
                let corners = [(left, 0.0), (left + self.width, count as f64)];
                Rectangle::new(corners, SERIES.filled())
            });
            chart.draw_series(bars).map_err(draw_error)?;
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn charts_of_the_largest_and_the_smallest_numbers_end() {
        for values in [
            [1.7e308, 1.7e308],
            [f64::MAX, f64::MIN],
            [f64::MAX, 5e-324],
            [5e-324, 1e-323],
            [0.0, 5e-324],
            [5e-324, 1e-310],
            [0.0, 1e-310],
            [0.3, 0.3 + f64::EPSILON / 4.0],
            [1e-300, 1e300],
            [f64::INFINITY, f64::MAX],
        ] {
            let series = [Series { name: String::new(), values: values.to_vec() }];
            for logarithms in [false, true] {
                let chart = lines(&series, Some(1.0), logarithms).unwrap();
                assert!(chart.len() < 20_000, "{values:?}: {}", chart.len());
            }
            let histogram = Histogram::new(String::new(), &values).svg().unwrap();
            assert!(histogram.len() < 20_000, "{values:?}: {}", histogram.len());
        }
    }

    #[test]
    fn norms_of_nothing_but_0_have_bounds() {
        let map = heat_map(&[&[0.0, 0.0], &[0.0]]).unwrap();
        assert_eq!((map.low, map.high), (0.0, 0.0));
        let map = heat_map(&[&[0.0, 100.0], &[1.0]]).unwrap();
        assert_eq!((map.low, map.high), (1.0, 100.0));
    }
}
