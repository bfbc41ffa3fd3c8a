//! The report of the clustering.

use std::fmt::Display;

use fmrai_core::analyzer::AnalyzerError;
use fmrai_core::report::{Column, NamedTensor, Report, Table, Values};
use fmrai_core::tensor::{TensorData, TensorValue};
use serde_json::{Map, Value, json};

use super::labels::{LABELS, OTHER};
use super::{AttentionClusteringConfig, figures};
use crate::attention::{HeadLayout, PatternSums, Statistic};
use crate::attention_patterns::{
    head_columns, left_out, nothing_seen, rows_left_out, sequences, statistic_columns,
};
use crate::statistics::clustering::{Clusters, cluster};
use crate::statistics::divergence::full_matrix;
use crate::statistics::mds::{Embedding, Options, embed};
use crate::statistics::silhouette::mean;

/// Everything that the report shows.
pub(super) struct Findings<'a> {
    pub(super) layout: &'a HeadLayout,
    pub(super) patterns: &'a PatternSums,
    /// Texts in which heads were set against each other.
    compared: u64,
    /// `[head, head]`, row-major.
    pub(super) distances: Vec<f64>,
    pub(super) embedding: Embedding,
    pub(super) clusters: Clusters,
    pub(super) labels: Vec<&'static str>,
}

fn bug(error: impl Display) -> AnalyzerError {
    AnalyzerError::Other(error.to_string())
}

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
    let embedding = embed(&distances, heads, &options).map_err(bug)?;
    let clusters =
        cluster(&distances, heads, config.clusters, config.max_clusters, config.seed).map_err(bug)?;
    let labels = config.thresholds.labels(patterns, layout);
    let findings = Findings { layout, patterns, compared, distances, embedding, clusters, labels };
    let members = findings.members();
    Ok(Report {
        summary: findings.summary(config, &members),
        tables: vec![findings.heads_table()?, findings.clusters_table(&members)?],
        tensors: findings.tensors()?,
        figures: figures::figures(&findings),
        store: None,
    })
}

impl Findings<'_> {
    /// The heads of each cluster, in the order of indices.
    fn members(&self) -> Vec<Vec<usize>> {
        let mut members = vec![Vec::new(); self.clusters.count];
        for (head, &c) in self.clusters.ids.iter().enumerate() {
            members[c].push(head);
        }
        members
    }

    pub(super) fn distance(&self, a: usize, b: usize) -> f64 {
        self.distances[a * self.layout.heads() + b]
    }

    /// The head with the smallest sum of distances to the others of its cluster; of equal ones, the first.
    fn medoid(&self, members: &[usize]) -> Option<usize> {
        let sum = |&a: &usize| members.iter().map(|&b| self.distance(a, b)).sum::<f64>();
        members.iter().copied().min_by(|a, b| sum(a).total_cmp(&sum(b)))
    }

    /// Mean distance over the pairs of different heads; `None` for a single one.
    fn mean_within(&self, members: &[usize]) -> Option<f64> {
        let pairs = members.iter().enumerate().flat_map(|(i, &a)| members[..i].iter().map(move |&b| (a, b)));
        let (sum, count) = pairs.fold((0.0, 0u32), |(s, n), (a, b)| (s + self.distance(a, b), n + 1));
        (count > 0).then(|| sum / f64::from(count))
    }

    /// The most frequent label; of equally frequent ones, the one that Clark et al. try first, `other` last.
    fn dominant_label(&self, members: &[usize]) -> &'static str {
        let count = |label: &str| members.iter().filter(|&&m| self.labels[m] == label).count();
        let best = LABELS.into_iter().chain([OTHER]).rev().max_by_key(|label| count(label));
        best.unwrap_or(OTHER)
    }

    /// Mean distance between the different heads of two layers, `[layer, layer]`; NaN where there are none.
    pub(super) fn layer_distances(&self) -> Vec<f64> {
        let (layers, all) = (self.layout.layers(), self.layout.all_layers());
        let mut means = vec![f64::NAN; all * all];
        for one in layers {
            for other in layers {
                let (mut sum, mut count) = (0.0, 0u32);
                for a in one.first..one.first + one.heads {
                    for b in (other.first..other.first + other.heads).filter(|&b| b != a) {
                        sum += self.distance(a, b);
                        count += 1;
                    }
                }
                means[one.layer * all + other.layer] = sum / f64::from(count);
            }
        }
        means
    }

    fn tensors(&self) -> Result<Vec<NamedTensor>, AnalyzerError> {
        let (heads, layers) = (self.layout.heads(), self.layout.all_layers());
        let value = |shape: Vec<usize>, data| TensorValue::new(shape, data).map_err(bug);
        let ids = self.clusters.ids.iter().map(|&c| c as i64).collect();
        let coordinates = self.embedding.coordinates.as_flattened().to_vec();
        let nats = Some("nats");
        let mut tensors = vec![
            NamedTensor::new(
                "distances",
                &["head", "head"],
                nats,
                value(vec![heads, heads], TensorData::F64(self.distances.clone()))?,
            ),
            NamedTensor::new(
                "coordinates",
                &["head", "dimension"],
                nats,
                value(vec![heads, 2], TensorData::F64(coordinates))?,
            ),
            NamedTensor::new("clusters", &["head"], None, value(vec![heads], TensorData::I64(ids))?),
            NamedTensor::new(
                "silhouette",
                &["head"],
                None,
                value(vec![heads], TensorData::F64(self.clusters.silhouettes.clone()))?,
            ),
        ];
        tensors.push(NamedTensor::new(
            "layer_distances",
            &["layer", "layer"],
            nats,
            value(vec![layers, layers], TensorData::F64(self.layer_distances()))?,
        ));
        Ok(tensors)
    }

    fn heads_table(&self) -> Result<Table, AnalyzerError> {
        let axis = |k: usize| Values::Float(self.embedding.coordinates.iter().map(|p| p[k]).collect());
        let known: Vec<(Statistic, Vec<f64>)> = self.patterns.known().collect();
        let mut columns = head_columns(self.layout);
        columns.extend([
            Column::new("x", Some("nats"), axis(0)),
            Column::new("y", Some("nats"), axis(1)),
            Column::new("cluster", None, Values::Int(self.clusters.ids.iter().map(|&c| c as i64).collect())),
            Column::new("silhouette", None, Values::Float(self.clusters.silhouettes.clone())),
            Column::new(
                "pattern",
                None,
                Values::Text(self.labels.iter().map(|&label| label.to_owned()).collect()),
            ),
        ]);
        columns.extend(statistic_columns(&known));
        Table::new("heads", columns).map_err(bug)
    }

    fn clusters_table(&self, members: &[Vec<usize>]) -> Result<Table, AnalyzerError> {
        let labels = self.layout.labels();
        let text = |of: &dyn Fn(&[usize]) -> String| Values::Text(members.iter().map(|m| of(m)).collect());
        let float = |of: &dyn Fn(&[usize]) -> f64| Values::Float(members.iter().map(|m| of(m)).collect());
        let silhouette = |m: &[usize]| {
            m.iter().map(|&head| self.clusters.silhouettes[head]).sum::<f64>() / m.len().max(1) as f64
        };
        let named = |m: &[usize]| m.iter().map(|&head| labels[head].as_str()).collect::<Vec<_>>().join(" ");
        let medoid = |m: &[usize]| self.medoid(m).map(|head| labels[head].clone()).unwrap_or_default();
        let columns = vec![
            Column::new("cluster", None, Values::Int((0..members.len() as i64).collect())),
            Column::new("size", None, Values::Int(members.iter().map(|m| m.len() as i64).collect())),
            Column::new("silhouette", None, float(&silhouette)),
            Column::new("medoid", None, text(&medoid)),
            Column::new("distance_within", Some("nats"), float(&|m| self.mean_within(m).unwrap_or(f64::NAN))),
            Column::new("pattern", None, text(&|m| self.dominant_label(m).to_owned())),
            Column::new("members", None, text(&named)),
        ];
        Table::new("clusters", columns).map_err(bug)
    }

    fn summary(&self, config: &AttentionClusteringConfig, members: &[Vec<usize>]) -> Map<String, Value> {
        let labels = self.layout.labels();
        let heads = self.layout.heads();
        let all: Vec<usize> = (0..heads).collect();
        let counts = LABELS
            .into_iter()
            .chain([OTHER])
            .map(|label| (label.to_owned(), json!(self.labels.iter().filter(|&&l| l == label).count())));
        let clusters = members.iter().enumerate().map(|(id, m)| {
            json!({
                "cluster": id,
                "size": m.len(),
                "medoid": self.medoid(m).map(|head| &labels[head]),
                "pattern": self.dominant_label(m),
                "distance_within": self.mean_within(m),
            })
        });
        let map = &self.embedding;
        let entries = [
            ("texts", json!(self.compared)),
            ("tokens", json!(self.patterns.tokens())),
            ("layers", json!(self.layout.layers().len())),
            ("heads", json!(heads)),
            ("sequences", sequences(self.layout, self.patterns)),
            ("rows_left_out", rows_left_out(self.layout, self.patterns)),
            ("smoothing", json!(config.smoothing)),
            ("mean_distance", json!(self.mean_within(&all))),
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
                    "clusters": self.clusters.count,
                    "asked_for": config.clusters,
                    "silhouette": mean(&self.clusters.silhouettes),
                    "dimensions": self.clusters.dimensions,
                    "explained": self.clusters.explained,
                }),
            ),
            ("clusters", clusters.collect()),
            ("patterns", Value::Object(counts.collect())),
            ("left_out", left_out(self.layout, |s| self.patterns.mean(s).is_some())),
        ];
        entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}
