//! Built-in analyzers of fMRAi, each in a folder of its own, and the statistics that they share.
//!
//! - [`ablation`]: what a model loses without a part of it (Michel et al. 2019, Olsson et al. 2022).
//! - [`activation_patching`]: which activations carry an answer, by running texts with those of others (Meng et al. 2022).
//! - [`attention_patterns`]: where each attention head looks, and how broadly (Clark et al. 2019, section 3).
//! - [`attention_clustering`]: which heads look alike (Clark et al. 2019, section 6), as distances, a map and
//!   clusters.
//! - [`attention_view`]: the attention of every head over chosen texts, to be looked at.
//! - [`attribution_patching`]: the same for all sites at once, estimated by gradients (Nanda 2023).
//! - [`circuit`]: which edges between heads, feed-forward blocks and logits carry an answer (Conmy et al. 2023, Hanna et al. 2024).
//! - [`direct_logit_attribution`]: what heads, feed-forward blocks and neurons add to a logit directly (Elhage et al. 2021).
//! - [`ffn_key_value`]: feed-forward layers as key-value memories (Geva et al. 2021).
//! - [`head_detection`]: which heads look at previous, equal and following tokens, which copy and compose (Olsson et al. 2022).
//! - [`neuron_view`]: the neurons that write most into the stream at chosen texts.
//! - [`path_patching`]: what heads, feed-forward blocks and the embeddings give to a receiver directly (Wang et al. 2023).
//! - [`input_attribution`]: which tokens an answer comes from, by gradients and attention (Sundararajan et al. 2017).
//! - [`logit_lens`]: what the residual stream predicts after every block (nostalgebraist 2020).
//! - [`lens`]: residual streams read in the vocabulary, through the model's own map.
//! - [`steering`]: directions of the stream that tell two kinds of texts apart (Rimsky et al. 2024, Arditi et al. 2024).
//! - [`pairs`], [`metric`], [`sites`]: pairs of texts, how well they are answered, and the sites of a model, as experiments share them.
//! - [`attention`]: what is counted in attention probabilities, as both of them do.
//! - [`statistics`]: divergences, embeddings and clusterings, free of models and batches.
//!
//! Linking the crate registers the analyzers; name it in one `use` so that the linker keeps it.

pub mod ablation;
pub mod activation_patching;
pub mod attention;
pub mod attention_clustering;
pub mod attention_patterns;
pub mod attention_view;
pub mod attribution_patching;
pub mod circuit;
pub mod direct_logit_attribution;
pub mod ffn_key_value;
mod finite;
mod first_texts;
pub mod head_detection;
pub mod input_attribution;
pub mod lens;
mod limits;
pub mod logit_lens;
pub mod metric;
pub mod neuron_view;
mod next_token;
pub mod pairs;
mod patching;
pub mod path_patching;
mod pieces;
mod read_blocks;
mod rows;
mod short;
pub mod sites;
pub mod statistics;
pub mod steering;
mod token_values;
mod told;
