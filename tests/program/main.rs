//! The program from end to end, through its commands: what users see. One program, since each takes long to link.

#![allow(clippy::duplicate_mod, reason = "two examples that train share a file")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic is how a test fails"
)]

mod activations;
mod agreement;
mod batching;
mod captures;
mod cli;
#[path = "../common/mod.rs"]
mod common;
mod estimate;
mod experiments;
mod formats;
mod generate;
mod induction;
mod kv;
mod lens;
mod loading;
mod memory;
mod naming;
mod neurons;
mod pairs;
mod readings;
mod same_model;
mod trust;
