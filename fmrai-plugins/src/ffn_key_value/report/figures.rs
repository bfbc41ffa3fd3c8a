//! The figures of the analysis.

use fmrai_core::report::figure::{Axis, Bars, BoxPlot, Figure, HeatMap, Lines, Mark, Panel, Plot, Series};

use super::cards::cards;
use super::warnings::in_caption;
use crate::ffn_key_value::agreement::{LayerAgreement, five_numbers};
use crate::ffn_key_value::analysis::FfnKeyValue;
use crate::ffn_key_value::composition::Composition;
use crate::ffn_key_value::conclusions::Conclusions;
use crate::ffn_key_value::layout::Layout;
use crate::ffn_key_value::statistics::Statistics;

/// Most columns of the heat map: neurons of wider layers share one.
const COLUMNS: usize = 64;

pub(super) fn figures(
    analysis: &FfnKeyValue,
    all: &Statistics,
    conclusions: Option<&Conclusions>,
) -> Vec<Figure> {
    let data = format!("{} texts", analysis.memories.seen);
    let mut figures = vec![active(analysis, all, &data), key_neurons(analysis, all, &data)];
    figures.extend(cards(analysis, all, conclusions, &data));
    if let Some(known) = conclusions {
        let data = format!("{data}.{}", in_caption(analysis));
        figures.extend(agreement(analysis, known, &data));
        figures.extend(ranks(&analysis.layout, known, &data));
        figures.extend(bins(known, &data));
        figures.extend(composition(analysis, known, &data));
    }
    figures
}

fn layer_axis() -> Axis {
    Axis::new("layer", None).whole()
}

fn line(name: &str, points: Vec<(f64, f64)>) -> Series {
    Series { name: name.to_owned(), mark: Mark::Line, points }
}

/// One point per layer, layers without a number left out.
pub(super) fn by_layer(layout: &Layout, values: impl Iterator<Item = f64>) -> Vec<(f64, f64)> {
    values.enumerate().filter(|(_, v)| v.is_finite()).map(|(l, v)| (layout.number(l) as f64, v)).collect()
}

fn largest(series: &[Series]) -> f64 {
    series.iter().flat_map(|s| &s.points).map(|p| p.1).fold(0.0, f64::max)
}

fn active(analysis: &FfnKeyValue, all: &Statistics, data: &str) -> Figure {
    let blocks = &analysis.layout.blocks;
    let of = |layer: usize| all.neurons.iter().filter(move |n| n.layer == layer).map(|n| n.active_share);
    let boxes = (0..blocks.len()).map(|layer| five_numbers(of(layer).collect()).unwrap_or([0.0; 5]));
    let boxes = BoxPlot {
        category_axis: "layer".to_owned(),
        categories: blocks.iter().map(|block| block.layer.to_string()).collect(),
        y: Axis::new("share of positions", None).range(0.0, 1.0),
        boxes: boxes.collect(),
    };
    let gated = blocks.iter().any(|b| b.gate.is_some());
    let what = if gated { "its gate's argument is above 0" } else { "its coefficient is above 0" };
    Figure::single(
        "active_share",
        "How often memories are active",
        &format!(
            "Share of positions at which a neuron is active ({what}), over the neurons of each layer: quartiles and \
             range. {data}."
        ),
        Plot::BoxPlot(boxes),
    )
}

fn key_neurons(analysis: &FfnKeyValue, all: &Statistics, data: &str) -> Figure {
    let blocks = &analysis.layout.blocks;
    let widest = blocks.iter().map(|b| b.neurons).max().unwrap_or(0);
    let bin = widest.div_ceil(COLUMNS).max(1);
    let columns = widest.div_ceil(bin);
    let mut values = vec![f64::NAN; blocks.len() * columns];
    for neuron in &all.neurons {
        let cell = &mut values[neuron.layer * columns + neuron.neuron / bin];
        *cell = cell.max(neuron.z);
    }
    let top = values.iter().copied().fold(0.0, f64::max);
    let (axis, what) = if bin == 1 {
        ("neuron".to_owned(), "Mean coefficient of each neuron".to_owned())
    } else {
        (
            format!("first of {bin} neurons"),
            format!("Largest mean coefficient among {bin} neighbouring neurons"),
        )
    };
    let heat_map = HeatMap {
        row_axis: "layer".to_owned(),
        column_axis: axis,
        rows: blocks.iter().map(|block| block.layer.to_string()).collect(),
        columns: (0..columns).map(|c| (c * bin).to_string()).collect(),
        values,
        scale: Axis::new("z of the mean coefficient", None).range(0.0, top.max(1.0)),
        diverging: false,
        row_groups: Vec::new(),
        column_groups: Vec::new(),
        texts: Vec::new(),
    };
    Figure::single(
        "key_neurons",
        "Key neurons",
        &format!(
            "{what}: z, its distance to the mean over its layer's neurons in their standard deviations; below 0 as 0. {data}."
        ),
        Plot::HeatMap(heat_map),
    )
}

fn agreement(analysis: &FfnKeyValue, known: &Conclusions, data: &str) -> Option<Figure> {
    let chance = 1.0 / known.tokens as f64;
    let series = vec![
        line("agreement rate", by_layer(&analysis.layout, known.agreement.iter().map(LayerAgreement::rate))),
        line(
            "chance by token frequency",
            by_layer(&analysis.layout, known.agreement.iter().map(|a| a.unigram_chance)),
        ),
    ];
    if series[0].points.is_empty() {
        return None;
    }
    let top = largest(&series).max(chance);
    let targets: usize = known.agreement.iter().map(|a| a.targets).sum();
    let neurons = analysis.layout.neurons();
    Some(Figure::single(
        "agreement",
        "Agreement of values with what follows their keys",
        &format!(
            "Share of neurons whose value's most probable token is the token after the strongest trigger of its key, \
             by layer; uniform chance is one in {} tokens. {targets} of {neurons} neurons have such a token; {data}",
            known.tokens
        ),
        Plot::Lines(Lines {
            x: layer_axis(),
            y: Axis::new("share of neurons", None).range(0.0, top * 1.08),
            series,
            references: vec![("uniform chance".to_owned(), chance)],
        }),
    ))
}

fn ranks(layout: &Layout, known: &Conclusions, data: &str) -> Option<Figure> {
    let found = known
        .agreement
        .iter()
        .enumerate()
        .filter_map(|(layer, a)| Some((layout.number(layer).to_string(), a.ranks?)));
    let (categories, boxes): (Vec<_>, Vec<_>) = found.unzip();
    let boxes = BoxPlot {
        category_axis: "layer".to_owned(),
        categories,
        y: Axis::new("rank of the next token", None).range(0.0, known.tokens as f64),
        boxes,
    };
    (!boxes.boxes.is_empty()).then(|| {
        Figure::single(
            "rank",
            "Rank of the next token in the value's distribution",
            &format!(
                "Rank, among {} tokens, of the token after a key's strongest trigger in the distribution of its value: \
                 quartiles and range over the neurons of each layer; 1 is the most probable. {data}",
                known.tokens
            ),
            Plot::BoxPlot(boxes),
        )
    })
}

fn bins(known: &Conclusions, data: &str) -> Option<Figure> {
    // In one bin there is nothing to compare.
    let last = known.bins.iter().rposition(|b| b.values > 0).filter(|last| *last > 0)?;
    let bins = &known.bins[..=last];
    let edge = |i: usize| i as f64 / known.bins.len() as f64;
    let panel = |title: &str, y: &str, heights: Vec<f64>| {
        let top = heights.iter().copied().fold(0.0, f64::max);
        Panel {
            title: title.to_owned(),
            plot: Plot::Bars(Bars {
                category_axis: "largest probability of the value".to_owned(),
                categories: (0..bins.len()).map(|i| format!("{:.1}–{:.1}", edge(i), edge(i + 1))).collect(),
                y: Axis::new(y, None).range(0.0, if top > 0.0 { top * 1.08 } else { 1.0 }),
                groups: vec![(String::new(), heights)],
                stacked: false,
            }),
        }
    };
    let rates = bins.iter().map(|b| b.agreeing as f64 / b.values as f64).collect();
    let counts = bins.iter().map(|b| b.values as f64).collect();
    Some(Figure {
        name: "predictive_values".to_owned(),
        title: "Agreement by how sure a value is".to_owned(),
        caption: format!(
            "Left: share of values whose most probable token is the token after the strongest trigger of their key, by the \
             largest probability of the value; over all layers. Right: how many values that is. Values without such a token are \
             left out. {data}"
        ),
        panels: vec![
            panel("agreement", "agreement rate", rates),
            panel("values", "number of values", counts),
        ],
        columns: 2,
    })
}

/// The sentence that tells how streams are read.
fn read_through(analysis: &FfnKeyValue, known: &Conclusions) -> String {
    let lens = analysis.map.as_ref().ok().and_then(|map| map.lens.as_ref().ok());
    let operations = lens.map(|lens| lens.operations().collect::<Vec<_>>().join(", ")).unwrap_or_default();
    let through =
        format!("Streams are read through what the model does after the last of them ({operations})");
    match known.check {
        Some(check) => format!(
            "{through}; of that last one this gives the model's own token at {:.1} % of the positions.",
            100.0 * check.share()
        ),
        None => format!("{through}, which was not compared with logits of the model."),
    }
}

fn composition(analysis: &FfnKeyValue, known: &Conclusions, data: &str) -> Option<Figure> {
    let all = &known.composition;
    let of = |name: &str, of: fn(&Composition) -> f64| {
        line(name, all.iter().map(|c| (analysis.layout.number(c.layer) as f64, of(c))).collect())
    };
    let share = || Axis::new("share of positions", None).range(0.0, 1.0);
    let cases = |name: &str, of: fn(&Composition) -> f64| (name.to_owned(), all.iter().map(of).collect());
    let stack = Bars {
        category_axis: "layer".to_owned(),
        categories: all.iter().map(|c| analysis.layout.number(c.layer).to_string()).collect(),
        y: share(),
        groups: vec![
            cases("residual", |c| c.residual),
            cases("agreement", |c| c.agreement),
            cases("feed-forward", |c| c.ffn),
            cases("composition", |c| c.composition),
        ],
        stacked: true,
    };
    let refinement = vec![
        of("decided before the block", |c| c.decided),
        of("probability of the decision", |c| c.probability),
        of("zero agreement", |c| c.zero_agreement),
    ];
    (!all.is_empty()).then(|| Figure {
        name: "composition".to_owned(),
        title: "How predictions are composed".to_owned(),
        caption: format!(
            "Left: whether the most probable token after a block is that of the stream before it (residual), that of \
             what it writes (feed-forward), of both (agreement) or of neither (composition). Right: share of positions \
             at which the stream before the block already has the final token, the mean probability it gives to it, and \
             the share at which the block's token is that of none of its values. {} {} positions drawn of {data}",
            read_through(analysis, known),
            known.drawn
        ),
        panels: vec![
            Panel { title: "source of the token after the block".to_owned(), plot: Plot::Bars(stack) },
            Panel {
                title: "refinement".to_owned(),
                plot: Plot::Lines(Lines {
                    x: layer_axis(),
                    y: Axis::new("share or probability", None).range(0.0, 1.0),
                    series: refinement,
                    references: Vec::new(),
                }),
            },
        ],
        columns: 2,
    })
}
