//! Input projections found, walking back from queries, keys and values element by element.

use crate::graph::{Graph, TensorId};
use crate::structure::facts::{Facts, REACH};
use crate::structure::projection::{Projection, find_projections};
use crate::structure::{Attention, Structure, recorded_batch};

use super::step::{Cost, Element, candidates, through};
use super::{HeadProjection, InputProjections};

/// Tensors that are looked at on the ways back from one element.
const TENSORS: usize = 64 * REACH;

/// For each block of [`Structure::attention`], the linear maps that make its queries, keys and values, after views, parts of a joint map,
/// casts, norms of heads, rotations by position, scales and biases. A map is `None` where the model has another form of it, such as a product with a
/// weight that keeps the heads apart.
///
/// Takes time in proportion to the number of channels of all heads.
#[must_use]
pub fn input_projections(graph: &dyn Graph, structure: &Structure) -> Vec<InputProjections> {
    let facts = Facts::of(graph);
    let projections = find_projections(&facts);
    let facts = facts.with_projections(projections).with_norms(&structure.norms);
    let of = |attention: &Attention| InputProjections {
        query: find(&facts, attention, attention.query),
        key: find(&facts, attention, attention.key),
        value: find(&facts, attention, attention.value),
    };
    structure.attention.iter().map(of).collect()
}

fn find(facts: &Facts<'_>, attention: &Attention, tensor: TensorId) -> Option<HeadProjection> {
    let shape = facts.shape(tensor);
    let (&[rows, columns], leading) = (shape.last_chunk::<2>()?, shape.get(..shape.len() - 2)?);
    let batch = recorded_batch(facts.graph).unwrap_or(1).max(1);
    let heads = usize::try_from(leading.iter().product::<i64>() / batch).ok()?;
    if heads == 0 || attention.heads == 0 || !attention.heads.is_multiple_of(heads) || rows < 1 || columns < 1
    {
        return None;
    }
    // The last position: what is put before the sequence is no result of the map.
    let (last_row, last_column) = (rows - 1, columns - 1);
    let at = |head: usize, row: i64, column: i64| {
        let mut rest = i64::try_from(head).ok()?;
        let mut index = vec![0; leading.len()];
        for (place, size) in index.iter_mut().zip(leading).rev() {
            (*place, rest) = (rest % size, rest / size);
        }
        index.extend([row, column]);
        origin(facts, tensor, Element { index, complex: false })
    };
    let (first, projection) = at(0, last_row, last_column)?;
    // Keys may have their positions along the last axis.
    let by_column = match columns {
        1 => rows == 1 || at(0, last_row - 1, 0)?.0 == first,
        _ => at(0, last_row, last_column - 1)?.0 != first,
    };
    let width = if by_column { columns } else { rows };
    let weight = &projection.weight;
    let of_head = |head: usize| -> Option<Vec<usize>> {
        let head = head * heads / attention.heads;
        let channel = |channel: i64| {
            let (row, column) = if by_column { (last_row, channel) } else { (channel, last_column) };
            let (found, same) = at(head, row, column)?;
            (same.operation == projection.operation).then_some(weight.output.start + found)
        };
        (0..width).map(channel).collect()
    };
    if weight.experts.is_some() {
        return None;
    }
    Some(HeadProjection {
        operation: projection.operation,
        input: projection.input,
        weight: weight.parameter,
        axis: weight.output.axis,
        start: weight.input.start,
        size: weight.input.size,
        channels: (0..attention.heads).map(of_head).collect::<Option<_>>()?,
    })
}

/// The linear map that made an element, and which of its results that was. Of several ways back, the one that is left of a rotation at
/// position 0: with the fewest sines, then the fewest joins.
fn origin<'f>(facts: &'f Facts<'_>, from: TensorId, element: Element) -> Option<(usize, &'f Projection)> {
    let mut best: Option<(Cost, Element, &Projection)> = None;
    let mut stack = vec![(from, element, Cost::default())];
    for _ in 0..TENSORS {
        let Some((at, element, cost)) = stack.pop() else { break };
        if best.as_ref().is_some_and(|(least, ..)| *least <= cost) {
            continue;
        }
        let producer = facts.graph.producer(at);
        if let Some(found) = producer.and_then(|p| facts.projection(p)).filter(|p| p.output == at) {
            best = Some((cost, element, found));
            continue;
        }
        // The first candidate is looked at first.
        for (next, more) in candidates(facts, at, &element).into_iter().rev() {
            if let Some(element) = through(facts, at, next, &element) {
                stack.push((next, element, cost.and(more)));
            }
        }
    }
    let (_, element, found) = best?;
    Some((usize::try_from(*element.index.last()?).ok()?, found))
}
