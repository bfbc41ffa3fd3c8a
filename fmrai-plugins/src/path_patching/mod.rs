//! Path patching: what a head, a feed-forward block or the embeddings give to a receiver directly (Wang et al. 2023, "Interpretability in the
//! Wild"; Goldowsky-Dill et al. 2023, "Localizing Model Behavior with Path Patching").
//!
//! The data are pairs of texts. For *noise* the clean text is the base and the corrupted one the source; for *denoise* it is the other way
//! round. For each sender:
//!
//! 1. The base runs with the output of the sender taken from the source. The outputs of all heads after it, before the output projection, are
//!    kept as they are in the base, and those of all feed-forward blocks too unless `through_ffn`. What the receivers read is kept.
//! 2. The base runs with only what the receivers read set to that. The metric `m` is measured. Where the receiver is `logits`, it is measured in
//!    the first run.
//!
//! Norms are computed anew in both runs, also one that a model has behind its attention. All positions are patched at once. Queries and keys
//! are received as they go into the product; heads that share their keys or values receive them together. A sender that does not come before a
//! receiver gives nothing to it, so it is not run, and its effect is exactly 0.
//!
//! Tensors, with a sender kind `head` `[layer, head]`, `ffn` `[layer]` or `embedding` `[]`, and `all` `[]` for all senders at once:
//! - `patched.KIND`: mean over pairs of `m`, in the unit of the metric;
//! - `effect.KIND`: mean of `m − m_base`, in the same unit;
//! - `share.KIND`: mean of `(m − m_base) / (m_source − m_base)`, without the pairs whose two texts hardly differ.
//!
//! All senders at once give the source itself where the receiver is `logits`: `share.all` is 1 if heads, feed-forward blocks and the
//! embeddings send, and nothing else adds to the stream.

mod config;
mod experiment;
mod found;
mod part;
mod paths;
mod registration;
mod report;

pub use config::{End, Input, PathPatchingConfig, Receiver, ReceiverInput, Sender};
pub use experiment::PathPatching;
