//! The last linear maps found.

use std::collections::BTreeSet;

use crate::graph::{Operation, OperationId, TensorId};
use crate::structure::facts::{Facts, sorted};
use crate::structure::operator::{Effect, effect, operands, stem};
use crate::structure::projection::Projection;
use crate::structure::residual::Write;
use crate::structure::{Embedding, EmbeddingKind};

use super::Unembedding;

/// A linear map to at least this many times its width, for every token, is one to a vocabulary.
const MUCH_WIDER: usize = 4;

/// Linear maps whose results are results of the model, and the operations that belong to them.
pub(in crate::structure) fn find_unembedding(
    facts: &Facts<'_>,
    writes: &[Write],
    embeddings: &[Embedding],
) -> (Vec<Unembedding>, Vec<OperationId>) {
    let terminal = terminal(facts);
    let is_terminal = |id: TensorId| terminal.get(id.0 as usize) == Some(&true);
    let inside: BTreeSet<OperationId> = writes.iter().flat_map(|w| w.region.iter().copied()).collect();
    let mut found = Vec::new();
    let mut claimed = Vec::new();
    for operation in facts.graph.operations() {
        if inside.contains(&operation.id) || !operation.outputs.first().is_some_and(|o| is_terminal(*o)) {
            continue;
        }
        let Some(projection) = Projection::of(facts, operation) else { continue };
        claimed.extend(surroundings(facts, &projection));
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
fn surroundings(facts: &Facts<'_>, projection: &Projection) -> Vec<OperationId> {
    let mut all = vec![projection.operation];
    all.extend(&projection.weight.views);
    let mut stack = vec![projection.output];
    while let Some(id) = stack.pop() {
        for user in facts.users(id) {
            all.push(user.id);
            stack.extend(&user.outputs);
        }
    }
    let mut at = projection.input;
    while let Some((before, view)) = facts.rearranged(at) {
        all.push(view.id);
        at = before;
    }
    all
}
