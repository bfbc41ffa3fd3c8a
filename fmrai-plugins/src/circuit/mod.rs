//! Circuits: which edges between the input, heads, feed-forward blocks and the logits carry an answer (Conmy et al. 2023, "Towards Automated Circuit
//! Discovery"; Syed et al. 2023, "Attribution Patching Outperforms Automated Circuit Discovery"; Hanna et al. 2024, "Have Faith in
//! Faithfulness"; Mueller et al. 2025, "MIB").
//!
//! # The graph
//! What writes into the stream: the input (the stream before the first block), heads `a0.h1` (what the output projection takes of a head, times
//! its part of `W_O`), feed-forward blocks `m0`. What reads it: queries, keys and values of each head, `a2.h3<q>`, feed-forward blocks and `logits`. There
//! is an edge, `a0.h1->a2.h3<q>`, wherever one comes before the other. Biases belong to no node. Keys and values that heads share are
//! destinations for each query head where the model repeats them; where it does not, `a2.g1<k>` is one destination for the heads that share it.
//!
//! # Scores
//! The data are pairs of texts; `m` is the metric of the clean text, `u` what a node gives to the stream, and a score is a mean over pairs, in the unit
//! of the metric: what corrupting the edge adds to `m`.
//! - *eap*: `Σ (u_corrupted − u_clean) · ∂m/∂v`, over positions and channels, with the gradient of the clean run at what the destination `v` reads of the
//!   stream, before the norm, by way of this destination alone.
//! - *eap_ig*: the same with the mean of the gradients of runs whose token embeddings are `z_corrupted + k/steps · (z_clean − z_corrupted)`, `k = 1 ..= steps`.
//! - *exact*: `m` with the edge alone corrupted, less `m`; all behind it computed anew.
//! - *acdc*: edges are tried one after the other, from the logits down and of each destination from the latest node on. If `m` gets worse by less than
//!   `tau`, the edge is taken out for good. Scores are what each trial did to `m`, above 0 where it got worse, and NaN for edges whose destination led
//!   nowhere any more.
//!
//! # Circuits
//! In the run of a circuit each destination reads the stream of the corrupted run, and for each of its edges in the circuit what the node gives
//! more in this run: `Σ_in u_online + Σ_out u_corrupted` and biases. All is computed anew, layer by layer. Edges that are not connected to the input and the logits
//! are taken out first. *Faithfulness* is `(m(C) − m(∅)) / (m(M) − m(∅))` of the means over pairs, with no edge in `∅` and all in `M`: the corrupted and the
//! clean text. Tensors by `[fraction]` are about circuits of that share of all edges, rounded down: `edges`, `edges.left` after taking out,
//! `metric`, `faithfulness`. `cpr` is the area under the latter by trapezoids over the fractions, `cmd` that of `|1 − faithfulness|`.
//!
//! The circuit that is reported is the smallest one that was found to be faithful enough: faithfulness is taken to rise with size from the last fraction
//! that is below it to the first one that is not.
//!
//! Models that normalise or scale what attention adds to the stream, or the stream itself, are refused.

mod config;
mod dot;
mod evaluate;
mod experiment;
mod found;
mod graph;
mod picture;
mod registration;
mod removal;
mod report;
mod runs;
mod scores;
mod search;
mod select;
mod sums;
mod wiring;

pub use config::{CircuitConfig, Method, Select};
pub use experiment::CircuitSearch;
