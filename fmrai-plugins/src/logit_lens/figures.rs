//! The figures of the analysis.

use fmrai_core::report::figure::{Axis, Figure, HeatMap, Lines, Panel, Plot, Series};

use super::analysis::LogitLens;
use super::config::Target;
use super::grid::GridText;
use super::means::{Means, UNITS, warnings};
use super::streams::Streams;
use crate::told::over;

/// Tokens of a text that a picture shows.
const SHOWN: usize = 16;

pub(super) fn figures(analysis: &LogitLens, streams: &Streams, means: &[Means]) -> Vec<Figure> {
    let mut figures = vec![measures(analysis, streams, means)];
    figures.extend(grid(analysis, streams));
    figures
}

fn data(analysis: &LogitLens, streams: &Streams) -> String {
    let sums = &analysis.sums;
    let beware: String =
        warnings(analysis, streams).iter().map(|warning| format!(" Beware: {warning}.")).collect();
    format!("{}{beware}", over(sums.texts, sums.tokens))
}

fn measures(analysis: &LogitLens, streams: &Streams, means: &[Means]) -> Figure {
    let target = match streams.target {
        Target::NextToken => "the next token of the text",
        Target::OwnToken => "the token that stands there",
    };
    let titles = ["probability of the target", "rank of the target", "entropy", "divergence from the output"];
    let labels = ["probability", "rank, from 0", "entropy", "KL(output ‖ lens)"];
    let panels = means.iter().zip(titles).zip(labels).zip(UNITS).map(|(((means, title), label), unit)| {
        let finite =
            |points: Vec<(f64, f64)>| points.into_iter().filter(|(_, y)| y.is_finite()).collect::<Vec<_>>();
        let layers = means.layers.iter().enumerate().map(|(layer, y)| (layer as f64, *y)).collect();
        let between = means.between.iter().enumerate().map(|(block, y)| (block as f64 + 0.5, *y)).collect();
        let mut series = vec![Series::line("between blocks", finite(layers))];
        let between = finite(between);
        if !between.is_empty() {
            series.push(Series::points("between attention and FFN", between));
        }
        let most = series.iter().flat_map(|s| &s.points).map(|(_, y)| *y).fold(0.0, f64::max);
        let y = Axis::new(label, unit).range(0.0, if most > 0.0 { most * 1.05 } else { 1.0 });
        let x = Axis::new("layer", None).whole();
        Panel { title: title.to_owned(), plot: Plot::Lines(Lines { x, y, series, references: Vec::new() }) }
    });
    Figure {
        name: "measures".to_owned(),
        title: "What the residual stream predicts, layer by layer".to_owned(),
        caption: format!(
            "The residual stream read through the model's last norm and map to the vocabulary (logit lens), before each block; layer 0 is the \
             embedding, layer {} the model's output. The target is {target}. Means are over the tokens of a text, then over texts. {}",
            streams.blocks,
            data(analysis, streams)
        ),
        panels: panels.collect(),
        columns: 2,
    }
}

fn grid(analysis: &LogitLens, streams: &Streams) -> Option<Figure> {
    let panels: Vec<Panel> = analysis
        .grid
        .texts
        .iter()
        .map(|(id, text)| {
            let (shown, all) = (text.tokens.len().min(SHOWN), text.tokens.len());
            let title = if shown < all {
                format!("text {id}, its first {shown} of {all} tokens")
            } else {
                format!("text {id}")
            };
            Panel { title, plot: Plot::HeatMap(heat_map(analysis, streams, text, shown)) }
        })
        .collect();
    let about = match streams.target {
        Target::NextToken => "predicts next",
        Target::OwnToken => "predicts there",
    };
    (!panels.is_empty()).then(|| Figure {
        name: "grid".to_owned(),
        title: "What the residual stream predicts at each token".to_owned(),
        caption: format!(
            "The token that the stream {about} at each token of the text (columns, from left to right) and layer (rows, from the \
             embedding at the bottom to the model's output on top); the colour is its probability. The first {} of {} texts.",
            panels.len(),
            analysis.sums.texts
        ),
        panels,
        columns: 1,
    })
}

fn heat_map(analysis: &LogitLens, streams: &Streams, text: &GridText, shown: usize) -> HeatMap {
    let layers = || (0..streams.layers()).rev();
    let cells =
        || layers().flat_map(|layer| text.cells.iter().take(shown).map(move |cells| cells.get(layer)));
    let top = || cells().map(|cell| cell.and_then(|cell| cell.top.first()));
    let row = |layer: usize| match layer {
        0 => "0, embedding".to_owned(),
        layer if layer == streams.blocks => format!("{layer}, output"),
        layer => layer.to_string(),
    };
    HeatMap {
        row_axis: "layer".to_owned(),
        column_axis: "token of the text".to_owned(),
        rows: layers().map(row).collect(),
        columns: text.tokens.iter().take(shown).map(|token| seen(analysis.surface(*token))).collect(),
        values: top().map(|top| top.map_or(f64::NAN, |(_, probability)| *probability)).collect(),
        scale: Axis::new("probability", None).range(0.0, 1.0),
        diverging: false,
        row_groups: Vec::new(),
        column_groups: Vec::new(),
        texts: top()
            .map(|top| top.map_or(String::new(), |(token, _)| seen(analysis.surface(*token))))
            .collect(),
    }
}

/// In quotes where it could not be seen otherwise.
fn seen(token: String) -> String {
    if token.trim().is_empty() { format!("{token:?}") } else { token }
}
