//! Activation patching: which activations carry an answer (Vig et al. 2020; Meng et al. 2022, "Locating and Editing Factual Associations
//! in GPT"; Wang et al. 2023, "Interpretability in the Wild"; Zhang and Nanda 2024, "Towards Best Practices of Activation Patching").
//!
//! The data are pairs of texts. With `m` the metric of a run where the answer is read:
//!
//! - *denoise*: the corrupted text runs with the activation of one site taken from the clean text;
//! - *noise*: the clean text runs with that of the corrupted one.
//!
//! `recovered.SITE` is the mean over pairs of `(m - m_corrupted) / (m_clean - m_corrupted)`: 0 where the run is as the corrupted one, 1 where it is as
//! the clean one, in both directions. Denoising asks what suffices, noising what is needed; they are no mirror images. `patched.SITE` is the mean of `m`
//! itself, so that the ratio of means can be had as well: `(patched - corrupted) / (clean - corrupted)`.
//! Pairs for which clean and corrupted differ by less than a millionth of their size are left out of `recovered`, and counted.
//!
//! Axes: streams and what is added to them by `[layer, position]`, positions counted in the text without padding, a position that a text does not
//! have left out of the mean; heads by `[layer, head]`, all positions at once. `head.position` gives `[layer, head, position]`, `head.mark` and
//! `residual.before.mark` the marked parts of the data, `.layer` everything of a layer at once. Keys and values are those of key and value heads: with
//! grouped queries there are fewer. Queries and keys are patched as they go into the product, after rotation and norms.
//!
//! With *Gaussian* corruption (causal tracing), the clean text runs with noise on the token embeddings of a marked part, several times, and the
//! activations come from the run without noise. The noise of a text depends on the seed and its place in the data alone, so all cells share it.
//! Its standard deviation is a multiple of that of all elements of the embedding's table; Meng et al. take that of the embeddings of all
//! subjects instead.
//!
//! The answer is read at the last token of a text that the tokenizer has not added, or at the start of a mark called `answer`.

mod config;
mod experiment;
mod registration;
mod report;

pub use config::{ActivationPatchingConfig, Corruption, Direction};
pub use experiment::ActivationPatching;
