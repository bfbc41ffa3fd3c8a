//! Data: where samples come from, and how they become batches.

mod batches;
mod batching;
mod csv;
mod error;
mod fit;
mod ids;
mod jsonl;
mod probe;
mod records;
mod registry;
mod source;
mod steady;
mod tensors;
mod text;

pub use batches::{Batches, Counts, InputBatch};
pub use csv::Csv;
pub use error::DataError;
pub use ids::unknown_token;
pub(crate) use ids::{Outside, outside};
pub use jsonl::JsonLines;
pub use probe::probe;
pub use registry::{DataSourceEntry, DataSources};
pub use source::{DataContext, DataSource, RegisteredDataSource};
pub use tensors::TensorFiles;
pub use text::TextLines;
