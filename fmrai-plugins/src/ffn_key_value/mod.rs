//! Feed-forward layers as key-value memories: Geva, Schuster, Berant and Levy 2021, "Transformer Feed-Forward Layers
//! Are Key-Value Memories".
//!
//! A block computes `y = f(x K) V + b`. Per neuron `i`, with the memory coefficient `m_i`, what the second linear map takes:
//!
//! - triggers: the `t` texts with the largest `max over positions of m_i`, if above 0; below zero too where `m_i` has both signs;
//! - mean, variance and skewness of `m_i` over positions, and how often it is active: `m_i > 0` in a plain block, the gate
//!   open (its function's argument above 0) in a gated one;
//! - the value's distribution `p = softmax(v_i E)`, `E` the map to the vocabulary, and whether `argmax p` is the token
//!   after the strongest trigger; per layer the rate of that, against chance, and the ranks of that token in `p`.
//!
//! Per layer, at positions drawn from the data: whether the prediction of the stream after the block is that of the stream
//! before it, of what the block writes, of both or of neither; and how often the block predicts what none of its values does. Streams
//! are read through all that the model does after its last stream (see [`lens`](crate::lens)), which is checked against its logits.
//!
//! `docs/ffn-key-value.md` has all definitions. Differences to the authors' code: the next token is taken from the text at
//! the trigger's position, where the code reads the second-to-last token of what it has stored; equal coefficients are
//! ordered by text.
//!
//! Memory, whatever the data: 16 bytes for each trigger, neuron and sign, 152 for each of those with a context, the texts
//! that triggers name, and the streams at the positions drawn.

mod agreement;
mod analysis;
mod analyzer;
mod composition;
mod conclusions;
mod config;
mod contexts;
mod layout;
mod memories;
mod moments;
mod positions;
mod projection;
mod promoted;
mod reading;
mod registration;
mod report;
mod sample;
mod scan;
mod shard;
mod sign;
mod state;
mod statistics;
mod texts;
mod triggers;
mod values;

pub use analysis::FfnKeyValue;
pub use config::{FfnKeyValueConfig, Strategy};
pub(crate) use layout::{Block, Layout};
pub(crate) use projection::{MapPlace, values};
pub(crate) use promoted::promoted;
pub use promoted::promoted_tokens;
