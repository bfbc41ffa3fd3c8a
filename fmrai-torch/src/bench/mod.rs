//! The bench on which experiments run variants of a batch, on a live model.
//!
//! A pass of variants is made cheap in three ways, each of which can be switched off ([`BenchSettings`]) and none of which changes
//! results by more than rounding:
//! - **prefix reuse**: an operation that no edit can have changed is answered with what it made in the clean pass
//!   ([`CleanPass`](crate::capture::CleanPass));
//! - **packing**: variants of the same rows run together, as rows of one larger batch;
//! - **early end**: a pass ends after the last tensor that anybody wants, and of the map to the vocabulary only the positions that
//!   count are computed, where that map treats positions apart.

mod acting;
mod batch;
mod check;
mod chunks;
mod clean_values;
mod edits;
mod function;
mod gradients;
mod measure;
mod model_bench;
mod of_site;
mod packing;
mod pass;
mod reading;
mod readout;
mod rows;
mod settings;
mod study;
#[cfg(test)]
mod tests;
mod value;

pub(crate) use acting::actions_of;
pub use batch::BenchInputs;
pub use function::function;
pub use model_bench::ModelBench;
pub use settings::BenchSettings;
pub use study::{NamedTensor, Study, StudyError};
