//! The last linear maps found.

use std::collections::BTreeSet;

use crate::graph::{DataFlow, Node, Operation, OperationId, TensorId};
use crate::structure::facts::{Facts, sorted};
use crate::structure::operator::{Effect, effect, first_input, operands, stem};
use crate::structure::projection::Projection;
use crate::structure::residual::Write;
use crate::structure::{Embedding, EmbeddingKind};

use super::Unembedding;

/// A linear map to at least this many times its width, for every token, is one to a vocabulary.
const MUCH_WIDER: usize = 4;

/// Linear maps between the stream and the last one.
const MAPS: usize = 2;

/// Tensors looked at between the two.
const LIMIT: usize = 256;

/// Linear maps whose results are results of the model, and the operations that belong to them.
pub(in crate::structure) fn find_unembedding(
    facts: &Facts<'_>,
    writes: &[Write],
    embeddings: &[Embedding],
) -> (Vec<Unembedding>, Vec<OperationId>) {
    let terminal = terminal(facts);
    let is_terminal = |id: TensorId| terminal.get(id.0 as usize) == Some(&true);
    let inside: BTreeSet<OperationId> = writes.iter().flat_map(|w| w.region.iter().copied()).collect();
    let mut stream: BTreeSet<TensorId> = writes.iter().map(|w| w.residual.after).collect();
    stream.extend(writes.iter().flat_map(|w| w.stream.iter().copied()));
    let mut found = Vec::new();
    let mut claimed = Vec::new();
    for operation in facts.graph.operations() {
        if inside.contains(&operation.id) || !operation.outputs.first().is_some_and(|o| is_terminal(*o)) {
            continue;
        }
        let Some(projection) = facts.projection(operation).cloned() else { continue };
        claimed.extend(surroundings(facts, &projection, &stream));
        found.push(told(facts, embeddings, operation, &projection));
    }
    let mut layers = [0; 2];
    for unembedding in &mut found {
        let layer = &mut layers[usize::from(unembedding.vocabulary)];
        unembedding.layer = *layer;
        *layer += 1;
    }
    (found, sorted(claimed))
}

fn told(
    facts: &Facts<'_>,
    embeddings: &[Embedding],
    operation: &Operation,
    projection: &Projection,
) -> Unembedding {
    let weight = &projection.weight;
    let mut tables = embeddings.iter().filter(|e| e.kind == EmbeddingKind::Token);
    let tied = tables.clone().any(|e| e.weight == weight.parameter);
    let like_a_table = tables.any(|e| e.rows == Some(weight.output.size));
    let by_token = facts.shape(projection.input).len() > 2;
    let words = embeddings.iter().any(|e| e.kind == EmbeddingKind::Token);
    let wide = words && by_token && weight.output.size >= weight.input.size.saturating_mul(MUCH_WIDER);
    let mut output = projection.output;
    // A bias or views that a linear map in elementary operations needs.
    while let [user] = facts.users(output).collect::<Vec<_>>().as_slice() {
        let small = operands(user).all(|o| o == output || facts.weights.contains(o));
        let next = user.outputs.first().filter(|_| {
            effect(user) == Effect::Reshape || (stem(user) == "add" && operands(user).count() == 2 && small)
        });
        let Some(next) = next else { break };
        output = *next;
    }
    Unembedding {
        layer: 0,
        vocabulary: tied || like_a_table || wide,
        module: operation.module.clone(),
        operation: operation.id,
        input: projection.input,
        output,
        weight: weight.parameter,
        axis: weight.output.axis,
        size: weight.output.size,
        tied,
    }
}

/// For each tensor, whether all that becomes of it are results of the model, with no other activation in between.
fn terminal(facts: &Facts<'_>) -> Vec<bool> {
    let mut terminal = vec![false; facts.graph.tensors().len()];
    for tensor in facts.graph.tensors().iter().rev() {
        let users: Vec<_> = facts.users(tensor.id).collect();
        let goes_on = users.iter().all(|user| {
            let last = facts.users_of_outputs(user) == 0;
            let ends = user.outputs.iter().all(|o| terminal.get(o.0 as usize) == Some(&true));
            // The tanh at the end of a pooler is not the one of a soft-cap.
            ends && keeps(facts, user, tensor.id) && !(last && stem(user) == "tanh")
        });
        if let Some(entry) = terminal.get_mut(tensor.id.0 as usize) {
            *entry = goes_on;
        }
    }
    terminal
}

/// True for operations that leave scores scores.
fn keeps(facts: &Facts<'_>, operation: &Operation, from: TensorId) -> bool {
    let alone = operands(operation).all(|o| o == from || !facts.is_activation(o));
    match effect(operation) {
        Effect::Reshape | Effect::Permute | Effect::Same | Effect::Part | Effect::Softmax => true,
        Effect::Pointwise => alone,
        Effect::Join => alone && stem(operation) == "index",
        _ => matches!(stem(operation), "log_softmax" | "_log_softmax" | "sigmoid" | "argmax"),
    }
}

/// The linear map, what was done for it and what is done with its result.
fn surroundings(facts: &Facts<'_>, projection: &Projection, stream: &BTreeSet<TensorId>) -> Vec<OperationId> {
    let mut all = vec![projection.operation];
    all.extend(&projection.weight.views);
    let after = DataFlow::of(facts.graph).descendants(Node::Tensor(projection.output));
    all.extend(after.into_iter().filter_map(|node| match node {
        Node::Operation(id) => Some(id),
        Node::Tensor(_) => None,
    }));
    // Back to the stream: the transform of masked language models, poolers, means over tokens.
    let mut stack = vec![(projection.input, 0)];
    let mut seen = BTreeSet::new();
    while let Some((id, maps)) = stack.pop() {
        if stream.contains(&id) || !seen.insert(id) || !facts.is_activation(id) || seen.len() > LIMIT {
            continue;
        }
        if let Some(input) = facts.norm_input(id) {
            stack.push((input, maps));
            continue;
        }
        let Some(producer) = facts.graph.producer(id) else { continue };
        let map = facts.projection(producer).cloned();
        let name = stem(producer);
        let passes = facts.rearranges(producer)
            || matches!(effect(producer), Effect::Part | Effect::Pointwise)
            || matches!(
                name,
                "gelu"
                    | "erf"
                    | "pow"
                    | "sigmoid"
                    | "relu"
                    | "silu"
                    | "tanh"
                    | "mean"
                    | "sum"
                    | "index"
                    | "cat"
                    | "max"
                    | "as_strided"
            )
            || name.contains("pool");
        let Some(input) = map.map_or_else(|| first_input(producer), |map| Some(map.input)) else { continue };
        if !(passes || facts.projection(producer).is_some() && maps < MAPS) {
            continue;
        }
        all.push(producer.id);
        let maps = maps + usize::from(!passes);
        stack.push((input, maps));
        if matches!(effect(producer), Effect::Pointwise | Effect::Join) {
            stack.extend(operands(producer).map(|o| (o, maps)));
        }
    }
    all
}
