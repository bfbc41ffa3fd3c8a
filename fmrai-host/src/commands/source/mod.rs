//! Models and data as they are named on the command line.

mod data;
mod named;
mod subject;

pub(crate) use data::{DataOptions, data, texts};
pub(super) use named::{Named, named};
pub(super) use subject::{Subject, no_model, subject};
