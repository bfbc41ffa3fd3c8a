//! The report of the analysis.

mod cards;
mod figures;
mod questions;
mod relations;
mod store;
mod summary;
mod tensors;
mod warnings;

use fmrai_core::analyzer::AnalyzerError;
use fmrai_core::report::{Report, Store};

use super::analysis::FfnKeyValue;
use super::conclusions::Conclusions;
use super::statistics::Statistics;

/// Neurons that a layer lacks, moments and ranks of too few numbers, targets that are none, bins without values.
const GAPS: [&str; 13] = [
    "mean",
    "variance",
    "skewness",
    "active_share",
    "z",
    "triggers.*",
    "layers.agreement_rate",
    "layers.rank_*",
    "layers.unigram_chance",
    "neurons.skewness",
    "neurons.z",
    "agreement.next_probability",
    "probability_bins.agreement_rate",
];

pub(super) fn report(analysis: &FfnKeyValue) -> Result<Report, AnalyzerError> {
    if analysis.memories.positions.iter().all(|n| *n == 0) {
        return Err(AnalyzerError::NotEnoughData {
            found: "no position was looked at".to_owned(),
            needed: "at least one text".to_owned(),
        });
    }
    let all = Statistics::of(analysis);
    let (conclusions, left_out) = match Conclusions::of(analysis) {
        Ok(conclusions) => (Some(conclusions), None),
        Err(reason) => (None, Some(reason)),
    };
    let known = conclusions.as_ref();
    let mut tables = vec![
        relations::layers(analysis, &all, known)?,
        relations::neurons(&analysis.layout, &all)?,
        relations::triggers(analysis, 1)?,
    ];
    if let Some(known) = known {
        tables.push(relations::agreement(analysis, known)?);
        tables.push(relations::bins(known)?);
        if !known.composition.is_empty() {
            tables.push(relations::composition(&analysis.layout, known)?);
        }
        tables.push(relations::most_predictive(analysis, known)?);
    }
    let report = Report {
        summary: summary::summary(analysis, &all, known, left_out.as_deref()),
        tables,
        tensors: tensors::tensors(analysis, &all, known),
        figures: figures::figures(analysis, &all, known),
        store: Some(store::store(analysis, &all, known)?),
        ..Report::default()
    };
    Ok(report.with_gaps(&GAPS))
}

/// The store without what needs the weights; `None` as long as nothing was looked at.
pub(super) fn interim(analysis: &FfnKeyValue) -> Result<Option<Store>, AnalyzerError> {
    if analysis.memories.positions.iter().all(|n| *n == 0) {
        return Ok(None);
    }
    let all = Statistics::of(analysis);
    Ok(Some(store::store(analysis, &all, None)?))
}
