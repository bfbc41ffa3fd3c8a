//! The residual streams found.

use std::collections::{BTreeMap, BTreeSet};

use crate::graph::{Operation, OperationId, TensorId};
use crate::structure::facts::{Facts, REACH, is_assertion, number};
use crate::structure::operator::{Effect, effect, first_input, operands, stem};
use crate::structure::projection::Projection;

use super::Residual;

/// Tensors looked at per operation of the graph, all additions together, so that the time stays in proportion.
const EFFORT: usize = 16;

/// Tensors looked at per addition once that is spent.
const LAST_EFFORT: usize = 256;

/// An addition to a stream with what lies between.
pub(in crate::structure) struct Write {
    /// What is told of it.
    pub(in crate::structure) residual: Residual,
    /// The stream before the addition, from what is added to back to the result of the addition before.
    pub(in crate::structure) stream: BTreeSet<TensorId>,
    /// The operations that compute what is added from the stream.
    pub(in crate::structure) region: Vec<OperationId>,
}

/// All additions to residual streams, in execution order.
pub(in crate::structure) fn find_residual(facts: &Facts<'_>) -> Vec<Write> {
    let mut finder = Finder { facts, after: BTreeMap::new(), found: Vec::new(), streams: 0, effort: 0 };
    finder.effort = facts.graph.operations().len().saturating_mul(EFFORT);
    for operation in facts.graph.operations() {
        finder.visit(operation);
    }
    finder.found
}

struct Finder<'f, 'g> {
    facts: &'f Facts<'g>,
    /// Results of the additions found so far.
    after: BTreeMap<TensorId, usize>,
    found: Vec<Write>,
    streams: usize,
    effort: usize,
}

impl Finder<'_, '_> {
    fn visit(&mut self, operation: &Operation) {
        if stem(operation) != "add" {
            return;
        }
        let (Some(a), Some(b), Some(&sum)) =
            (operation.tensor("self"), operation.tensor("other"), operation.outputs.first())
        else {
            return;
        };
        let size = self.facts.elements(sum);
        let whole = |id| self.facts.is_activation(id) && self.facts.elements(id) == size;
        if a == b || !whole(a) || !whole(b) || !self.facts.is_float(sum) {
            return;
        }
        for (stream, written) in [(a, b), (b, a)] {
            let (chain, last) = self.chain(stream);
            if !self.branches(&chain, operation) {
                continue;
            }
            let Some(region) = self.region(written, &chain) else { continue };
            let number = match last {
                Some(last) => self.found[last].residual.stream,
                None => {
                    self.streams += 1;
                    self.streams - 1
                }
            };
            self.after.insert(sum, self.found.len());
            self.found.push(Write {
                residual: Residual {
                    layer: self.found.len(),
                    stream: number,
                    module: operation.module.clone(),
                    operation: operation.id,
                    before: stream,
                    written,
                    after: sum,
                    writers: Vec::new(),
                },
                stream: chain,
                region,
            });
            return;
        }
    }

    /// `id` and what it was before views, casts, dropout, normalisation and constant factors, back to the result of
    /// an earlier addition, which is told by its position.
    fn chain(&self, mut id: TensorId) -> (BTreeSet<TensorId>, Option<usize>) {
        let mut chain = BTreeSet::from([id]);
        for _ in 0..REACH {
            if let Some(&last) = self.after.get(&id) {
                // A sum that only goes into this one: its two blocks run in parallel.
                if self.facts.users(id).count() == 1
                    && let Some(write) = self.found.get(last)
                {
                    chain.extend(&write.stream);
                }
                return (chain, Some(last));
            }
            let Some(before) = self.before(id) else { break };
            chain.insert(before);
            id = before;
        }
        (chain, None)
    }

    fn before(&self, id: TensorId) -> Option<TensorId> {
        if let Some(norm) = self.facts.norm_input(id) {
            return Some(norm);
        }
        let producer = self.facts.graph.producer(id)?;
        match effect(producer) {
            _ if self.facts.rearranges(producer) => first_input(producer),
            Effect::Join if stem(producer) == "index" || stem(producer) == "roll" => first_input(producer),
            Effect::Pointwise if matches!(stem(producer), "mul" | "multiply" | "div") => {
                let by = producer.argument("other")?;
                // A number, or a mask of padding; a learned factor makes something else of the stream.
                let mask = |id: TensorId| !self.facts.is_content(id) && !self.facts.weights.contains(id);
                let plain = number(self.facts.graph, by).is_some() || by.tensors().all(mask);
                plain.then(|| producer.tensor("self")).flatten()
            }
            _ if stem(producer) == "relu" => producer.tensor("self"),
            _ => None,
        }
        .filter(|id| self.facts.is_activation(*id))
    }

    /// True if something else than the addition reads the stream.
    fn branches(&self, chain: &BTreeSet<TensorId>, addition: &Operation) -> bool {
        chain.iter().any(|id| {
            self.facts.users(*id).any(|user| {
                user.id < addition.id && !user.outputs.iter().any(|output| chain.contains(output))
            })
        })
    }

    /// The operations between the stream and `written`, if it depends on the stream through a weight or a product.
    fn region(&mut self, written: TensorId, chain: &BTreeSet<TensorId>) -> Option<Vec<OperationId>> {
        let graph = self.facts.graph;
        let first = chain.iter().filter_map(|id| graph.producer(*id)).map(|o| o.id).min();
        let mut seen = BTreeSet::new();
        let mut stack = vec![(written, false)];
        let (mut found, mut looked) = (false, 0_usize);
        let limit = self.effort.max(LAST_EFFORT);
        while let Some((id, weighed)) = stack.pop() {
            if chain.contains(&id) {
                found |= weighed;
                continue;
            }
            let Some(producer) = graph.producer(id).filter(|p| Some(p.id) >= first) else { continue };
            if self.after.contains_key(&id) || !seen.insert((id, weighed)) {
                continue;
            }
            looked += 1;
            if looked > limit {
                break;
            }
            let weighed = weighed
                || matches!(effect(producer), Effect::Product | Effect::Fused)
                || stem(producer).contains("conv")
                || stem(producer).contains("fft")
                || self.facts.projection(producer).is_some();
            stack.extend(producer.inputs().filter(|i| self.facts.is_activation(*i)).map(|i| (i, weighed)));
        }
        self.effort = self.effort.saturating_sub(looked);
        let operations = seen.iter().filter_map(|(id, _)| graph.producer(*id)).filter(|o| !is_assertion(o));
        let mut operations: Vec<OperationId> = operations.map(|o| o.id).collect();
        operations.sort_unstable();
        operations.dedup();
        found.then_some(operations)
    }
}

/// What is done with a result before it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::structure) enum Routing {
    /// It is added as it is.
    None,
    /// It is multiplied by a number per token.
    Weighed,
    /// It is sorted back to the tokens that it was computed for, or summed over an axis of choices.
    Sorted,
}

/// What a walk back from what is written finds.
pub(in crate::structure) struct Ends {
    /// Linear maps whose results are written, after views, casts, normalisation, scaling and sums.
    pub(in crate::structure) projections: Vec<(Projection, Routing)>,
    /// Operations after them.
    pub(in crate::structure) tail: Vec<OperationId>,
    /// True if all of what is written comes from these linear maps.
    pub(in crate::structure) complete: bool,
}

/// The linear maps that a write to the stream comes from, each with what is done with its result.
pub(in crate::structure) fn ends(facts: &Facts<'_>, write: &Write) -> Ends {
    let mut ends = Ends { projections: Vec::new(), tail: Vec::new(), complete: true };
    let mut seen = BTreeSet::new();
    let mut stack = vec![(write.residual.written, Routing::None)];
    let size = |id| facts.elements(id);
    while let Some((id, routed)) = stack.pop() {
        if write.stream.contains(&id) || !seen.insert(id) || !facts.is_activation(id) {
            continue;
        }
        let Some(producer) = facts.graph.producer(id) else {
            ends.complete = false;
            continue;
        };
        if write.region.binary_search(&producer.id).is_err() {
            continue;
        }
        if let Some(projection) = facts.projection(producer).cloned() {
            ends.projections.push((projection, routed));
            continue;
        }
        if let Some(norm) = facts.norm_input(id) {
            stack.push((norm, routed));
            continue;
        }
        ends.tail.push(producer.id);
        match effect(producer) {
            Effect::Reshape | Effect::Permute | Effect::Same | Effect::Broadcast | Effect::Part => {
                stack.extend(first_input(producer).map(|input| (input, routed)));
            }
            Effect::Pointwise => {
                let large: Vec<TensorId> = operands(producer).filter(|o| size(*o) == size(id)).collect();
                let small = operands(producer).any(|o| size(o) < size(id) && facts.is_content(o));
                stack.extend(
                    large.into_iter().map(|o| (o, if small { routed.max(Routing::Weighed) } else { routed })),
                );
            }
            Effect::Join => {
                let first = producer.tensor("self");
                let more = ["source", "src", "values"].iter().filter_map(|name| producer.tensor(name));
                let list = producer.arguments.iter().filter(|a| a.name == "tensors");
                let list = list.flat_map(|a| a.value.tensors());
                stack.extend(first.into_iter().chain(more).chain(list).map(|o| (o, Routing::Sorted)));
            }
            _ if matches!(
                stem(producer),
                "sum" | "index_add" | "scatter_add" | "scatter_reduce" | "mean"
            ) =>
            {
                let more = ["self", "source", "src"].iter().filter_map(|name| producer.tensor(name));
                stack.extend(more.map(|o| (o, Routing::Sorted)));
            }
            _ => ends.complete = false,
        }
    }
    ends.projections.sort_by_key(|(projection, _)| projection.operation);
    ends
}
