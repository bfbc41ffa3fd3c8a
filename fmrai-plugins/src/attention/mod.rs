//! Attention probabilities of the valid tokens, and what is counted in them.

mod heads;
mod patterns;
mod probabilities;
mod state;
mod tokens;

pub use heads::{HeadLayout, LayerHeads, LeftOut};
pub(crate) use patterns::mean_of;
pub use patterns::{Pattern, PatternSums, Sight, Statistic};
pub use probabilities::{BatchAttention, TextAttention};
pub(crate) use state::{check_smoothing_of, read_counts, read_f64};
pub use tokens::{TextTokens, TokenKinds};
