//! Steering: directions of the stream that tell two kinds of texts apart, and what adding them or taking them out does (Rimsky et al. 2024,
//! "Steering Llama 2 via Contrastive Activation Addition"; Arditi et al. 2024, "Refusal in Language Models Is Mediated by a Single
//! Direction"; Turner et al. 2023, "Activation Addition").
//!
//! The data are pairs of texts. With `x` the stream at the chosen `positions` of a text, or its mean over them:
//!
//! - `direction` `[stream, channel]` is the mean over pairs of `x_clean − x_corrupted`; row `l` is that of the stream before layer `l`, and the last
//!   one of the stream after the last layer. It is not scaled; `norm` `[stream]` has the lengths. Sums are made in float64.
//! - `effect` `[layer, strength]` is the mean over pairs of the metric of the corrupted text with `strength · direction[l]` added to the stream
//!   before layer `l` at all positions. Strength 0 is the run as it is.
//! - `ablated` `[layer]` is that of the clean text with `x ← x − u(u·x)`, `u` the direction of length 1, in the stream before layer `l` at all
//!   positions. (Arditi et al. take it out of the stream everywhere at once.)
//! - `clean` `[]` and `corrupted` `[]` are the metric of the texts as they are.
//!
//! The data are read twice, once for the direction, unless it is given by a file: `[channel]`, used in every layer, or `[stream, channel]`.
//! The direction is made and its effect measured on the same pairs; what it does elsewhere, a run on other pairs with the file of this one tells.
//! `fmrai generate --steer` writes texts with it. Where the direction has length 0, as before layer 0 for texts that end with the same
//! token, nothing is changed, and the results are those of the runs as they are.

mod config;
mod directions;
mod experiment;
mod figures;
mod found;
mod registration;
mod report;

pub use config::{DirectionFile, GivenDirection, Positions, SteeringConfig};
pub use directions::Directions;
pub use experiment::Steering;
