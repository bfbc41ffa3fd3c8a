//! The axes of all tensors, in one pass over a graph.

use std::collections::BTreeMap;

use crate::graph::{Graph, Operation, Origin, TensorId};
use crate::structure::operator::{Effect, effect, first_input, makes_anew, operands, stem};
use crate::structure::shape::axis as counted;
use crate::structure::weights::PlainWeights;
use crate::structure::{product, shape};

use super::axis::{Axis, Label, single, total, whole};
use super::lines::{Lineage, Lines, WeighedSum};
use super::transfer::{self, Known};

/// The axes of all tensors, in one pass over the graph.
pub(in crate::structure) fn follow(graph: &dyn Graph, weights: &PlainWeights) -> Lines {
    let count = graph.tensors().len();
    let mut lines = Lines {
        tensors: vec![None; count],
        sums: BTreeMap::new(),
        mixtures: BTreeMap::new(),
        softmaxes: BTreeMap::new(),
    };
    for (entry, node) in lines.tensors.iter_mut().zip(graph.tensors()) {
        let label = if node.origin == Origin::Input { Label::Other } else { Label::Table };
        if !matches!(node.origin, Origin::Operation { .. }) {
            let axes = node.shape.iter().map(|size| single(*size, label));
            *entry = Some(Lineage { axes: axes.collect(), distance: u16::MAX });
        }
    }
    for operation in graph.operations() {
        Step { graph, weights, lines: &mut lines, operation }.run();
    }
    lines
}

struct Step<'a, 'g> {
    graph: &'g dyn Graph,
    weights: &'a PlainWeights,
    lines: &'a mut Lines,
    operation: &'a Operation,
}

impl Step<'_, '_> {
    fn run(&mut self) {
        let made = self.made();
        for (i, output) in self.operation.outputs.iter().enumerate() {
            let shape = shape::of(self.graph, *output).unwrap_or(&[]);
            let fits = |axes: &Vec<Axis>| {
                axes.len() == shape.len() && axes.iter().zip(shape).all(|(a, n)| total(a) == *n)
            };
            let found = made.get(i).filter(|(axes, _)| fits(axes)).cloned();
            let found = found.or_else(|| self.written(i, *output, shape));
            let (axes, distance) = found
                .unwrap_or_else(|| (shape.iter().map(|n| single(*n, Label::Unknown)).collect(), u16::MAX));
            if let Some(entry) = self.lines.tensors.get_mut(output.0 as usize) {
                *entry = Some(Lineage { axes, distance });
            }
        }
    }

    /// The axes of a tensor that shares memory with what the operation has written into.
    fn written(&self, position: usize, id: TensorId, shape: &[i64]) -> Option<(Vec<Axis>, u16)> {
        let old = self.graph.tensor(id)?.version_of.filter(|_| position > 0)?;
        let all = [old, *self.operation.outputs.first()?].map(|id| self.known(id));
        let distance = all.iter().map(|known| known.distance).min()?;
        let axes = transfer::overlaid(&all, None, shape)?;
        Some((axes, distance.saturating_add(1)))
    }

    fn known(&self, id: TensorId) -> Known {
        let shape = shape::of(self.graph, id).unwrap_or(&[]);
        let lineage = self.lines.get(id).cloned();
        let lineage = lineage.unwrap_or_else(|| Lineage {
            axes: shape.iter().map(|n| single(*n, Label::Unknown)).collect(),
            distance: u16::MAX,
        });
        Known { axes: lineage.axes, distance: lineage.distance, plain: self.weights.contains(id) }
    }

    /// The axes of each result, with the distance from a product.
    fn made(&mut self) -> Vec<(Vec<Axis>, u16)> {
        let (graph, operation) = (self.graph, self.operation);
        if makes_anew(operation) {
            return Vec::new();
        }
        if product::equation(operation).is_some() || effect(operation) == Effect::Product {
            return self.product().into_iter().collect();
        }
        let distance =
            |known: &[Known]| known.iter().map(|k| k.distance).min().unwrap_or(u16::MAX).saturating_add(1);
        let mut inputs: Vec<Known> = operands(operation).map(|id| self.known(id)).collect();
        // What was written into counts where all of it may have been overwritten only in part.
        let base = (effect(operation) == Effect::Join).then(|| operation.tensor("self")).flatten();
        let base = base.filter(|id| !operands(operation).any(|o| o == *id)).map(|id| self.known(id));
        let sizes: Vec<&[i64]> =
            operation.outputs.iter().map(|id| shape::of(graph, *id).unwrap_or(&[])).collect();
        let far = distance(&inputs);
        match effect(operation) {
            Effect::Softmax => self.softmax(),
            Effect::Pointwise => {
                let mixed = self.mixture(&inputs);
                // The nearest product first.
                inputs.sort_by_key(|known| known.distance);
                let mut axes = sizes.first().and_then(|sizes| transfer::pointwise(&inputs, sizes));
                if let (Some(first), Some(axes)) = (mixed, axes.as_mut()) {
                    self.lines.mixtures.insert(operation.id, first);
                    for factor in axes.iter_mut().flatten() {
                        factor.label = match factor.label {
                            Label::Query(_) => Label::Query(operation.id),
                            Label::Key(_) => Label::Key(operation.id),
                            other => other,
                        };
                    }
                }
                let divided = self.divided(&axes);
                axes.map(|axes| (divided.unwrap_or(axes), far)).into_iter().collect()
            }
            _ if stem(operation) == "exp" && self.logarithm().is_some() => {
                let Some((scores, axis)) = self.logarithm() else { return Vec::new() };
                self.lines.softmaxes.insert(operation.id, (scores, axis));
                let axes = inputs.first().map(|known| known.axes.clone()).unwrap_or_default();
                vec![(self.probabilities(scores, axis, axes), far)]
            }
            _ => {
                let all = transfer::of(graph, operation, &inputs, base.as_ref(), &sizes);
                all.into_iter().map(|axes| (axes, far)).collect()
            }
        }
    }

    /// The softmax whose probabilities a sum or difference of several has first.
    fn mixture(&self, inputs: &[Known]) -> Option<crate::graph::OperationId> {
        if !matches!(stem(self.operation), "add" | "sub" | "subtract" | "rsub") {
            return None;
        }
        let keys = |known: &Known| {
            known.axes.iter().flatten().find_map(|factor| match factor.label {
                Label::Key(softmax) => Some(softmax),
                _ => None,
            })
        };
        let found: Vec<_> = inputs.iter().filter_map(keys).collect();
        let first = *found.first()?;
        found.iter().any(|other| *other != first).then(|| {
            // Of a mixture, the softmax that it began with.
            self.lines.mixtures.get(&first).copied().unwrap_or(first)
        })
    }

    /// A softmax in one operation: its rows and the axis along which it sums.
    fn softmax(&mut self) -> Vec<(Vec<Axis>, u16)> {
        let made = || {
            let input = first_input(self.operation)?;
            let known = self.known(input);
            let axis = counted(self.operation.argument("dim")?.as_int()?, known.axes.len())?;
            Some((input, axis, known))
        };
        let Some((input, axis, known)) = made() else { return Vec::new() };
        self.lines.softmaxes.insert(self.operation.id, (input, axis));
        let axes = self.probabilities(input, axis, known.axes);
        vec![(axes, known.distance.saturating_add(1))]
    }

    /// The axes of scores, named as those of probabilities.
    fn probabilities(&self, scores: TensorId, axis: usize, mut axes: Vec<Axis>) -> Vec<Axis> {
        let Some((product, _)) = self.lines.product(scores, axis) else { return axes };
        for (i, factors) in axes.iter_mut().enumerate() {
            for factor in factors.iter_mut() {
                factor.label = match factor.label.product() {
                    Some(_) if i == axis => Label::Key(self.operation.id),
                    Some((other, _)) if other == product => Label::Query(self.operation.id),
                    _ => factor.label,
                };
            }
        }
        axes
    }

    /// A softmax that is written out: exponentials divided by their own sum along an axis, or the exponential of a log
    /// softmax.
    fn divided(&mut self, axes: &Option<Vec<Axis>>) -> Option<Vec<Axis>> {
        if !matches!(stem(self.operation), "div" | "divide" | "true_divide" | "mul" | "multiply") {
            return None;
        }
        let numerator = self.operation.tensor("self")?;
        let mut divisor = self.operation.tensor("other")?;
        let mut reciprocal = matches!(stem(self.operation), "div" | "divide" | "true_divide");
        for _ in 0..6 {
            let producer = self.graph.producer(divisor)?;
            let name = stem(producer);
            if name == "sum" {
                let rank = shape::of(self.graph, numerator)?.len();
                let dims = producer.argument("dim")?;
                let dim = dims.as_int().or_else(|| match dims.as_ints() {
                    Some([one]) => Some(*one),
                    _ => None,
                })?;
                let axis = counted(dim, rank)?;
                let same = producer.tensor("self").is_some_and(|id| self.same_values(id, numerator));
                if !reciprocal || !same || !self.exponential(numerator) {
                    return None;
                }
                self.lines.softmaxes.insert(self.operation.id, (numerator, axis));
                return Some(self.probabilities(numerator, axis, axes.clone()?));
            }
            reciprocal |= name == "reciprocal";
            let passes = name == "reciprocal"
                || matches!(name, "add" | "clamp" | "clamp_min" | "maximum")
                || matches!(effect(producer), Effect::Same | Effect::Broadcast | Effect::Reshape);
            divisor = first_input(producer).filter(|_| passes)?;
        }
        None
    }

    /// The scores and the axis of a log softmax that the operand of this exponential is.
    fn logarithm(&self) -> Option<(TensorId, usize)> {
        let mut id = first_input(self.operation)?;
        for _ in 0..4 {
            let producer = self.graph.producer(id)?;
            if matches!(stem(producer), "log_softmax" | "_log_softmax" | "special_log_softmax") {
                let scores = first_input(producer)?;
                let rank = shape::of(self.graph, scores)?.len();
                return Some((scores, counted(producer.argument("dim")?.as_int()?, rank)?));
            }
            id = first_input(producer).filter(|_| effect(producer) == Effect::Same)?;
        }
        None
    }

    /// True if one is the other, but for casts, copies and masks that are put on in between.
    fn same_values(&self, one: TensorId, other: TensorId) -> bool {
        let back = |mut id: TensorId| {
            for _ in 0..4 {
                let producer = self.graph.producer(id).filter(|p| effect(p) == Effect::Same);
                let Some(before) = producer.and_then(first_input) else { break };
                id = before;
            }
            id
        };
        back(one) == back(other)
    }

    /// True for a tensor of exponentials, after casts and masks.
    fn exponential(&self, mut id: TensorId) -> bool {
        for _ in 0..6 {
            let Some(producer) = self.graph.producer(id) else { return false };
            match stem(producer) {
                "exp" => return true,
                "mul" | "multiply" | "masked_fill" | "where" => {}
                _ if effect(producer) == Effect::Same => {}
                _ => return false,
            }
            let Some(before) =
                operands(producer).find(|o| shape::of(self.graph, *o) == shape::of(self.graph, id))
            else {
                return false;
            };
            id = before;
        }
        false
    }

    /// True for a parameter, after casts and permutations.
    fn is_parameter(&self, mut id: TensorId) -> bool {
        for _ in 0..4 {
            let Some(producer) = self.graph.producer(id) else { break };
            let plain = matches!(effect(producer), Effect::Same | Effect::Permute);
            let Some(before) = first_input(producer).filter(|_| plain) else { return false };
            id = before;
        }
        self.graph.tensor(id).is_some_and(|t| t.origin == Origin::Parameter)
    }

    fn product(&mut self) -> Option<(Vec<Axis>, u16)> {
        let output = *self.operation.outputs.first()?;
        let sizes = shape::of(self.graph, output)?;
        let factors = product::contraction(self.graph, self.operation)?;
        let known = factors.operands.each_ref().map(|(id, _)| self.known(*id));
        let summed = factors.summed();
        // The axis of a softmax that is summed over.
        let mut keys = None;
        for label in &summed {
            for (side, known) in known.iter().enumerate() {
                let axis = factors.operands[side].1.iter().position(|l| l == label)?;
                if let Some(Label::Key(softmax)) = whole(&known.axes, axis) {
                    keys = keys.or(Some((softmax, side)));
                }
            }
        }
        if let Some((softmax, side)) = keys {
            let (probabilities, values) = (factors.operands[side].0, factors.operands[1 - side].0);
            if !self.weights.contains(values) {
                let sum = WeighedSum { probabilities, values, sum: output, operation: self.operation.id };
                self.lines.sums.entry(softmax).or_insert(sum);
            }
        }
        let own = known.iter().all(|k| !k.plain) && keys.is_none();
        // Of two weights the second one is the map, where it is a parameter.
        let maps = |side: usize| {
            let [one, other] = [&known[side], &known[1 - side]];
            one.plain && (!other.plain || side == 1 && self.is_parameter(factors.operands[1].0))
        };
        let maps = [maps(0), maps(1)];
        let axes = transfer::multiplied(&factors, &known, self.operation.id, own, maps, sizes)?;
        let far = known.iter().map(|k| k.distance).min().unwrap_or(u16::MAX).saturating_add(1);
        Some((axes, if own { 0 } else { far }))
    }
}
