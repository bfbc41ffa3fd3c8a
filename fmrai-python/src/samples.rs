//! The rows of batches, as Python tells of them.

use std::sync::Arc;

use fmrai_core::batch::{Sample, Sequence};
use pyo3::prelude::*;

/// A row: its position in the data, its text, its tokens, and those of other inputs.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Row {
    id: u64,
    text: Option<String>,
    token_ids: Vec<u32>,
    special: Vec<bool>,
    offsets: Vec<(usize, usize)>,
    span: (usize, usize),
    sequences: Vec<OtherTokens>,
}

#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct OtherTokens {
    input: String,
    token_ids: Vec<u32>,
    special: Vec<bool>,
    span: (usize, usize),
}

/// The rows as analyzers are shown them.
pub(crate) fn samples(rows: Vec<Row>) -> Vec<Sample> {
    let sample = |row: Row| {
        let sequences = row.sequences.into_iter().map(|other| Sequence {
            input: other.input,
            token_ids: other.token_ids,
            special: other.special,
            span: other.span.0..other.span.1,
        });
        Sample {
            text: row.text.map(Arc::from),
            token_ids: row.token_ids,
            special: row.special,
            offsets: row.offsets.into_iter().map(|(start, end)| start..end).collect(),
            span: row.span.0..row.span.1,
            sequences: sequences.collect(),
            ..Sample::new(row.id)
        }
    };
    rows.into_iter().map(sample).collect()
}
