//! Output projections found, walking on from what the heads give.

use std::collections::BTreeSet;

use crate::graph::{Graph, TensorId};
use crate::structure::facts::{Facts, REACH};
use crate::structure::operator::{Effect, effect, operands};
use crate::structure::projection::{Projection, find_projections};
use crate::structure::{Attention, Structure};

use super::OutputProjection;
use super::heads::Heads;

/// For each block of [`Structure::attention`], its output projection: the first linear map that takes its heads side by side, after
/// views, casts, arithmetic channel by channel (gates) and norms. `None` where the model has none, or another form of it, such as a
/// product with a weight that keeps the heads apart.
///
/// Takes time in proportion to the size of the graph.
#[must_use]
pub fn output_projections(graph: &dyn Graph, structure: &Structure) -> Vec<Option<OutputProjection>> {
    let facts = Facts::of(graph);
    let projections = find_projections(&facts);
    let facts = facts.with_projections(projections).with_norms(&structure.norms);
    structure.attention.iter().map(|attention| find(&facts, structure, attention)).collect()
}

fn find(facts: &Facts<'_>, structure: &Structure, attention: &Attention) -> Option<OutputProjection> {
    let first = Heads::of_context(facts.shape(attention.context), attention.heads)?;
    let mut seen = BTreeSet::from([attention.context]);
    let mut stack = vec![(attention.context, first)];
    while let Some((at, heads)) = stack.pop() {
        if seen.len() > REACH {
            return None;
        }
        for user in facts.users(at) {
            if let Some(found) =
                facts.projection(user).filter(|p| p.input == at).and_then(|p| output(facts, p, &heads))
            {
                return Some(found);
            }
            let Some(&next) = user.outputs.first() else { continue };
            let after = match effect(user) {
                Effect::Reshape => heads.reshaped(facts.shape(next)),
                Effect::Permute => heads.permuted(user),
                Effect::Same => Some(heads.clone()),
                Effect::Broadcast if facts.rearranges(user) => heads.reshaped(facts.shape(next)),
                Effect::Pointwise if operands(user).any(|id| id == at) => {
                    (facts.shape(next) == facts.shape(at)).then(|| heads.clone())
                }
                _ => None,
            };
            let norm = structure.norms.iter().find(|norm| norm.input == at).map(|norm| norm.output);
            let normed = norm.filter(|id| facts.shape(*id) == facts.shape(at)).map(|id| (id, heads.clone()));
            let all: [Option<(TensorId, Heads)>; 2] = [after.map(|heads| (next, heads)), normed];
            for (id, heads) in all.into_iter().flatten() {
                if seen.insert(id) {
                    stack.push((id, heads));
                }
            }
        }
    }
    None
}

fn output(facts: &Facts<'_>, projection: &Projection, heads: &Heads) -> Option<OutputProjection> {
    let weight = &projection.weight;
    let shape = facts.shape(projection.input);
    let whole = i64::try_from(weight.input.size).ok() == shape.last().copied();
    let plain = weight.experts.is_none() && whole && heads.side_by_side(shape);
    plain.then_some(OutputProjection {
        operation: projection.operation,
        input: projection.input,
        output: projection.output,
        weight: weight.parameter,
        axis: weight.input.axis,
        start: weight.input.start,
        size: weight.input.size,
    })
}
