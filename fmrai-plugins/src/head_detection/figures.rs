//! The figures of the analysis.

use fmrai_core::report::figure::{Axis, Figure, HeatMap, Panel, Plot};

use super::composition::{Edge, Kind};
use super::report::Scores;
use crate::attention::HeadLayout;

/// Heads of a model up to which all pairs of them are shown.
const PAIRS: usize = 48;

/// Panels in a row.
const COLUMNS: usize = 3;

fn title(name: &str) -> String {
    let (repeated, plain) = match name.strip_prefix("repeated.") {
        Some(plain) => (true, plain),
        None => (false, name),
    };
    let words = match plain {
        "previous_token" => "previous token",
        "duplicate_token" => "earlier equal tokens",
        "induction" => "after earlier equal tokens (induction)",
        "prefix_matching" => "prefix matching",
        "copying" => "copying",
        other => other,
    };
    if repeated { format!("{words}, repeated random tokens") } else { words.to_owned() }
}

fn heat_map(layout: &HeadLayout, values: &[f64], scale: Axis, diverging: bool) -> Plot {
    Plot::HeatMap(HeatMap {
        row_axis: "layer".to_owned(),
        column_axis: "head".to_owned(),
        rows: (0..layout.all_layers()).map(|layer| layer.to_string()).collect(),
        columns: (0..layout.widest()).map(|head| head.to_string()).collect(),
        values: layout.cells(values),
        scale,
        diverging,
        row_groups: Vec::new(),
        column_groups: Vec::new(),
        texts: Vec::new(),
    })
}

/// Attention to certain keys, and copying, layer by head.
pub(super) fn scores(layout: &HeadLayout, all: &[Scores], data: &str) -> Vec<Figure> {
    let known = |scores: &&Scores| scores.values.iter().any(|x| x.is_finite());
    let attention = |scores: &&Scores| scores.name != "copying" && !scores.name.ends_with("_pooled");
    let panels: Vec<Panel> = all
        .iter()
        .filter(known)
        .filter(attention)
        .map(|scores| Panel {
            title: title(&scores.name),
            plot: heat_map(layout, &scores.values, Axis::new("attention", None).range(0.0, 1.0), false),
        })
        .collect();
    let mut figures = Vec::new();
    if !panels.is_empty() {
        figures.push(Figure {
            name: "head_scores".to_owned(),
            title: "What heads look at".to_owned(),
            caption: format!(
                "Attention to the previous token, to earlier tokens equal to the query's, and to the tokens after those, as a share \
                 of all attention: mean over queries. {data}"
            ),
            columns: COLUMNS.min(panels.len()),
            panels,
        });
    }
    if let Some(scores) = all.iter().filter(known).find(|scores| scores.name == "copying") {
        let scale = Axis::new("Σλ / Σ|λ|", None).range(-1.0, 1.0);
        figures.push(Figure::single(
            "copying",
            "Which heads copy",
            "Eigenvalues λ of W_E W_V W_O W_U: above 0, the head raises the logits of the tokens that it looks at. Norms, biases and \
             MLPs are left out.",
            heat_map(layout, &scores.values, scale, true),
        ));
    }
    figures
}

/// Compositions: of every pair of heads where there are few, else the strongest pair of each two layers.
pub(super) fn composition(layout: &HeadLayout, edges: &[Edge], baseline: Option<f64>) -> Figure {
    let few = layout.heads() <= PAIRS;
    let most = edges.iter().map(|e| e.value).filter(|x| x.is_finite()).fold(0.0, f64::max);
    let least = edges.iter().map(|e| e.value).filter(|x| x.is_finite()).fold(0.0, f64::min);
    let label = if baseline.is_some() { "composition above that of random matrices" } else { "composition" };
    let diverging = baseline.is_some();
    let reach = most.max(-least);
    let range = if diverging { (-reach, reach) } else { (0.0, most) };
    let panels = Kind::ALL
        .iter()
        .filter(|kind| edges.iter().any(|edge| edge.kind == **kind))
        .map(|kind| {
            let own = edges.iter().filter(|edge| edge.kind == *kind);
            let scale = Axis::new(label, None).range(range.0, range.1);
            let plot = if few { by_head(layout, own, scale) } else { by_layer(layout, own, scale) };
            let plot = Plot::HeatMap(HeatMap { diverging, ..plot });
            Panel { title: format!("{} ({})", kind.title(), kind.name().to_uppercase()), plot }
        })
        .collect();
    let what = if few { "of each pair of heads" } else { "the strongest pair of heads of each two layers" };
    let minus = baseline.map_or_else(String::new, |by| format!(", minus {by:.3}, that of random matrices"));
    Figure {
        name: "composition".to_owned(),
        title: "How much queries, keys and values read of earlier heads".to_owned(),
        caption: format!(
            "‖W_OV M‖ / (‖W_OV‖ ‖M‖) {what}{minus}: rows write, columns read. M is W_Q W_Kᵀ for queries, its transpose for keys, W_V W_O \
             for values. Nothing is read of the same or of later layers."
        ),
        panels,
        columns: COLUMNS,
    }
}

fn by_head<'e>(layout: &HeadLayout, edges: impl Iterator<Item = &'e Edge>, scale: Axis) -> HeatMap {
    let heads: Vec<[usize; 2]> = layout.iter().map(|(layer, head)| [layer, head]).collect();
    let place = |head: &[usize; 2]| heads.iter().position(|other| other == head);
    let mut values = vec![f64::NAN; heads.len() * heads.len()];
    for edge in edges {
        if let (Some(from), Some(to)) = (place(&edge.from), place(&edge.to)) {
            values[from * heads.len() + to] = edge.value;
        }
    }
    let groups: Vec<(String, usize)> =
        layout.layers().iter().map(|layer| (layer.layer.to_string(), layer.heads)).collect();
    let names: Vec<String> = heads.iter().map(|[_, head]| head.to_string()).collect();
    HeatMap {
        row_axis: "writing layer and head".to_owned(),
        column_axis: "reading layer and head".to_owned(),
        rows: names.clone(),
        columns: names,
        values,
        scale,
        diverging: false,
        row_groups: groups.clone(),
        column_groups: groups,
        texts: Vec::new(),
    }
}

fn by_layer<'e>(layout: &HeadLayout, edges: impl Iterator<Item = &'e Edge>, scale: Axis) -> HeatMap {
    let layers = layout.all_layers();
    let mut values = vec![f64::NAN; layers * layers];
    for edge in edges {
        let cell = &mut values[edge.from[0] * layers + edge.to[0]];
        *cell = cell.max(edge.value);
    }
    let names: Vec<String> = (0..layers).map(|layer| layer.to_string()).collect();
    HeatMap {
        row_axis: "writing layer".to_owned(),
        column_axis: "reading layer".to_owned(),
        rows: names.clone(),
        columns: names,
        values,
        scale,
        diverging: false,
        row_groups: Vec::new(),
        column_groups: Vec::new(),
        texts: Vec::new(),
    }
}
