//! Components of every kind, seen alike.

use super::{Attention, Embedding, FeedForward, Norm, Residual, Structure, Unembedding};
use crate::graph::TensorId;

/// A component of a model that a finder has found: its role, its layer and its named tensors. What selectors and listings
/// go by; `fmrai_block` in the C ABI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Component<'a> {
    /// What it is: `attention`, `cross_attention`, `channel_attention`, `ffn`, `expert`, `shared_expert`, `norm`, `embedding`,
    /// `unembedding`, `head` or `addition` (to a residual stream).
    pub role: &'static str,
    /// Position among the components of the same role, from 0, in execution order.
    pub layer: usize,
    /// Path of the module it runs in; empty where not known.
    pub module: &'a str,
    /// Its tensors by the names of the finder's fields, e.g. `query`, `probabilities`; absent ones left out.
    pub parts: Vec<(&'static str, TensorId)>,
}

/// The roles, in the order in which components are listed.
const ROLES: [&str; 11] = [
    "attention",
    "cross_attention",
    "channel_attention",
    "ffn",
    "expert",
    "shared_expert",
    "norm",
    "embedding",
    "unembedding",
    "head",
    "addition",
];

impl Structure {
    /// All components, by role in a fixed order, then by layer.
    #[must_use]
    pub fn components(&self) -> Vec<Component<'_>> {
        let mut components: Vec<Component<'_>> = Vec::new();
        components.extend(self.attention.iter().chain(&self.channel_attention).map(attention));
        components.extend(self.feed_forward.iter().map(feed_forward));
        components.extend(self.norms.iter().map(norm));
        components.extend(self.embeddings.iter().map(embedding));
        components.extend(self.unembedding.iter().map(unembedding));
        components.extend(self.residual.iter().map(residual));
        let rank = |role: &str| ROLES.iter().position(|r| *r == role);
        components.sort_by_key(|component| (rank(component.role), component.layer));
        components
    }
}

fn attention(block: &Attention) -> Component<'_> {
    let mut parts = vec![("query", block.query), ("key", block.key), ("value", block.value)];
    parts.extend(block.scores.map(|scores| ("scores", scores)));
    parts.extend([("probabilities", block.probabilities), ("context", block.context)]);
    Component { role: block.role(), layer: block.layer, module: &block.module, parts }
}

fn feed_forward(block: &FeedForward) -> Component<'_> {
    let mut parts = vec![("input", block.input), ("pre_activation", block.pre_activation)];
    parts.extend(block.linear.map(|linear| ("linear", linear)));
    parts.extend([("activation", block.activation), ("output", block.output), ("keys", block.keys.weight)]);
    parts.extend(block.gate.map(|gate| ("gate", gate.weight)));
    parts.push(("values", block.values.weight));
    Component { role: block.role(), layer: block.layer, module: &block.module, parts }
}

fn norm(block: &Norm) -> Component<'_> {
    let mut parts = vec![("input", block.input), ("output", block.output)];
    parts.extend(block.weight.map(|weight| ("weight", weight)));
    parts.extend(block.bias.map(|bias| ("bias", bias)));
    Component { role: "norm", layer: block.layer, module: &block.module, parts }
}

fn embedding(block: &Embedding) -> Component<'_> {
    let mut parts: Vec<_> = block.input.map(|input| ("input", input)).into_iter().collect();
    parts.extend([("output", block.output), ("weight", block.weight)]);
    Component { role: "embedding", layer: block.layer, module: &block.module, parts }
}

fn unembedding(block: &Unembedding) -> Component<'_> {
    let parts = vec![("input", block.input), ("output", block.output), ("weight", block.weight)];
    Component { role: block.role(), layer: block.layer, module: &block.module, parts }
}

fn residual(block: &Residual) -> Component<'_> {
    let parts = vec![("before", block.before), ("written", block.written), ("after", block.after)];
    Component { role: "addition", layer: block.layer, module: &block.module, parts }
}
