//! The report: a table of layers, a table of dead and saturated neurons, each neuron's numbers, and a figure.

use fmrai_core::analyzer::AnalyzerError;
use fmrai_core::report::figure::{Axis, Bars, Figure, Plot};
use fmrai_core::report::{Column, NamedTensor, Report, Table, Values};
use fmrai_core::tensor::TensorValue;
use serde_json::json;

use super::sums::{Layer, Sums};

pub(super) fn report(layers: &[Layer], sums: &Sums, threshold: f64) -> Result<Report, AnalyzerError> {
    if sums.tokens == 0 {
        return Err(AnalyzerError::NotEnoughData {
            found: "no token".to_owned(),
            needed: "at least one".to_owned(),
        });
    }
    let tokens = sums.tokens as f64;
    let share: Vec<f64> = sums.on.iter().map(|on| *on as f64 / tokens).collect();
    let mean: Vec<f64> = sums.sum.iter().map(|sum| sum / tokens).collect();
    let dead = |i: &usize| sums.on[*i] == 0;
    let saturated = |i: &usize| sums.on[*i] == sums.tokens;
    let of = |layer: &Layer| layer.first..layer.first + layer.neurons;

    let per_layer = |number: &dyn Fn(&Layer) -> f64| Values::Float(layers.iter().map(number).collect());
    let count = |which: &dyn Fn(&usize) -> bool| -> Vec<i64> {
        layers.iter().map(|layer| of(layer).filter(which).count() as i64).collect()
    };
    let over = |layer: &Layer, list: &[f64]| list[of(layer)].iter().sum::<f64>() / layer.neurons as f64;
    let deviation = |layer: &Layer| {
        let (mean, squares) = (over(layer, &mean), over(layer, &sums.squares) / tokens);
        (squares - mean * mean).max(0.0).sqrt()
    };
    let (dead_counts, saturated_counts) = (count(&dead), count(&saturated));
    let columns = vec![
        Column::new("layer", None, Values::Int((0..layers.len() as i64).collect())),
        Column::new("module", None, Values::Text(layers.iter().map(|l| l.module.clone()).collect())),
        Column::new("neurons", None, Values::Int(layers.iter().map(|l| l.neurons as i64).collect())),
        Column::new("mean", None, per_layer(&|l| over(l, &mean))),
        Column::new("deviation", None, per_layer(&deviation)),
        Column::new("share_on", None, per_layer(&|l| over(l, &share))),
        Column::new("dead", None, Values::Int(dead_counts.clone())),
        Column::new("saturated", None, Values::Int(saturated_counts.clone())),
    ];

    let (mut at, mut neuron, mut kind, mut largest) = (vec![], vec![], vec![], vec![]);
    for (number, layer) in layers.iter().enumerate() {
        for i in of(layer).filter(|i| dead(i) || saturated(i)) {
            at.push(number as i64);
            neuron.push((i - layer.first) as i64);
            kind.push(if dead(&i) { "dead" } else { "saturated" }.to_owned());
            largest.push(sums.largest[i]);
        }
    }
    let extremes = vec![
        Column::new("layer", None, Values::Int(at)),
        Column::new("neuron", None, Values::Int(neuron)),
        Column::new("kind", None, Values::Text(kind)),
        Column::new("largest_magnitude", None, Values::Float(largest)),
    ];

    let per_cent = |counts: &[i64]| -> Vec<f64> {
        layers.iter().zip(counts).map(|(layer, n)| *n as f64 / layer.neurons as f64).collect()
    };
    let bars = Bars {
        category_axis: "layer".to_owned(),
        categories: (0..layers.len()).map(|layer| layer.to_string()).collect(),
        y: Axis::new("share of neurons", None).range(0.0, 1.0),
        groups: vec![
            ("dead".to_owned(), per_cent(&dead_counts)),
            ("saturated".to_owned(), per_cent(&saturated_counts)),
        ],
        stacked: false,
    };
    let caption = format!(
        "Share of the neurons of each feed-forward block that are never on (dead) or always on (saturated), over {} \
         tokens. A neuron is on where the magnitude of its activation is above {threshold}.",
        sums.tokens
    );
    let mut report = Report {
        tables: vec![Table::new("layers", columns)?, Table::new("extremes", extremes)?],
        figures: vec![Figure::single("neurons", "Dead and saturated neurons", &caption, Plot::Bars(bars))],
        ..Report::default()
    };
    for (name, list) in [("mean", mean), ("share_on", share), ("largest", sums.largest.clone())] {
        let value = TensorValue::new([list.len()], list.into())?;
        report.tensors.push(NamedTensor::new(name, &["neuron"], None, value));
    }
    report.summary.insert("tokens".to_owned(), json!(sums.tokens));
    report.summary.insert("neurons".to_owned(), json!(sums.on.len()));
    report.summary.insert("dead".to_owned(), json!(dead_counts.iter().sum::<i64>()));
    report.summary.insert("saturated".to_owned(), json!(saturated_counts.iter().sum::<i64>()));
    Ok(report)
}
