//! Models and data against PyTorch's results, and against everything that can be wrong with them.
#![cfg(feature = "torch")]

mod common;
mod data_errors;
mod data_sources;
mod model_errors;
mod model_inputs;
mod models;
mod tokenizers;
