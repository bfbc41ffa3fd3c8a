//! The figures of the clustering.

use std::f64::consts::LN_2;

use fmrai_core::report::figure::{Axis, Figure, HeatMap, Legend, Plot, Point, Scatter};

use super::findings::Findings;
use crate::attention::told_left_out;

pub(super) fn figures(findings: &Findings<'_>) -> Vec<Figure> {
    let (layout, patterns) = (findings.layout, findings.patterns);
    let left_out = told_left_out(layout, patterns);
    let data = format!("{} texts of {} tokens in all.{left_out}", patterns.texts(), patterns.tokens());
    vec![
        Figure::single(
            "head_map",
            "Attention heads by what they look at",
            &format!(
                "Each point is a head (L3H7: layer 3, head 7, both from 0); heads that look alike lie close. Metric \
                 multidimensional scaling of Jensen-Shannon divergences in nats, stress-1 {:.3}. {data}",
                findings.embedding.normalised_stress
            ),
            Plot::Scatter(head_map(findings)),
        ),
        Figure::single(
            "distances",
            "Distances of attention heads",
            &format!(
                "Jensen-Shannon divergence of each pair of heads, at most ln 2 = 0.693, by cluster. {data}"
            ),
            Plot::HeatMap(distances(findings)),
        ),
        Figure::single(
            "layer_distances",
            "Distances of layers",
            &format!("Mean Jensen-Shannon divergence between the heads of two layers. {data}"),
            Plot::HeatMap(layer_distances(findings)),
        ),
    ]
}

fn head_map(findings: &Findings<'_>) -> Scatter {
    let layout = findings.layout;
    let places = layout.iter().zip(layout.labels()).zip(&findings.embedding.coordinates);
    let points = places
        .zip(&findings.clusters.ids)
        .map(|((((layer, _), label), &[x, y]), &cluster)| Point {
            x,
            y,
            label,
            colour: layer,
            shape: cluster,
        })
        .collect();
    let numbers = |count: usize| (0..count).map(|i| i.to_string()).collect();
    Scatter {
        x: Axis::new("first axis", Some("nats")),
        y: Axis::new("second axis", Some("nats")),
        equal_aspect: true,
        points,
        colours: Legend { title: "layer".to_owned(), entries: numbers(layout.all_layers()), ordered: true },
        shapes: Some(Legend {
            title: "cluster".to_owned(),
            entries: numbers(findings.clusters.count),
            ordered: false,
        }),
    }
}

fn distances(findings: &Findings<'_>) -> HeatMap {
    let ids = &findings.clusters.ids;
    let mut order: Vec<usize> = (0..ids.len()).collect();
    order.sort_by_key(|&head| (ids[head], head));
    let labels = findings.layout.labels();
    let names: Vec<String> = order.iter().map(|&head| labels[head].clone()).collect();
    let groups: Vec<(String, usize)> = (0..findings.clusters.count)
        .map(|c| (format!("cluster {c}"), ids.iter().filter(|&&id| id == c).count()))
        .collect();
    HeatMap {
        row_axis: "head".to_owned(),
        column_axis: "head".to_owned(),
        rows: names.clone(),
        columns: names,
        values: order.iter().flat_map(|&a| order.iter().map(move |&b| findings.distance(a, b))).collect(),
        scale: Axis::new("divergence", Some("nats")).range(0.0, LN_2),
        diverging: false,
        row_groups: groups.clone(),
        column_groups: groups,
        texts: Vec::new(),
    }
}

fn layer_distances(findings: &Findings<'_>) -> HeatMap {
    let names: Vec<String> = (0..findings.layout.all_layers()).map(|l| l.to_string()).collect();
    HeatMap {
        row_axis: "layer".to_owned(),
        column_axis: "layer".to_owned(),
        rows: names.clone(),
        columns: names,
        values: findings.layer_distances(),
        scale: Axis::new("mean divergence", Some("nats")),
        diverging: false,
        row_groups: Vec::new(),
        column_groups: Vec::new(),
        texts: Vec::new(),
    }
}
