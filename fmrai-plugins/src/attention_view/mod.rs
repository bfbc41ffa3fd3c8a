//! The attention of every head over chosen texts, kept to be looked at.
//!
//! With `A[i, j]` the probability that query `i` gives to key `j`, per head: the rows and columns of the first tokens of a text, as the
//! model computes them, special tokens included and padding left out. Nothing is averaged. Where a text is cut, its rows sum to less than
//! 1 by what they give to later tokens; where a model has attention sinks, by what these get.
//!
//! Memory: at most `max_values` numbers, whatever the data and the model. They are rounded to IEEE 754 binary16 (three significant digits, an
//! error below 0.0005 of a probability), and stored as float32.
//!
//! The tensors are called `attention.TEXT` with the number of the text, `[layer, head, query, key]`; NaN fills layers with fewer heads, and
//! layers that are left out. Reports show them as pictures that can be explored.

mod analyzer;
mod config;
mod figures;
mod kept;
mod registration;
mod report;

pub use analyzer::AttentionView;
pub use config::AttentionViewConfig;
