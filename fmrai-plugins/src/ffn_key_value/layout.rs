//! Which feed-forward blocks are read, and in which order their neurons are numbered.

use fmrai_core::analyzer::AnalyzerError;
use fmrai_core::attention::LeftOut;
use fmrai_core::batch::TOKENS;
use fmrai_core::graph::{Graph, OperationId, TensorId};
use fmrai_core::structure::{
    ActivationFunction, FeedForward, FeedForwardKind, NeuronWeights, Residual, Structure, Writer,
};
use serde_json::{Value, json};

use crate::lens::settled;
use fmrai_core::sequences;

/// The residual stream around a block: before the addition, what is added, and after it, `[batch, token, channel]`; after it as
/// what follows reads it, so normalised in models that normalise the sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stream {
    /// Which of the model's streams it is.
    pub(crate) number: usize,
    pub(crate) before: TensorId,
    pub(crate) written: TensorId,
    pub(crate) after: TensorId,
}

/// One feed-forward block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Block {
    /// Its role and number as selectors have them: `ffn[3]`.
    pub(crate) label: String,
    /// The layer that it is called by: its number where no two blocks that are read share one, else its place among them.
    pub(crate) layer: usize,
    pub(crate) module: String,
    pub(crate) neurons: usize,
    /// Neurons of the blocks before it.
    pub(crate) first: usize,
    /// `[batch, token, neuron]`.
    pub(crate) activation: TensorId,
    /// What the function takes of a gated block: open where it is above 0.
    pub(crate) gate: Option<TensorId>,
    pub(crate) values: NeuronWeights,
    pub(crate) function: ActivationFunction,
    /// True if coefficients can be below 0.
    pub(crate) two_sided: bool,
    /// True if they cannot be far below 0: reports have no triggers there.
    pub(crate) floor: bool,
    pub(crate) stream: Option<Stream>,
}

/// The blocks of a model that are read, in execution order. Neuron `i` of a block has the index (neurons of the blocks before it) `+ i`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) blocks: Vec<Block>,
    /// Blocks that are not read, and why.
    pub(crate) left_out: Vec<LeftOut>,
    /// The sequence whose tokens all of them see.
    pub(crate) stream: sequences::Stream,
}

const ROUTED: &str = "its experts see only the tokens sent to them, in an order that the model chooses by the data, so a \
                      coefficient cannot be led back to its text";

impl Layout {
    /// All blocks but experts. In a model that reads several sequences those of one: of the one whose residual stream, `read`, is
    /// read in the vocabulary, else of `input_ids`.
    pub(crate) fn of(
        graph: &dyn Graph,
        structure: &Structure,
        read: Option<usize>,
        layers: Option<&[usize]>,
    ) -> Result<Self, AnalyzerError> {
        if let Some(layer) = layers
            .into_iter()
            .flatten()
            .find(|layer| structure.feed_forward.iter().all(|block| block.layer != **layer))
        {
            let last = structure.feed_forward.iter().map(|block| block.layer).max();
            let needed = last.map_or("a model with feed-forward blocks".to_owned(), |last| {
                format!("layers from 0 to {last}")
            });
            return Err(AnalyzerError::Unsuitable {
                found: format!("no feed-forward block of layer {layer}"),
                needed,
            });
        }
        let mut layout = Self::default();
        let settled = settled(structure);
        let mut first = 0;
        let placed: Vec<_> = structure.feed_forward.iter().map(|block| place(graph, block)).collect();
        let inputs = || placed.iter().flatten().filter_map(|stream| stream.input.as_deref());
        let writes = |position: usize| {
            let mut writes = structure.residual.iter().filter(|write| Some(write.stream) == read);
            writes.any(|write| write.writers.contains(&Writer::FeedForward(position)))
        };
        let mut of_read = placed.iter().enumerate().filter(|(position, _)| writes(*position));
        let of_read = of_read.find_map(|(_, stream)| stream.as_ref().ok()?.input.as_deref());
        let chosen = of_read.or_else(|| inputs().find(|input| *input == TOKENS)).or_else(|| inputs().next());
        let chosen = chosen.map(str::to_owned);
        for (position, block) in structure.feed_forward.iter().enumerate() {
            if layers.is_some_and(|layers| !layers.contains(&block.layer)) {
                continue;
            }
            let label = format!("{}[{}]", block.role(), block.layer);
            if block.kind == FeedForwardKind::Experts {
                layout.left_out.push(LeftOut { block: label, reason: ROUTED.to_owned() });
                continue;
            }
            match placed.get(position) {
                // Images: each layer may have a grid of its own.
                Some(Ok(_)) if chosen.is_none() => {}
                Some(Ok(stream)) if stream.input == chosen => layout.stream = stream.clone(),
                Some(Ok(stream)) => {
                    let (own, chosen) = (stream.name(), chosen.as_deref().unwrap_or_default());
                    let reason = format!("its positions are those of {own}, not of {chosen}");
                    layout.left_out.push(LeftOut { block: label, reason });
                    continue;
                }
                Some(Err(reason)) => {
                    layout.left_out.push(LeftOut { block: label, reason: reason.clone() });
                    continue;
                }
                None => {}
            }
            let alone =
                |r: &Residual| r.writers == [Writer::FeedForward(position)] && !parallel(graph, structure, r);
            let stream = structure.residual.iter().zip(&settled).find(|(r, _)| alone(r));
            layout.blocks.push(Block {
                label,
                layer: block.layer,
                module: block.module.clone(),
                neurons: block.neurons,
                first,
                activation: block.activation,
                gate: block.gated().then_some(block.pre_activation),
                values: block.values,
                function: block.function,
                two_sided: two_sided(block),
                floor: floor(block),
                stream: stream.map(|(r, &after)| Stream {
                    number: r.stream,
                    before: r.before,
                    written: r.written,
                    after,
                }),
            });
            first += block.neurons;
        }
        if first > 0 {
            let mut numbers: Vec<usize> = layout.blocks.iter().map(|block| block.layer).collect();
            numbers.sort_unstable();
            if numbers.windows(2).any(|pair| pair[0] == pair[1]) {
                layout.blocks.iter_mut().enumerate().for_each(|(place, block)| block.layer = place);
            }
            return Ok(layout);
        }
        let found = match layout.left_out.len() {
            0 => "no feed-forward block".to_owned(),
            _ if layout.left_out.iter().any(|left| left.reason != ROUTED) => {
                let LeftOut { block, reason } = &layout.left_out[0];
                format!("no feed-forward block that can be read ({block}: {reason})")
            }
            n => format!("{n} blocks of experts and no other feed-forward block"),
        };
        let needed = "a feed-forward block that every token goes through".to_owned();
        Err(AnalyzerError::Unsuitable { found, needed })
    }

    /// What the layer at this place among those that are read is called.
    pub(crate) fn number(&self, place: usize) -> usize {
        self.blocks.get(place).map_or(place, |block| block.layer)
    }

    /// Neurons of all layers.
    pub(crate) fn neurons(&self) -> usize {
        self.blocks.last().map_or(0, |b| b.first + b.neurons)
    }

    /// What a state's document holds of it.
    pub(crate) fn to_document(&self) -> Value {
        self.blocks.iter().map(|b| json!([b.label, b.neurons, b.two_sided])).collect()
    }
}

/// True if another block of the same layer is added by itself to what this one is added to, without reading it: of two sums
/// one after another, nothing but the second takes the first.
fn parallel(graph: &dyn Graph, structure: &Structure, write: &Residual) -> bool {
    // What only reads a size has no result.
    let reads = |id: &&OperationId| graph.operation(**id).is_some_and(|user| !user.outputs.is_empty());
    let only = |sum: TensorId, user: OperationId| graph.users(sum).iter().filter(reads).eq([&user]);
    structure.residual.iter().any(|other| {
        other.after == write.before && only(other.after, write.operation)
            || other.before == write.after && only(write.after, other.operation)
    })
}

/// The sequence whose positions a block sees.
fn place(graph: &dyn Graph, block: &FeedForward) -> Result<sequences::Stream, String> {
    let shape = graph.tensor(block.activation).map_or(&[][..], |t| &t.shape);
    let length = match shape {
        [_, tokens @ .., _] if !tokens.is_empty() => {
            Some(tokens.iter().fold(1_i64, |n, s| n.saturating_mul(*s)))
        }
        _ => None,
    };
    let flat = matches!(shape, [_, _]);
    match sequences::Stream::of(graph, block.positions.as_ref(), length) {
        // Batch and tokens in one axis do not tell their number.
        Err(_) if flat && block.positions.is_none() => Ok(sequences::Stream::default()),
        found => found,
    }
}

/// Plain blocks with a function that is nowhere negative have coefficients of one sign.
fn two_sided(block: &FeedForward) -> bool {
    use ActivationFunction::{Relu, Relu6, ReluSquared, Sigmoid, Softplus};
    block.gated() || !matches!(block.function, Relu | Relu6 | ReluSquared | Sigmoid | Softplus)
}

/// True for a plain block of a function with a floor a little below 0, as GELU at -0.17: nearly every neuron comes to it on some token,
/// and what does so is no trigger.
fn floor(block: &FeedForward) -> bool {
    use ActivationFunction::{Elu, Gelu, GeluTanh, HardSwish, Mish, QuickGelu, Selu, Silu};
    !block.gated()
        && matches!(block.function, Elu | Gelu | GeluTanh | HardSwish | Mish | QuickGelu | Selu | Silu)
}
