//! From texts to batches.

use std::collections::VecDeque;

use fmrai_core::batch::Sample;

use super::encoding::Encoder;
use super::records::Records;
use super::{Batches, Counts, DataError, InputBatch};
use crate::files::FileInfo;

/// Batches of texts that are read ahead and sorted by length, so that rows of a batch need little padding.
const WINDOW: usize = 64;

/// Samples that stand one after the other in the same batch: one text, or the two of a pair.
#[derive(Default)]
pub(super) struct Group {
    /// Ids are given when it is read. Empty where the record is empty.
    pub(super) samples: Vec<Sample>,
    /// Tokens that were cut off.
    pub(super) truncated: usize,
}

impl Group {
    /// Tokens of its longest text.
    fn length(&self) -> usize {
        self.samples.iter().map(|sample| sample.token_ids.len()).max().unwrap_or(0)
    }
}

/// Reads a file group by group.
pub(super) trait Groups {
    /// What its groups are called in messages, e.g. `texts`.
    const PLURAL: &'static str;

    /// Texts of each group.
    const TEXTS: usize;

    /// The next group; `None` at the end.
    fn next(&mut self, encoder: &Encoder<'_>) -> Result<Option<Group>, DataError>;

    /// Bytes read so far.
    fn bytes(&self) -> u64;
}

/// Texts, each for itself; those that are too long are cut.
pub(super) struct Singles<R>(pub(super) R);

impl<R: Records> Groups for Singles<R> {
    const PLURAL: &'static str = "texts";
    const TEXTS: usize = 1;

    fn next(&mut self, encoder: &Encoder<'_>) -> Result<Option<Group>, DataError> {
        let Some(record) = self.0.next()? else { return Ok(None) };
        if record.text.trim().is_empty() {
            return Ok(Some(Group::default()));
        }
        let encoded = encoder.encode(record.text, encoder.max_tokens);
        let (sample, truncated) = encoded.map_err(|what| encoder.error(record.line, what))?;
        let samples = if sample.token_ids.is_empty() { Vec::new() } else { vec![sample] };
        Ok(Some(Group { samples, truncated }))
    }

    fn bytes(&self) -> u64 {
        self.0.bytes()
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

/// Batches of the texts of one file.
///
/// A window of [`WINDOW`] batches is read, sorted by number of tokens (groups of the same length stay in order) and cut
/// into batches, so memory does not depend on the size of the file, and the batches are always the same.
pub(super) struct TextBatches<'a, G> {
    groups: G,
    info: FileInfo,
    encoder: Encoder<'a>,
    /// Groups of a batch.
    batch_size: usize,
    /// Groups that may be read, and those that still may.
    limit: Option<u64>,
    left: u64,
    window: VecDeque<Group>,
    /// Groups of the window when it was filled, and where in the file they began and ended.
    filled: usize,
    span: (u64, u64),
    ended: bool,
    next_index: u64,
    next_id: u64,
    counts: Counts,
}

impl<'a, G: Groups> TextBatches<'a, G> {
    /// Batches of `batch_size` groups, or as many as the model takes, of the first `limit` ones of a file.
    pub(super) fn new(
        groups: G,
        info: FileInfo,
        encoder: Encoder<'a>,
        batch_size: usize,
        limit: Option<u64>,
    ) -> Result<Self, DataError> {
        let batch_size = fitting(batch_size, encoder.fit.groups(batch_size, G::TEXTS, G::PLURAL)?);
        Ok(Self {
            groups,
            info,
            encoder,
            batch_size,
            limit,
            left: limit.unwrap_or(u64::MAX),
            window: VecDeque::new(),
            filled: 0,
            span: (0, 0),
            ended: false,
            next_index: 0,
            next_id: 0,
            counts: Counts::default(),
        })
    }

    fn fill(&mut self) -> Result<(), DataError> {
        let size = self.batch_size.saturating_mul(WINDOW);
        self.span.0 = self.groups.bytes();
        while self.window.len() < size && self.left > 0 {
            let Some(mut group) = self.groups.next(&self.encoder)? else { break };
            if group.samples.is_empty() {
                self.counts.skipped_empty += 1;
                continue;
            }
            for sample in &mut group.samples {
                sample.id = self.next_id;
                self.next_id += 1;
            }
            self.window.push_back(group);
            self.left -= 1;
        }
        self.ended = self.window.len() < size;
        (self.filled, self.span.1) = (self.window.len(), self.groups.bytes());
        self.window.make_contiguous().sort_by_key(Group::length);
        if self.next_id == 0 {
            let (what, empty) = (G::PLURAL, self.counts.skipped_empty);
            let what = format!("there are no {what} in it, only {empty} empty records");
            return Err(DataError::File { path: self.encoder.path.clone(), what });
        }
        Ok(())
    }

    /// Groups in the next batch: where the model takes no mask, all have the same length.
    fn next_size(&self) -> usize {
        let size = self.batch_size.min(self.window.len());
        match self.window.front() {
            Some(first) if !self.encoder.fit.pads() => {
                let equal = self.window.iter().take_while(|group| group.length() == first.length());
                equal.take(size).count()
            }
            _ => size,
        }
    }
}

impl<G: Groups> Batches for TextBatches<'_, G> {
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
        let groups: Vec<Group> = self.window.drain(..size).collect();
        for group in &groups {
            self.counts.texts += group.samples.len() as u64;
            self.counts.tokens += group.samples.iter().map(|s| s.token_ids.len() as u64).sum::<u64>();
            self.counts.truncated_texts += u64::from(group.truncated > 0);
            self.counts.truncated_tokens += group.truncated as u64;
        }
        let samples: Vec<Sample> = groups.into_iter().flat_map(|group| group.samples).collect();
        let (inputs, filler) = self.encoder.fit.inputs(&samples, self.encoder.padding())?;
        let index = self.next_index;
        self.next_index += 1;
        let whole = self.encoder.fit.whole();
        Ok(Some(InputBatch { index, samples, inputs, whole, filler }))
    }

    fn counts(&self) -> Counts {
        self.counts
    }

    /// Bytes of the groups that were handed out: those that wait in the window have a share of its bytes. With a limit, what all
    /// groups would take if those to come were as long as those before.
    fn progress(&self) -> (u64, u64) {
        let (from, to) = self.span;
        let waiting = self.window.len().min(self.filled) as u128;
        let share = (u128::from(to - from) * waiting).checked_div(self.filled as u128).unwrap_or(0);
        let done = (to - u64::try_from(share).unwrap_or(0)).min(self.info.bytes);
        let handed_out = self.limit.map(|limit| (limit - self.left).saturating_sub(self.window.len() as u64));
        let all = match (self.limit, handed_out) {
            (Some(limit), Some(groups @ 1..)) if !self.ended || self.left == 0 => {
                let all = u128::from(done) * u128::from(limit) / u128::from(groups);
                u64::try_from(all).unwrap_or(u64::MAX).clamp(done, self.info.bytes)
            }
            _ => self.info.bytes,
        };
        (done, all)
    }

    fn files(&self) -> Result<Vec<FileInfo>, DataError> {
        Ok(vec![self.info.clone()])
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use fmrai_core::tensor::DType;
    use serde_json::{Value, json};

    use crate::data::{DataContext, RegisteredDataSource};
    use crate::model::{Axis, InputSpec};
    use crate::text::Tokenizer;

    /// Share of the data that is done after each batch of two texts, in per cent.
    fn progress(texts: usize, settings: &Value) -> Vec<u64> {
        let folder = tempfile::tempdir().unwrap();
        let lines: String = (0..texts).map(|i| "rain ".repeat(1 + i % 5) + "\n").collect();
        std::fs::write(folder.path().join("data"), lines).unwrap();
        let mut source = json!({ "type": "text", "path": "data", "batch_size": 2, "max_tokens": 16 });
        source.as_object_mut().unwrap().extend(settings.as_object().unwrap().clone());
        let source: Box<dyn RegisteredDataSource> = serde_json::from_value(source).unwrap();
        let tokenizer = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/reference/models/bert");
        let tokenizer = Tokenizer::read(&tokenizer, 1000, None).unwrap();
        let any = Axis::Range { min: 1, max: None };
        let input = |name: &str| InputSpec {
            name: name.to_owned(),
            dtype: Some(DType::Int64),
            axes: Some(vec![any, any]),
            required: true,
            values: (name == "input_ids").then_some(0..=419),
        };
        let inputs = ["input_ids", "attention_mask"].map(input);
        let context = DataContext {
            base: folder.path(),
            tokenizer: Some(&tokenizer),
            max_tokens: Some(32),
            inputs: &inputs,
        };
        let mut batches = source.open(&context).unwrap();
        let mut shares = Vec::new();
        while batches.next_batch().unwrap().is_some() {
            let (done, of) = batches.progress();
            assert!(done <= of, "{done} of {of}");
            shares.push(done * 100 / of);
        }
        shares
    }

    /// Texts are read ahead to be sorted by length: those that wait are not done.
    #[test]
    fn what_waits_is_not_done() {
        let shares = progress(40, &json!({}));
        assert_eq!(shares.len(), 20);
        assert!(shares[0] <= 10 && shares[9] <= 60 && shares[18] < 100, "{shares:?}");
        assert!(shares.is_sorted() && shares.last() == Some(&100), "{shares:?}");
    }

    /// A limit is the end of the data.
    #[test]
    fn a_limit_is_all_there_is_to_do() {
        let shares = progress(40, &json!({ "limit": 10 }));
        assert_eq!(shares.len(), 5);
        assert!(shares[0] <= 40 && shares.is_sorted() && shares.last() == Some(&100), "{shares:?}");
        assert_eq!(progress(6, &json!({ "limit": 1000 })).last(), Some(&100), "fewer than the limit");
    }
}
