//! The report of the analysis.

use fmrai_core::analyzer::AnalyzerError;
use fmrai_core::report::{Column, NamedTensor, Report, Table, TableError, Values};
use serde_json::{Map, Value, json};

use super::config::AttentionPatternsConfig;
use super::figures;
use super::layer_means::layer_means;
use super::strongest::strongest as order_of;
use crate::attention::{
    HeadLayout, LayerHeads, Pattern, PatternSums, Statistic, head_columns, left_out, nothing_seen,
    rows_left_out, sequences, statistic_columns,
};

/// Heads named in the summary for each statistic.
const STRONGEST: usize = 5;
/// Heads named in a line of findings.
const NAMED: usize = 3;

pub(super) fn report(
    layout: &HeadLayout,
    sums: &PatternSums,
    config: &AttentionPatternsConfig,
) -> Result<Report, AnalyzerError> {
    let Some(uniform) = sums.uniform_entropy(layout) else {
        return Err(nothing_seen(layout, sums));
    };
    let known: Vec<(Statistic, Vec<f64>)> = sums.known().collect();
    let drawn: Vec<(Statistic, Vec<f64>)> = drawn(layout, sums, &known);
    let tensors = known.iter().filter_map(|(statistic, values)| {
        let value = layout.by_layer(values)?;
        Some(NamedTensor::new(&statistic.name(), &["layer", "head"], statistic.unit(), value))
    });
    let gaps = known.iter().map(|(statistic, _)| statistic.name());
    Ok(Report {
        gaps: gaps.chain(["heads".to_owned(), "layers".to_owned()]).collect(),
        summary: summary(layout, sums, config, &known, &drawn, uniform),
        tables: vec![heads_table(layout, &known)?, layers_table(layout, sums, &known)?],
        tensors: tensors.collect(),
        figures: figures::figures(layout, &drawn, sums),
        ..Report::default()
    })
}

/// The statistics without the heads for which they can only be 0.
fn drawn(
    layout: &HeadLayout,
    sums: &PatternSums,
    known: &[(Statistic, Vec<f64>)],
) -> Vec<(Statistic, Vec<f64>)> {
    let mut drawn = Vec::new();
    for (statistic, values) in known {
        let of = |(layer, value): (&LayerHeads, &f64)| {
            let zero = sums.sight(layer).only_zero(*statistic, layer.sinks[0] + layer.sinks[1]);
            if zero { f64::NAN } else { *value }
        };
        let values: Vec<f64> = layout.layer_of_heads().zip(values).map(of).collect();
        if values.iter().any(|v| v.is_finite()) {
            drawn.push((*statistic, values));
        }
    }
    drawn
}

fn heads_table(layout: &HeadLayout, known: &[(Statistic, Vec<f64>)]) -> Result<Table, TableError> {
    Table::new("heads", head_columns(layout).into_iter().chain(statistic_columns(known)).collect())
}

fn layers_table(
    layout: &HeadLayout,
    sums: &PatternSums,
    known: &[(Statistic, Vec<f64>)],
) -> Result<Table, TableError> {
    let layers = layout.layers();
    let mut columns = vec![
        Column::new("layer", None, Values::Int(layers.iter().map(|l| l.layer as i64).collect())),
        Column::new("heads", None, Values::Int(layers.iter().map(|l| l.heads as i64).collect())),
    ];
    for (statistic, values) in known {
        let means = layer_means(layout, values);
        columns.push(Column::new(&statistic.name(), statistic.unit(), Values::Float(means)));
    }
    let attainable = layer_means(layout, &sums.attainable(layout));
    columns.push(Column::new("uniform_entropy", Some("nats"), Values::Float(attainable)));
    let text = |of: &dyn Fn(&LayerHeads) -> String| Values::Text(layers.iter().map(of).collect());
    columns.push(Column::new("visible", None, text(&|layer| sums.sight(layer).words())));
    columns.push(Column::new("tokens_of", None, text(&|layer| layout.streams()[layer.stream].name())));
    Table::new("layers", columns)
}

fn summary(
    layout: &HeadLayout,
    sums: &PatternSums,
    config: &AttentionPatternsConfig,
    known: &[(Statistic, Vec<f64>)],
    drawn: &[(Statistic, Vec<f64>)],
    uniform: f64,
) -> Map<String, Value> {
    let labels = layout.labels();
    let mut strongest = Map::new();
    for (statistic, values) in drawn {
        let heads = order_of(values)
            .into_iter()
            .take(STRONGEST)
            .map(|i| json!({ "head": labels[i], "value": values[i] }));
        strongest.insert(statistic.name(), heads.collect());
    }
    let above_half = |pattern| {
        let values = known.iter().find(|(s, _)| *s == Statistic::Share(pattern)).map(|(_, values)| values);
        values.map(|values| values.iter().filter(|&&v| v > 0.5).count())
    };
    let mut summary = Map::new();
    summary.insert("findings".to_owned(), findings(&labels, drawn));
    summary.insert("texts".to_owned(), json!(sums.texts()));
    summary.insert("tokens".to_owned(), json!(sums.tokens()));
    summary.insert("layers".to_owned(), json!(layout.layers().len()));
    summary.insert("sequences".to_owned(), sequences(layout, sums));
    summary.insert("heads".to_owned(), json!(layout.heads()));
    summary.insert("smoothing".to_owned(), json!(config.smoothing));
    summary.insert("uniform_entropy".to_owned(), json!(uniform));
    summary.insert("heads_above_half_previous".to_owned(), json!(above_half(Pattern::Previous)));
    summary.insert("heads_above_half_next".to_owned(), json!(above_half(Pattern::Next)));
    summary.insert("strongest".to_owned(), Value::Object(strongest));
    summary.insert("visible".to_owned(), visible(layout, sums));
    let zero = known.iter().filter(|(s, _)| drawn.iter().all(|(d, _)| d != s)).map(|(s, _)| json!(s.name()));
    summary.insert("zero_by_construction".to_owned(), zero.collect());
    summary.insert("rows_left_out".to_owned(), rows_left_out(layout, sums));
    summary.insert("left_out".to_owned(), left_out(layout, |s| known.iter().any(|(k, _)| *k == s)));
    summary
}

/// A line for each statistic: `previous token: L2H3 0.65, L4H1 0.51`.
fn findings(labels: &[String], drawn: &[(Statistic, Vec<f64>)]) -> Value {
    let line = |(statistic, values): &(Statistic, Vec<f64>)| {
        let heads = order_of(values).into_iter().take(NAMED);
        let named: Vec<String> = heads.map(|i| format!("{} {:.2}", labels[i], values[i])).collect();
        let unit = statistic.unit().map(|unit| format!(" {unit}")).unwrap_or_default();
        format!("{}: {}{unit}", statistic.title(), named.join(", "))
    };
    drawn.iter().filter(|(statistic, _)| !statistic.is_part()).map(line).collect()
}

/// What the queries of the layers see, layers that see the same together.
fn visible(layout: &HeadLayout, sums: &PatternSums) -> Value {
    let mut groups: Vec<(String, Vec<usize>)> = Vec::new();
    for layer in layout.layers() {
        let words = sums.sight(layer).words();
        match groups.iter_mut().find(|(known, _)| *known == words) {
            Some((_, layers)) => layers.push(layer.layer),
            None => groups.push((words, vec![layer.layer])),
        }
    }
    groups.into_iter().map(|(words, layers)| json!({ "keys": words, "layers": layers })).collect()
}
