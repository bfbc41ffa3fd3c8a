//! The vocabulary of fMRAi: what a model did, as data, and the traits of those who look at it.
//!
//! - [`graph`]: the [`Graph`](graph::Graph) of one forward pass: operations, tensors, constants, module paths.
//! - [`tracker`]: the [`Tracker`](tracker::Tracker) trait, which records a graph and keeps requested tensors.
//! - [`structure`]: attention found in a graph by its data flow, never by names.
//! - [`selector`]: what a plan or a caller names tensors by: role and layer, module path, name or id.
//! - [`analyzer`]: the [`Analyzer`](analyzer::Analyzer) trait, its configs and their registry.
//! - [`experiment`]: the [`Experiment`](experiment::Experiment) trait, and what it can ask of a model: edits, measures, gradients.
//! - [`registry`]: what plans can name, registered by the crates that have it.
//! - [`batch`]: what an analyzer is shown: samples, tokens and captured tensors.
//! - [`activations`]: captured tensors on disk, which analyses can run from instead of a model.
//! - [`attention`]: the heads of a model, and the rows of their captured probabilities that count.
//! - [`sequences`]: which tokens the positions of a tensor are.
//! - [`report`]: what an analyzer hands back: summary, tables, tensors, and figures as data.
//! - [`abi`]: analyzers in library files of their own, whatever compiler or language made them.
//! - [`file_kind`]: what a file is by its first bytes, for messages.
//! - [`suggest`]: what somebody may have meant who wrote a name that there is not.
//! - [`testing`]: batches and structures in memory, for the tests of analyzer crates.

pub mod abi;
pub mod activations;
pub mod analyzer;
pub mod attention;
pub mod batch;
pub mod experiment;
pub mod file_kind;
pub mod graph;
pub mod json_float;
pub mod registry;
pub mod report;
pub mod selector;
pub mod sequences;
pub mod strict_json;
pub mod structure;
pub mod suggest;
pub mod tensor;
pub mod testing;
pub mod tolerance;
pub mod tracker;

#[doc(hidden)]
pub mod __private {
    //! What [`register!`](crate::register) expands to; not an interface.
    pub use {inventory, typetag};
}

/// The guide's example is a test.
#[cfg(doctest)]
#[doc = include_str!("../../docs/analyzers.md")]
struct Guide;
