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
mod error;
mod find;
mod from;
pub mod frozen;
mod map;
mod operation;
mod program;
mod recipes;
mod run;
mod settled;
mod steps;
mod tail;

pub use error::LensError;
pub use from::From;
pub use map::Lens;
pub use run::LoadedLens;
pub use settled::settled;
