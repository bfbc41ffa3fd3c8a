//! Models and data against PyTorch's results, and against everything that can be wrong with them.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests fail as tests do"
)]

mod as_found;
mod bench;
mod common;
mod data_errors;
mod data_sources;
mod decoder_errors;
mod decoder_graphs;
mod decoders;
mod encoder_graphs;
mod generation;
mod gguf;
mod gguf_real;
mod masks;
mod model_errors;
mod model_inputs;
mod models;
mod quantised;
mod recorded;
mod remade;
mod surfaces;
#[path = "../tensors/mod.rs"]
mod tensors;
mod tokenizers;
