//! The residual streams found.

use std::collections::{BTreeMap, BTreeSet};

use crate::graph::{Operation, OperationId, TensorId, Value};
use crate::structure::facts::{Facts, REACH, number};
use crate::structure::operator::{Effect, effect, first_input, is_assertion, operands, stem};
use crate::structure::projection::Projection;
use crate::structure::shape::axis;

use super::addition::{Candidate, candidates};
use super::{Addition, Residual};

/// Tensors looked at per operation of the graph, all additions together, so that the time stays in proportion.
const EFFORT: usize = 16;

/// Tensors looked at per addition once that is spent.
const LAST_EFFORT: usize = 256;

/// Steps back in which one of two tensors is looked for that carries the stream on.
const STEPS: usize = 8;

/// Additions of a stream that is within a block, such as a skip around an attention's output.
const INNER: usize = 3;

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
    let mut finder = Finder {
        facts,
        after: BTreeMap::new(),
        found: Vec::new(),
        starts: Vec::new(),
        within: BTreeSet::new(),
        effort: 0,
    };
    finder.effort = facts.graph.operations().len().saturating_mul(EFFORT);
    for operation in facts.graph.operations() {
        finder.visit(operation);
    }
    finder.finished()
}

struct Finder<'f, 'g> {
    facts: &'f Facts<'g>,
    /// Results of the additions found so far.
    after: BTreeMap<TensorId, usize>,
    found: Vec<Write>,
    /// What each stream begins with.
    starts: Vec<BTreeSet<TensorId>>,
    /// Additions within a block: no stream of the model.
    within: BTreeSet<usize>,
    effort: usize,
}

/// What is between a stream and what is added to it.
struct Between {
    operations: Vec<OperationId>,
    /// Additions on the way, of streams that begin and end there.
    inner: BTreeSet<usize>,
}

impl Finder<'_, '_> {
    fn visit(&mut self, operation: &Operation) {
        let Some(&sum) = operation.outputs.first() else { return };
        if !self.facts.is_float(sum) {
            return;
        }
        for Candidate { stream, written, addition } in candidates(self.facts, operation) {
            let (chain, last) = self.chain(stream);
            if !self.branches(&chain, operation) {
                continue;
            }
            let number = last.and_then(|last| self.found.get(last)).map(|write| write.residual.stream);
            let Some(between) = self.region(written, operation, &chain, number) else { continue };
            let number = number.unwrap_or_else(|| {
                self.starts.push(chain.clone());
                self.starts.len() - 1
            });
            self.within.extend(between.inner);
            self.after.insert(sum, self.found.len());
            self.found.push(Write {
                residual: Residual {
                    layer: self.found.len(),
                    stream: number,
                    module: operation.module.clone(),
                    operation: operation.id,
                    before: stream,
                    written: if addition == Addition::InProduct { sum } else { written },
                    after: sum,
                    addition,
                    writers: Vec::new(),
                },
                stream: chain,
                region: between.operations,
            });
            return;
        }
    }

    /// What was found, without the additions within blocks, numbered anew.
    fn finished(self) -> Vec<Write> {
        let within = &self.within;
        let kept = self.found.into_iter().enumerate().filter(|(i, _)| !within.contains(i));
        let mut streams: Vec<usize> = Vec::new();
        let numbered = kept.enumerate().map(|(layer, (_, mut write))| {
            let old = write.residual.stream;
            let number = streams.iter().position(|s| *s == old).unwrap_or_else(|| {
                streams.push(old);
                streams.len() - 1
            });
            (write.residual.layer, write.residual.stream) = (layer, number);
            write
        });
        numbered.collect()
    }

    /// `id` and what it was before views, parts, casts, dropout, normalisation and factors, back to the result of
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
            let Some(before) = self.before(id, STEPS) else { break };
            chain.insert(before);
            id = before;
        }
        (chain, None)
    }

    /// The latest addition that the stream `id` comes from by few steps.
    fn latest(&self, mut id: TensorId, steps: usize) -> Option<usize> {
        for _ in 0..steps {
            if let Some(last) = self.after.get(&id) {
                return Some(*last);
            }
            id = self.before(id, steps / 2)?;
        }
        None
    }

    fn before(&self, id: TensorId, steps: usize) -> Option<TensorId> {
        if let Some(norm) = self.facts.norm_input(id) {
            return Some(norm);
        }
        let facts = self.facts;
        let producer = facts.graph.producer(id)?;
        // A tensor whose memory was written into.
        if let Some(&written) = producer.outputs.first().filter(|first| **first != id) {
            let old = facts.graph.tensor(id)?.version_of;
            return if self.after.contains_key(&written) { Some(written) } else { old };
        }
        let plain = |by: TensorId| {
            // A mask of padding, or a learned factor or shift of each channel.
            let learned = facts.weights.contains(by) && facts.elements(by) <= facts.channels(id);
            learned || !facts.is_content(by) && !facts.weights.contains(by)
        };
        let along_positions = |name: &str| {
            let along = producer.argument(name).map_or(Some(0), Value::as_int);
            along
                .and_then(|dim| axis(dim, facts.shape(id).len()))
                .is_some_and(|axis| !facts.is_channel_axis(id, axis))
        };
        match effect(producer) {
            _ if facts.rearranges(producer) => first_input(producer),
            Effect::Part => {
                let input = first_input(producer)?;
                let same = facts.shape(input).len() == facts.shape(id).len();
                (same && (stem(producer).contains("pad") || along_positions("dim"))).then_some(input)
            }
            Effect::Join => match stem(producer) {
                "index" | "roll" | "index_select" => first_input(producer),
                "cat" | "concat" | "concatenate" if along_positions("dim") => {
                    self.main(operands(producer).collect(), id, steps)
                }
                "copy" | "slice_scatter" | "index_put" | "index_copy" | "scatter" => {
                    let own = producer.tensor("self");
                    self.main(own.into_iter().chain(operands(producer)).collect(), id, steps)
                }
                _ => None,
            },
            Effect::Pointwise => match stem(producer) {
                "mul" | "multiply" | "div" | "divide" | "true_divide" => {
                    let (one, other) = (producer.tensor("self")?, producer.argument("other")?);
                    match other.tensors().next() {
                        _ if number(facts.graph, other).is_some() => Some(one),
                        None => Some(one),
                        Some(by) if plain(by) => Some(one),
                        Some(other) if plain(one) && stem(producer).starts_with('m') => Some(other),
                        Some(_) => None,
                    }
                }
                "masked_fill" => producer.tensor("self"),
                "add" | "sub" | "subtract" => {
                    let large =
                        |o: &TensorId| facts.is_activation(*o) && facts.elements(*o) == facts.elements(id);
                    let all: Vec<TensorId> = operands(producer).collect();
                    match all.iter().copied().filter(large).collect::<Vec<_>>().as_slice() {
                        // A shift.
                        [only] if all.iter().all(|o| o == only || plain(*o)) && all.len() > 1 => Some(*only),
                        // What an earlier state of a stream is added to goes on.
                        [one, other] => {
                            let last = [*one, *other].map(|o| self.latest(o, steps));
                            match last {
                                [Some(a), Some(b)] => Some(if a >= b { *one } else { *other }),
                                [Some(_), None] => Some(*one),
                                [None, Some(_)] => Some(*other),
                                [None, None] => None,
                            }
                        }
                        _ => None,
                    }
                }
                _ => None,
            },
            _ if stem(producer) == "relu" => producer.tensor("self"),
            _ => None,
        }
        .filter(|id| facts.is_activation(*id))
    }

    /// Of tensors that are put beside each other, the one that carries the stream on: the one that an addition made, or
    /// else the largest by far.
    fn main(&self, all: Vec<TensorId>, result: TensorId, steps: usize) -> Option<TensorId> {
        let all: Vec<TensorId> = all.into_iter().filter(|id| self.facts.is_activation(*id)).collect();
        let written = all.iter().filter_map(|id| Some((self.latest(*id, steps)?, *id))).max();
        let large =
            |id: &&TensorId| self.facts.elements(**id).saturating_mul(2) > self.facts.elements(result);
        written.map(|(_, id)| id).or_else(|| all.iter().find(large).copied())
    }

    /// True if something else than the addition reads the stream.
    fn branches(&self, chain: &BTreeSet<TensorId>, addition: &Operation) -> bool {
        chain.iter().any(|id| {
            self.facts.users(*id).any(|user| {
                user.id < addition.id && !user.outputs.iter().any(|output| chain.contains(output))
            })
        })
    }

    /// True if the stream of an addition begins and so far ends behind the tensors of `chain`.
    fn is_inner(
        &self,
        addition: usize,
        chain: &BTreeSet<TensorId>,
        first: Option<OperationId>,
        number: Option<usize>,
    ) -> bool {
        let Some(write) = self.found.get(addition) else { return false };
        let stream = write.residual.stream;
        let Some(start) = self.starts.get(stream) else { return false };
        let begins = start.iter().map(|id| self.facts.graph.producer(*id).map(|o| o.id)).min().flatten();
        let few = self.found.iter().filter(|w| w.residual.stream == stream).count() <= INNER;
        Some(stream) != number && few && begins > first && start.is_disjoint(chain)
    }

    /// The operations between the stream and `written`, if it depends on the stream through a weight or a product.
    fn region(
        &mut self,
        written: TensorId,
        addition: &Operation,
        chain: &BTreeSet<TensorId>,
        number: Option<usize>,
    ) -> Option<Between> {
        let graph = self.facts.graph;
        // Nothing but what was computed since the stream began: an input was there before everything.
        let first = chain.iter().map(|id| graph.producer(*id).map(|o| o.id)).min().flatten();
        let mut seen = BTreeSet::new();
        // The addition may be a part of a product.
        let multiplies = effect(addition) == Effect::Product;
        let mut stack: Vec<(TensorId, bool)> = vec![(written, multiplies)];
        if multiplies {
            stack.extend(addition.inputs().filter(|i| self.facts.is_activation(*i)).map(|i| (i, true)));
            stack.retain(|(id, _)| !chain.contains(id));
        }
        let (mut found, mut looked) = (false, 0_usize);
        let mut inner = BTreeSet::new();
        let limit = self.effort.max(LAST_EFFORT);
        while let Some((id, weighed)) = stack.pop() {
            if chain.contains(&id) {
                found |= weighed;
                continue;
            }
            let Some(producer) = graph.producer(id).filter(|p| Some(p.id) >= first) else { continue };
            if let Some(&last) = self.after.get(&id) {
                // What is added as it is, is a state of a stream.
                if !weighed || !self.is_inner(last, chain, first, number) {
                    continue;
                }
                inner.insert(last);
            }
            if !seen.insert((id, weighed)) {
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
        operations.extend(multiplies.then_some(addition.id));
        operations.sort_unstable();
        operations.dedup();
        found.then_some(Between { operations, inner })
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
