//! Captured attention as methods read it: the heads of a model, and for each text the rows of probabilities that count, without padding.

mod heads;
mod probabilities;
mod row;

pub use heads::{HeadLayout, LayerHeads, LeftOut};
pub use probabilities::{BatchAttention, TextAttention};
pub use row::AttentionRow;
