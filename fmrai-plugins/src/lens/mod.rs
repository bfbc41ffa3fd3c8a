//! Reading residual streams in the vocabulary: the logit lens (nostalgebraist 2020, "interpreting GPT: the logit lens"),
//! through the map that the model itself has between its last stream and its logits.
//!
//! [`Lens::find`] walks from the logits back to the last addition to the residual stream and takes every operation in
//! between as it stands in the graph: the last normalisation, in whatever spelling and with what is added to its weight
//! (Gemma's `1 + w`), the transform of masked-language heads, factorised maps, biases, scales (Cohere, Granite, T5) and
//! soft-caps (`cap · tanh(x / cap)`). [`LoadedLens::logits`] does the same operations with other vectors of the stream's width.
//! Results are rounded to the element type that the model has them in.
//!
//! An operation that is not understood is an error that names it ([`LensError::NotUnderstood`]): nothing is left out in
//! silence. And what was understood is to be checked: `logits` of the last stream are those of the model, tensor
//! [`Lens::logits`], up to rounding.
//!
//! ```no_run
//! # use fmrai_core::analyzer::{ModelView, Weights};
//! # use fmrai_plugins::lens::{From, Lens, LensError};
//! # fn read(model: &ModelView<'_>, stream: ndarray::ArrayView2<'_, f32>) -> Result<(), LensError> {
//! let lens = Lens::find(model.graph, model.structure)?;
//! // Ask for `lens.stream()` and `lens.logits()` in `prepare`; then, with rows of any layer's stream:
//! let lens = lens.load(&**model.weights.ok_or(LensError::NoWeights)?)?;
//! let logits = lens.logits(stream, From::Stream)?; // [row, token]
//! # Ok(()) }
//! ```
//!
//! # Which tensor is the stream
//! Where blocks normalise what they read, the stream is the sum of all that was added. Where the sum itself is
//! normalised before anything reads it (BERT, BART: post-norm), the stream is the normalised sum, and the map starts
//! behind that normalisation. [`settled`] tells which it is after each addition. Vectors that are *added* to the stream, such as what
//! a block writes or the values of its neurons, are no streams: they are read as if they were the whole sum
//! ([`From::Sum`]), so in post-norm models through the last of these normalisations too.

mod action;
mod builder;
mod constants;
mod find;
mod operation;
mod run;
mod settled;
mod tail;

pub use run::LoadedLens;
pub use settled::settled;

use fmrai_core::analyzer::Weights;
use fmrai_core::graph::{Graph, TensorId};
use fmrai_core::structure::{EmbeddingKind, Structure};

use action::Program;

/// What a vector is, before it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// The stream as blocks and the map read it; [`settled`] has the tensors.
    Stream,
    /// Something that is added to the stream, taken for the whole sum.
    Sum,
}

/// Why streams of a model cannot be read in its vocabulary.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LensError {
    /// There is no linear map to a vocabulary.
    #[error("the model has no map to a vocabulary")]
    NoMap,
    /// There is no table to use in its place.
    #[error("the model has no token embedding whose table could be used as a map to the vocabulary")]
    NoTable,
    /// The map does not read a residual stream that was found.
    #[error("the map to the vocabulary reads no residual stream that was found")]
    NoStream,
    /// It reads several.
    #[error("the map to the vocabulary reads more than the last residual stream: {first} and {second}")]
    SeveralStreams {
        /// One of them.
        first: TensorId,
        /// Another one.
        second: TensorId,
    },
    /// Something between the last stream and the logits is not understood.
    #[error("between the last residual stream and the logits, {operation} is not understood: {what}")]
    NotUnderstood {
        /// Name of the operation and, where known, its module.
        operation: String,
        /// What about it.
        what: String,
    },
    /// The weights are not at hand.
    #[error("the model's weights are not at hand, only activations")]
    NoWeights,
    /// A weight cannot be read.
    #[error("{0}")]
    Weight(String),
    /// The vectors have another width than the stream.
    #[error("the vectors have {found} channels, the stream has {needed}")]
    Channels {
        /// Their width.
        found: usize,
        /// That of the stream.
        needed: usize,
    },
}

/// The map from the last residual stream to the logits of a model, as found in its graph.
#[derive(Debug, Clone, PartialEq)]
pub struct Lens {
    stream: TensorId,
    sum: TensorId,
    /// Number of the stream, as in [`Residual::stream`](fmrai_core::structure::Residual::stream).
    number: usize,
    logits: Option<TensorId>,
    /// Why the model's logits cannot be compared with what is read.
    incomparable: Option<String>,
    channels: usize,
    tokens: usize,
    from_stream: Program,
    from_sum: Program,
}

impl Lens {
    /// The model's own map: the last one to a vocabulary.
    ///
    /// # Errors
    /// [`LensError`] says what is missing or not understood.
    pub fn find(graph: &dyn Graph, structure: &Structure) -> Result<Self, LensError> {
        let own = structure.unembedding.iter().rfind(|u| u.vocabulary).ok_or(LensError::NoMap)?;
        let logits = tail::logits(graph, own.output)?;
        find::between(graph, structure, logits)
    }

    /// The table of the token embedding as a map, in a model that has none of its own: what becomes of the last stream that starts
    /// from it, times the table. It was never trained for that, so what it reads are no predictions of the model.
    ///
    /// # Errors
    /// [`LensError`] says what is missing or not understood.
    pub fn borrowed(graph: &dyn Graph, structure: &Structure) -> Result<Self, LensError> {
        let table = structure.embeddings.iter().find(|e| e.kind == EmbeddingKind::Token);
        find::borrowed(graph, structure, table.ok_or(LensError::NoTable)?)
    }

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

    /// Reads the weights: 4 bytes for each of their elements.
    ///
    /// # Errors
    /// [`LensError::Weight`] if one cannot be read, is not finite or has a shape that does not fit.
    pub fn load(&self, weights: &dyn Weights) -> Result<LoadedLens, LensError> {
        LoadedLens::load(self, weights)
    }
}
