//! The page around the charts.

use std::fmt::Write;

use super::chart::{COLOURS, HEAT, Histogram, Series, heat_map, lines, number};
use super::{Report, ReportError};
use crate::fit::{End, Epoch, History};
use crate::metrics::ConfusionMatrix;

const STYLE: &str = include_str!("style.css");

/// Writes to the page, which is a string and takes everything.
macro_rules! put {
    ($page:expr, $($text:tt)*) => {
        let _ = write!($page, $($text)*);
    };
}

/// The whole page.
pub(super) fn html(report: &Report<'_>) -> Result<String, ReportError> {
    let history = report.history;
    let title = escaped(&report.title);
    let mut page = String::new();
    put!(
        page,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <title>{title}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<h1>{title}</h1>\n"
    );
    summary(&mut page, history);
    put!(page, "<div class=\"charts\">\n");
    curves(&mut page, history)?;
    put!(page, "</div>\n");
    gradients(&mut page, history)?;
    if let Some((confusion, names)) = &report.confusion {
        confusion_matrix(&mut page, confusion, names);
    }
    histograms(&mut page, "Weights", &report.weights)?;
    histograms(&mut page, "Activations", &report.activations)?;
    table(&mut page, history);
    put!(page, "</body>\n</html>\n");
    Ok(page)
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// What one wants to know first.
fn summary(page: &mut String, history: &History) {
    let Some(last) = history.last() else {
        put!(page, "<p>No epoch has ended.</p>\n");
        return;
    };
    let end = match history.end() {
        End::Epochs => "all epochs",
        End::EarlyStopping => "stopped early",
        End::Callback => "broken off",
    };
    // The network has the best epoch's weights, if there is one.
    let shown = history.best().unwrap_or(last);
    let seconds: f64 = history.epochs().iter().map(|epoch| epoch.seconds).sum();
    put!(page, "<dl class=\"summary\">\n");
    let mut fact = |name: &str, value: &str, more: &str| {
        put!(page, "<div><dt>{name}</dt><dd>{value}</dd><dd>{more}</dd></div>\n");
    };
    fact("Epochs", &last.epoch.to_string(), end);
    if let Some(best) = history.best() {
        fact("Best epoch", &best.epoch.to_string(), "its weights are kept");
    }
    fact("Loss", &number(shown.loss), "training");
    if let Some(loss) = shown.validation_loss {
        fact("Loss", &number(loss), "validation");
    }
    for (accuracy, of) in [(shown.accuracy, "training"), (shown.validation_accuracy, "validation")]
    {
        if let Some(accuracy) = accuracy {
            fact("Accuracy", &number(accuracy), of);
        }
    }
    for (metric, &value) in history.metrics().iter().zip(&shown.metrics) {
        fact(&escaped(&metric.name()), &number(value), "metric");
    }
    fact("Time", &format!("{} s", number((seconds * 100.0).round() / 100.0)), "in steps");
    put!(page, "</dl>\n");
}

/// A chart with its caption and, if there are several lines, what they are.
fn figure(page: &mut String, caption: &str, legend: &[&str], svg: &str) {
    put!(page, "<figure>\n<figcaption>{}", escaped(caption));
    for (index, name) in legend.iter().enumerate().filter(|_| legend.len() > 1) {
        let colour = index % COLOURS;
        put!(page, "<span class=\"key\"><i class=\"s{colour}\"></i>{}</span>", escaped(name));
    }
    put!(page, "</figcaption>\n{svg}</figure>\n");
}

/// Loss, accuracy, the other metrics, and the learning rate.
fn curves(page: &mut String, history: &History) -> Result<(), ReportError> {
    if history.epochs().is_empty() {
        return Ok(());
    }
    let columns = history.columns();
    // By its place, as the curves have it: what an epoch says of its number may be anything.
    let best = history.best.filter(|&place| place < history.epochs().len());
    let best = best.map(|place| place as f64 + 1.0);
    let mut chart = |caption: &str, wanted: &[(&str, &str)]| -> Result<(), ReportError> {
        let series: Vec<Series> = wanted
            .iter()
            .filter_map(|(column, name)| {
                let values = history.curve(column)?;
                Some(Series { name: (*name).to_owned(), values })
            })
            .collect();
        if !series.is_empty() {
            let names: Vec<&str> = series.iter().map(|series| series.name.as_str()).collect();
            figure(page, caption, &names, &lines(&series, best, caption == "Loss")?);
        }
        Ok(())
    };
    chart("Loss", &[("loss", "training"), ("validation_loss", "validation")])?;
    let accuracy = history.epochs().iter().any(|epoch| epoch.accuracy.is_some());
    if accuracy {
        chart("Accuracy", &[("accuracy", "training"), ("validation_accuracy", "validation")])?;
    }
    let metrics = columns.len() - 2 - history.metrics().len();
    for column in &columns[metrics..columns.len() - 2] {
        chart(column, &[(column, column)])?;
    }
    chart("Learning rate", &[("learning_rate", "learning rate")])
}

fn gradients(page: &mut String, history: &History) -> Result<(), ReportError> {
    let norms: Vec<&[f64]> =
        history.epochs().iter().map(|epoch| epoch.gradient_norms.as_slice()).collect();
    if norms.iter().all(|norms| norms.is_empty()) {
        return Ok(());
    }
    let map = heat_map(&norms)?;
    let stops: Vec<String> = HEAT.iter().map(|(r, g, b)| format!("rgb({r},{g},{b})")).collect();
    put!(page, "<h2>Norms of the gradients</h2>\n<figure class=\"wide\">\n<figcaption>");
    put!(
        page,
        "<span class=\"key\">{}<i class=\"bar\" style=\"background:linear-gradient(to right,{})\">\
         </i>{}</span></figcaption>\n{}</figure>\n",
        number(map.low),
        stops.join(","),
        number(map.high),
        map.svg
    );
    Ok(())
}

fn confusion_matrix(page: &mut String, confusion: &ConfusionMatrix, names: &[String]) {
    put!(page, "<h2>Confusion matrix</h2>\n<div class=\"scroll\">\n<table class=\"confusion\">\n");
    put!(page, "<tr><th class=\"corner\">true \\ predicted</th>");
    for name in names {
        put!(page, "<th>{}</th>", escaped(name));
    }
    put!(page, "<th>recall</th></tr>\n");
    let (scores, decimals) = (confusion.class_scores(), confusion.decimals());
    let share = |value: f64| format!("{:.1}%", value * 100.0);
    for (label, (name, score)) in names.iter().zip(&scores).enumerate() {
        put!(page, "<tr><th>{}</th>", escaped(name));
        for predicted in 0..confusion.classes() {
            let count = confusion.count(label, predicted).unwrap_or(0.0);
            let percent = if score.support > 0.0 { 100.0 * count / score.support } else { 0.0 };
            let class = if predicted == label { "right" } else { "wrong" };
            put!(
                page,
                "<td class=\"{class}\" style=\"--share:{percent:.1}%\">{count:.decimals$}</td>"
            );
        }
        put!(page, "<td class=\"sum\">{}</td></tr>\n", share(score.recall));
    }
    put!(page, "<tr><th>precision</th>");
    for score in &scores {
        put!(page, "<td class=\"sum\">{}</td>", share(score.precision));
    }
    let accuracy = confusion.accuracy().map_or(String::new(), share);
    put!(page, "<td class=\"sum\">{accuracy}</td></tr>\n</table>\n</div>\n");
}

fn histograms(
    page: &mut String,
    heading: &str,
    histograms: &[Histogram],
) -> Result<(), ReportError> {
    if histograms.is_empty() {
        return Ok(());
    }
    put!(page, "<h2>{heading}</h2>\n<div class=\"charts small\">\n");
    for histogram in histograms {
        let Histogram { name, mean, deviation, not_finite, zeros, .. } = histogram;
        let mut caption = format!("{name}: {} ± {}", number(*mean), number(*deviation));
        if *zeros > 0.0 {
            put!(caption, ", {}% zeros left out", number((zeros * 1000.0).round() / 10.0));
        }
        if *not_finite > 0 {
            put!(caption, ", {not_finite} not finite");
        }
        figure(page, &caption, &[], &histogram.svg()?);
    }
    put!(page, "</div>\n");
    Ok(())
}

/// Every number, for whoever wants to look one up.
fn table(page: &mut String, history: &History) {
    let columns = history.columns();
    let curves: Vec<Vec<f64>> = columns.iter().filter_map(|name| history.curve(name)).collect();
    put!(page, "<h2>Epochs</h2>\n<details>\n<summary>All numbers</summary>\n");
    put!(page, "<div class=\"scroll\">\n<table class=\"epochs\">\n<tr><th>epoch</th>");
    for column in &columns {
        put!(page, "<th>{}</th>", escaped(&column.replace('_', " ")));
    }
    put!(page, "</tr>\n");
    let best = history.best().map(|best: &Epoch| best.epoch);
    for (index, epoch) in history.epochs().iter().enumerate() {
        let class = if best == Some(epoch.epoch) { " class=\"best\"" } else { "" };
        put!(page, "<tr{class}><td>{}</td>", epoch.epoch);
        for curve in &curves {
            put!(page, "<td>{}</td>", number(curve[index]));
        }
        put!(page, "</tr>\n");
    }
    put!(page, "</table>\n</div>\n</details>\n");
}
