//! Head detection: which attention heads look at the previous token, at earlier equal tokens, and at what followed those; which heads copy,
//! and how strongly heads read what others write (Elhage et al. 2021, "A Mathematical Framework for Transformer Circuits"; Olsson et al.
//! 2022, "In-context Learning and Induction Heads").
//!
//! With `A[i, j]` the probability that query `i` gives to key `j`, and valid tokens alone, special ones included:
//!
//! - `previous_token`: `A[i, i−1]`, mean over the queries of a text that have a previous token, then over texts;
//!   `previous_token_pooled` is the mean over all queries of all texts;
//! - `duplicate_token`: the sum of `A[i, j]` over earlier tokens `j < i` equal to token `i`;
//! - `induction`: the sum of `A[i, j+1]` over the same `j`: what followed an equal token. After an immediate repetition that is the query itself.
//!
//! The last two are means over all queries of all texts that have an earlier equal token, since many texts have hardly any. `repeated.…` are the
//! same on rows of random tokens that are repeated, after the tokenizer's first token if it has one: there nothing but position and equality
//! can be used. `prefix_matching` (Olsson et al.) is measured on 10 rows of 25 random tokens four times, none of them twice in a row: the mean over
//! all repetitions of the sum of `A` to the tokens after the same token in the earlier ones. The authors leave out the most and the least
//! common tokens, too, whose frequencies are not known here.
//!
//! Of the weights alone, without norms, biases and MLPs, with row vectors (`x W`):
//!
//! - `copying`: `Σλ / Σ|λ|` over the eigenvalues of `W_E W_V W_O W_U`, from −1 to 1, where `W_E` is the token embedding and `W_U` the map to
//!   the vocabulary. They are those of the small matrix `W_O W_U W_E W_V`, a row and a column for each channel of the head. Above 0, tokens raise
//!   their own logits.
//! - `composition.q`, `.k`, `.v` by `[writing layer, head, reading layer, head]`: `‖W_OV M‖ / (‖W_OV‖ ‖M‖)` with Frobenius norms, `W_OV = W_V W_O` of the
//!   writing head, and `M` of the reading one: `W_Q W_Kᵀ`, its transpose, or `W_OV`. 0 where the reading head is in no later layer. A rotation by position
//!   between `W_Q` and `W_K` is left out, so those numbers are for tokens at the same position. Random matrices have a composition above
//!   0, too; `baseline` subtracts what is expected of them, as Elhage et al. do.
//!
//! `in_context_learning` is the mean over texts of the loss on token `late` minus the loss on token `early`, in nats, tokens counted from 0: −0.4 in
//! Olsson et al. for tokens 500 and 50, about the same for all models. `repeated.in_context_learning` is that between the middles of the last and the
//! first of the repeated parts.
//!
//! What a model does not have is named in the summary, and all else is computed. The random rows run once, whatever the data are.

mod analysis;
mod composition;
mod config;
mod copying;
mod experiment;
mod figures;
mod learning;
mod matrices;
mod registration;
mod repeated;
mod report;
mod scores;
mod sums;
mod tokens;
mod weights;

pub use analysis::HeadDetection;
pub use config::{Baseline, HeadDetectionConfig, InContextLearning, Repeats, Score};
