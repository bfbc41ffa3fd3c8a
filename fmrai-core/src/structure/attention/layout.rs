//! Which axis of a block's tensors is which.

use crate::graph::{Graph, Operation, OperationId, TensorId};
use crate::structure::facts::users;
use crate::structure::lineage::{Axis, Label, Lines};
use crate::structure::operator::{Effect, effect, first_input};
use crate::structure::permutation::permutation;
use crate::structure::product::{self, Contraction};
use crate::structure::shape;

use super::Attention;
use super::axes::AttentionAxes;

/// The names of a tensor's axes; those of `fixed` are known, the others stand before them.
fn names(axes: &[Axis], fixed: &[(usize, &str)]) -> Vec<String> {
    let known = |i: usize| fixed.iter().find(|(at, _)| *at == i).map(|(_, name)| *name);
    let heads = |axis: &Axis| axis.iter().any(|f| matches!(f.label, Label::Channel | Label::Repeat));
    let any = axes.iter().enumerate().any(|(i, axis)| known(i).is_none() && heads(axis));
    let mut first = true;
    let name = |(i, axis): (usize, &Axis)| {
        if let Some(name) = known(i) {
            return name.to_owned();
        }
        let begins = std::mem::replace(&mut first, false);
        let others = axis.iter().any(|f| !matches!(f.label, Label::Channel | Label::Repeat));
        match (heads(axis), others) {
            (true, true) => "batch · head",
            (true, false) if begins && axis.iter().all(|f| f.label == Label::Repeat) => "batch",
            (true, false) => "head",
            (false, _) if begins => "batch",
            // An axis of one element beside no heads is the one of a single head.
            (false, false) if !any => "head",
            _ => "window",
        }
        .to_owned()
    };
    axes.iter().enumerate().map(name).collect()
}

/// The axes of an operand or result of a product by what they are there.
fn in_product(lines: &Lines, id: TensorId, labels: &[u32], is: &[(&[u32], &str)]) -> Vec<String> {
    let fixed: Vec<(usize, &str)> = labels
        .iter()
        .enumerate()
        .filter_map(|(i, label)| Some((i, is.iter().find(|(all, _)| all.contains(label))?.1)))
        .collect();
    names(lines.axes(id), &fixed)
}

/// Names of the last two axes, and those before them.
fn last(lines: &Lines, id: TensorId, two: [&str; 2]) -> Vec<String> {
    let axes = lines.axes(id);
    match axes.len().checked_sub(2) {
        Some(at) => names(axes, &[(at, two[0]), (at + 1, two[1])]),
        None => Vec::new(),
    }
}

/// Axes of the result that only operand `i` has, but for heads, which come first.
fn alone(lines: &Lines, product: &Contraction, i: usize) -> Vec<u32> {
    let ([(id, own), (_, other)], i) = (&product.operands, i);
    let (id, own, other) = if i == 0 { (*id, own, other) } else { (product.operands[1].0, other, own) };
    let all: Vec<u32> =
        own.iter().copied().filter(|l| product.result.contains(l) && !other.contains(l)).collect();
    let head = |label: &u32| {
        let at = own.iter().position(|l| l == label);
        let axis = at.and_then(|at| lines.axes(id).get(at));
        axis.is_some_and(|axis| !axis.is_empty() && axis.iter().all(|f| f.label == Label::Channel))
    };
    if all.len() > 1 { all.into_iter().filter(|label| !head(label)).collect() } else { all }
}

/// The names of the axes of a block whose scores are a product that this operation is, and whose context is another one.
pub(super) fn of_eager(
    graph: &dyn Graph,
    lines: &Lines,
    block: &Attention,
    [scores, sum]: [&Operation; 2],
    by_column: bool,
) -> AttentionAxes {
    let mut axes = AttentionAxes::default();
    if let Some(product) = product::contraction(graph, scores) {
        let (query, key) = if by_column { (0, 1) } else { (1, 0) };
        let summed = product.summed();
        let of = |side: usize, told: TensorId, name: &str| {
            let (id, labels) = &product.operands[side];
            if *id == told {
                let alone = alone(lines, &product, side);
                return in_product(lines, told, labels, &[(&summed, "channel"), (&alone, name)]);
            }
            last(lines, told, [name, "channel"])
        };
        axes.query = of(query, block.query, "query");
        axes.key = of(key, block.key, "key");
    }
    let is = |label: Label, wanted: Label| label == wanted;
    let own = lines.axes(block.probabilities);
    let at = |wanted: Label| {
        own.iter().position(|axis| matches!(axis.as_slice(), [factor] if is(factor.label, wanted)))
    };
    let key = at(Label::Key(block.operation));
    let query = at(Label::Query(block.operation))
        .or_else(|| key.and_then(|key| (0..key).rev().find(|i| own.get(*i).is_some_and(Vec::is_empty))));
    let fixed: Vec<(usize, &str)> =
        [query.map(|i| (i, "query")), key.map(|i| (i, "key"))].into_iter().flatten().collect();
    axes.probabilities = names(own, &fixed);
    if let Some(product) = product::contraction(graph, sum) {
        let values = usize::from(product.operands[1].0 == block.value);
        let known = lines.axes(product.operands[0].0);
        let weighs = known.iter().flatten().any(|f| f.label == Label::Key(block.operation));
        let side = if weighs { 1 } else { 0 };
        let summed = product.summed();
        let channel = alone(lines, &product, side);
        if product.operands[values].0 == block.value {
            let labels = &product.operands[side].1;
            axes.value = in_product(lines, block.value, labels, &[(&summed, "key"), (&channel, "channel")]);
        } else {
            axes.value = last(lines, block.value, ["key", "channel"]);
        }
        let query = alone(lines, &product, 1 - side);
        axes.context = if sum.outputs.first() == Some(&block.context) {
            let result = [(query.as_slice(), "query"), (channel.as_slice(), "channel")];
            in_product(lines, block.context, &product.result, &result)
        } else {
            last(lines, block.context, ["query", "channel"])
        };
    }
    axes
}

/// The same of a fused operation, whose layout is fixed.
pub(super) fn of_fused(lines: &Lines, block: &Attention) -> AttentionAxes {
    let query = last(lines, block.query, ["query", "channel"]);
    let mut probabilities = query.clone();
    if let Some(channel) = probabilities.last_mut() {
        "key".clone_into(channel);
    }
    AttentionAxes {
        key: last(lines, block.key, ["key", "channel"]),
        value: last(lines, block.value, ["key", "channel"]),
        context: query.clone(),
        probabilities,
        query,
    }
}

/// The probabilities in the usual layout, `[.., query, key]`, where the model has them so at once after the operation that makes
/// them; else as that makes them.
pub(super) fn usual(graph: &dyn Graph, lines: &Lines, made: TensorId, operation: OperationId) -> TensorId {
    let usual = |id: TensorId| {
        let axes = lines.axes(id);
        let key = axes.last().map(Vec::as_slice);
        let queries = axes.iter().flatten().any(|f| f.label == Label::Query(operation));
        let row = axes.len().checked_sub(2).and_then(|i| axes.get(i));
        let row = row.is_some_and(|row| {
            !queries || matches!(row.as_slice(), [f] if f.label == Label::Query(operation))
        });
        row && matches!(key, Some([f]) if f.label == Label::Key(operation))
    };
    let mut at = made;
    for _ in 0..4 {
        if usual(at) {
            return at;
        }
        let mut moved =
            users(graph, at).filter(|user| matches!(effect(user), Effect::Permute | Effect::Same));
        let Some(next) = moved.find_map(|user| user.outputs.first().copied()) else { break };
        at = next;
    }
    made
}

/// The tensor whose last two axes were swapped to make `id`, or `id` itself.
pub(super) fn untransposed(graph: &dyn Graph, id: TensorId) -> TensorId {
    let before = || {
        let producer = graph.producer(id).filter(|p| effect(p) == Effect::Permute)?;
        let input = first_input(producer)?;
        let rank = shape::of(graph, input)?.len();
        let mut swapped: Vec<usize> = (0..rank).collect();
        swapped.swap(rank.checked_sub(2)?, rank.checked_sub(1)?);
        (permutation(producer, rank)? == swapped).then_some(input)
    };
    before().unwrap_or(id)
}
