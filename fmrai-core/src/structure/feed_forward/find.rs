//! Feed-forward blocks found behind what is written to the residual stream.

use std::collections::BTreeMap;

use crate::graph::{OperationId, TensorId, Value};
use crate::structure::facts::{Facts, REACH, sorted};
use crate::structure::operator::{Effect, effect, first_input, operands, stem};
use crate::structure::projection::{LinearWeight, Projection, start_of_part};
use crate::structure::residual::{Ends, Routing, Write};
use crate::structure::shape::axis;

use super::expression::{Expression, Half, Variable};
use super::{ActivationFunction, Experts, FeedForward, FeedForwardKind, NeuronWeights};

/// A block before its place among the others is known.
struct Candidate {
    block: FeedForward,
    routing: Routing,
}

/// The feed-forward blocks behind each write, with the position of the write, in execution order.
pub(in crate::structure) fn find_feed_forward(
    facts: &Facts<'_>,
    writes: &[Write],
    ends: &[Ends],
) -> Vec<(usize, FeedForward)> {
    let mut found = Vec::new();
    for (position, (write, ends)) in writes.iter().zip(ends).enumerate() {
        let candidates = ends.projections.iter().filter_map(|(values, routing)| {
            let block = block(facts, write, values)?;
            Some(Candidate { block, routing: *routing })
        });
        found.extend(told_apart(facts, candidates.collect()).into_iter().map(|block| (position, block)));
    }
    found.sort_by_key(|(_, block)| block.operations.first().copied());
    let mut layers: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, block) in &mut found {
        let layer = layers.entry(block.role()).or_default();
        block.layer = *layer;
        *layer += 1;
    }
    found
}

/// Experts told from blocks that all tokens go through, among those whose results are added together.
fn told_apart(facts: &Facts<'_>, mut all: Vec<Candidate>) -> Vec<FeedForward> {
    let held = |c: &Candidate| c.block.values.expert_axis.is_some();
    let several = |routing| all.iter().filter(|c| c.routing >= routing).count() > 1;
    // Experts that share a parameter are told by that, others by what is done with their results; beside them a
    // block that only has a gate of its own is shared.
    let least = [Routing::Sorted, Routing::Weighed].into_iter().find(|r| several(*r));
    let together = all.iter().any(held);
    let expert =
        |c: &Candidate| if together { held(c) } else { least.is_some_and(|least| c.routing >= least) };
    let experts: Vec<usize> = (0..all.len()).filter(|i| expert(&all[*i])).collect();
    for (index, i) in experts.iter().enumerate() {
        let block = &mut all[*i].block;
        let held = block.values.expert_axis.and_then(|a| facts.shape(block.values.weight).get(a).copied());
        let held = held.and_then(|n| usize::try_from(n).ok());
        block.kind = FeedForwardKind::Experts;
        block.experts = Some(if experts.len() > 1 {
            Experts { count: held.unwrap_or(experts.len()).max(experts.len()), index: Some(index) }
        } else {
            Experts { count: held.unwrap_or(1), index: None }
        });
    }
    let mixed = !experts.is_empty();
    all.into_iter()
        .map(|Candidate { mut block, .. }| {
            block.shared = mixed && block.experts.is_none();
            block
        })
        .collect()
}

/// A linear map that a tensor is a part of.
#[derive(Debug, Clone)]
struct ProjectionPart {
    projection: Projection,
    /// First result that is taken, and the distance to the next.
    start: usize,
    step: usize,
    operations: Vec<OperationId>,
}

/// What tells two parts of linear maps apart.
type Name = (OperationId, usize, usize);

/// The linear map that `id` is the result of, or a part of it, through views, casts and the addition of a bias.
fn source(facts: &Facts<'_>, id: TensorId) -> Option<ProjectionPart> {
    let (mut at, mut start, mut step) = (id, 0, 1);
    let mut operations = Vec::new();
    for _ in 0..REACH {
        let producer = facts.graph.producer(at)?;
        operations.push(producer.id);
        if let Some(projection) = facts.projection(producer).cloned() {
            operations.extend(&projection.weight.views);
            return Some(ProjectionPart { projection, start, step, operations });
        }
        at = match effect(producer) {
            _ if facts.rearranges(producer) => first_input(producer)?,
            Effect::Part => {
                let input = first_input(producer)?;
                let (old, new) = (facts.shape(input), facts.shape(at));
                let dim = axis(producer.argument("dim").and_then(Value::as_int).unwrap_or(0), old.len())?;
                let (size, last) = (*old.get(dim)?, dim + 1 == old.len());
                if old.len() == new.len() + 1 {
                    let index = match stem(producer) {
                        "unbind" | "unbind_copy" => producer.outputs.iter().position(|o| *o == at)?,
                        _ => {
                            let index = producer.argument("index")?.as_int()?;
                            usize::try_from(if index < 0 { index + size } else { index }).ok()?
                        }
                    };
                    let after = usize::try_from(old.get(dim + 1..)?.iter().product::<i64>()).ok()?;
                    start += index * after;
                    step = if last { usize::try_from(size).ok()? } else { step };
                } else if new.get(dim) != Some(&size) {
                    let stride = producer.argument("step").and_then(Value::as_int).unwrap_or(1);
                    let stride = usize::try_from(stride).ok()?.max(1);
                    start = start_of_part(producer, at, size, *new.get(dim)?)? + start * stride;
                    step *= stride;
                }
                input
            }
            // A bias, or those of chosen experts.
            Effect::Pointwise if stem(producer) == "add" => {
                let mut tensors =
                    operands(producer).filter(|o| facts.is_activation(*o) && !is_bias(facts, *o));
                let only = tensors.next().filter(|_| tensors.next().is_none())?;
                operands(producer).any(|o| o != only).then_some(only)?
            }
            _ => return None,
        };
    }
    None
}

/// The linear map that a variable of an expression is the result of, or a part of it.
fn of_variable(facts: &Facts<'_>, (id, half): Variable) -> Option<ProjectionPart> {
    let mut found = source(facts, id)?;
    if let Some(half) = half {
        let shape = facts.shape(id);
        // `glu` halves the last axis where it is not told another one.
        let along = facts.users(id).find(|user| stem(user) == "glu")?;
        let dim = along.argument("dim").and_then(Value::as_int).unwrap_or(-1);
        let size = usize::try_from(*shape.get(axis(dim, shape.len())?)?).ok()?;
        found.start += if half == Half::Second { size / 2 * found.step } else { 0 };
    }
    Some(found)
}

/// What a linear map takes, before views, casts and normalisation.
fn before_norms(facts: &Facts<'_>, id: TensorId) -> TensorId {
    let mut at = id;
    for _ in 0..REACH {
        let before = facts.norm_input(at).or_else(|| facts.rearranged(at).map(|(before, _)| before));
        let Some(before) = before else { break };
        at = before;
    }
    at
}

/// True if `id` is a parameter's elements for chosen experts.
fn is_bias(facts: &Facts<'_>, id: TensorId) -> bool {
    let mut at = id;
    while let Some((before, _)) = facts.rearranged(at) {
        at = before;
    }
    let table = facts.graph.producer(at).and_then(crate::structure::facts::lookup);
    table.is_some_and(|(table, _)| facts.weights.contains(table))
}

/// The feed-forward block whose second linear map is `values`, if there is one.
fn block(facts: &Facts<'_>, write: &Write, values: &Projection) -> Option<FeedForward> {
    let mut operations = vec![values.operation];
    operations.extend(&values.weight.views);
    // What the second linear map takes, before views, and before normalisation inside the block.
    let mut activation = values.input;
    let mut top = activation;
    let mut viewed = true;
    for _ in 0..REACH {
        let producer = facts.graph.producer(top)?;
        let view = matches!(effect(producer), Effect::Reshape | Effect::Broadcast);
        let next = match facts.norm_input(top) {
            Some(input) => input,
            None if view || matches!(effect(producer), Effect::Permute | Effect::Same) => {
                first_input(producer)?
            }
            None => break,
        };
        operations.push(producer.id);
        viewed &= view;
        if viewed {
            activation = next;
        }
        top = next;
    }
    let inside = |id: OperationId| write.region.binary_search(&id).is_ok();
    let mut sources: BTreeMap<Variable, Option<ProjectionPart>> = BTreeMap::new();
    let expression = Expression::of(facts, top, &mut |variable| {
        let found = sources
            .entry(variable)
            .or_insert_with(|| of_variable(facts, variable).filter(|s| inside(s.projection.operation)));
        found.as_ref().map(|s| -> Name { (s.projection.operation, s.start, s.step) })
    })?;
    let f = |at: &[f64]| expression.value(at);
    let (gate, linear, function) = match expression.variables.as_slice() {
        [x] => (*x, None, ActivationFunction::with_values(&|v| f(&[v]))),
        [a, b] => {
            // The factor without the function is the one in which the product is straight.
            if straight(&|x, y| f(&[x, y])) {
                (*a, Some(*b), ActivationFunction::with_values(&|v| f(&[v, 1.0]) - f(&[v, 0.0])))
            } else if straight(&|x, y| f(&[y, x])) {
                (*b, Some(*a), ActivationFunction::with_values(&|v| f(&[1.0, v]) - f(&[0.0, v])))
            } else {
                return None;
            }
        }
        _ => return None,
    };
    if linear.is_none() && function == ActivationFunction::Identity {
        return None;
    }
    let first = sources.get(&gate)?.clone()?;
    let second = match linear {
        Some(linear) => Some(sources.get(&linear)?.clone()?),
        None => None,
    };
    // Two maps of different things are a modulation of one by the other, not a gate.
    let read = |part: &ProjectionPart| before_norms(facts, part.projection.input);
    if second.as_ref().is_some_and(|second| read(second) != read(&first)) {
        return None;
    }
    operations.extend(&expression.operations);
    operations.extend(&first.operations);
    operations.extend(second.iter().flat_map(|s| &s.operations));
    let neurons = values.weight.input.size;
    let keys = second.as_ref().unwrap_or(&first);
    let module = shared_module(facts, first.projection.operation, values.operation);
    Some(FeedForward {
        layer: 0,
        kind: if linear.is_some() { FeedForwardKind::Gated } else { FeedForwardKind::Plain },
        shared: false,
        module,
        neurons,
        experts: None,
        function,
        input: before_views(facts, first.projection.input),
        pre_activation: gate.0,
        linear: linear.map(|(id, _)| id),
        activation,
        output: after_views(facts, values.output),
        keys: neurons_of(keys),
        gate: second.is_some().then(|| neurons_of(&first)),
        values: NeuronWeights {
            weight: values.weight.parameter,
            axis: values.weight.input.axis,
            start: values.weight.input.start,
            step: 1,
            groups: values.weight.groups,
            expert_axis: values.weight.experts,
        },
        operations: sorted(operations),
        positions: None,
    })
}

fn neurons_of(source: &ProjectionPart) -> NeuronWeights {
    let LinearWeight { parameter, output, experts, groups, .. } = &source.projection.weight;
    NeuronWeights {
        weight: *parameter,
        axis: output.axis,
        start: output.start + source.start,
        step: source.step,
        groups: *groups,
        expert_axis: *experts,
    }
}

/// True if `f(x, y)` is a straight line in `y` for each `x`, and not the same for all `y`.
fn straight(f: &dyn Fn(f64, f64) -> f64) -> bool {
    let points = [-2.3, -0.6, 0.7, 1.9, 3.1];
    let mut varies = false;
    for x in points {
        let [low, middle, high] = [-1.5, 0.5, 2.5].map(|y| f(x, y));
        let scale = low.abs().max(high.abs()).max(1.0);
        // A NaN must not pass.
        let bend = (low + high - 2.0 * middle).abs();
        if bend.is_nan() || bend > 1e-6 * scale {
            return false;
        }
        varies |= (high - low).abs() > 1e-6;
    }
    varies
}

/// The tensor before the views that a linear map in elementary operations needs.
fn before_views(facts: &Facts<'_>, id: TensorId) -> TensorId {
    let mut at = id;
    while let Some((before, view)) = facts.rearranged(at) {
        if !matches!(effect(view), Effect::Reshape | Effect::Broadcast) {
            break;
        }
        at = before;
    }
    at
}

/// The tensor after the bias and the views that a linear map in elementary operations has.
fn after_views(facts: &Facts<'_>, id: TensorId) -> TensorId {
    let mut at = id;
    for _ in 0..REACH {
        let mut users = facts.users(at);
        let (Some(user), None) = (users.next(), users.next()) else { break };
        let bias = stem(user) == "add"
            && operands(user).any(|o| o != at)
            && operands(user).all(|o| o == at || facts.weights.contains(o) || is_bias(facts, o));
        let view = effect(user) == Effect::Reshape;
        let Some(output) = user.outputs.first().filter(|_| bias || view) else { break };
        at = *output;
    }
    at
}

/// The innermost module that both operations run in.
fn shared_module(facts: &Facts<'_>, first: OperationId, second: OperationId) -> String {
    let module = |id| facts.graph.operation(id).map_or("", |o| o.module.as_str());
    let (a, b) = (module(first), module(second));
    let same = a.split('.').zip(b.split('.')).take_while(|(a, b)| a == b).map(|(a, _)| a);
    same.collect::<Vec<_>>().join(".")
}
