//! Data: where samples come from, and how they become batches.

mod batches;
mod batching;
mod csv;
mod encoding;
mod error;
mod fit;
mod given_texts;
mod ids;
mod jsonl;
mod objects;
mod pairs;
mod parquet;
mod probe;
mod records;
mod registry;
mod settings;
mod several;
mod source;
mod steady;
mod tensors;
#[cfg(test)]
mod tests;
mod text;
mod text_file;
mod texts;

pub use batches::{Batches, Counts, InputBatch, RefusedRecord};
pub use csv::Csv;
pub use error::DataError;
pub use given_texts::batch_of_texts;
pub use ids::unknown_token;
pub(crate) use ids::{Outside, outside};
pub use jsonl::JsonLines;
pub use pairs::{Lengths, TextPairs};
pub use parquet::ParquetTexts;
pub use probe::{probe, token_rows};
pub use registry::{DataSourceEntry, DataSources};
pub use source::{DataContext, DataSource, RegisteredDataSource};
pub use tensors::TensorFiles;
pub use text::TextLines;
pub use text_file::find;
pub use texts::GivenTexts;
