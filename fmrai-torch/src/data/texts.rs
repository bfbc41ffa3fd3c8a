//! Texts that stand in the plan itself.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::records::{Record, Records};
use super::settings::Settings;
use super::{Batches, DataContext, DataError, DataSource};
use crate::files::FileInfo;

/// What the texts are called where files are listed.
const NAME: &str = "(texts)";

/// Texts that stand in the plan: for a handful of sentences. Line breaks are a part of a text; empty ones are left out and counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GivenTexts {
    /// The texts, at least one.
    #[schemars(length(min = 1))]
    pub texts: Vec<String>,
    /// Number of texts per batch, at least 1; 8 by default.
    #[serde(default = "default_batch_size")]
    #[schemars(range(min = 1))]
    pub batch_size: usize,
    /// Longest text in tokens, special tokens included; longer ones are cut, and counted. At least one token more than the tokenizer adds, at
    /// most what the model takes, which is the default.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub max_tokens: Option<usize>,
    /// Read the first texts only, at least 1; all by default.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub limit: Option<u64>,
}

fn default_batch_size() -> usize {
    8
}

crate::register_data_source!(GivenTexts, name: "texts", summary: "texts that stand in the plan itself",
);

impl GivenTexts {
    /// All of them, in batches of the default size, each as long as the model takes.
    #[must_use]
    pub fn new(texts: Vec<String>) -> Self {
        Self { texts, batch_size: default_batch_size(), max_tokens: None, limit: None }
    }
}

impl DataSource for GivenTexts {
    fn open<'a>(&self, context: &DataContext<'a>) -> Result<Box<dyn Batches + 'a>, DataError> {
        let path = PathBuf::from(NAME);
        let settings = Settings {
            path: &path,
            batch_size: self.batch_size,
            max_tokens: self.max_tokens,
            limit: self.limit,
        };
        let bytes: usize = self.texts.iter().map(String::len).sum();
        // Each text with its length before it, so that other texts have another hash.
        let mut hash = Sha256::new();
        for text in &self.texts {
            hash.update((text.len() as u64).to_le_bytes());
            hash.update(text);
        }
        let sha256 = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        let info = FileInfo { name: NAME.to_owned(), bytes: bytes as u64, sha256 };
        let records = Listed { texts: self.texts.clone(), next: 0, bytes: 0 };
        settings.open_records(context, PathBuf::from(NAME), info, records)
    }
}

/// The texts, one after the other.
struct Listed {
    texts: Vec<String>,
    next: usize,
    bytes: u64,
}

impl Records for Listed {
    fn next(&mut self) -> Result<Option<Record>, DataError> {
        let Some(text) = self.texts.get(self.next).cloned() else { return Ok(None) };
        self.next += 1;
        self.bytes += text.len() as u64;
        Ok(Some(Record::new(text, self.next as u64)))
    }

    fn bytes(&self) -> u64 {
        self.bytes
    }
}
