//! The neurons that answer most strongly to chosen texts.
//!
//! A feed-forward block computes `y = Σ m_i v_i + b`: neuron `i` writes its value `v_i` into the stream, times its coefficient `m_i`
//! (Geva et al. 2021; the notation is that of [`ffn_key_value`](crate::ffn_key_value)). Of every text and layer the neurons are kept that write most at
//! any of its tokens, `|m_i| ‖v_i‖`, with the token at which they do. Where the weights are not at hand, as in runs from stored activations, `|m_i|`
//! decides, within a layer. Special tokens count, padding does not.
//!
//! What a neuron promotes are the most probable tokens of `softmax(E v_i)`, read as `ffn_key_value` reads values; for a negative coefficient it
//! writes the opposite, so nothing is listed.

mod analyzer;
mod config;
mod figures;
mod kept;
mod registration;
mod report;

pub use analyzer::NeuronView;
pub use config::NeuronViewConfig;
