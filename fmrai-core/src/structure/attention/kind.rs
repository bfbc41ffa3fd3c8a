//! Self-attention told from cross-attention.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::graph::{Graph, Operation, TensorId, Value};

use super::AttentionKind;
use crate::structure::operator::{Effect, effect, first_input, operands, stem};
use crate::structure::product;
use crate::structure::projection::start_of_part;
use crate::structure::shape;
use crate::structure::shape::axis;
use crate::structure::weights::PlainWeights;

/// Projections between an activation and the queries made of it: two in low-rank attention, one more for a
/// convolution before them.
const HOPS: u8 = 3;

/// Tensors looked at on each side, nearest first, so that a block costs the same in a graph of any size.
const LIMIT: usize = 256;

/// Self-attention if queries and keys were projected from the same activation.
pub(super) fn of(graph: &dyn Graph, weights: &PlainWeights, query: TensorId, key: TensorId) -> AttentionKind {
    let (query, key) = (Past::of(graph, weights, query), Past::of(graph, weights, key));
    if query.meets(&key) || key.meets(&query) {
        AttentionKind::SelfAttention
    } else {
        AttentionKind::CrossAttention
    }
}

/// What a tensor was made from.
#[derive(Default)]
struct Past {
    /// Everything on the way.
    seen: BTreeMap<TensorId, u8>,
    /// What went into a projection or came out of one, and where the way ended without any.
    sources: BTreeSet<TensorId>,
    /// Parts of a tensor that went into a projection.
    parts: Vec<Part>,
}

/// Positions of an axis that were cut out of a tensor.
#[derive(Debug, Clone, Copy)]
struct Part {
    whole: TensorId,
    axis: usize,
    start: i64,
    end: i64,
}

impl Part {
    /// What `operation` cuts out of its operand to make `output`; along the last axis it cuts channels, not positions.
    fn of(graph: &dyn Graph, operation: &Operation, output: TensorId) -> Option<Self> {
        let mut whole = first_input(operation).filter(|_| effect(operation) == Effect::Part)?;
        let (old, new) = (shape::of(graph, whole)?, shape::of(graph, output)?);
        let dim = operation.argument("dim").map_or(Some(0), Value::as_int)?;
        let axis = axis(dim, old.len()).filter(|axis| axis + 1 < old.len())?;
        let (start, size) = if new.len() < old.len() {
            let index = operation.argument("index").and_then(Value::as_int);
            let index = index
                .or_else(|| i64::try_from(operation.outputs.iter().position(|id| *id == output)?).ok())?;
            (if index < 0 { index + old.get(axis)? } else { index }, 1)
        } else {
            let start = start_of_part(operation, output, *old.get(axis)?, *new.get(axis)?)?;
            (i64::try_from(start).ok()?, *new.get(axis)?)
        };
        // Parts that are the whole.
        while let Some(before) =
            graph.producer(whole).filter(|p| effect(p) == Effect::Part).and_then(first_input)
            && shape::of(graph, before) == Some(old)
        {
            whole = before;
        }
        Some(Self { whole, axis, start, end: start.saturating_add(size) })
    }

    fn overlaps(&self, other: &Self) -> bool {
        let same = self.whole == other.whole && self.axis == other.axis;
        same && self.start < other.end && other.start < self.end
    }
}

impl Past {
    fn meets(&self, other: &Self) -> bool {
        self.sources.iter().any(|id| other.seen.contains_key(id))
            // Positions of one sequence look at some or all of it.
            || self.parts.iter().any(|part| {
                other.sources.contains(&part.whole) || other.parts.iter().any(|more| part.overlaps(more))
            })
    }

    fn of(graph: &dyn Graph, weights: &PlainWeights, start: TensorId) -> Self {
        let mut past = Self { seen: BTreeMap::from([(start, 0)]), ..Self::default() };
        let mut queue = VecDeque::from([start]);
        while let Some(id) = queue.pop_front() {
            let hops = past.seen.get(&id).copied().unwrap_or(0);
            let (next, price) = past.step(graph, weights, id, hops);
            for id in next {
                if past.seen.len() < LIMIT && !past.seen.contains_key(&id) {
                    past.seen.insert(id, hops + price);
                    queue.push_back(id);
                }
            }
        }
        past
    }

    /// The activations that `id` was made from, and the number of projections between.
    fn step(
        &mut self,
        graph: &dyn Graph,
        weights: &PlainWeights,
        id: TensorId,
        hops: u8,
    ) -> (Vec<TensorId>, u8) {
        let activation = |id: &TensorId| !weights.contains(*id);
        let Some(producer) = graph.producer(id) else {
            self.end(id, hops);
            return (Vec::new(), 0);
        };
        match effect(producer) {
            Effect::Reshape
            | Effect::Permute
            | Effect::Broadcast
            | Effect::Part
            | Effect::Same
            | Effect::Norm => (first_input(producer).filter(activation).into_iter().collect(), 0),
            // What is put beside something larger is a feature of it, not the sequence.
            Effect::Join => {
                let size = |id: TensorId| shape::of(graph, id).map_or(0, shape::elements);
                let all: Vec<TensorId> = operands_and_self(producer).filter(activation).collect();
                let most = all.iter().map(|id| size(*id)).max().unwrap_or(0);
                let rank = shape::of(graph, id).map_or(0, <[i64]>::len);
                let dim = producer.argument("dim").map_or(Some(0), Value::as_int);
                let channels = dim.and_then(|dim| axis(dim, rank)).is_some_and(|at| at + 1 == rank);
                let joins = matches!(stem(producer), "cat" | "concat" | "concatenate") && channels;
                (all.into_iter().filter(|id| !joins || size(*id).saturating_mul(2) >= most).collect(), 0)
            }
            Effect::Pointwise => {
                // A smaller operand is a scale, a bias or a table that is broadcast, not the activation itself.
                let size = |id: TensorId| shape::of(graph, id).map(shape::elements);
                let all: Vec<TensorId> = operands(producer).filter(activation).collect();
                let main: Vec<TensorId> = all.iter().copied().filter(|o| size(*o) == size(id)).collect();
                (if main.is_empty() { all } else { main }, 0)
            }
            Effect::Softmax | Effect::Fused | Effect::Lookup => {
                self.end(id, hops);
                (Vec::new(), 0)
            }
            Effect::Wave => (Vec::new(), 0),
            Effect::Product
                if product::factors(graph, producer)
                    .is_some_and(|f| activation(&f.left) && activation(&f.right)) =>
            {
                self.end(id, hops);
                (Vec::new(), 0)
            }
            Effect::Product | Effect::WeightMath | Effect::Other => {
                self.sources.insert(id);
                if hops >= HOPS {
                    return (Vec::new(), 0);
                }
                let inputs: Vec<TensorId> = operands(producer).filter(activation).collect();
                for input in &inputs {
                    self.source(graph, *input);
                }
                (inputs, 1)
            }
        }
    }

    /// Takes in what goes into a projection, and what it was before views and normalisation: queries and keys may
    /// each have their own.
    fn source(&mut self, graph: &dyn Graph, mut id: TensorId) {
        while self.sources.insert(id) {
            use Effect::{Broadcast, Norm, Permute, Reshape, Same};
            let Some(producer) = graph.producer(id) else { return };
            self.parts.extend(Part::of(graph, producer, id));
            let same = matches!(effect(producer), Reshape | Permute | Broadcast | Same | Norm);
            let Some(input) = first_input(producer).filter(|_| same) else { return };
            id = input;
        }
    }

    fn end(&mut self, id: TensorId, hops: u8) {
        if hops == 0 {
            self.sources.insert(id);
        }
    }
}

/// The operands of a join; a tensor that is written into counts as well.
fn operands_and_self(operation: &Operation) -> impl Iterator<Item = TensorId> + '_ {
    operands(operation).chain(operation.tensor("self"))
}
