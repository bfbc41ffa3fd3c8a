//! Host library: plans, runs, reports.
//!
//! - [`plan`]: from a JSON file to something that can run, with every mistake told at once.
//! - [`run`]: one pass over the data, shared by all analyses; [`checkpoint`] lets it go on after a stop.
//!   [`run::Run`] is one put together from values, for programs that embed this library.
//! - [`results`]: the files of a run; their pictures are drawn by [`fmrai_draw`].
//! - [`events`]: what happens in a run, for those who watch it.
//! - [`report`]: the folder of a run as one document, which [`fmrai_report`] makes a page of.
//! - [`serve`]: the same over HTTP, for runs that go on and for texts of one's own.
//! - [`plugins`]: analyzers in library files, checked before they are loaded.
//! - [`cli`]: the `fmrai` program.

/// The page on embedding, whose code is compiled and run as a test.
#[cfg(all(doctest, feature = "models"))]
#[doc = include_str!("../../docs/embedding.md")]
struct Embedding;

// What is built in registers itself, but only if its crate is linked.
#[cfg(feature = "models")]
use fmrai_models as _;
use fmrai_plugins as _;

mod calls;
pub mod checkpoint;
pub mod cli;
mod commands;
mod ended;
pub mod error;
mod estimate;
pub mod events;
mod guardian;
mod held;
mod interrupts;
mod paths;
pub mod plan;
pub mod plugins;
pub mod progress;
pub mod report;
mod resident;
pub mod results;
pub mod run;
pub mod serve;
mod stores;
mod terminal;
#[cfg(test)]
mod testing;
mod threads;
pub mod version;
