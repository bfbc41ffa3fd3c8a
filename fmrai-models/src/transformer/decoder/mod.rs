//! Decoders: Radford et al. 2019 ("Language Models are Unsupervised Multitask Learners") and what came of it.
//!
//! Each layer adds what attention and a feed-forward block make of the normed residual stream to it. One
//! implementation; what differs between the families is data. The same operations run whatever the batch, so that the
//! recorded graph is always the same.

mod attention;
mod cache;
mod config;
mod family;
mod layer;
mod mask;
mod model;
mod network;
mod norm;
mod rotary;
mod rotary_config;
mod spec;

pub use cache::Cache;
pub(crate) use config::end_tokens;
pub(crate) use family::{NormKind, Projections, names, supported};
pub use model::CausalLm;
pub(crate) use model::tie;
pub(crate) use spec::DecoderSpec;

use super::fields::Fields;

/// What a config of `model_type` describes; `None` if that is no decoder.
pub(crate) fn read(model_type: &str, fields: Fields<'_>) -> Option<Result<DecoderSpec, String>> {
    family::family_of(model_type).map(|family| config::read(family, fields))
}
