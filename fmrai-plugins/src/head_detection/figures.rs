//! The figures of the analysis.

use fmrai_core::report::figure::{Axis, Figure, HeatMap, Panel, Plot};

use super::composition::{Edge, Kind};
use super::scores::Scores;
use crate::attention::{HeadLayout, LayerHeads};

/// Heads of a model up to which all pairs of them are shown.
const PAIRS: usize = 48;

/// Panels in a row.
const COLUMNS: usize = 3;

fn title(name: &str) -> String {
    let (plain, on) = match name.strip_prefix("repeated.") {
        Some(plain) => (plain, "repeated tokens: "),
        None => (name, ""),
    };
    format!("{on}{}", plain.replace('_', " "))
}

fn heat_map(layout: &HeadLayout, values: &[f64], scale: Axis, diverging: bool) -> Plot {
    let rows = (0..layout.all_layers()).map(|layer| layer.to_string()).collect();
    let columns = (0..layout.widest()).map(|head| head.to_string()).collect();
    let map = HeatMap::new(("layer", rows), ("head", columns), layout.cells(values), scale);
    Plot::HeatMap(HeatMap { diverging, ..map })
}

/// Attention to certain keys, and copying, layer by head.
pub(super) fn scores(layout: &HeadLayout, all: &[Scores], data: &str) -> Vec<Figure> {
    let known = |scores: &&Scores| scores.values.iter().any(|x| x.is_finite());
    let attention = |scores: &&Scores| scores.name != "copying" && !scores.name.ends_with("_pooled");
    let shown = || all.iter().filter(known).filter(attention);
    let values = shown().flat_map(|scores| &scores.values).copied().filter(|x| x.is_finite());
    let most = values.fold(0.05, f64::max);
    let panels: Vec<Panel> = shown()
        .map(|scores| Panel {
            title: title(&scores.name),
            plot: heat_map(layout, &scores.values, Axis::new("attention", None).range(0.0, most), false),
        })
        .collect();
    let mut figures = Vec::new();
    if !panels.is_empty() {
        figures.push(Figure {
            name: "head_scores".to_owned(),
            title: "What heads look at".to_owned(),
            caption: format!(
                "Attention to the previous token, to earlier tokens equal to the query's (duplicate token), and to the tokens after those \
                 (induction; prefix matching on random tokens four times), as a share of all attention: mean over queries. {data}"
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
    let label = if baseline.is_some() { "composition above random" } else { "composition" };
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

/// Rows are the heads of all layers but the last, columns those of all but the first.
fn by_head<'e>(layout: &HeadLayout, edges: impl Iterator<Item = &'e Edge>, scale: Axis) -> HeatMap {
    let layers = layout.layers();
    let [writing, reading] = [&layers[..layers.len().saturating_sub(1)], layers.get(1..).unwrap_or_default()];
    let heads = |layers: &[LayerHeads]| -> Vec<[usize; 2]> {
        layers.iter().flat_map(|layer| (0..layer.heads).map(|head| [layer.layer, head])).collect()
    };
    let groups = |layers: &[LayerHeads]| {
        layers.iter().map(|layer| (format!("layer {}", layer.layer), layer.heads)).collect::<Vec<_>>()
    };
    let names = |heads: &[[usize; 2]]| heads.iter().map(|[_, head]| head.to_string()).collect::<Vec<_>>();
    let (rows, columns) = (heads(writing), heads(reading));
    let mut values = vec![f64::NAN; rows.len() * columns.len()];
    for edge in edges {
        let row = rows.iter().position(|head| *head == edge.from);
        let column = columns.iter().position(|head| *head == edge.to);
        if let (Some(row), Some(column)) = (row, column) {
            values[row * columns.len() + column] = edge.value;
        }
    }
    let (rows, columns) = (("head that writes", names(&rows)), ("head that reads", names(&columns)));
    let map = HeatMap::new(rows, columns, values, scale);
    HeatMap { row_groups: groups(writing), column_groups: groups(reading), ..map }
}

fn by_layer<'e>(layout: &HeadLayout, edges: impl Iterator<Item = &'e Edge>, scale: Axis) -> HeatMap {
    let layers = layout.all_layers();
    let mut values = vec![f64::NAN; layers * layers];
    for edge in edges {
        let cell = &mut values[edge.from[0] * layers + edge.to[0]];
        *cell = cell.max(edge.value);
    }
    let names: Vec<String> = (0..layers).map(|layer| layer.to_string()).collect();
    HeatMap::new(("writing layer", names.clone()), ("reading layer", names), values, scale)
}
