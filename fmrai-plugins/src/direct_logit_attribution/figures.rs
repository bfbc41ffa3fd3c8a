//! The figures of the analysis.

use fmrai_core::report::figure::{Axis, Bars, Figure, HeatMap, Lines, Panel, Plot, Series};

use super::analysis::DirectLogitAttribution;
use super::conclusions::Conclusions;
use super::layout::{BIAS, EMBEDDING, Layout, OTHER};

pub(super) fn figures(
    analysis: &DirectLogitAttribution,
    layout: &Layout,
    found: &Conclusions,
) -> Vec<Figure> {
    let sums = &analysis.sums;
    let (what, at) = match (sums.answers, sums.without_wrong) {
        (0, _) => {
            ("the logit of the next token", format!("{} positions of {} texts", sums.positions, sums.texts))
        }
        (_, 0) => (
            "the logit difference, right less wrong tokens",
            format!("the last token of {} texts", sums.texts),
        ),
        (answers, without) if answers == without => {
            ("the logit of the right tokens", format!("the last token of {} texts", sums.texts))
        }
        _ => ("the logits of right less wrong tokens", format!("the last token of {} texts", sums.texts)),
    };
    let cap = if layout.soft_capped() { ", before the soft-cap" } else { "" };
    let beware: String = found.warnings.iter().map(|warning| format!(" Beware: {warning}.")).collect();
    let data = format!("{what}{cap}, which is {:.3}, as the mean at {at}.{beware}", found.logit);
    let axis = || Axis::new("contribution", None);
    vec![
        Figure::single(
            "heads",
            "What each head adds to the logit directly",
            &format!("With the scale of the last norm kept. Red heads raise, blue ones lower {data}"),
            Plot::HeatMap(heads(layout, found, axis())),
        ),
        Figure {
            name: "blocks".to_owned(),
            title: "What the parts of the model add to the logit directly".to_owned(),
            caption: format!(
                "With the scale of the last norm kept, the parts sum to {data} Biases of attention outputs, of the last norm and of the \
                 map stand by themselves, those of feed-forward blocks with these. Below, \
                 the sum begins with embedding and biases, and half a block is its attention."
            ),
            panels: vec![
                Panel { title: "each part".to_owned(), plot: Plot::Bars(bars(layout, found, axis())) },
                Panel { title: "all parts so far".to_owned(), plot: Plot::Lines(cumulative(layout, found)) },
            ],
            columns: 1,
        },
    ]
}

fn heads(layout: &Layout, found: &Conclusions, scale: Axis) -> HeatMap {
    let rows = (0..layout.layers).map(|layer| layer.to_string()).collect();
    let columns = (0..layout.widest).map(|head| head.to_string()).collect();
    let values = found.means[layout.head(0, 0)..layout.feed_forward(0)].to_vec();
    HeatMap::new(("layer", rows), ("head", columns), values, scale).diverging()
}

/// Parts that belong to no layer: their names and numbers.
fn single(layout: &Layout, found: &Conclusions) -> Vec<(&'static str, f64)> {
    let mut single = vec![("embedding", found.means[EMBEDDING]), ("biases", found.means[BIAS])];
    if !layout.others.is_empty() {
        single.push(("other", found.means[OTHER]));
    }
    single
}

/// The sum over the heads of a layer; NaN for one that has none.
fn attention(layout: &Layout, found: &Conclusions, layer: usize) -> f64 {
    let heads = found.heads(layout, layer);
    if heads.is_empty() { f64::NAN } else { heads.iter().sum() }
}

fn bars(layout: &Layout, found: &Conclusions, y: Axis) -> Bars {
    let single = single(layout, found);
    let layers = 0..layout.layers;
    let none = |count: usize| std::iter::repeat_n(0.0, count);
    let shown = |x: f64| if x.is_finite() { x } else { 0.0 };
    let of_heads = layers.clone().map(|layer| shown(attention(layout, found, layer)));
    let of_ffn = layers.clone().map(|layer| shown(found.means[layout.feed_forward(layer)]));
    Bars {
        category_axis: "embedding, biases, and layers by number".to_owned(),
        categories: single
            .iter()
            .map(|(name, _)| (*name).to_owned())
            .chain(layers.map(|l| l.to_string()))
            .collect(),
        y,
        groups: vec![
            ("of no layer".to_owned(), single.iter().map(|(_, x)| *x).chain(none(layout.layers)).collect()),
            ("attention, all heads".to_owned(), none(single.len()).chain(of_heads).collect()),
            ("FFN".to_owned(), none(single.len()).chain(of_ffn).collect()),
        ],
        stacked: true,
    }
}

/// The sum of all parts up to each block, those beside layers first.
fn cumulative(layout: &Layout, found: &Conclusions) -> Lines {
    let mut sum: f64 = single(layout, found).iter().map(|(_, x)| *x).filter(|x| x.is_finite()).sum();
    let mut points = vec![(0.0, sum)];
    for layer in 0..layout.layers {
        let steps = [attention(layout, found, layer), found.means[layout.feed_forward(layer)]];
        for (half, step) in steps.into_iter().enumerate().filter(|(_, step)| step.is_finite()) {
            sum += step;
            points.push((layer as f64 + 0.5 * (half + 1) as f64, sum));
        }
    }
    Lines {
        x: Axis::new("blocks so far", None).whole(),
        y: Axis::new("sum of contributions", None),
        series: vec![Series::line("sum so far", points)],
        references: vec![("the logit".to_owned(), found.logit)],
    }
}
