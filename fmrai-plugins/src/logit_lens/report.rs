//! The report of the analysis.

use fmrai_core::analyzer::AnalyzerError;
use fmrai_core::report::{Column, NamedTensor, Report, Table, TableError, Values};
use fmrai_core::tensor::TensorValue;
use serde_json::{Map, Value, json};

use super::analysis::LogitLens;
use super::config::TextsOf;
use super::figures;
use super::means::{Means, UNITS, means, warnings};
use super::streams::{Place, Streams};
use super::sums::MEASURES;

pub(super) fn report(analysis: &LogitLens, streams: &Streams) -> Result<Report, AnalyzerError> {
    let sums = &analysis.sums;
    if sums.texts == 0 {
        let what = if analysis.config.of == TextsOf::Clean { "clean text of a pair" } else { "text" };
        return Err(AnalyzerError::NotEnoughData {
            found: format!("no {what}"),
            needed: "one or more".to_owned(),
        });
    }
    let means: Vec<Means> = (0..MEASURES.len()).map(|measure| means(analysis, streams, measure)).collect();
    let mut tensors = Vec::new();
    for ((name, unit), means) in MEASURES.iter().zip(UNITS).zip(&means) {
        let value = TensorValue::new([means.layers.len()], means.layers.clone().into());
        let value = value.map_err(|e| AnalyzerError::Other(e.to_string()))?;
        tensors.push(NamedTensor::new(name, &["layer"], unit, value));
        if has_between(streams) {
            let value = TensorValue::new([means.between.len()], means.between.clone().into());
            let value = value.map_err(|e| AnalyzerError::Other(e.to_string()))?;
            tensors.push(NamedTensor::new(&format!("between.{name}"), &["block"], unit, value));
        }
    }
    let gaps = MEASURES.iter().map(|name| (*name).to_owned()).collect();
    Ok(Report {
        gaps,
        summary: summary(analysis, streams),
        tables: vec![layers_table(streams, &means)?, grid_table(analysis)?],
        tensors,
        figures: figures::figures(analysis, streams, &means),
        ..Report::default()
    }
    .with_gaps(&["between.*", "layers"]))
}

fn has_between(streams: &Streams) -> bool {
    streams.at.iter().any(|(place, _)| matches!(place, Place::Between(_)))
}

fn layers_table(streams: &Streams, means: &[Means]) -> Result<Table, TableError> {
    let layers = 0..streams.layers();
    let text =
        |layer| if layer == streams.blocks { "output".to_owned() } else { format!("before block {layer}") };
    let mut columns = vec![
        Column::new("layer", None, Values::Int(layers.clone().map(|layer| layer as i64).collect())),
        Column::new("stream", None, Values::Text(layers.map(text).collect())),
    ];
    for ((name, unit), means) in MEASURES.iter().zip(UNITS).zip(means) {
        columns.push(Column::new(name, unit, Values::Float(means.layers.clone())));
    }
    if has_between(streams) {
        for ((name, unit), means) in MEASURES.iter().zip(UNITS).zip(means) {
            let behind = means.between.iter().copied().chain([f64::NAN]).collect();
            columns.push(Column::new(&format!("{name}_after_attention"), unit, Values::Float(behind)));
        }
    }
    Table::new("layers", columns)
}

fn grid_table(analysis: &LogitLens) -> Result<Table, TableError> {
    let (mut ints, mut texts) = ([(); 5].map(|()| Vec::new()), [(); 2].map(|()| Vec::new()));
    let (mut probabilities, mut entropies) = (Vec::new(), Vec::new());
    for (text, grid) in &analysis.grid.texts {
        for (position, (token, layers)) in grid.tokens.iter().zip(&grid.cells).enumerate() {
            for (layer, cell) in layers.iter().enumerate() {
                for (place, (top, probability)) in cell.top.iter().enumerate() {
                    let row = [*text as i64, position as i64, layer as i64, place as i64, i64::from(*top)];
                    ints.iter_mut().zip(row).for_each(|(column, cell)| column.push(cell));
                    texts[0].push(analysis.surface(*token));
                    texts[1].push(analysis.surface(*top));
                    probabilities.push(*probability);
                    entropies.push(cell.entropy);
                }
            }
        }
    }
    let [text, position, layer, place, token] = ints.map(Values::Int);
    let [stands, read] = texts.map(Values::Text);
    let columns = vec![
        Column::new("text", None, text),
        Column::new("position", None, position),
        Column::new("token", None, stands),
        Column::new("layer", None, layer),
        Column::new("place", None, place),
        Column::new("predicted_id", None, token),
        Column::new("predicted", None, read),
        Column::new("probability", None, Values::Float(probabilities)),
        Column::new("entropy", Some("nats"), Values::Float(entropies)),
    ];
    Table::new("grid", columns)
}

fn summary(analysis: &LogitLens, streams: &Streams) -> Map<String, Value> {
    let sums = &analysis.sums;
    let mut reading = json!({
        "stream": streams.lens.stream(),
        "operations": streams.lens.operations().collect::<Vec<_>>(),
    });
    match streams.lens.logits() {
        Ok(_) => {
            let agreement = sums.agreement;
            reading["positions"] = json!(agreement.positions);
            reading["top_token_agreement"] = json!(agreement.agreeing as f64 / agreement.positions as f64);
            reading["largest_logit_difference"] = json!(agreement.difference);
        }
        Err(reason) => reading["unchecked"] = json!(reason),
    }
    let summary = json!({
        "texts": sums.texts,
        "tokens": sums.tokens,
        "texts_with_target": sums.texts_with_target,
        "targets": sums.targets,
        "blocks": streams.blocks,
        "tokens_of": streams.sequence.name(),
        "of": analysis.config.of,
        "target": streams.target,
        "vocabulary": streams.lens.tokens(),
        "reading": reading,
        "warnings": warnings(analysis, streams),
    });
    summary.as_object().cloned().unwrap_or_default()
}
