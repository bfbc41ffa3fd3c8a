//! The figures of the analysis.

use fmrai_core::report::figure::{Axis, Bars, Figure, HeatMap, Lines, Panel, Plot, Series};

use super::effects::Effect;
use super::results::{NATS, Results};
use super::targets::Cells;
use crate::metric::Metric;

/// Where standard errors are.
fn errors(plot: &Plot) -> &'static str {
    match plot {
        Plot::Lines(_) => "Upright lines at points are standard errors.",
        _ => "Standard errors stand in the table.",
    }
}

/// What is shown of each cell.
struct Shown<'a> {
    /// First part of names of files.
    name: &'a str,
    title: String,
    axis: Axis,
    /// Of a scale of colours.
    scale: Axis,
    of: &'a dyn Fn(&Effect) -> f64,
    error: &'a dyn Fn(&Effect) -> f64,
}

/// The losses that are added.
pub(super) fn of_loss(results: &[Results<'_>], caption: &str) -> Vec<Figure> {
    let loss = Shown {
        name: "loss_added",
        title: "Loss added by ablating".to_owned(),
        axis: Axis::new("loss added", NATS),
        scale: Axis::new("loss added", NATS),
        of: &|effect| effect.loss.mean(),
        error: &|effect| effect.loss.standard_error(),
    };
    shown(results, caption, &loss)
}

/// What is added to the metric.
pub(super) fn of_metric(results: &[Results<'_>], caption: &str, metric: Metric) -> Vec<Figure> {
    let (title, unit) = (metric.title(), metric.unit());
    let metric = Shown {
        name: "metric_added",
        title: format!("Change of the {title} by ablating"),
        axis: Axis::new(&format!("change of the {title}"), unit),
        // Maps of few rows are lower than a sentence is long.
        scale: Axis::new("change", unit),
        of: &|effect| effect.metric.mean(),
        error: &|effect| effect.metric.standard_error(),
    };
    shown(results, caption, &metric)
}

fn shown(results: &[Results<'_>], caption: &str, shown: &Shown<'_>) -> Vec<Figure> {
    let mut figures = Vec::new();
    let figure = |name: &str, what: &str, replaced: &str, plot: Plot| Figure {
        name: format!("{}_{name}", shown.name),
        title: format!("{} {what}", shown.title),
        caption: format!("{replaced} with {caption} {}", errors(&plot)),
        panels: vec![Panel { title: String::new(), plot }],
        columns: 1,
    };
    let mut lines = Vec::new();
    for result in results {
        let values = result.values(shown.of);
        match result.cells {
            Cells::Heads { layers, heads } => {
                let names = |count: usize| (0..count).map(|at| at.to_string()).collect();
                let map = HeatMap {
                    row_axis: "layer".to_owned(),
                    column_axis: "head".to_owned(),
                    rows: names(*layers),
                    columns: names(*heads),
                    values,
                    scale: shown.scale.clone(),
                    diverging: true,
                    row_groups: Vec::new(),
                    column_groups: Vec::new(),
                    texts: Vec::new(),
                };
                figures.push(figure(
                    "head",
                    "each head",
                    "The output of a head is replaced",
                    Plot::HeatMap(map),
                ));
            }
            Cells::Layers(_) => {
                let measured = values.iter().zip(result.values(shown.error)).enumerate();
                let measured = measured.filter(|(_, (value, _))| value.is_finite());
                let (points, intervals) = measured
                    .map(|(layer, (value, error))| ((layer as f64, *value), (value - error, value + error)))
                    .unzip();
                let name = match result.name {
                    "ffn" => "feed-forward block",
                    "block" => "whole block",
                    other => other,
                };
                lines.push(Series::line(name, points).with_intervals(intervals));
            }
            Cells::Neurons(neurons) => {
                let names = neurons.iter().map(|(layer, neuron)| format!("{layer}.{neuron}")).collect();
                figures.push(figure(
                    "neuron",
                    "each neuron",
                    "The activation of a neuron is replaced",
                    bars("layer and neuron", names, values, shown),
                ));
            }
            Cells::Groups(groups) => {
                let plot = bars("group of heads", groups.clone(), values, shown);
                figures.push(figure(
                    "group",
                    "each group of heads",
                    "The outputs of all heads of a group are replaced",
                    plot,
                ));
            }
        }
    }
    if !lines.is_empty() {
        let plot = Plot::Lines(Lines {
            x: Axis::new("layer", None).whole(),
            y: shown.axis.clone(),
            series: lines,
            references: vec![("clean run".to_owned(), 0.0)],
        });
        figures.push(figure(
            "layer",
            "parts of each layer",
            "What a part adds to the stream is replaced",
            plot,
        ));
    }
    figures
}

fn bars(axis: &str, categories: Vec<String>, values: Vec<f64>, shown: &Shown<'_>) -> Plot {
    Plot::Bars(Bars {
        category_axis: axis.to_owned(),
        categories,
        y: shown.axis.clone(),
        groups: vec![(String::new(), values)],
        stacked: false,
    })
}
