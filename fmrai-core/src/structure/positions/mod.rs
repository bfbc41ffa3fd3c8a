//! Which sequence the positions of a tensor are: a model may read several, an encoder's and a decoder's.
//!
//! Each axis of each input but its first is a sequence. It is followed through the graph, axis by axis: element-wise
//! operations of two sequences say that they run in step; tokens that a model puts before or after its input shift
//! them; reshapes may merge an axis with others and split it off again. Windows, pooled or strided sequences and patches of
//! images are sequences of their own, which no input has.

mod axes;
mod follow;
mod labels;
#[cfg(test)]
mod tests;
mod transfer;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::graph::{Graph, Origin, TensorId};

use axes::Axes;
use follow::follow;

/// What the positions along an axis are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Positions {
    /// Axes with the same number have the same positions, but for those before and after.
    pub sequence: usize,
    /// Names of the model's inputs whose positions these are, all of them in step, in the order of the graph: `input_ids`
    /// with `attention_mask` and `position_ids`. Empty where no input has them: windows, pooled sequences, patches.
    pub inputs: Vec<String>,
    /// Positions that the model puts before them, such as a `[CLS]` made inside; negative where the first ones are cut off.
    pub before: i64,
    /// Positions that the model puts after them, in the recorded batch.
    pub after: i64,
    /// Number of positions in the recorded batch, all included.
    pub length: i64,
    /// Names of all inputs that the tensor was computed from, in the order of the graph.
    pub sources: Vec<String>,
}

/// Positions of the axes of a graph's tensors.
pub(super) struct Finder<'g> {
    graph: &'g dyn Graph,
    axes: Axes,
    numbers: BTreeMap<Vec<(u32, i64)>, usize>,
}

impl<'g> Finder<'g> {
    /// One pass over the graph.
    pub(super) fn of(graph: &'g dyn Graph) -> Self {
        Self { graph, axes: follow(graph), numbers: BTreeMap::new() }
    }

    /// Queries and keys of a tensor `[..., query, key]`.
    pub(super) fn queries_and_keys(&mut self, id: TensorId) -> [Option<Positions>; 2] {
        let rank = self.graph.tensor(id).map_or(0, |t| t.shape.len());
        [2, 1].map(|back| self.along(id, rank.checked_sub(back)?))
    }

    /// The tokens of a tensor `[batch, token, channel]` or `[batch * token, channel]`.
    pub(super) fn tokens(&mut self, id: TensorId) -> Option<Positions> {
        let all = self.axes.of_tensor(id)?;
        let outer = all.get(..all.len().checked_sub(1)?)?;
        let factors: Vec<_> = outer.iter().flatten().copied().filter(|f| f.size != 1).collect();
        let tokens: Vec<_> = factors
            .into_iter()
            .filter(|f| !f.place.is_some_and(|p| self.axes.sequences.is_batch(p.sequence)))
            .collect();
        self.told(id, &tokens)
    }

    fn along(&mut self, id: TensorId, axis: usize) -> Option<Positions> {
        let factors = self.axes.of_tensor(id)?.get(axis)?.clone();
        self.told(id, &factors)
    }

    fn told(&mut self, id: TensorId, factors: &[labels::Factor]) -> Option<Positions> {
        let places: Option<Vec<_>> = factors.iter().map(|f| Some((f.place?, f.size))).collect();
        let places = places.filter(|p| !p.is_empty())?;
        let sequences = &self.axes.sequences;
        let length = places.iter().fold(1_i64, |n, (_, size)| n.saturating_mul(*size));
        let key: Vec<(u32, i64)> =
            places.iter().map(|(p, size)| (sequences.root(p.sequence), *size)).collect();
        // A single sequence is the same whatever was put before and after it.
        let key = if let [(sequence, _)] = key.as_slice() { vec![(*sequence, 0)] } else { key };
        let (inputs, before, after) = match places.as_slice() {
            [(place, size)] => {
                let own = sequences.size(place.sequence);
                let after = size.saturating_sub(place.before).saturating_sub(own);
                (sequences.inputs(place.sequence).collect(), place.before, after)
            }
            _ => (Vec::new(), 0, 0),
        };
        let next = self.numbers.len();
        let sequence = *self.numbers.entry(key).or_insert(next);
        let name = |input: u32| self.name(TensorId(input));
        Some(Positions {
            sequence,
            inputs: inputs.into_iter().map(name).collect(),
            before,
            after,
            length,
            sources: self.axes.sources(id).into_iter().map(|id| self.name(id)).collect(),
        })
    }

    fn name(&self, input: TensorId) -> String {
        self.graph.tensor(input).and_then(|t| t.name.clone()).unwrap_or_else(|| input.to_string())
    }
}

/// Rows of the recorded batch: the commonest size of the first axis of inputs with at least two axes.
#[must_use]
pub fn recorded_batch(graph: &dyn Graph) -> Option<i64> {
    let mut counts: Vec<(i64, usize)> = Vec::new();
    for node in graph.tensors().iter().filter(|t| t.origin == Origin::Input && t.shape.len() > 1) {
        let Some(&size) = node.shape.first() else { continue };
        match counts.iter_mut().find(|(s, _)| *s == size) {
            Some((_, count)) => *count += 1,
            None => counts.push((size, 1)),
        }
    }
    let most = counts.iter().map(|(_, count)| *count).max()?;
    counts.into_iter().find(|(_, count)| *count == most).map(|(size, _)| size)
}
