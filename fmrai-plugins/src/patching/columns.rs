//! The cells of results that pairs of texts have.

use std::ops::Range;

use fmrai_core::analyzer::AnalyzerError;

use crate::pairs::PairRows;
use crate::sites::{By, Column};

/// Refuses pairs whose texts differ in length.
pub(crate) fn aligned(pairs: &[PairRows<'_>]) -> Result<(), AnalyzerError> {
    let Some(pair) = pairs.iter().find(|pair| !pair.aligned()) else { return Ok(()) };
    Err(AnalyzerError::UnsuitableData {
        found: pair.lengths(),
        needed: "as many in both texts of every pair, since an activation is taken from the same position"
            .to_owned(),
    })
}

/// The columns that these pairs have.
pub(crate) fn columns_of(by: By, pairs: &[PairRows<'_>]) -> Vec<Column> {
    if by.positions() {
        let longest = pairs.iter().map(|pair| pair.samples[0].span.len()).max().unwrap_or(0);
        return (0..u32::try_from(longest).unwrap_or(u32::MAX)).map(Column::Position).collect();
    }
    if by.marks() {
        let mut marks: Vec<String> = pairs.iter().flat_map(|pair| pair.pair.marks.keys().cloned()).collect();
        marks.sort();
        marks.dedup();
        return marks.into_iter().map(Column::Mark).collect();
    }
    vec![Column::All]
}

/// The positions of a column in a pair, without padding; `None` for all of them, an empty range where it has none.
pub(crate) fn places(pair: &PairRows<'_>, column: &Column) -> Option<Range<usize>> {
    let length = pair.samples[0].span.len();
    match column {
        Column::All => None,
        Column::Position(position) => {
            let position = *position as usize;
            Some(if position < length { position..position + 1 } else { 0..0 })
        }
        Column::Mark(mark) => {
            let range = pair.pair.marks.get(mark).cloned().unwrap_or(0..0);
            Some(range.start.min(length)..range.end.min(length))
        }
    }
}

/// The pairs that have something of a column, those with the same padded positions together.
pub(crate) fn members(pairs: &[PairRows<'_>], column: &Column) -> Vec<(Option<Vec<usize>>, Vec<usize>)> {
    let mut groups: Vec<(Option<Vec<usize>>, Vec<usize>)> = Vec::new();
    for (at, pair) in pairs.iter().enumerate() {
        let start = pair.samples[0].span.start;
        let positions = match places(pair, column) {
            Some(range) if range.is_empty() => continue,
            range => range.map(|range| range.map(|position| start + position).collect::<Vec<_>>()),
        };
        match groups.iter_mut().find(|(same, _)| *same == positions) {
            Some((_, members)) => members.push(at),
            None => groups.push((positions, vec![at])),
        }
    }
    groups
}
