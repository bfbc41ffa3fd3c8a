//! Where data come from.

use std::fmt;
use std::path::Path;

use super::batches::Batches;
use super::error::DataError;
use crate::model::InputSpec;
use crate::text::Tokenizer;

/// What a plan says of the data. Cheap; owns no tensor.
///
/// Implement it, and give it its name in a plan with [`register_data_source!`](crate::register_data_source).
pub trait DataSource: fmt::Debug + Send + Sync {
    /// Opens the data for reading from the start.
    ///
    /// # Errors
    /// [`DataError`] names the file and line at fault, what was found and what is needed.
    fn open<'a>(&self, context: &DataContext<'a>) -> Result<Box<dyn Batches + 'a>, DataError>;
}

/// A data source with its name: what the field `type` of the data in a plan chooses.
///
/// [`register_data_source!`](crate::register_data_source) implements it.
#[typetag::serde(tag = "type")]
pub trait RegisteredDataSource: DataSource {}

/// What a data source needs from its host.
#[derive(Debug, Clone, Copy)]
pub struct DataContext<'a> {
    /// Folder that relative paths start from.
    pub base: &'a Path,
    /// The model's tokenizer, if it has one.
    pub tokenizer: Option<&'a Tokenizer>,
    /// Longest input of the model, in tokens.
    pub max_tokens: Option<usize>,
    /// The inputs that the model takes.
    pub inputs: &'a [InputSpec],
}
