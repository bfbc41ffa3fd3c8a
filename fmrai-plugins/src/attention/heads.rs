//! Which attention heads a model has, and in which order they are numbered.

use fmrai_core::analyzer::{AnalyzerError, StateError};
use fmrai_core::graph::TensorId;
use fmrai_core::structure::{AttentionKind, Structure};
use fmrai_core::tensor::{TensorData, TensorValue};
use fmrai_core::tracker::CaptureRequest;
use serde_json::Value;

/// The heads of one self-attention block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerHeads {
    /// Position of the block, from 0.
    pub layer: usize,
    /// Number of its heads.
    pub heads: usize,
    /// Number of heads in the layers before it.
    pub first: usize,
    /// Its probabilities, `[batch, head, query, key]` or `[batch * head, query, key]`.
    pub probabilities: TensorId,
}

/// The self-attention heads of a model. Head `h` of layer `l` has the index (heads of the layers before `l`) `+ h`;
/// layers may have different numbers of heads.
///
/// Heads are labelled `L3H7`, counted from 0 like the tensors: layer 3, head 7. Clark et al. write the same head
/// 4-8, counting from 1.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeadLayout {
    layers: Vec<LayerHeads>,
}

impl HeadLayout {
    /// The heads of all self-attention blocks.
    ///
    /// # Errors
    /// [`AnalyzerError::Unsuitable`] says what was found if there is no self-attention.
    pub fn of(structure: &Structure) -> Result<Self, AnalyzerError> {
        let mut layers = Vec::new();
        let mut first = 0;
        let blocks = structure.attention.iter().filter(|a| a.kind == AttentionKind::SelfAttention);
        for (layer, block) in blocks.enumerate() {
            layers.push(LayerHeads { layer, heads: block.heads, first, probabilities: block.probabilities });
            first += block.heads;
        }
        if first == 0 {
            let found = match structure.attention.len() {
                0 => "no attention".to_owned(),
                n if layers.is_empty() => format!("no self-attention, only {n} cross-attention blocks"),
                n => format!("{n} attention blocks without any head"),
            };
            return Err(AnalyzerError::Unsuitable { found, needed: "self-attention".to_owned() });
        }
        Ok(Self { layers })
    }

    /// The layers, in execution order.
    #[must_use]
    pub fn layers(&self) -> &[LayerHeads] {
        &self.layers
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

    /// One number per head as a tensor `[layer, head]`, NaN where a layer has fewer heads than the widest.
    #[must_use]
    pub fn by_layer(&self, values: &[f64]) -> Option<TensorValue> {
        let widest = self.widest();
        let mut data = vec![f64::NAN; self.layers.len() * widest];
        for ((layer, head), &value) in self.iter().zip(values) {
            *data.get_mut(layer * widest + head)? = value;
        }
        TensorValue::new([self.layers.len(), widest], TensorData::F64(data)).ok()
    }

    /// Heads per layer, as a state's document holds them.
    #[must_use]
    pub fn to_document(&self) -> Value {
        self.layers.iter().map(|l| l.heads).collect()
    }

    /// Checks that a state's document names the same heads per layer.
    ///
    /// # Errors
    /// [`StateError::Part`] with both lists otherwise.
    pub fn check_document(&self, found: &Value) -> Result<(), StateError> {
        let needed = self.to_document();
        if *found == needed {
            return Ok(());
        }
        let found = if found.is_null() { "absent".to_owned() } else { found.to_string() };
        Err(StateError::Part { part: "heads".to_owned(), found, needed: needed.to_string() })
    }
}
