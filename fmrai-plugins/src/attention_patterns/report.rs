//! The report of the analysis.

use fmrai_core::analyzer::AnalyzerError;
use fmrai_core::report::{Column, NamedTensor, Report, Table, TableError, Values};
use serde_json::{Map, Value, json};

use super::{AttentionPatternsConfig, figures};
use crate::attention::{HeadLayout, LayerHeads, LeftOut, Pattern, PatternSums, Statistic};

/// Heads named in the summary for each statistic.
const STRONGEST: usize = 5;

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
    let broken = |e: TableError| AnalyzerError::Other(e.to_string());
    Ok(Report {
        summary: summary(layout, sums, config, &known, &drawn, uniform),
        tables: vec![
            heads_table(layout, &known).map_err(broken)?,
            layers_table(layout, sums, &known).map_err(broken)?,
        ],
        tensors: tensors.collect(),
        figures: figures::figures(layout, &drawn, sums),
        store: None,
    })
}

/// Why there is nothing to report.
pub(crate) fn nothing_seen(layout: &HeadLayout, sums: &PatternSums) -> AnalyzerError {
    let needed = "at least one text".to_owned();
    let [rows, left_out] = sums.rows(0..layout.heads());
    if rows == 0 || left_out < rows {
        return AnalyzerError::NotEnoughData { found: "no text was seen".to_owned(), needed };
    }
    let sample = sums.left_out().1.unwrap_or(0);
    let found =
        format!("none of {rows} rows of probabilities sums to 1 over its text, the first in sample {sample}");
    AnalyzerError::NotEnoughData { found, needed: "at least one text with rows that do".to_owned() }
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

/// Columns that name the heads of the rows: `layer` and `head`, from 0 as in the tensors, and `label`.
pub(crate) fn head_columns(layout: &HeadLayout) -> Vec<Column> {
    let (layers, heads) = layout.iter().map(|(l, h)| (l as i64, h as i64)).unzip();
    vec![
        Column::new("layer", None, Values::Int(layers)),
        Column::new("head", None, Values::Int(heads)),
        Column::new("label", None, Values::Text(layout.labels())),
    ]
}

/// One column per statistic, named like its tensor.
pub(crate) fn statistic_columns(known: &[(Statistic, Vec<f64>)]) -> impl Iterator<Item = Column> + '_ {
    known.iter().map(|(statistic, values)| {
        Column::new(&statistic.name(), statistic.unit(), Values::Float(values.clone()))
    })
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

/// Mean over the heads of each layer that have a value; NaN for a layer without.
pub(super) fn layer_means(layout: &HeadLayout, values: &[f64]) -> Vec<f64> {
    let of = |l: &LayerHeads| {
        let finite = values[l.first..l.first + l.heads].iter().filter(|v| !v.is_nan());
        let (sum, count) = finite.fold((0.0, 0u32), |(sum, count), v| (sum + v, count + 1));
        sum / f64::from(count)
    };
    layout.layers().iter().map(of).collect()
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
        let mut order: Vec<usize> = (0..values.len()).filter(|i| values[*i].is_finite()).collect();
        order.sort_by(|&a, &b| values[b].total_cmp(&values[a]).then(a.cmp(&b)));
        let heads = order.iter().take(STRONGEST).map(|&i| json!({ "head": labels[i], "value": values[i] }));
        strongest.insert(statistic.name(), heads.collect());
    }
    let above_half = |pattern| {
        let values = known.iter().find(|(s, _)| *s == Statistic::Share(pattern)).map(|(_, values)| values);
        values.map(|values| values.iter().filter(|&&v| v > 0.5).count())
    };
    let mut summary = Map::new();
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

/// The statistics that no text defines and the blocks that are not looked at, each with the reason.
pub(crate) fn left_out(layout: &HeadLayout, is_known: impl Fn(Statistic) -> bool) -> Value {
    // A model without sinks lacks nothing.
    let missing =
        Statistic::ALL.into_iter().filter(|s| *s != Statistic::Share(Pattern::Sink) && !is_known(*s));
    let statistics = missing.map(|s| json!({ "name": s.name(), "reason": why_left_out(s) }));
    statistics.chain(layout.left_out().iter().map(LeftOut::to_json)).collect()
}

/// What each sequence is, and what was seen of it.
pub(crate) fn sequences(layout: &HeadLayout, sums: &PatternSums) -> Value {
    let of = |(i, stream): (usize, &crate::sequences::Stream)| {
        let layers: Vec<usize> = layout.layers().iter().filter(|l| l.stream == i).map(|l| l.layer).collect();
        let [texts, tokens, left_out] = sums.of_stream(i);
        json!({
            "tokens_of": stream.name(), "layers": layers,
            "texts": texts, "tokens": tokens, "texts_left_out": left_out,
        })
    };
    layout.streams().iter().enumerate().map(of).collect()
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

/// Rows that are no distributions, by layer; `null` where all are.
pub(crate) fn rows_left_out(layout: &HeadLayout, sums: &PatternSums) -> Value {
    let [rows, left_out] = sums.rows(0..layout.heads());
    if left_out == 0 {
        return Value::Null;
    }
    let layers = layout.layers().iter().filter_map(|layer| {
        let [_, left_out] = sums.rows(layer.first..layer.first + layer.heads);
        (left_out > 0).then(|| json!({ "layer": layer.layer, "rows": left_out }))
    });
    let (zeros, sample) = sums.left_out();
    json!({
        "rows": left_out, "of": rows, "zeros": zeros, "first_sample": sample,
        "layers": layers.collect::<Vec<_>>(),
        "reason": "they do not sum to 1 over the tokens of their text: masked whole, or a share goes to padding",
    })
}

/// What captions say of rows left out.
pub(crate) fn told_left_out(layout: &HeadLayout, sums: &PatternSums) -> String {
    match sums.rows(0..layout.heads()) {
        [_, 0] => String::new(),
        [rows, left_out] => format!(" {left_out} of {rows} rows are no distributions and are left out."),
    }
}

/// Why no text defines a statistic.
fn why_left_out(statistic: Statistic) -> &'static str {
    match statistic {
        Statistic::Share(Pattern::Previous | Pattern::Next) => "no text has more than one token",
        Statistic::Share(Pattern::Punctuation) => {
            "the model has no vocabulary, or the samples have no tokens"
        }
        Statistic::Share(Pattern::SeparatorFromRest) => {
            "the vocabulary has no separator, or all tokens are separators"
        }
        Statistic::Share(Pattern::SeparatorFromSeparator) => "no text has a separator",
        Statistic::Share(Pattern::Separator) => {
            "the model has no vocabulary with a separator, or the samples have no tokens"
        }
        _ => "no text was seen",
    }
}
