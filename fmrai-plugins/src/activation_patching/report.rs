//! The report of the analysis.

use fmrai_core::analyzer::AnalyzerError;
use fmrai_core::report::Report;
use serde_json::json;

use super::config::{ActivationPatchingConfig, Corruption, Direction};
use crate::patching::{Patched, Totals};
use crate::sites::{Quantity, capital};

pub(super) fn report(
    config: &ActivationPatchingConfig,
    patched: &[Patched],
    totals: &Totals,
) -> Result<Report, AnalyzerError> {
    totals.enough()?;
    let recovered = Quantity { name: "recovered", title: "share recovered", unit: None };
    let raw = Quantity { name: "patched", title: config.metric.title(), unit: config.metric.unit() };
    let how = match (&config.corruption, config.direction) {
        (Corruption::Gaussian { samples, mark, .. }, _) => {
            format!(
                "the text with noise on the tokens of {mark:?} ({samples} draws) runs with activations of the text without it"
            )
        }
        (Corruption::Data, Direction::Denoise) => {
            "the corrupted text runs with activations of the clean one".to_owned()
        }
        (Corruption::Data, Direction::Noise) => {
            "the clean text runs with activations of the corrupted one".to_owned()
        }
    };
    let window = if config.window > 1 {
        format!(" {} neighbouring layers are patched together.", config.window)
    } else {
        String::new()
    };
    let caption = format!(
        "{}: 0 is the corrupted run, 1 the clean one, by {}; mean of {} pairs.{window}",
        capital(&how),
        config.metric.title(),
        totals.clean.count
    );
    let mut report = Report::default();
    totals.tensors(config.metric, &mut report)?;
    for site in patched {
        report.tensors.push(site.map.tensor(recovered, &site.map.cells)?);
        report.tensors.push(site.map.tensor(raw, &site.raw)?);
        report.tables.push(site.map.table(recovered, &site.map.cells)?);
        report.figures.push(site.map.figure(recovered, &site.map.cells, &caption));
    }
    let strongest = patched.iter().map(|site| (site.map.choice.to_string(), site.strongest()));
    report.summary.insert("metric".to_owned(), json!(config.metric));
    report.summary.insert("direction".to_owned(), json!(config.direction));
    let sites: Vec<_> = patched.iter().map(|site| site.map.choice).collect();
    totals.summary(&mut report.summary, &sites);
    report.summary.insert("strongest".to_owned(), strongest.collect::<serde_json::Map<_, _>>().into());
    // Cells that no pair has.
    Ok(report.with_gaps(&["recovered.*", "patched.*", "recovered_*"]))
}
