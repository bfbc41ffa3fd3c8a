//! The examples do what they say.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod studies;
#[path = "../tensors/mod.rs"]
mod tensors;
mod training;
