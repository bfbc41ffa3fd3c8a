//! Embeddings found.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::graph::{Operation, OperationId, Origin, TensorId, Value};
use crate::structure::facts::{Facts, lookup};
use crate::structure::operator::{Effect, effect, first_input, makes_anew, operands, stem};
use crate::structure::residual::Write;

use super::{Embedding, EmbeddingKind};

/// Tensors looked at behind the ids of a lookup, or behind the start of a stream.
const LIMIT: usize = 256;

/// Segments in the largest table that is taken for one of token types.
const SEGMENTS: usize = 32;

/// Embeddings and the operations that belong to them, in execution order.
pub(in crate::structure) fn find_embeddings(
    facts: &Facts<'_>,
    writes: &[Write],
) -> (Vec<Embedding>, Vec<OperationId>) {
    let mut claimed = Vec::new();
    let mut found = lookups(facts);
    let mut streams = BTreeSet::new();
    let starts: Vec<TensorId> =
        writes.iter().filter(|w| streams.insert(w.residual.stream)).map(|w| w.residual.before).collect();
    for start in &starts {
        start_of_stream(facts, *start, &mut found);
    }
    let behind = [behind(facts, &starts, false), behind(facts, &starts, true)];
    for tensor in facts.graph.tensors().iter().filter(|t| t.origin == Origin::Input && t.dtype.is_float()) {
        from_input(facts, tensor.id, &behind, &mut found, &mut claimed);
    }
    found.sort_by_key(|e| (e.operation, e.output));
    found.dedup_by_key(|e| e.operation);
    for (layer, embedding) in found.iter_mut().enumerate() {
        embedding.layer = layer;
    }
    claimed.extend(found.iter().map(|e| e.operation));
    let ends: BTreeSet<OperationId> = claimed.iter().copied().collect();
    for start in starts {
        claimed.extend(between(facts, start, &ends));
    }
    (found, claimed)
}

/// The operations that streams which begin with these tensors are computed by; `nearest` for those up to the last linear maps.
fn behind(facts: &Facts<'_>, starts: &[TensorId], nearest: bool) -> BTreeSet<OperationId> {
    let mut found = BTreeSet::new();
    let mut stack: Vec<TensorId> = starts.to_vec();
    while let Some(id) = stack.pop() {
        let Some(producer) = facts.graph.producer(id) else { continue };
        let ends = facts.projection(producer).is_some() || effect(producer) == Effect::Other;
        if found.insert(producer.id) && !(nearest && ends && facts.norm_input(id).is_none()) {
            stack.extend(producer.inputs().filter(|id| facts.is_activation(*id)));
        }
    }
    found
}

/// The operations between embeddings, `ends`, and the stream that begins with `start`: sums, joins, norms, views, and one linear
/// map to another width. Those on ways that lead to no embedding are none of them.
fn between(facts: &Facts<'_>, start: TensorId, ends: &BTreeSet<OperationId>) -> BTreeSet<OperationId> {
    // Steps back, each with what it leads to.
    let mut next: BTreeMap<(TensorId, bool), Vec<(TensorId, bool)>> = BTreeMap::new();
    let mut stack = vec![(start, false)];
    let mut leads: BTreeSet<(TensorId, bool)> = BTreeSet::new();
    while let Some((id, mapped)) = stack.pop() {
        if next.contains_key(&(id, mapped)) || next.len() > LIMIT {
            continue;
        }
        let entry = next.entry((id, mapped)).or_default();
        let Some(producer) = facts.graph.producer(id).filter(|_| facts.is_content(id)) else { continue };
        if ends.contains(&producer.id) {
            leads.insert((id, mapped));
        }
        let inputs: Vec<TensorId> = match facts.norm_input(id) {
            Some(input) => vec![input],
            None => operands(producer).filter(|o| facts.is_activation(*o)).collect(),
        };
        let passes = match effect(producer) {
            _ if facts.norm_input(id).is_some() => Some(mapped),
            // One linear map between the tables and the stream, where these have another width.
            Effect::Product => {
                let only = inputs.iter().all(|input| facts.users(*input).count() == 1);
                (facts.projection(producer).is_some() && only && !mapped).then_some(true)
            }
            Effect::Pointwise
            | Effect::Reshape
            | Effect::Permute
            | Effect::Same
            | Effect::Broadcast
            | Effect::Part
            | Effect::Join => Some(mapped),
            _ => None,
        };
        if let Some(mapped) = passes {
            entry.extend(inputs.into_iter().map(|input| (input, mapped)));
            stack.extend(entry.iter().copied());
        }
    }
    // From the embeddings on.
    loop {
        let more: Vec<_> = next
            .iter()
            .filter(|(step, before)| !leads.contains(step) && before.iter().any(|b| leads.contains(b)))
            .map(|(step, _)| *step)
            .collect();
        if more.is_empty() {
            break;
        }
        leads.extend(more);
    }
    leads.iter().filter_map(|(id, _)| facts.graph.producer(*id)).map(|o| o.id).collect()
}

fn size(n: i64) -> usize {
    usize::try_from(n).unwrap_or(0)
}

fn embedding(
    kind: EmbeddingKind,
    operation: &Operation,
    weight: TensorId,
    input: Option<TensorId>,
    rows: Option<usize>,
) -> Option<Embedding> {
    let output = *operation.outputs.first()?;
    let module = operation.module.clone();
    Some(Embedding { layer: 0, kind, module, operation: operation.id, weight, input, output, rows })
}

/// Where the ids of a lookup come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ids {
    /// Straight from an integer input.
    Input(TensorId),
    /// Counted: by a range or a cumulative sum.
    Counted,
    /// Constants of the model; the number of them at most, 0 if they are one number filled in.
    Constant(usize),
}

fn provenance(facts: &Facts<'_>, ids: TensorId) -> Ids {
    let mut queue = VecDeque::from([ids]);
    let mut seen = BTreeSet::new();
    let (mut input, mut constants) = (None, 0);
    while let Some(id) = queue.pop_front() {
        if !seen.insert(id) || seen.len() > LIMIT {
            continue;
        }
        let Some(tensor) = facts.graph.tensor(id) else { continue };
        match tensor.origin {
            Origin::Input => input = input.or(Some(id)),
            Origin::Parameter | Origin::Constant => {
                constants = constants.max(size(facts.shape(id).last().copied().unwrap_or(1)));
            }
            Origin::Operation { .. } => {
                let Some(producer) = facts.graph.producer(id) else { continue };
                let name = stem(producer);
                if matches!(name, "arange" | "cumsum" | "linspace" | "range") {
                    return Ids::Counted;
                }
                if makes_anew(producer) {
                    continue;
                }
                // Ids of the input among others.
                if matches!(name, "cat" | "concat" | "concatenate") {
                    let all: Vec<Ids> = operands(producer).map(|id| provenance(facts, id)).collect();
                    if let Some(ids) = all.into_iter().find(|ids| matches!(ids, Ids::Input(_))) {
                        return ids;
                    }
                }
                match effect(producer) {
                    Effect::Reshape | Effect::Permute | Effect::Same | Effect::Broadcast | Effect::Part => {
                        queue.extend(first_input(producer));
                    }
                    // The ids of ids are not what they are.
                    _ => queue.extend(operands(producer)),
                }
            }
        }
    }
    input.map_or(Ids::Constant(constants), Ids::Input)
}

/// Lookups in real-valued tables by ids that do not depend on activations.
fn lookups(facts: &Facts<'_>) -> Vec<Embedding> {
    let tables = facts.graph.operations().iter().filter_map(|operation| {
        let (table, ids) = lookup(operation)?;
        let weight = facts.parameter(table);
        let is_table =
            facts.weights.contains(table) && facts.is_float(table) && facts.shape(table).len() == 2;
        let learned = facts.graph.tensor(weight).is_some_and(|t| t.origin == Origin::Parameter);
        let rows = size(*facts.shape(table).first()?);
        (is_table && learned && !facts.is_content(ids)).then_some((operation, weight, ids, rows))
    });
    let tables: Vec<_> = tables.map(|(o, w, ids, rows)| (o, w, ids, rows, provenance(facts, ids))).collect();
    // Of tables read by inputs, the largest is the vocabulary.
    let by_input = tables.iter().filter(|t| matches!(t.4, Ids::Input(_)));
    let vocabulary = by_input.map(|t| t.3).max().unwrap_or(0);
    tables
        .iter()
        .filter_map(|(operation, weight, ids, rows, from)| {
            let output = *operation.outputs.first()?;
            let kind =
                match from {
                    Ids::Input(_) if *rows == vocabulary => EmbeddingKind::Token,
                    Ids::Input(_) if summed_with_larger(facts, output, *rows, &tables) => {
                        if *rows <= SEGMENTS { EmbeddingKind::TokenType } else { EmbeddingKind::Position }
                    }
                    Ids::Input(_) => EmbeddingKind::Token,
                    _ if by_mask_or_sum(facts, output)? => EmbeddingKind::RelativePosition,
                    // One id for all tokens is no position, and a table with fewer rows than there are positions cannot
                    // be one of positions.
                    Ids::Constant(held) if *held == 0 || rows < held => EmbeddingKind::TokenType,
                    _ => EmbeddingKind::Position,
                };
            embedding(kind, operation, *weight, Some(*ids), Some(*rows))
        })
        .collect()
}

/// True if the result is added, at once or through another sum, to that of a lookup in a larger table.
fn summed_with_larger(
    facts: &Facts<'_>,
    output: TensorId,
    rows: usize,
    tables: &[(&Operation, TensorId, TensorId, usize, Ids)],
) -> bool {
    let sum =
        |id: TensorId| facts.users(id).filter(|u| stem(u) == "add").find_map(|u| u.outputs.first().copied());
    let sums = |id: TensorId| std::iter::successors(sum(id), |id| sum(*id)).take(8);
    let own: BTreeSet<TensorId> = sums(output).collect();
    tables
        .iter()
        .filter(|t| t.3 > rows)
        .filter_map(|t| t.0.outputs.first())
        .any(|other| sums(*other).any(|s| own.contains(&s)))
}

/// What becomes of a lookup by position: true if it goes into scores of attention, by which its axes are moved first,
/// false if it is a vector per token. `None` for tables of sines and cosines, which are multiplied.
fn by_mask_or_sum(facts: &Facts<'_>, output: TensorId) -> Option<bool> {
    let mut queue = VecDeque::from([(output, false)]);
    let mut seen = BTreeSet::new();
    while let Some((id, moved)) = queue.pop_front() {
        if !seen.insert(id) || seen.len() > LIMIT {
            continue;
        }
        for user in facts.users(id) {
            match effect(user) {
                Effect::Fused => return Some(true),
                Effect::Permute => queue.extend(user.outputs.iter().map(|o| (*o, true))),
                Effect::Reshape
                | Effect::Same
                | Effect::Broadcast
                | Effect::Part
                | Effect::Norm
                | Effect::Join => {
                    queue.extend(user.outputs.iter().map(|o| (*o, moved)));
                }
                Effect::Pointwise if matches!(stem(user), "mul" | "multiply") => {
                    // A factor of queries and keys; but a table may be scaled by a number.
                    if operands(user).any(|o| o != id && facts.elements(o) > 1) {
                        return None;
                    }
                    queue.extend(user.outputs.iter().map(|o| (*o, moved)));
                }
                Effect::Pointwise => return Some(moved),
                _ => return Some(false),
            }
        }
    }
    Some(false)
}

/// Tables and vectors that are added to a stream or put before it as they are.
fn start_of_stream(facts: &Facts<'_>, start: TensorId, found: &mut Vec<Embedding>) {
    let mut queue = VecDeque::from([(start, 0)]);
    let mut seen = BTreeSet::new();
    while let Some((id, maps)) = queue.pop_front() {
        if !seen.insert(id) || seen.len() > LIMIT {
            continue;
        }
        if let Some(input) = facts.norm_input(id) {
            queue.push_back((input, maps));
            continue;
        }
        let Some(producer) = facts.graph.producer(id).filter(|_| facts.is_content(id)) else { continue };
        let width = facts.shape(id).last().copied();
        let as_it_is = |o: TensorId| {
            let parameter = facts.parameter(o);
            let leaf = facts.graph.tensor(parameter).is_some_and(|t| t.origin == Origin::Parameter);
            let rank = facts.shape(o).len();
            (facts.weights.contains(o) && facts.is_float(o) && leaf && rank >= 2).then_some(parameter)
        };
        let tables = |kind: EmbeddingKind| {
            let operands = operands(producer).filter(|o| facts.shape(*o).last().copied() == width);
            operands.filter_map(as_it_is).find_map(|weight| {
                let shape = facts.shape(weight);
                let rows = shape.len().checked_sub(2).map(|i| size(shape[i]));
                embedding(kind, producer, weight, None, rows)
            })
        };
        let mut maps = maps;
        match effect(producer) {
            Effect::Pointwise if stem(producer) == "add" => {
                let table = tables(EmbeddingKind::Position).filter(|e| e.rows.is_some_and(|rows| rows > 1));
                found.extend(table);
            }
            Effect::Join => found.extend(tables(EmbeddingKind::Learned)),
            Effect::Pointwise
            | Effect::Reshape
            | Effect::Permute
            | Effect::Same
            | Effect::Broadcast
            | Effect::Part => {}
            // One linear map between the tables and the stream, where these have another width.
            Effect::Product if facts.projection(producer).is_some() && maps == 0 => maps += 1,
            _ => continue,
        }
        queue.extend(operands(producer).filter(|o| facts.is_activation(*o)).map(|o| (o, maps)));
    }
}

/// Convolutions and linear maps of a real-valued input that a stream begins behind.
fn from_input(
    facts: &Facts<'_>,
    input: TensorId,
    [behind, nearest]: &[BTreeSet<OperationId>; 2],
    found: &mut Vec<Embedding>,
    claimed: &mut Vec<OperationId>,
) {
    let mut at = input;
    let mut passed = Vec::new();
    // Whether elements of several places were put side by side before: patches.
    let mut unfolded = false;
    let mut first = true;
    for _ in 0..LIMIT {
        let mut users = facts.users(at).filter(|user| behind.contains(&user.id));
        let (Some(user), None) = (users.next(), users.next()) else { return };
        let Some(output) = user.outputs.first() else { return };
        let convolution = stem(user).contains("conv") && user.tensor("weight").is_some();
        let linear = facts.projection(user).filter(|p| p.input == at && !convolution);
        if convolution || linear.is_some() {
            let weight = linear.map(|p| p.weight.parameter).or_else(|| user.tensor("weight"));
            let Some(weight) = weight.map(|w| facts.parameter(w)) else { return };
            let tokens = facts.shape(*output).len() > 2;
            let kind = match (convolution, first && strides_of(facts, user, weight)) {
                (true, true) => EmbeddingKind::Patch,
                (true, false) => EmbeddingKind::Stem,
                (false, _) if unfolded => EmbeddingKind::Patch,
                (false, _) => EmbeddingKind::Features,
            };
            // A linear map after convolutions is none of the input.
            if tokens && (convolution || first && nearest.contains(&user.id)) {
                found.extend(embedding(kind, user, weight, Some(input), None));
                claimed.append(&mut passed);
            }
            if kind != EmbeddingKind::Stem {
                return;
            }
            first = false;
        } else {
            passed.push(user.id);
            let small = operands(user).all(|o| o == at || !facts.is_activation(o));
            let pool = stem(user).contains("pool");
            if !small || !pool && matches!(effect(user), Effect::Product | Effect::Softmax | Effect::Fused) {
                return;
            }
            // Channels of the result are more than those of the input.
            let wider = |id: TensorId| facts.shape(id).last().copied().unwrap_or(1);
            let moves = matches!(effect(user), Effect::Reshape) || matches!(stem(user), "im2col" | "unfold");
            unfolded |= moves && wider(*output) > wider(at);
        }
        at = *output;
    }
}

/// True if a convolution moves its kernel by its own size.
fn strides_of(facts: &Facts<'_>, convolution: &Operation, weight: TensorId) -> bool {
    let kernel = facts.shape(weight).get(2..).unwrap_or(&[]);
    let stride = convolution.argument("stride").and_then(Value::as_ints).unwrap_or(&[]);
    let stride = |i: usize| stride.get(i).or(stride.last()).copied();
    !kernel.is_empty() && kernel.iter().enumerate().all(|(i, k)| stride(i) == Some(*k))
}
