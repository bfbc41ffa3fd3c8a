//! Self-attention told from cross-attention.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::graph::{Graph, Operation, TensorId};

use super::AttentionKind;
use crate::structure::operator::{Effect, effect, first_input, operands};
use crate::structure::product;
use crate::structure::shape;
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
}

impl Past {
    fn meets(&self, other: &Self) -> bool {
        self.sources.iter().any(|id| other.seen.contains_key(id))
    }

    fn of(graph: &dyn Graph, weights: &PlainWeights, start: TensorId) -> Self {
        let mut past = Self { seen: BTreeMap::from([(start, 0)]), sources: BTreeSet::new() };
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
            Effect::Join => (operands_and_self(producer).filter(activation).collect(), 0),
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
            let producer = graph.producer(id).filter(|p| {
                use Effect::{Broadcast, Norm, Permute, Reshape, Same};
                matches!(effect(p), Reshape | Permute | Broadcast | Same | Norm)
            });
            let Some(input) = producer.and_then(first_input) else { return };
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
