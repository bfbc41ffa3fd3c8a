//! The report of the analysis.

use fmrai_core::analyzer::AnalyzerError;
use fmrai_core::report::{Column as TableColumn, NamedTensor, Report, Table, Values};
use serde_json::{Value, json};

use super::config::PathPatchingConfig;
use super::found::{Found, Part};
use crate::activation_patching::Direction;
use crate::patching::Totals;
use crate::sites::{Cells, Column, Moments, Quantity};

/// Senders named in the summary.
const STRONGEST: usize = 10;

pub(super) fn report(
    config: &PathPatchingConfig,
    found: &Found,
    totals: &Totals,
) -> Result<Report, AnalyzerError> {
    totals.enough()?;
    let mut report = Report::default();
    totals.tensors(config.metric, &mut report)?;
    let unit = config.metric.unit();
    for part in found.parts() {
        let axes: &[&str] = match &part.map {
            None => &[],
            Some(map) => map.choice.by.axes(),
        };
        let each =
            [("patched", unit, &part.patched), ("effect", unit, &part.effect), ("share", None, &part.share)];
        for (name, unit, cells) in each {
            let value = cells.means(Moments::mean)?;
            report.tensors.push(NamedTensor::new(&format!("{name}.{}", part.name), axes, unit, value));
        }
    }
    let senders = senders(found);
    report.tables.push(table(&senders, unit)?);
    let receivers: Vec<String> = config.receivers.iter().map(ToString::to_string).collect();
    let quantity = Quantity { name: "effect", title: "change", unit };
    let caption = caption(config, &receivers, totals);
    for part in &found.kinds {
        if let Some(map) = &part.map {
            let mut figure = map.figure(quantity, &part.effect, &caption);
            figure.name = format!("effect_{}", part.name);
            figure.title = format!(
                "Direct effect of each {} on the {}: change of the {}",
                part.name,
                receivers.join(", "),
                config.metric.title()
            );
            report.figures.push(figure);
        }
    }
    let summary = &mut report.summary;
    summary.insert("metric".to_owned(), json!(config.metric));
    summary.insert("direction".to_owned(), json!(config.direction));
    summary.insert("receivers".to_owned(), json!(receivers));
    summary.insert("through_ffn".to_owned(), json!(config.through_ffn));
    totals.summary(summary, &[]);
    summary.remove("sites");
    let all = found.all.share.at(0, &Column::All).mean();
    summary.insert("share_of_all_senders".to_owned(), json!(all.is_finite().then_some(all)));
    summary.insert("strongest".to_owned(), strongest(senders));
    Ok(report.with_gaps(&["patched.*", "effect.*", "share.*", "senders"]))
}

fn caption(config: &PathPatchingConfig, receivers: &[String], totals: &Totals) -> String {
    let [runs, other] = match config.direction {
        Direction::Noise => ["clean", "corrupted"],
        Direction::Denoise => ["corrupted", "clean"],
    };
    let ffn = if config.through_ffn { "All heads" } else { "All heads and feed-forward blocks" };
    let way = if config.through_ffn { ", which it may reach through feed-forward blocks" } else { "" };
    format!(
        "The {runs} text runs with the output that one sender has in the {other} text, as far as this reaches the {} directly{way}. {ffn} on the way are \
         kept as they are in the {runs} text. Mean of {} pairs; {} of the clean text {:.3}, of the corrupted text {:.3}.",
        receivers.join(", "),
        totals.clean.count,
        config.metric.title(),
        totals.clean.mean(),
        totals.corrupted.mean()
    )
}

/// A sender with its numbers.
struct Row {
    kind: &'static str,
    layer: Option<usize>,
    head: Option<usize>,
    patched: Moments,
    effect: Moments,
    share: Moments,
}

fn senders(found: &Found) -> Vec<Row> {
    let mut rows = Vec::new();
    for part in &found.kinds {
        let mut push = |cell: usize, layer: Option<usize>, head: Option<usize>| {
            let at = |cells: &Cells| cells.at(cell, &Column::All);
            let Part { name: kind, patched, effect, share, .. } = part;
            rows.push(Row { kind, layer, head, patched: at(patched), effect: at(effect), share: at(share) });
        };
        match &part.map {
            None => push(0, None, None),
            Some(map) => {
                for site in &map.sites {
                    for at in 0..site.heads.len() {
                        let head = map.choice.by.heads().then_some(at);
                        push(map.cell(site.layer, head), Some(site.layer), head);
                    }
                }
            }
        }
    }
    rows
}

fn table(rows: &[Row], unit: Option<&str>) -> Result<Table, AnalyzerError> {
    let whole = |of: fn(&Row) -> Option<usize>| {
        // Absent places are written as -1, since a column of integers has no gaps.
        let number = |row: &Row| of(row).and_then(|n| i64::try_from(n).ok()).unwrap_or(-1);
        Values::Int(rows.iter().map(number).collect())
    };
    let number = |of: fn(&Row) -> f64| Values::Float(rows.iter().map(of).collect());
    Ok(Table::new(
        "senders",
        vec![
            TableColumn::new(
                "sender",
                None,
                Values::Text(rows.iter().map(|row| row.kind.to_owned()).collect()),
            ),
            TableColumn::new("layer", None, whole(|row| row.layer)),
            TableColumn::new("head", None, whole(|row| row.head)),
            TableColumn::new("patched", unit, number(|row| row.patched.mean())),
            TableColumn::new("effect", unit, number(|row| row.effect.mean())),
            TableColumn::new("standard_error", unit, number(|row| row.effect.standard_error())),
            TableColumn::new("share", None, number(|row| row.share.mean())),
        ],
    )?)
}

fn strongest(mut rows: Vec<Row>) -> Value {
    let size = |row: &Row| row.effect.mean().abs();
    rows.retain(|row| size(row).is_finite());
    rows.sort_by(|a, b| size(b).total_cmp(&size(a)));
    rows.truncate(STRONGEST);
    rows.into_iter()
        .map(|row| {
            let mut told = json!({ "sender": row.kind, "effect": row.effect.mean() });
            if let Some(layer) = row.layer {
                told["layer"] = json!(layer);
            }
            if let Some(head) = row.head {
                told["head"] = json!(head);
            }
            told
        })
        .collect()
}
