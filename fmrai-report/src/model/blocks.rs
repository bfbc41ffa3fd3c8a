//! Where each operation stands among the blocks that were found, as a path: `layer 3/attention`.

use fmrai_core::graph::{Graph, OperationId};
use fmrai_core::structure::{AttentionKind, Coverage, Role, Structure, Writer};

/// The path of every operation, in execution order; empty where nothing was found to belong to.
///
/// Additions to a residual stream cut the operations into parts, and the blocks that write in an addition give its part their
/// layer. Within a part the role of an operation decides.
pub(super) fn paths(graph: &dyn Graph, structure: &Structure, coverage: &Coverage) -> Vec<String> {
    let mut ends: Vec<(OperationId, String)> = structure
        .residual
        .iter()
        .map(|write| {
            let layer = write.writers.iter().find_map(|writer| match *writer {
                Writer::Attention(i) => structure.attention.get(i).map(|block| match block.kind {
                    AttentionKind::SelfAttention => Some(block.layer),
                    AttentionKind::CrossAttention | AttentionKind::Channels => None,
                }),
                Writer::FeedForward(i) => structure.feed_forward.get(i).map(|block| Some(block.layer)),
                Writer::Other => None,
            });
            let name = match layer.flatten() {
                Some(layer) => format!("layer {layer}"),
                None => String::new(),
            };
            (write.operation, name)
        })
        .collect();
    ends.sort_by_key(|(id, _)| *id);
    // A part without a layer of its own (cross attention, adapters) belongs to that of the addition before it.
    let mut before = String::new();
    for (_, name) in &mut ends {
        if name.is_empty() {
            name.clone_from(&before);
        } else {
            before.clone_from(name);
        }
    }
    let path = |id: OperationId| {
        let role = coverage.of.get(id.0 as usize).copied().flatten();
        let layer = ends.iter().find(|(end, _)| id <= *end).map_or("", |(_, layer)| layer.as_str());
        match role {
            Some(Role::Embedding) => "embedding".to_owned(),
            Some(Role::Unembedding) => "unembedding".to_owned(),
            Some(Role::Position) => "masks and positions".to_owned(),
            Some(Role::Weights) => "arithmetic on weights".to_owned(),
            // Norms and additions stand before and after the blocks, so a group of their own would be entered and left by turns.
            Some(Role::Norm | Role::Residual | Role::Rearrangement) if !layer.is_empty() => layer.to_owned(),
            Some(role) if !layer.is_empty() => format!("{layer}/{}", name(role)),
            Some(Role::Norm) => "norm at the end".to_owned(),
            None if !layer.is_empty() => format!("{layer}/other"),
            _ => String::new(),
        }
    };
    graph.operations().iter().map(|operation| path(operation.id)).collect()
}

fn name(role: Role) -> &'static str {
    match role {
        Role::Attention => "attention",
        Role::FeedForward => "ffn",
        _ => "other",
    }
}
