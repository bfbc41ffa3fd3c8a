//! Ablation: what a decoder loses without a part of it (Michel et al. 2019, "Are Sixteen Heads Really Better than One?"; Olsson et al. 2022,
//! "In-context Learning and Induction Heads"; Wang et al. 2023, "Interpretability in the Wild", for means).
//!
//! A text runs once as it is and once with the output of one part replaced at all positions. With `l` the mean over a text's tokens of
//! `−ln p(next token)`, in nats, special tokens included:
//!
//! - `loss` `[]` is the mean of `l` over texts, and `loss_added.PART` the mean over texts of `l` of the ablated run minus `l` of the clean one;
//! - `token_loss` and `token_loss_added.PART` are the same with the tokens of all texts pooled, so long texts weigh more.
//!
//! Parts and axes: `head` `[layer, head]`, what a head gives before the output projection, whose bias stays; `ffn` `[layer]` and `attention`
//! `[layer]`, what these add to the stream, after a norm where there is one; `block` `[layer]`, both; `neuron` `[neuron]`, chosen ones, at the
//! input of the second linear map; `group` `[group]`, several heads at once, groups by name.
//!
//! What it is replaced with:
//!
//! - `zero`;
//! - `mean`: the mean over all tokens of all texts of the data, one vector for each part. The data are read twice, once for the means;
//! - `resample`: what another text of the same batch has there, by a random cycle through the texts of the batch, which depends on the seed
//!   and the first text of the batch. Positions are counted from the beginning of each text. Tokens beyond the end of the other text keep their own
//!   activation; `resampled_share` tells how many do not. Results depend on how the texts are batched; a text that is alone in its
//!   batch is left out.
//!
//! With `keep_patterns`, the attention probabilities of all layers after the replaced one are those of the clean run, so that a part acts
//! through values alone. Those of the same and of earlier layers cannot change.
//!
//! Of pairs, the clean texts are run. A `metric` gives `metric` `[]` and `metric_added.PART` for them: means over pairs, where the answer is read.
//! Standard errors in tables are those of the mean over texts of the paired difference.

mod config;
mod effects;
mod experiment;
mod figures;
mod found;
mod means;
mod registration;
mod replacement;
mod report;
mod results;
mod targets;

pub use config::{AblationConfig, AblationSite, LayerNeurons, Neurons, With};
pub use experiment::Ablation;
