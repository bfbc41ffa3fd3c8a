//! Plain text files: one text per line.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::batching::{Settings, default_batch_size};
use super::records::Lines;
use super::{Batches, DataContext, DataError, DataSource};

/// A plain text file in UTF-8, one text per line. Empty lines are left out and counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TextLines {
    /// The file, relative to the plan.
    pub path: PathBuf,
    /// Texts per batch, at least 1; 8 by default.
    #[serde(default = "default_batch_size")]
    #[schemars(range(min = 1))]
    pub batch_size: usize,
    /// Longest text in tokens, special tokens included; longer ones are cut, and counted. At least one token more than
    /// the tokenizer adds, at most what the model takes, which is the default.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub max_tokens: Option<usize>,
    /// Read the first texts only, at least 1; all by default.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub limit: Option<u64>,
}

crate::register_data_source!(TextLines, name: "text", summary: "plain text in UTF-8, one text per line",
);

impl DataSource for TextLines {
    fn open<'a>(&self, context: &DataContext<'a>) -> Result<Box<dyn Batches + 'a>, DataError> {
        Settings {
            path: &self.path,
            batch_size: self.batch_size,
            max_tokens: self.max_tokens,
            limit: self.limit,
        }
        .open(context, |path, file| Ok(Box::new(Lines::new(path, file))))
    }
}
