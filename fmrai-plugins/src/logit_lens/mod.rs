//! The logit lens (nostalgebraist 2020, "interpreting GPT: the logit lens"): the residual stream before, between and after the blocks,
//! read through the model's own last norm and map to the vocabulary ([`lens`](crate::lens)).
//!
//! With `h_l` the stream before block `l` at a position, and `h_L` the last one, `q_l = softmax(lens(h_l))`, where the statistics of norms
//! are those of `h_l`; `p` is the model's own distribution there. Per layer:
//!
//! - `probability`: `q_l[t]`; `rank`: the number of tokens with a larger logit than `t`, from 0; `t` is the target, the next token of
//!   the text, or in a masked language model the token of the position itself;
//! - `entropy`: `-sum q_l ln q_l`, in nats;
//! - `kl`: `sum p (ln p - ln q_l)`, in nats: how far the model still is from what it will say.
//!
//! Each is the mean over the tokens of a text (those with a target, for probability and rank), then over texts, every text weighing the
//! same. Special tokens are tokens; padding is none. `h_L` is read too, and compared with the model's logits.
//!
//! Differences to the code of tuned-lens: none in the formulas; in `TransformerLens`, `logit_attrs` has one scale for all layers, which
//! is no lens.
//!
//! Memory: four numbers for each stream, the grid, and the weights of the map.

mod analysis;
mod analyzer;
mod config;
mod figures;
mod grid;
mod means;
mod measures;
mod read;
mod registration;
mod report;
mod streams;
mod sums;

pub use analysis::LogitLens;
pub use config::{LogitLensConfig, Target, TextsOf};
