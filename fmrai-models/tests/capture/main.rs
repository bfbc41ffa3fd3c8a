//! Capture at the dispatcher: what is recorded and kept, and what acts on a pass.
#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail as tests do")]

mod acting;
mod recording;
mod versions;
