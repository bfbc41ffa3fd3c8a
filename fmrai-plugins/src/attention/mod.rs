//! Attention probabilities of the valid tokens, what is counted in them, and how reports tell it.

mod columns;
mod heads;
mod left_out;
mod patterns;
mod probabilities;
mod smoothing;
mod tokens;

pub(crate) use columns::{head_columns, statistic_columns};
pub use heads::{HeadLayout, LayerHeads, LeftOut};
pub(crate) use left_out::{left_out, nothing_seen, rows_left_out, sequences, told_left_out};
pub(crate) use patterns::mean_of;
pub use patterns::{Pattern, PatternSums, Sight, Statistic};
pub use probabilities::{BatchAttention, TextAttention};
pub(crate) use smoothing::check_smoothing;
pub use tokens::{TextTokens, TokenKinds};
