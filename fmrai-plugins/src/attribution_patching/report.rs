//! The report of the analysis.

use fmrai_core::analyzer::AnalyzerError;
use fmrai_core::report::Report;
use serde_json::json;

use super::attributed::Attributed;
use super::config::AttributionPatchingConfig;
use crate::activation_patching::Direction;
use crate::patching::Totals;
use crate::sites::{Cells, Moments, Quantity, SiteChoice};
use crate::statistics::rank_correlation;

pub(super) fn report(
    config: &AttributionPatchingConfig,
    found: &[Attributed],
    totals: &Totals,
) -> Result<Report, AnalyzerError> {
    totals.enough()?;
    let quantity = |name, title| Quantity { name, title, unit: None };
    let share = quantity("attribution", "estimated share recovered");
    let change =
        Quantity { name: "change", title: "estimated change of the metric", unit: config.metric.unit() };
    let run = match config.direction {
        Direction::Denoise => "corrupted run, times what the clean run has more",
        Direction::Noise => "clean run, times what the corrupted run has more",
    };
    let steps = match config.steps {
        0 => String::new(),
        steps => format!(", the mean over {steps} steps between the embeddings of the two texts"),
    };
    let caption = format!(
        "Gradient of the {} on the {run}{steps}, as a share of the difference between both runs; mean of {} pairs.",
        config.metric.title(),
        totals.clean.count
    );
    let mut report = Report::default();
    totals.tensors(config.metric, &mut report)?;
    let mut agreement = serde_json::Map::new();
    for Attributed { sites, corrected, exact } in found {
        let map = &sites.map;
        report.tensors.push(map.tensor(share, &map.cells)?);
        report.tensors.push(map.tensor(change, &sites.raw)?);
        report.tables.push(map.table(share, &map.cells)?);
        report.figures.push(map.figure(share, &map.cells, &caption));
        if let Some(corrected) = corrected {
            let quantity = quantity("corrected", "estimated share recovered");
            report.tensors.push(map.tensor(quantity, corrected)?);
            let mut figure = map.figure(quantity, corrected, &caption);
            figure.title.push_str(", softmax computed anew");
            report.figures.push(figure);
        }
        if let Some(exact) = exact {
            report.tensors.push(map.tensor(quantity("exact", "change by patching, as a share"), exact)?);
            let mut of_site = json!({ "attribution": correlation(&map.cells, exact)? });
            if let Some(corrected) = corrected {
                of_site["corrected"] = json!(correlation(corrected, exact)?);
            }
            agreement.insert(map.choice.to_string(), of_site);
        }
    }
    report.summary.insert("metric".to_owned(), json!(config.metric));
    report.summary.insert("direction".to_owned(), json!(config.direction));
    let choices: Vec<SiteChoice> = found.iter().map(|found| found.sites.map.choice).collect();
    totals.summary(&mut report.summary, &choices);
    let strongest = found.iter().map(|found| (found.sites.map.choice.to_string(), found.sites.strongest()));
    report.summary.insert("strongest".to_owned(), strongest.collect::<serde_json::Map<_, _>>().into());
    if config.exact {
        report.summary.insert("rank_correlation_with_exact".to_owned(), agreement.into());
    }
    // Cells that no pair has.
    Ok(report.with_gaps(&["attribution.*", "change.*", "corrected.*", "exact.*", "attribution_*"]))
}

/// Spearman's rank correlation of the means of the cells that both know.
fn correlation(one: &Cells, other: &Cells) -> Result<Option<f64>, AnalyzerError> {
    let (one, other) = (one.means(Moments::mean)?, other.means(Moments::mean)?);
    let both = one.f64()?.iter().zip(other.f64()?).filter(|(a, b)| a.is_finite() && b.is_finite());
    let (a, b): (Vec<f64>, Vec<f64>) = both.map(|(a, b)| (*a, *b)).unzip();
    Ok(rank_correlation(&a, &b))
}
