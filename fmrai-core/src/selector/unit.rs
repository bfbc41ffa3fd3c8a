//! Single heads and neurons by the names that results print: `L5H1`, `L3N17`.

use std::fmt;

use super::{Cut, Layers, Slice};
use crate::graph::{Graph, TensorId};
use crate::structure::{Attention, AttentionKind, FeedForward, Structure, recorded_batch};

/// What a unit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum UnitKind {
    /// A head of a self-attention: `L5H1`.
    Head,
    /// A neuron of a feed-forward block: `L3N17`.
    Neuron,
}

/// A head or a neuron, and a part of it: `L5H1`, `L5H1.query`, `L3N17.pre_activation`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct UnitName {
    kind: UnitKind,
    layer: u32,
    index: u32,
    part: Option<String>,
}

const OF_HEADS: [&str; 7] = ["probabilities", "scores", "query", "key", "value", "context", "output"];
const OF_NEURONS: [&str; 3] = ["activation", "pre_activation", "linear"];

impl UnitName {
    /// Whether it is a head or a neuron.
    #[must_use]
    pub fn kind(&self) -> UnitKind {
        self.kind
    }

    /// The layer and the number of the unit in it.
    #[must_use]
    pub fn place(&self) -> (usize, usize) {
        (self.layer as usize, self.index as usize)
    }

    /// The part that is meant, where one is named.
    #[must_use]
    pub fn part(&self) -> Option<&str> {
        self.part.as_deref()
    }

    /// Reads a name; `None` for what is none, so that it may be the path of a module.
    pub(super) fn parse(text: &str) -> Option<Result<Self, String>> {
        let (unit, part) = text.split_once('.').map_or((text, None), |(unit, part)| (unit, Some(part)));
        let numbers = unit.strip_prefix('L')?;
        let (kind, (layer, index)) = match numbers.split_once('H') {
            Some(both) => (UnitKind::Head, both),
            None => (UnitKind::Neuron, numbers.split_once('N')?),
        };
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(layer) || !digits(index) {
            return None;
        }
        let number = |text: &str| text.parse::<u32>().map_err(|_| format!("{text} is no number of a unit"));
        let read = || {
            let (layer, index) = (number(layer)?, number(index)?);
            let parts = if kind == UnitKind::Head { &OF_HEADS[..] } else { &OF_NEURONS[..] };
            match part {
                Some(part) if !parts.contains(&part) => {
                    let what = if kind == UnitKind::Head { "head" } else { "neuron" };
                    Err(format!("a {what} has no part {part:?}; its parts are {}", parts.join(", ")))
                }
                _ => Ok(Self { kind, layer, index, part: part.map(str::to_owned) }),
            }
        };
        Some(read())
    }

    /// The tensor that it is a part of, and which part; or a sentence that says what the model lacks.
    pub(super) fn find(&self, graph: &dyn Graph, structure: &Structure) -> Result<(TensorId, Slice), String> {
        match self.kind {
            UnitKind::Head => self.head(graph, structure),
            UnitKind::Neuron => self.neuron(graph, structure),
        }
    }

    fn head(&self, graph: &dyn Graph, structure: &Structure) -> Result<(TensorId, Slice), String> {
        let own = || structure.attention.iter().filter(|block| block.kind == AttentionKind::SelfAttention);
        let block = own()
            .find(|block| block.layer == self.layer as usize)
            .ok_or_else(|| self.no_layer("attention", own().map(|block| block.layer)))?;
        let head = self.index as usize;
        if head >= block.heads {
            let last = block.heads.saturating_sub(1);
            return Err(format!("attention[{}] has the heads 0 to {last}", self.layer));
        }
        let (part, id) = match self.part.as_deref().unwrap_or("probabilities") {
            "scores" => {
                let fused = || format!("attention[{}] is fused, so its scores are no tensor", self.layer);
                ("scores", block.scores.ok_or_else(fused)?)
            }
            "query" => ("query", block.query),
            "key" => ("key", block.key),
            "value" => ("value", block.value),
            "context" | "output" => ("context", block.context),
            _ => ("probabilities", block.probabilities),
        };
        let cuts = cuts_of_head(graph, block, part, id, head);
        let unknown = || format!("where the heads are in attention[{}].{part} is not known", self.layer);
        Ok((id, Slice(cuts.ok_or_else(unknown)?)))
    }

    fn neuron(&self, graph: &dyn Graph, structure: &Structure) -> Result<(TensorId, Slice), String> {
        let own = || structure.feed_forward.iter().filter(|block| block.role() == "ffn");
        let block = own()
            .find(|block| block.layer == self.layer as usize)
            .ok_or_else(|| self.no_layer("ffn", own().map(|block| block.layer)))?;
        let neuron = self.index as usize;
        if neuron >= block.neurons {
            let last = block.neurons.saturating_sub(1);
            return Err(format!("ffn[{}] has the neurons 0 to {last}", self.layer));
        }
        let (part, id) = match self.part.as_deref().unwrap_or("activation") {
            "pre_activation" => ("pre_activation", block.pre_activation),
            "linear" => {
                let plain = || format!("ffn[{}] is not gated, so it has no part linear", self.layer);
                ("linear", block.linear.ok_or_else(plain)?)
            }
            _ => ("activation", block.activation),
        };
        let axis = axis_of_neurons(graph, block, id);
        let unknown = || format!("where the neurons are in ffn[{}].{part} is not known", self.layer);
        Ok((id, Slice(vec![Cut { axis: axis.ok_or_else(unknown)?, index: neuron, merged: None }])))
    }

    fn no_layer(&self, role: &str, there: impl Iterator<Item = usize>) -> String {
        let there: Vec<u32> = there.filter_map(|layer| u32::try_from(layer).ok()).collect();
        match there.as_slice() {
            [] => format!("the model has no {role}"),
            _ => {
                format!("there is no {role}[{}], the layers of {role} are {}", self.layer, Layers::of(there))
            }
        }
    }
}

/// Where a head is in a part of its block; keys and values that several heads share are those of their head. `None` where that is not known.
fn cuts_of_head(
    graph: &dyn Graph,
    block: &Attention,
    part: &str,
    id: TensorId,
    head: usize,
) -> Option<Vec<Cut>> {
    let shape = &graph.tensor(id)?.shape;
    let size = |axis: usize| shape.get(axis).and_then(|size| usize::try_from(*size).ok());
    let names = block.axes.of(part).filter(|names| names.len() == shape.len());
    let named = |name: &str| -> Vec<usize> {
        let all = names.into_iter().flatten().enumerate();
        all.filter(|(_, found)| *found == name).map(|(axis, _)| axis).collect()
    };
    let (own, merged) = match names {
        Some(_) => (named("head"), named("batch · head")),
        // As they are laid out almost everywhere.
        None if shape.len() == 4 => (vec![1], Vec::new()),
        None if shape.len() == 3 && block.heads > 1 => (Vec::new(), vec![0]),
        None if shape.len() == 3 => (Vec::new(), Vec::new()),
        None => return None,
    };
    let apart: usize = own.iter().map(|axis| size(*axis)).product::<Option<usize>>()?;
    let together = match merged.as_slice() {
        [] => 1,
        [axis] => {
            let rows = recorded_batch(graph).and_then(|rows| usize::try_from(rows).ok()).unwrap_or(1).max(1);
            let shared = matches!(part, "key" | "value");
            let whole = |heads: usize| heads.checked_div(apart).filter(|each| each * apart == heads);
            let own = whole(block.key_value_heads).filter(|own| shared && size(*axis) == Some(own * rows));
            own.or_else(|| whole(block.heads))?
        }
        _ => return None,
    };
    let there = apart * together;
    if there == 0
        || !block.heads.is_multiple_of(there)
        || there != block.heads && there != block.key_value_heads
    {
        return None;
    }
    // The axes in their order are the digits of the head's number.
    let mut left = head / (block.heads / there);
    let mut axes: Vec<usize> = own.iter().chain(&merged).copied().collect();
    axes.sort_unstable();
    let mut cuts = Vec::with_capacity(axes.len());
    for axis in axes.into_iter().rev() {
        let is_merged = merged.contains(&axis);
        let count = if is_merged { together } else { size(axis)? };
        if is_merged && !size(axis)?.is_multiple_of(count) {
            return None;
        }
        cuts.push(Cut { axis, index: left % count, merged: is_merged.then_some(count) });
        left /= count;
    }
    cuts.reverse();
    Some(cuts)
}

/// The axis of the neurons: the last one, or the only one of their number.
fn axis_of_neurons(graph: &dyn Graph, block: &FeedForward, id: TensorId) -> Option<usize> {
    let shape = &graph.tensor(id)?.shape;
    let mut all = (0..shape.len()).filter(|axis| {
        shape.get(*axis).is_some_and(|size| usize::try_from(*size).is_ok_and(|size| size == block.neurons))
    });
    let (first, next) = (all.next()?, all.next());
    if next.is_none() {
        return Some(first);
    }
    let last = shape.len() - 1;
    all.chain(next).any(|axis| axis == last).then_some(last)
}

impl fmt::Display for UnitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = if self.kind == UnitKind::Head { 'H' } else { 'N' };
        write!(f, "L{}{letter}{}", self.layer, self.index)?;
        self.part.as_ref().map_or(Ok(()), |part| write!(f, ".{part}"))
    }
}
