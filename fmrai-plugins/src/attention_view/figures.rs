//! A picture of what is kept, for those who have no report at hand.

use fmrai_core::report::Figure;
use fmrai_core::report::figure::{Axis, HeatMap, Panel, Plot};

use super::kept::Text;
use crate::attention::HeadLayout;
use crate::pieces::visible;

/// Layers that are drawn; of more, some that lie evenly.
const LAYERS: usize = 12;
/// Tokens that are drawn.
const TOKENS: usize = 24;

/// The first text, the mean over the heads of each layer.
pub(super) fn figures(layout: &HeadLayout, texts: &[(u64, &Text)]) -> Vec<Figure> {
    let Some((id, text)) = texts.first() else { return Vec::new() };
    let n = text.positions();
    let drawn = n.min(TOKENS);
    let names: Vec<String> = text.shown.iter().take(drawn).map(|piece| visible(piece.trim())).collect();
    let layers = layout.layers();
    let step = layers.len().div_ceil(LAYERS).max(1);
    let panel = |layer: &crate::attention::LayerHeads| {
        let mean = |query: usize, key: usize| {
            let of_head = |head: usize| f64::from(text.attention[(head * n + query) * n + key]);
            (layer.first..layer.first + layer.heads).map(of_head).sum::<f64>() / layer.heads as f64
        };
        let cells = (0..drawn).flat_map(|query| (0..drawn).map(move |key| (query, key)));
        Panel {
            title: format!("layer {}", layer.layer),
            plot: Plot::HeatMap(HeatMap::new(
                ("token that attends", names.clone()),
                ("token attended to", names.clone()),
                cells.map(|(query, key)| mean(query, key)).collect(),
                Axis::new("attention", None).range(0.0, 1.0),
            )),
        }
    };
    let of = if drawn < text.of {
        format!("the first {drawn} of {} tokens of text {id}", text.of)
    } else {
        format!("text {id}")
    };
    vec![Figure {
        name: "mean_attention".to_owned(),
        title: "Attention, mean over the heads of a layer".to_owned(),
        caption: format!(
            "Each row says how a token spreads its attention, as the mean over the heads of its layer; {of}. Single heads are in the tensors and in the report."
        ),
        panels: layers.iter().step_by(step).map(panel).collect(),
        columns: 3,
    }]
}
