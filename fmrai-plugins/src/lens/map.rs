//! The map from a model's last stream to its logits.

use fmrai_core::graph::TensorId;

use super::program::Program;

/// The map from the last residual stream to the logits of a model, as found in its graph.
#[derive(Debug, Clone, PartialEq)]
pub struct Lens {
    pub(super) stream: TensorId,
    pub(super) sum: TensorId,
    /// Number of the stream, as in [`Residual::stream`](fmrai_core::structure::Residual::stream).
    pub(super) number: usize,
    pub(super) logits: Option<TensorId>,
    /// Why the model's logits cannot be compared with what is read.
    pub(super) incomparable: Option<String>,
    pub(super) channels: usize,
    pub(super) tokens: usize,
    pub(super) from_stream: Program,
    pub(super) from_sum: Program,
}

impl Lens {
    /// The last stream: `[batch, token, channel]`.
    #[must_use]
    pub fn stream(&self) -> TensorId {
        self.stream
    }

    /// Which of the streams it is, as in [`Residual::stream`](fmrai_core::structure::Residual::stream). The lens reads no other.
    #[must_use]
    pub fn stream_number(&self) -> usize {
        self.number
    }

    /// The model's own logits, `[batch, token, vocabulary]`, at the positions of the stream. The reason where there are none such: the map
    /// is borrowed, or the model gives logits at other positions.
    ///
    /// # Errors
    /// The reason.
    pub fn logits(&self) -> Result<TensorId, &str> {
        self.logits.ok_or_else(|| self.incomparable.as_deref().unwrap_or("the map is not the model's"))
    }

    /// Width of the stream.
    #[must_use]
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Size of the vocabulary.
    #[must_use]
    pub fn tokens(&self) -> usize {
        self.tokens
    }

    /// The operations from the stream to the logits, in their order, without namespace and overload.
    pub fn operations(&self) -> impl Iterator<Item = &str> {
        let names = self.from_stream.steps.iter().map(|step| step.name.as_str());
        names.filter(|name| !name.is_empty())
    }
}
