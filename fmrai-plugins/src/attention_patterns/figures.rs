//! The figures of the analysis.

use fmrai_core::report::figure::{Axis, Figure, HeatMap, Lines, Mark, Panel, Plot, Series};

use super::report::layer_means;
use crate::attention::{HeadLayout, Pattern, PatternSums, Statistic};

pub(super) fn figures(
    layout: &HeadLayout,
    known: &[(Statistic, Vec<f64>)],
    uniform: f64,
    sums: &PatternSums,
) -> Vec<Figure> {
    let data = format!("{} texts of {} tokens in all", sums.texts(), sums.tokens());
    // Separators seen from separators and from the rest are in the tables: two more panels that tell little more.
    let shown = || known.iter().filter(|(s, _)| !is_part(*s));
    let shares = || shown().filter(|(s, _)| matches!(s, Statistic::Share(_)));
    let entropies = || known.iter().filter(|(s, _)| !matches!(s, Statistic::Share(_)));
    let share_axis = || Axis::new("share of attention", None).range(0.0, 1.0);
    let top =
        known.iter().filter(|(s, _)| s.unit().is_some()).flat_map(|(_, v)| v).fold(uniform, |a, &b| a.max(b));
    let entropy_axis = || Axis::new("entropy", Some("nats")).range(0.0, top * 1.05);
    let panel = |(statistic, values): &(Statistic, Vec<f64>), y, references| Panel {
        title: title(*statistic).to_owned(),
        plot: Plot::Lines(by_layer(layout, values, y, references)),
    };
    vec![
        Figure {
            name: "patterns".to_owned(),
            title: "Where attention heads look".to_owned(),
            caption: format!(
                "Mean share of attention that each head gives to a target, by layer; the line is the mean of a \
                 layer's heads. {data}."
            ),
            panels: shares().map(|s| panel(s, share_axis(), Vec::new())).collect(),
            columns: 3,
        },
        Figure {
            name: "entropy".to_owned(),
            title: "How broadly attention heads look".to_owned(),
            caption: format!(
                "Entropy of the attention of each head, by layer, as the mean over all tokens and of the first token \
                 alone; the upper line is a head that sees all tokens alike. {data}."
            ),
            panels: entropies()
                .map(|s| panel(s, entropy_axis(), vec![("uniform attention".to_owned(), uniform)]))
                .collect(),
            columns: 2,
        },
        Figure {
            name: "heads".to_owned(),
            title: "Every head".to_owned(),
            caption: format!("Shares of attention and entropy of each head. {data}."),
            panels: shown()
                .map(|(statistic, values)| {
                    let scale = if statistic.unit().is_some() { entropy_axis() } else { share_axis() };
                    Panel {
                        title: title(*statistic).to_owned(),
                        plot: Plot::HeatMap(heat_map(layout, values, scale)),
                    }
                })
                .collect(),
            columns: 2,
        },
    ]
}

fn is_part(statistic: Statistic) -> bool {
    matches!(statistic, Statistic::Share(Pattern::SeparatorFromSeparator | Pattern::SeparatorFromRest))
}

fn title(statistic: Statistic) -> &'static str {
    match statistic {
        Statistic::Share(pattern) => pattern.title(),
        Statistic::Entropy => "entropy, all tokens",
        Statistic::FirstTokenEntropy => "entropy, first token",
    }
}

fn by_layer(layout: &HeadLayout, values: &[f64], y: Axis, references: Vec<(String, f64)>) -> Lines {
    let means = layer_means(layout, values).into_iter().enumerate();
    let series = |name: &str, mark, points| Series { name: name.to_owned(), mark, points };
    let heads = layout.iter().zip(values).map(|((layer, _), &v)| (layer as f64, v)).collect();
    let means = means.filter(|(_, m)| m.is_finite()).map(|(layer, m)| (layer as f64, m)).collect();
    Lines {
        x: Axis::new("layer", None).whole(),
        y,
        series: vec![series("heads", Mark::Points, heads), series("mean of the layer", Mark::Line, means)],
        references,
    }
}

fn heat_map(layout: &HeadLayout, values: &[f64], scale: Axis) -> HeatMap {
    let (layers, widest) = (layout.layers().len(), layout.widest());
    let mut cells = vec![f64::NAN; layers * widest];
    for ((layer, head), &value) in layout.iter().zip(values) {
        cells[layer * widest + head] = value;
    }
    HeatMap {
        row_axis: "layer".to_owned(),
        column_axis: "head".to_owned(),
        rows: (0..layers).map(|l| l.to_string()).collect(),
        columns: (0..widest).map(|h| h.to_string()).collect(),
        values: cells,
        scale,
        diverging: false,
        row_groups: Vec::new(),
        column_groups: Vec::new(),
    }
}
