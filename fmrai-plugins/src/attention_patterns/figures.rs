//! The figures of the analysis.

use fmrai_core::report::figure::{Axis, Figure, HeatMap, Lines, Panel, Plot, Series};
use fmrai_core::structure::Visible;

use super::layer_means::layer_means;
use super::strongest::{outliers, strongest};
use crate::attention::{HeadLayout, LayerHeads, PatternSums, Statistic, mean_of, told_left_out};
use crate::told::over;

/// Heads that are named in the heading of a panel, and points of a panel that are.
const NAMED: usize = 3;
const LABELLED: usize = 5;
/// Largest matrix whose cells have their numbers written into them.
const MOST_WRITTEN: (usize, usize) = (32, 16);
/// Matrices of at most so many columns stand four in a row, others two.
const NARROW: usize = 6;
/// Room below 0 and above the largest number, as a share of it: points lie on no axis, and all panels have the same one.
const ROOM: f64 = 0.035;
/// What a head does that sees all keys alike.
const UNIFORM: &str = "uniform attention";

pub(super) fn figures(
    layout: &HeadLayout,
    known: &[(Statistic, Vec<f64>)],
    sums: &PatternSums,
) -> Vec<Figure> {
    let data = format!("{}{}", over(sums.texts(), sums.tokens()), told_left_out(layout, sums));
    let uniform = Uniform::of(layout, sums);
    // Separators seen from separators and from the rest are in the tables: two more panels that tell little more.
    let shown = || known.iter().filter(|(s, _)| !s.is_part());
    let shares = || shown().filter(|(s, _)| matches!(s, Statistic::Share(_)));
    let entropies = || known.iter().filter(|(s, _)| !matches!(s, Statistic::Share(_)));
    let top = known
        .iter()
        .filter(|(s, _)| s.unit().is_some())
        .flat_map(|(_, v)| v)
        .fold(uniform.most(), |a, &b| a.max(b));
    let entropy_axis = || Axis::new("entropy", Some("nats")).range(-ROOM * top, (1.0 + ROOM) * top);
    let panel = |(statistic, values): &(Statistic, Vec<f64>), y, chance: Option<&[(f64, f64)]>| {
        let plot = by_layer(layout, values, y, chance.unwrap_or_default());
        Panel::new(statistic.title(), Plot::Lines(plot))
    };
    let sharing = |known: &(Statistic, Vec<f64>)| {
        let chance = match known.0 {
            Statistic::Share(pattern) => means(layout, &sums.chance(layout, pattern)),
            _ => Vec::new(),
        };
        panel(known, Axis::new("share of attention", None).range(-ROOM, 1.0 + ROOM), Some(&chance))
    };
    let seen =
        if uniform.all_keys { "sees all tokens alike" } else { "sees alike all tokens that it can see" };
    let all = format!("{} heads in {} layers", layout.heads(), layout.layers().len());
    vec![
        Figure {
            name: "patterns".to_owned(),
            title: format!("Where attention goes: {all}"),
            caption: format!(
                "Mean share of attention that each head gives to a target, by layer, points side by side where they are many. \
                 Strokes are the means of layers; uniform attention is a head that {seen}. Heads apart from the rest are named, \
                 as L3H7: layer 3, head 7, from 0. {data}"
            ),
            panels: shares().map(sharing).collect(),
            columns: 3,
        },
        Figure {
            name: "entropy".to_owned(),
            title: format!("How broad attention is: {all}"),
            caption: format!(
                "Entropy of the attention of each head, by layer, as the mean over all tokens and of the first token \
                 alone; uniform attention is a head that {seen}. {data}"
            ),
            panels: entropies()
                .map(|s| panel(s, entropy_axis(), uniform.over(s.0).map(|u| &u.layers[..])))
                .collect(),
            columns: 2,
        },
        Figure {
            name: "heads".to_owned(),
            title: format!("What each head attends to, and how broadly: {all}"),
            caption: format!(
                "Mean shares of attention and mean entropies. Each panel has a scale of its own, and names the heads with the \
                 largest numbers. {data}"
            ),
            panels: shown().map(|(statistic, values)| matrix(layout, *statistic, values)).collect(),
            columns: if layout.widest() <= NARROW { 4 } else { 2 },
        },
    ]
}

/// The mean of each layer with its number, layers without one left out.
fn means(layout: &HeadLayout, values: &[f64]) -> Vec<(f64, f64)> {
    let means = layout.layers().iter().map(|l| l.layer as f64).zip(layer_means(layout, values));
    means.filter(|(_, mean)| mean.is_finite()).collect()
}

/// The heads of each layer beside the number of their layer, and what uniform attention would give.
fn by_layer(layout: &HeadLayout, values: &[f64], y: Axis, chance: &[(f64, f64)]) -> Lines {
    let named = outliers(values, LABELLED);
    let names = layout.labels();
    let finite = || layout.iter().zip(values).enumerate().filter(|(_, (_, value))| value.is_finite());
    let points = finite().map(|(_, ((layer, _), &value))| (layer as f64, value)).collect();
    let label = |head: usize| if named.contains(&head) { names[head].clone() } else { String::new() };
    let labels = finite().map(|(head, _)| label(head)).collect();
    let heads = Series::points("heads", points).labelled(labels);
    let layers = Series::levels("mean of the layer", means(layout, values));
    let plot = |more: Option<Series>| {
        let series = [heads, layers].into_iter().chain(more).collect();
        Lines::new(Axis::new("layer", None).whole(), y, series)
    };
    match chance {
        [] => plot(None),
        [(_, first), rest @ ..] if rest.iter().all(|(_, value)| (value - first).abs() < 1e-9) => {
            plot(None).reference(UNIFORM, *first)
        }
        _ => plot(Some(Series::levels(UNIFORM, chance.to_vec()))),
    }
}

fn matrix(layout: &HeadLayout, statistic: Statistic, values: &[f64]) -> Panel {
    let (layers, widest) = (layout.all_layers(), layout.widest());
    let names = layout.labels();
    let strongest = strongest(values);
    let named: Vec<String> =
        strongest.iter().take(NAMED).map(|&i| format!("{}\u{a0}{:.2}", names[i], values[i])).collect();
    let most = strongest.first().map_or(0.0, |&i| values[i]);
    let scale = match statistic.unit() {
        Some(unit) => Axis::new("entropy", Some(unit)),
        None => Axis::new("share of attention", None),
    };
    let numbers = |count: usize| (0..count).map(|i| i.to_string()).collect::<Vec<_>>();
    let cells = layout.cells(values);
    let texts = match layers <= MOST_WRITTEN.0 && widest <= MOST_WRITTEN.1 {
        true => cells.iter().map(|x| if x.is_nan() { String::new() } else { format!("{x:.2}") }).collect(),
        false => Vec::new(),
    };
    let scale = scale.range(0.0, if most > 0.0 { most } else { 1.0 });
    let map = HeatMap::new(("layer", numbers(layers)), ("head", numbers(widest)), cells, scale).texts(texts);
    Panel::new(&format!("{}: {}", statistic.title(), named.join(", ")), Plot::HeatMap(map))
}

/// Entropy of heads that see alike all keys that they can see, by layer.
struct Uniform {
    layers: Vec<(f64, f64)>,
    /// True if no layer is known to see fewer than all.
    all_keys: bool,
}

impl Uniform {
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

    /// Where the statistic has this limit: the first token alone has another one where it does not see all keys.
    fn over(&self, statistic: Statistic) -> Option<&Self> {
        (statistic == Statistic::Entropy || self.all_keys).then_some(self)
    }
}
