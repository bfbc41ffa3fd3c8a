//! What was kept as tensors, with the tokens that they are of.

use fmrai_core::analyzer::AnalyzerError;
use fmrai_core::report::{Column, NamedTensor, Report, Table, Values};
use fmrai_core::tensor::TensorValue;
use serde_json::{Map, json};

use super::config::AttentionViewConfig;
use super::figures::figures;
use super::kept::{Kept, Text};
use crate::attention::{HeadLayout, LeftOut};

/// The texts that fit into what may be kept, those with the smallest numbers; at least one.
fn fitting<'k>(config: &AttentionViewConfig, kept: &'k Kept) -> Vec<(u64, &'k Text)> {
    let mut left = config.max_values;
    let mut fitting = Vec::new();
    for (id, text) in &kept.texts {
        if text.attention.len() > left && !fitting.is_empty() {
            break;
        }
        left = left.saturating_sub(text.attention.len());
        fitting.push((*id, text));
    }
    fitting
}

pub(super) fn report(
    config: &AttentionViewConfig,
    layout: &HeadLayout,
    kept: &Kept,
) -> Result<Report, AnalyzerError> {
    let other = |error: &dyn std::fmt::Display| AnalyzerError::Other(error.to_string());
    let texts = fitting(config, kept);
    let mut tensors = Vec::new();
    for (id, text) in &texts {
        let n = text.positions();
        let (layers, widest) = (layout.all_layers(), layout.widest());
        let mut values = vec![f32::NAN; layers * widest * n * n];
        for (head, (layer, within)) in layout.iter().enumerate() {
            let from = (layer * widest + within) * n * n;
            values[from..from + n * n].copy_from_slice(&text.attention[head * n * n..(head + 1) * n * n]);
        }
        let value = TensorValue::new([layers, widest, n, n], values.into()).map_err(|e| other(&e))?;
        tensors.push(NamedTensor::new(
            &format!("attention.{id}"),
            &["layer", "head", "query", "key"],
            None,
            value,
        ));
    }
    let mut summary = Map::new();
    summary.insert("layers".to_owned(), json!(layout.all_layers()));
    summary.insert("heads".to_owned(), json!(layout.heads()));
    summary.insert("texts".to_owned(), json!(texts.iter().map(|(id, _)| id).collect::<Vec<_>>()));
    let cut: Vec<u64> =
        texts.iter().filter(|(_, text)| text.positions() < text.of).map(|(id, _)| *id).collect();
    summary.insert("cut_texts".to_owned(), json!(cut));
    summary.insert("left_out_texts".to_owned(), json!(kept.texts.len() - texts.len()));
    if !layout.left_out().is_empty() {
        let left_out = layout.left_out().iter().map(LeftOut::to_json).collect();
        summary.insert("left_out".to_owned(), left_out);
    }
    if texts.is_empty() {
        summary.insert(
            "warnings".to_owned(),
            json!(["no text of the data was chosen, so there is nothing to look at"]),
        );
    }
    let tables = vec![tokens(&texts).map_err(|e| other(&e))?, lengths(&texts).map_err(|e| other(&e))?];
    Ok(Report { summary, tables, tensors, figures: figures(layout, &texts), ..Report::default() }
        .with_gaps(&["attention.*"]))
}

/// A row for each token that is kept.
fn tokens(texts: &[(u64, &Text)]) -> Result<Table, fmrai_core::report::TableError> {
    let (mut numbers, mut positions, mut ids, mut shown) = (vec![], vec![], vec![], vec![]);
    for (id, text) in texts {
        for (position, piece) in text.shown.iter().enumerate() {
            numbers.push(*id as i64);
            positions.push(position as i64);
            ids.push(text.tokens.get(position).map_or(-1, |id| i64::from(*id)));
            shown.push(piece.clone());
        }
    }
    Table::new(
        "tokens",
        vec![
            Column::new("text", None, Values::Int(numbers)),
            Column::new("position", None, Values::Int(positions)),
            Column::new("token", None, Values::Int(ids)),
            Column::new("shown", None, Values::Text(shown)),
        ],
    )
}

/// A row for each text.
fn lengths(texts: &[(u64, &Text)]) -> Result<Table, fmrai_core::report::TableError> {
    let column = |name: &str, of: &dyn Fn(&(u64, &Text)) -> i64| {
        Column::new(name, None, Values::Int(texts.iter().map(of).collect()))
    };
    Table::new(
        "texts",
        vec![
            column("text", &|(id, _)| *id as i64),
            column("kept_tokens", &|(_, text)| text.positions() as i64),
            column("tokens", &|(_, text)| text.of as i64),
        ],
    )
}
