//! Whether streams are read as the model itself reads the last one.

use ndarray::{ArrayView2, Axis};
use rayon::prelude::*;

use super::projection::Projection;
use super::sample::{Sample, probes};
use super::values::{CHUNK, largest};

/// Below this share of positions the map that was found is not the model's.
const LEAST: f64 = 0.9;

/// What the last stream says through the map that was found, against the model's own logits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Check {
    /// Positions compared.
    pub(super) positions: usize,
    /// Those with the same most probable token.
    pub(super) agreeing: usize,
    /// Largest difference of a logit: of the model's most probable token, and of up to 64 tokens spread over the vocabulary.
    pub(super) largest_difference: f64,
}

impl Check {
    /// Compares them at the positions that were drawn; `None` without any, or without the model's logits.
    pub(super) fn of(sample: &Sample, reader: &Projection) -> Result<Option<Self>, String> {
        let count = sample.len();
        let Some(said) = sample.model().filter(|said| !said.is_empty()) else { return Ok(None) };
        let end = sample.end();
        let end = ArrayView2::from_shape((count, sample.channels), &end).map_err(|e| e.to_string())?;
        let chunks: Vec<_> = end.axis_chunks_iter(Axis(0), CHUNK).zip(said.chunks(CHUNK)).collect();
        let compare = |(vectors, said): (ArrayView2<'_, f32>, &[(u32, &[f32])])| {
            let scores = reader.scores(vectors)?;
            let mut found = (0, 0.0_f64);
            for (row, (top, logits)) in scores.rows().into_iter().zip(said) {
                let row = row.to_vec();
                found.0 += usize::from(largest(&row, 1).first().is_some_and(|own| own.1 == *top));
                let places = std::iter::once(*top as usize).chain(probes(row.len()));
                for (place, logit) in places.zip(*logits) {
                    let own = row.get(place).copied().unwrap_or(f32::NAN);
                    let difference = (f64::from(own) - f64::from(*logit)).abs();
                    found.1 = if difference > found.1 || difference.is_nan() { difference } else { found.1 };
                }
            }
            Ok::<_, String>(found)
        };
        let found: Vec<_> = chunks.into_par_iter().map(compare).collect::<Result<_, _>>()?;
        Ok(Some(Self {
            positions: count,
            agreeing: found.iter().map(|f| f.0).sum(),
            largest_difference: found
                .iter()
                .map(|f| f.1)
                .fold(0.0, |a, b| if b > a || b.is_nan() { b } else { a }),
        }))
    }

    /// Share of positions with the same most probable token.
    pub(super) fn share(&self) -> f64 {
        self.agreeing as f64 / self.positions as f64
    }

    /// Why streams are not read, where the map that was found is not the model's.
    pub(super) fn refusal(&self) -> Option<String> {
        (self.share() < LEAST).then(|| {
            format!(
                "the map from the last stream to the logits, as found in the graph, is not the model's: its most probable token \
                 is the model's at {} of {} positions, logits differ by up to {:.3}",
                self.agreeing, self.positions, self.largest_difference
            )
        })
    }
}
