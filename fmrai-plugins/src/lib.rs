//! Built-in analyzers of fMRAi, each in a folder of its own, and the statistics that they share.
//!
//! - [`attention_patterns`]: where each attention head looks, and how broadly (Clark et al. 2019, section 3).
//! - [`attention_clustering`]: which heads look alike (Clark et al. 2019, section 6), as distances, a map and
//!   clusters.
//! - [`ffn_key_value`]: feed-forward layers as key-value memories (Geva et al. 2021).
//! - [`lens`]: residual streams read in the vocabulary, through the model's own map.
//! - [`attention`]: attention probabilities of the valid tokens, as both of them read them.
//! - [`sequences`]: which tokens the positions of a tensor are.
//! - [`statistics`]: divergences, embeddings and clusterings, free of models and batches.
//!
//! Linking the crate registers the analyzers; name it in one `use` so that the linker keeps it.

pub mod attention;
pub mod attention_clustering;
pub mod attention_patterns;
pub mod ffn_key_value;
mod finite;
pub mod lens;
pub mod sequences;
pub mod statistics;
