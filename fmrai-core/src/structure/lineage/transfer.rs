//! What an operation does to the axes of its operands.

use crate::graph::{Graph, Operation, OperationId, Value};
use crate::structure::operator::{Effect, effect, stem};
use crate::structure::permutation::permutation;
use crate::structure::product::Contraction;
use crate::structure::shape::axis as counted;

use super::axis::{Axis, Factor, Label, met, regrouped, resized, single, total, uniform};

/// An operand.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) axes: Vec<Axis>,
    /// Operations since the nearest product.
    pub(super) distance: u16,
    /// A plain weight.
    pub(super) plain: bool,
}

/// The axes of the results of anything but products, softmaxes and arithmetic.
pub(super) fn of(
    graph: &dyn Graph,
    operation: &Operation,
    inputs: &[Known],
    base: Option<&Known>,
    sizes: &[&[i64]],
) -> Vec<Vec<Axis>> {
    let (Some(main), Some(new)) = (inputs.first(), sizes.first()) else { return Vec::new() };
    let old = main.axes.as_slice();
    let one = |axes: Option<Vec<Axis>>| axes.into_iter().collect();
    let dim =
        |name: &str, rank: usize| operation.argument(name).map_or(Some(0), |d| counted(d.as_int()?, rank));
    match effect(operation) {
        Effect::Reshape => one(reshaped(operation, old, new)),
        Effect::Permute => one(permutation(operation, old.len())
            .and_then(|order| order.into_iter().map(|i| old.get(i).cloned()).collect())),
        Effect::Broadcast => one(repeated(operation, old, new)),
        Effect::Part => sizes.iter().filter_map(|new| part(operation, old, new)).collect(),
        Effect::Same | Effect::Norm | Effect::Wave => one(Some(old.to_vec())),
        Effect::Join => {
            let rank = new.len();
            let written = |at: Option<usize>| {
                let all: Vec<Known> = base.into_iter().chain(inputs).cloned().collect();
                overlaid(&all, at, new)
            };
            match stem(operation) {
                "cat" | "concat" | "concatenate" => {
                    one(dim("dim", rank).and_then(|at| joined(inputs, at, new)))
                }
                "hstack" => one(joined(inputs, usize::from(rank > 1), new)),
                "vstack" => one(joined(inputs, 0, new)),
                "stack" => one(dim("dim", rank).and_then(|at| stacked(inputs, at, new))),
                "copy" => one(pointwise(&inputs.iter().chain(base).cloned().collect::<Vec<_>>(), new)),
                "index" => one(indexed(graph, operation, old, new)),
                "index_select" | "roll" | "flip" | "tril" | "triu" | "gather" => {
                    one((old.len() == new.len()).then(|| {
                        let gathers = stem(operation) == "gather";
                        old.iter().zip(*new).map(|(axis, n)| chosen(axis, *n, gathers)).collect()
                    }))
                }
                _ => one(written(operation.argument("dim").and_then(|d| counted(d.as_int()?, rank)))),
            }
        }
        Effect::Lookup => {
            let ids = operation.tensor("indices").and_then(|id| graph.tensor(id)).map(|t| t.shape.len());
            one((ids.is_some_and(|rank| rank + 1 == new.len())).then(|| {
                let last = new.len() - 1;
                let label = |i: usize| if i == last { Label::Channel } else { Label::Other };
                new.iter().enumerate().map(|(i, n)| single(*n, label(i))).collect()
            }))
        }
        _ if stem(operation).contains("conv") => one(Some(
            new.iter()
                .enumerate()
                .map(|(i, n)| single(*n, if i == 1 { Label::Channel } else { Label::Other }))
                .collect(),
        )),
        _ => one(reduced(operation, old, new).or_else(|| pointwise(inputs, new))),
    }
}

fn reshaped(operation: &Operation, old: &[Axis], new: &[i64]) -> Option<Vec<Axis>> {
    match stem(operation) {
        // Pairs of numbers become one, or one becomes a pair.
        "view_as_complex" => Some(old.get(..old.len().checked_sub(1)?)?.to_vec()),
        "view_as_real" => {
            let mut axes = old.to_vec();
            axes.push(single(2, Label::Unknown));
            Some(axes)
        }
        _ => regrouped(old, new),
    }
}

fn repeated(operation: &Operation, old: &[Axis], new: &[i64]) -> Option<Vec<Axis>> {
    let more = new.len().checked_sub(old.len())?;
    let interleaved = stem(operation) == "repeat_interleave";
    let axis = |(i, &n): (usize, &i64)| {
        let Some(own) = i.checked_sub(more).and_then(|i| old.get(i)) else { return single(n, Label::Repeat) };
        let size = total(own);
        match n.checked_div(size) {
            Some(1) => own.clone(),
            Some(times) if size == 1 => single(times, Label::Repeat),
            Some(times) => {
                let again = single(times, Label::Repeat);
                if interleaved { [own.clone(), again].concat() } else { [again, own.clone()].concat() }
            }
            None => single(n, Label::Unknown),
        }
    };
    Some(new.iter().enumerate().map(axis).collect())
}

fn part(operation: &Operation, old: &[Axis], new: &[i64]) -> Option<Vec<Axis>> {
    if old.len() == new.len() {
        return Some(old.iter().zip(new).map(|(axis, n)| resized(axis, *n)).collect());
    }
    let at = operation.argument("dim").map_or(Some(0), |d| counted(d.as_int()?, old.len()))?;
    let mut rest = old.to_vec();
    (at < rest.len()).then(|| rest.remove(at))?;
    Some(rest)
}

/// An axis of which elements are chosen. What is gathered for each place apart is no axis of a product any more.
fn chosen(axis: &Axis, size: i64, gathers: bool) -> Axis {
    if total(axis) == size && !gathers {
        return axis.clone();
    }
    match uniform(axis) {
        Some(label) if gathers && label.of_product() => single(size, Label::Unknown),
        _ => resized(axis, size),
    }
}

/// `self[.., ids, ..]`.
fn indexed(graph: &dyn Graph, operation: &Operation, old: &[Axis], new: &[i64]) -> Option<Vec<Axis>> {
    let Some(Value::Tensors(ids)) = operation.argument("indices") else { return None };
    let mut given = ids.iter().enumerate().filter_map(|(i, id)| Some((i, (*id)?)));
    let ((at, ids), None) = (given.next()?, given.next()) else { return None };
    let more = graph.tensor(ids)?.shape.len();
    let mut axes = old.get(..at)?.to_vec();
    let label = uniform(old.get(at)?).unwrap_or(Label::Unknown);
    // Rows of a table are channels no more.
    let label = if label == Label::Channel && more > 1 { Label::Other } else { label };
    axes.extend(new.get(at..at + more)?.iter().map(|n| single(*n, label)));
    axes.extend(old.get(at + 1..)?.iter().cloned());
    Some(axes)
}

fn joined(inputs: &[Known], at: usize, new: &[i64]) -> Option<Vec<Axis>> {
    let mut inputs: Vec<&Known> = inputs.iter().filter(|k| k.axes.len() == new.len()).collect();
    inputs.sort_by_key(|k| (k.plain, k.distance));
    let axis = |(i, &n): (usize, &i64)| {
        let mut axes = inputs.iter().filter_map(|k| k.axes.get(i)).filter(|a| i != at || !a.is_empty());
        if i != at {
            let first = axes.next().cloned().unwrap_or_default();
            return axes.fold(first, |one, other| met(&one, other));
        }
        let all: Vec<Label> = axes.map(|axis| uniform(axis).unwrap_or(Label::Unknown)).collect();
        let Some(&first) = all.first() else { return single(n, Label::Other) };
        let of_product = all.iter().copied().find(|l| l.of_product());
        let alike = all.iter().all(|label| *label == first);
        let channels = all.contains(&Label::Channel)
            && all
                .iter()
                .all(|l| matches!(l, Label::Channel | Label::Repeat | Label::Unknown | Label::Table));
        single(
            n,
            match of_product {
                Some(label) => label,
                None if alike => first,
                None if channels => Label::Channel,
                None => Label::Other,
            },
        )
    };
    Some(new.iter().enumerate().map(axis).collect())
}

fn stacked(inputs: &[Known], at: usize, new: &[i64]) -> Option<Vec<Axis>> {
    let mut axes: Vec<Axis> = Vec::with_capacity(new.len());
    for (i, &n) in new.iter().enumerate() {
        if i == at {
            axes.push(single(n, Label::Unknown));
            continue;
        }
        let from = if i > at { i - 1 } else { i };
        let mut all = inputs.iter().filter_map(|k| k.axes.get(from));
        let first = all.next()?.clone();
        axes.push(all.fold(first, |one, other| met(&one, other)));
    }
    Some(axes)
}

/// Tensors one of which is written into a part of the other, along the axis `at` where that is known.
pub(super) fn overlaid(inputs: &[Known], at: Option<usize>, new: &[i64]) -> Option<Vec<Axis>> {
    let mut inputs: Vec<&Known> = inputs.iter().filter(|k| k.axes.len() == new.len()).collect();
    inputs.sort_by_key(|k| (k.plain, k.distance));
    let axis = |(i, &n): (usize, &i64)| {
        let fits = |axis: &&Axis| total(axis) == n || at.is_none_or(|at| at == i) && total(axis) <= n;
        let mut axes = inputs.iter().filter_map(|k| k.axes.get(i)).filter(fits);
        let first = axes.next().map(|axis| resized(axis, n)).unwrap_or_else(|| single(n, Label::Unknown));
        axes.fold(first, |one, other| met(&one, &resized(other, n)))
    };
    Some(new.iter().enumerate().map(axis).collect())
}

/// Arithmetic element by element, with axes of one element repeated.
pub(super) fn pointwise(inputs: &[Known], new: &[i64]) -> Option<Vec<Axis>> {
    let live = inputs.iter().any(|known| !known.plain);
    let mut axes: Vec<Axis> = new.iter().map(|n| single(*n, Label::Unknown)).collect();
    let mut used = false;
    for known in inputs.iter().filter(|known| !(live && known.plain)) {
        let Some(more) = axes.len().checked_sub(known.axes.len()) else { continue };
        let fits = known.axes.iter().zip(new.get(more..)?).all(|(a, n)| total(a) == 1 || total(a) == *n);
        if !fits {
            continue;
        }
        used = true;
        for (axis, own) in axes.iter_mut().skip(more).zip(&known.axes) {
            if total(own) == total(axis) {
                *axis = met(axis, own);
            }
        }
    }
    used.then_some(axes)
}

/// Sums, means and maxima over axes, halves that gate each other.
fn reduced(operation: &Operation, old: &[Axis], new: &[i64]) -> Option<Vec<Axis>> {
    if old.len() == new.len() {
        let same = old.iter().zip(new).all(|(axis, n)| total(axis) == *n);
        if same {
            return None;
        }
        let keeps = |(axis, n): (&Axis, &i64)| if *n == 1 { Axis::new() } else { resized(axis, *n) };
        let reduces = old.iter().zip(new).all(|(axis, n)| total(axis) == *n || *n == 1);
        let halves = stem(operation) == "glu";
        return (reduces || halves).then(|| old.iter().zip(new).map(keeps).collect());
    }
    let dims = operation.argument("dim")?;
    let dims = dims.as_ints().map(<[i64]>::to_vec).or_else(|| Some(vec![dims.as_int()?]))?;
    let dims: Vec<usize> = dims.into_iter().map(|d| counted(d, old.len())).collect::<Option<_>>()?;
    let rest: Vec<Axis> =
        old.iter().enumerate().filter(|(i, _)| !dims.contains(i)).map(|(_, a)| a.clone()).collect();
    (rest.len() == new.len()).then_some(rest)
}

/// The axes of a product. Where it is one of two activations (`own`), the rows and columns are named after it; the axes of an operand
/// that is a linear map are channels.
pub(super) fn multiplied(
    factors: &Contraction,
    known: &[Known; 2],
    product: OperationId,
    own: bool,
    maps: [bool; 2],
    sizes: &[i64],
) -> Option<Vec<Axis>> {
    let side = |i: usize, label: u32| factors.operands[i].1.iter().position(|l| *l == label);
    let of = |i: usize, label: u32| known[i].axes.get(side(i, label)?);
    let alone = |i: usize| {
        factors.result.iter().filter(move |l| side(i, **l).is_some() && side(1 - i, **l).is_none()).count()
    };
    let mut axes = Vec::with_capacity(sizes.len());
    for (label, &size) in factors.result.iter().zip(sizes) {
        let (left, right) = (of(0, *label), of(1, *label));
        axes.push(match (left, right) {
            (Some(one), Some(other)) => {
                let (one, other) =
                    if known[0].plain && !known[1].plain { (other, one) } else { (one, other) };
                met(one, other)
            }
            (Some(axis), None) | (None, Some(axis)) => {
                let i = usize::from(left.is_none());
                // A head that only one factor has is no row of the product where that has other rows.
                let head = alone(i) > 1 && uniform(axis) == Some(Label::Channel);
                if own && !head {
                    single(size, if i == 0 { Label::Row(product) } else { Label::Column(product) })
                } else if maps[i] {
                    axis.iter().map(|f| Factor { label: Label::Channel, ..*f }).collect()
                } else {
                    // Rows of the probabilities are positions again.
                    let place = |f: &Factor| match f.label {
                        label if label.of_product() => Factor { label: Label::Other, ..*f },
                        _ => *f,
                    };
                    axis.iter().map(place).filter(|f| f.size != 1).collect()
                }
            }
            (None, None) => single(size, Label::Unknown),
        });
    }
    (axes.len() == sizes.len()).then_some(axes)
}
