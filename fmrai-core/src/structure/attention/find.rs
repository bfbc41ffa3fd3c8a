//! Attention blocks found.

use crate::analyzer::Weights;
use crate::graph::{Graph, Operation};
use crate::structure::operator::{self, Effect};
use crate::structure::positions::Finder;
use crate::structure::weights::PlainWeights;

use super::mask::Masks;
use super::trace::{self, Scores};
use super::{Attention, AttentionForm, AttentionKind, Visible, band, heads, kind};

/// Finds out what the positions of these blocks are.
pub(in crate::structure) fn place(blocks: &mut [Attention], positions: &mut Finder<'_>) {
    for block in blocks {
        [block.query_positions, block.key_positions] = positions.queries_and_keys(block.probabilities);
    }
}

/// Finds out what the queries of blocks of self-attention see. Constants are read from `weights`, where there are any.
pub(in crate::structure) fn read_masks(
    graph: &dyn Graph,
    blocks: &mut [Attention],
    weights: Option<&dyn Weights>,
) {
    let plain = PlainWeights::of(graph);
    let mut masks = Masks::new(graph, &plain, weights);
    for block in blocks.iter_mut().filter(|b| b.kind == AttentionKind::SelfAttention) {
        block.visible = band::of(graph, &mut masks, block);
    }
}

/// Finds the attention blocks of a graph, in execution order.
///
/// Takes time in proportion to the size of the graph.
#[must_use]
pub fn find_attention(graph: &dyn Graph) -> Vec<Attention> {
    let weights = PlainWeights::of(graph);
    let scores = Scores::of(graph, &weights);
    let mut layers = [0; 2];
    let mut found = Vec::new();
    for operation in graph.operations() {
        let block = match operator::effect(operation) {
            Effect::Fused => fused(graph, &weights, operation),
            Effect::Softmax => eager(graph, &weights, &scores, operation),
            _ => None,
        };
        let Some(mut block) = block else { continue };
        let layer = &mut layers[usize::from(block.kind == AttentionKind::CrossAttention)];
        block.layer = *layer;
        *layer += 1;
        found.push(block);
    }
    found
}

fn fused(graph: &dyn Graph, weights: &PlainWeights, operation: &Operation) -> Option<Attention> {
    let [query, key, value] = ["query", "key", "value"].map(|name| operation.tensor(name));
    let (query, key, value) = (query?, key?, value?);
    let &[context, probabilities, ..] = operation.outputs.as_slice() else { return None };
    let heads = heads::query_heads(graph, &graph.tensor(query)?.shape, query, context);
    Some(Attention {
        layer: 0,
        kind: kind::of(graph, weights, query, key),
        form: AttentionForm::Fused,
        heads,
        key_value_heads: heads::key_value_heads(graph, heads, key),
        module: operation.module.clone(),
        operation: operation.id,
        query,
        key,
        value,
        scores: None,
        probabilities,
        context,
        query_positions: None,
        key_positions: None,
        visible: Visible::Unknown,
    })
}

fn eager(
    graph: &dyn Graph,
    weights: &PlainWeights,
    scores: &Scores,
    softmax: &Operation,
) -> Option<Attention> {
    let taken = operator::first_input(softmax)?;
    let shape = &graph.tensor(taken)?.shape;
    let rank = i64::try_from(shape.len()).ok()?;
    let axis = softmax.argument("dim")?.as_int()?;
    if rank < 2 || (axis != -1 && axis != rank - 1) {
        return None;
    }
    let (query, key) = scores.factors(graph, taken)?;
    let probabilities = *softmax.outputs.first()?;
    let (value, context) = trace::weighted_sum(graph, weights, probabilities)?;
    let heads = heads::query_heads(graph, shape, query, context);
    Some(Attention {
        layer: 0,
        kind: kind::of(graph, weights, query, key),
        form: AttentionForm::Eager,
        heads,
        key_value_heads: heads::key_value_heads(graph, heads, key),
        module: softmax.module.clone(),
        operation: softmax.id,
        query: heads::unmerged(graph, shape, query),
        key: trace::untransposed(graph, heads::unmerged(graph, shape, key)),
        value: heads::unmerged(graph, shape, value),
        scores: Some(taken),
        probabilities,
        context: heads::split_again(graph, shape, context),
        query_positions: None,
        key_positions: None,
        visible: Visible::Unknown,
    })
}
