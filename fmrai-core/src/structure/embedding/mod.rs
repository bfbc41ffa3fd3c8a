//! Embeddings.
//!
//! # What counts as which
//! Lookups of rows of a real-valued parameter by ids that no activation is behind:
//! - by an integer input: *token*, but for a table that is summed with one of more rows: *token type* if it has at
//!   most 32 rows, else *position*;
//! - by a range or a cumulative sum: *position*;
//! - by constants: *token type* if the table has fewer rows than there are constants or the ids are all one number,
//!   else *position*;
//! - *relative position* where the result goes into scores of attention, its axes moved or as a mask.
//!
//! At the start of a stream: parameters that are added as they are (*position*) or put before the tokens (*learned*).
//! From a real-valued input on, as long as one operation takes what the last one made, and only where a stream begins behind:
//! convolutions whose kernels do not overlap and linear maps of patches that were put side by side (*patch*), other convolutions
//! (*stem*), and a linear map of what the input has at each position (*features*). A network without a stream has none.

mod find;

use serde::{Deserialize, Serialize};

use crate::graph::{OperationId, TensorId};

pub(super) use find::find_embeddings;

/// What an embedding stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EmbeddingKind {
    /// Rows of a table by the model's integer input.
    Token,
    /// Rows of a table by position, or a table that is added as it is.
    Position,
    /// Rows of a small table by the segment that a token belongs to.
    TokenType,
    /// Rows of a table by distance between positions, for attention scores.
    RelativePosition,
    /// A linear map of non-overlapping patches of the input.
    Patch,
    /// A convolution of overlapping windows of the input.
    Stem,
    /// A learned vector put before the tokens, such as a class token.
    Learned,
    /// A linear map of the features that the input has at each position, such as the values of a time series.
    Features,
}

impl EmbeddingKind {
    /// Its name in listings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Position => "position",
            Self::TokenType => "token type",
            Self::RelativePosition => "relative position",
            Self::Patch => "patch",
            Self::Features => "features",
            Self::Stem => "stem",
            Self::Learned => "learned token",
        }
    }
}

/// One embedding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Embedding {
    /// Position among all embeddings, from 0, in execution order.
    pub layer: usize,
    /// What it stands for.
    pub kind: EmbeddingKind,
    /// Path of the module it runs in; empty where not known.
    pub module: String,
    /// The operation.
    pub operation: OperationId,
    /// The table `[row, channel]`, or the kernel of a convolution.
    pub weight: TensorId,
    /// The ids, or the image or signal; absent where a table is added as it is.
    pub input: Option<TensorId>,
    /// The vectors, `[batch, token, channel]`.
    pub output: TensorId,
    /// Rows of the table: the size of the vocabulary, the longest position, ...; absent for convolutions.
    pub rows: Option<usize>,
}
