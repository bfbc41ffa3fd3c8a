//! What an operation does to the axes of its operands.

use crate::graph::{Graph, Operation, TensorId, Value};

use super::super::facts::lookup;
use super::super::operator::{Effect, effect, first_input, stem};
use super::super::shape::axis as counted;
use super::super::{product, shape};
use super::axes::Axes;
use super::labels::{Axis, Factor, Place, bare, regrouped, single};

/// The axes of each output; none where nothing is known.
pub(super) fn of(graph: &dyn Graph, operation: &Operation, axes: &mut Axes) -> Vec<Vec<Axis>> {
    let mut step = Step { graph, operation, axes };
    if operation.argument("equation").is_some() {
        return step.einsum().into_iter().collect();
    }
    let one = |axes: Option<Vec<Axis>>| axes.into_iter().collect();
    match effect(operation) {
        Effect::Reshape => one(step.reshape()),
        Effect::Permute => one(step.permute()),
        Effect::Broadcast => one(step.broadcast()),
        Effect::Part => step.part(),
        Effect::Same | Effect::Norm | Effect::Softmax | Effect::Wave => one(step.same()),
        Effect::Pointwise => one(step.pointwise()),
        Effect::Join => one(step.join()),
        Effect::Product => one(step.product()),
        Effect::Fused => step.fused(),
        Effect::Lookup => one(step.looked_up()),
        Effect::WeightMath | Effect::Other => one(step.other()),
    }
}

struct Step<'a, 'g> {
    graph: &'g dyn Graph,
    operation: &'a Operation,
    axes: &'a mut Axes,
}

impl Step<'_, '_> {
    fn shape(&self, id: TensorId) -> &[i64] {
        shape::of(self.graph, id).unwrap_or(&[])
    }

    fn output(&self) -> &[i64] {
        self.operation.outputs.first().map_or(&[], |id| self.shape(*id))
    }

    /// The axes of a tensor, bare where nothing is known.
    fn get(&self, id: TensorId) -> Vec<Axis> {
        let known = self.axes.of_tensor(id).cloned();
        known.unwrap_or_else(|| self.shape(id).iter().map(|size| bare(*size)).collect())
    }

    fn main(&self) -> Option<(TensorId, Vec<Axis>)> {
        let id = first_input(self.operation)?;
        Some((id, self.get(id)))
    }

    fn dimension(&self, name: &str, rank: usize) -> Option<usize> {
        counted(self.operation.argument(name)?.as_int()?, rank)
    }

    /// A sequence that no input has.
    fn fresh(&mut self, size: i64) -> Axis {
        let place = (size > 1).then(|| self.axes.sequences.add(size, None));
        vec![Factor { size, place }]
    }

    fn reshape(&mut self) -> Option<Vec<Axis>> {
        let (_, old) = self.main()?;
        let new = self.output().to_vec();
        Some(regrouped(&old, &new))
    }

    fn permute(&mut self) -> Option<Vec<Axis>> {
        let (_, old) = self.main()?;
        let rank = old.len();
        let swapped = |a: usize, b: usize| {
            let mut new = old.clone();
            (a < rank && b < rank).then(|| new.swap(a, b))?;
            Some(new)
        };
        match stem(self.operation) {
            "permute" | "permute_copy" => {
                let order = self.operation.argument("dims")?.as_ints()?.to_vec();
                order.into_iter().map(|i| old.get(counted(i, rank)?).cloned()).collect()
            }
            "transpose" | "transpose_copy" | "swapaxes" | "swapdims" => {
                let first = self.dimension("dim0", rank).or_else(|| self.dimension("axis0", rank))?;
                let second = self.dimension("dim1", rank).or_else(|| self.dimension("axis1", rank))?;
                swapped(first, second)
            }
            "movedim" | "moveaxis" => {
                let list = |name: &str| match self.operation.argument(name)? {
                    Value::Ints(all) | Value::Sizes(all) => Some(all.clone()),
                    one => Some(vec![one.as_int()?]),
                };
                let from: Option<Vec<usize>> =
                    list("source")?.into_iter().map(|i| counted(i, rank)).collect();
                let to: Option<Vec<usize>> =
                    list("destination")?.into_iter().map(|i| counted(i, rank)).collect();
                let (from, to) = (from?, to?);
                let mut rest =
                    old.iter().enumerate().filter(|(i, _)| !from.contains(i)).map(|(_, a)| a.clone());
                (0..rank)
                    .map(|i| match to.iter().position(|t| *t == i) {
                        Some(k) => old.get(*from.get(k)?).cloned(),
                        None => rest.next(),
                    })
                    .collect()
            }
            "numpy_T" if rank != 2 => Some(old.iter().rev().cloned().collect()),
            _ => swapped(rank.checked_sub(2)?, rank.checked_sub(1)?),
        }
    }

    fn broadcast(&mut self) -> Option<Vec<Axis>> {
        let (_, old) = self.main()?;
        let new = self.output().to_vec();
        let more = new.len().checked_sub(old.len())?;
        let size = |axis: &Axis| axis.iter().fold(1_i64, |n, f| n.saturating_mul(f.size));
        let kept =
            |i: usize, n: i64| i.checked_sub(more).and_then(|i| old.get(i)).filter(|axis| size(axis) == n);
        Some(new.iter().enumerate().map(|(i, &n)| kept(i, n).cloned().unwrap_or_else(|| bare(n))).collect())
    }

    /// The axis `at` of `old` from position `start` on, `size` of them; `None` for the start where it is not known.
    fn cut(&mut self, old: &Axis, start: Option<i64>, size: i64) -> Axis {
        let whole = old.iter().fold(1_i64, |n, f| n.saturating_mul(f.size));
        if whole == size {
            return old.clone();
        }
        match (single(old), start) {
            (Some(place), Some(start)) if size > 1 => {
                let place = Place { before: place.before.saturating_sub(start), ..place };
                vec![Factor { size, place: Some(place) }]
            }
            _ => self.fresh(size),
        }
    }

    fn part(&mut self) -> Vec<Vec<Axis>> {
        let Some((_, old)) = self.main() else { return Vec::new() };
        let rank = old.len();
        let name = stem(self.operation).trim_end_matches("_copy").trim_start_matches("unsafe_").to_owned();
        if matches!(name.as_str(), "pad" | "constant_pad_nd") {
            return self.padded(&old).into_iter().collect();
        }
        let split = match name.as_str() {
            "hsplit" => {
                if rank > 1 {
                    Some(1)
                } else {
                    Some(0)
                }
            }
            "vsplit" => Some(0),
            "dsplit" => Some(2),
            _ => self.operation.argument("dim").map_or(Some(0), |d| counted(d.as_int()?, rank)),
        };
        let Some(at) = split.filter(|at| *at < rank) else { return Vec::new() };
        if matches!(name.as_str(), "select" | "unbind") {
            let mut rest = old;
            rest.remove(at);
            return vec![rest; self.operation.outputs.len()];
        }
        let start = match name.as_str() {
            "slice" | "narrow" => {
                let step = self.operation.argument("step").and_then(Value::as_int).unwrap_or(1);
                let start = self.operation.argument("start").map_or(Some(0), |s| match s {
                    Value::None => Some(0),
                    s => s.as_int(),
                });
                start.filter(|start| step == 1 && *start >= 0)
            }
            _ => None,
        };
        let sizes: Vec<i64> =
            self.operation.outputs.iter().map(|id| self.shape(*id).get(at).copied().unwrap_or(0)).collect();
        let (mut outputs, mut from) = (Vec::new(), 0);
        for size in sizes {
            let start = if matches!(name.as_str(), "slice" | "narrow") { start } else { Some(from) };
            from = from.saturating_add(size);
            let mut new = old.clone();
            new[at] = self.cut(&old[at], start, size);
            outputs.push(new);
        }
        outputs
    }

    fn padded(&mut self, old: &[Axis]) -> Option<Vec<Axis>> {
        let pad = self.operation.argument("pad")?.as_ints()?.to_vec();
        let new = self.output().to_vec();
        let mut axes = old.to_vec();
        for (i, pair) in pad.chunks_exact(2).enumerate() {
            let at = axes.len().checked_sub(i + 1)?;
            if pair[0] == 0 && pair[1] == 0 {
                continue;
            }
            axes[at] = self.grown(&axes[at].clone(), pair[0], *new.get(at)?);
        }
        Some(axes)
    }

    /// An axis with positions put before and after it.
    fn grown(&mut self, axis: &Axis, before: i64, size: i64) -> Axis {
        match single(axis) {
            Some(place) => {
                let place = Place { before: place.before.saturating_add(before), ..place };
                vec![Factor { size, place: Some(place) }]
            }
            None => self.fresh(size),
        }
    }

    fn same(&mut self) -> Option<Vec<Axis>> {
        let (id, old) = self.main()?;
        (self.shape(id) == self.output()).then_some(old)
    }

    fn pointwise(&mut self) -> Option<Vec<Axis>> {
        let new = self.output().to_vec();
        let operands: Vec<Vec<Axis>> = self.operation.inputs().map(|id| self.get(id)).collect();
        let mut axes: Vec<Axis> = new.iter().map(|size| bare(*size)).collect();
        for operand in operands {
            let more = axes.len().checked_sub(operand.len())?;
            for (axis, own) in axes.iter_mut().skip(more).zip(operand) {
                self.meet(axis, own);
            }
        }
        Some(axes)
    }

    /// One more operand's axis: it runs in step with those before it.
    fn meet(&mut self, axis: &mut Axis, own: Axis) {
        let size = |axis: &Axis| axis.iter().fold(1_i64, |n, f| n.saturating_mul(f.size));
        if size(axis) != size(&own) || own.iter().all(|f| f.place.is_none()) {
            return;
        }
        if axis.iter().all(|f| f.place.is_none()) {
            *axis = own;
            return;
        }
        for (a, b) in axis.iter().zip(&own) {
            if let (Some(one), Some(other)) = (a.place, b.place)
                && a.size == b.size
            {
                self.axes.sequences.join(one, other);
            }
        }
    }

    fn join(&mut self) -> Option<Vec<Axis>> {
        let rank = self.output().len();
        match stem(self.operation) {
            "cat" | "concat" | "concatenate" => {
                let at = self.operation.argument("dim").map_or(Some(0), |d| counted(d.as_int()?, rank))?;
                self.concatenated(at)
            }
            "hstack" => self.concatenated(usize::from(rank > 1)),
            "vstack" => self.concatenated(0),
            "stack" => {
                let at = self.operation.argument("dim").map_or(Some(0), |d| counted(d.as_int()?, rank))?;
                let new = self.output().to_vec();
                let mut axes: Vec<Axis> = new.iter().map(|size| bare(*size)).collect();
                for id in self.operation.inputs() {
                    for (i, own) in self.get(id).into_iter().enumerate() {
                        let i = if i >= at { i + 1 } else { i };
                        let mut axis = axes.get(i)?.clone();
                        self.meet(&mut axis, own);
                        axes[i] = axis;
                    }
                }
                Some(axes)
            }
            "index" => self.indexed(),
            "index_select" | "gather" | "roll" | "flip" => {
                let (id, mut axes) = self.main()?;
                let new = self.output().to_vec();
                let moved: Vec<i64> =
                    match self.operation.argument("dim").or(self.operation.argument("dims"))? {
                        Value::Ints(all) | Value::Sizes(all) => all.clone(),
                        one => vec![one.as_int()?],
                    };
                if axes.len() != new.len() || self.shape(id).is_empty() {
                    return None;
                }
                for at in moved {
                    let at = counted(at, new.len())?;
                    axes[at] = self.fresh(new[at]);
                }
                for (axis, &size) in axes.iter_mut().zip(&new) {
                    if axis.iter().fold(1_i64, |n, f| n.saturating_mul(f.size)) != size {
                        *axis = bare(size);
                    }
                }
                Some(axes)
            }
            "copy" => self.pointwise(),
            _ => self.same(),
        }
    }

    fn concatenated(&mut self, at: usize) -> Option<Vec<Axis>> {
        let new = self.output().to_vec();
        let operands: Vec<Vec<Axis>> =
            self.operation.inputs().map(|id| self.get(id)).filter(|axes| axes.len() == new.len()).collect();
        let mut axes: Vec<Axis> = new.iter().map(|size| bare(*size)).collect();
        let mut parts: Vec<(i64, Axis)> = Vec::new();
        let mut from = 0;
        for operand in operands {
            for (i, own) in operand.into_iter().enumerate() {
                if i == at {
                    let size = own.iter().fold(1_i64, |n, f| n.saturating_mul(f.size));
                    parts.push((from, own));
                    from = from.saturating_add(size);
                } else {
                    let mut axis = axes.get(i)?.clone();
                    self.meet(&mut axis, own);
                    axes[i] = axis;
                }
            }
        }
        let mut known = parts.iter().filter(|(_, axis)| axis.iter().any(|f| f.place.is_some()));
        *axes.get_mut(at)? = match (known.next(), known.next()) {
            (Some((before, axis)), None) => self.grown(&axis.clone(), *before, *new.get(at)?),
            (None, _) => bare(*new.get(at)?),
            // Several sequences after one another, or the parts of one put together again.
            _ => self.together(&parts, *new.get(at)?),
        };
        Some(axes)
    }

    /// Parts of one sequence that follow on each other are that sequence again; anything else is one of its own.
    fn together(&mut self, parts: &[(i64, Axis)], size: i64) -> Axis {
        let places: Vec<(i64, Place)> =
            parts.iter().filter_map(|(from, axis)| Some((*from, single(axis)?))).collect();
        let first = places.first().copied();
        let follows = |(from, place): &(i64, Place)| {
            first.is_some_and(|(_, one)| {
                self.axes.sequences.root(one.sequence) == self.axes.sequences.root(place.sequence)
                    && place.before.saturating_add(*from)
                        == one.before.saturating_add(first.map_or(0, |(f, _)| f))
            })
        };
        match first {
            Some((from, place)) if places.len() == parts.len() && places.iter().all(follows) => {
                let place = Place { before: place.before.saturating_add(from), ..place };
                vec![Factor { size, place: Some(place) }]
            }
            _ => self.fresh(size),
        }
    }

    /// `self[.., ids, ..]` with one tensor of ids.
    fn indexed(&mut self) -> Option<Vec<Axis>> {
        let Some(Value::Tensors(ids)) = self.operation.argument("indices") else { return None };
        let mut given = ids.iter().enumerate().filter_map(|(i, id)| Some((i, (*id)?)));
        let ((at, ids), None) = (given.next()?, given.next()) else { return None };
        let own = self.get(self.operation.tensor("self")?);
        let mut axes: Vec<Axis> = own.get(..at)?.to_vec();
        axes.extend(self.get(ids));
        axes.extend(own.get(at + 1..)?.iter().cloned());
        Some(axes)
    }

    fn looked_up(&mut self) -> Option<Vec<Axis>> {
        let (table, ids) = lookup(self.operation)?;
        let mut axes = self.get(ids);
        axes.push(bare(*self.shape(table).last()?));
        Some(axes)
    }

    fn product(&mut self) -> Option<Vec<Axis>> {
        let found = product::factors(self.graph, self.operation)?;
        if stem(self.operation) == "linear" {
            let mut axes = self.get(found.left);
            *axes.last_mut()? = bare(*self.output().last()?);
            return Some(axes);
        }
        let (left, right) = (self.get(found.left), self.get(found.right));
        let new = self.output().to_vec();
        let front = new.len().checked_sub(2)?;
        let mut axes: Vec<Axis> = new.iter().map(|size| bare(*size)).collect();
        for operand in [&left, &right] {
            let own = operand.get(..operand.len().checked_sub(2)?)?;
            let more = front.checked_sub(own.len())?;
            for (i, own) in own.iter().enumerate() {
                let mut axis = axes.get(more + i)?.clone();
                self.meet(&mut axis, own.clone());
                axes[more + i] = axis;
            }
        }
        axes[front] = left.get(left.len().checked_sub(2)?)?.clone();
        axes[front + 1] = right.last()?.clone();
        // What is added, a bias or a mask, says nothing new of the axes.
        Some(axes)
    }

    fn einsum(&mut self) -> Option<Vec<Axis>> {
        let (operands, result) = product::equation(self.operation)?;
        let new = self.output().to_vec();
        if result.len() != new.len() {
            return None;
        }
        let mut axes: Vec<Axis> = new.iter().map(|size| bare(*size)).collect();
        for (id, labels) in operands {
            let own = self.get(id);
            if own.len() != labels.len() {
                return None;
            }
            for (label, own) in labels.iter().zip(own) {
                if let Some(at) = result.iter().position(|l| l == label) {
                    let mut axis = axes.get(at)?.clone();
                    self.meet(&mut axis, own);
                    axes[at] = axis;
                }
            }
        }
        Some(axes)
    }

    fn fused(&mut self) -> Vec<Vec<Axis>> {
        let [query, key] = ["query", "key"].map(|name| self.operation.tensor(name).map(|id| self.get(id)));
        let (Some(query), Some(key)) = (query, key) else { return Vec::new() };
        let shapes: Vec<Vec<i64>> =
            self.operation.outputs.iter().map(|id| self.shape(*id).to_vec()).collect();
        let last = |shape: &[i64]| shape.last().map_or_else(Axis::new, |size| bare(*size));
        let mut outputs = Vec::new();
        for (i, shape) in shapes.iter().enumerate() {
            let mut axes = query.clone();
            if let Some(end) = axes.last_mut() {
                let keys = key.len().checked_sub(2).and_then(|at| key.get(at)).filter(|_| i == 1);
                *end = keys.cloned().unwrap_or_else(|| last(shape));
            }
            outputs.push(axes);
        }
        outputs
    }

    /// Reductions and what is not known by name: axes that stay as they are.
    fn other(&mut self) -> Option<Vec<Axis>> {
        let (id, old) = self.main()?;
        let (before, new) = (self.shape(id).to_vec(), self.output().to_vec());
        let moves = matches!(
            stem(self.operation),
            "sort" | "argsort" | "topk" | "randperm" | "masked_select" | "nonzero"
        );
        if let Some(dims) = self.operation.argument("dim").filter(|_| !moves) {
            let list: Vec<i64> = match dims {
                Value::Ints(all) | Value::Sizes(all) => all.clone(),
                one => one.as_int().into_iter().collect(),
            };
            let dims: Option<Vec<usize>> = list.into_iter().map(|d| counted(d, before.len())).collect();
            let dims = dims?;
            let rest: Vec<Axis> =
                old.iter().enumerate().filter(|(i, _)| !dims.contains(i)).map(|(_, a)| a.clone()).collect();
            if !dims.is_empty() && rest.len() == new.len() {
                return Some(rest);
            }
        }
        if before == new && !moves {
            return self.pointwise().or(Some(old));
        }
        if new.len() != before.len() {
            return None;
        }
        // A convolution or pooling: the batch stays, a spatial axis stays if it keeps its length.
        let mut axes = Vec::with_capacity(new.len());
        for (i, (&was, &is)) in before.iter().zip(&new).enumerate() {
            let keeps = was == is && i != 1 && !moves;
            axes.push(if keeps {
                old.get(i)?.clone()
            } else if i > 1 {
                self.fresh(is)
            } else {
                bare(is)
            });
        }
        Some(axes)
    }
}
