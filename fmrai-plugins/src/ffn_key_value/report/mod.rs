//! The report of the analysis.

mod tables;

use fmrai_core::analyzer::AnalyzerError;
use fmrai_core::report::{Report, TableError};
use serde_json::{Map, Value, json};

use super::FfnKeyValue;

pub(super) fn report(analysis: &FfnKeyValue) -> Result<Report, AnalyzerError> {
    if analysis.memories.positions.iter().all(|n| *n == 0) {
        return Err(AnalyzerError::NotEnoughData {
            found: "no position was looked at".to_owned(),
            needed: "at least one text".to_owned(),
        });
    }
    let broken = |e: TableError| AnalyzerError::Other(e.to_string());
    Ok(Report {
        summary: summary(analysis),
        tables: vec![tables::neurons(analysis).map_err(broken)?],
        tensors: Vec::new(),
        figures: Vec::new(),
    })
}

fn summary(analysis: &FfnKeyValue) -> Map<String, Value> {
    let FfnKeyValue { layout, memories, .. } = analysis;
    let mut summary = Map::new();
    summary.insert("texts".to_owned(), json!(memories.seen));
    summary.insert("positions".to_owned(), json!(memories.positions));
    summary.insert("layers".to_owned(), json!(layout.blocks.len()));
    summary.insert("neurons".to_owned(), json!(layout.neurons()));
    summary
}
