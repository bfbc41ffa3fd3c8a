//! The figures of the analysis.

use fmrai_core::report::figure::{Axis, Figure, HeatMap, Lines, Mark, Panel, Plot, Series};
use fmrai_core::structure::Visible;

use super::layer_means::layer_means;
use crate::attention::{HeadLayout, LayerHeads, Pattern, PatternSums, Statistic, mean_of, told_left_out};

pub(super) fn figures(
    layout: &HeadLayout,
    known: &[(Statistic, Vec<f64>)],
    sums: &PatternSums,
) -> Vec<Figure> {
    let data =
        format!("{} texts of {} tokens in all.{}", sums.texts(), sums.tokens(), told_left_out(layout, sums));
    let uniform = Uniform::of(layout, sums);
    // Separators seen from separators and from the rest are in the tables: two more panels that tell little more.
    let shown = || known.iter().filter(|(s, _)| !is_part(*s));
    let shares = || shown().filter(|(s, _)| matches!(s, Statistic::Share(_)));
    let entropies = || known.iter().filter(|(s, _)| !matches!(s, Statistic::Share(_)));
    let share_axis = || Axis::new("share of attention", None).range(0.0, 1.0);
    let top = known
        .iter()
        .filter(|(s, _)| s.unit().is_some())
        .flat_map(|(_, v)| v)
        .fold(uniform.most(), |a, &b| a.max(b));
    let entropy_axis = || Axis::new("entropy", Some("nats")).range(0.0, top * 1.05);
    let panel = |(statistic, values): &(Statistic, Vec<f64>), y, references| Panel {
        title: title(*statistic).to_owned(),
        plot: Plot::Lines(by_layer(layout, values, y, references)),
    };
    let seen =
        if uniform.all_keys { "sees all tokens alike" } else { "sees alike all tokens that it can see" };
    vec![
        Figure {
            name: "patterns".to_owned(),
            title: "Where attention heads look".to_owned(),
            caption: format!(
                "Mean share of attention that each head gives to a target, by layer; the line is the mean of a \
                 layer's heads. {data}"
            ),
            panels: shares().map(|s| panel(s, share_axis(), None)).collect(),
            columns: 3,
        },
        Figure {
            name: "entropy".to_owned(),
            title: "How broadly attention heads look".to_owned(),
            caption: format!(
                "Entropy of the attention of each head, by layer, as the mean over all tokens and of the first token \
                 alone; the upper line is a head that {seen}. {data}"
            ),
            panels: entropies().map(|s| panel(s, entropy_axis(), uniform.over(s.0))).collect(),
            columns: 2,
        },
        Figure {
            name: "heads".to_owned(),
            title: "Every head".to_owned(),
            caption: format!("Shares of attention and entropy of each head. {data}"),
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

fn by_layer(layout: &HeadLayout, values: &[f64], y: Axis, uniform: Option<&Uniform>) -> Lines {
    let means = layout.layers().iter().map(|l| l.layer).zip(layer_means(layout, values));
    let series = |name: &str, mark, points| Series { name: name.to_owned(), mark, points };
    let heads = layout.iter().zip(values).filter(|(_, v)| v.is_finite());
    let heads = heads.map(|((layer, _), &v)| (layer as f64, v)).collect();
    let means = means.filter(|(_, m)| m.is_finite()).map(|(layer, m)| (layer as f64, m)).collect();
    let mut all = vec![series("heads", Mark::Points, heads), series("mean of the layer", Mark::Line, means)];
    let mut references = Vec::new();
    if let Some(Uniform { layers, .. }) = uniform {
        match uniform.and_then(Uniform::same) {
            Some(value) => references.push((Uniform::NAME.to_owned(), value)),
            None => all.push(series(Uniform::NAME, Mark::Line, layers.clone())),
        }
    }
    Lines { x: Axis::new("layer", None).whole(), y, series: all, references }
}

fn heat_map(layout: &HeadLayout, values: &[f64], scale: Axis) -> HeatMap {
    let (layers, widest) = (layout.all_layers(), layout.widest());
    HeatMap {
        row_axis: "layer".to_owned(),
        column_axis: "head".to_owned(),
        rows: (0..layers).map(|l| l.to_string()).collect(),
        columns: (0..widest).map(|h| h.to_string()).collect(),
        values: layout.cells(values),
        scale,
        diverging: false,
        row_groups: Vec::new(),
        column_groups: Vec::new(),
        texts: Vec::new(),
    }
}

/// Entropy of heads that see alike all keys that they can see, by layer.
struct Uniform {
    layers: Vec<(f64, f64)>,
    /// True if no layer is known to see fewer than all.
    all_keys: bool,
}

impl Uniform {
    const NAME: &str = "uniform attention";

    fn of(layout: &HeadLayout, sums: &PatternSums) -> Self {
        let attainable = sums.attainable(layout);
        let mean = |l: &LayerHeads| mean_of(attainable[l.first..l.first + l.heads].iter().copied());
        let layers = layout.layers().iter().filter_map(|l| Some((l.layer as f64, mean(l)?)));
        let all = |visible| matches!(visible, Visible::Full | Visible::Unknown);
        Self {
            layers: layers.collect(),
            all_keys: layout.layers().iter().all(|layer| all(sums.sight(layer).visible)),
        }
    }

    fn most(&self) -> f64 {
        self.layers.iter().map(|(_, value)| *value).fold(0.0, f64::max)
    }

    /// The one value of all layers, if they have the same.
    fn same(&self) -> Option<f64> {
        let (_, first) = *self.layers.first()?;
        self.layers.iter().all(|(_, value)| (value - first).abs() < 1e-9).then_some(first)
    }

    /// Where the statistic has this limit: the first token alone has another one where it does not see all keys.
    fn over(&self, statistic: Statistic) -> Option<&Self> {
        (statistic == Statistic::Entropy || self.all_keys).then_some(self)
    }
}
