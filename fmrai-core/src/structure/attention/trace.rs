//! A matrix followed through masks, casts and views.

use std::collections::{BTreeSet, VecDeque};

use crate::graph::{Graph, Operation, OperationId, TensorId, Value};

use crate::structure::operator::{Effect, effect, first_input, operands, stem};
use crate::structure::product;
use crate::structure::shape;
use crate::structure::weights::PlainWeights;

/// Steps after which a trace gives up. The longest known way from product to softmax has under ten.
const REACH: u16 = 24;

/// Where the two axes of a matrix are in a tensor that went through views.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Matrix {
    /// Sizes of the last two axes whenever the matrix is whole.
    sizes: [i64; 2],
    /// True if rows and columns have changed places.
    transposed: bool,
}

impl Matrix {
    fn of(graph: &dyn Graph, id: TensorId) -> Option<Self> {
        Some(Self { sizes: shape::matrix(&graph.tensor(id)?.shape)?, transposed: false })
    }

    fn whole(self, shape: &[i64]) -> bool {
        shape::matrix(shape) == Some(self.sizes)
    }

    /// The matrix after `operation`, which takes it in `from`; `None` where it is lost.
    fn after(self, graph: &dyn Graph, operation: &Operation, from: TensorId) -> Option<Self> {
        let old = &graph.tensor(from)?.shape;
        let new = &graph.tensor(*operation.outputs.first()?)?.shape;
        let kept = |yes: bool| yes.then_some(self);
        match effect(operation) {
            Effect::Reshape => kept(shape::elements(old) == shape::elements(new)),
            Effect::Same | Effect::Pointwise if self.whole(old) => kept(self.whole(new)),
            Effect::Same | Effect::Pointwise => kept(old == new),
            Effect::Broadcast => kept(self.whole(old) && self.whole(new)),
            Effect::Permute if self.whole(old) => match last_two_swapped(operation, old.len())? {
                true => Some(Self { sizes: [self.sizes[1], self.sizes[0]], transposed: !self.transposed }),
                false => Some(self),
            },
            Effect::Part | Effect::Join if self.whole(old) && new.len() == old.len() => {
                let sizes = shape::matrix(new)?;
                let rows = usize::from(self.transposed);
                (sizes[rows] == self.sizes[rows]).then_some(Self { sizes, ..self })
            }
            Effect::Part if self.whole(old) => {
                let axis = operation.argument("dim")?.as_int()?;
                let before = i64::try_from(old.len()).ok()? - 2;
                kept((axis < -2 || (0..before).contains(&axis)) && self.whole(new))
            }
            Effect::Join => kept(self.whole(old) && self.whole(new)),
            _ => None,
        }
    }
}

/// Whether a permutation swaps the last two axes or leaves them; `None` if it mixes them with others.
fn last_two_swapped(operation: &Operation, rank: usize) -> Option<bool> {
    let axis = |i: i64| usize::try_from(if i < 0 { i + i64::try_from(rank).ok()? } else { i }).ok();
    let last = rank.checked_sub(1)?;
    let before = rank.checked_sub(2)?;
    let number = |name: &str| operation.argument(name).and_then(Value::as_int).and_then(axis);
    match stem(operation) {
        "t" | "t_copy" | "mT" | "adjoint" | "matrix_H" | "numpy_T" if rank == 2 => Some(true),
        "mT" | "adjoint" | "matrix_H" => Some(true),
        "permute" | "permute_copy" => {
            let [.., i, j] = operation.argument("dims")?.as_ints()? else { return None };
            match (axis(*i)?, axis(*j)?) {
                (i, j) if (i, j) == (before, last) => Some(false),
                (i, j) if (i, j) == (last, before) => Some(true),
                _ => None,
            }
        }
        "transpose" | "transpose_copy" | "swapdims" | "swapaxes" => {
            let first = number("dim0").or_else(|| number("axis0"))?;
            let second = number("dim1").or_else(|| number("axis1"))?;
            match (first.max(second), first.min(second)) {
                (high, _) if high < before => Some(false),
                (high, low) if high == low => Some(false),
                (high, low) if (high, low) == (last, before) => Some(true),
                _ => None,
            }
        }
        _ => None,
    }
}

/// A product of two activations, seen from a tensor that was computed from it.
#[derive(Debug, Clone, Copy)]
struct ScoreProduct {
    product: OperationId,
    matrix: Matrix,
    distance: u16,
}

/// For each tensor, the nearest product of two activations that it carries on.
pub(super) struct Scores(Vec<Option<ScoreProduct>>);

impl Scores {
    /// One pass over the graph.
    pub(super) fn of(graph: &dyn Graph, weights: &PlainWeights) -> Self {
        let mut scores = Self(vec![None; graph.tensors().len()]);
        for operation in graph.operations() {
            let Some(output) = operation.outputs.first() else { continue };
            let source = scores.source(graph, weights, operation, *output);
            if let Some(entry) = scores.0.get_mut(output.0 as usize) {
                *entry = source;
            }
        }
        scores
    }

    fn get(&self, id: TensorId) -> Option<ScoreProduct> {
        self.0.get(id.0 as usize).copied().flatten()
    }

    fn source(
        &self,
        graph: &dyn Graph,
        weights: &PlainWeights,
        operation: &Operation,
        output: TensorId,
    ) -> Option<ScoreProduct> {
        if let Some(found) = product::factors(graph, operation) {
            let activations = !weights.contains(found.left) && !weights.contains(found.right);
            let matrix = Matrix::of(graph, output)?;
            return activations.then_some(ScoreProduct { product: operation.id, matrix, distance: 0 });
        }
        let carried = operands(operation).filter_map(|id| {
            let source = self.get(id).filter(|s| s.distance < REACH)?;
            let matrix = source.matrix.after(graph, operation, id)?;
            Some(ScoreProduct { matrix, distance: source.distance + 1, ..source })
        });
        carried.min_by_key(|s| (s.distance, s.product))
    }

    /// Queries and keys of a tensor of scores, as they were multiplied.
    pub(super) fn factors(&self, graph: &dyn Graph, scores: TensorId) -> Option<(TensorId, TensorId)> {
        let source = self.get(scores)?;
        if !source.matrix.whole(&graph.tensor(scores)?.shape) {
            return None;
        }
        let found = product::factors(graph, graph.operation(source.product)?)?;
        Some(if source.matrix.transposed { (found.right, found.left) } else { (found.left, found.right) })
    }
}

/// The values and the result of the first product that sums values with these probabilities.
pub(super) fn weighted_sum(
    graph: &dyn Graph,
    weights: &PlainWeights,
    probabilities: TensorId,
) -> Option<(TensorId, TensorId)> {
    let mut seen = BTreeSet::from([probabilities]);
    let mut queue = VecDeque::from([(probabilities, Matrix::of(graph, probabilities)?, 0)]);
    while let Some((id, matrix, distance)) = queue.pop_front() {
        let whole = matrix.whole(&graph.tensor(id)?.shape);
        for user in graph.users(id).iter().filter_map(|user| graph.operation(*user)) {
            let Some(&output) = user.outputs.first() else { continue };
            let value = product::summed_with(graph, user, id, matrix.transposed).filter(|_| whole);
            if let Some(value) = value.filter(|value| !weights.contains(*value)) {
                return Some((value, output));
            }
            let carried = operands(user).any(|operand| operand == id);
            let next = matrix.after(graph, user, id).filter(|_| carried && distance < REACH);
            if let Some(next) = next
                && seen.insert(output)
            {
                queue.push_back((output, next, distance + 1));
            }
        }
    }
    None
}

/// The tensor whose last two axes were swapped to make `id`, or `id` itself.
pub(super) fn untransposed(graph: &dyn Graph, id: TensorId) -> TensorId {
    let before = || {
        let producer = graph.producer(id).filter(|p| effect(p) == Effect::Permute)?;
        let input = first_input(producer)?;
        let only = matches!(stem(producer), "t" | "mT" | "transpose" | "adjoint" | "swapaxes" | "swapdims")
            || swaps_nothing_else(producer);
        let swapped = last_two_swapped(producer, graph.tensor(input)?.shape.len()) == Some(true);
        (only && swapped).then_some(input)
    };
    before().unwrap_or(id)
}

fn swaps_nothing_else(permute: &Operation) -> bool {
    let Some([front @ .., _, _]) = permute.argument("dims").and_then(Value::as_ints) else { return false };
    front.iter().enumerate().all(|(i, axis)| usize::try_from(*axis) == Ok(i))
}
