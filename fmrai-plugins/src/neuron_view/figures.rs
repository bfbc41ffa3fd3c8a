//! Where in a text neurons write, layer by layer.

use fmrai_core::report::Figure;
use fmrai_core::report::figure::{Axis, HeatMap, Plot};

use super::kept::Kept;
use crate::ffn_key_value::Layout;
use crate::pieces::visible;

/// Tokens that are drawn.
const TOKENS: usize = 32;

/// The first text: what the strongest neuron of each layer writes at each token.
pub(super) fn figures(layout: &Layout, plain: bool, kept: &Kept) -> Vec<Figure> {
    let Some((id, text)) = kept.texts.first_key_value().filter(|(_, text)| !text.shown.is_empty()) else {
        return Vec::new();
    };
    let drawn = text.shown.len().min(TOKENS);
    let rows = (0..text.most.len()).map(|place| layout.number(place).to_string()).collect();
    let columns = text.shown.iter().take(drawn).map(|piece| visible(piece.trim())).collect();
    // Layers of images may have fewer positions than the first.
    let value = |layer: &Vec<f32>, at: usize| {
        // In tens: a few neurons write hundreds of times as much as all others, at the first token above all.
        layer.get(at).filter(|most| **most > 0.0).map_or(f64::NAN, |most| f64::from(*most).log10())
    };
    let values = text.most.iter().flat_map(|layer| (0..drawn).map(move |at| value(layer, at))).collect();
    let what = if plain { "log₁₀ of the largest coefficient" } else { "log₁₀ of what is written" };
    let map = HeatMap::new(("layer", rows), ("token", columns), values, Axis::new(what, None));
    let of = match drawn < text.of {
        true => format!("the first {drawn} of {} tokens of text {id}", text.of),
        false => format!("text {id}"),
    };
    let means = match plain {
        true => "the magnitude of its coefficient; the weights were not at hand",
        false => "the magnitude of its coefficient times the length of its value",
    };
    vec![Figure::single(
        "strongest",
        "Where neurons write into the stream",
        &format!(
            "Of each layer the neuron that is strongest at a token: {means}, as its decimal logarithm; {of}. Which neurons these are is in the table."
        ),
        Plot::HeatMap(map),
    )]
}
