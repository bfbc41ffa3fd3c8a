//! What all finders need to know of a graph, computed once.

use crate::graph::{Graph, Operation, OperationId, Origin, TensorId, Value};

use super::Norm;
use super::lineage::{Axis, Label, Lines, follow, total};
use super::operator::{Effect, effect, first_input, makes_anew, operands, reads_data, stem};
use super::projection::Projection;
use super::shape;
use super::weights::PlainWeights;

/// Steps after which a walk through views and casts gives up.
pub(super) const REACH: usize = 32;

/// A graph with what was computed of it.
pub(super) struct Facts<'g> {
    pub(super) graph: &'g dyn Graph,
    pub(super) weights: PlainWeights,
    /// For each tensor, whether it depends on learned tables or on real-valued input, not on ids, masks and
    /// positions alone.
    content: Vec<bool>,
    /// For each tensor that is a normalisation's output, its input.
    norms: Vec<Option<TensorId>>,
    /// For each operation, the linear map that it is.
    projections: Vec<Option<Projection>>,
    lines: Lines,
}

impl<'g> Facts<'g> {
    pub(super) fn of(graph: &'g dyn Graph) -> Self {
        let weights = PlainWeights::of(graph);
        let real = |id: TensorId| graph.tensor(id).is_some_and(|t| t.dtype.is_float());
        let mut content: Vec<bool> = graph
            .tensors()
            .iter()
            .map(|t| t.origin == Origin::Input && t.dtype.is_float() && t.shape.len() > 1)
            .collect();
        for operation in graph.operations() {
            let filled = makes_anew(operation);
            let carries = !filled && operation.inputs().any(|id| content.get(id.0 as usize) == Some(&true));
            let looked_up =
                lookup(operation).is_some_and(|(table, _)| real(table) && parameter(graph, table));
            let projected = effect(operation) == Effect::Product
                && operation.inputs().any(|id| parameter(graph, id) && shape_rank(graph, id) > 1);
            if carries || looked_up || projected {
                for id in &operation.outputs {
                    if let Some(entry) = content.get_mut(id.0 as usize) {
                        *entry = true;
                    }
                }
            }
        }
        let norms = vec![None; graph.tensors().len()];
        let lines = follow(graph, &weights);
        Self { graph, weights, content, norms, projections: Vec::new(), lines }
    }

    /// Where the axes of tensors come from.
    pub(super) fn lines(&self) -> &Lines {
        &self.lines
    }

    /// True if an axis of a tensor holds channels; the last one does where that is not known.
    pub(super) fn is_channel_axis(&self, id: TensorId, axis: usize) -> bool {
        let axes = self.lines.axes(id);
        let channels = |axis: &Axis| total(axis) > 1 && axis.iter().all(|f| f.label == Label::Channel);
        match axes.iter().position(channels) {
            Some(_) => axes.get(axis).is_some_and(channels),
            None => axis + 1 == axes.len(),
        }
    }

    /// Channels of a tensor.
    pub(super) fn channels(&self, id: TensorId) -> i64 {
        let shape = self.shape(id);
        let all = shape.iter().enumerate().filter(|(axis, _)| self.is_channel_axis(id, *axis));
        all.fold(1, |n, (_, size)| n.saturating_mul(*size))
    }

    /// The linear map that `operation` is, if it is one.
    pub(super) fn projection(&self, operation: &Operation) -> Option<&Projection> {
        self.projections.get(operation.id.0 as usize)?.as_ref()
    }

    /// Takes in the linear maps.
    pub(super) fn with_projections(mut self, projections: Vec<Option<Projection>>) -> Self {
        self.projections = projections;
        self
    }

    /// Takes in the normalisations, so that walks can step over them.
    pub(super) fn with_norms(mut self, norms: &[Norm]) -> Self {
        for norm in norms {
            if let Some(entry) = self.norms.get_mut(norm.output.0 as usize) {
                *entry = Some(norm.input);
            }
        }
        self
    }

    pub(super) fn shape(&self, id: TensorId) -> &'g [i64] {
        shape::of(self.graph, id).unwrap_or(&[])
    }

    pub(super) fn elements(&self, id: TensorId) -> i64 {
        shape::elements(self.shape(id))
    }

    pub(super) fn is_content(&self, id: TensorId) -> bool {
        self.content.get(id.0 as usize) == Some(&true)
    }

    /// Depends on the batch and on what the model has learned.
    pub(super) fn is_activation(&self, id: TensorId) -> bool {
        self.is_content(id) && !self.weights.contains(id)
    }

    pub(super) fn is_float(&self, id: TensorId) -> bool {
        self.graph.tensor(id).is_some_and(|t| t.dtype.is_float())
    }

    /// What was normalised to make `id`.
    pub(super) fn norm_input(&self, id: TensorId) -> Option<TensorId> {
        self.norms.get(id.0 as usize).copied().flatten()
    }

    /// Operations that use the elements of a tensor; those that only read its sizes are none.
    pub(super) fn users(&self, id: TensorId) -> impl Iterator<Item = &'g Operation> + use<'g> {
        users(self.graph, id)
    }

    /// How many operations take what `operation` made.
    pub(super) fn users_of_outputs(&self, operation: &Operation) -> usize {
        operation.outputs.iter().map(|id| self.users(*id).count()).sum()
    }

    /// The parameter that a plain weight was made of by views, casts and arithmetic with other weights; the tensor
    /// itself where it is made of several.
    pub(super) fn parameter(&self, id: TensorId) -> TensorId {
        let mut at = id;
        for _ in 0..REACH {
            let Some(producer) = self.graph.producer(at) else { return at };
            let mut large = operands(producer).filter(|o| self.elements(*o) == self.elements(at));
            let next = match effect(producer) {
                Effect::Reshape | Effect::Permute | Effect::Same | Effect::Broadcast | Effect::Part => {
                    first_input(producer)
                }
                Effect::Pointwise => large.next().filter(|_| large.next().is_none()),
                _ => None,
            };
            let Some(next) = next else { return id };
            at = next;
        }
        id
    }

    /// True for operations that only rearrange or copy their operand.
    pub(super) fn rearranges(&self, operation: &Operation) -> bool {
        match effect(operation) {
            Effect::Reshape | Effect::Permute | Effect::Same => true,
            Effect::Broadcast => {
                let sizes = [first_input(operation), operation.outputs.first().copied()];
                let [old, new] = sizes.map(|id| id.map(|id| self.elements(id)));
                old == new
            }
            _ => false,
        }
    }

    /// The step before `id` if that only rearranges or copies it: the tensor and the operation.
    pub(super) fn rearranged(&self, id: TensorId) -> Option<(TensorId, &'g Operation)> {
        let producer = self.graph.producer(id).filter(|p| self.rearranges(p))?;
        Some((first_input(producer)?, producer))
    }
}

/// Operations that use the elements of a tensor, in execution order; those that only read its sizes or type are none.
pub(super) fn users(graph: &dyn Graph, id: TensorId) -> impl Iterator<Item = &Operation> {
    let all = graph.users(id).iter().filter_map(move |user| graph.operation(*user));
    all.filter(move |user| reads_data(user, id))
}

fn shape_rank(graph: &dyn Graph, id: TensorId) -> usize {
    shape::of(graph, id).map_or(0, <[i64]>::len)
}

fn parameter(graph: &dyn Graph, id: TensorId) -> bool {
    graph.tensor(id).is_some_and(|t| t.origin == Origin::Parameter)
}

/// Table and ids of a lookup.
pub(super) fn lookup(operation: &Operation) -> Option<(TensorId, TensorId)> {
    match stem(operation) {
        "embedding" | "embedding_bag" | "_embedding_bag" => {
            Some((operation.tensor("weight")?, operation.tensor("indices")?))
        }
        "index" => {
            let Some(Value::Tensors(ids)) = operation.argument("indices") else { return None };
            match ids.as_slice() {
                [Some(ids)] => Some((operation.tensor("self")?, *ids)),
                _ => None,
            }
        }
        "index_select" => Some((operation.tensor("self")?, operation.tensor("index")?)),
        _ => None,
    }
}

/// The constant of an operation between a tensor and a number, or of one that fills a tensor with a number.
pub(super) fn number(graph: &dyn Graph, value: &Value) -> Option<f64> {
    match value {
        Value::Tensor(id) => {
            let producer = graph.producer(*id)?;
            match stem(producer) {
                "full" | "full_like" | "new_full" => producer.argument("fill_value")?.as_float(),
                "scalar_tensor" => producer.argument("s")?.as_float(),
                "ones" | "ones_like" | "new_ones" => Some(1.0),
                "zeros" | "zeros_like" | "new_zeros" => Some(0.0),
                _ if matches!(effect(producer), Effect::Reshape | Effect::Same | Effect::Broadcast) => {
                    number(graph, &Value::Tensor(first_input(producer)?))
                }
                _ => None,
            }
        }
        other => other.as_float(),
    }
}

/// Identifiers in order, each once.
pub(super) fn sorted(mut operations: Vec<OperationId>) -> Vec<OperationId> {
    operations.sort_unstable();
    operations.dedup();
    operations
}
