//! The figures of the analysis.

use fmrai_core::report::figure::{Axis, Figure, HeatMap, Lines, Plot, Series};

/// Most lines that are told apart by their colours.
const LINES: usize = 8;

/// What is shown.
pub(super) struct Shown<'a> {
    pub(super) metric: &'a str,
    pub(super) unit: Option<&'a str>,
    pub(super) layers: usize,
    pub(super) strengths: &'a [f64],
    /// `[layer, strength]`.
    pub(super) effect: Vec<f64>,
    /// `[layer]`.
    pub(super) ablated: Vec<f64>,
    pub(super) clean: f64,
    pub(super) corrupted: f64,
    /// `[stream]`; empty where there is one direction.
    pub(super) norms: &'a [f64],
    /// Where the directions come from.
    pub(super) origin: String,
    pub(super) pairs: f64,
}

pub(super) fn figures(shown: &Shown<'_>) -> Vec<Figure> {
    let mut figures = vec![dose_response(shown)];
    if shown.layers > LINES {
        figures.push(map(shown));
    }
    figures.push(ablated(shown));
    if !shown.norms.is_empty() {
        figures.push(norms(shown));
    }
    figures
}

fn line(name: &str, points: Vec<(f64, f64)>) -> Series {
    Series::line(name, points.into_iter().filter(|(_, y)| y.is_finite()).collect())
}

/// At most so many layers, evenly spaced, the first and the last among them.
fn chosen(layers: usize) -> Vec<usize> {
    if layers <= LINES {
        return (0..layers).collect();
    }
    (0..LINES).map(|at| (at * (layers - 1) + (LINES - 1) / 2) / (LINES - 1)).collect()
}

/// Strengths in their order, with their places.
fn ordered(strengths: &[f64]) -> Vec<(usize, f64)> {
    let mut ordered: Vec<(usize, f64)> = strengths.iter().copied().enumerate().collect();
    ordered.sort_by(|a, b| a.1.total_cmp(&b.1));
    ordered
}

fn references(shown: &Shown<'_>) -> Vec<(String, f64)> {
    vec![("clean texts".to_owned(), shown.clean), ("corrupted texts".to_owned(), shown.corrupted)]
}

fn dose_response(shown: &Shown<'_>) -> Figure {
    let strengths = ordered(shown.strengths);
    let of_layer = |layer: usize| {
        let at = |(place, strength): &(usize, f64)| {
            (*strength, shown.effect[layer * shown.strengths.len() + place])
        };
        line(&format!("layer {layer}"), strengths.iter().map(at).collect())
    };
    let lines = chosen(shown.layers);
    let of = if lines.len() < shown.layers {
        format!(" {} of {} layers are shown.", lines.len(), shown.layers)
    } else {
        String::new()
    };
    let caption = format!(
        "The corrupted texts run with the direction of a layer, times a strength, added to the stream before it at all positions; mean over \
         {} pairs.{of} {}",
        shown.pairs, shown.origin
    );
    let plot = Plot::Lines(Lines {
        x: Axis::new("strength", None),
        y: Axis::new(shown.metric, shown.unit),
        series: lines.into_iter().map(of_layer).collect(),
        references: references(shown),
    });
    Figure::single("effect", "Effect of steering", &caption, plot)
}

fn map(shown: &Shown<'_>) -> Figure {
    let strengths = ordered(shown.strengths);
    let cells = (0..shown.layers).flat_map(|layer| strengths.iter().map(move |(place, _)| (layer, *place)));
    let change = |(layer, place): (usize, usize)| {
        shown.effect[layer * shown.strengths.len() + place] - shown.corrupted
    };
    let plot = Plot::HeatMap(HeatMap {
        row_axis: "layer".to_owned(),
        column_axis: "strength".to_owned(),
        rows: (0..shown.layers).map(|layer| layer.to_string()).collect(),
        columns: strengths.iter().map(|(_, strength)| strength.to_string()).collect(),
        values: cells.map(change).collect(),
        scale: Axis::new(&format!("change of the {}", shown.metric), shown.unit),
        diverging: true,
        row_groups: Vec::new(),
        column_groups: Vec::new(),
        texts: Vec::new(),
    });
    let caption = format!(
        "Change against the corrupted texts as they are, by layer and strength; mean over {} pairs. {}",
        shown.pairs, shown.origin
    );
    Figure::single("effect_by_layer", "Effect of steering in every layer", &caption, plot)
}

fn ablated(shown: &Shown<'_>) -> Figure {
    let points = shown.ablated.iter().enumerate().map(|(layer, value)| (layer as f64, *value)).collect();
    let plot = Plot::Lines(Lines {
        x: Axis::new("layer", None).whole(),
        y: Axis::new(shown.metric, shown.unit),
        series: vec![line("", points)],
        references: references(shown),
    });
    let caption = format!(
        "The clean texts run with the direction taken out of the stream before a layer at all positions; mean over {} pairs. {}",
        shown.pairs, shown.origin
    );
    Figure::single("ablated", "Clean texts without the direction", &caption, plot)
}

fn norms(shown: &Shown<'_>) -> Figure {
    let points = shown.norms.iter().enumerate().map(|(place, norm)| (place as f64, *norm)).collect();
    let highest = shown.norms.iter().copied().fold(0.0, f64::max);
    let plot = Plot::Lines(Lines {
        x: Axis::new("before layer", None).whole(),
        y: Axis::new("length of the direction", None)
            .range(0.0, if highest > 0.0 { 1.05 * highest } else { 1.0 }),
        series: vec![line("", points)],
        references: Vec::new(),
    });
    let after = if shown.norms.len() > shown.layers {
        format!(" At {} is the stream after the last layer.", shown.layers)
    } else {
        String::new()
    };
    let caption =
        format!("Euclidean norm of the direction of the stream before each layer.{after} {}", shown.origin);
    Figure::single("norm", "Length of the direction by layer", &caption, plot)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_and_the_last_layer_are_among_those_shown() {
        assert_eq!(chosen(3), [0, 1, 2]);
        for layers in 9..60 {
            let found = chosen(layers);
            assert_eq!((found.len(), found[0], found[LINES - 1]), (LINES, 0, layers - 1));
            assert!(found.windows(2).all(|pair| pair[0] < pair[1]), "{found:?}");
        }
    }
}
