//! The report of the analysis.

use fmrai_core::analyzer::AnalyzerError;
use fmrai_core::report::{Column, NamedTensor, Report, Table, TableError, Values};
use fmrai_core::tensor::{TensorError, TensorValue};
use serde_json::{Map, Value, json};

use super::analysis::DirectLogitAttribution;
use super::conclusions::Conclusions;
use super::config::Target;
use super::figures;
use super::layout::{BIAS, EMBEDDING, Layout, OTHER, SINGLE};
use super::neurons::strongest;

/// Parts named in the summary.
const STRONGEST: usize = 10;

pub(super) fn report(analysis: &DirectLogitAttribution, layout: &Layout) -> Result<Report, AnalyzerError> {
    if analysis.sums.texts == 0 {
        let needed = match analysis.config.target {
            Some(Target::Answer) => "clean texts of pairs, with right tokens that the vocabulary has",
            Some(Target::NextToken) => "texts of two tokens or more",
            None => "clean texts of pairs, or texts of two tokens or more",
        };
        return Err(AnalyzerError::NotEnoughData {
            found: "no text with a logit to attribute".to_owned(),
            needed: needed.to_owned(),
        });
    }
    let found = Conclusions::of(analysis, layout);
    let mut tables = vec![parts_table(layout, &found)?];
    if analysis.config.neurons > 0 {
        tables.push(neurons_table(analysis, layout)?);
    }
    Ok(Report {
        summary: summary(analysis, layout, &found),
        tables,
        tensors: tensors(analysis, layout, &found).map_err(|e| AnalyzerError::Other(e.to_string()))?,
        figures: figures::figures(analysis, layout, &found),
        ..Report::default()
    }
    .with_gaps(&["contribution.head", "contribution.ffn", "parts.standard_error"]))
}

fn tensors(
    analysis: &DirectLogitAttribution,
    layout: &Layout,
    found: &Conclusions,
) -> Result<Vec<NamedTensor>, TensorError> {
    let mut tensors = Vec::new();
    let mut put = |name: &str, axes: &[&str], shape: Vec<usize>, data: Vec<f64>| {
        tensors.push(NamedTensor::new(name, axes, None, TensorValue::new(shape, data.into())?));
        Ok::<_, TensorError>(())
    };
    let (heads, ffn) = (layout.head(0, 0)..layout.feed_forward(0), layout.feed_forward(0)..layout.parts());
    put(
        "contribution.head",
        &["layer", "head"],
        vec![layout.layers, layout.widest],
        found.means[heads].to_vec(),
    )?;
    put("contribution.ffn", &["layer"], vec![layout.layers], found.means[ffn].to_vec())?;
    put("contribution.embedding", &[], vec![], vec![found.means[EMBEDDING]])?;
    put("contribution.bias", &[], vec![], vec![found.means[BIAS]])?;
    if !layout.others.is_empty() {
        put("contribution.other", &[], vec![], vec![found.means[OTHER]])?;
    }
    put("logit", &[], vec![], vec![found.logit])?;
    put("error", &[], vec![], vec![analysis.sums.error])?;
    Ok(tensors)
}

/// Names, layers and heads of the parts; -1 where a part has none.
fn names(layout: &Layout) -> Vec<(String, i64, i64)> {
    let mut names: Vec<(String, i64, i64)> =
        ["embedding", "bias", "other"].iter().map(|name| ((*name).to_owned(), -1, -1)).collect();
    for layer in 0..layout.layers {
        names.extend((0..layout.widest).map(|head| (format!("L{layer}H{head}"), layer as i64, head as i64)));
    }
    names.extend((0..layout.layers).map(|layer| (format!("FFN{layer}"), layer as i64, -1)));
    names
}

fn parts_table(layout: &Layout, found: &Conclusions) -> Result<Table, TableError> {
    let names = names(layout);
    let rows: Vec<usize> = (0..names.len()).filter(|part| found.means[*part].is_finite()).collect();
    let of = |values: &[f64]| Values::Float(rows.iter().map(|part| values[*part]).collect());
    let int = |of: &dyn Fn(&(String, i64, i64)) -> i64| {
        Values::Int(rows.iter().map(|part| of(&names[*part])).collect())
    };
    let columns = vec![
        Column::new("part", None, Values::Text(rows.iter().map(|part| names[*part].0.clone()).collect())),
        Column::new("layer", None, int(&|name| name.1)),
        Column::new("head", None, int(&|name| name.2)),
        Column::new("contribution", None, of(&found.means)),
        Column::new("standard_error", None, of(&found.errors)),
    ];
    Table::new("parts", columns)
}

fn neurons_table(analysis: &DirectLogitAttribution, layout: &Layout) -> Result<Table, TableError> {
    let contributions = analysis.sums.neurons();
    let place = |at: usize| {
        let mut of =
            layout.neurons().filter(|(first, neurons)| (*first..first + neurons.count).contains(&at));
        of.next().map_or((-1, -1), |(first, neurons)| (neurons.layer as i64, (at - first) as i64))
    };
    let order = strongest(&contributions, analysis.config.neurons);
    let places: Vec<(i64, i64)> = order.iter().map(|at| place(*at)).collect();
    let columns = vec![
        Column::new("layer", None, Values::Int(places.iter().map(|(layer, _)| *layer).collect())),
        Column::new("neuron", None, Values::Int(places.iter().map(|(_, neuron)| *neuron).collect())),
        Column::new("contribution", None, Values::Float(order.iter().map(|at| contributions[*at]).collect())),
    ];
    Table::new("neurons", columns)
}

/// What people have to know before they trust the numbers.
fn summary(analysis: &DirectLogitAttribution, layout: &Layout, found: &Conclusions) -> Map<String, Value> {
    let sums = &analysis.sums;
    let names = names(layout);
    let strongest = strongest(&found.means, STRONGEST);
    let strongest =
        strongest.iter().map(|part| json!({ "part": names[*part].0, "contribution": found.means[*part] }));
    let heads = (0..layout.layers).map(|layer| found.heads(layout, layer).len()).sum::<usize>();
    let summary = json!({
        "texts": sums.texts,
        "positions": sums.positions,
        "answers": sums.answers,
        "answers_without_wrong": sums.without_wrong,
        "tokens_of": layout.sequence.name(),
        "logit": found.logit,
        "soft_cap": layout.soft_capped(),
        "layers": layout.layers,
        "heads": heads,
        "parts": found.means.iter().skip(SINGLE).filter(|x| x.is_finite()).count(),
        "error": sums.error,
        "relative_error": sums.relative_error,
        "strongest": strongest.collect::<Vec<_>>(),
        "left_out": layout.left_out,
        "warnings": found.warnings,
    });
    summary.as_object().cloned().unwrap_or_default()
}
