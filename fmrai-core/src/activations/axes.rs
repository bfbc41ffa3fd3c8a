//! Names of axes, where the role of a tensor defines them.

use crate::graph::{Graph, TensorId};
use crate::structure::{Attention, AttentionKind, Structure};

/// The names of the axes of a tensor with this many, by its label; `None` where the role does not define them.
///
/// Attention with heads merged into the batch has `batch · head` as its first axis. Keys have two layouts and so none.
pub(super) fn axes(
    graph: &dyn Graph,
    structure: &Structure,
    label: &str,
    rank: usize,
) -> Option<Vec<String>> {
    let (component, part) = label.split_once("].")?;
    let (role, layer) = component.split_once('[')?;
    let kind = match role {
        "attention" => Some(AttentionKind::SelfAttention),
        "cross_attention" => Some(AttentionKind::CrossAttention),
        _ => None,
    };
    let axes: &[&str] = if let Some(kind) = kind {
        let inner: [&str; 2] = match part {
            "probabilities" | "scores" => ["query", "key"],
            "query" | "context" => ["query", "channel"],
            "value" => ["key", "channel"],
            _ => return None,
        };
        let outer: &[&str] = match rank {
            4 => &["batch", "head"],
            3 => {
                let layer: usize = layer.parse().ok()?;
                let block = structure.attention.iter().find(|b| b.kind == kind && b.layer == layer)?;
                &[first_of_three(graph, block, part)]
            }
            _ => return None,
        };
        &[outer, &inner].concat()
    } else {
        match (part, rank) {
            ("pre_activation" | "linear" | "activation", 3) if role == "ffn" => &["batch", "token", "neuron"],
            ("input" | "output", 3) if role == "ffn" => &["batch", "token", "channel"],
            _ => return None,
        }
    };
    Some(axes.iter().map(|axis| (*axis).to_owned()).collect())
}

/// The first axis of a part without an axis of heads: several heads are merged into it, a single one is left out.
fn first_of_three(graph: &dyn Graph, block: &Attention, part: &str) -> &'static str {
    let first = |id: TensorId| graph.tensor(id).and_then(|t| t.shape.first());
    // Values that are shared have as many heads as queries where the model has repeated them already.
    let shared = part == "value" && first(block.value) != first(block.probabilities);
    let heads = if shared { block.key_value_heads } else { block.heads };
    if heads == 1 { "batch" } else { "batch · head" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::testing::Builder;
    use crate::testing::self_attention;

    #[test]
    fn a_single_head_is_merged_into_nothing() {
        let mut b = Builder::new();
        let [shared, repeated] = [2, 8].map(|first| b.input("v", &[first, 5, 16]));
        let probabilities = b.input("p", &[8, 5, 5]);
        let graph = b.build();
        let mut structure = self_attention(&[1, 4, 4]);
        for (block, value) in structure.attention.iter_mut().skip(1).zip([shared, repeated]) {
            (block.value, block.probabilities, block.key_value_heads) = (value, probabilities, 1);
        }
        let cases = [
            ("attention[0].probabilities", 3, "batch, query, key"),
            ("attention[1].probabilities", 3, "batch · head, query, key"),
            ("attention[1].probabilities", 4, "batch, head, query, key"),
            ("attention[1].probabilities", 5, "none"),
            ("attention[1].query", 3, "batch · head, query, channel"),
            ("attention[1].key", 4, "none"),
            ("attention[1].value", 3, "batch, key, channel"),
            ("attention[2].value", 3, "batch · head, key, channel"),
            ("cross_attention[0].context", 4, "batch, head, query, channel"),
            ("ffn[0].activation", 3, "batch, token, neuron"),
        ];
        for (label, rank, expected) in cases {
            let found = axes(&graph, &structure, label, rank);
            assert_eq!(found.map_or_else(|| "none".to_owned(), |axes| axes.join(", ")), expected, "{label}");
        }
    }
}
