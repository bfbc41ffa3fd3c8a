//! What every source of texts can be told.

use std::path::{Path, PathBuf};

use super::batching::{Grouping, Singles, TextBatches};
use super::encoding::Encoder;
use super::fit::Fit;
use super::records::Records;
use super::several::Several;
use super::steady::SteadyFile;
use super::text_file::{NamedFile, TextFile, files};
use super::{Batches, DataContext, DataError};
use crate::files::FileInfo;
use crate::text::{HOW, Tokenizer};

/// Writes the config of a source of texts: `path`, its own fields, and then `batch_size`, `max_tokens` and `limit`, which all
/// have, with what the schema says of them. `fn settings(&self) -> Settings<'_>` is made for it too.
///
/// The shared fields are written into each struct because serde cannot `flatten` them where unknown fields are refused.
macro_rules! text_source {
    (
        $(#[$about:meta])*
        pub struct $name:ident {
            $($(#[$of_own:meta])* pub $own:ident: $type:ty,)*
        }
        reads: $texts:literal, batch_size: $batch_size:literal, too_long: $too_long:literal
    ) => {
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            /// The file, relative to the plan, plain or compressed by gzip or zstd; or a folder, or a pattern such as `shards/*.txt.gz`,
            /// whose files are read one after the other, sorted by name.
            pub path: std::path::PathBuf,
            $($(#[$of_own])* pub $own: $type,)*
            #[doc = concat!("Number of ", $texts, " per batch, at least 1; ", $batch_size, " by default.")]
            #[serde(default = "default_batch_size")]
            #[schemars(range(min = 1))]
            pub batch_size: usize,
            #[doc = concat!("Longest text in tokens, special tokens included; longer ones ", $too_long, ". At least one token more than")]
            #[doc = "the tokenizer adds, at most what the model takes, which is the default."]
            #[serde(default)]
            #[schemars(range(min = 1))]
            pub max_tokens: Option<usize>,
            #[doc = concat!("Read the first ", $texts, " only, at least 1; all by default.")]
            #[serde(default)]
            #[schemars(range(min = 1))]
            pub limit: Option<u64>,
        }

        fn default_batch_size() -> usize {
            $batch_size
        }

        impl $name {
            /// All of it, in batches of the default size, each text as long as the model takes.
            #[must_use]
            pub fn new(path: impl Into<std::path::PathBuf>, $($own: $type),*) -> Self {
                Self { path: path.into(), $($own,)* batch_size: default_batch_size(), max_tokens: None, limit: None }
            }

            fn settings(&self) -> $crate::data::settings::Settings<'_> {
                $crate::data::settings::Settings {
                    path: &self.path,
                    batch_size: self.batch_size,
                    max_tokens: self.max_tokens,
                    limit: self.limit,
                }
            }
        }
    };
}

pub(super) use text_source;

/// What every source of texts can be told; made by [`text_source!`].
pub(super) struct Settings<'s> {
    pub(super) path: &'s Path,
    /// In groups, as `limit` is.
    pub(super) batch_size: usize,
    pub(super) max_tokens: Option<usize>,
    pub(super) limit: Option<u64>,
}

impl Settings<'_> {
    /// Checks the settings and opens files of text; `records` tells how to read one, `grouping` what a record has.
    pub(super) fn open_texts<'a, R: Records + 'static>(
        &self,
        context: &DataContext<'a>,
        grouping: impl Grouping + 'static,
        records: impl Fn(PathBuf, TextFile) -> Result<R, DataError> + Send + 'static,
    ) -> Result<Box<dyn Batches + 'a>, DataError> {
        self.open_texts_of(context, grouping, move |path, file| {
            let file = TextFile::new(&path, file)?;
            records(path, file)
        })
    }

    /// The same for files that are no texts as a whole.
    pub(super) fn open_texts_of<'a, R: Records + 'static>(
        &self,
        context: &DataContext<'a>,
        grouping: impl Grouping + 'static,
        records: impl Fn(PathBuf, SteadyFile) -> Result<R, DataError> + Send + 'static,
    ) -> Result<Box<dyn Batches + 'a>, DataError> {
        let path = context.base.join(self.path);
        let opened = || {
            let named = files(&path)?;
            let (mut infos, mut opened) = (Vec::new(), Vec::new());
            for NamedFile { path, name } in &named {
                let mut file = SteadyFile::open_one_of(named.len() as u64, path, name)?;
                infos.push(file.info().clone());
                if named.len() > 1 {
                    file.close();
                }
                opened.push((path.clone(), file));
            }
            Ok((Several::new(Box::new(records), opened)?, infos))
        };
        self.batches(context, path.clone(), grouping, opened)
    }

    /// Checks the settings, for texts that are at hand; `info` is what is said of them where files are listed.
    pub(super) fn open_records<'a, R: Records + 'static>(
        &self,
        context: &DataContext<'a>,
        path: PathBuf,
        info: FileInfo,
        records: R,
    ) -> Result<Box<dyn Batches + 'a>, DataError> {
        self.batches(context, path, Singles, || Ok((records, vec![info])))
    }

    /// Checks the settings, then opens what is read.
    fn batches<'a, R: Records + 'static, G: Grouping + 'static>(
        &self,
        context: &DataContext<'a>,
        path: PathBuf,
        grouping: G,
        open: impl FnOnce() -> Result<(R, Vec<FileInfo>), DataError>,
    ) -> Result<Box<dyn Batches + 'a>, DataError> {
        for (name, value) in [("batch_size", Some(self.batch_size as u64)), ("limit", self.limit)] {
            if value == Some(0) {
                return Err(DataError::Unsuitable(format!("{name} is 0, valid is 1 or more")));
            }
        }
        let tokenizer = context.tokenizer.ok_or_else(|| {
            DataError::Unsuitable(format!(
                "the data are texts, but the model has no tokenizer: {HOW}, FOLDER being that of the model, or one that its \
                 field `tokenizer` names where it has that field; or give token ids, as data of type `tensors`"
            ))
        })?;
        let fit = Fit::of(context.inputs)?;
        let longest = context.max_tokens.into_iter().chain(fit.max_tokens()).min();
        let max_tokens = self.max_tokens(tokenizer, longest)?;
        let (records, infos) = open()?;
        let (tokenizer, inputs) = (tokenizer.clone(), context.inputs.to_vec());
        let encoder = Encoder { path, tokenizer, inputs, fit, max_tokens };
        Ok(Box::new(TextBatches::new(records, grouping, infos, encoder, self.batch_size, self.limit)?))
    }

    fn max_tokens(&self, tokenizer: &Tokenizer, limit: Option<usize>) -> Result<Option<usize>, DataError> {
        let special = tokenizer.special_tokens();
        let valid = special + 1..=limit.unwrap_or(usize::MAX);
        let chosen = self.max_tokens.or(limit);
        if let Some(found) = chosen.filter(|tokens| !valid.contains(tokens)) {
            let valid = match limit {
                Some(limit) => format!("{} to {limit}", special + 1),
                None => format!("{} or more", special + 1),
            };
            return Err(DataError::Unsuitable(format!(
                "max_tokens is {found}, valid is {valid} (the tokenizer adds {special} tokens to each text)"
            )));
        }
        Ok(chosen)
    }
}
