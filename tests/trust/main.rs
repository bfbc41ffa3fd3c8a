//! What has a hash is what was used, and no path that a person can write brings the program down.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

#[path = "../common/mod.rs"]
mod common;
mod files;
mod paths;
