//! What stands together in a batch.

use fmrai_core::batch::Sample;

use crate::data::DataError;
use crate::data::encoding::Encoder;
use crate::data::records::Record;

/// Samples that stand one after the other in the same batch: one text, or the two of a pair.
pub(in crate::data) struct Group {
    /// Ids are given when it is read. Empty where the tokenizer makes nothing of the text.
    pub(in crate::data) samples: Vec<Sample>,
    /// Tokens that were cut off.
    pub(in crate::data) truncated: usize,
}

impl Group {
    /// Tokens of its longest text.
    pub(super) fn length(&self) -> usize {
        self.samples.iter().map(|sample| sample.token_ids.len()).max().unwrap_or(0)
    }
}

/// What stands together in a batch, made of one record.
pub(in crate::data) trait Grouping: Send + Sync {
    /// What its groups are called in messages, e.g. `texts`.
    const PLURAL: &'static str;

    /// Texts of each group.
    const TEXTS: usize;

    /// The group of a record that is not blank. Those of a window are made at the same time, on all cores.
    fn group(&self, record: Record, encoder: &Encoder) -> Result<Group, DataError>;
}

/// Texts, each for itself; those that are too long are cut.
pub(in crate::data) struct Singles;

impl Grouping for Singles {
    const PLURAL: &'static str = "texts";
    const TEXTS: usize = 1;

    fn group(&self, record: Record, encoder: &Encoder) -> Result<Group, DataError> {
        let Record { text, line, fields, file } = record;
        let encoded = encoder.encode(text, encoder.max_tokens);
        let (mut sample, truncated) = encoded.map_err(|what| encoder.error(file.as_deref(), line, what))?;
        sample.fields = fields;
        let samples = if sample.token_ids.is_empty() { Vec::new() } else { vec![sample] };
        Ok(Group { samples, truncated })
    }
}
