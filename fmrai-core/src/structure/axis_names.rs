//! Names of the axes of any tensor, from where they come.

use crate::graph::{Graph, TensorId};

use super::Structure;
use super::facts::Facts;
use super::lineage::{Axis, Label};

/// Names of the axes of the tensors of a graph.
pub struct AxisNames<'g> {
    graph: &'g dyn Graph,
    facts: Facts<'g>,
    structure: &'g Structure,
}

impl<'g> AxisNames<'g> {
    /// Those of a graph, in which `structure` was found. Takes time in proportion to the size of the graph.
    #[must_use]
    pub fn of(graph: &'g dyn Graph, structure: &'g Structure) -> Self {
        Self { graph, facts: Facts::of(graph), structure }
    }

    /// The names of the axes of a tensor: `batch`, `token`, `channel`, of feed-forward blocks `neuron`, of unembeddings `vocabulary`, of
    /// attention those of [`AttentionAxes`](super::AttentionAxes). `token` is the one other axis that the model's input has, whatever its
    /// elements are. `None` where an axis comes from nothing that has such a name.
    #[must_use]
    pub fn tensor(&self, id: TensorId) -> Option<Vec<String>> {
        let rank = self.graph.tensor(id)?.shape.len();
        self.of_attention(id, rank).or_else(|| self.by_lines(id))
    }

    fn of_attention(&self, id: TensorId, rank: usize) -> Option<Vec<String>> {
        let blocks = self.structure.attention.iter().chain(&self.structure.channel_attention);
        blocks
            .flat_map(|block| {
                let parts = [
                    ("probabilities", Some(block.probabilities)),
                    ("scores", block.scores),
                    ("query", Some(block.query)),
                    ("key", Some(block.key)),
                    ("value", Some(block.value)),
                    ("context", Some(block.context)),
                ];
                parts
                    .into_iter()
                    .filter(|(_, part)| *part == Some(id))
                    .filter_map(|(part, _)| block.axes.of(part))
            })
            .find(|names| names.len() == rank)
            .map(<[String]>::to_vec)
    }

    fn by_lines(&self, id: TensorId) -> Option<Vec<String>> {
        let axes = self.facts.lines().axes(id);
        if axes.is_empty() || axes.len() != self.graph.tensor(id)?.shape.len() {
            return None;
        }
        let is = |axis: &Axis, label: Label| matches!(axis.as_slice(), [factor] if factor.label == label);
        // After an attention the positions are its queries.
        let place = |axis: &Axis| match axis.as_slice() {
            [factor] => matches!(factor.label, Label::Other | Label::Row(_) | Label::Query(_)),
            _ => false,
        };
        let inputs = axes.iter().skip(1).filter(|axis| place(axis)).count();
        let names = axes.iter().enumerate().map(|(at, axis)| match at {
            // A batch of one leaves no line.
            0 if axis.is_empty() || is(axis, Label::Other) => Some("batch"),
            _ if is(axis, Label::Channel) => Some(self.channels(id)),
            _ if at > 0 && inputs == 1 && place(axis) => Some("token"),
            _ => None,
        });
        names.map(|name| name.map(str::to_owned)).collect()
    }

    /// What channels are called in a tensor.
    fn channels(&self, id: TensorId) -> &'static str {
        let of_neurons = |block: &super::FeedForward| {
            [Some(block.pre_activation), block.linear, Some(block.activation)].contains(&Some(id))
        };
        if self.structure.feed_forward.iter().any(of_neurons) {
            return "neuron";
        }
        match self.structure.unembedding.iter().any(|block| block.vocabulary && block.output == id) {
            true => "vocabulary",
            false => "channel",
        }
    }
}
