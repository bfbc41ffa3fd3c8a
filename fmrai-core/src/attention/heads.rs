//! Which attention heads a model has, and in which order they are numbered.

use serde_json::{Value, json};

use crate::analyzer::{AnalyzerError, ModelView};
use crate::graph::TensorId;
use crate::sequences::{Stream, recorded_shape};
use crate::structure::{Attention, AttentionKind, Visible, recorded_batch};
use crate::tensor::{DType, TensorData, TensorValue};
use crate::tracker::CaptureRequest;

/// The heads of one self-attention block.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerHeads {
    /// Position of the block among those of self-attention, from 0.
    pub layer: usize,
    /// Number of its heads.
    pub heads: usize,
    /// Number of heads in the layers before it, those left out not counted.
    pub first: usize,
    /// Its probabilities, `[batch, head, query, key]` or `[batch * head, query, key]`.
    pub probabilities: TensorId,
    /// Its positions, among [`HeadLayout::streams`].
    pub stream: usize,
    /// Keys that are no positions of queries, before and after those that are: attention sinks.
    pub sinks: [usize; 2],
    /// Which keys its queries see, as far as the graph tells.
    pub visible: Visible,
    /// How far a row of probabilities may be from the sum 1 by the rounding of its element type.
    pub tolerance: f64,
}

/// A block that is not looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// Its role and number as selectors have them: `attention[3]`.
    pub block: String,
    /// Why.
    pub reason: String,
}

impl LeftOut {
    /// It as reports have it: `{"name": ..., "reason": ...}`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({ "name": self.block, "reason": self.reason })
    }
}

/// The self-attention heads of a model. Head `h` of layer `l` has the index (heads of the layers before `l`) `+ h`;
/// layers may have different numbers of heads, and may be left out.
///
/// Heads are labelled `L3H7`, counted from 0 like the tensors: layer 3, head 7. Clark et al. write the same head
/// 4-8, counting from 1.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HeadLayout {
    layers: Vec<LayerHeads>,
    streams: Vec<Stream>,
    left_out: Vec<LeftOut>,
    /// Self-attention blocks of the model.
    all: usize,
}

impl HeadLayout {
    /// The heads of all self-attention blocks whose positions are known; the others are left out by name.
    ///
    /// # Errors
    /// [`AnalyzerError::Unsuitable`] says what was found if there is no self-attention that can be read.
    pub fn of(model: &ModelView<'_>) -> Result<Self, AnalyzerError> {
        let mut layout = Self::default();
        let mut first = 0;
        for block in model.structure.attention.iter().chain(&model.structure.channel_attention) {
            let role = match block.kind {
                AttentionKind::SelfAttention => "attention",
                AttentionKind::CrossAttention => "cross_attention",
                AttentionKind::Channels => "channel_attention",
            };
            let name = format!("{role}[{}]", block.layer);
            let reason = match block.kind {
                AttentionKind::CrossAttention => Some("queries and keys are tokens of different sequences"),
                AttentionKind::Channels => Some("queries and keys are channels, not tokens"),
                AttentionKind::SelfAttention if !block.is_usual() => {
                    Some("its probabilities do not end with the axes of queries and keys")
                }
                AttentionKind::SelfAttention => None,
            };
            if let Some(reason) = reason.map(str::to_owned) {
                layout.left_out.push(LeftOut { block: name, reason });
                continue;
            }
            layout.all = layout.all.max(block.layer + 1);
            match placed(model, block) {
                Ok((stream, sinks)) => {
                    let stream = layout.stream(stream);
                    layout.layers.push(LayerHeads {
                        layer: block.layer,
                        heads: block.heads,
                        first,
                        probabilities: block.probabilities,
                        stream,
                        sinks,
                        visible: block.visible,
                        tolerance: tolerance(model.graph.tensor(block.probabilities).map(|t| t.dtype)),
                    });
                    first += block.heads;
                }
                Err(reason) => layout.left_out.push(LeftOut { block: name, reason }),
            }
        }
        if first > 0 {
            return Ok(layout);
        }
        let blocks = model.structure.attention.len();
        let found = match layout.left_out.iter().find(|l| l.block.starts_with("attention")) {
            _ if blocks == 0 => "no attention".to_owned(),
            Some(LeftOut { block, reason }) => {
                format!("no self-attention that can be read ({block}: {reason})")
            }
            None if layout.layers.is_empty() => {
                format!("no self-attention, only {blocks} cross-attention blocks")
            }
            None => format!("{blocks} attention blocks without any head"),
        };
        Err(AnalyzerError::Unsuitable { found, needed: "self-attention".to_owned() })
    }

    fn stream(&mut self, stream: Stream) -> usize {
        let known = self.streams.iter().position(|s| s.same(&stream) && s.before == stream.before);
        known.unwrap_or_else(|| {
            self.streams.push(stream);
            self.streams.len() - 1
        })
    }

    /// The heads of one sequence alone: heads of several cannot be set against each other. That of the input `wanted`, or
    /// else the one with the most heads, of equals the first.
    ///
    /// # Errors
    /// [`AnalyzerError::Unsuitable`] names the sequences there are if `wanted` is none of them.
    pub fn of_one_stream(mut self, wanted: Option<&str>) -> Result<Self, AnalyzerError> {
        let heads =
            |stream: usize| self.layers.iter().filter(|l| l.stream == stream).map(|l| l.heads).sum::<usize>();
        let chosen = match wanted {
            Some(wanted) => self.streams.iter().position(|s| s.input.as_deref() == Some(wanted)),
            None => (0..self.streams.len()).rev().max_by_key(|stream| heads(*stream)),
        };
        let Some(chosen) = chosen else {
            let names: Vec<String> = self.streams.iter().map(Stream::name).collect();
            let found = format!("self-attention over {}", names.join(" and "));
            let needed = format!("self-attention over {}", wanted.unwrap_or_default());
            return Err(AnalyzerError::Unsuitable { found, needed });
        };
        let name = self.streams[chosen].name();
        let mut first = 0;
        for mut layer in std::mem::take(&mut self.layers) {
            if layer.stream == chosen {
                (layer.first, layer.stream) = (first, 0);
                first += layer.heads;
                self.layers.push(layer);
            } else {
                let own = self.streams[layer.stream].name();
                self.left_out.push(LeftOut {
                    block: format!("attention[{}]", layer.layer),
                    reason: format!(
                        "its positions are those of {own}, the heads set against each other look at {name}"
                    ),
                });
            }
        }
        self.streams = vec![self.streams[chosen].clone()];
        Ok(self)
    }

    /// The layers, in execution order.
    #[must_use]
    pub fn layers(&self) -> &[LayerHeads] {
        &self.layers
    }

    /// The sequences that the layers look at.
    #[must_use]
    pub fn streams(&self) -> &[Stream] {
        &self.streams
    }

    /// The blocks of attention that are left out.
    #[must_use]
    pub fn left_out(&self) -> &[LeftOut] {
        &self.left_out
    }

    /// Number of layers of the model, those left out included.
    #[must_use]
    pub fn all_layers(&self) -> usize {
        self.all
    }

    /// Number of heads in all layers.
    #[must_use]
    pub fn heads(&self) -> usize {
        self.layers.last().map_or(0, |l| l.first + l.heads)
    }

    /// Largest number of heads in a layer.
    #[must_use]
    pub fn widest(&self) -> usize {
        self.layers.iter().map(|l| l.heads).max().unwrap_or(0)
    }

    /// Layer and number within the layer of each head, in the order of indices.
    pub fn iter(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.layers.iter().flat_map(|l| (0..l.heads).map(move |h| (l.layer, h)))
    }

    /// The layer of each head, in the order of indices.
    pub fn layer_of_heads(&self) -> impl Iterator<Item = &LayerHeads> + '_ {
        self.layers.iter().flat_map(|l| std::iter::repeat_n(l, l.heads))
    }

    /// `L3H7` for each head, in the order of indices.
    #[must_use]
    pub fn labels(&self) -> Vec<String> {
        self.iter().map(|(layer, head)| format!("L{layer}H{head}")).collect()
    }

    /// Asks for the probabilities of all layers.
    #[must_use]
    pub fn request(&self) -> CaptureRequest {
        self.layers.iter().map(|l| l.probabilities).collect()
    }

    /// One number per head as `[layer, head]`, NaN where a layer has fewer heads than the widest or is left out.
    #[must_use]
    pub fn cells(&self, values: &[f64]) -> Vec<f64> {
        let widest = self.widest();
        let mut data = vec![f64::NAN; self.all * widest];
        for ((layer, head), &value) in self.iter().zip(values) {
            if let Some(cell) = data.get_mut(layer * widest + head) {
                *cell = value;
            }
        }
        data
    }

    /// The same as a tensor.
    #[must_use]
    pub fn by_layer(&self, values: &[f64]) -> Option<TensorValue> {
        TensorValue::new([self.all, self.widest()], TensorData::F64(self.cells(values))).ok()
    }

    /// What a state's document holds of it: heads per layer; for a layer with more to it, or for one after a gap, its
    /// number, sequence and sinks.
    #[must_use]
    pub fn to_document(&self) -> Value {
        let layer = |(i, l): (usize, &LayerHeads)| match (l.layer == i, l.stream, l.sinks) {
            (true, 0, [0, 0]) => json!(l.heads),
            _ => json!([l.layer, l.heads, self.streams[l.stream].name(), l.sinks]),
        };
        self.layers.iter().enumerate().map(layer).collect()
    }
}

/// The sequence that a block looks at, and its sinks.
fn placed(model: &ModelView<'_>, block: &Attention) -> Result<(Stream, [usize; 2]), String> {
    let shape = recorded_shape(model, block.probabilities);
    let Some((leading, &[queries, keys])) = shape.split_last_chunk::<2>() else {
        return Ok((Stream::default(), [0, 0])); // nothing is known of it before the first batch
    };
    if let Some(batch) = recorded_batch(model.graph) {
        let heads = i64::try_from(block.heads).unwrap_or(i64::MAX);
        let rows = leading.iter().fold(1_i64, |n, size| n.saturating_mul(*size));
        let merged = leading.len() == 1 || leading.first() == Some(&batch);
        if rows != batch.saturating_mul(heads) || !merged {
            return Err(format!(
                "its probabilities are {shape:?}, needed [batch, head, query, key] with a batch of {batch} and {heads} heads"
            ));
        }
    }
    let (query, key) = (block.query_positions.as_ref(), block.key_positions.as_ref());
    let stream = Stream::of(model.graph, query, Some(queries))?;
    let sinks = match (query, key) {
        (Some(query), Some(key)) if query.sequence == key.sequence => {
            [key.before.saturating_sub(query.before), key.after.saturating_sub(query.after)]
        }
        _ if queries == keys => [0, 0],
        _ => {
            return Err(format!(
                "it has {queries} queries and {keys} keys, which are not known to be the same tokens"
            ));
        }
    };
    let sinks = sinks.map(usize::try_from);
    let [Ok(before), Ok(after)] = sinks else {
        return Err("it has fewer keys than queries".to_owned());
    };
    Ok((stream, [before, after]))
}

/// What rounding to an element type makes of a sum of 1: half of its last digit in every probability.
fn tolerance(dtype: Option<DType>) -> f64 {
    match dtype {
        Some(DType::Float16) => 2e-3,
        Some(DType::BFloat16) => 1e-2,
        _ => 1e-4,
    }
}
