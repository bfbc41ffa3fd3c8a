//! From texts to batches.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use fmrai_core::batch::Sample;
use rayon::prelude::*;

use crate::data::encoding::Encoder;
use crate::data::records::{Record, Records};
use crate::data::{Batches, Counts, DataError, InputBatch, RefusedRecord};
use crate::files::FileInfo;

/// Batches of texts that are read ahead and sorted by length, so that rows of a batch need little padding.
const WINDOW: usize = 64;

/// Samples that stand one after the other in the same batch: one text, or the two of a pair.
pub(super) struct Group {
    /// Ids are given when it is read. Empty where the tokenizer makes nothing of the text.
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

/// What stands together in a batch, made of one record.
pub(super) trait Grouping: Sync {
    /// What its groups are called in messages, e.g. `texts`.
    const PLURAL: &'static str;

    /// Texts of each group.
    const TEXTS: usize;

    /// The group of a record that is not blank. Those of a window are made at the same time, on all cores.
    fn group(&self, record: Record, encoder: &Encoder<'_>) -> Result<Group, DataError>;
}

/// Texts, each for itself; those that are too long are cut.
pub(super) struct Singles;

impl Grouping for Singles {
    const PLURAL: &'static str = "texts";
    const TEXTS: usize = 1;

    fn group(&self, record: Record, encoder: &Encoder<'_>) -> Result<Group, DataError> {
        let Record { text, line, fields, file } = record;
        let encoded = encoder.encode(text, encoder.max_tokens);
        let (mut sample, truncated) = encoded.map_err(|what| encoder.error(file.as_deref(), line, what))?;
        sample.fields = fields;
        let samples = if sample.token_ids.is_empty() { Vec::new() } else { vec![sample] };
        Ok(Group { samples, truncated })
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

/// Records without a place in a batch.
#[derive(Default)]
struct LeftOut {
    empty: u64,
    refused: Vec<RefusedRecord>,
}

/// Batches of the texts of one file.
///
/// A window of [`WINDOW`] batches is read, sorted by number of tokens (groups of the same length stay in order) and cut
/// into batches, so memory does not depend on the size of the file, and the batches are always the same. Each record that is not empty has a
/// place in a window and an id, also where it has no tokens, so windows that nobody wants are passed over without a tokenizer; a window with
/// texts without tokens may have fewer batches than it has indices.
pub(super) struct TextBatches<'a, R, G> {
    records: R,
    grouping: G,
    infos: Vec<FileInfo>,
    encoder: Encoder<'a>,
    /// Groups of a batch.
    batch_size: usize,
    /// Groups that may be read, and those that still may.
    limit: Option<u64>,
    left: u64,
    window: VecDeque<Group>,
    /// Groups of the window when it was filled, and where in the data they began and ended.
    filled: usize,
    span: (u64, u64),
    /// Records that were left out of the window: they count with its first batch, or with the last one before where there is none.
    left_out: LeftOut,
    /// Whether refused records are left out.
    lenient: bool,
    /// Records that were left out among the batches handed out.
    refused: Vec<RefusedRecord>,
    ended: bool,
    /// What the next call has to say.
    late: Option<DataError>,
    next_index: u64,
    /// The index of the first batch after the window, where it does not depend on the lengths of texts.
    after_window: Option<u64>,
    next_id: u64,
    counts: Counts,
}

impl<'a, R: Records, G: Grouping> TextBatches<'a, R, G> {
    /// Batches of `batch_size` groups, or as many as the model takes, of the first `limit` ones of a file.
    pub(super) fn new(
        records: R,
        grouping: G,
        infos: Vec<FileInfo>,
        encoder: Encoder<'a>,
        batch_size: usize,
        limit: Option<u64>,
    ) -> Result<Self, DataError> {
        let batch_size = fitting(batch_size, encoder.fit.groups(batch_size, G::TEXTS, G::PLURAL)?);
        Ok(Self {
            records,
            grouping,
            infos,
            encoder,
            batch_size,
            limit,
            left: limit.unwrap_or(u64::MAX),
            window: VecDeque::new(),
            filled: 0,
            span: (0, 0),
            left_out: LeftOut::default(),
            lenient: false,
            refused: Vec::new(),
            ended: false,
            late: None,
            next_index: 0,
            after_window: None,
            next_id: 0,
            counts: Counts::default(),
        })
    }

    /// Has a window, if there are more texts. Nothing comes after an error.
    fn filled(&mut self) -> Result<(), DataError> {
        if let Some(error) = self.late.take() {
            return Err(error);
        }
        if self.window.is_empty() && !self.ended {
            self.fill().inspect_err(|_| {
                self.window.clear();
                self.ended = true;
            })?;
        }
        Ok(())
    }

    /// Reads a window, which is empty where there are no more texts with tokens.
    fn fill(&mut self) -> Result<(), DataError> {
        while self.window.is_empty() && !self.ended {
            self.span.0 = self.records.bytes();
            let (mut window, first) = (Vec::new(), self.next_id);
            let read = self.read(|found| window.push(found));
            let (grouping, encoder) = (&self.grouping, &self.encoder);
            let made = window.into_par_iter().map(|found| grouping.group(found?, encoder));
            let made: Vec<Result<Group, DataError>> = made.collect();
            for (id, made) in (first..).step_by(G::TEXTS).zip(made) {
                match made {
                    Ok(group) if group.samples.is_empty() => self.left_out.empty += 1,
                    Ok(mut group) => {
                        (id..).zip(&mut group.samples).for_each(|(id, sample)| sample.id = id);
                        self.window.push_back(group);
                    }
                    Err(error) => self.refuse(error)?,
                }
            }
            let places = read?; // what is wrong with an earlier record is told first
            (self.filled, self.span.1) = (self.window.len(), self.records.bytes());
            self.window.make_contiguous().sort_by_key(Group::length);
            let after = self.next_index + self.batches(places);
            match self.encoder.fit.pads() {
                true if self.window.is_empty() => self.next_index = after,
                true => self.after_window = Some(after),
                false => {}
            }
        }
        if self.next_id == 0 {
            let (what, empty) = (G::PLURAL, self.left_out.empty);
            let what = format!("there are no {what} in it, only {empty} empty records");
            return Err(DataError::File { path: self.encoder.path.clone(), what });
        }
        Ok(())
    }

    /// Reads as many records as a window has places, and says how many there were; blank ones have none. One that cannot be read has its
    /// place as any other where it may be left out, so what comes after it is the same whatever is wrong with it.
    fn read(&mut self, mut place: impl FnMut(Result<Record, DataError>)) -> Result<usize, DataError> {
        let size = self.batch_size.saturating_mul(WINDOW);
        let mut places = 0;
        while places < size && self.left > 0 {
            match self.records.next() {
                Ok(None) => break,
                Ok(Some(record)) if record.is_blank() => {
                    self.left_out.empty += 1;
                    continue;
                }
                Ok(Some(record)) => place(Ok(record)),
                Err(error) if self.leaves_out(&error) => place(Err(error)),
                Err(error) => return Err(error),
            }
            places += 1;
            self.next_id += G::TEXTS as u64;
            self.left -= 1;
        }
        self.ended = places < size;
        Ok(places)
    }

    /// True for what is wrong with a record that may be left out.
    fn leaves_out(&self, error: &DataError) -> bool {
        self.lenient && matches!(error, DataError::Record { .. })
    }

    /// Leaves a record out, or refuses the data.
    fn refuse(&mut self, error: DataError) -> Result<(), DataError> {
        match error {
            DataError::Record { path, line, what } if self.lenient => {
                let file = path.file_name().unwrap_or(path.as_os_str());
                self.left_out
                    .refused
                    .push(RefusedRecord { what: format!("{}:{line}: {what}", file.display()) });
                Ok(())
            }
            error => Err(error),
        }
    }

    /// Batches of a window of so many records, where these do not depend on the lengths of texts.
    fn batches(&self, places: usize) -> u64 {
        places.div_ceil(self.batch_size) as u64
    }

    /// Passes over a window whose batches do not depend on the lengths of texts.
    fn pass_over_window(&mut self) -> Result<u64, DataError> {
        let places = self.read(drop)?;
        self.left_out = LeftOut::default();
        let batches = self.batches(places);
        self.next_index += batches;
        Ok(batches)
    }

    /// Counts what was left out of a window.
    fn count_left_out(&mut self) {
        let LeftOut { empty, refused } = std::mem::take(&mut self.left_out);
        self.counts.skipped_empty += empty;
        self.refused.extend(refused);
    }

    /// Takes the groups of the next batch from the window.
    fn take(&mut self) -> Vec<Group> {
        let size = self.next_size();
        let groups = self.window.drain(..size).collect();
        self.next_index += 1;
        if self.window.is_empty()
            && let Some(after) = self.after_window.take()
        {
            self.next_index = after;
        }
        groups
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

impl<R: Records, G: Grouping> Batches for TextBatches<'_, R, G> {
    fn next_batch(&mut self) -> Result<Option<InputBatch>, DataError> {
        self.filled()?;
        if self.window.is_empty() {
            return Ok(None);
        }
        self.count_left_out();
        let index = self.next_index;
        let groups = self.take();
        for group in &groups {
            self.counts.texts += group.samples.len() as u64;
            self.counts.tokens += group.samples.iter().map(|s| s.token_ids.len() as u64).sum::<u64>();
            self.counts.truncated_texts += u64::from(group.truncated > 0);
            self.counts.truncated_tokens += group.truncated as u64;
        }
        let samples: Vec<Sample> = groups.into_iter().flat_map(|group| group.samples).collect();
        let (inputs, filler) = self.encoder.fit.inputs(&samples, self.encoder.padding())?;
        let whole = self.encoder.fit.whole();
        // So that what is empty at the end is counted with the last batch, and belongs to whoever reads that.
        match self.filled() {
            Ok(()) if self.window.is_empty() => self.count_left_out(),
            Ok(()) => {}
            Err(error) => self.late = Some(error),
        }
        Ok(Some(InputBatch { index, samples, inputs, whole, filler }))
    }

    fn leave_out_refused(&mut self) {
        self.lenient = true;
    }

    fn take_refused(&mut self) -> Vec<RefusedRecord> {
        std::mem::take(&mut self.refused)
    }

    fn pass_over(&mut self, count: u64) -> Result<u64, DataError> {
        let first = self.next_index;
        let until = first.saturating_add(count);
        while self.next_index < until {
            if !self.window.is_empty() {
                self.left_out = LeftOut::default();
                self.take();
            } else if self.ended && self.late.is_none() {
                break;
            } else if !self.ended && self.encoder.fit.pads() && until - self.next_index >= WINDOW as u64 {
                self.pass_over_window()?;
            } else {
                self.filled()?;
            }
        }
        Ok((self.next_index - first).min(count))
    }

    fn counts(&self) -> Counts {
        self.counts
    }

    /// Bytes of the groups that were handed out: those that wait in the window have a share of its bytes. With a limit, what all
    /// groups would take if those to come were as long as those before.
    fn progress(&self) -> (u64, u64) {
        let (from, to) = self.span;
        let bytes: u64 = self.infos.iter().map(|info| info.bytes).sum();
        let waiting = self.window.len().min(self.filled) as u128;
        let share =
            (u128::from(to.saturating_sub(from)) * waiting).checked_div(self.filled as u128).unwrap_or(0);
        let done = (to - u64::try_from(share).unwrap_or(0)).min(bytes);
        let handed_out = self.limit.map(|limit| (limit - self.left).saturating_sub(self.window.len() as u64));
        let all = match (self.limit, handed_out) {
            (Some(limit), Some(groups @ 1..)) if !self.ended || self.left == 0 => {
                let all = u128::from(done) * u128::from(limit) / u128::from(groups);
                u64::try_from(all).unwrap_or(u64::MAX).clamp(done, bytes)
            }
            _ => bytes,
        };
        (done, all)
    }

    fn files(&self) -> Result<Vec<FileInfo>, DataError> {
        Ok(self.infos.clone())
    }
}
