//! Files that were changed at random, of every kind that the program reads: the outcome is what it was or an error in words,
//! never a panic, a crash or a wait without end; and where a hash of the file was written down, never another result.
//!
//! `FMRAI_TRIALS` says how many changes are tried of each kind, `FMRAI_SEED` which ones. What failed is kept below
//! `target/tmp/mutations`. TorchScript is left out: libtorch reads it, and does not survive all that it may hold.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

#[path = "../common/mod.rs"]
mod common;
mod data;
#[path = "../../fmrai-host/fuzz/parsers.rs"]
mod fuzzed;
mod models;
mod mutate;
mod parsers;
mod plans;
mod stored;
mod trial;
