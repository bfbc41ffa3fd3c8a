//! Laws of the bench on random programs with views and writes, and functions in edits and objectives.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

mod functions;
mod laws;
mod program;
