//! Attention blocks found.

use crate::analyzer::Weights;
use crate::graph::{Graph, Operation};
use crate::structure::lineage::{Lines, follow};
use crate::structure::operator::{self, Effect};
use crate::structure::positions::Finder;
use crate::structure::product;
use crate::structure::weights::PlainWeights;

use super::mask::Masks;
use super::{Attention, AttentionAxes, AttentionForm, AttentionKind, Visible, band, heads, kind, layout};

/// Finds out what the positions of these blocks are.
pub(in crate::structure) fn place(blocks: &mut [Attention], positions: &mut Finder<'_>) {
    for block in blocks.iter_mut().filter(|b| b.is_usual()) {
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
    for block in blocks.iter_mut().filter(|b| b.kind == AttentionKind::SelfAttention && b.is_usual()) {
        block.visible = band::of(graph, &mut masks, block);
    }
}

/// Finds the attention blocks of a graph, in execution order; those over channels instead of positions stand among them.
///
/// Takes time in proportion to the size of the graph.
#[must_use]
pub fn find_attention(graph: &dyn Graph) -> Vec<Attention> {
    let weights = PlainWeights::of(graph);
    find(graph, &weights, &follow(graph, &weights))
}

pub(in crate::structure) fn find(graph: &dyn Graph, weights: &PlainWeights, lines: &Lines) -> Vec<Attention> {
    let mut layers = [0; 3];
    let mut found = Vec::new();
    for operation in graph.operations() {
        let block = match operator::effect(operation) {
            Effect::Fused => fused(graph, weights, lines, operation),
            _ => eager(graph, weights, lines, operation),
        };
        let Some(mut block) = block else { continue };
        let layer = &mut layers[block.kind as usize];
        block.layer = *layer;
        *layer += 1;
        found.push(block);
    }
    found
}

fn fused(
    graph: &dyn Graph,
    weights: &PlainWeights,
    lines: &Lines,
    operation: &Operation,
) -> Option<Attention> {
    let [query, key, value] = ["query", "key", "value"].map(|name| operation.tensor(name));
    let (query, key, value) = (query?, key?, value?);
    let &[context, probabilities, ..] = operation.outputs.as_slice() else { return None };
    let shape = &graph.tensor(query)?.shape;
    let rows = shape.len().checked_sub(2)?;
    let heads =
        heads::of_pair(lines, query, key).unwrap_or_else(|| heads::query_heads(graph, shape, query, context));
    let key_value_heads =
        heads::shared(lines, key, value, heads).unwrap_or_else(|| heads::key_value_heads(graph, heads, key));
    let channels = heads::is_channels(lines, query, rows) && heads::is_channels(lines, key, rows);
    let mut block = Attention {
        layer: 0,
        kind: if channels { AttentionKind::Channels } else { kind::of(graph, weights, query, key) },
        form: AttentionForm::Fused,
        heads,
        key_value_heads,
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
        axes: AttentionAxes::default(),
    };
    block.axes = layout::of_fused(lines, &block);
    Some(block)
}

fn eager(graph: &dyn Graph, weights: &PlainWeights, lines: &Lines, softmax: &Operation) -> Option<Attention> {
    // Probabilities, and the scores of them; a sum of several has those of its first.
    let mixed = lines.first_of(softmax.id);
    let (scores, axis) = lines.softmax(mixed.unwrap_or(softmax.id))?;
    let (product, by_column) = lines.product(scores, axis)?;
    let sum = lines.weighed_sum(softmax.id)?;
    let made = *softmax.outputs.first()?;
    let multiplied = graph.operation(product)?;
    let [(left, _), (right, _)] = product::contraction(graph, multiplied)?.operands;
    let (query, key) = if by_column { (left, right) } else { (right, left) };
    let is_row = |i: &usize| *i != axis && lines.product(scores, *i).is_some_and(|(of, _)| of == product);
    let shape = &graph.tensor(scores)?.shape;
    let matrix: Vec<usize> = (0..shape.len()).filter(is_row).chain([axis]).collect();
    let heads = heads::of_axes(lines, scores, &matrix)
        .unwrap_or_else(|| heads::query_heads(graph, shape, query, sum.sum));
    let key_value_heads = heads::shared(lines, key, sum.values, heads)
        .unwrap_or_else(|| heads::key_value_heads(graph, heads, key));
    let channels = heads::multiplies_channels(graph, lines, multiplied);
    if heads::sums_channels(graph, lines, graph.operation(sum.operation)?, sum.values) != channels {
        return None;
    }
    let mut block = Attention {
        layer: 0,
        kind: if channels { AttentionKind::Channels } else { kind::of(graph, weights, query, key) },
        form: AttentionForm::Eager,
        heads,
        key_value_heads,
        module: softmax.module.clone(),
        operation: softmax.id,
        query: heads::unmerged(graph, shape, query),
        key: layout::untransposed(graph, heads::unmerged(graph, shape, key)),
        value: heads::unmerged(graph, shape, sum.values),
        scores: mixed.is_none().then_some(scores),
        probabilities: layout::usual(graph, lines, made, softmax.id),
        context: heads::split_again(graph, shape, sum.sum),
        query_positions: None,
        key_positions: None,
        visible: Visible::Unknown,
        axes: AttentionAxes::default(),
    };
    let of_context = graph.operation(sum.operation)?;
    block.axes = layout::of_eager(graph, lines, &block, [multiplied, of_context], by_column);
    Some(block)
}
