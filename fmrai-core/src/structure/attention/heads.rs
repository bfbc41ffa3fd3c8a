//! How many heads a block has, read from executed shapes.

use crate::graph::{Graph, Operation, TensorId};

use crate::structure::lineage::{Axis, Label, Lines, total};
use crate::structure::operator::{Effect, effect, first_input, operands, stem};
use crate::structure::product;
use crate::structure::shape::{self, elements, inner, leading};

/// Steps after which a trace gives up.
const REACH: usize = 24;

/// Heads of a tensor whose axes `matrix` are positions and channels: what the others have of channels of a linear map. `None`
/// where nothing is known of one of them.
pub(super) fn of_axes(lines: &Lines, id: TensorId, matrix: &[usize]) -> Option<usize> {
    let axes = lines.axes(id);
    let leading = axes.iter().enumerate().filter(|(i, _)| !matrix.contains(i)).map(|(_, axis)| axis);
    let all: Vec<_> = leading.flatten().filter(|f| f.size > 1).collect();
    let known = !axes.is_empty() && all.iter().all(|f| f.label != Label::Unknown);
    let heads = all.iter().filter(|f| f.label == Label::Channel);
    known.then(|| count(heads.fold(1_i64, |n, f| n.saturating_mul(f.size))))
}

/// Heads of queries and keys that a fused operation takes, `[.., head, position, channel]`.
pub(super) fn of_pair(lines: &Lines, query: TensorId, key: TensorId) -> Option<usize> {
    let (one, other) = (lines.axes(query), lines.axes(key));
    let rows = one.len().checked_sub(2)?;
    let own = of_axes(lines, query, &[rows, rows + 1]);
    // Learned queries have heads that no linear map has made; keys of as many heads tell them.
    let alike = one.len() == other.len() && (0..rows).all(|i| total(&one[i]) == total(&other[i]));
    let of_keys = alike.then(|| of_axes(lines, key, &[rows, rows + 1])).flatten();
    own.max(of_keys)
}

/// Heads that keys or values have before they are repeated; those that a part of a key shares with others do not count.
pub(super) fn shared(lines: &Lines, key: TensorId, value: TensorId, heads: usize) -> Option<usize> {
    let of = |id: TensorId| {
        let axes = lines.axes(id);
        // The last axis with channels is theirs; with positions it is one of the last two.
        let all: Vec<&Axis> = axes.iter().collect();
        let known = all.iter().all(|axis| axis.iter().all(|f| f.label != Label::Unknown));
        let channel = all.iter().rposition(|axis| is_of_channels(axis))?;
        let before = all.iter().take(channel).chain(all.iter().skip(channel + 1));
        let heads = before.flat_map(|axis| axis.iter()).filter(|f| f.label == Label::Channel);
        known.then(|| count(heads.fold(1_i64, |n, f| n.saturating_mul(f.size))))
    };
    let found = of(key)?.max(of(value)?);
    (found <= heads && heads.is_multiple_of(found)).then_some(found)
}

fn is_of_channels(axis: &Axis) -> bool {
    total(axis) > 1 && axis.iter().all(|f| f.label == Label::Channel)
}

/// True if an axis holds channels.
pub(super) fn is_channels(lines: &Lines, id: TensorId, axis: usize) -> bool {
    lines.axes(id).get(axis).is_some_and(is_of_channels)
}

/// True if a product sums over channels of this operand.
pub(super) fn sums_channels(graph: &dyn Graph, lines: &Lines, operation: &Operation, id: TensorId) -> bool {
    let Some(product) = product::contraction(graph, operation) else { return false };
    let summed = product.summed();
    let operand = product.operands.iter().find(|(operand, _)| *operand == id);
    operand.is_some_and(|(id, labels)| {
        labels.iter().enumerate().any(|(i, label)| summed.contains(label) && is_channels(lines, *id, i))
    })
}

/// True if the rows and the columns of a product of two activations are channels: attention over channels.
pub(super) fn multiplies_channels(graph: &dyn Graph, lines: &Lines, operation: &Operation) -> bool {
    let Some(product) = product::contraction(graph, operation) else { return false };
    let summed = product.summed();
    // What is summed over are then positions.
    let [one, other] = product.operands.each_ref().map(|(id, labels)| {
        let of = |wanted: &dyn Fn(u32) -> bool| -> Vec<usize> {
            labels.iter().enumerate().filter(|(_, l)| wanted(**l)).map(|(i, _)| i).collect()
        };
        let alone = of(&|l| {
            product.result.contains(&l) && !product.operands.iter().all(|(_, labels)| labels.contains(&l))
        });
        let positions = of(&|l| summed.contains(&l)).iter().all(|i| !is_channels(lines, *id, *i));
        !alone.is_empty() && positions && alone.iter().all(|i| is_channels(lines, *id, *i))
    });
    one && other
}

fn count(n: i64) -> usize {
    usize::try_from(n).unwrap_or(0).max(1)
}

/// The operand that an operation changes step by step, if it keeps one.
fn main_operand(graph: &dyn Graph, operation: &Operation) -> Option<TensorId> {
    match effect(operation) {
        Effect::Reshape
        | Effect::Permute
        | Effect::Broadcast
        | Effect::Part
        | Effect::Same
        | Effect::Norm
        | Effect::Join => first_input(operation),
        Effect::Pointwise => {
            let size = elements(shape::of(graph, *operation.outputs.first()?)?);
            operands(operation).find(|id| shape::of(graph, *id).is_some_and(|s| elements(s) == size))
        }
        _ => None,
    }
}

/// The operations that `id` went through, latest first, each with its main operand.
fn history(graph: &dyn Graph, id: TensorId) -> impl Iterator<Item = (&Operation, TensorId, TensorId)> {
    let mut at = id;
    std::iter::from_fn(move || {
        let producer = graph.producer(at)?;
        let (input, output) = (main_operand(graph, producer)?, at);
        at = input;
        Some((producer, input, output))
    })
    .take(REACH)
}

/// Query heads of a block whose scores (or, if fused, queries) have this shape.
pub(super) fn query_heads(graph: &dyn Graph, scores: &[i64], query: TensorId, context: TensorId) -> usize {
    match scores {
        [batch, _, _] => count(merged(graph, query, *batch).or_else(|| split(graph, context)).unwrap_or(1)),
        _ => count(elements(inner(scores))),
    }
}

/// Heads that a reshape has merged into the first axis, of size `batch`.
fn merged(graph: &dyn Graph, id: TensorId, batch: i64) -> Option<i64> {
    history(graph, id).filter(|(o, ..)| effect(o) == Effect::Reshape).find_map(|(_, input, output)| {
        let (old, new) = (shape::of(graph, input)?, shape::of(graph, output)?);
        let joined = (0..new.len()).filter(|i| new[*i] == batch);
        if old.len() == new.len() + 1 {
            let whole = |i: usize| {
                old[..i] == new[..i]
                    && old[i].saturating_mul(old[i + 1]) == new[i]
                    && old[i + 2..] == new[i + 1..]
            };
            return joined.into_iter().find(|i| whole(*i)).map(|i| old[i + 1]);
        }
        let (wide, narrow) = (*old.last()?, *new.last()?);
        let heads = wide.checked_div(narrow)?;
        let moved =
            |i: usize| i + 1 < new.len() && old.get(i).is_some_and(|n| n.saturating_mul(heads) == new[i]);
        (old.len() == new.len() && heads > 1 && heads.saturating_mul(narrow) == wide)
            .then(|| joined.into_iter().any(moved).then_some(heads))
            .flatten()
    })
}

/// Heads that a reshape splits off the first axis of a block's result.
fn split(graph: &dyn Graph, context: TensorId) -> Option<i64> {
    let old = shape::of(graph, context)?;
    let users = graph.users(context).iter().filter_map(|user| graph.operation(*user));
    users.filter(|user| effect(user) == Effect::Reshape).find_map(|user| {
        let new = shape::of(graph, *user.outputs.first()?)?;
        match (new, old) {
            ([batch, heads, new @ ..], [merged, old @ ..])
                if batch.saturating_mul(*heads) == *merged && new == old =>
            {
                Some(*heads)
            }
            _ => None,
        }
    })
}

/// Key and value heads of a block with `heads` query heads.
pub(super) fn key_value_heads(graph: &dyn Graph, heads: usize, key: TensorId) -> usize {
    let held =
        shape::of(graph, key).map_or(heads, |s| if s.len() > 3 { count(elements(inner(s))) } else { heads });
    if held < heads {
        return held;
    }
    let repeats =
        history(graph, key).filter(|(o, ..)| effect(o) == Effect::Broadcast).find_map(|(_, from, to)| {
            let (old, new) = (shape::of(graph, from)?, shape::of(graph, to)?);
            let pairs = old.iter().rev().zip(new.iter().rev()).take(new.len().saturating_sub(1));
            let times = pairs.filter(|(o, _)| **o > 0).fold(1_i64, |t, (o, n)| t.saturating_mul(n / o));
            (times > 1).then(|| count(times))
        });
    repeats.filter(|times| heads.is_multiple_of(*times)).map_or(heads, |times| heads / times)
}

/// The tensor that `operand` was before its leading axes were merged and it was copied for that, if the scores
/// have them apart.
pub(super) fn unmerged(graph: &dyn Graph, scores: &[i64], operand: TensorId) -> TensorId {
    let apart = |s: &[i64]| s.len() == scores.len() && leading(s) == leading(scores);
    let plain = |o: &Operation| {
        matches!(effect(o), Effect::Reshape | Effect::Broadcast)
            || matches!(stem(o), "clone" | "contiguous" | "alias")
    };
    if shape::of(graph, operand).is_none_or(|s| s.len() >= scores.len()) {
        return operand;
    }
    history(graph, operand)
        .take_while(|(o, from, to)| {
            plain(o) && shape::of(graph, *from).map(elements) == shape::of(graph, *to).map(elements)
        })
        .map(|(_, from, _)| from)
        .filter(|id| shape::of(graph, *id).is_some_and(apart))
        .last()
        .unwrap_or(operand)
}

/// The result with its leading axes apart, if the scores have them apart and the model splits them right away.
pub(super) fn split_again(graph: &dyn Graph, scores: &[i64], context: TensorId) -> TensorId {
    let apart = |old: &[i64], new: &[i64]| {
        new.len() == scores.len()
            && leading(new) == leading(scores)
            && new.last_chunk::<2>() == old.last_chunk::<2>()
    };
    let found = || {
        let old = shape::of(graph, context).filter(|s| s.len() < scores.len())?;
        let users = graph.users(context).iter().filter_map(|user| graph.operation(*user));
        users
            .filter(|user| effect(user) == Effect::Reshape)
            .filter_map(|user| user.outputs.first().copied())
            .find(|id| shape::of(graph, *id).is_some_and(|new| apart(old, new)))
    };
    found().unwrap_or(context)
}
