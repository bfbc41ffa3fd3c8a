//! Laws of the bench on random programs with views and writes, functions in edits and objectives, and what is said of wrong ones.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod functions;
mod laws;
mod mistakes;
mod program;
