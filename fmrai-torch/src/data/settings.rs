//! What every source of texts can be told.

use std::path::{Path, PathBuf};

use super::batching::{Groups, Singles, TextBatches};
use super::encoding::Encoder;
use super::fit::Fit;
use super::records::{Records, open_text};
use super::steady::SteadyFile;
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
            /// The file, relative to the plan.
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
    /// Checks the settings and opens a file of texts; `records` tells how to read it.
    pub(super) fn open_texts<'a, R: Records + 'a>(
        &self,
        context: &DataContext<'a>,
        records: impl FnOnce(PathBuf, SteadyFile) -> Result<R, DataError>,
    ) -> Result<Box<dyn Batches + 'a>, DataError> {
        self.open(context, |path, file| records(path, file).map(Singles))
    }

    /// Checks the settings and opens a file; `groups` tells how to read it.
    pub(super) fn open<'a, G: Groups + 'a>(
        &self,
        context: &DataContext<'a>,
        groups: impl FnOnce(PathBuf, SteadyFile) -> Result<G, DataError>,
    ) -> Result<Box<dyn Batches + 'a>, DataError> {
        let path = context.base.join(self.path);
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let opened = || {
            let file = open_text(&path, &name)?;
            let info = file.info().clone();
            Ok((groups(path.clone(), file)?, info))
        };
        self.batches(context, path.clone(), opened)
    }

    /// Checks the settings, for texts that are at hand; `info` is what is said of them where files are listed.
    pub(super) fn open_records<'a, R: Records + 'a>(
        &self,
        context: &DataContext<'a>,
        path: PathBuf,
        info: FileInfo,
        records: R,
    ) -> Result<Box<dyn Batches + 'a>, DataError> {
        self.batches(context, path, || Ok((Singles(records), info)))
    }

    /// Checks the settings, then opens what is read.
    fn batches<'a, G: Groups + 'a>(
        &self,
        context: &DataContext<'a>,
        path: PathBuf,
        open: impl FnOnce() -> Result<(G, FileInfo), DataError>,
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
        let (groups, info) = open()?;
        let encoder = Encoder { path, tokenizer, inputs: context.inputs, fit, max_tokens };
        Ok(Box::new(TextBatches::new(groups, info, encoder, self.batch_size, self.limit)?))
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
