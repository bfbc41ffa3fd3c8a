//! Looks for linear maps in a graph.

use crate::graph::{Operation, Origin, TensorId, Value};
use crate::structure::facts::{Facts, REACH, lookup};
use crate::structure::operator::{Effect, effect, first_input, operands, stem};
use crate::structure::shape::axis;

use super::{LinearWeight, Place, Projection};

/// For each operation of a graph, the linear map that it is.
pub(in crate::structure) fn find_projections(facts: &Facts<'_>) -> Vec<Option<Projection>> {
    facts.graph.operations().iter().map(|operation| find_projection(facts, operation)).collect()
}

/// The linear map that `operation` is, if it is one.
fn find_projection(facts: &Facts<'_>, operation: &Operation) -> Option<Projection> {
    let (input, weight, [summed, kept]) = match stem(operation) {
        "linear" => {
            let (input, weight) = (operation.tensor("input")?, operation.tensor("weight")?);
            let rank = facts.shape(weight).len();
            (input, weight, [rank.checked_sub(1)?, rank.checked_sub(2)?])
        }
        "mm"
        | "bmm"
        | "matmul"
        | "linalg_matmul"
        | "addmm"
        | "baddbmm"
        | "_grouped_mm"
        | "_scaled_grouped_mm"
        | "grouped_mm"
        | "grouped_mm_fallback" => factors(facts, operation)?,
        "conv1d" | "conv2d" | "conv3d" | "convolution" | "_convolution" => {
            let weight = operation.tensor("weight")?;
            let pointwise = facts.shape(weight).get(2..).is_some_and(|k| k.iter().all(|n| *n == 1));
            // A factor for each channel is no map.
            let mixes = groups(operation) == 1 || facts.shape(weight).get(1).is_some_and(|n| *n > 1);
            let input = operation.tensor("input")?;
            (pointwise && mixes).then_some((input, weight, [1, 0]))?
        }
        "einsum" => einsum(facts, operation)?,
        _ => return None,
    };
    let output = *operation.outputs.first()?;
    if !facts.is_activation(input) {
        return None;
    }
    let mut weight = weight_of(facts, weight, summed, kept)?;
    weight.groups = groups(operation);
    weight.input.size = weight.input.size.saturating_mul(weight.groups);
    Some(Projection { operation: operation.id, input, output, weight })
}

/// Groups of channels of a convolution.
fn groups(operation: &Operation) -> usize {
    let groups = operation.argument("groups").and_then(Value::as_int);
    groups.and_then(|n| usize::try_from(n).ok()).map_or(1, |n| n.max(1))
}

/// True if the elements of `id` are a parameter's, all of them or those of chosen experts.
fn is_weight(facts: &Facts<'_>, id: TensorId) -> bool {
    let mut at = id;
    for _ in 0..REACH {
        if facts.weights.contains(at) {
            return facts.is_float(at);
        }
        let Some(producer) = facts.graph.producer(at) else { return false };
        let next = match effect(producer) {
            Effect::Reshape | Effect::Permute | Effect::Same | Effect::Broadcast | Effect::Part => {
                first_input(producer)
            }
            _ => lookup(producer).map(|(table, _)| table).filter(|t| facts.shape(*t).len() > 2),
        };
        let Some(next) = next else { return false };
        at = next;
    }
    false
}

fn factors(facts: &Facts<'_>, operation: &Operation) -> Option<(TensorId, TensorId, [usize; 2])> {
    let mut tensors = operation
        .arguments
        .iter()
        .filter(|a| matches!(a.name.as_str(), "mat1" | "mat2" | "batch1" | "batch2" | "other" | "weight"))
        .filter_map(|a| a.value.tensors().next());
    let added = matches!(stem(operation), "addmm" | "baddbmm");
    let left = if added {
        tensors.next()?
    } else {
        operation.tensor("self").or_else(|| operation.tensor("input"))?
    };
    let right = tensors.next()?;
    let (l, r) = (facts.shape(left).len(), facts.shape(right).len());
    if r > 1 && is_weight(facts, right) {
        Some((left, right, [r - 2, r - 1]))
    } else if l > 1 && is_weight(facts, left) {
        Some((right, left, [l - 1, l - 2]))
    } else {
        None
    }
}

fn einsum(facts: &Facts<'_>, operation: &Operation) -> Option<(TensorId, TensorId, [usize; 2])> {
    let (Some(Value::Text(equation)), Some(Value::Tensors(tensors))) =
        (operation.argument("equation"), operation.argument("tensors"))
    else {
        return None;
    };
    let &[Some(first), Some(second)] = tensors.as_slice() else { return None };
    let equation: String = equation.replace("...", "").split_whitespace().collect();
    let (inputs, result) = equation.split_once("->")?;
    let (a, b) = inputs.split_once(',')?;
    let (input, weight, labels, others) = if is_weight(facts, second) {
        (first, second, b, a)
    } else {
        is_weight(facts, first).then_some((second, first, a, b))?
    };
    let single = |wanted: &dyn Fn(char) -> bool| {
        let mut found = labels.chars().enumerate().filter(|(_, label)| wanted(*label)).map(|(i, _)| i);
        found.next().filter(|_| found.next().is_none())
    };
    let summed = single(&|l| others.contains(l) && !result.contains(l))?;
    let kept = single(&|l| !others.contains(l) && result.contains(l))?;
    Some((input, weight, [summed, kept]))
}

/// Where two axes of `id` are in the parameter that it was made of.
fn weight_of(facts: &Facts<'_>, id: TensorId, summed: usize, kept: usize) -> Option<LinearWeight> {
    let shape = facts.shape(id);
    let place = |a: usize| Some(Place { axis: a, start: 0, size: usize::try_from(*shape.get(a)?).ok()? });
    let mut places = [place(summed)?, place(kept)?];
    let mut at = id;
    let (mut experts, mut views) = (None, Vec::new());
    for _ in 0..REACH {
        let Some(producer) = facts.graph.producer(at) else { break };
        let Some(step) = before(facts, producer, at, places, experts) else { break };
        views.push(producer.id);
        (at, places, experts) = step;
    }
    if !facts.weights.contains(at) {
        return None;
    }
    let leaf = facts.graph.tensor(at)?;
    if experts.is_none() && leaf.shape.len() == 3 && !matches!(leaf.origin, Origin::Operation { .. }) {
        let free = (0..3).find(|a| places.iter().all(|p| p.axis != *a))?;
        experts = Some(free).filter(|a| leaf.shape[*a] > 1);
    }
    let [input, output] = places;
    Some(LinearWeight { parameter: at, input, output, experts, groups: 1, views })
}

type Step = (TensorId, [Place; 2], Option<usize>);

/// The same two axes, and that of experts, in what `producer` took.
fn before(
    facts: &Facts<'_>,
    producer: &Operation,
    output: TensorId,
    places: [Place; 2],
    experts: Option<usize>,
) -> Option<Step> {
    let input = match effect(producer) {
        // The one operand of full size: scales of quantised weights are smaller.
        Effect::Pointwise => {
            let mut large = operands(producer).filter(|id| facts.shape(*id) == facts.shape(output));
            large.next().filter(|_| large.next().is_none())?
        }
        _ => first_input(producer)?,
    };
    let (old, new) = (facts.shape(input), facts.shape(output));
    let all = |map: &dyn Fn(usize) -> Option<usize>| {
        let [a, b] = places;
        let places = [Place { axis: map(a.axis)?, ..a }, Place { axis: map(b.axis)?, ..b }];
        let experts = match experts {
            Some(e) => Some(map(e)?),
            None => None,
        };
        Some((input, places, experts))
    };
    match effect(producer) {
        Effect::Same | Effect::Pointwise => all(&Some),
        Effect::Permute => all(&|a| permuted(producer, old.len(), a)),
        Effect::Reshape => all(&|a| reshaped(old, new, a)),
        Effect::Broadcast => all(&|a| {
            let b = (a + old.len()).checked_sub(new.len())?;
            (old.get(b) == new.get(a)).then_some(b)
        }),
        Effect::Part => {
            let dim = axis(producer.argument("dim").and_then(Value::as_int).unwrap_or(0), old.len())?;
            if old.len() == new.len() + 1 {
                let (input, places, _) = all(&|a| Some(if a >= dim { a + 1 } else { a }))?;
                return Some((input, places, Some(dim)));
            }
            let start = start_of_part(producer, output, old.get(dim).copied()?, new.get(dim).copied()?)?;
            let (input, mut places, experts) = all(&Some)?;
            for place in places.iter_mut().filter(|p| p.axis == dim) {
                place.start += start;
            }
            Some((input, places, experts))
        }
        _ => {
            let (table, ids) = lookup(producer)?;
            let along = producer.argument("dim").and_then(Value::as_int).unwrap_or(0);
            let dim = axis(along, facts.shape(table).len())?;
            let more = facts.shape(ids).len();
            let from = |a: usize| {
                if a < dim { Some(a) } else { (a + 1).checked_sub(more).filter(|b| *b > dim) }
            };
            let [a, b] = places;
            let places = [Place { axis: from(a.axis)?, ..a }, Place { axis: from(b.axis)?, ..b }];
            Some((table, places, Some(dim)))
        }
    }
}

/// First entry that a part along an axis takes.
pub(in crate::structure) fn start_of_part(
    part: &Operation,
    output: TensorId,
    old: i64,
    new: i64,
) -> Option<usize> {
    let position = part.outputs.iter().position(|id| *id == output)?;
    let from_end = |i: i64| usize::try_from(if i < 0 { i.saturating_add(old) } else { i }).ok();
    match stem(part) {
        "slice" | "slice_copy" | "narrow" | "narrow_copy" => {
            from_end(part.argument("start").and_then(Value::as_int).unwrap_or(0))
        }
        "split_with_sizes" | "unsafe_split_with_sizes" | "split_with_sizes_copy" | "split" => {
            if let Some(sizes) =
                part.argument("split_sizes").or_else(|| part.argument("split_size"))?.as_ints()
            {
                return usize::try_from(sizes.iter().take(position).sum::<i64>()).ok();
            }
            let size = part.argument("split_size")?.as_int()?;
            usize::try_from(size).ok()?.checked_mul(position)
        }
        "chunk" | "unsafe_chunk" | "unsafe_split" | "split_copy" | "tensor_split" => {
            // Only the last of equal parts may be smaller.
            if position + 1 == part.outputs.len() {
                return usize::try_from(old.checked_sub(new)?).ok();
            }
            usize::try_from(new).ok()?.checked_mul(position)
        }
        _ => None,
    }
}

/// The axis that a permutation puts at `a`.
fn permuted(operation: &Operation, rank: usize, a: usize) -> Option<usize> {
    let number = |name: &str| operation.argument(name).and_then(Value::as_int).and_then(|i| axis(i, rank));
    let swapped = |x: usize, y: usize| {
        if a == x {
            y
        } else if a == y {
            x
        } else {
            a
        }
    };
    match stem(operation) {
        "permute" | "permute_copy" => axis(*operation.argument("dims")?.as_ints()?.get(a)?, rank),
        "transpose" | "transpose_copy" | "swapdims" | "swapaxes" => {
            let first = number("dim0").or_else(|| number("axis0"))?;
            let second = number("dim1").or_else(|| number("axis1"))?;
            Some(swapped(first, second))
        }
        "t" | "t_copy" | "mT" | "adjoint" | "matrix_H" | "numpy_T" if rank >= 2 => {
            Some(swapped(rank - 2, rank - 1))
        }
        _ => None,
    }
}

/// The axis of the same size before which there are as many elements.
fn reshaped(old: &[i64], new: &[i64], a: usize) -> Option<usize> {
    let size = *new.get(a)?;
    let product = |s: &[i64]| s.iter().fold(1_i64, |n, m| n.saturating_mul(*m));
    let after = product(new.get(a + 1..)?);
    (0..old.len())
        .find(|b| old[*b] == size && product(&old[b + 1..]) == after && (size > 1 || old.len() == new.len()))
}
