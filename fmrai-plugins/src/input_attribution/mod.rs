//! Input attribution: which tokens of a text an answer comes from (Simonyan et al. 2014; Shrikumar et al. 2017; Sundararajan et al. 2017,
//! "Axiomatic Attribution for Deep Networks"; Abnar and Zuidema 2020, "Quantifying Attention Flow in Transformers").
//!
//! `f` is the metric at the position where the answer is read, `x` what the token embedding gives, `[token, channel]`: after the number that some
//! models multiply it with, and before positions are added.
//!
//! - `saliency`: `‖∂f/∂x‖`, the Euclidean norm over the channels of a token.
//! - `input_x_gradient`: `Σ x · ∂f/∂x` over the channels.
//! - `integrated_gradients`: `Σ (x − x') ∫₀¹ ∂f/∂x (x' + α (x − x')) dα` over the channels, by Gauss-Legendre quadrature. The baseline `x'` is zero,
//!   the mean of the embedding's table, or the embedding of one token. They sum to `f(x) − f(x')`: the number of nodes is doubled until
//!   the completeness error `|Σ − (f(x) − f(x'))| / |f(x) − f(x')|` is below `bound`, up to `max_steps`. RMS norms make of next to nothing
//!   something, so that from a zero baseline nearly all happens next to it, at the smaller shares of the way the more norms there are. So with
//!   more than `n_steps` nodes these stand at `α = s^p`, which is the same integral; `p` is the number of powers of ten down to which `f` differs from
//!   `f(x')`. Deep models of this kind need another baseline.
//! - `rollout`: with `A` the attention of a layer, mean over its heads, `Â = (A + I) / 2` with rows that sum to 1, and `R_l = Â_l R_(l−1)`: how
//!   much of each input position (last axis) there is in each position. It knows neither values nor MLPs nor the answer.
//!   In tables and figures it is the row of the position where the answer is read.
//!
//! The data are pairs of texts, of which the clean ones are attributed (`of`), with the answers of the data; or texts, with the next token that the
//! model itself finds most probable at their last token, or with their own last token at the one before it (`target`). The logit of a text's token is its
//! `logit_difference`.
//!
//! Results by text are kept of the `texts` texts that come first in the data. Over all texts there are the completeness errors and, where parts of
//! texts have names, the share of each in the sum of magnitudes, `Σ_part |a| / Σ |a|`.

mod analysis;
mod config;
mod experiment;
mod figures;
mod integral;
mod kept;
mod passes;
mod quadrature;
mod registration;
mod report;
mod rollout;
mod shown;
mod start;
mod subject;
mod totals;

pub use analysis::InputAttribution;
pub use config::{InputAttributionConfig, Method, Target, Which};
