//! A batch read through the lens.

use std::ops::Range;

use fmrai_core::analyzer::AnalyzerError;
use fmrai_core::batch::{Batch, PairRole, Sample};
use ndarray::ArrayView2;
use rayon::prelude::*;

use super::config::{LogitLensConfig, Target, TextsOf};
use super::grid::{Cell, Grid, GridText};
use super::measures::Logits;
use super::streams::Streams;
use super::sums::{Agreement, OfText, Sums};
use crate::lens::{From, LoadedLens};
use crate::rows::Rows;

/// Logits that are worked on at a time, whatever the size of the vocabulary.
const LOGITS: usize = 1 << 19;
/// Most positions that are.
const POSITIONS: usize = 32;

/// A position of a batch.
#[derive(Debug, Clone, Copy)]
struct Position {
    sample: usize,
    position: usize,
    target: Option<u32>,
    /// True if its cells are kept.
    grid: bool,
}

/// What is read at a position.
struct Reading {
    /// `[stream][measure]`; of probability and rank 0 where there is no target.
    measures: Vec<[f64; 4]>,
    has_target: bool,
    agreement: Agreement,
    cells: Vec<Cell>,
}

/// What a batch adds.
pub(super) struct Read {
    pub(super) sums: Sums,
    pub(super) grid: Vec<(u64, GridText)>,
}

/// A text of a batch: its row, and where its positions are among all.
struct Text {
    sample: usize,
    positions: Range<usize>,
}

/// Reads the streams of a batch at all tokens that count.
pub(super) fn read(
    batch: &Batch<'_>,
    streams: &Streams,
    lens: &LoadedLens,
    config: &LogitLensConfig,
    grid: &Grid,
) -> Result<Read, AnalyzerError> {
    let rows = |id| Rows::read(batch, id, lens.channels());
    let all = streams.at.iter().map(|(_, id)| rows(*id)).collect::<Result<Vec<_>, _>>()?;
    let logits = streams.lens.logits().ok().map(|id| Rows::read(batch, id, lens.tokens())).transpose()?;
    let length = all.first().map_or(0, |rows| rows.positions);
    if all.iter().chain(&logits).any(|rows| rows.positions != length) {
        let what = "the streams and logits of the model have different lengths";
        return Err(AnalyzerError::Other(what.to_owned()));
    }
    let (texts, positions) = positions(batch.samples(), length, config.of, streams.target, grid);
    let chunk = (LOGITS / lens.tokens().max(1)).clamp(1, POSITIONS);
    let one = Chunk {
        lens,
        streams: &all,
        logits,
        last: streams.layers() - 1,
        top: config.top_k,
        samples: batch.samples(),
    };
    let read = positions.par_chunks(chunk).map(|chunk| one.read(chunk)).collect::<Result<Vec<_>, _>>()?;
    let read: Vec<Reading> = read.into_iter().flatten().collect();
    let mut sums = Sums::new(streams.at.len());
    let mut kept = Vec::new();
    for text in texts {
        let readings = read.get(text.positions).unwrap_or_default();
        let mut of_text = OfText { sums: vec![[0.0; 4]; streams.at.len()], ..OfText::default() };
        for reading in readings {
            let (all, measures) = (of_text.sums.iter_mut().flatten(), reading.measures.iter().flatten());
            all.zip(measures).for_each(|(sum, measure)| *sum += measure);
            of_text.tokens += 1;
            of_text.targets += u64::from(reading.has_target);
            sums.agreement.add(reading.agreement);
        }
        sums.add_text(&of_text);
        let sample = batch.samples().get(text.sample);
        if let Some(sample) = sample.filter(|sample| grid.wants(sample.id) && !readings.is_empty()) {
            let tokens = sample.token_ids.iter().copied().take(readings.len()).collect();
            let cells = readings.iter().map(|reading| reading.cells.clone()).collect();
            kept.push((sample.id, GridText { tokens, cells }));
        }
    }
    Ok(Read { sums, grid: kept })
}

/// The texts that count, and all of their positions.
fn positions(
    samples: &[Sample],
    length: usize,
    of: TextsOf,
    target: Target,
    grid: &Grid,
) -> (Vec<Text>, Vec<Position>) {
    let (mut texts, mut positions) = (Vec::new(), Vec::new());
    for (at, sample) in samples.iter().enumerate() {
        let clean = sample.pair.as_ref().is_some_and(|pair| pair.role == PairRole::Clean);
        if of == TextsOf::Clean && !clean {
            continue;
        }
        let whole = sample.token_ids.is_empty() && sample.span.is_empty();
        let span = if whole { 0..length } else { sample.span.clone() };
        let first = positions.len();
        // Without tokens there is nothing to name the cells by.
        let grid = !whole && grid.wants(sample.id);
        for (token, position) in span.enumerate() {
            let target = match target {
                Target::NextToken => sample.token_ids.get(token + 1),
                Target::OwnToken => sample.token_ids.get(token),
            };
            positions.push(Position { sample: at, position, target: target.copied(), grid });
        }
        texts.push(Text { sample: at, positions: first..positions.len() });
    }
    (texts, positions)
}

/// What a chunk of positions is read with.
struct Chunk<'a> {
    lens: &'a LoadedLens,
    streams: &'a [Rows<'a>],
    /// The model's own.
    logits: Option<Rows<'a>>,
    /// The stream behind all blocks.
    last: usize,
    top: usize,
    samples: &'a [Sample],
}

impl Chunk<'_> {
    fn read(&self, positions: &[Position]) -> Result<Vec<Reading>, AnalyzerError> {
        let tokens = self.lens.tokens().max(1);
        let last = self.logits_of(self.last, positions)?;
        let own: Vec<&[f32]> = match &self.logits {
            Some(logits) => positions.iter().map(|at| logits.row(at.sample, at.position)).collect(),
            None => last.chunks(tokens).collect(),
        };
        if let Some((at, logits)) =
            positions.iter().zip(&own).find(|(_, own)| !own.iter().all(|x| x.is_finite()))
        {
            return Err(self.not_finite(
                "the model's logits",
                at,
                logits.iter().filter(|x| !x.is_finite()).count(),
            ));
        }
        let model: Vec<(Vec<f64>, f64, usize)> = own
            .iter()
            .map(|logits| {
                let logits = Logits::of(logits);
                (logits.probabilities(), logits.entropy, logits.best())
            })
            .collect();
        let empty = |at: &Position| Reading {
            measures: Vec::with_capacity(self.streams.len()),
            has_target: at.target.is_some_and(|target| (target as usize) < tokens),
            agreement: Agreement::default(),
            cells: Vec::new(),
        };
        let mut readings: Vec<Reading> = positions.iter().map(empty).collect();
        for stream in 0..self.streams.len() {
            let made = if stream == self.last { None } else { Some(self.logits_of(stream, positions)?) };
            let made = made.as_ref().unwrap_or(&last);
            let all = readings.iter_mut().zip(positions).zip(made.chunks(tokens)).zip(&model);
            for (((reading, at), logits), (p, entropy, _)) in all {
                let q = Logits::of(logits);
                let (probability, rank) = at.target.and_then(|target| q.target(target)).unwrap_or((0.0, 0));
                let measures = [probability, rank as f64, q.entropy, q.divergence_of(p, *entropy)];
                if let Some(count) =
                    Some(measures.iter().filter(|x| !x.is_finite()).count()).filter(|n| *n > 0)
                {
                    return Err(self.not_finite("measures of the residual stream", at, count));
                }
                reading.measures.push(measures);
                if at.grid && stream <= self.last {
                    reading.cells.push(Cell { top: q.top(self.top), entropy: q.entropy });
                }
            }
        }
        if self.logits.is_some() {
            for ((reading, (own, made)), (.., best)) in
                readings.iter_mut().zip(own.iter().zip(last.chunks(tokens))).zip(&model)
            {
                let difference =
                    own.iter().zip(made).map(|(a, b)| f64::from((a - b).abs())).fold(0.0, f64::max);
                let agreeing = u64::from(Logits::of(made).best() == *best);
                reading.agreement = Agreement { positions: 1, agreeing, difference };
            }
        }
        Ok(readings)
    }

    /// What is read of a stream at some positions, `[position, token]`.
    fn logits_of(&self, stream: usize, positions: &[Position]) -> Result<Vec<f32>, AnalyzerError> {
        let Some(rows) = self.streams.get(stream) else { return Ok(Vec::new()) };
        let mut vectors = Vec::with_capacity(positions.len() * rows.width);
        for at in positions {
            let row = rows.row(at.sample, at.position);
            match row.iter().filter(|x| !x.is_finite()).count() {
                0 => vectors.extend_from_slice(row),
                count => return Err(self.not_finite("the residual stream", at, count)),
            }
        }
        let view = ArrayView2::from_shape((positions.len(), rows.width), &vectors);
        let view = view.map_err(|e| AnalyzerError::Other(e.to_string()))?;
        let read = self.lens.logits(view, From::Stream).map_err(|e| AnalyzerError::Other(e.to_string()))?;
        Ok(read.into_raw_vec_and_offset().0)
    }

    fn not_finite(&self, what: &str, at: &Position, count: usize) -> AnalyzerError {
        let sample = self.samples.get(at.sample).map_or(0, |sample| sample.id);
        AnalyzerError::NotFinite { what: what.to_owned(), count, sample }
    }
}
