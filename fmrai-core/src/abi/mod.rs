//! Analyzers in library files of their own: a C ABI that outlives compilers, and both sides of it in Rust.
//!
//! The contract is the header `include/fmrai.h`, which C and C++ authors include. A Rust author writes an
//! [`Analyzer`](crate::analyzer::Analyzer) and registers it as ever, and exports it with one line more,
//! [`export_plugin!`](crate::export_plugin); built as a `cdylib`, the crate is a plugin. The host finds a
//! [`Manifest`] in the file, loads it, and [`ForeignPlugin::connect`] gives its analyzers back as `Box<dyn Analyzer>`.
//!
//! Tensors are lent as DLPack, without a copy; models, configs and reports are JSON; states are bytes. Nothing is freed
//! by the other side, and nothing unwinds across. Plugins are native code: loading one is trusting it.
#![expect(unsafe_code, reason = "calls across a C ABI; every block says why it is sound")]
#![allow(
    clippy::multiple_unsafe_ops_per_block,
    reason = "reading a field of a pointer and calling a function is one step"
)]

mod batch;
mod description;
mod export;
mod foreign;
mod foreign_bench;
mod functions;
mod guard;
mod handshake;
mod host;
mod instance;
mod lent_bench;
mod log;
mod manifest;
mod model;
mod raw;
mod report;
mod sites;
mod tensor;
#[cfg(test)]
mod tests;

pub use description::Description;
#[doc(hidden)]
pub use export::entry;
pub use foreign::{ConfigRefused, ENTRY_SYMBOL, EntryFunction, ForeignAnalyzer, ForeignPlugin, loopback};
pub use handshake::HandshakeError;
#[doc(hidden)]
pub use manifest::ManifestSection;
pub use manifest::{About, Manifest};

/// Major version of the ABI: both sides need the same.
pub const ABI_MAJOR: u32 = 1;
/// Minor version of the ABI: each side uses what the other has.
pub const ABI_MINOR: u32 = 3;

/// The header for C and C++ authors.
pub const HEADER: &str = include_str!("../../include/fmrai.h");
