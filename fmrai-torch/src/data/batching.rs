//! From texts to batches.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fmrai_core::batch::Sample;

use super::fit::Fit;
use super::ids::{unknown_token, valid};
use super::records::{Records, open_text};
use super::steady::SteadyFile;
use super::{Batches, Counts, DataContext, DataError, InputBatch};
use crate::files::FileInfo;
use crate::model::InputSpec;
use crate::text::HOW;
use crate::text::Tokenizer;

/// Batches of texts that are read ahead and sorted by length, so that rows of a batch need little padding.
const WINDOW: usize = 64;

pub(super) fn default_batch_size() -> usize {
    8
}

/// What every source of texts can be told.
pub(super) struct Settings<'s> {
    pub(super) path: &'s Path,
    pub(super) batch_size: usize,
    pub(super) max_tokens: Option<usize>,
    pub(super) limit: Option<u64>,
}

impl Settings<'_> {
    /// Checks the settings and opens the file; `records` tells how to read it.
    pub(super) fn open<'a>(
        &self,
        context: &DataContext<'a>,
        records: impl FnOnce(PathBuf, SteadyFile) -> Result<Box<dyn Records>, DataError>,
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
        let path = context.base.join(self.path);
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        let file = open_text(&path, &name)?;
        let info = file.info().clone();
        Ok(Box::new(TextBatches {
            records: records(path.clone(), file)?,
            path,
            info,
            tokenizer,
            inputs: context.inputs,
            batch_size: fitting(self.batch_size, fit.batch_size(self.batch_size)),
            fit,
            max_tokens,
            left: self.limit.unwrap_or(u64::MAX),
            window: VecDeque::new(),
            ended: false,
            next_index: 0,
            next_id: 0,
            counts: Counts::default(),
        }))
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

/// The batch size that the model takes in place of the one asked for.
pub(super) fn fitting(wanted: usize, taken: usize) -> usize {
    if taken != wanted {
        tracing::warn!(
            wanted,
            taken,
            "the model takes batches of another size than asked for: it was fixed when the model was exported"
        );
    }
    taken
}

/// A text with its tokens, and the number of tokens that were cut off.
struct Ready {
    sample: Sample,
    truncated: usize,
}

/// Batches of the texts of one file.
///
/// A window of [`WINDOW`] batches is read, sorted by number of tokens (texts of the same length stay in order) and cut
/// into batches, so memory does not depend on the size of the file, and the batches are always the same.
struct TextBatches<'a> {
    records: Box<dyn Records>,
    path: PathBuf,
    info: FileInfo,
    tokenizer: &'a Tokenizer,
    inputs: &'a [InputSpec],
    fit: Fit,
    batch_size: usize,
    max_tokens: Option<usize>,
    /// Texts that may still be read.
    left: u64,
    window: VecDeque<Ready>,
    ended: bool,
    next_index: u64,
    next_id: u64,
    counts: Counts,
}

impl TextBatches<'_> {
    fn fill(&mut self) -> Result<(), DataError> {
        let size = self.batch_size.saturating_mul(WINDOW);
        while self.window.len() < size && self.left > 0 {
            let Some(record) = self.records.next()? else { break };
            let ready = if record.text.trim().is_empty() { None } else { self.encode(record)? };
            match ready {
                None => self.counts.skipped_empty += 1,
                Some(ready) => {
                    self.window.push_back(ready);
                    self.next_id += 1;
                    self.left -= 1;
                }
            }
        }
        self.ended = self.window.len() < size;
        self.window.make_contiguous().sort_by_key(|ready| ready.sample.token_ids.len());
        if self.next_id == 0 {
            let empty = self.counts.skipped_empty;
            let what = format!("there are no texts in it, only {empty} empty records");
            return Err(DataError::File { path: self.path.clone(), what });
        }
        Ok(())
    }

    /// Texts in the next batch: where the model takes no mask, all have the same length.
    fn next_size(&self) -> usize {
        let size = self.batch_size.min(self.window.len());
        let length = |ready: &Ready| ready.sample.token_ids.len();
        match self.window.front() {
            Some(first) if !self.fit.pads() => {
                let equal = self.window.iter().take_while(|ready| length(ready) == length(first));
                equal.take(size).count()
            }
            _ => size,
        }
    }

    /// The tokens of a text; `None` if there are none.
    fn encode(&self, record: super::records::Record) -> Result<Option<Ready>, DataError> {
        let encoded = self.tokenizer.encode(&record.text, self.max_tokens).map_err(|e| {
            DataError::Record { path: self.path.clone(), line: record.line, what: e.to_string() }
        })?;
        let tokens = encoded.token_ids.len();
        let refused = self.fit.refuses(tokens).filter(|_| tokens > 0);
        if let Some(what) = refused.or_else(|| unknown_token(self.tokenizer, &encoded.token_ids, self.inputs))
        {
            return Err(DataError::Record { path: self.path.clone(), line: record.line, what });
        }
        let sample = Sample {
            id: self.next_id,
            text: Some(Arc::from(record.text)),
            token_ids: encoded.token_ids,
            special: encoded.special,
            offsets: encoded.offsets,
            span: 0..tokens,
            sequences: Vec::new(),
            pair: None,
        };
        Ok((tokens > 0).then_some(Ready { sample, truncated: encoded.truncated }))
    }
}

impl Batches for TextBatches<'_> {
    fn next_batch(&mut self) -> Result<Option<InputBatch>, DataError> {
        if self.window.is_empty()
            && !self.ended
            && let Err(error) = self.fill()
        {
            self.window.clear();
            self.ended = true;
            return Err(error);
        }
        if self.window.is_empty() {
            return Ok(None);
        }
        let size = self.next_size();
        let ready: Vec<Ready> = self.window.drain(..size).collect();
        for Ready { sample, truncated } in &ready {
            self.counts.texts += 1;
            self.counts.tokens += sample.token_ids.len() as u64;
            self.counts.truncated_texts += u64::from(*truncated > 0);
            self.counts.truncated_tokens += *truncated as u64;
        }
        let samples: Vec<Sample> = ready.into_iter().map(|ready| ready.sample).collect();
        // What fills rows up is masked, so any token does that the model has.
        let valid = valid(self.inputs, "input_ids");
        let known = |id: &u32| valid.is_none_or(|valid| valid.contains(&i64::from(*id)));
        let padding = self.tokenizer.vocabulary().padding.filter(known).unwrap_or(0);
        let (inputs, filler) = self.fit.inputs(&samples, padding)?;
        let index = self.next_index;
        self.next_index += 1;
        let whole = self.fit.whole();
        Ok(Some(InputBatch { index, samples, inputs, whole, filler }))
    }

    fn counts(&self) -> Counts {
        self.counts
    }

    fn progress(&self) -> (u64, u64) {
        (self.records.bytes().min(self.info.bytes), self.info.bytes)
    }

    fn files(&self) -> Result<Vec<FileInfo>, DataError> {
        Ok(vec![self.info.clone()])
    }
}
