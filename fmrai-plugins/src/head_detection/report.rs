//! The report of the analysis.

use fmrai_core::analyzer::AnalyzerError;
use fmrai_core::report::{Column, NamedTensor, Report, Table, Values};
use fmrai_core::tensor::TensorValue;
use serde_json::{Map, Value, json};

use super::analysis::HeadDetection;
use super::composition::{self, Edge, Expected, Kind};
use super::config::Score;
use super::copying;
use super::figures;
use super::scores::Scores;
use crate::attention::{HeadLayout, LeftOut, head_columns};

/// Multiplications that composition may take without being asked for by name: minutes.
const AFFORDABLE: f64 = 4e12;

/// Edges in the table, for each kind.
const EDGES: usize = 50;

/// Heads that the summary names for each score.
const STRONGEST: usize = 5;

/// What is computed of the weights.
#[derive(Debug, Default)]
struct OfWeights {
    copying: Option<Vec<f64>>,
    edges: Vec<Edge>,
    /// What was subtracted from the edges, on average.
    baseline: Option<f64>,
}

pub(super) fn report(analysis: &HeadDetection) -> Result<Report, AnalyzerError> {
    let mut lacking = analysis.lacking.clone();
    let layout = &analysis.layout;
    let mut all: Vec<Scores> = Vec::new();
    if analysis.config.has(Score::Data) {
        if analysis.data.texts() == 0.0 && analysis.repeated.is_none() {
            return Err(AnalyzerError::NotEnoughData {
                found: "no text of two tokens".to_owned(),
                needed: "at least one".to_owned(),
            });
        }
        all.extend(analysis.data.scores().map(|(name, values)| Scores { name: name.to_owned(), values }));
    }
    if let (Some(Ok(repeated)), true) = (&analysis.repeated, analysis.config.has(Score::Repeated)) {
        let scores = repeated.sums.scores();
        all.extend(scores.map(|(name, values)| Scores { name: format!("repeated.{name}"), values }));
    }
    if let Some(Ok(prefix)) = &analysis.prefix {
        all.push(Scores { name: "prefix_matching".to_owned(), values: prefix.scores() });
    }
    for (name, reason) in [
        ("repeated", analysis.repeated.as_ref().and_then(|once| once.as_ref().err())),
        ("prefix_matching", analysis.prefix.as_ref().and_then(|once| once.as_ref().err())),
    ] {
        lacking.extend(reason.map(|reason| format!("{name}: {reason}")));
    }
    let weights = of_weights(analysis, &mut lacking);
    if let Some(values) = weights.copying {
        all.push(Scores { name: "copying".to_owned(), values });
    }
    let mut report = Report::default();
    for scores in &all {
        report.gaps.push(scores.name.clone());
        let value = layout.by_layer(&scores.values);
        report
            .tensors
            .extend(value.map(|value| NamedTensor::new(&scores.name, &["layer", "head"], None, value)));
    }
    report.tables.push(heads(layout, &all)?);
    report.figures.extend(figures::scores(layout, &all, &told(analysis)));
    if !weights.edges.is_empty() {
        report.tensors.extend(compositions(layout, &weights.edges)?);
        if let Some(baseline) = weights.baseline {
            let value = TensorValue::new([], vec![baseline].into())?;
            report.tensors.push(NamedTensor::new("composition.baseline", &[], None, value));
        }
        report.tables.push(strongest_edges(&weights.edges)?);
        report.figures.push(figures::composition(layout, &weights.edges, weights.baseline));
    }
    learning(analysis, &mut report)?;
    if let Some(Ok(repeated)) = &analysis.repeated {
        let length = repeated.ids.first().map_or(0, Vec::len);
        let ids = repeated.ids.iter().flatten().map(|id| i64::from(*id)).collect::<Vec<_>>();
        let value = TensorValue::new([repeated.ids.len(), length], ids.into())?;
        report.tensors.push(NamedTensor::new("repeated.ids", &["row", "token"], None, value));
    }
    summary(analysis, &all, &lacking, &mut report.summary);
    Ok(report.with_gaps(&["heads", "composition.*"]))
}

/// Over which data the scores are.
fn told(analysis: &HeadDetection) -> String {
    let mut told = Vec::new();
    if analysis.config.has(Score::Data) {
        let (texts, repeats) = (analysis.data.texts(), analysis.data.repeats());
        told.push(format!(
            "On the data: {texts} texts, {repeats} tokens that have occurred before in their text."
        ));
    }
    if let (Some(Ok(repeated)), true) = (&analysis.repeated, analysis.config.has(Score::Repeated)) {
        let (rows, length) = (repeated.ids.len(), repeated.ids.first().map_or(0, Vec::len));
        told.push(format!("Repeated: {rows} rows of {length} tokens."));
    }
    told.join(" ")
}

fn of_weights(analysis: &HeadDetection, lacking: &mut Vec<String>) -> OfWeights {
    let mut found = OfWeights::default();
    let copies = analysis.config.has(Score::Copying);
    let mut composes = analysis.config.has(Score::Composition);
    if !copies && !composes {
        return found;
    }
    let cost = composition::cost(&analysis.places.sizes());
    if composes && cost > AFFORDABLE && !analysis.config.insists(Score::Composition) {
        composes = false;
        lacking.push(format!(
            "composition: it takes {cost:.0e} multiplications; name it in `scores` to have it all the same"
        ));
    }
    let Some(weights) = &analysis.weights else {
        lacking.push("copying and composition: no weights are at hand".to_owned());
        return found;
    };
    let layers = analysis.places.layers(&**weights, composes);
    if copies {
        match analysis.places.vocabulary(&**weights) {
            Ok((map, table)) => {
                let inner = copying::through_vocabulary(&map, table.as_ref().unwrap_or(&map));
                drop((map, table));
                let mut values = vec![f64::NAN; analysis.layout.heads()];
                for layer in &layers {
                    let scores = match (&layer.value, &layer.output) {
                        (Ok(value), Ok(output)) => copying::scores(value, output, &inner),
                        (Err(reason), _) | (_, Err(reason)) => Err(reason.clone()),
                    };
                    let first =
                        analysis.layout.layers().iter().find(|l| l.layer == layer.layer).map(|l| l.first);
                    match (scores, first) {
                        (Ok(scores), Some(first)) => {
                            values
                                .iter_mut()
                                .skip(first)
                                .zip(scores)
                                .for_each(|(value, score)| *value = score);
                        }
                        (Err(reason), _) => {
                            lacking.push(format!("copying of layer {}: {reason}", layer.layer));
                        }
                        (Ok(_), None) => {}
                    }
                }
                found.copying = values.iter().any(|x| x.is_finite()).then_some(values);
            }
            Err(reason) => lacking.push(format!("copying: {reason}")),
        }
    }
    if composes {
        let mut reasons = Vec::new();
        found.edges = composition::edges(&layers, &mut reasons);
        lacking.extend(reasons.into_iter().map(|reason| format!("composition of {reason}")));
        let baseline = &analysis.config.baseline;
        if baseline.draws > 0 && !found.edges.is_empty() {
            let mut expected = Expected::default();
            let mut sum = 0.0;
            for edge in &mut found.edges {
                let of = |layer: usize| layers.iter().find(|weights| weights.layer == layer);
                let writes = of(edge.from[0]).and_then(|weights| weights.output.as_ref().ok());
                let reads = of(edge.to[0]).and_then(|weights| {
                    if edge.kind == Kind::Value {
                        weights.value.as_ref().ok()
                    } else {
                        weights.query.as_ref().ok()
                    }
                });
                let (Some(writes), Some(reads)) = (writes, reads) else { continue };
                let by = expected.of([writes.all.nrows(), writes.width(), reads.width()], baseline);
                edge.value -= by;
                sum += by;
            }
            found.baseline = Some(sum / found.edges.len() as f64);
        }
    }
    found
}

fn heads(layout: &HeadLayout, all: &[Scores]) -> Result<Table, AnalyzerError> {
    let mut columns = head_columns(layout);
    columns.extend(
        all.iter().map(|scores| Column::new(&scores.name, None, Values::Float(scores.values.clone()))),
    );
    Ok(Table::new("heads", columns)?)
}

/// `[writing layer, head, reading layer, head]` of each kind.
fn compositions(layout: &HeadLayout, edges: &[Edge]) -> Result<Vec<NamedTensor>, AnalyzerError> {
    let (layers, widest) = (layout.all_layers(), layout.widest());
    let count = layers * widest;
    let known: Vec<bool> = {
        let mut known = vec![false; count];
        layout.iter().for_each(|(layer, head)| known[layer * widest + head] = true);
        known
    };
    let mut tensors = Vec::new();
    for kind in Kind::ALL {
        let own = || edges.iter().filter(|edge| edge.kind == kind);
        if own().next().is_none() {
            continue;
        }
        let both = |from: usize, to: usize| if known[from] && known[to] { 0.0 } else { f64::NAN };
        let mut values: Vec<f64> = (0..count)
            .flat_map(|from| (0..count).map(move |to| (from, to)))
            .map(|(f, t)| both(f, t))
            .collect();
        for edge in own() {
            let [from, to] = [edge.from, edge.to].map(|[layer, head]| layer * widest + head);
            values[from * count + to] = edge.value;
        }
        let axes = ["writing_layer", "writing_head", "reading_layer", "reading_head"];
        let value = TensorValue::new([layers, widest, layers, widest], values.into())?;
        tensors.push(NamedTensor::new(&format!("composition.{}", kind.name()), &axes, None, value));
    }
    Ok(tensors)
}

/// The edges of each kind with the largest values, one after the other.
pub(super) fn strongest(edges: &[Edge], kind: Kind, most: usize) -> Vec<&Edge> {
    let mut own: Vec<&Edge> = edges.iter().filter(|e| e.kind == kind && e.value.is_finite()).collect();
    own.sort_by(|a, b| b.value.total_cmp(&a.value).then_with(|| (a.from, a.to).cmp(&(b.from, b.to))));
    own.truncate(most);
    own
}

fn strongest_edges(edges: &[Edge]) -> Result<Table, AnalyzerError> {
    let own: Vec<&Edge> = Kind::ALL.iter().flat_map(|kind| strongest(edges, *kind, EDGES)).collect();
    let integers = |of: &dyn Fn(&Edge) -> usize| {
        Values::Int(own.iter().map(|edge| i64::try_from(of(edge)).unwrap_or(i64::MAX)).collect())
    };
    let columns = vec![
        Column::new("kind", None, Values::Text(own.iter().map(|edge| edge.kind.name().to_owned()).collect())),
        Column::new("writing_layer", None, integers(&|edge| edge.from[0])),
        Column::new("writing_head", None, integers(&|edge| edge.from[1])),
        Column::new("reading_layer", None, integers(&|edge| edge.to[0])),
        Column::new("reading_head", None, integers(&|edge| edge.to[1])),
        Column::new("composition", None, Values::Float(own.iter().map(|edge| edge.value).collect())),
    ];
    Ok(Table::new("composition", columns)?)
}

fn learning(analysis: &HeadDetection, report: &mut Report) -> Result<(), AnalyzerError> {
    let repeated =
        analysis.repeated.as_ref().and_then(|once| once.as_ref().ok()).map(|repeated| repeated.learning);
    for (name, moments) in
        [("in_context_learning", Some(analysis.learning)), ("repeated.in_context_learning", repeated)]
    {
        let Some(moments) = moments.filter(|moments| moments.count > 0.0) else { continue };
        let value = TensorValue::new([], vec![moments.mean()].into())?;
        report.tensors.push(NamedTensor::new(name, &[], Some("nats"), value));
        let told = json!({
            "nats": moments.mean(), "standard_error": known(moments.standard_error()), "texts": moments.count,
        });
        report.summary.insert(name.to_owned(), told);
    }
    Ok(())
}

/// A number, `null` where there is none.
fn known(x: f64) -> Option<f64> {
    x.is_finite().then_some(x)
}

fn summary(analysis: &HeadDetection, all: &[Scores], lacking: &[String], into: &mut Map<String, Value>) {
    let labels = analysis.layout.labels();
    let mut strongest = Map::new();
    for scores in all {
        let mut order: Vec<(&String, f64)> =
            labels.iter().zip(scores.values.iter().copied()).filter(|(_, x)| x.is_finite()).collect();
        order.sort_by(|a, b| b.1.total_cmp(&a.1));
        let named = order.into_iter().take(STRONGEST).map(|(label, x)| json!({ "head": label, "score": x }));
        strongest.insert(scores.name.clone(), named.collect());
    }
    into.insert("strongest".to_owned(), strongest.into());
    if analysis.config.has(Score::Data) {
        into.insert("texts".to_owned(), json!(analysis.data.texts()));
        into.insert("queries_with_earlier_equal_token".to_owned(), json!(analysis.data.repeats()));
    }
    if let Some(Ok(repeated)) = &analysis.repeated {
        let tokens = repeated.ids.first().map_or(0, Vec::len);
        into.insert("repeated".to_owned(), json!({ "rows": repeated.ids.len(), "tokens": tokens }));
    }
    if let Some(Ok(prefix)) = &analysis.prefix {
        into.insert("prefix_matching_tokens".to_owned(), json!(prefix.length));
    }
    into.insert("left_out".to_owned(), analysis.layout.left_out().iter().map(LeftOut::to_json).collect());
    into.insert("warnings".to_owned(), json!(lacking));
}
