//! The report of the analysis.

use fmrai_core::analyzer::AnalyzerError;
use fmrai_core::report::{Column, NamedTensor, Report, Table, Values};
use fmrai_core::tensor::TensorValue;
use serde_json::{Map, Value, json};

use super::analysis::InputAttribution;
use super::config::Method;
use super::figures;
use super::kept::Text;
use super::shown::{methods, share_of_tokens, shares};
use crate::pieces::token;

/// Tokens that the summary names for each method.
const STRONGEST: usize = 3;

pub(super) fn report(analysis: &InputAttribution) -> Result<Report, AnalyzerError> {
    let totals = &analysis.totals;
    if totals.texts == 0.0 {
        return Err(AnalyzerError::NotEnoughData {
            found: "no text that is long enough".to_owned(),
            needed: "at least one".to_owned(),
        });
    }
    let mut report = Report::default();
    tensors(analysis, &mut report)?;
    report.tables.push(tokens(analysis)?);
    report.tables.push(texts(analysis)?);
    report.tables.extend(marks(analysis)?);
    report.figures.extend(figures::passages(analysis));
    report.figures.extend(figures::marks(analysis));
    summary(analysis, &mut report.summary);
    report.gaps.extend(methods(analysis).into_iter().map(|method| method.name().to_owned()));
    Ok(report.with_gaps(&["integrated_gradients.gap", "completeness_error", "tokens", "texts", "marks"]))
}

fn tensors(analysis: &InputAttribution, report: &mut Report) -> Result<(), AnalyzerError> {
    let texts = &analysis.kept.texts;
    let count = texts.len();
    let longest = texts.values().map(|text| text.tokens.len()).max().unwrap_or(0);
    let ids = texts.keys().map(|id| i64::try_from(*id).unwrap_or(i64::MAX)).collect::<Vec<_>>();
    report.tensors.push(NamedTensor::new("text", &["text"], None, TensorValue::new([count], ids.into())?));
    let unit = |method: Method| {
        let of_metric = matches!(method, Method::InputXGradient | Method::IntegratedGradients);
        analysis.config.metric.unit().filter(|_| of_metric)
    };
    for method in methods(analysis) {
        if method == Method::Rollout {
            let mut values = vec![f64::NAN; count * longest * longest];
            for (at, text) in texts.values().enumerate() {
                let length = text.tokens.len();
                for (query, row) in text.numbers.rollout.chunks(length.max(1)).enumerate() {
                    let start = (at * longest + query) * longest;
                    values[start..start + length].copy_from_slice(row);
                }
            }
            let value = TensorValue::new([count, longest, longest], values.into())?;
            report.tensors.push(NamedTensor::new(
                "rollout",
                &["text", "position", "input_position"],
                None,
                value,
            ));
            continue;
        }
        let mut values = vec![f64::NAN; count * longest];
        for (at, text) in texts.values().enumerate() {
            let own = text.numbers.attributions.get(&method).map_or(&[][..], Vec::as_slice);
            values[at * longest..at * longest + own.len()].copy_from_slice(own);
        }
        let value = TensorValue::new([count, longest], values.into())?;
        report.tensors.push(NamedTensor::new(method.name(), &["text", "position"], unit(method), value));
    }
    if analysis.config.methods.contains(&Method::IntegratedGradients) {
        let each = |of: fn(&Text) -> f64| -> Vec<f64> { texts.values().map(of).collect() };
        let unit = analysis.config.metric.unit();
        for (name, unit, values) in [
            ("integrated_gradients.gap", unit, each(|text| text.numbers.gap)),
            ("completeness_error", None, each(|text| text.numbers.error)),
        ] {
            let value = TensorValue::new([count], values.into())?;
            report.tensors.push(NamedTensor::new(name, &["text"], unit, value));
        }
    }
    Ok(())
}

fn integer(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn tokens(analysis: &InputAttribution) -> Result<Table, AnalyzerError> {
    let (mut texts, mut positions, mut ids, mut pieces) = (vec![], vec![], vec![], vec![]);
    for (id, text) in &analysis.kept.texts {
        for (position, (token, piece)) in text.tokens.iter().zip(&text.pieces).enumerate() {
            texts.push(i64::try_from(*id).unwrap_or(i64::MAX));
            positions.push(integer(position));
            ids.push(i64::from(*token));
            pieces.push(piece.clone());
        }
    }
    let mut columns = vec![
        Column::new("text", None, Values::Int(texts)),
        Column::new("position", None, Values::Int(positions)),
        Column::new("token_id", None, Values::Int(ids)),
        Column::new("token", None, Values::Text(pieces)),
    ];
    for method in methods(analysis) {
        let values = analysis.kept.texts.values().flat_map(|text| {
            let own = text.numbers.attributions.get(&method);
            own.cloned().unwrap_or_else(|| vec![f64::NAN; text.tokens.len()])
        });
        columns.push(Column::new(method.name(), None, Values::Float(values.collect())));
    }
    Ok(Table::new("tokens", columns)?)
}

fn texts(analysis: &InputAttribution) -> Result<Table, AnalyzerError> {
    let all = || analysis.kept.texts.values();
    let words = |ids: &[u32]| {
        let words: Vec<String> = ids.iter().map(|id| token(*id, analysis.vocabulary.as_ref())).collect();
        words.join(" | ")
    };
    let ids = analysis.kept.texts.keys().map(|id| i64::try_from(*id).unwrap_or(i64::MAX)).collect();
    let unit = analysis.config.metric.unit();
    let each = |of: fn(&Text) -> f64| Values::Float(all().map(of).collect());
    let mut columns = vec![
        Column::new("text", None, Values::Int(ids)),
        Column::new("tokens", None, Values::Int(all().map(|text| integer(text.tokens.len())).collect())),
        Column::new("answer_position", None, Values::Int(all().map(|text| integer(text.answer)).collect())),
        Column::new("right", None, Values::Text(all().map(|text| words(&text.right)).collect())),
        Column::new("wrong", None, Values::Text(all().map(|text| words(&text.wrong)).collect())),
        Column::new("metric", unit, each(|text| text.numbers.value)),
    ];
    if analysis.config.methods.contains(&Method::IntegratedGradients) {
        columns.push(Column::new("metric_at_baseline", unit, each(|text| text.numbers.at_baseline)));
        columns.push(Column::new("completeness_error", None, each(|text| text.numbers.error)));
        columns.push(Column::new("steps", None, each(|text| text.numbers.steps)));
    }
    Ok(Table::new("texts", columns)?)
}

fn marks(analysis: &InputAttribution) -> Result<Option<Table>, AnalyzerError> {
    let shares = shares(analysis);
    if shares.is_empty() {
        return Ok(None);
    }
    let columns = vec![
        Column::new("mark", None, Values::Text(shares.iter().map(|(mark, ..)| mark.clone()).collect())),
        Column::new(
            "method",
            None,
            Values::Text(shares.iter().map(|(_, method, _)| method.name().to_owned()).collect()),
        ),
        Column::new("share", None, Values::Float(shares.iter().map(|(.., m)| m.mean()).collect())),
        Column::new(
            "standard_error",
            None,
            Values::Float(shares.iter().map(|(.., m)| m.standard_error()).collect()),
        ),
        Column::new(
            "share_of_tokens",
            None,
            Values::Float(shares.iter().map(|(mark, ..)| share_of_tokens(analysis, mark)).collect()),
        ),
        Column::new("texts", None, Values::Int(shares.iter().map(|(.., m)| m.count as i64).collect())),
    ];
    Ok(Some(Table::new("marks", columns)?))
}

fn summary(analysis: &InputAttribution, into: &mut Map<String, Value>) {
    let totals = &analysis.totals;
    let config = &analysis.config;
    into.insert("metric".to_owned(), json!(config.metric));
    into.insert("texts".to_owned(), json!(totals.texts));
    let mean = totals.value.mean();
    into.insert("mean_metric".to_owned(), json!(mean.is_finite().then_some(mean)));
    let mut warnings = analysis.lacking.clone();
    if totals.error.count > 0.0 {
        let error = json!({ "mean": totals.error.mean(), "max": totals.largest_error });
        into.insert("completeness_error".to_owned(), error);
        into.insert("baseline".to_owned(), json!(config.baseline));
        if totals.incomplete > 0.0 {
            warnings.push(format!(
                "integrated gradients of {} of {} texts do not add up to within {} after {} steps: raise max_steps, or take \
                 another baseline",
                totals.incomplete, totals.error.count, config.bound, config.max_steps
            ));
        }
    }
    if totals.short > 0.0 {
        warnings.push(format!("{} texts are too short", totals.short));
    }
    let shares = shares(analysis);
    if !shares.is_empty() {
        let mut by_mark = Map::new();
        for (mark, method, moments) in &shares {
            let entry = by_mark.entry(mark.clone()).or_insert_with(|| json!({}));
            entry[method.name()] = json!(moments.mean());
        }
        into.insert("share_of_marks".to_owned(), by_mark.into());
    }
    if let Some((id, text)) = analysis.kept.texts.first_key_value() {
        into.insert("first_text".to_owned(), json!({ "text": id, "strongest": strongest(analysis, text) }));
    }
    into.insert("warnings".to_owned(), json!(warnings));
}

/// The tokens of a text with the largest magnitudes, by each method.
fn strongest(analysis: &InputAttribution, text: &Text) -> Value {
    let of = |method: Method| {
        let own = text.numbers.attributions.get(&method).map_or(&[][..], Vec::as_slice);
        let mut order: Vec<usize> = (0..own.len()).collect();
        order.sort_by(|a, b| own[*b].abs().total_cmp(&own[*a].abs()));
        let named = order.into_iter().take(STRONGEST);
        let named = named.map(|at| json!({ "position": at, "token": text.pieces[at], "value": own[at] }));
        (method.name().to_owned(), named.collect::<Value>())
    };
    methods(analysis).into_iter().map(of).collect::<Map<_, _>>().into()
}
