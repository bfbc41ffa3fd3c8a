//! The residual stream.
//!
//! # What counts as an addition to it
//! A sum of two activations of one size, where one (the stream) has other readers besides the sum, and the other was
//! computed from it, through at least one weight or product of activations, with no other addition to that stream
//! between. A difference, an interpolation (`lerp`), a scaled addition (`addcmul`, `alpha`) and one that is a part of a product
//! (`baddbmm`, `addmm`) are sums too. The stream is recognised through views, parts along positions and what puts them
//! together again, casts, dropout, normalisation, constant and learned factors and shifts, and a ReLU; what
//! comes after more than that (a map to another width, a shortcut with a convolution) is another stream.
//!
//! An addition within a block, such as a skip around an attention's output before its last linear map, is none.
//!
//! Blocks that run in parallel and are summed before they are added make one addition with several writers; where
//! each is added on its own there are several additions.

mod addition;
mod find;
mod writers;

use serde::{Deserialize, Serialize};

use crate::graph::{OperationId, TensorId};

pub use addition::Addition;
pub(super) use find::{Ends, Routing, Write, ends, find_residual};
pub(super) use writers::with_writers;

/// A block that writes into the residual stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Writer {
    /// The attention block at this position of [`Structure::attention`](super::Structure::attention).
    Attention(usize),
    /// The block at this position of [`Structure::feed_forward`](super::Structure::feed_forward).
    FeedForward(usize),
    /// Something else with weights: convolutions, state-space mixers, adapters, ...
    Other,
}

/// One addition to the residual stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Residual {
    /// Position among all additions, from 0, in execution order.
    pub layer: usize,
    /// Which stream, from 0: encoder and decoder, text and image have their own.
    pub stream: usize,
    /// Path of the module it runs in; empty where not known.
    pub module: String,
    /// The addition.
    pub operation: OperationId,
    /// The stream as it is added to, `[batch, token, channel]`. Of the first addition of a stream these are the
    /// summed embeddings. In models that normalise the stream itself (post-norm), already normalised.
    pub before: TensorId,
    /// What is added, `[batch, token, channel]`.
    pub written: TensorId,
    /// The sum, `[batch, token, channel]`.
    pub after: TensorId,
    /// How it is added.
    #[serde(default, skip_serializing_if = "Addition::is_sum")]
    pub addition: Addition,
    /// The blocks that computed `written`, in execution order; several where they run in parallel.
    pub writers: Vec<Writer>,
}
