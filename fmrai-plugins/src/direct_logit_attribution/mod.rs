//! Direct logit attribution (Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits"): what each part of a model adds to
//! a logit by itself, not through the blocks behind it.
//!
//! The last stream is a sum: the embedding `x`, what each head writes (`z_h W_O^h`), what each feed-forward block writes, and biases. With
//! the scale `s` of the last norm kept as it is for the whole sum, the logit of a token is a sum over the same parts. With
//! `d = sum over tokens of c_t W_U[t]`, `C` the subtraction of the mean (in a `LayerNorm`; nothing in an RMS norm) and `w`, `β` the norm's
//! weight and bias, a part `x_i` adds
//!
//! `contribution_i = ((C x_i) / s ∘ w) · d`,
//!
//! and `β · d` and the bias of the map are added whatever the parts are. A norm behind attention (Gemma) is kept the same way: the part of
//! a head is `z_h W_O^h` through it with its scale of the whole attention output. See [`lens::frozen`](crate::lens::frozen).
//!
//! - `answer`: of pairs of texts, at the last token of the clean one, the mean logit of the right tokens less that of the wrong ones.
//! - `next_token`: at each position that has one, the logit of the token that the text has next; mean over the positions of a text.
//!
//! All is the mean over texts, in logits (differences of natural logarithms of odds), which have no unit. A soft-cap
//! (`cap · tanh(x / cap)`, Gemma 2) is no sum: the logits meant are those before it. `error` is the largest distance of the sum of all parts
//! to the model's own logit, over the positions looked at.
//!
//! `contribution.bias` has the biases of attention outputs, of the last norm and of the map; the bias of a feed-forward block belongs to that.
//! A bias of the values is part of `z_h`, so of its head. What is added to the stream by something else (cross-attention, adapters) is
//! `contribution.other`.
//!
//! Differences to the code of `TransformerLens`: `logit_attrs` has neither `w`, `β` nor the bias of the map, so it is right only for weights
//! that were folded; then biases of values are in its bias.
//!
//! Memory: the weights of the map and of all output projections, 16 bytes for each part; with `neurons` the weights of the feed-forward
//! blocks too, and 8 bytes for each neuron.

mod analysis;
mod analyzer;
mod conclusions;
mod config;
mod figures;
mod layout;
mod neurons;
mod positions;
mod read;
mod registration;
mod report;
mod sums;

pub use analysis::DirectLogitAttribution;
pub use config::{DirectLogitAttributionConfig, Target};
