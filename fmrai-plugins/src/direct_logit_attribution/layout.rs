//! The parts of a model's last stream, and how they get into it.

use fmrai_core::analyzer::{AnalyzerError, ModelView};
use fmrai_core::experiment::Block;
use fmrai_core::graph::TensorId;
use fmrai_core::structure::{
    FeedForwardKind, OutputProjection, Residual, Structure, Writer, output_projections,
};
use fmrai_core::tracker::CaptureRequest;
use serde_json::{Value, json};

use crate::lens::frozen::Path;
use crate::lens::{Lens, LensError, settled};
use crate::read_blocks::{ReadBlocks, lens_of};
use fmrai_core::sequences::Stream;

/// The neurons of a feed-forward block, and the way from them to what it adds.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Neurons {
    pub(super) layer: usize,
    pub(super) path: Path,
    pub(super) count: usize,
}

/// An addition to the stream.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Write {
    /// Of heads, and of a feed-forward block that runs in parallel. The path starts from the heads side by side, and then from what the
    /// feed-forward block gives.
    Heads { layer: usize, heads: usize, path: Path, parallel: bool, neurons: Option<Neurons> },
    /// Of a feed-forward block.
    FeedForward { layer: usize, written: TensorId, neurons: Option<Neurons> },
    /// Of something else, or of what cannot be split.
    Other { written: TensorId },
}

/// The parts, in the order in which their numbers are kept.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Layout {
    pub(super) lens: Lens,
    /// From the last stream to the logits.
    pub(super) logits: Path,
    /// The model's own logits at the same positions; absent where it has them at others.
    pub(super) own_logits: Option<TensorId>,
    pub(super) embedding: TensorId,
    pub(super) writes: Vec<Write>,
    /// What is said of additions that are no heads and no feed-forward blocks.
    pub(super) others: Vec<String>,
    /// What is left out otherwise.
    pub(super) left_out: Vec<String>,
    pub(super) layers: usize,
    /// Heads of the layer that has most.
    pub(super) widest: usize,
    pub(super) sequence: Stream,
}

/// Numbers that are kept beside those of heads and feed-forward blocks.
pub(super) const SINGLE: usize = 3;
pub(super) const EMBEDDING: usize = 0;
pub(super) const BIAS: usize = 1;
pub(super) const OTHER: usize = 2;

impl Layout {
    pub(super) fn of(model: &ModelView<'_>, neurons: bool) -> Result<Self, AnalyzerError> {
        let lens = lens_of(model)?;
        let ReadBlocks { blocks, sequence } = ReadBlocks::of(model, &lens)?;
        let structure = model.structure;
        let unsuitable = |found: &str| AnalyzerError::Unsuitable {
            found: found.to_owned(),
            needed: "logits that are a sum over parts of the stream once the last norm's scale is kept"
                .to_owned(),
        };
        let number = lens.stream_number();
        let own = |write: &&Residual| write.stream == number;
        let writes = || structure.residual.iter().filter(own);
        let sums = structure.residual.iter().zip(settled(structure)).filter(|(write, _)| own(write));
        if sums.into_iter().any(|(write, settled)| settled != write.after) {
            return Err(unsuitable("a stream that is normalised after each addition (post-norm)"));
        }
        let logits = Path::to_logits(model.graph, &lens).map_err(|e| unsuitable(&told(&e)))?;
        let first = writes().next().ok_or_else(|| unsuitable("no addition to its stream"))?;
        let finder = Finder {
            model,
            blocks: &blocks,
            projections: output_projections(model.graph, structure),
            neurons,
        };
        let mut layout = Self {
            own_logits: same_positions(model, lens.stream(), logits.end()).then(|| logits.end()),
            logits,
            embedding: first.before,
            writes: Vec::new(),
            others: Vec::new(),
            left_out: Vec::new(),
            layers: blocks.len(),
            widest: blocks.iter().map(|block| block.attention.heads).max().unwrap_or(0),
            sequence,
            lens,
        };
        for write in writes() {
            let found = finder.write(write, &mut layout.left_out);
            let found = found.unwrap_or_else(|reason| {
                layout.others.push(format!("{}: {reason}", label(structure, write)));
                Write::Other { written: write.written }
            });
            layout.writes.push(found);
        }
        let heads = |write: &Write| matches!(write, Write::Heads { .. } | Write::FeedForward { .. });
        if !layout.writes.iter().any(heads) {
            let reason = layout.others.first().cloned().unwrap_or_default();
            return Err(unsuitable(&format!(
                "no head and no feed-forward block that can be told apart ({reason})"
            )));
        }
        Ok(layout)
    }

    /// True if the model's logits are capped behind those that are attributed.
    pub(super) fn soft_capped(&self) -> bool {
        self.logits.before_cap()
    }

    /// Where the number of a head is.
    pub(super) fn head(&self, layer: usize, head: usize) -> usize {
        SINGLE + layer * self.widest + head
    }

    /// Where that of a feed-forward block is.
    pub(super) fn feed_forward(&self, layer: usize) -> usize {
        SINGLE + self.layers * self.widest + layer
    }

    /// How many numbers there are.
    pub(super) fn parts(&self) -> usize {
        self.feed_forward(self.layers)
    }

    /// The neurons of all layers, with the number of those before.
    pub(super) fn neurons(&self) -> impl Iterator<Item = (usize, &Neurons)> {
        let all = self.writes.iter().filter_map(|write| match write {
            Write::Heads { neurons, .. } | Write::FeedForward { neurons, .. } => neurons.as_ref(),
            Write::Other { .. } => None,
        });
        all.scan(0, |before, neurons| {
            let first = *before;
            *before += neurons.count;
            Some((first, neurons))
        })
    }

    /// Whether a layer has heads, by layer and head, and a feed-forward block, by layer.
    pub(super) fn known(&self) -> Vec<bool> {
        let mut known = vec![false; self.parts()];
        (known[EMBEDDING], known[BIAS], known[OTHER]) = (true, true, !self.others.is_empty());
        for write in &self.writes {
            match write {
                Write::Heads { layer, heads, parallel, .. } => {
                    (0..*heads).for_each(|head| known[self.head(*layer, head)] = true);
                    known[self.feed_forward(*layer)] |= *parallel;
                }
                Write::FeedForward { layer, .. } => known[self.feed_forward(*layer)] = true,
                Write::Other { .. } => {}
            }
        }
        known
    }

    pub(super) fn request(&self) -> CaptureRequest {
        let of_write = |write: &Write| -> Vec<TensorId> {
            match write {
                Write::Heads { path, .. } => path.given().to_vec(),
                Write::FeedForward { written, .. } | Write::Other { written } => vec![*written],
            }
        };
        let neurons = self.neurons().flat_map(|(_, neurons)| neurons.path.given().to_vec());
        let whole = [Some(self.lens.stream()), Some(self.embedding), self.own_logits];
        whole.into_iter().flatten().chain(self.writes.iter().flat_map(of_write)).chain(neurons).collect()
    }

    /// What states have to agree on.
    pub(super) fn to_document(&self) -> Value {
        let neurons: usize = self.neurons().map(|(_, neurons)| neurons.count).sum();
        json!({ "layers": self.layers, "heads": self.widest, "known": self.known(), "neurons": neurons })
    }
}

/// What finds the way of an addition.
struct Finder<'a> {
    model: &'a ModelView<'a>,
    blocks: &'a [Block<'a>],
    projections: Vec<Option<OutputProjection>>,
    neurons: bool,
}

impl Finder<'_> {
    /// What is added; the reason where it cannot be split.
    fn write(&self, write: &Residual, left_out: &mut Vec<String>) -> Result<Write, String> {
        let is = |other: Option<&Residual>| other.is_some_and(|other| other.operation == write.operation);
        let with_heads = self.blocks.iter().position(|block| is(block.attention_write));
        let with_ffn = self.blocks.iter().position(|block| is(block.feed_forward_write));
        let attention = |writer: &Writer| matches!(writer, Writer::Attention(_));
        let feed_forward = |writer: &Writer| matches!(writer, Writer::FeedForward(_));
        let all_ffn = write.writers.iter().all(feed_forward);
        if let Some(layer) = with_ffn.filter(|_| all_ffn) {
            let neurons = self.own_neurons(layer, write.written, left_out);
            return Ok(Write::FeedForward { layer, written: write.written, neurons });
        }
        let layer = with_heads.ok_or("it is neither self-attention nor the feed-forward block behind one")?;
        let block = &self.blocks[layer];
        let [heads] = write.writers.iter().filter(|w| attention(w)).collect::<Vec<_>>()[..] else {
            return Err("several attentions are added at once".to_owned());
        };
        let Writer::Attention(at) = heads else { return Err("it is no attention".to_owned()) };
        let projection = self.projections.get(*at).copied().flatten();
        let projection =
            projection.ok_or("no output projection was found that takes the heads side by side")?;
        let heads = block.attention.heads;
        if heads == 0 || !projection.size.is_multiple_of(heads) {
            return Err(format!("{} channels are not those of {heads} heads", projection.size));
        }
        let beside = match write.writers.iter().filter(|w| feed_forward(w)).count() {
            0 => None,
            1 => Some(block.feed_forward.ok_or("its feed-forward block is that of another layer")?),
            _ => return Err("several feed-forward blocks are added with it".to_owned()),
        };
        let from: Vec<TensorId> =
            [Some(projection.input), beside.map(|ffn| ffn.output)].into_iter().flatten().collect();
        let path = self.path(&from, write.written)?;
        let neurons = beside.and_then(|ffn| self.own_neurons(layer, ffn.output, left_out));
        Ok(Write::Heads { layer, heads, path, parallel: beside.is_some(), neurons })
    }

    fn path(&self, from: &[TensorId], to: TensorId) -> Result<Path, String> {
        Path::find(self.model.graph, self.model.structure, from, to).map_err(|e| told(&e))
    }

    /// The neurons of a layer, where they are asked for.
    fn own_neurons(&self, layer: usize, to: TensorId, left_out: &mut Vec<String>) -> Option<Neurons> {
        let block = self.blocks.get(layer).and_then(|block| block.feed_forward).filter(|_| self.neurons)?;
        let path = match block.kind {
            FeedForwardKind::Experts => Err("its experts see only the tokens sent to them".to_owned()),
            FeedForwardKind::Plain | FeedForwardKind::Gated => self.path(&[block.activation], to),
        };
        match path {
            Ok(path) => Some(Neurons { layer, path, count: block.neurons }),
            Err(reason) => {
                left_out.push(format!("the neurons of layer {layer}: {reason}"));
                None
            }
        }
    }
}

/// An error of a path without what it says of maps to a vocabulary.
fn told(error: &LensError) -> String {
    match error {
        LensError::NotUnderstood { operation, what } => format!("{operation} is not understood: {what}"),
        LensError::SeveralStreams { .. } => "something else of the stream goes into it".to_owned(),
        other => other.to_string(),
    }
}

/// What an addition is called.
fn label(structure: &Structure, write: &Residual) -> String {
    let names = write.writers.iter().map(|writer| match writer {
        Writer::Attention(at) => match structure.attention.get(*at) {
            Some(attention) => format!("attention[{}] ({})", attention.layer, attention.module),
            None => "attention".to_owned(),
        },
        Writer::FeedForward(at) => match structure.feed_forward.get(*at) {
            Some(block) => format!("{}[{}]", block.role(), block.layer),
            None => "ffn".to_owned(),
        },
        Writer::Other => format!("addition[{}] ({})", write.layer, write.module),
    });
    names.collect::<Vec<_>>().join(" with ")
}

/// True if two tensors have rows for the same positions.
fn same_positions(model: &ModelView<'_>, one: TensorId, other: TensorId) -> bool {
    let positions = |id| {
        let shape = model.graph.tensor(id).map(|t| t.shape.as_slice())?;
        Some(shape.iter().rev().skip(1).fold(1_i64, |n, size| n.saturating_mul(*size)))
    };
    positions(one).is_some() && positions(one) == positions(other)
}
