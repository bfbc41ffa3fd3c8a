//! How much of a graph was understood.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::graph::{Graph, OperationId, TensorId};

use super::attention::Attention;
use super::facts::Facts;
use super::feed_forward::FeedForward;
use super::found::Structure;
use super::operator::{Effect, effect, is_assertion, stem};
use super::residual::{Ends, Write};

/// What an operation is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// An attention block, with its linear maps, position encodings and masking.
    Attention,
    /// A feed-forward block, with the routing to experts.
    FeedForward,
    /// A normalisation.
    Norm,
    /// An embedding, with what is done to it before the first block.
    Embedding,
    /// A linear map to a vocabulary or another head, with what follows.
    Unembedding,
    /// An addition to the residual stream, with scaling and dropout of what is added.
    Residual,
    /// Computed from ids, masks and positions alone: masks, angles, indices, shapes.
    Position,
    /// Arithmetic on weights.
    Weights,
    /// Views, casts and copies between blocks.
    Rearrangement,
    /// Checks that make nothing.
    Assertion,
}

/// How many operations of a graph belong to what was found in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coverage {
    /// Operations of the graph.
    pub operations: usize,
    /// How many play which role; each counts once.
    pub roles: BTreeMap<Role, usize>,
    /// Names of the operations that are left over, with their numbers.
    pub left_over: BTreeMap<String, usize>,
    /// The operations that are left over, in execution order.
    pub left_over_operations: Vec<OperationId>,
    /// The role of every operation, by its id; `None` for those that are left over.
    #[serde(default, skip_serializing)]
    pub of: Vec<Option<Role>>,
}

impl Coverage {
    /// Number of operations that play some role.
    #[must_use]
    pub fn understood(&self) -> usize {
        self.roles.values().sum()
    }
}

/// The operations that belong to blocks.
pub(super) struct Claims(BTreeMap<OperationId, Role>);

/// Tensors looked at around one attention block.
const LIMIT: usize = 4096;

impl Claims {
    pub(super) fn of(
        facts: &Facts<'_>,
        attention: &[Attention],
        feed_forward: &[(usize, FeedForward)],
        writes: &[Write],
        ends: &[Ends],
        [embeddings, unembedding]: [Vec<OperationId>; 2],
    ) -> Self {
        let mut claims = Self(BTreeMap::new());
        claims.add(Role::Embedding, embeddings);
        claims.add(Role::Unembedding, unembedding);
        claims.add(Role::Residual, writes.iter().map(|w| w.residual.operation));
        for (_, block) in feed_forward {
            claims.add(Role::FeedForward, block.operations.iter().copied());
        }
        let mut stream: BTreeSet<TensorId> = writes.iter().map(|w| w.residual.after).collect();
        stream.extend(writes.iter().flat_map(|w| w.stream.iter().copied()));
        for block in attention {
            claims.add(Role::Attention, around(facts, block, &stream));
        }
        let mut of_write: BTreeMap<usize, Vec<&FeedForward>> = BTreeMap::new();
        for (write, block) in feed_forward {
            of_write.entry(*write).or_default().push(block);
        }
        for (position, (write, ends)) in writes.iter().zip(ends).enumerate() {
            // Factors, shifts and joins of the stream itself.
            let made = write.stream.iter().filter_map(|id| facts.graph.producer(*id));
            let own = made.filter(|o| {
                matches!(effect(o), Effect::Pointwise | Effect::Join) && facts.projection(o).is_none()
            });
            claims.add(Role::Residual, own.map(|o| o.id));
            let claimed = |id: &OperationId| claims.0.contains_key(id);
            if !ends.complete || !ends.projections.iter().all(|(end, _)| claimed(&end.operation)) {
                continue;
            }
            claims.add(Role::Residual, ends.tail.iter().copied());
            let Some(blocks) = of_write.get(&position) else { continue };
            // Routers, gates of experts, and what is done to the neurons as a whole; other maps by weights are not.
            let experts = blocks.iter().any(|b| b.experts.is_some());
            let first = blocks.iter().filter_map(|b| b.operations.first()).min();
            let between = write.region.iter().filter_map(|id| facts.graph.operation(*id)).filter(|o| {
                experts || Some(&o.id) > first && !stem(o).contains("conv") && facts.projection(o).is_none()
            });
            let between: Vec<OperationId> = between.map(|o| o.id).collect();
            claims.add(Role::FeedForward, between);
        }
        claims
    }

    /// What is not claimed yet.
    fn add(&mut self, role: Role, operations: impl IntoIterator<Item = OperationId>) {
        for operation in operations {
            self.0.entry(operation).or_insert(role);
        }
    }
}

/// The operations of an attention block: back from its operands to the linear maps that make them, and on from its
/// result to the one that ends it.
fn around(facts: &Facts<'_>, block: &Attention, stream: &BTreeSet<TensorId>) -> BTreeSet<OperationId> {
    let mut found = BTreeSet::from([block.operation]);
    let graph = facts.graph;
    // Back. Two linear maps deep: low-rank projections.
    let mut seen: BTreeMap<TensorId, u8> = BTreeMap::new();
    let mut stack = vec![(block.context, 0_u8)];
    stack.push((block.probabilities, 0));
    while let Some((id, hops)) = stack.pop() {
        // Masks, angles and views of weights are told by themselves.
        if !facts.is_activation(id) {
            continue;
        }
        let of_stream = facts.norm_input(id).is_some_and(|input| stream.contains(&input));
        if of_stream
            || stream.contains(&id)
            || seen.get(&id).is_some_and(|h| *h <= hops)
            || seen.len() > LIMIT
        {
            continue;
        }
        seen.insert(id, hops);
        let Some(producer) = graph.producer(id) else { continue };
        if let Some(input) = facts.norm_input(id) {
            found.insert(producer.id);
            stack.push((input, hops));
            continue;
        }
        let mut hops = hops;
        if facts.projection(producer).is_some() {
            if hops > 1 {
                continue;
            }
            hops += 1;
        } else if hops > 0 {
            if effect(producer) != Effect::Part && !facts.rearranges(producer) {
                continue;
            }
        } else if effect(producer) == Effect::Other && facts.is_activation(id) && !elementwise(stem(producer))
        {
            continue;
        }
        found.insert(producer.id);
        stack.extend(producer.inputs().map(|input| (input, hops)));
    }
    // On.
    let mut stack = vec![block.context];
    let mut steps = 0;
    while let Some(id) = stack.pop() {
        for user in facts.users(id) {
            steps += 1;
            let goes_on = match effect(user) {
                Effect::Part | Effect::Pointwise => true,
                _ if facts.rearranges(user) => true,
                _ => facts.norm_input(user.outputs.first().copied().unwrap_or(id)).is_some(),
            };
            let projection = facts.projection(user);
            let adds = user.outputs.iter().any(|o| stream.contains(o));
            if steps > LIMIT || adds || !(goes_on || projection.is_some()) || !found.insert(user.id) {
                continue;
            }
            match projection {
                Some(projection) => {
                    found.extend(&projection.weight.views);
                    // The bias of a linear map in elementary operations.
                    let biases = facts.users(projection.output).filter(|u| {
                        effect(u) == Effect::Reshape
                            || (stem(u) == "add" && u.inputs().any(|i| facts.weights.contains(i)))
                    });
                    found.extend(biases.map(|u| u.id));
                }
                None => stack.extend(&user.outputs),
            }
        }
    }
    found
}

/// Functions between queries, keys and scores that have no effect of their own.
fn elementwise(name: &str) -> bool {
    matches!(
        name,
        "amax"
            | "amin"
            | "max"
            | "relu"
            | "silu"
            | "gelu"
            | "topk"
            | "sort"
            | "any"
            | "eq"
            | "logical_not"
            | "full_like"
            | "complex"
            | "log_softmax"
            | "_log_softmax"
            | "view_as_complex"
            | "unfold"
            | "as_strided"
    )
}

/// Counts what was claimed and what needs no claim.
pub(super) fn of(graph: &dyn Graph, structure: &Structure, claims: &Claims) -> Coverage {
    let facts = Facts::of(graph);
    let mut norms = BTreeSet::new();
    norms.extend(structure.norms.iter().flat_map(|norm| norm.operations.iter().copied()));
    let mut coverage = Coverage { operations: graph.operations().len(), ..Coverage::default() };
    for operation in graph.operations() {
        let of = |test: &dyn Fn(TensorId) -> bool| operation.outputs.iter().all(|id| test(*id));
        let role = if is_assertion(operation) {
            Some(Role::Assertion)
        } else if norms.contains(&operation.id) {
            Some(Role::Norm)
        } else if let Some(role) = claims.0.get(&operation.id) {
            Some(*role)
        } else if of(&|id| facts.weights.contains(id) && facts.is_float(id)) {
            Some(Role::Weights)
        } else if of(&|id| !facts.is_content(id) || !facts.is_float(id)) {
            Some(Role::Position)
        } else if matches!(
            effect(operation),
            Effect::Reshape | Effect::Permute | Effect::Broadcast | Effect::Part | Effect::Same
        ) || matches!(stem(operation), "roll" | "flip" | "index_select" | "as_strided")
        {
            Some(Role::Rearrangement)
        } else {
            None
        };
        coverage.of.push(role);
        match role {
            Some(role) => *coverage.roles.entry(role).or_default() += 1,
            None => {
                *coverage.left_over.entry(operation.name.clone()).or_default() += 1;
                coverage.left_over_operations.push(operation.id);
            }
        }
    }
    coverage
}
