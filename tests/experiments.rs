//! Experiments through the program, on the decoders of the references: against PyTorch's hooks in float64, and under the laws that they promise.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod common;
#[path = "experiments/mod.rs"]
mod experiments;
