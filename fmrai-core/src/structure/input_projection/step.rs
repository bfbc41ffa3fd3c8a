//! One step back: which tensors an element may have come from, and which element of them.

use crate::graph::{Operation, TensorId, Value};
use crate::structure::facts::{Facts, REACH};
use crate::structure::operator::{Effect, effect, first_input, operands, stem};
use crate::structure::projection::start_of_part;
use crate::structure::shape::axis;

/// A place in a tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Element {
    pub(super) index: Vec<i64>,
    /// True for a tensor of complex numbers, whose parts lie along one more axis of `index`.
    pub(super) complex: bool,
}

/// What a way went through that one without rotation does not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Cost {
    sines: usize,
    joins: usize,
}

impl Cost {
    pub(super) fn and(self, more: Self) -> Self {
        Self { sines: self.sines + more.sines, joins: self.joins + more.joins }
    }
}

/// The tensors that an element of `at` may have come from.
pub(super) fn candidates(facts: &Facts<'_>, at: TensorId, element: &Element) -> Vec<(TensorId, Cost)> {
    if let Some(input) = facts.norm_input(at).filter(|input| facts.shape(*input) == facts.shape(at)) {
        return vec![(input, Cost::default())];
    }
    let Some(producer) = facts.graph.producer(at) else { return Vec::new() };
    match effect(producer) {
        Effect::Pointwise => {
            let factor = |id: &TensorId| !facts.is_activation(*id) || facts.shape(*id) != facts.shape(at);
            let sines = operands(producer).filter(factor).any(|id| is_sine(facts, id));
            let cost = Cost { sines: usize::from(sines), joins: 0 };
            let same = |id: &TensorId| facts.is_activation(*id) && facts.shape(*id) == facts.shape(at);
            operands(producer).filter(same).map(|id| (id, cost)).collect()
        }
        Effect::Join => {
            let part = joined(facts, producer, element).map(|(id, _)| id);
            part.into_iter().map(|id| (id, Cost { sines: 0, joins: 1 })).collect()
        }
        Effect::Reshape | Effect::Permute | Effect::Broadcast | Effect::Part | Effect::Same => {
            first_input(producer).into_iter().map(|id| (id, Cost::default())).collect()
        }
        Effect::Norm => {
            let same = |id: &TensorId| facts.shape(*id) == facts.shape(at);
            first_input(producer).filter(same).into_iter().map(|id| (id, Cost::default())).collect()
        }
        _ => Vec::new(),
    }
}

/// Whether a factor is a table of sines.
fn is_sine(facts: &Facts<'_>, id: TensorId) -> bool {
    let mut at = id;
    for _ in 0..REACH {
        let Some(producer) = facts.graph.producer(at) else { return false };
        let next = match effect(producer) {
            Effect::Wave => return stem(producer) == "sin",
            Effect::Reshape
            | Effect::Permute
            | Effect::Broadcast
            | Effect::Part
            | Effect::Same
            | Effect::Pointwise
            | Effect::Join => first_input(producer),
            _ => None,
        };
        let Some(next) = next else { return false };
        at = next;
    }
    false
}

/// The element of `to` that an element of `from`, which was made of it, came from.
pub(super) fn through(facts: &Facts<'_>, from: TensorId, to: TensorId, element: &Element) -> Option<Element> {
    let same = || Some(element.clone());
    let producer = facts.graph.producer(from);
    if facts.norm_input(from) == Some(to) || producer.is_some_and(|p| effect(p) == Effect::Norm) {
        return same();
    }
    let producer = producer?;
    let (old, new) = (sizes(facts, to, element.complex), sizes(facts, from, element.complex));
    let moved = |index| Some(Element { index, complex: element.complex });
    match effect(producer) {
        Effect::Same | Effect::Pointwise => same(),
        Effect::Reshape => match stem(producer) {
            // Elements keep their places, the two parts are one more axis here as there.
            "view_as_complex" => Some(Element { index: element.index.clone(), complex: false }),
            "view_as_real" => Some(Element { index: element.index.clone(), complex: true }),
            _ => moved(unravel(ravel(&element.index, &new)?, &old)?),
        },
        Effect::Permute => moved(permuted(producer, &element.index, element.complex)?),
        Effect::Broadcast => moved(broadcast(producer, &element.index, &old, &new)?),
        Effect::Part => moved(part(producer, from, &element.index, &old, &new)?),
        Effect::Join => joined(facts, producer, element).filter(|(id, _)| *id == to).map(|(_, found)| found),
        _ => None,
    }
}

fn sizes(facts: &Facts<'_>, id: TensorId, complex: bool) -> Vec<i64> {
    let mut sizes = facts.shape(id).to_vec();
    if complex {
        sizes.push(2);
    }
    sizes
}

fn ravel(index: &[i64], sizes: &[i64]) -> Option<i64> {
    (index.len() == sizes.len()).then_some(())?;
    index.iter().zip(sizes).try_fold(0_i64, |at, (i, size)| at.checked_mul(*size)?.checked_add(*i))
}

fn unravel(mut at: i64, sizes: &[i64]) -> Option<Vec<i64>> {
    let mut index = vec![0; sizes.len()];
    for (i, size) in index.iter_mut().zip(sizes).rev() {
        (*i, at) = (at.checked_rem(*size)?, at.checked_div(*size)?);
    }
    (at == 0).then_some(index)
}

fn number(operation: &Operation, name: &str) -> Option<i64> {
    operation.argument(name).and_then(Value::as_int)
}

fn permuted(operation: &Operation, index: &[i64], complex: bool) -> Option<Vec<i64>> {
    let rank = index.len() - usize::from(complex);
    let mut old = index.to_vec();
    match stem(operation) {
        "permute" | "permute_copy" => {
            for (at, dim) in operation.argument("dims")?.as_ints()?.iter().enumerate() {
                *old.get_mut(axis(*dim, rank)?)? = *index.get(at)?;
            }
        }
        "transpose" | "transpose_copy" | "swapdims" | "swapaxes" => {
            let first = number(operation, "dim0").or_else(|| number(operation, "axis0"))?;
            let second = number(operation, "dim1").or_else(|| number(operation, "axis1"))?;
            old.swap(axis(first, rank)?, axis(second, rank)?);
        }
        "t" | "t_copy" | "mT" | "numpy_T" if rank >= 2 => old.swap(rank - 2, rank - 1),
        _ => return None,
    }
    Some(old)
}

fn broadcast(operation: &Operation, index: &[i64], old: &[i64], new: &[i64]) -> Option<Vec<i64>> {
    let added = new.len().checked_sub(old.len())?;
    let interleaved = stem(operation) == "repeat_interleave";
    let each = |(i, (size, now)): (&i64, (&i64, &i64))| match (size == now, interleaved) {
        (true, _) => Some(*i),
        (false, true) => i.checked_div(now.checked_div(*size)?),
        (false, false) => i.checked_rem(*size),
    };
    index.get(added..)?.iter().zip(old.iter().zip(&new[added..])).map(each).collect()
}

fn part(
    operation: &Operation,
    output: TensorId,
    index: &[i64],
    old: &[i64],
    new: &[i64],
) -> Option<Vec<i64>> {
    let dim = axis(number(operation, "dim").unwrap_or(0), old.len())?;
    let position = operation.outputs.iter().position(|id| *id == output)?;
    let mut index = index.to_vec();
    if old.len() == new.len() + 1 {
        let chosen = match stem(operation) {
            "unbind" | "unbind_copy" => i64::try_from(position).ok()?,
            _ => number(operation, "index")?,
        };
        index.insert(dim, if chosen < 0 { chosen + old[dim] } else { chosen });
        return Some(index);
    }
    let step = match stem(operation) {
        "slice" | "slice_copy" => number(operation, "step").unwrap_or(1),
        _ => 1,
    };
    let start = start_of_part(operation, output, old[dim], *new.get(dim)?)?;
    let place = index.get_mut(dim)?;
    *place = place.checked_mul(step)?.checked_add(i64::try_from(start).ok()?)?;
    (*place < old[dim]).then_some(index)
}

/// The part of a concatenation that an element lies in, and where.
fn joined(facts: &Facts<'_>, operation: &Operation, element: &Element) -> Option<(TensorId, Element)> {
    let Value::Tensors(parts) = operation.argument("tensors")? else { return None };
    let stacked = stem(operation) == "stack";
    if !stacked && !matches!(stem(operation), "cat" | "concat" | "concatenate") {
        return None;
    }
    let rank = element.index.len() - usize::from(element.complex);
    let dim = axis(number(operation, "dim").unwrap_or(0), rank)?;
    let mut index = element.index.clone();
    if stacked {
        let chosen = usize::try_from(index.remove(dim)).ok()?;
        return Some(((*parts.get(chosen)?)?, Element { index, ..element.clone() }));
    }
    for part in parts.iter().flatten() {
        let size = *facts.shape(*part).get(dim)?;
        if index[dim] < size {
            return Some((*part, Element { index, ..element.clone() }));
        }
        index[dim] -= size;
    }
    None
}
