//! The report of the analysis.

use fmrai_core::analyzer::AnalyzerError;
use fmrai_core::report::{Column, NamedTensor, Report, Table, TableError, Values};
use serde_json::{Map, Value, json};

use super::{AttentionPatternsConfig, figures};
use crate::attention::{HeadLayout, Pattern, PatternSums, Statistic};

/// Heads named in the summary for each statistic.
const STRONGEST: usize = 5;

pub(super) fn report(
    layout: &HeadLayout,
    sums: &PatternSums,
    config: &AttentionPatternsConfig,
) -> Result<Report, AnalyzerError> {
    let Some(uniform) = sums.uniform_entropy() else {
        return Err(AnalyzerError::NotEnoughData {
            found: "no text was seen".to_owned(),
            needed: "at least one text".to_owned(),
        });
    };
    let known: Vec<(Statistic, Vec<f64>)> = sums.known().collect();
    let tensors = known.iter().filter_map(|(statistic, values)| {
        let value = layout.by_layer(values)?;
        Some(NamedTensor::new(&statistic.name(), &["layer", "head"], statistic.unit(), value))
    });
    let broken = |e: TableError| AnalyzerError::Other(e.to_string());
    Ok(Report {
        summary: summary(layout, sums, config, &known, uniform),
        tables: vec![
            heads_table(layout, &known).map_err(broken)?,
            layers_table(layout, &known).map_err(broken)?,
        ],
        tensors: tensors.collect(),
        figures: figures::figures(layout, &known, uniform, sums),
        store: None,
    })
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

fn layers_table(layout: &HeadLayout, known: &[(Statistic, Vec<f64>)]) -> Result<Table, TableError> {
    let layers = layout.layers();
    let mut columns = vec![
        Column::new("layer", None, Values::Int(layers.iter().map(|l| l.layer as i64).collect())),
        Column::new("heads", None, Values::Int(layers.iter().map(|l| l.heads as i64).collect())),
    ];
    for (statistic, values) in known {
        let means = layer_means(layout, values);
        columns.push(Column::new(&statistic.name(), statistic.unit(), Values::Float(means)));
    }
    Table::new("layers", columns)
}

/// Mean over the heads of each layer; NaN for a layer without heads.
pub(super) fn layer_means(layout: &HeadLayout, values: &[f64]) -> Vec<f64> {
    let of = |l: &crate::attention::LayerHeads| {
        values[l.first..l.first + l.heads].iter().sum::<f64>() / l.heads as f64
    };
    layout.layers().iter().map(of).collect()
}

fn summary(
    layout: &HeadLayout,
    sums: &PatternSums,
    config: &AttentionPatternsConfig,
    known: &[(Statistic, Vec<f64>)],
    uniform: f64,
) -> Map<String, Value> {
    let labels = layout.labels();
    let mut strongest = Map::new();
    for (statistic, values) in known {
        let mut order: Vec<usize> = (0..values.len()).collect();
        order.sort_by(|&a, &b| values[b].total_cmp(&values[a]).then(a.cmp(&b)));
        let heads = order.iter().take(STRONGEST).map(|&i| json!({ "head": labels[i], "value": values[i] }));
        strongest.insert(statistic.name(), heads.collect());
    }
    let above_half = |pattern| {
        let values = sums.mean(Statistic::Share(pattern));
        values.map(|values| values.iter().filter(|&&v| v > 0.5).count())
    };
    let mut summary = Map::new();
    summary.insert("texts".to_owned(), json!(sums.texts()));
    summary.insert("tokens".to_owned(), json!(sums.tokens()));
    summary.insert("layers".to_owned(), json!(layout.layers().len()));
    summary.insert("heads".to_owned(), json!(layout.heads()));
    summary.insert("smoothing".to_owned(), json!(config.smoothing));
    summary.insert("uniform_entropy".to_owned(), json!(uniform));
    summary.insert("heads_above_half_previous".to_owned(), json!(above_half(Pattern::Previous)));
    summary.insert("heads_above_half_next".to_owned(), json!(above_half(Pattern::Next)));
    summary.insert("strongest".to_owned(), Value::Object(strongest));
    let left_out = Statistic::ALL.into_iter().filter(|s| known.iter().all(|(k, _)| k != s));
    let left_out: Vec<Value> =
        left_out.map(|s| json!({ "name": s.name(), "reason": why_left_out(s) })).collect();
    summary.insert("left_out".to_owned(), Value::Array(left_out));
    summary
}

/// Why no text defines a statistic.
pub(crate) fn why_left_out(statistic: Statistic) -> &'static str {
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
