//! Attention probabilities of the valid tokens, what is counted in them, and how reports tell it.

mod columns;
mod left_out;
mod patterns;
mod smoothing;
mod tokens;

pub(crate) use columns::{head_columns, statistic_columns};
pub use fmrai_core::attention::{BatchAttention, HeadLayout, LayerHeads, LeftOut, TextAttention};
pub(crate) use left_out::{left_out, nothing_seen, rows_left_out, sequences, told_left_out};
pub(crate) use patterns::mean_of;
pub use patterns::{Pattern, PatternSums, Sight, Statistic};
pub(crate) use smoothing::check_smoothing;
pub use tokens::{TextTokens, TokenKinds};
