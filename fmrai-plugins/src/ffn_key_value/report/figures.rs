//! The figures of the analysis.

use fmrai_core::report::figure::{Axis, Bars, BoxPlot, Figure, HeatMap, Lines, Panel, Plot, Series};

use super::cards::cards;
use super::warnings::in_caption;
use crate::ffn_key_value::agreement::{LayerAgreement, five_numbers};
use crate::ffn_key_value::analysis::FfnKeyValue;
use crate::ffn_key_value::composition::Composition;
use crate::ffn_key_value::conclusions::Conclusions;
use crate::ffn_key_value::layout::Layout;
use crate::ffn_key_value::statistics::{Neuron, Statistics};
use crate::statistics::wilson;
use crate::told::grouped;

/// Neurons of a layer that are shown by number.
const COLUMNS: usize = 12;

pub(super) fn figures(
    analysis: &FfnKeyValue,
    all: &Statistics,
    conclusions: Option<&Conclusions>,
) -> Vec<Figure> {
    let data = format!("{} texts", grouped(analysis.memories.seen));
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

/// One point per layer, layers without a number left out.
pub(super) fn by_layer(layout: &Layout, values: impl Iterator<Item = f64>) -> Vec<(f64, f64)> {
    values.enumerate().filter(|(_, v)| v.is_finite()).map(|(l, v)| (layout.number(l) as f64, v)).collect()
}

fn active(analysis: &FfnKeyValue, all: &Statistics, data: &str) -> Figure {
    let blocks = &analysis.layout.blocks;
    let of = |layer: usize| all.neurons.iter().filter(move |n| n.layer == layer).map(|n| n.active_share);
    let boxes = (0..blocks.len()).map(|layer| five_numbers(of(layer).collect()).unwrap_or([0.0; 5]));
    let layers = blocks.iter().map(|block| block.layer.to_string()).collect();
    let y = Axis::new("share of positions", None).range(0.0, 1.0);
    let boxes = BoxPlot::new("layer", layers, y, boxes.collect());
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

/// The neurons of each layer with the largest mean coefficients, by number.
fn key_neurons(analysis: &FfnKeyValue, all: &Statistics, data: &str) -> Figure {
    let blocks = &analysis.layout.blocks;
    let (mut values, mut names) = (Vec::new(), Vec::new());
    let widest = blocks.iter().map(|b| b.neurons).max().unwrap_or(0).min(COLUMNS);
    for block in blocks {
        let mut own: Vec<&Neuron> = all.neurons[block.first..block.first + block.neurons].iter().collect();
        own.sort_by(|a, b| b.z.total_cmp(&a.z).then(a.neuron.cmp(&b.neuron)));
        let places = (0..widest).map(|place| own.get(place).filter(|neuron| neuron.z.is_finite()));
        for neuron in places {
            values.push(neuron.map_or(f64::NAN, |neuron| neuron.z));
            names.push(neuron.map_or(String::new(), |neuron| neuron.neuron.to_string()));
        }
    }
    let top = values.iter().copied().fold(0.0, f64::max);
    let layers = blocks.iter().map(|block| block.layer.to_string()).collect();
    let places = (1..=widest).map(|place| place.to_string()).collect();
    let scale = Axis::new("z of the mean coefficient", None).range(0.0, top.max(1.0));
    let map = HeatMap::new(("layer", layers), ("place in its layer", places), values, scale).texts(names);
    Figure::single(
        "key_neurons",
        "Key neurons: the largest mean coefficients of each layer",
        &format!(
            "In each cell is the number of a neuron, from 0; its colour is z, the distance of its mean coefficient to the mean over its \
             layer's neurons in their standard deviations. {data}."
        ),
        Plot::HeatMap(map),
    )
}

fn agreement(analysis: &FfnKeyValue, known: &Conclusions, data: &str) -> Option<Figure> {
    let chance = 1.0 / known.tokens as f64;
    let rates = by_layer(&analysis.layout, known.agreement.iter().map(LayerAgreement::rate));
    if rates.is_empty() {
        return None;
    }
    let counted = || known.agreement.iter().filter(|a| a.rate().is_finite());
    let hits = counted().map(|a| format!("{}/{}", a.agreeing, grouped(a.targets as u64))).collect();
    let intervals: Vec<_> = counted().map(|a| wilson(a.agreeing, a.targets)).collect();
    let by_frequency = by_layer(&analysis.layout, known.agreement.iter().map(|a| a.unigram_chance));
    let all = intervals.iter().map(|i| i.1).chain(by_frequency.iter().map(|p| p.1));
    let top = all.fold(chance, f64::max);
    let targets: usize = known.agreement.iter().map(|a| a.targets).sum();
    let neurons = analysis.layout.neurons();
    let series = vec![
        Series::points("agreement rate", rates).labelled(hits).with_intervals(intervals),
        Series::levels("chance by token frequency", by_frequency),
    ];
    let y = Axis::new("share of neurons", None).range(0.0, top * 1.08);
    Some(Figure::single(
        "agreement",
        "Agreement of values with what follows their keys",
        &format!(
            "Share of neurons whose value's most probable token is the token after the strongest trigger of its key, \
             by layer, with intervals of 95 % confidence (Wilson) and the counts; uniform chance is one in {} tokens. {} of {} neurons \
             have such a token; {data}",
            grouped(known.tokens as u64),
            grouped(targets as u64),
            grouped(neurons as u64)
        ),
        Plot::Lines(Lines::new(layer_axis(), y, series).reference("uniform chance", chance)),
    ))
}

fn ranks(layout: &Layout, known: &Conclusions, data: &str) -> Option<Figure> {
    let found = known
        .agreement
        .iter()
        .enumerate()
        .filter_map(|(layer, a)| Some((layout.number(layer).to_string(), a.ranks?)));
    let (categories, boxes): (Vec<_>, Vec<_>) = found.unzip();
    let tokens = known.tokens as f64;
    let y = Axis::new("rank of the next token", None).range(0.0, tokens);
    let boxes =
        BoxPlot::new("layer", categories, y, boxes).reference("median by chance", f64::midpoint(1.0, tokens));
    (!boxes.boxes.is_empty()).then(|| {
        Figure::single(
            "rank",
            "Rank of the next token in the value's distribution",
            &format!(
                "Rank, among {} tokens, of the token after a key's strongest trigger in the distribution of its value: \
                 quartiles and range over the neurons of each layer; 1 is the most probable. {data}",
                grouped(known.tokens as u64)
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
        Series::line(name, all.iter().map(|c| (analysis.layout.number(c.layer) as f64, of(c))).collect())
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
