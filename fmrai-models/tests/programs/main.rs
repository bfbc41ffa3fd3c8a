//! Models of any architecture: exported programs and TorchScript.
#![allow(clippy::needless_pass_by_value, reason = "JSON literals are passed as they are written")]
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    reason = "helpers of tests fail as tests do"
)]

mod archives;
mod as_found;
mod bad_archives;
mod cases;
mod exported;
mod footprint;
mod kinds;
mod limits;
mod live;
mod state;
#[path = "../tensors/mod.rs"]
mod tensors;
mod torchscript;
