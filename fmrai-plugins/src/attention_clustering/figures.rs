//! The figures of the clustering.

use std::f64::consts::LN_2;

use fmrai_core::report::figure::{Axis, Figure, HeatMap, Legend, Plot, Point, Scatter};

use super::findings::Findings;
use super::labels::{LABELS, OTHER};
use crate::attention::told_left_out;
use crate::statistics::similar_side_by_side;
use crate::told::over;

/// Share of the pairs of heads that the colour scale holds: a few heads that are far from all others would leave the rest no colours.
const SCALED: f64 = 0.95;

pub(super) fn figures(findings: &Findings<'_>) -> Vec<Figure> {
    let (layout, patterns) = (findings.layout, findings.patterns);
    let left_out = told_left_out(layout, patterns);
    let data = format!("{}{left_out}", over(patterns.texts(), patterns.tokens()));
    let heads = layout.heads();
    let top = findings.scale_top(SCALED);
    let beyond = match findings.most() > top {
        true => format!(
            " Above {top:.2} nats, where {:.0} % of the pairs are, all have the last colour.",
            100.0 * (1.0 - SCALED)
        ),
        false => String::new(),
    };
    vec![
        Figure::single(
            "head_map",
            &format!("{heads} attention heads by what they look at"),
            &format!(
                "Each point is a head (L3H7: layer 3, head 7, both from 0); heads that look alike lie close. Metric \
                 multidimensional scaling of Jensen-Shannon divergences in nats, stress-1 {:.3}. {} {data}",
                findings.embedding.normalised_stress,
                findings.told_clusters(),
            ),
            Plot::Scatter(head_map(findings)),
        ),
        Figure::single(
            "distances",
            &format!("Distances of {heads} attention heads"),
            &format!(
                "Jensen-Shannon divergence of each pair of heads, at most ln 2 = 0.693, heads that look alike side by side{}.{beyond} {data}",
                if findings.has_clusters() { ", within clusters" } else { "" }
            ),
            Plot::HeatMap(distances(findings, top)),
        ),
        Figure::single(
            "layer_distances",
            "Distances of layers",
            &format!("Mean Jensen-Shannon divergence between the heads of two layers. {data}"),
            Plot::HeatMap(layer_distances(findings)),
        ),
    ]
}

/// Shapes are clusters where there are any, else what heads look at.
fn head_map(findings: &Findings<'_>) -> Scatter {
    let layout = findings.layout;
    let places = layout.iter().zip(layout.labels()).zip(&findings.embedding.coordinates);
    let labels = [OTHER].into_iter().chain(LABELS);
    let named: Vec<&str> = labels.filter(|label| findings.labels.contains(label)).collect();
    let shape = |head: usize| match findings.has_clusters() {
        true => findings.clusters.ids[head],
        false => named.iter().position(|label| *label == findings.labels[head]).unwrap_or(0),
    };
    let points = places
        .enumerate()
        .map(|(head, (((layer, _), label), &[x, y]))| Point {
            colour: layer,
            shape: shape(head),
            ..Point::new(x, y, &label)
        })
        .collect();
    let numbers = |count: usize| (0..count).map(|i| i.to_string()).collect();
    let axis = |name: &str| Axis::new(name, Some("nats"));
    let shapes = match findings.has_clusters() {
        true => Legend::new("cluster", numbers(findings.clusters.count), false),
        false => Legend::new("looks at", named.iter().map(|&label| label.to_owned()).collect(), false),
    };
    let plot = Scatter::new(axis("first axis"), axis("second axis"), points)
        .coloured(Legend::new("layer", numbers(layout.all_layers()), true))
        .equal_aspect();
    if shapes.entries.len() > 1 { plot.shaped(shapes) } else { plot }
}

fn distances(findings: &Findings<'_>, top: f64) -> HeatMap {
    let members = findings.shown_groups();
    let heads = findings.layout.heads();
    let order: Vec<usize> =
        members.iter().flat_map(|m| similar_side_by_side(&findings.distances, heads, m)).collect();
    let labels = findings.layout.labels();
    let names: Vec<String> = order.iter().map(|&head| labels[head].clone()).collect();
    let groups: Vec<(String, usize)> = match findings.has_clusters() {
        true => members.iter().enumerate().map(|(c, m)| (format!("cluster {c}"), m.len())).collect(),
        false => Vec::new(),
    };
    let values = order.iter().flat_map(|&a| order.iter().map(move |&b| findings.distance(a, b))).collect();
    let scale = Axis::new("divergence", Some("nats")).range(0.0, if top > 0.0 { top } else { LN_2 });
    HeatMap {
        row_groups: groups.clone(),
        column_groups: groups,
        ..HeatMap::new(("head", names.clone()), ("head", names), values, scale)
    }
}

fn layer_distances(findings: &Findings<'_>) -> HeatMap {
    let names: Vec<String> = (0..findings.layout.all_layers()).map(|l| l.to_string()).collect();
    let scale = Axis::new("mean divergence", Some("nats"));
    HeatMap::new(("layer", names.clone()), ("layer", names), findings.layer_distances(), scale)
}
