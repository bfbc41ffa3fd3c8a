//! The report of the clustering.

use fmrai_core::analyzer::AnalyzerError;
use fmrai_core::report::{Column, NamedTensor, Report, Table, Values};
use fmrai_core::tensor::{TensorData, TensorValue};
use serde_json::{Map, Value, json};

use super::config::AttentionClusteringConfig;
use super::figures;
use super::findings::Findings;
use super::labels::{LABELS, OTHER};
use crate::attention::{
    HeadLayout, PatternSums, Statistic, head_columns, left_out, nothing_seen, rows_left_out, sequences,
    statistic_columns,
};
use crate::statistics::SolverError;
use crate::statistics::clustering::cluster;
use crate::statistics::divergence::full_matrix;
use crate::statistics::mds::{Options, embed};

/// Heads named in a line of findings.
const NAMED: usize = 6;

pub(super) fn report(
    layout: &HeadLayout,
    patterns: &PatternSums,
    (divergences, compared): (&[f64], u64),
    config: &AttentionClusteringConfig,
) -> Result<Report, AnalyzerError> {
    if patterns.texts() == 0 {
        return Err(nothing_seen(layout, patterns));
    }
    if compared == 0 {
        let [rows, left_out] = patterns.rows(0..layout.heads());
        return Err(AnalyzerError::NotEnoughData {
            found: format!(
                "no query for which the rows of all heads sum to 1: {left_out} of {rows} rows do not"
            ),
            needed: "at least one".to_owned(),
        });
    }
    let heads = layout.heads();
    let texts = compared as f64;
    let means: Vec<f64> = divergences.iter().map(|sum| sum / texts).collect();
    let distances = full_matrix(heads, &means);
    let options = Options {
        starts: config.starts,
        max_iterations: config.max_iterations,
        eps: config.eps,
        seed: config.seed,
    };
    let unsolved = |error: SolverError| AnalyzerError::Other(error.to_string());
    let embedding = embed(&distances, heads, &options).map_err(unsolved)?;
    let clusters =
        cluster(&distances, heads, config.clusters, config.max_clusters, config.seed).map_err(unsolved)?;
    let labels = config.thresholds.labels(patterns, layout);
    let asked_for = config.clusters.is_some();
    let findings = Findings { layout, patterns, compared, distances, embedding, clusters, labels, asked_for };
    let members = findings.members();
    let statistics = patterns.known().map(|(statistic, _)| format!("heads.{}", statistic.name()));
    let gaps = statistics.collect();
    Ok(Report {
        gaps,
        summary: summary(&findings, config, &members),
        tables: vec![heads_table(&findings)?, clusters_table(&findings, &members)?],
        tensors: tensors(&findings)?,
        figures: figures::figures(&findings),
        ..Report::default()
    }
    .with_gaps(&["layer_distances", "clusters.distance_within"]))
}

fn tensors(found: &Findings<'_>) -> Result<Vec<NamedTensor>, AnalyzerError> {
    let (heads, layers) = (found.layout.heads(), found.layout.all_layers());
    let ids: Vec<i64> = found.clusters.ids.iter().map(|&c| c as i64).collect();
    let coordinates = found.embedding.coordinates.as_flattened().to_vec();
    let silhouettes = found.clusters.silhouettes.clone();
    let nats = Some("nats");
    let made = |name: &str, axes: &[&str], unit, shape: Vec<usize>, data: TensorData| {
        TensorValue::new(shape, data).map(|value| NamedTensor::new(name, axes, unit, value))
    };
    Ok(vec![
        made("distances", &["head", "head"], nats, vec![heads, heads], found.distances.clone().into())?,
        made("coordinates", &["head", "dimension"], nats, vec![heads, 2], coordinates.into())?,
        made("clusters", &["head"], None, vec![heads], ids.into())?,
        made("silhouette", &["head"], None, vec![heads], silhouettes.into())?,
        made(
            "layer_distances",
            &["layer", "layer"],
            nats,
            vec![layers, layers],
            found.layer_distances().into(),
        )?,
    ])
}

fn heads_table(found: &Findings<'_>) -> Result<Table, AnalyzerError> {
    let axis = |k: usize| Values::Float(found.embedding.coordinates.iter().map(|p| p[k]).collect());
    let known: Vec<(Statistic, Vec<f64>)> = found.patterns.known().collect();
    let mut columns = head_columns(found.layout);
    columns.extend([
        Column::new("x", Some("nats"), axis(0)),
        Column::new("y", Some("nats"), axis(1)),
        Column::new("cluster", None, Values::Int(found.clusters.ids.iter().map(|&c| c as i64).collect())),
        Column::new("silhouette", None, Values::Float(found.clusters.silhouettes.clone())),
        Column::new(
            "pattern",
            None,
            Values::Text(found.labels.iter().map(|&label| label.to_owned()).collect()),
        ),
    ]);
    columns.extend(statistic_columns(&known));
    Ok(Table::new("heads", columns)?)
}

fn clusters_table(found: &Findings<'_>, members: &[Vec<usize>]) -> Result<Table, AnalyzerError> {
    let labels = found.layout.labels();
    let text = |of: &dyn Fn(&[usize]) -> String| Values::Text(members.iter().map(|m| of(m)).collect());
    let float = |of: &dyn Fn(&[usize]) -> f64| Values::Float(members.iter().map(|m| of(m)).collect());
    let silhouette = |m: &[usize]| {
        m.iter().map(|&head| found.clusters.silhouettes[head]).sum::<f64>() / m.len().max(1) as f64
    };
    let named = |m: &[usize]| m.iter().map(|&head| labels[head].as_str()).collect::<Vec<_>>().join(" ");
    let medoid = |m: &[usize]| found.medoid(m).map(|head| labels[head].clone()).unwrap_or_default();
    let columns = vec![
        Column::new("cluster", None, Values::Int((0..members.len() as i64).collect())),
        Column::new("size", None, Values::Int(members.iter().map(|m| m.len() as i64).collect())),
        Column::new("silhouette", None, float(&silhouette)),
        Column::new("medoid", None, text(&medoid)),
        Column::new("distance_within", Some("nats"), float(&|m| found.mean_within(m).unwrap_or(f64::NAN))),
        Column::new("pattern", None, text(&|m| found.dominant_label(m).to_owned())),
        Column::new("members", None, text(&named)),
    ];
    Ok(Table::new("clusters", columns)?)
}

/// How far there are clusters, and the heads with each label.
fn findings(found: &Findings<'_>) -> Value {
    let names = found.layout.labels();
    let labelled = LABELS.into_iter().filter_map(|label| {
        let heads = names.iter().zip(&found.labels).filter(|(_, own)| **own == label);
        let heads: Vec<&str> = heads.map(|(name, _)| name.as_str()).collect();
        let more = heads.len().saturating_sub(NAMED);
        let shown = heads.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        (!heads.is_empty()).then(|| format!("{label}: {shown}{more}"))
    });
    [found.told_clusters()].into_iter().chain(labelled).collect()
}

fn summary(
    found: &Findings<'_>,
    config: &AttentionClusteringConfig,
    members: &[Vec<usize>],
) -> Map<String, Value> {
    let labels = found.layout.labels();
    let heads = found.layout.heads();
    let all: Vec<usize> = (0..heads).collect();
    let counts = LABELS
        .into_iter()
        .chain([OTHER])
        .map(|label| (label.to_owned(), json!(found.labels.iter().filter(|&&l| l == label).count())));
    let clusters = members.iter().enumerate().map(|(id, m)| {
        json!({
            "cluster": id,
            "size": m.len(),
            "medoid": found.medoid(m).map(|head| &labels[head]),
            "pattern": found.dominant_label(m),
            "distance_within": found.mean_within(m),
        })
    });
    let map = &found.embedding;
    let entries = [
        ("findings", findings(found)),
        ("texts", json!(found.compared)),
        ("tokens", json!(found.patterns.tokens())),
        ("layers", json!(found.layout.layers().len())),
        ("heads", json!(heads)),
        ("sequences", sequences(found.layout, found.patterns)),
        ("rows_left_out", rows_left_out(found.layout, found.patterns)),
        ("smoothing", json!(config.smoothing)),
        ("mean_distance", json!(found.mean_within(&all))),
        ("largest_possible_distance", json!(std::f64::consts::LN_2)),
        (
            "map",
            json!({
                "stress": map.stress,
                "normalised_stress": map.normalised_stress,
                "start": map.start,
                "iterations": map.iterations,
                "converged": map.converged,
            }),
        ),
        (
            "clustering",
            json!({
                "clusters": found.clusters.count,
                "asked_for": config.clusters,
                "silhouette": found.silhouette(),
                "apart": found.apart(),
                "dimensions": found.clusters.dimensions,
                "explained": found.clusters.explained,
            }),
        ),
        ("clusters", clusters.collect()),
        ("patterns", Value::Object(counts.collect())),
        ("left_out", left_out(found.layout, |s| found.patterns.mean(s).is_some())),
    ];
    entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}
