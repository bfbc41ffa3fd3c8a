//! The encoder of Devlin et al. 2019 ("BERT: Pre-training of Deep Bidirectional Transformers", NAACL) and its kin.
//!
//! Each layer is `h = LN(x + attention(x))`, `y = LN(h + W₂ act(W₁ h))`. One implementation; what differs between the
//! families is data. The same operations run whatever the batch, so that the recorded graph is always the same.

mod config;
mod family;
mod model;
mod network;

pub(crate) use config::EncoderConfig;
pub(crate) use family::supported;
pub(crate) use model::EncoderModel;
